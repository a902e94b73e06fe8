//! Where a new key goes: into the table that is there, in the way that this table is written; else into a new one.

use anyhow::{Result, bail};
use toml_edit::{Document, Table};

use super::lines::{self, Splice};
use super::tree::{self, Descent, Node};
use super::{expression, list};

/// The splices that add the key of `path`, which is not there.
pub(super) fn key(document: &Document<String>, path: &[&str], value: &str) -> Result<Vec<Splice>> {
    let text = document.raw();
    let descent = Descent::of(document, path);
    let depth = descent.len();
    let Some(parents) = path.len().checked_sub(1) else { bail!("a path has at least one key") };
    let (home_depth, home) = descent.home(depth);
    let splice = match descent.table()? {
        Node::Table(table) if table.is_dotted() => {
            let last = Node::Table(table).entries(text).pop();
            let Some(last) = last else { bail!("no key of `{}` was found", dotted(&path[..depth])) };
            below(text, last.value.end, lines::indent(text, last.start), &path[home_depth..], value)
        }
        Node::Table(table) if depth == parents => in_table(text, table, path, value),
        Node::Table(_) => {
            lines::at_the_end(text, |newline| new_table(newline, path, &in_newlines(value, newline)))
        }
        _ => {
            let entries = home.entries(text);
            let values: Vec<_> = entries.iter().map(|entry| entry.start..entry.value.end).collect();
            let braces = home.value_span().unwrap_or_default();
            let element = entry(&path[home_depth..], &in_newlines_at(text, braces.end, value));
            return Ok(list::append(text, &braces, &values, &element, list::Brackets::Curly));
        }
    };
    Ok(vec![splice])
}

/// Adds the last key of `path` to a table that is the root, has a header, or is implied by other headers.
fn in_table(text: &str, table: &Table, path: &[&str], value: &str) -> Splice {
    let key = &path[path.len() - 1..];
    let is_root = path.len() == 1;
    let header = tree::first_header(table);
    if let Some(last) = Node::Table(table).entries(text).pop() {
        return below(text, last.value.end, lines::indent(text, last.start), key, value);
    }
    if let Some(own) = table.span().filter(|_| !is_root && !table.is_implicit()) {
        return below(text, own.end, lines::indent(text, own.start), key, value);
    }
    let lines_of = |newline: &str| {
        let value = in_newlines(value, newline);
        if is_root { entry(key, &value) } else { new_table(newline, path, &value) }
    };
    let Some(header) = header else { return lines::at_the_end(text, lines_of) };
    let at = lines::attached_comments(text, header.start, header.floor);
    let newline = lines::newline_at(text, at);
    Splice::insert(at, format!("{}{newline}{newline}", lines_of(newline)))
}

/// A line with a key below the line of `at`.
fn below(text: &str, at: usize, indent: &str, key: &[&str], value: &str) -> Splice {
    lines::below(text, at, |newline| format!("{indent}{}", entry(key, &in_newlines(value, newline))))
}

fn new_table(newline: &str, path: &[&str], value: &str) -> String {
    let (table, key) = path.split_at(path.len() - 1);
    format!("[{}]{newline}{}", dotted(table), entry(key, value))
}

fn entry(key: &[&str], value: &str) -> String {
    format!("{} = {value}", dotted(key))
}

/// The value with the newlines that the text has at `at`.
pub(super) fn in_newlines_at(text: &str, at: usize, value: &str) -> String {
    in_newlines(value, lines::newline_at(text, at))
}

/// The value with such newlines, unless they are part of a string in it.
fn in_newlines(value: &str, newline: &str) -> String {
    let changed = value.replace("\r\n", "\n").replace('\n', newline);
    let same = matches!((expression(&changed), expression(value)), (Ok(new), Ok(old)) if new == old);
    if same { changed } else { value.to_owned() }
}

/// The key as it is written: bare, else in single quotes, else in double ones.
fn written(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else if key.chars().any(|c| c == '\'' || c.is_control()) || key.is_empty() {
        toml_edit::Key::new(key).display_repr().into_owned()
    } else {
        format!("'{key}'")
    }
}

/// The keys with dots between them, as they are written in a header or before the equals sign.
pub(super) fn dotted(path: &[&str]) -> String {
    path.iter().map(|key| written(key)).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_where_they_need_it() {
        for (key, expected) in [
            ("a-b_1", "a-b_1"),
            ("cfg(unix)", "'cfg(unix)'"),
            ("a.b", "'a.b'"),
            ("é", "'é'"),
            ("C:\\x", "'C:\\x'"),
            ("", "\"\""),
            ("it's", "\"it's\""),
            ("a\nb", "\"a\\nb\""),
            ("a'\\b", "\"a'\\\\b\""),
        ] {
            let text = written(key);
            assert!(toml_edit::Key::parse(&text).unwrap()[0].get() == key, "{text} is read as another key");
            if key != "a'\\b" {
                assert_eq!(text, expected);
            }
        }
    }
}
