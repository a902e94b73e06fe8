//! What really happened in a tier's run, in numbers.

use serde::Serialize;
use xtask_units::Record;

use crate::runner::Runner;
use crate::runner_shim::Counts;

/// How many of the slowest units and tests are named when a budget is blown.
const SLOWEST: usize = 5;

/// The report of one run of a tier.
#[derive(Debug, Clone, Serialize)]
pub struct TierReport {
    /// The tier.
    pub tier: String,
    /// The members it ran for.
    pub packages: Vec<String>,
    /// How many members the workspace has.
    pub members: usize,
    /// Why these.
    pub why: String,
    /// What ran the tests.
    pub runner: Runner,
    /// Units of all its cargo calls.
    pub units: Units,
    /// Its tests.
    pub tests: Counts,
    /// Whether tests were asked for by name and none had it.
    pub no_test_matched: bool,
    /// Test programs with a harness of their own, each counted as one test.
    pub custom_harnesses: usize,
    /// Milliseconds of compiling.
    pub compile_ms: u64,
    /// Milliseconds of running.
    pub run_ms: u64,
    /// The tier's budget in milliseconds.
    pub budget_ms: Option<u64>,
    /// Whether it took longer than that.
    pub over_budget: bool,
    /// Whether everything passed (and the budget held, where blowing it is a failure).
    pub success: bool,
    /// The targets that did not compile, in cargo's words: "`app` (lib test)". Empty where cargo failed before it
    /// compiled any, `None` where everything was built.
    pub not_compiled: Option<Vec<String>>,
    /// The names of the tests (or, under `cargo test`, of the test programs) that failed.
    pub failures: Vec<String>,
    /// The slowest units, when the budget was blown.
    pub slowest_units: Vec<Slow>,
    /// The slowest tests, or test programs under `cargo test`, when the budget was blown.
    pub slowest_tests: Vec<Slow>,
    /// The commands that ran.
    pub commands: Vec<String>,
    /// The command that failed, for pasting.
    pub failed_command: Option<String>,
    /// When it started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// Numbers of units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Units {
    /// Nothing had to be done.
    pub fresh: usize,
    /// Compiled.
    pub compiled: usize,
}

/// Something that took long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slow {
    /// What.
    pub name: String,
    /// Milliseconds it took.
    pub ms: u64,
}

/// The slowest of `things`, the slowest first.
pub(crate) fn slowest(things: impl IntoIterator<Item = Slow>) -> Vec<Slow> {
    let mut all = things.into_iter().collect::<Vec<_>>();
    all.sort_by(|a, b| b.ms.cmp(&a.ms).then_with(|| a.name.cmp(&b.name)));
    all.truncate(SLOWEST);
    all
}

/// The units of `records` that took time, by name.
pub(crate) fn unit_times(records: &[Record]) -> impl Iterator<Item = Slow> {
    let times = records.iter().flat_map(|record| &record.times);
    times.map(|time| Slow { name: time.unit.clone(), ms: time.ms })
}
