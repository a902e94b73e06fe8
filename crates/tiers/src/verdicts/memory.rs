//! What a run looks up in the store, and what it leaves there.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use xtask_workspace::config::TestInputs;
use xtask_workspace::{CargoCommand, Digest, Progress, Workspace, head_commit};

use super::contents::Contents;
use super::files::RunTimeFiles;
use super::store::{Mismatch, Pass, Store};
use super::{Clauses, Inputs, Run};
use crate::budget::Deferred;
use crate::execute::{Outcome, ProgramReport, Verdict};
use crate::history::{History, LastRun};
use crate::nextest::{NEXTEST_CONFIG, Runner, has_scripts};
use crate::plan::{TestWork, TierPlan};
use crate::programs::Program;
use crate::runner_shim::{Counts, DOCTESTS, TestRun, user_runners};

/// What is remembered, as far as this run may use it.
pub(crate) struct Memory<'a> {
    plan: &'a TierPlan,
    work: &'a TestWork,
    workspace: &'a Workspace,
    /// `None` if nothing may be written.
    store: Option<Store>,
    /// Why passes are not looked up, if so.
    off: Option<String>,
    /// `None` if they are not needed or not known.
    inputs: Option<Inputs<'a>>,
    before_build: Option<Digest>,
    history: &'a History,
}

/// A program, and what was decided of it.
pub(crate) struct Candidate {
    program: Program,
    /// `None` if it is not known what its result depends on, or if it is not to be remembered.
    clauses: Option<Clauses>,
    /// What was looked up.
    key: Option<Digest>,
    /// The pass that is remembered, though the program may run all the same.
    pass: Option<Pass>,
    /// [`Verdict::NotRun`] if it is to run.
    verdict: Verdict,
    why: String,
    /// How long it would have taken, in milliseconds, if it is deferred.
    deferred_ms: u64,
}

impl Candidate {
    /// The program, if it has to run.
    pub(crate) fn to_run(&self) -> Option<&Program> {
        (self.verdict == Verdict::NotRun).then_some(&self.program)
    }
}

impl<'a> Memory<'a> {
    pub(crate) fn open(
        plan: &'a TierPlan,
        work: &'a TestWork,
        workspace: &'a Workspace,
        progress: &dyn Progress,
    ) -> Self {
        // What only some tests did says nothing of their program.
        let store = if work.command.verb != "test" {
            Err("benchmarks are not remembered".to_owned())
        } else if plan.options.runner_args.is_empty() {
            Store::open(workspace)
        } else {
            Err("only some tests are run".to_owned())
        };
        let stopped = store.as_ref().ok().and_then(Store::stopped);
        let off = match (&store, &stopped) {
            (Err(why), _) => Some(why.clone()),
            (_, Some(mismatch)) => {
                let program = &mismatch.program;
                let why =
                    format!("{program} failed although its pass was remembered; see cargo xtask verdicts");
                progress.note(&format!("nothing is remembered: {why}"));
                Some(why)
            }
            _ => why_off(plan, work, workspace),
        };
        let store = store.ok().filter(|_| stopped.is_none());
        let history = &plan.history;
        let mut memory =
            Self { plan, work, workspace, store, off, inputs: None, before_build: None, history };
        memory.read_again(progress);
        memory.before_build = memory.inputs.as_ref().map(|inputs| inputs.before_build(memory.members()));
        if memory.inputs.is_none() {
            memory.off.get_or_insert_with(|| "the inputs of the tests are not known".to_owned());
        }
        if let Some(why) = &memory.off {
            progress.detail(&format!("passes are not looked up: {why}"));
        }
        memory
    }

    /// Why passes are not looked up, if so.
    pub(crate) fn off(&self) -> Option<&str> {
        self.off.as_deref()
    }

    /// Whether everything is as it was after a run that left nothing to run. Cargo and the programs have the last word.
    pub(crate) fn expects_nothing(&self) -> bool {
        let complete = self.history.complete.get(&self.plan.tier);
        self.off.is_none() && complete.is_some() && complete == self.before_build.as_ref()
    }

