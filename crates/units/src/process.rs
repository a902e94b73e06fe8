//! Runs any process with everything it starts as one tree: its output is read line by line, or byte by byte, and a
//! signal to us ends all of it.
//!
//! Invariant: when [`run`] returns, the process has ended, and after a signal so has everything it started.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
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
/// Bytes that are read at a time where they are no lines.
const CHUNK: usize = 64 << 10;
/// How many lines or chunks (16 MiB) may wait for whoever takes them; then the process waits too.
const WAITING: usize = 256;

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

/// What was read from a process.
enum Said {
    Line(Stream, String),
    /// From its standard output, where that is no text.
    Bytes(Vec<u8>),
}

/// How standard output is read; standard error always is lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutIs {
    Lines,
    Bytes,
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
    follow(call, environment, limit, OutIs::Lines, &mut |said| {
        if let Said::Line(stream, line) = said {
            on_line(stream, &line);
        }
        Ok(())
    })
}

/// As [`run`], for a call whose standard output is no text: `on_bytes` gets it as it is, in pieces of any size, and
/// `on_line` the lines of standard error. When `on_bytes` fails, the process is killed and that error returned.
pub fn run_bytes(
    call: &Call,
    environment: &Environment,
    limit: Option<Duration>,
    on_bytes: &mut dyn FnMut(&[u8]) -> Result<()>,
    on_line: &mut dyn FnMut(&str),
) -> Result<Ended> {
    follow(call, environment, limit, OutIs::Bytes, &mut |said| match said {
        Said::Bytes(bytes) => on_bytes(&bytes),
        Said::Line(_, line) => {
            on_line(&line);
            Ok(())
        }
    })
}

fn follow(
    call: &Call,
    environment: &Environment,
    limit: Option<Duration>,
    out_is: OutIs,
    on_said: &mut dyn FnMut(Said) -> Result<()>,
) -> Result<Ended> {
    let waiting = || format!("failed to wait for `{call}`");
    let signals = Signals::get()?;
    let _watch = signals.watch();
    let (said, handle) = start(call, environment, out_is)?;
    let pid = handle.pids().first().copied().context("a started process has a number")?;
    let mut tree = Tree { pid, descendants: Vec::new(), deadline: None };
    let mut ended: Option<Instant> = None;
    let latest = limit.map(|limit| Instant::now() + limit);
    let mut timed_out = false;
    let mut refused = None;
    loop {
        match said.recv_timeout(POLL) {
            Ok(_) if refused.is_some() => {}
            Ok(said) => {
                if let Err(error) = on_said(said) {
                    refused = Some(error);
                    tree.descendants = descendants(pid);
                    tree.kill();
                }
            }
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
    if let Some(error) = refused {
        return Err(error);
    }
    Ok(Ended { status: output.status, signal, timed_out })
}

fn start(call: &Call, environment: &Environment, out_is: OutIs) -> Result<(Receiver<Said>, duct::Handle)> {
    let (out_reader, out_writer) = std::io::pipe().context("failed to make a pipe")?;
    let (err_reader, err_writer) = std::io::pipe().context("failed to make a pipe")?;
    let variables = call.environment(environment);
    let expression = duct::cmd(&call.program, &call.args)
        .dir(&call.dir)
        .full_env(variables.iter_os())
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
    let (sender, said) = sync_channel(WAITING);
    match out_is {
        OutIs::Lines => read_lines(Stream::Out, out_reader, sender.clone()),
        OutIs::Bytes => read_bytes(out_reader, sender.clone()),
    }
    read_lines(Stream::Err, err_reader, sender);
    Ok((said, handle))
}

#[cfg(unix)]
fn into_file(pipe: std::io::PipeWriter) -> File {
    File::from(std::os::fd::OwnedFd::from(pipe))
}

#[cfg(windows)]
fn into_file(pipe: std::io::PipeWriter) -> File {
    File::from(std::os::windows::io::OwnedHandle::from(pipe))
}

fn read_lines(stream: Stream, pipe: std::io::PipeReader, sender: SyncSender<Said>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        // A test may print anything, so bytes that are no text are shown as such, not refused.
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
            if sender.send(Said::Line(stream, text)).is_err() {
                break;
            }
            line.clear();
        }
    });
}

fn read_bytes(mut pipe: std::io::PipeReader, sender: SyncSender<Said>) {
    std::thread::spawn(move || {
        let mut chunk = vec![0; CHUNK];
        while let Ok(count) = pipe.read(&mut chunk) {
            if count == 0 || sender.send(Said::Bytes(chunk[..count].to_vec())).is_err() {
                break;
            }
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

#[cfg(all(test, unix))]
mod tests {
    use anyhow::bail;

    use super::*;

    const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

    fn sh(script: &str) -> Call {
        Call::new("/", "sh", ["-c", script])
    }

    #[test]
    fn bytes_come_as_they_are_and_standard_error_as_lines() {
        let (mut bytes, mut lines) = (Vec::new(), Vec::new());
        let call = sh(r"printf 'a\000\377\r\n'; echo why >&2; head -c 1000000 /dev/zero");
        let ended = run_bytes(
            &call,
            &Environment::current(),
            LIMIT,
            &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            },
            &mut |line| lines.push(line.to_owned()),
        );
        assert!(ended.unwrap().status.success());
        assert_eq!(bytes[..5], *b"a\0\xff\r\n");
        assert_eq!((bytes.len(), lines), (1_000_005, vec!["why".to_owned()]));
    }

    #[test]
    fn who_refuses_the_bytes_ends_the_process_and_what_it_started() {
        let started = Instant::now();
        let call = sh("sleep 322 & cat /dev/zero");
        let refuse = &mut |_: &[u8]| bail!("enough");
        let ended = run_bytes(&call, &Environment::current(), LIMIT, refuse, &mut |_| {});
        assert_eq!(ended.unwrap_err().to_string(), "enough");
        assert!(started.elapsed() < Duration::from_secs(10));
        let left = std::process::Command::new("pgrep").args(["-fx", "sleep 322"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    }
}
