//! The JSON schema and the parser accept and reject the same values.

use super::{EXAMPLE, keys, parse};
use crate::config::json_schema;
use crate::config::kind::Kind;
use crate::config::section::{Key, Section};
use crate::config::tiers::default_tiers;
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema = serde_json::from_str(&json_schema()).unwrap();
        compiler.add_resource("xtask.schema.json", schema).unwrap();
        let index = compiler.compile("xtask.schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn accepts(&self, text: &str) -> bool {
        let document = toml_edit::Document::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        self.schemas.validate(&json(document.as_item()), self.index).is_ok()
    }

    /// Asserts that parser and schema both accept, or both reject.
    #[track_caller]
    fn agree(&self, text: &str, accept: bool) {
        match parse(text) {
            Ok(_) => assert!(accept, "the parser accepts:\n{text}"),
            Err(errors) => assert!(!accept, "the parser rejects:\n{text}\n{errors}"),
        }
        assert_eq!(self.accepts(text), accept, "the schema disagrees on:\n{text}");
    }
}

/// The JSON that editors make of TOML before they apply a schema.
fn json(item: &toml_edit::Item) -> Value {
    if let Some(table) = item.as_table_like() {
        return table.iter().map(|(key, item)| (key.to_owned(), json(item))).collect();
    }
    if let Some(array) = item.as_array() {
        return array.iter().map(|value| json(&value.clone().into())).collect();
    }
    if let Some(tables) = item.as_array_of_tables() {
        return tables.iter().map(|table| json(&table.clone().into())).collect();
    }
    item.as_str()
        .map(Value::from)
        .or_else(|| item.as_integer().map(Value::from))
        .or_else(|| item.as_float().map(Value::from))
        .or_else(|| item.as_bool().map(Value::from))
        .unwrap_or_else(|| panic!("a datetime is no JSON"))
}

/// A file that sets one key; `core` and `cli` are members, features and presets, so any key may name them.
fn file(section: &Section, key: &Key, value: &str) -> String {
    let (before, context) = match section.name() {
        "tiers" => ("[presets.core]\n[presets.cli]\n", vec!["command = 'test'\n", "budget = 1\n"]),
        _ => ("", Vec::new()),
    };
    let context = context.into_iter().filter(|line| !line.starts_with(key.name)).collect::<String>();
    format!(
        "{before}{}\n{context}{} = {value}\n",
        section.header.replace("NAME", if section.name() == "test-inputs" { "core" } else { "quick" }),
        key.name
    )
}

fn quoted(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("'{word}'")).collect()
}

/// Lists of that kind which are not empty.
fn lists(kind: Kind) -> Vec<String> {
    let Kind::List(of) = kind else { panic!("{kind:?} is not a list") };
    let values = valid(*of);
    let one = values.iter().map(|value| format!("[{value}]"));
    let twice = Some(format!("[{0}, {0}]", values[0]));
    one.chain([format!("[{}]", values.join(", "))]).chain(twice).collect()
}

fn valid(kind: Kind) -> Vec<String> {
    match kind {
        Kind::Text | Kind::Glob => quoted(&["core", "cli"]),
        Kind::Command => quoted(&["cargo check", "cargo +nightly test", "A=1 cargo doc"]),
        Kind::Url => quoted(&["https://x"]),
        Kind::Sha256 => vec![format!("'{}'", "a0".repeat(32))],
        Kind::Choice(words) => quoted(words),
        Kind::Bool => vec!["true".into(), "false".into()],
        Kind::Integer => vec!["0".into(), "1".into(), "4294967295".into()],
        Kind::Duration => {
            let mut valid = quoted(&["500ms", "30s", "2min", "1h", "1min 30s", "999999999h", "1h 1h"]);
            valid.extend(["1".into(), "999999999".into()]);
            valid
        }
        Kind::Age(words) => {
            let mut valid = quoted(words);
            valid.extend(
                quoted(&["500ms", "7d", "1d 2h"]).into_iter().chain(["0".into(), "999999999".into()]),
            );
            valid
        }
        Kind::Size => quoted(&["500 MB", "20GiB", "1.5 TB", "0 B", "0.125 KiB", "999999999 kB"]),
        Kind::Percent => quoted(&["0%", "2%", "100%"]),
        Kind::List(_) => lists(kind).into_iter().chain(["[]".to_owned()]).collect(),
        Kind::Strings => vec!["{}".into(), "{ A = '' }".into(), "{ A = '1', 'b c' = \"\\n\" }".into()],
        Kind::Table(fields) => {
            let entry = |name: &str, kind: Kind| format!("{name} = {}", valid(kind)[0]);
            let all = fields.iter().map(|field| entry(field.name, field.kind)).collect::<Vec<_>>();
            let required = fields.iter().filter(|field| field.required);
            let required = required.map(|field| entry(field.name, field.kind)).collect::<Vec<_>>();
            vec![format!("{{ {} }}", all.join(", ")), format!("{{ {} }}", required.join(", "))]
        }
        Kind::Requirement => quoted(&["1", ">=1.2", "=1.2.3", "^0.4, <0.9", "*", "~1.2.3-pre.4"]),
        Kind::ChoiceOr(words, list) => [quoted(words), lists(*list)].concat(),
    }
}

