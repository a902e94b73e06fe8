//! What running a tier will do: decided here, changed nowhere.

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_units::{Forecast, Shadow, State, UnitSet, forecast, states};
use xtask_workspace::config::{Affected, Packages, Preset, Tier, TierCommand};
use xtask_workspace::{CargoCommand, Progress, Workspace};

use crate::commands::{Kind, Shape, Step};
use crate::junit;
use crate::runner::{self, Runner};
use crate::runner_shim::through_us;
use crate::select::{self, Chosen};

/// What a tier is run with.
#[derive(Debug, Clone)]
pub struct TierOptions {
    /// The tier.
    pub tier: Tier,
    /// Its preset, looked up.
    pub preset: Option<Preset>,
    /// How affected packages are found.
    pub affected: Affected,
    /// The user's arguments for the tests' runner.
    pub runner_args: Vec<String>,
    /// The suite's own binary, for its roles as compiler and runner.
    pub exe: Utf8PathBuf,
    /// Whether the units are planned even where nothing depends on it.
    pub forecast: bool,
}

/// The plan of one run.
#[derive(Debug, Serialize)]
pub struct TierPlan {
    /// The tier.
    pub tier: String,
    /// The members, in the order of their names.
    pub packages: Vec<Chosen>,
    /// How many members the workspace has.
    pub members: usize,
    /// Why these, in one line.
    pub why: String,
    /// What is built for them, and why that.
    pub build: String,
    /// What runs the tests.
    pub runner: Runner,
    /// The exact commands, as they are pasted at the workspace root.
    pub commands: Vec<String>,
    /// What will be compiled; `None` where it was not needed.
    pub forecast: Option<Forecast>,
    /// Things to say once.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(crate) steps: Vec<Step>,
    /// As [`Build::narrow`].
    #[serde(skip)]
    pub(crate) narrow: Vec<String>,
    #[serde(skip)]
    pub(crate) log: Utf8PathBuf,
    #[serde(skip)]
    pub(crate) options: TierOptions,
    /// What the members are run with: the key under which a pass is remembered.
    #[serde(skip)]
    pub(crate) inputs: Option<select::InputsOf>,
}

/// What is built and run for the chosen members.
pub(crate) struct Build {
    /// The command that builds it.
    pub(crate) command: CargoCommand,
    /// The members that alone are built, where that is less than the tier's whole selection.
    pub(crate) narrow: Vec<String>,
    /// The members whose tests run, where that is narrower than what is built.
    pub(crate) only: Option<Vec<String>>,
    pub(crate) why: String,
    /// The units of it and what lies on disk of them, where they were planned.
    pub(crate) units: Option<(UnitSet, Vec<State>)>,
}

impl TierOptions {
    /// Plans a run in `workspace`. `progress` hears why choices were made.
    pub fn plan(self, workspace: &Workspace, progress: &dyn Progress) -> Result<TierPlan> {
        let mut planning = Planning { workspace, options: &self, progress, notes: Vec::new() };
        let runner = if self.tier.command == TierCommand::Test {
            let choice = runner::choose(workspace, self.tier.runner)?;
            planning.notes.extend(choice.note);
            choice.runner
        } else {
            Runner::Cargo
        };
        let tool_config = matches!(runner, Runner::Nextest { .. }).then(|| junit::tool_config(workspace));
        let tool_config = tool_config.transpose().unwrap_or_else(|error| {
            planning.notes.push(format!("the times of tests will not be known: {error:#}"));
            None
        });
        let shape = Shape {
            tier: &self.tier,
            preset: self.preset.as_ref(),
            runner: runner.clone(),
            tool_config: tool_config.as_deref(),
            runner_args: &self.runner_args,
        };
        let selected = planning.select(&shape)?;
        let mut steps = if selected.chosen.is_empty() {
            Vec::new()
        } else {
            shape.run(workspace, &selected.build.command, selected.build.only.as_deref())
        };
        let log = workspace.state_dir().join("runs").join(format!("{}.jsonl", std::process::id()));
        // Our binary is the runner wherever cargo starts tests itself.
        for step in steps.iter_mut().filter(|step| !matches!(step.kind, Kind::Compile | Kind::Nextest)) {
            step.command = through_us(workspace, step, &self.exe, &log, &mut planning.notes);
        }
        let units = planning.units(&selected);
        let forecast = units.map(|(units, states)| {
            forecast(&units, &states, &xtask_units::Times::load(workspace), jobs(workspace))
        });
        Ok(TierPlan {
            tier: self.tier.name.clone(),
            members: workspace.facts.members().count(),
            why: selected.why,
            build: selected.build.why,
            commands: steps.iter().map(|step| step.command.to_string()).collect(),
            packages: selected.chosen,
            runner,
            forecast,
            notes: planning.notes,
            narrow: selected.build.narrow,
            steps,
            log,
            inputs: selected.inputs,
            options: self,
        })
    }
}

/// A plan in the making: what everyone who has a part in it is told.
pub(crate) struct Planning<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) options: &'a TierOptions,
    /// Hears why choices were made.
    pub(crate) progress: &'a dyn Progress,
    /// Things to say once.
    pub(crate) notes: Vec<String>,
}

impl Planning<'_> {
    fn select(&mut self, shape: &Shape) -> Result<select::Selected> {
        let why = match &self.options.tier.packages {
            Packages::Affected => return select::affected(self, shape),
            Packages::Workspace => "the whole workspace",
            Packages::Default => "the default members",
            Packages::List(_) => "listed in the tier",
        };
        Ok(select::Selected::all_of(self.workspace, shape, why))
    }

    /// The units of what will be built: planned anew only when asked for, as it takes seconds then.
    fn units(&mut self, selected: &select::Selected) -> Option<(UnitSet, Vec<State>)> {
        if selected.chosen.is_empty() {
            return self.options.forecast.then(Default::default);
        }
        if let Some(units) = &selected.build.units {
            return Some(units.clone());
        }
        let command = &selected.build.command;
        let units = if self.options.forecast {
            self.planned(command)
        } else {
            xtask_units::cached(self.workspace, command, &self.options.exe)
        }?;
        let states = states(self.workspace, &units);
        Some((units, states))
    }

    /// The shadow plan, or a note why there is none: then cargo itself will say what is wrong.
    pub(crate) fn planned(&mut self, command: &CargoCommand) -> Option<UnitSet> {
        match xtask_units::plan(self.workspace, command, &self.options.exe) {
            Ok(Shadow { units, kept }) => {
                self.progress.detail(&format!("planned {} units of `{command}` (kept: {kept})", units.len()));
                Some(units)
            }
            Err(error) => {
                self.notes.push(format!("what will be compiled is not known: {error:#}"));
                None
            }
        }
    }
}

/// How many units cargo compiles at a time.
fn jobs(workspace: &Workspace) -> usize {
    let configured = workspace.environment.get("CARGO_BUILD_JOBS").and_then(|jobs| jobs.parse().ok());
    configured.unwrap_or_else(xtask_units::cores)
}
