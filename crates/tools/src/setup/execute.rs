//! Doing what a plan says: install, prove, measure, set, and look whether it took effect.

use std::cell::OnceCell;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use xtask_edit::Transaction;
use xtask_files::lock_exclusive;
use xtask_units::whole_milliseconds;
use xtask_workspace::config::{Effect, InstallTo, Need, Proof, Setup};
use xtask_workspace::{Call, CargoConfig, Digest, Environment, Hasher, Progress, cfg};

use super::decide::{jobs, overruled};
use super::known::Known;
use super::report::{Outcome, SetupReport, State};
use super::{PlannedTool, SetupPlan};
use crate::catalog::LinkSettings;
use crate::found::{Found, Presence, look_for};
use crate::linker_name::{makers_in_words, named};
use crate::local::{LocalSettings, edits, flags_table};
use crate::process::Interrupted;
use crate::prove::{InForce, link_in_force, prove};
use crate::race::{Candidate, Race, race};
use crate::undo;
use crate::ways::take;

/// So many rounds tell a difference of a few percent from noise.
const ROUNDS: usize = 11;
/// What is tried in turn when a linker that was chosen fails on a real link.
const FALLBACK: [&str; 2] = ["mold", "lld"];

/// A choice of linker: its tool and how it is used; no tool means what is used without the suite.
type Choice = Option<(String, LinkSettings)>;

