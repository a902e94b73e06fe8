//! The store: a program that was built once is copied to other checkouts, and nothing that is not that program is ever
//! started.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clone::{AGAIN, Clone, FIRST, Form, Started, set_modified, write};

/// A store of the test's own.
struct Store(PathBuf);

impl Store {
    fn beside(clone: &Clone) -> Self {
        Self(clone.dir.join("store"))
    }

    fn start(&self, clone: &Clone) -> Started {
        clone.start(clone.command().env("XTASK_STORE", &self.0))
    }

    /// `clone` as it is when nothing was ever built there.
    fn start_afresh(&self, clone: &Clone) -> Started {
        let _ = fs::remove_dir_all(clone.root.join("target"));
        self.start(clone)
    }

    fn entries(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.collect()
    }

    fn entry(&self) -> PathBuf {
        let entries = self.entries();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].clone()
    }
}

#[test]
fn a_second_checkout_and_one_after_cargo_clean_cost_a_copy() {
    for form in [Form::Member, Form::Vendored] {
        let (first, second) = (Clone::new(form), Clone::new(form));
        let store = Store::beside(&first);
        store.start(&first).expect(0, 1, "suite 1", FIRST);
        assert_eq!(fs::metadata(&store.0).unwrap().permissions().mode() & 0o777, 0o700);

        assert_eq!(store.start(&second).expect(0, 0, "suite 1", "").stderr, "");
        store.start(&second).expect_warm("suite 1");
        store.start_afresh(&first).expect_warm("suite 1");

        // An edit is built, and what it was before is there still.
        second.edit_suite("app/src/main.rs", "suite 1", "suite 2");
        store.start(&second).expect(0, 1, "suite 2", AGAIN);
        second.edit_suite("app/src/main.rs", "suite 2", "suite 1");
        store.start(&second).expect_warm("suite 1");
        // Cargo's own link to what it had built is not written through.
        second.edit_suite("app/src/main.rs", "suite 1", "suite 2");
        second.xtask().expect(0, 1, "suite 2", "");
    }
}

#[test]
fn what_goes_into_a_program_is_part_of_its_key() {
    let clone = Clone::new(Form::Member);
    let store = Store::beside(&clone);
    store.start(&clone).expect(0, 1, "checked=true marked=false", FIRST);
    let flags =
        |name: &str, value: &str| clone.start(clone.command().env("XTASK_STORE", &store.0).env(name, value));
    flags("RUSTFLAGS", "--cfg marked").expect(0, 1, "marked=true", "");
    flags("CARGO_PROFILE_XTASK_DEBUG_ASSERTIONS", "false").expect(0, 1, "checked=false", "");
    assert_eq!(store.entries().len(), 3);
    for (path, from, to) in [
        ("crates/dep/src/lib.rs", "dep 1", "dep 2"),
        ("Cargo.toml", "debug = false", "debug = 1"),
        ("crates/dep/Cargo.toml", "fixture", "another"),
    ] {
        clone.edit_suite(path, from, to);
        store.start(&clone).expect(0, 1, "", "");
    }
    clone.write(".cargo/xtask.local.toml", "[build]\nrustflags = [\"--cfg\", \"marked\"]\n");
    store.start(&clone).expect(0, 1, "marked=true", "");
    assert_eq!(store.entries().len(), 7);

    // What makes no difference to the program.
    let settings = "[build]\nrustc-wrapper = \"env\"\nrustflags = [\"--cfg\", \"marked\"]\njobs = 1\n[alias]\nb = \"build\"\n";
    clone.write(".cargo/xtask.local.toml", settings);
    let _ = fs::remove_dir_all(clone.root.join("target"));
    flags("CARGO_BUILD_JOBS", "1").expect_warm("marked=true");
    assert_eq!(store.entries().len(), 7);
}

#[test]
fn an_entry_that_is_damaged_or_may_be_somebody_elses_is_never_started() {
    let clone = Clone::new(Form::Member);
    let store = Store::beside(&clone);
    store.start(&clone).expect(0, 1, "suite 1", FIRST);
    let entry = store.entry();
    let whole = fs::read(&entry).unwrap();
    let aside = clone.dir.join("aside");
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let head = whole.windows(5).position(|bytes| bytes == b"\nend\n").unwrap() + 5;
    let table: [(&str, &dyn Fn()); 6] = [
        ("another program", &|| {
            fs::write(&entry, [&whole[..head], b"#!/bin/sh\necho evil\n"].concat()).unwrap();
        }),
        ("cut short", &|| fs::write(&entry, &whole[..whole.len() - 1]).unwrap()),
        ("a head that is cut short", &|| fs::write(&entry, &whole[..60]).unwrap()),
        ("empty", &|| fs::write(&entry, "").unwrap()),
        ("others can write the entry", &|| mode(&entry, 0o775)),
        ("a link", &|| {
            fs::rename(&entry, &aside).unwrap();
            symlink(&aside, &entry).unwrap();
        }),
    ];
    for (what, damage) in table {
        damage();
        let started = store.start_afresh(&clone);
        assert!(started.asked == 1 && started.stdout.contains("suite 1"), "{}: {}", what, started.stdout);
        // It was made anew.
        store.start_afresh(&clone).expect_warm("suite 1");
    }
    assert_eq!(fs::read(&aside).unwrap().len(), whole.len(), "nothing is written through a link");
    mode(&store.0, 0o777);
    store.start_afresh(&clone).expect(0, 1, "suite 1", FIRST);
}

