//! The suite's own binary where cargo starts tests: as the target's `runner` and as rustdoc.
//!
//! Under plain `cargo test` no argument says "build all of this, run the tests of that". Cargo starts every
//! test program through the runner and sets `CARGO_PKG_NAME`, so the runner skips what is not wanted. It
//! also writes down how long each program took and how many tests it had.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use toml_edit::{Key, Value};
use xtask_files::append_line;
use xtask_units::fake::ROLE;
use xtask_units::user_rustdoc;
use xtask_workspace::{CargoCommand, Environment, Flag, Workspace, cfg, target_variable};

use crate::commands::{Kind, Step};

/// [`ROLE`] of the binary when it starts test programs and rustdoc's doc tests.
pub const ROLE_TESTS: &str = "run-tests";

/// Everything the role needs, as one JSON value in the environment.
const SETTINGS: &str = "XTASK_SUITE_TESTS";

/// What the role is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Settings {
    /// Where runs are written down, one JSON line each.
    log: Utf8PathBuf,
    /// Names of the packages whose tests run; `None` for all.
    only: Option<Vec<String>>,
    /// Whether doc tests run.
    doctests: bool,
    /// The user's own runners, which we take the place of, by triple.
    runners: BTreeMap<String, Vec<String>>,
    /// The real rustdoc.
    rustdoc: String,
    /// The user's own `RUSTDOC`.
    rustdoc_variable: Option<String>,
}

/// One test program, or the doc tests of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRun {
    /// The package.
    pub package: String,
    /// The program's file name without its hash, or `doctests`.
    pub program: String,
    /// Milliseconds it took.
    pub ms: u64,
    /// Whether it succeeded.
    pub success: bool,
    /// What its harness reported; `None` for a harness of the package's own, which counts as one test.
    pub tests: Option<Counts>,
}

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that were ignored or filtered out.
    pub skipped: u64,
}

