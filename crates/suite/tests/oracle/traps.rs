//! Files that look like a member's own and are not only its own: rare in random workspaces, so built by hand.

use camino::Utf8Path;
use xtask_files::Durability;
use xtask_testkit::{Fixture, Outcome, TempDir};

use crate::checkout::Checkout;
use crate::said::{Said, Subject};

/// A clone of a branch in which nothing has run yet, with a store of its own.
fn clone(fixture: &Fixture, scratch: &TempDir, branch: &str) -> Checkout {
    let root = scratch.path().join(branch);
    // The default branch of the clone is what is checked out.
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.git(&["clone", "--quiet", "--branch", branch, fixture.root().as_str(), root.as_str()]);
    Checkout {
        scratch: scratch.path().join(format!("{branch}-scratch")),
        root,
        environment: Vec::new(),
        target: None,
    }
}

fn run(checkout: &Checkout) -> Said {
    Subject::Suite.run(checkout)
}

/// What is neither remembered nor left out.
fn ran(said: &Said) -> Vec<String> {
    said.with(&["passed", "failed"]).into_iter().collect()
}

/// A library that includes `path`, with a test that needs its text.
fn reader(path: &str) -> String {
    format!(
        "pub const TEXT: &str = include_str!(\"{path}\");\n#[test]\nfn t() {{ assert_eq!(TEXT, \"1\"); }}\n"
    )
}

fn package(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
}

#[test]
#[cfg(unix)]
fn a_file_below_a_members_folder_may_be_another_members_or_lie_elsewhere() {
    let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"crates/outer/nested\"]\n";
    let fixture = Fixture::new(
        "traps",
        &[
            ("Cargo.toml", &format!("{}{workspace}", package("top"))),
            ("src/lib.rs", &reader("../crates/plain/data.txt")),
            ("crates/plain/Cargo.toml", &package("plain")),
            ("crates/plain/src/lib.rs", "#[test] fn t() {}"),
            ("crates/plain/data.txt", "1"),
            ("crates/outer/Cargo.toml", &package("outer")),
            ("crates/outer/src/lib.rs", &reader("../nested/data.txt")),
            ("crates/outer/nested/Cargo.toml", &package("nested")),
            ("crates/outer/nested/src/lib.rs", "#[test] fn t() {}"),
            ("crates/outer/nested/data.txt", "1"),
            ("crates/linked/Cargo.toml", &package("linked")),
            ("crates/linked/src/lib.rs", &reader("../data/link.txt")),
            ("crates/linked/data/other.txt", ""),
            ("crates/direct/Cargo.toml", &package("direct")),
            ("crates/direct/src/lib.rs", &reader("../../../shared/data.txt")),
            ("shared/data.txt", "1"),
            (".gitignore", "/target\n"),
        ],
    );
    let link = fixture.root().join("crates/linked/data/link.txt");
    std::os::unix::fs::symlink("../../../shared/data.txt", link).expect("a link");
    let lock = Outcome::of(xtask_testkit::cargo(fixture.root()).arg("generate-lockfile"));
    lock.expect_code(0);
    fixture.git_init();
    let scratch = TempDir::new("traps-scratch");
    let readers = [
        ("crates/plain/data.txt", "top"),
        ("crates/outer/nested/data.txt", "outer"),
        ("shared/data.txt", "linked"),
    ];
    let first = clone(&fixture, &scratch, "main");
    let said = run(&first);
    assert_eq!((ran(&said).len(), said.outcome.code), (6, Some(0)), "{}", said.outcome.stderr);
    assert_eq!(ran(&run(&first)), [""; 0]);
    // Where everything has run, what was read decides, whoever's it is.
    for (path, reader) in readers {
        write(&first.root, path, "2");
        let said = run(&first);
        assert!(said.with(&["failed"]).contains(reader), "{path}: {:?}", said.programs);
        write(&first.root, path, "1");
        let said = run(&first);
        assert_eq!(ran(&said), [""; 0], "{path} is as it was: {:?}", said.programs);
    }
    // On another branch and never run there, what the change cannot reach is left out.
    for (path, reader) in readers {
        fixture.git(&["checkout", "--quiet", "-b", reader, "main"]);
        fixture.write(path, "2");
        fixture.commit("work");
        let branch = clone(&fixture, &scratch, reader);
        let said = run(&branch);
        assert!(said.with(&["failed"]).contains(reader), "{path}: {:?}", said.programs);
        // Nobody knows who reads a file outside of all packages.
        let everything = path == "shared/data.txt";
        assert_eq!(ran(&said).len() == 6, everything, "{path}: {:?}", said.programs);
    }
}

fn write(root: &Utf8Path, path: &str, text: &str) {
    xtask_files::write_atomic(&root.join(path), text, Durability::Cache).expect("a file to write");
}

/// Cargo builds `shared` with `extra` for the workspace, and without it for `plain` alone.
#[test]
fn a_verdict_on_other_features_than_the_workspaces_is_none() {
    let dependency = "[dependencies]\nshared = { path = \"../shared\" }\n";
    let fixture = Fixture::new(
        "features",
        &[
            ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n"),
            ("crates/shared/Cargo.toml", &format!("{}[features]\nextra = []\n", package("shared"))),
            ("crates/shared/src/lib.rs", "pub const EXTRA: bool = cfg!(feature = \"extra\");\n"),
            (
                "crates/asks/Cargo.toml",
                &format!(
                    "{}{}",
                    package("asks"),
                    dependency.replace("shared\" }", "shared\", features = [\"extra\"] }")
                ),
            ),
            ("crates/asks/src/lib.rs", "#[test] fn t() { assert!(shared::EXTRA); }"),
            ("crates/plain/Cargo.toml", &format!("{}{dependency}", package("plain"))),
            ("crates/plain/src/lib.rs", "#[test] fn t() { assert!(!shared::EXTRA); }"),
            (".gitignore", "/target\n"),
        ],
    );
    Outcome::of(xtask_testkit::cargo(fixture.root()).arg("generate-lockfile")).expect_code(0);
    fixture.git_init();
    fixture.git(&["checkout", "--quiet", "-b", "feature"]);
    fixture.write("crates/plain/src/lib.rs", "// Edited.\n#[test] fn t() { assert!(!shared::EXTRA); }");
    fixture.commit("work");
    let scratch = TempDir::new("features-scratch");
    let said = run(&clone(&fixture, &scratch, "feature"));
    // As `cargo test --workspace` says.
    assert_eq!(
        (ran(&said), said.outcome.code),
        (vec!["plain".to_owned()], Some(1)),
        "{}",
        said.outcome.stderr
    );
}
