//! What is kept and what goes beyond the shadow plans, one setting at a time.

use std::fs;

use crate::support::{FEW_TIERS, Small, exists, number, texts};

const POSTGRES: &str = "cargo build --features app/postgres";

fn removed(small: &Small, arguments: &[&str]) -> u64 {
    number(&small.place.sweep(arguments, 0), "removed_units")
}

#[test]
fn what_was_built_lately_stays_with_what_it_was_built_from() {
    let small = Small::new("grace", &FEW_TIERS.replace("grace = 0\n", ""));
    small.build_all();
    // Two lives of `lib`: the older one is what the recent `app` was built from, and must stay with it.
    small.run("RUSTFLAGS='--cfg old' cargo build");
    small.run("RUSTFLAGS='--cfg older' cargo build");
    small.run("find target -name '*' -exec touch --no-dereference --date '3 days ago' {} +");
    small.run("cargo generate-lockfile --offline --quiet");
    small.write("app/src/main.rs", "fn main() { println!(\"again {}\", lib::value()); }\n");
    small.run("RUSTFLAGS='--cfg old' cargo build");
    let plan = small.place.sweep(&["--dry-run"], 0);
    let flags = |text: &str| texts(&plan, "reasons", "why").iter().any(|why| why.contains(text));
    assert!(flags("--cfg older") && !flags("`--cfg old`"), "{plan:#}");
    assert!(number(&plan, "recent_units") >= 3 && number(&plan, "recent_bytes") > 0, "{plan:#}");
    let outcome = small.place.suite(&["clean-stale"]).expect_code(0);
    assert!(outcome.stderr.contains("stay because they were built recently"), "{}", outcome.stderr);
    let outcome = small.run("RUSTFLAGS='--cfg old' cargo build");
    assert!(!outcome.stderr.contains("Compiling"), "{}", outcome.stderr);
    assert!(removed(&small, &["--grace", "0"]) >= 3);
    let outcome = small.run("RUSTFLAGS='--cfg old' cargo build");
    assert_eq!(outcome.stderr.matches("Compiling").count(), 3, "{}", outcome.stderr);
}

#[test]
fn kept_commands_and_other_toolchains() {
    let small = Small::new("keep", FEW_TIERS);
    small.build_all();
    small.run("cargo +nightly check");
    small.run(POSTGRES);
    let keep = |commands: &str| small.write("xtask.toml", &format!("{FEW_TIERS}{commands}\n"));
    keep("keep = ['cargo +nightly check', 'cargo run --features app/postgres -- --arguments']");
    assert_eq!(removed(&small, &[]), 0);
    keep("other-toolchains = 'keep'");
    assert!(removed(&small, &[]) > 0, "the feature");
    let outcome = small.run("cargo +nightly check");
    assert!(!outcome.stderr.contains("Checking"), "{}", outcome.stderr);
    keep("");
    assert!(removed(&small, &[]) >= 3, "the toolchain");
}

#[test]
fn a_tier_of_ci_counts_only_there_and_a_narrow_choice_while_it_is_recent() {
    let small = Small::new("where", FEW_TIERS);
    let ci = "[tiers.all]\ncommand = \"build\"\nargs = [\"--features\", \"app/postgres\"]\nwhere = \"ci\"\n";
    small.write("xtask.toml", &format!("{ci}{FEW_TIERS}"));
    small.build_all();
    small.run(POSTGRES);
    let commands = |small: &Small| texts(&small.place.sweep(&["--dry-run"], 0), "commands", "command");
    let of_ci = |commands: &[String]| commands.iter().any(|command| command.contains("postgres"));
    assert!(!of_ci(&commands(&small)));
    let line = |ago: &str| {
        let now = small.run(&format!("date --date '{ago}' +%s%3N")).stdout;
        format!(
            "{{\"started_at_ms\":{},\"tier\":\"test-fast\",\"packages\":1,\"narrow\":[\"app\"],\"fresh\":0,\"compiled\":0,\
             \"tests\":{{\"passed\":0,\"failed\":0,\"skipped\":0}},\"compile_ms\":0,\"run_ms\":0,\"success\":true,\
             \"over_budget\":false}}\n",
            now.trim()
        )
    };
    small.write("target/xtask-suite/ledger.jsonl", &line("2 hours ago"));
    let narrow = |grace: &str| {
        let plan = small.place.sweep(&["--dry-run", "--grace", grace], 0);
        texts(&plan, "commands", "command").contains(&"cargo test -p app".to_owned())
    };
    assert!(narrow("3h") && !narrow("1h"));
    // A person ran it here an hour ago.
    small.write("target/xtask-suite/ledger.jsonl", &line("1 hour ago").replace("test-fast", "all"));
    let plan = |grace: &str| small.place.sweep(&["--dry-run", "--grace", grace], 0);
    assert!(of_ci(&texts(&plan("2h"), "commands", "command")));
    let gone = plan("0");
    assert!(!of_ci(&texts(&gone, "commands", "command")));
    let why = texts(&gone, "reasons", "why");
    assert!(why.contains(&"only `test-full` needs it (a tier of CI)".to_owned()), "{gone:#}");
    let mut small = small;
    small.place.set("CI", "true");
    assert!(of_ci(&commands(&small)));
    assert_eq!(removed(&small, &[]), 0);
}

