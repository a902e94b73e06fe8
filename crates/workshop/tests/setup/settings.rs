//! The settings of a machine: what they merge with, who does not get them, and that they go again.

use std::fs;

use xtask_testkit::{BareMachine, Outcome, Snapshot, TempDir};

use crate::support::{Suite, host, json, tool};

const MOLD: &str = "[setup]\nlinker = \"mold\"\n";

#[test]
fn a_dry_run_changes_nothing_and_a_second_setup_neither() {
    let suite = Suite::new("again", &["rust-lld", "mold"], MOLD);
    let before = Snapshot::of(suite.root()).without("target");
    let dry = suite.run(&["setup", "--dry-run"]).expect_code(0);
    assert!(dry.stdout.contains("to be proven"), "{}", dry.stdout);
    assert!(dry.stdout.contains("measure         nothing: `linker` in [setup] says mold"), "{}", dry.stdout);
    Snapshot::of(suite.root()).without("target").assert_same(&before, "after a dry run");

    let first = suite.setup(&[]);
    assert!(first["changed"].as_array().unwrap().len() >= 2, "{first:#}");
    assert_eq!(tool(&first, "mold")["proven-now"], true);
    let set = Snapshot::of(suite.root()).without("target");
    let second = suite.setup(&[]);
    assert_eq!(second["changed"], serde_json::json!([]), "{second:#}");
    assert!(second["tools"].as_array().unwrap().iter().all(|tool| tool["proven-now"] == false), "{second:#}");
    Snapshot::of(suite.root()).without("target").assert_same(&set, "after a second setup");
    let asked = suite.setup(&["--again"]);
    assert_eq!(tool(&asked, "mold")["proven-now"], true);
}

#[test]
fn a_dry_run_says_what_would_be_set_and_measured_and_what_that_costs() {
    let suite = Suite::new("dry", &["rust-lld", "mold", "sccache"], "[setup]\nmemory-per-job = \"900 TB\"\n");
    let dry = suite.run(&["setup", "--dry-run"]).expect_code(0).stdout;
    for line in [
        "measure         2 linkers and what is in use: 11 links by each, after",
        " to compile); the fastest is set",
        "set             rustc-wrapper = sccache, if it is proven",
        "set             jobs = 1, because memory is short",
    ] {
        assert!(dry.contains(line), "{line}: {dry}");
    }
}

#[test]
fn undo_restores_every_byte() {
    let suite = Suite::new("undo", &["mold"], MOLD);
    suite.fixture.write(".cargo/config.toml", "# mine\r\n[alias]\r\nb = \"build\"  # short\r\n");
    let before = Snapshot::of(suite.root()).without("target");
    suite.setup(&[]);
    assert!(suite.local().contains("mold"));
    let dry = suite.run(&["setup", "--undo", "--dry-run"]).expect_code(0);
    assert!(dry.stdout.contains("would change"), "{}", dry.stdout);
    suite.run(&["setup", "--undo"]).expect_code(0);
    Snapshot::of(suite.root()).without("target").assert_same(&before, "after an undo");
    let nothing = suite.run(&["setup", "--undo"]).expect_code(0);
    assert!(nothing.stdout.contains("nothing to undo"), "{}", nothing.stdout);
}

#[test]
fn a_checkout_without_tools_builds() {
    let suite = Suite::new("teammate", &["mold", "clang", "sccache"], MOLD);
    suite.setup(&[]);
    assert!(suite.local().contains("mold") && suite.local().contains("sccache"), "{}", suite.local());
    suite.fixture.commit("what setup has changed");
    assert_eq!(suite.fixture.git(&["status", "--porcelain"]), "");
    let tracked = suite.fixture.git(&["ls-files"]);
    assert!(!tracked.contains("xtask.local.toml") && tracked.contains(".cargo/config.toml"), "{tracked}");

    let other = BareMachine::new("teammate-other");
    let dir = TempDir::new("teammate-clone");
    let clone = dir.path().join("clone");
    let mut git = other.command("git", dir.path());
    Outcome::of(git.args(["clone", "--quiet", suite.root().as_str(), clone.as_str()])).expect_code(0);
    let built = Outcome::of(other.command("cargo", &clone).args(["run", "--quiet"])).expect_code(0);
    assert_eq!(built.stdout, "1\n");
    assert_eq!(built.stderr, "");
}

