//! Doing what a plan says: install and prove; then linkers are measured (`choose`), and what proved its effect is set
//! (`apply`).

use std::time::Instant;

use anyhow::Result;
use xtask_files::lock_exclusive;
use xtask_units::whole_milliseconds;
use xtask_workspace::config::{InstallTo, Need};
use xtask_workspace::{Call, Progress};

use super::known::Known;
use super::report::{Outcome, SetupReport, State};
use super::{PlannedTool, SetupPlan};
use crate::catalog::Tool;
use crate::found::{Found, Presence, ask, places};
use crate::machine::ignore_own_folder;
use crate::process::Interrupted;
use crate::prove::{Proven, prove};
use crate::ways::take;

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
            replaced: Vec::new(),
            fallbacks: Vec::new(),
            for_user_config: None,
            signal: None,
            race_ms: 0,
            set_ms: 0,
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
            install_ms: 0,
            proof_ms: 0,
            state: State::Unwanted,
        };
        if tool.need == Need::Unwanted {
            return Ok(outcome);
        }
        let mut why = Vec::new();
        let mut found = self.present(planned, &mut why)?;
        if found.is_empty() && self.options.offline && !tool.install.is_empty() {
            why.push("nothing may be downloaded (--offline)".to_owned());
        }
        let installing = Instant::now();
        for step in &planned.steps {
            if !found.is_empty() {
                break;
            }
            progress.note(&format!("{}: {step}", tool.name));
            if self.options.setup.install_to == InstallTo::Workspace {
                ignore_own_folder(&self.machine.root)?;
            }
            match take(step, &self.machine, confirm, progress) {
                Ok(()) => {
                    found = self.present(planned, &mut why)?;
                    outcome.installed = (!found.is_empty()).then(|| step.way());
                }
                Err(error) if error.downcast_ref::<Interrupted>().is_some() => return Err(error),
                Err(error) => {
                    let line = format!("{}: {error:#}", step.way().name());
                    progress.note(&format!("{}: {line}", tool.name));
                    why.push(line);
                }
            }
        }
        outcome.install_ms = whole_milliseconds(installing.elapsed());
        if found.is_empty() {
            if why.is_empty() {
                why.push("it is not there, and there is no way to install it here".to_owned());
            }
            outcome.state = State::Missing { why };
            return Ok(outcome);
        }
        // The first on PATH may be broken, and another one behind it may not.
        for found in found {
            let proven = self.proven(tool, &found, &mut outcome, known, progress);
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
                Err(error) => {
                    why.push(format!("{}: {error:#}", found.path));
                    State::Unproven { path: found.path, why: why.join("; ") }
                }
            };
            if matches!(outcome.state, State::Proven { .. }) {
                break;
            }
        }
        Ok(outcome)
    }

    /// What was seen of the tool at `found`, now or earlier.
    fn proven(
        &self,
        tool: &Tool,
        found: &Found,
        outcome: &mut Outcome,
        known: &Known,
        progress: &dyn Progress,
    ) -> Result<Proven> {
        if let Some(proven) = known.proof(tool, found, &self.machine) {
            return Ok(proven.clone());
        }
        outcome.proven_now = true;
        progress.detail(&format!("proving {} at {}", tool.name, found.path));
        let proving = Instant::now();
        let proven = prove(tool, found, &self.machine);
        outcome.proof_ms += whole_milliseconds(proving.elapsed());
        proven
    }

    /// The programs of the tool that will do by what they say, as things are now; why others will not goes into `why`.
    fn present(&self, planned: &PlannedTool, why: &mut Vec<String>) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for path in places(&planned.tool, &self.machine) {
            match ask(&planned.tool, &self.machine, path)? {
                Presence::Found(suited) => found.push(suited),
                Presence::Unsuited { path, why: reason } => why.push(format!("{path}: {reason}")),
                Presence::Missing => {}
            }
        }
        Ok(found)
    }
}
