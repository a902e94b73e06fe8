//! What git says changed: every file that differs between the merge base with the base branch and the work
//! tree, and what the tracked files hold now.
//!
//! Invariant: nothing is written, not even git's index, and where git cannot tell, the answer says why instead
//! of naming fewer files. Files that git itself ignores are listed as unseen: nothing is known of them.

use std::collections::BTreeSet;
use std::thread;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Environment, WrongUsage};

mod base;
mod contents;
mod run;
mod status;
#[cfg(test)]
mod tests;

pub use contents::{Contents, stamp};

use base::Since;
use run::Git;
use status::{IndexEntry, Status};

/// What changed since the merge base with the base branch.
#[derive(Debug)]
pub struct Changes {
    /// What the work tree was compared with.
    pub base: Base,
    /// Absolute and sorted: committed since the base, staged, unstaged, untracked; both names of a rename;
    /// deleted files; a submodule as its folder. Empty where the base is unknown.
    pub files: Vec<Utf8PathBuf>,
    /// The lock file at the base.
    pub lock_before: LockBefore,
    /// The top folder of the work tree; `None` without git.
    pub repository: Option<Utf8PathBuf>,
    /// Files and folders that git ignores, absolute: a change of these is not among [`Changes::files`].
    pub unseen: Vec<Utf8PathBuf>,
    snapshot: Option<Snapshot>,
}

/// Whether git leaves `path` out of `dir`'s repository. True too where there is no git or no repository: nobody commits
/// it then.
pub fn is_ignored(dir: &Utf8Path, path: &Utf8Path, environment: &Environment) -> bool {
    let Some(git) = Git::new(dir, environment) else { return true };
    let asks = |args: &[&str]| git.output(args).is_ok_and(|(success, ..)| success);
    !asks(&["rev-parse", "--is-inside-work-tree"]) || asks(&["check-ignore", "--quiet", "--", path.as_str()])
}

/// The files below `dir` that git tracks, relative to it; `None` where there is no git or no repository.
pub fn tracked(dir: &Utf8Path, environment: &Environment) -> Option<Vec<Utf8PathBuf>> {
    let listed = Git::new(dir, environment)?.run(&["ls-files", "-z"]).ok()?;
    Some(status::paths(&listed, Utf8Path::new("")))
}

/// The commit that the work tree was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing can be told.
    Unknown {
        /// The reason, as the rest of a sentence: `git is not on PATH`.
        why: String,
    },
    /// HEAD itself is the merge base: only uncommitted changes count.
    Head {
        /// The base branch.
        name: String,
    },
    /// An earlier commit.
    Commit {
        /// The base branch.
        name: String,
        /// The commit's id.
        id: String,
    },
}

/// What the lock file was at the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockBefore {
    /// The same as now.
    Unchanged,
    /// Another one: its text.
    Text(String),
    /// Git has none: it is ignored or new, or the base is unknown.
    Untracked,
}

/// One look at index and work tree.
#[derive(Debug)]
struct Snapshot {
    git: Git,
    repository: Utf8PathBuf,
    status: Status,
    index: Vec<IndexEntry>,
}

/// Compares the work tree around `root` with its merge base with `base` (by default the first that exists of
/// origin/HEAD, origin/main, origin/master, main and master).
///
/// Fails as [`WrongUsage`] when `base` names no commit. Everything else that keeps git from telling is a
/// [`Base::Unknown`], to be said in one line.
pub fn changes(
    root: &Utf8Path,
    lock: &Utf8Path,
    base: Option<&str>,
    environment: &Environment,
) -> Result<Changes> {
    let Some(git) = Git::new(root, environment) else {
        return Ok(Changes::unknown("git is not on PATH", None));
    };
    // Four roads at once; each process takes 2 to 15 ms.
    let (place, status, index, since) = thread::scope(|scope| {
        let place = scope.spawn(|| git.text(&["rev-parse", "--is-shallow-repository", "--show-toplevel"]));
        let status = scope.spawn(|| git.run(&status::STATUS_ARGS));
        let index = scope.spawn(|| git.run(&status::INDEX_ARGS));
        let since = base::since(&git, base);
        (join(place), join(status), join(index), since)
    });
    let Some((shallow, repository)) = place.as_ref().ok().and_then(|text| text.split_once('\n')) else {
        let inside = root.ancestors().any(|folder| folder.join(".git").exists());
        let why = place.err().filter(|_| inside).map(|error| error.to_string());
        return Ok(Changes::unknown(why.as_deref().unwrap_or("this is no git repository"), None));
    };
    let repository = Utf8PathBuf::from(repository);
    let (status, index) = match (status, index) {
        (Ok(status), Ok(index)) => {
            (Status::parse(&status, &repository), IndexEntry::parse(&index, &repository))
        }
        (Err(error), _) | (_, Err(error)) => return Ok(Changes::unknown(&error.to_string(), None)),
    };
    let snapshot = Snapshot { git, repository, status, index };
    let unknown = why_unknown(root, shallow == "true", &snapshot.status);
    if let Some(why) = unknown {
        return Ok(Changes::unknown(why, Some(snapshot)));
    }
    let (base, committed) = match since {
        Ok(Since::Head { name }) => (Base::Head { name }, Vec::new()),
        Ok(Since::Commit { name, id, diff }) => {
            (Base::Commit { name, id }, status::paths(&diff, &snapshot.repository))
        }
        Ok(Since::Unknown(why)) => return Ok(Changes::unknown(&why, Some(snapshot))),
        Err(error) if error.downcast_ref::<WrongUsage>().is_some() => return Err(error),
        Err(error) => return Ok(Changes::unknown(&error.to_string(), Some(snapshot))),
    };
    Ok(Changes::known(base, committed, lock, snapshot))
}

