//! `setup`: installs and proves the tools of a machine, and sets for this machine what was proven.
//!
//! Invariant: a setting is written only for a tool whose effect was seen, and stays only if the effect is seen again
//! with everything in force that a build of the workspace has.

mod apply;
mod choose;
mod known;
mod tool;

use std::time::Instant;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_files::lock_exclusive;
use xtask_units::whole_milliseconds;
use xtask_workspace::config::{Need, Setup};
use xtask_workspace::{Call, CargoCommand, CargoVersion, Progress, Silent, Workspace};

use crate::catalog::Tool;
use crate::install::Step;
use crate::machine::Machine;
use crate::probe::{Probed, probe};
use crate::process::Interrupted;
use crate::race::Race;
use crate::settings::{
    Around, LocalSettings, Overruled, edits, includes, local_file, variables_that_void_flags,
};

pub(crate) use apply::in_force_key;
pub(crate) use known::Known;
pub(crate) use tool::Installer;
pub use tool::{Outcome, State};

/// The options of a setup.
#[derive(Debug, Clone)]
pub struct SetupOptions {
    /// The tools, in the order in which they are set up.
    pub tools: Vec<Tool>,
    /// What `[setup]` says.
    pub setup: Setup,
    /// The command that builds all tests; the largest of them is what linkers are measured by.
    pub test_command: CargoCommand,
    /// Whether earlier proofs and measurements are made again.
    pub again: bool,
    /// Whether linkers are measured; else the linker stays as it is.
    pub measure: bool,
    /// Whether nothing may be downloaded.
    pub offline: bool,
    /// The number of units that cargo compiles at once by default.
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
    /// The ways of installing it if it is missing: the first that works is used.
    pub steps: Vec<Step>,
    /// The proof that was made before, if nothing changed since.
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

    /// Probes the tools and plans what would be done.
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
            // What prevents writing is reported before anything is installed.
            let around = Around::of(workspace.root(), &workspace.cargo_config, &workspace.environment);
            edits(workspace.root(), Some(""), None, around)
                .context("the settings of this machine cannot be written, so nothing was done")?;
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

/// What a setup has done.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetupReport {
    /// The tools, in the catalog's order.
    pub tools: Vec<Outcome>,
    /// How long the largest test links with each linker, if that was measured, now or earlier.
    pub race: Option<Race>,
    /// What is set for this machine now.
    pub settings: LocalSettings,
    /// The files that were changed, relative to the workspace's root.
    pub changed: Vec<Utf8PathBuf>,
    /// What was seen with all settings in force.
    pub in_force: Option<String>,
    /// Settings that do not count.
    pub overruled: Vec<Overruled>,
    /// Settings of the user's that ours replace in this workspace, one line each.
    pub replaced: Vec<String>,
    /// Choices that did not work and were replaced by the next one.
    pub fallbacks: Vec<String>,
    /// The text of the settings, where this cargo cannot include them: it is for the user's own configuration.
    pub for_user_config: Option<String>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long measuring linkers took, in milliseconds, building the tests for it included.
    pub race_ms: u64,
    /// How long it took to set everything and to see it in force, in milliseconds.
    pub set_ms: u64,
    /// How long all of it took, in milliseconds.
    pub took_ms: u64,
}

impl SetupReport {
    /// The required tools that are missing or not proven.
    pub fn lacking(&self) -> impl Iterator<Item = &Outcome> {
        self.tools.iter().filter(|outcome| outcome.is_lacking())
    }
}

impl SetupPlan<'_> {
    /// Does it. `confirm` is asked before the system's package manager is called.
    ///
    /// Failures of single tools are in the report. Fails where the settings themselves cannot be written.
    pub fn execute(self, confirm: &dyn Fn(&Call) -> bool, progress: &dyn Progress) -> Result<SetupReport> {
        let started = Instant::now();
        // The second of two processes finds everything done.
        let _lock = lock_exclusive(&self.machine.state_dir.join("lock"))?;
        let mut report = SetupReport { settings: self.settings.clone(), ..SetupReport::default() };
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
        let installer = self.options.installer(&self.machine, confirm, progress);
        for PlannedTool { tool, probed, steps, .. } in &self.tools {
            let outcome = if tool.need == Need::Unwanted {
                Outcome::new(tool)
            } else {
                installer.set_up(tool, probed.clone(), steps, &mut known)?
            };
            report.tools.push(outcome);
            // After each: an interruption costs one proof.
            if known != before {
                known.write(&self.machine.state_dir)?;
            }
        }
        let measuring = Instant::now();
        let choice = self.choose(report, &mut known, progress)?;
        report.race_ms = whole_milliseconds(measuring.elapsed());
        let setting = Instant::now();
        self.apply(&choice, report, &mut known, progress)?;
        report.set_ms = whole_milliseconds(setting.elapsed());
        if known != before {
            known.write(&self.machine.state_dir)?;
        }
        Ok(())
    }
}
