//! Runs a tier as planned, reports what happened, and remembers how each member ended.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;
use xtask_files::{Durability, read_lines, remove_file, write_atomic};
use xtask_units::{Record, RunOptions, now_ms, whole_milliseconds};
use xtask_workspace::config::OnOverBudget;
use xtask_workspace::{Flag, LocalPackage, Progress, Workspace};

use crate::history::{self, Results, Verdict};
use crate::nextest::{Report, Runner, summary_in};
use crate::plan::{Kind, Step, TierPlan};
use crate::runner_shim::{Counts, DOCTESTS, TestRun};
use crate::select::{self, Chosen};

/// What happened in a run of a tier.
#[derive(Debug, Serialize)]
pub struct TierReport {
    pub tier: String,
    pub packages: Vec<String>,
    pub members: usize,
    pub why: String,
    pub runner: Runner,
    /// Units of all its cargo calls.
    pub units: Units,
    pub tests: Counts,
    pub no_test_matched: bool,
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

#[derive(Default)]
struct Outcome {
    records: Vec<Record>,
    commands: Vec<String>,
    failed_command: Option<String>,
    runs: Vec<TestRun>,
    /// nextest's summary: all numbers if it wrote no report, else only the skipped tests.
    summary: Counts,
    signal: Option<i32>,
}

impl TierPlan {
    /// Runs the plan. Goes on after a failed step, unless a signal came or it did not compile.
    pub fn execute(self, workspace: &Workspace, progress: &dyn Progress) -> Result<TierReport> {
        let started_at_ms = now_ms();
        let counted = self.steps.iter().any(Step::is_counted_by_us);
        if counted && let Err(error) = write_atomic(&self.log, "", Durability::Cache) {
            progress.note(&format!("tests that cargo starts will not be counted: {error:#}"));
        }
        let mut outcome = Outcome::default();
        for step in &self.steps {
            self.step(workspace, step, progress, &mut outcome)?;
            if outcome.signal.is_some() || !outcome.built() {
                break;
            }
        }
        let lines = read_lines(&self.log).unwrap_or_default();
        outcome.runs.extend(lines.iter().filter_map(|line| serde_json::from_str(line).ok()));
        let _ = remove_file(&self.log);
        let report = self.report(&outcome, started_at_ms);
        if report.signal.is_none() && !self.steps.is_empty() {
            let kept = history::append(workspace, &report, &self.narrow)
                .and_then(|()| self.keep_verdicts(workspace, &outcome, &report));
            // A full disk must not fail a run that passed.
            if let Err(error) = kept {
                progress.note(&format!("the result of this run was not kept: {error:#}"));
            }
        }
        Ok(report)
    }

    fn step(
        &self,
        workspace: &Workspace,
        step: &Step,
        progress: &dyn Progress,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let forecast = self.forecast.as_ref();
        let options = RunOptions {
            timings: forecast.is_none_or(|forecast| forecast.compile > 0),
            expected: forecast.map(|forecast| forecast.fresh + forecast.compile),
            collect_errors: false,
        };
        let mut command = step.command.clone();
        let mut report = None;
        if step.kind == Kind::Nextest {
            let profile = self.options.tier.nextest_profile.as_deref().unwrap_or("default");
            match Report::request(workspace, profile, &mut command) {
                Ok(requested) => report = Some(requested),
                Err(error) => progress.note(&format!("the times of tests will not be known: {error:#}")),
            }
        }
        let mut summary = None;
        let record = xtask_units::run(workspace, &command, options, progress, &mut |line| {
            // The last one is nextest's own: a test may run a nextest.
            summary = summary_in(line).or(summary);
        })?;
        if step.kind == Kind::Nextest {
            outcome.summary = summary.unwrap_or_default();
        }
        if let Some(tests) = report.map(Report::read).transpose()?.flatten() {
            outcome.runs.extend(tests);
            outcome.summary = Counts { skipped: outcome.summary.skipped, ..Counts::default() };
        }
        if record.exit_code != Some(0) {
            outcome.failed_command.get_or_insert_with(|| step.plain.clone());
        }
        outcome.commands.push(command.to_string());
        outcome.signal = record.signal;
        outcome.records.push(record);
        Ok(())
    }

