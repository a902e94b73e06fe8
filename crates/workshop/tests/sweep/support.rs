//! The binary on a workspace, and cargo's own word on what is fresh.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use xtask_testkit::{Fixture, Outcome, scrub};

pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_xtask-workshop");

/// A workspace and the environment that cargo and the suite get there.
pub(crate) struct Place {
    pub(crate) root: Utf8PathBuf,
    pub(crate) variables: BTreeMap<String, String>,
}

impl Place {
    pub(crate) fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into(), variables: BTreeMap::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// Layout v2, which only a nightly cargo makes before 1.100.
    pub(crate) fn with_new_layout(&mut self) {
        self.set("RUSTUP_TOOLCHAIN", "nightly");
        self.set("CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT", "true");
    }

    /// A program in the root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        scrub(&mut command).current_dir(&self.root).envs(&self.variables);
        command
    }

    /// A line for the shell: cargo as people type it.
    pub(crate) fn shell(&self, line: &str) -> Outcome {
        Outcome::of(self.command("sh").args(["-c", line]))
    }

    pub(crate) fn suite(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(EXE).args(arguments))
    }

    /// What `clean-stale --json ARGUMENTS` says, after ending with `code`.
    pub(crate) fn sweep(&self, arguments: &[&str], code: i32) -> Value {
        let outcome = self.suite(&[&["clean-stale", "--json"], arguments].concat()).expect_code(code);
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome:?}"))
    }

    /// The commands that are needed, none of which runs a test.
    pub(crate) fn needed(&self) -> Vec<String> {
        let plan = self.sweep(&["--dry-run"], 0);
        let commands = plan["commands"].as_array().unwrap().iter();
        let mut commands =
            commands.map(|planned| building(planned["command"].as_str().unwrap())).collect::<Vec<_>>();
        commands.sort();
        commands.dedup();
        commands
    }

    /// The units that these commands compile, by cargo's own messages; what went wrong where one fails.
    pub(crate) fn compile(&self, commands: &[String]) -> Result<Vec<String>, String> {
        let mut compiled = Vec::new();
        for command in commands {
            let (front, back) = command
                .split_once(" -- ")
                .map_or((&**command, String::new()), |(front, back)| (front, format!(" -- {back}")));
            let outcome = self.shell(&format!("{front} --message-format=json{back}"));
            if outcome.code != Some(0) {
                return Err(format!("{command}: {}", outcome.stderr));
            }
            let messages = outcome.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let stale = messages.filter(|message| message["fresh"] == Value::Bool(false));
            compiled.extend(stale.map(|message| {
                format!("{command}: {} {}", message["package_id"], message["target"]["name"])
            }));
        }
        Ok(compiled)
    }
}

/// Tests are built and not run.
fn building(command: &str) -> String {
    command.replacen("cargo test", "cargo test --no-run", 1)
}

/// `app` (a binary, a test, the feature `postgres`) depends on `lib`, which depends on `tiny` of a registry on disk.
pub(crate) struct Small {
    pub(crate) fixture: Fixture,
    pub(crate) place: Place,
}

impl Small {
    pub(crate) fn new(name: &str, toml: &str) -> Self {
        let package = |name: &str, rest: &str| {
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{rest}")
        };
        let app = package("app", "[features]\npostgres = []\n[dependencies]\nlib = { path = \"../lib\" }\n");
        let lib = package("lib", "[dependencies]\ntiny = \"1\"\n");
        let fixture = Fixture::new(
            name,
            &[
                ("w/Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"app\", \"lib\"]\n"),
                ("w/app/Cargo.toml", &app),
                ("w/app/src/main.rs", "fn main() { println!(\"{}\", lib::value()); }\n"),
                ("w/app/tests/it.rs", "#[test] fn it() {}\n"),
                ("w/lib/Cargo.toml", &lib),
                ("w/lib/src/lib.rs", "pub fn value() -> u64 { tiny::value() }\n"),
                ("w/xtask.toml", toml),
                (
                    "w/.cargo/config.toml",
                    "[source.crates-io]\nreplace-with = \"local\"\n[source.local]\ndirectory = \"../registry\"\n",
                ),
            ],
        );
        for patch in [0, 1] {
            let dir = format!("registry/tiny-1.0.{patch}");
            let manifest =
                format!("[package]\nname = \"tiny\"\nversion = \"1.0.{patch}\"\nedition = \"2021\"\n");
            fixture.write(&format!("{dir}/Cargo.toml"), &manifest);
            fixture.write(&format!("{dir}/src/lib.rs"), &format!("pub fn value() -> u64 {{ 4{patch} }}\n"));
            fixture.write(&format!("{dir}/.cargo-checksum.json"), "{\"files\":{}}");
        }
        let place = Place::new(fixture.root().join("w"));
        Self { fixture, place }
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        &self.place.root
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.fixture.write(&format!("w/{path}"), text);
    }

    /// Runs a line that has to succeed.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        self.place.shell(line).expect_code(0)
    }

    /// Bytes of a path and all below it, as `du` has them.
    pub(crate) fn disk_usage(&self, path: &str) -> u64 {
        let du = self.run(&format!("du -s --block-size=1 '{path}'")).stdout;
        du.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Locks the version of `tiny`.
    pub(crate) fn lock_tiny(&self, version: &str) {
        self.run("cargo metadata --format-version 1");
        let lock = fs::read_to_string(self.root().join("Cargo.lock")).unwrap();
        let (before, after) = lock.split_once("name = \"tiny\"\nversion = \"").unwrap();
        let (_, rest) = after.split_once('"').unwrap();
        self.write("Cargo.lock", &format!("{before}name = \"tiny\"\nversion = \"{version}\"{rest}"));
    }

    /// Builds all that is needed by default.
    pub(crate) fn build_all(&self) {
        for line in ["test --workspace --no-run", "check --workspace --all-targets", "build --workspace"] {
            self.run(&format!("cargo {line}"));
        }
    }

    /// The fingerprints' folders of a package's units in a profile.
    pub(crate) fn fingerprints(&self, profile: &str, package: &str) -> Vec<Utf8PathBuf> {
        let dir = self.root().join("target").join(profile).join(".fingerprint");
        let entries = dir.read_dir_utf8().into_iter().flatten().flatten();
        let of_package = |name: &str| name.rsplit_once('-').is_some_and(|(name, _)| name == package);
        let mut dirs = entries.map(|entry| entry.path().to_owned()).collect::<Vec<_>>();
        dirs.retain(|dir| of_package(dir.file_name().unwrap()));
        dirs.sort();
        dirs
    }
}

/// Only the three default commands are needed: no tier beyond tests and checks.
pub(crate) const FEW_TIERS: &str = "[tiers.lint]\ncommand = \"check\"\ntargets = \"all\"\n\
    [tiers.build-release]\nprofile = \"dev\"\n[sweep]\ngrace = 0\n";

/// The texts under a key of every entry of a list.
pub(crate) fn texts(document: &Value, list: &str, key: &str) -> Vec<String> {
    let entries = document[list].as_array().unwrap_or_else(|| panic!("no list `{list}` in {document:#}"));
    entries.iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
}

/// Bytes in a JSON document.
pub(crate) fn number(document: &Value, key: &str) -> u64 {
    document[key].as_u64().unwrap_or_else(|| panic!("no `{key}` in {document:#}"))
}

/// Whether a path exists below `root`.
pub(crate) fn exists(root: &Utf8Path, path: &str) -> bool {
    root.join(path).symlink_metadata().is_ok()
}
