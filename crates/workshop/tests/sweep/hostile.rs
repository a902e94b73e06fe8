//! Build dirs that hold what no cargo has made.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use xtask_testkit::Outcome;

use crate::support::{EXE, FEW_TIERS, Small, exists, number, texts};

/// A workspace with a unit that is stale, and all that is needed.
fn built(name: &str) -> Small {
    let small = Small::new(name, FEW_TIERS);
    small.build_all();
    small.run("RUSTFLAGS='--cfg old' cargo build");
    small
}

/// What is needed is there and right.
fn is_whole(small: &Small) {
    let compiled = small.place.compile(&small.place.needed()).unwrap();
    assert!(compiled.is_empty(), "{compiled:#?}");
    assert_eq!(small.run("cargo run --quiet").stdout, "41\n");
}

#[test]
fn links_are_neither_followed_nor_removed() {
    let small = built("links");
    let precious = small.fixture.root().join("precious");
    fs::create_dir(&precious).unwrap();
    small.fixture.write("precious/file", "mine");
    let debug = small.root().join("target/debug");
    // In place of what would be stale, beside it, in a circle, and in place of a whole profile.
    let id = "0123456789abcdef";
    symlink(&precious, debug.join(format!(".fingerprint/app-{id}"))).unwrap();
    symlink(&precious, debug.join(format!("deps/app-{id}"))).unwrap();
    symlink(&precious, debug.join(format!("build/app-{id}"))).unwrap();
    symlink(&precious, debug.join("incremental/app-0123456789abc")).unwrap();
    symlink("..", debug.join("incremental/loop")).unwrap();
    symlink(&precious, debug.join("app-linked")).unwrap();
    symlink(&precious, small.root().join("target/release")).unwrap();
    symlink("target", small.root().join("target/itself")).unwrap();
    // A link within what is removed goes with it.
    let stale = small.fingerprints("debug", "app").into_iter().next().unwrap();
    assert!(stale.exists());
    fs::create_dir_all(debug.join("build/gone-fedcba9876543210/out")).unwrap();
    symlink(&precious, debug.join("build/gone-fedcba9876543210/out/link")).unwrap();
    small.write("target/debug/.fingerprint/gone-fedcba9876543210/invoked.timestamp", "");

    let swept = small.place.sweep(&[], 0);
    assert!(number(&swept, "removed_units") > 0, "{swept:#}");
    assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "mine");
    for link in
        [".fingerprint/app-0123456789abcdef", "deps/app-0123456789abcdef", "build/app-0123456789abcdef"]
    {
        assert!(exists(&debug, link), "{link}");
        assert!(
            texts(&swept, "skipped", "what").iter().any(|what| what.ends_with(link)),
            "{link}: {swept:#}"
        );
    }
    assert!(!exists(&debug, "build/gone-fedcba9876543210"));
    for link in ["itself", "release"] {
        assert!(exists(&small.root().join("target"), link), "{link}");
    }
    fs::remove_file(small.root().join("target/release")).unwrap();
    is_whole(&small);
}

#[test]
fn names_that_are_no_text_and_folders_of_a_hundred_thousand() {
    let small = built("names");
    let debug = small.root().join("target/debug");
    let odd = OsStr::from_bytes(b"lib\xff\xfe-0123456789abcdef.rlib");
    fs::File::create(debug.as_std_path().join("deps").join(odd)).unwrap();
    let odd_folder = OsStr::from_bytes(b"\xff\xfe");
    fs::create_dir(small.root().as_std_path().join("target").join(odd_folder)).unwrap();
    fs::File::create(debug.as_std_path().join(odd_folder)).unwrap();
    let many = debug.join("build/many-0000000000000001/out");
    fs::create_dir_all(&many).unwrap();
    for number in 0..50_000 {
        fs::File::create(many.join(format!("{number}"))).unwrap();
        fs::File::create(debug.join(format!("deps/libmany-{number:016x}.rlib"))).unwrap();
        fs::create_dir(debug.join(format!(".fingerprint/many-{number:016x}"))).unwrap();
    }
    let swept = small.place.sweep(&[], 0);
    assert!(number(&swept, "removed_units") > 50_000, "{swept:#}");
    assert!(!many.exists());
    assert_eq!(
        fs::read_dir(debug.join("deps"))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().as_bytes().starts_with(b"libmany"))
            .count(),
        0
    );
    // What is not understood stays.
    assert!(debug.as_std_path().join("deps").join(odd).exists());
    assert!(small.root().as_std_path().join("target").join(odd_folder).exists());
    is_whole(&small);
}

