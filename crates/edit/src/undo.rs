//! Taking edits back later, when the files may have changed since.
//!
//! Invariant: a file that nobody has changed since gets its old bytes back, bit for bit; in one that somebody
//! has, every byte of theirs survives, or the file is kept as it is.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_workspace::{Digest, digest};

use crate::inverse::{Inverse, by_meaning, inverses};
use crate::node::{Edit, Node};
use crate::patch::{Fit, Patch};
use crate::place;

/// How the change of one file is taken back. Goes into a committed JSON file, so it holds no more than
/// that needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "change")]
pub enum Reversal {
    /// A file that was not there before.
    Created {
        /// Relative to the root.
        path: Utf8PathBuf,
        /// Of the bytes it was created with.
        digest: Digest,
        /// What takes its keys out again, for TOML that somebody has added to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inverses: Vec<Inverse>,
    },
    /// A file whose text was changed.
    Edited {
        /// Relative to the root.
        path: Utf8PathBuf,
        /// Makes the old text from the new one.
        patch: String,
        /// The same for TOML that has changed elsewhere so that the patch does not fit.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inverses: Vec<Inverse>,
        /// Of the old bytes.
        before: Digest,
        /// Of the new bytes.
        after: Digest,
    },
    /// A file that no patch restores bit for bit.
    Replaced {
        /// Relative to the root.
        path: Utf8PathBuf,
        /// The whole old file.
        old: Old,
        /// Of the new bytes.
        after: Digest,
    },
    /// A file that was removed.
    Removed {
        /// Relative to the root.
        path: Utf8PathBuf,
        /// The whole old file.
        old: Old,
    },
}

/// The bytes of an old file, as JSON can hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Old {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Old {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// How edits will be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoPlan {
    /// What to commit as one transaction.
    pub edits: Vec<Edit>,
    /// What is left as it is.
    pub kept: Vec<Kept>,
}

/// A file that an undo leaves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Relative to the root.
    pub path: Utf8PathBuf,
    /// A phrase that goes on from the path.
    pub why: String,
}

/// `record` with what takes `edits` back too, which are about to be made below `root`: each file is there once, with
/// the way back to how it was at first. Where somebody has changed it so that there is no such way, the earlier record
/// stays. What `is_own` names was never there before the first of all changes.
pub fn extend(
    mut record: Vec<Reversal>,
    edits: &[Edit],
    root: &Utf8Path,
    is_own: impl Fn(&Utf8Path) -> bool,
) -> Result<Vec<Reversal>> {
    for edit in edits {
        let Some(at) = record.iter().position(|earlier| earlier.path() == edit.path) else {
            record.extend(reversal(edit));
            continue;
        };
        let mut back = plan_undo(root, &record[at..=at])?;
        let before = match back.edits.pop() {
            _ if is_own(&edit.path) => None,
            Some(back) => back.after,
            None if back.kept.is_empty() => edit.before.clone(),
            None => continue,
        };
        record.splice(at..=at, reversal(&Edit { before, ..edit.clone() }));
    }
    Ok(record)
}

