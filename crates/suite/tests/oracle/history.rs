//! The life of one generated workspace: edits, git operations and accidents, each followed by the check.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use xtask_testkit::{Generated, Outcome, Random, Wishes};

use crate::git_steps;
use crate::tests_run::{Numbers, Said, Truth, failing, numbers, test_fast, truth};

/// What histories added up to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    histories: usize,
    pub(crate) steps: usize,
    members: usize,
    pub(crate) skipped: usize,
    /// Members whose numbers differed from those of the last run.
    changed: usize,
    /// Members chosen though nothing could have broken them, and they were green.
    needless: usize,
    /// Of these, where all members were chosen.
    needless_in_full_runs: usize,
    red: usize,
    broken_builds: usize,
    /// Second runs without any change that chose more than what was red.
    second_runs: BTreeMap<String, usize>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.steps += other.steps;
        self.members += other.members;
        self.skipped += other.skipped;
        self.changed += other.changed;
        self.needless += other.needless;
        self.needless_in_full_runs += other.needless_in_full_runs;
        self.red += other.red;
        self.broken_builds += other.broken_builds;
        for (why, count) in &other.second_runs {
            *self.second_runs.entry(why.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} histories, {} steps ({} did not build), {} members in all: {} changed, {} skipped, {} red",
            self.histories,
            self.steps,
            self.broken_builds,
            self.members,
            self.changed,
            self.skipped,
            self.red
        )?;
        write!(
            f,
            "chosen needlessly: {} ({} of them in runs of all members); second runs that chose anything green: {:?}",
            self.needless, self.needless_in_full_runs, self.second_runs
        )
    }
}

pub(crate) struct History {
    seed: u64,
    random: Random,
    workspace: Generated,
    doctests: bool,
    with_git: bool,
    /// The numbers of the last run of each member through `test-fast`.
    last: Numbers,
    /// The numbers that a run which was killed got to: perhaps it counts as the last one.
    killed: Numbers,
    /// By commit.
    bases: BTreeMap<String, Option<Numbers>>,
    story: Vec<String>,
    tally: Tally,
}

impl History {
    pub(crate) fn new(seed: u64, most_members: usize) -> Self {
        let mut random = Random::new(seed);
        let wishes = Wishes { doctests: random.chance(30), most_members, lock_ignored: random.chance(15) };
        let runner = if random.chance(50) { "auto" } else { "cargo" };
        let toml = format!(
            "[tiers.test-fast]\nrunner = \"{runner}\"\ndoctests = {}\nbudget = \"1h\"\n",
            wishes.doctests
        );
        let workspace = Generated::new(&format!("oracle-{seed}"), &mut random, wishes, &toml);
        let mut story = vec![format!("seed {seed}, runner {runner}, {wishes:?}")];
        let with_git = random.chance(95);
        if with_git {
            // So that the lock file is in the first commit, where it is not ignored.
            xtask_testkit::cargo(&workspace.root())
                .args(["generate-lockfile", "--quiet"])
                .status()
                .expect("cargo");
            story.push(git_steps::start(&workspace.root(), &mut random));
        } else {
            story.push("no git".to_owned());
        }
        let (last, killed, bases) = (Numbers::new(), Numbers::new(), BTreeMap::new());
        let tally = Tally { histories: 1, ..Tally::default() };
        Self {
            seed,
            random,
            workspace,
            doctests: wishes.doctests,
            with_git,
            last,
            killed,
            bases,
            story,
            tally,
        }
    }

    /// Goes through `steps` edits.
    ///
    /// # Panics
    /// When the invariant does not hold, with the whole story.
    pub(crate) fn run(mut self, steps: usize) -> Tally {
        for step in 0..=steps {
            if step > 0 {
                self.change();
            }
            if !self.check() {
                break;
            }
        }
        self.tally
    }

    fn fail(&self, what: &str) -> ! {
        let story = self.story.join("\n  ");
        panic!("seed {}: {what}\n  {story}\n  in {}", self.seed, self.workspace.root())
    }

    fn log(&self) -> Utf8PathBuf {
        self.workspace.dir().join("test-fast.log")
    }

    fn change(&mut self) {
        let what = match self.random.below(100) {
            0..=24 if self.with_git => git_steps::step(&self.workspace.root(), &mut self.random),
            25..=29 => self.edit_during_a_run(),
            30..=33 => self.kill_a_run(),
            34..=36 => self.break_and_mend(),
            37 | 38 => self.plain_cargo(),
            39 => {
                let target = self.workspace.root().join("target");
                xtask_files::remove_dir(&target).expect("a target dir to remove");
                "target is removed".to_owned()
            }
            _ => {
                let edits = if self.random.chance(25) { 3 } else { 1 };
                let edits = (0..edits).map(|_| self.workspace.edit(&mut self.random)).collect::<Vec<_>>();
                edits.join("; ")
            }
        };
        self.story.push(what);
    }

