//! Runs a tier as planned, and writes down how it ended.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use xtask_files::{Durability, read_lines, remove_file, write_atomic};
use xtask_units::{BuiltUnit, Record, RunOptions, now_ms, whole_milliseconds};
use xtask_workspace::config::OnOverBudget;
use xtask_workspace::{Flag, LocalPackage, Progress, Workspace};

use crate::commands::{Kind, Step};
use crate::history::{self, Results, Verdict};
use crate::junit::{self, Report, TestRun};
use crate::plan::TierPlan;
use crate::report::{Slow, TierReport, Units, slowest, unit_times};
use crate::runner_shim::{Counts, DOCTESTS, ProgramRun, program_name};
use crate::select;

/// What the steps of a run did.
#[derive(Default)]
struct Outcome {
    records: Vec<Record>,
    commands: Vec<String>,
    failed_command: Option<String>,
    programs: Vec<ProgramRun>,
    tests: Vec<TestRun>,
    /// What nextest summed up: all numbers where its report is not to be had, else those of skipped tests.
    summary: Counts,
    signal: Option<i32>,
}

impl TierPlan {
    /// Does exactly the plan. Goes on after a failed step, unless a signal came or it did not compile.
    pub fn execute(self, workspace: &Workspace, progress: &dyn Progress) -> Result<TierReport> {
        let started_at_ms = now_ms();
        if let Err(error) = self.make_log() {
            progress.note(&format!("tests that cargo starts will not be counted: {error:#}"));
        }
        let mut outcome = Outcome::default();
        for step in &self.steps {
            self.step(workspace, step, progress, &mut outcome)?;
            if outcome.signal.is_some() || !outcome.built() {
                break;
            }
        }
        outcome.programs = read_programs(&self.log).unwrap_or_default();
        // It was not to be made: said above.
        let _ = remove_file(&self.log);
        let report = self.report(&outcome, started_at_ms);
        if report.signal.is_none() && !self.steps.is_empty() {
            self.remember(workspace, &outcome, &report, progress);
        }
        Ok(report)
    }

    /// An empty file for what our binary writes down as the runner, if it is one.
    fn make_log(&self) -> Result<()> {
        if self.steps.iter().all(|step| matches!(step.kind, Kind::Compile | Kind::Nextest)) {
            return Ok(());
        }
        write_atomic(&self.log, "", Durability::Cache)
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
        let profile = self.options.tier.nextest_profile.as_deref().unwrap_or("default");
        let mut command = step.command.clone();
        let report = (step.kind == Kind::Nextest).then(|| Report::of(workspace, profile, &mut command));
        let report = report.transpose()?;
        let mut summary = None;
        let record = xtask_units::run(workspace, &command, options, progress, &mut |line| {
            // The last one is nextest's own: a test may run a nextest.
            summary = junit::summary_in(line).or(summary);
        })?;
        if step.kind == Kind::Nextest {
            outcome.summary.add(summary.unwrap_or_default());
        }
        if let Some(tests) = report.map(Report::read).transpose()?.flatten() {
            outcome.tests.extend(tests);
            outcome.summary = Counts { skipped: outcome.summary.skipped, ..Counts::default() };
        }
        if record.exit_code != Some(0) && outcome.failed_command.is_none() {
            outcome.failed_command = Some(step.plain.clone());
        }
        outcome.commands.push(step.command.to_string());
        outcome.signal = record.signal;
        outcome.records.push(record);
        Ok(())
    }

