//! What `adopt` wrote into a workspace, in a file beside the launcher: so that a later one, in any clone, can
//! bring it up to date or take it back.

use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_edit::Reversal;
use xtask_workspace::{Digest, WrongUsage, digest};

/// The launcher's folder and package; the second is for a workspace that has an `xtask` of its own.
pub(crate) const LAUNCHERS: [&str; 2] = ["xtask", "xtask-launcher"];

/// The file's name, in the launcher's folder.
pub(crate) const FILE_NAME: &str = "adopted.json";
/// Raised when an older suite would misread the file.
const FORMAT: u32 = 1;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adopted {
    format: u32,
    /// The suite's version.
    pub version: String,
    /// How the suite is there.
    pub how: How,
    /// How each file is taken back, in the order they were written.
    pub undo: Vec<Reversal>,
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
    /// A record of the suite of that version.
    pub fn new(version: String, how: How, undo: Vec<Reversal>) -> Self {
        Self { format: FORMAT, version, how, undo }
    }

    /// The same with another way back.
    pub(crate) fn with_undo(self, undo: Vec<Reversal>) -> Self {
        Self { undo, ..self }
    }

    /// The file's text: JSON with a line for each file, so that a diff shows what an update changed.
    pub fn to_text(&self) -> Result<String> {
        let Self { format, version, how, undo } = self;
        let files = undo.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        let [version, how] = [serde_json::to_string(version), serde_json::to_string(how)];
        let text = files.and_then(|files| {
            Ok(format!(
                "{{\n\"format\": {format},\n\"version\": {},\n\"how\": {},\n\"undo\": [\n{}\n]\n}}\n",
                version?,
                how?,
                files.join(",\n")
            ))
        });
        text.context("failed to write JSON")
    }

    /// The suite's own files that are no longer as they were written, or gone. They are relative to the root.
    pub fn changed_here(&self, root: &Utf8Path, launcher: &str) -> Vec<Utf8PathBuf> {
        let own = self.own_files(launcher);
        let changed = own.filter(|(path, written)| {
            std::fs::read(root.join(path)).map_or(true, |bytes| digest(bytes) != **written)
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

/// Whether a file belongs to the suite: what is in the launcher's folder, but for the tasks, which are the
/// workspace's, and the lock file, which changes with the tasks' dependencies.
pub(crate) fn is_own(path: &Utf8Path, launcher: &str) -> bool {
    path.strip_prefix(launcher)
        .is_ok_and(|inside| !inside.starts_with("tasks") && inside != Utf8Path::new("suite/Cargo.lock"))
}

/// The record of what was adopted at `root` with the launcher in the folder `launcher`; `None` where nothing
/// was. Fails as wrong usage where a newer suite wrote it, or it is damaged.
fn read(root: &Utf8Path, launcher: &str) -> Result<Option<Adopted>> {
    let path = Utf8Path::new(launcher).join(FILE_NAME);
    let Some(text) = read_text(root, &path)? else { return Ok(None) };
    let path = root.join(path);
    let next = "restore it from your version control";
    let damaged = |error| WrongUsage(format!("{path} cannot be read: {error}\n  next: {next}"));
    let adopted: Adopted = serde_json::from_str(&text).map_err(damaged)?;
    if adopted.format != FORMAT {
        let version = adopted.version;
        let message =
            format!("{path} was written by xtask-suite {version}, which this one does not understand");
        return Err(WrongUsage(message).into());
    }
    Ok(Some(adopted))
}

/// What was adopted at `root`, with the launcher's folder.
pub fn find_adopted(root: &Utf8Path) -> Result<Option<(&'static str, Adopted)>> {
    for launcher in LAUNCHERS {
        if let Some(adopted) = read(root, launcher)? {
            return Ok(Some((launcher, adopted)));
        }
    }
    Ok(None)
}

/// The text of `path` below `root`; `None` where there is none. Fails as wrong usage where it is not UTF-8.
pub(crate) fn read_text(root: &Utf8Path, path: &Utf8Path) -> Result<Option<String>> {
    let path = root.join(path);
    match std::fs::read(&path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(WrongUsage(format!("{path} is not UTF-8, so it cannot be edited")).into()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_edit::Inverse;

    #[test]
    fn the_text_is_what_is_read() {
        let created = |path: &str| Reversal::Created {
            path: path.into(),
            digest: digest(path),
            inverses: vec![Inverse::Drop { path: vec!["alias".to_owned()] }],
        };
        let how = How::Git { url: "https://example.com/\"x\"".to_owned(), rev: "main".to_owned() };
        for undo in [Vec::new(), vec![created("a b"), created("c")]] {
            let adopted = Adopted::new("0.1.0".to_owned(), how.clone(), undo);
            let text = adopted.to_text().unwrap();
            assert_eq!(serde_json::from_str::<Adopted>(&text).unwrap(), adopted, "{text}");
        }
    }
}