    /// Runs both, and compares what they say. False when the history ends because nothing builds any more.
    fn check(&mut self) -> bool {
        let root = self.workspace.root();
        let oracle_first = self.random.chance(50);
        let early = oracle_first.then(|| self.truth());
        let planned = self.random.chance(20).then(|| self.dry_run());
        let said = Said::read(Outcome::of(&mut test_fast(&root, &self.log())));
        let ran = numbers(&self.log());
        let now = early.unwrap_or_else(|| self.truth());
        self.tally.steps += 1;
        if let Some(line) = self.story.last_mut() {
            *line = format!("{line} -> {:?}", said.packages);
        }
        if let Some(planned) = planned.filter(|planned| planned.packages != said.packages) {
            self.fail(&format!("--dry-run chose {:?}", planned.packages));
        }
        let Some(truth) = now.numbers else {
            self.tally.broken_builds += 1;
            if said.outcome.code == Some(0) {
                self.fail("it does not build, and test-fast is green");
            }
            return false;
        };
        self.compare(&truth, &said, &ran);
        self.again(&truth);
        true
    }

    fn truth(&self) -> Truth {
        truth(&self.workspace.root(), self.workspace.dir(), self.doctests)
    }

    fn dry_run(&self) -> Said {
        Said::read(Outcome::of(test_fast(&self.workspace.root(), &self.log()).arg("--dry-run")))
    }

    fn compare(&mut self, truth: &Numbers, said: &Said, ran: &Numbers) {
        let red = failing(truth);
        let members = truth.keys().chain(&said.packages).collect::<BTreeSet<_>>();
        let everything = members.iter().all(|member| said.packages.contains(*member));
        self.tally.members += members.len();
        self.tally.red += red.len();
        let at_base = members
            .iter()
            .any(|&member| !said.packages.contains(member) && truth.get(member) != self.last.get(member))
            .then(|| git_steps::merge_base(&self.workspace.root()).filter(|_| self.with_git))
            .flatten()
            .and_then(|base| self.at_base(&base));
        for member in members {
            let (now, last) = (truth.get(member), self.last.get(member));
            let changed = now != last;
            self.tally.changed += usize::from(changed);
            if said.packages.contains(member) {
                if ran.get(member) != now {
                    let ran = ran.get(member);
                    self.fail(&format!(
                        "{member} ran with {ran:?}, plain cargo with {now:?}\n{}",
                        said.outcome.stderr
                    ));
                }
                let needless = usize::from(!changed && !red.contains(member));
                self.tally.needless += needless;
                self.tally.needless_in_full_runs += if everything { needless } else { 0 };
                continue;
            }
            self.tally.skipped += 1;
            if last.is_some_and(|last| last.iter().any(|(_, number)| number % 31 == 0)) {
                self.fail(&format!("{member} failed when it last ran, and was skipped"));
            }
            if changed && self.killed.get(member) == now {
                // That run came to its end before it was killed.
                self.last.extend(now.map(|now| (member.clone(), now.clone())));
            } else if changed && at_base.as_ref().and_then(|base| base.get(member)) != now {
                self.fail(&format!("{member} was skipped: {last:?} at its last run, {now:?} now"));
            }
        }
        let expected = red.intersection(&said.packages).cloned().collect::<BTreeSet<_>>();
        if said.failures != expected || (said.outcome.code == Some(0)) != expected.is_empty() {
            let Said { outcome, failures, .. } = said;
            self.fail(&format!(
                "{expected:?} are red, it said {failures:?} with exit code {:?}\n{}",
                outcome.code, outcome.stderr
            ));
        }
        self.remember(said, ran);
    }

    fn remember(&mut self, said: &Said, ran: &Numbers) {
        self.killed.clear();
        for member in &said.packages {
            match ran.get(member) {
                Some(numbers) => self.last.insert(member.clone(), numbers.clone()),
                None => self.last.remove(member),
            };
        }
    }

    /// Nothing changed: only what is red is chosen again.
    fn again(&mut self, truth: &Numbers) {
        let said = self.dry_run();
        let red = failing(truth);
        let green = said.packages.difference(&red).cloned().collect::<Vec<_>>();
        if !green.is_empty() {
            let document: serde_json::Value = serde_json::from_str(&said.outcome.stdout).expect("a document");
            let reasons = document["packages"].as_array().into_iter().flatten();
            let reasons = reasons.filter(|member| green.iter().any(|name| member["name"] == name.as_str()));
            let reasons = reasons.map(|member| member["reasons"].to_string()).collect::<BTreeSet<_>>();
            self.story.push(format!("  (again: {reasons:?})"));
            for why in reasons {
                *self.tally.second_runs.entry(why).or_default() += 1;
            }
        }
    }

