//! Files that other code can rely on: written whole or not at all, appended to without tearing, locked,
//! kept private, and removed without ever following a link.
//!
//! Invariant: after a kill at any point a path written here holds either its old bytes or its new ones.

mod append;
mod atomic;
mod folder;
mod lock;
mod private;
mod remove;

pub use append::{append_line, read_lines};
pub use atomic::{Durability, Replacement, remove_abandoned, write_atomic};
pub use folder::{Entry, EntryKind, FileId, Folder, Status};
pub use lock::{FileLock, Locked, lock_exclusive, try_lock};
pub use private::private_dir;
pub use remove::{remove_dir, remove_file};

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