#[test]
fn flags_that_the_workspace_has_stay_in_force_beside_ours() {
    let host = host();
    // the workspace's own configuration, and the flag of it that has to stay
    let theirs = [
        "[build]\nrustflags = [\"--cfg\", \"theirs\"]\n".to_owned(),
        format!("[target.{host}]\nrustflags = [\"--cfg\", \"theirs\"]\n"),
        "[target.'cfg(unix)']\nrustflags = [\"--cfg\", \"theirs\"]\n".to_owned(),
        "build.rustflags = \"--cfg theirs\"\n".to_owned(),
    ];
    for config in theirs {
        let suite = Suite::new("merge", &["mold"], MOLD);
        suite.fixture.write(".cargo/config.toml", &config);
        let report = suite.setup(&[]);
        assert!(report["in-force"].as_str().unwrap().contains("mold"), "{config}\n{report:#}");
        let built = suite.cargo(&["build", "-v"]).expect_code(0).stderr;
        let running = built.lines().find(|line| line.contains("--crate-name app")).unwrap();
        let ours = running.find("-Clink-arg=-fuse-ld=mold").unwrap_or_else(|| panic!("{config}\n{running}"));
        let theirs = running.find("--cfg theirs").unwrap_or_else(|| panic!("{config}\n{running}"));
        assert!(ours < theirs, "ours come first: {running}");
        let kept = suite.fixture.read(".cargo/config.toml");
        // A string cannot be joined with a list, so it has become one.
        let list = config.replace("\"--cfg theirs\"", "[\"--cfg\", \"theirs\"]");
        assert!(kept.contains(list.trim_end()), "{kept}");
        suite.run(&["setup", "--undo"]).expect_code(0);
        assert_eq!(suite.fixture.read(".cargo/config.toml"), config);
    }
}

#[test]
fn a_scalar_of_the_workspace_that_counts_instead_of_ours_is_said() {
    let suite = Suite::new("scalar", &["sccache"], "[setup]\nmemory-per-job = \"900 TB\"\n");
    suite.fixture.write(".cargo/config.toml", "[build]\njobs = 3\n");
    let report = suite.setup(&[]);
    let overruled = report["overruled"].as_array().unwrap();
    assert_eq!(overruled.len(), 1, "{report:#}");
    assert_eq!(overruled[0]["key"], "build.jobs");
    assert_eq!((&overruled[0]["ours"], &overruled[0]["theirs"]), (&"1".into(), &"3".into()));
    assert!(!suite.local().contains("jobs"), "what does not count is not written: {}", suite.local());
}

#[test]
fn flags_in_the_environment_void_files_so_none_are_written() {
    let suite = Suite::new("void", &["mold"], MOLD).with("RUSTFLAGS", "--cfg mine");
    let outcome = suite.run(&["setup", "--no-measure"]).expect_code(0);
    assert!(outcome.stderr.contains("RUSTFLAGS is set"), "{}", outcome.stderr);
    assert_eq!(suite.local(), "");
}

