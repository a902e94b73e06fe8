//! Runs tests, the oracle's way and through `test-fast`, and reads the numbers that they wrote down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use camino::Utf8Path;
use serde_json::Value;
use xtask_testkit::{Outcome, cargo, scrub};

/// By member, the tests and their numbers, sorted.
pub(crate) type Numbers = BTreeMap<String, Vec<(String, u64)>>;

/// What plain cargo says of the workspace as it lies there.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    /// `None` when it does not build.
    pub(crate) numbers: Option<Numbers>,
}

/// Reads and removes a log.
pub(crate) fn numbers(log: &Utf8Path) -> Numbers {
    let lines = fs::read_to_string(log).unwrap_or_default();
    let _ = fs::remove_file(log);
    let mut numbers = Numbers::new();
    for line in lines.lines() {
        let [member, test, number] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        numbers
            .entry(member.to_owned())
            .or_default()
            .push((test.to_owned(), number.parse().expect("a number")));
    }
    for tests in numbers.values_mut() {
        tests.sort();
    }
    numbers
}

/// The members with a test that fails: the generated tests do for every 31st number.
pub(crate) fn failing(numbers: &Numbers) -> BTreeSet<String> {
    let red = numbers.iter().filter(|(_, tests)| tests.iter().any(|(_, number)| number % 31 == 0));
    red.map(|(member, _)| member.clone()).collect()
}

/// Runs every test with plain cargo.
pub(crate) fn truth(root: &Utf8Path, scratch: &Utf8Path, doctests: bool) -> Truth {
    let log = scratch.join("oracle.log");
    let mut command = cargo(root);
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if !doctests {
        command.arg("--tests");
    }
    command.env("CARGO_TARGET_DIR", scratch.join("oracle-target")).env("ORACLE_LOG", &log);
    let outcome = Outcome::of(&mut command);
    let numbers = numbers(&log);
    let ran = outcome.code == Some(0) || outcome.stderr.contains("to rerun pass");
    if !ran {
        return Truth { numbers: None };
    }
    let red = !failing(&numbers).is_empty();
    assert_eq!(outcome.code == Some(0), !red, "{}\n{}", outcome.stdout, outcome.stderr);
    Truth { numbers: Some(numbers) }
}

/// `xtask-suite -C root test-fast --json`.
pub(crate) fn test_fast(root: &Utf8Path, log: &Utf8Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-suite"));
    scrub(&mut command).args(["-C", root.as_str(), "test-fast", "--json"]).env("ORACLE_LOG", log);
    command
}

/// What `test-fast` said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) outcome: Outcome,
    pub(crate) packages: BTreeSet<String>,
    pub(crate) failures: BTreeSet<String>,
}

impl Said {
    pub(crate) fn read(outcome: Outcome) -> Self {
        let document: Value = serde_json::from_str(&outcome.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", outcome.stdout, outcome.stderr));
        let names = |key: &str| {
            let list = document[key].as_array().into_iter().flatten();
            let name = |item: &Value| item.as_str().or_else(|| item["name"].as_str()).map(str::to_owned);
            list.filter_map(name).collect::<BTreeSet<_>>()
        };
        let failures = names("failures")
            .iter()
            .filter_map(|failure| Some(failure.split_once(": ")?.0.to_owned()))
            .collect();
        Self { packages: names("packages"), failures, outcome }
    }
}
