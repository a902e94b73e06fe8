//! Files whose names carry no unit id, files that cargo did not make, and dirs that lie one in another.

use std::fs;

use crate::support::{FEW_TIERS, Small, exists, number, texts};

const DYNAMIC: &str = "[lib]\ncrate-type = [\"lib\", \"cdylib\"]\n[dependencies]\ntiny = \"1\"\n";

/// `lib` is a `cdylib` too, so none of its files carries a unit id.
fn with_dynamic_library(name: &str, toml: &str) -> Small {
    let small = Small::new(name, toml);
    let manifest = fs::read_to_string(small.root().join("lib/Cargo.toml")).unwrap();
    small.write("lib/Cargo.toml", &manifest.replace("[dependencies]\ntiny = \"1\"\n", DYNAMIC));
    small
}

#[test]
fn a_dynamic_library_goes_with_its_package_and_no_other_file_does() {
    let small = with_dynamic_library("cdylib", FEW_TIERS);
    small.build_all();
    // As build scripts do for the system's loader, and as people do for a copy of an old program.
    small.write("target/debug/deps/libforeign.so", "");
    small.write("target/debug/deps/foreign.d", "");
    small.write("target/debug/libforeign.so", "");
    small.run("RUSTFLAGS='--cfg old' cargo build --bin app");
    small.run(
        "ln target/debug/deps/app-*[0-9a-f] target/debug/backup || ln target/debug/app target/debug/backup",
    );
    small.build_all();
    let swept = small.place.sweep(&["--verify"], 0);
    assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
    let at = |path: &str| exists(&small.root().join("target/debug"), path);
    for kept in ["deps/liblib.so", "deps/lib.d", "liblib.so", "liblib.d", "backup"] {
        assert!(at(kept), "{kept}");
    }
    let foreign = ["deps/libforeign.so", "deps/foreign.d", "libforeign.so"];
    // The package leaves the workspace.
    small.write("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"app\"]\n");
    let manifest = fs::read_to_string(small.root().join("app/Cargo.toml")).unwrap();
    small.write("app/Cargo.toml", manifest.split("[dependencies]").next().unwrap());
    small.write("app/src/main.rs", "fn main() {}\n");
    small.run("rm -r lib");
    small.build_all();
    let swept = small.place.sweep(&["--verify"], 0);
    assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
    for gone in ["deps/liblib.so", "deps/liblib.rlib", "deps/lib.d", "liblib.so", "liblib.d"] {
        assert!(!at(gone), "{gone}: {swept:#}");
    }
    for kept in foreign {
        assert!(at(kept), "{kept}");
    }
}

/// The fingerprint of a unit that the grace time keeps is worth nothing without files that carry no id.
#[test]
fn what_was_built_lately_keeps_its_files_without_an_id() {
    let small = with_dynamic_library("cdylib-grace", &FEW_TIERS.replace("grace = 0\n", ""));
    small.build_all();
    small.run("cargo build --release");
    small.run("find target -exec touch --no-dereference --date '3 days ago' {} +");
    small.run("find Cargo.toml Cargo.lock app lib -exec touch --date '4 days ago' {} +");
    small.write("app/src/main.rs", "fn main() { println!(\"again {}\", lib::value()); }\n");
    small.run("cargo build --release");
    let plan = small.place.sweep(&["--dry-run"], 0);
    assert_eq!((number(&plan, "recent_units"), number(&plan, "stale_bytes")), (3, 0), "{plan:#}");
    small.place.sweep(&[], 0);
    let outcome = small.run("cargo build --release");
    assert!(!outcome.stderr.contains("Compiling"), "{}", outcome.stderr);
    small.place.sweep(&["--grace", "0"], 0);
    assert!(!exists(small.root(), "target/release/liblib.so"));
}

#[test]
fn folders_that_only_look_like_cargos_are_left_alone() {
    let small = Small::new("looks", &format!("{FEW_TIERS}doc = 0\n"));
    small.build_all();
    let strange =
        ["tmp/doc/notes", "tmp/debug/.cargo-lock", "tmp/debug/deps/libx.so", "site/doc/page", "mix/deps/x.a"];
    for path in strange {
        small.write(&format!("target/{path}"), "mine");
    }
    let swept = small.place.sweep(&[], 0);
    assert!(swept["skipped"].as_array().unwrap().is_empty(), "{swept:#}");
    for path in strange {
        assert!(exists(small.root(), &format!("target/{path}")), "{path}");
    }
    assert!(!exists(small.root(), "target/mix/.cargo-lock"));
}