#[test]
fn what_cannot_be_read_is_named_and_kept() {
    let small = built("unreadable");
    let debug = small.root().join("target/debug");
    let locked = debug.join("build/locked-0123456789abcdef");
    fs::create_dir_all(locked.join("out/inner")).unwrap();
    let deep = (0..400).fold(debug.join("build/deep-0123456789abcdef"), |path, _| path.join("d"));
    fs::create_dir_all(&deep).unwrap();
    small.run("chmod 000 target/debug/build/locked-0123456789abcdef/out");
    // Root reads everything, unless it gives that up.
    let mut command = small.place.command("setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search", EXE, "clean-stale", "--json"]);
    let outcome = Outcome::of(&mut command).expect_code(0);
    small.run("chmod 755 target/debug/build/locked-0123456789abcdef/out");
    let swept = serde_json::from_str::<serde_json::Value>(&outcome.stdout).unwrap();
    let skipped = texts(&swept, "skipped", "what");
    for path in ["build/locked-0123456789abcdef", "build/deep-0123456789abcdef"] {
        assert!(skipped.iter().any(|what| what.ends_with(path)), "{path} is not among {skipped:?}");
        assert!(exists(&debug, path), "{path}");
    }
    is_whole(&small);

    // Without the fingerprints all outputs look like leftovers.
    small.run("RUSTFLAGS='--cfg old' cargo build && chmod 000 target/debug/.fingerprint");
    let mut command = small.place.command("setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search", EXE, "clean-stale", "--json"]);
    let outcome = Outcome::of(&mut command).expect_code(0);
    small.run("chmod 755 target/debug/.fingerprint");
    let swept = serde_json::from_str::<serde_json::Value>(&outcome.stdout).unwrap();
    assert_eq!(number(&swept, "freed_bytes"), 0, "{swept:#}");
    assert!(
        texts(&swept, "skipped", "why").iter().any(|why| why.contains(".fingerprint cannot be read")),
        "{swept:#}"
    );
    is_whole(&small);
}

/// In a file system of its own, seen by these processes alone.
fn in_own_mounts(small: &Small, script: &str) -> Outcome {
    let mut command = small.place.command("unshare");
    let root = Outcome::of(std::process::Command::new("id").arg("-u")).stdout.trim() == "0";
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    Outcome::of(command.args(["--mount", "sh", "-ec", script]).env("EXE", EXE))
}

#[test]
fn a_read_only_file_system_is_said_and_nothing_counts_as_freed() {
    let small = built("read-only");
    let outcome = in_own_mounts(
        &small,
        "mount --bind target target; mount -o remount,ro,bind target; exec $EXE clean-stale --json",
    );
    let outcome = outcome.expect_code(1);
    let swept = serde_json::from_str::<serde_json::Value>(&outcome.stdout).unwrap();
    assert_eq!((number(&swept, "freed_bytes"), number(&swept, "removed_units")), (0, 0), "{swept:#}");
    let errors = texts(&swept, "errors", "error");
    assert!(
        errors.iter().all(|error| error.contains("Read-only file system")) && !errors.is_empty(),
        "{errors:?}"
    );
    is_whole(&small);
}

#[test]
fn a_full_disk_is_swept_all_the_same() {
    let small = Small::new("full", FEW_TIERS);
    small.run("cargo generate-lockfile");
    let script = "mkdir target; mount -t tmpfs -o size=200m none target
        cargo build -q --workspace; RUSTFLAGS='--cfg old' cargo build -q --workspace
        cat /dev/zero > target/full 2>/dev/null || true
        $EXE clean-stale --yes --json
        rm target/full; cargo run -q";
    let outcome = in_own_mounts(&small, script).expect_code(0);
    assert!(outcome.stdout.ends_with("41\n"), "{outcome:?}");
    let swept = outcome.stdout.strip_suffix("41\n").unwrap();
    let swept = serde_json::from_str::<serde_json::Value>(swept).unwrap();
    assert!(number(&swept, "removed_units") > 0 && number(&swept, "freed_bytes") > 0, "{swept:#}");
}

#[test]
fn an_unknown_layout_is_said_to_be_one() {
    let small = built("layout");
    small.write("target/later/.cargo-lock", "");
    small.write("target/later/units/app/0123456789abcdef/out/app", "x");
    small.write("target/debug/build/odd/not-an-id/out", "x");
    let swept = small.place.sweep(&[], 1);
    let skipped = texts(&swept, "skipped", "why");
    assert!(skipped.iter().filter(|why| why.contains("not known here")).count() >= 2, "{skipped:?}");
    assert!(exists(small.root(), "target/later/units/app/0123456789abcdef/out/app"));
    assert_eq!(number(&swept, "removed_units"), 0, "the profile that holds it is left alone: {swept:#}");
    let text = small.place.suite(&["clean-stale", "--dry-run"]).expect_code(1);
    assert!(text.stderr.contains("an unknown layout: it contains units"), "{}", text.stderr);
}
