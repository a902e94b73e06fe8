//! Writing the settings of this machine, and looking whether they took effect.

use std::cell::OnceCell;

use anyhow::{Context, Result, anyhow, bail};
use xtask_edit::Transaction;
use xtask_workspace::config::{Effect, Proof};
use xtask_workspace::{CargoConfig, Digest, Environment, Hasher, Progress, cfg};

use super::choose::{Choice, FALLBACK, linkers};
use super::decide::{jobs, overruled};
use super::known::Known;
use super::report::{SetupReport, State};
use super::{PlannedTool, SetupPlan};
use crate::linker_name::{makers_in_words, named};
use crate::local::{LocalSettings, edits, flags_table};
use crate::process::Interrupted;
use crate::prove::{InForce, link_in_force};
use crate::undo;

impl SetupPlan<'_> {
    /// Writes the settings, and looks whether they took effect; if not, falls back.
    pub(super) fn apply(
        &self,
        choice: &Choice,
        report: &mut SetupReport,
        known: &mut Known,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut last = None;
        for (name, settings) in self.attempts(choice, report) {
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
        let error = last.unwrap_or_else(|| anyhow!("there is nothing to set"));
        Err(error.context("not even a program of one line is built here without any setting of ours"))
    }

    /// What is tried in turn, with a name: the choice, the linkers to fall back to, the default one, and at last that
    /// without a compiler cache.
    fn attempts(&self, choice: &Choice, report: &SetupReport) -> Vec<(String, LocalSettings)> {
        let base = LocalSettings { link: None, rustc_wrapper: self.wrapper(report), jobs: self.jobs() };
        let mut choices = vec![choice.clone()];
        if choice.is_some() {
            let linkers = linkers(&report.tools);
            let next = FALLBACK.iter().filter_map(|name| linkers.iter().find(|(linker, _)| linker == name));
            choices.extend(next.cloned().map(Some).filter(|next| next != choice));
            choices.push(None);
        }
        let attempt = |choice: Choice| {
            let name = choice.as_ref().map_or("the default linker", |(name, _)| name).to_owned();
            let link = choice.map(|(_, link)| link).filter(|link| !link.is_default());
            (name, LocalSettings { link, ..base.clone() })
        };
        let mut attempts = choices.into_iter().map(attempt).collect::<Vec<_>>();
        if base.rustc_wrapper.is_some() {
            attempts.push(("no compiler cache".to_owned(), LocalSettings { rustc_wrapper: None, ..base }));
        }
        attempts
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

/// What the settings in force depend on: every configuration file, and the variables that cargo reads.
pub(crate) fn in_force_key(
    config: &CargoConfig,
    text: Option<&str>,
    rustc: &str,
    environment: &Environment,
) -> Digest {
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
