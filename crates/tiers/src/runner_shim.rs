//! The suite's own binary where cargo starts tests: as the target's `runner` and as rustdoc.
//!
//! Cargo decides how each test program is started: with which variables, arguments, runner and working directory. It starts
//! us instead, and we write that down. The suite then starts those that it wants, in an order of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use toml_edit::{Key, Value};
use xtask_files::{Durability, append_line, read_lines, remove_file, write_atomic};
use xtask_units::fake::ROLE;
use xtask_units::process::{self, Out, Stream};
use xtask_units::{Record, RunOptions, user_rustdoc};
use xtask_workspace::{
    Call, CargoCommand, CargoConfig, Environment, Flag, Progress, Workspace, cfg, target_variable,
};

/// [`ROLE`] of the binary when cargo starts it in place of test programs and rustdoc.
pub const ROLE_TESTS: &str = "run-tests";

const SETTINGS: &str = "XTASK_SUITE_TESTS";

#[derive(Serialize, Deserialize)]
struct Settings {
    log: Utf8PathBuf,
    /// The user's own runners, by triple.
    runners: BTreeMap<String, Vec<String>>,
    rustdoc: String,
    /// The user's own `RUSTDOC`.
    rustdoc_variable: Option<String>,
}

/// How cargo starts a test program, or the doc tests of a package.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) package: String,
    /// The program's file; `None` for doc tests.
    pub(crate) program: Option<Utf8PathBuf>,
    words: Vec<String>,
    dir: Utf8PathBuf,
    /// [`escape`]d.
    variables: Vec<(String, String)>,
}

