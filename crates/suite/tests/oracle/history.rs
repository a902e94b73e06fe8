//! The life of one generated workspace: edits, git operations and accidents, each followed by the check.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Generated, Outcome, Random, Wishes, verdicts_toml};

use crate::checkout::{Checkout, Numbers, Truth, failed, failed_once, has_nextest, numbers};
use crate::git_steps;
use crate::said::{Said, Subject};

/// What histories added up to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    histories: usize,
    pub(crate) steps: usize,
    programs: usize,
    pub(crate) remembered: usize,
    left_out: usize,
    deferred: usize,
    red: usize,
    /// Programs that ran although they had passed with these very numbers.
    needless: usize,
    broken_builds: usize,
    /// Second runs without any change, what they ran although it had passed, and why.
    second_runs: usize,
    second_run_programs: usize,
    again: BTreeMap<String, usize>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.steps += other.steps;
        self.programs += other.programs;
        self.remembered += other.remembered;
        self.left_out += other.left_out;
        self.deferred += other.deferred;
        self.red += other.red;
        self.needless += other.needless;
        self.broken_builds += other.broken_builds;
        self.second_runs += other.second_runs;
        self.second_run_programs += other.second_run_programs;
        for (why, count) in &other.again {
            *self.again.entry(why.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} histories, {} steps ({} did not build), {} programs in all: {} remembered, {} left out, {} deferred, \
             {} red, {} run with numbers that had passed",
            self.histories,
            self.steps,
            self.broken_builds,
            self.programs,
            self.remembered,
            self.left_out,
            self.deferred,
            self.red,
            self.needless
        )?;
        write!(
            f,
            "{} second runs without a change ran again, of {} programs that had passed: {:?}",
            self.second_runs, self.second_run_programs, self.again
        )
    }
}

/// Which folder is the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repository {
    None,
    Workspace,
    /// The folder above, with what lies beside the workspace.
    Above,
}

pub(crate) struct History {
    seed: u64,
    random: Random,
    workspace: Generated,
    subject: Subject,
    repository: Repository,
    /// Most packages are such that a branch may leave them out.
    secluded: bool,
    rare: bool,
    /// The workspace roots of the first checkout and of the linked one, when there is one.
    roots: Vec<Utf8PathBuf>,
    shared_target: Option<Utf8PathBuf>,
    /// By program, all numbers with which it ever passed.
    passes: BTreeMap<String, BTreeSet<Vec<(String, u64)>>>,
    /// Programs that failed when they last ran in a checkout, which nothing has made forget it.
    red_here: BTreeSet<(Utf8PathBuf, String)>,
    /// By commit, and what counts besides.
    bases: BTreeMap<(String, String), Option<Numbers>>,
    story: Vec<String>,
    tally: Tally,
}

impl History {
    pub(crate) fn new(seed: u64, most_members: usize, subject: Subject) -> Self {
        let mut random = Random::new(seed);
        let shared = random.chance(30);
        let wishes = Wishes {
            most_members,
            lock_ignored: random.chance(15),
            run_time: true,
            absolute_paths: !shared && random.chance(50),
            secluded: random.chance(40),
            rare: random.chance(65),
        };
        let nextest = has_nextest() && random.chance(50);
        let runner = if !nextest {
            "cargo"
        } else if random.chance(50) {
            "auto"
        } else {
            "nextest"
        };
        let repository = match random.below(20) {
            0 | 1 => Repository::None,
            2..=6 => Repository::Above,
            _ => Repository::Workspace,
        };
        let mut toml = verdicts_toml(&mut random, runner, if wishes.secluded { 85 } else { 50 });
        if repository == Repository::None {
            // Without git, only what a package's folder holds is known: this is what others read.
            let all = "inputs = [\"*\", \"shared/**\", \"local/**\", \"**/files/*.txt\", \"**/files/*.rs\", \".config/**\", \".cargo/**\"]";
            toml = toml.replace("inputs = [\"local/l*.txt\"]", all);
        }
        let workspace = Generated::new(&format!("oracle-{seed}"), &mut random, wishes, &toml);
        let root = workspace.root();
        let shared_target = shared.then(|| workspace.scratch().join("target"));
        let story =
            vec![format!("seed {seed}, runner {runner}, {repository:?}, shared {shared}, {wishes:?}")];
        let tally = Tally { histories: 1, ..Tally::default() };
        let mut history = Self {
            seed,
            random,
            workspace,
            subject,
            repository,
            secluded: wishes.secluded,
            rare: wishes.rare,
            roots: vec![root],
            shared_target,
            passes: BTreeMap::new(),
            red_here: BTreeSet::new(),
            bases: BTreeMap::new(),
            story,
            tally,
        };
        history.start();
        history
    }

