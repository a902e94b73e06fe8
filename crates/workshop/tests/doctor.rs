//! `doctor` on workspaces with faults: each fault is one named check, and what `--fix` fixes is ok the next time, with
//! every other byte as it was.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]
#![expect(dead_code, reason = "what the tests of the daily commands share has more than these need")]

#[path = "../../suite/tests/cli/support.rs"]
mod support;

use std::fs;
use std::process::Command;

use camino::Utf8PathBuf;
use serde_json::Value;
use xtask_testkit::{Fixture, Outcome, Snapshot};

use crate::support::{Suite, host, script};

const LOCAL: &str = ".cargo/xtask.local.toml";
const INCLUDE: &str = "include = [{ path = \"xtask.local.toml\", optional = true }]\n";
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"app\"]\n"),
    ("app/Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    ("app/src/main.rs", "fn main() {}\n"),
    (".gitignore", "/target\n/marks\n"),
];

/// The package `app`, and these files on top, all committed.
fn suite(more: &[(&str, &str)], config: &str) -> Suite {
    let mut files = FILES.to_vec();
    files.retain(|(path, _)| !more.iter().any(|(other, _)| other == path));
    files.extend_from_slice(more);
    Suite::new(&files, config)
}

/// The checks of a document with this name.
fn named<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    report["checks"].as_array().unwrap().iter().filter(|check| check["name"] == name).collect()
}

/// The one check of this name has this status, and `part` in its evidence.
#[track_caller]
fn assert_check(report: &Value, name: &str, status: &str, part: &str) {
    let checks = named(report, name);
    let found = checks.iter().any(|check| {
        check["status"] == status
            && check["evidence"].as_str().is_some_and(|evidence| evidence.contains(part))
    });
    assert!(found, "{name} {status} {part}: {report:#}");
    if status != "ok" {
        assert!(checks.iter().all(|check| check["fix"]["text"].is_string()), "{checks:#?}");
    }
}

fn failures(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["status"] == "fail").filter_map(|check| check["name"].as_str()).collect()
}

#[test]
fn a_healthy_workspace_has_no_failure_and_is_left_alone() {
    let suite = suite(&[("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n")], "");
    let before = Snapshot::of(suite.root());
    let report = suite.json(&["doctor"], 0);
    assert_eq!(failures(&report), [""; 0]);
    for check in report["checks"].as_array().unwrap() {
        assert!(["ok", "warn"].contains(&check["status"].as_str().unwrap()), "{check:#}");
        assert!(check["evidence"].as_str().is_some_and(|evidence| !evidence.is_empty()), "{check:#}");
        assert_eq!(check["fix"].is_null(), check["status"] == "ok", "{check:#}");
    }
    assert_check(&report, "toolchain", "ok", "rust-toolchain.toml pins stable");
    for name in ["cargo", "rustflags", "wrapper", "target dir"] {
        assert_eq!(named(&report, name)[0]["status"], "ok", "{report:#}");
    }
    let lines = suite.run(&["doctor", "--fix"], 0).stdout;
    assert!(lines.lines().last().unwrap().starts_with("doctor ok: 0 failures, "), "{lines}");
    assert!(lines.lines().any(|line| line.starts_with("ok    toolchain ")), "{lines}");
    Snapshot::of(suite.root()).assert_same(&before, "after a diagnosis");
    assert!(!suite.root().join("target/debug").exists(), "nothing was compiled");
}

