//! Calls of programs that may hang, fail or print nonsense.

use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, bail};
use xtask_units::process::{Ended, Out, run};
use xtask_workspace::{Call, Environment};

/// The most output that is kept, in bytes.
const MOST_BYTES: usize = 8 << 20;

/// What a program printed, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
}

/// A signal that came during a call: code that continues after other failures stops at this one.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) signal: i32,
    pub(crate) call: String,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted by signal {} during `{}`", self.signal, self.call)
    }
}

impl std::error::Error for Interrupted {}

/// The result, or the error if it is [`Interrupted`]: `uninterrupted(…)?` continues after any other failure.
pub(crate) fn uninterrupted<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(error) if error.is::<Interrupted>() => Err(error),
        result => Ok(result),
    }
}

/// Makes the call and waits for it, at most `limit`; `on_bytes` gets its standard output. A call that fails is not an
/// error here. An error is a call that cannot be started or does not end in time, one whose `on_bytes` fails, which is
/// killed, and a signal ([`Interrupted`]).
pub(crate) fn streamed(
    call: &Call,
    environment: &Environment,
    limit: Duration,
    on_bytes: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Output> {
    let mut stderr = String::new();
    let ended = run(call, environment, Some(limit), Out::Bytes(on_bytes), &mut |_, line| {
        if stderr.len() + line.len() < MOST_BYTES {
            stderr.push_str(line);
            stderr.push('\n');
        }
    })?;
    Ok(Output { stdout: String::new(), stderr, code: status_of(call, &ended, limit)?.code() })
}

/// The status of a call that ended; an error for a signal and a timeout.
pub(crate) fn status_of(call: &Call, ended: &Ended, limit: Duration) -> Result<ExitStatus> {
    if let Some(signal) = ended.signal {
        return Err(Interrupted { signal, call: call.to_string() }.into());
    }
    if ended.timed_out {
        bail!("`{call}` did not end within {} s", limit.as_secs());
    }
    Ok(ended.status)
}

/// As [`streamed`], for a call that prints text. A call that fails is an error too, which quotes the end of its output.
pub(crate) fn successful(call: &Call, environment: &Environment, limit: Duration) -> Result<Output> {
    let output = output(call, environment, limit)?;
    if output.code != Some(0) {
        bail!("`{call}` failed: {}", last_lines(&output.stderr, &output.stdout));
    }
    Ok(output)
}

/// As [`streamed`], for a call that prints text.
pub(crate) fn output(call: &Call, environment: &Environment, limit: Duration) -> Result<Output> {
    let mut stdout = Vec::new();
    let output = streamed(call, environment, limit, &mut |bytes| {
        if stdout.len() + bytes.len() < MOST_BYTES {
            stdout.extend_from_slice(bytes);
        }
        Ok(())
    })?;
    Ok(Output { stdout: String::from_utf8_lossy(&stdout).into_owned(), ..output })
}

/// The end of a failed call's output, in one line; standard error is preferred.
pub(crate) fn last_lines(stderr: &str, stdout: &str) -> String {
    let text = if stderr.trim().is_empty() { stdout } else { stderr };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let last = &lines[lines.len().saturating_sub(3)..];
    if last.is_empty() { "it printed nothing".to_owned() } else { last.join("; ") }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn sh(script: &str) -> Call {
        Call::new("/", "sh", ["-c", script])
    }

    #[test]
    fn a_call_that_hangs_is_killed_with_all_it_started() {
        let started = Instant::now();
        let call = sh("sleep 321 & sleep 321");
        let error = output(&call, &Environment::current(), Duration::from_millis(300)).unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
        let left = std::process::Command::new("pgrep").args(["-fx", "sleep 321"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    }

    #[test]
    fn a_failure_quotes_the_call_and_the_end_of_its_output() {
        let call = sh("echo first >&2; echo why >&2; exit 3");
        let error = successful(&call, &Environment::current(), Duration::from_secs(20)).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'echo first >&2; echo why >&2; exit 3'` failed: first; why");
        let silent = successful(&sh("exit 1"), &Environment::current(), Duration::from_secs(20)).unwrap_err();
        assert!(silent.to_string().ends_with("failed: it printed nothing"), "{silent}");
    }
}
