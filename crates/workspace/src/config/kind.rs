//! What the value of a key may be: how it is checked, and how it becomes the type of its field.
//!
//! [`Check`] and the JSON schema accept the same values, as far as a schema can tell; a test compares them.

use super::section::{Problems, did_you_mean, entries, one_of, type_name, value_offset};
use crate::CargoCommand;
use camino::Utf8Path;
use std::collections::BTreeMap;
use std::time::Duration;
use toml_edit::Item;

/// The kind of a key's value. Strings are not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Glob,
    /// A cargo command as it is typed.
    Command,
    /// A version requirement as in `Cargo.toml`.
    Requirement,
    /// `https` only.
    Url,
    Sha256,
    /// One of these words.
    Choice(&'static [&'static str]),
    Bool,
    /// An integer that fits `u32`.
    Integer,
    /// A string that [`duration`] reads, or a positive integer of seconds.
    Duration,
    /// As a duration, or 0, or one of these words.
    Age(&'static [&'static str]),
    /// A string that [`size`] reads.
    Size,
    /// `0%` to `100%`.
    Percent,
    /// Values of that kind.
    List(&'static Kind),
    /// One of these words, or a list of that kind that is not empty.
    ChoiceOr(&'static [&'static str], &'static Kind),
    /// A table of strings, each of which may be empty.
    Strings,
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

impl Kind {
    /// The kind as the reference names it.
    pub(super) fn noun(self) -> String {
        let noun = match self {
            Self::Text => "string",
            Self::Glob => "glob pattern",
            Self::Command => "cargo command",
            Self::Requirement => "version requirement",
            Self::Url => "URL that begins with https://",
            Self::Sha256 => "SHA-256 of 64 lowercase hexadecimal digits",
            Self::Bool => "boolean",
            Self::Integer => "non-negative integer",
            Self::Duration => "duration",
            Self::Age([]) => "age",
            Self::Size => "size",
            Self::Percent => "percentage",
            Self::List(Self::Table(_)) => "list of tables",
            Self::Strings => "table of strings",
            Self::Choice(words) => return one_of(words),
            Self::Age(words) => return format!("age, or {}", one_of(words)),
            Self::List(Self::Choice(words)) => {
                return format!("list of {}", one_of(words).replace(" or ", " and "));
            }
            Self::List(of) => return format!("list of {}s", of.noun()),
            Self::ChoiceOr(words, other) => return format!("{}, or a {}", one_of(words), other.noun()),
            Self::Table(fields) => return format!("table of strings under {}", one_of(&names(fields))),
        };
        noun.to_owned()
    }

    /// The kind as an error says what was expected.
    fn expected(self) -> String {
        let noun = self.noun();
        match noun.as_bytes().first() {
            Some(b'`') => noun,
            Some(b'a') => format!("an {noun}"),
            _ => format!("a {noun}"),
        }
    }

    /// Whether an item has a TOML type that such values have.
    fn has_type_of(self, item: &Item) -> bool {
        match self {
            Self::Bool => item.is_bool(),
            Self::Integer => item.is_integer(),
            Self::Duration | Self::Age(_) => item.is_str() || item.is_integer(),
            Self::List(Self::Table(_)) => item.is_array() || item.is_array_of_tables(),
            Self::List(_) => item.is_array(),
            Self::ChoiceOr(_, other) => item.is_str() || other.has_type_of(item),
            Self::Strings | Self::Table(_) => item.is_table_like(),
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
    /// Reports what is wrong with the item as a value of that kind. The offset is the key's.
    pub(super) fn value(&mut self, kind: Kind, item: &Item, key: usize) {
        let offset = value_offset(item, key);
        if !kind.has_type_of(item) {
            let problem = format!("expected {}, found {}", kind.expected(), type_name(item));
            return self.fail(offset, &problem);
        }
        match kind {
            Kind::Bool => {}
            Kind::Strings => {
                for (name, key, item) in item.as_table_like().into_iter().flat_map(entries) {
                    if !item.is_str() {
                        let problem = format!("expected a string for `{name}`, found {}", type_name(item));
                        self.fail(value_offset(item, key), &problem);
                    }
                }
            }
            Kind::Table(fields) => self.table(fields, item, offset),
            Kind::List(of) => elements(item).iter().for_each(|item| self.value(*of, item, offset)),
            Kind::ChoiceOr(_, list) if !item.is_str() => {
                if elements(item).is_empty() {
                    self.fail(offset, "the list is empty");
                }
                self.value(*list, item, offset);
            }
            _ => {
                let problem = match item.as_integer() {
                    Some(integer) => wrong_integer(kind, integer),
                    None => wrong_text(kind, item.as_str().unwrap_or_default()),
                };
                if let Some(problem) = problem {
                    self.fail(offset, &problem);
                }
            }
        }
    }

    fn fail(&mut self, offset: usize, problem: &str) {
        self.problems.add(offset, format!("{}: {problem}", self.label));
    }

    fn table(&mut self, fields: &[Field], item: &Item, offset: usize) {
        let Some(table) = item.as_table_like() else { return };
        for (name, key, item) in entries(table) {
            if let Some(field) = fields.iter().find(|field| field.name == name) {
                let label = format!("`{name}` of {}", self.label);
                Check { label, problems: self.problems }.value(field.kind, item, key);
            } else {
                let names = names(fields);
                let expected = one_of(&names);
                let hint = did_you_mean(name, names).unwrap_or_default();
                self.fail(key, &format!("unknown key `{name}`, expected {expected}{hint}"));
            }
        }
        for field in fields.iter().filter(|field| field.required && !table.contains_key(field.name)) {
            self.fail(offset, &format!("`{}` is missing", field.name));
        }
    }
}

fn wrong_integer(kind: Kind, integer: i64) -> Option<String> {
    let (least, most) = match kind {
        Kind::Integer => (0, u32::MAX),
        Kind::Age(_) => (0, MAX_SECONDS),
        _ => (1, MAX_SECONDS),
    };
    let fits = (i64::from(least)..=i64::from(most)).contains(&integer);
    (!fits).then(|| format!("expected an integer from {least} to {most}, found {integer}"))
}

/// What is wrong with a string of that kind, if anything is, with a hint.
fn wrong_text(kind: Kind, text: &str) -> Option<String> {
    let expected =
        |hint: &str| Some(format!("expected {}, found `{}`{hint}", kind.expected(), text.escape_debug()));
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    match kind {
        Kind::Choice(words) if !words.contains(&text) => {
            expected(&did_you_mean(text, words.iter().copied()).unwrap_or_default())
        }
        Kind::ChoiceOr(words, _) if !words.contains(&text) => {
            let list = || format!("\n  a list is written `[\"{}\"]`", text.escape_debug());
            expected(&did_you_mean(text, words.iter().copied()).unwrap_or_else(list))
        }
        Kind::Age(words) if words.contains(&text) => None,
        Kind::Duration | Kind::Age(_) if duration(text).is_none() => {
            expected("\n  write `500ms`, `30s`, `2min`, `1h`, `7d` or `1min 30s`")
        }
        Kind::Size if size(text).is_none() => expected("\n  write `500 MB`, `20 GiB` or `1.5 TB`"),
        Kind::Percent if percent(text).is_none() => expected("\n  write `2%`"),
        Kind::Url if !text.starts_with("https://") => expected(""),
        Kind::Sha256 if text.len() != 64 || !text.bytes().all(is_digit) => expected(""),
        _ if text.is_empty() => Some("the string is empty".to_owned()),
        Kind::Glob if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) => Some(format!(
            "`{text}` never matches\n  \
             patterns are relative to the workspace root, without a leading `/` or `./`"
        )),
        Kind::Glob => {
            let error = glob::Pattern::new(text).err()?;
            Some(format!("bad glob pattern `{text}` at character {}\n  {}", error.pos + 1, error.msg))
        }
        Kind::Command => {
            let why = CargoCommand::parse(text, "".into()).err()?;
            Some(format!("`{text}` {why}\n  write it as it is typed: `cargo +nightly check --workspace`"))
        }
        Kind::Requirement => {
            let error = semver::VersionReq::parse(text).err()?;
            Some(format!(
                "expected a version requirement, found `{text}`: {error}\n  \
                 write it as in Cargo.toml: `>=1.2`, `=1.2.3`"
            ))
        }
        _ => None,
    }
}

/// A type that a key's value becomes.
pub(super) trait Value: Sized {
    /// The value of an item; `None` for one of the wrong kind, which [`Check`] reports, and for a word that means no
    /// value, such as `never`.
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
        match item.as_integer() {
            Some(integer) => integer.try_into().ok(),
            None => percent(item.as_str()?),
        }
    }
}

/// A number of bytes.
impl Value for u64 {
    fn of(item: &Item) -> Option<Self> {
        size(item.as_str()?)
    }
}

impl Value for Duration {
    fn of(item: &Item) -> Option<Self> {
        match item.as_integer() {
            Some(seconds) => Some(Self::from_secs(seconds.try_into().ok()?)),
            None => duration(item.as_str()?),
        }
    }
}

/// The caller sets [`CargoCommand::dir`].
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
        // A loop: collecting into an `Option` compiles 10 kB of code for each type, in every first build.
        let mut values = Vec::new();
        for item in &elements(item) {
            values.push(T::of(item)?);
        }
        Some(values)
    }
}

