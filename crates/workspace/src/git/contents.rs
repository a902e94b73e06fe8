//! What every file of the work tree holds now: git's blob ids where the index is right, else the content on
//! disk.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::Snapshot;
use crate::{Hasher, digest};

/// What the files of a work tree hold.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Tracked and untracked files that exist, absolute, and a digest of each. Whether a file is edited,
    /// staged or committed changes its digest: that costs a comparison, never a false sameness.
    pub files: BTreeMap<Utf8PathBuf, String>,
    /// Ignored files, absolute; not those in folders that are ignored as a whole.
    pub ignored: Vec<Utf8PathBuf>,
}

impl Snapshot {
    pub(super) fn contents(&self) -> Result<Contents> {
        let mut files = self
            .index
            .iter()
            .map(|entry| (entry.path.clone(), entry.content.clone()))
            .collect::<BTreeMap<_, _>>();
        let unwatched = self.index.iter().filter(|entry| entry.unwatched).map(|entry| &entry.path);
        for path in self.status.not_as_index.iter().chain(unwatched) {
            files.remove(path);
            add_from_disk(path, &mut files)?;
        }
        let ignored = self.status.ignored.iter().filter(|path| path.is_file()).cloned().collect();
        Ok(Contents { files, ignored })
    }
}

/// Adds the file, or all files of the folder (a submodule, a repository inside this one); nothing where there
/// is nothing. Follows no link.
fn add_from_disk(path: &Utf8Path, files: &mut BTreeMap<Utf8PathBuf, String>) -> Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("failed to read {path}")),
    };
    if metadata.is_dir() {
        for entry in path.read_dir_utf8().with_context(|| format!("failed to read folder {path}"))? {
            let entry = entry.with_context(|| format!("failed to read folder {path}"))?;
            if entry.file_name() != ".git" {
                add_from_disk(entry.path(), files)?;
            }
        }
        return Ok(());
    }
    let content = if metadata.is_symlink() {
        fs::read_link(path).map(|target| digest(target.to_string_lossy().as_bytes()))
    } else {
        fs::read(path).map(digest)
    };
    let content = content.with_context(|| format!("failed to read {path}"))?;
    files.insert(path.to_owned(), format!("disk {}{content}", executable(&metadata)));
    Ok(())
}

#[cfg(unix)]
fn executable(metadata: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::PermissionsExt;
    if metadata.permissions().mode() & 0o111 == 0 { "" } else { "x " }
}

#[cfg(not(unix))]
fn executable(_: &fs::Metadata) -> &'static str {
    ""
}

/// A digest of names, sizes and modification times of a file, or of all that a folder holds: changes when
/// they are written, without reading them. `None` when there is nothing.
pub fn stamp(path: &Utf8Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let mut hasher = Hasher::new();
    if metadata.is_dir() {
        let entries = path.read_dir_utf8().ok()?.flatten();
        let mut names = entries.map(|entry| entry.file_name().to_owned()).collect::<Vec<_>>();
        names.sort();
        for name in names {
            let below = path.join(&name);
            // Through a link a folder may hold itself; the link's own stamp is enough for its name.
            let inner = if below.is_symlink() && below.is_dir() { None } else { stamp(&below) };
            hasher.field(name).optional(inner);
        }
    } else {
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        hasher.field(format!("{} {}", metadata.len(), modified.as_nanos()));
    }
    Some(hasher.finish().to_string())
}
