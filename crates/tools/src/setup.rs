//! `setup`: installs and proves the tools of a machine, and sets for this machine what was proven.
//!
//! Invariant: a setting is written only for a tool whose effect was seen, and stays only if the effect is seen again
//! with everything in force that a build of the workspace has.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_edit::Transaction;
use xtask_files::lock_exclusive;
use xtask_units::whole_milliseconds;
use xtask_workspace::config::{Effect, InstallTo, Proof, Setup, Tool};
use xtask_workspace::{
    Call, CargoCommand, CargoConfig, CargoVersion, Digest, Hasher, LOCAL_FILE, Progress, Workspace, cfg,
    local_file, on_path, program_at, stamp,
};

use crate::demand::{as_demanded, demands};
use crate::edits::{Around, commit, config_file, includes, local_edits};
use crate::link::{InForce, LINKERS, LinkSettings, is_named, link_in_force, makers_in_words};
use crate::machine::{Machine, fitting_jobs, memory};
use crate::process::{Interrupted, uninterrupted};
use crate::race::{AGAIN, Candidate, Race, race};
use crate::settings::{
    FlagSources, FlagsTable, LocalSettings, Overruled, overruled, variables_that_void_flags,
};
use crate::tool::{Installer, Known, Outcome, PlannedTool, State, kept};

/// The number of rounds that tells a difference of a few percent from noise.
const ROUNDS: usize = 11;
/// The linkers that are tried in turn when the chosen one fails on a real link.
const FALLBACK: [&str; 2] = ["mold", "lld"];

#[derive(Debug, Clone)]
pub struct SetupOptions {
    pub tools: Vec<Tool>,
    pub setup: Setup,
    /// The command that builds all tests; the largest of them is what linkers are measured by.
    pub test_command: CargoCommand,
    pub again: bool,
    /// Whether linkers are measured; else the linker stays as it is.
    pub measure: bool,
    pub offline: bool,
    pub cores: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetupPlan<'a> {
    pub tools: Vec<PlannedTool>,
    pub local_file: Utf8PathBuf,
    pub settings: LocalSettings,
    pub includes: bool,
    /// Variables of the environment that void flags for rustc from any file.
    pub voids_flags: Vec<&'static str>,
    pub measures: Measures,
    /// The number of jobs that would be set; `None` leaves it to cargo.
    pub jobs: Option<usize>,
    /// The compiler cache that would be set, if it is proven.
    pub wrapper: Option<String>,
    #[serde(skip)]
    machine: Machine,
    #[serde(skip)]
    workspace: &'a Workspace,
    #[serde(skip)]
    options: SetupOptions,
    #[serde(skip)]
    known: Known,
}

/// How the linker is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "linker")]
pub enum Measures {
    /// So many are compared, by linking the largest test so often with each, after `command` has built it.
    Linkers { count: usize, rounds: usize, command: String },
    /// That was done before, with the same tools.
    Before,
    /// Nothing is measured, for this reason.
    Nothing { why: String },
}

impl SetupOptions {
    fn measures(&self, tools: &[PlannedTool], known: &Known, voided_by: Option<&&str>) -> Measures {
        let nothing = |why: String| Measures::Nothing { why };
        let is_there = |planned: &&PlannedTool| {
            planned.tool.is_linker() && !(planned.probed.found.is_empty() && planned.steps.is_empty())
        };
        let linkers = tools.iter().filter(is_there).collect::<Vec<_>>();
        if let Some(variable) = voided_by {
            nothing(format!("{variable} is set, and with it cargo uses no rustflags from files"))
        } else if self.setup.linker != Setup::MEASURED {
            nothing(format!("`linker` in [setup] says {}", self.setup.linker))
        } else if !self.measure {
            nothing("--no-measure".to_owned())
        } else if linkers.is_empty() {
            nothing("no linker is there".to_owned())
        } else if known.race.is_some() && linkers.iter().all(|planned| planned.evidence.is_some()) {
            Measures::Before
        } else {
            let command = self.test_command.to_string();
            Measures::Linkers { count: linkers.len(), rounds: ROUNDS, command }
        }
    }

