//! What lies at a path, and what shall: the values that every edit is made of.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{Digest, Hasher, WrongUsage};

/// Whether the owner may run a file. The other bits of its mode are not an edit's matter: a file that is
/// replaced keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As the file that is replaced; a new file is not executable.
    Kept,
    /// Executable.
    Executable,
    /// Not executable, as is every file where the system has no such thing.
    Plain,
}

/// A file as an edit knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// All bytes of the file.
    pub bytes: Vec<u8>,
    /// Never [`Mode::Kept`] in what was read.
    pub mode: Mode,
}

impl FileContent {
    /// A file with the mode of the one that it replaces.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), mode: Mode::Kept }
    }
}

/// What lies, or shall lie, at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// One file.
    File(FileContent),
    /// A folder with all its files, by their paths in it. A folder in it that holds no file is not told.
    Folder(BTreeMap<Utf8PathBuf, FileContent>),
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
        let before = self.before.as_ref();
        before.map(|before| before.digest(None)) == self.after.as_ref().map(|after| after.digest(before))
    }
}

impl Node {
    /// A file with the mode of the one that it replaces.
    pub fn file(bytes: impl Into<Vec<u8>>) -> Self {
        Self::File(FileContent::new(bytes))
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
    pub(crate) fn files<'a>(&'a self, path: &Utf8Path) -> BTreeMap<Utf8PathBuf, &'a FileContent> {
        match self {
            Self::File(content) => BTreeMap::from([(path.to_owned(), content)]),
            Self::Folder(files) => files.iter().map(|(name, content)| (path.join(name), content)).collect(),
        }
    }

    /// Tells apart any two nodes that differ, once they have taken the place of `replaced`.
    pub(crate) fn digest(&self, replaced: Option<&Self>) -> Digest {
        let root = Utf8Path::new("");
        let replaced = replaced.map(|replaced| replaced.files(root)).unwrap_or_default();
        let mut hasher = Hasher::new();
        hasher.field(if self.is_file() { "file" } else { "folder" });
        for (path, content) in self.files(root) {
            let mode = match content.mode {
                Mode::Kept => replaced.get(&path).map_or(Mode::Plain, |old| old.mode),
                mode => mode,
            };
            hasher.field(path.as_str()).field(if mode == Mode::Executable { "x" } else { "-" });
            hasher.field(&content.bytes);
        }
        hasher.finish()
    }

    /// Whether both hold the same names and bytes. Modes may differ: who reads a plan's `before` from git or
    /// memory does not know them.
    pub(crate) fn same_bytes(&self, other: &Self) -> bool {
        let root = Utf8Path::new("");
        let bytes = |node: &Self| {
            node.files(root)
                .into_iter()
                .map(|(path, content)| (path, content.bytes.clone()))
                .collect::<Vec<_>>()
        };
        self.is_file() == other.is_file() && bytes(self) == bytes(other)
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

fn read_folder(
    folder: &Utf8Path,
    name: &Utf8Path,
    files: &mut BTreeMap<Utf8PathBuf, FileContent>,
) -> Result<()> {
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

fn read_file(path: &Utf8Path, metadata: &fs::Metadata) -> Result<FileContent> {
    if metadata.is_symlink() {
        let message = format!("{path} is a symbolic link; only files and folders themselves are changed");
        return Err(WrongUsage(message).into());
    }
    if !metadata.is_file() {
        bail!("{path} is neither a file nor a folder");
    }
    let bytes = fs::read(path).with_context(|| format!("failed to read {path}"))?;
    Ok(FileContent { bytes, mode: mode(metadata) })
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> Mode {
    use std::os::unix::fs::PermissionsExt;
    if metadata.permissions().mode() & 0o100 == 0 { Mode::Plain } else { Mode::Executable }
}

#[cfg(not(unix))]
fn mode(_metadata: &fs::Metadata) -> Mode {
    Mode::Plain
}
