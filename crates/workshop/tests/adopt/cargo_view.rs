//! What cargo makes of a workspace: its graph, what it compiles, its warnings, and how many tests there are.

use std::collections::BTreeSet;

use serde_json::Value;
use xtask_testkit::Outcome;

use crate::host::Host;

/// Everything that adopting must not change.
#[derive(Debug, PartialEq)]
pub(crate) struct CargoView {
    metadata: Value,
    warnings: Vec<String>,
    tests: Tests,
    all_targets: Tests,
}

/// How many tests ran, in how many programs and sets of doc tests.
#[derive(Debug, PartialEq, Eq)]
struct Tests {
    programs: usize,
    passed: u32,
}

impl CargoView {
    /// Asks cargo, and builds and tests all of it. `launcher` is left out of the graph.
    pub(crate) fn of(host: &Host, launcher: &str) -> Self {
        Self {
            metadata: metadata(host, launcher),
            warnings: warnings(host),
            tests: tests(host, &["test", "--workspace"]),
            all_targets: tests(host, &["test", "--workspace", "--all-targets"]),
        }
    }

    /// Whether a test was found at all.
    pub(crate) fn has_tests(&self) -> bool {
        self.tests.passed > 0 && self.all_targets.passed > 0
    }
}

/// `cargo metadata` without the package `launcher`.
fn metadata(host: &Host, launcher: &str) -> Value {
    let outcome = host.run(&["metadata", "--format-version=1"], 0);
    let mut metadata: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let id = packages.iter().find(|package| package["name"] == launcher).map(|package| package["id"].clone());
    if let Some(id) = id {
        let is_other = |entry: &Value| *entry != id && entry["id"] != id;
        for list in ["/packages", "/workspace_members", "/workspace_default_members", "/resolve/nodes"] {
            let list = metadata.pointer_mut(list).and_then(Value::as_array_mut).unwrap();
            list.retain(is_other);
        }
    }
    metadata
}

/// The lines of `cargo check` that are not about its progress.
fn warnings(host: &Host) -> Vec<String> {
    let outcome = host.run(&["check", "--workspace"], 0);
    let progress = ["Checking", "Compiling", "Finished", "Locking", "Adding", "Blocking"];
    let lines = outcome
        .stderr
        .lines()
        .filter(|line| !progress.iter().any(|word| line.trim_start().starts_with(word)));
    lines.map(str::to_owned).collect()
}

fn tests(host: &Host, args: &[&str]) -> Tests {
    let outcome = host.run(args, 0);
    let results = outcome.stdout.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    let results =
        results.map(|line| line.split(' ').next().unwrap().parse::<u32>().unwrap()).collect::<Vec<_>>();
    Tests { programs: results.len(), passed: results.iter().sum() }
}

/// The packages of which a cargo command compiles something now; it does compile it.
pub(crate) fn compiles(host: &Host, args: &[&str]) -> BTreeSet<String> {
    let outcome = Outcome::of(host.cargo(args).arg("--message-format=json")).expect_code(0);
    let artifacts = outcome.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let compiled = artifacts.filter(|line| line["reason"] == "compiler-artifact" && line["fresh"] == false);
    compiled.map(|line| line["target"]["name"].as_str().unwrap().to_owned()).collect()
}