    /// Reads the inputs as they are now.
    pub(crate) fn read_again(&mut self, progress: &dyn Progress) {
        if self.store.is_none() {
            return;
        }
        let runner = match &self.plan.runner {
            Runner::Nextest { version } => format!("nextest {version}"),
            Runner::Cargo => "cargo".to_owned(),
        };
        let command = self.work.nextest.as_ref().unwrap_or(&self.work.command);
        // `--tool-config-file NAME:PATH`
        let named = command.clone().take_values(&["--config-file", "--tool-config-file"]).into_iter();
        let named = named.map(|file| file.rsplit_once(':').map_or(file.clone(), |(_, path)| path.to_owned()));
        // The root manifest may have what `CARGO_PKG_*` says while a test runs.
        let files = named.chain([NEXTEST_CONFIG, "Cargo.toml"].map(str::to_owned));
        let configuration = files.map(|file| self.workspace.root().join(file)).collect::<Vec<_>>();
        let run = Run {
            command,
            runner,
            runners: user_runners(self.workspace, &self.work.command),
            scripts: self.work.nextest.is_some() && configuration.iter().any(has_scripts),
            configuration,
        };
        let contents = match self.inputs.take() {
            Some(inputs) => inputs.contents,
            None => Contents::load(&self.workspace.state_dir()),
        };
        let inputs = Inputs::read(self.workspace, &self.plan.options.scope, &run, contents);
        let inputs = inputs.map_err(|error| progress.note(&format!("nothing is remembered: {error:#}")));
        self.inputs = inputs.ok();
    }

    /// The members of the tier, as indices into the packages.
    fn members(&self) -> impl Iterator<Item = usize> {
        let packages = self.workspace.facts.packages.iter().enumerate();
        let chosen = self.plan.packages.iter().map(|chosen| &*chosen.name).collect::<BTreeSet<_>>();
        packages
            .filter(move |(_, package)| package.member && chosen.contains(&*package.name))
            .map(|(at, _)| at)
    }