#[test]
fn a_linker_that_does_not_take_effect_is_replaced_by_the_next_one() {
    let suite = Suite::new("fallback", &["mold", "lld"], MOLD);
    // The last one counts for the C compiler, and theirs come last.
    let theirs = format!("[target.{}]\nrustflags = [\"-Clink-arg=-fuse-ld=lld\"]\n", host());
    suite.fixture.write(".cargo/config.toml", &theirs);
    let outcome = suite.run(&["setup", "--no-measure", "--json"]).expect_code(0);
    let report = json(&outcome);
    let fallbacks = report["fallbacks"].as_array().unwrap();
    assert!(fallbacks[0].as_str().unwrap().starts_with("mold: "), "{report:#}");
    assert!(outcome.stderr.contains("falling back"), "{}", outcome.stderr);
    assert!(report["in-force"].as_str().unwrap().contains("LLD 14"), "{report:#}");
    assert!(!suite.local().contains("mold"), "{}", suite.local());
}

#[test]
fn an_include_that_cannot_be_written_is_an_error_and_nothing_is_changed() {
    let suite = Suite::new("in-the-way", &["mold"], MOLD);
    // (file, text, what the error names)
    let table = [
        (".cargo/config.toml", "[build\n", ".cargo/config.toml"),
        (".cargo/config.toml", "[[include]]\npath = \"other.toml\"\noptional = true\n", "add one with"),
    ];
    for (path, text, named) in table {
        suite.fixture.write(path, text);
        let before = Snapshot::of(suite.root()).without("target");
        let outcome = suite.run(&["setup", "--no-measure"]);
        assert_ne!(outcome.code, Some(0), "{text}");
        assert!(outcome.stderr.contains(named), "{}", outcome.stderr);
        Snapshot::of(suite.root()).without("target").assert_same(&before, "after a failure");
    }
}