    fn report(&self, outcome: &Outcome, started_at_ms: u64) -> TierReport {
        let (tier, records) = (&self.options.tier, &outcome.records);
        let compile_ms = records.iter().map(|record| record.compile_ms).sum::<u64>();
        let run_ms = records.iter().map(|record| record.run_ms).sum::<u64>();
        let budget_ms = tier.budget.map(whole_milliseconds);
        let over_budget = budget_ms.is_some_and(|budget| compile_ms + run_ms > budget);
        let passed = outcome.failed_command.is_none() && outcome.signal.is_none();
        let mut tests = outcome.summary;
        for run in &outcome.runs {
            tests.add(run.tests.unwrap_or_else(|| Counts::one(run.success)));
        }
        let no_test_matched = passed
            && !self.steps.is_empty()
            && names_tests(&self.options.runner_args)
            && tests.passed + tests.failed == 0;
        TierReport {
            tier: self.tier.clone(),
            packages: self.packages.iter().map(|chosen| chosen.name.clone()).collect(),
            members: self.members,
            why: self.why.clone(),
            runner: self.runner.clone(),
            units: Units {
                // A second step (doc tests) finds the same units again.
                fresh: records.iter().map(Record::fresh).max().unwrap_or(0),
                compiled: records.iter().map(Record::compiled).sum(),
            },
            tests,
            no_test_matched,
            custom_harnesses: outcome.runs.iter().filter(|run| run.tests.is_none()).count(),
            compile_ms,
            run_ms,
            budget_ms,
            over_budget,
            not_compiled: (!outcome.built())
                .then(|| records.iter().flat_map(|record| record.not_compiled.clone()).collect()),
            success: passed
                && !no_test_matched
                && !(over_budget && tier.on_over_budget == OnOverBudget::Fail),
            failures: outcome.failed().map(full_name).collect(),
            slowest_units: if over_budget { slowest(unit_times(records)) } else { Vec::new() },
            slowest_tests: if over_budget { slowest(test_times(&outcome.runs)) } else { Vec::new() },
            commands: outcome.commands.clone(),
            failed_command: outcome.failed_command.clone(),
            started_at_ms,
            signal: outcome.signal,
        }
    }

    fn keep_verdicts(&self, workspace: &Workspace, outcome: &Outcome, report: &TierReport) -> Result<()> {
        let Some(before) = &self.inputs else { return Ok(()) };
        let compiled = outcome.records.iter().any(|record| record.compiled() > 0);
        let known = |chosen: &Chosen| before.members.get(&chosen.name).is_some_and(Option::is_some);
        // What was compiled, by us or by another run at the same time, has new dep-info. Else the inputs are those of
        // before.
        let (after, current);
        let (inputs, contents) = if compiled || !self.packages.iter().all(known) {
            after = select::inputs_now(&self.options, workspace)?;
            (&after.members, &after.contents)
        } else {
            let contents = select::changes_of(&self.options, workspace)?.contents()?;
            current = contents.map(|contents| contents.files).unwrap_or_default();
            (&before.members, &current)
        };
        // A file that was edited during the run may or may not have been compiled in.
        let unchanged = *contents == before.contents;
        let failing = outcome.failed().map(|run| &run.package).collect::<BTreeSet<_>>();
        // The next run, with everything compiled, may keep the budget.
        let exceeded = report.over_budget && self.options.tier.on_over_budget == OnOverBudget::Fail;
        let all_green = outcome.failed_command.is_none();
        // Else the failure may be that of any member: no test program reported it, or it kept others from running.
        let told_apart =
            !failing.is_empty() && !self.steps.iter().any(|step| step.command.has(Flag::FailFast));
        Results::update(workspace, &self.tier, |results| {
            results.lock.clone_from(&before.lock);
            for Chosen { name, .. } in &self.packages {
                let failed = failing.contains(name) || !outcome.built() || exceeded;
                if !failed && !self.options.runner_args.is_empty() {
                    // Only some of its tests ran.
                    continue;
                }
                let passed =
                    !failed && (all_green || (told_apart && self.left_records(workspace, outcome, name)));
                let inputs = inputs.get(name).cloned().flatten().filter(|_| passed && unchanged);
                results.members.insert(name.clone(), Verdict { passed, inputs });
            }
        })
    }

    /// Whether each test program of `member` that cargo was to start, and its doc tests, left a record of how it ended.
    /// One that could not be started left none. nextest's report has every test.
    fn left_records(&self, workspace: &Workspace, outcome: &Outcome, member: &str) -> bool {
        let has_library = workspace.facts.member(member).is_some_and(LocalPackage::has_library);
        let runs = outcome.runs.iter().filter(|run| run.package == member);
        let (doctests, programs): (Vec<_>, Vec<_>) = runs.partition(|run| run.name == DOCTESTS);
        let documented = !has_library || !doctests.is_empty();
        self.steps.iter().zip(&outcome.records).all(|(step, record)| {
            let built = record.units.iter().filter(|unit| unit.test && unit.package == member);
            match step.kind {
                Kind::Compile | Kind::Nextest => true,
                Kind::Tests | Kind::Bench => programs.len() >= built.count(),
                Kind::TestsAndDoctests => programs.len() >= built.count() && documented,
                Kind::Doctests => documented,
            }
        })
    }
}

impl Outcome {
    fn built(&self) -> bool {
        self.records.iter().all(|record| record.build_succeeded == Some(true))
    }

    fn failed(&self) -> impl Iterator<Item = &TestRun> {
        self.runs.iter().filter(|run| !run.success)
    }
}

fn full_name(run: &TestRun) -> String {
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

/// Whether the arguments seem to select tests by name, so that no match is a typo.
fn names_tests(args: &[String]) -> bool {
    let lists = ["--list", "--help", "-h", "--no-run"];
    args.iter().any(|arg| !arg.starts_with('-')) && !args.iter().any(|arg| lists.contains(&&**arg))
}
