//! What a cargo command did build, how long each unit took and why it was dirty: written down on every
//! run, because there is one function that runs cargo.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, remove_file, write_atomic};
use xtask_workspace::{Call, CargoCommand, Flag, Progress, Workspace};

use crate::build_output::Build;
use crate::process;
use crate::times::Times;
use crate::unit::{Mode, TargetKind, UnitIdentity};

/// So many records are kept.
const KEEP: usize = 30;

/// A unit that a cargo command built or found fresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltUnit {
    /// The package's name.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The target's name.
    pub target: String,
    /// The target's kind.
    pub kind: TargetKind,
    /// What was done with it.
    pub mode: Mode,
    /// Whether the test harness or `cfg(test)` is on.
    pub test: bool,
    /// The profile's optimisation level, in cargo's words.
    pub opt_level: String,
    /// The features that are on.
    pub features: Vec<String>,
    /// The files that cargo names for it.
    pub files: Vec<Utf8PathBuf>,
    /// Whether nothing had to be done.
    pub fresh: bool,
    /// Milliseconds from the start of the build to its own start, where `--timings` told.
    pub start_ms: Option<u64>,
    /// Milliseconds it took, where `--timings` told.
    pub duration_ms: Option<u64>,
    /// Whether the two figures may be those of another unit that only its id tells apart.
    pub ambiguous: bool,
    /// Why it was not fresh, in cargo's words.
    pub why_dirty: Option<String>,
}

impl Default for BuiltUnit {
    fn default() -> Self {
        Self {
            package: String::new(),
            version: String::new(),
            target: String::new(),
            kind: TargetKind::Lib,
            mode: Mode::Build,
            test: false,
            opt_level: String::new(),
            features: Vec::new(),
            files: Vec::new(),
            fresh: false,
            start_ms: None,
            duration_ms: None,
            ambiguous: false,
            why_dirty: None,
        }
    }
}

impl BuiltUnit {
    /// What stays the same when only features or flags change.
    pub fn identity(&self) -> UnitIdentity {
        UnitIdentity {
            package: self.package.clone(),
            version: self.version.clone(),
            target: self.target.clone(),
            kind: self.kind,
            mode: self.mode,
            test: self.test,
        }
    }
}

/// How to run cargo.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Ask cargo why units are dirty and how long they take. It costs 0.1 s on 500 units, so not when nothing
    /// will be compiled.
    pub details: bool,
    /// How many units a plan says there are.
    pub expected: Option<usize>,
    /// Keep the compiler's errors in [`Record::compile_errors`] instead of showing them.
    pub collect_errors: bool,
}

/// An error of the compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// The package's name.
    pub package: String,
    /// The target's name.
    pub target: String,
    /// The target's kind.
    pub kind: TargetKind,
    /// The compiler's first line, without code and place.
    pub message: String,
}

/// What one cargo command did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The command, as it is pasted.
    pub command: String,
    /// When it started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// Its exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that we got meanwhile.
    pub signal: Option<i32>,
    /// Whether the build succeeded; `None` when cargo never came to an end of it.
    pub build_succeeded: Option<bool>,
    /// The targets that did not compile, in cargo's words: "`app` (lib test)".
    #[serde(default)]
    pub not_compiled: Vec<String>,
    /// The packages whose build script ran and failed.
    #[serde(default)]
    pub failed_scripts: Vec<String>,
    /// The compiler's errors, with [`RunOptions::collect_errors`]. They are not written down.
    #[serde(skip)]
    pub compile_errors: Vec<CompileError>,
    /// Milliseconds until cargo said that the build was finished (or until the end).
    pub compile_ms: u64,
    /// Milliseconds after that.
    pub run_ms: u64,
    /// The units.
    pub units: Vec<BuiltUnit>,
}

impl Record {
    /// How many units were compiled.
    pub fn compiled(&self) -> usize {
        self.units.iter().filter(|unit| !unit.fresh && unit.mode != Mode::RunBuildScript).count()
    }

    /// How many units were fresh.
    pub fn fresh(&self) -> usize {
        self.units.iter().filter(|unit| unit.fresh).count()
    }
}

