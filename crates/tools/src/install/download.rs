//! The archive on this disk: kept from before, or downloaded by the system's `curl`.
//!
//! Invariant: `<sha256>.archive` is returned only when its SHA-256 was just seen to be the pinned one.
//!
//! curl's output goes through a pipe into `<sha256>.part`. So a limit holds whatever the server says about the length, and
//! a curl that outlives this process cannot write into the file of the next run. Further tries are made here, not by
//! `curl --retry`, which would start from the beginning in the middle of the pipe.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::remove_file;
use xtask_workspace::{Call, Environment, EnvironmentLacks, Progress, on_path};

use super::archive::Fetch;
use crate::process::{Streamed, last_lines, streamed};

/// GitHub redirects once, `SourceForge` three times.
const REDIRECTS: u32 = 10;
/// How much longer than its own limit curl may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes that are hashed or written at a time.
const CHUNK: usize = 256 << 10;

/// The path of the whole archive, with the pinned SHA-256.
pub(super) fn download(
    fetch: &Fetch<'_>,
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<Utf8PathBuf> {
    let pinned = &fetch.archive.sha256;
    let kept = fetch.downloads.join(format!("{pinned}.archive"));
    if length(&kept)?.is_some() {
        if sha256(&kept)? == *pinned {
            progress.detail(&format!("{kept} has the pinned SHA-256: not downloaded again"));
            return Ok(kept);
        }
        progress.detail(&format!("{kept} has another SHA-256 than the pinned one: removed"));
        remove_file(&kept)?;
    }
    let part = fetch.downloads.join(format!("{pinned}.part"));
    // Killed between the last byte and the new name.
    let is_whole = length(&part)?.is_some() && sha256(&part)? == *pinned;
    if !is_whole {
        Download { fetch, environment, progress, part: &part }.verified()?;
    }
    std::fs::rename(&part, &kept).with_context(|| format!("failed to rename {part} to {kept}"))?;
    Ok(kept)
}

/// One download into a partial file.
struct Download<'a> {
    fetch: &'a Fetch<'a>,
    environment: &'a Environment,
    progress: &'a dyn Progress,
    part: &'a Utf8Path,
}

