//! What running a tier will do, and the cargo commands for it: decided here, changed nowhere.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_units::{Forecast, Shadow, State, Times, UnitSet, cores, forecast, states};
use xtask_workspace::config::{Affected, Packages, Preset, Tier, TierCommand};
use xtask_workspace::{CargoCommand, Flag, Progress, Workspace, feature_args, package_args, target_args};

use crate::budget::Deferred;
use crate::history::{self, History, ledger};
use crate::nextest::{Runner, choose_runner};
use crate::select::{self, Chosen, Selected};
use crate::verdicts::files::Scope;

#[derive(Debug, Clone)]
pub struct TierOptions {
    pub tier: Tier,
    pub preset: Option<Preset>,
    pub affected: Affected,
    /// What passes depend on.
    pub scope: Scope,
    /// Run everything, whatever is remembered.
    pub fresh: bool,
    /// Run what an earlier run deferred, and nothing else.
    pub deferred: bool,
    /// The user's arguments for the test runner.
    pub runner_args: Vec<String>,
    /// The suite's own binary, which is also started as the compiler and as the test runner.
    pub exe: Utf8PathBuf,
    /// Whether to plan the units even if nothing else needs them.
    pub forecast: bool,
}

#[derive(Debug, Serialize)]
pub struct TierPlan {
    pub tier: String,
    /// Sorted by name. Which of their test programs run is decided once they are built.
    pub packages: Vec<Chosen>,
    pub members: usize,
    /// Why these packages, in one line.
    pub why: String,
    /// Members whose tests never ran here and that nothing since the base can reach.
    pub left_out: Vec<String>,
    /// Test programs that will not fit into the budget: they are neither run nor, if possible, built.
    pub deferred: Vec<Deferred>,
    /// What is built for them, and why.
    pub build: String,
    pub runner: Runner,
    /// The commands, to be pasted at the workspace root.
    pub commands: Vec<String>,
    /// What will be compiled; `None` if it was not planned.
    pub forecast: Option<Forecast>,
    #[serde(skip)]
    pub(crate) work: Option<Work>,
    /// What was known of the tests when they were planned.
    #[serde(skip)]
    pub(crate) history: History,
    /// Whether no tier ever ran in this target dir.
    #[serde(skip)]
    pub(crate) is_first: bool,
    #[serde(skip)]
    pub(crate) narrow: Vec<String>,
    #[serde(skip)]
    pub(crate) options: TierOptions,
}

/// What the tier's cargo command does.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// Check, clippy, build, doc.
    Compile(CargoCommand),
    Test(Box<TestWork>),
}

#[derive(Debug, Clone)]
pub(crate) struct TestWork {
    /// `cargo test` or `cargo bench`.
    pub(crate) command: CargoCommand,
    /// `cargo nextest run`, if that is the runner.
    pub(crate) nextest: Option<CargoCommand>,
    pub(crate) doctests: Doctests,
}

#[derive(Debug, Clone)]
pub(crate) enum Doctests {
    No,
    /// Cargo runs them in the same call.
    Together,
    /// They need a call of their own.
    Apart(CargoCommand),
}