impl Counts {
    /// Adds `other`.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The command of `step` with our binary as runner and rustdoc; `exe` is that binary, `log` gets the runs. Where
/// that cannot be, `notes` says so: then more tests run than are wanted, never fewer.
pub(crate) fn through_us(
    workspace: &Workspace,
    step: &Step,
    exe: &Utf8Path,
    log: &Utf8Path,
    notes: &mut Vec<String>,
) -> CargoCommand {
    let mut command = step.command.clone();
    let environment = command.environment(&workspace.environment);
    let mut runners = BTreeMap::new();
    for triple in triples(workspace, &command, &environment) {
        match runner_setting(workspace, &triple, exe) {
            Some(setting) => command.add("--config", Some(&setting)),
            None => notes.push(format!(
                "`target.{triple}.runner` is a string and {exe} has a space in it, so all tests of what is built \
                 run, uncounted: write the runner as a list in cargo's configuration"
            )),
        }
        runners.insert(triple.clone(), user_runner(workspace, &environment, &triple));
    }
    let settings = Settings {
        log: log.to_owned(),
        only: step.only.clone(),
        doctests: matches!(step.kind, Kind::TestsAndDoctests | Kind::Doctests),
        runners,
        rustdoc: user_rustdoc(workspace, &environment).unwrap_or_else(|| "rustdoc".to_owned()),
        rustdoc_variable: environment.get("RUSTDOC").map(str::to_owned),
    };
    let json = serde_json::to_string(&settings).unwrap_or_default();
    command.env.extend([
        (ROLE.to_owned(), ROLE_TESTS.to_owned()),
        (SETTINGS.to_owned(), json),
        ("RUSTDOC".to_owned(), exe.to_string()),
    ]);
    command
}

/// Our binary as the value of `target.<triple>.runner` for `--config`, which is stronger than any variable. It is told the
/// triple: cargo starts the tests of proc-macros on the host by the host's runner, those of others by their target's.
///
/// A list, because cargo splits a string at spaces; but it refuses to lay a list over a file's string.
fn runner_setting(workspace: &Workspace, triple: &str, exe: &Utf8Path) -> Option<String> {
    let key = Key::new(triple);
    let key = key.display_repr();
    if workspace.cargo_config.string(&["target", triple, "runner"]).is_none() {
        let list = [exe.as_str(), triple].into_iter().collect::<Value>();
        return Some(format!("target.{key}.runner={list}"));
    }
    let words = Value::from(format!("{exe} {triple}"));
    (!exe.as_str().contains(char::is_whitespace)).then(|| format!("target.{key}.runner={words}"))
}

/// The triples that the tests are built for, and the host's.
fn triples(workspace: &Workspace, command: &CargoCommand, environment: &Environment) -> BTreeSet<String> {
    let mut triples = command.values(Flag::Triple).map(str::to_owned).collect::<Vec<_>>();
    if triples.is_empty() {
        let variable = environment.get("CARGO_BUILD_TARGET").map(|triple| vec![triple.to_owned()]);
        triples = variable.unwrap_or_else(|| workspace.cargo_config.build_targets());
    }
    triples.retain(|triple| triple != "host-tuple");
    triples.push(workspace.facts.host.clone());
    triples.into_iter().collect()
}

/// The runner that cargo would use: the variable, then `target.<triple>`, then `target.'cfg(…)'`.
fn user_runner(workspace: &Workspace, environment: &Environment, triple: &str) -> Vec<String> {
    if let Some(value) = environment.get(&target_variable(triple, "RUNNER")) {
        return value.split_whitespace().map(str::to_owned).collect();
    }
    if let Some(words) = workspace.cargo_config.program(&["target", triple, "runner"]) {
        return words;
    }
    let conditional = workspace.cargo_config.conditional_runners();
    if conditional.is_empty() {
        return Vec::new();
    }
    let settings = cfg::settings(workspace.root(), environment, triple);
    // Cargo refuses two that match, so the first is the only one.
    let matching = conditional.into_iter().find(|(condition, _)| cfg::holds(condition, &settings));
    matching.map(|(_, words)| words).unwrap_or_default()
}

/// Plays the runner or rustdoc; the result is the exit code.
///
/// Cargo calls a runner as `xtask TRIPLE PROGRAM ARGS` and rustdoc as `xtask --flags …`; rustdoc in turn calls the
/// runner for each doc test.
pub fn run_tests(args: &[String]) -> Result<i32> {
    let json = std::env::var(SETTINGS).with_context(|| format!("{SETTINGS} is not set"))?;
    let settings: Settings =
        serde_json::from_str(&json).with_context(|| format!("failed to read {SETTINGS}"))?;
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let wanted = settings.only.as_ref().is_none_or(|only| only.contains(&package));
    let is_rustdoc = args.first().is_some_and(|arg| arg.starts_with('-'));
    if is_rustdoc {
        return rustdoc(&settings, &package, wanted, args);
    }
    let [triple, program, rest @ ..] = args else { bail!("called as a runner without a program") };
    let mut words = settings.runners.get(triple).into_iter().flatten().chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words).args(rest);
    restore_environment(&mut command, &settings);
    if std::env::var_os(IN_RUSTDOC).is_some() {
        // A doc test: rustdoc itself reports on it.
        let status =
            command.env_remove(IN_RUSTDOC).status().with_context(|| format!("failed to start {program}"))?;
        return Ok(exit_code(status));
    }
    if !wanted {
        return Ok(0);
    }
    counted(&settings, &package, &program_name(program), command)
}

/// The program of a [`ProgramRun`] that stands for a package's doc tests.
pub(crate) const DOCTESTS: &str = "doctests";

/// Set for what rustdoc starts.
const IN_RUSTDOC: &str = "XTASK_SUITE_IN_RUSTDOC";

fn rustdoc(settings: &Settings, package: &str, wanted: bool, args: &[String]) -> Result<i32> {
    let mut command = Command::new(&settings.rustdoc);
    command.args(args);
    let runs_tests = args.iter().any(|arg| arg == "--test");
    if !runs_tests {
        return Ok(exit_code(
            command.status().with_context(|| format!("failed to start {}", settings.rustdoc))?,
        ));
    }
    if !wanted || !settings.doctests {
        return Ok(0);
    }
    command.env(IN_RUSTDOC, "1");
    counted(settings, package, DOCTESTS, command)
}

