//! `setup`: the tools of a machine installed and proven, and what they proved to be good for set for this machine.
//!
//! Invariant: a setting is written only for a tool whose effect was seen, and stays only if the effect is seen again
//! with everything in force that a build of the workspace has.

mod apply;
mod choose;
mod decide;
mod execute;
mod known;
mod report;
mod tool;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_workspace::config::{Need, Setup};
use xtask_workspace::{Call, CargoCommand, CargoVersion, Progress, Silent, Workspace};

use crate::catalog::Tool;
use crate::include::includes;
use crate::install::Step;
use crate::local::{Around, LocalSettings, edits, local_file};
use crate::machine::Machine;
use crate::probe::{Probed, probe};

pub(crate) use apply::in_force_key;
pub use decide::{Overruled, jobs};
pub(crate) use decide::{overruled, variables_that_void_flags};
pub(crate) use known::Known;
pub use report::{Outcome, SetupReport, State};
pub(crate) use tool::Installer;

/// What a setup is to do.
#[derive(Debug, Clone)]
pub struct SetupOptions {
    /// The tools, in the order in which they are looked at.
    pub tools: Vec<Tool>,
    /// What `[setup]` says.
    pub setup: Setup,
    /// The command that builds all tests; the largest of them is what linkers are measured by.
    pub test_command: CargoCommand,
    /// Whether proofs and measurements are made again that were made before.
    pub again: bool,
    /// Whether linkers are measured; else the linker stays as it is.
    pub measure: bool,
    /// Whether nothing may be downloaded.
    pub offline: bool,
    /// How many units cargo compiles at once, if nobody says otherwise.
    pub cores: usize,
}

/// What a setup would do. It changes nothing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetupPlan<'a> {
    /// The tools of this host, in the catalog's order.
    pub tools: Vec<PlannedTool>,
    /// Where the settings go.
    pub local_file: Utf8PathBuf,
    /// The settings that are there now.
    pub settings: LocalSettings,
    /// Whether this cargo can include them.
    pub includes: bool,
    /// Variables of the environment that void flags for rustc from any file.
    pub voids_flags: Vec<&'static str>,
    #[serde(skip)]
    machine: Machine,
    #[serde(skip)]
    workspace: &'a Workspace,
    #[serde(skip)]
    options: SetupOptions,
}

/// A tool as the plan has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedTool {
    /// What the catalog says.
    #[serde(flatten)]
    pub tool: Tool,
    /// Its programs, asked for their versions.
    pub probed: Probed,
    /// How it would be installed if it is not: the first that works is taken.
    pub steps: Vec<Step>,
    /// What was seen of it before, if nothing changed since.
    pub evidence: Option<String>,
}

impl SetupOptions {
    fn installer<'a>(
        &self,
        machine: &'a Machine,
        confirm: &'a dyn Fn(&Call) -> bool,
        progress: &'a dyn Progress,
    ) -> Installer<'a> {
        Installer { machine, install_to: self.setup.install_to, offline: self.offline, confirm, progress }
    }

    /// Looks what is there, and says what would be done.
    pub fn plan(self, workspace: &Workspace) -> Result<SetupPlan<'_>> {
        let machine = Machine::of(workspace)?;
        let cargo = CargoVersion::of(workspace.root(), &workspace.environment)?;
        let known = if self.again { Known::default() } else { Known::read(&machine.state_dir) };
        let installer = self.installer(&machine, &|_| false, &Silent);
        let planned = |tool: &Tool| {
            let unwanted = tool.need == Need::Unwanted;
            let probed = if unwanted { Probed::default() } else { probe(tool, &machine)? };
            let steps = if unwanted { Vec::new() } else { installer.steps(tool, &probed) };
            let proof = probed.found.first().and_then(|found| known.proof(tool, found, &machine));
            let evidence = proof.map(|proven| proven.evidence.clone());
            Ok(PlannedTool { tool: tool.clone(), probed, steps, evidence })
        };
        let tools = self.tools.iter().map(planned).collect::<Result<Vec<_>>>()?;
        let local_file = local_file(workspace.root());
        if includes(cargo) {
            // What stands in the way of writing is said before anything is installed.
            let around = Around::of(workspace.root(), &workspace.cargo_config, &workspace.environment);
            edits(workspace.root(), Some(""), None, around)
                .context("the settings of this machine could not be written, so nothing was done")?;
        }
        Ok(SetupPlan {
            tools,
            settings: LocalSettings::read(&local_file, &machine.host),
            local_file,
            includes: includes(cargo),
            voids_flags: variables_that_void_flags(&workspace.environment),
            machine,
            workspace,
            options: self,
        })
    }
}
