//! Linkers compared on a real workspace, with real cargo, rustc and linkers.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_stats::Verdict;
use xtask_testkit::{Fixture, Outcome, cargo};
use xtask_tools::race::{Candidate, Race, race};
use xtask_tools::{LinkSettings, Machine};
use xtask_workspace::{CargoCommand, Environment, Progress, Workspace};

/// A library with a small test, and a test `it` that is larger as it holds more.
fn fixture() -> Fixture {
    let manifest = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    let build = "fn main() { println!(\"cargo:rerun-if-env-changed=RUSTC_WRAPPER\"); }";
    let it =
        "static LARGE: [u8; 3 << 20] = [7; 3 << 20];\n#[test] fn t() { assert_eq!(app::f(), LARGE[1]); }";
    Fixture::new(
        "race",
        &[
            ("Cargo.toml", manifest),
            ("build.rs", build),
            ("src/lib.rs", "pub fn f() -> u8 { 7 }\n#[test] fn t() { f(); }"),
            ("tests/it.rs", it),
        ],
    )
}

/// The environment of a fresh login, and `more`.
fn workspace(fixture: &Fixture, more: &[(&str, &str)]) -> Workspace {
    let mut command = cargo(fixture.root());
    command.envs(more.iter().copied());
    let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
    let variables = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
    let environment = variables.collect::<Environment>();
    Workspace::load(fixture.root(), environment).unwrap()
}

fn candidate(name: &str, linker: Option<&str>, rustflags: &[&str]) -> Candidate {
    let rustflags = rustflags.iter().map(|&flag| flag.to_owned()).collect();
    let settings = LinkSettings { linker: linker.map(str::to_owned), rustflags };
    Candidate { name: name.to_owned(), settings: Some(settings), says: None }
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn output(&self, _line: &str) {}
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
    fn detail(&self, _text: &str) {}
    fn units(&self, _done: usize, _of: Option<usize>, _unit: &str) {}
}

fn test_command(workspace: &Workspace) -> CargoCommand {
    CargoCommand::new(workspace.root(), ["test", "--workspace"])
}

/// The race of `candidates` in `rounds` rounds, and the notes.
fn raced(workspace: &Workspace, candidates: &[Candidate], rounds: usize) -> (Option<Race>, Vec<String>) {
    let notes = Notes::default();
    let machine = Machine::of(workspace).unwrap();
    let race = race(workspace, &machine, &test_command(workspace), candidates, rounds, &notes).unwrap();
    assert!(!workspace.state_dir().join("setup/probes/race").exists());
    (race, notes.0.into_inner().unwrap())
}

