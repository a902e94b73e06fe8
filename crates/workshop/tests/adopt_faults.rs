//! `adopt` killed, out of disk space or on a broken disk at some of its changes to a workspace: whatever happens, the
//! workspace builds, and the next command finishes or takes back. That a transaction keeps this at every call is proven
//! where it is made, in `xtask-edit`; here it is seen that all of `adopt` is inside of one.
//!
//! Ten calls are tried.
//! `XTASK_FAULTS=all cargo test --package xtask-workshop --test adopt_faults` tries every one, which takes about an hour.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use camino::Utf8PathBuf;
use xtask_testkit::{
    Fault, Faults, Injected, Outcome, Snapshot, TempDir, assert_all_fired, cargo, sample, scrub,
};

const EXE: &str = env!("CARGO_BIN_EXE_xtask-workshop");

/// Files in each root folder: something of every kind that `adopt` edits.
const HOST: [(&str, &str); 6] = [
    ("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"app\"] # one\n"),
    ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n"),
    (".cargo/config.toml", "[alias]\nb = \"build\"\n"),
    (".gitignore", "/target"),
    ("app/Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
    ("app/src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n"),
];

/// A workspace whose target dir lies elsewhere, so that every call below its root is about the user's files.
struct Host {
    dir: TempDir,
    original: Snapshot,
}

impl Host {
    fn new(name: &str) -> Self {
        let dir = TempDir::new(name);
        for (path, text) in HOST {
            dir.write(&format!("host/{path}"), text);
        }
        let read_only = fs::Permissions::from_mode(0o444);
        fs::set_permissions(dir.path().join("host/.gitignore"), read_only).unwrap();
        Self { original: Snapshot::of(&dir.path().join("host")), dir }
    }

    fn root(&self) -> Utf8PathBuf {
        self.dir.path().join("host")
    }

    fn files(&self) -> Snapshot {
        Snapshot::of(&self.root())
    }

    fn adopt(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(EXE);
        scrub(&mut command).current_dir(self.dir.path()).args(["adopt", "host"]).args(arguments);
        command.env("CARGO_TARGET_DIR", self.dir.path().join("target"));
        command
    }

    fn run(&self, arguments: &[&str], code: i32) -> Outcome {
        Outcome::of(&mut self.adopt(arguments)).expect_code(code)
    }

    /// What plain cargo sees here.
    fn members(&self) -> Vec<String> {
        let mut command = cargo(&self.root());
        let json =
            Outcome::of(command.args(["metadata", "--no-deps", "--format-version", "1"])).expect_code(0);
        let metadata: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        packages.iter().map(|package| package["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// One command that changes the workspace from one state to another.
struct Change<'a> {
    host: &'a Host,
    before: Snapshot,
    after: Snapshot,
    arguments: &'a [&'a str],
    /// How many calls are tried at most.
    calls: usize,
}

impl Change<'_> {
    /// A fault at each call: whatever happens, the same command afterwards brings the state that was wanted, and
    /// `--undo` the first one. Every fault at every call where all are tried; in a sample the faults take turns.
    fn prove(&self, faults: &[Fault]) {
        let make = || {
            self.before.restore(&self.host.root());
            self.host.adopt(self.arguments)
        };
        let reference = Faults::reference(make, &self.host.root());
        assert_eq!(reference.outcome.code, Some(0), "{:?}", reference.outcome);
        let mut calls = sample(&reference.calls, self.calls);
        if calls.len() < reference.calls.len() {
            calls = calls.iter().step_by(calls.len().div_ceil(self.calls)).cloned().collect();
        }
        let rounds = if calls.len() == reference.calls.len() { faults.len() } else { 1 };
        for round in 0..rounds {
            let mut runs = Vec::new();
            for (number, call) in calls.iter().enumerate() {
                let fault = faults[if rounds > 1 { round } else { number % faults.len() }];
                let command = make();
                let run = reference.inject(&command, call, fault);
                self.check(&run, fault);
                self.recover(&run, number.is_multiple_of(2));
                runs.push(run);
            }
            assert_all_fired(&calls, &runs);
        }
    }

    fn check(&self, run: &Injected, fault: Fault) {
        // The user's files: what a kill leaves of the journal goes with the next command.
        let files = self.host.files().without(".xtask-journal");
        match fault {
            Fault::Kill => {
                let members = self.host.members();
                assert!(members == ["app"] || members == ["app", "xtask"], "{members:?}\n{}", run.seen);
            }
            Fault::Error(_) => {
                // After the last change the journal is only removed: that may fail.
                let expected = if run.outcome.code == Some(0) { &self.after } else { &self.before };
                files.assert_same(expected, &run.seen);
                if run.outcome.code != Some(0) {
                    assert_eq!(run.outcome.code, Some(1), "{}", run.seen);
                    assert!(run.outcome.stderr.contains("error: "), "{}", run.seen);
                }
            }
        }
    }

    fn recover(&self, run: &Injected, forward: bool) {
        if forward {
            let again = Outcome::of(&mut self.host.adopt(self.arguments));
            // Where all of it was undone already there is nothing to undo, which is wrong usage.
            assert!(
                again.code == Some(0) || (self.undoes() && again.code == Some(2)),
                "{again:?}\n{}",
                run.seen
            );
            let files = self.host.files();
            files.assert_same(&self.after, &run.seen);
        } else {
            // Where nothing was adopted there is nothing to undo, which is wrong usage.
            let undone = Outcome::of(&mut self.host.adopt(&["--undo"]));
            assert!(matches!(undone.code, Some(0 | 2)), "{undone:?}\n{}", run.seen);
            let files = self.host.files();
            files.assert_same(&self.host.original, &run.seen);
        }
    }

    fn undoes(&self) -> bool {
        self.arguments.contains(&"--undo")
    }
}

/// The states before and after adopting in this way.
fn adopting<'a>(host: &'a Host, arguments: &'a [&'a str], calls: usize) -> Change<'a> {
    host.run(arguments, 0);
    let after = host.files();
    Change { host, before: host.original.clone(), after, arguments, calls }
}

const PATH: [&str; 2] = ["--path", "--no-build"];
const VENDOR: [&str; 1] = ["--no-build"];
const ALL: [Fault; 3] = [Fault::Kill, Fault::Error("ENOSPC"), Fault::Error("EIO")];

#[test]
fn a_copied_suite_is_there_as_a_whole_or_not_at_all() {
    let host = Host::new("adopt-copy");
    adopting(&host, &VENDOR, 4).prove(&ALL);
}

#[test]
fn an_update_is_done_or_not() {
    let host = Host::new("adopt-update");
    host.run(&PATH, 0);
    let before = host.files();
    let arguments = ["--update", "--vendor", "--no-build"];
    host.run(&arguments, 0);
    let change = Change { host: &host, before, after: host.files(), arguments: &arguments, calls: 3 };
    change.prove(&ALL);
}

#[test]
fn an_undo_is_done_or_not() {
    let host = Host::new("adopt-undo");
    host.run(&PATH, 0);
    let before = host.files();
    let change =
        Change { host: &host, before, after: host.original.clone(), arguments: &["--undo"], calls: 3 };
    change.prove(&ALL);
}
