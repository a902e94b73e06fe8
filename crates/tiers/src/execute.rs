//! Runs a tier as planned and reports what happened.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;
use xtask_units::{Forecast, Record, RunOptions, now_ms, whole_milliseconds};
use xtask_workspace::config::{OnOverBudget, Packages};
use xtask_workspace::{CargoCommand, Progress, Workspace};

use crate::cause::{self, Cause};
use crate::history;
use crate::nextest::Runner;
use crate::plan::{TierPlan, Work};
use crate::runner_shim::{Counts, TestRun};
use crate::select::CHANGED;
use crate::verdicts::store::{Mismatch, Pass};

/// What happened in a run of a tier.
#[derive(Debug, Serialize)]
pub struct TierReport {
    pub tier: String,
    /// The packages that were checked or built, or of which test programs ran.
    pub packages: Vec<String>,
    pub members: usize,
    pub why: String,
    pub runner: Runner,
    /// Units of all its cargo calls.
    pub units: Units,
    /// Of what ran now.
    pub tests: Counts,
    /// Every test program of the tier, by name.
    pub programs: Vec<ProgramReport>,
    /// What was not run again, because it passed before with everything the same.
    pub remembered: Remembered,
    /// Packages whose tests never ran here and that nothing since the base can reach.
    pub left_out: Vec<String>,
    /// How long the deferred programs would take to compile and run, in milliseconds.
    pub deferred_ms: u64,
    /// Why the run failed.
    pub cause: Option<Cause>,
    /// A remembered program that failed when it was run all the same: nothing is remembered any more.
    pub mismatch: Option<Mismatch>,
    /// Test programs with a custom harness, each counted as one test.
    pub custom_harnesses: usize,
    pub compile_ms: u64,
    pub run_ms: u64,
    pub budget_ms: Option<u64>,
    pub over_budget: bool,
    /// Whether everything passed, the budget included if the tier is to fail over it.
    pub success: bool,
    /// The targets that did not compile, in cargo's words: "`app` (lib test)". Empty if cargo failed before it compiled
    /// any, `None` if everything was built.
    pub not_compiled: Option<Vec<String>>,
    /// Tests, or under `cargo test` test programs.
    pub failures: Vec<String>,
    pub slowest_units: Vec<Slow>,
    /// If the budget was exceeded; under `cargo test`, test programs.
    pub slowest_tests: Vec<Slow>,
    pub commands: Vec<String>,
    pub failed_command: Option<String>,
    /// Milliseconds since 1970.
    pub started_at_ms: u64,
    pub signal: Option<i32>,
}

#[derive(Debug, Serialize)]
pub struct Units {
    pub fresh: usize,
    pub compiled: usize,
}

#[derive(Debug, Serialize)]
pub struct Slow {
    pub name: String,
    pub ms: u64,
}

/// A test program in a run.
#[derive(Debug, Clone, Serialize)]
pub struct ProgramReport {
    /// As nextest names it: `app`, `app::it`, `app::bin/app`.
    pub name: String,
    pub package: String,
    pub verdict: Verdict,
    /// Why it ran, or did not.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Passed,
    Failed,
    /// It passed before with everything the same.
    Remembered,
    /// It will not fit into the budget.
    Deferred,
    /// It never ran here, and nothing since the base can reach it.
    LeftOut,
    /// It was to run and left no record: it could not be started, or the run was stopped.
    NotRun,
}

/// What was not run again.
#[derive(Debug, Default, Serialize)]
pub struct Remembered {
    pub programs: usize,
    pub tests: Counts,
    /// When the oldest of these passes was, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// The commit that was checked out then.
    pub commit: Option<String>,
    /// Why nothing was looked up, if so.
    pub off: Option<String>,
}

impl Remembered {
    pub(crate) fn add(&mut self, pass: &Pass) {
        self.programs += 1;
        self.tests.add(pass.tests);
        if self.since_ms.is_none_or(|since| pass.at_ms < since) {
            self.since_ms = Some(pass.at_ms);
            self.commit.clone_from(&pass.commit);
        }
    }
}

/// What happened so far.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) records: Vec<Record>,
    pub(crate) commands: Vec<String>,
    pub(crate) failed_command: Option<String>,
    pub(crate) runs: Vec<TestRun>,
    /// Tests that nextest counted, if it wrote no report; else only the skipped ones.
    pub(crate) summary: Counts,
    pub(crate) run_ms: u64,
    pub(crate) programs: Vec<ProgramReport>,
    pub(crate) remembered: Remembered,
    pub(crate) mismatch: Option<Mismatch>,
    pub(crate) deferred_ms: u64,
    pub(crate) signal: Option<i32>,
    /// What the runner itself says was wrong.
    pub(crate) refused: Option<Cause>,
    /// Whether the runner gave up before every test had run: after a failure, or at the end of its time.
    pub(crate) gave_up: bool,
}

