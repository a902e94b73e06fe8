//! `--forecast` says what cargo then compiles.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use crate::support::{Suite, number};

const TIER: &str = "[tiers.t]\ncommand = \"test\"\n[tiers.f]\ncommand = \"test\"\npreset = \"full\"\n";
const PLAIN: &[&str] = &["test", "--workspace", "--no-run"];

/// Forecasts, lets cargo compile, and compares.
#[track_caller]
fn assert_forecast(suite: &Suite, tier: &str, plain: &[&str], expected: u64, when: &str) {
    let forecast = suite.json(&[tier, "--forecast"], 0)["forecast"].clone();
    assert_eq!(number(&forecast["compile"]), expected, "{when}: {forecast:#}");
    assert_eq!(forecast["units"].as_array().unwrap().len() as u64, expected, "{when}: {forecast:#}");
    assert_eq!(suite.cargo_compiles(plain) as u64, expected, "{when}: cargo says otherwise");
}

/// Makes the file newer than everything built so far, as an edit a moment later would.
fn touch(suite: &Suite, path: &str) {
    let file = File::options().append(true).open(suite.root().join(path)).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_millis(20)).unwrap();
    std::thread::sleep(Duration::from_millis(30));
}

#[test]
fn every_kind_of_change() {
    let suite = Suite::trio(TIER);
    suite.fixture.write("side/data.txt", "1");
    suite.fixture.write("side/build.rs", "fn main() { println!(\"cargo::rerun-if-changed=data.txt\") }\n");
    // base: lib, test. app: bin, its test, integration test. side: lib, test, build script.
    assert_forecast(&suite, "t", PLAIN, 8, "a fresh workspace");
    assert_forecast(&suite, "t", PLAIN, 0, "nothing changed");

    touch(&suite, "app/tests/it.rs");
    assert_forecast(&suite, "t", PLAIN, 1, "touch of an integration test");
    let text = suite.fixture.read("app/src/main.rs");
    suite.fixture.write("app/src/main.rs", &format!("{text}// leaf\n"));
    touch(&suite, "app/src/main.rs");
    // Not the integration test, which only starts the binary.
    assert_forecast(&suite, "t", PLAIN, 2, "an edit of a leaf");
    let text = suite.fixture.read("base/src/lib.rs");
    suite.fixture.write("base/src/lib.rs", &format!("{text}// root\n"));
    touch(&suite, "base/src/lib.rs");
    assert_forecast(&suite, "t", PLAIN, 5, "an edit of what others depend on");
    suite.fixture.write("side/data.txt", "2");
    touch(&suite, "side/data.txt");
    assert_forecast(&suite, "t", PLAIN, 2, "an edit of what a build script reads");
    touch(&suite, "side/build.rs");
    assert_forecast(&suite, "t", PLAIN, 3, "touch of a build script");
    let full = &["test", "--workspace", "--all-features", "--no-run"];
    assert_forecast(&suite, "f", full, 5, "other features");
    assert_forecast(&suite, "t", PLAIN, 0, "the old features are still there");
    assert_forecast(&suite, "f", full, 0, "and the new ones too");
    fs::remove_file(first_rlib(&suite)).unwrap();
    let forecast = suite.json(&["t", "--forecast"], 0)["forecast"]["compile"].clone();
    assert!(number(&forecast) > 0, "an output is gone");
}

fn first_rlib(suite: &Suite) -> camino::Utf8PathBuf {
    let deps = crate::support::files(&suite.root().join("target/debug/deps"));
    deps.into_iter()
        .find(|file| file.file_name().unwrap().starts_with("libside-") && file.extension() == Some("rlib"))
        .unwrap()
}

