//! How the sections of `xtask.toml` are declared, their tables read, and their problems reported.

use super::SECTIONS;
use super::kind::{Check, Kind};
use crate::WrongUsage;
use camino::Utf8Path;
use std::fmt::Write as _;
use toml_edit::{Item, Key as TomlKey, TableLike, Value};

/// A kind of table in the file.
#[derive(Debug)]
pub(super) struct Section {
    /// As the reference writes it: `[tiers.NAME]` for a table per name, `[sweep]` for a single one.
    pub(super) header: &'static str,
    #[cfg(test)]
    pub(super) doc: &'static str,
    /// In the order of the reference.
    pub(super) keys: &'static [Key],
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The default in Markdown: TOML in backticks, or words.
    #[cfg(test)]
    pub(super) default: &'static str,
    /// One or two sentences in Markdown.
    #[cfg(test)]
    pub(super) doc: &'static str,
    /// A value as TOML.
    #[cfg(test)]
    pub(super) example: &'static str,
}

/// A type whose fields are the keys of a section.
pub(super) trait Keys {
    /// Sets the field of that key; a value of the wrong kind, which has been reported, changes nothing.
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
/// `= VALUE` starts as its type's `Default`. Its type is a [`Value`](super::kind::Value) that can hold what the kind
/// accepts. `+ over` after the type's name adds a method `over` to a section with a field `given`, the keys that a table sets.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $(#[derive($derive:path)] #[serde($($serde:tt)*)])?
        $header:literal $type:ident $(+ $over:ident)? {
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty;)*
        }
        $(
            $(#[doc = $doc:literal])+
            #[key($name:literal, $kind:expr, $without:ident = $default:literal, example = $example:literal)]
            $field:ident: $field_type:ty $(= $value:expr)?,
        )+
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq $(, $derive)?)]
        $(#[serde($($serde)*)])?
        pub struct $type {
            $($(#[$own_meta])* pub $own: $own_type,)*
            $($(#[doc = $doc])+ pub $field: $field_type,)+
        }

        impl $type {
            pub(in crate::config) const SECTION: &'static $crate::config::section::Section =
                &$crate::config::section::Section {
                    header: $header,
                    #[cfg(test)]
                    doc: concat!($($about),+).trim_ascii(),
                    keys: &[$($crate::config::section::Key {
                        name: $name,
                        kind: $kind,
                        #[cfg(test)]
                        default: section!(@$without $default),
                        #[cfg(test)]
                        doc: concat!($($doc),+).trim_ascii(),
                        #[cfg(test)]
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
                    $($name => $crate::config::kind::set(&mut self.$field, value),)+
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

/// Defines an enum that `xtask.toml` writes as one of a few words, `else` as something that a last variant holds.
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

        impl $crate::config::kind::Value for $name {
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
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            $(#[$other_doc])* $other($other_type),
        }

        impl $name {
            pub(in crate::config) const NAMES: &'static [&'static str] = &[$($word),+];
        }

        impl $crate::config::kind::Value for $name {
            fn of(item: &toml_edit::Item) -> Option<Self> {
                match item.as_str() {
                    $(Some($word) => Some(Self::$variant),)+
                    _ => $crate::config::kind::Value::of(item).map(Self::$other),
                }
            }
        }
    };
}

pub(super) use {choice, section};

impl Section {
    /// The key at the top of the file.
    pub(super) fn name(&self) -> &'static str {
        self.header.trim_matches(['[', ']']).trim_end_matches(".NAME")
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
}

impl<'t> Table<'t> {
    /// The tables of the file, in its order. Reports unknown sections, unusable names and what is not a table.
    pub(super) fn all(root: &'t dyn TableLike, problems: &mut Problems<'_>) -> Vec<Self> {
        let mut all = Vec::new();
        for (name, offset, item) in entries(root) {
            let Some(section) = SECTIONS.into_iter().find(|section| section.name() == name) else {
                let hint = did_you_mean(name, SECTIONS.into_iter().map(Section::name));
                let hint = hint.or_else(|| home_of(name)).unwrap_or_default();
                problems.add(offset, format!("unknown section `{name}`{hint}"));
                continue;
            };
            let Some(toml) = table(item, offset, &format!("`{name}`"), problems) else { continue };
            if !section.is_named() {
                all.push(Self { section, name: "", offset, toml });
                continue;
            }
            for (name, offset, item) in entries(toml) {
                let label = format!("`{name}` in [{}]", section.name());
                // A package has the name that cargo allows.
                if section.name() != "test-inputs" && !is_name(name) {
                    problems.add(
                        offset,
                        format!(
                            "{label} is not usable as a name\n  \
                             use lowercase letters, digits and `-`, and start with a letter or digit"
                        ),
                    );
                }
                all.extend(table(item, offset, &label, problems).map(|toml| Self {
                    section,
                    name,
                    offset,
                    toml,
                }));
            }
        }
        all
    }

    /// Sets the fields whose keys are in the table, and reports unknown keys and wrong values.
    pub(super) fn read(&self, into: &mut dyn Keys, problems: &mut Problems<'_>) {
        for (name, offset, item) in entries(self.toml) {
            if let Some(key) = self.section.key(name) {
                Check { label: self.label(name), problems }.value(key.kind, item, offset);
                into.set(key.name, item);
            } else {
                let names = self.section.keys.iter().map(|key| key.name);
                let hint = home_of(name).or_else(|| did_you_mean(name, names)).unwrap_or_default();
                problems.add(offset, format!("unknown key `{name}` in {}{hint}", self.header()));
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

    pub(super) fn has(&self, key: &str) -> bool {
        self.toml.contains_key(key)
    }

    /// Reports a problem at a key.
    pub(super) fn fail(&self, key: &str, problem: &str, problems: &mut Problems<'_>) {
        let offset = self.toml.key(key).and_then(TomlKey::span).map_or(self.offset, |span| span.start);
        problems.add(offset, format!("{} {problem}", self.label(key)));
    }

    /// The string, or the strings of the list, that the file sets the key to, with their byte offsets.
    pub(super) fn strings(&self, key: &str) -> impl Iterator<Item = (&'t str, usize)> {
        let value = self.toml.get(key).and_then(Item::as_value);
        let list = value.and_then(Value::as_array).into_iter().flatten();
        value.into_iter().chain(list).filter_map(|value| Some((value.as_str()?, value.span()?.start)))
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
        problems.add(value_offset(item, key), message);
    }
    table
}

/// The entries of a table with the byte offsets of their keys.
pub(super) fn entries(table: &dyn TableLike) -> impl Iterator<Item = (&str, usize, &Item)> {
    table.iter().map(|(name, item)| {
        let span = table.key(name).and_then(TomlKey::span);
        (name, span.map_or(0, |span| span.start), item)
    })
}

/// The byte offset of a value; that of its key for a table with a header.
pub(super) fn value_offset(item: &Item, key: usize) -> usize {
    item.as_value().and_then(Value::span).map_or(key, |span| span.start)
}

/// The type of an item in everyday words.
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

/// The hint for a key that is right but in the wrong table.
fn home_of(name: &str) -> Option<String> {
    let section = SECTIONS.into_iter().find(|section| section.key(name).is_some())?;
    Some(format!("\n  `{name}` is a key of {}", section.header))
}

/// The problems of one file. All are collected before any is reported.
pub(super) struct Problems<'a> {
    path: &'a Utf8Path,
    text: &'a str,
    found: Vec<(usize, String)>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(path: &'a Utf8Path, text: &'a str) -> Self {
        Self { path, text, found: Vec::new() }
    }

    /// Adds a problem at a byte offset of the text. A hint is a second line, indented by two spaces.
    pub(super) fn add(&mut self, offset: usize, message: String) {
        self.found.push((offset, message));
    }

    /// Fails with the problems in file order, if there are any.
    pub(super) fn finish(mut self) -> Result<(), WrongUsage> {
        self.found.sort_by_key(|(offset, _)| *offset);
        let mut report = String::new();
        for (offset, message) in &self.found {
            let before = String::from_utf8_lossy(&self.text.as_bytes()[..*offset.min(&self.text.len())]);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let separator = if report.is_empty() { "" } else { "\n" };
            let _ = write!(report, "{separator}{}:{line}:{column}: {message}", self.path);
        }
        if report.is_empty() { Ok(()) } else { Err(WrongUsage(report)) }
    }
}

/// The candidate that the user most likely meant; `None` when none is close.
///
/// Close means that at most a third of the characters differ, as cargo decides for its subcommands.
pub fn closest<'a>(unknown: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&unknown, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= unknown.chars().count().max(candidate.len()).max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The closest candidate as the second line of a message.
pub(super) fn did_you_mean<'a>(
    unknown: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(unknown, candidates).map(|candidate| format!("\n  did you mean `{candidate}`?"))
}

/// `a`, `b` or `c`, each in backticks.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
