//! What people and editors read of `xtask.toml`: the reference in Markdown, and the JSON schema.
//!
//! The schema accepts every file that the parser accepts. It rejects unknown keys and wrong values as the parser does,
//! but cannot know which packages, features and presets exist, nor which settings exclude each other.

use super::presets::COMMON;
use super::section::{Key, NAME_PATTERN, Section};
use super::tiers::default_tiers;
use super::{FILE_NAME, Members, SECTIONS};
use serde_json::{Map, Value, json};

/// An annotated file. It needs members `core` (feature `serde`) and `cli` (feature `cli`).
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
    let sections: String = SECTIONS.into_iter().map(section).collect();
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

fn section(section: &Section) -> String {
    let rows = lines(section.keys.iter().map(|key| {
        let Key { name, kind, default, doc, example } = key;
        format!("| `{name}` | {doc} | {} | {default} | `{example}` |", kind.noun())
    }));
    format!(
        "## `{}`\n\n{}\n\n| Key | Meaning | Value | Default | Example |\n|---|---|---|---|---|\n{rows}\n",
        section.header, section.doc
    )
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}

/// The schema as pretty-printed JSON, draft 2020-12, with a line end.
#[must_use]
pub fn json_schema() -> String {
    let properties = SECTIONS.map(|section| (section.name().to_owned(), section_schema(section)));
    let named = SECTIONS.into_iter().filter(|section| section.is_named());
    let definitions = named.map(|section| (section.name().to_owned(), keys_schema(section)));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FILE_NAME,
        "description": "Tiers, presets, affected packages, the build dir and tools of a workspace that uses xtask-suite.",
        "type": "object",
        "properties": Map::from_iter(properties),
        "additionalProperties": false,
        "$defs": definitions.collect::<Map<_, _>>(),
    });
    format!("{schema:#}\n")
}

fn section_schema(section: &Section) -> Value {
    let mut schema = if section.is_named() {
        let table = json!({ "$ref": format!("#/$defs/{}", section.name()) });
        json!({ "type": "object", "propertyNames": { "pattern": NAME_PATTERN }, "additionalProperties": table })
    } else {
        keys_schema(section)
    };
    if section.name() == "tiers" {
        let table = schema["additionalProperties"].clone();
        schema["properties"] = default_tiers().map(|tier| (tier.name, table.clone())).into_iter().collect();
        schema["additionalProperties"]["required"] = json!(["command"]);
    }
    schema["description"] = section.doc.into();
    schema
}

/// The schema of a table of the section's keys.
fn keys_schema(section: &Section) -> Value {
    let properties = section.keys.iter().map(|key| {
        let mut schema = key.kind.schema();
        schema["description"] = format!("{} Default: {}.", key.doc, key.default).into();
        (key.name.to_owned(), schema)
    });
    json!({ "type": "object", "properties": properties.collect::<Map<_, _>>(), "additionalProperties": false })
}