/// A test under nextest; else a test program, or the doc tests of a package.
#[derive(Debug)]
pub(crate) struct TestRun {
    /// The test program, as nextest names it.
    pub(crate) program: String,
    pub(crate) package: String,
    pub(crate) name: String,
    pub(crate) ms: u64,
    pub(crate) success: bool,
    /// Whether it passed without being run again, and left no process behind.
    pub(crate) first_try: bool,
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

/// Runs `command`, a `cargo test` or `cargo bench`, and returns how it would start each test program and the doc tests. If
/// that cannot be asked, cargo runs `plain` itself, and the list is empty.
pub(crate) fn ask_cargo(
    workspace: &Workspace,
    command: &CargoCommand,
    plain: &CargoCommand,
    exe: &Utf8Path,
    progress: &dyn Progress,
) -> Result<(Record, Vec<Launch>)> {
    let log = workspace.state_dir().join("runs").join(format!("{}.jsonl", std::process::id()));
    // Readable for nobody else: it has the environment of each program.
    let prepared = write_atomic(&log, "", Durability::Cache)
        .and_then(|()| only_for_us(&log))
        .and_then(|()| through_us(workspace, command, exe, &log));
    let asking = prepared.unwrap_or_else(|error| {
        progress.note(&format!("what each test program did will not be known: {error:#}"));
        plain.clone()
    });
    // Everything is built, which cargo has said already.
    let mut shown = |line: &str| !line.contains("Finished `");
    let record = xtask_units::run(workspace, &asking, RunOptions::default(), progress, &mut shown);
    let lines = read_lines(&log).unwrap_or_default();
    let _ = remove_file(&log);
    let launches = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok((record?, launches))
}

/// `command` with `exe`, our binary, as runner and rustdoc, which logs to `log` how each is to be started.
fn through_us(
    workspace: &Workspace,
    command: &CargoCommand,
    exe: &Utf8Path,
    log: &Utf8Path,
) -> Result<CargoCommand> {
    let mut through_us = command.clone();
    let environment = command.environment(&workspace.environment);
    let runners = user_runners(workspace, command);
    for triple in runners.keys() {
        let setting = runner_setting(workspace, &command.config(), triple, exe).with_context(|| {
            format!(
                "`target.{triple}.runner` is a string and {exe} contains a space; write the runner as a list in \
                 cargo's configuration"
            )
        })?;
        through_us.add("--config", Some(&setting));
    }
    let settings = Settings {
        log: log.to_owned(),
        runners,
        rustdoc: user_rustdoc(workspace, &environment).unwrap_or_else(|| "rustdoc".to_owned()),
        rustdoc_variable: environment.get("RUSTDOC").map(str::to_owned),
    };
    through_us.env.extend([
        (ROLE.to_owned(), ROLE_TESTS.to_owned()),
        (SETTINGS.to_owned(), serde_json::to_string(&settings)?),
        ("RUSTDOC".to_owned(), exe.to_string()),
    ]);
    Ok(through_us)
}

/// A program that starts test programs and watches them, such as strace.
#[derive(Debug)]
pub struct Observer {
    /// The program with its arguments; the last one takes the file to append to.
    pub words: Vec<String>,
    /// Gets a folder for each package, with a file for each program, whose first line is the program's path.
    pub logs: Utf8PathBuf,
}

/// Lets `observer` start the test programs of `command`, a `cargo test`, that belong to the packages `only`, as cargo would
/// start them; nothing else runs. Returns the record of the build.
pub fn observe(
    workspace: &Workspace,
    command: &CargoCommand,
    only: &[String],
    observer: &Observer,
    exe: &Utf8Path,
    progress: &dyn Progress,
) -> Result<Record> {
    let (mut record, launches) = ask_cargo(workspace, command, command, exe, progress)?;
    let wanted = launches.into_iter().filter(|launch| only.contains(&launch.package));
    for (at, mut launch) in wanted.enumerate() {
        let Some(program) = launch.program.clone() else { continue };
        let log = observer.logs.join(&launch.package).join(at.to_string());
        append_line(&log, program.as_str())?;
        launch.words.splice(0..0, observer.words.iter().cloned().chain([log.into_string()]));
        let name = program.file_name().unwrap_or_default();
        let (_, signal) = launch.run(name, name, progress)?;
        if signal.is_some() {
            record.signal = signal;
            break;
        }
    }
    Ok(record)
}

/// The runners that the user has for the tests of `command`, by triple.
pub(crate) fn user_runners(workspace: &Workspace, command: &CargoCommand) -> BTreeMap<String, Vec<String>> {
    let environment = command.environment(&workspace.environment);
    let given = command.config();
    let triples = triples(workspace, command, &given, &environment).into_iter();
    triples.map(|triple| (triple.clone(), user_runner(workspace, &given, &environment, &triple))).collect()
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

/// Whether the programs of `command` are started by a runner of the user's.
pub(crate) fn has_runner(workspace: &Workspace, command: &CargoCommand) -> bool {
    let (given, environment) = (command.config(), command.environment(&workspace.environment));
    let triples = triples(workspace, command, &given, &environment);
    triples.iter().any(|triple| !user_runner(workspace, &given, &environment, triple).is_empty())
}

/// Acts as the runner or rustdoc; returns the exit code.
///
/// Cargo calls a runner as `xtask TRIPLE PROGRAM ARGS` and rustdoc as `xtask --flags …`.
pub fn run_tests(args: &[String]) -> Result<i32> {
    let json = std::env::var(SETTINGS).with_context(|| format!("{SETTINGS} is not set"))?;
    let settings: Settings =
        serde_json::from_str(&json).with_context(|| format!("failed to read {SETTINGS}"))?;
    let is_rustdoc = args.first().is_some_and(|arg| arg.starts_with('-'));
    if is_rustdoc && !args.iter().any(|arg| arg == "--test") {
        let mut rustdoc = Command::new(&settings.rustdoc);
        let status = rustdoc.args(args).status();
        return Ok(exit_code(status.with_context(|| format!("failed to start {}", settings.rustdoc))?));
    }
    let (program, words) = if is_rustdoc {
        let words = std::iter::once(settings.rustdoc).chain(with_users_runner(args, &settings.runners));
        (None, words.collect())
    } else {
        let [triple, program, rest @ ..] = args else { bail!("called as a runner without a program") };
        let users = settings.runners.get(triple).into_iter().flatten();
        (Some(program.into()), users.chain([program]).chain(rest).cloned().collect())
    };
    let own = |name: &OsString| [ROLE, SETTINGS, "RUSTDOC"].iter().any(|own| name == own);
    let variables = std::env::vars_os().filter(|(name, _)| !own(name));
    let users_rustdoc = settings.rustdoc_variable.map(|value| ("RUSTDOC".to_owned(), value));
    let dir = std::env::current_dir().context("failed to find the working directory")?;
    let launch = Launch {
        package: std::env::var("CARGO_PKG_NAME").unwrap_or_default(),
        program,
        words,
        dir: Utf8PathBuf::try_from(dir)?,
        variables: variables
            .map(|(name, value)| (escape(name), escape(value)))
            .chain(users_rustdoc)
            .collect(),
    };
    append_line(&settings.log, &serde_json::to_string(&launch)?)?;
    Ok(0)
}

/// The arguments of rustdoc with the user's runner in place of us, or none: with one, the doc tests of edition 2024 share a
/// process (rust-lang/rust, `librustdoc/doctest.rs`).
fn with_users_runner(args: &[String], runners: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--test-runtool" => drop(words.next()),
            "--test-runtool-arg" => {
                let mut users = words.next().and_then(|triple| runners.get(triple)).into_iter().flatten();
                if let Some(program) = users.next() {
                    kept.extend(["--test-runtool".to_owned(), program.clone()]);
                    kept.extend(users.flat_map(|arg| ["--test-runtool-arg".to_owned(), arg.clone()]));
                }
            }
            _ => kept.push(word.clone()),
        }
    }
    kept
}

