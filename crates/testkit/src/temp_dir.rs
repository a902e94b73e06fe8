//! Folders for one test.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

/// A fresh folder, removed when dropped, unless the test is failing: then it stays and its path is said.
#[derive(Debug)]
pub struct TempDir {
    path: Utf8PathBuf,
}

impl TempDir {
    /// A new empty folder whose name has `name` in it.
    ///
    /// # Panics
    /// When it cannot be made: no test can go on then.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let parent = Utf8PathBuf::from_path_buf(std::env::temp_dir()).expect("a UTF-8 temporary folder");
        // Resolved, because cargo and git print resolved paths (macOS: /tmp is a link).
        let parent = parent.canonicalize_utf8().expect("a temporary folder");
        let path = parent.join(format!("xtask-suite-tests/{name}-{}-{number}", std::process::id()));
        let _ = remove(&path);
        fs::create_dir_all(&path).expect("a fresh folder");
        Self { path }
    }

    /// The folder.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Writes a file, with its parent folders.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("parent folders");
        #[expect(clippy::disallowed_methods, reason = "a fixture needs no atomic write")]
        fs::write(&path, text).unwrap_or_else(|error| panic!("failed to write {path}: {error}"));
    }

    /// Reads a file.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> String {
        let path = self.path.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read {path}: {error}"))
    }
}

impl Drop for TempDir {
    #[expect(clippy::disallowed_macros, reason = "the one thing a failing test must say about its folder")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for inspection: {}", self.path);
        } else {
            let _ = remove(&self.path);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "testkit imports nothing of ours")]
fn remove(path: &Utf8Path) -> std::io::Result<()> {
    fs::remove_dir_all(path)
}
