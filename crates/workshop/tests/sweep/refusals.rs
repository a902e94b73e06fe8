//! Where nothing may be removed, nothing is.

use std::fs;
use std::os::unix::fs::symlink;

use camino::Utf8Path;
use xtask_testkit::Outcome;

use crate::files::files;
use crate::support::{FEW_TIERS, Small, number};

/// Asks for a sweep, and checks that it is refused as wrong usage and changes nothing in `dir`.
fn refused(small: &Small, dir: &Utf8Path, words: &str) -> Outcome {
    let before = files(dir);
    let outcome = small.place.suite(&["clean-stale"]).expect_code(2);
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    assert_eq!(files(dir), before);
    assert!(before.keys().any(|path| path.contains("deps/app-")), "something was there: {before:?}");
    outcome
}

#[test]
fn a_target_dir_outside_of_the_workspace_needs_the_users_word() {
    let mut small = Small::new("outside", FEW_TIERS);
    let outside = small.fixture.root().join("shared");
    small.place.set("CARGO_TARGET_DIR", outside.as_str());
    small.run("RUSTFLAGS='--cfg old' cargo build");
    refused(&small, &outside, "sole-owner = true");
    small.write("xtask.toml", &format!("{FEW_TIERS}sole-owner = true\n"));
    assert!(number(&small.place.sweep(&[], 0), "removed_units") > 0);
}

/// A fuzz folder has a workspace of its own, and heeds the same configuration.
#[test]
fn a_target_dir_that_a_workspace_below_shares_needs_the_users_word() {
    let small = Small::new("shared", FEW_TIERS);
    small.write(
        "fuzz/Cargo.toml",
        "[package]\nname = \"fuzz\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    small.write("fuzz/src/main.rs", "fn main() {}\n");
    small.build_all();
    small.run("cd fuzz && cargo build");
    assert_eq!(number(&small.place.sweep(&[], 0), "removed_units"), 0, "each builds into a dir of its own");
    // It may also have chosen ours by itself.
    small.write("fuzz/.cargo/config.toml", "[build]\ntarget-dir = \"../target\"\n");
    small.run("cd fuzz && cargo build");
    refused(&small, &small.root().join("target"), "is a workspace of its own");
    xtask_files::remove_dir(&small.root().join("fuzz/.cargo")).unwrap();
    let config = fs::read_to_string(small.root().join(".cargo/config.toml")).unwrap();
    small.write(".cargo/config.toml", &format!("{config}[build]\ntarget-dir = \"target\"\n"));
    small.run("cd fuzz && cargo build");
    refused(&small, &small.root().join("target"), "is a workspace of its own");
    small.write("xtask.toml", &format!("{FEW_TIERS}sole-owner = true\n"));
    assert_eq!(number(&small.place.sweep(&[], 0), "removed_units"), 1);
}

/// However it was told to: no configuration says so, but what was built does.
#[test]
fn a_target_dir_that_anothers_sources_were_built_into_is_left_alone() {
    let small = Small::new("builder", FEW_TIERS);
    small.build_all();
    let elsewhere = xtask_testkit::TempDir::new("sibling");
    let manifest = "[package]\nname = \"other\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
    let target = small.root().join("target");
    for dir in [small.root().join("deep/x/y/z"), elsewhere.path().to_owned()] {
        for (path, text) in [("Cargo.toml", manifest), ("src/main.rs", "fn main() {}\n")] {
            xtask_files::write_atomic(&dir.join(path), text, xtask_files::Durability::Cache).unwrap();
        }
        small.run(&format!("cd '{dir}' && cargo build --target-dir '{target}'"));
        refused(&small, &target, "is a workspace of its own");
        fs::remove_file(target.join("debug/other.d")).unwrap();
    }
    // A member that left, whose sources are still there, is no other workspace.
    small.write("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"lib\"]\n");
    assert!(number(&small.place.sweep(&[], 0), "removed_units") > 0);
}

#[test]
fn a_link_for_a_target_dir_leads_outside_too() {
    let small = Small::new("linked", FEW_TIERS);
    let elsewhere = small.fixture.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, small.root().join("target")).unwrap();
    small.run("RUSTFLAGS='--cfg old' cargo build");
    refused(&small, &elsewhere, "outside of the workspace");
}

#[test]
fn a_dir_that_cargo_did_not_mark_needs_a_yes() {
    let small = Small::new("unmarked", FEW_TIERS);
    small.write("target/notes.txt", "mine");
    small.run("RUSTFLAGS='--cfg old' cargo build");
    refused(&small, &small.root().join("target"), "--yes");
    let swept = small.place.sweep(&["--yes"], 0);
    assert!(number(&swept, "removed_units") > 0);
    assert!(small.root().join("target/notes.txt").exists());
}

#[test]
fn the_workspace_itself_is_no_target_dir() {
    let mut small = Small::new("itself", FEW_TIERS);
    small.place.set("CARGO_TARGET_DIR", ".");
    small.run("cargo build");
    refused(&small, small.root(), "contains the workspace");
}

#[test]
fn a_workspace_that_was_never_built_has_nothing_to_clean() {
    let small = Small::new("never", FEW_TIERS);
    small.run("cargo generate-lockfile");
    let swept = small.place.sweep(&[], 0);
    assert_eq!((number(&swept, "removed_units"), number(&swept, "kept_units")), (0, 0));
}
