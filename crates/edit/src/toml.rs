//! TOML text that is changed by meaning: a change is a splice into the text, so everything outside it survives.
//!
//! Invariant: an operation is done only if the changed text, parsed again, means what the old one meant with exactly
//! that change; otherwise it fails and the text stays as it was. `toml_edit` only reads here: what it writes loses a
//! byte order mark and CRLF, and regroups dotted keys.

mod splice;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use toml_edit::{Document, Item, Table, TomlError, Value};

use self::splice::{List, Splice, Way, dotted, value_span};

/// TOML text that is changed by meaning.
#[derive(Debug, Clone)]
pub struct TomlText {
    document: Document<String>,
}

impl TomlText {
    /// Fails, with the place, where the text is not TOML. A byte order mark and CRLF are kept.
    pub fn parse(text: &str) -> Result<Self, TomlError> {
        Ok(Self { document: Document::parse(text.to_owned())? })
    }

    /// The text as it is now.
    pub fn text(&self) -> &str {
        self.document.raw()
    }

    /// The value at `path`, whether the tables above it are written with headers, dotted keys or braces. `None` where
    /// there is none, and for a table or an array of tables that is written with headers or dotted keys.
    pub fn value(&self, path: &[&str]) -> Option<Value> {
        let span = value_span(self.found(path)?)?;
        self.text().get(span)?.parse().ok()
    }

    /// Whether there is a value or a table at `path`.
    pub fn contains(&self, path: &[&str]) -> bool {
        self.found(path).is_some()
    }

    /// The keys of the table at `path`; none if there is no table.
    pub fn keys(&self, path: &[&str]) -> Vec<String> {
        let table = self.found(path).and_then(Item::as_table_like);
        table.into_iter().flat_map(|table| table.iter()).map(|(key, _)| key.to_owned()).collect()
    }

    /// Makes `path` mean the TOML expression `value`, such as `"dev"` with its quotes. An existing value that means the
    /// same stays as it is written; another one is replaced in its place, and its trailing comment stays.
    pub fn set(&mut self, path: &[&str], value: &str) -> Result<()> {
        let doing = || format!("cannot set `{}`", dotted(path));
        let new = expression(value).with_context(doing)?;
        let splices = match self.found(path) {
            Some(item) if Meaning::of(item) == new => return Ok(()),
            Some(item) => {
                let Some(span) = value_span(item) else {
                    bail!("{}: it is {} that is not written as one value", doing(), kind(item));
                };
                vec![Splice::replace(self.text(), span, value.trim())]
            }
            None => Way::down(&self.document, path).insert(value.trim()).with_context(doing)?,
        };
        self.change(path, &new, &splices).with_context(doing)
    }

    /// Appends an element to the array at `path`, in the layout of the array. Makes the array if there is none. Fails
    /// for an array of tables.
    pub fn push(&mut self, path: &[&str], value: &str) -> Result<()> {
        let doing = || format!("cannot add to `{}`", dotted(path));
        let Some((mut elements, list)) = self.array(path).with_context(doing)? else {
            return self.set(path, &format!("[{value}]"));
        };
        elements.push(expression(value).with_context(doing)?);
        let splices = list.append(self.text(), value.trim());
        self.change(path, &Meaning::list(&elements), &splices).with_context(doing)
    }

    /// Removes the first element that means `value` from the array at `path`, with its line if it is alone on it.
    /// Returns whether there was one. Fails where something other than an array of values is there.
    pub(crate) fn pull(&mut self, path: &[&str], value: &str) -> Result<bool> {
        let doing = || format!("cannot remove an element of `{}`", dotted(path));
        let unwanted = expression(value).with_context(doing)?;
        let Some((mut elements, list)) = self.array(path).with_context(doing)? else {
            return Ok(false);
        };
        let Some(index) = elements.iter().position(|element| *element == unwanted) else { return Ok(false) };
        elements.remove(index);
        let splices = list.remove(self.text(), index);
        self.change(path, &Meaning::list(&elements), &splices).with_context(doing)?;
        Ok(true)
    }

    /// Removes the value at `path`, with its line if it is alone on it. Returns whether it existed. A table that was
    /// written only by this one dotted key is gone with it; a header stays. Fails for a table.
    pub fn remove(&mut self, path: &[&str]) -> Result<bool> {
        let doing = || format!("cannot remove `{}`", dotted(path));
        let way = Way::down(&self.document, path);
        let Some(item) = way.found() else {
            way.table().with_context(doing)?;
            return Ok(false);
        };
        let Some(span) = value_span(item) else { bail!("{}: it is {}", doing(), kind(item)) };
        let splices = way.removal(&span).with_context(doing)?;
        self.change(path, &Meaning::default(), &splices).with_context(doing)?;
        Ok(true)
    }

    /// Removes the header of the table at `path` if the table is empty. Returns whether there was one.
    pub(crate) fn remove_empty_table(&mut self, path: &[&str]) -> Result<bool> {
        let table = self.found(path).and_then(Item::as_table);
        let header = table.filter(|table| table.is_empty() && !table.is_implicit()).and_then(Table::span);
        let Some(header) = header else { return Ok(false) };
        let splice = splice::remove_header(self.text(), &header);
        let doing = || format!("cannot remove the table `{}`", dotted(path));
        self.change(path, &Meaning::default(), &[splice]).with_context(doing)?;
        Ok(true)
    }

    pub(crate) fn means_the_same(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }

