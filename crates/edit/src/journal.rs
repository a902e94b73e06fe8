//! The journal folder: what a transaction is about to do, the new content, and the old content.
//!
//! Invariant: as long as `journal.json` is there, everything that lay at the paths before is in `old/` or
//! still in its place. Without it, the folder holds nothing that anybody needs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::Durability;
use xtask_workspace::Digest;

use crate::node::Node;
use crate::place;

/// The name of the journal folder below the root.
pub(crate) const FOLDER: &str = ".xtask-journal";

/// What lay, or shall lie, at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) file: bool,
    pub(crate) digest: Digest,
}

impl State {
    pub(crate) fn of(node: &Node) -> Self {
        Self { file: node.is_file(), digest: node.digest() }
    }

    /// What lies at `path` now.
    pub(crate) fn at(path: &Utf8Path) -> Result<Option<Self>> {
        Ok(Node::read(path)?.as_ref().map(Self::of))
    }
}

/// One edit, as the journal knows it. Its number in the list names its content in `new/` and `old/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) path: Utf8PathBuf,
    pub(crate) before: Option<State>,
    pub(crate) after: Option<State>,
    /// The folders above `path` that are made for it, outermost first.
    pub(crate) parents: Vec<Utf8PathBuf>,
}

impl Operation {
    /// Whether the new content takes the old one's place in one rename.
    pub(crate) fn replaces_file(&self) -> bool {
        let file = |state: &Option<State>| state.as_ref().is_some_and(|state| state.file);
        file(&self.before) && file(&self.after)
    }
}

/// The journal folder of one root.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    root: Utf8PathBuf,
}

impl Journal {
    pub(crate) fn of(root: &Utf8Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn target(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.root.join(path)
    }

    fn folder(&self) -> Utf8PathBuf {
        self.root.join(FOLDER)
    }

    pub(crate) fn file(&self) -> Utf8PathBuf {
        self.folder().join("journal.json")
    }

    /// Where the content that comes lies until it is put in its place.
    pub(crate) fn new_content(&self, index: usize) -> Utf8PathBuf {
        self.folder().join("new").join(index.to_string())
    }

    /// Where the content that goes lies until the commit.
    pub(crate) fn old_content(&self, index: usize) -> Utf8PathBuf {
        self.folder().join("old").join(index.to_string())
    }

    /// What a killed transaction was about to do; `None` when none was killed between its first change and
    /// its commit. Fails when somebody else could have put the folder there.
    pub(crate) fn left_over(&self) -> Result<Option<Vec<Operation>>> {
        let (folder, file) = (self.folder(), self.file());
        if !place::exists(&folder)? {
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
            .with_context(|| format!("failed to understand {file}; the old files lie beside it in old/"))?;
        for path in operations.iter().flat_map(|operation| operation.parents.iter().chain([&operation.path]))
        {
            place::check_relative(path).with_context(|| format!("{file} cannot be trusted"))?;
        }
        Ok(Some(operations))
    }

    /// Makes the folder; `journal.json` is not in it yet.
    ///
    /// Fails when a transaction that could not be put back has left one, or when a link is in its place.
    pub(crate) fn create(&self) -> Result<()> {
        if self.left_over()?.is_some() {
            bail!("an interrupted change in {} was not put back yet", self.root);
        }
        xtask_files::private_dir(&self.folder())
    }

    /// Makes the folders in it.
    pub(crate) fn furnish(&self) -> Result<()> {
        for name in ["new", "old"] {
            let path = self.folder().join(name);
            fs::create_dir(&path).with_context(|| format!("failed to create folder {path}"))?;
        }
        Ok(())
    }

    /// Writes and syncs the content that shall lie at `path`, with the modes of the files it replaces there.
    pub(crate) fn stage(&self, index: usize, path: &Utf8Path, after: &Node) -> Result<()> {
        let (staged, target) = (self.new_content(index), self.target(path));
        match after {
            Node::File(bytes) => stage_file(&staged, bytes, &target),
            Node::Folder(files) => {
                let parents =
                    files.keys().flat_map(|name| name.ancestors().skip(1)).chain([Utf8Path::new("")]);
                // In order: a folder comes before those in it.
                let folders = parents.map(|folder| staged.join(folder)).collect::<BTreeSet<_>>();
                for folder in &folders {
                    fs::create_dir(folder).with_context(|| format!("failed to create folder {folder}"))?;
                }
                for (name, bytes) in files {
                    stage_file(&staged.join(name), bytes, &target.join(name))?;
                }
                folders.iter().try_for_each(|folder| place::sync_folder(folder))
            }
        }
    }

    /// Says what is about to be done; from here on a kill is rolled back.
    pub(crate) fn write(&self, operations: &[Operation]) -> Result<()> {
        place::sync_folder(&self.folder().join("new"))?;
        let file = self.file();
        let json = serde_json::to_vec(operations).with_context(|| format!("failed to write {file}"))?;
        xtask_files::write_atomic(&file, json, Durability::Synced)?;
        place::sync_folder(&self.folder())?;
        place::sync_folder(&self.root)
    }

    /// Keeps the file at `path` before another one takes its place, so that a power cut loses neither.
    pub(crate) fn keep_old(&self, path: &Utf8Path, index: usize) -> Result<()> {
        link_or_copy(path, &self.old_content(index))?;
        place::sync_folder(&self.folder().join("old"))
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
        place::sync_folder(&self.folder())?;
        xtask_files::remove_dir(&self.folder())
    }
}

/// Writes one file to `path`, which is to become `target` and keeps the mode of the file there.
fn stage_file(path: &Utf8Path, bytes: &[u8], target: &Utf8Path) -> Result<()> {
    let failed = || format!("failed to write {path}");
    let mut file = File::create_new(path).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_file() => {
            file.set_permissions(metadata.permissions())
                .with_context(|| format!("failed to set the mode of {path}"))?;
        }
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(error).with_context(|| format!("failed to read {target}"));
        }
        _ => {}
    }
    file.sync_all().with_context(|| format!("failed to sync {path}"))
}

/// Makes the file at `path` be at `old` too: by a second name, so that putting it back restores the very same
/// file, or by a copy where the file system has no such links.
fn link_or_copy(path: &Utf8Path, old: &Utf8Path) -> Result<()> {
    /// What Linux answers for FAT and for a file that its hardening lets nobody else link.
    const EPERM: i32 = 1;
    match fs::hard_link(path, old) {
        Ok(()) => Ok(()),
        Err(error)
            if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::TooManyLinks)
                || error.raw_os_error() == Some(EPERM) =>
        {
            let failed = || format!("failed to copy {path} to {old}");
            fs::copy(path, old).with_context(failed)?;
            let copy = File::open(old).with_context(failed)?;
            copy.sync_all().with_context(|| format!("failed to sync {old}"))
        }
        Err(error) => Err(error).with_context(|| format!("failed to link {path} to {old}")),
    }
}

/// Fails unless what lies at `path` is what the plan found there.
pub(crate) fn check_unchanged(path: &Utf8Path, now: Option<&Node>, planned: Option<&Node>) -> Result<()> {
    if now != planned {
        bail!("{path} has changed since the plan was made: run it again");
    }
    Ok(())
}
