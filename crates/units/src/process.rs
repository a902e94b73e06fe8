//! Runs any process with everything it starts as one tree: its output is read line by line, and a signal to
//! us ends all of it.
//!
//! Invariant: when [`run`] returns, the process has ended, and after a signal so has everything it started.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use xtask_workspace::{Call, Environment, EnvironmentLacks};

use crate::signals::Signals;

/// How often signals are looked for while there is no output.
const POLL: Duration = Duration::from_millis(50);
/// How long a tree may take to end after a signal; nextest gives its tests 10 s.
const GRACE: Duration = Duration::from_secs(12);
/// How long output is awaited after the process ended: a daemon it started may hold the pipe forever.
const LINGER: Duration = Duration::from_millis(500);

/// Which of its two outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; of one that was ended, whatever it made of that.
    pub status: ExitStatus,
    /// The signal that we got meanwhile, and passed on.
    pub signal: Option<i32>,
    /// Whether it was ended because it took longer than it was given.
    pub timed_out: bool,
}

/// Makes `call` with no standard input; `on_line` gets its output while it runs. What takes longer than `limit` is
/// killed.
///
/// The process leads a group of its own, so that a signal reaches all of it exactly once: a terminal would
/// signal us and it, and it would see two.
pub fn run(
    call: &Call,
    environment: &Environment,
    limit: Option<Duration>,
    on_line: &mut dyn FnMut(Stream, &str),
) -> Result<Ended> {
    let waiting = || format!("failed to wait for `{call}`");
    let signals = Signals::get()?;
    let _watch = signals.watch();
    let (lines, handle) = start(call, environment)?;
    let pid = handle.pids().first().copied().context("a started process has a number")?;
    let mut tree = Tree { pid, descendants: Vec::new(), deadline: None };
    let mut ended: Option<Instant> = None;
    let latest = limit.map(|limit| Instant::now() + limit);
    let mut timed_out = false;
    loop {
        match lines.recv_timeout(POLL) {
            Ok((stream, line)) => on_line(stream, &line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if ended.is_none() && handle.try_wait().with_context(waiting)?.is_some() {
                    ended = Some(Instant::now());
                }
                if ended.is_some_and(|at| at.elapsed() > LINGER) {
                    break;
                }
            }
        }
        tree.pass_on(signals.take());
        if !timed_out && latest.is_some_and(|latest| Instant::now() > latest) {
            timed_out = true;
            tree.descendants = descendants(pid);
            tree.kill();
        }
    }
    // Both pipes closed; the process may still be ending.
    while handle.try_wait().with_context(waiting)?.is_none() {
        std::thread::sleep(Duration::from_millis(2));
        tree.pass_on(signals.take());
        if latest.is_some_and(|latest| Instant::now() > latest) {
            timed_out = true;
            tree.kill();
        }
    }
    let output = handle.wait().with_context(waiting)?;
    let signal = signals.seen();
    if signal.is_some() {
        tree.kill();
    }
    Ok(Ended { status: output.status, signal, timed_out })
}

fn start(call: &Call, environment: &Environment) -> Result<(Receiver<(Stream, String)>, duct::Handle)> {
    let (out_reader, out_writer) = std::io::pipe().context("failed to make a pipe")?;
    let (err_reader, err_writer) = std::io::pipe().context("failed to make a pipe")?;
    let variables = call.environment(environment);
    let expression = duct::cmd(&call.program, &call.args)
        .dir(&call.dir)
        .full_env(variables.iter())
        .stdin_null()
        .stdout_file(into_file(out_writer))
        .stderr_file(into_file(err_writer))
        .before_spawn(|process| {
            own_group(process);
            Ok(())
        })
        .unchecked();
    let handle = match expression.start() {
        Ok(handle) => handle,
        // A working directory that is gone is "not found" too.
        Err(error)
            if call.program == "cargo"
                && error.kind() == std::io::ErrorKind::NotFound
                && call.dir.is_dir() =>
        {
            let message = "cargo is not on PATH; install Rust from https://rustup.rs".to_owned();
            return Err(EnvironmentLacks(message).into());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("failed to start `{call}` in {}", call.dir));
        }
    };
    // The expression holds our copies of the pipes' writing ends: only without them do the readers see an end.
    drop(expression);
    let (sender, lines) = channel();
    read_lines(Stream::Out, out_reader, sender.clone());
    read_lines(Stream::Err, err_reader, sender);
    Ok((lines, handle))
}

