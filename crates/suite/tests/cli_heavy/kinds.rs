//! Every kind of tier on a workspace of three members.

use crate::support::{Suite, number};

const KINDS: &str = r#"
[tiers.a-check]
command = "check"
[tiers.a-clippy]
command = "clippy"
[tiers.a-build]
command = "build"
[tiers.a-bench]
command = "bench"
[tiers.a-doc]
command = "doc"
packages = ["base"]
[tiers.a-test]
command = "test"
doctests = true
"#;

#[test]
fn check_clippy_build_bench_and_doc() {
    let suite = Suite::trio(KINDS);
    // Tier, a file that only its command makes.
    let table = [
        ("a-check", "target/debug/.fingerprint"),
        ("a-clippy", "target/debug/.fingerprint"),
        ("a-build", "target/debug/app"),
        ("a-doc", "target/doc/base/index.html"),
    ];
    for (tier, made) in table {
        let report = suite.json(&[tier], 0);
        assert!(number(&report["units"]["compiled"]) > 0 || tier == "a-doc", "{tier}: {report:#}");
        assert!(suite.root().join(made).exists(), "{tier} made no {made}");
        assert_eq!(suite.ran(), [""; 0], "{tier}");
    }
    assert!(!suite.root().join("target/doc/side").exists(), "only the listed package is documented");
    let report = suite.json(&["a-bench"], 0);
    assert_eq!(suite.ran(), ["app-bench"]);
    assert!(suite.root().join("target/release/deps").exists());
    assert_eq!(report["success"], true);
}

