//! From a checked TOML item to the type of the field that it sets.

use crate::CargoCommand;
use camino::Utf8Path;
use std::collections::BTreeMap;
use std::time::Duration;
use toml_edit::Item;

/// A type that a key's value becomes.
pub(super) trait Value: Sized {
    /// The value of an item that has passed the check of its kind; `None` only for a word that stands for no value, such
    /// as `never`.
    fn of(item: &Item) -> Option<Self>;
}

/// Sets a field to the value of an item.
pub(super) fn set<T: Value>(field: &mut T, item: &Item) {
    if let Some(value) = T::of(item) {
        *field = value;
    }
}

impl Value for String {
    fn of(item: &Item) -> Option<Self> {
        item.as_str().map(str::to_owned)
    }
}

impl Value for bool {
    fn of(item: &Item) -> Option<Self> {
        item.as_bool()
    }
}

impl Value for u32 {
    fn of(item: &Item) -> Option<Self> {
        item.as_integer()?.try_into().ok()
    }
}

/// A number of bytes.
impl Value for u64 {
    fn of(item: &Item) -> Option<Self> {
        super::quantity::size(item.as_str()?)
    }
}

impl Value for Duration {
    fn of(item: &Item) -> Option<Self> {
        match item.as_integer() {
            Some(seconds) => Some(Self::from_secs(seconds.try_into().ok()?)),
            None => super::quantity::duration(item.as_str()?),
        }
    }
}

/// A command that is run in the folder of the process until [`CargoCommand::dir`] is set.
impl Value for CargoCommand {
    fn of(item: &Item) -> Option<Self> {
        Self::parse(item.as_str()?, Utf8Path::new("")).ok()
    }
}

impl<T: Value> Value for Option<T> {
    fn of(item: &Item) -> Option<Self> {
        Some(T::of(item))
    }
}

impl<T: Value> Value for Vec<T> {
    fn of(item: &Item) -> Option<Self> {
        // Loops here: collecting into an `Option` compiles 10 kB of code for each type, in every first build.
        let mut values = Vec::new();
        for item in &elements(item) {
            values.push(T::of(item)?);
        }
        Some(values)
    }
}

impl Value for BTreeMap<String, String> {
    fn of(item: &Item) -> Option<Self> {
        let mut entries = Self::new();
        for (name, item) in item.as_table_like()?.iter() {
            entries.insert(name.to_owned(), String::of(item)?);
        }
        Some(entries)
    }
}

/// The elements of a list: `[[tools.x.archives]]` is an array of tables, `archives = [{ … }]` an array.
pub(super) fn elements(item: &Item) -> Vec<Item> {
    match item {
        Item::ArrayOfTables(tables) => tables.iter().map(|table| Item::Table(table.clone())).collect(),
        _ => item.as_array().into_iter().flatten().map(|value| Item::Value(value.clone())).collect(),
    }
}

/// Defines an enum that `xtask.toml` writes as one of a few words, `else` as something that a last variant holds.
///
/// Each word stands once, beside its variant: parser, schema, reference and JSON output all read it there.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The words of all variants, in their order.
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            /// The word that `xtask.toml` and the JSON output use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::config::value::Value for $name {
            fn of(item: &toml_edit::Item) -> Option<Self> {
                match item.as_str()? {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
        else { $(#[$other_doc:meta])* $other:ident($other_type:ty) }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
            $(#[$other_doc])* #[serde(untagged)] $other($other_type),
        }

        impl $name {
            pub(in crate::config) const NAMES: &'static [&'static str] = &[$($word),+];
        }

        impl $crate::config::value::Value for $name {
            fn of(item: &toml_edit::Item) -> Option<Self> {
                match item.as_str() {
                    $(Some($word) => Some(Self::$variant),)+
                    _ => $crate::config::value::Value::of(item).map(Self::$other),
                }
            }
        }
    };
}

pub(super) use choice;