    fn report(&self, outcome: &Outcome, started_at_ms: u64) -> TierReport {
        let tier = &self.options.tier;
        let sum = |of: fn(&Record) -> u64| outcome.records.iter().map(of).sum::<u64>();
        let (compile_ms, run_ms) = (sum(|record| record.compile_ms), sum(|record| record.run_ms));
        let budget_ms = tier.budget.map(whole_milliseconds);
        let over_budget = budget_ms.is_some_and(|budget| compile_ms + run_ms > budget);
        let passed = outcome.failed_command.is_none() && outcome.signal.is_none();
        let tests = outcome.counts();
        let no_test_matched = passed
            && !self.steps.is_empty()
            && names_tests(&self.options.runner_args)
            && tests.passed + tests.failed == 0;
        let count = |of: fn(&Record) -> usize| outcome.records.iter().map(of).max().unwrap_or(0);
        TierReport {
            tier: self.tier.clone(),
            packages: self.packages.iter().map(|chosen| chosen.name.clone()).collect(),
            members: self.members,
            why: self.why.clone(),
            runner: self.runner.clone(),
            units: Units {
                // A second step (doc tests) finds the same units again, so they are not added up.
                fresh: count(Record::fresh),
                compiled: outcome.records.iter().map(Record::compiled).sum(),
            },
            tests,
            no_test_matched,
            custom_harnesses: outcome.programs.iter().filter(|program| program.tests.is_none()).count(),
            compile_ms,
            run_ms,
            budget_ms,
            over_budget,
            not_compiled: (!outcome.built()).then(|| outcome.not_compiled()),
            success: passed
                && !no_test_matched
                && !(over_budget && tier.on_over_budget == OnOverBudget::Fail),
            failures: outcome.failures(),
            slowest_units: if over_budget { slowest(unit_times(&outcome.records)) } else { Vec::new() },
            slowest_tests: if over_budget { slowest(outcome.test_times()) } else { Vec::new() },
            commands: outcome.commands.clone(),
            failed_command: outcome.failed_command.clone(),
            started_at_ms,
            signal: outcome.signal,
        }
    }

    /// Keeps the ledger line and each member's verdict. A full disk must not turn a green run red.
    fn remember(
        &self,
        workspace: &Workspace,
        outcome: &Outcome,
        report: &TierReport,
        progress: &dyn Progress,
    ) {
        let kept = history::append(workspace, report, self.narrow.clone())
            .and_then(|()| self.keep_verdicts(workspace, outcome, report));
        if let Err(error) = kept {
            progress.note(&format!("the result of this run was not kept: {error:#}"));
        }
    }

    fn keep_verdicts(&self, workspace: &Workspace, outcome: &Outcome, report: &TierReport) -> Result<()> {
        let Some(before) = &self.inputs else { return Ok(()) };
        let compiled = outcome.records.iter().any(|record| record.compiled() > 0);
        // What was compiled has new dep-info, by us or by another run at the same time; else the inputs are
        // those of before.
        let unknown =
            self.packages.iter().any(|chosen| !matches!(before.members.get(&chosen.name), Some(Some(_))));
        let after =
            if compiled || unknown { Some(select::inputs_now(&self.options, workspace)?) } else { None };
        let contents = match &after {
            Some(after) => after.contents.clone(),
            None => select::contents_now(&self.options, workspace)?,
        };
        // A file edited during the run may or may not have been compiled in.
        let unchanged = contents == before.contents;
        let inputs = &after.as_ref().unwrap_or(before).members;
        let built = outcome.built();
        let all_green = outcome.failed_command.is_none();
        let failing = outcome.failing_packages();
        let all_ran = !self.steps.iter().any(|step| step.command.has(Flag::FailFast));
        // The next run, with everything compiled, may hold it.
        let blown = report.over_budget && self.options.tier.on_over_budget == OnOverBudget::Fail;
        Results::update(workspace, &self.tier, |results| {
            results.lock.clone_from(&before.lock);
            for chosen in &self.packages {
                let name = &chosen.name;
                let verdict = if failing.contains(name) || !built || blown {
                    Verdict { passed: false, inputs: None }
                } else if !self.options.runner_args.is_empty() {
                    // Only some of its tests ran: that says nothing of the others.
                    continue;
                } else if all_green
                    || (all_ran && !failing.is_empty() && self.left_records(workspace, outcome, name))
                {
                    let inputs = inputs.get(name).cloned().flatten();
                    Verdict { passed: true, inputs: inputs.filter(|_| unchanged) }
                } else {
                    // Something failed that no test program reported, or kept others from running: it may be this
                    // member's.
                    Verdict { passed: false, inputs: None }
                };
                results.members.insert(name.clone(), verdict);
            }
        })
    }
}

