//! Killed, or told of a full disk, at each call that changes a file: the workspace is as it was, or as it should be, at
//! the latest after the next setup; and it builds all the time.
//!
//! The calls are sampled, evenly and with the first and last of each kind.
//! `XTASK_FAULTS=all cargo test --package xtask-workshop --test setup faults` tries every one.

use std::process::Command;

use xtask_testkit::{Call, Fault, Faults, Outcome, Snapshot, assert_all_fired, sample};

use crate::support::Suite;

/// So many calls are tried in a run of all tests.
const FEW: usize = 5;

struct Place {
    suite: Suite,
    before: Snapshot,
    after: Snapshot,
}

impl Place {
    fn new(name: &str) -> Self {
        let suite = Suite::new(name, &["mold"], "[setup]\nlinker = \"mold\"\n");
        for program in ["strace", "taskset"] {
            suite.machine.install(program);
        }
        suite.fixture.write(".cargo/config.toml", "[build]\nrustflags = \"--cfg theirs\"\n");
        let before = files(&suite);
        suite.setup(&[]);
        let after = files(&suite);
        suite.run(&["setup", "--undo"]).expect_code(0);
        files(&suite).assert_same(&before, "after an undo");
        shell(&format!("cp -a {} {}", suite.root().join("target"), suite.machine.home()));
        Self { suite, before, after }
    }

    /// On one core, with the proofs known: what is left are the settings.
    fn command(&self) -> Command {
        let mut command = self.suite.machine.command("env", self.suite.root());
        command.args(["taskset", "-c", "0", env!("CARGO_BIN_EXE_xtask-workshop"), "setup", "--no-measure"]);
        command
    }

    fn restore(&self) {
        self.suite.run(&["setup", "--undo"]);
        files(&self.suite).assert_same(&self.before, "after an undo");
        // What the suite knows decides what it writes: each run begins with the same.
        let target = self.suite.root().join("target");
        shell(&format!("rm -rf {target} && cp -a {} {target}", self.suite.machine.home().join("target")));
    }

    /// Whatever happened: cargo builds, and the next setup ends as any other.
    fn is_right(&self, seen: &str) {
        let built = self.suite.cargo(&["check"]);
        assert_eq!(built.code, Some(0), "{seen}\n{}", built.stderr);
        self.suite.setup(&[]);
        files(&self.suite).assert_same(&self.after, seen);
    }
}

fn shell(script: &str) {
    Outcome::of(Command::new("sh").args(["-e", "-c", script])).expect_code(0);
}

/// The workspace's own files.
fn files(suite: &Suite) -> Snapshot {
    Snapshot::of(suite.root()).without("target")
}

fn prove(name: &str, fault: Fault) {
    let place = Place::new(name);
    let make = || {
        place.restore();
        place.command()
    };
    let faults = Faults::reference(make, place.suite.root());
    assert_eq!(faults.outcome.code, Some(0), "{:?}", faults.outcome);
    files(&place.suite).assert_same(&place.after, "without a fault");
    // Those that change what a name stands for; what only fills a new file is staged elsewhere.
    let renames = ["rename", "unlink", "unlinkat", "linkat", "mkdir"];
    let of_the_user = |call: &&Call| {
        let outside = call.paths.iter().any(|path| !path.starts_with("target"));
        outside && call.succeeded && renames.contains(&call.name.as_str())
    };
    let calls = faults.calls.iter().filter(of_the_user).cloned().collect::<Vec<_>>();
    assert!(calls.len() > 15, "{calls:?}");
    let tried = sample(&calls, FEW);
    let mut runs = Vec::new();
    for call in &tried {
        let run = faults.inject(&make(), call, fault);
        if let Fault::Error(_) = fault
            && run.outcome.code != Some(0)
        {
            assert!(run.outcome.stderr.contains("failed to"), "{}", run.seen);
        }
        place.is_right(&run.seen);
        runs.push(run);
    }
    assert_all_fired(&tried, &runs);
}

#[test]
fn killed_at_any_change() {
    prove("setup-killed", Fault::Kill);
}

#[test]
fn a_full_disk_at_any_change() {
    prove("setup-full", Fault::Error("ENOSPC"));
}
