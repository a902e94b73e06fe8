//! What `adopt` wrote into a workspace, in a file beside the launcher: so that a later one, in any clone, can bring it up
//! to date or take it back.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtask_edit::{Kept, Reversal, UndoPlan, is_same_text};
use xtask_workspace::{Digest, Environment, Outline, WrongUsage, digest};

use crate::format_1::upgrade;

/// The launcher's folder and package; the second is for a workspace that has an `xtask` of its own.
pub(crate) const LAUNCHERS: [&str; 2] = ["xtask", "xtask-launcher"];

/// The file's name, in the launcher's folder.
pub(crate) const FILE_NAME: &str = "adopted.json";
/// Raised when an older suite would misread the file.
const FORMAT: u32 = 2;

/// What was adopted, and how it is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Adopted {
    /// The suite's version.
    pub version: String,
    /// How the suite is there.
    pub how: How,
    /// How each file is taken back, in the order they were written.
    pub undo: Vec<Reversal>,
}

/// The file. Most of it is about files that were made, so those are listed by folder.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    version: String,
    how: How,
    /// Each with the digest of its bytes. Format 1 has them below `undo`.
    #[serde(default)]
    created: BTreeMap<Utf8PathBuf, BTreeMap<Utf8PathBuf, Digest>>,
    undo: Vec<Reversal>,
}

/// How the suite is in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Its sources are in the repository.
    Vendored {
        /// Where they came from.
        url: String,
        /// The commit; `None` where the clone had no git.
        revision: Option<String>,
        /// Whether the clone had edits that are in no commit.
        edited: bool,
    },
    /// It is built from a clone on this machine.
    Path {
        /// The clone.
        path: Utf8PathBuf,
    },
    /// Cargo fetches it.
    Git {
        /// The repository.
        url: String,
        /// The commit, tag or branch.
        rev: String,
    },
}

impl How {
    /// In a sentence: `vendored from URL at REV`.
    pub fn describe(&self) -> String {
        match self {
            Self::Vendored { url, revision, edited } => {
                let at = revision.as_ref().map(|rev| format!(" at {}", short(rev)));
                let edited = if *edited { " with edits that were not committed there" } else { "" };
                format!("vendored from {url}{}{edited}", at.unwrap_or_default())
            }
            Self::Path { path } => format!("built from the clone in {path}"),
            Self::Git { url, rev } => format!("fetched by cargo from {url} at {rev}"),
        }
    }
}

/// A commit as people write it.
pub fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}

impl Adopted {
    /// The file's text: JSON with a line for each file, so that a diff shows what an update changed.
    pub(crate) fn to_text(&self) -> Result<String> {
        let Self { version, how, undo } = self.clone();
        let mut stored = Stored { format: FORMAT, version, how, created: BTreeMap::new(), undo: Vec::new() };
        for reversal in undo {
            match reversal {
                Reversal::Created { path, digest, inverses } if inverses.is_empty() => {
                    let (dir, name) = (path.parent().unwrap_or(&path), path.file_name().unwrap_or_default());
                    stored.created.entry(dir.to_owned()).or_default().insert(name.into(), digest);
                }
                other => stored.undo.push(other),
            }
        }
        Ok(serde_json::to_string_pretty(&stored).context("failed to write JSON")? + "\n")
    }

    fn of(stored: Stored) -> Self {
        let created = stored.created.into_iter().flat_map(|(dir, files)| {
            files.into_iter().map(move |(name, digest)| Reversal::Created {
                path: dir.join(name),
                digest,
                inverses: Vec::new(),
            })
        });
        Self { version: stored.version, how: stored.how, undo: created.chain(stored.undo).collect() }
    }

    /// The suite's own files that are no longer as they were written, or gone. They are relative to the root.
    pub fn changed_here(&self, root: &Utf8Path, launcher: &str) -> Vec<Utf8PathBuf> {
        let changed = self.own_files(launcher).filter(|(path, written)| {
            std::fs::read(root.join(path)).map_or(true, |bytes| !is_same_text(&bytes, written))
        });
        changed.map(|(path, _)| path.to_owned()).collect()
    }

    /// The files that belong to the suite, with their digests as they were written.
    pub fn own_files(&self, launcher: &str) -> impl Iterator<Item = (&Utf8Path, &Digest)> {
        self.undo.iter().filter_map(move |reversal| match reversal {
            Reversal::Created { path, digest, .. } if is_own(path, launcher) => {
                Some((path.as_path(), digest))
            }
            _ => None,
        })
    }
}

/// Whether a file belongs to the suite: it is in the launcher's folder, but not one of the tasks, which are the workspace's,
/// nor the lock file, which changes with the tasks' dependencies.
pub(crate) fn is_own(path: &Utf8Path, launcher: &str) -> bool {
    path.strip_prefix(launcher)
        .is_ok_and(|inside| !inside.starts_with("tasks") && inside != Utf8Path::new("suite/Cargo.lock"))
}

