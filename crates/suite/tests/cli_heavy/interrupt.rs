//! Ctrl-C and other ends: nothing of the process tree stays, nothing is half written, the next run works.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Suite, files};

const TIERS: &str = "[tiers.t]\ncommand = \"test\"\npackages = [\"side\"]\n[tiers.fast]\ncommand = \"test\"\npackages = \"affected\"\n";

/// Starts two grandchildren, one in a session of its own, says so, and waits for them.
const HANG: &str = r#"
    if std::env::var_os("HANG").is_some() {
        let mut plain = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let _session = std::process::Command::new("setsid").args(["sleep", "1000"]).spawn().unwrap();
        let _shell = std::process::Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
        std::fs::write(format!("{}/hanging", std::env::var("MARKS").unwrap()), "").unwrap();
        let _ = plain.wait();
    }
"#;

/// A tier whose test hangs while `HANG` is set.
fn hanging_test() -> Suite {
    let suite = Suite::trio(TIERS);
    suite.fixture.write("side/src/lib.rs", &format!("#[test] fn unit() {{ {HANG} }}\n"));
    suite
}

/// A tier whose build script does.
fn hanging_build() -> Suite {
    let suite = Suite::trio(TIERS);
    let watch = "println!(\"cargo::rerun-if-env-changed=ROUND\");";
    suite.fixture.write("side/build.rs", &format!("fn main() {{ {watch} {HANG} }}\n"));
    suite
}

/// All processes of the fixture: they, and only they, have its folder for marks in their environment.
fn alive(suite: &Suite) -> Vec<(u32, String)> {
    let wanted = format!("MARKS={}/marks", suite.root());
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let ours = environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes());
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        ours.then(|| (number, String::from_utf8_lossy(&line).replace('\0', " ")))
    });
    processes.collect()
}

fn wait_for<T>(what: &str, seconds: u64, mut done: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < until, "waited {seconds} s for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts the tier as the leader of a group, as a shell does, and waits until it hangs.
fn start(suite: &Suite, args: &[&str], round: usize) -> Child {
    let mut command = suite.command(args);
    command.env("HANG", "1").env("ROUND", round.to_string()).process_group(0);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mark = suite.root().join("marks/hanging");
    wait_for("the tier to hang", 60, || mark.exists().then_some(()));
    fs::remove_file(mark).unwrap();
    assert!(
        alive(suite).iter().filter(|(_, line)| line.starts_with("sleep 1000")).count() >= 3,
        "{:?}",
        alive(suite)
    );
    child
}

fn kill(signal: &str, target: &str) {
    assert!(Command::new("kill").args([signal, "--", target]).status().unwrap().success());
}

fn ended(child: &mut Child) -> ExitStatus {
    wait_for("xtask to end", 8, || child.try_wait().unwrap())
}

/// Every JSON file of the state parses, and nothing temporary is left.
fn assert_whole(suite: &Suite) {
    let mut open = vec![suite.state()];
    let mut seen = 0;
    while let Some(dir) = open.pop() {
        for path in files(&dir) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension() == Some("json") {
                seen += 1;
                let text = fs::read_to_string(&path).unwrap();
                serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
            } else {
                assert_ne!(path.extension(), Some("tmp"), "{path}");
            }
        }
    }
    assert!(seen > 0);
}

/// Signal, its number, and whether it is sent to the whole group, as a terminal does.
const SIGNALS: [(&str, i32, bool); 3] = [("-INT", 2, false), ("-INT", 2, true), ("-TERM", 15, false)];

fn assert_ends(suite: &Suite, args: &[&str]) {
    for (round, (signal, number, group)) in SIGNALS.into_iter().enumerate() {
        let mut child = start(suite, args, round);
        let target = if group { format!("-{}", child.id()) } else { child.id().to_string() };
        kill(signal, &target);
        let status = ended(&mut child);
        assert_eq!(status.signal(), Some(number), "{signal} to {target}: {status}");
        let left = left(suite, |_| true);
        clear(suite);
        assert!(left.is_empty(), "after {signal} (group: {group}): {left:?}");
        assert_whole(suite);
    }
    suite.run(args, 0);
}

#[test]
fn a_signal_during_a_test_of_nextest() {
    assert_ends(&hanging_test(), &["t"]);
}

#[test]
fn a_signal_during_a_test_of_cargo() {
    assert_ends(&hanging_test().without_nextest(), &["t"]);
}

#[test]
fn a_signal_during_the_build() {
    assert_ends(&hanging_build(), &["t"]);
}

#[test]
fn an_interrupted_run_is_remembered_as_nothing() {
    let mut suite = hanging_test();
    let mut child = start(&suite, &["fast"], 0);
    kill("-INT", &child.id().to_string());
    ended(&mut child);
    assert!(!suite.state().join("ledger.jsonl").exists());
    suite.ran();
    suite.set("MINE", "1");
    suite.run(&["fast"], 0);
    assert_eq!(suite.ran(), ["app-it", "base-unit"], "and `side`, which leaves no mark");
}

#[test]
fn with_ends_with_cargo_when_the_terminal_interrupts_both() {
    let suite = hanging_test();
    let mut child = start(&suite, &["with", "full", "--", "test", "-p", "side", "--lib"], 0);
    kill("-INT", &format!("-{}", child.id()));
    ended(&mut child);
    // What called setsid has left the terminal's group; nobody but the test itself could know of it.
    let left = left(&suite, |line| !line.starts_with("sleep"));
    clear(&suite);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_kill_that_nobody_can_catch_does_not_harm_the_next_run() {
    for suite in [hanging_test(), hanging_test().without_nextest(), hanging_build()] {
        let mut child = start(&suite, &["t"], 0);
        child.kill().unwrap();
        assert_eq!(ended(&mut child).signal(), Some(9));
        clear(&suite);
        assert_whole(&suite);
        suite.run(&["t"], 0);
        suite.run(&[], 0);
    }
}

/// The first big build is the likeliest to be stopped, and the only one that says what a build costs.
#[test]
fn the_times_of_a_build_that_was_stopped_are_kept() {
    let suite = hanging_build();
    let mut child = start(&suite, &["fast"], 0);
    let deps = suite.root().join("target/debug/deps");
    let is_library =
        |path: &camino::Utf8PathBuf| path.extension() == Some("rlib") && path.as_str().contains("libbase-");
    wait_for("a unit to end", 60, || files(&deps).iter().any(is_library).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    kill("-INT", &child.id().to_string());
    ended(&mut child);
    clear(&suite);
    let times = suite.fixture.read("target/xtask-suite/times.json");
    assert!(times.contains("debug base 0.1.0"), "{times}");
    let forecast = suite.run(&["fast", "--forecast"], 0).stdout;
    assert!(!forecast.contains("no times recorded here yet"), "{forecast}");
}

/// What is still alive after 3 s: a process that was killed takes a moment to end.
fn left(suite: &Suite, counts: impl Fn(&str) -> bool) -> Vec<(u32, String)> {
    let until = Instant::now() + Duration::from_secs(3);
    loop {
        let left = alive(suite).into_iter().filter(|(_, line)| counts(line)).collect::<Vec<_>>();
        if left.is_empty() || Instant::now() > until {
            return left;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends what the fixture started and nobody else can end.
fn clear(suite: &Suite) {
    for (process, _) in alive(suite) {
        // It may have ended meanwhile.
        let _ = Command::new("kill").args(["-KILL", &process.to_string()]).output();
    }
    wait_for("the last process to end", 5, || alive(suite).is_empty().then_some(()));
}
