//! Random changes to random texts: each does what it says, to the meaning and to the bytes, or nothing.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, Item, TableLike, Value};
use xtask_edit::TomlText;
use xtask_testkit::Random;

const KEYS: [&str; 6] = ["a", "b", "c", "d-e", "cfg(x)", "q\"."];
const WRITTEN: [&str; 8] = ["a", "b", "c", "d-e", "'cfg(x)'", "\"cfg(x)\"", "'q\".'", "\"q\\\".\""];
const VALUES: [&str; 22] = [
    "1",
    "nan",
    "1979-05-27T07:32:00Z",
    "\"[x] # no \\\"\"",
    "'''\n[a]\n# no'''",
    "\"\"\"\n'b' = 1\n\"\"\"",
    "[]",
    "[ ]",
    "[1,2]",
    "[ [1], { b = 1 }, ]",
    "[\n  1, # one, two\n  2, # [x]\n  # 3,\n]",
    "[\n\t'#,',\n\t']' # ]\n]",
    "[\n  1, 2,\n  3, 4 ]",
    "[ # none\n]",
    "{}",
    "{ }",
    "{ a = 1, b.c = 2, \"cfg(x)\" = { a = [] }, b.a = ',' }",
    "{a=1,b=2}",
    "{\n  a = 1, # one, two\n  b . 'cfg(x)' . a = 2 # }\n}",
    "{\n  a = 1, b = 2, c = 3,\n  cfg = {},\n}",
    "{ # open\n  a = 1 # one\n  , b = 2\n  # end\n}",
    "{ a.a = 1, # one\n  b = [ '}' ], }",
];
const NEW_VALUES: [&str; 6] = ["2", "\"x\"", "[\"run\", \"--\"]", "{ a = 1 }", "[\n  7,\n  8,\n]", "[]"];

fn number_of_lines(text: &str) -> usize {
    text.matches('\n').count()
}

fn written_path(random: &mut Random, most: usize) -> String {
    let dot = if random.chance(20) { " . " } else { "." };
    let keys: Vec<_> = (0..=random.below(most)).map(|_| *random.pick(&WRITTEN).unwrap()).collect();
    keys.join(dot)
}

fn random_line(random: &mut Random) -> String {
    let indent = *random.pick(&["", "", "", "  ", "\t"]).unwrap();
    let comment = *random.pick(&["", "", " # [a] = 1, '\"", "#"]).unwrap();
    let path = written_path(random, 3);
    match random.below(12) {
        0 => String::new(),
        1 => format!("{indent}# about {path} = 1"),
        2 | 3 => format!("{indent}[{path}]{comment}"),
        4 => format!("{indent}[[{path}]]{comment}"),
        _ => format!("{indent}{path} = {}{comment}", random.pick(&VALUES).unwrap()),
    }
}

/// A text that is TOML: lines that would make it another thing are left out.
fn random_text(random: &mut Random) -> String {
    let mut text = String::from(if random.chance(15) { "\u{feff}" } else { "" });
    let crlf = *random.pick(&[0, 0, 100, 50]).unwrap();
    for _ in 0..random.below(14) {
        let newline = if random.chance(crlf) { "\r\n" } else { "\n" };
        let longer = format!("{text}{}{newline}", random_line(random).replace('\n', newline));
        if longer.parse::<DocumentMut>().is_ok() {
            text = longer;
        }
    }
    if random.chance(20) {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
    }
    text
}

/// Any path; every other time one that leads down what is there, and perhaps further.
fn random_path(random: &mut Random, toml: &TomlText) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    while random.chance(if path.is_empty() { 50 } else { 85 }) {
        let parents: Vec<_> = path.iter().map(String::as_str).collect();
        let keys = toml.keys(&parents);
        let Some(key) = random.pick(&keys) else { break };
        path.push(key.clone());
    }
    if path.is_empty() || random.chance(35) {
        path.extend((0..=random.below(3)).map(|_| (*random.pick(&KEYS).unwrap()).to_owned()));
    }
    path
}