#[test]
fn a_clippy_tier_fails_on_a_lint_that_its_arguments_deny() {
    let suite = Suite::trio("");
    suite.fixture.write("side/src/lib.rs", "pub fn two() -> u32 { return 2; }\n");
    let outcome = suite.run(&["lint"], 1);
    assert!(outcome.stderr.contains("needless_return"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("failed: cargo clippy --workspace --all-targets -- -D warnings"));
}

#[test]
fn tests_with_nextest_and_doc_tests_beside_it() {
    let suite = Suite::trio(KINDS);
    let outcome = suite.run(&["a-test"], 0);
    assert_eq!(suite.ran(), ["app-it", "base-doc", "base-unit", "side-doc", "side-unit"]);
    assert!(!outcome.stderr.contains("note:"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("Nextest run"), "{}", outcome.stderr);
    let last = outcome.stdout.lines().last().unwrap();
    assert!(
        last.starts_with("a-test ok: 3 of 3 packages (the whole workspace); 5 passed, 0 failed, 1 skipped; "),
        "{last}"
    );
}

#[test]
fn tests_without_nextest_and_the_fallback_said_once() {
    let suite = Suite::trio(KINDS).without_nextest();
    let outcome = suite.run(&["a-test"], 0);
    assert_eq!(suite.ran(), ["app-it", "base-doc", "base-unit", "side-doc", "side-unit"]);
    let said = outcome.stderr.matches("cargo-nextest is not installed: using `cargo test`").count();
    assert_eq!(said, 1, "{}", outcome.stderr);
    let last = outcome.stdout.lines().last().unwrap();
    assert!(last.contains("; 5 passed, 0 failed, 1 skipped; "), "{last}");

    let suite = suite_with("[tiers.n]\ncommand = \"test\"\nrunner = \"cargo\"\n");
    let outcome = suite.run(&["n"], 0);
    assert!(!outcome.stderr.contains("nextest"), "chosen, not fallen back to: {}", outcome.stderr);
    assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"]);
}

#[test]
fn where_nextest_cannot_read_the_configuration_cargo_runs_the_tests() {
    let suite = suite_with("[tiers.n]\ncommand = \"test\"\n");
    suite.fixture.write(".cargo/config.toml", "[build]\ntarget = [\"host-tuple\"]\n");
    let outcome = suite.run(&["n"], 0);
    assert!(outcome.stderr.contains("`build.target`"), "{}", outcome.stderr);
    assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"]);
}

fn suite_with(config: &str) -> Suite {
    Suite::trio(config)
}

#[test]
fn a_tier_that_demands_nextest_cannot_run_without_it() {
    let suite = Suite::trio("[tiers.n]\ncommand = \"test\"\nrunner = \"nextest\"\n").without_nextest();
    let outcome = suite.run(&["n"], 3);
    assert!(outcome.stderr.contains("error: cargo-nextest is not installed"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("cargo xtask setup"), "{}", outcome.stderr);
    assert_eq!(suite.ran(), [""; 0]);
}

#[test]
fn a_failing_test_is_exit_code_1_and_hides_no_other_verdict() {
    for mut suite in [Suite::trio(KINDS), Suite::trio(KINDS).without_nextest()] {
        suite.set("FAIL", "app-it");
        let outcome = suite.run(&["a-test"], 1);
        assert!(outcome.stderr.contains("note: failed: "), "{}", outcome.stderr);
        let last = outcome.stdout.lines().last().unwrap();
        assert!(
            last.starts_with("a-test failed: ") && last.contains("4 passed, 1 failed, 1 skipped"),
            "{last}"
        );
        assert_eq!(suite.ran(), ["app-it", "base-doc", "base-unit", "side-doc", "side-unit"]);
    }
}

#[test]
fn profile_targets_args_and_env_reach_cargo() {
    let config = "[tiers.r]\ncommand = \"test\"\npackages = [\"app\"]\nprofile = \"release\"\ntargets = [\"tests\"]\n\
                  runner = \"cargo\"\nenv = { FROM_TIER = \"yes\" }\nargs = [\"--locked\", \"--\", \"--include-ignored\"]\n";
    let suite = Suite::trio(config);
    let report = suite.json(&["r"], 0);
    let command = report["commands"][1].as_str().unwrap();
    for part in
        ["FROM_TIER=yes", "-p app", "--tests", "--profile release", "--locked", "-- --include-ignored"]
    {
        assert!(command.contains(part), "{part} in {command}");
    }
    let seen = suite.fixture.read("marks/app-it");
    assert!(seen.contains("FROM_TIER=yes\n"), "{seen}");
    assert!(suite.root().join("target/release/deps").exists() && !suite.root().join("target/debug").exists());
}

#[test]
fn exclude_and_default_members() {
    let config = "[tiers.most]\ncommand = \"test\"\nexclude = [\"side\"]\n[tiers.usual]\ncommand = \"test\"\npackages = \"default\"\n";
    let suite = Suite::trio(config);
    let manifest = suite.fixture.read("Cargo.toml");
    suite.fixture.write("Cargo.toml", &format!("{manifest}default-members = [\"side\"]\n"));
    suite.run(&["most"], 0);
    assert_eq!(suite.ran(), ["app-it", "base-unit"]);
    suite.run(&["usual"], 0);
    assert_eq!(suite.ran(), ["side-unit"]);
}

#[test]
fn a_budget_of_the_tier_and_nothing_changed() {
    let suite = Suite::trio("");
    suite.run(&["test-fast"], 0);
    assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"], "nothing was run here yet: the workspace");
    let outcome = suite.run(&["test-fast"], 0);
    assert_eq!(suite.ran(), [""; 0]);
    let begin = "test-fast ok: 0 of 3 packages (nothing changed since the last run that passed); ran 0 of 4 test programs, ";
    assert!(outcome.stdout.starts_with(begin), "{}", outcome.stdout);
}

#[test]
fn a_workspace_without_a_library_has_no_documentation_tests() {
    let files = [
        ("Cargo.toml", "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
        ("src/main.rs", "fn main() {}\n\n#[test]\nfn one() {}\n"),
    ];
    for runner in ["auto", "cargo"] {
        let suite = Suite::new(&files, &format!("[tiers.test-full]\nrunner = \"{runner}\"\n"));
        let report = suite.json(&["test-full"], 0);
        assert_eq!(number(&report["tests"]["passed"]), 1, "{report:#}");
    }
}
