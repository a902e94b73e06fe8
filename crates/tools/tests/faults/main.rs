//! A fetch that is killed, or told of a full or broken disk, at each of its changes to the disk in turn; and fetches by
//! several processes at once.
//!
//! The program under test is this one, started again: the calls of a main thread are counted, and the usual harness runs
//! nothing there. No command of the suite fetches anything by itself alone, so the source is compiled in.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

#[expect(unused_imports, reason = "the unit tests in it are not run here")]
#[path = "../../src/download.rs"]
mod download;
#[expect(
    dead_code,
    unused_imports,
    reason = "other modules call the rest, and its unit tests are not run here"
)]
#[path = "../../src/process.rs"]
mod process;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitCode, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use download::{Fetch, Limits};
use xtask_testkit::{
    Call, Fault, Faults, Injected, Outcome, TempDir, assert_all_fired, played, run_tests, sample,
};
use xtask_workspace::config::Archive;
use xtask_workspace::{Environment, Silent};

const TESTS: [(&str, fn()); 5] = [
    ("killed_at_any_call_the_old_program_or_the_new_one_is_there", killed_at_any_call),
    ("a_full_or_broken_disk_at_any_call_is_told_and_nothing_is_half_placed", a_broken_disk_at_any_call),
    ("a_folder_that_refuses_writing_is_told_with_the_next_step", a_folder_that_refuses_writing),
    ("several_processes_at_once_all_succeed", several_processes_at_once),
    ("an_interrupt_ends_curl_too_and_what_came_is_kept", an_interrupt),
];

/// Its presence says that this is the program under test; it is the SHA-256 of the archive.
const FETCH: &str = "XTASK_TOOLS_FETCH";

const OLD: &str = "old";
const NEW: &str = "#!/bin/sh\necho new\n";

fn main() -> ExitCode {
    if let Ok(sha256) = std::env::var(FETCH) {
        let root = std::env::args().nth(1).unwrap_or_default();
        return played(fetch_below(Utf8Path::new(&root), sha256).map(|_| ExitCode::SUCCESS));
    }
    run_tests(&TESTS)
}

/// What the program under test does.
fn fetch_below(root: &Utf8Path, sha256: String) -> anyhow::Result<Utf8PathBuf> {
    let archive = Archive {
        host: "*".to_owned(),
        version: "1.0".to_owned(),
        url: "https://localhost/tool.tar.gz".to_owned(),
        sha256,
        binary: None,
    };
    let (downloads, folder) = (&root.join("downloads"), &root.join("bin"));
    let (limits, environment, progress) = (Limits::default(), &Environment::current(), &Silent);
    Fetch { archive: &archive, program: "tool", downloads, folder, limits, environment, progress }.fetch()
}

/// A folder in which a fetch takes place, with an archive, and a `curl` that brings it.
struct Place {
    dir: TempDir,
    sha256: String,
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = TempDir::new(name);
        dir.write("source/tool", NEW);
        dir.write("own/curl", "#!/bin/sh\necho curl >>\"$LOG\"\nexec cat \"$SOURCE\"\n");
        fs::set_permissions(dir.path().join("own/curl"), fs::Permissions::from_mode(0o755)).unwrap();
        let shell = |line: &str| {
            Outcome::of(Command::new("sh").args(["-c", line]).current_dir(dir.path())).expect_code(0).stdout
        };
        shell("tar -czf tool.tar.gz -C source tool");
        let sha256 = shell("sha256sum tool.tar.gz")[..64].to_owned();
        Self { dir, sha256 }
    }

    fn root(&self) -> Utf8PathBuf {
        self.dir.path().join("root")
    }

    fn program(&self) -> Utf8PathBuf {
        self.root().join("bin/tool")
    }

    /// This program as the one under test.
    fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let path = format!("{}:{}", self.dir.path().join("own"), std::env::var("PATH").unwrap());
        command.env_clear().env("PATH", path).env(FETCH, &self.sha256).arg(self.root());
        command.env("SOURCE", self.dir.path().join("tool.tar.gz")).env("LOG", self.dir.path().join("log"));
        command.current_dir(self.dir.path());
        command
    }

    /// The state before: an old program, and nothing downloaded.
    fn prepare(&self) -> Command {
        xtask_files::remove_dir(&self.root()).unwrap();
        self.dir.write("root/bin/tool", OLD);
        self.command()
    }

    fn reference(&self) -> Faults {
        let faults = Faults::reference(|| self.prepare(), &self.root());
        assert_eq!(faults.outcome.code, Some(0), "{:?}", faults.outcome);
        self.is_new("without faults");
        let named = |name: &str, path: &str| {
            let meant =
                |call: &Call| call.name == name && call.paths.iter().any(|p| p.as_str().ends_with(path));
            faults.calls.iter().any(meant)
        };
        // That what is to be tried is among the calls.
        assert!(named("rename", "bin/tool") && named("rename", ".archive"), "{:?}", faults.calls);
        assert!(
            named("fsync", "tmp") && named("write", "tmp") && named("write", ".part"),
            "{:?}",
            faults.calls
        );
        faults
    }

    /// Whether the new program is there; the old one otherwise, and nothing in between.
    fn holds_new(&self, seen: &str) -> bool {
        let text = fs::read_to_string(self.program()).unwrap_or_else(|error| panic!("{error}\n{seen}"));
        assert!(text == OLD || text == NEW, "half-placed: {text:?}\n{seen}");
        text == NEW
    }

    fn is_new(&self, seen: &str) {
        assert!(self.holds_new(seen), "{seen}");
        assert_eq!(fs::metadata(self.program()).unwrap().permissions().mode(), 0o100_755, "{seen}");
    }

    /// What lies beside the program.
    fn beside(&self) -> Vec<String> {
        let entries = self.root().join("bin").read_dir_utf8().unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_owned());
        names.filter(|name| name != "tool").collect()
    }

    /// The same fetch afterwards brings the new program.
    fn again(&self, seen: &str) {
        let again = Outcome::of(&mut self.command());
        assert_eq!(again.code, Some(0), "{again:?}\n{seen}");
        self.is_new(seen);
        assert!(self.root().join("downloads").join(format!("{}.archive", self.sha256)).is_file(), "{seen}");
    }
}

