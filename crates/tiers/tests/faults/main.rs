//! The store of remembered passes, by a process that is killed, or told of a full or broken disk, at each of its changes to
//! the disk in turn; and by several processes at once.
//!
//! The program under test is this one, started again: the calls of a main thread are counted, and the usual harness runs
//! nothing there.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::cell::Cell;
use std::fs::{self, File};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Fault, Faults, TempDir, assert_all_fired, played, run_tests, sample, scrub};
use xtask_tiers::{Counts, Mismatch, Pass, Store};
use xtask_workspace::{CargoConfig, Digest, Facts, Workspace, digest};

const TESTS: [(&str, fn()); 7] = [
    ("a_store_that_is_made_is_whole_or_made_again", a_store_that_is_made),
    ("a_pass_is_the_old_one_or_the_new_one", a_pass),
    ("what_is_stopped_is_stopped_or_it_is_told", a_stop),
    ("a_contradicted_pass_never_survives_its_mismatch", an_acceptance),
    ("no_pass_survives_a_damaged_mismatch", an_acceptance_of_a_damaged_mismatch),
    ("pruning_takes_only_what_is_old", pruning),
    ("several_processes_at_once_read_whole_passes", several_processes_at_once),
];

/// Its presence says that this is the program under test; it is what to do.
const ACTION: &str = "XTASK_TIERS_STORE";
const FAULTS: [Fault; 4] = [Fault::Kill, Fault::Error("ENOSPC"), Fault::Error("EIO"), Fault::Error("EACCES")];

fn main() -> ExitCode {
    if let Ok(action) = std::env::var(ACTION) {
        let dir = std::env::args().nth(1).unwrap_or_default();
        return played(act(Utf8Path::new(&dir), &action).map(|()| ExitCode::SUCCESS));
    }
    run_tests(&TESTS)
}

/// What the program under test does.
fn act(dir: &Utf8Path, action: &str) -> Result<()> {
    let store = open(dir, "root").map_err(|reason| anyhow!(reason))?;
    match action {
        "put" => store.put(&digest("wrong"), &pass("new")),
        "stop" => store.stop(&mismatch()),
        "accept" => store.accept().map(drop),
        "prune" => store.prune(),
        "all" => {
            for round in 0..20 {
                for name in NAMES {
                    store.put(&digest(name), &pass(&format!("{name} {round}")))?;
                    // Between its file's removal and the next, there may be none.
                    let read = store.get(&digest(name)).map(|pass| pass.program);
                    ensure!(read.as_ref().is_none_or(|read| read.starts_with(name)), "{name}: {read:?}");
                    store.prune()?;
                }
                store.remove(&digest(NAMES[round % NAMES.len()]))?;
            }
            Ok(())
        }
        other => bail!("{other}?"),
    }
}

/// The passes that are remembered at first; one of them is wrong.
const NAMES: [&str; 3] = ["right", "wrong", "old"];

fn open(dir: &Utf8Path, root: &str) -> Result<Store, String> {
    let facts = Facts { root: dir.join(root), ..Facts::default() };
    let environment = [("XTASK_STORE", base(dir).as_str())].into_iter().collect();
    let cargo_config = CargoConfig::default();
    Store::open(&Workspace { facts, environment, cargo_config, plan_key: digest("") })
}

fn base(dir: &Utf8Path) -> Utf8PathBuf {
    dir.join("base")
}

fn pass(program: &str) -> Pass {
    Pass { program: program.to_owned(), tests: Counts::default(), ms: 1, at_ms: 2, commit: None }
}

fn mismatch() -> Mismatch {
    let failures = vec!["it::works".to_owned()];
    Mismatch { program: "wrong".to_owned(), key: digest("wrong"), pass: pass("wrong"), failures, at_ms: 3 }
}

fn path(store: &Store, name: &str) -> Utf8PathBuf {
    store.summary().unwrap().dir.join(name)
}

fn pass_path(store: &Store, key: &Digest) -> Utf8PathBuf {
    path(store, &format!("{key}.pass"))
}

