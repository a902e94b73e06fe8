//! What is remembered of test programs, what is not, and how it is told.
//!
//! Each test has a store of its own. Where `nextest` is a parameter, both runners must behave alike.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use crate::support::{Suite, files, host, number, script};

const FAST: &str = "[tiers.fast]\ncommand = \"test\"\npackages = \"affected\"\n";
const PACKAGE: &str = "[package]\nname = \"one\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

/// One package with these test programs, each `(path, text)`, and without a library.
fn one(config: &str, tests: &[(&str, &str)]) -> Suite {
    let mut files = vec![("Cargo.toml", PACKAGE), (".gitignore", "/target\n/marks\n")];
    files.extend(tests);
    Suite::new(&files, config)
}

/// `suite` for each runner.
fn both(suite: impl Fn() -> Suite) -> [Suite; 2] {
    [suite(), suite().without_nextest()]
}

/// `name: verdict` of every program.
fn verdicts(report: &Value) -> Vec<String> {
    let programs = report["programs"].as_array().unwrap().iter();
    programs
        .map(|program| {
            format!("{}: {}", program["name"].as_str().unwrap(), program["verdict"].as_str().unwrap())
        })
        .collect()
}

/// Why the program ran, or did not.
fn why<'a>(report: &'a Value, name: &str) -> &'a str {
    let mut programs = report["programs"].as_array().unwrap().iter();
    programs.find(|program| program["name"] == name).unwrap()["why"].as_str().unwrap()
}

fn edit(suite: &Suite, path: &str) {
    suite.fixture.write(path, &format!("{}// edited\n", suite.fixture.read(path)));
}

// What counts as a pass.

const OK: &str = "#[test] fn ok() {}\n";
/// Leaves a process behind that holds its output.
const LEAKY: &str =
    "#[test] fn leaky() { std::process::Command::new(\"sleep\").arg(\"3\").spawn().unwrap(); }\n";
const FAILS: &str = "#[test] fn fails() { panic!() }\n";
/// Passes when it is tried the second time.
const FLAKY: &str = "#[test] fn flaky() {\n    let seen = std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(\"target/seen\");\n    \
                     if !seen.exists() { std::fs::write(seen, \"\").unwrap(); panic!() }\n}\n";

#[test]
fn only_a_clean_pass_at_the_first_try_is_remembered() {
    let nextest = one(
        &format!("{FAST}retries = 1\n"),
        &[
            ("tests/flaky.rs", FLAKY),
            ("tests/fails.rs", FAILS),
            ("tests/leaky.rs", LEAKY),
            ("tests/ok.rs", OK),
        ],
    );
    let report = nextest.json(&["fast"], 1);
    let ran = ["one::fails: failed", "one::flaky: passed", "one::leaky: passed", "one::ok: passed"];
    assert_eq!(verdicts(&report), ran, "{report:#}");
    let report = nextest.json(&["fast"], 1);
    let again = ["one::fails: failed", "one::flaky: passed", "one::leaky: passed", "one::ok: remembered"];
    assert_eq!(verdicts(&report), again, "{report:#}");
    assert_eq!(verdicts(&nextest.json(&["fast"], 1))[1], "one::flaky: remembered", "at the first try");

    let cargo = one(FAST, &[("tests/fails.rs", FAILS), ("tests/leaky.rs", LEAKY), ("tests/ok.rs", OK)])
        .without_nextest();
    cargo.run(&["fast"], 1);
    let report = cargo.json(&["fast"], 1);
    assert_eq!(verdicts(&report), ["one::fails: failed", "one::leaky: passed", "one::ok: remembered"]);
}

#[test]
fn where_there_are_no_test_programs_nothing_fails() {
    let manifest = format!("{PACKAGE}[lib]\ntest = false\ndoctest = false\n");
    let files = [("Cargo.toml", &*manifest), (".gitignore", "/target\n"), ("src/lib.rs", "")];
    for suite in both(|| Suite::new(&files, FAST)) {
        assert!(verdicts(&suite.json(&["fast"], 0)).is_empty());
    }
}

#[test]
fn what_cannot_be_started_has_not_passed() {
    for suite in both(|| one(FAST, &[("tests/a.rs", OK), ("tests/b.rs", OK)])) {
        let built = suite.program("cargo", &["test", "--no-run"]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let programs = files(&suite.root().join("target/debug/deps"));
        let is_a = |path: &&Utf8PathBuf| {
            path.file_name().is_some_and(|name| name.starts_with("a-")) && path.extension().is_none()
        };
        let program = programs.iter().find(is_a).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o644)).unwrap();
        let report = suite.json(&["fast"], 1);
        assert_eq!(verdicts(&report)[0], "one::a: not-run", "{report:#}");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(verdicts(&suite.json(&["fast"], 0))[0], "one::a: passed");
        assert_eq!(verdicts(&suite.json(&["fast"], 0))[0], "one::a: remembered");
    }
}