/// A panic of the other thread goes on in this one.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn why_unknown(root: &Utf8Path, shallow: bool, status: &Status) -> Option<&'static str> {
    if status.commit.is_none() {
        Some("there are no commits yet")
    } else if shallow {
        Some("this is a shallow clone")
    } else if status.ignored.iter().any(|ignored| root.starts_with(ignored)) {
        Some("git ignores the folder of this workspace")
    } else {
        None
    }
}

impl Changes {
    fn unknown(why: &str, snapshot: Option<Snapshot>) -> Self {
        Self {
            base: Base::Unknown { why: why.to_owned() },
            files: Vec::new(),
            lock_before: LockBefore::Untracked,
            repository: snapshot.as_ref().map(|snapshot| snapshot.repository.clone()),
            unseen: snapshot.as_ref().map(|snapshot| snapshot.status.ignored.clone()).unwrap_or_default(),
            snapshot,
        }
    }

    fn known(base: Base, committed: Vec<Utf8PathBuf>, lock: &Utf8Path, snapshot: Snapshot) -> Self {
        let mut files = committed.into_iter().collect::<BTreeSet<_>>();
        files.extend(snapshot.status.changed.iter().cloned());
        files.extend(snapshot.flagged().cloned());
        let tracked = snapshot.index.iter().any(|entry| entry.path == lock);
        let mut changes = Self {
            base,
            files: files.into_iter().collect(),
            lock_before: LockBefore::Untracked,
            repository: Some(snapshot.repository.clone()),
            unseen: snapshot.status.ignored.clone(),
            snapshot: Some(snapshot),
        };
        if changes.files.iter().any(|file| file == lock) {
            if let Some(text) = changes.at_base(lock) {
                changes.lock_before = LockBefore::Text(text);
            }
        } else if tracked {
            changes.lock_before = LockBefore::Unchanged;
        }
        changes
    }

    /// The text of a file at the base, in 2 ms; `None` when there was none.
    pub fn at_base(&self, path: &Utf8Path) -> Option<String> {
        let snapshot = self.snapshot.as_ref()?;
        let commit = match &self.base {
            Base::Unknown { .. } => return None,
            Base::Head { .. } => "HEAD",
            Base::Commit { id, .. } => id,
        };
        let path = path.strip_prefix(&snapshot.repository).ok()?;
        let blob = snapshot.git.run(&["cat-file", "blob", &format!("{commit}:{path}")]).ok()?;
        String::from_utf8(blob).ok()
    }

    /// What every file of the work tree holds now. `None` without git.
    ///
    /// Where files differ from the index it starts git once. Fails when such a file cannot be read.
    pub fn contents(&self) -> Result<Option<Contents>> {
        self.snapshot.as_ref().map(Snapshot::contents).transpose()
    }
}

impl Snapshot {
    /// Files that git was told to take as unchanged (`--assume-unchanged`, `--skip-worktree`) and that are
    /// there all the same: git would not see an edit.
    fn flagged(&self) -> impl Iterator<Item = &Utf8PathBuf> {
        self.index.iter().filter(|entry| entry.unwatched && entry.path.exists()).map(|entry| &entry.path)
    }
}
