//! Advisory locks between processes of ours, by the same call cargo uses (`flock` on Unix).

use std::fs::{File, OpenOptions, TryLockError};

use anyhow::{Context, Result};
use camino::Utf8Path;

use crate::write::create_parent;

/// An exclusive lock, held until it is dropped. The file itself stays: removing a held lock file would
/// let a third process in.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// Waits for the exclusive lock on `path`, creating the file and its parents.
///
/// On a file system without locks (some NFS mounts) the work goes on unlocked, as cargo does.
pub fn lock_exclusive(path: &Utf8Path) -> Result<FileLock> {
    create_parent(path)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("failed to open lock file {path}"))?;
    match file.lock() {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
        Err(error) => return Err(error).with_context(|| format!("failed to lock {path}")),
    }
    Ok(FileLock { _file: file })
}

/// Takes the exclusive lock on `path`, creating the file (not its parents); `None` when somebody else has it.
///
/// A file that cannot be written is locked too. On a file system without locks it counts as taken.
pub fn try_lock(path: &Utf8Path) -> Result<Option<FileLock>> {
    let create = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let opened = create.or_else(|error| File::open(path).map_err(|_| error));
    let file = opened.with_context(|| format!("failed to open lock file {path}"))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if error.kind() != std::io::ErrorKind::Unsupported => {
            Err(error).with_context(|| format!("failed to lock {path}"))
        }
        _ => Ok(Some(FileLock { _file: file })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::temp_dir;

    #[test]
    fn a_second_lock_waits_for_the_first() {
        let path = temp_dir("lock").join("lock");
        let first = lock_exclusive(&path).unwrap();
        let other = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(other.try_lock().is_err(), "held");
        assert!(try_lock(&path).unwrap().is_none());
        drop(first);
        other.try_lock().unwrap();
        other.unlock().unwrap();
        assert!(try_lock(&path).unwrap().is_some());
    }
}
