//! How a run ends in words: what did not compile, which tests were not found, why a member was chosen.

use serde_json::Value;

use crate::support::{Suite, number};

const WITHOUT_NEXTEST: &str = "[tiers.test-fast]\nrunner = \"cargo\"\n";

#[test]
fn what_does_not_compile_is_named_in_the_last_line_and_shown_without_calls_of_rustc() {
    for config in ["", WITHOUT_NEXTEST] {
        let suite = Suite::trio(config);
        suite.fixture.write("side/src/lib.rs", "pub fn two() -> u32 { \"2\" }\n");
        let outcome = suite.run(&["test-fast"], 1);
        let last = outcome.stdout.trim_end();
        assert!(last.starts_with("test-fast failed: "), "{last}");
        assert!(last.contains("`side` (lib)") && last.contains(" did not compile; "), "{last}");
        assert!(!last.contains("ran "), "{last}");
        let said = &outcome.stderr;
        assert!(said.contains("error[E0308]") && said.contains("could not compile `side`"), "{said}");
        assert!(!said.contains("--crate-name") && !said.contains("Caused by"), "{said}");
        let report = suite.json(&["test-fast"], 1);
        let targets = report["not_compiled"].as_array().unwrap();
        assert!(targets.iter().any(|target| target == "`side` (lib)"), "{report:#}");
    }
}

#[test]
fn where_nothing_was_built_that_is_said() {
    let suite = Suite::trio("");
    suite.fixture.write("side/build.rs", "fn main() { panic!(\"on purpose\") }\n");
    let outcome = suite.run(&["check-fast"], 1);
    assert!(outcome.stdout.contains("failed: the build script of `side` failed; "), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("on purpose"), "{}", outcome.stderr);
}

/// What cargo, the runner or the tests do not take is nobody's failure: nothing is kept of such a run.
#[test]
fn arguments_that_nobody_takes_are_wrong_usage_and_nothing_is_marked_failed() {
    let tier = |args: &str, more: &str| format!("[tiers.t]\ncommand = \"test\"\nargs = {args}\n{more}");
    let cargo = "runner = \"cargo\"\n";
    let none: &[&str] = &[];
    let table = [
        (tier("[\"-p\", \"nomember\"]", ""), none),
        (tier("[\"-p\", \"nomember\"]", cargo), none),
        (tier("[\"--features\", \"nope\"]", cargo), none),
        (tier("[\"--nope\"]", ""), none),
        (tier("[\"--nope\"]", cargo), none),
        (tier("[\"--test\", \"nope\"]", cargo), none),
        (tier("[\"-E\", \"test((\"]", ""), none),
        (tier("[]", "nextest-profile = \"nope\"\n"), none),
        (tier("[]", cargo), &["--", "--nope-of-libtest"][..]),
        (tier("[]", ""), &["--", "--nope-of-libtest"][..]),
        ("[tiers.t]\ncommand = \"check\"\nargs = [\"--bin\", \"nope\"]\n".to_owned(), none),
    ];
    let suite = Suite::trio(&tier("[]", ""));
    suite.run(&["t"], 0);
    for (config, given) in table {
        suite.fixture.write("xtask.toml", &config);
        let outcome = suite.run(&[&["t"], given].concat(), 2);
        assert!(outcome.stdout.contains("t failed: "), "{config} {given:?}: {outcome:?}");
        let overview = suite.run(&[], 0).stdout;
        let line = overview.lines().find(|line| line.trim_start().starts_with("t ")).unwrap();
        assert!(line.contains("ok in "), "{config} {given:?}: {overview}");
    }
    suite.fixture.write("xtask.toml", &tier("[]", ""));
    let report = suite.json(&["t"], 0);
    for program in report["programs"].as_array().unwrap() {
        assert!(!program["why"].as_str().unwrap().contains("failed"), "{report:#}");
    }
}

#[test]
fn a_test_may_print_the_error_of_a_compiler() {
    let lie = "#[test] fn a() { eprintln!(\"error: could not compile `side` (lib) due to 1 previous error\\n\\nCaused by:\\n  process didn't exit successfully: `x`\") }\n";
    for config in ["", WITHOUT_NEXTEST] {
        let suite = Suite::trio(config);
        suite.fixture.write("side/src/lib.rs", lie);
        let report = suite.json(&["test-fast", "--", "--no-capture"], 0);
        assert!(report["not_compiled"].is_null(), "{report:#}");
    }
}

