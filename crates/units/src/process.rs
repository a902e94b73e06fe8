//! Runs a process and everything it starts as one tree. Its output is passed on while it runs, and a signal to us ends
//! the whole tree.
//!
//! Invariant: when [`run`] returns, the process has ended; after a signal, so has everything it started.

use std::io::{BufRead, BufReader, PipeReader, Read};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use sysinfo::{Pid, ProcessesToUpdate, System};
use xtask_workspace::{Call, Environment, EnvironmentLacks};

/// How often signals are checked while there is no output.
const POLL: Duration = Duration::from_millis(50);
/// How long a tree may take to end after a signal; nextest gives its tests 10 s.
const GRACE: Duration = Duration::from_secs(12);
/// How long to wait for output after the process ended: a daemon that it started may keep the pipe open forever.
const LINGER: Duration = Duration::from_millis(500);
/// Bytes per read of a binary output.
const CHUNK: usize = 64 << 10;
/// Lines or chunks (16 MiB) that are buffered; then the process waits for us.
const BUFFERED: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// What happens to standard output. Standard error is always read as lines.
pub enum Out<'a> {
    /// It is read as lines too.
    Lines,
    /// It is binary: this gets it in chunks of any size. When it fails, the process is killed and [`run`] returns the error.
    Bytes(&'a mut dyn FnMut(&[u8]) -> Result<()>),
}

#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// The signal that we received meanwhile and passed on.
    pub signal: Option<i32>,
    /// Whether it was killed because it took longer than its limit.
    pub timed_out: bool,
    /// Whether something that it started still held its output when it ended.
    pub leaked: bool,
}

enum Output {
    Line(Stream, String),
    Bytes(Vec<u8>),
}

/// Runs `call` without standard input; `on_line` gets its output while it runs. It is killed after `limit`.
///
/// The process leads a process group of its own: a terminal would otherwise signal both us and it, and it would get every
/// signal twice.
pub fn run(
    call: &Call,
    environment: &Environment,
    limit: Option<Duration>,
    mut out: Out<'_>,
    on_line: &mut dyn FnMut(Stream, &str),
) -> Result<Ended> {
    let waiting = || format!("failed to wait for `{call}`");
    let signals = Signals::get()?;
    let _watch = signals.watch();
    let (sender, output) = sync_channel(BUFFERED);
    let handle = start(call, environment, matches!(out, Out::Bytes(_)), sender)?;
    let pid = handle.pids().first().copied().context("a started process has a pid")?;
    let mut tree = Tree { pid, descendants: Vec::new(), deadline: None };
    let mut ended: Option<Instant> = None;
    let latest = limit.map(|limit| Instant::now() + limit);
    let (mut timed_out, mut leaked) = (false, false);
    let mut failed = None;
    // Until both pipes are closed.
    loop {
        match output.recv_timeout(POLL) {
            Ok(Output::Line(stream, line)) => on_line(stream, &line),
            Ok(Output::Bytes(bytes)) => {
                if let (Out::Bytes(on_bytes), None) = (&mut out, &failed)
                    && let Err(error) = on_bytes(&bytes)
                {
                    failed = Some(error);
                    tree.kill_all();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if ended.is_none() && handle.try_wait().with_context(waiting)?.is_some() {
                    ended = Some(Instant::now());
                }
                if ended.is_some_and(|at| at.elapsed() > LINGER) {
                    leaked = true;
                    break;
                }
            }
        }
        tree.pass_on(signals.take());
        if !timed_out && latest.is_some_and(|latest| Instant::now() > latest) {
            timed_out = true;
            tree.kill_all();
        }
    }
    while handle.try_wait().with_context(waiting)?.is_none() {
        std::thread::sleep(Duration::from_millis(2));
        tree.pass_on(signals.take());
        if latest.is_some_and(|latest| Instant::now() > latest) {
            timed_out = true;
            tree.kill();
        }
    }
    let status = handle.wait().with_context(waiting)?.status;
    let signal = signals.seen();
    if signal.is_some() {
        tree.kill();
    }
    failed.map_or(Ok(Ended { status, signal, timed_out, leaked }), Err)
}

fn start(
    call: &Call,
    environment: &Environment,
    binary: bool,
    sender: SyncSender<Output>,
) -> Result<duct::Handle> {
    let (out_reader, out_writer) = std::io::pipe().context("failed to make a pipe")?;
    let (err_reader, err_writer) = std::io::pipe().context("failed to make a pipe")?;
    // The expression is dropped here, and with it our ends of the pipes: only then can the readers see an end.
    let started = duct::cmd(&call.program, &call.args)
        .dir(&call.dir)
        .full_env(call.environment(environment).iter_os())
        .stdin_null()
        .stdout_file(out_writer)
        .stderr_file(err_writer)
        .before_spawn(|process| {
            own_group(process);
            Ok(())
        })
        .unchecked()
        .start();
    let handle = match started {
        // A working directory that does not exist is "not found" too.
        Err(error)
            if call.program == "cargo"
                && error.kind() == std::io::ErrorKind::NotFound
                && call.dir.is_dir() =>
        {
            let message = "cargo is not on PATH; install Rust from https://rustup.rs".to_owned();
            return Err(EnvironmentLacks(message).into());
        }
        started => started.with_context(|| format!("failed to start `{call}` in {}", call.dir))?,
    };
    let err_sender = sender.clone();
    std::thread::spawn(move || {
        if binary { read_bytes(out_reader, &sender) } else { read_lines(Stream::Out, out_reader, &sender) }
    });
    std::thread::spawn(move || read_lines(Stream::Err, err_reader, &err_sender));
    Ok(handle)
}

fn read_lines(stream: Stream, pipe: PipeReader, sender: &SyncSender<Output>) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    // A test may print bytes that are not UTF-8: these are replaced.
    while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
        if sender.send(Output::Line(stream, text)).is_err() {
            break;
        }
        line.clear();
    }
}

