//! Why a run failed, in a few words for its last line; and whether it failed at all, where arguments chose no test.

use serde::Serialize;
use xtask_units::Record;
use xtask_workspace::CargoCommand;

use crate::execute::{Outcome, full_name};

/// Why a run failed, in a few words: `2 tests failed: app: it, app: other`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    pub kind: CauseKind,
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// Cargo or the runner does not take the arguments or the configuration: nothing of the workspace's was found wrong.
    WrongUsage,
    /// The machine lacks what the runner's configuration demands.
    EnvironmentLacks,
    NotCompiled,
    Tests,
    NoTestMatched,
    OverBudget,
    /// Cargo or the runner failed otherwise.
    Runner,
}

impl Cause {
    pub(crate) fn new(kind: CauseKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }

    /// The first thing that failed the run, in the order in which it happens.
    pub(crate) fn of(outcome: &Outcome, no_test_matched: bool, over_budget: bool) -> Option<Self> {
        if outcome.signal.is_some() {
            return None;
        }
        if let Some(refused) = &outcome.refused {
            return Some(refused.clone());
        }
        if !outcome.built() {
            return Some(not_built(&outcome.records));
        }
        let failures = outcome.failed().map(full_name).collect::<Vec<_>>();
        if !failures.is_empty() {
            // Under `cargo test` these are test programs.
            let failed =
                outcome.failed().map(|run| run.tests.map_or(1, |tests| tests.failed.max(1))).sum::<u64>();
            let tests = if failed == 1 { "test" } else { "tests" };
            let what = format!("{failed} {tests} failed: {}", first_of(&failures));
            return Some(Self::new(CauseKind::Tests, what));
        }
        if outcome.failed_command.is_some() {
            return Some(Cause::new(CauseKind::Runner, "the command failed"));
        }
        if no_test_matched {
            return Some(Cause::new(CauseKind::NoTestMatched, "no test matches the filter"));
        }
        over_budget.then(|| Cause::new(CauseKind::OverBudget, "over budget"))
    }

    /// Whether the tests had no part in it, so that nothing is kept of the run.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.kind, CauseKind::WrongUsage | CauseKind::EnvironmentLacks)
    }
}

/// Why cargo did not build.
pub(crate) fn not_built(records: &[Record]) -> Cause {
    let of = |list: fn(&Record) -> &Vec<String>| records.iter().flat_map(list).cloned().collect::<Vec<_>>();
    let (targets, scripts) = (of(|record| &record.not_compiled), of(|record| &record.failed_scripts));
    let last = records.last();
    let refused = last.and_then(|record| record.refused.as_deref());
    if !targets.is_empty() {
        Cause::new(CauseKind::NotCompiled, format!("{} did not compile", first_of(&targets)))
    } else if !scripts.is_empty() {
        Cause::new(CauseKind::NotCompiled, format!("the build script of `{}` failed", first_of(&scripts)))
    } else {
        let what = refused
            .map_or_else(|| "nothing was built".to_owned(), |error| format!("nothing was built: {error}"));
        let kind = match last.and_then(|record| record.exit_code) {
            code if is_wrong_usage(code, refused.unwrap_or_default()) => CauseKind::WrongUsage,
            Some(92) => CauseKind::EnvironmentLacks,
            _ => CauseKind::Runner,
        };
        Cause::new(kind, what)
    }
}

/// Whether cargo or nextest ended before it began because of what it was told. Cargo has a code for arguments that it does
/// not know (1), and none for names that do not exist. The others are nextest's (`nextest-metadata`, `NextestExitCode`).
fn is_wrong_usage(code: Option<i32>, error: &str) -> bool {
    const OF_NAMES: [&str; 14] = [
        "package ID specification",
        "package(s) ",
        "cannot specify features",
        "no test target named",
        "no bin target named",
        "no example target named",
        "no bench target named",
        "no library targets found",
        "no such profile",
        "profile `",
        "the package '",
        "none of the selected packages contains",
        "unexpected argument",
        "invalid value",
    ];
    matches!(code, Some(1 | 2 | 94 | 95 | 96)) || OF_NAMES.iter().any(|start| error.starts_with(start))
}

/// The first of `names`, and how many more there are.
pub fn first_of(names: &[String]) -> String {
    match names {
        [_, _, _, _, ..] => format!("{} and {} more", names[..3].join(", "), names.len() - 3),
        _ => names.join(", "),
    }
}

/// Whether a command chooses among the tests, so that no match is a typo: by the arguments of libtest, or those of the
/// runner.
pub(crate) fn chooses_tests(command: &CargoCommand) -> bool {
    let by_runner = ["-E", "--filterset", "--filter-expr", "--run-ignored"];
    // The word after an option that is not known is its value, and `run` is a part of nextest's verb.
    let mut is_value = command.verb == "nextest";
    let names = command.args.iter().any(|arg| {
        let is_option = arg.name.starts_with('-');
        let was_value = std::mem::replace(&mut is_value, is_option && arg.is_unknown());
        let is_name = !is_option && !was_value;
        is_name || by_runner.iter().any(|name| arg.name.split('=').next() == Some(name))
    });
    names || chooses(&command.runner_args)
}

/// Whether arguments of libtest choose among the tests.
fn chooses(args: &[String]) -> bool {
    let lists = ["--list", "--help", "-h"];
    let valued = ["--test-threads", "--format", "--color", "--logfile", "-Z", "--shuffle-seed"];
    let mut words = args.iter().map(String::as_str);
    let mut found = false;
    while let Some(word) = words.next() {
        match word {
            // What follows are names, even with dashes.
            "--" => return words.next().is_some() || found,
            _ if lists.contains(&word) => return false,
            _ if valued.contains(&word) => drop(words.next()),
            "--skip" => {
                words.next();
                found = true;
            }
            "--ignored" => found = true,
            _ => found |= !word.starts_with('-') || word.starts_with("--skip="),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chooses_among_tests_is_known_from_what_does_not() {
        let table = [
            ("test", false),
            ("test nope", true),
            ("test --workspace --lib", false),
            ("test --test it -- --nocapture", false),
            ("test -- nope", true),
            ("test -- --exact a::b", true),
            ("test -- --test-threads 1", false),
            ("test -- --test-threads 1 nope", true),
            ("test -- --skip x", true),
            ("test -- --skip=x", true),
            ("test -- --ignored", true),
            ("test -- -- --nocapture", true),
            ("test --unknown value", false),
            ("test -- --list nope", false),
            ("nextest run -E test(x)", true),
            ("nextest run --filterset=test(x)", true),
            ("nextest run --no-tests pass --profile ci", false),
        ];
        for (words, expected) in table {
            let command = CargoCommand::new("/", words.split(' '));
            assert_eq!(chooses_tests(&command), expected, "{words}: {command:?}");
        }
    }

    #[test]
    fn arguments_that_nobody_knows_are_no_failure_of_the_workspace() {
        let table = [
            (Some(1), "unexpected argument '--nope' found", true),
            (Some(101), "package ID specification `nope` did not match any packages", true),
            (Some(101), "failed to get `serde` as a dependency", false),
            (Some(96), "", true),
            (Some(101), "", false),
            (None, "", false),
        ];
        for (code, error, expected) in table {
            assert_eq!(is_wrong_usage(code, error), expected, "{code:?} {error}");
        }
    }
}