    fn package(&self, program: &Program) -> &'a str {
        &self.workspace.facts.packages[program.package].name
    }

    /// Decides for each program whether it has to run.
    pub(crate) fn decide(&mut self, programs: Vec<Program>, progress: &dyn Progress) -> Vec<Candidate> {
        let clauses = match &mut self.inputs {
            Some(inputs) => inputs.clauses(&programs),
            None => programs.iter().map(|_| None).collect(),
        };
        let programs = programs.into_iter().zip(clauses);
        programs.map(|(program, clauses)| self.decide_one(program, clauses, progress)).collect()
    }

    fn decide_one(&self, program: Program, clauses: Option<Clauses>, progress: &dyn Progress) -> Candidate {
        let package = self.package(&program);
        let declared = self.plan.options.scope.test_inputs.iter().find(|inputs| inputs.name == package);
        let is_remembered = declared.is_none_or(TestInputs::remembers);
        let clauses = clauses.filter(|_| is_remembered);
        let key = clauses.as_ref().map(Clauses::key);
        let pass = self.store.as_ref().zip(key.as_ref()).and_then(|(store, key)| store.get(key));
        let is_due = pass.is_some() && self.is_due(&program);
        let deferred = self.plan.deferred.iter().find(|deferred| deferred.name == program.name);
        let earlier = self.history.deferred.get(&self.plan.tier);
        let (verdict, why) = if !self.plan.packages.iter().any(|chosen| chosen.name == package) {
            (Verdict::LeftOut, format!("never ran here, and nothing reaches it: {}", self.plan.why))
        } else if self.off.is_none() && pass.is_some() && !is_due {
            (Verdict::Remembered, "passed before with everything the same".to_owned())
        } else if let Some(deferred) = deferred {
            (Verdict::Deferred, deferred.why())
        } else if self.plan.options.deferred && !earlier.is_some_and(|all| all.contains_key(&program.name)) {
            (Verdict::LeftOut, "was not deferred".to_owned())
        } else if !is_remembered {
            (Verdict::NotRun, "[test-inputs] says that it is not remembered".to_owned())
        } else if let Some(why) = &self.off {
            (Verdict::NotRun, why.clone())
        } else if is_due {
            (
                Verdict::NotRun,
                "its pass is remembered; run all the same, to see whether it still passes".to_owned(),
            )
        } else {
            let changed = |inputs: &Inputs| inputs.changed(&program, clauses.as_ref(), self.history);
            (Verdict::NotRun, self.inputs.as_ref().map(changed).unwrap_or_default())
        };
        if verdict == Verdict::NotRun {
            progress.detail(&format!("{}: {why}", program.name));
        }
        let deferred = deferred.filter(|_| verdict == Verdict::Deferred);
        let deferred_ms = deferred.map_or(0, |deferred| deferred.estimated_ms);
        Candidate { program, clauses, key, pass, verdict, why, deferred_ms }
    }

    /// Whether it is the turn of a remembered program to run all the same: once in as many times as the share of `audit` says.
    fn is_due(&self, program: &Program) -> bool {
        let Some(every) = 100_u32.checked_div(self.plan.options.scope.verdicts.audit) else { return false };
        self.found(program) % every == audit_turn(&program.name, every)
    }

    /// How often a pass of the program was found.
    fn found(&self, program: &Program) -> u32 {
        self.history.programs.get(&program.name).map_or(0, |last| last.found)
    }

    /// Puts the programs into the order in which they run: those that failed last time, then those of packages that changed,
    /// the slowest first.
    pub(crate) fn sort(&self, candidates: &mut [Candidate]) {
        candidates.sort_by_cached_key(|one| {
            let last = self.history.programs.get(&one.program.name);
            let own_files = |since| {
                let package = &self.workspace.facts.packages[one.program.package].dir;
                let changed = |inputs: &Inputs| inputs.changed_files(&one.program, since);
                let files = self.inputs.as_ref().map(changed).unwrap_or_default();
                files.iter().any(|file| self.workspace.root().join(file).starts_with(package))
            };
            let rank = match last {
                _ if one.to_run().is_none() => 3,
                Some(last) if !last.passed => 0,
                Some(last) if !own_files(last.at_ms) => 2,
                _ => 1,
            };
            (rank, std::cmp::Reverse(last.map_or(0, |last| last.ms)))
        });
    }

    /// Of the programs that have to run, defers those that take longer than what is left of the budget.
    pub(crate) fn defer(&self, candidates: &mut [Candidate], elapsed_ms: u64) {
        let Some(budget_ms) = self.plan.options.deferring_budget() else { return };
        let mut left_ms = budget_ms.saturating_sub(elapsed_ms);
        for one in candidates.iter_mut().filter(|one| one.verdict == Verdict::NotRun) {
            let ms = self.history.programs.get(&one.program.name).map_or(0, |last| last.ms);
            if ms > left_ms {
                let package = self.package(&one.program).to_owned();
                let deferred = Deferred { name: one.program.name.clone(), package, estimated_ms: ms };
                (one.verdict, one.why) = (Verdict::Deferred, deferred.why());
                one.deferred_ms = ms;
            } else {
                left_ms -= ms;
            }
        }
    }

    /// Writes down how each program ended, and remembers what passed.
    pub(crate) fn conclude(
        mut self,
        candidates: &mut [Candidate],
        decided_at_ms: u64,
        progress: &dyn Progress,
        outcome: &mut Outcome,
    ) {
        let runs = std::mem::take(&mut outcome.runs);
        let mut by_program = BTreeMap::<&str, Vec<&TestRun>>::new();
        for run in runs.iter().filter(|run| run.name != DOCTESTS) {
            by_program.entry(&run.program).or_default().push(run);
        }
        let same = self.same_inputs(candidates, &by_program, progress);
        let commit =
            same.first().and_then(|_| head_commit(self.workspace.root(), &self.workspace.environment));
        let (mut last_runs, mut problems) = (Vec::new(), Vec::new());
        for one in candidates.iter_mut() {
            let name = &one.program.name;
            let package = self.package(&one.program).to_owned();
            let found = self.found(&one.program).wrapping_add(u32::from(one.pass.is_some()));
            let mut last =
                LastRun { at_ms: decided_at_ms, package: package.clone(), found, ..LastRun::default() };
            match (one.verdict, by_program.get(&**name)) {
                (Verdict::NotRun, Some(runs)) => {
                    let whole = outcome.signal.is_none() && !outcome.gave_up;
                    let end = End::of(runs, whole, same.contains(name));
                    one.verdict = match end.passed {
                        true if outcome.gave_up => Verdict::NotRun,
                        true => Verdict::Passed,
                        false => Verdict::Failed,
                    };
                    match self.keep(one, &end, runs, (decided_at_ms, commit.clone())) {
                        Ok(mismatch) => outcome.mismatch = mismatch.or(outcome.mismatch.take()),
                        Err(error) => problems.push(error),
                    }
                    (last.passed, last.ms) = (end.passed, end.ms);
                    last.passed_with = one.clauses.clone().filter(|_| end.counts);
                    last_runs.push((name.clone(), last));
                }
                (Verdict::Remembered, _) => {
                    let pass = one.pass.take().unwrap_or_default();
                    outcome.remembered.add(&pass);
                    (last.passed, last.ms, last.passed_with) = (true, pass.ms, one.clauses.clone());
                    last_runs.push((name.clone(), last));
                }
                _ => outcome.deferred_ms += one.deferred_ms,
            }
            let why = std::mem::take(&mut one.why);
            outcome.programs.push(ProgramReport { name: name.clone(), package, verdict: one.verdict, why });
        }
        outcome.runs = runs;
        self.add_unbuilt(outcome);
        problems.extend(self.keep_history(last_runs, outcome).err());
        problems.extend(self.inputs.and_then(|inputs| inputs.contents.save().err()));
        problems.extend(self.store.and_then(|store| store.prune().err()));
        // A full disk must not fail a run that passed.
        if let Some(error) = problems.first() {
            progress.note(&format!("what passed was not remembered: {error:#}"));
        }
    }

    /// Adds the deferred programs that were not built.
    fn add_unbuilt(&self, outcome: &mut Outcome) {
        for deferred in &self.plan.deferred {
            if outcome.programs.iter().all(|program| program.name != deferred.name) {
                let Deferred { name, package, estimated_ms } = deferred.clone();
                let (verdict, why) = (Verdict::Deferred, deferred.why());
                outcome.deferred_ms += estimated_ms;
                outcome.programs.push(ProgramReport { name, package, verdict, why });
            }
        }
        outcome.programs.sort_by(|a, b| a.name.cmp(&b.name));
    }

    fn keep_history(&self, last_runs: Vec<(String, LastRun)>, outcome: &Outcome) -> anyhow::Result<()> {
        let is_done = |program: &ProgramReport| {
            matches!(program.verdict, Verdict::Passed | Verdict::Remembered | Verdict::LeftOut)
        };
        let nothing_left = outcome.failed_command.is_none()
            && outcome.signal.is_none()
            && !self.plan.options.deferred
            && outcome.programs.iter().all(is_done);
        let tier = &self.plan.tier;
        // A part of the tests says of a program only that it fails.
        let filtered = !self.plan.options.runner_args.is_empty();
        History::update(self.workspace, |history| {
            history.programs.extend(last_runs.into_iter().filter(|(_, last)| !filtered || !last.passed));
            if filtered {
                history.complete.remove(tier);
                return;
            }
            if let Some(inputs) = &self.inputs {
                history.environments.insert(inputs.environment.clone(), inputs.variables.clone());
            }
            let earlier = history.deferred.remove(tier).filter(|_| self.plan.options.deferred);
            let mut deferred = earlier.unwrap_or_default();
            for program in &outcome.programs {
                match program.verdict {
                    Verdict::Deferred => {
                        deferred.insert(program.name.clone(), program.package.clone());
                    }
                    Verdict::Passed | Verdict::Remembered => drop(deferred.remove(&program.name)),
                    Verdict::Failed | Verdict::LeftOut | Verdict::NotRun => {}
                }
            }
            history.deferred.insert(tier.clone(), deferred);
            let ran = outcome.programs.iter().filter(|program| {
                matches!(program.verdict, Verdict::Passed | Verdict::Failed | Verdict::NotRun)
            });
            let ran = ran.map(|program| (program.name.clone(), program.why.clone())).collect();
            history.ran.insert(tier.clone(), ran);
            match self.before_build.clone().filter(|_| nothing_left) {
                Some(complete) => history.complete.insert(tier.clone(), complete),
                None => history.complete.remove(tier),
            };
        })
    }

    /// Puts the pass of a program that ran into the store, or takes it out. Returns the mismatch if it failed although its
    /// pass is remembered. `run` is when it began and the commit.
    fn keep(
        &self,
        one: &Candidate,
        end: &End,
        runs: &[&TestRun],
        (at_ms, commit): (u64, Option<String>),
    ) -> anyhow::Result<Option<Mismatch>> {
        let Some((store, clauses)) = self.store.as_ref().zip(one.clauses.as_ref()) else { return Ok(None) };
        let program = one.program.name.clone();
        if end.passed {
            let pass = Pass { program, tests: end.tests, ms: end.ms, at_ms, commit };
            return if end.counts { store.put(&clauses.key(), &pass).map(|()| None) } else { Ok(None) };
        }
        let Some(key) = one.key.clone() else { return Ok(None) };
        // If the inputs changed meanwhile, that may be why.
        let contradicted = one.pass.clone().filter(|_| self.off.is_none() && end.same_inputs);
        let Some(pass) = contradicted else { return store.remove(&key).map(|()| None) };
        let failures = runs.iter().filter(|run| !run.success).map(|run| run.name.clone()).collect();
        let mismatch = Mismatch { program, key, pass, failures, at_ms };
        store.stop(&mismatch).map(|()| Some(mismatch))
    }

    /// The programs that ran and have the same inputs after the run as before it. Their clauses become those of after the run:
    /// what tests wrote may count by its name from now on.
    fn same_inputs(
        &mut self,
        candidates: &mut [Candidate],
        ran: &BTreeMap<&str, Vec<&TestRun>>,
        progress: &dyn Progress,
    ) -> BTreeSet<String> {
        let ran = candidates.iter_mut().filter(|one| ran.contains_key(&*one.program.name));
        let ran = ran.filter(|one| one.clauses.is_some()).collect::<Vec<_>>();
        let Some(inputs) = self.inputs.as_mut().filter(|_| !ran.is_empty()) else { return BTreeSet::new() };
        let packages = ran.iter().map(|one| one.program.package).collect();
        let unchanged = inputs.files_now().and_then(|after| {
            let unchanged = RunTimeFiles::unchanged(&inputs.files, &after, &packages)?;
            inputs.files = after;
            Ok(unchanged)
        });
        let unchanged = unchanged.unwrap_or_else(|error| {
            progress.note(&format!("what passed was not remembered: {error:#}"));
            BTreeSet::new()
        });
        let programs = ran.iter().map(|one| one.program.clone()).collect::<Vec<_>>();
        let mut same = BTreeSet::new();
        for (one, after) in ran.into_iter().zip(inputs.clauses(&programs)) {
            let is_same =
                |after: &Clauses| one.clauses.as_ref().is_some_and(|before| before.is_same_but_files(after));
            if unchanged.contains(&one.program.package) && after.as_ref().is_some_and(is_same) {
                one.clauses = after;
                same.insert(one.program.name.clone());
            }
        }
        same
    }
}

