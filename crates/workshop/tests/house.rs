//! The house rules: who may import whom, what the binary is made of, what a package holds.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use xtask_testkit::{Outcome, cargo};

mod generated;

#[expect(dead_code, reason = "the launcher uses more of it than is tested here")]
#[path = "../../../xtask/src/place.rs"]
mod place;

use generated::{assert_current, repository};

/// The crates from the ground up. A crate imports from lower rows only.
const ROWS: [&[&str]; 9] = [
    &["xtask-files"],
    &["xtask-workspace"],
    &["xtask-units", "xtask-edit", "xtask-stats"],
    &["xtask-tiers", "xtask-lanes"],
    &["xtask-suite"],
    &["xtask-tools", "xtask-sweep"],
    &["xtask-advise", "xtask-bench"],
    &["xtask-adopt", "xtask-report"],
    &["xtask-workshop"],
];

/// The crates that know the command line, and print.
const FACES: [&str; 2] = ["xtask-suite", "xtask-workshop"];

const TESTKIT: &str = "xtask-testkit";
const LAUNCHER: &str = "xtask";

/// A dependency of one of our packages.
struct Dependency {
    name: String,
    /// `normal`, `build` or `dev`.
    kind: String,
}

/// Our packages with their folders and dependencies, as cargo reports them.
fn packages() -> BTreeMap<String, (Utf8PathBuf, Vec<Dependency>)> {
    let mut command = cargo(&repository());
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let json = Outcome::of(&mut command).expect_code(0).stdout;
    let metadata: Value = serde_json::from_str(&json).unwrap();
    let package = |package: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let dependencies = package["dependencies"].as_array().unwrap().iter().map(|dependency| Dependency {
            name: text(&dependency["name"]),
            kind: dependency["kind"].as_str().unwrap_or("normal").to_owned(),
        });
        let manifest = Utf8PathBuf::from(text(&package["manifest_path"]));
        (text(&package["name"]), (manifest.parent().unwrap().to_owned(), dependencies.collect()))
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn row(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&name))
}

/// What is wrong with a dependency of `importer`, if anything is.
fn objection(importer: &str, dependency: &str, kind: &str, ours: &BTreeSet<String>) -> Option<String> {
    if importer == LAUNCHER {
        return Some("the launcher has no dependencies: it compiles in every adopting repo".to_owned());
    }
    if dependency == "clap" && !FACES.contains(&importer) {
        return Some("only the programs know the command line".to_owned());
    }
    if !ours.contains(dependency) {
        return None;
    }
    let importer_row = match row(importer) {
        Some(row) => row,
        None if importer == TESTKIT => return Some("testkit imports nothing of ours".to_owned()),
        None => return Some("the importer has no row".to_owned()),
    };
    match (kind, row(dependency)) {
        ("dev", _) if dependency == TESTKIT => None,
        ("dev", _) => Some("testkit is our only dev-dependency".to_owned()),
        (_, Some(row)) if row < importer_row => None,
        _ => Some("a crate imports from lower rows only".to_owned()),
    }
}

#[test]
fn imports_run_one_way() {
    let packages = packages();
    let ours = packages.keys().cloned().collect::<BTreeSet<_>>();
    for name in &ours {
        assert!(row(name).is_some() || [TESTKIT, LAUNCHER].contains(&name.as_str()), "{name} has no row");
    }
    let mut objections = Vec::new();
    for (importer, (_, dependencies)) in &packages {
        for Dependency { name, kind } in dependencies {
            let why = objection(importer, name, kind, &ours);
            objections.extend(why.map(|why| format!("{importer} → {name} ({kind}): {why}")));
        }
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn the_rule_knows_what_it_forbids() {
    let ours = ROWS.concat().into_iter().chain([TESTKIT, LAUNCHER]).map(str::to_owned).collect();
    // importer, dependency, kind, whether it may be
    let table = [
        ("xtask-suite", "xtask-files", "normal", true),
        ("xtask-suite", "clap", "normal", true),
        ("xtask-workshop", "clap", "normal", true),
        ("xtask-workshop", "xtask-suite", "normal", true),
        ("xtask-suite", "xtask-tools", "normal", false),
        ("xtask-suite", "xtask-sweep", "normal", false),
        ("xtask-tiers", "xtask-units", "normal", true),
        ("xtask-files", "anyhow", "normal", true),
        ("xtask-units", "xtask-testkit", "dev", true),
        ("xtask-units", "xtask-testkit", "normal", false),
        ("xtask-units", "xtask-files", "dev", false),
        ("xtask-units", "xtask-stats", "normal", false),
        ("xtask-files", "xtask-workspace", "normal", false),
        ("xtask-workspace", "xtask-suite", "build", false),
        ("xtask-testkit", "xtask-files", "normal", false),
        ("xtask-tiers", "clap", "normal", false),
        ("xtask", "anyhow", "normal", false),
    ];
    for (importer, dependency, kind, may) in table {
        assert_eq!(objection(importer, dependency, kind, &ours).is_none(), may, "{importer} → {dependency}");
    }
}

#[test]
fn only_the_programs_print() {
    let macros = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];
    let mut found = Vec::new();
    for (name, (dir, _)) in packages() {
        // Testkit says which folder a failing test has left.
        if name == TESTKIT || FACES.contains(&name.as_str()) {
            continue;
        }
        // What `adopt` writes into other workspaces is no code of its crate.
        let own = |path: &Utf8PathBuf| !path.starts_with(dir.join("src/put/files"));
        for path in rust_files(&dir.join("src")).into_iter().filter(own) {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().enumerate().filter(|(_, line)| calls(line, &macros));
            found.extend(lines.map(|(number, line)| format!("{path}:{}: {}", number + 1, line.trim())));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Where the sources are copied to, a test of ours would run among the workspace's own.
#[test]
fn the_sources_of_the_launcher_hold_no_tests() {
    let (dir, _) = packages().remove(LAUNCHER).unwrap();
    let sources = rust_files(&dir.join("src"));
    assert!(!sources.is_empty());
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("cfg(test)") && !text.contains("#[test]"), "{path} holds tests");
    }
}

fn rust_files(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = dir.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension() == Some("rs")).collect()
}

/// Whether the line begins a statement or an expression with one of the macros: one in a string does not count.
fn calls(line: &str, macros: &[&str]) -> bool {
    let code = line.split('"').next().unwrap_or(line);
    let code = code.split("//").next().unwrap_or(code);
    macros.iter().any(|name| {
        code.match_indices(name).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
        })
    })
}

