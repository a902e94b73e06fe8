//! Tools that say what they are not.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xtask_testkit::Outcome;

use crate::support::{Suite, program, tool};

/// What a linker says, that does `what` when it is called to link.
fn script(what: &str) -> String {
    format!("case \"$1\" in --version|-v) echo 'mold 9.9.9 (compatible with GNU ld)'; exit 0;; esac\n{what}")
}

fn mold_that(name: &str, text: &str) -> Suite {
    let suite = Suite::new(name, &["rust-lld"], "[setup]\nlinker = \"mold\"\n");
    let config = suite.fixture.read("xtask.toml").replace("[tools.mold]\nneed = \"unwanted\"\n", "");
    suite.fixture.write("xtask.toml", &config);
    suite.machine.install_script("mold", text);
    suite.machine.install_script("ld.mold", text);
    suite
}

#[test]
fn the_right_version_and_another_linker_is_seen() {
    let ld = program("ld");
    let suite = mold_that("liar", &script(&format!("exec {ld} \"$@\"")));
    let report = suite.setup(&["--offline"]);
    let mold = tool(&report, "mold");
    assert_eq!((&mold["state"], &mold["path"].as_str().is_some()), (&"unproven".into(), &true), "{mold:#}");
    assert!(mold["why"].as_str().unwrap().contains("it was not used"), "{mold:#}");
    assert_eq!(suite.local(), "");
}

#[test]
fn another_version_of_the_linker_is_seen() {
    let mold = program("mold");
    let suite = mold_that("version", &script(&format!("exec {mold} \"$@\"")));
    let report = suite.setup(&["--offline"]);
    assert_eq!(tool(&report, "mold")["state"], "unproven", "{report:#}");
}

#[test]
fn success_without_linking_is_seen() {
    let suite = mold_that("nothing", &script("exit 0"));
    let report = suite.setup(&["--offline"]);
    assert!(
        tool(&report, "mold")["why"].as_str().unwrap().contains("without linking anything"),
        "{report:#}"
    );
}

#[test]
fn a_program_that_hangs_is_given_up() {
    let suite = mold_that("hang", "sleep 1000");
    suite.machine.install("sleep");
    let started = Instant::now();
    let report = suite.setup(&["--offline"]);
    let why = tool(&report, "mold")["why"].to_string();
    assert!(why.contains("did not end within"), "{report:#}");
    // 10 s: it is asked once, not again when the plan is carried out.
    assert!(started.elapsed().as_secs() < 19, "{:?}", started.elapsed());
}

#[test]
fn a_cache_that_only_passes_on_is_seen() {
    let suite = Suite::new("no-cache", &[], "");
    let config = suite.fixture.read("xtask.toml").replace("[tools.sccache]\nneed = \"unwanted\"\n", "");
    suite.fixture.write("xtask.toml", &config);
    let text = "case \"$1\" in\n--version) echo 'sccache 9.9.9';;\n--start-server|--stop-server) ;;\n\
                --show-stats) echo '{\"stats\":{\"cache_hits\":{\"counts\":{}}}}';;\n*) exec \"$@\";;\nesac";
    suite.machine.install_script("sccache", text);
    let report = suite.setup(&["--offline"]);
    assert!(tool(&report, "sccache")["why"].as_str().unwrap().contains("was not a hit"), "{report:#}");
    assert_eq!(suite.local(), "");
}

#[test]
fn a_runner_that_runs_nothing_is_seen() {
    let suite = Suite::new("no-runner", &[], "");
    let config = suite.fixture.read("xtask.toml").replace("[tools.cargo-nextest]\nneed = \"unwanted\"\n", "");
    suite.fixture.write("xtask.toml", &config);
    let text =
        "case \"$2\" in\n--version) echo 'cargo-nextest 9.9.9';;\nlist) echo '{\"test-count\":2}';;\nesac";
    suite.machine.install_script("cargo-nextest", text);
    let report = suite.setup(&["--offline"]);
    assert!(
        tool(&report, "cargo-nextest")["why"].as_str().unwrap().contains("without running a test"),
        "{report:#}"
    );
}

#[test]
fn a_broken_program_does_not_hide_a_working_one() {
    let suite = mold_that("hidden", &script("exit 1"));
    let good = suite.machine.home().join("good");
    for name in ["mold", "ld.mold"] {
        std::fs::create_dir_all(&good).unwrap();
        std::os::unix::fs::symlink(program("mold"), good.join(name)).unwrap();
    }
    // The C compiler finds the broken one first, but clang is told the path.
    suite.machine.install("clang");
    let path = format!("{}:{good}", suite.machine.bin());
    let suite = suite.with("PATH", path);
    let report = suite.setup(&["--offline"]);
    let mold = tool(&report, "mold");
    assert_eq!(mold["state"], "proven", "{mold:#}");
    assert!(mold["path"].as_str().unwrap().starts_with(good.as_str()), "{mold:#}");
}

#[test]
fn an_interrupt_during_a_proof_ends_everything() {
    let suite = mold_that("proof-interrupt", &script("touch \"$0.started\"; sleep 5432"));
    for program in ["touch", "sleep"] {
        suite.machine.install(program);
    }
    let mut setup = suite.command(&["setup", "--no-measure", "--offline"]);
    let mut setup = setup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !suite.machine.bin().join("ld.mold.started").exists() {
        assert!(begun.elapsed().as_secs() < 60 && setup.try_wait().unwrap().is_none(), "it never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    Outcome::of(Command::new("kill").args(["-INT", &setup.id().to_string()])).expect_code(0);
    assert_eq!(setup.wait().unwrap().signal(), Some(2));
    assert_eq!(suite.local(), "");
    let left = Outcome::of(Command::new("pgrep").args(["-fx", "sleep 5432"])).stdout;
    assert_eq!(left, "");
}
