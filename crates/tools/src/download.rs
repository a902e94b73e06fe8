//! A program from an official release archive: downloaded by the system's `curl`, checked, unpacked by `tar`, put in place.
//!
//! Invariant: at every moment the program's path is what it was before, or the whole program out of an archive whose
//! SHA-256 is the pinned one. Nothing is unpacked before that was seen of the whole file.
//!
//! curl's output goes through a pipe into `<sha256>.part`. So a limit holds whatever the server says about the length, and
//! a curl that outlives this process cannot write into the file of the next run. `tar` writes the one wanted file to a
//! pipe and nothing else to the disk, so other members of an archive do not matter.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Error, Result, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, Replacement, lock_exclusive, remove_abandoned, remove_file, try_lock};
use xtask_workspace::config::Archive;
use xtask_workspace::{Call, Environment, EnvironmentLacks, Progress, on_path};

use crate::process::{last_lines, streamed};

/// GitHub redirects once, `SourceForge` three times.
const REDIRECTS: u32 = 10;
/// How much longer than its own limit curl may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes that are hashed or written at a time.
const CHUNK: usize = 256 << 10;
/// A temporary file beside the program that is older was left by a killed run: unpacking takes less.
const ABANDONED: Duration = Duration::from_secs(3600);

pub(crate) struct Fetch<'a> {
    /// The release archive, a `.tar.gz`.
    pub(crate) archive: &'a Archive,
    /// The file name that the program gets, with `.exe` where programs have it.
    pub(crate) program: &'a str,
    /// The folder of whole and partial downloads, ours alone; created if it is missing.
    pub(crate) downloads: &'a Utf8Path,
    /// Where the program goes; created if it is missing.
    pub(crate) folder: &'a Utf8Path,
    pub(crate) limits: Limits,
    pub(crate) environment: &'a Environment,
    pub(crate) progress: &'a dyn Progress,
}

/// The limits of a download and its unpacking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) unpacked_bytes: u64,
    pub(crate) connect: Duration,
    /// Time for the whole download, with all tries.
    pub(crate) whole: Duration,
    /// Bytes a second; a download that is slower for as long as `stall`, whole seconds, has failed.
    pub(crate) least_rate: u64,
    pub(crate) stall: Duration,
    /// Further tries after a failure that may pass.
    pub(crate) retries: u32,
    /// The pause before the first further try; it doubles with each one.
    pub(crate) pause: Duration,
    pub(crate) unpack: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            unpacked_bytes: 512 << 20,
            connect: Duration::from_secs(15),
            whole: Duration::from_secs(600),
            least_rate: 1 << 10,
            stall: Duration::from_secs(20),
            retries: 3,
            pause: Duration::from_secs(1),
            unpack: Duration::from_secs(120),
        }
    }
}

