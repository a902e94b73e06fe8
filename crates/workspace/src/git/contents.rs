//! What every file of the work tree holds now: git's blob ids where the index is right, else what git would call the
//! content on disk.
//!
//! Invariant: an edited file has the same digest before and after `git add` and `git commit`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use super::Snapshot;
use super::run::Git;
use crate::{Hasher, digest};

/// What the files of a work tree hold.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Tracked and untracked files that exist, absolute, and a digest of each: its mode, and git's id of its bytes.
    /// Where git converts a file (line endings, LFS), its digest changes when it is staged.
    pub files: BTreeMap<Utf8PathBuf, String>,
    /// Ignored files, absolute; not those in folders that are ignored as a whole.
    pub ignored: Vec<Utf8PathBuf>,
}

/// The mode that git gives a symbolic link.
const LINK_MODE: &str = "120000 ";

impl Snapshot {
    pub(super) fn contents(&self) -> Result<Contents> {
        let mut files = self
            .index
            .iter()
            .map(|entry| (entry.path.clone(), entry.content.clone()))
            .collect::<BTreeMap<_, _>>();
        // Links are always read from disk, as git would take the content of what they lead to.
        let from_disk =
            self.index.iter().filter(|entry| entry.unwatched || entry.content.starts_with(LINK_MODE));
        let mut on_disk = OnDisk::default();
        for path in self.status.not_as_index.iter().chain(from_disk.map(|entry| &entry.path)) {
            files.remove(path);
            on_disk.add(path)?;
        }
        files.extend(on_disk.links);
        files.extend(blobs(&self.git, on_disk.plain)?);
        let ignored = self.status.ignored.iter().filter(|path| path.is_file()).cloned().collect();
        Ok(Contents { files, ignored })
    }
}

/// Files that are looked at on disk.
#[derive(Default)]
struct OnDisk {
    /// Links, with their digests.
    links: BTreeMap<Utf8PathBuf, String>,
    /// Other files, with the modes that git would give them.
    plain: BTreeMap<Utf8PathBuf, &'static str>,
}

impl OnDisk {
    /// Adds the file, or all files of the folder (a submodule, a repository inside this one); nothing where there
    /// is nothing. Follows no link.
    fn add(&mut self, path: &Utf8Path) -> Result<()> {
        let reading = || format!("failed to read {path}");
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(error).with_context(reading),
        };
        if metadata.is_dir() {
            for entry in path.read_dir_utf8().with_context(reading)? {
                let entry = entry.with_context(reading)?;
                if entry.file_name() != ".git" {
                    self.add(entry.path())?;
                }
            }
        } else if metadata.is_symlink() {
            let target = fs::read_link(path).with_context(reading)?;
            self.links.insert(
                path.to_owned(),
                format!("{LINK_MODE}{}", digest(target.to_string_lossy().as_bytes())),
            );
        } else if metadata.is_file() {
            self.plain.insert(path.to_owned(), mode(&metadata));
        }
        Ok(())
    }
}

/// The mode and blob id of each file, as the index would have them.
fn blobs(git: &Git, files: BTreeMap<Utf8PathBuf, &'static str>) -> Result<BTreeMap<Utf8PathBuf, String>> {
    let mut contents = BTreeMap::new();
    // Git takes one path a line. Such a name is rare enough for a digest that `git add` changes.
    let (of_git, of_ours) =
        files.into_iter().partition::<Vec<_>, _>(|(path, _)| !path.as_str().contains('\n'));
    for (path, mode) in of_ours {
        let bytes = fs::read(&path).with_context(|| format!("failed to read {path}"))?;
        contents.insert(path, format!("{mode} {}", digest(bytes)));
    }
    if of_git.is_empty() {
        return Ok(contents);
    }
    let list = of_git.iter().flat_map(|(path, _)| [path.as_str(), "\n"]).collect::<String>();
    // Without filters: no program of the user's configuration is started.
    let ids = git.run_for(&["hash-object", "--no-filters", "--stdin-paths"], &list)?;
    let ids = String::from_utf8_lossy(&ids);
    ensure!(ids.lines().count() == of_git.len(), "`git hash-object` did not answer for every file");
    let with_id = |((path, mode), id)| (path, format!("{mode} {id}"));
    contents.extend(of_git.into_iter().zip(ids.lines()).map(with_id));
    Ok(contents)
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::PermissionsExt;
    if metadata.permissions().mode() & 0o100 == 0 { "100644" } else { "100755" }
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> &'static str {
    "100644"
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
