//! A tier and plain cargo share every artifact, both ways.

use crate::support::{Suite, number};

const TIERS: &str = r#"
[tiers.all]
command = "test"
doctests = true
[tiers.full]
command = "test"
preset = "full"
targets = "all"
doctests = true
[tiers.check]
command = "check"
targets = "all"
[tiers.lints]
command = "clippy"
[tiers.release]
command = "build"
profile = "release"
"#;

/// Tier, and the same selection in plain cargo.
const TABLE: [(&str, &[&[&str]]); 5] = [
    ("all", &[&["test", "--workspace", "--no-run"]]),
    (
        "full",
        &[
            &["test", "--workspace", "--all-features", "--all-targets", "--no-run"],
            &["test", "--workspace", "--all-features", "--no-run"],
        ],
    ),
    ("check", &[&["check", "--workspace", "--all-targets"]]),
    ("lints", &[&["clippy", "--workspace"]]),
    ("release", &[&["build", "--workspace", "--release"]]),
];

fn assert_shared(with_nextest: bool, tiers: &[&str]) {
    let suite = || if with_nextest { Suite::trio(TIERS) } else { Suite::trio(TIERS).without_nextest() };
    for (tier, plain) in TABLE.iter().filter(|(tier, _)| tiers.contains(tier)) {
        let first = suite();
        let report = first.json(&[tier], 0);
        assert!(number(&report["units"]["compiled"]) >= 3, "{tier}: {report:#}");
        for args in *plain {
            assert_eq!(first.cargo_compiles(args), 0, "`cargo {}` after {tier}", args.join(" "));
        }

        let second = suite();
        let compiled = plain.iter().map(|args| second.cargo_compiles(args)).sum::<usize>();
        assert!(compiled >= 3);
        let report = second.json(&[tier], 0);
        assert_eq!(report["units"]["compiled"], 0, "{tier} after plain cargo: {report:#}");
        assert!(number(&report["units"]["fresh"]) >= 3, "{tier}: {report:#}");
    }
}

#[test]
fn tests_with_nextest() {
    assert_shared(true, &["all", "full"]);
}

#[test]
fn tests_without_nextest() {
    assert_shared(false, &["all", "full"]);
}

#[test]
fn other_commands() {
    assert_shared(true, &["check", "lints", "release"]);
}

#[test]
fn doc_tests_that_plain_cargo_runs_are_not_in_the_way() {
    // Plain `cargo test` runs, not only builds: `.rustdoc_fingerprint.json` and the like are then there too.
    let suite = Suite::trio(TIERS).without_nextest();
    let outcome = xtask_testkit::Outcome::of(&mut suite.program("cargo", &["test", "--workspace"]));
    let _ = outcome.expect_code(0);
    assert_eq!(suite.json(&["all"], 0)["units"]["compiled"], 0);
    assert_eq!(suite.cargo_compiles(&["test", "--workspace", "--no-run"]), 0);
}

#[test]
fn what_cargo_run_adds_to_the_environment_is_not_passed_on() {
    let mut suite = Suite::trio(TIERS);
    // A build script that watches a variable of `cargo run`: plain cargo does not set it.
    suite.fixture.write(
        "side/build.rs",
        "fn main() { println!(\"cargo::rerun-if-env-changed=CARGO_BIN_NAME\"); println!(\"cargo::rerun-if-env-changed=KEPT\"); }\n",
    );
    suite.set("KEPT", "1");
    assert!(suite.cargo_compiles(&["test", "--workspace", "--no-run"]) > 0);
    let mut tier = suite.command(&["all", "--json"]);
    tier.env("CARGO_BIN_NAME", "xtask")
        .env("CARGO_PKG_NAME", "xtask")
        .env("CARGO_MANIFEST_DIR", "/clone/xtask");
    let outcome = xtask_testkit::Outcome::of(&mut tier).expect_code(0);
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["units"]["compiled"], 0, "{report:#}");
}
