//! `cfg` conditions of attributes, told in three values.
//!
//! Invariant: what rustc or a build script may set is neither true nor false here, so no decision rests on it. A flag
//! that only the command line could set (`docsrs`, `tokio_unstable`) is off.

use std::collections::BTreeSet;

/// A condition as source code has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// No condition.
    Always,
    /// `unix`, `test`, `docsrs`.
    Flag(String),
    /// `feature = "std"`.
    Value(String, String),
    /// `not(…)`
    Not(Box<Condition>),
    /// `all(…)`
    All(Vec<Condition>),
    /// `any(…)`
    Any(Vec<Condition>),
}

/// What is on while a condition is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// The package's features.
    pub(crate) features: &'a BTreeSet<String>,
    /// Whether the test harness is built.
    pub(crate) test: bool,
    /// The target triple.
    pub(crate) host: &'a str,
    /// Whether nothing in the workspace sets flags of its own: no build script, no `--cfg` in cargo's configuration.
    pub(crate) no_own_flags: bool,
}

impl Condition {
    /// Reads `all(feature = "a", not(test))`. Nothing if it is no condition.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((name, rest)) = text.split_once('(')
            && !name.contains('=')
        {
            let parts = split(rest.strip_suffix(')')?);
            let parts = parts.into_iter().map(Self::parse).collect::<Option<Vec<_>>>()?;
            return match name.trim() {
                "all" => Some(Self::All(parts)),
                "any" => Some(Self::Any(parts)),
                "not" => Some(Self::Not(Box::new(parts.into_iter().next()?))),
                _ => None,
            };
        }
        let Some((key, value)) = text.split_once('=') else {
            let plain = |c: char| c.is_alphanumeric() || c == '_';
            return (!text.is_empty() && text.chars().all(plain)).then(|| Self::Flag(text.to_owned()));
        };
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some(Self::Value(key.trim().to_owned(), value.to_owned()))
    }

    /// Both conditions.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, other) | (other, Self::Always) => other,
            (one, other) => Self::All(vec![one, other]),
        }
    }

    /// Whether it holds; `None` where that cannot be told.
    pub(crate) fn holds(&self, setting: Setting<'_>) -> Option<bool> {
        match self {
            Self::Always => Some(true),
            Self::Flag(name) => flag(name, setting),
            Self::Value(key, value) if key == "feature" => Some(setting.features.contains(value)),
            Self::Value(key, value) => of_target(key, value, setting.host),
            Self::Not(inner) => inner.holds(setting).map(|holds| !holds),
            Self::All(parts) => decide(parts, setting, false),
            Self::Any(parts) => decide(parts, setting, true),
        }
    }

    /// The features that make it more true when they are on (`wanted`), or when they are off.
    pub(crate) fn features(&self, wanted: bool) -> Vec<&str> {
        match self {
            Self::Value(key, value) if key == "feature" && wanted => vec![value],
            Self::Always | Self::Flag(_) | Self::Value(..) => Vec::new(),
            Self::Not(inner) => inner.features(!wanted),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(|part| part.features(wanted)).collect()
            }
        }
    }
}

/// `deciding` is the value of one part that settles the whole.
fn decide(parts: &[Condition], setting: Setting<'_>, deciding: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match part.holds(setting) {
            Some(value) if value == deciding => return Some(deciding),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!deciding)
}

fn flag(name: &str, setting: Setting<'_>) -> Option<bool> {
    match name {
        "test" => Some(setting.test),
        "unix" | "windows" => family(setting.host).map(|family| family == name),
        // Of these rustc and its relatives decide.
        "debug_assertions" | "overflow_checks" | "ub_checks" | "panic" | "doc" | "doctest" | "clippy"
        | "proc_macro" => None,
        name if name.starts_with("target_") => None,
        _ => setting.no_own_flags.then_some(false),
    }
}

fn of_target(key: &str, value: &str, host: &str) -> Option<bool> {
    let os = [("linux", "linux"), ("darwin", "macos"), ("windows", "windows"), ("freebsd", "freebsd")];
    match key {
        "target_arch" => {
            let arch = known_arch(host)?;
            Some(arch == value)
        }
        "target_pointer_width" => known_arch(host).map(|_| value == "64"),
        "target_family" => family(host).map(|family| family == value),
        "target_os" => os.iter().find(|(part, _)| host.contains(part)).map(|(_, os)| *os == value),
        _ => None,
    }
}

fn known_arch(host: &str) -> Option<&str> {
    host.split('-').next().filter(|arch| ["x86_64", "aarch64"].contains(arch))
}

fn family(host: &str) -> Option<&'static str> {
    let unix = ["linux", "apple", "bsd"].iter().any(|os| host.contains(os));
    if unix { Some("unix") } else { host.contains("windows").then_some("windows") }
}

/// The parts between commas outside of parentheses and strings.
pub(super) fn split(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut start) = (0_usize, false, 0);
    let mut parts = Vec::new();
    for (index, c) in list.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(&list[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_told_in_three_values() {
        let features = ["a".to_owned(), "b".to_owned()].into();
        let setting = Setting {
            features: &features,
            test: true,
            host: "x86_64-unknown-linux-gnu",
            no_own_flags: false,
        };
        let table = [
            (r#"feature = "a""#, Some(true)),
            (r#"feature = "c""#, Some(false)),
            (r#"all(feature = "a", feature = "b",)"#, Some(true)),
            (r#"all(feature = "a", docsrs)"#, None),
            (r#"all(feature = "c", docsrs)"#, Some(false)),
            (r#"any(feature = "a", docsrs)"#, Some(true)),
            (r#"any(feature = "c", nightly)"#, None),
            (r#"not(any(feature = "c", feature = "d"))"#, Some(true)),
            ("not(stable)", None),
            ("test", Some(true)),
            ("unix", Some(true)),
            ("windows", Some(false)),
            (r#"target_os = "linux""#, Some(true)),
            (r#"target_arch = "wasm32""#, Some(false)),
            (r#"target_pointer_width = "32""#, Some(false)),
            (r#"all(target_family = "wasm", nightly)"#, Some(false)),
            (r#"target_endian = "little""#, None),
        ];
        for (text, expected) in table {
            assert_eq!(Condition::parse(text).unwrap().holds(setting), expected, "{text}");
        }
        let setting = Setting { no_own_flags: true, ..setting };
        for (text, expected) in
            [("docsrs", Some(false)), ("not(nightly)", Some(true)), ("debug_assertions", None)]
        {
            assert_eq!(Condition::parse(text).unwrap().holds(setting), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_none() {
        for text in ["", "all(", "feature = a", "version(1.2)", "a b"] {
            assert_eq!(Condition::parse(text), None, "{text}");
        }
    }

    #[test]
    fn features_are_told_by_what_they_do_to_it() {
        let condition =
            Condition::parse(r#"all(feature = "a", not(any(feature = "b", not(feature = "c"))))"#).unwrap();
        assert_eq!((condition.features(true), condition.features(false)), (vec!["a", "c"], vec!["b"]));
    }
}
