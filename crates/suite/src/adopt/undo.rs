//! Taking the suite out of a workspace again.

use anyhow::Result;
use camino::Utf8Path;
use xtask_edit::{Reversal, UndoPlan};

use super::host::Host;
use super::record::FILE_NAME;
use xtask_workspace::{WrongUsage, digest};

/// What brings every byte of `host` back that `adopt` changed, in the order that keeps it building: first it
/// stops being a member. Fails as wrong usage where nothing was adopted.
pub(crate) fn plan_undo(host: &Host) -> Result<UndoPlan> {
    let Some((launcher, adopted)) = &host.adopted else {
        let message = format!("nothing was adopted in {}", host.root());
        return Err(WrongUsage(message).into());
    };
    // The last change first. The record itself was made along with the first.
    let record = Utf8Path::new(launcher).join(FILE_NAME);
    let written = digest(std::fs::read(host.root().join(&record))?);
    let record = Reversal::Created { path: record, digest: written };
    let mut reversals = adopted.undo.iter().rev().cloned().chain([record]).collect::<Vec<_>>();
    let mut plan = xtask_edit::plan_undo(host.root(), &reversals)?;
    // It stays as long as a file that was there before could not be taken back.
    let was_there = |path: &Utf8Path| {
        let made = |reversal: &Reversal| matches!(reversal, Reversal::Created { .. });
        reversals.iter().any(|reversal| reversal.path() == path && !made(reversal))
    };
    if plan.kept.iter().any(|kept| was_there(&kept.path)) {
        reversals.pop();
        plan = xtask_edit::plan_undo(host.root(), &reversals)?;
    }
    Ok(plan)
}