#[test]
fn a_stopped_run_has_passed_nothing() {
    let hang = "#[test] fn hang() {\n    let target = std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(\"target\");\n    \
                if !target.join(\"go\").exists() { std::fs::write(target.join(\"hangs\"), \"\").unwrap(); \
                std::thread::sleep(std::time::Duration::from_secs(60)) }\n}\n";
    for suite in both(|| one(FAST, &[("tests/a.rs", OK), ("tests/hang.rs", hang)])) {
        let mut child = suite.command(&["fast"]).spawn().unwrap();
        let hangs = suite.root().join("target/hangs");
        let until = Instant::now() + Duration::from_secs(60);
        while !hangs.exists() {
            assert!(Instant::now() < until, "it never began to hang");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        assert!(!child.wait().unwrap().success());
        suite.fixture.write("target/go", "");
        let report = suite.json(&["fast"], 0);
        assert_eq!(verdicts(&report), ["one::a: passed", "one::hang: passed"], "{report:#}");
        assert_eq!(verdicts(&suite.json(&["fast"], 0)), ["one::a: remembered", "one::hang: remembered"]);
    }
}

#[test]
fn without_a_report_nothing_has_passed() {
    // Puts a file where nextest will write its report.
    let blocks = "#[test] fn blocks() {\n    let target = std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(\"target\");\n    \
                  if target.join(\"go\").exists() { return }\n    \
                  for entry in std::fs::read_dir(target.join(\"xtask-suite/nextest\")).unwrap().flatten() {\n        \
                  if entry.path().join(\"tool.toml\").exists() { let _ = std::fs::remove_dir_all(entry.path().join(\"reports\")); \
                  std::fs::write(entry.path().join(\"reports\"), \"\").unwrap() }\n    }\n}\n";
    let suite = one(FAST, &[("tests/a.rs", OK), ("tests/blocks.rs", blocks)]);
    let outcome = xtask_testkit::Outcome::of(&mut suite.command(&["fast"]));
    assert_ne!(outcome.code, Some(0), "nextest fails without its report: {}", outcome.stderr);
    suite.fixture.write("target/go", "");
    assert_eq!(verdicts(&suite.json(&["fast"], 0)), ["one::a: passed", "one::blocks: passed"]);
    assert_eq!(verdicts(&suite.json(&["fast"], 0)), ["one::a: remembered", "one::blocks: remembered"]);
}

#[test]
fn what_a_fail_fast_tier_did_not_run_has_not_passed() {
    let config = format!("{FAST}args = [\"--fail-fast\"]\n");
    let fails = "#[test] fn fails() {\n    let go = std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(\"target/go\");\n    \
                 assert!(go.exists());\n}\n";
    let slow = "#[test] fn slow() { std::thread::sleep(std::time::Duration::from_secs(2)) }\n";
    // nextest runs several at once, so those after it are many.
    let names = ["b", "c", "d", "e"].map(|name| format!("tests/{name}.rs"));
    let mut tests = vec![("tests/a.rs", fails)];
    tests.extend(names.iter().map(|name| (name.as_str(), slow)));
    let mut suite = one(&config, &tests);
    suite.set("NEXTEST_TEST_THREADS", "1");
    let report = suite.json(&["fast"], 1);
    let first = verdicts(&report);
    assert_eq!(first[0], "one::a: failed", "{report:#}");
    assert!(first[1..].iter().all(|verdict| verdict.ends_with(": not-run")), "{report:#}");
    suite.fixture.write("target/go", "");
    assert!(verdicts(&suite.json(&["fast"], 0)).iter().all(|verdict| verdict.ends_with(": passed")));
}

/// Of one program, a test passes, another fails the run, and a third is never started.
#[test]
fn half_a_program_has_not_passed() {
    let config = format!("{FAST}args = [\"--fail-fast\"]\n");
    let half = "#[test] fn first() {}\n#[test] fn last() { panic!() }\n";
    let priorities = "[[profile.default.overrides]]\nfilter = \"test(first)\"\npriority = 100\n\
                      [[profile.default.overrides]]\nfilter = \"test(last)\"\npriority = -100\n";
    let mut suite =
        one(&config, &[("tests/a.rs", half), ("tests/b.rs", FAILS), (".config/nextest.toml", priorities)]);
    suite.set("NEXTEST_TEST_THREADS", "1");
    for _ in 0..2 {
        let report = suite.json(&["fast"], 1);
        assert_eq!(verdicts(&report), ["one::a: not-run", "one::b: failed"], "{report:#}");
    }
}

#[test]
fn a_harness_that_ignores_its_arguments_runs_as_cargo_runs_it() {
    let silent =
        "fn main() { assert!(std::env::args().len() > 1 || std::path::Path::new(\"missing\").exists()) }\n";
    let manifest = format!("{PACKAGE}[[test]]\nname = \"own\"\nharness = false\n");
    let files = [
        ("Cargo.toml", &*manifest),
        (".gitignore", "/target\n"),
        ("tests/own.rs", silent),
        ("tests/none.rs", ""),
    ];
    let suite = Suite::new(&files, FAST);
    let report = suite.json(&["fast"], 1);
    assert_eq!(verdicts(&report), ["one::none: passed", "one::own: failed"], "{report:#}");
}

/// A report is found wherever the user's configuration puts it.
#[test]
fn a_report_of_the_user_is_read_and_kept() {
    let outside = xtask_testkit::TempDir::new("report");
    let absolute = format!("{}/j.xml", outside.path());
    let table = [
        ("path = \"x/y/j.xml\"", "", "target/nextest/default/x/y/j.xml"),
        ("path = \"j.report\"", "", "target/nextest/default/j.report"),
        ("path = \"j.xml\"", "[store]\ndir = \"target/own\"\n", "target/own/default/j.xml"),
        (&format!("path = \"{absolute}\""), "", &absolute),
    ];
    for (path, store, expected) in table {
        let nextest = format!("{store}[profile.default.junit]\n{path}\n");
        let suite = one(FAST, &[("tests/a.rs", OK), (".config/nextest.toml", &nextest)]);
        assert_eq!(verdicts(&suite.json(&["fast"], 0)), ["one::a: passed"], "{path}");
        assert!(suite.root().join(expected).is_file(), "{expected}");
        assert_eq!(verdicts(&suite.json(&["fast"], 0)), ["one::a: remembered"], "{path}");
    }
}

/// What is built and never in the bytes of the test program: an example that it starts, a static library that it links, what
/// the build script of a dependency left, and the variables of its own.
#[test]
fn what_is_built_beside_the_program_counts() {
    let test = &starts_built("examples/ex");
    let reads = "#[test] fn reads() { assert!(dep::made().starts_with(\"good\")) }\n";
    let variable = "#[test] fn variable() { assert_eq!(std::env::var(\"MADE\").unwrap(), \"good\") }\n";
    let made = "pub fn made() -> String { std::fs::read_to_string(concat!(env!(\"OUT_DIR\"), \"/made\")).unwrap() }\n";
    let builds = |what: &str| {
        format!(
            "fn main() {{\n    println!(\"cargo::rerun-if-changed=input\");\n    \
             let text = std::fs::read_to_string(\"input\").unwrap();\n    {what}\n}}\n"
        )
    };
    let dep_script =
        builds("std::fs::write(std::env::var(\"OUT_DIR\").unwrap() + \"/made\", text).unwrap();");
    let own_script = builds("println!(\"cargo::rustc-env=MADE={}\", text.trim());");
    let manifest = format!(
        "{PACKAGE}[workspace]\nmembers = [\"dep\", \"used\"]\n[dependencies]\ndep = {{ path = \"dep\" }}\n\
         [dev-dependencies]\nused = {{ path = \"used\" }}\n"
    );
    let package = |name: &str| PACKAGE.replace("one", name);
    let suite = Suite::new(
        &[
            ("Cargo.toml", &manifest),
            (".gitignore", "target\nmarks\ninput\n"),
            ("build.rs", &own_script),
            ("input", "good\n"),
            ("tests/example.rs", test),
            ("tests/reads.rs", reads),
            ("tests/variable.rs", variable),
            ("examples/ex.rs", "fn main() { std::process::exit(used::code()) }\n"),
            ("dep/Cargo.toml", &package("dep")),
            ("dep/build.rs", &dep_script),
            ("dep/input", "good\n"),
            ("dep/src/lib.rs", made),
            ("used/Cargo.toml", &package("used")),
            ("used/src/lib.rs", "pub fn code() -> i32 { 0 }\n"),
        ],
        FAST,
    );
    let fails = |program: &str, path: &str, text: &str| {
        let before = suite.fixture.read(path);
        suite.json(&["fast"], 0);
        std::thread::sleep(Duration::from_millis(20));
        suite.fixture.write(path, text);
        let report = suite.json(&["fast"], 1);
        assert!(verdicts(&report).contains(&format!("one::{program}: failed")), "{report:#}");
        suite.fixture.write(path, &before);
    };
    fails("example", "used/src/lib.rs", "pub fn code() -> i32 { 1 }\n");
    fails("reads", "dep/input", "bad\n");
    fails("variable", "input", "bad\n");
}

/// A test that starts a program in the target dir, without a word that tells so.
fn starts_built(program: &str) -> String {
    format!(
        "#[test] fn starts() {{\n    let target = std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(\"target\");\n    \
         let ended = std::process::Command::new(target.join(\"debug\").join(\"{program}\")).status().unwrap();\n    \
         assert!(ended.success());\n}}\n"
    )
}

/// A program of a package that the tests do not depend on: a test lets cargo build and run it, or a script of nextest builds it.
#[test]
fn what_is_built_while_tests_run_counts() {
    let calls_cargo = "#[test] fn calls() {\n    \
                       let ended = std::process::Command::new(\"cargo\").args([\"run\", \"-q\", \"-p\", \"other\"]).status();\n    \
                       assert!(ended.unwrap().success());\n}\n";
    let script = "experimental = [\"setup-scripts\"]\n[scripts.setup.other]\ncommand = \"cargo build -q -p other\"\n\
                  [[profile.default.scripts]]\nfilter = \"all()\"\nsetup = \"other\"\n";
    for (test, script) in [(calls_cargo, ""), (&starts_built("other"), script)] {
        let suite = Suite::new(
            &[
                ("Cargo.toml", &format!("{PACKAGE}[workspace]\nmembers = [\"other\"]\n")),
                (".gitignore", "/target\n"),
                (".config/nextest.toml", script),
                ("tests/it.rs", test),
                ("other/Cargo.toml", &PACKAGE.replace("one", "other")),
                ("other/src/main.rs", "fn main() {}\n"),
            ],
            FAST,
        );
        suite.json(&["fast"], 0);
        assert!(verdicts(&suite.json(&["fast"], 0)).contains(&"one::it: remembered".to_owned()));
        std::thread::sleep(Duration::from_millis(20));
        suite.fixture.write("other/src/main.rs", "fn main() { std::process::exit(1) }\n");
        let report = suite.json(&["fast"], 1);
        assert!(verdicts(&report).contains(&"one::it: failed".to_owned()), "{report:#}");
    }
}

/// Only a nightly cargo has artifact dependencies; without one this says that it proves nothing.
#[test]
fn a_program_that_is_a_dependency_counts() {
    use std::io::Write as _;
    let nightly =
        Command::new("cargo").args(["+nightly", "--version"]).env("RUSTUP_AUTO_INSTALL", "0").output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        // Not captured, as what `eprintln!` prints is.
        let text = b"NOT TESTED: artifact dependencies, because no nightly toolchain is installed\n";
        std::io::stderr().write_all(text).unwrap();
        return;
    }
    let package = |name: &str| PACKAGE.replace("one", name);
    let manifest = format!(
        "{PACKAGE}[workspace]\nmembers = [\"tool\"]\n[dev-dependencies]\n\
         tool = {{ path = \"tool\", artifact = [\"bin\", \"cdylib\"] }}\n"
    );
    let starts = "#[test] fn starts() {\n    \
                  assert!(std::process::Command::new(env!(\"CARGO_BIN_FILE_TOOL\")).status().unwrap().success());\n}\n";
    let reads = "#[test] fn reads() {\n    let bytes = std::fs::read(env!(\"CARGO_CDYLIB_FILE_TOOL\")).unwrap();\n    \
                 assert!(bytes.windows(8).any(|window| window == b\"all good\"));\n}\n";
    let lib = "#[unsafe(no_mangle)] pub extern \"C\" fn text() -> *const u8 { b\"all good\".as_ptr() }\n";
    let files = [
        ("Cargo.toml", &*manifest),
        (".gitignore", "target\nmarks\n"),
        ("rust-toolchain.toml", "[toolchain]\nchannel = \"nightly\"\n"),
        (".cargo/config.toml", "[unstable]\nbindeps = true\n"),
        ("tests/starts.rs", starts),
        ("tests/reads.rs", reads),
        ("tool/Cargo.toml", &format!("{}[lib]\ncrate-type = [\"cdylib\"]\n", package("tool"))),
        ("tool/src/main.rs", "fn main() {}\n"),
        ("tool/src/lib.rs", lib),
    ];
    for suite in both(|| Suite::new(&files, FAST)) {
        for (path, bad, program) in [
            ("tool/src/main.rs", "fn main() { std::process::exit(1) }\n", "one::starts: failed"),
            ("tool/src/lib.rs", &lib.replace("all good", "all bad!"), "one::reads: failed"),
        ] {
            let good = suite.fixture.read(path);
            suite.run(&["fast"], 0);
            let report = suite.json(&["fast"], 0);
            assert!(verdicts(&report).iter().all(|verdict| verdict.ends_with(": remembered")), "{report:#}");
            suite.fixture.write(path, bad);
            let report = suite.json(&["fast"], 1);
            assert!(verdicts(&report).contains(&program.to_owned()), "{report:#}");
            suite.fixture.write(path, &good);
        }
    }
}

