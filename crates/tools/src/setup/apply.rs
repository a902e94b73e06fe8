//! Writing the settings of this machine, and checking that they take effect.

use std::cell::OnceCell;

use anyhow::{Context, Result, anyhow, bail};
use camino::Utf8Path;
use xtask_edit::Transaction;
use xtask_workspace::config::{Effect, Proof};
use xtask_workspace::{CargoConfig, Digest, Hasher, Progress, cfg, on_path, stamp};

use super::choose::{Choice, FALLBACK, linkers};
use super::known::{Known, LINKERS};
use super::{PlannedTool, SetupPlan, SetupReport, State};
use crate::linker_name::{makers_in_words, named};
use crate::machine::Machine;
use crate::memory;
use crate::process::Interrupted;
use crate::prove::{InForce, link_in_force};
use crate::settings::{
    Around, FlagsTable, LocalSettings, Overruled, config_file, edits, flags_table, overruled, record,
    replaced,
};

impl SetupPlan<'_> {
    /// Writes the settings and checks that they take effect; if not, falls back.
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
                    // What cannot be included is only shown.
                    if self.includes {
                        report.settings = settings;
                    }
                    return Ok(());
                }
                Err(error) if error.is::<Interrupted>() => return Err(error),
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
        Err(error.context("a program of one line does not build here, even without our settings"))
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

    /// Writes `settings`, and undoes that if they do not take effect.
    fn write(
        &self,
        settings: &LocalSettings,
        linker: &str,
        report: &mut SetupReport,
        known: &mut Known,
    ) -> Result<()> {
        let (root, machine) = (&self.machine.root, &self.machine);
        // First: it undoes what a killed setup has left.
        let (transaction, _) = Transaction::begin(root)?;
        let config = CargoConfig::load(root, &machine.environment);
        let conditions = OnceCell::new();
        let holds = |condition: &str| {
            let ask = || cfg::settings(root, &machine.environment, &machine.host);
            cfg::holds(condition, conditions.get_or_init(ask))
        };
        let table = flags_table(&config, &machine.environment, &machine.host, &self.local_file, &holds);
        let text = settings.text(&machine.host, table);
        let text = (!settings.is_empty()).then_some(text);
        if !self.includes {
            report.for_user_config = text;
            return Ok(());
        }
        let sets_flags = settings.link.as_ref().is_some_and(|link| !link.rustflags.is_empty());
        if sets_flags {
            self.may_join(&config, table).map_err(not_in_force)?;
        }
        let around = Around::of(root, &config, &machine.environment);
        let keys = sets_flags.then(|| table.keys(&machine.host));
        let changes = edits(root, text.as_deref(), keys.as_deref(), around)?;
        let key = in_force_key(&config, text.as_deref(), machine);
        let mut seen = known.in_force(&key).map(str::to_owned).filter(|_| changes.is_empty());
        let theirs = if sets_flags && !changes.is_empty() { self.their_flags()? } else { Vec::new() };
        let check = |seen: &mut Option<String>| {
            let in_force = link_in_force(machine).map_err(not_in_force)?;
            let flags = in_force.flags();
            if let Some(gone) = theirs.iter().find(|flag| !flags.contains(flag)) {
                return Err(NotInForce(format!("the flag `{gone}` would no longer be in force")).into());
            }
            *seen = Some(self.took_effect(settings, linker, &in_force, report).map_err(not_in_force)?);
            anyhow::Ok(())
        };
        if changes.is_empty() {
            if seen.is_none() {
                check(&mut seen)?;
            }
        } else {
            let all = [changes.clone(), record(root, &changes)?].concat();
            transaction.commit(&all, || check(&mut seen)).context("failed to set")?;
            report.changed = changes.into_iter().map(|edit| edit.path).collect();
        }
        let config = CargoConfig::load(root, &machine.environment);
        let key = in_force_key(&config, text.as_deref(), machine);
        if let Some(seen) = &seen {
            known.keep_in_force(key, seen);
        }
        report.in_force = seen;
        report.replaced = replaced(settings, &self.local_file, &machine.host, &config);
        report.overruled = self.overruled(settings, &config);
        Ok(())
    }

    /// The settings that do not count.
    fn overruled(&self, settings: &LocalSettings, config: &CargoConfig) -> Vec<Overruled> {
        overruled(settings, &self.local_file, &self.machine.host, config, &self.machine.environment)
    }

    /// What a real build shows of `settings`. Fails if they are set and not used.
    fn took_effect(
        &self,
        settings: &LocalSettings,
        linker: &str,
        in_force: &InForce,
        report: &SetupReport,
    ) -> Result<String> {
        let config = CargoConfig::load(&self.machine.root, &self.machine.environment);
        if let Some(wrapper) = &settings.rustc_wrapper {
            let used = in_force.words.first().is_some_and(|word| word == wrapper);
            let overruled = self.overruled(settings, &config);
            if !used && !overruled.iter().any(|one| one.key == "build.rustc-wrapper") {
                bail!("cargo does not call {wrapper}");
            }
        }
        let words = makers_in_words(&in_force.makers);
        let tool = self.tools.iter().find(|planned| planned.tool.name == linker);
        // If a variable voids all flags, our flags have no effect to be seen.
        if let Some(planned) = tool.filter(|_| self.voids_flags.is_empty()) {
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
        let elsewhere = config.build_targets().iter().any(|target| *target != self.machine.host);
        let build = if elsewhere || self.machine.environment.get("CARGO_BUILD_TARGET").is_some() {
            format!("`cargo build --target {}`", self.machine.host)
        } else {
            "a plain `cargo build`".to_owned()
        };
        Ok(format!("{build} here links with {words}"))
    }

    /// The rustflags that are in force now without ours; empty if nothing builds here now.
    fn their_flags(&self) -> Result<Vec<String>> {
        let now = match link_in_force(&self.machine) {
            Ok(now) => now,
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(_) => return Ok(Vec::new()),
        };
        let ours = self.settings.link.clone().unwrap_or_default().rustflags;
        Ok(now.flags().iter().filter(|flag| !ours.contains(flag)).cloned().collect())
    }

    /// Checks that our flags can be written beside the user's. Fails with the reason why not.
    fn may_join(&self, config: &CargoConfig, table: FlagsTable) -> Result<()> {
        let host = self.machine.host.as_str();
        let keys = table.keys(host);
        let own = config_file(&self.machine.root);
        let is_own = |path: &Utf8Path| path == self.local_file || path == self.machine.root.join(&own);
        if let Some((path, _)) = config.set_in(&keys).find(|(path, value)| value.is_str() && !is_own(path)) {
            bail!(
                "`{}` in {path} is a string, and cargo does not join a string with a list; make it a list there",
                keys.join(".")
            );
        }
        let mut targets = config.build_targets();
        targets.extend(self.machine.environment.get("CARGO_BUILD_TARGET").map(str::to_owned));
        match targets.into_iter().find(|target| *target != *host) {
            Some(other) if table == FlagsTable::Build => bail!(
                "in [build], beside the flags there, it would affect builds for {other} too; write those flags into \
                 [target.'cfg(all())'] instead"
            ),
            _ => Ok(()),
        }
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

    /// The number of jobs for the memory that is free now. An earlier setting stays if it fits the whole memory: free memory
    /// differs each time, and a second setup must change nothing.
    fn jobs(&self) -> Option<usize> {
        let fit = |bytes| memory::fitting_jobs(self.options.cores, bytes, self.options.setup.memory_per_job);
        let most = fit(memory::total_bytes()?);
        let before = self.settings.jobs;
        let fits = before.unwrap_or(self.options.cores) <= most.unwrap_or(self.options.cores);
        if self.local_file.is_file() && !self.options.again && fits {
            return before;
        }
        memory::free_bytes().map_or(most, fit)
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
    if error.is::<Interrupted>() { error } else { NotInForce(format!("{error:#}")).into() }
}

/// What the settings in force depend on: every configuration file, the variables that cargo reads, and the programs that
/// link.
pub(crate) fn in_force_key(config: &CargoConfig, text: Option<&str>, machine: &Machine) -> Digest {
    let (environment, host) = (&machine.environment, machine.host.as_str());
    let mut hasher = Hasher::new();
    hasher.field(&machine.rustc).optional(text);
    let programs = [&["cc"][..], &LINKERS].concat();
    for program in programs.into_iter().filter_map(|program| on_path(program, environment)) {
        hasher.field(program.as_str()).optional(stamp(&program));
    }
    for keys in [&["build", "rustc-wrapper"][..], &["target", host, "linker"]] {
        hasher.optional(config.string(keys).and_then(|program| stamp(Utf8Path::new(&program))));
    }
    for path in config.paths() {
        hasher.field(path.as_str()).optional(std::fs::read(path).ok());
    }
    for (name, value) in environment.build_relevant() {
        hasher.field(name).field(value);
    }
    hasher.finish()
}
