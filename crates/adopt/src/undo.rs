//! Taking the suite out of a workspace again.

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::{Kept, Reversal, UndoPlan};

use xtask_workspace::{Environment, Outline, digest};

use crate::record::{Adopted, FILE_NAME};

/// What brings every byte below `root` back that `adopt` changed, in the order that keeps it building: first the
/// launcher stops being a member.
pub fn plan_undo(root: &Utf8Path, launcher: &str, adopted: &Adopted) -> Result<UndoPlan> {
    // The last change first. The record itself was made along with the first.
    let record = Utf8Path::new(launcher).join(FILE_NAME);
    let written = digest(std::fs::read(root.join(&record))?);
    let record = Reversal::Created { path: record, digest: written, inverses: Vec::new() };
    let mut reversals = adopted.undo.iter().rev().cloned().chain([record]).collect::<Vec<_>>();
    let mut plan = xtask_edit::plan_undo(root, &reversals)?;
    // It stays as long as a file that was there before could not be taken back.
    let was_there = |path: &Utf8Path| {
        let made = |reversal: &Reversal| matches!(reversal, Reversal::Created { .. });
        reversals.iter().any(|reversal| reversal.path() == path && !made(reversal))
    };
    if plan.kept.iter().any(|kept| was_there(&kept.path)) {
        reversals.pop();
        plan = xtask_edit::plan_undo(root, &reversals)?;
    }
    // What was put beside the tasks is in no record, and stays.
    let tasks = Utf8Path::new(launcher).join("tasks");
    for path in files_below(root, &tasks)? {
        if !adopted.undo.iter().any(|reversal| reversal.path() == path) {
            plan.kept.push(Kept { path, why: "adopt did not create it".to_owned() });
        }
    }
    Ok(plan)
}

/// The files below `dir`, relative to `root`; none where it is no folder.
fn files_below(root: &Utf8Path, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let path = root.join(dir);
    if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(Vec::new());
    }
    let failed = || format!("failed to read folder {path}");
    let mut files = Vec::new();
    for entry in path.read_dir_utf8().with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let found = dir.join(entry.file_name());
        if entry.file_type().with_context(failed)?.is_dir() {
            files.extend(files_below(root, &found)?);
        } else {
            files.push(found);
        }
    }
    files.sort();
    Ok(files)
}

/// Removes the target dir that `cargo xtask` made inside of the suite's folder, if it was called there: it belongs to
/// nobody else, and would keep the folder.
pub fn remove_target_dir(root: &Utf8Path, launcher: &str) -> Result<()> {
    let target = root.join(launcher).join("suite/target");
    // Cargo's mark: the folder is a cache.
    if target.join("CACHEDIR.TAG").is_file() { xtask_files::remove_dir(&target) } else { Ok(()) }
}

/// Fails where cargo cannot read the workspace, or still sees the launcher in it.
pub fn without_launcher(root: &Utf8Path, launcher: &str, environment: &Environment) -> Result<()> {
    if Outline::of(root, environment)?.facts.launcher().is_some_and(|found| found.name == launcher) {
        bail!("cargo would still see the member `{launcher}`");
    }
    Ok(())
}