#[test]
fn without_a_store_that_works_it_only_takes_longer() {
    let clone = Clone::new(Form::Member);
    let file = clone.dir.join("file");
    write(&file, "");
    for store in ["off", "relative/path", "/proc/nowhere", file.to_str().unwrap()] {
        let _ = fs::remove_dir_all(clone.root.join("target"));
        let started = clone.start(clone.command().env("XTASK_STORE", store));
        assert!(!started.expect(0, 1, "suite 1", FIRST).stderr.contains("store"));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    assert!(!clone.root.join("relative").exists());
}

#[test]
fn a_program_that_knows_where_it_was_built_is_not_kept() {
    let clone = Clone::new(Form::Member);
    let store = Store::beside(&clone);
    clone.edit_suite("app/src/main.rs", "\"args=", "\"{} args=");
    clone.edit_suite("app/src/main.rs", "{args:?}\"", "{args:?}\", env!(\"CARGO_MANIFEST_DIR\")");
    store.start(&clone).expect(0, 1, "crates/suite args=", FIRST);
    assert!(store.entries().is_empty());
    store.start(&clone).expect_warm("crates/suite args=");

    // A path that configuration sets, which differs between checkouts as well.
    clone.edit_suite("app/src/main.rs", "CARGO_MANIFEST_DIR", "CARGO_WORKSPACE_DIR");
    let path = "[env]\nCARGO_WORKSPACE_DIR = { value = \"\", relative = true }\n";
    clone.write(".cargo/xtask.local.toml", path);
    store.start(&clone).expect(0, 1, "my clöne/ args=", "");
    assert!(store.entries().is_empty());
    fs::remove_file(clone.root.join(".cargo/xtask.local.toml")).unwrap();

    // Nor one that is made of files elsewhere.
    clone.edit_suite("app/src/main.rs", "env!(\"CARGO_WORKSPACE_DIR\")", "include_str!(\"../../../text\")");
    clone.write("text", "from elsewhere");
    store.start(&clone).expect(0, 1, "from elsewhere args=", "");
    assert!(store.entries().is_empty());

    // What lies in the package's own folder is part of the key, beside the sources too.
    clone.edit_suite("app/src/main.rs", "\"../../../text\"", "\"../files/text\"");
    clone.write_suite("app/files/text", "from here");
    store.start(&clone).expect(0, 1, "from here args=", "");
    store.entry();
    clone.write_suite("app/files/text", "from there");
    store.start(&clone).expect(0, 1, "from there args=", "");
    assert_eq!(store.entries().len(), 2);
}

/// By `tar`, `rsync` or a clock that was set back: then cargo takes what it had compiled for current.
#[test]
fn a_source_with_an_older_time_is_not_taken_for_what_was_compiled() {
    let (first, second) = (Clone::new(Form::Member), Clone::new(Form::Member));
    let store = Store::beside(&first);
    store.start(&first).expect(0, 1, "suite 1, dep 1", FIRST);
    for clone in [&first, &second] {
        clone.write_suite("crates/dep/src/lib.rs", "pub const TEXT: &str = \"dep 2\";\n");
    }
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    set_modified(&first.suite.join("crates/dep/src/lib.rs"), std::time::SystemTime::now() - day);
    store.start(&first).expect(0, 1, "suite 1, dep 1", "");
    store.start(&second).expect(0, 1, "suite 1, dep 2", FIRST);
    store.start_afresh(&first).expect(0, 0, "suite 1, dep 2", "");
}

/// A usual setting in the user's own configuration.
#[test]
fn two_checkouts_with_one_target_folder_have_each_their_own_program() {
    // Cargo tells packages apart by their folders, but members only by their place in the workspace.
    let (first, second) = (Clone::new(Form::Vendored), Clone::new(Form::Vendored));
    second.edit_suite("app/src/main.rs", "suite 1", "suite 2");
    let shared = first.dir.join("shared");
    let start = |clone: &Clone, after: &str| {
        let mut command = clone.command();
        clone.start(command.env("CARGO_TARGET_DIR", &shared).env("AFTER_CARGO", after))
    };
    start(&first, "").expect(0, 1, "suite 1", FIRST);
    start(&second, "").expect(0, 1, "suite 2", "");
    start(&first, "").expect(0, 1, "suite 1", "");
    start(&first, "").expect_warm("suite 1");
    // The second builds just after cargo has built for the first.
    let build = format!(
        "cd '{}' && '{}' build --quiet --manifest-path ../tasks/Cargo.toml --profile xtask --target-dir '{}'",
        second.suite.display(),
        crate::clone::cargo().display(),
        shared.join("xtask-suite/build").display()
    );
    start(&second, "").expect(0, 1, "suite 2", "");
    assert_eq!(start(&first, &build).code, Some(0));
    start(&first, "").expect(0, 1, "suite 1", "");
    start(&first, "").expect_warm("suite 1");
}

#[test]
fn what_was_not_used_for_long_goes_and_what_is_not_ours_stays() {
    let clone = Clone::new(Form::Member);
    let store = Store::beside(&clone);
    let age = |path: &Path, days: u32| {
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        set_modified(path, std::time::SystemTime::now() - day * days);
    };
    for number in 0_u32..20 {
        let entry = store.0.join(format!("xtask-suite-{number:032x}"));
        write(&entry, "x");
        age(&entry, 1 + number);
        // What a killed launcher has left.
        let left = entry.with_extension("7.tmp");
        write(&left, "x");
        age(&left, number);
    }
    let strangers = ["xtask-suite-12", "notes", "xtask-other-00000000000000000000000000000000", "x.tmp"];
    for name in strangers {
        write(&store.0.join(name), "theirs");
        age(&store.0.join(name), 30);
    }
    fs::set_permissions(&store.0, Permissions::from_mode(0o700)).unwrap();
    store.start(&clone).expect(0, 1, "suite 1", FIRST);
    let entries = store.entries();
    let names: Vec<_> =
        entries.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    for name in strangers {
        assert_eq!(fs::read_to_string(store.0.join(name)).unwrap(), "theirs");
    }
    let left = |name: &&String| name.ends_with(".7.tmp");
    assert_eq!(names.iter().filter(left).count(), 1, "that of today may still be in the making: {names:?}");
    assert_eq!(names.len() - strangers.len() - 1, 16, "{names:?}");
    let has = |number: u32| names.contains(&format!("xtask-suite-{number:032x}"));
    assert!(has(0) && has(14) && !has(15), "{:?}", names);

    // A use makes it the youngest.
    let entry = entries.iter().max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap()).unwrap();
    age(entry, 100);
    store.start_afresh(&clone).expect_warm("suite 1");
    let time = fs::metadata(entry).unwrap().modified().unwrap();
    assert!(time.elapsed().unwrap() < std::time::Duration::from_secs(3600));
}