    fn install_to(&self) -> Option<InstallTo> {
        (!self.offline).then_some(self.setup.install_to)
    }

    /// Probes the tools and plans what would be done.
    pub fn plan(self, workspace: &Workspace) -> Result<SetupPlan<'_>> {
        let (root, environment) = (workspace.root(), &workspace.environment);
        let machine = Machine::of(workspace)?;
        let includes = includes(CargoVersion::of(root, environment)?);
        let known = if self.again { Known::default() } else { Known::read(&machine.state_dir) };
        let local_file = local_file(root);
        let config = &workspace.cargo_config;
        let demands = demands(&self.tools, config, environment, &machine.host, (root, &local_file));
        let planned = |tool| {
            let tool = as_demanded(tool, &demands);
            let planned = PlannedTool::new(&tool, &machine, &known, self.install_to())?;
            anyhow::Ok(PlannedTool { demanded_by: demands.get(&tool.name).cloned(), ..planned })
        };
        let tools = self.tools.iter().map(planned).collect::<Result<Vec<_>>>()?;
        if includes {
            // What prevents writing is reported before anything is installed.
            let around = Around::of(root, &workspace.cargo_config, environment);
            local_edits(root, Some(""), None, around)
                .context("the settings of this machine cannot be written, so nothing was done")?;
        }
        let voids_flags = variables_that_void_flags(environment);
        let measures = self.measures(&tools, &known, voids_flags.first());
        let mut plan = SetupPlan {
            tools,
            settings: LocalSettings::read(&local_file, &machine.host),
            local_file,
            includes,
            voids_flags,
            measures,
            jobs: None,
            wrapper: None,
            machine,
            workspace,
            options: self,
            known,
        };
        let is_cache = |planned: &&PlannedTool| {
            planned.tool.proof == Proof::Effect(Effect::Cache)
                && planned.demanded_by.is_none()
                && !(planned.probed.found.is_empty() && planned.steps.is_empty())
        };
        let wrapper = plan.tools.iter().find(is_cache).map(|planned| planned.tool.name.clone());
        let wanted =
            LocalSettings { rustc_wrapper: wrapper.map(Utf8PathBuf::from), jobs: plan.fitting(), link: None };
        let counts = plan.that_count(&wanted, &mut SetupReport::default());
        (plan.jobs, plan.wrapper) = (counts.jobs, counts.rustc_wrapper.map(Utf8PathBuf::into_string));
        Ok(plan)
    }
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetupReport {
    pub tools: Vec<Outcome>,
    /// How long the largest test links with each linker, if that was measured, now or earlier.
    pub race: Option<Race>,
    pub settings: LocalSettings,
    pub changed: Vec<Utf8PathBuf>,
    pub in_force: Option<String>,
    pub overruled: Vec<Overruled>,
    /// Choices that did not work and were replaced by the next one.
    pub fallbacks: Vec<String>,
    /// The text of the settings, where this cargo cannot include them: it is for the user's own configuration.
    pub for_user_config: Option<String>,
    pub signal: Option<i32>,
    /// Building the tests for measuring linkers is included.
    pub race_ms: u64,
    pub set_ms: u64,
    pub took_ms: u64,
}

impl SetupReport {
    pub fn lacking(&self) -> impl Iterator<Item = &Outcome> {
        self.tools.iter().filter(|outcome| outcome.is_lacking())
    }

    fn linkers(&self) -> Vec<(String, LinkSettings)> {
        let proven =
            self.tools.iter().filter_map(|outcome| Some((outcome.name.clone(), outcome.link()?.clone())));
        proven.collect()
    }
}

/// A linker and how it is used; `None` is what is used without the suite.
type Choice = Option<(String, LinkSettings)>;

/// The proven ones among the linkers to fall back to.
fn fallbacks(linkers: &[(String, LinkSettings)]) -> impl Iterator<Item = &(String, LinkSettings)> {
    FALLBACK.iter().filter_map(|name| linkers.iter().find(|(linker, _)| linker == name))
}