// Who reads, and who writes.

#[test]
fn who_wants_to_see_tests_run_sees_them_run() {
    const TIERS: &str = "[tiers.fast]\ncommand = \"test\"\npackages = \"affected\"\n\
                         [tiers.off]\ncommand = \"test\"\nremember = false\n\
                         [tiers.on]\ncommand = \"test\"\nremember = true\n\
                         [verdicts]\nignore-env = [\"CI\"]\naudit = \"0%\"\n";
    let all = ["app-it", "base-unit", "side-unit"];
    for mut suite in both(|| Suite::trio(TIERS)) {
        // Each of these writes, and a tier that remembers reads it.
        let writers: [(&[&str], Option<&str>); 3] =
            [(&["fast", "--fresh"], None), (&["off"], None), (&["fast"], Some("true"))];
        for (args, ci) in writers {
            if let Some(ci) = ci {
                suite.set("CI", ci);
            }
            suite.run(args, 0);
            assert_eq!(suite.ran(), all, "{args:?}");
            suite.run(args, 0);
            assert_eq!(suite.ran(), all, "{args:?} again");
            suite.set("CI", "false");
            for tier in ["fast", "on"] {
                suite.run(&[tier], 0);
                assert_eq!(suite.ran(), [""; 0], "{tier} after {args:?}");
            }
            edit(&suite, "base/src/lib.rs");
            edit(&suite, "side/src/lib.rs");
        }
        // This one neither reads nor writes.
        for _ in 0..2 {
            suite.run(&["fast", "--", "--no-capture"], 0);
            assert_eq!(suite.ran(), all);
        }
        suite.run(&["fast"], 0);
        // A comment in `base` changes nothing of the programs of `app`.
        assert_eq!(suite.ran(), ["base-unit", "side-unit"]);
        for setting in ["remember = false", "network = true"] {
            suite.fixture.write("xtask.toml", &format!("{TIERS}[test-inputs.side]\n{setting}\n"));
            // The file is one that tests may read.
            suite.run(&["fast"], 0);
            suite.ran();
            for _ in 0..2 {
                let report = suite.json(&["fast"], 0);
                assert_eq!(suite.ran(), ["side-unit"], "{setting}");
                assert_eq!(why(&report, "side"), "[test-inputs] says that it is not remembered");
            }
        }
        let setting = "network = true\nremember = true";
        suite.fixture.write("xtask.toml", &format!("{TIERS}[test-inputs.side]\n{setting}\n"));
        suite.run(&["fast"], 0);
        suite.ran();
        suite.run(&["fast"], 0);
        assert_eq!(suite.ran(), [""; 0], "said by the user");

        let debugger = suite.root().join("target/tools/gdb");
        script(&debugger, "exec \"$@\"\n");
        suite.set(&format!("CARGO_TARGET_{}_RUNNER", host().0), debugger.as_str());
        for _ in 0..2 {
            let report = suite.json(&["fast"], 0);
            assert_eq!(
                (suite.ran(), &report["remembered"]["off"]),
                (all.map(str::to_owned).into(), &json!("gdb"))
            );
        }
    }
}