impl TierPlan {
    /// Runs the plan. Goes on after a failed step, unless a signal came or it did not compile.
    pub fn execute(self, workspace: &Workspace, progress: &dyn Progress) -> Result<TierReport> {
        let started_at_ms = now_ms();
        let mut outcome = Outcome::default();
        match &self.work {
            None => {}
            Some(Work::Compile(command)) => {
                let record =
                    outcome.cargo(workspace, command, self.forecast.as_ref(), progress, &mut |_| true)?;
                if record.exit_code != Some(0) {
                    outcome.failed_command = Some(command.to_string());
                }
            }
            Some(Work::Test(work)) => self.test(work, workspace, progress, &mut outcome)?,
        }
        let report = self.report(outcome, started_at_ms);
        let took_ms = report.compile_ms + report.run_ms;
        if self.is_first && !report.over_budget && report.budget_ms.is_some_and(|budget| took_ms > budget) {
            progress.note("nothing was built here before, so the budget does not count this time");
        }
        let refused = report.cause.as_ref().is_some_and(Cause::is_refusal);
        if report.signal.is_none() && self.work.is_some() && !refused {
            let kept = history::append(workspace, &report, &self.narrow, self.chooses_tests());
            // A full disk must not fail a run that passed.
            if let Err(error) = kept {
                progress.note(&format!("the result of this run was not kept: {error:#}"));
            }
        }
        Ok(report)
    }

    fn report(&self, outcome: Outcome, started_at_ms: u64) -> TierReport {
        let (tier, records) = (&self.options.tier, &outcome.records);
        let compile_ms = records.iter().map(|record| record.compile_ms).sum::<u64>();
        let run_ms = outcome.run_ms;
        let (fresh, compiled) = records
            .iter()
            .fold((0, 0), |(fresh, compiled), record| (fresh + record.fresh(), compiled + record.compiled()));
        // Into an empty target dir everything is built; a budget is for every day.
        let is_first = self.is_first && compiled > 0 && fresh == 0;
        let budget_ms = tier.budget.map(whole_milliseconds);
        // Asking cargo and finding nothing to do is nobody's test.
        let did_something = compiled > 0 || !outcome.runs.is_empty() || !outcome.built();
        let exceeds = budget_ms.is_some_and(|budget| compile_ms + run_ms > budget);
        let over_budget = exceeds && did_something && !is_first;
        let passed = outcome.failed_command.is_none() && outcome.signal.is_none();
        let mut tests = outcome.summary;
        // A custom harness does not say how many of its tests match.
        let mut matched = tests.passed + tests.failed + outcome.remembered.tests.passed;
        for run in &outcome.runs {
            matched += run.tests.map_or(0, |tests| tests.passed + tests.failed);
            tests.add(run.tests.unwrap_or_else(|| Counts::one(run.success)));
        }
        let filtered = self.chooses_tests();
        let fails_over_budget = over_budget && tier.on_over_budget == OnOverBudget::Fail;
        let cause = Cause::of(&outcome, passed && filtered && matched == 0, fails_over_budget);
        let ran = outcome.runs.iter().map(|run| &run.package);
        let had_to = outcome
            .programs
            .iter()
            .filter(|program| matches!(program.verdict, Verdict::Passed | Verdict::Failed | Verdict::NotRun));
        let ran = ran.chain(had_to.map(|program| &program.package)).cloned().collect::<BTreeSet<_>>();
        let chosen = self.packages.iter().map(|chosen| chosen.name.clone());
        let compiled = records.iter().flat_map(|record| &record.units).filter(|unit| !unit.fresh);
        let compiled = compiled.map(|unit| &unit.package).collect::<BTreeSet<_>>();
        // Of affected packages that are only compiled, cargo says which had to be.
        let is_affected = tier.packages == Packages::Affected;
        let worked_on = |name: &String| match self.work {
            _ if !outcome.built() => true,
            Some(Work::Test(_)) => ran.contains(name),
            _ => !is_affected || compiled.contains(name),
        };
        let packages = chosen.filter(worked_on).collect();
        TierReport {
            tier: self.tier.clone(),
            packages,
            members: self.members,
            why: self.why_these(&outcome),
            runner: self.runner.clone(),
            units: Units {
                // A second call (doc tests) finds the same units again.
                fresh: records.iter().map(Record::fresh).max().unwrap_or(0),
                compiled: records.iter().map(Record::compiled).sum(),
            },
            tests,
            left_out: self.left_out.clone(),
            deferred_ms: outcome.deferred_ms,
            success: passed && cause.is_none(),
            cause,
            custom_harnesses: outcome.runs.iter().filter(|run| run.tests.is_none()).count(),
            compile_ms,
            run_ms,
            budget_ms,
            over_budget,
            not_compiled: (!outcome.built())
                .then(|| records.iter().flat_map(|record| record.not_compiled.clone()).collect()),
            failures: outcome.failed().map(full_name).collect(),
            slowest_units: if over_budget { slowest(unit_times(records)) } else { Vec::new() },
            slowest_tests: if over_budget { slowest(test_times(&outcome.runs)) } else { Vec::new() },
            programs: outcome.programs,
            remembered: outcome.remembered,
            mismatch: outcome.mismatch,
            commands: outcome.commands,
            failed_command: outcome.failed_command,
            started_at_ms,
            signal: outcome.signal,
        }
    }

