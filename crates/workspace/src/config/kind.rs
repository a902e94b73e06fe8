//! What the value of a key may be: how it is checked, and how the JSON schema and the reference describe it.
//!
//! [`Check`] and the schema accept the same values, as far as a schema can tell; a test compares them.

use super::problem::{Problems, did_you_mean, one_of};
use super::quantity::{self, DURATION_HINT, DURATION_PATTERN, MAX_SECONDS, SIZE_HINT, SIZE_PATTERN};
use super::section::{entries, type_name, value_offset};
use super::value::elements;
use crate::CargoCommand;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use toml_edit::Item;

/// What a key's value is. Strings are neither empty nor hold control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Glob,
    /// A cargo command as it is typed.
    Command,
    /// A version requirement as cargo has it.
    Requirement,
    /// `https` only.
    Url,
    Sha256,
    /// One of these words.
    Choice(&'static [&'static str]),
    Bool,
    /// An integer that fits `u32`.
    Integer,
    /// A string that [`quantity::duration`] reads, or a positive integer of seconds.
    Duration,
    /// As a duration, or 0, or one of these words.
    Age(&'static [&'static str]),
    /// A string that [`quantity::size`] reads.
    Size,
    /// Values of that kind.
    List(&'static Kind),
    /// Strings of that kind, none twice.
    Set(&'static Kind),
    /// One of these words, or a list of that kind that is not empty.
    ChoiceOr(&'static [&'static str], &'static Kind),
    /// A table of strings, each of which may be empty: environment variables.
    Variables,
    /// A table with some of these keys.
    Table(&'static [Field]),
}

/// A key of a table that is a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// One or several comparisons; the whole grammar is the parser's to check.
const REQUIREMENT_PATTERN: &str =
    r"^ *(\*|(=|>=|<=|>|<|~|\^)? *[0-9][0-9A-Za-z.*+ -]*(, *(=|>=|<=|>|<|~|\^)? *[0-9][0-9A-Za-z.*+ -]*)*)$";

impl Kind {
    /// The kind as the reference names it.
    pub(super) fn noun(self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Glob => "glob pattern".to_owned(),
            Self::Command => "cargo command".to_owned(),
            Self::Requirement => "version requirement".to_owned(),
            Self::Url => "URL that begins with https://".to_owned(),
            Self::Sha256 => "SHA-256 of 64 lowercase hexadecimal digits".to_owned(),
            Self::Choice(words) => one_of(words),
            Self::Bool => "boolean".to_owned(),
            Self::Integer => "non-negative integer".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Age([]) => "age".to_owned(),
            Self::Age(words) => format!("age, or {}", one_of(words)),
            Self::Size => "size".to_owned(),
            Self::List(Self::Table(_)) => "list of tables".to_owned(),
            Self::List(of) | Self::Set(of) => match of {
                Self::Choice(words) => format!("list of {}", one_of(words).replace(" or ", " and ")),
                _ => format!("list of {}s", of.noun()),
            },
            Self::ChoiceOr(words, other) => format!("{}, or a {}", one_of(words), other.noun()),
            Self::Variables => "table of strings".to_owned(),
            Self::Table(fields) => format!("table of strings under {}", one_of(&names(fields))),
        }
    }

    /// The kind as an error says what was expected.
    fn expected(self) -> String {
        let noun = self.noun();
        match noun.chars().next() {
            Some('`') => noun,
            Some('a') => format!("an {noun}"),
            _ => format!("a {noun}"),
        }
    }

    /// The JSON schema of such a value.
    pub(super) fn schema(self) -> Value {
        let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
        match self {
            Self::Text | Self::Glob => pattern(r"^\P{Cc}+$"),
            // The whole grammar of a shell's words is the parser's to check.
            Self::Command => pattern(r"^(\P{Cc}* )?cargo \P{Cc}+$"),
            Self::Requirement => pattern(REQUIREMENT_PATTERN),
            Self::Url => pattern(r"^https://\P{Cc}*$"),
            Self::Sha256 => pattern("^[0-9a-f]{64}$"),
            Self::Choice(words) => json!({ "enum": words }),
            Self::Bool => json!({ "type": "boolean" }),
            Self::Integer => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            Self::Duration => json!({ "anyOf": [
                pattern(DURATION_PATTERN),
                { "type": "integer", "minimum": 1, "maximum": MAX_SECONDS },
            ] }),
            Self::Age(words) => json!({ "anyOf": [
                { "enum": words },
                pattern(DURATION_PATTERN),
                { "type": "integer", "minimum": 0, "maximum": MAX_SECONDS },
            ] }),
            Self::Size => pattern(SIZE_PATTERN),
            Self::List(of) => json!({ "type": "array", "items": of.schema() }),
            Self::Set(of) => json!({ "type": "array", "items": of.schema(), "uniqueItems": true }),
            Self::ChoiceOr(words, other) => {
                let mut list = other.schema();
                list["minItems"] = 1.into();
                json!({ "anyOf": [{ "enum": words }, list] })
            }
            Self::Variables => json!({
                "type": "object",
                "propertyNames": { "pattern": r"^[^=\x00]+$" },
                "additionalProperties": { "type": "string", "pattern": r"^[^\x00]*$" },
            }),
            Self::Table(fields) => {
                let properties = fields
                    .iter()
                    .map(|field| (field.name.to_owned(), field.kind.schema()))
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

    /// Whether an item is of the TOML type, or one of the two, that such values have.
    fn has_type_of(self, item: &Item) -> bool {
        match self {
            Self::Bool => item.is_bool(),
            Self::Integer => item.is_integer(),
            Self::Duration | Self::Age(_) => item.is_str() || item.is_integer(),
            Self::List(Self::Table(_)) => item.is_array() || item.is_array_of_tables(),
            Self::List(_) | Self::Set(_) => item.is_array(),
            Self::ChoiceOr(_, other) => item.is_str() || other.has_type_of(item),
            Self::Variables | Self::Table(_) => item.is_table_like(),
            _ => item.is_str(),
        }
    }
}

fn names(fields: &[Field]) -> Vec<&'static str> {
    fields.iter().map(|field| field.name).collect()
}

/// Checks the value of one key.
pub(super) struct Check<'c, 'p> {
    /// The key, as messages start: `` `budget` in [tiers.quick] ``.
    pub(super) label: String,
    pub(super) problems: &'c mut Problems<'p>,
}

impl Check<'_, '_> {
    /// Whether the item is a value of that kind; reports what is wrong with it. The offset is the key's.
    pub(super) fn value(&mut self, kind: Kind, item: &Item, key: usize) -> bool {
        let offset = value_offset(item, key);
        if !kind.has_type_of(item) {
            return self.fail(
                offset,
                &format!("expected {}, found {}", kind.expected(), type_name(item)),
                None,
            );
        }
        match kind {
            Kind::Bool => true,
            Kind::Variables => self.variables(item),
            Kind::Table(fields) => self.table(fields, item, offset),
            Kind::List(of) => self.list(*of, item, offset, false),
            Kind::Set(of) => self.list(*of, item, offset, true),
            Kind::ChoiceOr(_, list) if !item.is_str() => {
                if item.as_array().is_some_and(toml_edit::Array::is_empty) {
                    return self.fail(offset, "the list is empty", None);
                }
                self.value(*list, item, offset)
            }
            _ => match item.as_integer() {
                Some(integer) => self.integer(kind, integer, offset),
                None => match wrong_text(kind, item.as_str().unwrap_or_default()) {
                    Some((problem, hint)) => self.fail(offset, &problem, hint),
                    None => true,
                },
            },
        }
    }

    /// Reports a problem of the key's value; always false.
    fn fail(&mut self, offset: usize, problem: &str, hint: Option<String>) -> bool {
        self.problems.add(offset, format!("{}: {problem}", self.label), hint);
        false
    }

    fn integer(&mut self, kind: Kind, integer: i64, offset: usize) -> bool {
        let (least, most) = match kind {
            Kind::Integer => (0, u32::MAX),
            Kind::Age(_) => (0, MAX_SECONDS),
            _ => (1, MAX_SECONDS),
        };
        let (before, after) = if kind == Kind::Integer { ("an integer from ", "") } else { ("", " seconds") };
        (i64::from(least)..=i64::from(most)).contains(&integer) || {
            let problem = format!("expected {before}{least} to {most}{after}, found {integer}");
            self.fail(offset, &problem, None)
        }
    }

    fn list(&mut self, of: Kind, list: &Item, offset: usize, none_twice: bool) -> bool {
        let mut right = true;
        let mut seen = BTreeSet::new();
        for item in &elements(list) {
            if !self.value(of, item, offset) {
                right = false;
            } else if let Some(text) = item.as_str().filter(|_| none_twice)
                && !seen.insert(text)
            {
                right = self.fail(value_offset(item, offset), &format!("`{text}` is listed twice"), None);
            }
        }
        right
    }

    fn table(&mut self, fields: &[Field], item: &Item, offset: usize) -> bool {
        let Some(table) = item.as_table_like() else { return false };
        let mut right = true;
        for (name, key, item) in entries(table) {
            if let Some(field) = fields.iter().find(|field| field.name == name) {
                let label = format!("`{name}` of {}", self.label);
                right &= Check { label, problems: self.problems }.value(field.kind, item, key);
            } else {
                let names = names(fields);
                let problem = format!("unknown key `{}`, expected {}", name.escape_debug(), one_of(&names));
                right = self.fail(key, &problem, did_you_mean(name, names));
            }
        }
        for field in fields.iter().filter(|field| field.required && !table.contains_key(field.name)) {
            right = self.fail(offset, &format!("`{}` is missing", field.name), None);
        }
        right
    }

    fn variables(&mut self, item: &Item) -> bool {
        let mut right = true;
        for (name, key, item) in item.as_table_like().into_iter().flat_map(entries) {
            let shown = name.escape_debug();
            let offset = value_offset(item, key);
            if name.is_empty() || name.contains(['=', '\0']) {
                right = self.fail(key, &format!("`{shown}` cannot name an environment variable"), None);
            }
            right &= match item.as_str() {
                None => {
                    let problem = format!("expected a string for `{shown}`, found {}", type_name(item));
                    self.fail(offset, &problem, None)
                }
                Some(value) if value.contains('\0') => {
                    self.fail(offset, &format!("the value of `{shown}` contains a NUL character"), None)
                }
                Some(_) => true,
            };
        }
        right
    }
}

/// What is wrong with a string of that kind, if anything is, and what to do about it.
fn wrong_text(kind: Kind, text: &str) -> Option<(String, Option<String>)> {
    let expected = |hint: Option<String>| {
        Some((format!("expected {}, found `{}`", kind.expected(), text.escape_debug()), hint))
    };
    let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    match kind {
        Kind::Choice(words) if !words.contains(&text) => expected(did_you_mean(text, words.iter().copied())),
        Kind::ChoiceOr(words, _) if !words.contains(&text) => {
            let list = || Some(format!("a list is written `[\"{}\"]`", text.escape_debug()));
            expected(did_you_mean(text, words.iter().copied()).or_else(list))
        }
        Kind::Age(words) if words.contains(&text) => None,
        Kind::Duration | Kind::Age(_) if quantity::duration(text).is_none() => {
            expected(Some(DURATION_HINT.to_owned()))
        }
        Kind::Size if quantity::size(text).is_none() => expected(Some(SIZE_HINT.to_owned())),
        Kind::Url if !text.starts_with("https://") => expected(None),
        Kind::Sha256 if text.len() != 64 || !text.bytes().all(is_digit) => expected(None),
        _ if text.is_empty() => Some(("the string is empty".to_owned(), None)),
        _ if text.chars().any(char::is_control) => {
            Some(("the string contains a control character".to_owned(), None))
        }
        Kind::Glob => {
            let error = glob::Pattern::new(text).err()?;
            let problem = format!("bad glob pattern `{text}` at character {}", error.pos + 1);
            Some((problem, Some(error.msg.to_owned())))
        }
        Kind::Command => {
            let why = CargoCommand::parse(text, "".into()).err()?;
            Some((
                format!("`{text}` {why}"),
                Some("write it as it is typed: `cargo +nightly check --workspace`".to_owned()),
            ))
        }
        Kind::Requirement => {
            let error = semver::VersionReq::parse(text).err()?;
            let problem = format!("expected a version requirement, found `{text}`: {error}");
            Some((problem, Some("write it as in Cargo.toml: `>=1.2`, `=1.2.3`".to_owned())))
        }
        _ => None,
    }
}
