//! A project's own tasks: what `docs/extending.md` shows is compiled as a project would, and run.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

mod package;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use camino::Utf8PathBuf;
use serde_json::Value;
use xtask_testkit::{Fixture, Outcome, scrub};

/// The binary of the document's example number `index`.
fn example(index: usize) -> Utf8PathBuf {
    let text = fs::read_to_string(package::repository().join("docs/extending.md")).unwrap();
    let blocks = text.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks = blocks.collect::<Vec<_>>();
    assert_eq!(blocks.len(), 2, "every block is an example of its own, and each is tested here");
    package::build(&format!("example-{index}"), blocks[index])
}

/// The binary whose tasks end in every way.
fn cases() -> Utf8PathBuf {
    package::build("cases", include_str!("tasks.rs"))
}

/// A small workspace and a binary that works on it.
struct Project {
    fixture: Fixture,
    exe: Utf8PathBuf,
}

impl Project {
    fn new(exe: Utf8PathBuf) -> Self {
        let fixture = Fixture::new(
            "extending",
            &[
                ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"two\"]\n"),
                (
                    "one/Cargo.toml",
                    "[package]\nname = \"one\"\nedition = \"2024\"\n[features]\nmore = [\"dep:two\"]\n\
                     [dependencies]\ntwo = { path = \"../two\", optional = true }\n",
                ),
                ("one/src/lib.rs", "#[test] fn unit() {}\n"),
                ("two/Cargo.toml", "[package]\nname = \"two\"\nedition = \"2024\"\n"),
                ("two/src/lib.rs", ""),
            ],
        );
        Self { fixture, exe }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.exe);
        scrub(&mut command).current_dir(self.fixture.root()).args(args);
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str], code: i32) -> Outcome {
        Outcome::of(&mut self.command(args)).expect_code(code)
    }

    #[track_caller]
    fn json(&self, args: &[&str], code: i32) -> Value {
        let stdout = self.run(args, code).stdout;
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}\n{stdout}"))
    }
}

#[test]
fn a_task_stands_beside_the_suites_commands() {
    let project = Project::new(example(0));
    let help = project.run(&["--help"], 0).stdout;
    let at = |name: &str| help.find(&format!("\n  {name}  ")).unwrap_or_else(|| panic!("{name} in\n{help}"));
    assert!(at("lint") < at("members") && at("members") < at("preset"), "{help}");
    assert!(help.contains("  members        List the members\n"), "{help}");
    assert!(!help.contains("xtask-own"), "{help}");
    let own = project.run(&["members", "--help"], 0).stdout;
    assert!(own.starts_with("List the members") && own.contains("cargo xtask members"), "{own}");
    assert!(own.contains("--json") && own.contains("-C <PATH>"), "{own}");

    assert_eq!(project.run(&["members"], 0).stdout, "one\ntwo\n");
    // The suite's own commands are all there.
    assert!(project.run(&["preset", "list"], 0).stdout.contains("minimal"));
    let dry = project.run(&["check-fast", "--dry-run"], 0).stdout;
    assert!(dry.contains("cargo check"), "{dry}");

    let unknown = project.run(&["membrs"], 2);
    assert!(unknown.stderr.contains("members"), "{}", unknown.stderr);
    let unknown = project.run(&["members", "--jsn"], 2);
    assert!(unknown.stderr.contains("--json"), "{}", unknown.stderr);
    for shell in ["bash", "zsh", "fish"] {
        let script = project.run(&["completions", shell], 0).stdout;
        assert!(script.contains(" members "), "{shell}:\n{script}");
    }
}