impl Value for BTreeMap<String, String> {
    fn of(item: &Item) -> Option<Self> {
        let entries = item.as_table_like()?.iter();
        Some(entries.filter_map(|(name, item)| Some((name.to_owned(), String::of(item)?))).collect())
    }
}

/// The elements of a list: `[[tools.x.archives]]` is an array of tables, `archives = [{ … }]` an array.
fn elements(item: &Item) -> Vec<Item> {
    match item {
        Item::ArrayOfTables(tables) => tables.iter().map(|table| Item::Table(table.clone())).collect(),
        _ => item.as_array().into_iter().flatten().map(|value| Item::Value(value.clone())).collect(),
    }
}

/// The largest number before a unit of time, and the largest integer of seconds.
pub(super) const MAX_SECONDS: u32 = 999_999_999;

/// Units of time in milliseconds, longest first.
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// Units of size in bytes; each before those that it ends with.
const SIZES: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// The duration that the text means: `500ms`, `1min 30s`, `7d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    text.split(' ').try_fold(Duration::ZERO, |sum, part| {
        let (number, unit) = part.split_at(part.find(|character: char| !character.is_ascii_digit())?);
        let (_, milliseconds) = TIMES.iter().find(|(name, _)| *name == unit)?;
        let number: u32 = number.parse().ok().filter(|&number| number <= MAX_SECONDS)?;
        let plain = !part.starts_with('0');
        plain.then(|| sum + Duration::from_millis(u64::from(number) * milliseconds))
    })
}