/// How `edit` is taken back, file by file.
fn reversal(edit: &Edit) -> Vec<Reversal> {
    let files = |node: &Option<Node>| {
        let files = node.iter().flat_map(|node| node.files(&edit.path));
        files.map(|(path, bytes)| (path, bytes.to_vec())).collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (files(&edit.before), files(&edit.after));
    let paths = old.keys().chain(new.keys()).collect::<BTreeSet<_>>();
    paths.into_iter().filter_map(|path| of_file(path, old.get(path), new.get(path))).collect()
}

#[expect(clippy::similar_names, reason = "a path and a patch are what they are")]
fn of_file(path: &Utf8Path, old: Option<&Vec<u8>>, new: Option<&Vec<u8>>) -> Option<Reversal> {
    let path = path.to_owned();
    match (old, new) {
        (old, new) if old == new => None,
        (None, None) => None,
        (None, Some(new)) => {
            // People add keys of their own to a configuration of cargo's that was made here.
            let shared = if path.starts_with(".cargo") { text(new) } else { None };
            let inverses = shared.map(|new| inverses("", new)).unwrap_or_default();
            Some(Reversal::Created { path, digest: digest(new), inverses })
        }
        (Some(old), None) => Some(Reversal::Removed { path, old: Old::of(old) }),
        (Some(old), Some(new)) => {
            let after = digest(new);
            Some(match (text(old), text(new)) {
                (Some(old), Some(new)) => {
                    let patch = Patch::between(new, old).to_string();
                    let (inverses, before) = (inverses(old, new), digest(old));
                    Reversal::Edited { path, patch, inverses, before, after }
                }
                _ => Reversal::Replaced { path, old: Old::of(old), after },
            })
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// How to take back what `reversals` say, as the files below `root` are now. Changes nothing.
///
/// What is as it was before already is left out.
pub fn plan_undo(root: &Utf8Path, reversals: &[Reversal]) -> Result<UndoPlan> {
    let mut plan = UndoPlan { edits: Vec::new(), kept: Vec::new() };
    for reversal in reversals {
        let path = reversal.path();
        place::check_relative(path)?;
        let now = place::missing_parents(root, path).and_then(|_| Node::read(&root.join(path)));
        let old = match &now {
            Err(error) => Err(format!("cannot be looked at: {error:#}")),
            Ok(Some(Node::Folder(_))) => Err("is a folder now".to_owned()),
            Ok(Some(Node::File(now))) => reversal.of_present(now).map_err(str::to_owned),
            Ok(None) => reversal.of_missing().map_err(str::to_owned),
        };
        let path = path.to_owned();
        match old {
            Ok(old) => plan.edits.push(Edit { path, before: now?, after: old.map(Node::File) }),
            Err(why) => plan.kept.push(Kept { path, why }),
        }
    }
    plan.edits.retain(|edit| !edit.is_empty());
    remove_emptied_folders(root, &mut plan.edits)?;
    Ok(plan)
}

impl Reversal {
    /// The file it is about, relative to the root.
    pub fn path(&self) -> &Utf8Path {
        match self {
            Self::Created { path, .. }
            | Self::Edited { path, .. }
            | Self::Replaced { path, .. }
            | Self::Removed { path, .. } => path,
        }
    }

    /// What the file was before while there is none now, or why that is not known.
    fn of_missing(&self) -> Result<Option<Vec<u8>>, &'static str> {
        match self {
            Self::Created { .. } => Ok(None),
            Self::Edited { .. } | Self::Replaced { .. } => Err("was removed since"),
            Self::Removed { old, .. } => Ok(Some(old.bytes())),
        }
    }

    /// What the file with the bytes `now` was before, or why that is not known.
    fn of_present(&self, now: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        let present = digest(now);
        let now_text = text(now);
        match self {
            Self::Created { digest, .. } if present == *digest => Ok(None),
            Self::Created { inverses, .. } => {
                let left = now_text.and_then(|now| by_meaning(now, inverses).filter(|left| left != now));
                let left = left.ok_or("was changed since it was created")?;
                Ok((!left.trim().is_empty()).then(|| left.into_bytes()))
            }
            Self::Edited { before, .. } if present == *before => Ok(Some(now.to_vec())),
            Self::Edited { patch, before, after, .. } if present == *after => {
                let old = now_text.and_then(|now| Patch::parse(patch)?.apply(now, Fit::Here));
                let old = old.filter(|old| digest(old) == *before);
                let old = old.ok_or("would not become what it was: the record of the change is damaged")?;
                Ok(Some(old.into_bytes()))
            }
            Self::Edited { patch, inverses, .. } => {
                let by_lines = |now: &str| Patch::parse(patch)?.apply(now, Fit::Anywhere);
                let left = now_text.and_then(|now| by_lines(now).or_else(|| by_meaning(now, inverses)));
                Ok(Some(left.ok_or("was changed since, in the same lines")?.into_bytes()))
            }
            Self::Replaced { old, after, .. } if present == *after || old.bytes() == now => {
                Ok(Some(old.bytes()))
            }
            Self::Replaced { .. } => Err("was changed since"),
            Self::Removed { old, .. } if old.bytes() == now => Ok(Some(old.bytes())),
            Self::Removed { .. } => Err("was removed, and something else is there now"),
        }
    }
}

/// Removes a folder as a whole where the edits remove all there is in it: git knows no empty folder, so it
/// came with those files.
fn remove_emptied_folders(root: &Utf8Path, edits: &mut Vec<Edit>) -> Result<()> {
    let removed = |edit: &Edit| edit.after.is_none();
    let folders = edits.iter().filter(|edit| removed(edit)).flat_map(|edit| edit.path.ancestors().skip(1));
    let folders = folders.filter(|folder| !folder.as_str().is_empty()).map(Utf8Path::to_owned);
    // Outermost first: its edits are then gone before the folders in it are looked at.
    for folder in folders.collect::<BTreeSet<_>>() {
        let gone = edits.iter().filter(|edit| removed(edit) && edit.path.starts_with(&folder));
        let gone = gone.map(|edit| edit.path.clone()).collect::<BTreeSet<_>>();
        if gone.is_empty() || !holds_only(root, &folder, &gone) {
            continue;
        }
        let before = Node::read(&root.join(&folder))?;
        edits.retain(|edit| !gone.contains(&edit.path));
        edits.push(Edit { path: folder, before, after: None });
    }
    Ok(())
}

/// Whether every file below `folder` is one of `paths`, and no folder below it is empty.
fn holds_only(root: &Utf8Path, folder: &Utf8Path, paths: &BTreeSet<Utf8PathBuf>) -> bool {
    let Ok(entries) = root.join(folder).read_dir_utf8() else { return false };
    let mut any = false;
    let all = entries.into_iter().all(|entry| {
        any = true;
        let Ok(entry) = entry else { return false };
        let path = folder.join(entry.file_name());
        paths.contains(&path)
            || entry.file_type().is_ok_and(|kind| kind.is_dir()) && holds_only(root, &path, paths)
    });
    any && all
}