/// Runs `command`, shows its output through `progress`, and writes down what it built.
///
/// `on_line` sees every line that is shown: what is none of cargo's JSON messages, the output of tests among it.
pub fn run(
    workspace: &Workspace,
    command: &CargoCommand,
    options: RunOptions,
    progress: &dyn Progress,
    on_line: &mut dyn FnMut(&str),
) -> Result<Record> {
    let full = with_reports(command, options);
    progress.detail(&format!("running `{full}`"));
    let started_at_ms = now_ms();
    let mut build = Build::new(options);
    let ended = process::run(&Call::from(&full), &workspace.environment, None, &mut |stream, line| {
        build.line(stream, line, progress, on_line);
    })?;
    let total = build.started.elapsed();
    let compile = build.finished.map_or(total, |(at, _)| at);
    build.add_times();
    let failed = build.finish(progress);
    let record = Record {
        command: command.to_string(),
        started_at_ms,
        exit_code: ended.status.code(),
        signal: ended.signal,
        build_succeeded: build.finished.map(|(_, success)| success),
        not_compiled: failed.targets,
        failed_scripts: failed.scripts,
        compile_errors: build.compile_errors,
        compile_ms: whole_milliseconds(compile),
        run_ms: whole_milliseconds(total.saturating_sub(compile)),
        units: build.units,
    };
    // A full disk must not turn a green test run red.
    if let Err(error) = record.write(workspace) {
        progress.note(&format!("the record of this run was not kept: {error:#}"));
    }
    Ok(record)
}

/// The time now, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    whole_milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// `duration` in whole milliseconds.
pub fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The command that also reports as we need it, besides what the user asks for. Cargo's own arguments have no part in a
/// unit's hash.
fn with_reports(command: &CargoCommand, options: RunOptions) -> CargoCommand {
    let short = command.values(Flag::Messages).any(|format| format == "short");
    let format = match (options.collect_errors, short) {
        (true, _) => "json",
        (false, true) => "json-render-diagnostics,json-diagnostic-short",
        (false, false) => "json-render-diagnostics",
    };
    let mut full = command.clone().without(&[Flag::Messages]);
    full.add("--message-format", Some(format));
    if options.details {
        if !full.has(Flag::Quiet) && !full.has(Flag::Verbose) {
            full.add("--verbose", None);
        }
        full.insert_args(["--timings"]);
    }
    full
}

impl Record {
    fn write(&self, workspace: &Workspace) -> Result<()> {
        let dir = workspace.state_dir().join("records");
        let name = format!("{:013}-{}.json", self.started_at_ms, std::process::id());
        write_atomic(&dir.join(name), serde_json::to_vec(self)?, Durability::Cache)?;
        prune(&dir)?;
        if self.compiled() > 0 {
            Times::add(workspace, &self.units)?;
        }
        Ok(())
    }

    /// The records that are kept, the newest first. One that does not parse is left out.
    pub fn all(workspace: &Workspace) -> Vec<Self> {
        let dir = workspace.state_dir().join("records");
        let read = |name: &String| serde_json::from_slice(&fs::read(dir.join(name)).ok()?).ok();
        names(&dir).iter().rev().filter_map(read).collect()
    }
}

/// File names in the order of their time.
fn names(dir: &Utf8Path) -> Vec<String> {
    let entries = dir.read_dir_utf8().into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_owned()).collect::<Vec<_>>();
    names.retain(|name| Utf8Path::new(name).extension() == Some("json"));
    names.sort();
    names
}

fn prune(dir: &Utf8Path) -> Result<()> {
    let names = names(dir);
    for name in names.iter().take(names.len().saturating_sub(KEEP)) {
        remove_file(&dir.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_asked_for_before_the_arguments_of_the_tests() {
        let options = RunOptions { details: true, ..RunOptions::default() };
        let full =
            |args: &[&str]| with_reports(&CargoCommand::new("/", args.iter().copied()), options).to_string();
        assert_eq!(
            full(&["test", "--", "--nocapture"]),
            "cargo test --message-format json-render-diagnostics --verbose --timings -- --nocapture"
        );
        assert_eq!(
            full(&["nextest", "run"]),
            "cargo nextest run --cargo-message-format json-render-diagnostics --cargo-verbose --timings"
        );
        // Cargo refuses two formats, and both of the others.
        assert_eq!(
            full(&["test", "-q", "--timings=html", "--message-format=short"]),
            "cargo test -q --timings=html --message-format json-render-diagnostics,json-diagnostic-short"
        );
    }
}