#[test]
fn times_come_from_earlier_runs() {
    let suite = Suite::trio(TIER);
    let outcome = suite.run(&["t", "--forecast"], 0);
    let last = outcome.stdout.lines().last().unwrap();
    assert_eq!(last, "t forecast: 3 of 3 packages, 0 units fresh, 7 to compile: no times recorded here yet");
    assert!(outcome.stdout.contains("base 0.1.0 lib: not built yet"), "{}", outcome.stdout);
    assert_eq!(suite.ran(), [""; 0]);
    assert!(!suite.root().join("target/debug").exists(), "a forecast compiles nothing");

    suite.run(&["t"], 0);
    touch(&suite, "side/src/lib.rs");
    let forecast = suite.json(&["t", "--forecast"], 0)["forecast"].clone();
    let recorded = forecast["units"].as_array().unwrap().iter().map(|unit| number(&unit["recorded_ms"]));
    let recorded = recorded.collect::<Vec<_>>();
    assert_eq!((recorded.len(), number(&forecast["unpriced"])), (2, 0), "{forecast:#}");
    let estimated = number(&forecast["estimated_ms"]);
    let most = recorded.iter().sum::<u64>();
    assert!((*recorded.iter().max().unwrap()..=most).contains(&estimated), "{forecast:#}");
    let outcome = suite.run(&["t", "--forecast"], 0);
    assert!(outcome.stdout.contains("side 0.1.0 lib: side/src/lib.rs changed"), "{}", outcome.stdout);
    assert!(
        outcome.stdout.lines().last().unwrap().contains("5 units fresh, 2 to compile: about "),
        "{}",
        outcome.stdout
    );

    suite.run(&["t"], 0);
    let outcome = suite.run(&["t", "--forecast"], 0);
    assert!(
        outcome.stdout.ends_with("7 units fresh, 0 to compile: nothing to compile\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn arguments_of_clippy_are_no_change() {
    let tier = "command = \"clippy\"\nargs = [\"--\", \"-D\", \"warnings\"]\n";
    let suite = Suite::trio(&format!("[tiers.l]\n{tier}[tiers.fast]\n{tier}packages = \"affected\"\n"));
    suite.run(&["l"], 0);
    let forecast = suite.json(&["l", "--forecast"], 0)["forecast"].clone();
    assert_eq!(number(&forecast["compile"]), 0, "{forecast:#}");
    suite.run(&["fast"], 0);
    assert_eq!(suite.json(&["fast"], 0)["packages"], serde_json::json!([]));
}

#[test]
fn check_clippy_and_doc_too() {
    let config = "[tiers.c]\ncommand = \"check\"\ntargets = \"all\"\n[tiers.l]\ncommand = \"clippy\"\n[tiers.b]\ncommand = \"build\"\nprofile = \"release\"\n";
    let suite = Suite::trio(config);
    // base 2, app 4 with its benchmark, side 2; then the libraries and the binary.
    assert_forecast(&suite, "c", &["check", "--workspace", "--all-targets"], 8, "check");
    assert_forecast(&suite, "l", &["clippy", "--workspace"], 3, "clippy");
    assert_forecast(&suite, "b", &["build", "--workspace", "--release"], 3, "build");
    touch(&suite, "base/src/lib.rs");
    assert_forecast(&suite, "c", &["check", "--workspace", "--all-targets"], 6, "check after an edit");
    assert_forecast(&suite, "l", &["clippy", "--workspace"], 2, "clippy after an edit");
}

/// Only cargo compares the value of a variable that a build script watches, so the forecast says that it is an estimate.
#[test]
fn a_build_script_that_watches_a_variable_makes_it_an_estimate() {
    let mut suite = Suite::trio(TIER);
    assert_forecast(&suite, "t", PLAIN, 7, "a fresh workspace");
    let forecast = suite.json(&["t", "--forecast"], 0)["forecast"].clone();
    assert_eq!(forecast["estimate"], false, "no build script: {forecast:#}");
    let script = "fn main() { println!(\"cargo::rerun-if-env-changed=MODE\") }\n";
    suite.fixture.write("side/build.rs", script);
    suite.set("MODE", "a");
    assert_eq!(suite.cargo_compiles(PLAIN), 3);
    suite.set("MODE", "b");
    let outcome = suite.run(&["t", "--forecast"], 0);
    let last = outcome.stdout.lines().last().unwrap();
    let expected = "t forecast: 3 of 3 packages, 8 units fresh, at least 0 to compile: an estimate, because build \
                    scripts may watch variables";
    assert_eq!(last, expected);
    // The error of the estimate.
    assert_eq!(suite.cargo_compiles(PLAIN), 2);
}
