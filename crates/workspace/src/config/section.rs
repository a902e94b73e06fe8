//! A section of `xtask.toml`, declared once: [`section`] makes the type, its defaults, and what the parser, the JSON
//! schema and the reference need to know of each key. [`Table`] reads one table of the file into that type.

use super::SECTIONS;
use super::kind::{Check, Kind};
use super::problem::{Problems, did_you_mean};
use toml_edit::{Item, TableLike};

/// Names that are a word on the command line: no leading `-`.
pub(super) const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9-]*$";

/// A kind of table in the file.
#[derive(Debug)]
pub(super) struct Section {
    /// As the reference writes it: `[tiers.NAME]` for a table per name, `[sweep]` for a single one.
    pub(super) header: &'static str,
    pub(super) doc: &'static str,
    /// In the order of the reference.
    pub(super) keys: &'static [Key],
}

/// One key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What holds without the key, in Markdown: TOML in backticks, or words.
    pub(super) default: &'static str,
    /// One or two sentences in Markdown.
    pub(super) doc: &'static str,
    /// A value as TOML.
    pub(super) example: &'static str,
}

/// A type whose fields are the keys of a section.
pub(super) trait Keys {
    /// Sets the field of that key to a value that has passed the check of its kind.
    fn set(&mut self, key: &str, value: &Item);
}

