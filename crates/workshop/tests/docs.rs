//! What users read is true: references are made from the code. `tests/examples` runs every example.
//!
//! `XTASK_SUITE_BLESS=1` rewrites what is out of date instead of failing for it.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use camino::Utf8Path;
use xtask_testkit::{BareMachine, Fixture, Outcome};
use xtask_workspace::config::{Config, FILE_NAME};
use xtask_workspace::{Environment, Facts, LocalPackage, Workspace};

mod generated;
mod markdown;

use generated::{assert_current, repository};
use markdown::{documents, pieces};

const SUITE: &str = env!("CARGO_BIN_EXE_xtask-workshop");

/// Subcommands of our own, which no tier may be named after.
const COMMANDS: [&str; 12] = [
    "setup",
    "doctor",
    "clean-stale",
    "disk",
    "preset",
    "with",
    "verdicts",
    "test-inputs",
    "adopt",
    "version",
    "completions",
    "schema",
];

#[test]
fn the_command_reference_is_current() {
    // In a workspace without a file: the commands that everybody has.
    let workspace = Fixture::new(
        "commands",
        &[("Cargo.toml", "[package]\nname = \"app\"\nedition = \"2024\"\n"), ("src/lib.rs", "")],
    );
    let machine = BareMachine::new("commands");
    let mut markdown = include_str!("docs/commands.md").to_owned();
    describe(&machine, workspace.root(), &mut Vec::new(), &mut markdown);
    let tiers = Config::defaults(&Facts::default()).tiers;
    let commands = tiers.iter().map(|tier| tier.name.as_str()).chain(COMMANDS).collect::<Vec<_>>();
    let described =
        markdown.lines().filter_map(|line| line.strip_prefix("## `cargo xtask ")?.strip_suffix('`'));
    assert_eq!(described.filter(|name| !name.contains(' ')).collect::<Vec<_>>(), commands);
    assert_current("docs/commands.md", &markdown);
}

/// Adds the help of the command at `path`, as the binary prints it, and of the commands below.
fn describe(machine: &BareMachine, root: &Utf8Path, path: &mut Vec<String>, markdown: &mut String) {
    let mut command = machine.command("env", root);
    let help = Outcome::of(command.arg(SUITE).args(&*path).arg("--help")).expect_code(0).stdout;
    let name = std::iter::once("cargo xtask").chain(path.iter().map(String::as_str));
    let name = name.collect::<Vec<_>>().join(" ");
    let _ = write!(markdown, "\n## `{name}`\n\n```text\n{}\n```\n", help.trim_end());
    // Two spaces before a name; lines that go on are further in.
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names = names.filter(|name| !name.starts_with(' ')).filter_map(|line| line.split(' ').next());
    // `help` takes a command's name, and no flags.
    for name in names.filter(|name| *name != "help") {
        path.push(name.to_owned());
        describe(machine, root, path, markdown);
        path.pop();
    }
}

#[test]
fn every_configuration_in_the_documents_is_valid() {
    let package = |(name, feature): (&str, &str)| LocalPackage {
        name: name.to_owned(),
        member: true,
        features: [(feature.to_owned(), Vec::new())].into(),
        ..LocalPackage::default()
    };
    let packages = [("core", "serde"), ("cli", "cli"), ("store", "")].map(package);
    let facts = Facts { packages: packages.into(), ..Facts::default() };
    let mut blocks = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for (_, block) in pieces(&text, "toml").into_iter().filter(|(inside, _)| *inside) {
            let parsed = Config::parse(&block, Utf8Path::new(FILE_NAME), &facts, &COMMANDS);
            assert!(parsed.is_ok(), "{path}:\n{block}\n{}", parsed.unwrap_err());
            blocks += 1;
        }
    }
    assert!(blocks >= 2, "the documents show xtask.toml");
}

#[test]
fn our_own_configuration_has_each_alias_and_names_the_schema() {
    let text = fs::read_to_string(repository().join(FILE_NAME)).unwrap();
    assert!(text.starts_with("#:schema ./xtask.schema.json\n"));
    let facts = Workspace::load(&repository(), Environment::current()).unwrap().facts;
    let config = Config::parse(&text, Utf8Path::new(FILE_NAME), &facts, &COMMANDS);
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    // `cargo test-fast` is `cargo xtask test-fast`.
    let cargo_config = fs::read_to_string(repository().join(".cargo/config.toml")).unwrap();
    for tier in &config.tiers {
        let alias = format!("{0} = \"xtask {0}\"", tier.name);
        assert!(cargo_config.lines().any(|line| line == alias), ".cargo/config.toml lacks: {alias}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = BTreeSet::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = file.contains("://") || file.is_empty();
            if !elsewhere && !path.with_file_name("").join(file).exists() {
                broken.insert(format!("{path}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Files that a text about the sources names in backticks.
#[test]
fn every_file_that_is_named_is_there() {
    // Names that a reader fills in, files of a workspace that adopted the suite, and crates that do not exist yet.
    let to_come = [
        "crates/suite/src/NAME.rs",
        "crates/workshop/src/NAME.rs",
        ".cargo/xtask.local.toml",
        ".cargo/xtask-tools",
        "crates/advise/",
    ];
    let adopted = ["xtask/tasks/", "xtask/suite/", "xtask/adopted.json"];
    let mut missing = BTreeSet::new();
    let mut named = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let words = text.split('`').filter(|word| word.contains('/') && !word.contains(char::is_whitespace));
        let ours = ["crates/", "xtask/", "docs/", "scripts/", ".ci/", ".cargo/"];
        for word in words.filter(|word| ours.iter().any(|folder| word.starts_with(folder))) {
            named += 1;
            let elsewhere = to_come.contains(&word) || adopted.iter().any(|start| word.starts_with(start));
            if !elsewhere && !repository().join(word).exists() {
                missing.insert(format!("{path}: {word}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named > 20, "only {named} names were found");
}