/// A variable's name or value as text. One that is not UTF-8 becomes hexadecimal digits after a NUL, which none can contain.
fn escape(text: OsString) -> String {
    text.into_string().unwrap_or_else(|text| {
        let digits = text.as_encoded_bytes().iter().map(|byte| format!("{byte:02x}"));
        std::iter::once("\0".to_owned()).chain(digits).collect()
    })
}

fn unescape(text: &str) -> OsString {
    let Some(digits) = text.strip_prefix('\0') else { return text.into() };
    let bytes =
        (0..digits.len() / 2).filter_map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok());
    from_bytes(bytes.collect())
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

impl Launch {
    /// Starts it as cargo would have, shows its output, and returns how it ended and the signal that came meanwhile.
    ///
    /// `id` is the program's name as nextest has it, `name` that of its cargo target.
    pub(crate) fn run(
        &self,
        id: &str,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<(Launched, Option<i32>)> {
        progress.output(&format!("     Running {name} ({})", self.package));
        let started = Instant::now();
        let (program, args) = self.words.split_first().context("nothing to start")?;
        let call = Call::new(self.dir.clone(), program, args.iter().cloned());
        let variables = self.variables.iter().map(|(name, value)| (unescape(name), unescape(value)));
        let (mut tests, mut refused) = (None::<Counts>, None);
        let several = self.program.is_none();
        let ended = process::run(&call, &variables.collect(), None, Out::Lines, &mut |stream, line| {
            progress.output(line);
            // libtest ends so before it runs anything (`library/test/src/cli.rs`).
            let is_refusal = line.starts_with("error: Unrecognized option: ")
                || line.starts_with("error: Argument to option ")
                || (line.starts_with("error: Option '") && line.contains(" does not take an argument"));
            if is_refusal && tests.is_none() {
                refused = line
                    .strip_prefix("error: ")
                    .map(|error| format!("the tests do not take the arguments: {error}"));
            }
            // A test may print the report of a program that it started, so the last one counts. Doc tests run in several
            // programs, and all reports count.
            if let Some(counts) = parse_result(line).filter(|_| stream == Stream::Out) {
                match &mut tests {
                    Some(total) if several => total.add(counts),
                    total => *total = Some(counts),
                }
            }
        })?;
        if let Some(signal) = signal_of(ended.status) {
            progress.output(&format!("{name} was ended by {signal}"));
        }
        let success = ended.status.success();
        let run = TestRun {
            program: id.to_owned(),
            package: self.package.clone(),
            name: name.to_owned(),
            ms: xtask_units::whole_milliseconds(started.elapsed()),
            success,
            first_try: success && !ended.leaked,
            tests,
        };
        let refused = refused.filter(|_| !success && tests.is_none());
        Ok((Launched { run, refused }, ended.signal))
    }
}

/// What a launch came to.
pub(crate) struct Launched {
    pub(crate) run: TestRun,
    /// Why the program ran no test, if it does not take its arguments.
    pub(crate) refused: Option<String>,
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<String> {
    std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| format!("signal {signal}"))
}

#[cfg(not(unix))]
fn signal_of(_status: ExitStatus) -> Option<String> {
    None
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

pub(crate) const DOCTESTS: &str = "doctests";

/// The exit code; 101 for a program that a signal ended.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(101)
}

#[cfg(unix)]
fn only_for_us(path: &Utf8Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?)
}

#[cfg(not(unix))]
fn only_for_us(_path: &Utf8Path) -> Result<()> {
    Ok(())
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
    fn doc_tests_get_the_users_runner_or_none() {
        let args = ["--test", "--test-runtool", "/x/xtask", "--test-runtool-arg", "host", "src/lib.rs"];
        let args = args.map(str::to_owned);
        let mut runners = BTreeMap::from([("host".to_owned(), Vec::new())]);
        assert_eq!(with_users_runner(&args, &runners).join(" "), "--test src/lib.rs");
        runners.insert("host".to_owned(), vec!["sudo".to_owned(), "-E".to_owned()]);
        let expected = "--test --test-runtool sudo --test-runtool-arg -E src/lib.rs";
        assert_eq!(with_users_runner(&args, &runners).join(" "), expected);
    }

    #[cfg(unix)]
    #[test]
    fn variables_reach_the_program_as_they_are() {
        for bytes in [&b"plain"[..], b"", b"\xff\x00a", "ü".as_bytes()] {
            let text = from_bytes(bytes.to_vec());
            assert_eq!(unescape(&escape(text.clone())), text);
        }
    }
}
