//! Builds a project's own tasks as a project does: a package `xtask-tasks` that depends on the library.
//!
//! All are built in one target dir beside the repository's, so dependencies are compiled once.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::lock_exclusive;
use xtask_testkit::{Outcome, cargo};

/// The root of this repository.
pub(crate) fn repository() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The binary of the package whose `main.rs` is `source`.
pub(crate) fn build(name: &str, source: &str) -> Utf8PathBuf {
    let target = Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("extending");
    fs::create_dir_all(&target).unwrap();
    // Every package's binary has the same file name.
    let _lock = lock_exclusive(&target.join("lock")).unwrap();
    let package = target.join("packages").join(name);
    fs::create_dir_all(package.join("src")).unwrap();
    let library = repository().join("crates/suite");
    // As in the profile `xtask`, where clap does not check definitions.
    let profile = "debug = false\nincremental = false\ndebug-assertions = false\noverflow-checks = false\n";
    // Cargo tells packages of one target dir apart by name and version, not by folder.
    let manifest = format!(
        "[package]\nname = \"xtask-tasks\"\nversion = \"0.0.0-{name}\"\nedition = \"2024\"\n\
         [[bin]]\nname = \"xtask-suite\"\npath = \"src/main.rs\"\n\
         [dependencies]\nxtask-suite = {{ path = '{library}' }}\n\
         [profile.dev]\n{profile}[workspace]\n"
    );
    write(&package.join("Cargo.toml"), &manifest);
    write(&package.join("src/main.rs"), source);
    // The versions that are there without a network.
    write(&package.join("Cargo.lock"), &fs::read_to_string(repository().join("Cargo.lock")).unwrap());
    let mut command = cargo(&package);
    command.args(["build", "--offline"]).env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", "-Dwarnings");
    let _ = Outcome::of(&mut command).expect_code(0);
    // A link under a name of its own stays what it is when the next package is built.
    let (link, built) = (target.join(name), target.join(name).with_extension("built"));
    let _ = fs::remove_file(&built);
    fs::hard_link(target.join("debug/xtask-suite"), &built).unwrap();
    fs::rename(&built, &link).unwrap();
    link
}

/// Writes what differs: a newer file would be compiled anew.
#[expect(clippy::disallowed_methods, reason = "a fixture needs no atomic write")]
fn write(path: &Utf8Path, text: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).unwrap();
    }
}
