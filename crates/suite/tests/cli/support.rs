//! The binary on a fixture, with an environment that does not depend on who runs the tests.
//!
//! Every test of the fixture leaves a mark: a file of its name that holds the environment it saw. So which
//! tests ran is told from files, not from anybody's output. `FAIL=name` makes the test of that name fail
//! without anything being compiled anew. What passes is remembered in a store of the fixture's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use xtask_testkit::{Fixture, Outcome, TempDir, scrub};

/// The program that has the commands of the package these tests are of.
pub(crate) const EXE: &str =
    match (option_env!("CARGO_BIN_EXE_xtask-workshop"), option_env!("CARGO_BIN_EXE_xtask-suite")) {
        (Some(workshop), _) => workshop,
        (None, Some(daily)) => daily,
        (None, None) => panic!("cargo builds one of the programs first"),
    };

/// The host's triple in the form of a variable's name and as it is.
pub(crate) fn host() -> (String, String) {
    let version = Outcome::of(scrub(&mut Command::new("rustc")).arg("-vV")).expect_code(0).stdout;
    let triple = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    (triple.to_uppercase().replace(['-', '.'], "_"), triple)
}

const MARK: &str = r#"
#[doc(hidden)]
pub fn mark(name: &str) {
    if let Ok(marks) = std::env::var("MARKS") {
        let seen: String = std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect();
        std::fs::write(format!("{marks}/{name}"), seen).unwrap();
    }
    assert_ne!(std::env::var("FAIL").as_deref(), Ok(name), "asked to fail");
}
"#;

/// `base`, `app` which depends on it, and `side` which nothing depends on. Tests: `base-unit`, `base-doc` and
/// one ignored; `app-it`; `side-unit` and `side-doc`.
fn trio_files() -> Vec<(&'static str, String)> {
    let package = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}")
    };
    vec![
        ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"base\", \"app\", \"side\"]\n".to_owned()),
        (".gitignore", "/target\n/marks\n".to_owned()),
        ("marks/.keep", String::new()),
        ("base/Cargo.toml", package("base", "[features]\nextra = []\n")),
        (
            "base/src/lib.rs",
            format!(
                "//! Base.\n{MARK}\n/// Adds.\n/// ```\n/// base::mark(\"base-doc\");\n/// ```\npub fn one() -> u32 {{ 1 }}\n\
                 #[test] fn unit() {{ mark(\"base-unit\") }}\n#[test] #[ignore] fn later() {{ mark(\"base-later\") }}\n"
            ),
        ),
        (
            "app/Cargo.toml",
            package(
                "app",
                "[features]\ncommon = []\nextra = [\"base/extra\"]\n[dependencies]\nbase = { path = \"../base\" }\n",
            ),
        ),
        ("app/src/main.rs", "fn main() { println!(\"{}\", base::one()); }\n".to_owned()),
        ("app/tests/it.rs", "#[test] fn it() { base::mark(\"app-it\") }\n".to_owned()),
        ("app/benches/speed.rs", "fn main() { base::mark(\"app-bench\") }\n".to_owned()),
        ("side/Cargo.toml", package("side", "")),
        (
            "side/src/lib.rs",
            format!(
                "//! Side.\n{MARK}\n/// Two.\n/// ```\n/// side::mark(\"side-doc\");\n/// ```\npub fn two() -> u32 {{ 2 }}\n\
                 #[test] fn unit() {{ mark(\"side-unit\") }}\n"
            ),
        ),
    ]
}

/// A fixture workspace with the suite's binary pointed at it.
pub(crate) struct Suite {
    pub(crate) fixture: Fixture,
    exe: Utf8PathBuf,
    /// Outside of the workspace: a folder in it would be a change.
    store: TempDir,
    variables: BTreeMap<String, String>,
}

impl Suite {
    /// The three members, committed, with this `xtask.toml`, and nextest on `PATH`.
    pub(crate) fn trio(config: &str) -> Self {
        let files = trio_files();
        let mut files = files.iter().map(|(path, text)| (*path, text.as_str())).collect::<Vec<_>>();
        // `app/benches/speed.rs` has a `main` of its own.
        let app = files.iter().find(|(path, _)| *path == "app/Cargo.toml").unwrap().1;
        let app = format!("{app}[[bench]]\nname = \"speed\"\nharness = false\n");
        files.retain(|(path, _)| *path != "app/Cargo.toml");
        files.push(("app/Cargo.toml", &app));
        Self::new(&files, config)
    }

