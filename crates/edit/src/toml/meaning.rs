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

    /// The value at `path`.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |meaning, key| match meaning {
            Self::Table(table) => table.get(*key),
            _ => None,
        })
    }

    /// All of it but the key at `path`, and but the tables on the way there that hold nothing else.
    pub(super) fn without(mut self, path: &[&str]) -> Self {
        self.remove(path);
        self
    }

    fn remove(&mut self, path: &[&str]) {
        let (Self::Table(table), Some((key, rest))) = (self, path.split_first()) else { return };
        let Some(inner) = table.get_mut(*key) else { return };
        inner.remove(rest);
        if rest.is_empty() || *inner == Self::empty() {
            table.remove(*key);
        }
    }
}
