//! Without nextest the suite is the target's runner: it builds everything, runs what is wanted, and is
//! not to be noticed by the tests.

use std::fs;

use crate::support::{EXE, Suite, host, number, script};

const FAST: &str = "[tiers.fast]\ncommand = \"test\"\npackages = \"affected\"\ndoctests = true\n";

/// Everything passed once, and then `side` was edited.
fn edited(mut suite: Suite, variables: &[(&str, &str)]) -> Suite {
    for (name, value) in variables {
        suite.set(name, value);
    }
    suite.run(&["fast"], 0);
    suite.ran();
    let text = suite.fixture.read("side/src/lib.rs");
    suite.fixture.write("side/src/lib.rs", &format!("{text}// edited\n"));
    suite
}

#[test]
fn only_the_affected_tests_and_doc_tests_run_and_nothing_is_recompiled() {
    let suite = edited(Suite::trio(FAST).without_nextest(), &[]);
    let report = suite.json(&["fast"], 0);
    // Doc tests are not remembered.
    assert_eq!(suite.ran(), ["base-doc", "side-doc", "side-unit"]);
    assert_eq!(report["packages"], serde_json::json!(["base", "side"]));
    assert_eq!(
        (number(&report["tests"]["passed"]), number(&report["remembered"]["tests"]["passed"])),
        (3, 2)
    );
    // `side` alone: its library and its unit tests.
    assert_eq!(number(&report["units"]["compiled"]), 2, "{report:#}");
    assert_eq!(suite.cargo_compiles(&["test", "--workspace", "--no-run"]), 0);
    let why = suite.run(&["fast", "-v"], 0).stderr;
    assert!(!why.contains("error"), "{why}");
}

#[test]
fn says_under_verbose_what_is_built_and_why() {
    // What is added to `side`, whose tests alone the branch reaches, and what is built then.
    let table = [
        ("// edited", "only the packages chosen (2 units to compile; 7 for the workspace)"),
        ("// current_exe", "the workspace (side may start what others build)"),
    ];
    for (line, expected) in table {
        let suite = Suite::trio(FAST).without_nextest();
        suite.fixture.git(&["checkout", "-q", "-b", "topic"]);
        let text = suite.fixture.read("side/src/lib.rs");
        suite.fixture.write("side/src/lib.rs", &format!("{text}{line}\n"));
        suite.fixture.commit("edited");
        let outcome = suite.run(&["fast", "-v"], 0);
        assert!(outcome.stderr.contains(&format!("building {expected}")), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("side: side/src/lib.rs changed"), "{}", outcome.stderr);
        assert_eq!(suite.ran(), ["side-doc", "side-unit"], "nothing of the branch reaches the others");
    }
}

#[test]
fn a_test_sees_the_users_environment() {
    let (variable, _) = host();
    let runner = format!("CARGO_TARGET_{variable}_RUNNER");
    for (name, value) in [(runner.as_str(), "env"), ("RUSTDOC", "rustdoc"), ("MINE", "1")] {
        let mut suite = Suite::trio(FAST).without_nextest();
        suite.set(name, value);
        suite.run(&["fast"], 0);
        for mark in ["base-unit", "base-doc", "app-it"] {
            let seen = suite.fixture.read(&format!("marks/{mark}"));
            let ours = seen.lines().filter(|line| line.starts_with("XTASK_SUITE")).collect::<Vec<_>>();
            assert!(ours.is_empty(), "{mark} sees {ours:?}");
            let expected = |wanted: &str| {
                let given = if wanted == name { format!("{wanted}={value}\n") } else { String::new() };
                let line = seen.lines().find(|line| line.starts_with(&format!("{wanted}=")));
                assert_eq!(
                    line.map(|line| format!("{line}\n")).unwrap_or_default(),
                    given,
                    "{mark}: {wanted}"
                );
            };
            expected("RUSTDOC");
            expected(&runner);
            expected("MINE");
        }
    }
}

