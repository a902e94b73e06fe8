//! The stamp beside the suite's binary: what the binary was built from, and that it is current.
//!
//! Invariant: a stamp holds only if every file it lists has the recorded size and modification time, or is
//! still absent, and everything else a build depends on is unchanged. Any doubt (a line that does not parse,
//! a file that cannot be read, another format version) means that it does not hold.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

/// First line of the file; another format gets another number.
const FORMAT: &str = "xtask-suite stamp, format 1";
/// Nanoseconds that a file system with whole seconds may round a time down by (FAT counts in twos).
const COARSE_STEP: u128 = 2_000_000_000;

/// What the binary was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// What is no file ([`crate::environment::Environment::conditions`]).
    pub(crate) conditions: String,
    /// Each file and how it was found after the build.
    pub(crate) files: Vec<(PathBuf, State)>,
}

/// How a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// There was none; making one can change the build.
    Absent,
    /// A file of `bytes`, modified `modified` nanoseconds after 1970.
    File { bytes: u64, modified: u128 },
}

impl State {
    /// `None` for what is no plain file or cannot be read: its content cannot be vouched for.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => {
                Some(Self::File { bytes: found.len(), modified: nanoseconds(found.modified().ok()?)? })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Self::Absent),
            // Nothing lies below a plain file. The kind of this error is younger than the compilers we allow.
            Err(_) if path.parent().is_some_and(Path::is_file) => Some(Self::Absent),
            _ => None,
        }
    }
}

impl Stamp {
    /// The stamp at `path`; `None` where there is none that this version understands.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    /// Whether the binary it was written for is current under these conditions.
    pub(crate) fn holds(&self, conditions: &str) -> bool {
        self.conditions == conditions
            && self.files.iter().all(|(path, state)| State::of(path) == Some(*state))
    }

    /// Writes it through a temporary file: another launcher sees all of it or nothing.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let text = self.render().ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = path.with_extension(format!("{}.tmp", process::id()));
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// `None` where a path does not fit on a line of text.
    pub(crate) fn render(&self) -> Option<String> {
        let mut text = format!("{FORMAT}\n{}\nfiles {}\n", self.conditions, self.files.len());
        for (path, state) in &self.files {
            let path = path.to_str().filter(|path| !path.contains(['\n', '\r']))?;
            let _ = match state {
                State::Absent => writeln!(text, "- - {path}"),
                State::File { bytes, modified } => writeln!(text, "{bytes} {modified} {path}"),
            };
        }
        Some(text)
    }

    /// `None` for what is no whole stamp of this format.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (conditions, files) = text.strip_prefix(FORMAT)?.strip_prefix('\n')?.split_once("\nfiles ")?;
        let (count, files) = files.split_once('\n')?;
        // The last line has its end, and none is missing: the file was not cut short.
        let files = if files.is_empty() { files } else { files.strip_suffix('\n')? };
        let files = files.lines().map(parse_file).collect::<Option<Vec<_>>>()?;
        (files.len() == count.parse().ok()?).then(|| Self { conditions: conditions.to_owned(), files })
    }
}

fn parse_file(line: &str) -> Option<(PathBuf, State)> {
    let mut fields = line.splitn(3, ' ');
    let state = match (fields.next()?, fields.next()?) {
        ("-", "-") => State::Absent,
        (bytes, modified) => State::File { bytes: bytes.parse().ok()?, modified: modified.parse().ok()? },
    };
    Some((fields.next()?.into(), state))
}

/// When a build began, in nanoseconds after 1970, by the clock that stamps files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) u128);

impl Moment {
    /// Asks the file system of `dir` through a file made for it, because its clock may lag behind the system's
    /// by a tick or, on a network, by more. The earlier of the two is the safe one. `None` where none can be made.
    pub(crate) fn now(dir: &Path) -> Option<Self> {
        let system = SystemTime::now();
        let probe = dir.join(format!(".xtask-clock.{}.tmp", process::id()));
        let stamped = File::create(&probe).and_then(|file| file.metadata()?.modified());
        let _ = fs::remove_file(&probe);
        Some(Self(nanoseconds(system.min(stamped.ok()?))?))
    }

    /// Whether a file found so was surely not touched since: not at this moment, not in the "future".
    pub(crate) fn is_after(self, state: State) -> bool {
        let State::File { modified, .. } = state else { return true };
        let rounded_down = modified % 1_000_000_000 == 0;
        modified + if rounded_down { COARSE_STEP } else { 0 } < self.0
    }
}

fn nanoseconds(time: SystemTime) -> Option<u128> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_nanos())
}
