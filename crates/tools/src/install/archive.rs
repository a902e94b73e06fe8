//! A program from an official release archive: downloaded, checked, unpacked and put in place.
//!
//! Invariant: at every moment the program's path is what it was before, or the whole program out of an archive whose
//! SHA-256 is the pinned one. Nothing is unpacked before that was seen of the whole file.
//!
//! `tar` writes the one wanted file to a pipe and nothing else to the disk, so other members of an archive do not matter.

use std::io;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, Replacement, lock_exclusive, remove_abandoned, try_lock};
use xtask_workspace::config::Archive;
use xtask_workspace::{Call, Environment, EnvironmentLacks, Progress, on_path};

use super::download;
use crate::process::{Streamed, last_lines, streamed};

/// What to fetch, and where to put it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetch<'a> {
    /// The release archive, a `.tar.gz`.
    pub(crate) archive: &'a Archive,
    /// The file name that the program gets, with `.exe` where programs have it.
    pub(crate) program: &'a str,
    /// The folder of whole and partial downloads, ours alone; created if it is missing.
    pub(crate) downloads: &'a Utf8Path,
    /// Where the program goes; created if it is missing.
    pub(crate) folder: &'a Utf8Path,
    /// Its limits.
    pub(crate) limits: Limits,
}

/// The limits of a download and its unpacking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of the archive.
    pub(crate) bytes: u64,
    /// Bytes of the program in it.
    pub(crate) unpacked_bytes: u64,
    /// Time for one connection to be made.
    pub(crate) connect: Duration,
    /// Time for the whole download, every further try included.
    pub(crate) whole: Duration,
    /// Bytes a second; a download that is slower for as long as `stall` has failed.
    pub(crate) least_rate: u64,
    /// Whole seconds; see `least_rate`.
    pub(crate) stall: Duration,
    /// The number of further tries after a failure that may pass.
    pub(crate) retries: u32,
    /// The pause before the first further try; it doubles with each one.
    pub(crate) pause: Duration,
    /// Time for unpacking.
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

/// A temporary file beside the program that is older than this was left by a killed run: none lives longer than the
/// limit of unpacking.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Downloads the archive unless a whole one is kept, checks it, and puts the program in place. Returns the program's
/// path.
///
/// A link at that path is replaced, not followed; a program that is running there keeps its old file. If several processes
/// fetch the same archive, one downloads it and the others wait.
pub(crate) fn fetch(
    fetch: &Fetch<'_>,
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<Utf8PathBuf> {
    fetched(fetch, environment, progress).map_err(|error| {
        let next = on_disk(&error);
        error.context(format!("failed to install {} {}{next}", fetch.program, fetch.archive.version))
    })
}

fn fetched(fetch: &Fetch<'_>, environment: &Environment, progress: &dyn Progress) -> Result<Utf8PathBuf> {
    check(fetch)?;
    let path = fetch.folder.join(fetch.program);
    let locks = fetch.downloads.join(format!("{}.lock", fetch.archive.sha256));
    std::fs::create_dir_all(fetch.downloads)
        .with_context(|| format!("failed to create folder {}", fetch.downloads))?;
    let _lock = if let Some(lock) = try_lock(&locks)? {
        lock
    } else {
        progress.note(&format!("waiting for another process that downloads {}", fetch.archive.url));
        lock_exclusive(&locks)?
    };
    // Fails here, before anything is downloaded, if the program cannot be placed.
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("{path} is a folder; move it away, then run it again");
    }
    drop(Replacement::of(&path)?);
    if let Some(before) = SystemTime::now().checked_sub(ABANDONED) {
        // A leftover takes some space and does no harm.
        if let Err(error) = remove_abandoned(&path, before) {
            progress.detail(&format!("{error:#}"));
        }
    }
    let archive = download::download(fetch, environment, progress)?;
    let mut program = Replacement::of(&path)?;
    unpack(fetch, &archive, &mut program, environment, progress)?;
    program.make_executable()?;
    program.commit(Durability::Synced)?;
    Ok(path)
}

/// Writes the program in `archive`, which was checked, to `program`.
fn unpack(
    fetch: &Fetch<'_>,
    archive: &Utf8Path,
    program: &mut Replacement,
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<()> {
    let url = &fetch.archive.url;
    let mut environment = environment.clone();
    // Further options of the user's.
    for name in ["TAR_OPTIONS", "TAR_READER_OPTIONS", "GZIP"] {
        environment.remove(name);
    }
    if on_path("tar", &environment).is_none() {
        let what = "tar is not on PATH, and the archive is unpacked by it; install it with the package manager of this \
                    system, then run it again: what was downloaded is kept";
        return Err(EnvironmentLacks(what.to_owned()).into());
    }
    // In the folder of the archive: GNU tar takes a `:` in its name for another machine's.
    let folder = archive.parent().context("an archive is in a folder")?;
    let name = archive.file_name().context("an archive has a name")?;
    let wanted = fetch.archive.binary.as_deref().unwrap_or(fetch.program);
    let call = Call::new(folder, "tar", ["-xzOf", name, "--", wanted]);
    progress.detail(&call.to_string());
    let (mut bytes, most) = (0, fetch.limits.unpacked_bytes);
    let Streamed { code, stderr } = streamed(&call, &environment, fetch.limits.unpack, &mut |piece| {
        bytes += piece.len() as u64;
        if bytes > most {
            bail!("the program in {url} is larger than {most} bytes, which no tool is");
        }
        program.append(piece)
    })?;
    if code != Some(0) {
        bail!("`{call}` failed in {folder}: {}; check `binary`", last_lines(&stderr, ""));
    }
    if bytes == 0 {
        bail!("the program in {url} is empty; correct `binary`");
    }
    Ok(())
}

/// Refuses a program that would lead outside of its folder, and an archive that cannot be unpacked. The URL and the
/// SHA-256 were checked when they were read from the configuration.
fn check(fetch: &Fetch<'_>) -> Result<()> {
    let Fetch { archive, program, .. } = fetch;
    if Utf8Path::new(program).file_name() != Some(program) || program.contains(['\\', ':']) {
        bail!("`{}` is not a program's name; give one without folders", program.escape_debug());
    }
    let path = archive.url.split(['?', '#']).next().unwrap_or_default();
    if ![".tar.gz", ".tgz"].iter().any(|ending| path.ends_with(ending)) {
        bail!(
            "{} is not a .tar.gz, which is the only kind of archive that is unpacked; correct `url`",
            archive.url
        );
    }
    Ok(())
}

/// What to do next where a disk is what fails; the error itself names the path.
fn on_disk(error: &anyhow::Error) -> &'static str {
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            ": a disk is full; free some space, then run it again"
        }
        Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            ": something cannot be written; make it writable for you, or choose another folder with `install-to` in \
             xtask.toml, then run it again"
        }
        _ => "",
    }
}