/// All that the text means, by path; an empty table and an array with its elements are values.
fn leaves(text: &str) -> BTreeMap<Vec<String>, String> {
    fn canonical(value: &Value) -> String {
        match value {
            Value::Array(array) => {
                format!("[{}]", array.iter().map(canonical).collect::<Vec<_>>().join(", "))
            }
            Value::InlineTable(table) => canonical_table(table),
            Value::String(string) => format!("{:?}", string.value()),
            other => other.clone().decorated("", "").to_string(),
        }
    }
    fn canonical_table(table: &dyn TableLike) -> String {
        let mut found = BTreeMap::new();
        collect(table, &mut Vec::new(), &mut found);
        format!("{found:?}")
    }
    fn collect(table: &dyn TableLike, path: &mut Vec<String>, found: &mut BTreeMap<Vec<String>, String>) {
        if table.is_empty() && !path.is_empty() {
            found.insert(path.clone(), "a table".to_owned());
        }
        for (key, item) in table.iter() {
            path.push(key.to_owned());
            match item {
                Item::ArrayOfTables(tables) => {
                    let tables: Vec<_> = tables.iter().map(|table| canonical_table(table)).collect();
                    found.insert(path.clone(), format!("[{}]", tables.join(", ")));
                }
                Item::Value(Value::InlineTable(table)) => collect(table, path, found),
                Item::Value(value) => drop(found.insert(path.clone(), canonical(value))),
                Item::Table(table) => collect(table, path, found),
                Item::None => {}
            }
            path.pop();
        }
    }
    let mut found = BTreeMap::new();
    collect(text.parse::<DocumentMut>().unwrap().as_table(), &mut Vec::new(), &mut found);
    found
}

fn is_at(leaf: &[String], path: &[&str]) -> bool {
    leaf.len() >= path.len() && leaf.iter().zip(path).all(|(one, other)| one == other)
}

/// The leaves that are not at `path`, without the empty tables on the way to it.
fn others(text: &str, path: &[&str]) -> BTreeMap<Vec<String>, String> {
    let mut leaves = leaves(text);
    leaves.retain(|leaf, value| {
        let on_the_way = leaf.iter().zip(path).all(|(one, other)| one == other);
        !(is_at(leaf, path) || on_the_way && value == "a table")
    });
    leaves
}

fn leaves_at(text: &str, path: &[&str]) -> BTreeMap<Vec<String>, String> {
    let all = leaves(text).into_iter().filter(|(leaf, _)| is_at(leaf, path));
    all.map(|(leaf, value)| (leaf[path.len()..].to_vec(), value)).collect()
}

/// What is at a path: what a change may do there depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    Array,
    OtherValue,
    NoValue,
    /// The path leads through something that is no table.
    Blocked,
    /// The keys are among dotted ones in braces, which are not edited.
    DottedInBraces,
}

fn there(text: &str, path: &[&str]) -> There {
    let document = text.parse::<DocumentMut>().unwrap();
    let mut item = document.as_item();
    for key in path {
        let Some(table) = item.as_table_like() else { return There::Blocked };
        let Some(next) = table.get(key) else { return There::Nothing };
        item = next;
    }
    match item {
        Item::Value(Value::Array(_)) => There::Array,
        Item::Value(Value::InlineTable(table)) if table.is_dotted() => There::NoValue,
        Item::Value(_) => There::OtherValue,
        Item::None | Item::Table(_) | Item::ArrayOfTables(_) => There::NoValue,
    }
}

/// What differs between the ends that both have.
fn difference<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let prefix = old.bytes().zip(new.bytes()).take_while(|(one, other)| one == other).count();
    let (old, new) = (&old.as_bytes()[prefix..], &new.as_bytes()[prefix..]);
    let suffix = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
    let text = |bytes: &'a [u8]| std::str::from_utf8(&bytes[..bytes.len() - suffix]).unwrap();
    (text(old), text(new))
}

/// Whether `longer` is `shorter` with bytes inserted at one place; or at two, the first of them a comma.
fn is_insertion(shorter: &str, longer: &str) -> bool {
    let (short, long) = difference(shorter, longer);
    short.is_empty() || long.strip_prefix(',').is_some_and(|rest| rest.starts_with(short))
}

fn check_newlines(old: &str, new: &str) {
    let all_crlf = |text: &str| text.matches("\r\n").count() == number_of_lines(text);
    if number_of_lines(old) > 0 && all_crlf(old) {
        assert!(all_crlf(new), "a line that ends otherwise than the others");
    }
    if !old.contains('\r') {
        assert!(!new.contains('\r'));
    }
    assert_eq!(old.starts_with('\u{feff}'), new.starts_with('\u{feff}'));
}

fn is_dotted_in_braces<T>(result: &anyhow::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| format!("{error:#}").contains("is a dotted key in braces"))
}

