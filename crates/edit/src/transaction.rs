//! Several paths changed as one: all of them, or none.
//!
//! Invariant: after an error, a kill or a power cut at any point, the paths are all as before or all as planned, at
//! the latest when the next transaction has begun. A rollback removes nothing by its path: what the transaction made
//! is renamed back into the journal, and only when it is still what the transaction made. So a kill during a rollback
//! is no different from one before.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};

use anyhow::{Context, Result, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::edit::{Edit, Node, check_apart, check_relative, metadata, missing_parents};
use crate::journal::{Journal, Operation, create_dir, sync_folder};

/// The exclusive right to change files below a root, until it is dropped.
#[derive(Debug)]
pub struct Transaction {
    journal: Journal,
    _lock: Lock,
}

/// What was found of a killed transaction and rolled back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The paths that are again as they were before it.
    pub restored: Vec<Utf8PathBuf>,
    /// The paths that were changed since and left as they are.
    pub conflicts: Vec<Conflict>,
}

/// A path that could not be rolled back without losing what somebody wrote there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Relative to the root.
    pub path: Utf8PathBuf,
    /// Where the old content was put, relative to the root; `None` when nothing was there before.
    pub old: Option<Utf8PathBuf>,
}

/// Whether a killed transaction below `root` waits to be rolled back by the next one.
pub fn pending(root: &Utf8Path) -> bool {
    fs::symlink_metadata(Journal { root: root.to_owned() }.file()).is_ok()
}

impl Transaction {
    /// Waits until nobody else changes files below `root`, an existing folder, and rolls back what a killed
    /// transaction left.
    pub fn begin(root: &Utf8Path) -> Result<(Self, Option<Recovered>)> {
        let lock = lock(root)?;
        let journal = Journal { root: root.to_owned() };
        let recovered = match journal.left_over()? {
            None => None,
            Some(operations) => Some(roll_back(&journal, &operations).context(
                "failed to roll back what an interrupted change has left; the next run tries again",
            )?),
        };
        Ok((Self { journal, _lock: lock }, recovered))
    }

    /// Makes the edits in their order, and then calls `check`.
    ///
    /// When any of this fails, everything is rolled back and the error is returned. An edit that changes nothing is
    /// left out.
    pub fn commit(&self, edits: &[Edit], check: impl FnOnce() -> Result<()>) -> Result<()> {
        let journal = &self.journal;
        let edits = edits.iter().filter(|edit| !edit.is_empty()).collect::<Vec<_>>();
        let operations = operations(&journal.root, &edits)?;
        journal.create()?;
        if let Err(error) = journal.write(edits.iter().map(|edit| edit.after.as_ref()), &operations) {
            // Nothing was changed yet. What cannot be removed now is removed by the next transaction.
            return Err(match journal.close().and_then(|()| journal.remove()) {
                Ok(()) => error,
                Err(left) => {
                    error.context(format!("nothing was changed; the next run will clean up: {left:#}"))
                }
            });
        }
        let done = apply(journal, &edits, &operations).and_then(|()| check());
        let done = done.and_then(|()| sync_parents(journal, &operations));
        // Closing the journal is the commit.
        match done.and_then(|()| journal.close()) {
            Ok(()) => {
                // What is left of it is removed by the next transaction, if not now.
                let _ = journal.remove();
                Ok(())
            }
            Err(error) => Err(failed(error, roll_back(journal, &operations))),
        }
    }
}

/// `error` with what its rollback has to say.
fn failed(error: anyhow::Error, rolled_back: Result<Recovered>) -> anyhow::Error {
    match rolled_back {
        Ok(recovered) if recovered.conflicts.is_empty() => error,
        Ok(recovered) => {
            let conflicts = recovered.conflicts.iter().map(|conflict| match &conflict.old {
                Some(old) => format!("{} (its old content is in {old})", conflict.path),
                None => conflict.path.to_string(),
            });
            let conflicts = conflicts.collect::<Vec<_>>().join(", ");
            error.context(format!("changed by somebody else meanwhile, so not rolled back: {conflicts}"))
        }
        Err(failure) => {
            anyhow!("{error:#}; the rollback failed too, and the next run will finish it: {failure:#}")
        }
    }
}

/// The edits as operations. Fails when a path is not as the plan found it.
fn operations(root: &Utf8Path, edits: &[&Edit]) -> Result<Vec<Operation>> {
    check_apart(edits.iter().map(|edit| edit.path.as_path()))?;
    let mut created = Vec::new();
    let mut operations = Vec::new();
    for Edit { path, before, after } in edits {
        check_relative(path)?;
        if let Some(Node::Folder(files)) = after {
            files.keys().try_for_each(|name| check_relative(name))?;
            check_apart(files.keys().map(Utf8PathBuf::as_path))?;
        }
        let mut parents = missing_parents(root, path)?;
        parents.retain(|parent| !created.contains(parent));
        created.extend(parents.iter().cloned());
        check_unchanged(&root.join(path), &root.join(path), before.as_ref())?;
        let is_file = |node: &Option<Node>| node.as_ref().is_some_and(Node::is_file);
        operations.push(Operation {
            path: path.clone(),
            before: before.as_ref().map(Node::digest),
            after: after.as_ref().map(Node::digest),
            replaces_file: is_file(before) && is_file(after),
            parents,
        });
    }
    Ok(operations)
}

/// Fails unless what was at `path`, and is now at `at`, is what the plan found there.
fn check_unchanged(path: &Utf8Path, at: &Utf8Path, planned: Option<&Node>) -> Result<()> {
    if Node::read(at)?.as_ref() != planned {
        bail!("{path} has changed since the plan was made: run it again");
    }
    Ok(())
}