/// Values that are wrong for every kind but the ones left out.
fn invalid(kind: Kind) -> Vec<String> {
    let mut invalid: Vec<&str> = vec!["1.5", "''", "-1", "[[]]", "[1]", "['']", "{ a = 1 }", "nan"];
    let list = match kind {
        Kind::ChoiceOr(_, list) => Some(*list),
        Kind::List(_) => Some(kind),
        _ => None,
    };
    let of = match list {
        Some(Kind::List(of)) => Some(*of),
        _ => None,
    };
    if kind != Kind::Bool {
        invalid.push("true");
    }
    if !matches!(kind, Kind::Integer | Kind::Duration | Kind::Age(_)) {
        invalid.extend(["0", "7"]);
    }
    if !matches!(of, Some(Kind::Text | Kind::Glob)) {
        invalid.push("['core']");
    }
    if list != Some(kind) {
        invalid.push("[]");
    }
    if kind != Kind::Strings {
        invalid.push("{ A = '1' }");
    }
    if !matches!(kind, Kind::Strings | Kind::Table(_)) {
        invalid.push("{}");
    }
    if !matches!(kind, Kind::Text | Kind::Glob) {
        invalid.push("'core'");
    }
    match kind {
        Kind::Integer => invalid.push("4294967296"),
        Kind::Age(_) => invalid.extend(["1000000000", "'0'", "'0s'", "'5'", "'nevr'", "'-5s'", "'1.5d'"]),
        Kind::Size => {
            invalid.extend(["'20'", "'20 gib'", "'-1 GB'", "'01 GB'", "'1. GB'", "'1.2345 GB'", "' 1 GB'"]);
        }
        Kind::Percent => invalid.extend(["'2'", "'101%'", "'02%'", "'2.5%'", "'%'", "'2 %'"]),
        Kind::Duration => invalid.extend([
            "0",
            "1000000000",
            "'0s'",
            "'01s'",
            "'5'",
            "'5 s'",
            "'5m'",
            "'5S'",
            "' 5s'",
            "'5s '",
            "'5s  5s'",
            "'-5s'",
            "'1.5s'",
            "'1000000000s'",
            "'5s,5s'",
            "\"5s\\n\"",
        ]),
        Kind::Strings => invalid.push("{ A = [] }"),
        Kind::Requirement => invalid.extend(["'x1'", "'>='", "'1,'", "'=>1'", "'v1.2'"]),
        Kind::Table(_) => invalid.push("'a'"),
        _ => {}
    }
    let mut invalid = invalid.into_iter().map(str::to_owned).collect::<Vec<_>>();
    match kind {
        Kind::Url => invalid.push("'http://x'".to_owned()),
        Kind::Sha256 => invalid.extend(["'a0'".to_owned(), format!("'{}'", "A0".repeat(32))]),
        Kind::Table(fields) => {
            // Each field wrong, or missing where it is required.
            for wrong in fields {
                let entries = |value: Option<&str>| {
                    let entries = fields.iter().filter_map(|field| {
                        let own = valid(field.kind)[0].clone();
                        let value =
                            if field.name == wrong.name { value.map(str::to_owned) } else { Some(own) };
                        Some(format!("{} = {}", field.name, value?))
                    });
                    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
                };
                invalid.push(entries(Some("''")));
                if wrong.required {
                    invalid.push(entries(None));
                }
            }
        }
        _ => {}
    }
    if let Some(of) = of {
        let wrong = self::invalid(of).into_iter();
        // What is an element of another kind may be an array or a table there; those are tried above.
        invalid.extend(wrong.map(|value| format!("[{value}]")));
    }
    invalid
}

#[test]
fn schema_and_parser_agree_on_every_key() {
    let validator = Validator::new();
    for (section, key) in keys() {
        validator.agree(&file(section, key, key.example), true);
        for value in valid(key.kind) {
            validator.agree(&file(section, key, &value), true);
        }
        for value in invalid(key.kind) {
            validator.agree(&file(section, key, &value), false);
        }
        let right = file(section, key, key.example);
        let misspelt = right.replace(&format!("{} = ", key.name), &format!("{}x = ", key.name));
        validator.agree(&misspelt, false);
    }
}

#[test]
fn schema_and_parser_agree_on_tables_and_names() {
    let validator = Validator::new();
    validator.agree("", true);
    validator.agree(EXAMPLE, true);
    for tier in default_tiers() {
        validator.agree(&format!("[tiers.{}]\n", tier.name), true);
    }
    for name in ["a", "0", "a-b", "1a-"] {
        validator.agree(&format!("[tiers.{name}]\ncommand = 'doc'\n[presets.{name}]\n"), true);
    }
    for name in ["A", "a_b", "-a", "", "ä", "a b", "a\\n"] {
        validator.agree(&format!("[tiers.\"{name}\"]\ncommand = 'doc'\n"), false);
        validator.agree(&format!("[presets.\"{name}\"]\n"), false);
    }
    for text in [
        "[tiers.quick]\n",
        "[bogus]\n",
        "x = 1\n",
        "tiers = 1\n",
        "presets = []\n",
        "affected = ''\n",
        "[[affected]]\n",
        "[tiers]\nlint = 1\n",
        "[presets]\nfull = true\n",
    ] {
        validator.agree(text, false);
    }
}