fn check_set(toml: &mut TomlText, path: &[&str], value: &str) -> There {
    let old = toml.text().to_owned();
    let was = there(&old, path);
    let old_value = toml.value(path).map(|value| value.to_string());
    let result = toml.set(path, value);
    if is_dotted_in_braces(&result) {
        assert_eq!(toml.text(), old);
        return There::DottedInBraces;
    }
    if matches!(was, There::NoValue | There::Blocked) {
        assert!(result.is_err());
        assert_eq!(toml.text(), old);
        return was;
    }
    result.unwrap();
    let new = toml.text().to_owned();
    let meant = leaves_at(&format!("v = {value}"), &["v"]);
    assert_eq!(leaves_at(&new, path), meant);
    assert_eq!(leaves_at(&format!("v = {}", toml.value(path).unwrap()), &["v"]), meant);
    assert_eq!(others(&new, path), others(&old, path));
    assert!(toml.keys(&path[..path.len() - 1]).iter().any(|key| key == path[path.len() - 1]));
    check_newlines(&old, &new);
    if let Some(old_value) = old_value {
        // What toml_edit writes has lost the CRLF.
        assert!(difference(&old, &new).0.replace('\r', "").len() <= old_value.len());
        return was;
    }
    assert!(is_insertion(&old, &new), "bytes outside of the change are lost");
    let mut back = toml.clone();
    let removed = back.remove(path);
    if is_dotted_in_braces(&removed) {
        return was;
    }
    assert!(removed.unwrap());
    assert_eq!(others(back.text(), path), others(&old, path));
    assert_eq!(there(back.text(), path), There::Nothing);
    let one_line = number_of_lines(&new) == number_of_lines(&old) + 1 && !value.contains('\n');
    if one_line
        && old.ends_with('\n')
        && !new[old.len()..].is_empty()
        && difference(&old, &new).1.ends_with('\n')
    {
        assert_eq!(back.text(), old, "removing the line gives the old bytes");
    }
    was
}

fn check_push(toml: &mut TomlText, path: &[&str], value: &str) -> There {
    let old = toml.text().to_owned();
    let was = there(&old, path);
    let before = toml.value(path);
    let result = toml.push(path, value);
    if is_dotted_in_braces(&result) {
        assert_eq!(toml.text(), old);
        return There::DottedInBraces;
    }
    if !matches!(was, There::Nothing | There::Array) {
        assert!(result.is_err());
        assert_eq!(toml.text(), old);
        return was;
    }
    result.unwrap();
    let mut elements = before.map_or_else(toml_edit::Array::new, |before| before.as_array().unwrap().clone());
    elements.push(value.parse::<Value>().unwrap());
    elements.set_trailing("\n");
    let meant = leaves_at(&format!("v = {elements}"), &["v"]);
    assert_eq!(leaves_at(toml.text(), path), meant);
    assert_eq!(others(toml.text(), path), others(&old, path));
    assert!(is_insertion(&old, toml.text()), "bytes outside of the change are lost");
    check_newlines(&old, toml.text());
    was
}

fn check_remove(toml: &mut TomlText, path: &[&str]) -> There {
    let old = toml.text().to_owned();
    let was = there(&old, path);
    let result = toml.remove(path);
    if is_dotted_in_braces(&result) {
        assert_eq!(toml.text(), old);
        return There::DottedInBraces;
    }
    match was {
        There::Array | There::OtherValue => {
            assert!(result.unwrap());
            assert!(!toml.contains(path));
            assert_eq!(others(toml.text(), path), others(&old, path));
            assert!(is_insertion(toml.text(), &old), "bytes outside of the change are lost");
        }
        There::Nothing => assert!(!result.unwrap()),
        There::NoValue | There::Blocked | There::DottedInBraces => assert!(result.is_err()),
    }
    if !matches!(was, There::Array | There::OtherValue) {
        assert_eq!(toml.text(), old);
    }
    check_newlines(&old, toml.text());
    was
}

#[test]
fn random_changes_to_random_texts() {
    let mut seen = BTreeMap::new();
    for seed in 0..800 {
        let mut random = Random::new(seed);
        let mut toml = TomlText::parse(&random_text(&mut random)).unwrap();
        for _ in 0..4 {
            let path = random_path(&mut random, &toml);
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            let value = *random.pick(&NEW_VALUES).unwrap();
            let change = *random.pick(&["set", "push", "remove"]).unwrap();
            let before = toml.text().to_owned();
            let checked = std::panic::catch_unwind(|| {
                let mut toml = toml.clone();
                let was = match change {
                    "set" => check_set(&mut toml, &path, value),
                    "push" => check_push(&mut toml, &path, value),
                    _ => check_remove(&mut toml, &path),
                };
                (toml, was)
            });
            let Ok((changed, was)) = checked else {
                panic!("seed {seed}: {change} {path:?} {value:?} in {before:?}\n{before}");
            };
            toml = changed;
            *seen.entry(format!("{change}, {was:?}")).or_insert(0) += 1;
        }
    }
    // Every change met everything that can be there, often.
    assert_eq!(seen.len(), 18, "{seen:?}");
    let often = |(met, times): (&String, &i32)| *times >= 20 || met.ends_with("DottedInBraces");
    assert!(seen.iter().all(often), "{seen:?}");
}
