//! What lies at a path, and what shall: the values that every edit is made of.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{Digest, Hasher, WrongUsage};

/// What lies, or shall lie, at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// All bytes of one file. Its mode is not an edit's matter: a file that is replaced keeps it.
    File(Vec<u8>),
    /// A folder with all its files, by their paths in it. A folder in it that holds no file is not told.
    Folder(BTreeMap<Utf8PathBuf, Vec<u8>>),
}

/// The change of one path: from `before` to `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Relative to the root folder of the transaction.
    pub path: Utf8PathBuf,
    /// What the plan found there; `None`: nothing.
    pub before: Option<Node>,
    /// What shall be there; `None`: nothing.
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

    /// What lies at `path`; `None` when nothing does. Fails for a link, in a folder too, and for anything
    /// else that is neither file nor folder.
    pub fn read(path: &Utf8Path) -> Result<Option<Self>> {
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            other => other.with_context(|| format!("failed to read {path}"))?,
        };
        if !metadata.is_dir() {
            return Ok(Some(Self::File(read_file(path, &metadata)?)));
        }
        let mut files = BTreeMap::new();
        read_folder(path, Utf8Path::new(""), &mut files)?;
        Ok(Some(Self::Folder(files)))
    }

    /// The files, by their paths below `path`, at which the node lies.
    pub(crate) fn files<'a>(&'a self, path: &Utf8Path) -> BTreeMap<Utf8PathBuf, &'a [u8]> {
        match self {
            Self::File(bytes) => BTreeMap::from([(path.to_owned(), bytes.as_slice())]),
            Self::Folder(files) => {
                files.iter().map(|(name, bytes)| (path.join(name), bytes.as_slice())).collect()
            }
        }
    }

    /// Tells apart any two nodes that differ.
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
