//! Where an edit may act: below its root, through real folders only.
//!
//! Invariant: no path that passes these checks leads out of the root, nor into the journal.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::journal;

/// Fails unless `path` is a plain relative path such as `a/b.toml`.
pub(crate) fn check_relative(path: &Utf8Path) -> Result<()> {
    let plain = path.components().all(|part| matches!(part, Utf8Component::Normal(_)));
    if !plain || path.as_str().is_empty() {
        bail!("{path:?} is not a path below the root folder");
    }
    if path.components().next() == Some(Utf8Component::Normal(journal::FOLDER)) {
        bail!("{path} is where the journal of a change lies; nothing else may be there");
    }
    Ok(())
}

/// Fails when two of the paths are the same or lie in one another: their order would decide what remains.
pub(crate) fn check_apart<'a>(paths: impl Iterator<Item = &'a Utf8Path>) -> Result<()> {
    let mut paths = paths.collect::<Vec<_>>();
    // By components: a path is followed at once by those inside of it.
    paths.sort();
    for pair in paths.windows(2) {
        if let [outer, inner] = pair
            && inner.starts_with(outer)
        {
            bail!("{outer} and {inner} cannot both be changed in one step");
        }
    }
    Ok(())
}

/// The parent folders of `path` that are missing below `root`, outermost first. Fails when a parent is a
/// link or a file.
pub(crate) fn missing_parents(root: &Utf8Path, path: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut missing = Vec::new();
    let mut parents =
        path.ancestors().skip(1).filter(|parent| !parent.as_str().is_empty()).collect::<Vec<_>>();
    parents.reverse();
    for parent in parents {
        let full = root.join(parent);
        match fs::symlink_metadata(&full) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) if metadata.is_symlink() => {
                bail!(
                    "{full} is a symbolic link; {path} would be changed somewhere else, and was left alone"
                );
            }
            Ok(_) => bail!("{full} is a file, and not a folder that could hold {path}"),
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(parent.to_owned()),
            Err(error) => return Err(error).with_context(|| format!("failed to read {full}")),
        }
    }
    Ok(missing)
}

/// Whether anything, be it a dangling link, lies at `path`.
pub(crate) fn exists(path: &Utf8Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
    }
}

/// Whether a link, a socket or the like lies at `path` or in the folder there: such is never ours.
pub(crate) fn holds_foreign(path: &Utf8Path) -> Result<bool> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other.with_context(|| format!("failed to read {path}"))?,
    };
    if !metadata.is_dir() {
        return Ok(!metadata.is_file());
    }
    let failed = || format!("failed to read folder {path}");
    for entry in path.read_dir_utf8().with_context(failed)? {
        if holds_foreign(entry.with_context(failed)?.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Renames, and names both paths when that fails.
pub(crate) fn rename(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("failed to move {from} to {to}"))
}

/// Syncs the folder `path` itself, so that what was renamed in it survives a power cut.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Utf8Path) -> Result<()> {
    let synced = fs::File::open(path).and_then(|folder| folder.sync_all());
    match synced {
        // Gone with what was in it, or on a file system that syncs no folders.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        other => other.with_context(|| format!("failed to sync folder {path}")),
    }
}

/// Elsewhere a folder cannot be opened to be synced.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_path: &Utf8Path) -> Result<()> {
    Ok(())
}