impl Download<'_> {
    /// Downloads until the partial file is the pinned archive.
    fn verified(&self) -> Result<()> {
        if on_path("curl", self.environment).is_none() {
            let what = "curl is not on PATH, and archives are downloaded by it; install it with the package manager \
                        of this system, then run it again";
            return Err(EnvironmentLacks(what.to_owned()).into());
        }
        let deadline = Instant::now() + self.fetch.limits.whole;
        let archive = self.fetch.archive;
        let mut continued = self.complete(deadline)?;
        let mut found = sha256(self.part)?;
        if found != archive.sha256 && continued {
            // The file on the server may have changed between the pieces.
            self.detail(
                "the pieces of several tries have the wrong SHA-256 together: downloaded again as a whole",
            );
            remove_file(self.part)?;
            continued = self.complete(deadline)?;
            found = sha256(self.part)?;
        }
        if found != archive.sha256 {
            remove_file(self.part)?;
            bail!(
                "{} has the SHA-256 {found}, not the pinned {}: it was replaced since, or changed on the way{}; nothing \
                 was unpacked. Compare with what the project publishes, then correct `sha256`",
                archive.url,
                archive.sha256,
                if continued { ", or it changes between tries" } else { "" }
            );
        }
        Ok(())
    }

    /// Tries until curl says that the whole file is there. Returns whether a partial file was continued.
    fn complete(&self, deadline: Instant) -> Result<bool> {
        let limits = &self.fetch.limits;
        let (mut tries, mut continued) = (0, false);
        let mut last = None;
        loop {
            let had = length(self.part)?.unwrap_or(0);
            if had > 0 && had >= limits.bytes {
                // Of another limit, or of a file that was larger then.
                remove_file(self.part)?;
                continue;
            }
            continued |= had > 0;
            let left = deadline.saturating_duration_since(Instant::now());
            if left < Duration::from_millis(100) {
                let late = anyhow!(
                    "{} was not downloaded within {} s; what was downloaded is kept, and running it again continues \
                     there",
                    self.fetch.archive.url,
                    limits.whole.as_secs_f64()
                );
                return Err(match last {
                    Some(error) => late.context(format!("{error:#}")),
                    None => late,
                });
            }
            match self.attempt(had, left)? {
                None => return Ok(continued),
                Some((Ending::CannotContinue, why)) if had > 0 => {
                    self.detail(&format!("{why:#}: started again"));
                    remove_file(self.part)?;
                    continued = false;
                }
                Some((Ending::Passing, error)) if tries < limits.retries => {
                    let pause = limits.pause * 2_u32.saturating_pow(tries);
                    tries += 1;
                    self.detail(&format!("{error:#}: tried again in {} s", pause.as_secs_f64()));
                    std::thread::sleep(pause.min(left));
                    last = Some(error);
                }
                Some((_, error)) => return Err(error),
            }
        }
    }

    /// One call of curl, which continues after the first `had` bytes. `None` when the whole file is there.
    fn attempt(&self, had: u64, left: Duration) -> Result<Option<(Ending, Error)>> {
        let call = self.call(had, left);
        self.detail(&call.to_string());
        let part = self.part;
        let opened = OpenOptions::new().create(true).append(true).open(part);
        let file = opened.with_context(|| format!("failed to open {part}"))?;
        let mut file = BufWriter::with_capacity(CHUNK, file);
        let most = self.fetch.limits.bytes;
        let mut bytes = had;
        let said = streamed(&call, self.environment, left + GRACE, &mut |piece| {
            bytes += piece.len() as u64;
            if bytes > most {
                bail!(
                    "{} is larger than {most} bytes, which no release of a tool is; correct `url`",
                    self.fetch.archive.url
                );
            }
            file.write_all(piece).with_context(|| format!("failed to write {part}"))
        });
        // Kept even when the call failed: the next one continues it.
        let written = file.flush().with_context(|| format!("failed to write {part}"));
        if bytes > most {
            drop(file);
            remove_file(part)?;
        }
        let Streamed { code, stderr } = said?;
        written?;
        if code == Some(0) {
            if bytes == 0 {
                bail!("`{call}` succeeded without writing anything; check which `curl` is on PATH");
            }
            return Ok(None);
        }
        let why = anyhow!("`{call}` failed: {}{}", own_words(&stderr), advice(code, self.fetch.limits.bytes));
        Ok(Some((ending(code, &stderr), why)))
    }

    /// The call, which prints the rest of the archive. It can be pasted in the folder of downloads.
    fn call(&self, had: u64, left: Duration) -> Call {
        let limits = &self.fetch.limits;
        let mut args = Vec::new();
        // First of all: no ~/.curlrc. Then https to the end, redirects included.
        args.extend(
            ["--disable", "--proto", "=https", "--proto-redir", "=https", "--tlsv1.2"].map(str::to_owned),
        );
        args.extend(["--fail", "--silent", "--show-error", "--globoff", "--location"].map(str::to_owned));
        let mut valued = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        valued("max-redirs", REDIRECTS.to_string());
        valued("max-filesize", limits.bytes.to_string());
        valued("connect-timeout", seconds(limits.connect));
        valued("max-time", seconds(left));
        valued("speed-limit", limits.least_rate.to_string());
        valued("speed-time", limits.stall.as_secs().max(1).to_string());
        if had > 0 {
            valued("continue-at", had.to_string());
        }
        args.extend(["--".to_owned(), self.fetch.archive.url.clone()]);
        Call::new(self.fetch.downloads, "curl", args)
    }

    fn detail(&self, text: &str) {
        self.progress.detail(text);
    }
}

