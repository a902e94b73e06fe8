//! Doing what a plan says: install and prove; then linkers are measured (`choose`), and what proved its effect is set
//! (`apply`).

use std::time::Instant;

use anyhow::Result;
use xtask_files::lock_exclusive;
use xtask_units::whole_milliseconds;
use xtask_workspace::config::Need;
use xtask_workspace::{Call, Progress};

use super::known::Known;
use super::report::{Outcome, SetupReport};
use super::{PlannedTool, SetupPlan};
use crate::process::Interrupted;

impl SetupPlan<'_> {
    /// Does it. `confirm` is asked before the system's package manager is called.
    ///
    /// Failures of single tools are in the report. Fails where the settings themselves cannot be written.
    pub fn execute(self, confirm: &dyn Fn(&Call) -> bool, progress: &dyn Progress) -> Result<SetupReport> {
        let started = Instant::now();
        // The second of two processes finds everything done.
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
