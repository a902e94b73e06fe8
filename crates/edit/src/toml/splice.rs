//! Where in the text a change goes, in the layout that the text has there. What is wrong here is refused later, when
//! the meaning of the new text is compared.

use std::ops::Range;

use anyhow::{Result, bail};
use toml_edit::{Document, Item, TableLike, Value};

use super::kind;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Bytes of the old text and what replaces them.
#[derive(Debug, Clone)]
pub(super) struct Splice {
    span: Range<usize>,
    text: String,
}

impl Splice {
    pub(super) fn insert(at: usize, text: String) -> Self {
        Self { span: at..at, text }
    }

    pub(super) fn remove(span: Range<usize>) -> Self {
        Self { span, text: String::new() }
    }

    pub(super) fn replace(text: &str, span: Range<usize>, value: &str) -> Self {
        let value = with_newlines(value, newline_at(text, span.start));
        Self { span, text: value }
    }
}

/// The text with the splices, which are in order and do not overlap.
pub(super) fn spliced(text: &str, splices: &[Splice]) -> String {
    let mut result = String::new();
    let mut at = 0;
    for Splice { span, text: new } in splices {
        result.extend([&text[at..span.start], new]);
        at = span.end;
    }
    result + &text[at..]
}

/// The elements of an array, or the keys with their values in braces.
pub(super) struct List {
    pub(super) brackets: Range<usize>,
    pub(super) entries: Vec<Range<usize>>,
}

/// Where an item is written, if it is written as one value.
pub(super) fn value_span(item: &Item) -> Option<Range<usize>> {
    item.as_value().filter(|_| !is_dotted(item)).and_then(Value::span)
}

/// Whether it is a table that only dotted keys write.
fn is_dotted(item: &Item) -> bool {
    item.as_table_like().is_some_and(TableLike::is_dotted)
}

/// The keys with dots between them, as they are written in a header or before the equals sign.
pub(super) fn dotted(path: &[&str]) -> String {
    path.iter().map(|key| toml_edit::Key::new(*key).display_repr().into_owned()).collect::<Vec<_>>().join(".")
}

/// The way down a path, as far as it exists.
#[derive(Debug)]
pub(super) struct Way<'a, 'p> {
    text: &'a str,
    path: &'p [&'p str],
    /// The root, and what each key leads to.
    items: Vec<&'a Item>,
}

impl<'a, 'p> Way<'a, 'p> {
    pub(super) fn down(document: &'a Document<String>, path: &'p [&'p str]) -> Self {
        let mut items = vec![document.as_item()];
        for key in path {
            let table = items.last().and_then(|item| item.as_table_like());
            let Some(next) = table.and_then(|table| table.get(key)) else { break };
            items.push(next);
        }
        Self { text: document.raw(), path, items }
    }

    fn depth(&self) -> usize {
        self.items.len() - 1
    }

    /// What is at the end of the path.
    pub(super) fn found(&self) -> Option<&'a Item> {
        self.items.get(self.path.len()).copied()
    }

