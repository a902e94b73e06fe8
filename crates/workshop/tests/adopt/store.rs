//! The programs of adopted suites, built once for all hosts and kept for the next run.

use std::fs::{self, File};

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::Host;

/// The launcher's store for all hosts. It lies in this repository's target folder.
pub(crate) fn folder() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).join("store")
}

/// Makes the launcher of `host` fetch or build both programs. One host at a time: the first one builds them for the
/// others.
pub(crate) fn fill(host: &Host) {
    fs::create_dir_all(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let lock = File::create(folder().with_extension("lock")).unwrap();
    lock.lock().unwrap();
    for args in [["xtask", "--version"], ["xtask", "version"]] {
        host.run(&args, 0);
    }
}