#[test]
fn fix_changes_include_gitignore_and_overruling_settings_and_nothing_else() {
    let config = "# ours\n[build]\njobs = 7 # seven\ntarget-dir = \"target\"\n";
    let suite = suite(&[(".cargo/config.toml", config)], "");
    suite.fixture.write(LOCAL, "[build]\njobs = 2\n");
    let report = suite.json(&["doctor"], 1);
    assert_eq!(failures(&report), ["settings", "setting build.jobs"]);
    assert_check(&report, "settings", "fail", "git does not ignore .cargo/xtask.local.toml");
    assert_check(&report, "settings include", "warn", "cargo does not read .cargo/xtask.local.toml");
    assert_check(&report, "setting build.jobs", "fail", ".cargo/config.toml says `7");

    let before = Snapshot::of(suite.root());
    let report = suite.json(&["doctor", "--fix"], 0);
    assert_eq!(report["changed"], serde_json::json!([".cargo/config.toml", ".gitignore"]));
    let text = suite.fixture.read(".cargo/config.toml");
    assert_eq!(text, format!("{INCLUDE}\n# ours\n[build]\ntarget-dir = \"target\"\n"));
    assert_eq!(suite.fixture.read(".gitignore"), format!("/target\n/marks\n/{LOCAL}\n"));
    let after = Snapshot::of(suite.root());
    // Our own record of how to undo it lies where git does not look.
    let changed = after.changed_since(&before);
    let theirs = changed.iter().filter(|path| !path.starts_with(".cargo/xtask-tools"));
    assert_eq!(theirs.collect::<Vec<_>>(), [".cargo/config.toml", ".gitignore"]);

    let report = suite.json(&["doctor"], 0);
    assert_check(&report, "settings", "ok", "which git ignores");
    assert_check(&report, "settings include", "ok", "cargo reads");
    assert_check(&report, "memory", "ok", "2 jobs");
    assert!(named(&report, "setting build.jobs").is_empty());
    suite.run(&["setup", "--undo"], 0);
    assert_eq!(suite.fixture.read(".cargo/config.toml"), config);
    assert_eq!(suite.fixture.read(".gitignore"), "/target\n/marks\n");
}

#[test]
fn settings_that_are_committed_or_name_what_is_gone_fail() {
    let suite = suite(&[(".cargo/config.toml", INCLUDE), (LOCAL, "[build]\njobs = 1\n")], "");
    assert_check(&suite.json(&["doctor"], 1), "settings", "fail", "is committed");

    let local = format!("[target.{}]\nlinker = \"/gone/clang\"\n", host().1);
    suite.fixture.write(LOCAL, &local);
    assert_check(&suite.json(&["doctor"], 1), "settings programs", "fail", "/gone/clang");

    // Without its wrapper cargo cannot even read the workspace.
    suite.fixture.write(LOCAL, "[build]\nrustc-wrapper = \"/gone/sccache\"\n");
    let report = suite.json(&["doctor"], 1);
    assert_check(&report, "settings programs", "fail", "/gone/sccache");
    let fix = "rm .cargo/xtask.local.toml && cargo xtask setup";
    assert_eq!(named(&report, "settings programs")[0]["fix"]["text"], fix);
}

/// It exists or not, and links or not: what the linker said is what is said.
#[test]
fn a_linker_that_does_not_link_is_a_failure_in_its_own_words_and_what_links_is_asked_once() {
    let target = format!("[target.{}]\n", host().1);
    let table = [
        ("linker = \"clang-99\"\n", "linker `clang-99` not found"),
        ("linker = \"true\"\n", "without linking anything"),
        ("rustflags = [\"-Clink-arg=-fuse-ld=moldx\"]\n", "-fuse-ld=moldx"),
    ];
    let suite = suite(&[], "");
    assert_check(&suite.json(&["doctor"], 0), "linker", "ok", "a program links here with ");
    for (line, said) in table {
        suite.fixture.write(".cargo/config.toml", &format!("{target}{line}"));
        let report = suite.json(&["doctor"], 1);
        assert_check(&report, "linker", "fail", said);
        assert_eq!(failures(&report), ["linker"], "{line}");
    }
    // The fix, and doctor is content again; what was seen is kept as long as it holds.
    suite.fixture.write(".cargo/config.toml", "");
    for _ in 0..2 {
        assert_check(&suite.json(&["doctor"], 0), "linker", "ok", "a program links here with ");
    }
    assert!(!suite.root().join("target/xtask-suite/setup/probes/in-force").exists());
}

/// What the team's file says is stronger than what setup would set for this machine.
#[test]
fn jobs_that_do_not_fit_are_removed_by_the_fix_that_is_named() {
    let config = "[build]\njobs = 50000\n";
    let suite = suite(&[(".cargo/config.toml", config)], "");
    let report = suite.json(&["doctor"], 0);
    assert_check(&report, "memory", "warn", "50000 jobs (");
    assert_eq!(named(&report, "memory")[0]["fix"]["text"], "remove `build.jobs` from .cargo/config.toml");
    let report = suite.json(&["doctor", "--fix"], 0);
    assert_check(&report, "memory", "ok", "one for each core");
    suite.run(&["setup", "--undo"], 0);
    assert_eq!(suite.fixture.read(".cargo/config.toml"), config);
}