/// How a program ended.
struct End {
    passed: bool,
    same_inputs: bool,
    /// Whether the pass is remembered: it ran whole, at the first try, left nothing behind, and with the same inputs all the
    /// time.
    counts: bool,
    tests: Counts,
    ms: u64,
}

impl End {
    fn of(runs: &[&TestRun], whole: bool, same_inputs: bool) -> Self {
        let mut tests = Counts::default();
        for run in runs {
            tests.add(run.tests.unwrap_or_else(|| Counts::one(run.success)));
        }
        let passed = runs.iter().all(|run| run.success);
        let counts = passed && whole && same_inputs && runs.iter().all(|run| run.first_try);
        Self { passed, same_inputs, counts, tests, ms: runs.iter().map(|run| run.ms).sum() }
    }
}

/// Why passes are not looked up in this run, if so.
fn why_off(plan: &TierPlan, work: &TestWork, workspace: &Workspace) -> Option<String> {
    if !plan.options.tier.remembers() {
        Some("`remember` is off for this tier".to_owned())
    } else if plan.options.fresh {
        Some("--fresh".to_owned())
    } else if workspace.environment.get("CI").is_some_and(|ci| ci != "false") {
        Some("this is continuous integration".to_owned())
    } else {
        watched_by(work.nextest.as_ref().unwrap_or(&work.command), workspace)
    }
}