// Explained.

#[test]
fn it_is_said_why_a_program_ran_and_what_was_remembered() {
    for mut suite in both(|| Suite::trio(FAST)) {
        let report = suite.json(&["fast"], 0);
        assert_eq!(why(&report, "side"), "never ran here");
        let said = |args: &[&str]| suite.run(args, 0);
        let outcome = said(&["fast"]);
        let last = outcome.stdout.trim_end();
        let begin = "fast ok: 0 of 3 packages (nothing changed since the last run that passed); \
                     ran 0 of 4 test programs, 4 remembered (passed ";
        assert!(last.starts_with(begin) && last.ends_with("; 0 passed, 3 remembered"), "{last}");
        let head = suite.fixture.git(&["rev-parse", "HEAD"]);
        let report = suite.json(&["fast"], 0);
        let remembered = &report["remembered"];
        assert_eq!((number(&remembered["tests"]["passed"]), number(&remembered["tests"]["failed"])), (3, 0));
        assert_eq!((number(&remembered["programs"]), &remembered["off"]), (4, &Value::Null));
        let commit = remembered["commit"].as_str().unwrap();
        assert!(head.starts_with(commit) && commit.len() >= 7, "{commit}");
        assert_eq!(report["tests"], json!({ "passed": 0, "failed": 0, "skipped": 0 }), "these did not run");

        edit(&suite, "side/src/lib.rs");
        let outcome = suite.run(&["fast", "-v"], 0);
        let why_side = outcome.stderr.lines().find(|line| line.contains("side: changed: ")).unwrap();
        assert!(why_side.ends_with("side/src/lib.rs"), "{why_side}");
        assert!(!outcome.stderr.contains("app::it: changed"), "{}", outcome.stderr);
        let last = outcome.stdout.trim_end();
        assert!(last.contains("; ran 1 of 4 test programs, 3 remembered (passed "), "{last}");
        assert!(last.contains("; 1 passed, 0 failed, 0 skipped, 2 remembered; "), "{last}");

        suite.fixture.write("side/data.json", "{}");
        let report = suite.json(&["fast"], 0);
        assert_eq!(why(&report, "side"), "changed: side/data.json");
        suite.set("NEW", "1");
        let report = suite.json(&["fast"], 0);
        assert_eq!(why(&report, "side"), "changed: variable NEW");
        suite.set("NEW", "2");
        suite.fixture.write(
            "base/src/lib.rs",
            &suite.fixture.read("base/src/lib.rs").replace("asked to fail", "asked for"),
        );
        let report = suite.json(&["fast"], 0);
        assert_eq!(why(&report, "app::it"), "changed: the program, variable NEW");
        let shown = suite.run(&["verdicts"], 0).stdout;
        let expected = "the last fast ran 4 test programs:\n  app::bin/app: changed: variable NEW\n";
        assert!(shown.contains(expected), "{shown}");
    }
}