/// What was adopted at `root`, with the launcher's folder. Fails as wrong usage if a newer suite wrote the record, or it is
/// damaged.
pub fn find_adopted(root: &Utf8Path) -> Result<Option<(&'static str, Adopted)>> {
    for launcher in LAUNCHERS {
        let path = Utf8Path::new(launcher).join(FILE_NAME);
        let Some(text) = read_text(root, &path)? else { continue };
        let stored = serde_json::from_str::<Value>(&text).and_then(|mut record| {
            if record["format"] == 1 {
                upgrade(&mut record);
            }
            serde_json::from_value::<Stored>(record)
        });
        let stored = stored.map_err(|error| {
            let path = root.join(&path);
            WrongUsage(format!(
                "{path} cannot be read: {error}\n  next: restore it from your version control"
            ))
        })?;
        if stored.format > FORMAT {
            let (path, version) = (root.join(path), stored.version);
            bail!(WrongUsage(format!(
                "{path} was written by xtask-suite {version}, which this one does not understand"
            )));
        }
        return Ok(Some((launcher, Adopted::of(stored))));
    }
    Ok(None)
}

/// The text of `path` below `root`; `None` if there is no file. Fails as wrong usage if it is not UTF-8.
pub(crate) fn read_text(root: &Utf8Path, path: &Utf8Path) -> Result<Option<String>> {
    let path = root.join(path);
    match std::fs::read(&path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(WrongUsage(format!("{path} is not UTF-8, so it cannot be edited")).into()),
        },
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                && !path.is_symlink() =>
        {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
    }
}

/// What brings every byte below `root` back that `adopt` changed, in the order that keeps it building: first the
/// launcher stops being a member.
pub fn plan_undo(root: &Utf8Path, launcher: &str, adopted: &Adopted) -> Result<UndoPlan> {
    // The last change first. The record itself was made along with the first.
    let record = Utf8Path::new(launcher).join(FILE_NAME);
    let written = digest(std::fs::read(root.join(&record))?);
    let record = Reversal::Created { path: record, digest: written, inverses: Vec::new() };
    let mut reversals = adopted.undo.iter().rev().cloned().chain([record]).collect::<Vec<_>>();
    let mut plan = xtask_edit::plan_undo(root, &reversals)?;
    // The record stays as long as a file that existed before cannot be taken back.
    let was_there = |path: &Utf8Path| {
        let made = |reversal: &Reversal| matches!(reversal, Reversal::Created { .. });
        reversals.iter().any(|reversal| reversal.path() == path && !made(reversal))
    };
    if plan.kept.iter().any(|kept| was_there(&kept.path)) {
        reversals.pop();
        plan = xtask_edit::plan_undo(root, &reversals)?;
    }
    // What was put beside the tasks is in no record, and stays.
    let mut tasks = Vec::new();
    files_below(root, &Utf8Path::new(launcher).join("tasks"), &mut tasks);
    tasks.retain(|path| adopted.undo.iter().all(|reversal| reversal.path() != path));
    tasks.sort();
    let kept = tasks.into_iter().map(|path| Kept { path, why: "adopt did not create it".to_owned() });
    plan.kept.extend(kept);
    Ok(plan)
}

/// Adds the files below `dir`, which is relative to `root` as they are.
fn files_below(root: &Utf8Path, dir: &Utf8Path, files: &mut Vec<Utf8PathBuf>) {
    for entry in root.join(dir).read_dir_utf8().into_iter().flatten().flatten() {
        let path = dir.join(entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_below(root, &path, files);
        } else {
            files.push(path);
        }
    }
}

/// Removes the target dir that cargo made in the suite's folder, if it was called there: it would keep the folder.
pub fn remove_target_dir(root: &Utf8Path, launcher: &str) -> Result<()> {
    let target = root.join(launcher).join("suite/target");
    // Cargo's mark: the folder is a cache.
    if target.join("CACHEDIR.TAG").is_file() { xtask_files::remove_dir(&target) } else { Ok(()) }
}

/// Fails if cargo cannot read the workspace, or still sees the launcher in it.
pub fn without_launcher(root: &Utf8Path, launcher: &str, environment: &Environment) -> Result<()> {
    if Outline::of(root, environment)?.facts.launcher().is_some_and(|found| found.name == launcher) {
        bail!("cargo would still see the member `{launcher}`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_edit::Inverse;

    #[test]
    fn the_text_is_what_is_read_and_that_of_format_1_is_read_too() {
        let drop = || vec![Inverse::Drop { path: vec!["alias".to_owned()] }];
        let created =
            |path: &str, inverses| Reversal::Created { path: path.into(), digest: digest(path), inverses };
        let how = How::Git { url: "https://example.com/\"x\"".to_owned(), rev: "main".to_owned() };
        let files = [created("a b", Vec::new()), created("x/c", Vec::new()), created("x/y/a", Vec::new())];
        for undo in [Vec::new(), [&files[..], &[created(".cargo/config.toml", drop())]].concat()] {
            let adopted = Adopted { version: "0.1.0".to_owned(), how: how.clone(), undo };
            let text = adopted.to_text().unwrap();
            assert_eq!(Adopted::of(serde_json::from_str(&text).unwrap()), adopted, "{text}");
            let Adopted { version, how, undo } = &adopted;
            let first = serde_json::json!({ "format": 1, "version": version, "how": how, "undo": undo });
            assert_eq!(Adopted::of(serde_json::from_value(first).unwrap()), adopted);
        }
    }
}
