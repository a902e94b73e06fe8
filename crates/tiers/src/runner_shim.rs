//! The suite's own binary where cargo starts tests: as the target's `runner` and as rustdoc.
//!
//! Plain `cargo test` has no argument for "build all of this, test that". So cargo starts every test program through
//! this runner, which skips what is not wanted and logs what each program did.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use toml_edit::{Key, Value};
use xtask_files::append_line;
use xtask_units::fake::ROLE;
use xtask_units::user_rustdoc;
use xtask_workspace::{
    CargoCommand, CargoConfig, Environment, Flag, Progress, Workspace, cfg, target_variable,
};

use crate::plan::{Kind, Step};

/// [`ROLE`] of the binary when it starts test programs and doc tests.
pub const ROLE_TESTS: &str = "run-tests";

const SETTINGS: &str = "XTASK_SUITE_TESTS";

const IN_RUSTDOC: &str = "XTASK_SUITE_IN_RUSTDOC";

pub(crate) const DOCTESTS: &str = "doctests";

#[derive(Serialize, Deserialize)]
struct Settings {
    log: Utf8PathBuf,
    /// The packages to test; `None` for all.
    only: Option<Vec<String>>,
    doctests: bool,
    /// The user's own runners, by triple.
    runners: BTreeMap<String, Vec<String>>,
    rustdoc: String,
    /// The user's own `RUSTDOC`.
    rustdoc_variable: Option<String>,
}

/// A test under nextest; else a test program, or the doc tests of a package.
#[derive(Serialize, Deserialize)]
pub(crate) struct TestRun {
    pub(crate) package: String,
    /// The program's file name without its hash.
    pub(crate) name: String,
    pub(crate) ms: u64,
    pub(crate) success: bool,
    /// `None` for a custom harness.
    pub(crate) tests: Option<Counts>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    /// Ignored or filtered out.
    pub skipped: u64,
}

impl Counts {
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The command of `step` with `exe`, our binary, as runner and rustdoc, which logs to `log`. If it cannot be the runner,
/// more tests run than are wanted, never fewer.
pub(crate) fn through_us(
    workspace: &Workspace,
    step: &Step,
    exe: &Utf8Path,
    log: &Utf8Path,
    progress: &dyn Progress,
) -> CargoCommand {
    let mut command = step.command.clone();
    let environment = command.environment(&workspace.environment);
    let mut runners = BTreeMap::new();
    let given = command.config();
    for triple in triples(workspace, &command, &given, &environment) {
        match runner_setting(workspace, &given, &triple, exe) {
            Some(setting) => command.add("--config", Some(&setting)),
            None => progress.note(&format!(
                "`target.{triple}.runner` is a string and {exe} contains a space, so all tests of what is built \
                 run and are not counted: write the runner as a list in cargo's configuration"
            )),
        }
        runners.insert(triple.clone(), user_runner(workspace, &given, &environment, &triple));
    }
    let settings = Settings {
        log: log.to_owned(),
        only: step.only.clone(),
        doctests: matches!(step.kind, Kind::TestsAndDoctests | Kind::Doctests),
        runners,
        rustdoc: user_rustdoc(workspace, &environment).unwrap_or_else(|| "rustdoc".to_owned()),
        rustdoc_variable: environment.get("RUSTDOC").map(str::to_owned),
    };
    command.env.extend([
        (ROLE.to_owned(), ROLE_TESTS.to_owned()),
        (SETTINGS.to_owned(), serde_json::to_string(&settings).unwrap_or_default()),
        ("RUSTDOC".to_owned(), exe.to_string()),
    ]);
    command
}

/// Our binary as the value of `target.<triple>.runner` for `--config`, which takes precedence over variables. It is told
/// the triple: cargo starts the tests of proc-macros by the host's runner, others by their target's.
///
/// A list, because cargo splits a string at spaces; but it refuses to merge a list with a file's string.
fn runner_setting(
    workspace: &Workspace,
    given: &CargoConfig,
    triple: &str,
    exe: &Utf8Path,
) -> Option<String> {
    let mut configs = [given, &workspace.cargo_config].into_iter();
    let value = if configs.all(|config| config.string(&["target", triple, "runner"]).is_none()) {
        [exe.as_str(), triple].into_iter().collect::<Value>()
    } else if exe.as_str().contains(char::is_whitespace) {
        return None;
    } else {
        Value::from(format!("{exe} {triple}"))
    };
    Some(format!("target.{}.runner={value}", Key::new(triple).display_repr()))
}

fn triples(
    workspace: &Workspace,
    command: &CargoCommand,
    given: &CargoConfig,
    environment: &Environment,
) -> BTreeSet<String> {
    let mut triples = command.values(Flag::Triple).map(str::to_owned).collect::<BTreeSet<_>>();
    if triples.is_empty() {
        triples.extend(given.build_targets());
    }
    if triples.is_empty() {
        match environment.get("CARGO_BUILD_TARGET") {
            Some(triple) => triples.extend([triple.to_owned()]),
            None => triples.extend(workspace.cargo_config.build_targets()),
        }
    }
    triples.remove("host-tuple");
    triples.insert(workspace.facts.host.clone());
    triples
}

/// The runner that cargo would use: for `target.<triple>` what arguments say, the variable, then files; then
/// `target.'cfg(…)'`.
fn user_runner(
    workspace: &Workspace,
    given: &CargoConfig,
    environment: &Environment,
    triple: &str,
) -> Vec<String> {
    if let Some(words) = given.program(&["target", triple, "runner"]) {
        return words;
    }
    if let Some(value) = environment.get(&target_variable(triple, "RUNNER")) {
        return value.split_whitespace().map(str::to_owned).collect();
    }
    if let Some(words) = workspace.cargo_config.program(&["target", triple, "runner"]) {
        return words;
    }
    let mut conditional = workspace.cargo_config.conditional_runners();
    conditional.extend(given.conditional_runners());
    if conditional.is_empty() {
        return Vec::new();
    }
    let settings = cfg::settings(workspace.root(), environment, triple);
    // Cargo refuses two that match.
    let matching = conditional.into_iter().find(|(condition, _)| cfg::holds(condition, &settings));
    matching.map(|(_, words)| words).unwrap_or_default()
}

/// Acts as the runner or rustdoc; returns the exit code.
///
/// Cargo calls a runner as `xtask TRIPLE PROGRAM ARGS` and rustdoc as `xtask --flags …`; rustdoc in turn calls the runner
/// for each doc test.
pub fn run_tests(args: &[String]) -> Result<i32> {
    let json = std::env::var(SETTINGS).with_context(|| format!("{SETTINGS} is not set"))?;
    let settings: Settings =
        serde_json::from_str(&json).with_context(|| format!("failed to read {SETTINGS}"))?;
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let wanted = settings.only.as_ref().is_none_or(|only| only.contains(&package));
    if args.first().is_some_and(|arg| arg.starts_with('-')) {
        let mut rustdoc = Command::new(&settings.rustdoc);
        rustdoc.args(args).env(IN_RUSTDOC, "1");
        if !args.iter().any(|arg| arg == "--test") {
            return uncounted(rustdoc);
        }
        let wanted = wanted && settings.doctests;
        return if wanted { counted(&settings, package, DOCTESTS, rustdoc) } else { Ok(0) };
    }
    let [triple, program, rest @ ..] = args else { bail!("called as a runner without a program") };
    let mut words = settings.runners.get(triple).into_iter().flatten().chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words).args(rest);
    for name in [ROLE, SETTINGS, "RUSTDOC", IN_RUSTDOC] {
        command.env_remove(name);
    }
    command.envs(settings.rustdoc_variable.iter().map(|value| ("RUSTDOC", value)));
    if std::env::var_os(IN_RUSTDOC).is_some() {
        // A doc test, which rustdoc itself counts.
        return uncounted(command);
    }
    if wanted { counted(&settings, package, &program_name(program), command) } else { Ok(0) }
}

