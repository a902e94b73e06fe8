//! Numbers: tests, times, budgets, retries.

use crate::support::{Suite, number};

const PACKAGE: &str = "[package]\nname = \"one\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
const TEST: &str = "[tiers.t]\ncommand = \"test\"\n";

/// One package with these tests.
fn one(lib: &str, manifest: &str, config: &str, more: &[(&str, &str)]) -> Suite {
    let manifest = format!("{PACKAGE}{manifest}");
    let mut files =
        vec![("Cargo.toml", manifest.as_str()), ("src/lib.rs", lib), (".gitignore", "/target\n/marks\n")];
    files.extend(more);
    Suite::new(&files, config)
}

#[test]
fn passed_failed_and_skipped() {
    let lib = "/// ```\n/// assert!(true);\n/// ```\n/// ```\n/// assert!(false);\n/// ```\n/// ```ignore\n/// ```\npub fn f() {}\n\
               #[test] fn a() {}\n#[test] fn b() {}\n#[test] fn c() { panic!() }\n#[test] #[ignore] fn d() {}\n#[test] #[ignore] fn e() {}\n";
    let config = format!("{TEST}doctests = true\n");
    for suite in [one(lib, "", &config, &[]), one(lib, "", &config, &[]).without_nextest()] {
        let report = suite.json(&["t"], 1);
        let tests = &report["tests"];
        // Two doc tests run, the third is ignored.
        let seen = (number(&tests["passed"]), number(&tests["failed"]), number(&tests["skipped"]));
        assert_eq!(seen, (3, 2, 3), "{report:#}");
        assert_eq!(report["failures"].as_array().unwrap().len(), 2, "{report:#}");
    }
}

#[test]
fn a_custom_harness_counts_as_one_test_and_that_is_said() {
    let manifest = "[[test]]\nname = \"own\"\nharness = false\n[[test]]\nname = \"bad\"\nharness = false\n";
    let own = "fn main() { println!(\"I am no libtest\"); }\n";
    let bad = "fn main() { std::process::exit(3) }\n";
    let more = [("tests/own.rs", own), ("tests/bad.rs", bad)];
    let suite =
        one("#[test] fn a() {}\n", manifest, "[tiers.t]\ncommand = \"test\"\nrunner = \"cargo\"\n", &more);
    let outcome = suite.run(&["t"], 1);
    assert!(outcome.stdout.contains("2 passed, 1 failed, 0 skipped"), "{}", outcome.stdout);
    let note = "note: 2 test programs with a custom harness: each counts as one test";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
}

/// Under nextest it is asked for its tests first: what it has forgotten is not waited for, and with a runner of the user's only
/// that starts it.
#[test]
fn a_custom_harness_is_neither_waited_for_nor_started_without_the_users_runner() {
    let manifest = "[[test]]\nname = \"own\"\nharness = false\n";
    let own = "use std::io::Write;\nfn main() {\n    std::process::Command::new(\"sleep\").arg(\"60\").spawn().unwrap();\n    \
               let path = std::env::var(\"MARKS\").unwrap() + \"/starts\";\n    \
               let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();\n    \
               writeln!(file, \"{:?}\", std::env::var(\"VIA\").ok()).unwrap();\n}\n";
    let suite = one("#[test] fn a() {}\n", manifest, TEST, &[("tests/own.rs", own)]);
    let started = std::time::Instant::now();
    suite.run(&["t"], 0);
    assert!(started.elapsed().as_secs() < 40, "{:?}", started.elapsed());
    suite.fixture.write("marks/starts", "");
    let runner = suite.root().join("target/run");
    crate::support::script(&runner, "VIA=runner exec \"$@\"\n");
    let triple = crate::support::host().1;
    suite.fixture.write(".cargo/config.toml", &format!("[target.{triple}]\nrunner = \"{runner}\"\n"));
    suite.run(&["t", "--fresh"], 0);
    assert_eq!(suite.fixture.read("marks/starts"), "Some(\"runner\")\n");
}