impl Fetch<'_> {
    /// Downloads the archive unless a whole one is kept, checks it, and puts the program in place. Returns the program's
    /// path. A link there is replaced, not followed; a program that is running keeps its old file.
    pub(crate) fn fetch(&self) -> Result<Utf8PathBuf> {
        let Err(error) = self.fetched() else { return Ok(self.folder.join(self.program)) };
        let kind = error.chain().find_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()));
        let next = match kind {
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                ": a disk is full; free some space, then run it again"
            }
            Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                ": something cannot be written; make it writable for you, or choose another folder with `install-to` \
                 in xtask.toml, then run it again"
            }
            _ => "",
        };
        Err(error.context(format!("failed to install {} {}{next}", self.program, self.archive.version)))
    }

    fn fetched(&self) -> Result<()> {
        let Fetch { archive: Archive { url, sha256, .. }, program, downloads, folder, .. } = self;
        if Utf8Path::new(program).file_name() != Some(program) || program.contains(['\\', ':']) {
            bail!("`{}` is not a program's name; give one without folders", program.escape_debug());
        }
        let file = url.split(['?', '#']).next().unwrap_or_default();
        if ![".tar.gz", ".tgz"].iter().any(|ending| file.ends_with(ending)) {
            bail!(
                "{url} is not a .tar.gz, which is the only kind of archive that is unpacked; correct `url`"
            );
        }
        let path = folder.join(program);
        let locks = downloads.join(format!("{sha256}.lock"));
        std::fs::create_dir_all(downloads).with_context(|| format!("failed to create folder {downloads}"))?;
        let _lock = if let Some(lock) = try_lock(&locks)? {
            lock
        } else {
            self.progress.note(&format!("waiting for another process that downloads {url}"));
            lock_exclusive(&locks)?
        };
        // Fails here, before anything is downloaded, if the program cannot be placed.
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            bail!("{path} is a folder; move it away, then run it again");
        }
        drop(Replacement::of(&path)?);
        if let Some(before) = SystemTime::now().checked_sub(ABANDONED) {
            // A leftover takes some space and does no harm.
            let _ = remove_abandoned(&path, before);
        }
        let archive = self.whole(&downloads.join(format!("{sha256}.part")))?;
        let mut program = Replacement::of(&path)?;
        self.unpack(&archive, &mut program)?;
        program.make_executable()?;
        program.commit(Durability::Synced)
    }

    fn unpack(&self, archive: &Utf8Path, program: &mut Replacement) -> Result<()> {
        let url = &self.archive.url;
        let mut environment = self.environment.clone();
        // They add options to tar and gzip.
        for name in ["TAR_OPTIONS", "TAR_READER_OPTIONS", "GZIP"] {
            environment.remove(name);
        }
        needs("tar", "the archive is unpacked", &environment)?;
        // In the folder of the archive: GNU tar takes a `:` in its name for another machine's.
        let wanted = self.archive.binary.as_deref().unwrap_or(self.program);
        let name = archive.file_name().unwrap_or_default();
        let call = Call::new(self.downloads, "tar", ["-xzOf", name, "--", wanted]);
        self.progress.detail(&call.to_string());
        let (mut bytes, most) = (0, self.limits.unpacked_bytes);
        let ended = streamed(&call, &environment, self.limits.unpack, &mut |piece| {
            bytes += piece.len() as u64;
            if bytes > most {
                bail!("the program in {url} is larger than {most} bytes, which no tool is");
            }
            program.append(piece)
        })?;
        if ended.code != Some(0) {
            let why = last_lines(&ended.stderr, "");
            bail!("`{call}` failed in {}: {why}; check `binary`", self.downloads);
        }
        if bytes == 0 {
            bail!("the program in {url} is empty; correct `binary`");
        }
        Ok(())
    }

    /// The path of the whole archive, kept from before or downloaded, which was just seen to have the pinned SHA-256.
    fn whole(&self, part: &Utf8Path) -> Result<Utf8PathBuf> {
        let pinned = &self.archive.sha256;
        let kept = part.with_extension("archive");
        if length(&kept)?.is_some() {
            if sha256(&kept)? == *pinned {
                self.progress.detail(&format!("{kept} has the pinned SHA-256: not downloaded again"));
                return Ok(kept);
            }
            self.progress.detail(&format!("{kept} has another SHA-256 than the pinned one: removed"));
            remove_file(&kept)?;
        }
        // It may have been killed between the last byte and the new name.
        if length(part)?.is_none() || sha256(part)? != *pinned {
            needs("curl", "archives are downloaded", self.environment)?;
            let deadline = Instant::now() + self.limits.whole;
            let mut continued = self.complete(part, deadline)?;
            let mut found = sha256(part)?;
            if found != *pinned && continued {
                // The file on the server may have changed between the pieces.
                self.progress
                    .detail("the pieces have the wrong SHA-256 together: downloaded again as a whole");
                remove_file(part)?;
                continued = self.complete(part, deadline)?;
                found = sha256(part)?;
            }
            if found != *pinned {
                remove_file(part)?;
                bail!(
                    "{} has the SHA-256 {found}, not the pinned {pinned}: it was replaced since, or changed on the \
                     way{}; nothing was unpacked. Compare with what the project publishes, then correct `sha256`",
                    self.archive.url,
                    if continued { ", or it changes between tries" } else { "" }
                );
            }
        }
        std::fs::rename(part, &kept).with_context(|| format!("failed to rename {part} to {kept}"))?;
        Ok(kept)
    }

    /// Downloads until the whole file is there. Returns whether a partial file was continued.
    fn complete(&self, part: &Utf8Path, deadline: Instant) -> Result<bool> {
        let limits = &self.limits;
        let (mut tries, mut continued) = (0, false);
        loop {
            let mut had = length(part)?.unwrap_or(0);
            if had > 0 && had >= limits.bytes {
                // Of another limit, or of a file that was larger then.
                remove_file(part)?;
                had = 0;
            }
            continued |= had > 0;
            let left = deadline.saturating_duration_since(Instant::now());
            if left < Duration::from_millis(100) {
                bail!(
                    "{} was not downloaded within {} s; what was downloaded is kept, and running it again continues \
                     there",
                    self.archive.url,
                    limits.whole.as_secs_f64()
                );
            }
            match self.attempt(part, had, left)? {
                None => return Ok(continued),
                Some((true, error)) if tries < limits.retries => {
                    let pause = limits.pause * 2_u32.saturating_pow(tries);
                    tries += 1;
                    self.progress.detail(&format!("{error:#}: tried again in {} s", pause.as_secs_f64()));
                    std::thread::sleep(pause.min(left));
                }
                Some((false, error)) if had > 0 => {
                    // The server may not be able to continue.
                    self.progress.detail(&format!("{error:#}: started again"));
                    remove_file(part)?;
                    continued = false;
                }
                Some((_, error)) => return Err(error),
            }
        }
    }

    /// One call of curl, which continues after the first `had` bytes. `None` when the whole file is there; otherwise
    /// whether the failure may pass, and the failure.
    fn attempt(&self, part: &Utf8Path, had: u64, left: Duration) -> Result<Option<(bool, Error)>> {
        let most = self.limits.bytes;
        let call = self.call(had, left);
        self.progress.detail(&call.to_string());
        let opened = OpenOptions::new().create(true).append(true).open(part);
        let file = opened.with_context(|| format!("failed to open {part}"))?;
        let mut file = BufWriter::with_capacity(CHUNK, file);
        let mut bytes = had;
        let ended = streamed(&call, self.environment, left + GRACE, &mut |piece| {
            bytes += piece.len() as u64;
            if bytes > most {
                let url = &self.archive.url;
                bail!("{url} is larger than {most} bytes, which no release of a tool is; correct `url`");
            }
            file.write_all(piece).with_context(|| format!("failed to write {part}"))
        });
        // Kept even when the call failed: the next one continues it.
        let written = file.flush().with_context(|| format!("failed to write {part}"));
        if bytes > most {
            drop(file);
            remove_file(part)?;
        }
        let ended = ended?;
        written?;
        if ended.code == Some(0) {
            if bytes == 0 {
                bail!("`{call}` succeeded without writing anything; check which `curl` is on PATH");
            }
            return Ok(None);
        }
        // The line with the exit code; curl may print three more that point to its manual.
        let line = ended.stderr.lines().rev().find(|line| line.starts_with("curl: ("));
        let line = line.map_or_else(|| last_lines(&ended.stderr, ""), str::to_owned);
        let error = anyhow!("`{call}` failed: {line}{}", advice(ended.code));
        Ok(Some((may_pass(ended.code, &line), error)))
    }

    /// The call, which prints the rest of the archive. It can be pasted in the folder of downloads.
    fn call(&self, had: u64, left: Duration) -> Call {
        let limits = &self.limits;
        // First of all: no ~/.curlrc. Then https to the end, redirects included.
        let args = "--disable --proto =https --proto-redir =https --tlsv1.2 --fail --silent --show-error --globoff \
                    --location";
        let mut args = args.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let valued = [
            ("--max-redirs", REDIRECTS.to_string()),
            ("--max-filesize", limits.bytes.to_string()),
            ("--connect-timeout", format!("{:.3}", limits.connect.as_secs_f64())),
            ("--max-time", format!("{:.3}", left.as_secs_f64())),
            ("--speed-limit", limits.least_rate.to_string()),
            ("--speed-time", limits.stall.as_secs().max(1).to_string()),
            ("--continue-at", had.to_string()),
        ];
        args.extend(valued.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        args.extend(["--".to_owned(), self.archive.url.clone()]);
        Call::new(self.downloads, "curl", args)
    }
}