/// The next newcomer then has no such trouble, and here nothing changes.
#[test]
fn what_only_a_machine_can_have_is_moved_to_its_own_file_and_back() {
    let triple = host().1;
    let config = format!(
        "# ours\n[target.{triple}]\nlinker = \"gcc\"\nrustflags = [\"-C\", \"link-arg=-fuse-ld=bfd\"]\n\n[net]\nretry = 3\n"
    );
    let suite = suite(&[(".cargo/config.toml", &config)], "");
    let report = suite.json(&["doctor"], 0);
    assert_check(&report, "committed settings", "warn", "rustflags = -C link-arg=-fuse-ld=bfd");
    let report = suite.json(&["doctor", "--fix"], 0);
    assert!(named(&report, "committed settings").is_empty(), "{report:#}");
    assert!(failures(&report).is_empty(), "{report:#}");
    let text = suite.fixture.read(".cargo/config.toml");
    assert!(!text.contains("linker") && !text.contains("bfd") && text.contains("retry = 3"), "{text}");
    let local = suite.fixture.read(LOCAL);
    assert!(local.contains("linker = \"gcc\"") && local.contains("\"link-arg=-fuse-ld=bfd\""), "{local}");
    assert_check(&report, "linker", "ok", "a linker that leaves no name");
    suite.run(&["setup", "--undo"], 0);
    assert_eq!(suite.fixture.read(".cargo/config.toml"), config);
    assert!(!suite.root().join(LOCAL).exists());
    // What is in the repository is on every machine.
    suite.fixture.write(".cargo/config.toml", "[build]\nrustc-wrapper = \"tools/wrap\"\n");
    suite.fixture.write("tools/wrap", "#!/bin/sh\nexec \"$@\"\n");
    let mut chmod = suite.program("chmod", &["+x", "tools/wrap"]);
    xtask_testkit::Outcome::of(&mut chmod).expect_code(0);
    assert!(named(&suite.json(&["doctor"], 0), "committed settings").is_empty());
}

/// A committed configuration that a new machine cannot meet.
#[test]
fn what_the_configuration_demands_is_a_failure_until_it_is_there_and_every_command_says_so_in_a_line() {
    let config = "[build]\nrustc-wrapper = \"sccache\"\n";
    let mut suite = suite(&[(".cargo/config.toml", config)], "").without_nextest();
    let report = suite.json(&["doctor"], 1);
    assert_check(&report, "wrapper", "fail", "sccache, set by ");
    assert_check(&report, "tool sccache", "fail", "rustc-wrapper in .cargo/config.toml demands it");
    let plan = suite.run(&["setup", "--dry-run", "--offline"], 0);
    assert!(plan.stdout.contains("rustc-wrapper in .cargo/config.toml demands it"), "{}", plan.stdout);
    let overview = suite.run(&["preset", "list"], 0);
    assert!(overview.stdout.contains("minimal"), "{}", overview.stdout);
    for args in [&["test-fast"][..], &["check-fast"], &["with", "full", "--", "build"], &["clean-stale"]] {
        let outcome = suite.run(args, 3);
        let expected = format!(
            "error: sccache, set by {}/.cargo/config.toml, does not exist: cargo cannot start rustc",
            suite.root()
        );
        assert_eq!(outcome.stderr.lines().next(), Some(expected.as_str()), "{args:?}");
        assert_eq!(outcome.stderr.lines().nth(1), Some("  next: cargo xtask setup"), "{args:?}");
    }
    suite.fixture.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.11.0\"\n");
    suite.set("RUST_BACKTRACE", "1");
    for args in [&[][..], &["test-fast"], &["disk"], &["setup"], &["preset", "list"], &["clean-stale"]] {
        let outcome = suite.run(args, 3);
        let said = outcome.stderr.lines().collect::<Vec<_>>();
        assert!(said[0].contains("rust-toolchain.toml asks for 1.11.0, which is not installed"), "{said:?}");
        assert_eq!(said[1..], ["  next: rustup toolchain install 1.11.0"], "{args:?}");
    }
}