fn read_bytes(mut pipe: PipeReader, sender: &SyncSender<Output>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(count) = pipe.read(&mut chunk) {
        if count == 0 || sender.send(Output::Bytes(chunk[..count].to_vec())).is_err() {
            break;
        }
    }
}

struct Tree {
    pid: u32,
    /// What it had started when the first signal came, with start times, since pids are reused.
    descendants: Vec<(Pid, u64)>,
    deadline: Option<Instant>,
}

impl Tree {
    /// Passes a signal on. The second one kills, and so does the end of the grace period.
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

    fn kill_all(&mut self) {
        self.descendants = descendants(self.pid);
        self.kill();
    }

    /// Kills the group, and the known descendants that have left it for a group of their own.
    fn kill(&self) {
        kill_group(self.pid);
        let Ok(mut system) = System::new() else { return };
        let known = self.descendants.iter().map(|(pid, _)| *pid).collect::<Vec<_>>();
        system.refresh_processes(ProcessesToUpdate::Some(&known), true);
        for (pid, started) in &self.descendants {
            if let Some(process) = system.process(*pid).filter(|process| process.start_time() == *started) {
                process.kill();
            }
        }
    }
}

fn descendants(root: u32) -> Vec<(Pid, u64)> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    system.refresh_processes(ProcessesToUpdate::All, true);
    let mut found = vec![(Pid::from_u32(root), 0)];
    let mut next = 0;
    while let Some((parent, _)) = found.get(next).copied() {
        let children = system.processes().values().filter(|process| process.parent() == Some(parent));
        found.extend(children.map(|process| (process.pid(), process.start_time())));
        next += 1;
    }
    found.split_off(1)
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
        // It fails when the group is gone already.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

#[cfg(unix)]
fn kill_group(pid: u32) {
    signal_group(pid, signal_hook::consts::SIGKILL);
}

/// Windows itself sends Ctrl-C to every process of the console.
#[cfg(not(unix))]
fn signal_group(_pid: u32, _signal: i32) {}

