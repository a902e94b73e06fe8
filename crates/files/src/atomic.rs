//! Replacing a file in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

/// What has to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A file that can be made again (a cache): the rename is atomic, the bytes may be lost with the power.
    Cache,
    /// A file that cannot be made again: synced to disk before it takes the old one's place.
    Synced,
}

/// Writes `bytes` to `path` through a temporary file beside it, creating missing parent folders.
///
/// Readers see the old bytes or the new ones. The temporary file is removed when anything fails.
pub fn write_atomic(path: &Utf8Path, bytes: impl AsRef<[u8]>, durability: Durability) -> Result<()> {
    let parent = path.parent().with_context(|| format!("{path} has no parent folder"))?;
    fs::create_dir_all(parent).with_context(|| format!("failed to create folder {parent}"))?;
    let temporary = Temporary::beside(path);
    let mut file = temporary.create().with_context(|| format!("failed to create {}", temporary.0))?;
    file.write_all(bytes.as_ref()).with_context(|| format!("failed to write {}", temporary.0))?;
    if durability == Durability::Synced {
        file.sync_all().with_context(|| format!("failed to sync {}", temporary.0))?;
    }
    drop(file);
    fs::rename(&temporary.0, path).with_context(|| format!("failed to replace {path}"))
}

/// A temporary file that is removed when it is dropped before it was renamed.
struct Temporary(Utf8PathBuf);

impl Temporary {
    /// The name holds the process and a counter, so two of us at once never share one.
    fn beside(path: &Utf8Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().unwrap_or("file");
        Self(path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id())))
    }

    fn create(&self) -> io::Result<File> {
        match OpenOptions::new().write(true).create_new(true).open(&self.0) {
            // Left by a killed process that had our number: nobody else can be using it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&self.0)?;
                OpenOptions::new().write(true).create_new(true).open(&self.0)
            }
            other => other,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove, and a failure here has no better handling.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::temp_dir;

    #[test]
    fn replaces_and_leaves_no_temporary_file() {
        let dir = temp_dir("atomic");
        let path = dir.join("deep/er/file.json");
        for bytes in ["one", "two, longer", "3"] {
            write_atomic(&path, bytes, Durability::Synced).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_file_and_names_the_path() {
        let dir = temp_dir("atomic-fail");
        // A folder cannot be replaced by a file.
        let path = dir.join("taken");
        fs::create_dir(&path).unwrap();
        let error = write_atomic(&path, "x", Durability::Cache).unwrap_err();
        assert!(format!("{error:#}").contains("failed to replace"), "{error:#}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "the temporary file is gone");
    }
}