#[test]
fn a_required_tool_that_is_missing_fails_and_a_wanted_one_warns() {
    let config = "[tools.no-such-tool]\nneed = \"required\"\n[tools.nor-this]\nwithout = \"patience\"\n[tools.wild]\nneed = \"unwanted\"\n";
    let suite = suite(&[], config);
    let report = suite.json(&["doctor"], 1);
    assert_eq!(failures(&report), ["tool no-such-tool"]);
    assert_check(&report, "tool nor-this", "warn", "used instead: patience");
    assert!(named(&report, "tool wild").is_empty(), "{report:#}");
}

#[test]
fn a_toolchain_that_is_not_installed_is_a_failure_and_a_broken_configuration_is_wrong_usage() {
    let suite = suite(&[("rust-toolchain.toml", "[toolchain]\nchannel = \"1.11.0\"\n")], "");
    let report = suite.json(&["doctor"], 1);
    assert_check(&report, "toolchain", "fail", "asks for 1.11.0, which is not installed");
    assert_eq!(named(&report, "toolchain")[0]["fix"]["text"], "rustup toolchain install 1.11.0");

    fs::remove_file(suite.root().join("rust-toolchain.toml")).unwrap();
    suite.fixture.write("xtask.toml", "[tiers.x]\ncomand = \"test\"\n");
    let outcome = suite.run(&["doctor"], 2);
    assert!(outcome.stderr.contains("comand"), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn what_cargo_drops_in_silence_is_said() {
    let config = "[build]\nrustflags = [\"--cfg=mine\"]\n";
    let mut suite = suite(&[(".cargo/config.toml", config)], "");
    suite.set("RUSTFLAGS", "-g");
    suite.set("CARGO_BUILD_JOBS", "50000");
    let report = suite.json(&["doctor"], 0);
    assert_check(
        &report,
        "rustflags",
        "warn",
        "RUSTFLAGS is set, and voids build.rustflags in .cargo/config.toml",
    );
    assert_check(&report, "memory", "warn", "50000 jobs (CARGO_BUILD_JOBS)");
}

#[test]
fn a_wrapper_that_hangs_is_ended_and_one_that_is_gone_is_named() {
    let mut suite = suite(&[], "");
    let wrapper = suite.root().join("target/wrap");
    script(&wrapper, "exec \"$@\"\n");
    suite.set("RUSTC_WRAPPER", wrapper.as_str());
    assert_check(&suite.json(&["doctor"], 0), "wrapper", "ok", "passes on calls of rustc");
    script(&wrapper, "sleep 300\n");
    assert_check(&suite.json(&["doctor"], 1), "wrapper", "fail", "calls itself or hangs");
    script(&wrapper, "exec cargo \"$@\"\n");
    assert_check(&suite.json(&["doctor"], 1), "wrapper", "fail", "does not answer as rustc does");
    suite.set("RUSTC_WRAPPER", "/gone/wrap");
    assert_check(
        &suite.json(&["doctor"], 1),
        "wrapper",
        "fail",
        "/gone/wrap, set by the variable RUSTC_WRAPPER",
    );
}

/// A cache and a server that are this test's alone; where the cache lies.
fn own_cache(suite: &mut Suite) -> Utf8PathBuf {
    let folder = suite.root().join("target/cache");
    let port = (20_000 + std::process::id() % 20_000).to_string();
    let variables =
        [("SCCACHE_DIR", folder.as_str()), ("SCCACHE_SERVER_PORT", &port), ("SCCACHE_IDLE_TIMEOUT", "60")];
    for (name, value) in variables {
        suite.set(name, value);
    }
    folder
}

#[test]
fn what_setup_has_proven_and_set_is_ok_until_it_changes() {
    let unwanted = ["rust-lld", "mold", "wild", "lld", "clang", "cargo-nextest"];
    let config = unwanted.map(|name| format!("[tools.{name}]\nneed = \"unwanted\"\n")).concat();
    let mut suite = suite(&[], &config);
    own_cache(&mut suite);
    assert_check(&suite.json(&["doctor"], 0), "tool sccache", "warn", "not proven");
    assert_check(&suite.json(&["doctor"], 0), "settings", "warn", "nothing was measured");
    suite.run(&["setup", "--offline", "--no-measure"], 0);
    let report = suite.json(&["doctor"], 0);
    for name in
        ["tool sccache", "sccache", "settings", "settings programs", "settings include", "settings in force"]
    {
        assert_eq!(named(&report, name)[0]["status"], "ok", "{name}: {report:#}");
    }
    suite.set("RUSTC_WRAPPER", "sccache");
    let report = suite.json(&["doctor"], 0);
    assert!(named(&report, "setting build.rustc-wrapper").is_empty(), "the same program: {report:#}");
    suite.set("RUSTC_WRAPPER", "/usr/bin/env");
    assert_check(
        &suite.json(&["doctor"], 0),
        "setting build.rustc-wrapper",
        "warn",
        "the variable RUSTC_WRAPPER",
    );
    let text = suite.fixture.read(".cargo/config.toml");
    suite.fixture.write(".cargo/config.toml", &format!("{text}[term]\nquiet = true\n"));
    assert_check(&suite.json(&["doctor"], 0), "settings in force", "warn", "not seen in a build since");
    let _ = Outcome::of(&mut suite.program("sccache", &["--stop-server"]));
}

#[test]
fn several_versions_of_a_tool_and_a_toolchain_that_is_overruled_are_named() {
    let release = Outcome::of(Command::new("rustc").arg("--version")).stdout;
    let release = release.split(' ').nth(1).unwrap();
    let pin = format!("[toolchain]\nchannel = \"{release}\"\n");
    let mut suite = suite(&[("rust-toolchain.toml", &pin)], "[tools.dupe]\n");
    let folders = ["a", "b"].map(|name| suite.root().join("target").join(name));
    for (folder, version) in folders.iter().zip(["1.2.3", "2.0.0"]) {
        script(&folder.join("dupe"), &format!("echo dupe {version}\n"));
    }
    let path = std::env::var("PATH").unwrap();
    suite.set("PATH", &format!("{}:{}:{path}", folders[0], folders[1]));
    assert_check(&suite.json(&["doctor"], 0), "toolchain", "ok", "rust-toolchain.toml pins");
    suite.set("RUSTUP_TOOLCHAIN", "stable");
    let report = suite.json(&["doctor"], 0);
    let expected =
        format!("several versions: 1.2.3 ({}/dupe) is used, not 2.0.0 ({}/dupe)", folders[0], folders[1]);
    assert_check(&report, "tool dupe", "warn", &expected);
    let expected = format!("RUSTUP_TOOLCHAIN=stable overrules rust-toolchain.toml, which pins {release}");
    assert_check(&report, "toolchain", "warn", &expected);
}

#[test]
fn a_compiler_cache_is_asked_and_a_conflict_with_it_is_said() {
    let mut suite = suite(&[], "");
    let folder = own_cache(&mut suite);
    suite.set("RUSTC_WRAPPER", "sccache");
    let stop = || Outcome::of(&mut suite.program("sccache", &["--stop-server"]));
    suite.run(&["doctor"], 0);
    let _ = stop();
    assert_check(&suite.json(&["doctor"], 0), "sccache", "ok", "no server runs now");
    Outcome::of(&mut suite.program("sccache", &["--start-server"])).expect_code(0);
    let asked = suite.json(&["doctor"], 0);
    stop().expect_code(0);
    assert_check(&asked, "sccache", "ok", folder.as_str());
    suite.set("CARGO_INCREMENTAL", "1");
    assert_check(&suite.json(&["doctor"], 0), "sccache incremental", "warn", "CARGO_INCREMENTAL=1");
}

#[test]
fn two_checkouts_of_one_workspace_must_not_share_a_target_dir() {
    let mut suite = suite(&[], "");
    let shared = Fixture::new("doctor-shared", &[]);
    suite.set("CARGO_TARGET_DIR", shared.root().as_str());
    Outcome::of(&mut suite.program("cargo", &["build"])).expect_code(0);
    assert_check(&suite.json(&["doctor"], 0), "target dir", "ok", "outside of the workspace");
    let twin = Fixture::new("doctor-twin", &FILES);
    Outcome::of(suite.program("cargo", &["build"]).current_dir(twin.root())).expect_code(0);
    let report = suite.json(&["doctor"], 1);
    assert_check(&report, "target dir", "fail", twin.root().as_str());
}