#[cfg(not(unix))]
fn kill_group(pid: u32) {
    let pid = pid.to_string();
    let _ = std::process::Command::new("taskkill").args(["/PID", &pid, "/T", "/F"]).output();
}

#[cfg(unix)]
const TERMINATING: [i32; 3] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const TERMINATING: [i32; 2] = [SIGINT, SIGTERM];

/// The signals that end us. While they are watched they are only noted; otherwise they have their usual effect.
struct Signals {
    last: Arc<AtomicUsize>,
    seen: AtomicUsize,
    idle: Arc<AtomicBool>,
}

impl Signals {
    fn get() -> Result<&'static Self> {
        static SIGNALS: OnceLock<Signals> = OnceLock::new();
        if let Some(signals) = SIGNALS.get() {
            return Ok(signals);
        }
        let signals =
            Self { last: Arc::default(), seen: AtomicUsize::new(0), idle: Arc::new(AtomicBool::new(true)) };
        for signal in TERMINATING {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&signals.idle))
                .and_then(|_| signal_hook::flag::register_usize(signal, Arc::clone(&signals.last), number))
                .context("failed to watch for signals")?;
        }
        Ok(SIGNALS.get_or_init(|| signals))
    }

    fn watch(&self) -> Watch<'_> {
        self.last.store(0, Ordering::SeqCst);
        self.seen.store(0, Ordering::SeqCst);
        self.idle.store(false, Ordering::SeqCst);
        Watch(&self.idle)
    }

    /// A signal that came since the last call.
    fn take(&self) -> Option<i32> {
        let signal = self.last.swap(0, Ordering::SeqCst);
        if signal == 0 {
            return None;
        }
        self.seen.store(signal, Ordering::SeqCst);
        i32::try_from(signal).ok()
    }

    /// The last signal since the watch began.
    fn seen(&self) -> Option<i32> {
        self.take();
        i32::try_from(self.seen.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }
}

struct Watch<'a>(&'a AtomicBool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Ends this process as `signal` would have, so that a shell sees the interruption.
pub fn end_by_signal(signal: i32) {
    // It returns only when the signal cannot be raised; the caller then exits with its own code.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}

/// Runs `work` to its end whatever signal comes; `work` may ask for the last one. Returns it beside the result: acting on
/// it is up to the caller.
pub fn holding_signals<T>(work: impl FnOnce(&dyn Fn() -> Option<i32>) -> T) -> Result<(T, Option<i32>)> {
    let signals = Signals::get()?;
    let watch = signals.watch();
    let done = work(&|| signals.seen());
    drop(watch);
    Ok((done, signals.seen()))
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
    fn binary_output_is_passed_on_unchanged_and_standard_error_as_lines() {
        let (mut bytes, mut lines) = (Vec::new(), Vec::new());
        let call = sh(r"printf 'a\000\377\r\n'; echo why >&2; head -c 1000000 /dev/zero");
        let mut on_bytes = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        let out = Out::Bytes(&mut on_bytes);
        let ended =
            run(&call, &Environment::current(), LIMIT, out, &mut |_, line| lines.push(line.to_owned()));
        assert!(ended.unwrap().status.success());
        assert_eq!(bytes[..5], *b"a\0\xff\r\n");
        assert_eq!((bytes.len(), lines), (1_000_005, vec!["why".to_owned()]));
    }

    #[test]
    fn an_error_of_the_reader_ends_the_process_and_what_it_started() {
        let started = Instant::now();
        let call = sh("sleep 322 & cat /dev/zero");
        let refuse = &mut |_: &[u8]| bail!("enough");
        let ended = run(&call, &Environment::current(), LIMIT, Out::Bytes(refuse), &mut |_, _| {});
        assert_eq!(ended.unwrap_err().to_string(), "enough");
        assert!(started.elapsed() < Duration::from_secs(10));
        let left = std::process::Command::new("pgrep").args(["-fx", "sleep 322"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    }
}
