//! The JSON schema of `xtask.toml`, for completion and checks in editors.
//!
//! It accepts every file that the parser accepts. It rejects unknown keys and wrong values as the parser does,
//! but cannot know which packages, features and presets exist, nor which settings exclude each other.

use super::keys::{Items, Key, Kind, Section};
use super::read::NAME_PATTERN;
use super::tiers::default_tiers;
use super::{bytes, duration};
use serde_json::{Map, Value, json};

/// Strings with at least one character and no control character.
const TEXT_PATTERN: &str = r"^\P{Cc}+$";

/// One or several comparisons; the whole grammar is the parser's to check.
const REQUIREMENT_PATTERN: &str =
    r"^ *(\*|(=|>=|<=|>|<|~|\^)? *[0-9][0-9A-Za-z.*+ -]*(, *(=|>=|<=|>|<|~|\^)? *[0-9][0-9A-Za-z.*+ -]*)*)$";

/// The schema as pretty-printed JSON, draft 2020-12, with a line end.
#[must_use]
pub fn json_schema() -> String {
    let properties: Map<_, _> = Section::ALL
        .map(|section| (section.name().to_owned(), section_schema(section)))
        .into_iter()
        .collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": super::FILE_NAME,
        "description": "Tiers, presets, affected packages, the build dir and tools of a workspace that uses xtask-suite.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": { "tier": keys_schema(Section::Tiers), "preset": keys_schema(Section::Presets), "tool": keys_schema(Section::Tools) },
    });
    format!("{schema:#}\n")
}

fn section_schema(section: Section) -> Value {
    let tables = match section {
        Section::Affected | Section::Sweep | Section::Setup => keys_schema(section),
        Section::Presets => tables_of("preset"),
        Section::Tools => tables_of("tool"),
        Section::Tiers => {
            let overrides: Map<_, _> = default_tiers()
                .map(|tier| (tier.name, json!({ "$ref": "#/$defs/tier" })))
                .into_iter()
                .collect();
            json!({
                "type": "object",
                "propertyNames": { "pattern": NAME_PATTERN },
                "properties": overrides,
                "additionalProperties": { "$ref": "#/$defs/tier", "required": ["command"] },
            })
        }
    };
    described(tables, section.doc())
}

/// A table per name, each of the kind `definition`.
fn tables_of(definition: &str) -> Value {
    json!({
        "type": "object",
        "propertyNames": { "pattern": NAME_PATTERN },
        "additionalProperties": { "$ref": format!("#/$defs/{definition}") },
    })
}

/// The schema of a table of the section's keys.
fn keys_schema(section: Section) -> Value {
    let properties: Map<_, _> = section.keys().map(|key| (key.name.to_owned(), key_schema(key))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn key_schema(key: &Key) -> Value {
    let description = format!("{} Default: {}.", key.doc, key.default);
    described(kind_schema(key.kind), &description)
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

fn kind_schema(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string", "pattern": TEXT_PATTERN }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Duration => json!({ "anyOf": [
            { "type": "string", "pattern": duration::PATTERN },
            { "type": "integer", "minimum": 1, "maximum": duration::MAX },
        ] }),
        Kind::Age(words) => {
            let duration = json!({ "type": "string", "pattern": duration::PATTERN });
            let seconds = json!({ "type": "integer", "minimum": 0, "maximum": duration::MAX });
            json!({ "anyOf": [{ "enum": words }, duration, seconds] })
        }
        Kind::Bytes => json!({ "type": "string", "pattern": bytes::PATTERN }),
        Kind::List(items) => list_schema(items),
        Kind::Variables => json!({
            "type": "object",
            "propertyNames": { "pattern": r"^[^=\x00]+$" },
            "additionalProperties": { "type": "string", "pattern": r"^[^\x00]*$" },
        }),
        Kind::Table(keys) => {
            let properties: Map<_, _> =
                keys.iter().map(|key| ((*key).to_owned(), kind_schema(Kind::Text))).collect();
            json!({ "type": "object", "properties": properties, "additionalProperties": false })
        }
        Kind::Requirement => json!({ "type": "string", "pattern": REQUIREMENT_PATTERN }),
        Kind::Archives => {
            let text = || kind_schema(Kind::Text);
            json!({ "type": "array", "items": {
                "type": "object",
                "properties": {
                    "host": text(),
                    "version": text(),
                    "url": { "type": "string", "pattern": r"^https://\P{Cc}*$" },
                    "sha256": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
                    "binary": text(),
                },
                "required": ["host", "version", "url", "sha256"],
                "additionalProperties": false,
            } })
        }
        Kind::ChoiceOrList(words, items) => {
            let mut list = list_schema(items);
            list["minItems"] = 1.into();
            json!({ "anyOf": [{ "enum": words }, list] })
        }
    }
}

fn list_schema(items: Items) -> Value {
    let item = match items {
        Items::OneOf(words) => json!({ "enum": words }),
        // The whole grammar of a shell's words is the parser's to check.
        Items::Commands => json!({ "type": "string", "pattern": r"^(\P{Cc}* )?cargo \P{Cc}+$" }),
        Items::Distinct | Items::Arguments | Items::Globs => kind_schema(Kind::Text),
    };
    json!({ "type": "array", "items": item, "uniqueItems": items != Items::Arguments })
}
