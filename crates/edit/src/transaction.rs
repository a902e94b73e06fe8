//! Several paths changed as one: all of them, or none.
//!
//! Invariant: after an error, a kill or a power cut at any point, the paths are all as before or all as
//! planned, at the latest when the next transaction has begun.

use std::fs;

use anyhow::{Context, Result, anyhow};
use camino::Utf8Path;

use crate::journal::{self, Journal, Operation, State};
use crate::node::{Edit, Node};
use crate::place;
use crate::roll_back::{Recovered, roll_back, sync_parents};

/// The exclusive right to change files below a root; given back when it is dropped.
#[derive(Debug)]
pub struct Transaction {
    journal: Journal,
    _lock: Lock,
}

/// Whether a killed transaction below `root` waits for the next one to put everything back.
pub fn pending(root: &Utf8Path) -> bool {
    fs::symlink_metadata(Journal::of(root).file()).is_ok()
}

impl Transaction {
    /// Waits until nobody else changes files below `root`, and puts back what a killed transaction left.
    ///
    /// `root` is an existing folder.
    pub fn begin(root: &Utf8Path) -> Result<(Self, Option<Recovered>)> {
        let lock = lock(root)?;
        let journal = Journal::of(root);
        let recovered = match journal.left_over()? {
            None => None,
            Some(operations) => Some(roll_back(&journal, &operations).context(
                "failed to put back what an interrupted change has left; the next run tries again",
            )?),
        };
        Ok((Self { journal, _lock: lock }, recovered))
    }

    /// Does the edits in their order, and then `check`.
    ///
    /// When any of this fails, everything is put back, and the error is returned. An edit that changes
    /// nothing is left out.
    pub fn commit(&self, edits: &[Edit], check: impl FnOnce() -> Result<()>) -> Result<()> {
        let edits = edits.iter().filter(|edit| !edit.is_empty()).collect::<Vec<_>>();
        let operations = self.revalidate(&edits)?;
        self.journal.create()?;
        if let Err(error) = self.prepare(&edits, &operations) {
            // Nothing was changed yet. What cannot be removed now is removed by the next transaction.
            return Err(match self.journal.close().and_then(|()| self.journal.remove()) {
                Ok(()) => error,
                Err(left) => {
                    error.context(format!("nothing was changed; the next run will clean up: {left:#}"))
                }
            });
        }
        let done = self.apply(&edits, &operations).and_then(|()| check());
        let done = done.and_then(|()| sync_parents(&self.journal, &operations));
        // The commit.
        match done.and_then(|()| self.journal.close()) {
            Ok(()) => {
                // Everything is done: what is left of the journal is garbage, and the next transaction removes it.
                let _ = self.journal.remove();
                Ok(())
            }
            Err(error) => Err(self.take_back(&operations, error)),
        }
    }

    /// The edits as the journal knows them. Fails when a path is not as the plan found it.
    fn revalidate(&self, edits: &[&Edit]) -> Result<Vec<Operation>> {
        place::check_apart(edits.iter().map(|edit| edit.path.as_path()))?;
        let root = self.journal.target(Utf8Path::new(""));
        let mut created = Vec::new();
        let mut operations = Vec::new();
        for edit in edits {
            place::check_relative(&edit.path)?;
            if let Some(Node::Folder(files)) = &edit.after {
                files.keys().try_for_each(|name| place::check_relative(name))?;
                place::check_apart(files.keys().map(camino::Utf8PathBuf::as_path))?;
            }
            let mut parents = place::missing_parents(&root, &edit.path)?;
            parents.retain(|parent| !created.contains(parent));
            created.extend(parents.iter().cloned());
            let path = self.journal.target(&edit.path);
            let now = Node::read(&path)?;
            journal::check_unchanged(&path, now.as_ref(), edit.before.as_ref())?;
            operations.push(Operation {
                path: edit.path.clone(),
                before: now.as_ref().map(State::of),
                after: edit.after.as_ref().map(State::of),
                parents,
            });
        }
        Ok(operations)
    }

    /// Lays everything new in the journal; changes nothing outside of it.
    fn prepare(&self, edits: &[&Edit], operations: &[Operation]) -> Result<()> {
        self.journal.furnish()?;
        for (index, edit) in edits.iter().enumerate() {
            if let Some(after) = &edit.after {
                self.journal.stage(index, &edit.path, after)?;
            }
        }
        self.journal.write(operations)
    }

    fn apply(&self, edits: &[&Edit], operations: &[Operation]) -> Result<()> {
        for (index, (edit, operation)) in edits.iter().zip(operations).enumerate() {
            for parent in &operation.parents {
                let path = self.journal.target(parent);
                fs::create_dir(&path).with_context(|| format!("failed to create folder {path}"))?;
            }
            let path = self.journal.target(&operation.path);
            let (new, old) = (self.journal.new_content(index), self.journal.old_content(index));
            if operation.replaces_file() {
                self.journal.keep_old(&path, index)?;
            } else if operation.before.is_some() {
                place::rename(&path, &old)?;
            } else {
                journal::check_unchanged(&path, Node::read(&path)?.as_ref(), None)?;
            }
            if operation.before.is_some() {
                // What is put away is looked at once more: the commit will remove it.
                journal::check_unchanged(&path, Node::read(&old)?.as_ref(), edit.before.as_ref())?;
            }
            if operation.after.is_some() {
                place::rename(&new, &path)?;
            }
        }
        Ok(())
    }

    /// Puts everything back after `error`, and says so when that fails too or somebody was in the way.
    fn take_back(&self, operations: &[Operation], error: anyhow::Error) -> anyhow::Error {
        match roll_back(&self.journal, operations) {
            Ok(recovered) if recovered.conflicts.is_empty() => error,
            Ok(recovered) => {
                let conflicts = recovered.conflicts.iter().map(|conflict| match &conflict.old {
                    Some(old) => format!("{} (its old content is in {old})", conflict.path),
                    None => conflict.path.to_string(),
                });
                let conflicts = conflicts.collect::<Vec<_>>().join(", ");
                error.context(format!("changed meanwhile by somebody else, and so not put back: {conflicts}"))
            }
            Err(failure) => anyhow!(
                "{error:#}; putting everything back failed too, and the next run will finish it: {failure:#}"
            ),
        }
    }
}

/// Held until it is dropped.
#[derive(Debug)]
struct Lock {
    #[cfg(unix)]
    _folder: fs::File,
    #[cfg(not(unix))]
    _file: xtask_files::FileLock,
}

/// Waits for the lock on the folder `root` itself: so there is no lock file to make or to clean up.
#[cfg(unix)]
fn lock(root: &Utf8Path) -> Result<Lock> {
    /// What NFS answers: it locks nothing that is open for reading only, and a folder cannot be opened else.
    const EBADF: i32 = 9;
    let folder = fs::File::open(root).with_context(|| format!("failed to open folder {root}"))?;
    match folder.lock() {
        // As cargo does, the work goes on where the file system has no locks.
        Err(error)
            if error.kind() == std::io::ErrorKind::Unsupported || error.raw_os_error() == Some(EBADF) => {}
        other => other.with_context(|| format!("failed to lock folder {root}"))?,
    }
    Ok(Lock { _folder: folder })
}

/// Elsewhere a folder cannot be locked, so a file in it is.
#[cfg(not(unix))]
fn lock(root: &Utf8Path) -> Result<Lock> {
    Ok(Lock { _file: xtask_files::lock_exclusive(&root.join(".xtask-journal.lock"))? })
}
