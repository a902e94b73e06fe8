//! What TOML text means, without the way it is written: the same for a header, dotted keys and an inline table.

use std::collections::BTreeMap;

use toml_edit::{Item, TableLike, Value};

/// A value, comparable by meaning. The order of keys has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    Table(BTreeMap<String, Meaning>),
    Array(Vec<Meaning>),
    /// The type's name and the value; bits for a float, so that `nan` is itself.
    Scalar(&'static str, String),
}

impl Meaning {
    pub(super) fn of(item: &Item) -> Self {
        match item {
            Item::None => Self::empty(),
            Item::Value(value) => Self::of_value(value),
            Item::Table(table) => Self::of_table(table),
            Item::ArrayOfTables(tables) => {
                Self::Array(tables.iter().map(|table| Self::of_table(table)).collect())
            }
        }
    }

    fn of_table(table: &dyn TableLike) -> Self {
        Self::Table(table.iter().map(|(key, item)| (key.to_owned(), Self::of(item))).collect())
    }

    fn of_value(value: &Value) -> Self {
        let text = match value {
            Value::Array(array) => return Self::Array(array.iter().map(Self::of_value).collect()),
            Value::InlineTable(table) => return Self::of_table(table),
            Value::String(string) => string.value().clone(),
            Value::Integer(integer) => integer.value().to_string(),
            Value::Float(float) => float.value().to_bits().to_string(),
            Value::Boolean(boolean) => boolean.value().to_string(),
            Value::Datetime(datetime) => datetime.value().to_string(),
        };
        Self::Scalar(value.type_name(), text)
    }

    fn empty() -> Self {
        Self::Table(BTreeMap::new())
    }

    fn table_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        if let Self::Table(table) = self { Some(table) } else { None }
    }

    /// The value at `path`.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |meaning, key| match meaning {
            Self::Table(table) => table.get(*key),
            _ => None,
        })
    }

    fn at_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |meaning, key| meaning.table_mut()?.get_mut(*key))
    }

    /// Makes `path` mean `value`, with the tables that it needs. Changes nothing where it leads through a value.
    pub(super) fn set(&mut self, path: &[&str], value: Self) {
        let Some((key, rest)) = path.split_first() else { return };
        let Some(table) = self.table_mut() else { return };
        if rest.is_empty() {
            table.insert((*key).to_owned(), value);
        } else {
            table.entry((*key).to_owned()).or_insert_with(Self::empty).set(rest, value);
        }
    }

    /// Appends to the array at `path`.
    pub(super) fn push(&mut self, path: &[&str], value: Self) {
        if let Some(Self::Array(array)) = self.at_mut(path) {
            array.push(value);
        }
    }

    /// Removes an element of the array at `path`.
    pub(super) fn pull(&mut self, path: &[&str], index: usize) {
        if let Some(Self::Array(array)) = self.at_mut(path) {
            array.remove(index);
        }
    }

    /// Removes the key at `path`.
    pub(super) fn remove(&mut self, path: &[&str]) {
        let Some((key, parent)) = path.split_last() else { return };
        if let Some(table) = self.at_mut(parent).and_then(Self::table_mut) {
            table.remove(*key);
        }
    }

    /// Removes the tables on the way to `path` that are empty, the deepest first.
    pub(super) fn prune(&mut self, path: &[&str]) {
        let Some((_, mut parent)) = path.split_last() else { return };
        while !parent.is_empty() && self.at(parent).is_none_or(|table| *table == Self::empty()) {
            self.remove(parent);
            parent = &parent[..parent.len() - 1];
        }
    }
}