    fn found<'a>(&'a self, path: &[&str]) -> Option<&'a Item> {
        Way::down(&self.document, path).found()
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(self.document.as_item())
    }

    /// What the elements of the array at `path` mean, and where they are; `None` if nothing is there.
    fn array(&self, path: &[&str]) -> Result<Option<(Vec<Meaning>, List)>> {
        match self.found(path) {
            None => Ok(None),
            Some(Item::Value(Value::Array(array))) => {
                let entries = array.iter().filter_map(Value::span).collect();
                let list = List { brackets: array.span().unwrap_or_default(), entries };
                Ok(Some((array.iter().map(Meaning::of_value).collect(), list)))
            }
            Some(item) => bail!("it is {}, not an array", kind(item)),
        }
    }

    /// Makes the splices if the text then means `expected` at `path`, and elsewhere what it did before. Tables on the
    /// way to `path` may come, or go when they are empty.
    fn change(&mut self, path: &[&str], expected: &Meaning, splices: &[Splice]) -> Result<()> {
        let changed = Self::parse(&splice::spliced(self.text(), splices))
            .context("the change would leave a text that is not TOML")?;
        let (before, after) = (self.meaning(), changed.meaning());
        if after.at(path) != *expected || after.without(path) != before.without(path) {
            bail!("the change would also change something else");
        }
        *self = changed;
        Ok(())
    }
}

/// What TOML means, however it is written: the text of each value by its keys. An empty table counts as a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Meaning(BTreeMap<Vec<String>, String>);

impl Meaning {
    fn of(item: &Item) -> Self {
        let mut meaning = Self::default();
        meaning.add(item, &mut Vec::new());
        meaning
    }

    fn of_value(value: &Value) -> Self {
        Self::of(&Item::Value(value.clone()))
    }

    fn list(elements: &[Self]) -> Self {
        Self(BTreeMap::from([(Vec::new(), format!("{elements:?}"))]))
    }

    fn add(&mut self, item: &Item, path: &mut Vec<String>) {
        if let Some(table) = item.as_table_like().filter(|table| !table.is_empty()) {
            for (key, item) in table.iter() {
                path.push(key.to_owned());
                self.add(item, path);
                path.pop();
            }
            return;
        }
        let text = match item {
            Item::Value(Value::Array(array)) => {
                format!("{:?}", array.iter().map(Self::of_value).collect::<Vec<_>>())
            }
            Item::Value(Value::String(string)) => format!("{:?}", string.value()),
            Item::Value(Value::Integer(integer)) => integer.value().to_string(),
            Item::Value(Value::Float(float)) => format!("{:?}", float.value()),
            Item::Value(Value::Boolean(boolean)) => boolean.value().to_string(),
            Item::Value(Value::Datetime(datetime)) => datetime.value().to_string(),
            Item::ArrayOfTables(tables) => {
                let tables = tables.iter().map(|table| Self::of(&Item::Table(table.clone())));
                format!("{:?}", tables.collect::<Vec<_>>())
            }
            Item::None | Item::Table(_) | Item::Value(Value::InlineTable(_)) => EMPTY_TABLE.to_owned(),
        };
        self.0.insert(path.clone(), text);
    }

    /// What is at `path`.
    fn at(&self, path: &[&str]) -> Self {
        let inside = self.0.iter().filter(|(keys, _)| keys.len() >= path.len() && is_along(keys, path));
        Self(inside.map(|(keys, text)| (keys[path.len()..].to_vec(), text.clone())).collect())
    }

    /// Everything except what is at `path`, and except empty tables on the way there.
    fn without(mut self, path: &[&str]) -> Self {
        self.0.retain(|keys, text| !is_along(keys, path) || keys.len() < path.len() && text != EMPTY_TABLE);
        self
    }
}

const EMPTY_TABLE: &str = "{}";

/// Whether one of the paths leads to the other.
fn is_along(keys: &[String], path: &[&str]) -> bool {
    keys.iter().zip(path).all(|(one, other)| one == other)
}

/// What one TOML expression means.
fn expression(value: &str) -> Result<Meaning> {
    let parsed = value.trim().parse::<Value>().with_context(|| format!("`{value}` is not a TOML value"))?;
    Ok(Meaning::of_value(&parsed))
}

/// What an item is, for a message.
fn kind(item: &Item) -> &'static str {
    match item {
        Item::None | Item::Table(_) | Item::Value(Value::InlineTable(_)) => "a table",
        Item::ArrayOfTables(_) => "an array of tables",
        Item::Value(Value::Array(_)) => "an array",
        Item::Value(Value::String(_)) => "a string",
        Item::Value(_) => "a number, boolean or date",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_does_more_or_less_than_it_should_is_refused() {
        let text = "a = 1\n[t]\nb = 2\n";
        let mut toml = TomlText::parse(text).unwrap();
        let three = expression("3").unwrap();
        for (at, line, message) in [
            (6, "c = ", "the change would leave a text that is not TOML"),
            (6, "", "the change would also change something else"),
            (6, "c = 4\n", "the change would also change something else"),
            (6, "c = 3\nd = 4\n", "the change would also change something else"),
            (6, "c = 3\nd = {}\n", "the change would also change something else"),
            (text.len(), "c = 3\n", "the change would also change something else"),
        ] {
            let error = toml.change(&["c"], &three, &[Splice::insert(at, line.to_owned())]);
            assert_eq!(error.unwrap_err().to_string(), message, "{line}");
            assert_eq!(toml.text(), text);
        }
        toml.change(&["c"], &three, &[Splice::insert(6, "c = 3\n".to_owned())]).unwrap();
        assert_eq!(toml.text(), "a = 1\nc = 3\n[t]\nb = 2\n");
    }
}
