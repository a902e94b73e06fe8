//! A workspace that has never heard of the suite, made from a few lines.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Outcome, TempDir, cargo, git_init, scrub};

use crate::store;

/// The suite's binary.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_xtask-workshop");

/// What git knows of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Git {
    /// Everything is committed.
    Clean,
    /// One file is changed, and one is not added.
    Dirty,
    /// The workspace is a folder in a repository.
    Outer,
    /// There is none.
    Without,
}

/// What the workspace does with its lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// It is there, and committed where there is git.
    Kept,
    /// It is there, and git ignores it.
    Ignored,
    /// It is not there until cargo makes it.
    Absent,
}

/// How a host is made; see [`Plan::make`].
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// Whether the adopted suite is called in a quick run too.
    pub(crate) tiers: bool,
    pub(crate) git: Git,
    pub(crate) lock: Lock,
    /// The folder of the workspace below the temporary one.
    pub(crate) dir: &'static str,
    /// What `adopt` is called with, relative to the root.
    pub(crate) called_with: &'static str,
    /// Where cargo's configuration is, so what `adopt` edits.
    pub(crate) config: &'static str,
    /// Whether `adopt` needs `--merge`.
    pub(crate) merge: bool,
    /// Whether the workspace keeps `cargo fmt --check` and clippy clean.
    pub(crate) linted: bool,
    /// Packages below the root that are on their own, and must still work.
    pub(crate) nested: &'static [&'static str],
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) links: Vec<(&'static str, &'static str)>,
    pub(crate) read_only: Vec<&'static str>,
    pub(crate) rewrite: fn(&str, &str) -> String,
}

/// A host on disk. It stays when the test fails.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) plan: Plan,
    pub(crate) dir: TempDir,
    pub(crate) root: Utf8PathBuf,
    /// Where it builds, if not below its root.
    pub(crate) target_dir: Option<Utf8PathBuf>,
}

impl Plan {
    /// An empty one with this root manifest.
    pub(crate) fn new(name: &'static str, manifest: &str) -> Self {
        let plan = Self {
            name,
            tiers: false,
            git: Git::Clean,
            lock: Lock::Kept,
            dir: "host",
            called_with: ".",
            config: ".cargo/config.toml",
            merge: false,
            linted: false,
            nested: &[],
            files: BTreeMap::new(),
            links: Vec::new(),
            read_only: Vec::new(),
            rewrite: |_, text| text.to_owned(),
        };
        plan.file("Cargo.toml", manifest).file(".gitignore", "/target\n")
    }

    /// One more file, or another text of it.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        self.files.remove(path);
        self
    }

    pub(crate) fn link(mut self, path: &'static str, to: &'static str) -> Self {
        self.links.push((path, to));
        self
    }

    pub(crate) fn read_only(mut self, path: &'static str) -> Self {
        self.read_only.push(path);
        self
    }

    /// Every text file goes through this, with its path, the lock file too.
    pub(crate) fn rewrite(mut self, rewrite: fn(&str, &str) -> String) -> Self {
        self.rewrite = rewrite;
        self
    }

    /// Its manifest is there already, or in `Cargo.toml`: a library with a unit test and a doc test.
    pub(crate) fn lib_sources(self, dir: &str) -> Self {
        let name = dir.rsplit('/').next().unwrap();
        let text = LIB.replace("NAME", name);
        self.file(&join(dir, "src/lib.rs"), &text)
    }

    /// A library without dependencies.
    pub(crate) fn lib(self, dir: &str, edition: &str, more: &str) -> Self {
        let name = dir.rsplit('/').next().unwrap();
        self.file(&join(dir, "Cargo.toml"), &package(name, edition, more)).lib_sources(dir)
    }

    /// Library, binary and integration test of a package that depends on the library `base`. Its manifest is
    /// there already, or in `Cargo.toml`.
    pub(crate) fn app_sources(self, dir: &str, name: &str, base: &str) -> Self {
        let replace = |text: &str| text.replace("NAME", name).replace("BASE", base);
        self.file(&join(dir, "src/lib.rs"), &replace(APP_LIB))
            .file(&join(dir, "src/main.rs"), &replace(APP_MAIN))
            .file(&join(dir, "tests/it.rs"), &replace(APP_TEST))
    }

    /// The package `app` with a dependency by path.
    pub(crate) fn app(self, dir: &str, edition: &str, base: &str, more: &str) -> Self {
        let base_name = base.rsplit('/').next().unwrap();
        let more = format!("\n[dependencies]\n{base_name} = {{ path = \"{base}\" }}\n{more}");
        self.file(&join(dir, "Cargo.toml"), &package("app", edition, &more))
            .app_sources(dir, "app", base_name)
    }

    /// Writes it all, makes the lock file and commits.
    pub(crate) fn make(self) -> Host {
        let dir = TempDir::new(&format!("adopt-{}", self.name));
        let root = dir.path().join(self.dir);
        let in_dir = |path: &str| join(self.dir, path);
        for (path, text) in &self.files {
            dir.write(&in_dir(path), &(self.rewrite)(path, text));
        }
        for (path, to) in &self.links {
            symlink(to, root.join(path)).unwrap();
        }
        for package in [&["."], self.nested].concat() {
            if package != "." || self.lock != Lock::Absent {
                Outcome::of(cargo(&root.join(package)).args(["generate-lockfile", "--quiet"])).expect_code(0);
            }
        }
        if self.lock != Lock::Absent {
            let text = fs::read_to_string(root.join("Cargo.lock")).unwrap();
            dir.write(&in_dir("Cargo.lock"), &(self.rewrite)("Cargo.lock", &text));
        }
        for path in &self.read_only {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o444)).unwrap();
        }
        match self.git {
            Git::Without => {}
            Git::Clean => git_init(&root),
            Git::Outer => git_init(dir.path()),
            Git::Dirty => {
                git_init(&root);
                dir.write(&in_dir("NOTES.md"), "not added\n");
                dir.write(&in_dir(".gitignore"), "/target\n/changed\n");
            }
        }
        Host { plan: self, dir, root, target_dir: None }
    }
}

