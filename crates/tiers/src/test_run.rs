//! A run of a tier of tests: build, decide which programs run, and run them.
//!
//! Invariant: cargo builds first, always; what is decided is decided of the programs that it then names.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use toml_edit::DocumentMut;
use xtask_units::process::{self, Out, Stream};
use xtask_units::{Forecast, now_ms, whole_milliseconds};
use xtask_workspace::config::TierCommand;
use xtask_workspace::{Call, CargoCommand, Flag, Progress, Workspace};

use crate::cause::{self, Cause, CauseKind};
use crate::execute::Outcome;
use crate::nextest::{self, Said};
use crate::plan::{Doctests, TestWork, TierPlan, known_forecast};
use crate::programs::Program;
use crate::runner_shim::{Counts, DOCTESTS, Launch, Launched, TestRun, ask_cargo, has_runner};
use crate::verdicts::memory::{Candidate, Memory};

/// A program that takes longer to list its tests does something else.
const LISTS: Duration = Duration::from_secs(30);

/// A run in progress.
struct Tests<'a> {
    plan: &'a TierPlan,
    work: &'a TestWork,
    workspace: &'a Workspace,
    progress: &'a dyn Progress,
    outcome: &'a mut Outcome,
}

impl TierPlan {
    /// Builds the tests and runs those that have to run.
    pub(crate) fn test(
        &self,
        work: &TestWork,
        workspace: &Workspace,
        progress: &dyn Progress,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let started_at_ms = now_ms();
        let mut memory = Memory::open(self, work, workspace, progress);
        outcome.remembered.off = memory.off().map(str::to_owned);
        let mut tests = Tests { plan: self, work, workspace, progress, outcome };
        let list = tests.build(memory.expects_nothing())?;
        if tests.outcome.signal.is_some() || !tests.outcome.built() {
            tests.fail(None);
            return Ok(());
        }
        let record = &tests.outcome.records[tests.outcome.records.len() - 1];
        let mut programs = Program::all(workspace, record);
        if record.compiled() > 0 {
            // A build script may have written where tests read.
            memory.read_again(progress);
        }
        if let Some(list) = &list {
            let names = nextest::names(list)?;
            for program in &mut programs {
                if let Some(name) = names.get(&program.path) {
                    program.name.clone_from(name);
                }
            }
        }
        let mut candidates = memory.decide(programs, progress);
        // What was new to this run is no change after it.
        let decided_at_ms = now_ms();
        memory.sort(&mut candidates);
        memory.defer(&mut candidates, decided_at_ms.saturating_sub(started_at_ms));
        let to_run = candidates.iter().filter_map(Candidate::to_run).collect::<Vec<_>>();
        let started = Instant::now();
        tests.run(list, &to_run)?;
        tests.outcome.run_ms = whole_milliseconds(started.elapsed());
        if tests.outcome.refused.as_ref().is_some_and(Cause::is_refusal) {
            // Nothing was found out about any test.
            tests.outcome.runs.clear();
            return Ok(());
        }
        memory.conclude(&mut candidates, decided_at_ms, progress, tests.outcome);
        Ok(())
    }
}