#[test]
fn what_a_test_prints_is_no_message_of_cargos() {
    let lie = r###"println!("{}", r##"{"reason":"compiler-artifact","package_id":"path+file:///x#lie@1.0.0","manifest_path":"/x","target":{"kind":["lib"],"name":"lie"},"profile":{"opt_level":"0","test":false},"features":[],"filenames":[],"fresh":false}"##);
        println!("\ntest result: ok. 70 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        eprintln!("      Timing report saved to /tmp/nothing/of/the/kind.html");
        eprintln!("     Summary [   0.018s] 3 tests run: 3 passed, 77 skipped");"###;
    let lib = format!("#[test] fn a() {{ {lie} }}\n");
    for suite in
        [one(&lib, "", TEST, &[]), one(&lib, "", "[tiers.t]\ncommand = \"test\"\nrunner = \"cargo\"\n", &[])]
    {
        let report = suite.json(&["t", "--", "--no-capture"], 0);
        assert_eq!(report["units"]["compiled"], 2, "the library and its tests: {report:#}");
        assert_eq!(
            (number(&report["tests"]["passed"]), number(&report["tests"]["skipped"])),
            (1, 0),
            "{report:#}"
        );
    }
}

#[test]
fn compiling_and_running_are_told_apart() {
    let sleep = "std::thread::sleep(std::time::Duration::from_millis(1500))";
    let slow_test = format!("#[test] fn a() {{ {sleep} }}\n");
    let slow_build = format!("fn main() {{ println!(\"cargo::rerun-if-changed=build.rs\"); {sleep} }}\n");
    let build = [("build.rs", slow_build.as_str())];
    for suite in [one(&slow_test, "", TEST, &build), one(&slow_test, "", TEST, &build).without_nextest()] {
        let report = suite.json(&["t"], 0);
        let (compile, run) = (number(&report["compile_ms"]), number(&report["run_ms"]));
        assert!((1500..15_000).contains(&compile), "{report:#}");
        assert!((1500..2900).contains(&run), "{report:#}");
        let again = suite.json(&["t"], 0);
        assert!(number(&again["compile_ms"]) < 1500 && number(&again["run_ms"]) >= 1500, "{again:#}");
    }
}

#[test]
fn over_budget_names_the_five_slowest_units_and_tests() {
    use std::fmt::Write as _;
    let mut lib = String::new();
    for n in 1..=7 {
        let _ = writeln!(
            lib,
            "#[test] fn t{n}() {{ std::thread::sleep(std::time::Duration::from_millis({n}00)) }}"
        );
    }
    let config = |on: &str| format!("{TEST}budget = \"10ms\"\non-over-budget = \"{on}\"\n");
    let suite = one(&lib, "", &config("warn"), &[]);
    let said = suite.run(&["t"], 0).stderr;
    assert!(said.contains("so the budget does not count") && !said.contains("warning: t took "), "{said}");
    suite.fixture.write("src/lib.rs", &format!("{lib}// edited\n"));
    let outcome = suite.run(&["t"], 0);
    let said = &outcome.stderr;
    assert!(said.contains("warning: t took ") && said.contains("its budget is 0.0 s"), "{said}");
    let (_, slowest) = said.split_once("slowest units:").unwrap();
    let (units, tests) = slowest.split_once("slowest tests:").unwrap();
    assert!(units.contains("one 0.1.0 one"), "{said}");
    let lines = tests.lines().filter(|line| line.contains("one: t")).collect::<Vec<_>>();
    assert_eq!(lines.len(), 5, "{said}");
    assert!(lines[0].contains("0.7 s  one: t7") && lines[4].contains("one: t3"), "{said}");

    suite.fixture.write("xtask.toml", &config("fail"));
    let report = suite.json(&["t"], 1);
    assert_eq!((&report["over_budget"], &report["success"]), (&true.into(), &false.into()));
    assert_eq!((number(&report["tests"]["failed"]), number(&report["budget_ms"])), (0, 10));
    assert_eq!(report["cause"]["kind"], "over-budget");
    suite.fixture.write("xtask.toml", &format!("{TEST}budget = \"10min\"\non-over-budget = \"fail\"\n"));
    let report = suite.json(&["t"], 0);
    assert_eq!(
        (&report["over_budget"], report["slowest_tests"].as_array().unwrap().len()),
        (&false.into(), 0)
    );
}

#[test]
fn a_budget_that_failed_does_not_void_what_passed() {
    let config = "[tiers.test-fast]\nbudget = \"1ms\"\non-over-budget = \"fail\"\n";
    let suite = one("#[test] fn a() {}\n", "", config, &[]);
    let table = [
        // The first build into an empty target dir, which every budget is too small for.
        ("", 0, (1, 0), false),
        ("// edited\n", 1, (1, 0), true),
        ("// edited\n", 0, (0, 1), false),
    ];
    for (edit, code, expected, over_budget) in table {
        let text = format!("#[test] fn a() {{}}\n{edit}");
        if suite.fixture.read("src/lib.rs") != text {
            suite.fixture.write("src/lib.rs", &text);
        }
        let report = suite.json(&["test-fast"], code);
        let seen = (number(&report["tests"]["passed"]), number(&report["remembered"]["tests"]["passed"]));
        assert_eq!((seen, &report["over_budget"]), (expected, &over_budget.into()), "{report:#}");
    }
}

#[test]
fn over_budget_without_nextest_names_test_programs() {
    let config = format!("{TEST}budget = \"10ms\"\n");
    let slow = "#[test] fn a() { std::thread::sleep(std::time::Duration::from_millis(300)) }\n";
    let suite = one("#[test] fn b() {}\n", "", &config, &[("tests/slow.rs", slow)]).without_nextest();
    suite.run(&["t"], 0);
    suite.fixture.write("src/lib.rs", "#[test] fn b() {}\n// edited\n");
    let report = suite.json(&["t"], 0);
    assert_eq!(report["slowest_tests"][0]["name"], "one: slow", "{report:#}");
    assert_eq!(report["slowest_tests"].as_array().unwrap().len(), 2);
}

/// Passes when it is tried the second time.
const FLAKY: &str = "#[test] fn flaky() {\n    let seen = std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(\"target/seen\");\n    \
                     if !seen.exists() { std::fs::write(seen, \"\").unwrap(); panic!() }\n}\n";

#[test]
fn retries_give_a_flaky_test_another_chance() {
    let suite = one(FLAKY, "", &format!("{TEST}retries = 1\n"), &[]);
    let report = suite.json(&["t"], 0);
    assert_eq!(
        (number(&report["tests"]["passed"]), number(&report["tests"]["failed"])),
        (1, 0),
        "{report:#}"
    );
    let suite = one(FLAKY, "", &format!("{TEST}retries = 0\n"), &[]);
    assert_eq!(suite.json(&["t"], 1)["tests"]["failed"], 1);
}

#[test]
fn the_users_own_nextest_profile_and_report_stay_in_force() {
    let profile = "[profile.default]\nretries = 1\n[profile.mine]\nstatus-level = \"none\"\n[profile.mine.junit]\npath = \"their/own.xml\"\nreport-name = \"theirs\"\n";
    let config = format!("{TEST}nextest-profile = \"mine\"\nbudget = \"1ms\"\n");
    let suite = one(FLAKY, "", &config, &[(".config/nextest.toml", profile)]);
    let report = suite.json(&["t"], 0);
    let own = suite.fixture.read("target/nextest/mine/their/own.xml");
    assert!(own.contains("theirs"), "{own}");
    assert_eq!(
        (number(&report["tests"]["passed"]), number(&report["tests"]["failed"])),
        (1, 0),
        "{report:#}"
    );
    suite.fixture.write("src/lib.rs", &format!("{FLAKY}// edited\n"));
    assert_eq!(suite.json(&["t"], 0)["slowest_tests"][0]["name"], "one: flaky");
    assert!(report["commands"][1].as_str().unwrap().contains("--profile mine"), "{report:#}");
}