/// A fault at each call, or at a sample of them.
fn each_call(place: &Place, faults: &Faults, fault: Fault, check: impl Fn(&Injected)) {
    let calls = sample(&faults.calls, 30);
    let mut runs = Vec::new();
    for call in &calls {
        let run = faults.inject(&place.prepare(), call, fault);
        check(&run);
        place.again(&run.seen);
        runs.push(run);
    }
    assert_all_fired(&calls, &runs);
}

fn killed_at_any_call() {
    let place = Place::new("fetch-kill");
    let faults = place.reference();
    each_call(&place, &faults, Fault::Kill, |run| {
        place.holds_new(&run.seen);
        // At most the one file whose name says whose it is; a later fetch removes it when it is old.
        let beside = place.beside();
        assert!(beside.len() <= 1, "{beside:?}\n{}", run.seen);
        assert!(
            beside
                .iter()
                .all(|name| name.starts_with(".tool.") && Utf8Path::new(name).extension() == Some("tmp")),
            "{beside:?}\n{}",
            run.seen
        );
    });
}

fn a_broken_disk_at_any_call() {
    let place = Place::new("fetch-broken");
    let faults = place.reference();
    for error in ["ENOSPC", "EIO"] {
        each_call(&place, &faults, Fault::Error(error), |run| {
            let is_new = place.holds_new(&run.seen);
            let stderr = &run.outcome.stderr;
            if run.outcome.code == Some(0) {
                assert!(is_new, "{}", run.seen);
                return;
            }
            assert_eq!(run.outcome.code, Some(1), "{}", run.seen);
            assert!(!is_new, "{}", run.seen);
            assert!(stderr.starts_with("failed to install tool 1.0"), "{}", run.seen);
            // What cannot be removed either stays: it is told, or it goes with a later fetch.
            if error == "ENOSPC" {
                let next = "a disk is full; free some space, then run it again";
                assert!(stderr.contains(next), "{stderr}\n{}", run.seen);
            }
            assert_eq!(place.beside(), [""; 0], "{}", run.seen);
        });
    }
}

fn a_folder_that_refuses_writing() {
    let place = Place::new("fetch-refused");
    let faults = place.reference();
    let temporary = |call: &&Call| {
        let names = |path: &Utf8PathBuf| path.as_str().starts_with("bin/.tool");
        call.name.starts_with("open") && call.paths.iter().any(names)
    };
    let call = faults.calls.iter().find(temporary).unwrap();
    for error in ["EACCES", "EROFS"] {
        let run = faults.inject(&place.prepare(), call, Fault::Error(error));
        let said = &run.outcome.stderr;
        assert!(run.fired && run.outcome.code == Some(1), "{}", run.seen);
        assert!(said.contains("make it writable for you, or choose another folder"), "{said}");
        assert!(!place.holds_new(&run.seen) && place.beside().is_empty(), "{}", run.seen);
    }
}

fn several_processes_at_once() {
    let place = Place::new("fetch-several");
    place.prepare();
    let start = |_| place.command().stderr(Stdio::piped()).spawn().unwrap();
    let running = (0..4).map(start).collect::<Vec<_>>();
    for process in running {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    place.is_new("several");
    assert_eq!(place.beside(), [""; 0]);
    assert_eq!(place.dir.read("log"), "curl\n", "downloaded once");
}

fn an_interrupt() {
    let place = Place::new("fetch-interrupt");
    // More than is written at a time, so that some of it is on the disk already.
    place.dir.write("own/curl", "#!/bin/sh\nhead -c 500000 /dev/zero\necho $$ >\"$LOG\"\nexec sleep 60\n");
    let mut process = place.prepare().stderr(Stdio::piped()).spawn().unwrap();
    let log = place.dir.path().join("log");
    while !fs::read_to_string(&log).is_ok_and(|pid| pid.ends_with('\n')) {
        assert!(process.try_wait().unwrap().is_none(), "it waits for curl");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let kill = |signal: &str, pid: &str| Outcome::of(Command::new("kill").args([signal, pid])).code;
    assert_eq!(kill("-INT", &process.id().to_string()), Some(0));
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("interrupted by signal 2 during `curl "), "{said}");
    assert_ne!(kill("-0", place.dir.read("log").trim()), Some(0), "curl has ended");
    assert!(!place.holds_new("interrupted") && place.beside().is_empty());
    let part = place.root().join("downloads").join(format!("{}.part", place.sha256));
    assert_eq!(fs::metadata(part).unwrap().len(), 500_000, "kept to be gone on with");
}
