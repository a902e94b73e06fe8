//! What a run leaves behind: ledger, times, verdicts; and that none of it may turn a green run red.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use serde_json::Value;

use crate::support::{Suite, files, number};

const TIERS: &str = "[tiers.t]\ncommand = \"test\"\n[tiers.c]\ncommand = \"test\"\nrunner = \"cargo\"\n[tiers.fast]\ncommand = \"test\"\npackages = \"affected\"\n";

/// `FAIL` may change between runs, and only what failed runs again.
fn ignoring_fail() -> String {
    format!("{TIERS}[verdicts]\nignore-env = [\"FAIL\"]\n")
}

fn ledger(suite: &Suite) -> Vec<Value> {
    let text = suite.fixture.read("target/xtask-suite/ledger.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
}

#[test]
fn a_line_in_the_ledger_for_each_run_and_a_torn_one_costs_only_itself() {
    let mut suite = Suite::trio(TIERS);
    suite.run(&["t"], 0);
    suite.set("FAIL", "side-unit");
    suite.run(&["c"], 1);
    let lines = ledger(&suite);
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["tier"], &lines[0]["success"]), (&"t".into(), &true.into()));
    assert_eq!((&lines[1]["tier"], &lines[1]["success"]), (&"c".into(), &false.into()));
    assert_eq!((number(&lines[0]["compiled"]), number(&lines[1]["compiled"])), (7, 0));
    assert_eq!(number(&lines[1]["tests"]["failed"]), 1);

    let path = suite.state().join("ledger.jsonl");
    OpenOptions::new().append(true).open(&path).unwrap().write_all(br#"{"started_at_ms":17,"ti"#).unwrap();
    suite.set("FAIL", "");
    suite.run(&["c"], 0);
    let lines = ledger(&suite);
    assert_eq!((lines.len(), &lines[2], &lines[3]["success"]), (4, &Value::Null, &true.into()));
    assert!(suite.run(&[], 0).stdout.contains("c              ok in "));
}

#[test]
fn the_time_of_each_compiled_unit_is_kept() {
    let suite = Suite::trio(TIERS);
    let times = || {
        let text = fs::read_to_string(suite.state().join("times.json")).unwrap();
        serde_json::from_str::<BTreeMap<String, u64>>(&text).unwrap()
    };
    suite.run(&["t"], 0);
    let first = times();
    assert_eq!(first.len(), 7, "{first:?}");
    assert!(first.contains_key("debug base 0.1.0") && first.values().all(|ms| *ms > 0), "{first:?}");
    let report = suite.json(&["c"], 0);
    assert_eq!(report["units"], serde_json::json!({ "fresh": 7, "compiled": 0 }));
    // Nothing was compiled, so nothing was timed.
    assert_eq!(times(), first);
}

#[test]
fn the_target_dir_stays_tidy() {
    for suite in [Suite::trio(TIERS), Suite::trio(TIERS).without_nextest()] {
        let outcome = suite.run(&["t"], 0);
        assert!(!outcome.stderr.contains("Timing report"), "{}", outcome.stderr);
        let dated = files(&suite.root().join("target/cargo-timings"));
        let dated = dated.iter().filter(|page| page.file_name() != Some("cargo-timing.html"));
        assert_eq!(dated.count(), 0, "the page of our run is gone");
        assert_eq!(files(&suite.state().join("runs")), [""; 0], "so is the log of the run");
        let theirs = suite.root().join("target/cargo-timings/cargo-timing-20200101T000000Z.html");
        fs::File::create(&theirs).unwrap();
        suite.fixture.write("side/src/lib.rs", "");
        suite.run(&["t"], 0);
        assert!(theirs.exists(), "a page that the user's run made is theirs");
    }
}

#[test]
fn arguments_after_dashes_go_to_the_runner_and_such_a_run_is_no_pass() {
    for suite in [Suite::trio(TIERS), Suite::trio(TIERS).without_nextest()] {
        suite.run(&["fast", "--", "it"], 0);
        // `unit` contains `it`.
        assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"]);
        suite.run(&["fast", "--", "--ignored"], 0);
        assert_eq!(suite.ran(), ["base-later"]);
        suite.run(&["fast"], 0);
        assert_eq!(
            suite.ran(),
            ["app-it", "base-unit", "side-unit"],
            "nothing of it was remembered as a pass"
        );
        suite.run(&["fast"], 0);
        assert_eq!(suite.ran(), [""; 0]);
    }
}

#[test]
fn a_partial_run_neither_makes_a_pass_nor_forgets_one() {
    let mut suite = Suite::trio(&ignoring_fail());
    suite.run(&["fast"], 0);
    suite.set("FAIL", "side-unit");
    suite.run(&["fast", "--", "unit"], 1);
    assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"]);
    suite.set("FAIL", "");
    suite.run(&["fast"], 0);
    assert_eq!(suite.ran(), [""; 0]);
}

#[test]
fn a_failed_member_stays_selected_until_it_passes() {
    for mut suite in [Suite::trio(&ignoring_fail()), Suite::trio(&ignoring_fail()).without_nextest()] {
        suite.set("FAIL", "side-unit");
        suite.run(&["fast"], 1);
        assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"]);
        suite.run(&["fast"], 1);
        assert_eq!(suite.ran(), ["side-unit"], "the others passed");
        suite.set("FAIL", "");
        suite.run(&["fast"], 0);
        assert_eq!(suite.ran(), ["side-unit"]);
        suite.run(&["fast"], 0);
        assert_eq!(suite.ran(), [""; 0]);
    }
}

