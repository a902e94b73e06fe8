//! The life of one generated workspace: edits and builds of all kinds, until a sweep.

use std::fs;

use camino::Utf8PathBuf;
use xtask_testkit::{Generated, Random, Wishes};

use crate::files::{files, is_note_beside_another, only_in};
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

/// Makes a library a dynamic one too.
const DYNAMIC: &str = "crate-type = [\"lib\", \"cdylib\"]\n";

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
    /// Their names, after the seed.
    pub(crate) surplus: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.broken += other.broken;
        self.builds += other.builds;
        self.removed_units += other.removed_units;
        self.kept_units += other.kept_units;
        self.freed_bytes += other.freed_bytes;
        self.left_bytes += other.left_bytes;
        self.surplus_bytes += other.surplus_bytes;
        self.surplus.extend(other.surplus);
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
        let wishes = Wishes {
            most_members,
            lock_ignored: random.chance(15),
            run_time: false,
            absolute_paths: true,
            secluded: false,
            rare: false,
        };
        let toml = "[tiers.test-all]\ncommand = \"test\"\ntargets = \"all\"\ndoctests = true\n\
                    [tiers.lint]\nargs = [\"--\", \"-A\", \"clippy::all\"]\n[sweep]\ngrace = 0\ndoc = 0\n";
        let workspace = Generated::new(&format!("sweep-{seed}"), &mut random, wishes, toml);
        let mut place = Place::new(workspace.root());
        let new_layout = random.chance(40);
        let dirs = vec![workspace.root().join("target")];
        if new_layout {
            place.with_new_layout();
        }
        let host = place.shell("rustc -vV | sed -n 's/^host: //p'").stdout.trim().to_owned();
        let other = if new_layout { "+stable" } else { "+nightly" };
        let story = vec![format!("seed {seed}: new layout {new_layout}, {wishes:?}")];
        let mut history = Self { seed, random, workspace, place, dirs, other, host, story };
        if history.random.chance(25) {
            history.split();
        }
        history
    }

    /// Intermediate artifacts lie apart from now on; those that lie in the target dir are dead.
    fn split(&mut self) {
        if self.dirs.len() == 1 {
            self.dirs.push(self.workspace.root().join("build-dir"));
            self.place.set("CARGO_BUILD_BUILD_DIR", self.dirs[1].as_str());
            self.story.push("a build dir apart".to_owned());
        }
    }

    /// The manifests of packages that are libraries.
    fn libraries(&self) -> Vec<String> {
        let manifests = self.workspace.package_dirs().into_iter().map(|dir| format!("{dir}Cargo.toml"));
        let of_library = |path: &String| {
            let is_one = |text: String| !text.contains("proc-macro") && text.contains("[features]");
            !path.starts_with("..") && self.workspace.read(path).is_some_and(is_one)
        };
        manifests.filter(of_library).collect()
    }

    /// A member becomes a dynamic library too, whose files carry no unit id, or is none any more.
    fn toggle_dynamic_library(&mut self) {
        let Some(path) = self.random.pick(&self.libraries()).cloned() else { return };
        let text = self.workspace.read(&path).unwrap();
        let toggled = if text.contains(DYNAMIC) {
            text.replace(DYNAMIC, "")
        } else {
            text.replacen("[lib]\n", &format!("[lib]\n{DYNAMIC}"), 1)
        };
        self.workspace.write(&path, &toggled);
        self.story.push(format!("{path}: a dynamic library is toggled"));
    }

    fn no_dynamic_libraries(&mut self) {
        for path in self.libraries() {
            let text = self.workspace.read(&path).unwrap();
            self.workspace.write(&path, &text.replace(DYNAMIC, ""));
        }
        self.story.push("no dynamic libraries any more".to_owned());
    }

    /// Lives, sweeps, and compares.
    pub(crate) fn run(mut self, steps: usize) -> Tally {
        let mut tally = Tally { histories: 1, ..Tally::default() };
        for _ in 0..steps {
            let what = self.workspace.edit(&mut self.random);
            self.story.push(what);
            if self.random.chance(40) {
                self.toggle_dynamic_library();
            }
            if self.random.chance(8) {
                self.split();
            }
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
        let compiled = self.place.compile(&needed).unwrap_or_else(|error| panic!("{error}\n{self:?}"));
        assert!(compiled.is_empty(), "recompiled: {compiled:#?}\n{self:?}");
        let again = self.place.sweep(&[], 0);
        assert_eq!(number(&again, "removed_units"), 0, "{again:#}\n{self:?}");
        tally.removed_units = number(&swept, "removed_units");
        tally.kept_units = number(&swept, "kept_units");
        tally.freed_bytes = number(&swept, "freed_bytes");
        tally.left_bytes = number(&swept, "left_bytes");
        for (path, bytes) in self.compare_with_nothing(&needed) {
            tally.surplus_bytes += bytes;
            tally.surplus.push(format!("{}: {path}", self.seed));
        }
        tally
    }

    /// Brings the workspace into a state that builds and builds what is needed. `None` where no edit leads there.
    fn settle(&mut self) -> Option<Vec<String>> {
        for _ in 0..5 {
            let planned = self.place.suite(&["clean-stale", "--dry-run", "--json"]);
            if planned.code == Some(0) {
                let needed = self.place.needed();
                let twice = self.place.compile(&needed).and_then(|_| self.place.compile(&needed));
                if twice.as_ref().is_ok_and(Vec::is_empty) {
                    return Some(needed);
                }
                if twice.is_ok() {
                    // Two units of a dynamic library write the same files, so cargo compiles them in turns.
                    self.no_dynamic_libraries();
                    continue;
                }
            }
            let what = self.workspace.edit(&mut self.random);
            self.story.push(format!("it does not build; {what}"));
        }
        None
    }

    /// Builds what is needed from nothing. Returns what the sweep has left beyond that.
    fn compare_with_nothing(&self, needed: &[String]) -> Vec<(String, u64)> {
        let mut surplus = Vec::new();
        let mut all = 0;
        let kept =
            self.dirs.iter().map(|dir| (dir, dir.with_extension("swept"), files(dir))).collect::<Vec<_>>();
        for (dir, aside, _) in &kept {
            if dir.exists() {
                fs::rename(dir, aside).unwrap();
            }
        }
        self.place.compile(needed).unwrap_or_else(|error| panic!("{error}\n{self:?}"));
        for (dir, _, left) in &kept {
            let fresh = files(dir);
            let missing = only_in(&fresh, left);
            assert!(missing.is_empty(), "a build from nothing has these too: {missing:#?}\n{self:?}");
            let is_note = |(path, _): &(String, u64)| is_note_beside_another(path, &fresh);
            let (notes, beyond) = only_in(left, &fresh).into_iter().partition::<Vec<_>, _>(is_note);
            assert!(beyond.is_empty(), "a build from nothing has none of these: {beyond:#?}\n{self:?}");
            all += left.values().sum::<u64>();
            surplus.extend(notes);
        }
        let bytes = surplus.iter().map(|(_, bytes)| bytes).sum::<u64>();
        assert!(bytes * 100 <= all, "{bytes} of {all} bytes are left over: {surplus:#?}\n{self:?}");
        assert!(all > 0, "nothing was built");
        surplus
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the life of seed {} in {}:\n{}", self.seed, self.workspace.root(), self.story.join("\n"))
    }
}
