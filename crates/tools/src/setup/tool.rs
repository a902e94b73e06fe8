//! One tool: installed where it is missing, and proven.

use std::time::Instant;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_units::whole_milliseconds;
use xtask_workspace::config::{InstallTo, Need, Way};
use xtask_workspace::{Call, Progress};

use super::known::Known;
use crate::catalog::{LinkSettings, Tool};
use crate::install::{Step, steps, take};
use crate::machine::{Machine, ignore_own_folder};
use crate::probe::{Found, Probed, probe};
use crate::process::Interrupted;
use crate::prove::{Proven, prove};

/// What is true of a tool now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "state")]
pub enum State {
    /// Its effect was seen.
    Proven {
        /// Its program.
        path: Utf8PathBuf,
        /// The version that it says to have.
        version: Option<String>,
        /// What was seen.
        evidence: String,
        /// For a linker: how rustc was told to use it.
        link: Option<LinkSettings>,
    },
    /// It exists, and does not do what it is for.
    Unproven {
        /// Its program.
        path: Utf8PathBuf,
        /// What was seen instead.
        why: String,
    },
    /// It does not exist, or its version is not accepted.
    Missing {
        /// Why, and what was tried, one line each.
        why: Vec<String>,
    },
    /// It is neither installed nor used.
    Unwanted,
}

/// What became of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// How much it is wanted.
    pub need: Need,
    /// What is used without it; may be empty.
    pub without: String,
    /// The way by which it was installed just now.
    pub installed: Option<Way>,
    /// Whether its proof was made just now, not earlier.
    pub proven_now: bool,
    /// How long installing it took, in milliseconds.
    pub install_ms: u64,
    /// How long its proof took, in milliseconds; 0 for one that was made earlier.
    pub proof_ms: u64,
    /// What is true of it.
    #[serde(flatten)]
    pub state: State,
}

impl Outcome {
    /// The outcome before anything was done about `tool`.
    pub(crate) fn new(tool: &Tool) -> Self {
        Self {
            name: tool.name.clone(),
            need: tool.need,
            without: tool.without.clone(),
            installed: None,
            proven_now: false,
            install_ms: 0,
            proof_ms: 0,
            state: State::Unwanted,
        }
    }

    /// Whether it is required and not proven.
    pub fn is_lacking(&self) -> bool {
        self.need == Need::Required && !matches!(self.state, State::Proven { .. })
    }

    /// The settings by which it links, if it is a proven linker.
    pub fn link(&self) -> Option<&LinkSettings> {
        match &self.state {
            State::Proven { link, .. } => link.as_ref(),
            _ => None,
        }
    }
}

/// How tools are installed and proven.
pub(crate) struct Installer<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) install_to: InstallTo,
    /// Whether nothing may be downloaded.
    pub(crate) offline: bool,
    /// Is asked before the system's package manager is called.
    pub(crate) confirm: &'a dyn Fn(&Call) -> bool,
    pub(crate) progress: &'a dyn Progress,
}

impl Installer<'_> {
    /// The ways of installing `tool` that are left to try after `probed`: none where a program was found.
    pub(crate) fn steps(&self, tool: &Tool, probed: &Probed) -> Vec<Step> {
        if probed.found.is_empty() && !self.offline {
            steps(tool, self.machine, self.install_to)
        } else {
            Vec::new()
        }
    }

    /// Installs `tool` by the first of `steps` that works unless `probed` has found it, and proves it unless `known` has
    /// a proof that still holds. Fails only for a signal.
    pub(crate) fn set_up(
        &self,
        tool: &Tool,
        mut probed: Probed,
        steps: &[Step],
        known: &mut Known,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::new(tool);
        let mut why = Vec::new();
        if !steps.is_empty() {
            let installing = Instant::now();
            // Another process may have installed it while this one waited for the lock.
            probed = probe(tool, self.machine)?;
            for step in steps {
                if !probed.found.is_empty() {
                    break;
                }
                match self.install(tool, step) {
                    Ok(()) => {
                        probed = probe(tool, self.machine)?;
                        outcome.installed = (!probed.found.is_empty()).then(|| step.way());
                    }
                    Err(error) if error.is::<Interrupted>() => return Err(error),
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
            if self.offline && !tool.install.is_empty() {
                why.push("nothing may be downloaded (--offline)".to_owned());
            }
            if why.is_empty() {
                why.push("it is not installed, and there is no way to install it here".to_owned());
            }
            outcome.state = State::Missing { why };
            return Ok(outcome);
        }
        // The first on PATH may be broken, and a later one may work.
        for found in probed.found {
            match self.proven(tool, &found, &mut outcome, known) {
                Ok(proven) => {
                    known.keep_proof(tool, &found, self.machine, &proven);
                    outcome.state = State::Proven {
                        path: found.path,
                        version: found.version,
                        evidence: proven.evidence,
                        link: proven.link.filter(|_| tool.is_linker()),
                    };
                    break;
                }
                Err(error) if error.is::<Interrupted>() => return Err(error),
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
        if self.install_to == InstallTo::Workspace {
            ignore_own_folder(&self.machine.root)?;
        }
        take(step, self.machine, self.confirm, self.progress)
    }

    /// What was seen of the tool at `found`, now or earlier.
    fn proven(&self, tool: &Tool, found: &Found, outcome: &mut Outcome, known: &Known) -> Result<Proven> {
        if let Some(proven) = known.proof(tool, found, self.machine) {
            return Ok(proven.clone());
        }
        outcome.proven_now = true;
        self.progress.detail(&format!("proving {} at {}", tool.name, found.path));
        let proving = Instant::now();
        let proven = prove(tool, found, self.machine);
        outcome.proof_ms += whole_milliseconds(proving.elapsed());
        proven
    }
}
