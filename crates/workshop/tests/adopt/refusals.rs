//! Where `adopt` does nothing, it says why and leaves every byte.

use std::fs;

use xtask_testkit::{Outcome, Snapshot};

use crate::host::{Host, Plan, suite};
use crate::hosts;

/// Adopting ends with this code and these words, and nothing was changed.
#[track_caller]
fn refused(host: &Host, code: i32, words: &[&str]) {
    let before = Snapshot::of(&host.root);
    let refused = host.adopt(&["--no-build"], code);
    for word in words {
        assert!(refused.stderr.contains(word), "{word} is not in: {}", refused.stderr);
    }
    Snapshot::of(&host.root).assert_same(&before, "after a refusal");
}

#[test]
fn a_linked_file_is_not_followed() {
    for path in ["Cargo.toml", ".gitignore", ".cargo/config.toml", "Cargo.lock"] {
        let host = hosts::aliases_of_the_same_names().make();
        let elsewhere = host.dir.path().join("elsewhere");
        fs::rename(host.root.join(path), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, host.root.join(path)).unwrap();
        let text = fs::read(&elsewhere).unwrap();
        refused(&host, 2, &[path]);
        assert_eq!(fs::read(&elsewhere).unwrap(), text, "{path}");
    }
}

#[test]
fn a_folder_without_a_workspace_is_wrong_usage() {
    let host = hosts::listed().without("Cargo.toml").file("nothing/here.txt", "");
    let host = Plan { lock: crate::host::Lock::Absent, called_with: "nothing", ..host }.make();
    refused(&host, 2, &["Cargo.toml"]);
    let missing = host.root.join("missing");
    let outcome = Outcome::of(&mut suite(host.dir.path(), &["adopt", missing.as_str()])).expect_code(2);
    assert!(outcome.stderr.contains("missing"), "{}", outcome.stderr);
}

#[test]
fn a_manifest_that_cargo_does_not_take_is_left_alone() {
    let host = hosts::listed().make();
    host.write("Cargo.toml", "[workspace]\nmembers = [\"app\"\n");
    let before = Snapshot::of(&host.root);
    let outcome = Outcome::of(&mut host.adopt_command(&["--no-build"]));
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("Cargo.toml"), "{}", outcome.stderr);
    Snapshot::of(&host.root).assert_same(&before, "after a refusal");
}

/// Cargo takes every folder for a member there, so it stops at the first that adopting makes.
#[test]
fn what_cargo_does_not_take_is_taken_back() {
    let host = hosts::glob_of_everything()
        .file("Cargo.toml", "[workspace]\nmembers = [\"*\"]\nexclude = [\"target\", \".cargo\"]\n");
    let host = host.make();
    let before = Snapshot::of(&host.root);
    let outcome = Outcome::of(&mut host.adopt_command(&["--no-build"]));
    assert!(outcome.code != Some(0) && outcome.stderr.contains("nothing was adopted"), "{outcome:?}");
    Snapshot::of(&host.root).assert_same(&before, "after a refusal");
    host.run(&["build", "--workspace"], 0);
}

#[test]
fn a_toolchain_that_is_not_installed_is_what_the_environment_lacks() {
    let host = hosts::listed().make();
    host.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.42.0\"\n");
    refused(&host, 3, &["1.42.0"]);
}

/// An adopted workspace has a copy of the suite that was perhaps changed, so nothing is adopted from it.
#[test]
fn an_adopted_workspace_is_no_clone() {
    let first = hosts::listed().make();
    first.adopt(&["--no-build"], 0);
    let second = hosts::inherited().make();
    let before = Snapshot::of(&second.root);
    let mut command = second.adopt_command(&["--no-build"]);
    let outcome = Outcome::of(command.env("XTASK_SUITE_ROOT", &first.root)).expect_code(2);
    assert!(outcome.stderr.contains("clone"), "{}", outcome.stderr);
    Snapshot::of(&second.root).assert_same(&before, "after a refusal");
    // Taking it out needs no clone.
    let mut undo = first.adopt_command(&["--undo"]);
    Outcome::of(undo.env("XTASK_SUITE_ROOT", &first.root)).expect_code(0);
}

#[test]
fn two_at_once_adopt_once() {
    let host = hosts::listed().make();
    let before = Snapshot::of(&host.root);
    let start = || {
        let mut command = host.adopt_command(&["--no-build"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let started = [start(), start(), start()];
    let outputs = started.map(|child| child.wait_with_output().unwrap());
    let said = outputs.map(|output| {
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    });
    assert!(said.iter().all(|(code, _)| *code == Some(0)), "{said:?}");
    let found_it = said.iter().filter(|(_, text)| text.contains("nothing to change")).count();
    assert_eq!(found_it, 2, "{said:?}");
    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
}

#[test]
fn flags_that_contradict_each_other_are_wrong_usage() {
    let host = hosts::listed().make();
    let before = Snapshot::of(&host.root);
    let contradictions = [
        &["--undo", "--update"][..],
        &["--undo", "--merge"],
        &["--path", "--vendor"],
        &["--path", "--git", "https://example.com/x", "--rev", "1"],
        &["--git", "https://example.com/x"],
        &["--rev", "1"],
        &["--discard-changes"],
    ];
    for args in contradictions {
        host.adopt(args, 2);
    }
    Snapshot::of(&host.root).assert_same(&before, "after refusals");
}