    fn start(&mut self) {
        // So that the lock file is in the first commit, where it is not ignored.
        Outcome::of(self.checkout().command("cargo").args(["generate-lockfile", "--quiet"])).expect_code(0);
        match self.repository {
            Repository::None => {}
            Repository::Above => {
                self.workspace.write("../.gitignore", "/scratch\n");
                git_steps::start(&self.top());
            }
            Repository::Workspace => {
                git_steps::start(&self.top());
                let how = git_steps::maybe_clone(&self.top(), &mut self.random);
                self.story.push(how);
            }
        }
        // The first run is that of a branch: what it cannot reach may be left out.
        let branches = if self.secluded { 80 } else { 25 };
        if self.repository != Repository::None && self.random.chance(branches) {
            git_steps::git(&self.top(), &["checkout", "--quiet", "-b", "first"]).expect_code(0);
            let edit = self.edit_and_commit();
            self.story.push(format!("git checkout -b first; {edit}"));
        }
    }

    fn edit_and_commit(&mut self) -> String {
        let edit = if self.random.chance(75) {
            self.workspace.edit_a_package(&mut self.random)
        } else {
            self.workspace.edit(&mut self.random)
        };
        git_steps::commit(&self.top());
        format!("{edit}; git commit")
    }

    fn checkout(&self) -> Checkout {
        Checkout {
            root: self.workspace.root(),
            scratch: self.workspace.scratch(),
            environment: self.workspace.environment(),
            target: self.shared_target.clone(),
        }
    }

    /// The top of the repository, in the checkout where edits are made.
    fn top(&self) -> Utf8PathBuf {
        let root = self.workspace.root();
        match self.repository {
            Repository::Above => root.parent().expect("a parent").to_owned(),
            Repository::None | Repository::Workspace => root,
        }
    }

    /// Goes through `steps` edits. Fails when the invariant does not hold, with the whole story.
    pub(crate) fn run(&mut self, steps: usize) -> Result<&Tally, String> {
        for step in 0..=steps {
            let go_on = self.step(step == 0).map_err(|what| {
                let story = self.story.join("\n  ");
                format!("seed {}: {what}\n  {story}\n  in {}", self.seed, self.workspace.root())
            });
            if !go_on? {
                break;
            }
        }
        Ok(&self.tally)
    }

    /// False when the history ends because nothing builds any more.
    fn step(&mut self, first: bool) -> Result<bool, String> {
        if !first {
            let what = self.change()?;
            self.story.push(what);
            self.find_workspace();
        }
        self.check()
    }

    fn change(&mut self) -> Result<String, String> {
        let with_git = self.repository != Repository::None;
        let suite = matches!(self.subject, Subject::Suite);
        if self.rare && self.random.chance(20) {
            match self.repository {
                Repository::Above => return Ok(self.move_workspace()),
                _ if suite => return Ok(self.kill_a_run()),
                _ => {}
            }
        }
        Ok(match self.random.below(100) {
            0..=13 if with_git => git_steps::step(&self.top(), &mut self.random),
            14..=19 if with_git => self.other_checkout(),
            20..=24 if suite => self.edit_during_a_run(),
            25..=28 if suite => self.kill_a_run(),
            29..=32 if suite => self.run_some_tests(),
            33 | 34 => self.break_and_mend()?,
            35 => self.plain_cargo(),
            36..=38 => self.lose_something(),
            39..=41 if self.secluded && with_git => self.branch_where_nothing_ran(),
            39..=46 if self.repository == Repository::Above => self.move_workspace(),
            _ => {
                let edits = if self.random.chance(20) { 2 } else { 1 };
                let edits = (0..edits).map(|_| self.workspace.edit(&mut self.random)).collect::<Vec<_>>();
                edits.join("; ")
            }
        })
    }

