//! A program stopped at each of its changes to the disk: killed there, or told that the disk is full.
//!
//! `strace` counts the calls of the program's own main thread (not those of programs it starts) in a run
//! without faults, and makes one of them fail in each further run. Invariant: a fault counts as fired only
//! when the log of that very run shows it, at the call that the first run has listed.
//!
//! What a kill means here: strace sends the signal when the call is entered, and the kernel then leaves the
//! call undone. So a kill at call N shows the state after call N - 1, and the state after the last call is
//! that of a run without faults. An error is put in place of the call, which is not made either.

use std::fmt;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{Outcome, TempDir, strace_log};

/// The calls that change a file or folder. A `?` keeps strace quiet where the processor has no such call.
const CHANGING: &str = "?open,?creat,openat,?openat2,write,pwrite64,writev,?pwritev,?pwritev2,?sendfile,\
    ?copy_file_range,?ftruncate,?truncate,?fallocate,?rename,?renameat,?renameat2,?unlink,unlinkat,?rmdir,\
    ?mkdir,mkdirat,?link,linkat,?symlink,symlinkat,?chmod,fchmod,fchmodat,?fchmodat2,fsync,fdatasync,\
    ?utimensat";

/// What happens in place of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program is killed before it.
    Kill,
    /// It fails with this error, such as `ENOSPC`.
    Error(&'static str),
}

/// One call that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The name of the system call.
    pub name: String,
    /// Its number among all calls of that name, those that only read included; counted from 1.
    pub ordinal: usize,
    /// What it acts on, relative to the folder; the process id in a name is `PID`.
    pub paths: Vec<Utf8PathBuf>,
    /// Whether it succeeded in the run without faults.
    pub succeeded: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.paths.iter().map(|path| path.as_str()).collect::<Vec<_>>();
        write!(f, "{} #{} {}", self.name, self.ordinal, paths.join(" → "))
    }
}

/// A run with one fault.
#[derive(Debug)]
pub struct Injected {
    /// What the program did.
    pub outcome: Outcome,
    /// Whether exactly the fault that was wanted fired, at the call that was meant.
    pub fired: bool,
    /// What happened, for a message.
    pub seen: String,
}

/// The changes that a command makes below a folder.
#[derive(Debug)]
pub struct Faults {
    /// In their order.
    pub calls: Vec<Call>,
    /// What the run without faults did.
    pub outcome: Outcome,
    below: Utf8PathBuf,
}

impl Faults {
    /// Runs the command once, without faults, and lists what it changes below `below`.
    ///
    /// `make` puts the folder into its first state and returns the command, of which the program sees only
    /// the variables that the command itself sets, as [`scrub`](crate::scrub) sets them.
    ///
    /// # Panics
    /// When strace is missing or the command changes nothing there: no fault could be made then.
    pub fn reference(make: impl Fn() -> Command, below: &Utf8Path) -> Self {
        let (outcome, log) = traced(&make(), &[]);
        let calls = strace_log::calls(&log, below);
        assert!(!calls.is_empty(), "the command changes nothing below {below}\n{outcome:?}\n{log}");
        let calls = calls.into_iter().map(|logged| logged.call).collect();
        Self { calls, outcome, below: below.to_owned() }
    }

    /// Runs `command` with one fault at `call`.
    ///
    /// # Panics
    /// When strace is missing.
    pub fn inject(&self, command: &Command, call: &Call, fault: Fault) -> Injected {
        let what = match fault {
            Fault::Kill => "signal=KILL".to_owned(),
            Fault::Error(error) => format!("error={error}"),
        };
        let (name, ordinal) = (&call.name, call.ordinal);
        let (outcome, log) = traced(command, &["-e", &format!("inject={name}:{what}:when={ordinal}")]);
        let seen = strace_log::calls(&log, &self.below);
        let is_meant = |seen: &Call| (&seen.name, seen.ordinal, &seen.paths) == (name, ordinal, &call.paths);
        let meant = seen.iter().find(|seen| is_meant(&seen.call));
        let injected = log.lines().filter(|line| line.ends_with("(INJECTED)")).count();
        let fired = meant.is_some_and(|meant| match fault {
            Fault::Kill => injected == 0 && meant.killed && outcome.code.is_none(),
            Fault::Error(_) => injected == 1 && meant.injected,
        });
        let end = log.lines().rev().take(3).collect::<Vec<_>>().join("\n");
        let seen =
            format!("{fault:?} at {call}: fired: {fired}; {outcome:?}; the log ends (last first):\n{end}");
        Injected { outcome, fired, seen }
    }
}