#[test]
fn the_users_own_runner_is_chained_from_wherever_it_is_set() {
    let (variable, triple) = host();
    let list = |file: &str| format!("runner = [\"{file}\", \"--flag\"]\n");
    let variable = format!("CARGO_TARGET_{variable}_RUNNER");
    let argument = |value: &str| format!("[tiers.fast] args = [\"--config\", '{value}']");
    let (as_list, as_string) = ("[\"tools/run\", \"--flag\"]", "\"tools/run --flag\"");
    // What it is called, cargo's configuration or arguments of the tier, the variable.
    let table = [
        ("a list in an argument", argument(&format!("target.{triple}.runner = {as_list}")), None),
        ("a string in an argument", argument(&format!("target.{triple}.runner = {as_string}")), None),
        ("a condition in an argument", argument(&format!("target.\"cfg(unix)\".runner = {as_list}")), None),
        ("a file in an argument", argument("tools/config.toml"), None),
        ("a string", format!("[target.{triple}]\nrunner = \"tools/run --flag\"\n"), None),
        ("a list", format!("[target.{triple}]\n{}", list("tools/run")), None),
        ("a condition", format!("[target.'cfg(unix)']\n{}", list("tools/run")), None),
        (
            "several conditions",
            format!("[target.'cfg(all(unix, not(windows)))']\n{}", list("tools/run")),
            None,
        ),
        // It stays set.
        ("a variable", String::new(), Some("tools/run --flag")),
    ];
    let mut suite = Suite::trio(FAST).without_nextest();
    let tool = suite.root().join("tools/run");
    script(&tool, "echo \"$1 $2\" >> \"$MARKS/chained\"\nshift\nexec \"$@\"\n");
    // Paths in it are relative to the folder above.
    let file = format!("[target.{triple}]\n{}", list("run"));
    suite.fixture.write("tools/config.toml", &file.replace("\"run", "\"tools/run"));
    for (name, config, value) in table {
        let (tier, config) = match config.strip_prefix("[tiers.fast] ") {
            Some(args) => (format!("{FAST}{args}\n"), ""),
            None => (FAST.to_owned(), config.as_str()),
        };
        suite.fixture.write("xtask.toml", &tier);
        suite.fixture.write(".cargo/config.toml", config);
        if let Some(value) = value {
            suite.set(&variable, &value.replace("tools", suite.root().join("tools").as_str()));
        }
        suite.run(&["fast", "--fresh"], 0);
        let chained = suite.fixture.read("marks/chained");
        assert!(chained.lines().all(|line| line.starts_with("--flag ")), "{name}: {chained}");
        let ours = chained.matches("/deps/").count();
        assert!(ours >= 4, "{name}: app, it, base and side ran through it\n{chained}");
        let expected = ["app-it", "base-doc", "base-unit", "chained", "side-doc", "side-unit"];
        assert_eq!(suite.ran(), expected, "{name}");
    }
}

#[test]
fn works_from_a_folder_with_a_space() {
    let mut suite = Suite::trio(FAST).without_nextest();
    let folder = suite.root().join("target/with a 'space'");
    fs::create_dir_all(&folder).unwrap();
    let exe = folder.join("xtask-suite");
    // The same file: a copy of 100 MB would only take time.
    if fs::hard_link(EXE, &exe).is_err() {
        fs::copy(EXE, &exe).unwrap();
    }
    suite.use_exe(&exe);
    let suite = edited(suite, &[]);
    suite.run(&["fast"], 0);
    assert_eq!(suite.ran(), ["base-doc", "side-doc", "side-unit"]);

    // The one form that cargo cannot be given: more runs then, and it is said.
    let (_, triple) = host();
    suite.fixture.write(".cargo/config.toml", &format!("[target.{triple}]\nrunner = \"env\"\n"));
    suite.fixture.write("side/src/lib.rs", &suite.fixture.read("side/src/lib.rs").replace("edited", "again"));
    let outcome = suite.run(&["fast"], 0);
    assert_eq!(suite.ran().len(), 5);
    assert!(outcome.stderr.contains("write the runner as a list"), "{}", outcome.stderr);
}

#[test]
fn another_folder_than_the_root_and_an_explicit_target_work_alike() {
    let (_, triple) = host();
    let config = format!("{FAST}args = [\"--target\", \"{triple}\"]\n");
    let suite = edited(Suite::trio(&config).without_nextest(), &[]);
    suite.run(&["-C", "app", "fast"], 0);
    assert_eq!(suite.ran(), ["base-doc", "side-doc", "side-unit"]);
    assert!(suite.root().join("target").join(triple).exists());
}