impl SetupPlan<'_> {
    /// Executes the plan. `confirm` is asked before the system's package manager is called. Failures of single tools are in
    /// the report.
    pub fn execute(
        mut self,
        confirm: &dyn Fn(&Call) -> bool,
        progress: &dyn Progress,
    ) -> Result<SetupReport> {
        let started = Instant::now();
        // The second of two processes finds everything done.
        let _lock = lock_exclusive(&self.machine.state_dir.join("lock"))?;
        if !self.options.again {
            self.known = Known::read(&self.machine.state_dir);
        }
        let mut report = SetupReport { settings: self.settings.clone(), ..SetupReport::default() };
        let done = self.steps(&mut report, confirm, progress);
        report.took_ms = whole_milliseconds(started.elapsed());
        report.signal =
            done.or_else(|error| error.downcast::<Interrupted>().map(|ended| Some(ended.signal)))?;
        Ok(report)
    }

    fn steps(
        &mut self,
        report: &mut SetupReport,
        confirm: &dyn Fn(&Call) -> bool,
        progress: &dyn Progress,
    ) -> Result<Option<i32>> {
        let installer =
            Installer { machine: &self.machine, to: self.options.install_to(), confirm, progress };
        for planned in &self.tools {
            report.tools.push(installer.set_up(planned, &mut self.known)?);
        }
        let measuring = Instant::now();
        let choice = self.choose(report, progress)?;
        report.race_ms = whole_milliseconds(measuring.elapsed());
        let setting = Instant::now();
        self.apply(&choice, report, progress)?;
        report.set_ms = whole_milliseconds(setting.elapsed());
        self.known.write(&self.machine.state_dir)?;
        Ok(None)
    }

    /// The linker that is to be used: the one that is named in the configuration, or the fastest one by measurement.
    fn choose(&mut self, report: &mut SetupReport, progress: &dyn Progress) -> Result<Choice> {
        let linkers = report.linkers();
        let in_use = self.settings.link.clone().unwrap_or_default();
        let now = linkers.iter().find(|(_, settings)| *settings == in_use && !in_use.is_default());
        if let Some(variable) = self.voids_flags.first() {
            progress.note(&format!(
                "{variable} is set, and with it cargo uses no rustflags from files: the linker stays as it is"
            ));
            return Ok(now.cloned());
        }
        match self.options.setup.linker.as_str() {
            Setup::DEFAULT => Ok(None),
            Setup::MEASURED => {
                let key = self.race_key(&report.tools);
                report.race = match kept(self.known.race.as_ref(), &key) {
                    Some(raced) => Some(raced.clone()),
                    None if !self.options.measure => None,
                    None => self.race(&in_use, &linkers, progress)?,
                };
                let Some(raced) = &report.race else { return Ok(now.cloned()) };
                self.known.race = Some((key, raced.clone()));
                let fastest =
                    raced.fastest().and_then(|name| linkers.iter().find(|(linker, _)| linker == name));
                Ok(fastest.or(now).cloned())
            }
            name => {
                let proven = linkers.iter().find(|(linker, _)| linker == name);
                if proven.is_none() {
                    report.fallbacks.push(format!("{name} is not proven to link here"));
                }
                Ok(proven.or_else(|| fallbacks(&linkers).next()).cloned())
            }
        }
    }

    /// What a measurement depends on: the linkers and the toolchain.
    fn race_key(&self, tools: &[Outcome]) -> Digest {
        let mut hasher = Hasher::new();
        hasher.field(&self.machine.rustc);
        let config = CargoConfig::load(&self.machine.root, &self.machine.environment);
        for path in config.paths().filter(|path| *path != self.local_file) {
            hasher.field(path.as_str()).optional(config_without_include(path));
        }
        for outcome in tools.iter().filter(|outcome| outcome.link().is_some()) {
            hasher.field(&outcome.name).field(format!("{:?}", outcome.state));
        }
        hasher.finish()
    }

    fn race(
        &self,
        in_use: &LinkSettings,
        linkers: &[(String, LinkSettings)],
        progress: &dyn Progress,
    ) -> Result<Option<Race>> {
        let raced = link_in_force(&self.machine, false).and_then(|in_force| {
            // What links already is no candidate, wherever that is set.
            let is_in_force = |name: &str| {
                let tool = self.tool(name).filter(|tool| !tool.says.is_empty());
                let found = self.tools.iter().find(|planned| planned.tool.name == name);
                let version = found.and_then(|planned| planned.probed.found.first()?.version.as_deref());
                tool.is_some_and(|tool| is_named(&in_force.makers, &tool.says, version))
            };
            let others = linkers
                .iter()
                .filter(|(name, settings)| settings != in_use && !is_in_force(name))
                .collect::<Vec<_>>();
            if others.is_empty() {
                let words = makers_in_words(&in_force.makers);
                progress.note(&format!("linkers were not measured: {words} links already, and no other is proven here"));
                return Ok(None);
            }
            progress.note(&format!(
                "measuring linkers: `{}` is built once, then its largest test is linked {ROUNDS} times by each",
                self.options.test_command
            ));
            let name = format!("in use: {}", makers_in_words(&in_force.makers));
            // A second time, for the noise.
            let mut candidates = vec![
                Candidate { name, settings: Some(in_use.clone()), says: None },
                Candidate { name: AGAIN.to_owned(), settings: None, says: None },
            ];
            candidates.extend(others.iter().map(|(name, settings)| Candidate {
                name: name.clone(),
                settings: Some(settings.clone()),
                says: self.tool(name).map(|tool| tool.says.clone()),
            }));
            race(self.workspace, &self.machine, &self.options.test_command, &candidates, ROUNDS, progress)
        });
        // Without a linker that works there is nothing to compare with.
        Ok(uninterrupted(raced)?.unwrap_or_else(|error| {
            progress.note(&format!("linkers were not measured: {error:#}"));
            None
        }))
    }

    fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().map(|planned| &planned.tool).find(|tool| tool.name == name)
    }

    /// Writes the settings and checks that they take effect. If not, falls back to other linkers, to the default one, and
    /// at last to no compiler cache.
    fn apply(&mut self, choice: &Choice, report: &mut SetupReport, progress: &dyn Progress) -> Result<()> {
        let linkers = report.linkers();
        let mut choices = vec![choice.as_ref()];
        if choice.is_some() {
            choices.extend(fallbacks(&linkers).map(Some).filter(|next| *next != choice.as_ref()));
            choices.push(None);
        }
        let base = LocalSettings { link: None, rustc_wrapper: self.wrapper(report), jobs: self.fitting() };
        let base = self.that_count(&base, report);
        let attempt = |choice: Option<&(String, LinkSettings)>| {
            let name = choice.map_or("the default linker", |(name, _)| name).to_owned();
            let link = choice.map(|(_, link)| link.clone()).filter(|link| !link.is_default());
            (name, LocalSettings { link, ..base.clone() })
        };
        let mut attempts = choices.into_iter().map(attempt).collect::<Vec<_>>();
        if base.rustc_wrapper.is_some() {
            attempts.push((
                "no compiler cache".to_owned(),
                LocalSettings { rustc_wrapper: None, ..base.clone() },
            ));
        }
        let mut last = None;
        for (name, settings) in attempts {
            match uninterrupted(self.write(&settings, &name, report))? {
                Ok(()) => {
                    // What cannot be included is only shown.
                    if self.includes {
                        report.settings = settings;
                    }
                    return Ok(());
                }
                // A file that cannot be written now cannot be written with other settings.
                Err(error) if error.chain().any(<dyn std::error::Error>::is::<std::io::Error>) => {
                    return Err(error);
                }
                Err(error) => {
                    let failed = format!("{name}: {error:#}");
                    progress.note(&format!("{failed}; falling back"));
                    report.fallbacks.push(failed);
                    last = Some(error);
                }
            }
        }
        let failed = "a program of one line does not build here, even without our settings";
        last.map_or(Ok(()), |error| Err(error.context(failed)))
    }

    /// `settings` without those that would change nothing, because a stronger one says otherwise; these are reported.
    fn that_count(&self, settings: &LocalSettings, report: &mut SetupReport) -> LocalSettings {
        let Machine { root, environment, host, .. } = &self.machine;
        let config = CargoConfig::load(root, environment);
        let mut counts = settings.clone();
        for one in overruled(settings, &self.local_file, host, &config, environment) {
            match one.key.as_str() {
                "build.rustc-wrapper" => counts.rustc_wrapper = None,
                "build.jobs" => counts.jobs = None,
                _ => continue,
            }
            // `sccache` and `/usr/bin/sccache` are one program.
            let [ours, theirs] = [&one.ours, &one.theirs].map(|program| program_at(program, environment));
            if ours.is_none() || ours != theirs {
                report.overruled.push(one);
            }
        }
        counts
    }

    /// Writes `settings`, and undoes that if they do not take effect.
    fn write(&mut self, settings: &LocalSettings, linker: &str, report: &mut SetupReport) -> Result<()> {
        let machine = &self.machine;
        let (root, environment, host) = (&machine.root, &machine.environment, machine.host.as_str());
        // It undoes what a killed setup has left, so it comes first.
        let (transaction, _) = Transaction::begin(root)?;
        let config = CargoConfig::load(root, environment);
        let conditions = cfg::settings(root, environment, host);
        let holds = |condition: &str| cfg::holds(condition, &conditions);
        let counts = |path: &Utf8Path| path != self.local_file;
        let table = FlagSources::of(&config, environment, host, &counts, &holds).table();
        let text = (*settings != LocalSettings::default()).then(|| settings.text(host, table));
        if !self.includes {
            report.for_user_config = text;
            return Ok(());
        }
        let sets_flags = settings.link.as_ref().is_some_and(|link| !link.rustflags.is_empty());
        if sets_flags {
            self.may_join(&config, table)?;
        }
        let around = Around::of(root, &config, environment);
        let changes = local_edits(root, text.as_deref(), sets_flags.then(|| table.keys(host)), around)?;
        let key = in_force_key(&config, text.as_deref(), machine);
        let mut seen = kept(self.known.in_force.as_ref(), &key).filter(|_| changes.is_empty()).cloned();
        if seen.is_none() {
            let theirs = if sets_flags && !changes.is_empty() { self.their_flags()? } else { Vec::new() };
            let check = || {
                let in_force = link_in_force(machine, true)?;
                if let Some(gone) = theirs.iter().find(|flag| !in_force.flags().contains(flag)) {
                    bail!("the flag `{gone}` would no longer be in force");
                }
                seen = Some(self.took_effect(settings, linker, &in_force, report)?);
                Ok(())
            };
            commit(&transaction, root, &changes, check).context("failed to set")?;
        }
        report.changed = changes.into_iter().map(|edit| edit.path).collect();
        let config = CargoConfig::load(root, environment);
        let key = in_force_key(&config, text.as_deref(), machine);
        report.overruled.extend(overruled(settings, &self.local_file, host, &config, environment));
        report.in_force.clone_from(&seen);
        self.known.in_force = seen.map(|seen| (key, seen));
        Ok(())
    }

    /// What a real build shows of `settings`. Fails if they are set and not used.
    fn took_effect(
        &self,
        settings: &LocalSettings,
        linker: &str,
        in_force: &InForce,
        report: &SetupReport,
    ) -> Result<String> {
        let Machine { root, environment, host, .. } = &self.machine;
        let config = CargoConfig::load(root, environment);
        if let Some(wrapper) = &settings.rustc_wrapper
            && in_force.words.first().is_none_or(|word| word != wrapper)
        {
            let overruled = overruled(settings, &self.local_file, host, &config, environment);
            if !overruled.iter().any(|one| one.key == "build.rustc-wrapper") {
                bail!("cargo does not call {wrapper}");
            }
        }
        let words = makers_in_words(&in_force.makers);
        // If a variable voids all flags, our flags have no effect to be seen.
        if let Some(tool) = self.tool(linker).filter(|_| self.voids_flags.is_empty()) {
            let outcome = report.tools.iter().find(|outcome| outcome.name == linker);
            let version = outcome.and_then(|outcome| match &outcome.state {
                State::Proven { version, .. } => version.as_deref(),
                _ => None,
            });
            if !is_named(&in_force.makers, &tool.says, version) {
                bail!("a build of the workspace does not use it: {words} links");
            }
        }
        let build = if self.build_targets(&config).iter().any(|target| target != host) {
            format!("`cargo build --target {host}`")
        } else {
            "a plain `cargo build`".to_owned()
        };
        Ok(format!("{build} here links with {words}"))
    }

    fn build_targets(&self, config: &CargoConfig) -> Vec<String> {
        let variable = self.machine.environment.get("CARGO_BUILD_TARGET").map(str::to_owned);
        config.build_targets().into_iter().chain(variable).collect()
    }

    /// The rustflags that are in force now without ours; empty if nothing builds here now.
    fn their_flags(&self) -> Result<Vec<String>> {
        let ours = self.settings.link.clone().unwrap_or_default().rustflags;
        let now = uninterrupted(link_in_force(&self.machine, true))?;
        let flags = now.map(|now| now.flags().to_vec()).unwrap_or_default();
        Ok(flags.into_iter().filter(|flag| !ours.contains(flag)).collect())
    }

    /// Fails if our flags cannot be written beside the user's.
    fn may_join(&self, config: &CargoConfig, table: FlagsTable) -> Result<()> {
        let (root, host) = (&self.machine.root, &self.machine.host);
        let keys = table.keys(host);
        let own = root.join(config_file(root));
        let keys = keys.iter().map(String::as_str).collect::<Vec<_>>();
        let mut set_in = config.set_in(&keys);
        if let Some((path, _)) =
            set_in.find(|(path, value)| value.is_str() && *path != self.local_file && *path != own)
        {
            bail!(
                "`{}` in {path} is a string, and cargo does not join a string with a list; make it a list there",
                keys.join(".")
            );
        }
        match self.build_targets(config).into_iter().find(|target| target != host) {
            Some(other) if table == FlagsTable::Build => bail!(
                "in [build], beside the flags there, it would affect builds for {other} too; write those flags into \
                 [target.'cfg(all())'] instead"
            ),
            _ => Ok(()),
        }
    }

    fn wrapper(&self, report: &SetupReport) -> Option<Utf8PathBuf> {
        self.tools.iter().zip(&report.tools).find_map(|(planned, outcome)| match &outcome.state {
            // What is demanded is set already.
            State::Proven { path, .. }
                if planned.tool.proof == Proof::Effect(Effect::Cache) && planned.demanded_by.is_none() =>
            {
                Some(path.clone())
            }
            _ => None,
        })
    }

    /// The number of jobs for the memory that is free now. An earlier setting stays if it fits the whole memory: free memory
    /// differs each time, and a second setup must change nothing.
    fn fitting(&self) -> Option<usize> {
        let cores = self.options.cores;
        let fit = |bytes| fitting_jobs(cores, bytes, self.options.setup.memory_per_job);
        let (free, total) = memory()?;
        let before = self.settings.jobs;
        let fits = before.unwrap_or(cores) <= fit(total).unwrap_or(cores);
        if self.local_file.is_file() && !self.options.again && fits { before } else { fit(free) }
    }
}

/// The text of a file of cargo's configuration without the include of our own file, which a setup adds.
fn config_without_include(path: &Utf8Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().filter(|line| !line.contains(LOCAL_FILE)).collect::<Vec<_>>().join("\n"))
}

/// What the settings in force depend on: every configuration file, the variables that cargo reads, and the programs that
/// link.
pub(crate) fn in_force_key(config: &CargoConfig, text: Option<&str>, machine: &Machine) -> Digest {
    let (environment, host) = (&machine.environment, machine.host.as_str());
    let mut hasher = Hasher::new();
    hasher.field(&machine.rustc).optional(text);
    for program in ["cc"].into_iter().chain(LINKERS).filter_map(|program| on_path(program, environment)) {
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