/// Its key would be computed at every call in vain: such a program has no stamp.
#[test]
fn a_program_that_only_cargo_can_vouch_for_is_not_looked_for_in_the_store() {
    let clone = Clone::new(Form::Member);
    let store = Store::beside(&clone);
    let log = clone.dir.join("rustc.log");
    let rustc = clone.dir.join("shim/rustc");
    write(&rustc, &format!("#!/bin/sh\necho \"$@\" >> '{}'\nexec rustc \"$@\"\n", log.display()));
    fs::set_permissions(&rustc, Permissions::from_mode(0o755)).unwrap();
    let keys = || {
        let _ = fs::remove_file(&log);
        clone
            .start(clone.command().env("XTASK_STORE", &store.0).env("RUSTC", &rustc))
            .expect(0, 1, "suite 1", "");
        let asked = fs::read_to_string(&log).unwrap_or_default();
        asked.lines().filter(|line| *line == "-vV").count()
    };
    clone.write_suite("app/build.rs", "fn main() {}\n");
    keys();
    assert_eq!(keys(), 0);
    assert!(store.entries().is_empty());
    // Once a stamp can be written, the program is kept.
    fs::remove_file(clone.app.join("build.rs")).unwrap();
    assert_eq!(keys(), 1);
    store.entry();
}

/// As on systems where each user has a group.
#[test]
fn files_that_a_group_may_write_by_default_are_no_obstacle() {
    let clone = Clone::new(Form::Member);
    let store = Store::beside(&clone);
    let start = || {
        let mut shell = Command::new("sh");
        let cargo = format!("umask 002; exec '{}' xtask", crate::clone::cargo().display());
        shell.args(["-c", &cargo]).current_dir(&clone.root);
        clone.start(clone.with_counting_cargo(clone.scrub(&mut shell)).env("XTASK_STORE", &store.0))
    };
    start().expect(0, 1, "suite 1", FIRST);
    let _ = fs::remove_dir_all(clone.root.join("target"));
    start().expect(0, 0, "suite 1", "");
}

#[test]
fn several_at_once_start_it_and_leave_one_entry() {
    let clones = [(); 3].map(|()| Clone::new(Form::Member));
    let store = Store::beside(&clones[0]);
    std::thread::scope(|scope| {
        for clone in &clones {
            let store = &store;
            scope.spawn(move || {
                let output = clone.command().env("XTASK_STORE", &store.0).output().unwrap();
                assert!(String::from_utf8_lossy(&output.stdout).contains("suite 1"), "{:?}", output);
            });
        }
    });
    store.entry();
}
