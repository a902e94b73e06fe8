//! The store: a program that was built once is copied to other checkouts, and nothing that is not that program is ever
//! started.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

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
    let (program, note) = (entry.join("program"), entry.join("note"));
    let evil = "#!/bin/sh\necho evil\n";
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let replace_by_link = |path: &Path| {
        let aside = clone.dir.join("aside");
        let _ = fs::remove_dir_all(&aside);
        let _ = fs::remove_file(&aside);
        fs::rename(path, &aside).unwrap();
        symlink(&aside, path).unwrap();
    };
    let table: [(&str, &dyn Fn()); 9] = [
        ("another program", &|| fs::write(&program, evil).unwrap()),
        ("cut short", &|| fs::write(&program, &fs::read(&program).unwrap()[..1000]).unwrap()),
        ("empty", &|| fs::write(&program, "").unwrap()),
        ("a note that is cut short", &|| fs::write(&note, &fs::read(&note).unwrap()[..60]).unwrap()),
        ("no note", &|| fs::remove_file(&note).unwrap()),
        ("others can write the program", &|| mode(&program, 0o666)),
        ("others can write the entry", &|| mode(&entry, 0o777)),
        ("a program that is a link", &|| replace_by_link(&program)),
        ("an entry that is a link", &|| replace_by_link(&entry)),
    ];
    for (what, damage) in table {
        damage();
        let started = store.start_afresh(&clone);
        assert!(started.asked == 1 && started.stdout.contains("suite 1"), "{}: {}", what, started.stdout);
        if what == "an entry that is a link" {
            assert!(clone.dir.join("aside/program").exists(), "nothing is removed through a link");
            continue;
        }
        // It was made anew.
        store.start_afresh(&clone).expect_warm("suite 1");
    }
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

    // Nor one that is made of files elsewhere.
    clone.edit_suite("app/src/main.rs", "env!(\"CARGO_MANIFEST_DIR\")", "include_str!(\"../../../text\")");
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
        write(&entry.join("program"), "x");
        write(&entry.join("used"), "");
        age(&entry.join("used"), 1 + number);
    }
    let strangers = ["xtask-suite-12", "notes", "xtask-other-00000000000000000000000000000000", "x.tmp"];
    for name in strangers {
        write(&store.0.join(name).join("program"), "theirs");
    }
    fs::set_permissions(&store.0, Permissions::from_mode(0o700)).unwrap();
    store.start(&clone).expect(0, 1, "suite 1", FIRST);
    let entries = store.entries();
    let names: Vec<_> =
        entries.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    for name in strangers {
        assert_eq!(fs::read_to_string(store.0.join(name).join("program")).unwrap(), "theirs");
    }
    assert_eq!(names.len() - strangers.len(), 16, "{names:?}");
    assert!(
        names.contains(&format!("xtask-suite-{:032x}", 0))
            && !names.contains(&format!("xtask-suite-{:032x}", 19))
    );
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
    assert!(store.entry().join("note").exists());
}