// It audits itself.

/// A test that depends on a file that nothing of the key knows.
const INVISIBLE: &str = "#[test] fn reads() {\n    let path = std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(\"target/wrong\");\n    \
                         assert!(!path.exists());\n}\n";

#[test]
fn a_pass_that_proves_wrong_stops_all_memory() {
    let config = format!("{FAST}[verdicts]\naudit = \"100%\"\nignore-env = [\"GITHUB_ACTIONS\"]\n");
    for mut suite in both(|| one(&config, &[("tests/a.rs", OK), ("tests/reads.rs", INVISIBLE)])) {
        suite.run(&["fast"], 0);
        let report = suite.json(&["fast"], 0);
        assert_eq!(verdicts(&report), ["one::a: passed", "one::reads: passed"], "all are audited");
        assert!(why(&report, "one::a").starts_with("its pass is remembered; run all the same"), "{report:#}");
        suite.fixture.write("target/wrong", "");
        suite.set("GITHUB_ACTIONS", "true");
        let outcome = suite.run(&["fast"], 1);
        let said = "one::reads failed although its pass was remembered, so nothing is remembered any more";
        assert!(outcome.stderr.contains(&format!("warning: {said}")), "{}", outcome.stderr);
        let annotation = format!("::error title=fast: a remembered pass was wrong::{said}");
        let escaped = annotation.replace("fast: a", "fast%3A a");
        assert!(
            outcome.stderr.contains(&annotation) || outcome.stderr.contains(&escaped),
            "{}",
            outcome.stderr
        );
        // Nobody's passes are read or written any more.
        fs::remove_file(suite.root().join("target/wrong")).unwrap();
        for _ in 0..2 {
            let report = suite.json(&["fast"], 0);
            assert_eq!(verdicts(&report), ["one::a: passed", "one::reads: passed"]);
            let off = report["remembered"]["off"].as_str().unwrap();
            assert!(off.starts_with("one::reads failed although its pass was remembered"), "{off}");
        }
        suite.run(&["verdicts"], 1);
        let shown = suite.run(&["verdicts", "--accept"], 0).stdout;
        assert!(shown.contains("one::reads"), "{shown}");
        suite.fixture.write("xtask.toml", &config.replace("100%", "0%"));
        suite.run(&["fast"], 0);
        assert_eq!(verdicts(&suite.json(&["fast"], 0)), ["one::a: remembered", "one::reads: remembered"]);
    }
}

