//! What is made from the declarations: the JSON schema, and the reference in the documentation.
//!
//! `XTASK_SUITE_BLESS=1` rewrites files that are out of date.

use super::super::kind::{Field, Kind, MAX_SECONDS};
use super::super::section::{Key, Section};
use super::super::tiers::{COMMON, default_tiers};
use super::super::{Config, FILE_NAME, SECTIONS};
use super::{EXAMPLE, accept, facts_of, keys};
use camino::Utf8Path;
use serde_json::{Map, Value, json};
use std::fs;

const DURATION: &str = "^[1-9][0-9]{0,8}(ms|s|min|h|d)( [1-9][0-9]{0,8}(ms|s|min|h|d))*$";
const SIZE: &str = "^(0|[1-9][0-9]{0,8})(\\.[0-9]{1,3})? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$";
/// One or several comparisons; only the parser checks the whole grammar.
const REQUIREMENT: &str =
    r"^ *(\*|(=|>=|<=|>|<|~|\^)? *[0-9][0-9A-Za-z.*+ -]*(, *(=|>=|<=|>|<|~|\^)? *[0-9][0-9A-Za-z.*+ -]*)*)$";
const NAME: &str = "^[a-z0-9][a-z0-9-]*$";

const INTRO: &str = "\
An optional file at the workspace root. It changes the tiers that `cargo xtask` brings along, adds others, and
names feature selections. Nothing in it is required, and a file that is not there means the defaults.

A mistake is reported with its line and column; all mistakes of the file are reported at once.

Editors with [Taplo](https://taplo.tamasfe.dev) (such as VS Code with Even Better TOML) complete and check the
file if its first line names the schema: `#:schema ./path/to/xtask.schema.json`.";

/// Fails unless the file holds exactly `expected`, which is first written if that is asked for.
#[expect(clippy::disallowed_methods, reason = "the file is in git")]
fn assert_current(path: &str, expected: &str) {
    let file = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var("XTASK_SUITE_BLESS").is_ok_and(|bless| bless == "1") {
        fs::write(&file, expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap();
    assert!(found == expected, "{path} is out of date; XTASK_SUITE_BLESS=1 rewrites it");
}

#[test]
fn the_schema_is_current() {
    assert_current("src/config/schema.json", &format!("{}\n", schema()));
    assert_current("../../xtask.schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn the_reference_is_current() {
    assert_current("../../docs/configuration.md", &reference());
}

#[test]
fn the_reference_holds_the_example_and_every_key() {
    accept(EXAMPLE);
    let reference = reference();
    for (_, key) in keys() {
        assert!(reference.contains(&format!("\n| `{}` | {} |", key.name, key.doc)), "{}", key.name);
    }
    for line in reference.lines().filter(|line| line.starts_with('|')) {
        assert!([3, 6].contains(&line.matches('|').count()), "{line}");
    }
}

#[test]
fn every_key_is_described_in_the_schema() {
    let schema = schema();
    let described = |pointer: &str| schema.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    for (section, key) in keys() {
        let table = if section.is_named() { "$defs" } else { "properties" };
        let pointer = format!("/{table}/{}/properties/{}/description", section.name(), key.name);
        assert!(described(&pointer).starts_with(key.doc), "{key:?}");
    }
    for section in SECTIONS {
        assert_eq!(described(&format!("/properties/{}/description", section.name())), section.doc);
    }
}

/// The reference: an introduction, the defaults, a table of keys per section, and [`EXAMPLE`].
fn reference() -> String {
    let sections: String = SECTIONS.into_iter().map(section).collect();
    format!(
        "# {FILE_NAME}\n\n{INTRO}\n\n## Defaults\n\n{}\n{sections}## Example\n\n```toml\n{EXAMPLE}```\n",
        defaults()
    )
}

/// The default tiers and presets of a workspace that has the `common` feature.
fn defaults() -> String {
    let defaults = Config::defaults(&facts_of(&[("member", &[COMMON])]));
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

/// The schema, draft 2020-12.
fn schema() -> Value {
    let properties = SECTIONS.map(|section| (section.name().to_owned(), section_schema(section)));
    let named = SECTIONS.into_iter().filter(|section| section.is_named());
    let definitions = named.map(|section| (section.name().to_owned(), keys_schema(section)));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FILE_NAME,
        "description": "Tiers, presets, affected packages, the build dir and tools of a workspace that uses xtask-suite.",
        "type": "object",
        "properties": Map::from_iter(properties),
        "additionalProperties": false,
        "$defs": definitions.collect::<Map<_, _>>(),
    })
}

fn section_schema(section: &Section) -> Value {
    let mut schema = if section.is_named() {
        let table = json!({ "$ref": format!("#/$defs/{}", section.name()) });
        let mut schema = json!({ "type": "object", "additionalProperties": table });
        if section.name() != "test-inputs" {
            schema["propertyNames"] = json!({ "pattern": NAME });
        }
        schema
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
        let mut schema = kind_schema(key.kind);
        schema["description"] = format!("{} Default: {}.", key.doc, key.default).into();
        (key.name.to_owned(), schema)
    });
    json!({ "type": "object", "properties": properties.collect::<Map<_, _>>(), "additionalProperties": false })
}

/// The JSON schema of such a value.
fn kind_schema(kind: Kind) -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match kind {
        Kind::Text | Kind::Glob => json!({ "type": "string", "minLength": 1 }),
        // The whole grammar of a shell's words is the parser's to check.
        Kind::Command => pattern(r"^(\P{Cc}* )?cargo \P{Cc}+$"),
        Kind::Requirement => pattern(REQUIREMENT),
        Kind::Url => pattern(r"^https://\P{Cc}*$"),
        Kind::Sha256 => pattern("^[0-9a-f]{64}$"),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Duration => json!({ "anyOf": [
            pattern(DURATION),
            { "type": "integer", "minimum": 1, "maximum": MAX_SECONDS },
        ] }),
        Kind::Age(words) => json!({ "anyOf": [
            { "enum": words },
            pattern(DURATION),
            { "type": "integer", "minimum": 0, "maximum": MAX_SECONDS },
        ] }),
        Kind::Size => pattern(SIZE),
        Kind::Percent => pattern("^(0|[1-9][0-9]?|100)%$"),
        Kind::List(of) => json!({ "type": "array", "items": kind_schema(*of) }),
        Kind::ChoiceOr(words, other) => {
            let mut list = kind_schema(*other);
            list["minItems"] = 1.into();
            json!({ "anyOf": [{ "enum": words }, list] })
        }
        Kind::Strings => json!({
            "type": "object",
                "additionalProperties": { "type": "string" },
        }),
        Kind::Table(fields) => {
            let properties = fields
                .iter()
                .map(|field: &Field| (field.name.to_owned(), kind_schema(field.kind)))
                .collect::<Map<_, _>>();
            let required = fields.iter().filter(|field| field.required).map(|field| field.name);
            let required = required.collect::<Vec<_>>();
            json!({
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            })
        }
    }
}
