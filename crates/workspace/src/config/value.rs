//! From one TOML item to a [`Value`] of a given [`Kind`], or to problems.
//!
//! What is accepted here, the JSON schema accepts too, and the other way round; a test holds them together.

use super::keys::{Items, Kind};
use super::problem::{Problems, did_you_mean, one_of};
use super::read::{entries, type_name, value_offset};
use super::settings::{Located, Value};
use super::tools::Archive;
use super::{bytes, duration};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use toml_edit::{Array, Item};

/// Reads the value of one key.
pub(super) struct Reader<'r, 'p> {
    /// The key, as messages start: `` `budget` in [tiers.quick] ``.
    pub(super) label: String,
    pub(super) problems: &'r mut Problems<'p>,
}

impl Reader<'_, '_> {
    /// The item as a value of that kind; `None` after reporting why it is none. The offset is the key's.
    pub(super) fn value(&mut self, kind: Kind, item: &Item, key: usize) -> Option<Value> {
        let offset = value_offset(item, key);
        let found = type_name(item.type_name());
        match kind {
            Kind::Text => self.text(item.as_str(), offset, found).map(Value::Text),
            Kind::Choice(words) => self.choice(words, item.as_str(), offset, found).map(Value::Text),
            Kind::Bool => self.expect(item.as_bool(), "a boolean", offset, found).map(Value::Bool),
            Kind::Integer => self.integer(item, offset).map(Value::Integer),
            Kind::Duration => self.duration(item, offset).map(Value::Duration),
            Kind::Age(words) => self.age(words, item, offset),
            Kind::Bytes => self.bytes(item.as_str(), offset, found).map(Value::Bytes),
            Kind::List(items) => {
                let expected = expected_list(items);
                let array = self.expect(item.as_array(), &expected, offset, found)?;
                self.list(items, array, offset).map(Value::List)
            }
            Kind::Variables => self.variables(item, offset).map(Value::Variables),
            Kind::Table(keys) => self.table(keys, &[], item, offset).map(Value::Variables),
            Kind::Requirement => {
                let text = self.text(item.as_str(), offset, found)?;
                match semver::VersionReq::parse(&text.text) {
                    Ok(_) => Some(Value::Text(text)),
                    Err(error) => self.fail(
                        offset,
                        &format!("expected a version requirement, found `{}`: {error}", text.text),
                        Some("write it as in Cargo.toml: `>=1.2`, `=1.2.3`".to_owned()),
                    ),
                }
            }
            Kind::Archives => self.archives(item, offset).map(Value::Archives),
            Kind::ChoiceOrList(words, items) => match item.as_array() {
                Some(array) if array.is_empty() => self.fail(offset, "the list is empty", None),
                Some(array) => self.list(items, array, offset).map(Value::List),
                None => {
                    let expected = format!("{}, or {}", one_of(words), expected_list(items));
                    let word = self.expect(item.as_str(), &expected, offset, found)?;
                    let list = || Some(format!("a list is written `[\"{}\"]`", word.escape_debug()));
                    let hint = did_you_mean(word, words.iter().copied()).or_else(list);
                    self.word(words, &expected, word, offset, hint).map(Value::Text)
                }
            },
        }
    }

    /// Reports a problem of the key's value; always `None`.
    fn fail<T>(&mut self, offset: usize, problem: &str, hint: Option<String>) -> Option<T> {
        self.problems.add(offset, format!("{}: {problem}", self.label), hint);
        None
    }

    /// Reports a wrong type when there is no value.
    fn expect<T>(&mut self, value: Option<T>, expected: &str, offset: usize, found: &str) -> Option<T> {
        value.or_else(|| self.fail(offset, &format!("expected {expected}, found {found}"), None))
    }

    fn text(&mut self, text: Option<&str>, offset: usize, found: &str) -> Option<Located> {
        let text = self.expect(text, "a string", offset, found)?;
        if text.is_empty() {
            self.fail(offset, "the string is empty", None)
        } else if text.chars().any(char::is_control) {
            self.fail(offset, "the string contains a control character", None)
        } else {
            Some(Located { text: text.to_owned(), offset })
        }
    }