/// Seconds in curl's form, to the millisecond.
fn seconds(duration: Duration) -> String {
    let text = format!("{:.3}", duration.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The line that begins with curl's exit code; it may have three more that point to its manual.
fn own_words(stderr: &str) -> String {
    let line = stderr.lines().rev().find(|line| line.starts_with("curl: ("));
    line.map_or_else(|| last_lines(stderr, ""), str::to_owned)
}

/// What a failure of curl means for a further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Passing,
    /// The server does not send the rest of what is there.
    CannotContinue,
    ForGood,
}

/// By curl's exit codes (`man curl`, EXIT CODES), and the status that it names.
fn ending(code: Option<i32>, stderr: &str) -> Ending {
    match code {
        // No connection yet, an end too early, a time limit, HTTP/2's own ways of breaking off. A name that is not found
        // means that there is no network: then the next way of installing is tried at once.
        Some(7 | 16 | 18 | 28 | 35 | 52 | 55 | 56 | 92) => Ending::Passing,
        Some(33 | 36) => Ending::CannotContinue,
        Some(22) => match status(stderr) {
            Some(408 | 429 | 500 | 502 | 503 | 504) => Ending::Passing,
            Some(416) => Ending::CannotContinue,
            _ => Ending::ForGood,
        },
        _ => Ending::ForGood,
    }
}

/// The HTTP status out of `curl: (22) The requested URL returned error: 404`.
fn status(stderr: &str) -> Option<u16> {
    let (_, rest) = stderr.rsplit_once("returned error: ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What to do next, where curl's own words do not say it.
fn advice(code: Option<i32>, most: u64) -> String {
    match code {
        Some(1) => "; only https is used, also where the server redirects to: correct `url`".to_owned(),
        Some(5..=7) => {
            "; check the network, or where there is a proxy the variables HTTPS_PROXY and NO_PROXY".to_owned()
        }
        Some(22) => "; check `url`".to_owned(),
        Some(35 | 58 | 60 | 77) => {
            "; where a proxy signs what passes it, name its certificate in CURL_CA_BUNDLE".to_owned()
        }
        Some(47) => "; it redirects in a circle: correct `url`".to_owned(),
        Some(63) => format!("; more than {most} bytes is no release of a tool: correct `url`"),
        _ => String::new(),
    }
}

/// The bytes of the file `path`; `None` if it does not exist. Anything else, such as a link, is not ours and refused.
fn length(path: &Utf8Path) -> Result<Option<u64>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => bail!("{path} is not a file; remove it, then run it again"),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
    }
}

/// The SHA-256 of the whole file, in lowercase hexadecimal digits.
fn sha256(path: &Utf8Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("failed to open {path}"))?;
    let (mut hash, mut chunk) = (hmac_sha256::Hash::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk).with_context(|| format!("failed to read {path}"))? {
            0 => break,
            count => hash.update(&chunk[..count]),
        }
    }
    Ok(hash.finalize().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect())
}

fn hex_digit(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_may_pass_is_tried_again() {
        let http = |status: u16| format!("curl: (22) The requested URL returned error: {status}\n");
        let table = [
            (Some(22), http(404), Ending::ForGood),
            (Some(22), http(403), Ending::ForGood),
            (Some(22), http(416), Ending::CannotContinue),
            (Some(22), http(429), Ending::Passing),
            (Some(22), http(503), Ending::Passing),
            (Some(22), String::new(), Ending::ForGood),
            (Some(33), String::new(), Ending::CannotContinue),
            (Some(18), String::new(), Ending::Passing),
            (Some(6), String::new(), Ending::ForGood),
            (Some(60), String::new(), Ending::ForGood),
            (Some(1), String::new(), Ending::ForGood),
            (None, String::new(), Ending::ForGood),
        ];
        for (code, stderr, expected) in table {
            assert_eq!(ending(code, &stderr), expected, "{code:?} {stderr}");
        }
    }

    #[test]
    fn seconds_are_written_short() {
        let table = [(15_000, "15"), (1_500, "1.5"), (100, "0.1"), (600_000, "600"), (7, "0.007")];
        for (milliseconds, expected) in table {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), expected);
        }
    }
}
