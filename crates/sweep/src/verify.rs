//! Builds what is needed once more and counts what had to be compiled.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use anyhow::Result;
use xtask_units::{RunOptions, Unit, run};
use xtask_workspace::{Progress, Workspace};

use crate::live::{LiveCommand, label};
use crate::report::{SweepReport, Verified};

/// Runs every command of `commands` without running any test, and writes into `report` which of the units that were
/// fresh before the sweep were compiled. Returns the signal that ended it early. Fails where cargo cannot be started.
pub fn verify(
    workspace: &Workspace,
    commands: &[LiveCommand],
    report: &mut SweepReport,
    progress: &dyn Progress,
) -> Result<Option<i32>> {
    let baseline = &report.baseline;
    let before = times(baseline.units.iter());
    let mut verified =
        Verified { recompiled_units: 0, recompiled: Vec::new(), built_units: 0, failed: Vec::new() };
    let mut done = Vec::new();
    for LiveCommand { command, .. } in commands {
        let Ok(command) = command.clone().without_alias(&workspace.environment).to_build() else { continue };
        if done.contains(&command) {
            continue;
        }
        let record = run(workspace, &command, RunOptions::default(), progress, &mut |_| {})?;
        if record.exit_code != Some(0) {
            verified.failed.push(command.to_string());
        }
        done.push(command);
        if record.signal.is_some() {
            return Ok(record.signal);
        }
    }
    let after = times(baseline.units.iter());
    for unit in baseline.units.iter() {
        let key = unit.fingerprint_dir.as_str();
        if after.get(key) == before.get(key) {
            continue;
        }
        if baseline.fresh.contains(&(label(workspace, unit), unit.id.clone())) {
            verified.recompiled.push(unit.describe());
        } else {
            verified.built_units += 1;
        }
    }
    verified.recompiled_units = verified.recompiled.len();
    report.recompiled_units = Some(verified.recompiled_units);
    report.verified = Some(verified);
    Ok(None)
}

/// When cargo last finished each unit: it writes this file after the compiler has ended well.
fn times<'a>(units: impl IntoIterator<Item = &'a Unit>) -> BTreeMap<&'a str, Option<SystemTime>> {
    let time = |unit: &Unit| {
        fs::metadata(unit.fingerprint_dir.join(&unit.fingerprint_file)).and_then(|file| file.modified()).ok()
    };
    units.into_iter().map(|unit| (unit.fingerprint_dir.as_str(), time(unit))).collect()
}
