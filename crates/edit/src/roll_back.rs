//! Putting everything back as it was, from what lies where: the same code after an error and after a kill.
//!
//! Invariant: nothing is removed by its path. What the transaction made goes back into the journal by a
//! rename, and only when it is still what the transaction made; so a kill in here is no different from one
//! before.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::journal::{Journal, Operation, State};
use crate::place;

/// What was found of a killed transaction and put back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The paths that are again as they were before it.
    pub restored: Vec<Utf8PathBuf>,
    /// The paths that somebody has changed since: they were left as they are.
    pub conflicts: Vec<Conflict>,
}

/// A path that could not be put back without losing what somebody wrote there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path, relative to the root.
    pub path: Utf8PathBuf,
    /// Where the old content was laid, relative to the root; `None` when nothing was there before.
    pub old: Option<Utf8PathBuf>,
}

/// What became of one operation.
enum Undone {
    /// It had changed nothing, or was taken back already.
    Nothing,
    Restored,
    Conflict,
}

/// Takes back what was done of `operations`, last first, and ends the journal.
///
/// When it fails, the journal stays, and the next call goes on.
pub(crate) fn roll_back(journal: &Journal, operations: &[Operation]) -> Result<Recovered> {
    let mut recovered = Recovered::default();
    for (index, operation) in operations.iter().enumerate().rev() {
        // A folder on the way may have been replaced by a link since.
        place::missing_parents(&journal.target(Utf8Path::new("")), &operation.path)?;
        match undo(journal, index, operation)? {
            Undone::Nothing => {}
            Undone::Restored => recovered.restored.push(operation.path.clone()),
            Undone::Conflict => {
                let old = save_beside(journal, index, operation)?;
                recovered.conflicts.push(Conflict { path: operation.path.clone(), old });
            }
        }
        for parent in operation.parents.iter().rev() {
            let path = journal.target(parent);
            match fs::remove_dir(&path) {
                Err(error)
                    if !matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
                    ) =>
                {
                    return Err(error).with_context(|| format!("failed to remove folder {path}"));
                }
                _ => {}
            }
        }
    }
    sync_parents(journal, operations)?;
    journal.close()?;
    journal.remove()?;
    recovered.restored.reverse();
    recovered.conflicts.reverse();
    Ok(recovered)
}

/// Syncs every folder in which a path was or is to be changed.
pub(crate) fn sync_parents(journal: &Journal, operations: &[Operation]) -> Result<()> {
    let paths = operations.iter().flat_map(|operation| operation.parents.iter().chain([&operation.path]));
    let folders = paths.filter_map(|path| path.parent()).collect::<BTreeSet<_>>();
    folders.into_iter().try_for_each(|folder| place::sync_folder(&journal.target(folder)))
}

/// Takes back one operation. `new/I` is there: its content is not in its place. `old/I` is there: the old
/// content has left its place, or was about to.
fn undo(journal: &Journal, index: usize, operation: &Operation) -> Result<Undone> {
    let path = journal.target(&operation.path);
    let (new, old) = (journal.new_content(index), journal.old_content(index));
    let (new_there, old_there) = (place::exists(&new)?, place::exists(&old)?);
    let placed = operation.after.is_some() && !new_there;
    let touched = if operation.replaces_file() {
        placed && old_there
    } else {
        old_there || placed && operation.before.is_none()
    };
    if !touched {
        return Ok(Undone::Nothing);
    }
    if place::holds_foreign(&path)? {
        return Ok(Undone::Conflict);
    }
    let here = State::at(&path)?;
    if here.is_some() {
        if here == operation.before {
            return Ok(Undone::Restored);
        }
        if !placed || here != operation.after {
            return Ok(Undone::Conflict);
        }
        if !operation.replaces_file() {
            place::rename(&path, &new)?;
        }
    }
    if old_there {
        place::rename(&old, &path)?;
    }
    Ok(Undone::Restored)
}

/// Lays the old content beside the path that somebody has changed, under a name that is free.
fn save_beside(journal: &Journal, index: usize, operation: &Operation) -> Result<Option<Utf8PathBuf>> {
    let old = journal.old_content(index);
    if !place::exists(&old)? {
        return Ok(None);
    }
    let mut number = 0;
    loop {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let beside = Utf8PathBuf::from(format!("{}.before-xtask{suffix}", operation.path));
        if !place::exists(&journal.target(&beside))? {
            place::rename(&old, &journal.target(&beside))?;
            return Ok(Some(beside));
        }
        number += 1;
    }
}
