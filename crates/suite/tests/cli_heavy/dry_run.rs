//! `--dry-run`: the exact commands, as they are pasted at the workspace root.

use serde_json::Value;
use xtask_testkit::Outcome;

use crate::support::Suite;

const TIERS: &str = "[tiers.fast]\ncommand = \"test\"\npackages = \"affected\"\ndoctests = true\nenv = { WORDS = \"it's two\" }\n";

#[test]
fn every_line_runs_the_same_tests_in_a_shell() {
    for suite in [Suite::trio(TIERS), Suite::trio(TIERS).without_nextest()] {
        let printed = suite.run(&["fast", "--dry-run"], 0).stdout;
        assert_eq!(suite.ran(), [""; 0], "a dry run runs nothing");
        for line in printed.lines() {
            assert!(line.contains("cargo "), "{printed}");
            let _ = Outcome::of(&mut suite.program("sh", &["-c", line])).expect_code(0);
        }
        let seen = suite.fixture.read("marks/side-unit");
        assert!(seen.contains("WORDS=it's two\n"), "{seen}");
        let all = ["app-it", "base-doc", "base-unit", "side-doc", "side-unit"];
        assert_eq!(suite.ran(), all, "{printed}");
        // Pasting is not running the tier: nothing is remembered.
        suite.run(&["fast"], 0);
        assert_eq!(suite.ran(), all);
        // Which programs run is decided once they are built, so the commands are the same.
        assert_eq!(suite.run(&["fast", "--dry-run"], 0).stdout, printed);
    }
}

#[test]
fn a_failed_command_is_shown_as_it_is_pasted() {
    let mut suite = Suite::trio(TIERS);
    suite.set("FAIL", "app-it");
    let outcome = suite.run(&["fast"], 1);
    let line = outcome.stderr.lines().find_map(|line| line.strip_prefix("note: failed: ")).unwrap();
    let pasted = Outcome::of(&mut suite.program("sh", &["-c", line]));
    // nextest's own code for failed tests.
    assert_eq!(pasted.code, Some(100), "{}", pasted.stderr);
}

#[test]
fn without_a_file_there_are_seven_tiers_and_sensible_presets() {
    let suite = Suite::trio("");
    let plan = |tier: &str| suite.json(&[tier, "--dry-run"], 0);
    let command = |tier: &str| plan(tier)["commands"][0].as_str().unwrap().to_owned();
    assert!(command("test-fast").starts_with("cargo nextest run --workspace --no-fail-fast --no-tests"));
    assert!(command("test-common").contains("--workspace --features app/common "));
    assert!(command("test-full").contains("--workspace --all-features --all-targets "));
    assert!(
        plan("test-full")["commands"][1]
            .as_str()
            .unwrap()
            .contains("cargo test --doc --workspace --all-features")
    );
    assert_eq!(command("check-fast"), "cargo check --workspace --all-targets");
    assert_eq!(command("build-dev"), "cargo build --workspace");
    assert_eq!(command("build-release"), "cargo build --workspace --profile release");
    assert_eq!(command("lint"), "cargo clippy --workspace --all-targets -- -D warnings");
    let budgets = [("test-fast", 30_000), ("test-common", 120_000)];
    for (tier, budget) in budgets {
        assert_eq!(suite.json(&[tier], 0)["budget_ms"], budget, "{tier}");
    }
    assert_eq!(suite.json(&["build-dev"], 0)["budget_ms"], Value::Null);
}
