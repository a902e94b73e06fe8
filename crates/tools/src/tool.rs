//! One tool: installed where it is missing, and proven; and what is remembered of proofs.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, lock_exclusive, write_atomic};
use xtask_units::whole_milliseconds;
use xtask_workspace::config::{InstallTo, Need, Setup, Tool, Way, closest};
use xtask_workspace::{Call, Digest, Hasher, Progress, Workspace, WrongUsage, on_path, stamp};

use crate::edits::ignore_own_folder;
use crate::install::{Step, steps, take};
use crate::link::{LINKERS, LinkSettings};
use crate::machine::{Found, Machine, Probed, places, probe};
use crate::process::uninterrupted;
use crate::prove::{Proven, prove};
use crate::race::Race;

/// Raised when what is written changes its form or meaning.
const FORMAT: u32 = 2;

/// What was proven and measured before on this machine, each with a key of everything it depends on. Failures are not kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    format: u32,
    proofs: BTreeMap<String, (Digest, Proven)>,
    pub(crate) race: Option<(Digest, Race)>,
    /// What was seen with everything in force.
    pub(crate) in_force: Option<(Digest, String)>,
    /// The linker that made the probe of `doctor`, in words.
    #[serde(default)]
    pub(crate) links: Option<(Digest, String)>,
}

pub(crate) fn kept<'a, T>(kept: Option<&'a (Digest, T)>, key: &Digest) -> Option<&'a T> {
    kept.filter(|(known, _)| known == key).map(|(_, value)| value)
}

impl Known {
    /// What was kept in the folder; nothing if another version of the suite wrote it.
    pub(crate) fn read(state_dir: &Utf8Path) -> Self {
        let json = std::fs::read(state_dir.join("known.json")).ok();
        let known = json.and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        known.filter(|known| known.format == FORMAT).unwrap_or_default()
    }

    /// Whether no setup has found anything out yet.
    pub(crate) fn is_new(&self) -> bool {
        self.proofs.is_empty() && self.race.is_none() && self.in_force.is_none()
    }

    pub(crate) fn write(&mut self, state_dir: &Utf8Path) -> Result<()> {
        self.format = FORMAT;
        let json = serde_json::to_vec_pretty(self).context("failed to write JSON")?;
        write_atomic(&state_dir.join("known.json"), json, Durability::Cache)
    }

    /// What was seen of the tool at `found`, if that still holds.
    pub(crate) fn proof(&self, tool: &Tool, found: &Found, machine: &Machine) -> Option<&Proven> {
        kept(self.proofs.get(&tool.name), &proof_key(tool, found, machine))
    }
}