impl TierPlan {
    /// Whether every test program of `member` that the steps were to start, and its doc tests, left a record of how it
    /// ended. One that could not be started, or whose record could not be written, left none. nextest's report names
    /// every test; without it nothing of nextest's has failed by name.
    fn left_records(&self, workspace: &Workspace, outcome: &Outcome, member: &str) -> bool {
        let has_library = workspace.facts.member(member).is_some_and(LocalPackage::has_library);
        self.steps.iter().zip(&outcome.records).all(|(step, record)| {
            let doctests = has_library && matches!(step.kind, Kind::Doctests | Kind::TestsAndDoctests);
            let programs = match step.kind {
                Kind::Tests | Kind::TestsAndDoctests | Kind::Bench => test_programs(&record.units, member),
                Kind::Compile | Kind::Nextest | Kind::Doctests => BTreeMap::new(),
            };
            recorded(&outcome.programs, member, programs, doctests)
        })
    }
}

/// How many test programs of each name were built for `member`.
fn test_programs(units: &[BuiltUnit], member: &str) -> BTreeMap<String, usize> {
    let mut programs = BTreeMap::<String, usize>::new();
    for unit in units.iter().filter(|unit| unit.test && unit.package == member) {
        // The others are debug information.
        if let Some(file) = unit.files.first() {
            *programs.entry(program_name(file.as_str())).or_default() += 1;
        }
    }
    programs
}

/// Whether `runs` has a line for each of `programs`, and for the doc tests where there are some.
fn recorded(
    runs: &[ProgramRun],
    member: &str,
    mut programs: BTreeMap<String, usize>,
    doctests: bool,
) -> bool {
    if doctests {
        programs.insert(DOCTESTS.to_owned(), 1);
    }
    programs.iter().all(|(program, count)| {
        let of_program = |run: &&ProgramRun| run.package == member && run.program == *program;
        runs.iter().filter(of_program).count() >= *count
    })
}

fn read_programs(log: &camino::Utf8Path) -> Result<Vec<ProgramRun>> {
    Ok(read_lines(log)?.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

impl Outcome {
    fn counts(&self) -> Counts {
        let mut counts = self.summary;
        for test in &self.tests {
            counts.add(one(test.passed));
        }
        for program in &self.programs {
            counts.add(program.tests.unwrap_or_else(|| one(program.success)));
        }
        counts
    }

    fn built(&self) -> bool {
        self.records.iter().all(|record| record.build_succeeded == Some(true))
    }

    fn not_compiled(&self) -> Vec<String> {
        self.records.iter().flat_map(|record| record.not_compiled.clone()).collect()
    }

    fn failures(&self) -> Vec<String> {
        let tests = self.tests.iter().filter(|test| !test.passed);
        let tests = tests.map(|test| format!("{}: {}", test.package, test.name));
        let programs = self.programs.iter().filter(|program| !program.success);
        tests.chain(programs.map(|program| format!("{}: {}", program.package, program.program))).collect()
    }

    fn failing_packages(&self) -> BTreeSet<String> {
        let tests = self.tests.iter().filter(|test| !test.passed).map(|test| test.package.clone());
        let programs = self.programs.iter().filter(|program| !program.success);
        tests.chain(programs.map(|program| program.package.clone())).collect()
    }

    /// Per test under nextest, per program under `cargo test`, which tells no more on stable.
    fn test_times(&self) -> Vec<Slow> {
        let tests = self
            .tests
            .iter()
            .map(|test| Slow { name: format!("{}: {}", test.package, test.name), ms: test.ms });
        let mut programs = BTreeMap::<String, u64>::new();
        for program in &self.programs {
            *programs.entry(format!("{}: {}", program.package, program.program)).or_default() += program.ms;
        }
        tests.chain(programs.into_iter().map(|(name, ms)| Slow { name, ms })).collect()
    }
}

/// Whether the arguments for the tests' runner select tests, as far as can be told: then none is a typo.
fn names_tests(runner_args: &[String]) -> bool {
    let lists = ["--list", "--help", "-h", "--no-run"];
    runner_args.iter().any(|arg| !arg.starts_with('-'))
        && !runner_args.iter().any(|arg| lists.contains(&arg.as_str()))
}

fn one(passed: bool) -> Counts {
    Counts { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
}