#[test]
fn a_print_is_seen_where_it_is_one() {
    let table = [
        ("    println!(\"x\");", true),
        ("let x = || eprint!(\"x\");", true),
        ("std::println!(\"x\")", true),
        ("// println!(\"x\")", false),
        ("let text = \"println!()\";", false),
        ("my_println!(\"x\")", false),
    ];
    for (line, prints) in table {
        assert_eq!(calls(line, &["println!", "eprint!"]), prints, "{line}");
    }
}

/// The programs that people build.
const PROGRAMS: [&str; 2] = ["xtask-suite", "xtask-workshop"];

/// What the program is made of: each package as cargo names it (`name v1.2.3`), with its features.
fn tree(program: &str) -> BTreeMap<String, String> {
    let mut command = cargo(&repository());
    // One target for everybody, so that the list does not depend on who runs the test.
    command.args(["tree", "--package", program, "--target", "x86_64-unknown-linux-gnu"]);
    command.args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}\t{f}", "--locked"]);
    let tree = Outcome::of(&mut command).expect_code(0).stdout;
    // `name v1.2.3 (proc-macro)`, features, and `(*)` where it was listed before.
    let lines = tree.lines().map(|line| line.strip_suffix(" (*)").unwrap_or(line));
    lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, features)| (name.into(), features.into()))
        .collect()
}

/// Every crate in a program is compiled by everybody before it helps them: a new one is a decision.
#[test]
fn the_programs_are_made_of_the_crates_that_were_decided_on() {
    for program in PROGRAMS {
        // A name with two versions is listed twice.
        let tree = tree(program);
        let names = tree.keys().filter_map(|package| package.split_whitespace().next());
        let list = names.map(|name| format!("{name}\n")).collect::<Vec<_>>().concat();
        assert_current(&format!("crates/workshop/tests/allowed-dependencies/{program}.txt"), &list);
    }
}

/// The second program is built on top of the first: with other features a dependency, and all that is above it, would be
/// compiled once more.
#[test]
fn what_both_programs_are_made_of_is_compiled_once() {
    let [daily, workshop] = PROGRAMS.map(tree);
    let differences = daily.iter().filter(|(package, features)| workshop.get(*package) != Some(features));
    let differences = differences
        .map(|(package, features)| format!("{package} has {features:?}, not {:?}", workshop.get(package)))
        .collect::<Vec<_>>();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_published_package_holds_its_licences_and_says_what_it_is() {
    let mut command = cargo(&repository());
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&Outcome::of(&mut command).expect_code(0).stdout).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            assert!([TESTKIT, LAUNCHER].contains(&name), "{name} cannot be published");
            continue;
        }
        for key in ["description", "license", "repository", "readme", "rust_version"] {
            assert!(package[key].is_string(), "{name} has no {key}");
        }
        for key in ["authors", "keywords", "categories"] {
            assert!(package[key].as_array().is_some_and(|values| !values.is_empty()), "{name} has no {key}");
        }
        let mut list = cargo(&repository());
        list.args(["package", "--list", "--allow-dirty", "--package", name]);
        let files = Outcome::of(&mut list).expect_code(0).stdout;
        for file in ["LICENSE-MIT", "LICENSE-APACHE", "README.md"] {
            assert!(files.lines().any(|line| line == file), "{name} is packaged without {file}");
        }
        let dir = Utf8Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let [own, root] = [dir, &repository()].map(|dir| fs::read_to_string(dir.join(licence)).unwrap());
            assert!(own == root, "{name} has another {licence} than the repository");
        }
    }
}

/// A script that does not parse is found here, not on the machine that runs it.
#[test]
fn the_script_of_ci_parses() {
    let mut command = Command::new("bash");
    command.arg("-n").arg(repository().join(".ci/run"));
    Outcome::of(&mut command).expect_code(0);
}

/// The launcher has no dependencies, so it has a list of its own.
#[test]
fn the_launcher_knows_the_workshops_commands() {
    assert_eq!(place::WORKSHOP, xtask_suite::program::WORKSHOP);
    // words, program
    let table = [
        ("test-fast", "xtask-suite"),
        ("", "xtask-suite"),
        ("--help", "xtask-suite"),
        ("help setup", "xtask-suite"),
        ("setup --dry-run", "xtask-workshop"),
        ("-C /w --json disk", "xtask-workshop"),
        ("--color never -v doctor", "xtask-workshop"),
        ("-C setup test-fast", "xtask-suite"),
        ("-Csetup --color=setup version", "xtask-workshop"),
        ("with full -- setup", "xtask-suite"),
    ];
    for (words, name) in table {
        let args = words.split_whitespace().map(Into::into).collect::<Vec<_>>();
        assert_eq!(place::Program::of(&args).name(), name, "{words}");
    }
}
