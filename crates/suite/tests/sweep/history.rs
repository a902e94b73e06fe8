//! The life of one generated workspace: edits and builds of all kinds, until a sweep.

use std::fs;

use camino::Utf8PathBuf;
use xtask_testkit::{Generated, Random, Wishes};

use crate::files::{files, only_in};
use crate::support::{Place, number};

/// Builds that leave units behind which no tier needs; each is tried in any state of the workspace.
const BUILDS: [&str; 16] = [
    "cargo build --workspace",
    "cargo test --workspace --no-run",
    "cargo check --workspace --all-targets",
    "cargo build --workspace --all-features",
    "cargo build --workspace --no-default-features",
    "RUSTFLAGS='--cfg another' cargo build --workspace",
    "RUSTFLAGS='-C debuginfo=1' cargo test --workspace --no-run",
    "CARGO_PROFILE_DEV_OPT_LEVEL=1 cargo build --workspace",
    "CARGO_PROFILE_DEV_DEBUG=2 CARGO_PROFILE_DEV_SPLIT_DEBUGINFO=unpacked cargo build --workspace",
    "CARGO_INCREMENTAL=0 cargo build --workspace",
    "cargo build --workspace --profile bench",
    "cargo build --workspace --config 'profile.old.inherits=\"dev\"' --profile old",
    "cargo build --workspace --target HOST",
    "cargo OTHER check --workspace",
    "cargo doc --workspace --no-deps",
    "cargo build",
];

/// What histories added up to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) histories: usize,
    /// Histories that ended in a workspace that does not build.
    pub(crate) broken: usize,
    pub(crate) builds: usize,
    pub(crate) removed_units: u64,
    pub(crate) kept_units: u64,
    pub(crate) freed_bytes: u64,
    pub(crate) left_bytes: u64,
    /// Bytes of files that a build from nothing does not leave.
    pub(crate) surplus_bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.broken += other.broken;
        self.builds += other.builds;
        self.removed_units += other.removed_units;
        self.kept_units += other.kept_units;
        self.freed_bytes += other.freed_bytes;
        self.left_bytes += other.left_bytes;
        self.surplus_bytes += other.surplus_bytes;
    }
}

pub(crate) struct History {
    seed: u64,
    random: Random,
    workspace: Generated,
    place: Place,
    /// The dirs that are built into.
    dirs: Vec<Utf8PathBuf>,
    /// The toolchain that is not the usual one here.
    other: &'static str,
    host: String,
    story: Vec<String>,
}

impl History {
    pub(crate) fn new(seed: u64, most_members: usize) -> Self {
        let mut random = Random::new(seed);
        let wishes = Wishes { doctests: false, most_members, lock_ignored: random.chance(15) };
        let toml = "[tiers.test-all]\ncommand = \"test\"\ntargets = \"all\"\ndoctests = true\n\
                    [tiers.lint]\nargs = [\"--\", \"-A\", \"clippy::all\"]\n[sweep]\ngrace = 0\ndoc = 0\n";
        let workspace = Generated::new(&format!("sweep-{seed}"), &mut random, wishes, toml);
        let mut place = Place::new(workspace.root());
        let new_layout = random.chance(40);
        let mut dirs = vec![workspace.root().join("target")];
        if new_layout {
            place.with_new_layout();
        }
        let split = random.chance(25);
        if split {
            dirs.push(workspace.root().join("build-dir"));
            place.set("CARGO_BUILD_BUILD_DIR", dirs[1].as_str());
        }
        let host = place.shell("rustc -vV | sed -n 's/^host: //p'").stdout.trim().to_owned();
        let other = if new_layout { "+stable" } else { "+nightly" };
        let story = vec![format!("seed {seed}: new layout {new_layout}, split {split}, {wishes:?}")];
        Self { seed, random, workspace, place, dirs, other, host, story }
    }

    /// Lives, sweeps, and compares.
    pub(crate) fn run(mut self, steps: usize) -> Tally {
        let mut tally = Tally { histories: 1, ..Tally::default() };
        for _ in 0..steps {
            let what = self.workspace.edit(&mut self.random);
            self.story.push(what);
            for _ in 0..2 {
                let line = *self.random.pick(&BUILDS).unwrap();
                let line = line.replace("HOST", &self.host).replace("OTHER", self.other);
                let line = if line.contains("+stable") {
                    line.replacen("cargo", "env -u CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT cargo", 1)
                } else {
                    line
                };
                let code = self.place.shell(&line).code;
                self.story.push(format!("  {line}: {code:?}"));
                tally.builds += 1;
            }
        }
        let Some(needed) = self.settle() else {
            tally.broken = 1;
            return tally;
        };
        let plan = self.place.sweep(&["--dry-run"], 0);
        let swept = self.place.sweep(&[], 0);
        for key in ["freed_bytes", "left_bytes", "removed_units", "kept_units"] {
            self.story.push(format!("{key}: {}", swept[key]));
        }
        assert_eq!(number(&plan, "stale_bytes"), number(&swept, "freed_bytes"), "{self:?}");
        assert!(swept["errors"].as_array().unwrap().is_empty(), "{swept:#}\n{self:?}");
        let compiled = self.place.compile(&needed).expect("it built before");
        assert!(compiled.is_empty(), "recompiled: {compiled:#?}\n{self:?}");
        let again = self.place.sweep(&[], 0);
        assert_eq!(number(&again, "removed_units"), 0, "{again:#}\n{self:?}");
        tally.removed_units = number(&swept, "removed_units");
        tally.kept_units = number(&swept, "kept_units");
        tally.freed_bytes = number(&swept, "freed_bytes");
        tally.left_bytes = number(&swept, "left_bytes");
        tally.surplus_bytes = self.compare_with_nothing(&needed);
        tally
    }

    /// Brings the workspace into a state that builds and builds what is needed. `None` where no edit leads there.
    fn settle(&mut self) -> Option<Vec<String>> {
        for _ in 0..5 {
            let planned = self.place.suite(&["clean-stale", "--dry-run", "--json"]);
            if planned.code == Some(0) {
                let needed = self.place.needed();
                if self.place.compile(&needed).is_some() {
                    return Some(needed);
                }
            }
            let what = self.workspace.edit(&mut self.random);
            self.story.push(format!("it does not build; {what}"));
        }
        None
    }

    /// Builds what is needed from nothing. Returns the bytes that the sweep has left beyond that.
    fn compare_with_nothing(&self, needed: &[String]) -> u64 {
        let mut surplus = 0;
        let mut all = 0;
        let kept =
            self.dirs.iter().map(|dir| (dir, dir.with_extension("swept"), files(dir))).collect::<Vec<_>>();
        for (dir, aside, _) in &kept {
            if dir.exists() {
                fs::rename(dir, aside).unwrap();
            }
        }
        self.place.compile(needed).expect("it built before");
        for (dir, _, left) in &kept {
            let fresh = files(dir);
            let missing = only_in(&fresh, left);
            assert!(missing.is_empty(), "a build from nothing has these too: {missing:#?}\n{self:?}");
            let beyond = only_in(left, &fresh);
            let bytes = beyond.iter().map(|(_, bytes)| bytes).sum::<u64>();
            let total = left.values().sum::<u64>();
            assert!(bytes * 100 <= total, "{bytes} of {total} bytes are left over: {beyond:#?}\n{self:?}");
            surplus += bytes;
            all += total;
        }
        assert!(all > 0, "nothing was built");
        surplus
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the life of seed {} in {}:\n{}", self.seed, self.workspace.root(), self.story.join("\n"))
    }
}
