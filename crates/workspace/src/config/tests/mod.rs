//! Tests of the whole module on the text of files.

mod errors;
mod robust;
#[cfg(feature = "heavy")]
mod schema;
mod values;

use super::section::{Key, Section};
use super::{Config, ConfigErrors, Members, SECTIONS};
use camino::Utf8Path;

/// The members that all tests know: `core` with features `serde`, `core` and `cli`, and `cli` with `cli`.
fn members() -> Members<'static> {
    Members::from_iter([("core", vec!["serde", "core", "cli"]), ("cli", vec!["cli"])])
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, Utf8Path::new("xtask.toml"), &members(), &["setup", "clean-stale"])
}

fn accept(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("refused:\n{text}\n{errors}"))
}

/// Every key of every section.
fn keys() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    SECTIONS.into_iter().flat_map(|section| section.keys.iter().map(move |key| (section, key)))
}
