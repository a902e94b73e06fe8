//! Sweeps beside running builds: neither disturbs the other.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use xtask_testkit::Outcome;

use crate::files::files;
use crate::support::{EXE, FEW_TIERS, Small, number, texts};

#[test]
fn a_profile_that_is_built_in_is_left_alone_and_named() {
    let small = Small::new("busy", FEW_TIERS);
    small.build_all();
    small.run("RUSTFLAGS='--cfg old' cargo build");
    small.run("cargo build --release");
    for lock in [".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock"] {
        small.run("touch target/debug/.cargo-build-lock target/debug/.cargo-artifact-lock");
        small.run("cargo build --release");
        let held = std::fs::File::open(small.root().join("target/debug").join(lock)).unwrap();
        held.lock().unwrap();
        let swept = small.place.sweep(&[], 0);
        assert_eq!(texts(&swept, "skipped", "what"), ["profile debug"], "{swept:#}");
        assert_eq!(texts(&swept, "skipped", "why"), ["a cargo is building in it"], "{swept:#}");
        assert!(number(&swept, "removed_units") > 0, "the other profile is swept: {swept:#}");
        assert!(small.root().join("target/debug").join(lock).exists());
    }
    let swept = small.place.sweep(&[], 0);
    assert!(number(&swept, "removed_units") > 0 && texts(&swept, "skipped", "what").is_empty(), "{swept:#}");
}

/// A real build and real sweeps, again and again, in both layouts: no build fails, and what is built is right.
#[test]
fn fifty_sweeps_beside_a_running_build() {
    let mut new = Small::new("race-2", FEW_TIERS);
    new.place.with_new_layout();
    race(&Small::new("race-1", FEW_TIERS), 25);
    race(&new, 25);
}

fn race(small: &Small, sweeps: usize) {
    small.run("cargo generate-lockfile");
    small.build_all();
    let done = AtomicBool::new(false);
    let (mut busy, mut free) = (0, 0);
    std::thread::scope(|scope| {
        let builds = scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                number += 1;
                small.write(
                    "app/src/main.rs",
                    &format!("fn main() {{ println!(\"{{}} {number}\", lib::value()); }}\n"),
                );
                // One build is needed, the other is stale as soon as it is there.
                let flags = if number % 2 == 0 { "--cfg old" } else { "" };
                let line = format!("RUSTFLAGS='{flags}' cargo run --quiet");
                let outcome = small.place.shell(&line).expect_code(0);
                assert_eq!(outcome.stdout, format!("41 {number}\n"));
            }
            number
        });
        for _ in 0..sweeps {
            let swept = small.place.sweep(&[], 0);
            assert!(swept["errors"].as_array().unwrap().is_empty(), "{swept:#}");
            if texts(&swept, "skipped", "what").is_empty() { free += 1 } else { busy += 1 }
        }
        done.store(true, Ordering::Relaxed);
        assert!(builds.join().unwrap() > 2);
    });
    assert!(busy > 0 && free > 0, "{busy} sweeps found a cargo at work, {free} did not");
    small.place.compile(&small.place.needed()).unwrap();
    let swept = small.place.sweep(&["--verify"], 0);
    assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
}

/// A sweep that is held for a while at its first removal; `meanwhile` runs then, with the locks held.
fn held(small: &Small, meanwhile: impl FnOnce()) -> Outcome {
    // The plans are kept, so that it removes soon.
    small.place.sweep(&["--dry-run"], 0);
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "/dev/null", "-e", "inject=unlinkat:delay_enter=1500000:when=1", EXE]);
    xtask_testkit::scrub(&mut command).args(["clean-stale", "--json"]).current_dir(small.root());
    let sweep = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let file = std::fs::File::open(small.root().join("target/debug/.cargo-lock")).unwrap();
    while file.try_lock().is_ok() {
        file.unlock().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    // Planning takes some tenths of a second under strace.
    std::thread::sleep(Duration::from_secs(1));
    meanwhile();
    let output = sweep.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A build that comes while a sweep is at work waits for it.
#[test]
fn a_build_waits_for_the_sweep() {
    let small = Small::new("waits", FEW_TIERS);
    small.build_all();
    small.run("RUSTFLAGS='--cfg old' cargo build");
    let outcome = held(&small, || {
        let outcome = small.run("cargo build");
        assert!(outcome.stderr.contains("Blocking waiting for file lock"), "{}", outcome.stderr);
    });
    outcome.expect_code(0);
}

/// A folder that becomes a link while the sweep is at work leads nowhere.
#[test]
fn a_link_swapped_in_meanwhile_is_not_followed() {
    let small = Small::new("swapped", FEW_TIERS);
    small.build_all();
    small.run("RUSTFLAGS='--cfg old' cargo build");
    small.run("cp -a target/debug ../precious");
    let precious = small.fixture.root().join("precious");
    let before = files(&precious);
    let outcome = held(&small, || {
        for folder in ["deps", "incremental"] {
            small.run(&format!("mv target/debug/{folder} ../{folder}.real"));
            symlink(precious.join(folder), small.root().join("target/debug").join(folder)).unwrap();
        }
    });
    let swept: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(outcome.code, Some(1), "{swept:#}");
    assert!(texts(&swept, "errors", "path").iter().any(|path| path.contains("/debug/deps/")), "{swept:#}");
    assert_eq!(files(&precious), before);
}

/// Files that come and go while they are counted.
#[test]
fn what_vanishes_while_it_is_looked_at_is_no_error() {
    let small = Small::new("vanish", FEW_TIERS);
    small.build_all();
    let done = AtomicBool::new(false);
    let deps = small.root().join("target/debug/deps");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for number in 0..200 {
                    let folder = deps.join(format!("x-{number:016x}/inner"));
                    std::fs::create_dir_all(&folder).unwrap();
                    std::fs::File::create(folder.join("file")).unwrap();
                }
                small.run("rm -rf target/debug/deps/x-*");
            }
        });
        // Asserted when the other thread has ended, or a failure would wait for it for ever.
        let looks = (0..30).map(|_| small.place.suite(&["disk", "--json"])).collect::<Vec<_>>();
        done.store(true, Ordering::Relaxed);
        for outcome in looks {
            let outcome = outcome.expect_code(0);
            let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
            assert!(report["unreadable"].as_array().unwrap().is_empty(), "{report:#}");
        }
    });
}