    /// A workspace of these files, committed.
    pub(crate) fn new(files: &[(&str, &str)], config: &str) -> Self {
        let fixture = Fixture::new("cli", files);
        if !config.is_empty() {
            fixture.write("xtask.toml", config);
        }
        fixture.write("marks/.keep", "");
        let _ = Outcome::of(
            scrub(&mut Command::new("cargo")).arg("generate-lockfile").current_dir(fixture.root()),
        );
        fixture.git_init();
        let marks = fixture.root().join("marks").into_string();
        let store = TempDir::new("store");
        let variables =
            [("MARKS", marks.as_str()), ("RUSTUP_AUTO_INSTALL", "0"), ("XTASK_STORE", store.path().as_str())];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { fixture, exe: EXE.into(), store, variables }
    }

    /// The same without nextest: `PATH` has only what a build needs, and cargo's home is empty.
    pub(crate) fn without_nextest(mut self) -> Self {
        // Outside of the workspace: a folder in it would be a change.
        let bin = self.fixture.root().join("target/bin");
        fs::create_dir_all(&bin).unwrap();
        let needed = [
            "cargo",
            "rustc",
            "rustdoc",
            "cargo-clippy",
            "clippy-driver",
            "git",
            "cc",
            "gcc",
            "ld",
            "as",
            "sh",
            "bash",
            "env",
            "sleep",
            "setsid",
            "cat",
            "ld.lld",
            "collect2",
        ];
        let path = std::env::var("PATH").unwrap();
        for program in needed {
            let found =
                std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
            if let Some(file) = found {
                symlink(file, bin.join(program)).unwrap();
            }
        }
        let home = self.fixture.root().join("target/home");
        fs::create_dir_all(&home).unwrap();
        self.set("PATH", bin.as_str());
        self.set("CARGO_HOME", home.as_str());
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Uses a copy of the binary.
    pub(crate) fn use_exe(&mut self, exe: &Utf8Path) {
        exe.clone_into(&mut self.exe);
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        self.fixture.root()
    }

    /// The binary with `args` at the root, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.program(self.exe.as_str(), args)
    }

    /// Any program in the same environment.
    pub(crate) fn program(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        scrub(&mut command).current_dir(self.root()).args(args).envs(&self.variables);
        command
    }

    /// Runs the binary and expects this exit code.
    pub(crate) fn run(&self, args: &[&str], code: i32) -> Outcome {
        Outcome::of(&mut self.command(args)).expect_code(code)
    }

    /// Runs with `--json` and reads the one document.
    pub(crate) fn json(&self, args: &[&str], code: i32) -> Value {
        let outcome = self.run(&[&["--json"], args].concat(), code);
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| {
            panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", outcome.stdout, outcome.stderr)
        })
    }

    /// The names of the tests that ran since the last call.
    pub(crate) fn ran(&self) -> Vec<String> {
        let marks = self.root().join("marks");
        let mut names = Vec::new();
        for entry in marks.read_dir_utf8().unwrap().flatten().filter(|entry| entry.file_name() != ".keep") {
            names.push(entry.file_name().to_owned());
            fs::remove_file(entry.path()).unwrap();
        }
        names.sort();
        names
    }

    /// How many units a cargo command compiles now; it does compile them. Runs of build scripts do not count.
    pub(crate) fn cargo_compiles(&self, args: &[&str]) -> usize {
        let outcome = Outcome::of(self.program("cargo", args).arg("--message-format=json")).expect_code(0);
        let artifacts = outcome.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        artifacts.filter(|line| line["reason"] == "compiler-artifact" && line["fresh"] == false).count()
    }

    /// Where passes are kept.
    pub(crate) fn store(&self) -> &Utf8Path {
        self.store.path()
    }

    /// Where the suite keeps its state.
    pub(crate) fn state(&self) -> Utf8PathBuf {
        self.root().join("target/xtask-suite")
    }
}

/// The files right in `dir`.
pub(crate) fn files(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    dir.read_dir_utf8().into_iter().flatten().flatten().map(|entry| entry.path().to_owned()).collect()
}

/// A number in a document.
#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Makes `path` a script for `sh`.
pub(crate) fn script(path: &Utf8Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file =
        fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o755).open(path).unwrap();
    write!(file, "#!/bin/sh\n{text}").unwrap();
}