/// What a person watches the tests with, who wants to see them run.
fn watched_by(command: &CargoCommand, workspace: &Workspace) -> Option<String> {
    const FLAGS: [&str; 4] = ["--no-capture", "--nocapture", "--debugger", "--tracer"];
    const DEBUGGERS: [&str; 5] = ["gdb", "lldb", "rr", "rust-gdb", "rust-lldb"];
    let flag = command.words().into_iter().find(|word| FLAGS.iter().any(|flag| word.starts_with(flag)));
    flag.or_else(|| {
        let programs =
            user_runners(workspace, command).into_values().filter_map(|words| words.into_iter().next());
        let name = |program: &String| Utf8Path::new(program).file_name().map(str::to_owned);
        programs.filter_map(|program| name(&program)).find(|name| DEBUGGERS.contains(&&**name))
    })
}

/// At which of `every` times that its pass is found a program runs all the same.
///
/// In the second half, so that nothing is repeated right after it ran; and at one of a few moments, because each run that
/// starts a program at all starts the runner, which takes longer than most programs.
fn audit_turn(program: &str, every: u32) -> u32 {
    const MOMENTS: u32 = 5;
    let sum = |sum: u32, byte: u8| sum.wrapping_mul(31).wrapping_add(byte.into());
    let first = every / 2;
    first + program.bytes().fold(0, sum) % MOMENTS * (every - first) / MOMENTS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::audit_turn;

    #[test]
    fn audits_are_spread_over_a_few_moments() {
        let names = (0..100).map(|number| format!("package{number}::it")).collect::<Vec<_>>();
        let turns = |every| names.iter().map(|name| audit_turn(name, every)).collect::<BTreeSet<_>>();
        assert_eq!(turns(1), [0].into());
        assert_eq!(turns(2), [1].into());
        assert_eq!(turns(50), [25, 30, 35, 40, 45].into());
    }
}