#[test]
fn a_test_program_that_could_not_be_started_has_not_passed() {
    let mut suite = Suite::trio(&ignoring_fail()).without_nextest();
    suite.fixture.write(
        "app/tests/it.rs",
        r#"
        #[test]
        fn it() {
            use std::os::unix::fs::PermissionsExt;
            let program = std::env::current_exe().unwrap();
            let fails = std::env::var("FAIL").is_ok_and(|fail| fail == "app-it");
            for entry in program.parent().unwrap().read_dir().unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                if name.starts_with("side-") && !name.contains('.') {
                    let mode = std::fs::Permissions::from_mode(if fails { 0o644 } else { 0o755 });
                    std::fs::set_permissions(entry.path(), mode).unwrap();
                }
            }
            base::mark("app-it");
        }
        "#,
    );
    suite.set("FAIL", "app-it");
    suite.run(&["fast"], 1);
    assert_eq!(suite.ran(), ["app-it", "base-unit"], "side's program was made not executable");
    suite.set("FAIL", "");
    suite.run(&["fast"], 0);
    assert_eq!(suite.ran(), ["app-it", "side-unit"]);
}

#[test]
fn two_at_once_on_one_workspace() {
    let suite = Suite::trio(TIERS);
    let start = |tier: &str| {
        let mut command = suite.command(&["--json", tier]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let running = ["fast", "t", "c", "fast"].map(start);
    for child in running {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("was not kept"), "{said}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(number(&report["tests"]["failed"]), 0, "{report:#}");
        // What another one was quicker with is remembered.
        let remembered = number(&report["remembered"]["tests"]["passed"]);
        assert_eq!(number(&report["tests"]["passed"]) + remembered, 3, "{report:#}");
    }
    assert_eq!(ledger(&suite).iter().filter(|line| line["success"] == true).count(), 4);
    suite.ran();
    suite.run(&["fast"], 0);
    assert_eq!(suite.ran(), [""; 0]);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_a_note_and_no_red_run() {
    let nextest = || Suite::trio(TIERS);
    let cargo = || Suite::trio(TIERS).without_nextest();
    for (suite, tier) in [(nextest(), "t"), (nextest(), "fast"), (cargo(), "t"), (cargo(), "fast")] {
        // A file in its place: neither root nor anybody else can write below it.
        fs::create_dir_all(suite.root().join("target")).unwrap();
        fs::File::create(suite.state()).unwrap();
        let outcome = suite.run(&[tier], 0);
        assert!(outcome.stderr.contains("note: the result of this run was not kept: "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("note: the times of this run were not kept: "), "{}", outcome.stderr);
        let last = outcome.stdout.lines().last().unwrap();
        assert!(last.starts_with(&format!("{tier} ok: ")), "{last}\n{}", outcome.stderr);
        assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"]);
        suite.run(&[tier, "--forecast"], 0);
        suite.run(&[], 0);
    }
}

#[test]
fn a_failure_is_red_without_any_state() {
    for mut suite in [Suite::trio(TIERS), Suite::trio(TIERS).without_nextest()] {
        fs::create_dir_all(suite.root().join("target")).unwrap();
        fs::File::create(suite.state()).unwrap();
        suite.set("FAIL", "app-it");
        suite.run(&["t"], 1);
        suite.run(&["fast"], 1);
    }
}

#[test]
fn nextests_summary_stands_in_for_a_report_that_is_not_to_be_had() {
    let mut suite = Suite::trio(TIERS);
    fs::create_dir_all(suite.root().join("target")).unwrap();
    fs::File::create(suite.state()).unwrap();
    suite.set("FAIL", "app-it");
    let tests = &suite.json(&["t"], 1)["tests"];
    assert_eq!((number(&tests["passed"]), number(&tests["failed"]), number(&tests["skipped"])), (2, 1, 1));
}

#[test]
fn a_full_disk_is_a_note_and_no_red_run() {
    let suite = Suite::trio(TIERS);
    suite.run(&["t"], 0);
    let ledger = suite.state().join("ledger.jsonl");
    fs::remove_file(&ledger).unwrap();
    // Writing there fails as it does on a full disk.
    std::os::unix::fs::symlink("/dev/full", &ledger).unwrap();
    let outcome = suite.run(&["t"], 0);
    assert!(outcome.stderr.contains("note: the result of this run was not kept: "), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("t ok: "), "{}", outcome.stdout);
}

#[test]
fn damaged_state_is_made_anew() {
    let suite = Suite::trio(TIERS);
    suite.run(&["fast"], 0);
    suite.ran();
    assert!(damage(&suite.state()) > 4);
    suite.run(&["fast"], 0);
    assert_eq!(suite.ran(), [""; 0], "what passed is kept elsewhere");
    assert!(damage(suite.store()) > 3 && damage(&suite.state()) > 4);
    suite.run(&["fast"], 0);
    assert_eq!(suite.ran(), ["app-it", "base-unit", "side-unit"], "nothing is known to have passed");
    suite.run(&["fast", "--forecast"], 0);
    suite.run(&[], 0);
}

/// Damages the files below `dir` and returns how many there are.
fn damage(dir: &Utf8Path) -> usize {
    let mut damaged = 0;
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for path in files(&dir) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension() != Some("toml") {
                fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
                OpenOptions::new()
                    .write(true)
                    .truncate(true)
                    .open(&path)
                    .unwrap()
                    .write_all(b"{\"ver")
                    .unwrap();
                damaged += 1;
            }
        }
    }
    damaged
}

/// Cargo marks a target dir only when it makes it itself, and tools that clean or back up go by the mark.
#[test]
fn a_target_dir_of_ours_is_marked_as_a_cache() {
    let suite = Suite::trio("");
    assert!(!suite.root().join("target").exists());
    suite.run(&["check-fast", "--dry-run"], 0);
    let tag = suite.fixture.read("target/CACHEDIR.TAG");
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"), "{tag}");
}