    fn choice(&mut self, words: &[&str], word: Option<&str>, offset: usize, found: &str) -> Option<Located> {
        let expected = one_of(words);
        let word = self.expect(word, &expected, offset, found)?;
        self.word(words, &expected, word, offset, did_you_mean(word, words.iter().copied()))
    }

    fn word(
        &mut self,
        words: &[&str],
        expected: &str,
        word: &str,
        offset: usize,
        hint: Option<String>,
    ) -> Option<Located> {
        if words.contains(&word) {
            return Some(Located { text: word.to_owned(), offset });
        }
        self.fail(offset, &format!("expected {expected}, found `{}`", word.escape_debug()), hint)
    }

    fn integer(&mut self, item: &Item, offset: usize) -> Option<u32> {
        let integer = self.expect(item.as_integer(), "an integer", offset, type_name(item.type_name()))?;
        let problem = || format!("expected an integer from 0 to {}, found {integer}", u32::MAX);
        u32::try_from(integer).ok().or_else(|| self.fail(offset, &problem(), None))
    }

    fn duration(&mut self, item: &Item, offset: usize) -> Option<Duration> {
        if let Some(text) = item.as_str() {
            let problem = || format!("expected a duration, found `{}`", text.escape_debug());
            return duration::parse(text)
                .or_else(|| self.fail(offset, &problem(), Some(duration::HINT.to_owned())));
        }
        let seconds = self.expect(item.as_integer(), "a duration", offset, type_name(item.type_name()))?;
        if let Ok(seconds @ 1..=duration::MAX) = u32::try_from(seconds) {
            return Some(Duration::from_secs(seconds.into()));
        }
        self.fail(offset, &format!("expected 1 to {} seconds, found {seconds}", duration::MAX), None)
    }

    fn age(&mut self, words: &[&str], item: &Item, offset: usize) -> Option<Value> {
        if let Some(word) = item.as_str().filter(|word| words.contains(word)) {
            return Some(Value::Text(Located { text: word.to_owned(), offset }));
        }
        if item.as_integer() == Some(0) {
            return Some(Value::Duration(Duration::ZERO));
        }
        self.duration(item, offset).map(Value::Duration)
    }

    fn bytes(&mut self, text: Option<&str>, offset: usize, found: &str) -> Option<u64> {
        let text = self.expect(text, "a size", offset, found)?;
        let problem = || format!("expected a size, found `{}`", text.escape_debug());
        bytes::parse(text).or_else(|| self.fail(offset, &problem(), Some(bytes::HINT.to_owned())))
    }

    /// The items of a list, if all are right.
    fn list(&mut self, items: Items, array: &Array, offset: usize) -> Option<Vec<Located>> {
        let mut list = Vec::with_capacity(array.len());
        let mut seen = BTreeSet::new();
        for value in array {
            let offset = value.span().map_or(offset, |span| span.start);
            let found = type_name(value.type_name());
            let located = match items {
                Items::OneOf(words) => self.choice(words, value.as_str(), offset, found),
                Items::Distinct | Items::Arguments | Items::Commands => {
                    self.text(value.as_str(), offset, found)
                }
                Items::Globs => self.glob(value.as_str(), offset, found),
            };
            let Some(located) = located else { continue };
            if items != Items::Arguments && !seen.insert(located.text.clone()) {
                self.fail::<()>(offset, &format!("`{}` is listed twice", located.text), None);
                continue;
            }
            list.push(located);
        }
        (list.len() == array.len()).then_some(list)
    }

    fn glob(&mut self, text: Option<&str>, offset: usize, found: &str) -> Option<Located> {
        let located = self.text(text, offset, found)?;
        if let Err(error) = glob::Pattern::new(&located.text) {
            let problem = format!("bad glob pattern `{}` at character {}", located.text, error.pos + 1);
            return self.fail(offset, &problem, Some(error.msg.to_owned()));
        }
        Some(located)
    }