fn make_old(path: &Utf8Path) {
    let time = SystemTime::now() - Duration::from_secs(100 * 24 * 60 * 60);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A new store with a pass for each of [`NAMES`].
fn prepare(dir: &Utf8Path) -> Store {
    xtask_files::remove_dir(&base(dir)).unwrap();
    fs::create_dir_all(dir.join("root")).unwrap();
    let store = open(dir, "root").unwrap();
    for name in NAMES {
        store.put(&digest(name), &pass(name)).unwrap();
    }
    store
}

fn command(dir: &Utf8Path, action: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    scrub(&mut command).current_dir(dir).env(ACTION, action).arg(dir);
    command
}

/// Runs `action` with each fault at each of its calls, each time after `prepare`. `check` gets the store as the next process
/// finds it, whether the action said that it is done, and what happened to it.
fn with_each_fault(action: &str, prepare: impl Fn(&Utf8Path), check: impl Fn(&Store, bool, &str)) {
    let dir = TempDir::new("store-faults");
    let dir = dir.path();
    let make = || {
        prepare(dir);
        command(dir, action)
    };
    let faults = Faults::reference(make, &base(dir));
    assert_eq!(faults.outcome.code, Some(0), "{:?}", faults.outcome);
    check(&open(dir, "root").unwrap(), true, "without a fault");
    let calls = sample(&faults.calls, 40);
    for fault in FAULTS {
        let mut runs = Vec::new();
        for call in &calls {
            let run = faults.inject(&make(), call, fault);
            let is_done = run.outcome.code == Some(0);
            assert!(
                is_done || fault == Fault::Kill || run.outcome.stderr.contains("store-faults"),
                "{}",
                run.seen
            );
            check(&open(dir, "root").unwrap(), is_done, &run.seen);
            runs.push(run);
        }
        assert_all_fired(&calls, &runs);
    }
}

fn program(store: &Store, name: &str) -> Option<String> {
    store.get(&digest(name)).map(|pass| pass.program)
}

fn a_store_that_is_made() {
    let nothing = |dir: &Utf8Path| {
        xtask_files::remove_dir(&base(dir)).unwrap();
        fs::create_dir_all(dir.join("root")).unwrap();
    };
    with_each_fault("put", nothing, |store, is_done, seen| {
        let found = program(store, "wrong");
        assert!(found.as_deref() == Some("new") || found.is_none() && !is_done, "{found:?}\n{seen}");
        store.put(&digest("wrong"), &pass("again")).unwrap();
        assert_eq!(program(store, "wrong").as_deref(), Some("again"), "{seen}");
    });
}

fn a_pass() {
    with_each_fault(
        "put",
        |dir| drop(prepare(dir)),
        |store, is_done, seen| {
            let found = program(store, "wrong").unwrap();
            assert!(found == "new" || found == "wrong" && !is_done, "{found}\n{seen}");
            assert_eq!(program(store, "right").as_deref(), Some("right"), "{seen}");
            store.put(&digest("wrong"), &pass("again")).unwrap();
            assert_eq!(program(store, "wrong").as_deref(), Some("again"), "{seen}");
        },
    );
}

fn a_stop() {
    let by_an_empty_file = Cell::new(0);
    with_each_fault(
        "stop",
        |dir| drop(prepare(dir)),
        |store, is_done, seen| {
            assert!(store.stopped().is_some() || !is_done, "{seen}");
            if let Some(stopped) = store.stopped() {
                by_an_empty_file.set(by_an_empty_file.get() + usize::from(!stopped.is_known()));
                assert_eq!(program(store, "right"), None, "{seen}");
                store.accept().unwrap();
                assert_eq!(program(store, "wrong"), None, "{seen}");
            }
            store.stop(&mismatch()).unwrap();
            assert_eq!(store.stopped(), Some(mismatch()), "{seen}");
        },
    );
    assert!(by_an_empty_file.get() > 2, "a full disk stops it too");
}

fn an_acceptance() {
    let stopped = |dir: &Utf8Path| {
        let store = prepare(dir);
        let (wrong, kept) = (pass_path(&store, &digest("wrong")), dir.join("kept"));
        fs::copy(&wrong, &kept).unwrap();
        store.stop(&mismatch()).unwrap();
        // As another process may put it back in the moment of the stop.
        fs::copy(&kept, &wrong).unwrap();
    };
    with_each_fault("accept", stopped, |store, is_done, seen| {
        assert!(store.stopped().is_none() || !is_done, "{seen}");
        store.accept().unwrap();
        assert_eq!((store.stopped(), program(store, "wrong")), (None, None), "{seen}");
        assert_eq!(program(store, "right").as_deref(), Some("right"), "{seen}");
    });
}

fn an_acceptance_of_a_damaged_mismatch() {
    let damaged = |dir: &Utf8Path| drop(File::create(path(&prepare(dir), "stopped")).unwrap());
    with_each_fault("accept", damaged, |store, is_done, seen| {
        assert!(store.stopped().is_none() || !is_done, "{seen}");
        store.accept().unwrap();
        assert!(NAMES.iter().all(|name| program(store, name).is_none()), "{seen}");
    });
}

fn pruning() {
    let old = |dir: &Utf8Path| {
        let store = prepare(dir);
        make_old(&pass_path(&store, &digest("old")));
        fs::create_dir_all(dir.join("gone")).unwrap();
        let gone = open(dir, "gone").unwrap();
        gone.put(&digest("gone"), &pass("gone")).unwrap();
        gone.prune().unwrap();
        make_old(&path(&gone, "pruned"));
        xtask_files::remove_dir(&dir.join("gone")).unwrap();
    };
    with_each_fault("prune", old, |store, is_done, seen| {
        // That of the repository that is gone is in another folder beside this one.
        let verdicts = path(store, "..").read_dir_utf8().unwrap();
        let gone = format!("{}.pass", digest("gone"));
        let gone = verdicts.map(|entry| entry.unwrap().path().join(&gone));
        let left = gone.chain([pass_path(store, &digest("old"))]).collect::<Vec<_>>();
        assert!(!is_done || left.iter().all(|path| !path.exists()), "{seen}");
        if path(store, "pruned").exists() {
            make_old(&path(store, "pruned"));
        }
        store.prune().unwrap();
        assert!(left.iter().all(|path| !path.exists()), "{seen}");
        assert_eq!(program(store, "right").as_deref(), Some("right"), "{seen}");
    });
}

fn several_processes_at_once() {
    let dir = TempDir::new("store-at-once");
    let store = prepare(dir.path());
    let start = |_| command(dir.path(), "all").stderr(Stdio::piped()).spawn().unwrap();
    let mut running = (0..4).map(start).collect::<Vec<_>>();
    let mut read = 0;
    while running.iter_mut().any(|process| process.try_wait().unwrap().is_none()) {
        for name in NAMES {
            if let Some(program) = program(&store, name) {
                assert!(program.starts_with(name), "{program}");
                read += 1;
            }
        }
    }
    for process in running {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(read > 0);
}
