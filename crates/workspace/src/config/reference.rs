//! The user's reference of `xtask.toml`, in Markdown.

use super::FILE_NAME;
use super::keys::{Items, Key, Kind, Section};
use super::members::Members;
use super::presets::COMMON;
use super::problem::one_of;

/// An annotated file with every key. It needs members `core` (feature `serde`) and `cli` (feature `cli`).
pub const EXAMPLE: &str = include_str!("example.toml");

const INTRO: &str = "\
An optional file at the workspace root. It changes the tiers that `cargo xtask` brings along, adds others, and
names feature selections. Nothing in it is required, and a file that is not there means the defaults.

A mistake is reported with its line and column; all mistakes of the file are reported at once.

Editors with [Taplo](https://taplo.tamasfe.dev) (such as VS Code with Even Better TOML) complete and check the
file if its first line names the schema: `#:schema ./path/to/xtask.schema.json`.";

/// The reference: an introduction, what holds without a file, a table of keys per section, and [`EXAMPLE`].
#[must_use]
pub fn reference_markdown() -> String {
    let sections: String = Section::ALL.into_iter().map(section).collect();
    format!(
        "# {FILE_NAME}\n\n{INTRO}\n\n## Defaults\n\n{}\n{sections}## Example\n\n```toml\n{EXAMPLE}```\n",
        defaults()
    )
}

/// The default tiers and presets of a workspace that has the `common` feature.
fn defaults() -> String {
    let defaults = super::Config::defaults(&Members::from_iter([("member", [COMMON])]));
    let tiers = lines(defaults.tiers.iter().map(|tier| format!("| `{}` | {} |", tier.name, tier.about)));
    format!(
        "| Tier | What it does |\n|---|---|\n{tiers}\n\
         `lint` fails on warnings. `test-full` is meant for continuous integration.\n\n\
         | Preset | Features |\n|---|---|\n\
         | `minimal` | no default features |\n\
         | `{COMMON}` | default features, and `{COMMON}` in every member that has it; exists only if one has it |\n\
         | `full` | all features |\n\n\
         Without `{COMMON}`, the tier `test-{COMMON}` runs with default features.\n"
    )
}

fn section(section: Section) -> String {
    let rows = lines(section.keys().map(row));
    format!(
        "## `{}`\n\n{}\n\n| Key | Meaning | Value | Default | Example |\n|---|---|---|---|---|\n{rows}\n",
        section.header(),
        section.doc()
    )
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}

fn row(key: &Key) -> String {
    format!("| `{}` | {} | {} | {} | `{}` |", key.name, key.doc, kind(key.kind), key.default, key.example)
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Text => "string".to_owned(),
        Kind::Choice(words) => one_of(words),
        Kind::Bool => "boolean".to_owned(),
        Kind::Integer => "integer, 0 or more".to_owned(),
        Kind::Duration => "duration".to_owned(),
        Kind::Age([]) => "age".to_owned(),
        Kind::Age(words) => format!("age, or {}", one_of(words)),
        Kind::Bytes => "size".to_owned(),
        Kind::List(items) => list(items),
        Kind::Variables => "table of strings".to_owned(),
        Kind::Table(keys) => format!("table of strings under {}", one_of(keys)),
        Kind::Requirement => "version requirement".to_owned(),
        Kind::Archives => "list of tables".to_owned(),
        Kind::ChoiceOrList(words, items) => format!("{}; or {}", one_of(words), list(items)),
    }
}

fn list(items: Items) -> String {
    match items {
        Items::Distinct | Items::Arguments => "list of strings".to_owned(),
        Items::Globs => "list of glob patterns".to_owned(),
        Items::Commands => "list of cargo commands".to_owned(),
        Items::OneOf(words) => format!("list of {}", one_of(words).replace(" or ", " and ")),
    }
}