impl Host {
    /// The suite's own program with `args`, in a folder that has nothing to do with the host.
    pub(crate) fn suite(&self, args: &[&str]) -> Command {
        suite(self.dir.path(), args)
    }

    /// `adopt ARGS PATH`, with the path that the table says.
    pub(crate) fn adopt_command(&self, args: &[&str]) -> Command {
        let path = self.root.join(self.plan.called_with);
        let merge: &[&str] = if self.plan.merge && !args.contains(&"--undo") { &["--merge"] } else { &[] };
        self.suite(&[&["adopt"], args, merge, &[path.as_str()]].concat())
    }

    /// Runs it and expects this exit code.
    #[track_caller]
    pub(crate) fn adopt(&self, args: &[&str], code: i32) -> Outcome {
        Outcome::of(&mut self.adopt_command(args)).expect_code(code)
    }

    /// Cargo at the root.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        self.cargo_in("", args)
    }

    /// Cargo in a folder of the host.
    pub(crate) fn cargo_in(&self, dir: &str, args: &[&str]) -> Command {
        let mut command = cargo(&self.root.join(dir));
        command.args(args).env("RUSTUP_AUTO_INSTALL", "0");
        command.env("XTASK_STORE", store::folder());
        if let Some(target_dir) = &self.target_dir {
            command.env("CARGO_TARGET_DIR", target_dir);
        }
        command
    }

    /// Runs it and expects this exit code.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str], code: i32) -> Outcome {
        Outcome::of(&mut self.cargo(args)).expect_code(code)
    }

    /// Where the launcher goes.
    pub(crate) fn launcher(&self) -> &'static str {
        if self.plan.merge { "xtask-launcher" } else { "xtask" }
    }

    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.root.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.dir.write(&join(self.plan.dir, path), text);
    }

    /// Removes the lock file of a host that keeps none; cargo makes it whenever it is called.
    pub(crate) fn forget_lock_file(&self) {
        if self.plan.lock == Lock::Absent {
            let _ = fs::remove_file(self.root.join("Cargo.lock"));
        }
    }
}

/// The suite's own program with `args` in `dir`.
pub(crate) fn suite(dir: &Utf8Path, args: &[&str]) -> Command {
    let mut command = Command::new(EXE);
    scrub(&mut command).current_dir(dir).args(args).env("RUSTUP_AUTO_INSTALL", "0");
    command
}

/// The text of a package's manifest.
pub(crate) fn package(name: &str, edition: &str, more: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"{edition}\"\n{more}")
}

/// Whether a file is a source of Rust's.
pub(crate) fn is_rust(path: &str) -> bool {
    Utf8Path::new(path).extension() == Some("rs")
}

fn join(dir: &str, path: &str) -> String {
    Utf8Path::new(dir).join(path).into_string()
}

const LIB: &str = "//! A library.

/// One.
///
/// ```
/// assert_eq!(NAME::one(), 1);
/// ```
pub fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_is_one() {
        assert_eq!(super::one(), 1);
    }
}
";

const APP_LIB: &str = "//! Adds.
extern crate BASE;

/// Two.
pub fn two() -> u32 {
    BASE::one() + 1
}

#[test]
fn two_is_two() {
    assert_eq!(two(), 2);
}
";

const APP_MAIN: &str = "extern crate NAME;

fn main() {
    println!(\"{}\", NAME::two());
}
";

const APP_TEST: &str = "extern crate NAME;

#[test]
fn it_adds() {
    assert_eq!(NAME::two(), 2);
}
";