/// A linker that writes a line to `NAME.log` and then is `cc`.
fn linker(fixture: &Fixture, name: &str) -> Utf8PathBuf {
    fixture.write(name, "#!/bin/sh\necho x >> \"$0.log\"\nexec cc \"$@\"\n");
    let path = fixture.root().join(name);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn calls(linker: &Utf8Path) -> usize {
    std::fs::read_to_string(format!("{linker}.log")).map_or(0, |log| log.lines().count())
}

/// What plain cargo compiles now.
fn compiled(fixture: &Fixture, more: &[(&str, &str)]) -> String {
    let mut command = cargo(fixture.root());
    command.args(["test", "--workspace", "--no-run"]).envs(more.iter().copied());
    let stderr = Outcome::of(&mut command).expect_code(0).stderr;
    stderr.lines().filter(|line| line.trim_start().starts_with("Compiling")).collect()
}

#[test]
fn every_candidate_links_and_the_build_stays_fresh() {
    let fixture = fixture();
    let workspace = workspace(&fixture, &[]);
    let ours = linker(&fixture, "our-cc");
    // A race that was killed.
    fixture.write("target/xtask-suite/setup/probes/race/0/left.o", "");
    let candidates = [
        candidate("now", None, &[]),
        Candidate { says: Some("mold".to_owned()), ..candidate("mold", None, &["-Clink-arg=-fuse-ld=mold"]) },
        candidate("GNU ld", Some(ours.as_str()), &["-Clinker-features=-lld"]),
        candidate("no program", Some("no-such-cc"), &[]),
        candidate("no library", None, &["-Clink-arg=-lno-such-library"]),
        Candidate {
            says: Some("mold".to_owned()),
            ..candidate("another linker", None, &["-Clink-arg=-fuse-ld=bfd"])
        },
    ];
    // Everything is compiled by the race itself, then nothing of it is there.
    for round in ["all is stale", "all is fresh"] {
        let (race, notes) = raced(&workspace, &candidates, 6);
        let race = race.unwrap();
        assert_eq!((race.binary.as_str(), race.rounds), ("app test it", 6), "{round}");
        assert!(race.bytes > 3 << 20, "{}", race.bytes);
        assert_eq!(notes, ["linking app test it over and over"], "{round}");
        let counts = race.entries.iter().map(|entry| entry.milliseconds.len()).collect::<Vec<_>>();
        assert_eq!(counts, [6, 6, 6, 0, 0, 0], "{:#?}", race.entries);
        for entry in &race.entries[..3] {
            assert_eq!((&entry.failed, entry.median_ms.unwrap() > 0.0), (&None, true), "{round}");
        }
        assert!(race.entries[0].comparison.is_none());
        assert_eq!(race.entries[1].comparison.as_ref().unwrap().rounds, 6);
        let why = |index: usize| race.entries[index].failed.as_deref().unwrap_or_default();
        assert!(why(3).contains("no-such-cc"), "{}", why(3));
        assert!(why(4).contains("no-such-library"), "{}", why(4));
        assert!(why(5).contains("it was not used"), "{}", why(5));
        assert_eq!(compiled(&fixture, &[]), "", "{round}");
    }
    // Once to warm up, six times timed.
    assert_eq!(calls(&ours), 2 * 7);
}

#[test]
fn the_users_own_wrapper_and_linker_are_the_baselines() {
    let fixture = fixture();
    let theirs = linker(&fixture, "their-cc");
    let config = format!(
        "[target.x86_64-unknown-linux-gnu]\nlinker = \"{theirs}\"\nrustflags = [\"-Clink-arg=-fuse-ld=no-such\"]\n"
    );
    fixture.write("wrapper", "#!/bin/sh\nexec \"$@\"\n");
    let wrapper = fixture.root().join("wrapper");
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Works for them: their linker takes no notice of it.
    fixture.write(
        "their-cc",
        "#!/bin/bash\necho x >> \"$0.log\"\nexec cc \"${@/#-fuse-ld=no-such/-fuse-ld=bfd}\"\n",
    );
    fixture.write(".cargo/config.toml", &config);
    let more = [("RUSTC_WRAPPER", wrapper.as_str()), ("CARGO_INCREMENTAL", "0")];
    let workspace = workspace(&fixture, &more);
    assert_ne!(compiled(&fixture, &more), "");
    let before = calls(&theirs);
    let candidates = [candidate("now", None, &[]), candidate("plain", Some("cc"), &[])];
    let (race, _) = raced(&workspace, &candidates, 6);
    // Once for cargo, once by rustc, once to warm up, six times timed.
    assert_eq!(calls(&theirs) - before, 9);
    let race = race.unwrap();
    assert!(race.entries.iter().all(|entry| entry.failed.is_none()), "{:#?}", race.entries);
    assert_ne!(race.entries[1].comparison.as_ref().unwrap().verdict, Verdict::TooFewRounds);
    assert_eq!(compiled(&fixture, &more), "");
}

#[test]
fn a_test_with_a_harness_of_its_own_is_linked_too() {
    let fixture = fixture();
    let manifest = fixture.read("Cargo.toml");
    fixture.write(
        "Cargo.toml",
        &format!("{manifest}[[test]]\nname = \"it\"\nharness = false\n[lib]\ntest = false\n"),
    );
    fixture.write("tests/it.rs", "fn main() { app::f(); }");
    let candidates = [candidate("now", None, &[])];
    let (race, _) = raced(&workspace(&fixture, &[]), &candidates, 1);
    let race = race.unwrap();
    assert_eq!((race.binary.as_str(), race.entries[0].milliseconds.len()), ("app test it", 1));
}

#[test]
fn without_a_test_program_there_is_no_race() {
    let table =
        [("src/lib.rs", "[lib]\ntest = false\n", "builds no test program"), ("tests/it.rs", "", "fails")];
    for (path, more, expected) in table {
        let fixture = fixture();
        let manifest = fixture.read("Cargo.toml");
        fixture.write("Cargo.toml", &format!("{manifest}autotests = {}\n{more}", more.is_empty()));
        fixture.write(path, "pub fn f() -> u8 { 7 }\n#[test] fn t() -> Nothing {}");
        if !more.is_empty() {
            fixture.write(path, "pub fn f() -> u8 { 7 }");
        }
        let (race, notes) = raced(&workspace(&fixture, &[]), &[candidate("now", None, &[])], 1);
        assert!(race.is_none());
        let note = notes.join(", ");
        let start = "no linkers were compared: `cargo test --no-run --workspace` ";
        assert_eq!(note, format!("{start}{expected}"));
    }
}