    /// Goes on in a linked worktree, or in the first checkout again.
    fn other_checkout(&mut self) -> String {
        let mut how = String::new();
        if self.roots.len() == 1 {
            let tree = match self.repository {
                Repository::Above => self.workspace.scratch().join("tree"),
                Repository::None | Repository::Workspace => self.workspace.dir().join("tree"),
            };
            how = git_steps::add_worktree(&self.top(), &tree, &mut self.random);
            let root = if self.repository == Repository::Above { tree.join("workspace") } else { tree };
            self.roots.push(root);
        }
        let here = self.workspace.root();
        let other = self.roots.iter().find(|root| **root != here).expect("another checkout").clone();
        self.workspace.move_to(&other);
        if !how.is_empty() && self.random.chance(60) {
            how = format!("{how}; {}", self.edit_and_commit());
        }
        format!("{how} on in {other}")
    }

    /// A branch in a checkout that has no history.
    fn branch_where_nothing_ran(&mut self) -> String {
        git_steps::commit(&self.top());
        let name = format!("l{}", self.random.below(1000));
        git_steps::git(&self.top(), &["checkout", "--quiet", "-b", &name]);
        let edit = self.edit_and_commit();
        let target = self.checkout().target_dir();
        // The store stays: in a checkout of its own, it is the same.
        xtask_files::remove_dir(&target.join("xtask-suite")).expect("a folder to remove");
        self.red_here.clear();
        format!("git checkout -b {name}; {edit}; target/xtask-suite is removed")
    }

    /// The whole workspace moves to another folder of the repository, with its target dir.
    fn move_workspace(&mut self) -> String {
        let from = self.workspace.root();
        let to = from.with_file_name(if from.ends_with("workspace") { "moved" } else { "workspace" });
        // Git leaves what it ignores where the workspace was.
        xtask_files::remove_dir(&to).expect("a folder to remove");
        std::fs::rename(&from, &to).expect("a folder to rename");
        // Cargo keeps what a build script said of where it was, so that a library is still looked for there.
        xtask_files::remove_dir(&to.join("target/debug/build")).expect("a folder to remove");
        format!("the workspace moves to {to}")
    }

    /// After the workspace moved, be it that git moved it back.
    fn find_workspace(&mut self) {
        let from = self.workspace.root();
        let to = from.with_file_name(if from.ends_with("workspace") { "moved" } else { "workspace" });
        let is_at = |root: &Utf8Path| root.join("xtask.toml").exists();
        if self.repository == Repository::Above && !is_at(&from) && !is_at(&to) {
            // `git clean` removed it from where git did not know it.
            git_steps::git(&self.top(), &["checkout", "--quiet", "HEAD", "--", "."]);
        }
        if self.repository != Repository::Above || is_at(&from) {
            return;
        }
        for root in self.roots.iter_mut().filter(|root| **root == from) {
            root.clone_from(&to);
        }
        self.workspace.move_to(&to);
        self.red_here.clear();
    }

    /// Only some tests of each program run, of which nobody knows the others.
    fn run_some_tests(&mut self) -> String {
        let edit = self.workspace.edit(&mut self.random);
        let checkout = self.checkout();
        let test = *self.random.pick(&["in_bin", "unit", "it"]).expect("a test");
        let said = Said::read(Outcome::of(checkout.test_fast().args(["--", test])), &checkout.log());
        for name in said.with(&["failed"]) {
            self.red_here.insert((self.workspace.root(), name));
        }
        format!("{edit}; a run of the tests {test:?}")
    }

    /// Runs both, and compares what they say.
    fn check(&mut self) -> Result<bool, String> {
        let checkout = self.checkout();
        let early = self.random.chance(50).then(|| checkout.truth());
        let said = self.subject.run(&checkout);
        let truth = early.unwrap_or_else(|| checkout.truth());
        self.tally.steps += 1;
        if let Some(line) = self.story.last_mut() {
            let remembered = said.with(&["remembered", "left-out"]).len();
            *line = format!("{line} -> {remembered} of {}", said.programs.len());
        }
        if truth.programs.is_none() {
            self.tally.broken_builds += 1;
            if said.outcome.code == Some(0) {
                return Err("it does not build, and test-fast is green".to_owned());
            }
            return Ok(false);
        }
        self.compare(&truth, &said)?;
        if self.random.chance(20) {
            self.again(&truth)?;
        }
        Ok(true)
    }

