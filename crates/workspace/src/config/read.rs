//! From TOML to [`Settings`]: sections, keys and types, checked against the table of keys.
//!
//! Nothing here knows what a key means, so a new key needs no new code.

use super::keys::{self, Key, Section};
use super::problem::{Problems, did_you_mean};
use super::settings::Settings;
use super::value::Reader;
use toml_edit::{Item, Table, TableLike};

/// Names that are a word on the command line: no leading `-`.
pub(super) const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9-]*$";

/// The file's tables, in file order.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) tiers: Vec<Settings>,
    pub(super) presets: Vec<Settings>,
    pub(super) affected: Option<Settings>,
    pub(super) sweep: Option<Settings>,
    pub(super) setup: Option<Settings>,
    pub(super) tools: Vec<Settings>,
}

/// Reads all tables of the file and reports what is no section, no key or of the wrong type.
pub(super) fn sections(root: &Table, problems: &mut Problems<'_>) -> Sections {
    let mut sections = Sections::default();
    for (name, offset, item) in entries(root) {
        let Some(section) = Section::ALL.into_iter().find(|section| section.name() == name) else {
            problems.add(offset, format!("unknown section `{name}`"), unknown_section_hint(name));
            continue;
        };
        let Some(table) = table(item, offset, &format!("`{name}`"), problems) else { continue };
        match section {
            Section::Tiers => sections.tiers = named(section, table, problems),
            Section::Presets => sections.presets = named(section, table, problems),
            Section::Affected => sections.affected = Some(settings(section, "", offset, table, problems)),
            Section::Sweep => sections.sweep = Some(settings(section, "", offset, table, problems)),
            Section::Setup => sections.setup = Some(settings(section, "", offset, table, problems)),
            Section::Tools => sections.tools = named(section, table, problems),
        }
    }
    sections
}

/// The tables of a section that holds one table per name.
fn named(section: Section, tables: &dyn TableLike, problems: &mut Problems<'_>) -> Vec<Settings> {
    let mut all = Vec::new();
    for (name, offset, item) in entries(tables) {
        if !is_name(name) {
            let message = format!("`{name}` in [{}] is not usable as a name", section.name());
            let hint = "use lowercase letters, digits and `-`, and start with a letter or digit".to_owned();
            problems.add(offset, message, Some(hint));
        }
        if let Some(table) = table(item, offset, &format!("`{name}` in [{}]", section.name()), problems) {
            all.push(settings(section, name, offset, table, problems));
        }
    }
    all
}

fn settings(
    section: Section,
    name: &str,
    offset: usize,
    table: &dyn TableLike,
    problems: &mut Problems<'_>,
) -> Settings {
    let mut settings = Settings::new(section, name, offset);
    for (name, offset, item) in entries(table) {
        if let Some(key) = section.keys().find(|key| key.name == name) {
            let value = Reader { label: settings.label(name), problems }.value(key.kind, item, offset);
            settings.insert(key.name, offset, value);
        } else {
            let message = format!("unknown key `{name}` in {}", settings.header());
            problems.add(offset, message, unknown_key_hint(section, name));
        }
    }
    settings
}

/// The item as a table, or a problem; the offset is the key's.
fn table<'t>(
    item: &'t Item,
    key: usize,
    label: &str,
    problems: &mut Problems<'_>,
) -> Option<&'t dyn TableLike> {
    let table = item.as_table_like();
    if table.is_none() {
        let offset = value_offset(item, key);
        let message = format!("{label}: expected a table, found {}", type_name(item.type_name()));
        problems.add(offset, message, None);
    }
    table
}

/// The entries of a table with the byte offsets of their keys.
pub(super) fn entries(table: &dyn TableLike) -> impl Iterator<Item = (&str, usize, &Item)> {
    table.iter().map(|(name, item)| {
        let span = table.key(name).and_then(toml_edit::Key::span);
        (name, span.map_or(0, |span| span.start), item)
    })
}

/// The byte offset of a value; that of its key for a table with a header, which has no place of its own.
pub(super) fn value_offset(item: &Item, key: usize) -> usize {
    item.as_value().and_then(toml_edit::Value::span).map_or(key, |span| span.start)
}

/// `toml_edit`'s name of a type in the words of people.
pub(super) fn type_name(toml_edit_name: &'static str) -> &'static str {
    match toml_edit_name {
        "array" => "list",
        "inline table" => "table",
        "array of tables" => "list of tables",
        other => other,
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn unknown_section_hint(name: &str) -> Option<String> {
    if let Some(hint) = did_you_mean(name, Section::ALL.into_iter().map(Section::name)) {
        return Some(hint);
    }
    home_of(keys::all(), name)
}

fn unknown_key_hint(section: Section, name: &str) -> Option<String> {
    let others = keys::all().filter(|key| key.section != section);
    home_of(others, name).or_else(|| did_you_mean(name, section.keys().map(|key| key.name)))
}

/// The hint for a key that is right but stands in the wrong table.
fn home_of<'k>(mut keys: impl Iterator<Item = &'k Key>, name: &str) -> Option<String> {
    keys.find(|key| key.name == name).map(|key| format!("`{name}` is a key of {}", key.section.header()))
}