fn needs(program: &str, done: &str, environment: &Environment) -> Result<()> {
    let lacks = || {
        EnvironmentLacks(format!(
            "{program} is not on PATH, and {done} by it; install it with the package manager of this system, then run \
             it again"
        ))
    };
    on_path(program, environment).map(|_| ()).ok_or_else(|| lacks().into())
}

/// Whether a further try may succeed, by curl's exit code (`man curl`, EXIT CODES) and its message.
fn may_pass(code: Option<i32>, message: &str) -> bool {
    match code {
        // No connection, a transfer cut short, a time limit, an HTTP/2 error. A name that is not found means that there is
        // no network: then the next way of installing is tried at once.
        Some(7 | 16 | 18 | 28 | 35 | 52 | 55 | 56 | 92) => true,
        // `curl: (22) The requested URL returned error: 503`
        Some(22) => message.rsplit_once("error: ").is_some_and(|(_, status)| {
            ["408", "429", "500", "502", "503", "504"].iter().any(|passing| status.starts_with(passing))
        }),
        _ => false,
    }
}

/// What to do next.
fn advice(code: Option<i32>) -> &'static str {
    match code {
        Some(1) => "; only https is used, also where the server redirects to: correct `url`",
        Some(5..=7) => {
            "; check the network, or where there is a proxy the variables HTTPS_PROXY and NO_PROXY"
        }
        Some(22 | 47 | 63) => "; check `url`",
        Some(35 | 58 | 60 | 77) => {
            "; where a proxy signs what passes it, name its certificate in CURL_CA_BUNDLE"
        }
        _ => "",
    }
}

/// The bytes of the file; `None` if it does not exist. Anything else, such as a link, is refused.
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
    Ok(hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_may_pass_is_tried_again() {
        let http = |status: u16| format!("curl: (22) The requested URL returned error: {status}");
        let table = [
            (Some(22), http(404), false),
            (Some(22), http(403), false),
            (Some(22), http(416), false),
            (Some(22), http(429), true),
            (Some(22), http(503), true),
            (Some(22), String::new(), false),
            (Some(33), String::new(), false),
            (Some(18), String::new(), true),
            (Some(6), String::new(), false),
            (Some(60), String::new(), false),
            (Some(1), String::new(), false),
            (None, String::new(), false),
        ];
        for (code, message, expected) in table {
            assert_eq!(may_pass(code, &message), expected, "{code:?} {message}");
        }
    }
}
