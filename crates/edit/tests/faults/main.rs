//! A transaction that is killed, or told of a broken disk, at each of its calls: all or nothing.
//!
//! The program under test is this one, started again: the calls of a main thread are counted, and the usual
//! harness runs nothing there. So the harness is our own; cargo and nextest see no difference.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

#[path = "../support/mod.rs"]
mod support;
mod transact;

use std::process::{Command, ExitCode};

use camino::{Utf8Path, Utf8PathBuf};
use support::prepare;
use xtask_testkit::{
    Call, Fault, Faults, Injected, Outcome, Snapshot, TempDir, assert_all_fired, played, run_tests, sample,
    scrub,
};

const TESTS: [(&str, fn()); 5] = [
    ("a_kill_at_any_call_leaves_all_or_nothing", a_kill_at_any_call_leaves_all_or_nothing),
    ("an_error_at_any_call_is_told_and_changes_nothing", an_error_at_any_call_is_told_and_changes_nothing),
    (
        "a_kill_while_everything_is_put_back_is_put_back_too",
        a_kill_while_everything_is_put_back_is_put_back_too,
    ),
    (
        "a_kill_while_a_failed_check_is_taken_back_is_put_back_too",
        a_kill_while_a_failed_check_is_taken_back_is_put_back_too,
    ),
    ("a_file_system_without_hard_links_gets_copies", a_file_system_without_hard_links_gets_copies),
];

/// Its presence says that this is the program under test.
const TRANSACT: &str = "XTASK_EDIT_TRANSACT";

fn main() -> ExitCode {
    if let Some(what) = std::env::var_os(TRANSACT) {
        let root = std::env::args().nth(1).unwrap_or_default();
        let done = transact::transact(Utf8Path::new(&root), what.to_str().unwrap());
        return played(done.map(|()| ExitCode::SUCCESS));
    }
    run_tests(&TESTS)
}

/// This program as the one under test.
fn transact(root: &Utf8Path, what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    scrub(&mut command).current_dir(root.parent().unwrap()).env(TRANSACT, what).arg(root);
    command
}

/// A folder, what it looks like before and after, and the calls on the way.
struct Subject {
    dir: TempDir,
    root: Utf8PathBuf,
    before: Snapshot,
    after: Snapshot,
    faults: Faults,
}

impl Subject {
    fn new(name: &str, what: &str) -> Self {
        let dir = TempDir::new(name);
        let root = prepare(&dir);
        let before = Snapshot::of(&root);
        let faults = Faults::reference(
            || {
                prepare(&dir);
                transact(&root, what)
            },
            &root,
        );
        let after = Snapshot::of(&root);
        assert!(!after.paths().any(|path| path.as_str().contains("xtask")), "{after:?}");
        Self { dir, root, before, after, faults }
    }

    fn run(&self, what: &str, call: &Call, fault: Fault) -> Injected {
        prepare(&self.dir);
        self.faults.inject(&transact(&self.root, what), call, fault)
    }

    /// Puts back what a kill has left, in a process of its own; then nothing is pending.
    fn recover(&self) -> Outcome {
        let outcome = Outcome::of(&mut transact(&self.root, "recover")).expect_code(0);
        assert!(!xtask_edit::pending(&self.root));
        outcome
    }

    /// The place of the call that ends the transaction: before it everything can be put back.
    fn commit_point(&self) -> usize {
        let ends = |call: &Call| call.name.starts_with("unlink") && call.paths[0].ends_with("journal.json");
        let points =
            self.faults.calls.iter().enumerate().filter(|(_, call)| ends(call)).map(|(index, _)| index);
        let points = points.collect::<Vec<_>>();
        assert_eq!(points.len(), 1, "{:?}", self.faults.calls);
        points[0]
    }

    fn is_after(&self, call: &Call) -> bool {
        self.faults.calls.iter().position(|other| other == call).unwrap() > self.commit_point()
    }
}

fn a_kill_at_any_call_leaves_all_or_nothing() {
    let subject = Subject::new("kill", "commit");
    assert_eq!(subject.faults.outcome.code, Some(0), "{:?}", subject.faults.outcome);
    assert_ne!(subject.before, subject.after);
    assert_eq!(subject.after.mode("read-only.toml"), Some(0o444), "a mode is kept");
    assert_eq!(subject.after.mode("edited.toml"), Some(0o755), "a mode is kept");

    let calls = sample(&subject.faults.calls, 60);
    let mut runs = Vec::new();
    let mut pending = 0;
    for call in &calls {
        let run = subject.run("commit", call, Fault::Kill);
        let waits = xtask_edit::pending(&subject.root);
        pending += usize::from(waits);
        let outcome = subject.recover();
        assert!(waits || outcome.stdout.is_empty(), "{call}: {outcome:?}");
        let expected = if subject.is_after(call) { &subject.after } else { &subject.before };
        assert_eq!(&Snapshot::of(&subject.root), expected, "killed at {call}");
        runs.push(run);
    }
    assert_all_fired(&calls, &runs);
    assert!(pending > 5, "only {pending} kills left something to put back");
}