fn uncounted(mut command: Command) -> Result<i32> {
    let status = command.status().with_context(|| format!("failed to start {command:?}"))?;
    Ok(exit_code(status))
}

fn counted(settings: &Settings, package: String, name: &str, mut command: Command) -> Result<i32> {
    // In place of cargo's own line, which would name us and every argument.
    let _ = writeln!(std::io::stderr(), "     Running {name} ({package})");
    let started = Instant::now();
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("failed to start {command:?}"))?;
    let tests = child.stdout.take().map(|out| pass_on(out, name == DOCTESTS)).transpose()?.flatten();
    let status = child.wait().context("failed to wait for a test program")?;
    let ms = xtask_units::whole_milliseconds(started.elapsed());
    let run = TestRun { package, name: name.to_owned(), ms, success: status.success(), tests };
    // If the log cannot be written, the suite has said so, and the tests still ran.
    let _ = append_line(&settings.log, &serde_json::to_string(&run)?);
    Ok(exit_code(status))
}

/// Copies `output` to ours and returns what the harness reported: the last such line, because a test may print the
/// report of a program that it started. Doc tests run in `several` programs, and all reports count.
fn pass_on(output: impl Read, several: bool) -> Result<Option<Counts>> {
    let mut reader = BufReader::new(output);
    let mut out = std::io::stdout().lock();
    let mut line = Vec::new();
    let mut total = None::<Counts>;
    while reader.read_until(b'\n', &mut line).context("failed to read a test's output")? > 0 {
        let _ = out.write_all(&line);
        if let Some(counts) = parse_result(&String::from_utf8_lossy(&line)) {
            match &mut total {
                Some(total) if several => total.add(counts),
                total => *total = Some(counts),
            }
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

/// `target/debug/deps/app-0123456789abcdef` is `app`.
fn program_name(path: &str) -> String {
    let stem = Utf8Path::new(path).file_stem().unwrap_or(path);
    stem.rsplit_once('-').map_or(stem, |(name, _)| name).to_owned()
}

/// The exit code; a program that a signal ended has none, so the signal is shown.
fn exit_code(status: ExitStatus) -> i32 {
    if status.code().is_none() {
        let _ = writeln!(std::io::stderr(), "{status}");
    }
    status.code().unwrap_or(101)
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