/// Declares a section: a type with a field per key.
///
/// ```text
/// section! {
///     /// What the section is for, in the reference and in rustdoc.
///     "[sweep]" Sweep { fields that are not keys: Type; }
///
///     /// What the key means, likewise.
///     #[key("grace", Kind::Age(&[]), default = "'1d'", example = "'12h'")]
///     grace: Duration = DAY,
/// }
/// ```
///
/// `default` and `example` are TOML; a default that TOML cannot express is `otherwise = "in words"`. A field without
/// `= VALUE` starts as its type's `Default`. Its type is a [`Value`](super::value::Value) that can hold what the kind
/// accepts. `+ over` after the type's name adds a method `over` to a section with a field `given`, the keys that a table sets.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $header:literal $type:ident $(+ $over:ident)? {
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty;)*
        }
        $(
            $(#[doc = $doc:literal])+
            #[key($name:literal, $kind:expr, $without:ident = $default:literal, example = $example:literal)]
            $(#[$meta:meta])*
            $field:ident: $field_type:ty $(= $value:expr)?,
        )+
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct $type {
            $($(#[$own_meta])* pub $own: $own_type,)*
            $($(#[doc = $doc])+ $(#[$meta])* pub $field: $field_type,)+
        }

        impl $type {
            pub(in crate::config) const SECTION: &'static $crate::config::section::Section =
                &$crate::config::section::Section {
                    header: $header,
                    doc: concat!($($about),+).trim_ascii(),
                    keys: &[$($crate::config::section::Key {
                        name: $name,
                        kind: $kind,
                        default: section!(@$without $default),
                        doc: concat!($($doc),+).trim_ascii(),
                        example: $example,
                    }),+],
                };
        }

        impl Default for $type {
            fn default() -> Self {
                Self {
                    $($own: Default::default(),)*
                    $($field: section!(@value $($value)?),)+
                }
            }
        }

        impl $crate::config::section::Keys for $type {
            fn set(&mut self, key: &str, value: &toml_edit::Item) {
                match key {
                    $($name => $crate::config::value::set(&mut self.$field, value),)+
                    _ => {}
                }
            }
        }

        section!(@over $($over)? $type [$($name $field)+]);
    };
    (@default $toml:literal) => { concat!("`", $toml, "`") };
    (@otherwise $words:literal) => { $words };
    (@value) => { Default::default() };
    (@value $value:expr) => { $value };
    (@over $type:ident [$($name:literal $field:ident)+]) => {};
    (@over over $type:ident [$($name:literal $field:ident)+]) => {
        impl $type {
            /// The settings that the table gives; the others are those of `base`.
            pub fn over(self, base: Self) -> Self {
                Self { $($field: if self.given.contains(&$name) { self.$field } else { base.$field },)+ ..self }
            }
        }
    };
}

pub(super) use section;

impl Section {
    /// The key at the top of the file.
    pub(super) fn name(&self) -> &'static str {
        let inner = &self.header[1..self.header.len() - 1];
        inner.strip_suffix(".NAME").unwrap_or(inner)
    }

    /// Whether it holds a table per name rather than keys.
    pub(super) fn is_named(&self) -> bool {
        self.header.ends_with(".NAME]")
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// One table of the file: one tier, preset or tool, `[affected]`, `[sweep]` or `[setup]`.
pub(super) struct Table<'t> {
    pub(super) section: &'static Section,
    /// The name of the tier, preset or tool; empty for the others.
    pub(super) name: &'t str,
    /// The byte offset of the name.
    pub(super) offset: usize,
    toml: &'t dyn TableLike,
    /// The keys whose values are wrong, which has been reported. The checks treat them as absent, so that nothing is
    /// reported twice.
    wrong: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// The tables of the file, in its order. Reports unknown sections, unusable names and what is not a table.
    pub(super) fn all(root: &'t dyn TableLike, problems: &mut Problems<'_>) -> Vec<Self> {
        let mut all = Vec::new();
        for (name, offset, item) in entries(root) {
            let Some(section) = SECTIONS.into_iter().find(|section| section.name() == name) else {
                let hint = did_you_mean(name, SECTIONS.into_iter().map(Section::name));
                let hint = hint.or_else(|| home_of(name));
                problems.add(offset, format!("unknown section `{name}`"), hint);
                continue;
            };
            let Some(toml) = table(item, offset, &format!("`{name}`"), problems) else { continue };
            if !section.is_named() {
                all.push(Self { section, name: "", offset, toml, wrong: Vec::new() });
                continue;
            }
            for (name, offset, item) in entries(toml) {
                let label = format!("`{name}` in [{}]", section.name());
                if !is_name(name) {
                    let hint = "use lowercase letters, digits and `-`, and start with a letter or digit";
                    problems.add(offset, format!("{label} is not usable as a name"), Some(hint.to_owned()));
                }
                if let Some(toml) = table(item, offset, &label, problems) {
                    all.push(Self { section, name, offset, toml, wrong: Vec::new() });
                }
            }
        }
        all
    }

    /// Sets the fields whose keys are in the table, and reports unknown keys and wrong values.
    pub(super) fn read(&mut self, into: &mut dyn Keys, problems: &mut Problems<'_>) {
        for (name, offset, item) in entries(self.toml) {
            let Some(key) = self.section.key(name) else {
                let names = self.section.keys.iter().map(|key| key.name);
                let hint = home_of(name).or_else(|| did_you_mean(name, names));
                problems.add(offset, format!("unknown key `{name}` in {}", self.header()), hint);
                continue;
            };
            if (Check { label: self.label(name), problems }).value(key.kind, item, offset) {
                into.set(key.name, item);
            } else {
                self.wrong.push(key.name);
            }
        }
    }

    /// The table as its header writes it: `[tiers.quick]`.
    pub(super) fn header(&self) -> String {
        self.section.header.replace("NAME", self.name)
    }

    /// The start of a message about a key: `` `budget` in [tiers.quick] ``.
    pub(super) fn label(&self, key: &str) -> String {
        format!("`{key}` in {}", self.header())
    }

    /// Whether the file sets the key, rightly or wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.toml.contains_key(key)
    }

    /// Whether the file sets the key to a value of its kind.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.item(key).is_some()
    }

    /// The byte offset of a key; that of the table's name if the file does not set it.
    pub(super) fn offset_of(&self, key: &str) -> usize {
        self.toml.key(key).and_then(toml_edit::Key::span).map_or(self.offset, |span| span.start)
    }

    fn item(&self, key: &str) -> Option<&'t Item> {
        debug_assert!(self.section.key(key).is_some(), "`{key}` is no key of {}", self.section.header);
        self.toml.get(key).filter(|_| !self.wrong.contains(&key))
    }

    /// A string with its byte offset.
    pub(super) fn text(&self, key: &str) -> Option<(&'t str, usize)> {
        let item = self.item(key)?;
        Some((item.as_str()?, value_offset(item, self.offset_of(key))))
    }

    /// The strings of a list with their byte offsets; none if the value is not a list.
    pub(super) fn list(&self, key: &str) -> impl Iterator<Item = (&'t str, usize)> {
        let values = self.item(key).and_then(Item::as_array).into_iter().flatten();
        let fallback = self.offset_of(key);
        values.filter_map(move |value| {
            Some((value.as_str()?, value.span().map_or(fallback, |span| span.start)))
        })
    }
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
        let message = format!("{label}: expected a table, found {}", type_name(item));
        problems.add(value_offset(item, key), message, None);
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

/// The type of an item in the words of people.
pub(super) fn type_name(item: &Item) -> &'static str {
    match item.type_name() {
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

/// The hint for a key that is right but stands in the wrong table.
fn home_of(name: &str) -> Option<String> {
    let section = SECTIONS.into_iter().find(|section| section.key(name).is_some())?;
    Some(format!("`{name}` is a key of {}", section.header))
}