fn an_error_at_any_call_is_told_and_changes_nothing() {
    let subject = Subject::new("error", "commit");
    for error in ["ENOSPC", "EIO", "EACCES"] {
        let calls = sample(&subject.faults.calls, 40);
        let mut runs = Vec::new();
        for call in &calls {
            let run = subject.run("commit", call, Fault::Error(error));
            if subject.is_after(call) {
                assert_eq!(run.outcome.code, Some(0), "it is done: {}", run.seen);
                assert!(!xtask_edit::pending(&subject.root));
                // What the fault has left in the journal is garbage.
                subject.recover();
                assert_eq!(Snapshot::of(&subject.root), subject.after, "{error} at {call}");
            } else if call.succeeded {
                assert_eq!(run.outcome.code, Some(1), "{}", run.seen);
                let name = call.paths.iter().any(|path| run.outcome.stderr.contains(path.as_str()));
                assert!(name || run.outcome.stderr.contains(".xtask-journal"), "{}", run.seen);
                assert_eq!(Snapshot::of(&subject.root), subject.before, "{error} at {call}");
            } else {
                // It fails without a fault too (a folder that is there already, a temporary file that is gone
                // already), and another error may matter or not; but never by half.
                let done = run.outcome.code == Some(0);
                let expected = if done { &subject.after } else { &subject.before };
                assert_eq!(&Snapshot::of(&subject.root), expected, "{error} at {call}");
            }
            runs.push(run);
        }
        assert_all_fired(&calls, &runs);
    }
}

fn a_kill_while_everything_is_put_back_is_put_back_too() {
    // The state after a kill late in the transaction: everything is in its place, and not committed.
    let subject = Subject::new("recovery", "commit");
    let late = subject.faults.calls[subject.commit_point()].clone();
    let interrupted = |subject: &Subject| {
        let run = subject.run("commit", &late, Fault::Kill);
        assert!(run.fired, "{}", run.seen);
        transact(&subject.root, "recover")
    };
    let recovery = Faults::reference(|| interrupted(&subject), &subject.root);
    assert_eq!(recovery.outcome.code, Some(0), "{:?}", recovery.outcome);
    assert_eq!(Snapshot::of(&subject.root), subject.before);

    let calls = sample(&recovery.calls, 40);
    for fault in [Fault::Kill, Fault::Error("EIO")] {
        let mut runs = Vec::new();
        for call in &calls {
            let command = interrupted(&subject);
            let run = recovery.inject(&command, call, fault);
            if fault != Fault::Kill && call.succeeded && xtask_edit::pending(&subject.root) {
                assert_eq!(run.outcome.code, Some(1), "{}", run.seen);
                assert!(run.outcome.stderr.contains("the next run tries again"), "{}", run.seen);
            }
            subject.recover();
            assert_eq!(Snapshot::of(&subject.root), subject.before, "{fault:?} at {call}");
            runs.push(run);
        }
        assert_all_fired(&calls, &runs);
    }
}

fn a_kill_while_a_failed_check_is_taken_back_is_put_back_too() {
    let subject = Subject::new("taken-back", "fail");
    assert_eq!(subject.faults.outcome.code, Some(1));
    assert!(subject.faults.outcome.stderr.contains("the check fails"));
    assert_eq!(subject.before, subject.after);
    let calls = sample(&subject.faults.calls, 40);
    let mut runs = Vec::new();
    for call in &calls {
        runs.push(subject.run("fail", call, Fault::Kill));
        subject.recover();
        assert_eq!(Snapshot::of(&subject.root), subject.before, "killed at {call}");

        let run = subject.run("fail", call, Fault::Error("EIO"));
        assert_eq!(run.outcome.code, Some(1), "{}", run.seen);
        if xtask_edit::pending(&subject.root) {
            assert!(run.outcome.stderr.contains("the next run will finish it"), "{}", run.seen);
        }
        subject.recover();
        assert_eq!(Snapshot::of(&subject.root), subject.before, "EIO at {call}");
        assert!(run.fired, "{}", run.seen);
    }
    assert_all_fired(&calls, &runs);
}

fn a_file_system_without_hard_links_gets_copies() {
    let subject = Subject::new("copies", "commit");
    let links = subject.faults.calls.iter().filter(|call| call.name.starts_with("link")).cloned();
    let links = links.collect::<Vec<_>>();
    assert_eq!(links.len(), 2, "one for each file that is replaced");
    for call in &links {
        for error in ["EPERM", "EOPNOTSUPP", "EMLINK"] {
            let run = subject.run("commit", call, Fault::Error(error));
            assert!(run.fired && run.outcome.code == Some(0), "{}", run.seen);
            assert_eq!(Snapshot::of(&subject.root), subject.after);
            let run = subject.run("fail", call, Fault::Error(error));
            assert!(run.fired && run.outcome.stderr.contains("the check fails"), "{}", run.seen);
            assert_eq!(Snapshot::of(&subject.root), subject.before);
        }
    }
}