    fn compare(&mut self, truth: &Truth, said: &Said) -> Result<(), String> {
        let names = truth.programs.iter().flatten().map(|(name, _)| name).collect::<BTreeSet<_>>();
        let mut programs = said.programs.clone();
        for &name in &names {
            let package = name.split("::").next().unwrap_or_default();
            if said.left_out.contains(package) && !programs.contains_key(name) {
                programs.insert(name.clone(), ("left-out".to_owned(), "not built".to_owned()));
            }
        }
        if names != programs.keys().collect() {
            let stderr = &said.outcome.stderr;
            return Err(format!("there are {names:?}, it said {:?}\n{stderr}", programs.keys()));
        }
        let unfinished = !said.with(&["not-run", "deferred"]).is_empty();
        let mut red = false;
        for (name, (verdict, why)) in &programs {
            let (now, ran) = (truth.numbers.get(name), said.ran.get(name));
            let is_red = now.is_some_and(|tests| failed(tests));
            self.tally.programs += 1;
            self.tally.red += usize::from(is_red);
            let said_so = format!("{name} is {verdict} ({why})");
            let has_run = ["passed", "failed"].contains(&verdict.as_str());
            if has_run && ran != now || !has_run && ran.is_some() {
                let stderr = &said.outcome.stderr;
                return Err(format!(
                    "{said_so}: it ran with {ran:?}, a run of everything with {now:?}\n{stderr}"
                ));
            }
            match verdict.as_str() {
                "passed" if !is_red => {
                    let known = now.is_some_and(|now| self.has_passed(name, now));
                    self.tally.needless += usize::from(known);
                }
                "failed" if is_red => red = true,
                "remembered" => {
                    self.tally.remembered += 1;
                    if now.is_some_and(|now| !self.has_passed(name, now)) {
                        return Err(format!(
                            "{said_so}, and never passed with {now:?}\n{}",
                            said.outcome.stderr
                        ));
                    }
                }
                "left-out" => {
                    self.tally.left_out += 1;
                    self.compare_with_base(name, now, &said_so)?;
                }
                "deferred" => self.tally.deferred += 1,
                "not-run" if now.is_none() || said.outcome.code != Some(0) => {}
                _ => return Err(format!("{said_so}, and the truth is {now:?}\n{}", said.outcome.stderr)),
            }
        }
        if !unfinished && (said.outcome.code == Some(0)) == red {
            let Outcome { code, stderr, .. } = &said.outcome;
            return Err(format!("red {red}, and the exit code is {code:?}\n{stderr}"));
        }
        self.remember(said);
        Ok(())
    }

    fn has_passed(&self, name: &str, tests: &[(String, u64)]) -> bool {
        self.passes.get(name).is_some_and(|passes| passes.contains(tests))
    }

    /// A program may be left out on a branch where nothing differs from the base for it.
    fn compare_with_base(
        &mut self,
        name: &str,
        now: Option<&Vec<(String, u64)>>,
        said_so: &str,
    ) -> Result<(), String> {
        if self.red_here.contains(&(self.workspace.root(), name.to_owned())) {
            return Err(format!("{said_so}, and failed when it last ran"));
        }
        let base =
            (self.repository != Repository::None).then(|| git_steps::merge_base(&self.top())).flatten();
        let base = base.and_then(|base| self.at_base(&base));
        if base.as_ref().and_then(|base| base.get(name)) != now {
            let base = base.and_then(|mut base| base.remove(name));
            return Err(format!("{said_so}, and has {now:?}, at the merge base {base:?}"));
        }
        Ok(())
    }

    fn remember(&mut self, said: &Said) {
        let root = self.workspace.root();
        for name in said.with(&["failed"]) {
            self.red_here.insert((root.clone(), name));
        }
        for name in said.with(&["passed"]) {
            self.red_here.remove(&(root.clone(), name.clone()));
            if let Some(tests) = said.ran.get(&name).filter(|tests| !failed_once(tests)) {
                self.passes.entry(name).or_default().insert(tests.clone());
            }
        }
    }

    /// Nothing changed: only what is red runs again, or was never a pass.
    fn again(&mut self, truth: &Truth) -> Result<(), String> {
        let checkout = self.checkout();
        let said = self.subject.run(&checkout);
        let passed = truth.numbers.iter().filter(|(_, tests)| !failed_once(tests)).map(|(name, _)| name);
        self.tally.second_runs += 1;
        for name in passed {
            self.tally.second_run_programs += 1;
            let Some((verdict, why)) = said.programs.get(name) else { continue };
            if verdict == "passed" {
                self.story.push(format!("  (again: {name}: {why})"));
                *self.tally.again.entry(why.clone()).or_default() += 1;
            }
        }
        self.compare(truth, &said)
    }

