//! Undoing edits later, when the files may have changed since.
//!
//! Invariant: a file that nobody has changed since gets its old bytes back, bit for bit. In one that somebody has
//! changed, every byte of theirs survives, or the file is left as it is.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use toml_edit::Value;
use xtask_workspace::{Digest, digest};

use crate::TomlText;
use crate::diff::{Change, Fit, apply, changes};
use crate::edit::{Edit, Node, check_relative, missing_parents};

/// How the change of one file is undone. It goes into a committed JSON file, so it holds no more than that needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Reversal {
    /// A file that did not exist before.
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
        /// What makes the old text from the new one.
        back: Vec<Change>,
        /// The same by meaning, for TOML in which these lines have changed since.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inverses: Vec<Inverse>,
        /// Of the old bytes.
        before: Digest,
        /// Of the new bytes.
        after: Digest,
    },
}

/// How one change of meaning in TOML is undone: only what the change had added is removed, and only where it still is
/// as it was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inverse {
    /// The key was set to this value. All values here are TOML.
    Set {
        /// The keys that lead there.
        path: Vec<String>,
        /// What it was set to.
        value: String,
        /// What it was before, if it existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
    /// The element was added to an array.
    Pull {
        /// The keys that lead to the array.
        path: Vec<String>,
        /// The element.
        value: String,
    },
    /// The table was added, with a header of its own.
    Drop {
        /// The keys that lead there.
        path: Vec<String>,
    },
}

/// Whether these are the bytes with that digest, or the same lines with other ends: git may give a text those of another
/// system in the next clone (`core.autocrlf`), which is no change that anybody made.
pub fn is_same_text(bytes: &[u8], written: &Digest) -> bool {
    let text = || std::str::from_utf8(bytes).map(lf);
    digest(bytes) == *written
        || text().is_ok_and(|text| [digest(&text), digest(crlf(&text))].contains(written))
}

fn lf(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn crlf(lf: &str) -> String {
    lf.replace('\n', "\r\n")
}

/// How edits will be undone.
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
    /// A phrase that continues the path: `was removed since`.
    pub why: String,
}

/// `record` with how to undo `edits` too, which are about to be made below `root`: each file is in it once, with the
/// way back to its first state. Where somebody has changed a file so that there is no such way, the earlier record
/// stays. What `is_own` names did not exist before the first of all changes.
pub fn extend(
    mut record: Vec<Reversal>,
    edits: &[Edit],
    root: &Utf8Path,
    is_own: impl Fn(&Utf8Path) -> bool,
) -> Result<Vec<Reversal>> {
    for edit in edits {
        let Some(at) = record.iter().position(|earlier| earlier.path() == edit.path) else {
            record.extend(reversals(edit)?);
            continue;
        };
        let mut back = plan_undo(root, &record[at..=at])?;
        let before = match back.edits.pop() {
            _ if is_own(&edit.path) => None,
            Some(back) => back.after,
            None if back.kept.is_empty() => edit.before.clone(),
            None => continue,
        };
        record.splice(at..=at, reversals(&Edit { before, ..edit.clone() })?);
    }
    Ok(record)
}

/// How `edit` is undone, file by file. Fails where a file that existed is removed or is not text.
fn reversals(edit: &Edit) -> Result<Vec<Reversal>> {
    let files = |node: &'_ Option<Node>| {
        let files = node.iter().flat_map(|node| node.files(&edit.path));
        files.map(|(path, bytes)| (path, bytes.to_vec())).collect::<BTreeMap<_, _>>()
    };
    let mut old = files(&edit.before);
    let mut reversals = Vec::new();
    for (path, new) in files(&edit.after) {
        let after = digest(&new);
        match (old.remove(&path), String::from_utf8(new)) {
            (Some(old), Ok(new)) if old == new.as_bytes() => {}
            (None, new) => {
                // Users add keys of their own to a configuration of cargo's that was made here.
                let shared = new.ok().filter(|_| path.starts_with(".cargo"));
                let inverses = shared.map(|new| inverses("", &new)).unwrap_or_default();
                reversals.push(Reversal::Created { path, digest: after, inverses });
            }
            (Some(old), new) => {
                let before = digest(&old);
                let (Ok(old), Ok(new)) = (String::from_utf8(old), new) else {
                    bail!("{path} is not UTF-8, so its change could not be undone")
                };
                let (back, inverses) = (changes(&new, &old), inverses(&old, &new));
                reversals.push(Reversal::Edited { path, back, inverses, before, after });
            }
        }
    }
    match old.into_keys().next() {
        Some(path) => bail!("{path} would be removed, which could not be undone"),
        None => Ok(reversals),
    }
}