#[test]
fn a_mismatch_is_in_the_document() {
    let config = format!("{FAST}[verdicts]\naudit = \"100%\"\n");
    let suite = one(&config, &[("tests/reads.rs", INVISIBLE)]);
    suite.run(&["fast"], 0);
    suite.fixture.write("target/wrong", "");
    let report = suite.json(&["fast"], 1);
    let mismatch = &report["mismatch"];
    assert_eq!((&mismatch["program"], &mismatch["failures"]), (&json!("one::reads"), &json!(["reads"])));
    assert_eq!(mismatch["pass"]["tests"]["passed"], 1, "{mismatch:#}");
}

#[test]
fn an_audit_of_half_gives_every_program_its_turn() {
    let config = format!("{FAST}[verdicts]\naudit = \"50%\"\n");
    let names = ["a", "b", "c", "d", "e", "f"];
    let paths = names.map(|name| format!("tests/{name}.rs"));
    let tests = paths.iter().map(|path| (path.as_str(), OK)).collect::<Vec<_>>();
    let suite = one(&config, &tests).without_nextest();
    suite.run(&["fast"], 0);
    let mut turns = names.map(|_| 0);
    for _ in 0..8 {
        let report = suite.json(&["fast"], 0);
        for (turns, verdict) in turns.iter_mut().zip(verdicts(&report)) {
            *turns += u32::from(verdict.ends_with(": passed"));
        }
    }
    assert_eq!(turns, [4; 6]);
}

