//! A checkout of a generated workspace, and commands in it with the environment that belongs to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use xtask_testkit::{Outcome, scrub};

/// By program, the tests and their numbers, sorted. A test that was tried again has several.
pub(crate) type Numbers = BTreeMap<String, Vec<(String, u64)>>;

/// Where commands run.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    /// The workspace root.
    pub(crate) root: Utf8PathBuf,
    /// The folder of what is in no repository.
    pub(crate) scratch: Utf8PathBuf,
    pub(crate) environment: Vec<(String, String)>,
    /// Set where checkouts share a target dir.
    pub(crate) target: Option<Utf8PathBuf>,
}

/// What plain cargo or nextest says of the workspace as it lies there.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    /// The test programs by their names; `None` when something does not build.
    pub(crate) programs: Option<BTreeMap<String, Program>>,
    pub(crate) numbers: Numbers,
}

/// A test program.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: Utf8PathBuf,
    /// The folder of its package.
    pub(crate) folder: Utf8PathBuf,
}

/// What `xtask.toml` says of the tier, as far as generated workspaces have it.
#[derive(Debug, Default)]
struct Tier {
    nextest: bool,
    /// For cargo's and nextest's command line, without and with the profile's flag.
    features: Vec<String>,
    profile: Option<String>,
    nextest_arguments: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// Reads and removes a log.
pub(crate) fn numbers(log: &Utf8Path) -> Numbers {
    let lines = fs::read_to_string(log).unwrap_or_default();
    let _ = fs::remove_file(log);
    let mut numbers = Numbers::new();
    for line in lines.lines() {
        let [program, test, number] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        numbers
            .entry(program.to_owned())
            .or_default()
            .push((test.to_owned(), number.parse().expect("a number")));
    }
    for tests in numbers.values_mut() {
        tests.sort();
    }
    numbers
}

/// Whether one try was red: the generated tests fail for every 17th number.
pub(crate) fn failed_once(tests: &[(String, u64)]) -> bool {
    tests.iter().any(|(_, number)| number % 17 == 0)
}

/// Whether a test failed at each of its tries.
pub(crate) fn failed(tests: &[(String, u64)]) -> bool {
    let passed =
        tests.iter().filter(|(_, number)| number % 17 != 0).map(|(test, _)| test).collect::<BTreeSet<_>>();
    tests.iter().any(|(test, _)| !passed.contains(test))
}

/// Whether nextest is installed.
pub(crate) fn has_nextest() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir: std::path::PathBuf| Path::is_file(&dir.join("cargo-nextest")))
}

impl Tier {
    fn read(root: &Utf8Path) -> Self {
        let text = fs::read_to_string(root.join("xtask.toml")).expect("a configuration");
        let mut tier = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
            let strings = || value.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
            let string = || strings().pop().unwrap_or_default();
            match key {
                "runner" => tier.nextest = string() != "cargo" && has_nextest(),
                "profile" => tier.profile = Some(string()),
                "preset" => tier.features.push("--no-default-features".to_owned()),
                "args" => tier.arguments = strings(),
                "retries" => tier.nextest_arguments.push(format!("--retries={value}")),
                "nextest-profile" => tier.nextest_arguments.push(format!("--profile={}", string())),
                "env" => tier.environment.push(("ORACLE_TIER".to_owned(), string())),
                _ => {}
            }
        }
        tier
    }
}

impl Checkout {
    /// A program in the workspace root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        scrub(&mut command).current_dir(&self.root);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.scratch.join("bin")));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(target) = &self.target {
            command.env("CARGO_TARGET_DIR", target);
        }
        command
    }

    pub(crate) fn target_dir(&self) -> Utf8PathBuf {
        self.target.clone().unwrap_or_else(|| self.root.join("target"))
    }

    /// Where `test-fast` has its tests write.
    pub(crate) fn log(&self) -> Utf8PathBuf {
        self.scratch.join("test-fast.log")
    }

    /// `xtask-suite -C root test-fast --json`.
    pub(crate) fn test_fast(&self) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_xtask-suite"));
        command.args(["-C", self.root.as_str(), "test-fast", "--json"]);
        command.env("ORACLE_LOG", self.log()).env("XTASK_STORE", self.scratch.join("store"));
        command
    }

    /// Runs every test without the suite, in the same target dir: what cargo takes for fresh is cargo's to decide.
    ///
    /// # Panics
    /// Where the exit code and what the tests wrote down contradict each other.
    pub(crate) fn truth(&self) -> Truth {
        let tier = Tier::read(&self.root);
        let mut build = self.command("cargo");
        build
            // Not `--tests` alone: a test may start an example.
            .args(["test", "--workspace", "--no-run", "--message-format=json"])
            .args(&tier.features);
        if let Some(profile) = &tier.profile {
            build.args(["--profile", profile]);
        }
        let compiled = Outcome::of(build.envs(tier.environment.clone()));
        if compiled.code != Some(0) {
            return Truth { programs: None, numbers: Numbers::new() };
        }
        let log = self.scratch.join("truth.log");
        let mut run = self.command("cargo");
        if tier.nextest {
            run.args(["nextest", "run", "--no-tests=pass"]).args(&tier.nextest_arguments);
        } else {
            run.arg("test");
        }
        run.args(["--workspace", "--tests"]).args(&tier.features);
        if !tier.arguments.iter().any(|argument| argument == "--no-fail-fast") {
            run.arg("--no-fail-fast");
        }
        if let Some(profile) = &tier.profile {
            run.args([if tier.nextest { "--cargo-profile" } else { "--profile" }, profile]);
        }
        run.args(&tier.arguments).envs(tier.environment).env("ORACLE_LOG", &log);
        let outcome = Outcome::of(&mut run);
        let numbers = numbers(&log);
        let red = numbers.values().any(|tests| failed(tests));
        let expected = if tier.nextest { 100 } else { 101 };
        let code = if red { expected } else { 0 };
        assert_eq!(outcome.code, Some(code), "{}: {}\n{}", self.root, outcome.stdout, outcome.stderr);
        Truth { programs: Some(programs(&compiled.stdout)), numbers }
    }
}

/// The test programs in cargo's messages, by the names that nextest gives them.
fn programs(messages: &str) -> BTreeMap<String, Program> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = |message: Value| {
        let path = message["executable"].as_str().filter(|_| message["profile"]["test"] == true)?;
        let (folder, version) = message["package_id"].as_str()?.rsplit_once('#')?;
        let package = match version.split_once('@') {
            Some((name, _)) => name,
            None => Utf8Path::new(folder).file_name()?,
        };
        let name = message["target"]["name"].as_str()?;
        let name = match message["target"]["kind"][0].as_str()? {
            "test" => format!("{package}::{name}"),
            kind @ ("bin" | "example" | "bench") => format!("{package}::{kind}/{name}"),
            _ => package.to_owned(),
        };
        let folder = Utf8Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        Some((name, Program { path: path.into(), folder }))
    };
    messages.filter_map(program).collect()
}
