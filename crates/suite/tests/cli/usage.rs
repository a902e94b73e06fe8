//! Wrong usage is exit code 2, a lacking environment 3, and each says what to do.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use serde_json::Value;
use xtask_testkit::{Fixture, Outcome};

use crate::support::{Suite, number};

#[test]
fn an_unknown_subcommand_or_flag_comes_with_a_suggestion() {
    let suite = Suite::trio("[tiers.quick]\ncommand = \"check\"\n");
    let table = [
        (&["test-fsat"][..], "test-fast"),
        (&["quik"], "quick"),
        (&["test-fast", "--forcast"], "--forecast"),
        (&["preset", "sow"], "show"),
        (&["preset", "show", "ful"], "did you mean `full`?"),
        (&["with", "minimall", "--", "build"], "did you mean `minimal`?"),
        (&["preset", "compare", "full", "fulll"], "did you mean `full`?"),
        (&["completions", "bsh"], "bash"),
    ];
    for (args, suggested) in table {
        let outcome = suite.run(args, 2);
        assert!(outcome.stderr.contains(suggested), "{args:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{args:?}");
    }
}

#[test]
fn a_broken_manifest_is_shown_in_cargos_words() {
    let suite = Suite::trio("");
    suite.fixture.write("side/Cargo.toml", "[package\n");
    let outcome = suite.run(&["test-fast"], 2);
    assert!(outcome.stderr.starts_with("error: failed to read the workspace in "), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("cargo metadata") && outcome.stderr.contains("side/Cargo.toml"),
        "{}",
        outcome.stderr
    );
}

/// A pipe into a file on a full disk would otherwise end with half a list, and success.
#[test]
fn what_cannot_be_written_to_standard_output_is_an_error_and_a_reader_that_is_gone_is_none() {
    let suite = Suite::trio("");
    let table = [&["--help"][..], &["--version"], &[], &["preset", "list"], &["--json", "preset", "list"]];
    for args in
        table.into_iter().chain([&["schema"][..], &["completions", "fish"], &["test-fast", "--dry-run"]])
    {
        let full = || fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = suite.command(args);
        let child = command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("error: failed to write to standard output: "), "{args:?}: {said}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = suite.command(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{args:?}: {said}");
        assert!(!said.contains("error"), "{args:?}: {said}");
    }
}

#[test]
fn arguments_that_are_not_utf_8_are_refused_in_words() {
    let suite = Suite::trio("");
    let odd = OsStr::from_bytes(b"\xffodd");
    for before in
        [&[][..], &["-C"], &["test-fast", "--"], &["with", "full", "--", "build"], &["preset", "show"]]
    {
        let outcome = Outcome::of(suite.command(before).arg(odd)).expect_code(2);
        assert!(outcome.stderr.contains("odd is not UTF-8"), "{before:?}: {}", outcome.stderr);
    }
    let mut compiler = suite.command(&["--crate-name"]);
    let outcome = Outcome::of(compiler.arg(odd).env("XTASK_SUITE_ROLE", "compiler"));
    assert!(outcome.stderr.contains("odd is not UTF-8"), "{}", outcome.stderr);
}

#[test]
fn outside_of_a_workspace() {
    let suite = Suite::trio("");
    let empty = Fixture::new("empty", &[]);
    let outcome = suite.run(&["-C", empty.root().as_str(), "test-fast"], 2);
    assert!(
        outcome.stderr.contains(empty.root().as_str()) && outcome.stderr.contains("Cargo.toml"),
        "{}",
        outcome.stderr
    );
    let outcome = suite.run(&["-C", "/no/such/folder", "test-fast"], 2);
    assert!(outcome.stderr.contains("/no/such/folder"), "{}", outcome.stderr);
    // What needs no workspace works everywhere.
    for args in
        [&["--help"][..], &["--version"], &["schema"], &["completions", "bash"], &["test-fast", "--help"]]
    {
        let mut command = suite.command(args);
        let outcome = Outcome::of(command.current_dir(empty.root())).expect_code(0);
        assert!(!outcome.stdout.is_empty(), "{args:?}");
    }
    assert_eq!(fs::read_dir(empty.root()).unwrap().count(), 0, "nothing was left there");
}