#[test]
fn each_triple_has_its_own_runner() {
    let (_, triple) = host();
    let other = "[target.wasm32-wasip1]\nrunner = [\"no-such-runner\"]\n";
    let host = format!("[target.{triple}]\nrunner = [\"tools/run\"]\n");
    let build = "[build]\ntarget = \"wasm32-wasip1\"\n";
    let suite = |tiers: &str, config: &str| {
        let suite = Suite::trio(tiers).without_nextest();
        script(&suite.root().join("tools/run"), "exec \"$@\"\n");
        suite.fixture.write(".cargo/config.toml", config);
        suite
    };

    // A proc-macro is built for the host, whatever the target is: nothing here needs a library of the target.
    let macros =
        suite("[tiers.t]\ncommand = \"test\"\npackages = [\"macros\"]\n", &[build, other, &host].concat());
    let root = macros.fixture.read("Cargo.toml").replace("members = [", "members = [\"macros\", ");
    macros.fixture.write("Cargo.toml", &root);
    macros.fixture.write(
        "macros/Cargo.toml",
        "[package]\nname = \"macros\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nproc-macro = true\ndoctest = false\n",
    );
    macros.fixture.write("macros/src/lib.rs", "#[test] fn runs_on_the_host() {}\n");
    assert_eq!(macros.json(&["t"], 0)["tests"]["passed"], 1);

    // The target that is chosen overrules the one that is configured; both ways of naming the host.
    let chosen = format!("{FAST}args = [\"--target\", \"{triple}\"]\n");
    let table = [
        (chosen.as_str(), [build, other, &host].concat()),
        (FAST, ["[build]\ntarget = [\"host-tuple\"]\n", other].concat()),
    ];
    for (tiers, config) in table {
        let suite = suite(tiers, &config);
        suite.run(&["fast"], 0);
        assert_eq!(suite.ran(), ["app-it", "base-doc", "base-unit", "side-doc", "side-unit"], "{config}");
    }
}

#[test]
fn flags_of_plain_cargo_work_in_a_tier() {
    let flags =
        ["--no-fail-fast", "--quiet", "--verbose", "--timings", "--message-format=short", "--offline"];
    let tiers = flags.map(|flag| {
        let name = flag.trim_start_matches('-').split('=').next().unwrap();
        format!("[tiers.t-{name}]\ncommand = \"test\"\npackages = [\"side\"]\nargs = [\"{flag}\"]\n")
    });
    for suite in [Suite::trio(&tiers.concat()).without_nextest(), Suite::trio(&tiers.concat())] {
        for flag in flags {
            let name = flag.trim_start_matches('-').split('=').next().unwrap();
            let text = suite.fixture.read("side/src/lib.rs");
            suite.fixture.write("side/src/lib.rs", &format!("{text}// edited\n"));
            let report = suite.json(&[&format!("t-{name}")], 0);
            assert_eq!((number(&report["tests"]["passed"]), &report["success"]), (1, &true.into()), "{flag}");
            assert!(number(&report["units"]["compiled"]) > 0, "{flag}: {report:#}");
        }
    }
}

#[test]
fn tests_that_were_ended_early_are_not_remembered() {
    let tiers = "[tiers.fast]\ncommand = \"test\"\npackages = \"affected\"\nargs = [\"--max-fail=1\"]\n";
    let mut suite = Suite::trio(tiers);
    suite.set("FAIL", "side-unit");
    suite.run(&["fast"], 1);
    suite.ran();
    suite.set("FAIL", "");
    suite.run(&["fast"], 0);
    assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"]);
}

#[test]
fn a_signal_that_ends_a_test_program_is_a_failure() {
    let suite = Suite::trio("[tiers.t]\ncommand = \"test\"\npackages = [\"side\"]\n").without_nextest();
    suite.fixture.write("side/src/lib.rs", "#[test] fn dies() { std::process::abort() }\n");
    let report = suite.json(&["t"], 1);
    assert_eq!((&report["success"], number(&report["tests"]["failed"])), (&false.into(), 1), "{report:#}");
    assert_eq!(report["failures"][0], "side: side");
}
