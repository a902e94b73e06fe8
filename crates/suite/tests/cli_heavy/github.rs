//! Annotations and groups in GitHub Actions, colours where they are wanted.

use crate::support::Suite;

const TIERS: &str = "[tiers.t]\ncommand = \"test\"\nbudget = \"1ms\"\non-over-budget = \"fail\"\n";

#[test]
fn groups_and_annotations_there_and_nowhere_else() {
    let mut suite = Suite::trio(TIERS);
    suite.set("FAIL", "side-unit");
    let plain = suite.run(&["t"], 1);
    assert!(!plain.stderr.contains("::") || !plain.stderr.contains("::group::"), "{}", plain.stderr);
    assert!(!plain.stderr.contains("::error"), "{}", plain.stderr);

    suite.set("GITHUB_ACTIONS", "true");
    let outcome = suite.run(&["t"], 1);
    let lines = outcome.stderr.lines().collect::<Vec<_>>();
    let at = |line: &str| {
        lines.iter().position(|seen| *seen == line).unwrap_or_else(|| panic!("{line} in\n{}", outcome.stderr))
    };
    assert!(at("::group::t") < at("::endgroup::"));
    // Annotations are shown, not folded away with the group.
    assert!(at("::endgroup::") < at("::error title=t failed::side: unit"));
    assert!(
        lines.iter().any(|line| line.starts_with("::error title=t over budget::t took ")),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stdout.contains("::"), "{}", outcome.stdout);
    let passing = Suite::trio("");
    assert!(!passing.run(&["build-dev"], 0).stderr.contains("::error"));
}

#[test]
fn a_group_is_closed_when_the_tier_cannot_be_built() {
    let mut suite = Suite::trio(TIERS);
    suite.set("GITHUB_ACTIONS", "true");
    suite.fixture.write("side/src/lib.rs", "nonsense");
    let outcome = suite.run(&["t"], 1);
    assert_eq!(
        (outcome.stderr.matches("::group::").count(), outcome.stderr.matches("::endgroup::").count()),
        (1, 1)
    );
}

#[test]
fn colour_only_where_it_is_wanted() {
    let mut suite = Suite::trio("");
    let escape = '\u{1b}';
    let none = suite.run(&["build-dev"], 0);
    assert!(!none.stderr.contains(escape) && !none.stdout.contains(escape), "no terminal, no colour");
    let always = suite.run(&["build-dev", "--color", "always"], 0);
    assert!(always.stdout.contains(escape) && always.stderr.contains(escape), "{always:?}");
    let never = suite.run(&["--color=never", "build-dev"], 0);
    assert!(!never.stderr.contains(escape) && !never.stdout.contains(escape));
    assert!(suite.run(&["--color", "sometimes", "build-dev"], 2).stderr.contains("always"));
    let usage = |colour: &str| suite.run(&["--color", colour, "build-dev", "--no-such-flag"], 2).stderr;
    assert!(
        usage("always").starts_with("\u{1b}[1m\u{1b}[31merror\u{1b}[0m: unexpected"),
        "{:?}",
        usage("always")
    );
    assert!(usage("never").starts_with("error: unexpected"), "{:?}", usage("never"));

    // On a terminal, which `script` makes.
    let terminal = |suite: &Suite, args: &str| {
        let line = format!("{} build-dev {args}", crate::support::EXE);
        let mut command = suite.program("script", &["-qec", &line, "/dev/null"]);
        command.env("TERM", "xterm-256color").stdin(std::process::Stdio::null());
        xtask_testkit::Outcome::of(&mut command).expect_code(0).stdout
    };
    let ok = |shown: String| shown.lines().last().unwrap().contains("\u{1b}[1m\u{1b}[32mok");
    assert!(ok(terminal(&suite, "")));
    assert!(!ok(terminal(&suite, "--color=never")));
    suite.set("NO_COLOR", "1");
    assert!(!ok(terminal(&suite, "")));
    assert!(ok(terminal(&suite, "--color=always")), "a flag is stronger than a variable");
}
