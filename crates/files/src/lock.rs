//! Advisory locks between processes of ours, by the same call cargo uses (`flock` on Unix).

use std::fs::{self, File, OpenOptions, TryLockError};

use anyhow::{Context, Result};
use camino::Utf8Path;

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
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("failed to create folder {parent}"))?;
    }
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

/// Whether a lock was to be had.
#[derive(Debug)]
pub enum Locked {
    /// It is ours until it is dropped.
    Held(FileLock),
    /// Somebody else has it.
    Busy,
}

/// Takes the exclusive lock on `path` if nobody has it, creating the file (not its parents) where there is none.
///
/// Where the file cannot be written it is locked all the same. A file system without locks counts as held.
pub fn try_lock(path: &Utf8Path) -> Result<Locked> {
    let create = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let opened = create.or_else(|error| File::open(path).map_err(|_| error));
    let file = opened.with_context(|| format!("failed to open lock file {path}"))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(Locked::Busy),
        Err(TryLockError::Error(error)) if error.kind() != std::io::ErrorKind::Unsupported => {
            Err(error).with_context(|| format!("failed to lock {path}"))
        }
        _ => Ok(Locked::Held(FileLock { _file: file })),
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
        assert!(matches!(try_lock(&path).unwrap(), Locked::Busy));
        drop(first);
        other.try_lock().unwrap();
        other.unlock().unwrap();
        assert!(matches!(try_lock(&path).unwrap(), Locked::Held(_)));
    }
}
