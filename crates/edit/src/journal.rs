//! The journal folder: what a transaction is about to do, the new content, and the old content.
//!
//! Invariant: as long as `journal.json` exists, everything that was at the paths before is in `old/` or still in its
//! place. Without it, nothing in the folder is needed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::Durability;
use xtask_workspace::Digest;

use crate::edit::{Node, check_relative, metadata};

/// The name of the journal folder below the root.
pub(crate) const FOLDER: &str = ".xtask-journal";

/// One edit in the journal. Its index in the list names its content in `new/` and `old/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) path: Utf8PathBuf,
    pub(crate) before: Option<Digest>,
    pub(crate) after: Option<Digest>,
    /// Whether a file replaces a file, which takes one rename.
    pub(crate) replaces_file: bool,
    /// The folders above `path` that are made for it, outermost first.
    pub(crate) parents: Vec<Utf8PathBuf>,
}

/// The journal folder of one root.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    pub(crate) root: Utf8PathBuf,
}

impl Journal {
    fn folder(&self) -> Utf8PathBuf {
        self.root.join(FOLDER)
    }

    pub(crate) fn file(&self) -> Utf8PathBuf {
        self.folder().join("journal.json")
    }

    /// Where the new content is until it is put in its place.
    pub(crate) fn new_content(&self, index: usize) -> Utf8PathBuf {
        self.folder().join("new").join(index.to_string())
    }

    /// Where the old content is until the commit.
    pub(crate) fn old_content(&self, index: usize) -> Utf8PathBuf {
        self.folder().join("old").join(index.to_string())
    }

    /// What a killed transaction was about to do, if one was killed between its first change and its commit. Fails
    /// when somebody else could have put the folder there.
    pub(crate) fn left_over(&self) -> Result<Option<Vec<Operation>>> {
        let (folder, file) = (self.folder(), self.file());
        if metadata(&folder)?.is_none() {
            return Ok(None);
        }
        xtask_files::private_dir(&folder).context("the journal of a change cannot be trusted")?;
        let bytes = match fs::read(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.remove()?;
                return Ok(None);
            }
            other => other.with_context(|| format!("failed to read {file}"))?,
        };
        let operations: Vec<Operation> = serde_json::from_slice(&bytes)
            .with_context(|| format!("failed to parse {file}; the old files are in old/ beside it"))?;
        for path in operations.iter().flat_map(|operation| operation.parents.iter().chain([&operation.path]))
        {
            check_relative(path).with_context(|| format!("{file} cannot be trusted"))?;
        }
        Ok(Some(operations))
    }

    /// Makes the folder; `journal.json` is not in it yet.
    ///
    /// Fails when a transaction that could not be rolled back has left one, or when a link is in its place.
    pub(crate) fn create(&self) -> Result<()> {
        if self.left_over()?.is_some() {
            bail!("an interrupted change in {} was not rolled back yet", self.root);
        }
        xtask_files::private_dir(&self.folder())
    }

    /// Writes and syncs the contents that `nodes` will have, and then `operations`: from here on a kill is rolled back.
    pub(crate) fn write<'a>(
        &self,
        nodes: impl Iterator<Item = Option<&'a Node>>,
        operations: &[Operation],
    ) -> Result<()> {
        for name in ["new", "old"] {
            create_dir(&self.folder().join(name))?;
        }
        for (index, (node, operation)) in nodes.zip(operations).enumerate() {
            if let Some(node) = node {
                stage(&self.new_content(index), node, &self.root.join(&operation.path))?;
            }
        }
        sync_folder(&self.folder().join("new"))?;
        let file = self.file();
        let json = serde_json::to_vec(operations).with_context(|| format!("failed to write {file}"))?;
        xtask_files::write_atomic(&file, json, Durability::Synced)?;
        sync_folder(&self.folder())?;
        sync_folder(&self.root)
    }

    /// Keeps the file at `path` before another one takes its place, so that a power cut loses neither.
    pub(crate) fn keep_old(&self, path: &Utf8Path, index: usize) -> Result<()> {
        link_or_copy(path, &self.old_content(index))?;
        sync_folder(&self.folder().join("old"))
    }

    /// Ends the transaction: after this a kill changes nothing any more.
    pub(crate) fn close(&self) -> Result<()> {
        let file = self.file();
        match fs::remove_file(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.with_context(|| format!("failed to remove {file}")),
        }
    }

    /// Removes what is left of a journal that was closed or never written.
    pub(crate) fn remove(&self) -> Result<()> {
        sync_folder(&self.folder())?;
        xtask_files::remove_dir(&self.folder())
    }
}

pub(crate) fn create_dir(path: &Utf8Path) -> Result<()> {
    fs::create_dir(path).with_context(|| format!("failed to create folder {path}"))
}

/// Writes and syncs to `staged` what will be at `target`.
fn stage(staged: &Utf8Path, node: &Node, target: &Utf8Path) -> Result<()> {
    let Node::Folder(files) = node else {
        return node.files(staged).into_iter().try_for_each(|(_, bytes)| stage_file(staged, bytes, target));
    };
    let parents = files.keys().flat_map(|name| name.ancestors().skip(1)).chain([Utf8Path::new("")]);
    // In order: a folder comes before those in it.
    let folders = parents.map(|folder| staged.join(folder)).collect::<BTreeSet<_>>();
    folders.iter().try_for_each(|folder| create_dir(folder))?;
    for (name, bytes) in files {
        stage_file(&staged.join(name), bytes, &target.join(name))?;
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

/// Writes one file to `path`, which is to become `target` and gets owner and mode of the file there.
fn stage_file(path: &Utf8Path, bytes: &[u8], target: &Utf8Path) -> Result<()> {
    let failed = || format!("failed to write {path}");
    let mut file = File::create_new(path).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    if let Some(replaced) = metadata(target)?.filter(fs::Metadata::is_file) {
        // Root in a container works on others' files. Nobody else can give files away, nor needs to. Before the mode, of
        // which a new owner takes bits.
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let _ = fchown(&file, Some(replaced.uid()), Some(replaced.gid()));
        }
        file.set_permissions(replaced.permissions()).with_context(failed)?;
    }
    file.sync_all().with_context(failed)
}

/// Makes the file at `path` also be at `old`: by a hard link, so that a rollback restores the very same file, or by a
/// copy where the file system has no such links.
fn link_or_copy(path: &Utf8Path, old: &Utf8Path) -> Result<()> {
    /// What Linux answers for FAT and for a file that its hardening lets nobody else link.
    const EPERM: i32 = 1;
    match fs::hard_link(path, old) {
        Err(error)
            if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::TooManyLinks)
                || error.raw_os_error() == Some(EPERM) =>
        {
            let copied = fs::copy(path, old).and_then(|_| File::open(old)?.sync_all());
            copied.with_context(|| format!("failed to copy {path} to {old}"))
        }
        other => other.with_context(|| format!("failed to link {path} to {old}")),
    }
}

/// Syncs the folder `path` itself, so that what was renamed in it survives a power cut.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Utf8Path) -> Result<()> {
    let ignored = [ErrorKind::NotFound, ErrorKind::InvalidInput, ErrorKind::Unsupported];
    match File::open(path).and_then(|folder| folder.sync_all()) {
        // Gone with what was in it, or on a file system that does not sync folders.
        Err(error) if ignored.contains(&error.kind()) => Ok(()),
        other => other.with_context(|| format!("failed to sync folder {path}")),
    }
}

/// Elsewhere a folder cannot be opened to be synced.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_path: &Utf8Path) -> Result<()> {
    Ok(())
}
