//! What running a tier will do, and the cargo commands for it: decided here, changed nowhere.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_units::{Forecast, Shadow, State, Times, UnitSet, cores, forecast, states};
use xtask_workspace::config::{Affected, Packages, Preset, Tier, TierCommand};
use xtask_workspace::{CargoCommand, Flag, Progress, Workspace, feature_args, package_args, target_args};

use crate::history::ledger;
use crate::nextest::{Runner, choose_runner};
use crate::runner_shim::through_us;
use crate::select::{self, Chosen, InputsOf, Selected};

#[derive(Debug, Clone)]
pub struct TierOptions {
    pub tier: Tier,
    pub preset: Option<Preset>,
    pub affected: Affected,
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
    /// Sorted by name.
    pub packages: Vec<Chosen>,
    pub members: usize,
    /// Why these packages, in one line.
    pub why: String,
    /// What is built for them, and why.
    pub build: String,
    pub runner: Runner,
    /// The commands, to be pasted at the workspace root.
    pub commands: Vec<String>,
    /// What will be compiled; `None` if it was not planned.
    pub forecast: Option<Forecast>,
    #[serde(skip)]
    pub(crate) steps: Vec<Step>,
    #[serde(skip)]
    pub(crate) narrow: Vec<String>,
    #[serde(skip)]
    pub(crate) log: Utf8PathBuf,
    #[serde(skip)]
    pub(crate) options: TierOptions,
    #[serde(skip)]
    pub(crate) inputs: Option<InputsOf>,
}

impl TierOptions {
    pub fn plan(self, workspace: &Workspace, progress: &dyn Progress) -> Result<TierPlan> {
        let planning = Planning { workspace, options: &self, progress };
        let runner = match self.tier.command {
            TierCommand::Test => choose_runner(workspace, self.tier.runner, progress)?,
            _ => Runner::Cargo,
        };
        let Selected { chosen, why, build, inputs } = match &self.tier.packages {
            Packages::Affected => select::affected(planning)?,
            Packages::Workspace => planning.select_all("the whole workspace"),
            Packages::Default => planning.select_all("the default members"),
            Packages::List(_) => planning.select_all("listed in the tier"),
        };
        let log = workspace.state_dir().join("runs").join(format!("{}.jsonl", std::process::id()));
        let (mut steps, mut units) = (Vec::new(), self.forecast.then(Default::default));
        if !chosen.is_empty() {
            steps = planning.steps(&runner, &build.command, build.only.as_deref());
            units = build.units.or_else(|| {
                // A new plan takes seconds, so it is made only if asked for.
                let units = if self.forecast {
                    planning.planned(&build.command)?
                } else {
                    xtask_units::cached(workspace, &build.command, &self.exe)?
                };
                let states = states(workspace, &units);
                Some((units, states))
            });
        }
        for step in steps.iter_mut().filter(|step| step.is_counted_by_us()) {
            step.command = through_us(workspace, step, &self.exe, &log, progress);
        }
        let jobs = workspace.environment.get("CARGO_BUILD_JOBS").and_then(|jobs| jobs.parse().ok());
        let jobs = jobs.unwrap_or_else(cores);
        let forecast = units.map(|(units, states)| forecast(&units, &states, &Times::load(workspace), jobs));
        Ok(TierPlan {
            tier: self.tier.name.clone(),
            packages: chosen,
            members: workspace.facts.members().count(),
            why,
            build: build.why,
            runner,
            commands: steps.iter().map(|step| step.command.to_string()).collect(),
            forecast,
            steps,
            narrow: build.narrow,
            log,
            inputs,
            options: self,
        })
    }
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
        let build = Build { command, narrow: Vec::new(), only: None, why: build_why, units: None };
        Selected { chosen, why: why.to_owned(), build, inputs: None }
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

    /// The commands to run for the build `command`; `only` has the members to test if it builds more than those.
    fn steps(self, runner: &Runner, command: &CargoCommand, only: Option<&[String]>) -> Vec<Step> {
        let tier = &self.options.tier;
        let nextest = matches!(runner, Runner::Nextest { .. });
        // `cargo test --doc` is an error without a library.
        let members = command.members(&self.workspace.facts);
        let doctests = tier.doctests && members.iter().any(|member| member.has_library());
        // Cargo runs doc tests in the same call, unless the targets are selected.
        let separate = doctests && (nextest || command.has(Flag::Targets));
        let kind = match tier.command {
            TierCommand::Test if nextest => Kind::Nextest,
            TierCommand::Test if doctests && !separate => Kind::TestsAndDoctests,
            TierCommand::Test => Kind::Tests,
            TierCommand::Bench => Kind::Bench,
            _ => return vec![Step::new(Kind::Compile, command.clone(), None)],
        };
        let tests = if nextest { command.clone().to_nextest() } else { command.clone() };
        let doctests = separate.then(|| self.step(Kind::Doctests, command.clone().to_doctests(), only));
        std::iter::once(self.step(kind, tests, only)).chain(doctests).collect()
    }

    fn step(self, kind: Kind, mut command: CargoCommand, only: Option<&[String]>) -> Step {
        let tier = &self.options.tier;
        let nextest = kind == Kind::Nextest;
        if nextest {
            command.insert_args(tier.nextest_profile.iter().flat_map(|profile| ["--profile", profile]));
            let retries = tier.retries.map(|retries| ["--retries".to_owned(), retries.to_string()]);
            command.insert_args(retries.into_iter().flatten());
            command.insert_args(["--no-tests", "pass"]);
        }
        // One failure must not hide the results of other members.
        if kind != Kind::Bench && !command.has(Flag::FailFast) {
            command.insert_args(["--no-fail-fast"]);
        }
        if let Some(only) = only.filter(|_| nextest) {
            let names = only.iter().map(|name| format!("package(={name})")).collect::<Vec<_>>();
            command.insert_args(["-E".to_owned(), names.join(" | ")]);
        }
        command.runner_args.extend_from_slice(&self.options.runner_args);
        Step::new(kind, command, only.filter(|_| !nextest))
    }
}

pub(crate) struct Build {
    pub(crate) command: CargoCommand,
    /// The members that are built, if they are fewer than the tier's.
    pub(crate) narrow: Vec<String>,
    /// The members to test, if they are fewer than are built.
    pub(crate) only: Option<Vec<String>>,
    pub(crate) why: String,
    pub(crate) units: Option<(UnitSet, Vec<State>)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) command: CargoCommand,
    /// The members to test; `None` for all that the command builds.
    pub(crate) only: Option<Vec<String>>,
    /// The command without our own arguments and variables, to be shown if it fails. It may run more tests.
    pub(crate) plain: String,
}

impl Step {
    fn new(kind: Kind, command: CargoCommand, only: Option<&[String]>) -> Self {
        Self { kind, plain: command.to_string(), command, only: only.map(<[String]>::to_vec) }
    }

    /// Whether our binary starts the tests and counts them.
    pub(crate) fn is_counted_by_us(&self) -> bool {
        !matches!(self.kind, Kind::Compile | Kind::Nextest)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Check, clippy, build, doc.
    Compile,
    Nextest,
    /// `cargo test` without doc tests.
    Tests,
    TestsAndDoctests,
    Doctests,
    Bench,
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