/// An age as the command line takes it: a duration or `0`.
pub fn age(text: &str) -> Option<Duration> {
    if text == "0" { Some(Duration::ZERO) } else { duration(text) }
}

/// The duration in the file's own notation, cut to whole milliseconds.
pub(super) fn render(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (name, milliseconds) in TIMES {
        if rest >= milliseconds {
            parts.push(format!("{}{name}", rest / milliseconds));
            rest %= milliseconds;
        }
    }
    parts.join(" ")
}

/// The number of bytes that the text means: `500 MB`, `1.5GB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = SIZES.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let number = number.strip_suffix(' ').unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits(whole) && digits(fraction) && (whole == "0" || !whole.starts_with('0'));
    if !plain || whole.len() > 9 || !(1..=3).contains(&fraction.len()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u64>().ok()?;
    Some(whole.parse::<u64>().ok()?.checked_mul(*unit)?.saturating_add(unit * thousandths / 1000))
}

/// The number in `2%`.
pub(super) fn percent(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let plain =
        number.bytes().all(|byte| byte.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    number.parse().ok().filter(|&number| plain && number <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_percentages() {
        for (text, expected) in [("2%", Some(2)), ("0%", Some(0)), ("100%", Some(100))] {
            assert_eq!(percent(text), expected, "{text}");
        }
        for text in ["", "%", "2", "101%", "02%", "2.5%", "+2%", "2 %", "-1%"] {
            assert_eq!(percent(text), None, "{text}");
        }
    }

    #[test]
    fn reads_durations() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("1min 30s", 90_000),
            ("30s 1min", 90_000),
            ("999999999h", 3_599_999_996_400_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in
            ["", " ", "30", "s", "0s", "030s", "-1s", "+1s", "1.5s", "1 s", "1m", "1S", "1s ", "1s  1s", "²s"]
        {
            assert_eq!(duration(text), None, "{text:?}");
        }
        assert_eq!(duration("1000000000s"), None);
        assert_eq!(duration("99999999999999999999s"), None);
    }

    #[test]
    fn renders_its_own_notation() {
        for text in ["500ms", "30s", "2min", "1h", "1min 30s", "1h 1min 1s 1ms", "2d 1h"] {
            assert_eq!(duration(text).map(render).as_deref(), Some(text));
        }
    }

    #[test]
    fn reads_sizes_and_refuses_the_rest() {
        let table = [
            ("500 MB", Some(500_000_000)),
            ("20GiB", Some(20 << 30)),
            ("1.5 GB", Some(1_500_000_000)),
            ("0 B", Some(0)),
            ("0.5 KiB", Some(512)),
            ("1.05kB", Some(1050)),
            ("20", None),
            ("20 gib", None),
            ("20  GiB", None),
            ("-1 GB", None),
            ("1. GB", None),
            (".5 GB", None),
            ("01 GB", None),
            ("GB", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(size(text), expected, "{text:?}");
        }
    }
}