// Elsewhere.

#[test]
fn worktrees_share_passes_where_their_programs_have_the_same_bytes() {
    // Debug information and panics' locations have the folder in them.
    let manifest =
        "[workspace]\nresolver = \"3\"\nmembers = [\"one\"]\n[profile.dev]\ndebug = 0\nstrip = true\n";
    let files = [
        ("Cargo.toml", manifest),
        ("one/Cargo.toml", PACKAGE),
        ("one/tests/a.rs", OK),
        (".gitignore", "/target\n/marks\n"),
    ];
    let suite = Suite::new(&files, &format!("{FAST}runner = \"cargo\"\n[verdicts]\naudit = \"0%\"\n"));
    suite.run(&["fast"], 0);
    let other = suite.root().join("target/other");
    suite.fixture.git(&["worktree", "add", "-q", other.as_str(), "-b", "other"]);
    let report = suite.json(&["-C", other.as_str(), "fast"], 0);
    assert_eq!(verdicts(&report), ["one::a: remembered"], "{report:#}");
    assert_eq!(number(&report["units"]["compiled"]), 1, "it was built there: {report:#}");
}

#[test]
fn cargo_clean_costs_only_the_build() {
    for suite in both(|| Suite::trio(&format!("{FAST}[verdicts]\naudit = \"0%\"\n"))) {
        suite.run(&["fast"], 0);
        suite.ran();
        // What is below `target` and not cargo's stays.
        for entry in ["debug", "xtask-suite"] {
            xtask_files::remove_dir(&suite.root().join("target").join(entry)).unwrap();
        }
        let report = suite.json(&["fast"], 0);
        assert_eq!(suite.ran(), [""; 0], "{report:#}");
        assert_eq!(number(&report["remembered"]["programs"]), 4);
        assert!(number(&report["units"]["compiled"]) > 0);
    }
}

// The budget.

#[test]
fn what_does_not_fit_into_the_budget_is_deferred_and_run_by_asking_for_it() {
    let config = format!(
        "{FAST}runner = \"auto\"\nbudget = \"2s\"\non-over-budget = \"defer\"\n[verdicts]\naudit = \"0%\"\n"
    );
    let sleep = "\n#[test] fn slow() { std::thread::sleep(std::time::Duration::from_secs(3)) }\n";
    for suite in both(|| Suite::trio(&config)) {
        edit(&suite, "side/src/lib.rs");
        suite.fixture.write("side/src/lib.rs", &format!("{}{sleep}", suite.fixture.read("side/src/lib.rs")));
        suite.run(&["fast", "--fresh"], 0);
        suite.ran();
        // Nothing of it changed: it is remembered, budget or not.
        let report = suite.json(&["fast"], 0);
        assert_eq!(number(&report["deferred_ms"]), 0, "{report:#}");
        edit(&suite, "side/src/lib.rs");
        let report = suite.json(&["fast"], 0);
        assert_eq!(suite.ran(), [""; 0]);
        assert_eq!(verdicts(&report)[3], "side: deferred", "{report:#}");
        assert!(why(&report, "side").starts_with("does not fit into the budget: about "), "{report:#}");
        assert!((3000..20_000).contains(&number(&report["deferred_ms"])), "{report:#}");
        assert_eq!(report["units"]["compiled"], 0, "what is not run is not built: {report:#}");
        let outcome = suite.run(&["fast"], 0);
        assert!(outcome.stderr.contains("note: side deferred: does not fit into the budget: about "));
        assert!(outcome.stdout.contains(", 1 deferred, about "), "{}", outcome.stdout);
        let report = suite.json(&["fast", "--deferred"], 0);
        assert_eq!(suite.ran(), ["side-unit"], "{report:#}");
        assert_eq!(number(&report["deferred_ms"]), 0);
        suite.run(&["fast", "--deferred"], 0);
        assert_eq!(suite.ran(), [""; 0], "nothing is deferred any more");
        assert_eq!(verdicts(&suite.json(&["fast"], 0))[3], "side: remembered");
        // Of everything.
        let report = suite.json(&["fast", "--fresh"], 0);
        assert_eq!(verdicts(&report)[3], "side: deferred", "{report:#}");
        assert_eq!(suite.ran(), ["app-it", "base-unit"]);
        let report = suite.json(&["fast", "--fresh", "--deferred"], 0);
        assert_eq!(suite.ran(), ["side-unit"], "{report:#}");
    }
}

