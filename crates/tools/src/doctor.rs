//! `doctor`: what slows down or breaks the builds of a workspace on this machine, each with its evidence and a fix.
//!
//! It checks what cargo itself does not warn of and what somebody can act on.
//!
//! Invariant: a diagnosis compiles nothing, starts no daemon and changes no file; only [`fix`] changes files, as one
//! transaction that `setup --undo` undoes.

mod cache;
mod fixes;
mod flags;
mod resources;
mod settings;
mod sharing;
mod toolchain;
mod tools;
mod unloaded;
mod wrapper;

use std::time::Instant;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_units::{parallel, whole_milliseconds};
use xtask_workspace::config::Setup;
use xtask_workspace::{CargoVersion, Workspace, tracked};

use crate::catalog::Tool;
use crate::machine::Machine;
use crate::process::Interrupted;

pub use fixes::{Fixed, SafeFix, fix};
pub use unloaded::diagnose_unloaded;

/// The number of checks that run at once: most of them wait for a process.
const AT_ONCE: usize = 6;

/// What a diagnosis works with.
#[derive(Debug, Clone)]
pub struct DoctorOptions {
    /// The tools, in the order of the report.
    pub tools: Vec<Tool>,
    /// What `[setup]` says.
    pub setup: Setup,
    /// The number of units that cargo compiles at once by default.
    pub cores: usize,
}

/// The result of a check, ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nothing to do.
    Ok,
    /// It costs time, space or certainty.
    Warn,
    /// Builds fail, or are not what the workspace says they are.
    Fail,
}

/// How something is fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fix {
    /// A command to paste, or a sentence.
    pub text: String,
    /// The same as a change that [`fix`] makes.
    pub safe: Option<SafeFix>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// What it is about, such as `toolchain`.
    pub name: String,
    /// Its result.
    pub status: Status,
    /// What was seen, in one line.
    pub evidence: String,
    /// Details, one line each.
    pub more: Vec<String>,
    /// The fix; `None` only where there is nothing to do.
    pub fix: Option<Fix>,
}

impl Check {
    fn new(name: &str, status: Status, evidence: impl Into<String>) -> Self {
        Self { name: name.to_owned(), status, evidence: evidence.into(), more: Vec::new(), fix: None }
    }

    fn ok(name: &str, evidence: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, evidence)
    }

    fn warn(name: &str, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, Status::Warn, evidence).with_fix(fix)
    }

    fn fail(name: &str, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, Status::Fail, evidence).with_fix(fix)
    }

    fn with_fix(mut self, text: impl Into<String>) -> Self {
        self.fix = Some(Fix { text: text.into(), safe: None });
        self
    }

    fn with_safe(mut self, safe: SafeFix) -> Self {
        if let Some(fix) = &mut self.fix {
            fix.safe = Some(safe);
        }
        self
    }

    fn with_more(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.more.extend(more);
        self
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorReport {
    /// Every check.
    pub checks: Vec<Check>,
    /// The files that a fix has changed before, relative to the workspace's root.
    pub changed: Vec<Utf8PathBuf>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl DoctorReport {
    /// How many checks have this status.
    pub fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }

    /// Whether anything fails.
    pub fn fails(&self) -> bool {
        self.count(Status::Fail) > 0
    }

    /// What [`fix`] would do, each once.
    pub fn safe_fixes(&self) -> Vec<&SafeFix> {
        let all = self.checks.iter().filter_map(|check| check.fix.as_ref()?.safe.as_ref());
        all.fold(Vec::new(), |mut fixes, fix| {
            if !fixes.contains(&fix) {
                fixes.push(fix);
            }
            fixes
        })
    }
}

/// What is checked.
struct Subject<'a> {
    workspace: &'a Workspace,
    options: &'a DoctorOptions,
    machine: Machine,
    cargo: CargoVersion,
    /// The files that git tracks, relative to the root; `None` without git.
    tracked: Option<Vec<Utf8PathBuf>>,
}

impl Subject<'_> {
    fn root(&self) -> &Utf8Path {
        self.workspace.root()
    }

    /// `path` for messages: relative to the root if it is there.
    fn shown<'a>(&self, path: &'a Utf8Path) -> &'a str {
        shown(path, self.root())
    }
}

fn shown<'a>(path: &'a Utf8Path, root: &Utf8Path) -> &'a str {
    path.strip_prefix(root).unwrap_or(path).as_str()
}

/// Checks that are made together. Where one fails with anything but a signal, a check with the name of the group says so.
type Group = (&'static str, fn(&Subject<'_>) -> Result<Vec<Check>>);

/// In the order of the report.
const GROUPS: [Group; 10] = [
    ("toolchain", toolchain::check),
    ("cargo", |subject| Ok(toolchain::check_cargo(subject))),
    ("tools", tools::check),
    ("sccache", cache::check),
    ("settings", |subject| Ok(settings::check(subject))),
    ("rustflags", |subject| Ok(flags::check(subject))),
    ("wrapper", wrapper::check),
    ("memory", |subject| Ok(resources::memory(subject))),
    ("disk", |subject| Ok(resources::disk(subject))),
    ("target dir", |subject| Ok(sharing::check(subject))),
];

/// The checks of a group. Fails only for a signal that came meanwhile.
fn checks((name, check): &Group, subject: &Subject<'_>) -> Result<Vec<Check>, Interrupted> {
    check(subject).or_else(|error| {
        let error = error.downcast::<Interrupted>().map_or_else(Ok, Err)?;
        Ok(vec![Check::warn(name, format!("could not be checked: {error:#}"), "fix what the error names")])
    })
}

/// Makes every check.
///
/// Fails where not even the compiler can be asked. What single checks fail at is in the report.
pub fn diagnose(workspace: &Workspace, options: &DoctorOptions) -> Result<DoctorReport> {
    let started = Instant::now();
    let (root, environment) = (workspace.root(), &workspace.environment);
    let (machine, cargo, tracked) = std::thread::scope(|scope| {
        let machine = scope.spawn(|| Machine::of(workspace));
        let cargo = scope.spawn(|| CargoVersion::of(root, environment));
        let tracked = tracked(root, environment);
        (join(machine), join(cargo), tracked)
    });
    let subject = Subject { workspace, options, machine: machine?, cargo: cargo?, tracked };
    let mut report = DoctorReport { checks: Vec::new(), changed: Vec::new(), signal: None, took_ms: 0 };
    for checked in parallel(AT_ONCE, &GROUPS, |group| checks(group, &subject)) {
        match checked {
            Ok(checks) => report.checks.extend(checks),
            Err(interrupted) => report.signal = Some(interrupted.signal),
        }
    }
    report.took_ms = whole_milliseconds(started.elapsed());
    Ok(report)
}

/// A panic of the other thread continues in this one.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Bytes as people read them: whole MiB below 10 GiB, GiB with one digit above.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes < 10 << 30 {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)
    }
}

/// The first few of `things`, and how many more there are.
fn some<T: AsRef<str>>(things: &[T], most: usize) -> String {
    let first = things.iter().take(most).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match things.len().saturating_sub(most) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