impl Tests<'_> {
    /// The run failed; `command` shows the failure again.
    fn fail(&mut self, command: Option<&CargoCommand>) {
        let command = command.or(self.work.nextest.as_ref()).unwrap_or(&self.work.command);
        self.outcome.failed_command.get_or_insert_with(|| command.to_string());
    }

    /// Builds, and returns nextest's list of programs if it was nextest that built.
    fn build(&mut self, expects_nothing: bool) -> Result<Option<String>> {
        let TestWork { command, nextest, .. } = self.work;
        let forecast = match &self.plan.forecast {
            _ if expects_nothing => Some(Forecast::default()),
            Some(forecast) => Some(forecast.clone()),
            None => known_forecast(self.workspace, command, &self.plan.options.exe),
        };
        let mut build = command.clone();
        // Where nothing is expected to run, cargo itself is the quickest to say so.
        if nextest.is_some() && !expects_nothing {
            build = build.to_nextest_list();
        } else {
            build.run_nothing();
        }
        let mut list = None;
        let forecast = forecast.as_ref();
        self.outcome.cargo(self.workspace, &build, forecast, self.progress, &mut |line| {
            let is_list = nextest::is_list(line);
            if is_list {
                list = Some(line.to_owned());
            }
            !is_list
        })?;
        Ok(list)
    }

    /// Runs the programs and the doc tests. Goes on after a failure, unless the tier says otherwise.
    fn run(&mut self, list: Option<String>, programs: &[&Program]) -> Result<()> {
        let (mut listed, mut others) = (Vec::new(), programs.to_vec());
        if self.work.nextest.is_some() {
            (listed, others) = others.into_iter().partition(|program| self.lists(program));
        }
        if !listed.is_empty() {
            if !others.is_empty() {
                let names = others.iter().map(|program| &*program.name).collect::<Vec<_>>().join(", ");
                let text = "cannot list its tests, as nextest needs it, so it is run as `cargo test` does";
                self.progress.note(&format!("{names}: {text}"));
            }
            self.nextest(list, &listed)?;
        }
        let together = matches!(self.work.doctests, Doctests::Together);
        if (together || !others.is_empty()) && self.outcome.signal.is_none() {
            self.launch(&self.work.command, &others, together)?;
        }
        if let Doctests::Apart(command) = &self.work.doctests
            && self.outcome.signal.is_none()
        {
            self.launch(command, &[], true)?;
        }
        Ok(())
    }

    /// Whether nextest can list the tests of the program: only one with a harness of its own may not.
    fn lists(&self, program: &Program) -> bool {
        let package = &self.workspace.facts.packages[program.package];
        let manifest = std::fs::read_to_string(package.dir.join("Cargo.toml")).unwrap_or_default();
        if !may_have_own_harness(&manifest, &program.name) {
            return true;
        }
        // A runner would have to start it.
        if has_runner(self.workspace, &self.work.command) {
            return false;
        }
        let environment = self.work.command.environment(&self.workspace.environment);
        let ask = |args: &[&str]| {
            let call = Call::new(package.dir.clone(), program.path.as_str(), args.iter().copied());
            let mut said = String::new();
            // What it has started and forgotten may hold its output.
            let ended = process::run(&call, &environment, Some(LISTS), Out::Lines, &mut |stream, line| {
                if stream == Stream::Out {
                    said.extend([line, "\n"]);
                }
            });
            ended.is_ok_and(|ended| ended.status.success()).then_some(said)
        };
        // nextest's documentation, "Custom test harnesses".
        match ask(&["--list", "--format", "terse"]) {
            // One that ignores its arguments may say nothing, as libtest does where there are no tests.
            Some(text) if text.is_empty() => ask(&["--list"]).is_some_and(|text| text.contains("0 tests, ")),
            Some(text) => text.lines().all(|line| line.ends_with(": test") || line.ends_with(": benchmark")),
            None => false,
        }
    }

    /// Lets nextest run `programs`, in their order, from the build that its `list` is of.
    fn nextest(&mut self, list: Option<String>, programs: &[&Program]) -> Result<()> {
        let Some(nextest) = &self.work.nextest else { return Ok(()) };
        // Cargo built, because nothing was expected to run.
        let list = if list.is_some() { list } else { self.build(false)? };
        let Some(list) = list.filter(|_| self.outcome.built()) else {
            self.fail(None);
            return Ok(());
        };
        let names = programs.iter().map(|program| &*program.name).collect::<Vec<_>>();
        let mut command = nextest.clone();
        let files = nextest::Files::new(self.workspace, &list, &names, &mut command, &self.work.command);
        let files = files
            .map_err(|error| {
                self.progress.note(&format!("what each test program did will not be known: {error:#}"));
            })
            .ok();
        let started = SystemTime::now();
        self.progress.detail(&format!("running `{command}`"));
        let (environment, mut said) = (&self.workspace.environment, Said::default());
        let ended = process::run(&Call::from(&command), environment, None, Out::Lines, &mut |_, line| {
            said.line(line);
            self.progress.output(line);
        })?;
        self.outcome.commands.push(nextest.to_string());
        self.outcome.signal = ended.signal;
        if !ended.status.success() {
            self.fail(None);
            self.outcome.refused = refused_by_nextest(ended.status.code());
        }
        let reported = match files.map(|files| files.read(self.workspace, started, &said)).transpose() {
            Ok(runs) => runs.flatten(),
            Err(error) => {
                self.progress.note(&format!("what nextest reported is not known: {error:#}"));
                None
            }
        };
        let counts = said.summary.map(|summary| summary.tests).unwrap_or_default();
        // The summary does not say whose tests are missing.
        self.outcome.gave_up = said.summary.is_none_or(|summary| !summary.whole);
        let all_reported = reported.is_some() || counts.passed + counts.failed == 0;
        self.outcome.summary =
            if all_reported { Counts { skipped: counts.skipped, ..Counts::default() } } else { counts };
        let mut runs = reported.unwrap_or_default();
        if all_reported && !self.outcome.gave_up {
            // A program without tests has no line in the report.
            let reported = runs.iter().map(|run| run.program.clone()).collect::<BTreeSet<_>>();
            let empty = programs.iter().filter(|program| !reported.contains(&program.name));
            runs.extend(empty.map(|program| TestRun {
                program: program.name.clone(),
                package: self.workspace.facts.packages[program.package].name.clone(),
                name: program.target.clone(),
                ms: 0,
                success: true,
                first_try: true,
                tests: Some(Counts::default()),
            }));
        }
        for run in &mut runs {
            run.first_try &= !said.may_leak(&run.program);
        }
        self.outcome.runs.extend(runs);
        Ok(())
    }

    /// Lets cargo say how each program of `command` is started, and starts `programs`, then the doc tests if they are wanted.
    fn launch(&mut self, command: &CargoCommand, programs: &[&Program], doctests: bool) -> Result<()> {
        let exe = &self.plan.options.exe;
        let mut plain = command.clone();
        if !doctests && command.verb == "test" && !command.has(Flag::Targets) {
            // The same programs, without the doc tests.
            plain.insert_args(["--tests"]);
        }
        let (record, launches) = ask_cargo(self.workspace, command, &plain, exe, self.progress)?;
        self.outcome.commands.push(command.to_string());
        self.outcome.signal = record.signal;
        if record.exit_code != Some(0) {
            self.fail(Some(command));
            if record.refused.is_some() {
                self.outcome.refused = Some(cause::not_built(&[record]));
                return Ok(());
            }
        }
        let chosen = |launch: &&Launch| self.plan.packages.iter().any(|chosen| chosen.name == launch.package);
        let documented = launches.iter().filter(|launch| doctests && launch.program.is_none()).filter(chosen);
        let documented = documented.map(|launch| (launch, DOCTESTS, DOCTESTS));
        let of_programs = programs.iter().filter_map(|program| {
            let launch = launches.iter().find(|launch| launch.program.as_ref() == Some(&program.path))?;
            Some((launch, &*program.name, &*program.target))
        });
        let all = of_programs.chain(documented).collect::<Vec<_>>();
        for (launch, id, name) in all {
            if self.outcome.signal.is_some() {
                break;
            }
            let success = match launch.run(id, name, self.progress) {
                Ok((Launched { refused: Some(what), .. }, _)) => {
                    self.outcome.refused = Some(Cause::new(CauseKind::WrongUsage, what));
                    false
                }
                Ok((_, Some(signal))) => {
                    self.outcome.signal = Some(signal);
                    false
                }
                Ok((Launched { run, .. }, None)) => {
                    let success = run.success;
                    self.outcome.runs.push(run);
                    success
                }
                Err(error) => {
                    self.progress.note(&format!("{error:#}"));
                    false
                }
            };
            if !success {
                self.fail(Some(command));
                if command.has(Flag::FailFast) || self.plan.options.tier.command == TierCommand::Bench {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// What nextest's exit code says, if it is not about tests (`nextest-metadata`, `NextestExitCode`).
fn refused_by_nextest(code: Option<i32>) -> Option<Cause> {
    let (kind, what) = match code? {
        2 => (CauseKind::WrongUsage, "cargo-nextest does not take the arguments"),
        92 => (CauseKind::EnvironmentLacks, "the configuration of nextest demands another version"),
        94 => (CauseKind::WrongUsage, "cargo-nextest does not understand the filter"),
        95 | 96 => (CauseKind::WrongUsage, "cargo-nextest does not take its configuration"),
        104 => (CauseKind::Runner, "cargo-nextest could not list the tests"),
        105 => (CauseKind::Runner, "a setup script of nextest failed"),
        _ => return None,
    };
    Some(Cause::new(kind, what))
}

/// Whether the manifest gives the program, or one that is no benchmark either, a harness of its own.
fn may_have_own_harness(manifest: &str, program: &str) -> bool {
    let without_benches = |mut document: DocumentMut| {
        document.remove("bench");
        document.to_string().contains("harness")
    };
    manifest.contains("harness")
        && (program.contains("::bench/") || manifest.parse().map_or(true, without_benches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harness_of_a_benchmark_is_none_of_a_test() {
        let bench = "[package]\nname = \"app\"\n[[bench]]\nname = \"speed\"\nharness = false\n";
        let test = format!("{bench}[[test]]\nname = \"own\"\nharness = false\n");
        let inline = "test = [{ name = \"own\", harness = false }]\n".to_owned();
        // the manifest, the program, whether it is asked for its tests
        let table = [
            (bench.to_owned(), "app", false),
            (bench.to_owned(), "app::it", false),
            (bench.to_owned(), "app::bench/speed", true),
            (test.clone(), "app::own", true),
            (inline, "app::own", true),
            ("[lib]\nharness = false\n".to_owned(), "app", true),
            ("harness = ".to_owned(), "app", true),
        ];
        for (manifest, program, expected) in table {
            assert_eq!(may_have_own_harness(&manifest, program), expected, "{manifest} {program}");
        }
    }
}