impl SetupPlan<'_> {
    /// Does it. `confirm` is asked before the system's package manager is called.
    ///
    /// Failures of single tools are in the report. Fails where the settings themselves cannot be written.
    pub fn execute(self, confirm: &dyn Fn(&Call) -> bool, progress: &dyn Progress) -> Result<SetupReport> {
        let started = Instant::now();
        // Whoever comes second finds everything done.
        let _lock = lock_exclusive(&self.machine.state_dir.join("lock"))?;
        let mut report = SetupReport {
            tools: Vec::new(),
            race: None,
            settings: self.settings.clone(),
            changed: Vec::new(),
            in_force: None,
            overruled: Vec::new(),
            fallbacks: Vec::new(),
            for_user_config: None,
            signal: None,
            took_ms: 0,
        };
        let done = self.steps(&mut report, confirm, progress);
        report.took_ms = whole_milliseconds(started.elapsed());
        if let Err(error) = done {
            match error.downcast_ref::<Interrupted>() {
                Some(interrupted) => report.signal = Some(interrupted.signal),
                None => return Err(error),
            }
        }
        Ok(report)
    }

    fn steps(
        &self,
        report: &mut SetupReport,
        confirm: &dyn Fn(&Call) -> bool,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut known =
            if self.options.again { Known::default() } else { Known::read(&self.machine.state_dir) };
        let before = known.clone();
        for planned in &self.tools {
            let outcome = self.tool(planned, &mut known, confirm, progress)?;
            report.tools.push(outcome);
            // After each: an interruption costs one proof.
            if known != before {
                known.write(&self.machine.state_dir)?;
            }
        }
        let choice = self.choose(report, &mut known, progress)?;
        self.apply(&choice, report, &mut known, progress)?;
        if known != before {
            known.write(&self.machine.state_dir)?;
        }
        Ok(())
    }

    /// Looks again, installs what is missing, and proves.
    fn tool(
        &self,
        planned: &PlannedTool,
        known: &mut Known,
        confirm: &dyn Fn(&Call) -> bool,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let tool = &planned.tool;
        let mut outcome = Outcome {
            name: tool.name.clone(),
            need: tool.need,
            without: tool.without.clone(),
            installed: None,
            proven_now: false,
            state: State::Unwanted,
        };
        if tool.need == Need::Unwanted {
            return Ok(outcome);
        }
        let mut why = Vec::new();
        let mut found = self.present(planned, &mut why);
        if found.is_none() && self.options.offline && !tool.install.is_empty() {
            why.push("nothing may be downloaded (--offline)".to_owned());
        }
        for step in &planned.steps {
            if found.is_some() {
                break;
            }
            progress.note(&format!("{}: {step}", tool.name));
            if self.options.setup.install_to == InstallTo::Workspace {
                self.machine.ignore_private_bin()?;
            }
            match take(step, &self.machine, confirm, progress) {
                Ok(()) => {
                    found = self.present(planned, &mut why);
                    outcome.installed = found.is_some().then(|| step.way());
                }
                Err(error) if error.downcast_ref::<Interrupted>().is_some() => return Err(error),
                Err(error) => {
                    let line = format!("{}: {error:#}", step.way().name());
                    progress.note(&format!("{}: {line}", tool.name));
                    why.push(line);
                }
            }
        }
        let Some(found) = found else {
            if why.is_empty() {
                why.push("it is not there, and there is no way to install it here".to_owned());
            }
            outcome.state = State::Missing { why };
            return Ok(outcome);
        };
        let proven = if let Some(proven) = known.proof(tool, &found, &self.machine) {
            Ok(proven.clone())
        } else {
            outcome.proven_now = true;
            progress.detail(&format!("proving {} at {}", tool.name, found.path));
            prove(tool, &found, &self.machine)
        };
        outcome.state = match proven {
            Ok(proven) => {
                known.keep_proof(tool, &found, &self.machine, &proven);
                State::Proven {
                    path: found.path,
                    version: found.version,
                    evidence: proven.evidence,
                    link: proven.link.filter(|_| tool.is_linker()),
                }
            }
            Err(error) if error.downcast_ref::<Interrupted>().is_some() => return Err(error),
            Err(error) => State::Unproven { path: found.path, why: format!("{error:#}") },
        };
        Ok(outcome)
    }

    /// The tool as it is now; why it will not do goes into `why`.
    fn present(&self, planned: &PlannedTool, why: &mut Vec<String>) -> Option<Found> {
        match look_for(&planned.tool, &self.machine) {
            Presence::Found(found) => Some(found),
            Presence::Unsuited { path, why: reason } => {
                why.push(format!("{path}: {reason}"));
                None
            }
            Presence::Missing => None,
        }
    }

    /// The linker that is to be used.
    fn choose(&self, report: &mut SetupReport, known: &mut Known, progress: &dyn Progress) -> Result<Choice> {
        let linkers = linkers(&report.tools);
        let chosen = self.options.setup.linker.as_str();
        if let Some(variable) = self.voids_flags.first() {
            progress.note(&format!(
                "{variable} is set, and with it cargo takes flags for rustc from no file: the linker stays as it is"
            ));
            return Ok(None);
        }
        match chosen {
            Setup::DEFAULT => Ok(None),
            Setup::MEASURED => self.measured(&linkers, report, known, progress),
            name => {
                let proven = linkers.into_iter().find(|(linker, _)| linker == name);
                if proven.is_none() {
                    report.fallbacks.push(format!("{name} is not proven to link here"));
                }
                Ok(proven.or_else(|| fallback(&report.tools)))
            }
        }
    }

    /// The linker that is faster than what is in use, beyond the noise; what is in use now, if none is.
    fn measured(
        &self,
        linkers: &[(String, LinkSettings)],
        report: &mut SetupReport,
        known: &mut Known,
        progress: &dyn Progress,
    ) -> Result<Choice> {
        let in_use = self.settings.link.clone().unwrap_or_default();
        let now = linkers.iter().find(|(_, settings)| *settings == in_use).cloned();
        let others = linkers.iter().filter(|(_, settings)| *settings != in_use).collect::<Vec<_>>();
        let now = now.filter(|(_, settings)| !settings.is_default());
        let key = race_key(&report.tools, &self.machine.rustc);
        let raced = match known.race(&key) {
            Some(raced) => Some(raced.clone()),
            None if !self.options.measure || others.is_empty() => None,
            None => self.race(&in_use, &others, progress)?,
        };
        let Some(raced) = raced else { return Ok(now) };
        known.keep_race(key, &raced);
        let fastest = raced.fastest().and_then(|name| linkers.iter().find(|(linker, _)| linker == name));
        report.race = Some(raced);
        Ok(fastest.cloned().or(now))
    }

    fn race(
        &self,
        in_use: &LinkSettings,
        others: &[&(String, LinkSettings)],
        progress: &dyn Progress,
    ) -> Result<Option<Race>> {
        let baseline = match link_in_force(&self.machine) {
            Ok(in_force) => format!("in use: {}", makers_in_words(&in_force.makers)),
            Err(error) if error.downcast_ref::<Interrupted>().is_some() => return Err(error),
            // What is in use does not link: there is nothing to compare with.
            Err(error) => {
                progress.note(&format!("linkers were not measured: {error:#}"));
                return Ok(None);
            }
        };
        progress.note(&format!(
            "measuring linkers: `{}` is built once, then its largest test is linked {ROUNDS} times by each",
            self.options.test_command
        ));
        let candidate = |name: &str, settings: &LinkSettings| Candidate {
            name: name.to_owned(),
            linker: settings.linker.clone(),
            rustflags: settings.rustflags.clone(),
        };
        let candidates = [candidate(&baseline, in_use)]
            .into_iter()
            .chain(others.iter().map(|(name, settings)| candidate(name, settings)))
            .collect::<Vec<_>>();
        let raced = race(
            self.workspace,
            &self.options.test_command,
            &candidates,
            &self.options.exe,
            ROUNDS,
            progress,
        );
        match raced {
            Err(error) if error.downcast_ref::<Interrupted>().is_some() => Err(error),
            Err(error) => {
                progress.note(&format!("linkers were not measured: {error:#}"));
                Ok(None)
            }
            raced => raced,
        }
    }

    /// Writes the settings, and looks whether they took effect; if not, falls back.
    fn apply(
        &self,
        choice: &Choice,
        report: &mut SetupReport,
        known: &mut Known,
        progress: &dyn Progress,
    ) -> Result<()> {
        let base = LocalSettings { link: None, rustc_wrapper: self.wrapper(report), jobs: self.jobs() };
        let mut choices = vec![choice.clone()];
        if choice.is_some() {
            let linkers = linkers(&report.tools);
            let next = FALLBACK.iter().filter_map(|name| linkers.iter().find(|(linker, _)| linker == name));
            choices.extend(next.cloned().map(Some).filter(|next| next != choice));
            choices.push(None);
        }
        let mut last = None;
        for choice in choices {
            let name = choice.as_ref().map_or("the default linker", |(name, _)| name).to_owned();
            let link = choice.map(|(_, link)| link).filter(|link| !link.is_default());
            let settings = LocalSettings { link, ..base.clone() };
            match self.write(&settings, &name, report, known) {
                Ok(()) => {
                    report.settings = settings;
                    return Ok(());
                }
                Err(error) if error.downcast_ref::<Interrupted>().is_some() => return Err(error),
                Err(error) if error.downcast_ref::<NotInForce>().is_some() => {
                    let failed = format!("{name}: {error:#}");
                    progress.note(&format!("{failed}; falling back"));
                    report.fallbacks.push(failed);
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow!("there is nothing to set")))
    }

    /// Writes `settings`, or takes them back again if they do not take effect.
    fn write(
        &self,
        settings: &LocalSettings,
        linker: &str,
        report: &mut SetupReport,
        known: &mut Known,
    ) -> Result<()> {
        let (root, machine) = (&self.machine.root, &self.machine);
        let config = CargoConfig::load(root, &machine.environment);
        let conditions = OnceCell::new();
        let holds = |condition: &str| {
            let ask = || cfg::settings(root, &machine.environment, &machine.host);
            cfg::holds(condition, conditions.get_or_init(ask))
        };
        let table = flags_table(&config, &machine.host, &self.local_file, &holds);
        let text = settings.text(&machine.host, table);
        let text = (!settings.is_empty()).then_some(text);
        if !self.includes {
            report.for_user_config = text;
            return Ok(());
        }
        // First: it puts back what a killed one has left.
        let (transaction, _) = Transaction::begin(root)?;
        let ignored = xtask_workspace::is_ignored(root, &self.local_file, &machine.environment);
        let sets_flags = settings.link.as_ref().is_some_and(|link| !link.rustflags.is_empty());
        let keys = sets_flags.then(|| table.keys(&machine.host));
        let changes = edits(root, text.as_deref(), keys.as_deref(), ignored)?;
        let key = in_force_key(&config, text.as_deref(), &machine.rustc, &machine.environment);
        let mut seen = known.in_force(&key).map(str::to_owned).filter(|_| changes.is_empty());
        let check = |seen: &mut Option<String>| {
            let in_force = link_in_force(machine).map_err(not_in_force)?;
            *seen = Some(self.took_effect(settings, linker, &in_force, report).map_err(not_in_force)?);
            anyhow::Ok(())
        };
        if changes.is_empty() {
            if seen.is_none() {
                check(&mut seen)?;
            }
        } else {
            undo::keep(&machine.state_dir, root, &changes)?;
            transaction.commit(&changes, || check(&mut seen)).context("failed to set")?;
            report.changed = changes.into_iter().map(|edit| edit.path).collect();
        }
        let config = CargoConfig::load(root, &machine.environment);
        let key = in_force_key(&config, text.as_deref(), &machine.rustc, &machine.environment);
        if let Some(seen) = &seen {
            known.keep_in_force(key, seen);
        }
        report.in_force = seen;
        report.overruled =
            overruled(settings, &self.local_file, &machine.host, &config, &machine.environment);
        Ok(())
    }

    /// What was seen of `settings` in a real build. Fails if they are set and not used.
    fn took_effect(
        &self,
        settings: &LocalSettings,
        linker: &str,
        in_force: &InForce,
        report: &SetupReport,
    ) -> Result<String> {
        if let Some(wrapper) = &settings.rustc_wrapper {
            let overruled = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"];
            let by_variable =
                overruled.iter().any(|name| self.machine.environment.even_empty(name).is_some());
            let used = in_force.words.first().is_some_and(|word| word == wrapper);
            let config = CargoConfig::load(&self.machine.root, &self.machine.environment);
            let shadowed = config
                .set_in(&["build", "rustc-wrapper"])
                .next()
                .is_some_and(|(path, _)| path != self.local_file);
            if !used && !by_variable && !shadowed {
                bail!("cargo does not call {wrapper}");
            }
        }
        let words = makers_in_words(&in_force.makers);
        let tool = self.tools.iter().find(|planned| planned.tool.name == linker);
        if let (Some(_), Some(planned)) = (&settings.link, tool) {
            let version =
                report.tools.iter().find(|outcome| outcome.name == linker).and_then(|outcome| match &outcome
                    .state
                {
                    State::Proven { version, .. } => version.as_deref(),
                    _ => None,
                });
            if named(&in_force.makers, &planned.tool.says, version).is_none() {
                bail!("a build of the workspace does not use it: what it links names {words}");
            }
        }
        Ok(format!("a plain `cargo build` here links with {words}"))
    }

    /// The compiler cache, if one is proven.
    fn wrapper(&self, report: &SetupReport) -> Option<camino::Utf8PathBuf> {
        let is_cache = |planned: &PlannedTool| planned.tool.proof == Proof::Effect(Effect::Cache);
        let proven = self.tools.iter().zip(&report.tools).filter(|(planned, _)| is_cache(planned));
        proven.into_iter().find_map(|(_, outcome)| match &outcome.state {
            State::Proven { path, .. } => Some(path.clone()),
            _ => None,
        })
    }

    fn jobs(&self) -> Option<usize> {
        let memory = crate::memory::total_bytes()?;
        jobs(self.options.cores, memory, self.options.setup.memory_per_job)
    }
}

