//! Files that look like a member's own and are not only its own: rare in random workspaces, so built by hand.

use xtask_testkit::{Fixture, Outcome};

use crate::tests_run::{Said, test_fast};

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
    let log = fixture.root().join("target/log");
    let first = Said::read(Outcome::of(&mut test_fast(fixture.root(), &log)));
    assert_eq!((first.packages.len(), first.outcome.code), (6, Some(0)), "{}", first.outcome.stderr);
    // On the base branch the inputs of the last run decide.
    let changes = [
        ("crates/plain/data.txt", "top"),
        ("crates/outer/nested/data.txt", "outer"),
        ("shared/data.txt", "linked"),
    ];
    for (path, reader) in changes {
        fixture.write(path, "2");
        let said = Said::read(Outcome::of(test_fast(fixture.root(), &log).arg("--dry-run")));
        assert!(said.packages.contains(reader), "{path}: {:?}", said.packages);
        fixture.write(path, "1");
    }
    // On another branch and never run there, only what the change reaches is chosen; plain cargo has built it.
    for (path, reader) in changes {
        fixture.git(&["checkout", "--quiet", "-b", reader, "main"]);
        fixture.write(path, "2");
        fixture.commit("work");
        Outcome::of(xtask_testkit::cargo(fixture.root()).args(["test", "--workspace", "--no-run"]))
            .expect_code(0);
        let results = fixture.root().join("target/xtask-suite/results");
        xtask_files::remove_dir(&results).expect("results to remove");
        let said = Said::read(Outcome::of(test_fast(fixture.root(), &log).arg("--dry-run")));
        assert!(said.packages.contains(reader), "{path}: {:?}", said.packages);
        assert_eq!(
            said.packages.len(),
            2,
            "{path} has an owner and a reader, or two readers: {:?}",
            said.packages
        );
    }
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
    let log = fixture.root().join("target/log");
    let said = Said::read(Outcome::of(&mut test_fast(fixture.root(), &log)));
    assert_eq!(said.packages.iter().collect::<Vec<_>>(), ["plain"]);
    // As `cargo test --workspace` says.
    assert_eq!(said.outcome.code, Some(1), "{}", said.outcome.stderr);
}