/// Just after the compiler has changed nothing that is needed lies on disk, and nobody can tell whose the rest is.
#[test]
fn units_of_other_toolchains_stay_before_the_first_build_with_the_new_one() {
    let small = Small::new("switched", &format!("{FEW_TIERS}other-toolchains = 'keep'\n"));
    small.build_all();
    small.write("rust-toolchain.toml", "[toolchain]\nchannel = \"nightly\"\n");
    assert_eq!(removed(&small, &[]), 0);
    small.write("xtask.toml", FEW_TIERS);
    assert!(removed(&small, &[]) > 0);
}

/// A compiler that hashes another version than it tells names its folders otherwise, and is asked for each.
#[test]
fn incremental_folders_of_a_compiler_that_names_them_otherwise_stay() {
    let mut small = Small::new("forced", FEW_TIERS);
    let folders = |small: &Small| small.run("ls target/debug/incremental").stdout;
    small.build_all();
    let usual = folders(&small);
    small.place.sweep(&[], 0);
    assert_eq!(folders(&small), usual);
    small.place.set("RUSTC_FORCE_RUSTC_VERSION", "another");
    small.run("cargo clean");
    small.build_all();
    let forced = folders(&small);
    assert!(forced != usual && forced.lines().count() > 4, "{forced} {usual}");
    small.place.sweep(&[], 0);
    assert_eq!(folders(&small), forced);
}

/// What nextest calls a profile has nothing to do with cargo's.
#[test]
fn commands_of_nextest_are_those_that_it_builds() {
    let small = Small::new("nextest", FEW_TIERS);
    small.write(
        "Cargo.toml",
        "[workspace]\nresolver = \"2\"\nmembers = [\"app\", \"lib\"]\n[profile.ci]\ninherits = \"dev\"\n",
    );
    small.write("xtask.toml", &format!("{FEW_TIERS}keep = ['cargo nextest run --profile ci -E all() --features app/postgres', 'cargo t']\n"));
    small.write(
        ".cargo/config.toml",
        &format!(
            "{}[alias]\nt = \"build --profile ci\"\n",
            fs::read_to_string(small.root().join(".cargo/config.toml")).unwrap()
        ),
    );
    small.build_all();
    small.run("cargo test --no-run --features app/postgres");
    small.run("cargo build --profile ci");
    assert_eq!(removed(&small, &[]), 0);
}

