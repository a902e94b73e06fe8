//! Files that other code can rely on: written whole or not at all, appended to without tearing, locked,
//! kept private, and removed without ever following a link.
//!
//! Invariant: after a kill at any point a path written here holds either its old bytes or its new ones.

mod folder;
mod lock;
mod write;

pub use folder::{Entry, EntryKind, FileId, Folder, Status, own_dir, private_dir, remove_dir, remove_file};
pub use lock::{FileLock, lock_exclusive, try_lock};
pub use write::{Durability, Replacement, append_line, read_lines, remove_abandoned, write_atomic};

#[cfg(test)]
mod tests_support {
    //! A fresh folder per test. `xtask-testkit` has the same for the crates above, but depends on us not at all.

    use camino::Utf8PathBuf;

    pub(crate) fn temp_dir(name: &str) -> Utf8PathBuf {
        let dir = Utf8PathBuf::from_path_buf(std::env::temp_dir())
            .expect("the temporary folder's name is UTF-8")
            .join(format!("xtask-files-{name}-{}", std::process::id()));
        crate::remove_dir(&dir).unwrap();
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }
}
