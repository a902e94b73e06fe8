//! `--json`: one document on standard output, everything else on standard error.

use serde_json::Value;

use crate::support::{Suite, number};

const TIERS: &str = "[tiers.t]\ncommand = \"test\"\nbudget = \"10min\"\n";

#[track_caller]
fn assert_named(report: &Value, tier: &str) {
    assert_eq!(report["tier"], tier);
    assert!(report["packages"].is_array(), "{report:#}");
    for (table, keys) in [("units", &["fresh", "compiled"][..]), ("tests", &["passed", "failed", "skipped"])]
    {
        for key in keys {
            number(&report[table][key]);
        }
    }
    for key in ["compile_ms", "run_ms", "budget_ms"] {
        number(&report[key]);
    }
    assert!(report["over_budget"].is_boolean(), "{report:#}");
}

#[test]
fn success_failure_and_nothing_to_do() {
    let mut suite = Suite::trio(TIERS);
    let report = suite.json(&["t"], 0);
    assert_named(&report, "t");
    assert_eq!((&report["success"], &report["over_budget"]), (&true.into(), &false.into()));
    assert_eq!(report["packages"], serde_json::json!(["app", "base", "side"]));
    assert_eq!(report["budget_ms"], 600_000);

    suite.set("FAIL", "side-unit");
    let report = suite.json(&["t"], 1);
    assert_named(&report, "t");
    assert_eq!((&report["success"], &report["failures"][0]), (&false.into(), &"side: unit".into()));
    suite.set("FAIL", "");

    let _ = suite.json(&["test-fast"], 0);
    let report = suite.json(&["test-fast"], 0);
    assert_named(&report, "test-fast");
    assert_eq!(report["packages"], serde_json::json!([]));
    assert_eq!(report["success"], true);
}

#[test]
fn a_build_that_fails_is_a_document_too() {
    let suite = Suite::trio(TIERS);
    suite.fixture.write("side/src/lib.rs", "pub fn two() -> u32 { \"\" }\n");
    // Behind the tier's name as well as before it.
    let outcome = suite.run(&["t", "--json"], 1);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_named(&report, "t");
    assert!(outcome.stderr.contains("mismatched types"), "{}", outcome.stderr);
    assert!(report["failed_command"].as_str().unwrap().starts_with("cargo nextest run"), "{report:#}");
}

#[test]
fn output_of_tests_is_not_in_the_document() {
    let suite = Suite::trio("[tiers.t]\ncommand = \"test\"\nrunner = \"cargo\"\n");
    suite.fixture.write("side/src/lib.rs", "#[test] fn a() { println!(\"loud\"); }\n");
    let outcome = suite.run(&["--json", "t", "--", "--nocapture"], 0);
    assert!(serde_json::from_str::<Value>(&outcome.stdout).is_ok(), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("loud") && outcome.stderr.contains("loud"));
    assert!(outcome.stderr.lines().last().unwrap().starts_with("t ok: "), "{}", outcome.stderr);
}