/// Cargo never looks at what lies in the target dir from before a build dir was set.
#[test]
fn what_lies_where_the_build_dir_was_goes() {
    let mut small = Small::new("moved", FEW_TIERS);
    small.build_all();
    small.place.set("CARGO_BUILD_BUILD_DIR", small.root().join("target/a/b").as_str());
    small.build_all();
    let swept = small.place.sweep(&["--dry-run"], 0);
    let why = texts(&swept, "reasons", "why");
    assert!(why.contains(&"cargo's build dir is elsewhere now".to_owned()), "{why:?}");
    // A dir in the other one counts once; the suite's own state has grown since.
    let (counted, there) = (number(&swept, "total_bytes"), small.disk_usage("target"));
    assert!(counted <= there && counted + 1_000_000 > there, "{counted} of {there}");
    let swept = small.place.sweep(&["--verify"], 0);
    assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
    for gone in ["deps", ".fingerprint", "incremental"] {
        let dir = small.root().join("target/debug").join(gone);
        assert_eq!(dir.read_dir_utf8().map_or(0, Iterator::count), 0, "{dir}");
    }
    assert!(exists(small.root(), "target/debug/app") && exists(small.root(), "target/a/b/debug/deps"));
}

#[test]
fn what_killed_compilers_leave_goes_in_both_layouts() {
    for new_layout in [false, true] {
        let mut small = Small::new("killed", FEW_TIERS);
        if new_layout {
            small.place.with_new_layout();
        }
        small.build_all();
        let program = small.run("find target/debug -name 'app-????????????????' -type f | head -1").stdout;
        let program = program.trim().trim_start_matches("target/");
        let (folder, name) = program.rsplit_once('/').unwrap();
        let left = [
            format!("{folder}/{name}.0kf69r532g687r349vvekwta7.0mhfdks.rcgu.o"),
            format!("{folder}/rmetaAbC123/full.rmeta"),
            format!("{folder}/.tmp28LynP.temp-archive/tmp.a"),
        ];
        for path in &left {
            small.write(&format!("target/{path}"), "left over");
        }
        let swept = small.place.sweep(&["--verify"], 0);
        assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
        for path in &left {
            assert!(!exists(small.root(), &format!("target/{path}")), "{path}: {swept:#}");
        }
        assert_eq!(texts(&swept, "errors", "path"), Vec::<String>::new());
    }
}

/// A sweep empties the folder of a fingerprint before anything else, and removes it after everything else.
#[test]
fn what_a_killed_sweep_left_goes_with_the_next() {
    for new_layout in [false, true] {
        let mut small = Small::new("killed-lately", &FEW_TIERS.replace("grace = 0\n", ""));
        if new_layout {
            small.place.with_new_layout();
        }
        small.build_all();
        let programs = "find target/debug -name 'app-????????????????' -type f -perm -1 | sort";
        let needed = small.run(programs).stdout;
        small.run("RUSTFLAGS='--cfg old' cargo test --no-run");
        small.run("find target -exec touch --no-dereference --date '3 days ago' {} +");
        small.run("find Cargo.toml Cargo.lock app lib -exec touch --date '4 days ago' {} +");
        let plan = small.place.sweep(&["--dry-run"], 0);
        let stale = number(&plan, "stale_units");
        assert!(stale > 2, "{plan:#}");
        // As the kill leaves them.
        small.run(
            "for program in $(find target/debug -name 'app-????????????????' -type f -perm -1); do id=${program##*-}\n\
             case \"$NEEDED\" in *$id*) ;; *) rm -f target/debug/.fingerprint/app-$id/* \
             target/debug/build/app/$id/fingerprint/*;; esac; done"
                .replace("$NEEDED", needed.trim())
                .as_str(),
        );
        let swept = small.place.sweep(&[], 0);
        assert_eq!(number(&swept, "removed_units"), stale, "{swept:#}");
        assert_eq!(small.run(programs).stdout, needed);
    }
}

/// A build script that edits a source once, while it is verified, makes cargo compile what was current.
#[test]
fn a_verification_that_finds_recompiled_units_fails() {
    let small = Small::new("verify", FEW_TIERS);
    small.write(
        "app/build.rs",
        "fn main() {\n    println!(\"cargo::rerun-if-changed=missing\");\n    \
         if std::fs::remove_file(\"../edit-once\").is_ok() {\n        \
         std::fs::write(\"../lib/src/lib.rs\", \"pub fn value() -> u64 { tiny::value() + 1 }\\n\").unwrap();\n    }\n}\n",
    );
    small.build_all();
    small.build_all();
    small.write("edit-once", "");
    let swept = small.place.sweep(&["--verify"], 1);
    assert!(number(&swept, "recompiled_units") > 0, "{swept:#}");
}