fn apply(journal: &Journal, edits: &[&Edit], operations: &[Operation]) -> Result<()> {
    for (index, (edit, operation)) in edits.iter().zip(operations).enumerate() {
        for parent in &operation.parents {
            create_dir(&journal.root.join(parent))?;
        }
        let path = journal.root.join(&operation.path);
        let old = journal.old_content(index);
        if edit.before.is_none() {
            check_unchanged(&path, &path, None)?;
        } else {
            if operation.replaces_file {
                journal.keep_old(&path, index)?;
            } else {
                rename(&path, &old)?;
            }
            // Checked once more, because the commit will remove it.
            check_unchanged(&path, &old, edit.before.as_ref())?;
        }
        if edit.after.is_some() {
            rename(&journal.new_content(index), &path)?;
        }
    }
    Ok(())
}

/// Undoes what was done of `operations`, the last first, and ends the journal.
///
/// When it fails, the journal stays, and the next call goes on.
fn roll_back(journal: &Journal, operations: &[Operation]) -> Result<Recovered> {
    let mut recovered = Recovered::default();
    for (index, operation) in operations.iter().enumerate().rev() {
        // A parent may have been replaced by a link since.
        missing_parents(&journal.root, &operation.path)?;
        let path = operation.path.clone();
        match undo(journal, index, operation)? {
            Undone::Nothing => {}
            Undone::Restored => recovered.restored.push(path),
            Undone::Conflict => {
                let old = save_beside(journal, index, &path)?;
                recovered.conflicts.push(Conflict { path, old });
            }
        }
        for parent in operation.parents.iter().rev() {
            let path = journal.root.join(parent);
            let stays = [ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty, ErrorKind::AlreadyExists];
            match fs::remove_dir(&path) {
                Err(error) if stays.contains(&error.kind()) => {}
                other => other.with_context(|| format!("failed to remove folder {path}"))?,
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

/// What became of one operation in a rollback.
enum Undone {
    /// It had changed nothing, or was undone already.
    Nothing,
    Restored,
    Conflict,
}

/// Undoes one operation. `new/I` exists: the new content is not in its place. `old/I` exists: the old content has left
/// its place, or was about to.
fn undo(journal: &Journal, index: usize, operation: &Operation) -> Result<Undone> {
    let path = journal.root.join(&operation.path);
    let (new, old) = (journal.new_content(index), journal.old_content(index));
    let (has_new, has_old) = (metadata(&new)?.is_some(), metadata(&old)?.is_some());
    let placed = operation.after.is_some() && !has_new;
    let touched = if operation.replaces_file {
        placed && has_old
    } else {
        has_old || placed && operation.before.is_none()
    };
    if !touched {
        return Ok(Undone::Nothing);
    }
    let here = match Node::read(&path) {
        // A link or the like, which is never made here.
        Err(error) if error.downcast_ref::<io::Error>().is_none() => return Ok(Undone::Conflict),
        here => here?.as_ref().map(Node::digest),
    };
    if here.is_some() {
        if here == operation.before {
            return Ok(Undone::Restored);
        }
        if !placed || here != operation.after {
            return Ok(Undone::Conflict);
        }
        if !operation.replaces_file {
            rename(&path, &new)?;
        }
    }
    if has_old {
        rename(&old, &path)?;
    }
    Ok(Undone::Restored)
}

/// Puts the old content beside `path`, which somebody has changed, under a free name.
fn save_beside(journal: &Journal, index: usize, path: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let old = journal.old_content(index);
    if metadata(&old)?.is_none() {
        return Ok(None);
    }
    let mut beside = Utf8PathBuf::from(format!("{path}.before-xtask"));
    let mut number = 0;
    while metadata(&journal.root.join(&beside))?.is_some() {
        number += 1;
        beside = format!("{path}.before-xtask-{number}").into();
    }
    rename(&old, &journal.root.join(&beside))?;
    Ok(Some(beside))
}

fn rename(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("failed to move {from} to {to}"))
}

/// Syncs every folder in which a path is changed.
fn sync_parents(journal: &Journal, operations: &[Operation]) -> Result<()> {
    let paths = operations.iter().flat_map(|operation| operation.parents.iter().chain([&operation.path]));
    let folders = paths.filter_map(|path| path.parent()).collect::<BTreeSet<_>>();
    folders.into_iter().try_for_each(|folder| sync_folder(&journal.root.join(folder)))
}

/// Held until it is dropped.
#[derive(Debug)]
struct Lock {
    #[cfg(unix)]
    _folder: fs::File,
    #[cfg(not(unix))]
    _file: xtask_files::FileLock,
}

/// Waits for the lock on the folder `root` itself, so that there is no lock file to make or to clean up.
#[cfg(unix)]
fn lock(root: &Utf8Path) -> Result<Lock> {
    /// What NFS answers: it does not lock files that are open for reading only, as a folder always is.
    const EBADF: i32 = 9;
    let folder = fs::File::open(root).with_context(|| format!("failed to open folder {root}"))?;
    match folder.lock() {
        // As in cargo, the work goes on where the file system has no locks.
        Err(error) if error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(EBADF) => {}
        other => other.with_context(|| format!("failed to lock folder {root}"))?,
    }
    Ok(Lock { _folder: folder })
}

/// Elsewhere a folder cannot be locked, so a file in it is.
#[cfg(not(unix))]
fn lock(root: &Utf8Path) -> Result<Lock> {
    Ok(Lock { _file: xtask_files::lock_exclusive(&root.join(".xtask-journal.lock"))? })
}
