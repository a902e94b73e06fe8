//! The stamp beside a program of the suite: what the program was built from, so that the next call can start it without
//! asking cargo.
//!
//! Invariant: a stamp lists every file whose change or appearance makes cargo build again, and it holds only while each
//! of them has the recorded size and modification time, or is still absent. In any doubt it does not hold, or is not
//! written. Packages from a registry never change in place and are named in `Cargo.lock`.

use std::collections::BTreeSet;
use std::env::consts::EXE_SUFFIX;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::environment::Environment;
use crate::place::Place;

/// In a stamp's place after a build that only cargo can vouch for.
pub(crate) const ONLY_CARGO_KNOWS: &str = "only cargo knows\n";
/// Nanoseconds that a file system with whole seconds may round a time down by (FAT counts in twos).
const COARSE_STEP: u128 = 2_000_000_000;

/// How a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// There was none; making one can change the build.
    Absent,
    /// A file of `bytes`, modified `modified` nanoseconds after 1970.
    File { bytes: u64, modified: u128 },
}

impl State {
    /// `None` for what is not a plain file or cannot be read.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => {
                Some(Self::File { bytes: found.len(), modified: nanoseconds(found.modified().ok()?)? })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Self::Absent),
            _ => None,
        }
    }

    /// Whether a file found so was surely not touched since `start`, nor has a time in the future.
    pub(crate) fn is_surely_before(self, start: u128) -> bool {
        let Self::File { modified, .. } = self else { return true };
        let is_rounded = modified % 1_000_000_000 == 0;
        modified + if is_rounded { COARSE_STEP } else { 0 } < start
    }

    fn line(self, path: &str) -> String {
        match self {
            Self::Absent => format!("- - {path}"),
            Self::File { bytes, modified } => format!("{bytes} {modified} {path}"),
        }
    }
}

/// Whether the program beside the stamp with this text is current under `conditions`.
pub(crate) fn holds(stamp: &str, conditions: &str) -> bool {
    // The last line says that the file was not cut short.
    let files = stamp.strip_prefix(&head(conditions)).and_then(|rest| rest.strip_suffix("end\n"));
    files.is_some_and(|files| {
        files.lines().all(|line| {
            let path = line.splitn(3, ' ').nth(2).unwrap_or_default();
            State::of(Path::new(path)).is_some_and(|state| state.line(path) == line)
        })
    })
}

/// The text of a stamp for files that were found so; `None` where a path does not fit on a line.
pub(crate) fn render(conditions: &str, files: &[(PathBuf, State)]) -> Option<String> {
    let mut text = head(conditions);
    for (path, state) in files {
        let path = path.to_str().filter(|path| !path.contains(['\n', '\r']))?;
        text.push_str(&state.line(path));
        text.push('\n');
    }
    Some(text + "end\n")
}

fn head(conditions: &str) -> String {
    format!("xtask-suite stamp, format 2\n{conditions}files\n")
}

/// The stamp for the program that was made of `inputs`, in a build begun at `start`. `None` where one was touched since, or
/// cannot be read.
pub(crate) fn make(
    place: &Place,
    environment: &Environment,
    conditions: &str,
    start: u128,
    inputs: &BTreeSet<PathBuf>,
) -> Option<String> {
    let mut paths = configuration(place, &environment.cargo_home()?).into_iter().collect::<BTreeSet<_>>();
    paths.extend(inputs.iter().cloned());
    for manifest in inputs.iter().filter(|path| path.ends_with("Cargo.toml")) {
        // Profiles are in its workspace's manifest, and it inherits from there.
        let above = manifest.ancestors().skip(2).map(|dir| dir.join("Cargo.toml"));
        paths.extend(above.filter(|path| path.exists()));
        // A workspace that is not above its member.
        let text = fs::read_to_string(manifest).ok()?;
        paths.extend(workspace_in(&text).map(|dir| manifest.with_file_name(dir).join("Cargo.toml")));
        // One that appears is run.
        paths.insert(manifest.with_file_name("build.rs"));
    }
    paths.insert(place.workspace.join("Cargo.lock"));
    paths.extend(compiler(environment));
    let mut files = Vec::new();
    for path in paths {
        let state = State::of(&path).filter(|state| state.is_surely_before(start))?;
        files.push((path, state));
    }
    // The program itself is younger than the build's start.
    let binary = State::of(&place.binary).filter(|state| *state != State::Absent)?;
    files.push((place.binary.clone(), binary));
    render(conditions, &files)
}

/// The folder of the workspace that a manifest names for its package.
pub(crate) fn workspace_in(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| {
        let rest = line.trim_start().trim_start_matches("package.").strip_prefix("workspace")?;
        let value = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|first| ['"', '\''].contains(first))?;
        value.split(quote).nth(1)
    })
}

/// Where cargo and rustup look for settings, whether there is a file or not, and what those files include. The
/// nearest comes first: the same order in every checkout.
pub(crate) fn configuration(place: &Place, cargo_home: &Path) -> Vec<PathBuf> {
    let folders = place.workspace.ancestors().map(|dir| dir.join(".cargo"));
    let folders = folders.chain([cargo_home.to_owned()]);
    let mut paths: Vec<_> =
        folders.flat_map(|dir| ["config.toml", "config"].map(|name| dir.join(name))).collect();
    let mut read = 0;
    while let Some(config) = paths.get(read).cloned() {
        read += 1;
        // Every quoted word that ends in `.toml`, as an included file's name must: one too many costs nothing.
        for word in fs::read_to_string(&config).unwrap_or_default().split(['"', '\'']) {
            let included = config.with_file_name(word);
            if included.extension().is_some_and(|end| end == "toml") && !paths.contains(&included) {
                paths.push(included);
            }
        }
    }
    let toolchains = place.workspace.ancestors();
    paths.extend(
        toolchains.flat_map(|dir| ["rust-toolchain.toml", "rust-toolchain"].map(|name| dir.join(name))),
    );
    paths
}

/// The files that tell one compiler from another: cargo, and rustc beside it or where `RUSTC` says.
fn compiler(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    let cargo = PathBuf::from(environment.cargo());
    let beside = cargo.with_file_name(format!("rustc{EXE_SUFFIX}"));
    let named = environment.get("RUSTC").map(PathBuf::from);
    vec![cargo, beside].into_iter().chain(named).filter(|path| path.is_absolute())
}

/// The time in nanoseconds after 1970, by the clock that stamps files. That of the file system may lag behind the system's
/// by a tick or, on a network, by more, so a file made in `dir` is asked; the earlier of the two is the safe one.
pub(crate) fn now(dir: &Path) -> Option<u128> {
    let system = SystemTime::now();
    let probe = dir.join(format!(".xtask-clock.{}.tmp", process::id()));
    let stamped = File::create(&probe).and_then(|file| file.metadata()?.modified());
    let _ = fs::remove_file(&probe);
    nanoseconds(system.min(stamped.ok()?))
}

fn nanoseconds(time: SystemTime) -> Option<u128> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_nanos())
}