    /// The deepest item that exists, which has to be a table.
    pub(super) fn table(&self) -> Result<&'a dyn TableLike> {
        let item = self.items[self.depth()];
        match item.as_table_like() {
            Some(table) => Ok(table),
            None => bail!("`{}` is {}, not a table", dotted(&self.path[..self.depth()]), kind(item)),
        }
    }

    /// How deep the table is whose lines or braces hold the keys of the one at `depth`: dotted keys do not open one.
    fn home(&self, depth: usize) -> usize {
        (0..=depth).rev().find(|depth| !is_dotted(self.items[*depth])).unwrap_or(0)
    }

    /// The braces that hold the keys of the table at `depth`, with what is in them, if they are in braces.
    fn braces(&self, depth: usize) -> Result<Option<List>> {
        let home = self.items[self.home(depth)];
        let Some((table, brackets)) = home.as_inline_table().zip(value_span(home)) else { return Ok(None) };
        let table: &dyn TableLike = table;
        let mut entries = Vec::new();
        for (key, item) in table.iter() {
            let start = table.get_key_value(key).and_then(|(key, _)| key.span());
            let (Some(start), Some(value)) = (start, value_span(item)) else {
                bail!("`{key}` is a dotted key in braces, which is not edited");
            };
            entries.push(start.start..value.end);
        }
        Ok(Some(List { brackets, entries }))
    }

    /// Adds the missing key with its value.
    pub(super) fn insert(&self, value: &str) -> Result<Vec<Splice>> {
        let (text, path, depth) = (self.text, self.path, self.depth());
        let table = self.table()?;
        if let Some(list) = self.braces(depth)? {
            return Ok(list.append(text, &format!("{} = {value}", dotted(&path[depth..]))));
        }
        let (tables, key) = path.split_at(path.len() - 1);
        let line =
            |key: &[&str], newline: &str| format!("{} = {}", dotted(key), with_newlines(value, newline));
        let is_dotted = is_dotted(self.items[depth]);
        let splice = if !is_dotted && depth < tables.len() {
            at_the_end(text, |newline| format!("[{}]{newline}{}", dotted(tables), line(key, newline)))
        } else if let Some(last) = last_value(table) {
            let key = &path[self.home(depth)..];
            below(text, last.start, last.end, |newline| line(key, newline))
        } else if tables.is_empty() {
            above_the_tables(text, |newline| line(key, newline))
        } else if let Some(header) = self.items[depth].span().filter(|_| has_header(self.items[depth])) {
            below(text, header.start, header.end, |newline| line(key, newline))
        } else {
            at_the_end(text, |newline| format!("[{}]{newline}{}", dotted(tables), line(key, newline)))
        };
        Ok(vec![splice])
    }

    /// Removes the last key of the path, whose value is at `value`.
    pub(super) fn removal(&self, value: &Range<usize>) -> Result<Vec<Splice>> {
        if let Some(list) = self.braces(self.depth() - 1)? {
            let index = list.entries.iter().position(|entry| entry.end == value.end);
            return Ok(list.remove(self.text, index.unwrap_or_default()));
        }
        Ok(vec![Splice::remove(line_start(self.text, value.start)..line_end(self.text, value.end))])
    }
}

fn has_header(item: &Item) -> bool {
    item.as_table().is_some_and(|table| !table.is_implicit() && !table.is_dotted())
}

/// The last value that the table's own lines hold: of a table in it only if dotted keys write it.
fn last_value(table: &dyn TableLike) -> Option<Range<usize>> {
    let values = table.iter().filter_map(|(_, item)| match item.as_table_like() {
        Some(inner) if inner.is_dotted() => last_value(inner),
        _ => value_span(item),
    });
    values.max_by_key(|value| value.end)
}

impl List {
    /// Appends `element`.
    pub(super) fn append(&self, text: &str, element: &str) -> Vec<Splice> {
        let Self { brackets, entries } = self;
        let element = with_newlines(element, newline_at(text, brackets.end));
        let close = brackets.end - 1;
        let Some(last) = entries.last() else {
            let inside = brackets.start + 1..close;
            let at = line_start(text, close);
            if at < inside.start {
                let pad =
                    if text[brackets.clone()].starts_with('{') || !inside.is_empty() { " " } else { "" };
                return vec![Splice { span: inside, text: format!("{pad}{element}{pad}") }];
            }
            let indent = indent(text, close);
            return vec![Splice::insert(at, format!("{indent}    {element},{}", newline_at(text, at)))];
        };
        let comma = comma_in(text, last.end..close);
        let after = comma.map_or(last.end, |comma| comma + 1);
        let (kept_comma, missing_comma) = if comma.is_some() { (",", "") } else { ("", ",") };
        let newline = newline_at(text, line_end(text, after));
        let indent = indent(text, last.start);
        if !begins_line(text, last.start) {
            return vec![Splice::insert(after, format!("{missing_comma} {element}{kept_comma}"))];
        }
        if !text[after..close].contains('\n') {
            // The closing bracket is on the last element's line.
            return vec![Splice::insert(
                after,
                format!("{missing_comma}{newline}{indent}{element}{kept_comma}"),
            )];
        }
        let line = Splice::insert(line_end(text, after), format!("{indent}{element}{kept_comma}{newline}"));
        if comma.is_some() { vec![line] } else { vec![Splice::insert(after, ",".to_owned()), line] }
    }