/// At most about `count` of `calls`, evenly spread, always with the first and the last of each kind of call;
/// all of them when `XTASK_FAULTS=all` is in the environment.
pub fn sample(calls: &[Call], count: usize) -> Vec<Call> {
    if std::env::var_os("XTASK_FAULTS").is_some_and(|value| value == "all") {
        return calls.to_vec();
    }
    evenly(calls, count)
}

fn evenly(calls: &[Call], count: usize) -> Vec<Call> {
    let edge = |index: usize, call: &Call| {
        let same = |other: &&Call| other.name == call.name;
        !calls[..index].iter().any(|other| same(&other))
            || !calls[index + 1..].iter().any(|other| same(&other))
    };
    // The n-th share of the calls begins where the rounded product grows.
    let spread = |index: usize| (index + 1) * count / calls.len() > index * count / calls.len();
    let chosen = calls.iter().enumerate().filter(|(index, call)| edge(*index, call) || spread(*index));
    chosen.map(|(_, call)| call.clone()).collect()
}

/// Fails unless there was one run for each of `calls`, and in each the fault fired.
///
/// # Panics
/// When a fault did not fire or a run is missing.
pub fn assert_all_fired(calls: &[Call], runs: &[Injected]) {
    let silent = runs.iter().filter(|run| !run.fired).map(|run| run.seen.as_str()).collect::<Vec<_>>();
    assert!(silent.is_empty(), "{} faults did not fire:\n{}", silent.len(), silent.join("\n"));
    assert_eq!(runs.len(), calls.len(), "as many faults as calls");
}

/// Runs `command` under strace; returns what it did and the log.
fn traced(command: &Command, arguments: &[&str]) -> (Outcome, String) {
    let dir = TempDir::new("strace");
    let log = dir.path().join("log");
    let mut strace = Command::new("strace");
    strace.env_clear();
    // `-y` adds the path to each descriptor; `getpid` and `chdir` tell what names mean.
    strace.args(["-y", "-s", "0", "-o", log.as_str(), "-e"]);
    strace.arg(format!("trace={CHANGING},getpid,chdir,fchdir")).args(arguments);
    strace.arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        strace.current_dir(dir);
    }
    let outcome = Outcome::of(&mut strace);
    let log = std::fs::read_to_string(&log)
        .unwrap_or_else(|error| panic!("strace has written no log: {error}\n{}", outcome.stderr));
    let cwd = match command.get_current_dir() {
        Some(dir) => dir.display().to_string(),
        None => std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default(),
    };
    (outcome, format!("chdir(\"{cwd}\") = 0\n{log}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, ordinal: usize) -> Call {
        Call { name: name.to_owned(), ordinal, paths: vec!["x".into()], succeeded: true }
    }

    #[test]
    fn a_sample_has_both_ends_of_each_kind_and_is_spread() {
        let calls = (1..=100).map(|n| call("write", n)).chain([call("rename", 1), call("fsync", 1)]);
        let calls = calls.collect::<Vec<_>>();
        let sampled = evenly(&calls, 10);
        assert!((10..=15).contains(&sampled.len()), "{}", sampled.len());
        for must in [call("write", 1), call("write", 100), call("rename", 1), call("fsync", 1)] {
            assert!(sampled.contains(&must), "{must}");
        }
        let writes = sampled.iter().filter(|call| call.name == "write").map(|call| call.ordinal);
        let writes = writes.collect::<Vec<_>>();
        assert!(writes.windows(2).all(|pair| pair[1] - pair[0] <= 12), "{writes:?}");
        assert_eq!(evenly(&calls, 1000).len(), calls.len());
    }

    #[test]
    #[should_panic(expected = "did not fire")]
    fn a_silent_fault_is_not_counted() {
        let outcome = Outcome { code: Some(0), stdout: String::new(), stderr: String::new() };
        let run = Injected { outcome, fired: false, seen: String::new() };
        assert_all_fired(&[call("write", 1)], &[run]);
    }

    #[test]
    #[should_panic(expected = "as many faults as calls")]
    fn a_missing_run_is_noticed() {
        assert_all_fired(&[call("write", 1)], &[]);
    }
}