#[cfg(unix)]
fn into_file(pipe: std::io::PipeWriter) -> File {
    File::from(std::os::fd::OwnedFd::from(pipe))
}

#[cfg(windows)]
fn into_file(pipe: std::io::PipeWriter) -> File {
    File::from(std::os::windows::io::OwnedHandle::from(pipe))
}

fn read_lines(stream: Stream, pipe: std::io::PipeReader, sender: Sender<(Stream, String)>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        // A test may print anything, so bytes that are no text are shown as such, not refused.
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            if sender.send((stream, text.strip_suffix('\r').unwrap_or(text).to_owned())).is_err() {
                break;
            }
            line.clear();
        }
    });
}

/// A running process and what it started.
struct Tree {
    pid: u32,
    /// What it had started when the first signal came, with start times: a number may be used again.
    descendants: Vec<(sysinfo::Pid, u64)>,
    deadline: Option<Instant>,
}

impl Tree {
    /// Passes a signal on; the second one, or the end of the grace time, kills.
    fn pass_on(&mut self, signal: Option<i32>) {
        match (signal, self.deadline) {
            (Some(signal), None) => {
                self.descendants = descendants(self.pid);
                self.deadline = Some(Instant::now() + GRACE);
                signal_group(self.pid, signal);
            }
            (Some(_), Some(_)) => self.kill(),
            (None, Some(deadline)) if Instant::now() > deadline => self.kill(),
            _ => {}
        }
    }

    /// Kills the group, and those that left it for a group of their own.
    fn kill(&self) {
        kill_group(self.pid);
        let Ok(mut system) = sysinfo::System::new() else { return };
        let known = self.descendants.iter().map(|(pid, _)| *pid).collect::<Vec<_>>();
        system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&known), true);
        for (pid, started) in &self.descendants {
            if let Some(process) = system.process(*pid).filter(|process| process.start_time() == *started) {
                process.kill();
            }
        }
    }
}

fn descendants(root: u32) -> Vec<(sysinfo::Pid, u64)> {
    let Ok(mut system) = sysinfo::System::new() else { return Vec::new() };
    system.refresh_processes(sysinfo::ProcessesToUpdate::All, true);
    let mut found = vec![sysinfo::Pid::from_u32(root)];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = system.processes().values().filter(|process| process.parent() == Some(parent));
        found.extend(children.map(sysinfo::Process::pid).collect::<Vec<_>>());
        next += 1;
    }
    let started = |pid: &sysinfo::Pid| Some((*pid, system.process(*pid)?.start_time()));
    found.iter().skip(1).filter_map(started).collect()
}

#[cfg(unix)]
fn own_group(process: &mut std::process::Command) {
    std::os::unix::process::CommandExt::process_group(process, 0);
}

#[cfg(not(unix))]
fn own_group(_process: &mut std::process::Command) {}

#[cfg(unix)]
fn signal_group(pid: u32, signal: i32) {
    let group = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let (Some(group), Some(signal)) = (group, rustix::process::Signal::from_named_raw(signal)) {
        // The group is gone already: what was wanted.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

#[cfg(unix)]
fn kill_group(pid: u32) {
    signal_group(pid, signal_hook::consts::SIGKILL);
}

/// Windows sends Ctrl-C to every process of the console by itself.
#[cfg(not(unix))]
fn signal_group(_pid: u32, _signal: i32) {}

#[cfg(not(unix))]
fn kill_group(pid: u32) {
    let pid = pid.to_string();
    let _ = std::process::Command::new("taskkill").args(["/PID", &pid, "/T", "/F"]).output();
}