#[test]
fn a_task_needs_a_workspace_and_its_help_does_not() {
    let project = Project::new(example(0));
    let elsewhere = Fixture::new("elsewhere", &[]);
    let there = |args: &[&str]| Outcome::of(project.command(args).current_dir(elsewhere.root()));
    let outcome = there(&["members"]).expect_code(2);
    assert!(outcome.stderr.contains("Cargo.toml"), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
    assert!(there(&["--help"]).expect_code(0).stdout.contains("members"));
    let by_flag = there(&["members", "-C", project.fixture.root().as_str()]).expect_code(0);
    assert_eq!(by_flag.stdout, "one\ntwo\n");
    project.fixture.write("xtask.toml", "[tiers.x]\ncomand = \"check\"\n");
    let outcome = project.run(&["members"], 2);
    assert!(outcome.stderr.contains("xtask.toml:2:1"), "{}", outcome.stderr);
}

#[test]
fn a_tier_cannot_take_a_tasks_name() {
    let project = Project::new(example(0));
    project.fixture.write("xtask.toml", "[tiers.members]\ncommand = \"check\"\n");
    for args in [&["members"][..], &["test-fast", "--dry-run"], &[]] {
        let outcome = project.run(args, 2);
        let told = "takes the name of `cargo xtask members`";
        assert!(
            outcome.stderr.contains(told) && outcome.stderr.contains("xtask.toml:1:"),
            "{}",
            outcome.stderr
        );
    }
    // An alias is a name too.
    let project = Project::new(cases());
    project.fixture.write("xtask.toml", "[tiers.tell]\ncommand = \"check\"\n");
    assert!(project.run(&["say"], 2).stderr.contains("takes the name of `cargo xtask tell`"));
}

#[test]
fn a_task_takes_arguments_and_asks_for_units() {
    let project = Project::new(example(1));
    assert_eq!(project.run(&["weigh", "full"], 0).stdout, "full: 2 units\n");
    assert!(!project.fixture.root().join("target/debug/deps").exists(), "nothing was compiled");
    project.fixture.write("two/build.rs", "fn main() {}");
    let full = project.json(&["weigh", "full", "--json"], 0);
    assert_eq!(full, serde_json::json!({ "preset": "full", "units": 4 }));
    project.run(&["weigh", "full", "--most", "4"], 0);
    assert_eq!(project.json(&["--json", "weigh", "full", "--most", "3"], 1), full);
    let unknown = project.run(&["weigh", "ful"], 2);
    assert!(unknown.stderr.contains("did you mean `full`?"), "{}", unknown.stderr);
    assert!(project.run(&["weigh", "full", "--most", "x"], 2).stderr.contains("--most"));

    project.run(&["book"], 0);
    assert!(project.fixture.root().join("target/doc/one/index.html").is_file());
    project.fixture.write("one/src/lib.rs", "fn (");
    let outcome = project.run(&["book"], 1);
    assert!(
        outcome.stderr.ends_with("note: failed: cargo doc --workspace --no-deps\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn how_a_task_ends_is_the_exit_code() {
    let project = Project::new(cases());
    let table = [
        ("fail", 1, ""),
        ("error", 1, "error: the task's own words: the cause\n"),
        ("wrong", 2, "error: asked: no such thing\n"),
        ("lacks", 3, "error: no such tool\n"),
        ("panic", 1, "error: the task `panic` panicked (see above); its source is xtask/tasks/src/main.rs\n"),
    ];
    for (task, code, told) in table {
        let args = if task == "panic" { &["panic", "--n", "1"][..] } else { &[task] };
        let outcome = project.run(args, code);
        assert!(outcome.stderr.ends_with(told), "{task}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{task}");
    }
    // What it was: clap names the argument.
    assert!(project.run(&["panic", "--n", "1"], 1).stderr.contains("definition and access of `n`"));
}

#[test]
fn results_go_to_standard_output_and_all_else_does_not() {
    let project = Project::new(cases());
    let outcome = project.run(&["say"], 0);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("a result\n", "note: a note\n"));
    assert_eq!(project.run(&["tell", "-v"], 0).stderr, "note: a note\n  a detail\n");
    assert_eq!(project.json(&["say", "--json"], 0), serde_json::json!({ "tiers": 7 }));
    assert!(project.run(&["say", "--color", "always"], 0).stderr.starts_with("\u{1b}["));
}

#[test]
fn cargo_is_called_as_the_suite_calls_it() {
    let project = Project::new(cases());
    project.fixture.write(
        "two/build.rs",
        "fn main() { println!(\"cargo::warning=pkg {:?}\", std::env::var(\"CARGO_BIN_NAME\")); }",
    );
    let mut command = project.command(&["call", "-v", "--", "check", "-p", "two"]);
    let outcome = Outcome::of(command.env("CARGO_BIN_NAME", "xtask")).expect_code(0);
    assert!(outcome.stderr.contains("pkg Err(NotPresent)"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("  running `cargo check -p two`\n"), "{}", outcome.stderr);
    // Standard output is cargo's, unless a document is wanted there.
    let args = ["call", "--", "test", "-p", "one", "--lib"];
    assert!(project.run(&args, 0).stdout.contains("test unit ... ok"));
    let json = project.run(&[&["--json"], &args[..]].concat(), 0);
    assert_eq!(json.stdout, "");
    assert!(json.stderr.contains("test unit ... ok"), "{}", json.stderr);
    let outcome = project.run(&["call", "--", "check", "-p", "it's"], 1);
    assert!(outcome.stderr.ends_with("note: failed: cargo check -p 'it'\\''s'\n"), "{}", outcome.stderr);
    let mut command = project.command(&["call", "--", "check"]);
    // The workspace is known from the run before; cargo itself is gone.
    let outcome = Outcome::of(command.env("PATH", "/nowhere")).expect_code(3);
    assert!(outcome.stderr.contains("cargo is not on PATH"), "{}", outcome.stderr);
}

#[test]
fn a_task_knows_what_it_built() {
    let project = Project::new(cases());
    let first = project.run(&["build"], 0);
    assert_eq!(first.stdout, "2 compiled\n");
    assert_eq!(first.stderr.matches("Compiling two").count(), 1, "{}", first.stderr);
    assert_eq!(project.run(&["build"], 0).stdout, "0 compiled\n");
    project.fixture.write("one/src/lib.rs", "fn (");
    let failed = project.run(&["build"], 1);
    assert!(failed.stderr.contains("note: failed: cargo build --workspace\n"), "{}", failed.stderr);
}

#[cfg(unix)]
#[test]
fn a_signal_while_a_task_builds_ends_it_as_such() {
    use std::os::unix::process::ExitStatusExt as _;
    let project = Project::new(cases());
    project.fixture.write(
        "two/build.rs",
        "fn main() { std::fs::write(\"started\", \"\").unwrap(); std::thread::sleep(std::time::Duration::from_secs(60)); }",
    );
    let mut task = project.command(&["build"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = project.fixture.root().join("two/started");
    while !started.exists() {
        assert!(task.try_wait().unwrap().is_none(), "it ended before the build script ran");
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = Outcome::of(Command::new("kill").args(["-INT", &task.id().to_string()])).expect_code(0);
    assert_eq!(task.wait().unwrap().signal(), Some(2));
}

#[test]
fn names_that_clash_are_told_at_every_start() {
    let project = Project::new(cases());
    let table = [
        ("suite", "the task `with` has the name of a command of the suite"),
        ("tier", "the task `test-fast` has the name of a default tier"),
        ("twice", "the task `a` has the name of another task"),
        ("flag", "the task `a` has a flag `--json`, which is taken"),
    ];
    for (tasks, told) in table {
        for args in [&[][..], &["--help"], &["test-fast", "--dry-run"]] {
            let outcome = Outcome::of(project.command(args).env("TASKS", tasks)).expect_code(2);
            assert!(
                outcome.stderr.starts_with("error: xtask/tasks/src/main.rs needs a change:"),
                "{}",
                outcome.stderr
            );
            assert!(outcome.stderr.contains(told), "{tasks}: {}", outcome.stderr);
        }
    }
}