/// How to undo what `reversals` say, given the files below `root` now. Changes nothing.
///
/// What is already as it was before is left out.
pub fn plan_undo(root: &Utf8Path, reversals: &[Reversal]) -> Result<UndoPlan> {
    let mut plan = UndoPlan { edits: Vec::new(), kept: Vec::new() };
    for reversal in reversals {
        let path = reversal.path();
        check_relative(path)?;
        let now = missing_parents(root, path).and_then(|_| Node::read(&root.join(path)));
        let old = match &now {
            Err(error) => Err(format!("cannot be read: {error:#}")),
            Ok(Some(Node::Folder(_))) => Err("is a folder now".to_owned()),
            Ok(Some(Node::File(now))) => reversal.undone(now).map_err(str::to_owned),
            Ok(None) if matches!(reversal, Reversal::Created { .. }) => Ok(None),
            Ok(None) => Err("was removed since".to_owned()),
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
    /// The file, relative to the root.
    pub fn path(&self) -> &Utf8Path {
        match self {
            Self::Created { path, .. } | Self::Edited { path, .. } => path,
        }
    }

    /// What the file with the bytes `now` becomes, or why it cannot be undone.
    fn undone(&self, now: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        if matches!(self, Self::Created { digest, .. } if is_same_text(now, digest)) {
            return Ok(None);
        }
        let text = std::str::from_utf8(now).map_err(|_| "was changed since and is not UTF-8")?;
        match self {
            Self::Created { inverses, .. } => {
                let left = by_meaning(text, inverses).filter(|left| left != text);
                let left = left.ok_or("was changed since it was created")?;
                Ok((!left.trim().is_empty()).then(|| left.into_bytes()))
            }
            Self::Edited { before, .. } if is_same_text(now, before) => Ok(Some(now.to_vec())),
            Self::Edited { back, before, after, .. } if is_same_text(now, after) => {
                let old = if digest(now) == *after {
                    apply(text, back, Fit::Here).filter(|old| digest(old) == *before)
                } else {
                    let old = with_other_ends(text, back, Fit::Here);
                    old.filter(|old| is_same_text(old.as_bytes(), before))
                };
                let old = old.ok_or("cannot be restored: the record of the change is damaged")?;
                Ok(Some(old.into_bytes()))
            }
            Self::Edited { back, inverses, .. } => {
                let left = apply(text, back, Fit::Anywhere);
                let left = left.or_else(|| with_other_ends(text, back, Fit::Anywhere));
                let left = left.or_else(|| by_meaning(text, inverses));
                Ok(Some(left.ok_or("was changed since, in the same lines")?.into_bytes()))
            }
        }
    }
}

/// [`apply`] where all lines have got other ends since `changes` were made; the result has those of `text`.
fn with_other_ends(text: &str, changes: &[Change], fit: Fit) -> Option<String> {
    let ends = text.split_inclusive('\n').map(|line| line.ends_with("\r\n"));
    let is_crlf = ends.clone().any(|crlf| crlf);
    // Where they differ, there would be no telling which is whose. The last line may have none.
    if is_crlf && ends.filter(|crlf| !crlf).count() > usize::from(!text.ends_with('\n')) {
        return None;
    }
    let changes = changes.iter().map(|change| change.with(lf)).collect::<Vec<_>>();
    let result = apply(&lf(text), &changes, fit)?;
    Some(if is_crlf { crlf(&result) } else { result })
}

/// Removes a folder as a whole where the edits remove everything in it: git does not know empty folders, so it came
/// with those files.
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

/// How to undo the change from `old` to `new` by meaning; empty where either is not TOML, or where these inverses
/// cannot express it.
fn inverses(old: &str, new: &str) -> Vec<Inverse> {
    let mut found = Vec::new();
    if let (Ok(old), Ok(new)) = (TomlText::parse(old), TomlText::parse(new)) {
        compare(&old, &new, &mut Vec::new(), &mut found);
        let back = by_meaning(new.text(), &found).and_then(|back| TomlText::parse(&back).ok());
        if back.is_none_or(|back| !back.means_the_same(&old)) {
            found.clear();
        }
    }
    found
}

fn compare(old: &TomlText, new: &TomlText, path: &mut Vec<String>, found: &mut Vec<Inverse>) {
    for key in new.keys(&keys(path)) {
        path.push(key);
        let at = keys(path);
        let (before, value) = (old.value(&at), new.value(&at));
        let was_there = old.contains(&at);
        let path_here = path.clone();
        match (before, value) {
            (_, None) => {
                compare(old, new, path, found);
                if !was_there {
                    found.push(Inverse::Drop { path: path_here });
                }
            }
            // A table that became a value.
            (None, Some(_)) if was_there => {}
            (before, Some(value)) => {
                let added = before.as_ref().and_then(|before| appended(before, &value));
                if let Some(elements) = added {
                    let pull = |value| Inverse::Pull { path: path_here.clone(), value };
                    found.extend(elements.into_iter().map(pull));
                } else {
                    let before = before.as_ref().map(written);
                    let value = written(&value);
                    if before.as_ref() != Some(&value) {
                        found.push(Inverse::Set { path: path_here, value, before });
                    }
                }
            }
        }
        path.pop();
    }
}

fn keys(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// The value alone, without the blanks and comments around it.
fn written(value: &Value) -> String {
    value.clone().decorated("", "").to_string()
}

/// The elements that were added at the end of an array, when that is the whole difference.
fn appended(before: &Value, after: &Value) -> Option<Vec<String>> {
    let elements = |value: &Value| Some(value.as_array()?.iter().map(written).collect::<Vec<_>>());
    let (before, mut after) = (elements(before)?, elements(after)?);
    let added = after.split_off(before.len().min(after.len()));
    (before == after).then_some(added)
}

/// `now` after `inverses`. `None` where there are no inverses, or where one of them cannot be applied.
fn by_meaning(now: &str, inverses: &[Inverse]) -> Option<String> {
    let mut toml = TomlText::parse(now).ok().filter(|_| !inverses.is_empty())?;
    inverses.iter().all(|inverse| invert(&mut toml, inverse)).then(|| toml.text().to_owned())
}

/// Whether nothing of a change is left then.
fn invert(toml: &mut TomlText, inverse: &Inverse) -> bool {
    match inverse {
        Inverse::Set { path, value, before } => {
            let path = keys(path);
            let is_same = toml.value(&path).is_some_and(|now| written(&now) == *value);
            let result = match before {
                _ if !is_same => return true,
                Some(before) => toml.set(&path, before),
                None => toml.remove(&path).map(drop),
            };
            result.is_ok()
        }
        // Of two equal elements it is not known which one was added.
        Inverse::Pull { path, value } => {
            let _ = toml.pull(&keys(path), value);
            !matches!(toml.clone().pull(&keys(path), value), Ok(true))
        }
        // A table that others have written to stays.
        Inverse::Drop { path } => {
            let _ = toml.remove_empty_table(&keys(path));
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before, after, what others made of it since, and what is left when the change is taken back.
    const TABLE: [(&str, &str, &str, &str); 6] = [
        (
            "[workspace]\nmembers = [\"a\"]\n",
            "[workspace]\nmembers = [\"a\", \"x\"]\n",
            "[workspace]\nmembers = [\"a\", \"x\", \"b\"] # more\n",
            "[workspace]\nmembers = [\"a\", \"b\"] # more\n",
        ),
        (
            "[workspace]\nmembers = [\n    \"a\",\n]\n",
            "[workspace]\nmembers = [\n    \"a\",\n    \"x\",\n]\n",
            "[workspace]\nmembers = [\n    \"a\",\n    \"b\",\n    \"x\",\n    \"c\",\n]\n",
            "[workspace]\nmembers = [\n    \"a\",\n    \"b\",\n    \"c\",\n]\n",
        ),
        (
            "[dependencies]\n",
            "[dependencies]\n\n[workspace]\nmembers = [\"x\"]\n",
            "[dependencies]\nlibc = \"1\"\n\n[workspace]\nmembers = [\"x\"]\n",
            "[dependencies]\nlibc = \"1\"\n",
        ),
        (
            "",
            "[alias]\nx = \"run\"\ny = \"x\"\n",
            "[alias]\nx = \"run\"\nmine = \"b\"\ny = \"x\"\n",
            "[alias]\nmine = \"b\"\n",
        ),
        (
            "",
            "[alias]\nx = \"run\"\n\n[profile.x]\ndebug = false\n",
            "[alias]\nmine = \"b\"\nx = \"run\"\n\n[profile.x]\n# Mine.\ndebug = false\n",
            "[alias]\nmine = \"b\"\n# Mine.\n",
        ),
        ("a = 1\n", "a = 2\n", "# new\na = 2 # two\n", "# new\na = 1 # two\n"),
    ];

    #[test]
    fn what_others_have_added_survives() {
        for (before, after, now, left) in TABLE {
            let found = by_meaning(now, &inverses(before, after));
            assert_eq!(found.as_deref(), Some(left), "{now}");
        }
    }

    #[test]
    fn half_of_it_is_not_taken_back() {
        let inverses = inverses("a = []\n", "a = [\"x\"]\nb = 1\n");
        assert_eq!(by_meaning("a = [\"x\"] #\nb = 1\n", &inverses).as_deref(), Some("a = [] #\n"));
        // Which of the two is ours cannot be told.
        assert_eq!(by_meaning("a = [\"x\", \"x\"]\nb = 1\n", &inverses), None);
        // A key that went is not among what can be said.
        assert_eq!(super::inverses("a = []\nb = 1\n", "a = [\"x\"]\n"), []);
    }

    #[test]
    fn what_somebody_made_their_own_stays() {
        let inverses = inverses("b = 1\n", "b = 1\n[alias]\nx = \"run\"\n");
        let theirs = "b = 2\n[alias]\nx = \"mine\"\n";
        assert_eq!(by_meaning(theirs, &inverses).as_deref(), Some(theirs));
        // However it is written.
        assert_eq!(by_meaning("b = 2\nalias.x = \"run\"\n", &inverses).as_deref(), Some("b = 2\n"));
    }
}