    /// All that is in no commit.
    fn beside(&self) -> String {
        let (root, mut text) = (self.workspace.root(), format!("{:?}", self.workspace.environment()));
        let beside = [
            "../.cargo/config.toml",
            "../tools/run.sh",
            "local/l0.txt",
            "local/build.txt",
            "local/set.txt",
            "local/native/libplain.so",
        ];
        for path in beside {
            text += &std::fs::read_to_string(root.join(path)).unwrap_or_default();
        }
        let nextest = self.workspace.scratch().join("bin/cargo-nextest");
        text + &std::fs::read_to_string(nextest).unwrap_or_default()
    }

    /// The numbers at a commit, from a clone.
    fn at_base(&mut self, commit: &str) -> Option<Numbers> {
        let key = (commit.to_owned(), self.beside());
        if let Some(known) = self.bases.get(&key) {
            return known.clone();
        }
        let dir = self.workspace.scratch().join("bases").join(format!("{commit}-{}", self.bases.len()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let above = self.repository == Repository::Above;
        let clone = if above { dir.clone() } else { dir.join("workspace") };
        let top = self.top();
        git_steps::git(&top, &["clone", "--quiet", "--no-checkout", top.as_str(), clone.as_str()])
            .expect_code(0);
        git_steps::git(&clone, &["fetch", "--quiet", top.as_str(), commit]);
        git_steps::git(&clone, &["checkout", "--quiet", "--detach", commit]).expect_code(0);
        // What is in no repository is the same there.
        let beside = self.workspace.root();
        let beside = beside.parent().expect("a parent");
        let others = if above { &[][..] } else { &["registry", "outside", "tools", ".cargo"][..] };
        let root = [dir.join("moved"), dir.join("workspace")];
        let root = root.into_iter().find(|root| root.join("xtask.toml").exists()).expect("a workspace");
        let local = (self.workspace.root().join("local"), root.join("local"));
        let others = others.iter().map(|name| (beside.join(name), dir.join(name)));
        for (from, to) in others.chain([local]).filter(|(from, _)| from.exists()) {
            let copied = Command::new("cp").args(["-r", from.as_str(), to.as_str()]).output().expect("cp");
            assert!(copied.status.success(), "{from}");
        }
        let at_base = Checkout { root, target: None, ..self.checkout() };
        let truth = at_base.truth();
        let numbers = truth.programs.map(|_| truth.numbers);
        self.bases.insert(key, numbers.clone());
        numbers
    }

    /// A file changes while the tests run.
    fn edit_during_a_run(&mut self) -> String {
        let checkout = self.checkout();
        let log = checkout.log();
        let mut command = checkout.test_fast();
        command.env("ORACLE_SLEEP_MS", "100").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("test-fast");
        wait_for(&log, &mut child);
        let edit = if self.random.chance(80) {
            self.workspace.edit_what_is_read(&mut self.random)
        } else {
            self.workspace.edit(&mut self.random)
        };
        let output = child.wait_with_output().expect("test-fast");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let outcome = Outcome {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        let said = Said::read(outcome, &log);
        self.remember(&said);
        format!("during a run of {:?}: {edit}", said.with(&["passed", "failed"]))
    }

    /// A run ends midway; what passed before that may be remembered or not.
    fn kill_a_run(&mut self) -> String {
        let edit = self.workspace.edit(&mut self.random);
        let checkout = self.checkout();
        let log = checkout.scratch.join("killed.log");
        let _ = std::fs::remove_file(&log);
        let mut command = checkout.test_fast();
        command.env("ORACLE_LOG", &log).env("ORACLE_SLEEP_MS", "100").process_group(0);
        // Only nextest ends before its time, and the suite goes on.
        let stop = checkout.scratch.join("bin/cargo-nextest.stop");
        let only_nextest = self.random.chance(40).then(|| format!("0.{}", 1 + self.random.below(9)));
        if let Some(seconds) = &only_nextest {
            self.workspace.write(stop.as_str(), seconds);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("test-fast");
        if let Some(seconds) = &only_nextest {
            child.wait().expect("test-fast");
            std::fs::remove_file(&stop).expect("a file to remove");
            self.remember_log(&log);
            return format!("{edit}; nextest ends {seconds} s after the first test began");
        }
        let while_tests_run = self.random.chance(60);
        let after = self.random.below(if while_tests_run { 100 } else { 1500 });
        if while_tests_run {
            wait_for(&log, &mut child);
        }
        sleep(Duration::from_millis(u64::try_from(after).expect("milliseconds")));
        let signal = if self.random.chance(60) { "-INT" } else { "-KILL" };
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args([signal, "--", &group]).output();
        child.wait().expect("test-fast");
        let _ = Command::new("kill").args(["-KILL", "--", &group]).output();
        // Programs that it started in groups of their own.
        sleep(Duration::from_millis(100));
        self.remember_log(&log);
        format!("{edit}; a run is ended by {signal} after {after} ms")
    }

    /// What passed in a run of which nothing else is known.
    fn remember_log(&mut self, log: &Utf8Path) {
        for (name, tests) in numbers(log) {
            if !failed_once(&tests) {
                self.passes.entry(name).or_default().insert(tests);
            }
        }
        self.red_here.clear();
    }

    /// Plain cargo builds in the same target dir, so that everything is fresh.
    fn plain_cargo(&mut self) -> String {
        let edit = self.workspace.edit(&mut self.random);
        Outcome::of(self.checkout().command("cargo").args(["test", "--workspace", "--tests", "--no-run"]));
        format!("{edit}; plain cargo builds")
    }

    /// What only makes things slower is gone, or damaged.
    fn lose_something(&mut self) -> String {
        let checkout = self.checkout();
        self.red_here.clear();
        match self.random.below(5) {
            0 => {
                Outcome::of(checkout.command("cargo").arg("clean")).expect_code(0);
                "cargo clean".to_owned()
            }
            1 => {
                xtask_files::remove_dir(&checkout.scratch.join("store")).expect("a store to remove");
                "the store is removed".to_owned()
            }
            2 => self.damage_the_store(),
            _ => {
                let own = checkout.target_dir().join("xtask-suite");
                xtask_files::remove_dir(&own).expect("a folder to remove");
                "target/xtask-suite is removed".to_owned()
            }
        }
    }

    /// A file of the store loses its end, or a byte changes.
    fn damage_the_store(&mut self) -> String {
        let mut files = Vec::new();
        let mut open = vec![self.workspace.scratch().join("store")];
        while let Some(dir) = open.pop() {
            for entry in dir.read_dir_utf8().into_iter().flatten().flatten() {
                let path = entry.into_path();
                if path.is_dir() { open.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        let Some(path) = self.random.pick(&files) else { return "no store to damage".to_owned() };
        let mut bytes = std::fs::read(path).expect("a file to read");
        let at = self.random.below(bytes.len() + 1);
        match bytes.get_mut(at) {
            Some(byte) if self.random.chance(50) => *byte ^= 1 << self.random.below(8),
            _ => bytes.truncate(at),
        }
        #[expect(clippy::disallowed_methods, reason = "a damage needs no atomic write")]
        std::fs::write(path, bytes).expect("a file to write");
        format!("{path} is damaged at {at}")
    }

    /// Something does not compile for a while.
    fn break_and_mend(&mut self) -> Result<String, String> {
        let dirs = self.workspace.package_dirs();
        let path = format!("{}src/lib.rs", self.random.pick(&dirs).expect("a package"));
        let text = self.workspace.read(&path).expect("a source file");
        self.workspace.write(&path, &format!("{text}\nfn broken( {{\n"));
        let checkout = self.checkout();
        let said = self.subject.run(&checkout);
        let used = checkout.truth().programs.is_none();
        if used && said.outcome.code == Some(0) {
            return Err(format!("{path} does not compile, and test-fast is green"));
        }
        self.remember(&said);
        self.workspace.write(&path, &text);
        Ok(format!("{path} is broken and mended"))
    }
}

/// Until the first test has written into `log`, or the child has ended.
fn wait_for(log: &Utf8Path, child: &mut Child) {
    let started = Instant::now();
    while !log.exists() && child.try_wait().expect("a state").is_none() && started.elapsed().as_secs() < 60 {
        sleep(Duration::from_millis(5));
    }
}