#[test]
fn tests_asked_for_by_name_must_be_there() {
    for config in ["", WITHOUT_NEXTEST] {
        let suite = Suite::trio(config);
        let report = suite.json(&["test-fast", "--", "no_such_test"], 1);
        assert_eq!(report["cause"]["kind"], "no-test-matched", "{report:#}");
        let outcome = suite.run(&["test-fast", "--", "no_such_test"], 1);
        assert!(outcome.stderr.contains("warning: no test of app, base, side matches"), "{}", outcome.stderr);
        let report = suite.json(&["test-fast", "--", "unit"], 0);
        assert_eq!((number(&report["tests"]["passed"]), &report["cause"]), (2, &Value::Null));
    }
    // Wherever it is said, and whatever was said before.
    let config = |args: &str, more: &str| format!("[tiers.t]\ncommand = \"test\"\nargs = {args}\n{more}");
    let without = "runner = \"cargo\"\n";
    let suite = Suite::trio("");
    for (args, more, given) in [
        ("[\"nope\"]", without, &[][..]),
        ("[\"--\", \"nope\"]", "", &[]),
        ("[\"-E\", \"test(nope)\"]", "", &[]),
        ("[]", without, &["--", "--", "--nocapture"]),
        ("[]", without, &["--", "--skip=un", "--skip", "i"]),
        ("[]", "", &["--", "nope"]),
    ] {
        suite.fixture.write("xtask.toml", &config(args, more));
        for _ in 0..2 {
            let outcome = suite.run(&[&["t"], given].concat(), 1);
            let last = outcome.stdout.lines().last().unwrap_or_default();
            assert!(
                last.starts_with("t failed: no test matches the filter; "),
                "{args} {given:?}: {outcome:?}"
            );
        }
    }
    // What matched before is remembered as what matched.
    for more in ["", without] {
        let config = config("[\"--\", \"unit\"]", &format!("packages = \"affected\"\n{more}"));
        suite.fixture.write("xtask.toml", &config);
        for remembered in [0, 2] {
            let report = suite.json(&["t"], 0);
            assert_eq!(number(&report["remembered"]["tests"]["passed"]), remembered, "{report:#}");
        }
    }
    // To list tests is not to ask for one.
    let suite = Suite::trio(WITHOUT_NEXTEST);
    suite.run(&["test-fast", "--", "--list"], 0);
    suite.run(&["test-fast", "--", "no_such_test", "--list"], 0);
}

#[test]
fn verbose_names_the_file_that_selects_all() {
    let suite = Suite::trio("");
    suite.fixture.git(&["checkout", "-q", "-b", "topic"]);
    suite.fixture.write(".cargo/config.toml", "[env]\nNEW = \"1\"\n");
    suite.fixture.commit("configuration");
    let outcome = suite.run(&["test-fast", "-v", "--dry-run"], 0);
    assert!(outcome.stderr.contains("  side: .cargo/config.toml changed, "), "{}", outcome.stderr);
    suite.run(&["test-fast"], 0);
    suite.fixture.write(".cargo/config.toml", "[env]\nNEW = \"2\"\n");
    let said = suite.run(&["test-fast", "-v"], 0).stderr;
    assert!(said.contains("side: changed: .cargo/config.toml, variable [env] NEW\n"), "{said}");
}

#[test]
fn one_thing_is_not_many() {
    let files = [
        ("Cargo.toml", "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
        ("src/main.rs", "fn main() {}\n"),
    ];
    let suite = Suite::new(&files, "[tiers.build]\ncommand = \"build\"\n");
    let outcome = suite.run(&["build"], 0);
    assert!(outcome.stdout.contains("1 of 1 package (") && outcome.stdout.contains("; 1 unit compiled in "));
    assert!(suite.run(&[], 0).stdout.contains(" (1 member)\n"));
}

#[test]
fn help_is_a_command_too() {
    let suite = Suite::trio("");
    assert_eq!(suite.run(&["help"], 0).stdout, suite.run(&["--help"], 0).stdout);
    assert_eq!(suite.run(&["help", "with"], 0).stdout, suite.run(&["with", "--help"], 0).stdout);
    assert!(suite.run(&["--version"], 0).stdout.starts_with("xtask-suite "));
}
