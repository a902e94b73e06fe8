//! A built suite to start from, so that a host compiles only the suite's own crates and not its dependencies.
//!
//! It lies in this repository's target folder and stays for the next run. Cargo decides in each host what of it
//! still holds, so an old one costs time, never a wrong result.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Outcome, scrub};

use crate::host::Host;
use crate::hosts;

/// Puts it where the launcher of `host` builds the suite, unless there is one.
pub(crate) fn warm(host: &Host) {
    let place = host.root.join("target/xtask-suite/build");
    if !place.exists() {
        copy(&built(), &place);
        // Cargo would have put it there, had it made the folder.
        let tag = "Signature: 8a477f597d28d172789f06886806bc55\n";
        host.write("target/CACHEDIR.TAG", tag);
    }
}

/// Makes it, if no test has before.
fn built() -> Utf8PathBuf {
    let all = Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("adopt-template");
    fs::create_dir_all(&all).unwrap();
    let lock = File::create(all.join("lock")).unwrap();
    lock.lock().unwrap();
    let template = all.join(key());
    if !template.exists() {
        let host = hosts::listed().make();
        // With a build at the end.
        let adopted = host.adopt(&[], 0);
        assert!(adopted.stdout.contains("costs: first build"), "{}", adopted.stdout);
        let unfinished = all.join("unfinished");
        // What an interrupted run left.
        xtask_files::remove_dir(&unfinished).unwrap();
        copy(&host.root.join("target/xtask-suite/build"), &unfinished);
        fs::rename(unfinished, &template).unwrap();
    }
    template
}

/// What the dependencies are built from: the compiler and their versions.
fn key() -> String {
    let mut rustc = Command::new("rustc");
    let compiler = Outcome::of(scrub(&mut rustc).arg("-vV")).expect_code(0).stdout;
    let lock = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let mut hasher = DefaultHasher::new();
    (compiler, fs::read(lock).unwrap()).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// With the times of all files, by which cargo tells what is fresh.
fn copy(from: &Utf8Path, to: &Utf8Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut cp = Command::new("cp");
    Outcome::of(scrub(&mut cp).args(["-a", from.as_str(), to.as_str()])).expect_code(0);
}