    /// Removes the entry at `index`.
    pub(super) fn remove(&self, text: &str, index: usize) -> Vec<Splice> {
        let Self { brackets, entries } = self;
        let entry = &entries[index];
        let (before, next) = (entries[..index].last(), entries.get(index + 1));
        let close = brackets.end - 1;
        let comma = comma_in(text, entry.end..next.map_or(close, |next| next.start));
        let end = comma.map_or(entry.end, |comma| comma + 1);
        let line = line_start(text, entry.start)..line_end(text, end);
        let rest = text[end..line.end].trim_start();
        if begins_line(text, entry.start) && (rest.is_empty() || rest.starts_with('#')) {
            return vec![Splice::remove(line)];
        }
        let is_blank = |range: Range<usize>| text[range].trim_matches([' ', '\t']).is_empty();
        match (before, next) {
            (_, Some(next)) if is_blank(end..next.start) => vec![Splice::remove(entry.start..next.start)],
            (None, None) if is_blank(brackets.start + 1..entry.start) && is_blank(end..close) => {
                vec![Splice::remove(brackets.start + 1..close)]
            }
            // The last one takes the comma before it along.
            (Some(before), None) if !text[before.end..entry.start].contains('#') => {
                vec![Splice::remove(before.end..entry.end)]
            }
            _ => vec![Splice::remove(text[..entry.start].trim_end_matches([' ', '\t']).len()..end)],
        }
    }
}

/// The first comma in `range` that is not in a comment; only blanks and comments are around it.
fn comma_in(text: &str, range: Range<usize>) -> Option<usize> {
    let mut in_comment = false;
    let mut bytes = text[range.clone()].bytes();
    let at = bytes.position(|byte| {
        in_comment = byte != b'\n' && (in_comment || byte == b'#');
        byte == b',' && !in_comment
    });
    at.map(|at| range.start + at)
}

/// Removes the header of a table that is empty, with the empty line above it.
pub(super) fn remove_header(text: &str, header: &Range<usize>) -> Splice {
    let above = &text[..line_start(text, header.start)];
    let blank = ["\r\n\r\n", "\n\n"].into_iter().find(|blank| above.ends_with(blank));
    let start = above.len() - blank.map_or(0, |blank| blank.len() / 2);
    Splice::remove(start..line_end(text, header.end))
}

/// Where the line begins that `at` is on; a byte order mark is before the first line.
fn line_start(text: &str, at: usize) -> usize {
    let first = text.len() - text.trim_start_matches(BYTE_ORDER_MARK).len();
    text[..at].rfind('\n').map_or(first, |newline| newline + 1)
}

/// Where the line ends that `at` is on, its newline included.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The spaces and tabs that the line of `at` begins with.
fn indent(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Whether only spaces and tabs are before `at` on its line.
fn begins_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].trim_matches([' ', '\t']).is_empty()
}

/// The newline of the line before `at`; without such a line, that of the line `at` is on.
fn newline_at(text: &str, at: usize) -> &'static str {
    let newline = text[..at].rfind('\n').or_else(|| text[at..].find('\n').map(|newline| at + newline));
    if newline.is_some_and(|newline| text[..newline].ends_with('\r')) { "\r\n" } else { "\n" }
}

fn with_newlines(value: &str, newline: &str) -> String {
    value.replace("\r\n", "\n").replace('\n', newline)
}

/// A line of its own below the line of `end`, indented as that of `start`.
fn below(text: &str, start: usize, end: usize, line: impl Fn(&str) -> String) -> Splice {
    let at = line_end(text, end);
    let newline = newline_at(text, at);
    let open = if text[..at].ends_with('\n') { "" } else { newline };
    Splice::insert(at, format!("{open}{}{}{newline}", indent(text, start), line(newline)))
}

/// Lines at the end of the text, an empty line before them.
fn at_the_end(text: &str, lines: impl Fn(&str) -> String) -> Splice {
    let newline = newline_at(text, text.len());
    let is_empty = text.trim_start_matches(BYTE_ORDER_MARK).is_empty();
    let before = if is_empty || text.ends_with("\n\n") || text.ends_with("\n\r\n") {
        String::new()
    } else {
        newline.repeat(if text.ends_with('\n') { 1 } else { 2 })
    };
    Splice::insert(text.len(), format!("{before}{}{newline}", lines(newline)))
}

/// A line above the first table of a text that has no key before it, and above the comment of that table.
fn above_the_tables(text: &str, line: impl Fn(&str) -> String) -> Splice {
    let is_comment = |line: &str| line.trim_start_matches([' ', '\t']).starts_with('#');
    let start = line_start(text, 0);
    let mut at = start;
    // Where the comment right above the current line begins, or that line.
    let mut attached = start;
    for line_here in text[start..].split_inclusive('\n') {
        let is_blank = line_here.trim().is_empty();
        if !is_blank && !is_comment(line_here) {
            let newline = newline_at(text, attached);
            return Splice::insert(attached, format!("{}{newline}{newline}", line(newline)));
        }
        at += line_here.len();
        if is_blank {
            attached = at;
        }
    }
    at_the_end(text, line)
}