    /// The numbers at a commit, from a clone.
    fn at_base(&mut self, commit: &str) -> Option<Numbers> {
        if let Some(known) = self.bases.get(commit) {
            return known.clone();
        }
        let dir = self.workspace.dir().join("bases").join(commit);
        let clone = dir.join("workspace");
        std::fs::create_dir_all(&dir).expect("a folder");
        let root = self.workspace.root();
        git_steps::git(&root, &["clone", "--quiet", "--no-checkout", root.as_str(), clone.as_str()])
            .expect_code(0);
        git_steps::git(&clone, &["fetch", "--quiet", root.as_str(), commit]);
        git_steps::git(&clone, &["checkout", "--quiet", "--detach", commit]).expect_code(0);
        for name in ["registry", "outside"] {
            let from = self.workspace.dir().join(name);
            let copied = Command::new("cp").args(["-r", from.as_str(), dir.as_str()]).output().expect("cp");
            assert!(copied.status.success() || !from.exists());
        }
        let numbers = truth(&clone, &dir, self.doctests).numbers;
        self.bases.insert(commit.to_owned(), numbers.clone());
        numbers
    }

    /// A file changes while the tests run.
    fn edit_during_a_run(&mut self) -> String {
        let log = self.log();
        let mut command = test_fast(&self.workspace.root(), &log);
        command.env("ORACLE_SLEEP_MS", "300").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("test-fast");
        let started = Instant::now();
        while !log.exists()
            && child.try_wait().expect("a state").is_none()
            && started.elapsed().as_secs() < 60
        {
            sleep(Duration::from_millis(5));
        }
        let edit = self.workspace.edit(&mut self.random);
        let output = child.wait_with_output().expect("test-fast");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let outcome = Outcome {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        let said = Said::read(outcome);
        self.remember(&said, &numbers(&log));
        format!("during a run of {:?}: {edit}", said.packages)
    }

    /// A run ends midway; what its tests wrote down counts for nothing.
    fn kill_a_run(&mut self) -> String {
        let edit = self.workspace.edit(&mut self.random);
        let log = self.workspace.dir().join("killed.log");
        let mut command = test_fast(&self.workspace.root(), &log);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("test-fast");
        let after = self.random.below(1500);
        sleep(Duration::from_millis(u64::try_from(after).expect("milliseconds")));
        let signal = if self.random.chance(70) { "-INT" } else { "-KILL" };
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).output();
        child.wait().expect("test-fast");
        // It may have been at its end, its verdicts kept or not.
        self.killed = numbers(&log);
        format!("{edit}; a run is ended by {signal} after {after} ms")
    }

    /// Plain cargo builds in the same target dir, so that everything is fresh and `test-fast` knows of no run.
    fn plain_cargo(&mut self) -> String {
        let edit = self.workspace.edit(&mut self.random);
        let mut command = xtask_testkit::cargo(&self.workspace.root());
        Outcome::of(command.args(["test", "--workspace", "--tests", "--no-run"]));
        let forgotten = self.random.chance(50);
        if forgotten {
            let results = self.workspace.root().join("target/xtask-suite/results");
            xtask_files::remove_dir(&results).expect("results to remove");
            self.last.clear();
        }
        format!("{edit}; plain cargo builds{}", if forgotten { ", the results are lost" } else { "" })
    }

    /// Something does not compile for a while.
    fn break_and_mend(&mut self) -> String {
        let dirs = self.workspace.package_dirs();
        let path = format!("{}src/lib.rs", self.random.pick(&dirs).expect("a package"));
        let text = self.workspace.read(&path).expect("a source file");
        self.workspace.write(&path, &format!("{text}\nfn broken( {{\n"));
        let outcome = Outcome::of(&mut test_fast(&self.workspace.root(), &self.log()));
        let _ = numbers(&self.log());
        let used = self.truth().numbers.is_none();
        if used && outcome.code == Some(0) {
            self.fail(&format!("{path} does not compile, and test-fast is green"));
        }
        if used {
            // Whatever it chose is red now.
            let said = Said::read(outcome);
            self.last.retain(|member, _| !said.packages.contains(member));
        }
        self.workspace.write(&path, &text);
        format!("{path} is broken and mended")
    }
}