/// Runs `command`, passes its output on, and writes down what it reported.
fn counted(settings: &Settings, package: &str, program: &str, mut command: Command) -> Result<i32> {
    // In place of cargo's own line, which would name us and every argument.
    let _ = writeln!(std::io::stderr(), "     Running {program} ({package})");
    let started = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}", command.get_program().to_string_lossy()))?;
    let tests = child.stdout.take().map(|out| pass_on(out, program == DOCTESTS)).transpose()?.flatten();
    let status = child.wait().context("failed to wait for a test program")?;
    let run = ProgramRun {
        package: package.to_owned(),
        program: program.to_owned(),
        ms: xtask_units::whole_milliseconds(started.elapsed()),
        success: status.success(),
        tests,
    };
    // The suite has said that tests are not counted where this cannot be written; they ran all the same.
    let _ = append_line(&settings.log, &serde_json::to_string(&run)?);
    Ok(exit_code(status))
}

/// Copies `output` to ours and finds what the harness reported: its last line that is a report, as a test may
/// print one too (of a program it started). Doc tests are run in several programs, and all reports count.
fn pass_on(output: impl std::io::Read, several: bool) -> Result<Option<Counts>> {
    let mut reader = BufReader::new(output);
    let mut out = std::io::stdout().lock();
    let mut line = Vec::new();
    let mut total = None::<Counts>;
    while reader.read_until(b'\n', &mut line).context("failed to read a test's output")? > 0 {
        // Nobody reading any more is not the test's failure.
        let _ = out.write_all(&line);
        if let Some(counts) = parse_result(&String::from_utf8_lossy(&line)) {
            if !several {
                total = None;
            }
            total.get_or_insert_default().add(counts);
        }
        line.clear();
    }
    let _ = out.flush();
    Ok(total)
}

/// Reads libtest's last line: `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; …`.
fn parse_result(line: &str) -> Option<Counts> {
    let numbers = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut counts = Counts::default();
    for part in numbers.split("; ") {
        let (number, word) = part.trim().split_once(' ')?;
        let Ok(number) = number.parse::<u64>() else { continue };
        match word {
            "passed" | "measured" => counts.passed += number,
            "failed" => counts.failed += number,
            "ignored" | "filtered out" => counts.skipped += number,
            _ => {}
        }
    }
    Some(counts)
}

fn restore_environment(command: &mut Command, settings: &Settings) {
    command.env_remove(ROLE).env_remove(SETTINGS).env_remove("RUSTDOC");
    command.envs(settings.rustdoc_variable.iter().map(|value| ("RUSTDOC", value)));
}

/// `target/debug/deps/app-0123456789abcdef` is `app`.
pub(crate) fn program_name(path: &str) -> String {
    let stem = Utf8Path::new(path).file_stem().unwrap_or(path);
    stem.rsplit_once('-').map_or(stem, |(name, _)| name).to_owned()
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    // A test program that a signal ended (a stack overflow, an abort) failed; shells say 128 + signal.
    status.code().unwrap_or_else(|| 128 + signal_of(status))
}

#[cfg(unix)]
fn signal_of(status: std::process::ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default()
}

#[cfg(not(unix))]
fn signal_of(_status: std::process::ExitStatus) -> i32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_libtest_reports() {
        let line = "test result: FAILED. 5 passed; 1 failed; 2 ignored; 3 measured; 4 filtered out; finished in 0.00s\n";
        assert_eq!(parse_result(line), Some(Counts { passed: 8, failed: 1, skipped: 6 }));
        assert_eq!(parse_result("test a ... ok"), None);
    }

    #[test]
    fn names_a_program_by_its_target() {
        assert_eq!(program_name("/t/debug/deps/my_app-0123456789abcdef"), "my_app");
        assert_eq!(program_name("/t/debug/deps/app-0123456789abcdef.exe"), "app");
    }
}