// The order.

#[test]
fn what_failed_last_runs_first_then_what_changed_then_the_slowest() {
    let test = |name: &str, ms: u32| {
        format!(
            "#[test] fn it() {{\n    use std::io::Write as _;\n    let root = std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).parent().unwrap();\n    \
             let mut order = std::fs::OpenOptions::new().append(true).create(true).open(root.join(\"target/order\")).unwrap();\n    \
             order.write_all(b\"{name} \").unwrap();\n    std::thread::sleep(std::time::Duration::from_millis({ms}));\n    \
             assert!(!root.join(\"target/fail-{name}\").exists());\n}}\n"
        )
    };
    let (fast, fails, slow, changed) = (test("a", 0), test("b", 0), test("c", 800), test("d", 0));
    let manifest = |name: &str| PACKAGE.replace("one", name);
    let manifests = ["a", "b", "c", "d"].map(manifest);
    let files = [
        ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"a\", \"b\", \"c\", \"d\"]\n"),
        (".gitignore", "/target\n/marks\n"),
        ("a/Cargo.toml", manifests[0].as_str()),
        ("b/Cargo.toml", manifests[1].as_str()),
        ("c/Cargo.toml", manifests[2].as_str()),
        ("d/Cargo.toml", manifests[3].as_str()),
        ("a/tests/it.rs", fast.as_str()),
        ("b/tests/it.rs", fails.as_str()),
        ("c/tests/it.rs", slow.as_str()),
        ("d/tests/it.rs", changed.as_str()),
    ];
    for mut suite in both(|| Suite::new(&files, FAST)) {
        suite.set("NEXTEST_TEST_THREADS", "1");
        suite.fixture.write("target/fail-b", "");
        suite.run(&["fast"], 1);
        suite.fixture.write("target/order", "");
        edit(&suite, "d/tests/it.rs");
        suite.run(&["fast", "--fresh"], 1);
        assert_eq!(suite.fixture.read("target/order"), "b d c a ");
    }
}

// Doc tests.

#[test]
fn doc_tests_run_as_cargo_runs_them() {
    let (_, triple) = host();
    // Each says its process, so one process for all would be seen.
    let example = "/// ```\n/// let target = std::env::var(\"DOC_OUT\").unwrap();\n/// let id = std::process::id();\n\
                   /// std::fs::write(format!(\"{target}/doc-{id}\"), std::env::var(\"X\").unwrap_or_default()).unwrap();\n/// ```\n";
    let lib = format!("{example}pub fn a() {{}}\n{example}pub fn b() {{}}\n#[test] fn unit() {{ {UNIT} }}\n");
    let files = [("Cargo.toml", PACKAGE), ("src/lib.rs", lib.as_str()), (".gitignore", "/target\n/marks\n")];
    let config = format!("{FAST}doctests = true\n");
    for runner in [None, Some("1")] {
        for mut suite in both(|| Suite::new(&files, &config)) {
            if runner.is_some() {
                let setting = format!("[target.{triple}]\nrunner = [\"env\", \"X=1\"]\n");
                suite.fixture.write(".cargo/config.toml", &setting);
            }
            let out = suite.root().join("marks");
            suite.set("DOC_OUT", out.as_str());
            let cargo = suite.program("cargo", &["test", "--quiet"]).output().unwrap();
            assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
            let by_cargo = seen(&suite);
            suite.run(&["fast"], 0);
            assert_eq!(seen(&suite), by_cargo);
            assert!(by_cargo.iter().all(|value| value == runner.unwrap_or_default()), "{by_cargo:?}");
            suite.run(&["fast"], 0);
            assert!(!seen(&suite).is_empty(), "doc tests are not remembered");
        }
    }
}

const UNIT: &str = "let target = std::env::var(\"DOC_OUT\").unwrap(); \
                    std::fs::write(format!(\"{target}/unit\"), std::env::var(\"X\").unwrap_or_default()).unwrap();";

/// What each process that left a file saw.
fn seen(suite: &Suite) -> Vec<String> {
    let marks = suite.root().join("marks");
    let mut values = Vec::new();
    for entry in marks.read_dir_utf8().unwrap().flatten().filter(|entry| entry.file_name() != ".keep") {
        values.push(fs::read_to_string(entry.path()).unwrap());
        fs::remove_file(entry.path()).unwrap();
    }
    values
}