    /// A table of strings under `keys`, of which `required` are there.
    fn table(
        &mut self,
        keys: &[&str],
        required: &[&str],
        item: &Item,
        offset: usize,
    ) -> Option<BTreeMap<String, String>> {
        let table = item.as_table_like();
        let table = self.expect(table, "a table of strings", offset, type_name(item.type_name()))?;
        let mut read = BTreeMap::new();
        let mut right = true;
        for (name, key, item) in entries(table) {
            if !keys.contains(&name) {
                let hint = did_you_mean(name, keys.iter().copied());
                let problem = format!("unknown key `{}`, expected {}", name.escape_debug(), one_of(keys));
                self.fail::<()>(key, &problem, hint);
                right = false;
                continue;
            }
            let text = self.text(item.as_str(), value_offset(item, key), type_name(item.type_name()));
            right &= text.is_some();
            read.extend(text.map(|text| (name.to_owned(), text.text)));
        }
        if let Some(missing) = required.iter().find(|key| !table.contains_key(key)) {
            return self.fail(offset, &format!("`{missing}` is missing"), None);
        }
        right.then_some(read)
    }

    fn archives(&mut self, item: &Item, offset: usize) -> Option<Vec<Archive>> {
        // `[[tools.x.archives]]` is an array of tables, `archives = [{ … }]` is an array.
        let tables = match (item.as_array(), item.as_array_of_tables()) {
            (Some(array), _) => array.iter().map(|value| Item::Value(value.clone())).collect::<Vec<_>>(),
            (None, Some(tables)) => tables.iter().map(|table| Item::Table(table.clone())).collect(),
            (None, None) => {
                return self.expect(None, "a list of archives", offset, type_name(item.type_name()));
            }
        };
        let read = tables.iter().filter_map(|item| self.archive(item, value_offset(item, offset)));
        let archives = read.collect::<Vec<_>>();
        (archives.len() == tables.len()).then_some(archives)
    }

    fn archive(&mut self, item: &Item, offset: usize) -> Option<Archive> {
        const REQUIRED: [&str; 4] = ["host", "version", "url", "sha256"];
        const KEYS: [&str; 5] = ["host", "version", "url", "sha256", "binary"];
        let mut table = self.table(&KEYS, &REQUIRED, item, offset)?;
        let mut take = |key: &str| table.remove(key).unwrap_or_default();
        let (host, version, url, sha256) = (take("host"), take("version"), take("url"), take("sha256"));
        let binary = table.remove("binary");
        if let Err(error) = glob::Pattern::new(&host) {
            return self.fail(offset, &format!("bad glob pattern `{host}`"), Some(error.msg.to_owned()));
        }
        if !url.starts_with("https://") {
            return self.fail(offset, &format!("`url` must begin with https://, found `{url}`"), None);
        }
        let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if sha256.len() != 64 || !sha256.bytes().all(is_digit) {
            let problem = format!("`sha256` must be 64 lowercase hexadecimal digits, found `{sha256}`");
            return self.fail(offset, &problem, None);
        }
        Some(Archive { host, version, url, sha256, binary })
    }

    fn variables(&mut self, item: &Item, offset: usize) -> Option<BTreeMap<String, String>> {
        let table = item.as_table_like();
        let table = self.expect(table, "a table of strings", offset, type_name(item.type_name()))?;
        let mut variables = BTreeMap::new();
        for (name, key, item) in entries(table) {
            let shown = name.escape_debug();
            let offset = value_offset(item, key);
            if name.is_empty() || name.contains(['=', '\0']) {
                self.fail::<()>(key, &format!("`{shown}` cannot name an environment variable"), None);
            }
            let (value, found) = (item.as_str(), type_name(item.type_name()));
            if let Some(value) = self.expect(value, &format!("a string for `{shown}`"), offset, found) {
                if value.contains('\0') {
                    self.fail::<()>(
                        offset,
                        &format!("the value of `{shown}` contains a NUL character"),
                        None,
                    );
                }
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
        Some(variables)
    }
}

fn expected_list(items: Items) -> String {
    match items {
        Items::Distinct | Items::Arguments => "a list of strings".to_owned(),
        Items::Globs => "a list of glob patterns".to_owned(),
        Items::Commands => "a list of cargo commands".to_owned(),
        Items::OneOf(words) => format!("a list of {}", one_of(words).replace(" or ", " and ")),
    }
}
