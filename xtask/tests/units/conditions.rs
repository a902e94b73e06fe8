//! Which variables a build depends on, and which `cargo run` added.

use std::path::Path;

use crate::environment::Environment;
use crate::place::{Place, Program};
use crate::store::{after_key, relevant_settings};

#[test]
fn each_variable_counts_for_the_build_or_comes_from_cargo_run_or_is_left_alone() {
    // name, part of the conditions, removed for cargo
    let table = [
        ("RUSTFLAGS", true, false),
        ("CARGO_ENCODED_RUSTFLAGS", true, false),
        ("RUSTC", true, false),
        ("RUSTC_WRAPPER", false, false),
        ("RUSTC_BOOTSTRAP", true, false),
        ("RUSTC_WORKSPACE_WRAPPER", true, false),
        ("RUSTUP_TOOLCHAIN", true, false),
        ("CARGO_INCREMENTAL", true, false),
        ("CARGO_BUILD_RUSTFLAGS", true, false),
        ("CARGO_PROFILE_XTASK_DEBUG", true, false),
        ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", true, false),
        ("CARGO_TARGET_DIR", false, false),
        ("CARGO_TERM_COLOR", false, false),
        ("CARGO_REGISTRY_TOKEN", false, false),
        ("RUST_BACKTRACE", false, false),
        ("PATH", false, false),
        ("CARGO_MANIFEST_DIR", false, true),
        ("CARGO_MANIFEST_PATH", false, true),
        ("CARGO_PKG_NAME", false, true),
        ("CARGO_BIN_NAME", false, true),
        ("CARGO_CRATE_NAME", false, true),
        ("CARGO_PRIMARY_PACKAGE", false, true),
        ("RUST_RECURSION_COUNT", false, true),
    ];
    let place =
        Place::find(Path::new("/c/xtask"), Path::new("/c/target/xtask/xtask"), Program::Daily).unwrap();
    for (name, counts, removed) in table {
        let conditions = |value: &str| Environment::of(vec![(name.into(), value.into())]).conditions(&place);
        assert_eq!(conditions("1") != conditions("2"), counts, "{name}");
        let environment = Environment::of(vec![(name.into(), "1".into())]);
        assert_eq!(environment.added_by_cargo_run().count() == 1, removed, "{name}");
    }
}

#[test]
fn settings_that_change_no_program_are_left_out_of_the_key() {
    // a configuration file, and what counts of it
    let table = [
        ("", ""),
        ("# Only words.\n[alias]\nx = \"run\"\n", ""),
        ("include = [\"a.toml\"]\n[term]\nquiet = true\n", ""),
        ("[build]\nrustc-wrapper = \"w\" # cache\njobs = 2\n", ""),
        ("[build]\njobs = 2\nrustflags = [\"-C\"]\n", "[build] rustflags = [\"-C\"]\n"),
        ("[alias]\nx = \"y\"\n\n[profile.xtask]\ndebug = 1\n", "[profile.xtask] debug = 1\n"),
        ("build.rustc-wrapper = \"w\"\nbuild.target = \"t\"\n", " build.target = \"t\"\n"),
        ("[alias]\nx = \"y\"\n[build] # ours\ntarget = \"t\"\n", "[build] target = \"t\"\n"),
        (
            "[alias]\n[target.'a b']\nlinker = \"l\"\n",
            "[target.'a b'] [target.'a b']\n[target.'a b'] linker = \"l\"\n",
        ),
        ("[alias] # ours\nx = \"y\"\n[net]\noffline = true\n", ""),
        ("[env]\njobs = \"2\"\n", "[env] jobs = \"2\"\n"),
        ("[target.a-b-c]\nlinker = \"l\"\n", "[target.a-b-c] linker = \"l\"\n"),
        ("[target.a-b-musl]\nlinker = \"l\"\n[target.a-b-musl.x]\ny = 1\n", ""),
        ("[env]\nA = '''\n[alias]\n'''\n", "[env]\nA = '''\n[alias]\n'''\n"),
        ("[build]\nx = [\n  [\"a\"],\n]\n", "[build] x = [\n[\"a\"], [\"a\"],\n[\"a\"], ]\n"),
    ];
    for (text, counts) in table {
        assert_eq!(relevant_settings(text, &["a-b-c"]), counts, "{text}");
    }
}

#[test]
fn only_our_names_are_those_of_entries() {
    for (name, rest) in [
        ("xtask-suite-0123456789abcdef0123456789abcdef", Some("")),
        ("xtask-workshop-0123456789abcdef0123456789abcdef.7.tmp", Some(".7.tmp")),
        ("xtask-suite-0123456789abcdef0123456789abcde", None),
        ("xtask-suite-0123456789abcdef0123456789abcdeg", None),
        ("xtask-suite-0123456789abcdef0123456789abcdé", None),
        ("mine-0123456789abcdef0123456789abcdef", None),
    ] {
        assert_eq!(after_key(name), rest, "{name}");
    }
}

/// Otherwise the store would not keep them.
#[test]
fn our_own_programs_do_not_know_their_place() {
    fn check(folder: &Path, checked: &mut usize) {
        for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && name != "tests" {
                check(&path, checked);
            } else if path.extension().is_some_and(|end| end == "rs") && name != "tests.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                for variable in
                    ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_TARGET_TMPDIR", "OUT_DIR"]
                {
                    assert!(!text.contains(&format!("env!(\"{variable}\"")), "{}", path.display());
                }
                *checked += 1;
            }
        }
    }
    let mut checked = 0;
    for package in Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").read_dir().unwrap() {
        let package = package.unwrap().path();
        if !package.ends_with("testkit") {
            check(&package.join("src"), &mut checked);
        }
    }
    assert!(checked > 80, "only {} files", checked);
}
