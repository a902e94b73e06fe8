//! Real tools, whose effect is seen.

use xtask_testkit::Outcome;

use crate::support::{Suite, tool};

#[test]
fn every_linker_that_is_there_is_seen_in_what_it_links() {
    let suite = Suite::new("linkers", &["rust-lld", "mold", "lld", "clang"], "");
    let report = suite.setup(&[]);
    for (name, says) in [("rust-lld", "LLD"), ("mold", "mold"), ("lld", "LLD 14")] {
        let tool = tool(&report, name);
        assert_eq!(tool["state"], "proven", "{tool:#}");
        let evidence = tool["evidence"].as_str().unwrap();
        assert!(evidence.contains("linked by") && evidence.contains(says), "{evidence}");
        let version = tool["version"].as_str().unwrap();
        assert!(evidence.contains(version), "{evidence} names {version}");
    }
    assert_eq!(tool(&report, "clang")["evidence"], "what it links runs");
    // LLD of the system is told from LLD of the toolchain.
    assert_ne!(tool(&report, "lld")["version"], tool(&report, "rust-lld")["version"]);
    assert_eq!(tool(&report, "wild")["state"], "unwanted");
}

#[test]
fn a_linker_that_was_chosen_links_the_workspace_by_plain_cargo_too() {
    for (linker, says) in [("mold", "mold 1."), ("lld", "LLD 14")] {
        let suite =
            Suite::new(linker, &["mold", "lld", "clang"], &format!("[setup]\nlinker = \"{linker}\"\n"));
        let report = suite.setup(&[]);
        assert!(report["in-force"].as_str().unwrap().contains(says), "{report:#}");
        suite.cargo(&["build"]).expect_code(0);
        let comment = suite.linker_of("target/debug/app");
        assert!(comment.contains(says), "{comment}");
        // The suite's own runs share every unit with plain cargo's.
        let tests = suite.cargo(&["test", "--no-run", "--workspace"]).expect_code(0);
        assert!(tests.stderr.contains("Compiling"), "{}", tests.stderr);
        let run = suite.run(&["test-common"]).expect_code(0);
        assert!(!run.stderr.contains("Compiling"), "{}", run.stderr);
        let again = suite.cargo(&["test", "--no-run", "--workspace"]).expect_code(0);
        assert!(!again.stderr.contains("Compiling"), "{}", again.stderr);
    }
}

#[test]
fn sccache_is_proven_by_a_hit_and_hits_after_a_clean_build() {
    let suite = Suite::new("cache", &["sccache"], "");
    let cache = suite.machine.home().join("cache");
    let suite = suite
        .with("SCCACHE_DIR", cache.as_str())
        // Incremental units pass through; without dependencies nothing else is left here.
        .with("CARGO_PROFILE_DEV_INCREMENTAL", "false");
    let report = suite.setup(&[]);
    let evidence = tool(&report, "sccache")["evidence"].as_str().unwrap_or_default().to_owned();
    assert!(evidence.starts_with("a hit in") && evidence.contains(cache.as_str()), "{report:#}");
    assert!(suite.local().contains("rustc-wrapper = "), "{report:#}");
    suite.cargo(&["build"]).expect_code(0);
    suite.cargo(&["clean"]).expect_code(0);
    suite.cargo(&["build"]).expect_code(0);
    let mut statistics = suite.machine.command("sccache", suite.root());
    statistics.args(["--show-stats", "--stats-format=json"]);
    statistics.envs(suite.variables.iter().map(|(name, value)| (name, value)));
    let statistics = Outcome::of(&mut statistics).expect_code(0).stdout;
    let statistics: serde_json::Value = serde_json::from_str(&statistics).unwrap();
    assert_eq!(statistics["stats"]["cache_hits"]["counts"]["Rust"], 1, "{statistics:#}");
}

#[test]
fn a_variable_that_makes_sccache_useless_is_named() {
    let suite = Suite::new("incremental", &["sccache"], "").with("CARGO_INCREMENTAL", "1");
    let report = suite.setup(&[]);
    assert_eq!(tool(&report, "sccache")["state"], "unproven");
    assert!(tool(&report, "sccache")["why"].as_str().unwrap().contains("CARGO_INCREMENTAL"), "{report:#}");
    assert_eq!(suite.local(), "");
}