#[test]
fn two_at_once_both_succeed() {
    let suite = Suite::new("two", &["rust-lld", "mold"], MOLD);
    let start = || {
        let mut command = suite.command(&["setup", "--no-measure", "--json"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
    for output in &both {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(suite.local().contains("mold"));
    let config = suite.fixture.read(".cargo/config.toml");
    assert_eq!(config.matches("xtask.local.toml").count(), 1, "{config}");
    assert_eq!(suite.fixture.read(".gitignore").matches("xtask.local.toml").count(), 1);
}

#[test]
fn a_removed_tool_is_removed_from_the_settings() {
    let suite = Suite::new("gone", &["mold"], MOLD);
    suite.setup(&[]);
    assert!(suite.local().contains("mold"));
    for program in ["mold", "ld.mold"] {
        fs::remove_file(suite.machine.bin().join(program)).unwrap();
    }
    let report = suite.setup(&["--offline"]);
    assert_eq!(tool(&report, "mold")["state"], "missing", "{report:#}");
    assert_eq!(suite.local(), "");
    suite.cargo(&["build"]).expect_code(0);
}

#[test]
fn stripping_does_not_hide_the_linker() {
    let suite = Suite::new("strip", &["mold"], MOLD);
    suite.fixture.write(".cargo/config.toml", "[profile.dev]\nstrip = true\n");
    let report = suite.setup(&[]);
    assert!(report["in-force"].as_str().unwrap().contains("mold"), "{report:#}");
}

#[test]
fn a_workspace_in_which_nothing_builds_keeps_its_files_and_says_so() {
    let suite = Suite::new("broken", &["mold"], MOLD);
    suite.fixture.write(".cargo/config.toml", "[build]\nrustflags = [\"-Clink-arg=/no/such/file.o\"]\n");
    let before = Snapshot::of(suite.root()).without("target");
    let outcome = suite.run(&["setup", "--no-measure"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("a program of one line does not build"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("no/such/file"), "{}", outcome.stderr);
    Snapshot::of(suite.root()).without("target").assert_same(&before, "after a failure");
}

#[test]
fn flags_that_come_from_elsewhere_are_never_taken_out_of_force() {
    let other = "[target.'cfg(windows)']\nrustflags = [\"-Ctarget-feature=+crt-static\"]\n";
    let build = "[build]\nrustflags = [\"--cfg\", \"theirs\"]\n";
    let empty = format!("[target.{}]\nrustflags = []\n", host());
    // the workspace's configuration, and a variable
    let table =
        [(format!("{build}{other}"), ""), (format!("{build}{empty}"), ""), (String::new(), "--cfg theirs")];
    for (config, variable) in table {
        let mut suite = Suite::new("elsewhere", &["mold"], MOLD);
        suite.fixture.write(".cargo/config.toml", &config);
        if !variable.is_empty() {
            suite = suite.with("CARGO_BUILD_RUSTFLAGS", variable);
        }
        let report = suite.setup(&[]);
        assert!(report["in-force"].as_str().unwrap().contains("mold"), "{config}\n{report:#}");
        let output = suite.cargo(&["build", "-v"]).expect_code(0).stderr;
        assert!(output.contains("--cfg theirs") && output.contains("-fuse-ld=mold"), "{config}\n{output}");
    }
}

#[test]
fn flags_that_would_reach_another_target_are_not_written() {
    let suite = Suite::new("other-target", &["mold"], MOLD);
    let config = "[build]\ntarget = \"wasm32-unknown-unknown\"\nrustflags = [\"--cfg\", \"theirs\"]\n";
    suite.fixture.write(".cargo/config.toml", config);
    let report = suite.setup(&[]);
    let why = report["fallbacks"][0].as_str().unwrap();
    assert!(why.contains("wasm32-unknown-unknown"), "{report:#}");
    assert_eq!(suite.local(), "");
}

#[test]
fn a_variable_that_voids_flags_today_takes_no_setting_away() {
    let suite = Suite::new("void-later", &["mold"], MOLD);
    suite.setup(&[]);
    let set = suite.local();
    let suite = suite.with("RUSTFLAGS", "--cfg mine");
    let report = suite.setup(&[]);
    assert_eq!(report["changed"], serde_json::json!([]), "{report:#}");
    assert_eq!(suite.local(), set);
}

#[test]
fn every_way_of_including_the_file_is_understood() {
    let team = "include = [{ path = \"xtask.local.toml\", optional = true }]\n";
    // cargo's configuration, another file beside it, and how often ours is named in the first afterwards
    let table = [
        ("include = [{ path = \"./xtask.local.toml\", optional = true }]\n", "", 1),
        ("[[include]]\npath = \"xtask.local.toml\"\noptional = true\n", "", 1),
        ("include = [\"team.toml\"]\n", team, 0),
        ("include = [\"team.toml\"]\n", "[alias]\nb = \"build\"\n", 1),
    ];
    for (config, other, named) in table {
        let suite = Suite::new("including", &["mold"], MOLD);
        suite.fixture.write(".cargo/config.toml", config);
        if !other.is_empty() {
            suite.fixture.write(".cargo/team.toml", other);
        }
        let report = suite.setup(&[]);
        assert!(report["in-force"].as_str().unwrap().contains("mold"), "{config}\n{report:#}");
        let after = suite.fixture.read(".cargo/config.toml");
        assert_eq!(after.matches("xtask.local.toml").count(), named, "{after}");
        suite.run(&["setup", "--undo"]).expect_code(0);
        assert_eq!(suite.fixture.read(".cargo/config.toml"), config);
        suite.cargo(&["check"]).expect_code(0);
    }
}

#[test]
fn a_file_that_setup_did_not_write_is_not_overwritten() {
    let suite = Suite::new("somebody", &["mold"], MOLD);
    suite.fixture.write(".cargo/xtask.local.toml", "[alias]\nzz = \"check\"\n");
    let outcome = suite.run(&["setup", "--no-measure"]);
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("was not written by"), "{}", outcome.stderr);
    assert_eq!(suite.local(), "[alias]\nzz = \"check\"\n");
}

#[test]
fn undo_survives_cargo_clean_and_several_setups() {
    let suite =
        Suite::new("undo-all", &["mold"], "[setup]\nlinker = \"default\"\nmemory-per-job = \"900 TB\"\n");
    let theirs = format!("[target.{}]\nrustflags = \"--cfg theirs\"\n", host());
    suite.fixture.write(".cargo/config.toml", &theirs);
    let config = suite.fixture.read("xtask.toml");
    let before = Snapshot::of(suite.root()).without("target").without("xtask.toml");
    suite.setup(&[]);
    suite.fixture.write("xtask.toml", &config.replace("\"default\"", "\"mold\""));
    suite.setup(&[]);
    assert!(suite.fixture.read(".cargo/config.toml").contains("[\"--cfg\", \"theirs\"]"));
    suite.cargo(&["clean"]).expect_code(0);
    let undone = json(&suite.run(&["setup", "--undo", "--json"]).expect_code(0));
    assert_eq!(undone["changed"].as_array().unwrap().len(), 3, "{undone:#}");
    Snapshot::of(suite.root()).without("target").without("xtask.toml").assert_same(&before, "after an undo");
}

#[test]
fn a_line_that_does_not_help_is_written_once() {
    let suite = Suite::new("tracked", &["mold"], MOLD);
    suite.setup(&[]);
    suite.fixture.git(&["add", "--force", ".cargo/xtask.local.toml"]);
    suite.setup(&[]);
    suite.setup(&[]);
    assert_eq!(suite.fixture.read(".gitignore").matches("xtask.local.toml").count(), 1);
}

#[test]
fn a_linker_that_was_exchanged_is_proven_again() {
    let suite = Suite::new("exchanged", &["mold"], MOLD);
    suite.setup(&[]);
    fs::remove_file(suite.machine.bin().join("ld.mold")).unwrap();
    let report = suite.setup(&["--offline"]);
    assert_eq!(tool(&report, "mold")["state"], "unproven", "{report:#}");
    assert_eq!(suite.local(), "");
    suite.cargo(&["build"]).expect_code(0);
}

#[test]
fn undo_works_where_cargo_does_not_start_any_more() {
    let suite = Suite::new("gone-wrapper", &["sccache"], "");
    suite.setup(&[]);
    assert!(suite.local().contains("rustc-wrapper"));
    fs::remove_file(suite.machine.bin().join("sccache")).unwrap();
    suite.cargo(&["build"]).expect_code(101);
    let local = suite.local();
    suite.run(&["setup", "--undo"]).expect_code(0);
    assert_eq!(suite.local(), "");
    suite.cargo(&["build"]).expect_code(0);
    // A setup mends it, too.
    suite.fixture.write(".cargo/xtask.local.toml", &local);
    suite.run(&["setup", "--offline"]).expect_code(0);
    assert!(!suite.local().contains("rustc-wrapper"), "{}", suite.local());
    suite.cargo(&["build"]).expect_code(0);
}

#[test]
fn on_a_cargo_without_includes_the_settings_are_shown_and_nothing_is_written() {
    let suite = Suite::new("old-cargo", &["mold"], MOLD);
    // This machine's cargo, which says to be an older one; no other is to be had.
    let cargo = suite.machine.bin().join("cargo");
    let real = fs::read_link(&cargo).unwrap();
    fs::remove_file(&cargo).unwrap();
    let lines = "release: 1.93.0\\nhost: HOST\\n".replace("HOST", &host());
    suite.machine.install("printf");
    let script =
        format!("case \"$1\" in --version) printf '{lines}';; *) exec {} \"$@\";; esac", real.display());
    suite.machine.install_script("cargo", &script);
    let before = Snapshot::of(suite.root()).without("target");
    let outcome = suite.run(&["setup", "--no-measure"]).expect_code(0);
    assert!(outcome.stderr.contains("for the configuration in your cargo home"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("rustflags = [\"-Clink-arg=-fuse-ld=mold\"]"), "{}", outcome.stderr);
    assert!(!outcome.stdout.contains("set: "), "{}", outcome.stdout);
    Snapshot::of(suite.root()).without("target").assert_same(&before, "where nothing is included");
}