/// Everything that a proof depends on: another program, toolchain or environment may behave differently.
fn proof_key(tool: &Tool, found: &Found, machine: &Machine) -> Digest {
    let mut hasher = Hasher::new();
    hasher.field(format!("{tool:?}")).field(format!("{found:?}")).optional(stamp(&found.path));
    // Not PATH itself, which differs in an editor, but what is found there.
    let drivers = tool.link_with.iter().filter_map(|way| way.split(' ').next());
    for program in drivers.chain(LINKERS).filter_map(|program| on_path(program, &machine.environment)) {
        hasher.field(program.as_str()).optional(stamp(&program));
    }
    hasher.field(&machine.rustc).field(machine.rustlib.as_str());
    let environment = &machine.environment;
    let own =
        environment.iter().filter(|(name, _)| name.starts_with("SCCACHE_") || name.starts_with("NEXTEST_"));
    for (name, value) in own.chain(environment.build_relevant()) {
        hasher.field(name).field(value);
    }
    hasher.finish()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedTool {
    #[serde(flatten)]
    pub tool: Tool,
    pub probed: Probed,
    /// The ways of installing it if it is missing.
    pub steps: Vec<Step>,
    /// The proof that was made before, if nothing changed since.
    pub evidence: Option<String>,
    /// What in cargo's configuration demands it: `linker in .cargo/config.toml`.
    pub demanded_by: Option<String>,
}

impl PlannedTool {
    /// Probes the tool. Fails only for a signal.
    pub(crate) fn new(tool: &Tool, machine: &Machine, known: &Known, to: Option<InstallTo>) -> Result<Self> {
        let mut planned = Self {
            tool: tool.clone(),
            probed: Probed::default(),
            steps: Vec::new(),
            evidence: None,
            demanded_by: None,
        };
        if tool.need != Need::Unwanted {
            planned.probed = probe(tool, machine)?;
            match (planned.probed.found.first(), to) {
                (Some(found), _) => {
                    let proof = known.proof(tool, found, machine);
                    planned.evidence = proof.map(|proven| proven.evidence.clone());
                }
                (None, Some(install_to)) => planned.steps = steps(tool, machine, install_to),
                (None, None) => {}
            }
        }
        Ok(planned)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "state")]
pub enum State {
    /// Its effect was seen.
    Proven {
        path: Utf8PathBuf,
        version: Option<String>,
        evidence: String,
        /// For a linker: how rustc was told to use it.
        link: Option<LinkSettings>,
    },
    /// It exists, and does not do what it is for.
    Unproven {
        path: Utf8PathBuf,
        why: String,
    },
    /// It does not exist, or its version is not accepted.
    Missing {
        /// Why, and what was tried, one line each.
        why: Vec<String>,
    },
    Unwanted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    pub name: String,
    pub need: Need,
    /// What is used without it; may be empty.
    pub without: String,
    /// What in cargo's configuration demands it.
    pub demanded_by: Option<String>,
    pub installed: Option<Way>,
    pub proven_now: bool,
    pub install_ms: u64,
    /// 0 for a proof that was made earlier.
    pub proof_ms: u64,
    #[serde(flatten)]
    pub state: State,
}

impl Outcome {
    pub fn is_lacking(&self) -> bool {
        self.need == Need::Required && !matches!(self.state, State::Proven { .. })
    }

    /// The settings by which it links, if it is a proven linker.
    pub(crate) fn link(&self) -> Option<&LinkSettings> {
        match &self.state {
            State::Proven { link, .. } => link.as_ref(),
            _ => None,
        }
    }
}

pub(crate) struct Installer<'a> {
    pub(crate) machine: &'a Machine,
    /// Where to; `None` if nothing may be downloaded.
    pub(crate) to: Option<InstallTo>,
    /// Is asked before the system's package manager is called.
    pub(crate) confirm: &'a dyn Fn(&Call) -> bool,
    pub(crate) progress: &'a dyn Progress,
}

impl Installer<'_> {
    /// Installs a tool by the first of its steps that works unless it was found, and proves it unless `known` has a proof.
    /// Fails only for a signal, and where a proof cannot be kept.
    pub(crate) fn set_up(&self, planned: &PlannedTool, known: &mut Known) -> Result<Outcome> {
        let PlannedTool { tool, probed, steps, demanded_by, .. } = planned;
        let mut outcome = Outcome {
            name: tool.name.clone(),
            need: tool.need,
            without: tool.without.clone(),
            demanded_by: demanded_by.clone(),
            installed: None,
            proven_now: false,
            install_ms: 0,
            proof_ms: 0,
            state: State::Unwanted,
        };
        if tool.need == Need::Unwanted {
            return Ok(outcome);
        }
        let (mut probed, mut why) = (probed.clone(), Vec::new());
        if !steps.is_empty() {
            let installing = Instant::now();
            // Another process may have installed it while this one waited for the lock.
            probed = probe(tool, self.machine)?;
            for step in steps {
                if !probed.found.is_empty() {
                    break;
                }
                match uninterrupted(self.install(tool, step))? {
                    Ok(()) => {
                        probed = probe(tool, self.machine)?;
                        outcome.installed = (!probed.found.is_empty()).then(|| step.way());
                    }
                    Err(error) => {
                        let line = format!("{}: {error:#}", step.way().name());
                        self.progress.note(&format!("{}: {line}", tool.name));
                        why.push(line);
                    }
                }
            }
            outcome.install_ms = whole_milliseconds(installing.elapsed());
        }
        let unsuited = probed.unsuited.iter().map(|unsuited| format!("{}: {}", unsuited.path, unsuited.why));
        why.splice(0..0, unsuited);
        if probed.found.is_empty() {
            if self.to.is_none() && !tool.install.is_empty() {
                why.push("nothing may be downloaded (--offline)".to_owned());
            } else if why.is_empty() {
                why.push("it is not installed, and there is no way to install it here".to_owned());
            }
            outcome.state = State::Missing { why };
            return Ok(outcome);
        }
        // The first on PATH may be broken, and a later one may work.
        for found in probed.found {
            let key = proof_key(tool, &found, self.machine);
            let earlier = kept(known.proofs.get(&tool.name), &key).cloned();
            let proven = if let Some(earlier) = earlier {
                Ok(earlier)
            } else {
                outcome.proven_now = true;
                self.progress.detail(&format!("proving {} at {}", tool.name, found.path));
                let proving = Instant::now();
                let proven = uninterrupted(prove(tool, &found, self.machine))?;
                outcome.proof_ms += whole_milliseconds(proving.elapsed());
                if let Ok(proven) = &proven {
                    known.proofs.insert(tool.name.clone(), (key, proven.clone()));
                    // After each: an interruption costs one proof.
                    known.write(&self.machine.state_dir)?;
                }
                proven
            };
            match proven {
                Ok(proven) => {
                    let Proven { evidence, link } = proven;
                    let link = link.filter(|_| tool.is_linker());
                    outcome.state =
                        State::Proven { path: found.path, version: found.version, evidence, link };
                    break;
                }
                Err(error) => {
                    why.push(format!("{}: {error:#}", found.path));
                    outcome.state = State::Unproven { path: found.path, why: why.join("; ") };
                }
            }
        }
        Ok(outcome)
    }

    fn install(&self, tool: &Tool, step: &Step) -> Result<()> {
        self.progress.note(&format!("{}: {step}", tool.name));
        if self.to == Some(InstallTo::Workspace) {
            ignore_own_folder(&self.machine.root)?;
        }
        take(step, self.machine, self.confirm, self.progress)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub name: String,
    /// `is not installed`, or why what is there is not accepted.
    pub why: String,
    /// The command that installs it here, or a sentence if there is none.
    pub install: String,
}