impl TierOptions {
    pub fn plan(self, workspace: &Workspace, progress: &dyn Progress) -> Result<TierPlan> {
        workspace.check_wrappers()?;
        let planning = Planning { workspace, options: &self, progress };
        let runner = match self.tier.command {
            TierCommand::Test => choose_runner(workspace, self.tier.runner, progress)?,
            _ => Runner::Cargo,
        };
        let tests = self.tier.command == TierCommand::Test;
        let history = if tests { History::load(workspace) } else { History::default() };
        let selected = match &self.tier.packages {
            Packages::Affected if tests => select::affected(planning, &history)?,
            // Cargo itself knows what has to be compiled.
            Packages::Affected | Packages::Workspace => planning.select_all("the whole workspace"),
            Packages::Default => planning.select_all("the default members"),
            Packages::List(_) => planning.select_all("listed in the tier"),
        };
        let (Selected { chosen, left_out, why, build }, deferred) =
            select::within_budget(planning, selected, &history);
        let work = (!chosen.is_empty()).then(|| planning.work(&runner, &build.command));
        let units = build.units.or_else(|| {
            // A new plan takes seconds, so it is made only if asked for.
            let units = self.forecast.then(|| planning.planned(&build.command))?;
            let units = units?;
            let states = states(workspace, &units);
            Some((units, states))
        });
        let forecast = units.map(|(units, states)| price(workspace, &units, &states));
        Ok(TierPlan {
            tier: self.tier.name.clone(),
            packages: chosen,
            left_out,
            deferred,
            members: workspace.facts.members().count(),
            why,
            build: build.why,
            runner,
            commands: work.iter().flat_map(Work::commands).map(ToString::to_string).collect(),
            forecast,
            work,
            history,
            is_first: !history::has_runs(workspace),
            narrow: build.narrow,
            options: self,
        })
    }
}

impl Work {
    /// The commands as a user would type them.
    pub(crate) fn commands(&self) -> Vec<&CargoCommand> {
        match self {
            Self::Compile(command) => vec![command],
            Self::Test(work) => {
                let TestWork { command, nextest, doctests } = &**work;
                let doctests = match doctests {
                    Doctests::Apart(command) => Some(command),
                    Doctests::No | Doctests::Together => None,
                };
                std::iter::once(nextest.as_ref().unwrap_or(command)).chain(doctests).collect()
            }
        }
    }
}

fn price(workspace: &Workspace, units: &UnitSet, states: &[State]) -> Forecast {
    let jobs = workspace.environment.get("CARGO_BUILD_JOBS").and_then(|jobs| jobs.parse().ok());
    forecast(units, states, &Times::load(workspace), jobs.unwrap_or_else(cores))
}

/// What `command` will compile, if its units were planned before.
pub(crate) fn known_forecast(
    workspace: &Workspace,
    command: &CargoCommand,
    exe: &Utf8Path,
) -> Option<Forecast> {
    let units = xtask_units::cached(workspace, command, exe)?;
    let states = states(workspace, &units);
    Some(price(workspace, &units, &states))
}

#[derive(Clone, Copy)]
pub(crate) struct Planning<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) options: &'a TierOptions,
    pub(crate) progress: &'a dyn Progress,
}

impl Planning<'_> {
    pub(crate) fn select_all(self, why: &str) -> Selected {
        let command = self.build_command(&self.options.tier.packages);
        let members = command.members(&self.workspace.facts).into_iter();
        let chosen = |name: &str| Chosen { name: name.to_owned(), reasons: vec![why.to_owned()] };
        let chosen = members.map(|member| chosen(&member.name)).collect();
        let build_why = "what is selected".to_owned();
        let build = Build { command, narrow: Vec::new(), why: build_why, units: None };
        Selected { chosen, left_out: Vec::new(), why: why.to_owned(), build }
    }

    pub(crate) fn build_command(self, packages: &Packages) -> CargoCommand {
        build_packages(self.workspace, &self.options.tier, self.options.preset.as_ref(), packages)
    }

    /// The shadow plan; `None` if cargo cannot make it: the build itself will then show why.
    pub(crate) fn planned(self, command: &CargoCommand) -> Option<UnitSet> {
        match xtask_units::plan(self.workspace, command, &self.options.exe) {
            Ok(Shadow { units, kept }) => {
                self.progress.detail(&format!("planned {} units of `{command}` (kept: {kept})", units.len()));
                Some(units)
            }
            Err(error) => {
                self.progress.note(&format!("what will be compiled is not known: {error:#}"));
                None
            }
        }
    }

    /// What is done with the build `command`.
    fn work(self, runner: &Runner, command: &CargoCommand) -> Work {
        let tier = &self.options.tier;
        if !matches!(tier.command, TierCommand::Test | TierCommand::Bench) {
            return Work::Compile(command.clone());
        }
        let mut command = command.clone();
        // `cargo test --doc` is an error without a library.
        let members = command.members(&self.workspace.facts);
        let doctests = tier.doctests && members.iter().any(|member| member.has_library());
        let nextest = matches!(runner, Runner::Nextest { .. });
        // One failure must not hide the results of other members.
        if tier.command == TierCommand::Test && !command.has(Flag::FailFast) {
            command.insert_args(["--no-fail-fast"]);
        }
        command.runner_args.extend_from_slice(&self.options.runner_args);
        let nextest = nextest.then(|| {
            let mut nextest = command.clone().to_nextest();
            nextest.insert_args(tier.nextest_profile.iter().flat_map(|profile| ["--profile", profile]));
            let retries = tier.retries.map(|retries| ["--retries".to_owned(), retries.to_string()]);
            nextest.insert_args(retries.into_iter().flatten());
            nextest.insert_args(["--no-tests", "pass"]);
            nextest
        });
        if nextest.is_some() {
            command = command.without_unknown();
        }
        let doctests = match doctests {
            false => Doctests::No,
            // Cargo runs doc tests in the same call, unless the targets are selected.
            true if nextest.is_some() || command.has(Flag::Targets) => {
                Doctests::Apart(command.clone().to_doctests())
            }
            true => Doctests::Together,
        };
        Work::Test(Box::new(TestWork { command, nextest, doctests }))
    }
}

