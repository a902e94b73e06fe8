//! The checked values of one table of the file, by key.
//!
//! A value that was wrong has been reported and reads as absent, so nothing is reported twice.

use super::choice::Choice;
use super::keys::Section;
use super::tools::{Archive, Effect, Proof};
use std::collections::BTreeMap;
use std::time::Duration;

/// A string with the byte offset where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) text: String,
    pub(super) offset: usize,
}

/// The value of a key, of the type its [`Kind`](super::keys::Kind) asks for.
#[derive(Debug)]
pub(super) enum Value {
    /// Also one word of a choice.
    Text(Located),
    Bool(bool),
    Integer(u32),
    Duration(Duration),
    Bytes(u64),
    List(Vec<Located>),
    Variables(BTreeMap<String, String>),
    Archives(Vec<Archive>),
}

/// A key that the file sets.
#[derive(Debug)]
struct Setting {
    /// The byte offset of the key.
    offset: usize,
    /// `None` when it was wrong.
    value: Option<Value>,
}

/// One table of the file: one tier, preset or tool, `[affected]`, `[sweep]` or `[setup]`.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) section: Section,
    /// The name of the tier, preset or tool; empty for the others.
    pub(super) name: String,
    /// The byte offset of the name.
    pub(super) offset: usize,
    by_key: BTreeMap<&'static str, Setting>,
}

impl Settings {
    pub(super) fn new(section: Section, name: &str, offset: usize) -> Self {
        Self { section, name: name.to_owned(), offset, by_key: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, key: &'static str, offset: usize, value: Option<Value>) {
        self.by_key.insert(key, Setting { offset, value });
    }

    /// The table as its header writes it: `[tiers.quick]`.
    pub(super) fn header(&self) -> String {
        header(self.section, &self.name)
    }

    /// The start of a message about a key: `` `budget` in [tiers.quick] ``.
    pub(super) fn label(&self, key: &str) -> String {
        format!("`{key}` in {}", self.header())
    }

    /// Whether the file sets the key, rightly or wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// Whether the file sets the key to a value of its kind.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The byte offset of a key; that of the table's name when the file does not set it.
    pub(super) fn offset_of(&self, key: &str) -> usize {
        self.by_key.get(key).map_or(self.offset, |setting| setting.offset)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        debug_assert!(
            self.section.keys().any(|known| known.name == key),
            "`{key}` is not in the table of keys"
        );
        self.by_key.get(key)?.value.as_ref()
    }

    pub(super) fn text(&self, key: &str) -> Option<&Located> {
        if let Value::Text(text) = self.value(key)? { Some(text) } else { None }
    }

    pub(super) fn string(&self, key: &str) -> Option<String> {
        self.text(key).map(|text| text.text.clone())
    }

    pub(super) fn choice<T: Choice>(&self, key: &str) -> Option<T> {
        T::from_name(&self.text(key)?.text)
    }

    /// The words of a list of them.
    pub(super) fn choices<T: Choice>(&self, key: &str) -> Option<Vec<T>> {
        Some(self.list(key)?.iter().filter_map(|word| T::from_name(&word.text)).collect())
    }

    /// A version requirement, in its normal form.
    pub(super) fn requirement(&self, key: &str) -> Option<String> {
        Some(semver::VersionReq::parse(&self.text(key)?.text).ok()?.to_string())
    }

    pub(super) fn proof(&self, key: &str) -> Option<Proof> {
        self.choice::<Effect>(key).map(Proof::Effect).or_else(|| self.strings(key).map(Proof::Command))
    }

    pub(super) fn archives(&self, key: &str) -> Option<Vec<Archive>> {
        if let Value::Archives(archives) = self.value(key)? { Some(archives.clone()) } else { None }
    }

    pub(super) fn bool(&self, key: &str) -> Option<bool> {
        if let Value::Bool(value) = self.value(key)? { Some(*value) } else { None }
    }

    pub(super) fn integer(&self, key: &str) -> Option<u32> {
        if let Value::Integer(value) = self.value(key)? { Some(*value) } else { None }
    }

    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        if let Value::Duration(value) = self.value(key)? { Some(*value) } else { None }
    }

    pub(super) fn bytes(&self, key: &str) -> Option<u64> {
        if let Value::Bytes(value) = self.value(key)? { Some(*value) } else { None }
    }

    pub(super) fn list(&self, key: &str) -> Option<&[Located]> {
        if let Value::List(items) = self.value(key)? { Some(items) } else { None }
    }

    pub(super) fn strings(&self, key: &str) -> Option<Vec<String>> {
        self.list(key).map(|items| items.iter().map(|item| item.text.clone()).collect())
    }

    pub(super) fn variables(&self, key: &str) -> Option<BTreeMap<String, String>> {
        if let Value::Variables(variables) = self.value(key)? { Some(variables.clone()) } else { None }
    }
}

/// The table as its header writes it: `[tiers.quick]`, `[affected]`.
pub(super) fn header(section: Section, name: &str) -> String {
    if section.is_named() { format!("[{}.{name}]", section.name()) } else { format!("[{}]", section.name()) }
}