/// Which of the tools called `names` in the catalog `tools` are missing. A tool is there if one of its programs is; only if
/// the catalog requires a version, they are asked for it. Fails as wrong usage for a name that is not in the catalog, or not for this host.
pub fn missing(
    workspace: &Workspace,
    tools: &[Tool],
    names: &[String],
    setup: &Setup,
) -> Result<Vec<Missing>> {
    let (tools, machine) = (named(tools, names)?, Machine::of(workspace)?);
    let mut missing = Vec::new();
    for tool in tools {
        let is_there = !places(tool, &machine).is_empty();
        let mut why = "is not installed".to_owned();
        if is_there {
            if tool.version.is_none() {
                continue;
            }
            let probed = probe(tool, &machine)?;
            match probed.unsuited.into_iter().next() {
                Some(unsuited) if probed.found.is_empty() => {
                    why = format!("is not accepted: {}", unsuited.why);
                }
                _ => continue,
            }
        }
        let install = match steps(tool, &machine, setup.install_to).first() {
            Some(Step::Archive { .. }) if tool.need != Need::Unwanted => "cargo xtask setup".to_owned(),
            Some(step) => step.to_string(),
            None => format!(
                "install `{}` yourself; [tools.{}] in xtask.toml has no package for this system",
                tool.programs.join("` or `"),
                tool.name
            ),
        };
        missing.push(Missing { name: tool.name.clone(), why, install });
    }
    Ok(missing)
}

/// Installs those of the tools called `names` that are missing, and proves all of them, as a setup does.
pub fn install(
    workspace: &Workspace,
    tools: &[Tool],
    names: &[String],
    setup: &Setup,
    confirm: &dyn Fn(&Call) -> bool,
    progress: &dyn Progress,
) -> Result<Vec<Outcome>> {
    let (tools, machine) = (named(tools, names)?, Machine::of(workspace)?);
    let _lock = lock_exclusive(&machine.state_dir.join("lock"))?;
    let mut known = Known::read(&machine.state_dir);
    let installer = Installer { machine: &machine, to: Some(setup.install_to), confirm, progress };
    let set_up = |tool: &Tool| {
        let tool = Tool { need: Need::Required, ..tool.clone() };
        installer.set_up(&PlannedTool::new(&tool, &machine, &known, installer.to)?, &mut known)
    };
    tools.into_iter().map(set_up).collect()
}

fn named<'a>(tools: &'a [Tool], names: &[String]) -> Result<Vec<&'a Tool>> {
    let mut found = Vec::<&Tool>::new();
    for name in names {
        let Some(tool) = tools.iter().find(|tool| tool.name == *name) else {
            let next = match closest(name, tools.iter().map(|tool| tool.name.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("describe it as [tools.{name}] in xtask.toml"),
            };
            return Err(WrongUsage(format!("there is no tool `{name}` for this host\n  next: {next}")).into());
        };
        if !found.contains(&tool) {
            found.push(tool);
        }
    }
    Ok(found)
}
