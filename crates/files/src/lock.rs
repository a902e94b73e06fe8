//! Advisory locks between processes of ours, by the same call cargo uses (`flock` on Unix).

use std::fs::{self, File, OpenOptions};

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
        drop(first);
        other.try_lock().unwrap();
    }
}