    /// Whether arguments choose among the tests.
    fn chooses_tests(&self) -> bool {
        match &self.work {
            Some(Work::Test(work)) => cause::chooses_tests(work.nextest.as_ref().unwrap_or(&work.command)),
            _ => false,
        }
    }

    /// Why these packages: for an affected tier, what was found out once it was built.
    fn why_these(&self, outcome: &Outcome) -> String {
        let all_known = !outcome.programs.is_empty()
            && outcome
                .programs
                .iter()
                .all(|program| matches!(program.verdict, Verdict::Remembered | Verdict::LeftOut));
        if outcome.built() && all_known && outcome.runs.is_empty() {
            "nothing changed since the last run that passed".to_owned()
        } else if self.options.tier.packages == Packages::Affected
            && matches!(self.work, Some(Work::Compile(_)))
            && outcome.built()
            && outcome.records.iter().all(|record| record.compiled() == 0)
        {
            "cargo found everything up to date".to_owned()
        } else if self.why == CHANGED {
            reasons(&outcome.programs).unwrap_or_else(|| self.why.clone())
        } else {
            self.why.clone()
        }
    }
}

/// Why the programs that had to run did: each kind of reason once, with how many there were if there are several.
fn reasons(programs: &[ProgramReport]) -> Option<String> {
    let ran = programs
        .iter()
        .filter(|program| matches!(program.verdict, Verdict::Passed | Verdict::Failed | Verdict::NotRun));
    let mut kinds = BTreeMap::<&str, usize>::new();
    for program in ran {
        let kind = match program.why.split(": ").next().unwrap_or_default() {
            "never ran here" => "never ran here",
            "its last run here failed" => "failed last time",
            "its last run here was not whole" => "were stopped last time",
            "changed" => "changed since they last passed",
            other => other,
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let several = kinds.len() > 1;
    let words = kinds
        .iter()
        .map(|(kind, count)| if several { format!("{count} {kind}") } else { (*kind).to_owned() });
    let words = words.collect::<Vec<_>>().join(", ");
    (!words.is_empty()).then_some(words)
}

impl Outcome {
    /// Runs a cargo command and returns its record, which is also kept.
    pub(crate) fn cargo(
        &mut self,
        workspace: &Workspace,
        command: &CargoCommand,
        forecast: Option<&Forecast>,
        progress: &dyn Progress,
        on_line: &mut dyn FnMut(&str) -> bool,
    ) -> Result<&Record> {
        let options = RunOptions {
            timings: forecast.is_none_or(|forecast| forecast.compile > 0),
            expected: forecast.map(|forecast| forecast.fresh + forecast.compile),
            collect_errors: false,
        };
        let record = xtask_units::run(workspace, command, options, progress, on_line)?;
        self.commands.push(command.to_string());
        self.signal = record.signal;
        self.records.push(record);
        Ok(&self.records[self.records.len() - 1])
    }

    pub(crate) fn built(&self) -> bool {
        self.records.iter().all(|record| record.build_succeeded == Some(true))
    }

    pub(crate) fn failed(&self) -> impl Iterator<Item = &TestRun> {
        self.runs.iter().filter(|run| !run.success)
    }
}

pub(crate) fn full_name(run: &TestRun) -> String {
    format!("{}: {}", run.package, run.name)
}

fn test_times(runs: &[TestRun]) -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for run in runs {
        *times.entry(full_name(run)).or_default() += run.ms;
    }
    times
}

fn unit_times(records: &[Record]) -> impl Iterator<Item = (String, u64)> {
    let times = records.iter().flat_map(|record| &record.times);
    times.map(|time| (time.unit.clone(), time.ms))
}

fn slowest(times: impl IntoIterator<Item = (String, u64)>) -> Vec<Slow> {
    let mut all = times.into_iter().map(|(name, ms)| Slow { name, ms }).collect::<Vec<_>>();
    all.sort_by(|a, b| b.ms.cmp(&a.ms).then_with(|| a.name.cmp(&b.name)));
    all.truncate(5);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named_once() {
        let program = |verdict, why: &str| ProgramReport {
            name: String::new(),
            package: String::new(),
            verdict,
            why: why.to_owned(),
        };
        let failed = program(Verdict::Passed, "its last run here failed");
        let never = program(Verdict::Failed, "never ran here");
        let changed = program(Verdict::Passed, "changed: a file");
        let remembered = program(Verdict::Remembered, "passed before with everything the same");
        let table = [
            (vec![failed.clone()], Some("failed last time")),
            (vec![failed.clone(), failed.clone(), remembered.clone()], Some("failed last time")),
            (
                vec![never.clone(), changed, failed],
                Some("1 changed since they last passed, 1 failed last time, 1 never ran here"),
            ),
            (vec![remembered], None),
        ];
        for (programs, expected) in table {
            assert_eq!(reasons(&programs).as_deref(), expected);
        }
    }
}
