//! Tests of the whole module on the text of files.

mod errors;
mod generated;
mod robust;
#[cfg(feature = "heavy")]
mod schema;
mod values;

use super::section::{Key, Section};
use super::{Config, SECTIONS};
use crate::{Facts, LocalPackage, WrongUsage};
use camino::Utf8Path;

/// An annotated file. It needs members `core` (feature `serde`) and `cli` (feature `cli`).
const EXAMPLE: &str = include_str!("example.toml");

/// A workspace with these members, each with its features.
fn facts_of(members: &[(&str, &[&str])]) -> Facts {
    let member = |(name, features): &(&str, &[&str])| LocalPackage {
        name: (*name).to_owned(),
        member: true,
        features: features.iter().map(|feature| ((*feature).to_owned(), Vec::new())).collect(),
        ..LocalPackage::default()
    };
    Facts { packages: members.iter().map(member).collect(), ..Facts::default() }
}

/// The members that all tests know.
fn facts() -> Facts {
    facts_of(&[("core", &["serde", "core", "cli"]), ("cli", &["cli"])])
}

fn parse(text: &str) -> Result<Config, WrongUsage> {
    Config::parse(text, Utf8Path::new("xtask.toml"), &facts(), &["setup", "clean-stale"])
}

fn accept(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("refused:\n{text}\n{errors}"))
}

/// Every key of every section.
fn keys() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    SECTIONS.into_iter().flat_map(|section| section.keys.iter().map(move |key| (section, key)))
}