#[test]
fn a_toolchain_that_is_not_installed_is_exit_code_3() {
    let suite = Suite::trio("");
    suite.fixture.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.11.0\"\n");
    for args in [&["test-fast"][..], &["preset", "compare", "minimal", "full"], &[]] {
        let outcome = suite.run(args, 3);
        assert!(
            outcome.stderr.contains("1.11.0") && outcome.stderr.contains("not installed"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn no_cargo_on_path_is_exit_code_3() {
    let mut suite = Suite::trio("");
    suite.set("PATH", "/nowhere");
    let outcome = suite.run(&["test-fast"], 3);
    assert!(outcome.stderr.contains("cargo is not on PATH"), "{}", outcome.stderr);
}

#[test]
fn every_tier_is_a_subcommand_with_its_own_help() {
    let suite = Suite::trio("[tiers.quick]\ncommand = \"check\"\nabout = \"Check in a hurry\"\n");
    let help = suite.run(&["--help"], 0).stdout;
    let tiers = [
        "test-fast",
        "test-common",
        "test-full",
        "check-fast",
        "build-dev",
        "build-release",
        "lint",
        "quick",
    ];
    for tier in tiers {
        assert!(help.contains(&format!("\n  {tier}  ")), "{tier} in\n{help}");
        let own = suite.run(&[tier, "--help"], 0).stdout;
        assert!(own.contains(&format!("cargo xtask {tier}")) && own.contains("--forecast"), "{own}");
    }
    assert!(suite.run(&["quick", "--help"], 0).stdout.starts_with("Check in a hurry"));
}

#[test]
fn a_folder_below_the_root_means_the_same_workspace() {
    let suite = Suite::trio("");
    let below = suite.json(&["-C", "app/src", "preset", "show", "full"], 0);
    assert_eq!(below, suite.json(&["preset", "show", "full"], 0));
}

#[test]
fn nothing_but_the_target_dir_and_the_lock_file_is_written() {
    let suite = Suite::trio("");
    suite.fixture.git(&["rm", "--quiet", "--cached", "Cargo.lock"]);
    suite.fixture.git(&["commit", "--quiet", "-m", "no lock file"]);
    let elsewhere = Fixture::new("elsewhere", &[]);
    for args in [
        &["test-full"][..],
        &["test-fast", "--forecast"],
        &["preset", "compare", "minimal", "full"],
        &["lint"],
        &[],
    ] {
        let args = [&["-C", suite.root().as_str()], args].concat();
        let mut command = suite.command(&args);
        let _ = Outcome::of(command.current_dir(elsewhere.root())).expect_code(0);
    }
    suite.ran();
    assert_eq!(
        suite.fixture.git(&["status", "--porcelain", "--ignored"]),
        "?? Cargo.lock\n!! marks/\n!! target/\n"
    );
    assert_eq!(fs::read_dir(elsewhere.root()).unwrap().count(), 0);
}

#[test]
fn the_overview_says_how_each_tier_ended_and_what_is_next() {
    let mut suite = Suite::trio("");
    let first = suite.run(&[], 0).stdout;
    assert!(first.contains("(3 members)") && first.contains("test-fast      never run here"), "{first}");
    assert!(
        first.contains("target dir: ")
            && first.ends_with("next: cargo xtask test-fast  (it never ran here)\n"),
        "{first}"
    );
    suite.run(&["test-fast"], 0);
    let second = suite.run(&[], 0).stdout;
    assert!(second.contains("test-fast      ok in ") && second.contains(", 3 tests"), "{second}");
    suite.set("FAIL", "side-unit");
    suite.run(&["test-common"], 1);
    let third = suite.run(&[], 0).stdout;
    assert!(third.ends_with("next: cargo xtask test-common  (it failed last time)\n"), "{third}");
}

#[test]
fn every_command_has_a_document() {
    let suite = Suite::trio("");
    assert_eq!(suite.json(&[], 0)["members"], 3);
    assert!(suite.json(&["test-fast", "--dry-run"], 0)["commands"].is_array());
    assert!(number(&suite.json(&["test-fast", "--forecast"], 0)["forecast"]["compile"]) > 0);
    assert!(suite.json(&["preset", "list"], 0).is_array());
    assert_eq!(suite.json(&["preset", "show", "full"], 0)["members"].as_array().unwrap().len(), 3);
    assert!(suite.json(&["preset", "compare", "minimal", "full"], 0)["shared"].is_number());
    let with = suite.run(&["--json", "with", "full", "--dry-run", "--", "build"], 0);
    assert_eq!(serde_json::from_str::<Value>(&with.stdout).unwrap()["command"], "cargo build --all-features");
}
