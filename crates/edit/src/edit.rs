//! What an edit is made of, and where it may act: below the root, through real folders only.
//!
//! Invariant: no path that passes these checks leads out of the root, nor into the journal.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use xtask_workspace::{Digest, Hasher, WrongUsage};

use crate::journal;

/// What is, or will be, at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// The bytes of one file. A file that is replaced keeps owner and mode.
    File(Vec<u8>),
    /// A folder with all its files, by their paths in it. Empty folders in it do not count.
    Folder(BTreeMap<Utf8PathBuf, Vec<u8>>),
}

/// The change of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Relative to the root folder of the transaction.
    pub path: Utf8PathBuf,
    /// What the plan found there.
    pub before: Option<Node>,
    /// What will be there.
    pub after: Option<Node>,
}

impl Edit {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }
}

impl Node {
    /// A file.
    pub fn file(bytes: impl Into<Vec<u8>>) -> Self {
        Self::File(bytes.into())
    }

    /// What is at `path`, if anything. Fails for a link, also one in the folder, and for anything else that is
    /// neither a file nor a folder.
    pub fn read(path: &Utf8Path) -> Result<Option<Self>> {
        let Some(metadata) = metadata(path)? else { return Ok(None) };
        if !metadata.is_dir() {
            return Ok(Some(Self::File(read_file(path, &metadata)?)));
        }
        let mut files = BTreeMap::new();
        read_folder(path, Utf8Path::new(""), &mut files)?;
        Ok(Some(Self::Folder(files)))
    }

    /// All files of a node that is at `path`.
    pub(crate) fn files<'a>(&'a self, path: &Utf8Path) -> BTreeMap<Utf8PathBuf, &'a [u8]> {
        match self {
            Self::File(bytes) => BTreeMap::from([(path.to_owned(), bytes.as_slice())]),
            Self::Folder(files) => {
                files.iter().map(|(name, bytes)| (path.join(name), bytes.as_slice())).collect()
            }
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.field(if self.is_file() { "file" } else { "folder" });
        for (path, bytes) in self.files(Utf8Path::new("")) {
            hasher.field(path.as_str()).field(bytes);
        }
        hasher.finish()
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// Of what is at `path` itself, be it a link; `None` when nothing is.
pub(crate) fn metadata(path: &Utf8Path) -> Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        other => other.map(Some).with_context(|| format!("failed to read {path}")),
    }
}

fn read_folder(folder: &Utf8Path, name: &Utf8Path, files: &mut BTreeMap<Utf8PathBuf, Vec<u8>>) -> Result<()> {
    let failed = || format!("failed to read folder {folder}");
    for entry in folder.read_dir_utf8().with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let (path, name) = (entry.path(), name.join(entry.file_name()));
        let metadata = fs::symlink_metadata(path).with_context(|| format!("failed to read {path}"))?;
        if metadata.is_dir() {
            read_folder(path, &name, files)?;
        } else {
            files.insert(name, read_file(path, &metadata)?);
        }
    }
    Ok(())
}

fn read_file(path: &Utf8Path, metadata: &fs::Metadata) -> Result<Vec<u8>> {
    if metadata.is_symlink() {
        let message = format!("{path} is a symbolic link; only files and folders themselves are changed");
        return Err(WrongUsage(message).into());
    }
    if !metadata.is_file() {
        bail!("{path} is neither a file nor a folder");
    }
    fs::read(path).with_context(|| format!("failed to read {path}"))
}

/// Fails unless `path` is a plain relative path such as `a/b.toml`.
pub(crate) fn check_relative(path: &Utf8Path) -> Result<()> {
    let plain = path.components().all(|part| matches!(part, Utf8Component::Normal(_)));
    if !plain || path.as_str().is_empty() {
        bail!("{path:?} is not a path below the root folder");
    }
    if path.starts_with(journal::FOLDER) {
        bail!("{path} is the place of the journal of a change");
    }
    Ok(())
}

/// Fails when two of the paths are the same or one is inside the other: the result would depend on their order.
pub(crate) fn check_apart<'a>(paths: impl Iterator<Item = &'a Utf8Path>) -> Result<()> {
    let mut paths = paths.collect::<Vec<_>>();
    // By components, so a path is followed by those inside it.
    paths.sort();
    for pair in paths.windows(2) {
        if pair[1].starts_with(pair[0]) {
            bail!("{} and {} cannot both be changed in one step", pair[0], pair[1]);
        }
    }
    Ok(())
}

/// The parent folders of `path` that are missing below `root`, outermost first. Fails when a parent is a link or a
/// file.
pub(crate) fn missing_parents(root: &Utf8Path, path: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut missing = Vec::new();
    for parent in path.ancestors().skip(1).filter(|parent| !parent.as_str().is_empty()) {
        let full = root.join(parent);
        match metadata(&full)? {
            None => missing.push(parent.to_owned()),
            Some(metadata) if metadata.is_dir() => {}
            Some(metadata) if metadata.is_symlink() => {
                bail!("{full} is a symbolic link, so {path} would be changed somewhere else")
            }
            Some(_) => bail!("{full} is a file, not a folder for {path}"),
        }
    }
    missing.reverse();
    Ok(missing)
}
