//! A machine with nothing but cargo and what a test puts on it, and a small workspace there.

use std::fs;
use std::io::Write;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use xtask_testkit::{BareMachine, Fixture, Outcome};

/// Nothing is wanted: a test names what it is about.
const UNWANTED: [&str; 7] = ["rust-lld", "mold", "wild", "lld", "clang", "sccache", "cargo-nextest"];

/// The triple of this host.
pub(crate) fn host() -> String {
    let version = Outcome::of(Command::new("rustc").arg("-vV")).expect_code(0).stdout;
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// A workspace on a machine.
pub(crate) struct Suite {
    pub(crate) machine: BareMachine,
    pub(crate) fixture: Fixture,
    pub(crate) variables: Vec<(String, String)>,
}

impl Suite {
    /// A machine with the programs of `wanted`, each of which is a tool of the catalog, and a workspace of a library and
    /// a program, whose `xtask.toml` goes on as `config`.
    pub(crate) fn new(name: &str, wanted: &[&str], config: &str) -> Self {
        let machine = BareMachine::new(&format!("{name}-machine"));
        for tool in wanted {
            let programs: &[&str] = match *tool {
                // The C compiler looks for it by this name.
                "mold" => &["mold", "ld.mold"],
                "lld" => &["ld.lld"],
                "rust-lld" => &[],
                other => &[other],
            };
            for program in programs {
                machine.install(program);
            }
        }
        let unwanted = UNWANTED.iter().filter(|tool| !wanted.contains(tool));
        let unwanted = unwanted.map(|tool| format!("[tools.{tool}]\nneed = \"unwanted\"\n"));
        let unwanted = unwanted.collect::<Vec<_>>().concat();
        let package = |name: &str, rest: &str| {
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{rest}")
        };
        let fixture = Fixture::new(
            name,
            &[
                ("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"base\", \"app\"]\n"),
                ("base/Cargo.toml", &package("base", "")),
                (
                    "base/src/lib.rs",
                    "pub fn one() -> u32 {\n    1\n}\n#[test]\nfn is_one() {\n    assert_eq!(one(), 1);\n}\n",
                ),
                ("app/Cargo.toml", &package("app", "[dependencies]\nbase = { path = \"../base\" }\n")),
                ("app/src/main.rs", "fn main() {\n    println!(\"{}\", base::one());\n}\n"),
                (".gitignore", "/target\n"),
                ("xtask.toml", &format!("{unwanted}{config}")),
            ],
        );
        // A server of the test's own, which ends soon: nobody else's may answer, and this one nobody else.
        let server = [("SCCACHE_SERVER_PORT", free_port()), ("SCCACHE_IDLE_TIMEOUT", "30".to_owned())];
        let variables = server.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let suite = Self { machine, fixture, variables };
        suite.cargo(&["generate-lockfile"]).expect_code(0);
        suite.fixture.git_init();
        suite
    }

    /// The same with one more variable in the environment.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        self.fixture.root()
    }

    /// A call of the suite.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.machine.command("env", self.root());
        command.arg(env!("CARGO_BIN_EXE_xtask-workshop")).args(args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(args))
    }

    /// A setup without measuring, its report as JSON.
    pub(crate) fn setup(&self, args: &[&str]) -> Value {
        let all = [&["setup", "--json", "--no-measure"], args].concat();
        json(&self.run(&all).expect_code(0))
    }

    /// Plain cargo in the workspace.
    pub(crate) fn cargo(&self, args: &[&str]) -> Outcome {
        self.cargo_in(self.root(), args)
    }

    /// Plain cargo in a folder.
    pub(crate) fn cargo_in(&self, dir: &Utf8Path, args: &[&str]) -> Outcome {
        let mut command = self.machine.command("cargo", dir);
        command.args(args).envs(self.variables.iter().map(|(name, value)| (name, value)));
        Outcome::of(&mut command)
    }

    /// The settings of this machine; empty where there are none.
    pub(crate) fn local(&self) -> String {
        fs::read_to_string(self.root().join(".cargo/xtask.local.toml")).unwrap_or_default()
    }

    /// The linker's name in an executable below the workspace's root.
    pub(crate) fn linker_of(&self, executable: &str) -> String {
        linker_of(&self.root().join(executable))
    }
}

/// A port that nobody listens on.
fn free_port() -> String {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    socket.local_addr().unwrap().port().to_string()
}

/// What linkers leave in an executable's `.comment`.
pub(crate) fn linker_of(executable: &Utf8Path) -> String {
    Outcome::of(Command::new("readelf").args(["-p", ".comment", executable.as_str()])).expect_code(0).stdout
}

/// The one JSON document on standard output.
pub(crate) fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", outcome.stdout, outcome.stderr))
}

/// What the report says of a tool.
pub(crate) fn tool<'a>(report: &'a Value, name: &str) -> &'a Value {
    let tools = report["tools"].as_array().unwrap();
    tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// A folder on the `PATH` of whoever runs the tests that has `program`.
pub(crate) fn program(program: &str) -> Utf8PathBuf {
    let path = std::env::var("PATH").unwrap();
    let mut folders = std::env::split_paths(&path);
    let found = folders.find_map(|folder| Some(folder.join(program)).filter(|path| path.is_file()));
    Utf8PathBuf::from_path_buf(found.unwrap_or_else(|| panic!("{program} is not on PATH"))).unwrap()
}

/// Writes a file that a test serves or runs.
pub(crate) fn write(path: &Utf8Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).unwrap();
}