pub(crate) struct Build {
    pub(crate) command: CargoCommand,
    /// The members that are built, if they are fewer than the tier's.
    pub(crate) narrow: Vec<String>,
    pub(crate) why: String,
    pub(crate) units: Option<(UnitSet, Vec<State>)>,
}

/// The cargo command of `tier`, with all packages that it may work on and the features of `preset`.
pub fn build_command(workspace: &Workspace, tier: &Tier, preset: Option<&Preset>) -> CargoCommand {
    build_packages(workspace, tier, preset, &tier.packages)
}

/// The cargo commands that build what `tier` needs: for an affected tier these are the whole workspace, and what it
/// built for fewer members since `since_ms` (milliseconds since 1970).
pub fn build_commands(
    workspace: &Workspace,
    tier: &Tier,
    preset: Option<&Preset>,
    since_ms: u64,
) -> Vec<CargoCommand> {
    let mut narrow = BTreeSet::new();
    if tier.packages == Packages::Affected {
        let runs = ledger(workspace).unwrap_or_default().into_iter();
        let runs = runs.filter(|run| run.tier == tier.name && run.started_at_ms >= since_ms);
        narrow.extend(runs.map(|run| run.narrow).filter(|names| !names.is_empty()));
        // What was built for members that are gone is not needed.
        narrow.retain(|names| names.iter().all(|name| workspace.facts.member(name).is_some()));
    }
    let choices = std::iter::once(tier.packages.clone()).chain(narrow.into_iter().map(Packages::List));
    let commands = choices.flat_map(|packages| {
        let command = build_packages(workspace, tier, preset, &packages);
        // Doc tests need the libraries, which `--all-targets` and the like leave out.
        let documented = tier.command == TierCommand::Test && tier.doctests && command.has(Flag::Targets);
        let libraries = documented.then(|| command.clone().without(&[Flag::Targets]));
        libraries.into_iter().chain([command])
    });
    commands.collect()
}

fn build_packages(
    workspace: &Workspace,
    tier: &Tier,
    preset: Option<&Preset>,
    packages: &Packages,
) -> CargoCommand {
    let facts = &workspace.facts;
    let build = |features: Vec<String>| {
        let mut command = CargoCommand::new(workspace.root(), [tier.command.name()]);
        command.env.clone_from(&tier.env);
        command.insert_args(package_args(packages, &tier.exclude, facts));
        command.insert_args(features);
        command.insert_args(target_args(&tier.targets));
        command.insert_args(tier.profile.iter().flat_map(|profile| ["--profile", profile]));
        command.insert_args(tier.args.clone());
        command
    };
    let command = build(Vec::new());
    match preset {
        Some(preset) => build(feature_args(preset, &command.members(facts))),
        None => command,
    }
}