/// Of a command that cannot be planned nothing is known, so nothing in its profile is stale; the others are swept.
#[test]
fn a_plan_that_fails_protects_its_profile() {
    let bad =
        "[tiers.bad]\ncommand = \"build\"\npackages = \"default\"\nargs = [\"--package\", \"no-such\"]\n";
    let small = Small::new("unknown", &format!("{bad}{FEW_TIERS}"));
    small.build_all();
    small.run(POSTGRES);
    small.run("cargo build --release");
    let swept = small.place.sweep(&[], 1);
    let why = texts(&swept, "skipped", "why").join("\n");
    assert!(why.contains("cargo build --package no-such") && why.contains("did not match"), "{why}");
    assert_eq!(small.fingerprints("release", "app"), Vec::<String>::new());
    let outcome = small.run(POSTGRES);
    assert!(!outcome.stderr.contains("Compiling"), "{}", outcome.stderr);
    // Of the commands to keep it is an error at once: it would fail for ever.
    for (command, why) in [
        ("cargo no-such-command", "is not a cargo command that builds"),
        ("cargo fmt", "is not a cargo command that builds"),
        ("cargo build --package no-such", "did not match"),
        ("cargo +no-such build", "no-such"),
    ] {
        small.write("xtask.toml", &format!("{FEW_TIERS}keep = [\"{command}\"]\n"));
        let outcome = small.place.suite(&["clean-stale"]).expect_code(2);
        assert!(outcome.stderr.contains(&format!("has `{command}`")), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "{command}: {}", outcome.stderr);
    }
    for command in
        ["cargo --locked build", "cargo test --doc", "cargo build -j -1", "cargo +nightly build -q"]
    {
        small.write("xtask.toml", &format!("{FEW_TIERS}keep = [\"{command}\"]\n"));
        small.place.suite(&["clean-stale"]).expect_code(0);
    }
    small.write("xtask.toml", &format!("{FEW_TIERS}keep = [\"make\"]\n"));
    let outcome = small.place.suite(&["clean-stale"]).expect_code(2);
    assert!(
        outcome.stderr.contains("xtask.toml:8:9") && outcome.stderr.contains("is not a cargo command"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_size_that_must_not_be_exceeded_takes_the_cheapest_needed_units() {
    // Units that differ only in their flags share an incremental folder, which frees its bytes once.
    let toml = format!("{FEW_TIERS}keep = [\"RUSTFLAGS=--cfg=x cargo build\"]\n");
    let small = Small::new("max-size", &toml);
    small.build_all();
    small.run("RUSTFLAGS=--cfg=x cargo build");
    small.place.suite(&["test-fast"]).expect_code(0);
    let left = number(&small.place.sweep(&[], 0), "left_bytes");
    let most = left / 2;
    small.write("xtask.toml", &format!("{toml}max-size = \"{} kB\"\n", most / 1000));
    let plan = small.place.sweep(&["--dry-run"], 0);
    let cost = &plan["max_size"];
    assert!(number(cost, "units") > 0 && number(cost, "left_bytes") <= most, "{cost:#}");
    let swept = small.place.sweep(&["--verify"], 0);
    assert!(number(&swept["max_size"], "left_bytes") <= most, "{swept:#}");
    assert_eq!(number(&swept, "freed_bytes"), number(&plan, "stale_bytes"), "{swept:#}");
    let recompiled = number(&swept, "recompiled_units");
    let foreseen = number(&swept["max_size"], "recompiled_units");
    assert!(recompiled > 0 && recompiled <= foreseen, "{swept:#}");
    small.write("xtask.toml", &format!("{FEW_TIERS}max-size = \"1 B\"\n"));
    let outcome = small.place.suite(&["clean-stale"]).expect_code(0);
    assert!(outcome.stderr.contains("more than max-size"), "{}", outcome.stderr);
}

#[test]
fn what_other_commands_leave_goes_by_age() {
    let small = Small::new("ages", FEW_TIERS);
    small.build_all();
    small.run("cargo doc --no-deps --workspace");
    small.run("cargo build --timings");
    small.write("target/package/app-0.1.0/Cargo.toml.orig", "");
    small.write("target/package/app-0.2.0/Cargo.toml.orig", "");
    small.write("target/tmp/mine", "");
    small.run("touch --date '8 days ago' target/package/app-0.1.0/Cargo.toml.orig");
    let dirs = |small: &Small| {
        ["package/app-0.1.0", "package/app-0.2.0", "doc/app", "cargo-timings/cargo-timing.html", "tmp/mine"]
            .map(|path| exists(&small.root().join("target"), path))
    };
    small.place.sweep(&[], 0);
    assert_eq!(dirs(&small), [false, true, true, true, true]);
    small.run("find target/doc target/cargo-timings -exec touch --date '31 days ago' {} +");
    small.write(
        "xtask.toml",
        &format!("{FEW_TIERS}doc = \"never\"\ntimings = \"never\"\npackage = \"never\"\n"),
    );
    small.place.sweep(&[], 0);
    assert_eq!(dirs(&small), [false, true, true, true, true]);
    let doc = "[tiers.doc]\ncommand = \"doc\"\nargs = [\"--no-deps\"]\n";
    small.write("xtask.toml", &format!("{doc}{FEW_TIERS}timings = 0\npackage = 0\n"));
    let swept = small.place.sweep(&["--verify"], 0);
    assert_eq!(dirs(&small), [false, false, true, false, true]);
    assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
    small.write("xtask.toml", FEW_TIERS);
    small.run("find target/doc -exec touch --date '31 days ago' {} +");
    small.place.sweep(&[], 0);
    assert!(!dirs(&small)[2]);
}

/// What commands need is kept in files, which a sweep that finds all of them plans nothing anew for.
#[test]
fn kept_plans_that_are_too_many_go() {
    let small = Small::new("kept-plans", FEW_TIERS);
    small.place.sweep(&[], 0);
    for number in 0..200 {
        small.write(&format!("target/xtask-suite/shadow/{number:032x}.json"), "{}");
    }
    small.place.sweep(&["--dry-run"], 0);
    let plans = || small.root().join("target/xtask-suite/shadow").read_dir_utf8().unwrap().count();
    assert!(plans() > 200, "a dry run removes nothing");
    small.place.sweep(&[], 0);
    assert_eq!(plans(), 64);
}

#[test]
fn debug_info_that_no_artifact_names_goes() {
    let mut small = Small::new("dwo", FEW_TIERS);
    small.place.set("CARGO_PROFILE_DEV_DEBUG", "2");
    small.place.set("CARGO_PROFILE_DEV_SPLIT_DEBUGINFO", "unpacked");
    let dwo = |small: &Small| {
        let names = small.run("find target -path '*/deps/*.dwo' | sort").stdout;
        names.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    small.build_all();
    let first = dwo(&small);
    small.write("app/src/main.rs", "fn other() {}\nfn main() { other(); println!(\"{}\", lib::value()); }\n");
    small.build_all();
    let piled = dwo(&small);
    assert!(piled.len() > first.len() && !first.is_empty(), "{piled:#?}");
    let swept = small.place.sweep(&["--verify"], 0);
    assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
    let left = dwo(&small);
    assert!(left.len() < piled.len(), "{left:#?}");
    // Every one that is named is there.
    let named = small.run("strings -n 8 target/debug/app | grep -o '[^/]*[.]rcgu[.]dwo' | sort -u").stdout;
    let missing =
        named.lines().filter(|name| !left.iter().any(|path| path.ends_with(name))).collect::<Vec<_>>();
    assert!(missing.is_empty() && named.lines().count() > 0, "{missing:?} of {named}");
}

#[test]
fn an_age_that_is_none_is_wrong_usage() {
    let small = Small::new("age", FEW_TIERS);
    small.place.suite(&["clean-stale", "--grace", "soon"]).expect_code(2);
}

#[test]
fn a_target_dir_inside_of_this_one_is_somebody_elses() {
    let small = Small::new("nested", FEW_TIERS);
    small.build_all();
    small.run("RUSTFLAGS='--cfg old' cargo build --target-dir target/editor");
    let swept = small.place.sweep(&[], 0);
    assert_eq!(number(&swept, "removed_units"), 0, "{swept:#}");
    assert!(exists(small.root(), "target/editor/debug/app"));
    // Without the file about rustc, which is elsewhere where intermediate artifacts are, cargo's mark says so.
    fs::remove_file(small.root().join("target/editor/.rustc_info.json")).unwrap();
    assert!(exists(small.root(), "target/editor/CACHEDIR.TAG"));
    assert_eq!(number(&small.place.sweep(&[], 0), "removed_units"), 0);
    assert!(exists(small.root(), "target/editor/debug/app"));
}

/// What is said to be left is what `du` says.
#[test]
fn a_verification_builds_nothing_that_was_not_there() {
    let small = Small::new(
        "verify-there",
        &FEW_TIERS.replace("[sweep]", "[tiers.out]\ncommand = \"build\"\nprofile = \"release\"\n[sweep]"),
    );
    small.build_all();
    small.run("RUSTFLAGS='--cfg old' cargo build");
    xtask_files::remove_dir(&small.root().join("target/release")).unwrap();
    let swept = small.place.sweep(&["--verify"], 0);
    assert_eq!(number(&swept["verified"], "built_units"), 0, "{swept:#}");
    assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
    assert!(!exists(small.root(), "target/release"), "{swept:#}");
    let unbuilt = swept["verified"]["unbuilt"].as_array().unwrap();
    assert!(unbuilt.iter().any(|command| command.as_str().unwrap().contains("release")), "{swept:#}");
    let du = small.run("du --summarize --block-size=1 target | cut --fields=1").stdout;
    let left = number(&small.place.sweep(&[], 0), "left_bytes");
    let du = du.trim().parse::<u64>().unwrap();
    assert!(du.abs_diff(left) * 50 < du, "{du} {left}");
}

/// What is left of units without their fingerprints, and of compilers that were killed.
#[test]
fn leftovers_go_and_strange_files_stay() {
    let small = Small::new("leftovers", FEW_TIERS);
    small.build_all();
    small.run("RUSTFLAGS='--cfg old' cargo build");
    small.write("target/debug/deps/rmetaAbC123/full.rmeta", "");
    small.write("target/debug/deps/my-notes.txt", "");
    small.write("target/debug/data.db", "");
    // Only a folder in it would look like another layout of cargo's.
    small.write("target/debug/build/notes/mine.txt", "");
    let fingerprints = small.fingerprints("debug", "lib");
    let before = fs::read_dir(small.root().join("target/debug/deps")).unwrap().count();
    for dir in fingerprints {
        small.run(&format!("mv '{dir}' '{dir}.aside'"));
    }
    let swept = small.place.sweep(&[], 0);
    let debug = small.root().join("target/debug");
    assert!(!exists(&debug, "deps/rmetaAbC123"), "{swept:#}");
    for kept in ["deps/my-notes.txt", "data.db", "build/notes/mine.txt"] {
        assert!(exists(&debug, kept), "{kept}");
    }
    assert!(fs::read_dir(debug.join("deps")).unwrap().count() < before);
}
