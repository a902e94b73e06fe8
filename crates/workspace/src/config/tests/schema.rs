//! The JSON schema and the parser accept and reject the same values.

use super::{members, parse};
use crate::config::keys::{self, Items, Key, Kind, Section};
use crate::config::tiers::default_tiers;
use crate::config::{EXAMPLE, json_schema};
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
fn file(key: &Key, value: &str) -> String {
    let context = ["command = 'test'", "budget = 1"];
    let context =
        context.into_iter().filter(|line| !line.starts_with(key.name)).collect::<Vec<_>>().join("\n");
    let header = match key.section {
        Section::Tiers => format!("[presets.core]\n[presets.cli]\n[tiers.quick]\n{context}\n"),
        Section::Presets => "[presets.quick]\n".to_owned(),
        Section::Affected => "[affected]\n".to_owned(),
        Section::Sweep => "[sweep]\n".to_owned(),
        Section::Setup => "[setup]\n".to_owned(),
        Section::Tools => "[tools.quick]\n".to_owned(),
    };
    format!("{header}{} = {value}\n", key.name)
}

fn quoted(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("'{word}'")).collect()
}

fn lists(items: Items) -> Vec<String> {
    match items {
        Items::OneOf(words) => {
            let words = quoted(words);
            words.iter().map(|word| format!("[{word}]")).chain([format!("[{}]", words.join(", "))]).collect()
        }
        Items::Commands => vec!["['cargo check']".into(), "['cargo +nightly test', 'A=1 cargo doc']".into()],
        Items::Arguments => vec!["['core']".into(), "['core', 'core']".into()],
        Items::Distinct | Items::Globs => vec!["['core']".into(), "['core', 'cli']".into()],
    }
}

fn valid(kind: Kind) -> Vec<String> {
    match kind {
        Kind::Text => quoted(&["core", "cli"]),
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
        Kind::Bytes => quoted(&["500 MB", "20GiB", "1.5 TB", "0 B", "0.125 KiB", "999999999 kB"]),
        Kind::List(items) => lists(items).into_iter().chain(["[]".to_owned()]).collect(),
        Kind::Variables => vec!["{}".into(), "{ A = '' }".into(), "{ A = '1', 'b c' = \"\\n\" }".into()],
        Kind::Table(keys) => vec!["{}".into(), format!("{{ {} = 'core' }}", keys[0])],
        Kind::Requirement => quoted(&["1", ">=1.2", "=1.2.3", "^0.4, <0.9", "*", "~1.2.3-pre.4"]),
        Kind::Archives => vec!["[]".into(), format!("[{}]", archive("https://x", &"a0".repeat(32)))],
        Kind::ChoiceOrList(words, items) => [quoted(words), lists(items)].concat(),
    }
}

fn archive(url: &str, sha256: &str) -> String {
    format!("{{ host = '*', version = '1', url = '{url}', sha256 = '{sha256}' }}")
}

/// Values that are wrong for every kind but the ones left out.
fn invalid(kind: Kind) -> Vec<String> {
    let mut invalid: Vec<&str> =
        vec!["1.5", "''", "\"a\\u0007\"", "-1", "[[]]", "[1]", "['']", "[\"\\n\"]", "{ a = 1 }", "nan"];
    let is_list = matches!(kind, Kind::List(_) | Kind::ChoiceOrList(..));
    if kind != Kind::Bool {
        invalid.push("true");
    }
    if !matches!(kind, Kind::Integer | Kind::Duration | Kind::Age(_)) {
        invalid.extend(["0", "7"]);
    }
    if !is_list {
        invalid.push("['core']");
    }
    if !is_list && kind != Kind::Archives {
        invalid.push("[]");
    }
    if kind != Kind::Variables {
        invalid.push("{ A = '1' }");
    }
    if !matches!(kind, Kind::Variables | Kind::Table(_)) {
        invalid.push("{}");
    }
    if kind != Kind::Text {
        invalid.push("'core'");
    }
    match kind {
        Kind::Integer => invalid.push("4294967296"),
        Kind::Age(_) => invalid.extend(["1000000000", "'0'", "'0s'", "'5'", "'nevr'", "'-5s'", "'1.5d'"]),
        Kind::Bytes => {
            invalid.extend(["'20'", "'20 gib'", "'-1 GB'", "'01 GB'", "'1. GB'", "'1.2345 GB'", "' 1 GB'"]);
        }
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
        Kind::Variables => {
            invalid.extend([
                "{ '' = '1' }",
                "{ 'A=B' = '1' }",
                "{ \"A\\u0000\" = '1' }",
                "{ A = \"\\u0000\" }",
                "{ A = [] }",
            ]);
        }
        Kind::ChoiceOrList(..) => invalid.push("[]"),
        Kind::Requirement => invalid.extend(["'x1'", "'>='", "'1,'", "'=>1'", "'v1.2'"]),
        Kind::Archives => invalid.extend(["[{}]", "['a']", "[{ host = '*' }]"]),
        _ => {}
    }
    if is_list && !matches!(kind, Kind::List(Items::Arguments) | Kind::ChoiceOrList(_, Items::Arguments)) {
        invalid.push("['lib', 'lib']");
    }
    if let Kind::ChoiceOrList(_, Items::OneOf(_)) = kind {
        invalid.push("['core']");
    }
    let mut invalid = invalid.into_iter().map(str::to_owned).collect::<Vec<_>>();
    if kind == Kind::Archives {
        let digest = "a0".repeat(32);
        for (url, sha256) in
            [("http://x", &*digest), ("https://x", "a0"), ("https://x", &digest.to_uppercase())]
        {
            invalid.push(format!("[{}]", archive(url, sha256)));
        }
    }
    invalid
}

#[test]
fn schema_and_parser_agree_on_every_key() {
    let validator = Validator::new();
    for key in keys::all() {
        validator.agree(&file(key, key.example), true);
        for value in valid(key.kind) {
            validator.agree(&file(key, &value), true);
        }
        for value in invalid(key.kind) {
            validator.agree(&file(key, &value), false);
        }
        let misspelt =
            file(key, key.example).replace(&format!("{} = ", key.name), &format!("{}x = ", key.name));
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

#[test]
fn every_key_is_described_in_the_schema() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let described = |pointer: &str| schema.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    for key in keys::all() {
        let table = match key.section {
            Section::Tiers => "$defs/tier",
            Section::Presets => "$defs/preset",
            Section::Affected => "properties/affected",
            Section::Sweep => "properties/sweep",
            Section::Setup => "properties/setup",
            Section::Tools => "$defs/tool",
        };
        assert!(
            described(&format!("/{table}/properties/{}/description", key.name)).starts_with(key.doc),
            "{key:?}"
        );
    }
    for section in Section::ALL {
        assert_eq!(described(&format!("/properties/{}/description", section.name())), section.doc());
    }
    assert!(members().contains("core") && json_schema().ends_with("}\n"));
}