/// Settings that were written and took no effect.
#[derive(Debug)]
struct NotInForce(String);

impl std::fmt::Display for NotInForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotInForce {}

fn not_in_force(error: anyhow::Error) -> anyhow::Error {
    if error.downcast_ref::<Interrupted>().is_some() {
        error
    } else {
        NotInForce(format!("{error:#}")).into()
    }
}

/// The proven linkers.
fn linkers(tools: &[Outcome]) -> Vec<(String, LinkSettings)> {
    tools.iter().filter_map(|outcome| Some((outcome.name.clone(), outcome.link()?.clone()))).collect()
}

fn fallback(tools: &[Outcome]) -> Choice {
    let linkers = linkers(tools);
    FALLBACK.iter().find_map(|name| linkers.iter().find(|(linker, _)| linker == name)).cloned()
}

/// What a measurement depends on: the linkers and the toolchain.
fn race_key(tools: &[Outcome], rustc: &str) -> Digest {
    let mut hasher = Hasher::new();
    hasher.field(rustc);
    for outcome in tools {
        if let (Some(link), State::Proven { path, version, .. }) = (outcome.link(), &outcome.state) {
            hasher.field(&outcome.name).field(path.as_str()).optional(version.as_deref());
            hasher.field(link.to_string());
        }
    }
    hasher.finish()
}

/// What the settings in force depend on: every configuration file, and the variables that cargo reads.
fn in_force_key(config: &CargoConfig, text: Option<&str>, rustc: &str, environment: &Environment) -> Digest {
    let mut hasher = Hasher::new();
    hasher.field(rustc).optional(text);
    for path in config.paths() {
        hasher.field(path.as_str()).optional(std::fs::read(path).ok());
    }
    for (name, value) in environment.build_relevant() {
        hasher.field(name).field(value);
    }
    hasher.finish()
}