#[test]
fn nextest_is_proven_by_tests_that_it_lists_and_runs() {
    let suite = Suite::new("nextest", &["cargo-nextest"], "[tools.cargo-nextest]\nneed = \"required\"\n");
    // What the workspace or the user says of nextest is about other tests.
    let suite = suite.with("NEXTEST_PROFILE", "of-another-workspace");
    suite.fixture.write(".cargo/config.toml", "[build]\ntarget = \"wasm32-unknown-unknown\"\n");
    let report = suite.setup(&[]);
    assert_eq!(tool(&report, "cargo-nextest")["evidence"], "lists and runs 2 tests", "{report:#}");
}

#[test]
fn linkers_are_measured_on_the_largest_test_and_the_table_is_shown() {
    // A member that does not compile here: no tier that is for every machine builds it.
    let suite =
        Suite::new("measured", &["rust-lld", "mold"], "[tiers.test-fast]\nexclude = [\"elsewhere\"]\n");
    let manifest = suite.fixture.read("Cargo.toml");
    suite.fixture.write("Cargo.toml", &manifest.replace("\"app\"", "\"app\", \"elsewhere\""));
    suite
        .fixture
        .write("elsewhere/Cargo.toml", &suite.fixture.read("base/Cargo.toml").replace("base", "elsewhere"));
    suite.fixture.write("elsewhere/src/lib.rs", "compile_error!(\"not for this system\");\n");
    let outcome = suite.run(&["setup", "--json"]).expect_code(0);
    let report = crate::support::json(&outcome);
    let race = &report["race"];
    assert_eq!(race["rounds"], 11, "{report:#}\n{}", outcome.stderr);
    let entries = race["entries"].as_array().unwrap();
    assert!(entries[0]["name"].as_str().unwrap().starts_with("in use: "), "{race:#}");
    // The same once more, for the noise; and what is in use is no candidate.
    assert_eq!([&entries[1]["name"], &entries[2]["name"]], ["in use, again", "mold"]);
    assert_eq!(entries.len(), 3, "{race:#}");
    assert_eq!(entries[2]["milliseconds"].as_array().unwrap().len(), 11);
    // mold is set exactly if it was faster beyond the noise.
    let end = |entry: usize, end: &str| entries[entry]["comparison"]["interval"][end].as_f64().unwrap();
    let faster = entries[2]["comparison"]["verdict"] == "faster" && end(2, "high") < end(1, "low").min(1.0);
    assert_eq!(suite.local().contains("mold"), faster, "{race:#}\n{}", suite.local());
    assert!(outcome.stderr.contains("medians of 11 rounds"), "{}", outcome.stderr);
    // The next one remembers, and a build after it has nothing to compile.
    let again = crate::support::json(&suite.run(&["setup", "--json"]).expect_code(0));
    assert_eq!(again["race"], *race);
    if !faster {
        let tests =
            suite.cargo(&["test", "--no-run", "--workspace", "--exclude", "elsewhere"]).expect_code(0);
        assert!(!tests.stderr.contains("Compiling"), "{}", tests.stderr);
    }
}

/// Committed for everybody: there is nothing to gain, and nothing is written a second time.
#[test]
fn a_linker_that_is_in_force_already_is_no_candidate() {
    let suite = Suite::new("in-force", &["rust-lld", "mold"], "");
    let flags = "rustflags = [\"-Clink-arg=-fuse-ld=mold\"]\n";
    suite.fixture.write(".cargo/config.toml", &format!("[target.{}]\n{flags}", crate::support::host()));
    let report = suite.setup(&[]);
    // rust-lld needs no flags, and without flags those of the file stay in force.
    assert!(report["race"].is_null(), "{report:#}");
    assert!(report["in-force"].as_str().unwrap().contains("links with mold"), "{report:#}");
    assert!(!suite.local().contains("mold"), "{}", suite.local());
}
