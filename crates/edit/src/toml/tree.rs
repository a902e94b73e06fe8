//! The parsed text by path, and where in the text its tables and keys are written.

use std::ops::Range;

use anyhow::{Result, bail};
use toml_edit::{Document, InlineTable, Item, RawString, Table, TableLike, Value};

use super::lines::{self, Splice};
use super::{insert, list};

/// What is at a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'a> {
    /// Written with a header or dotted keys, or implied by the header of a table in it; also the root.
    Table(&'a Table),
    /// Written in braces, or with dotted keys inside of braces.
    Inline(&'a InlineTable),
    Value(&'a Value),
    Tables,
}

impl<'a> Node<'a> {
    fn of(item: &'a Item) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Value(Value::InlineTable(table)) => Some(Self::Inline(table)),
            Item::Value(value) => Some(Self::Value(value)),
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(_) => Some(Self::Tables),
        }
    }

    fn child(self, key: &str) -> Option<Self> {
        Self::of(self.table()?.get(key)?)
    }

    fn table(self) -> Option<&'a dyn TableLike> {
        match self {
            Self::Table(table) => Some(table),
            Self::Inline(table) => Some(table),
            Self::Value(_) | Self::Tables => None,
        }
    }

    /// The keys of a table with what is there, in the parser's order.
    pub(super) fn children(self) -> impl Iterator<Item = (&'a str, &'a Item)> {
        self.table().into_iter().flat_map(TableLike::iter)
    }

    /// Whether it is a table that only dotted keys write.
    pub(super) fn is_dotted(self) -> bool {
        self.table().is_some_and(TableLike::is_dotted)
    }

    /// Where it is written, if it is written as one value.
    pub(super) fn value_span(self) -> Option<Range<usize>> {
        match self {
            Self::Value(value) => value.span(),
            Self::Inline(table) if !table.is_dotted() => table.span(),
            Self::Inline(_) | Self::Table(_) | Self::Tables => None,
        }
    }

    /// What it is, for a message.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Table(_) | Self::Inline(_) => "a table",
            Self::Tables => "an array of tables",
            Self::Value(Value::Array(_)) => "an array",
            Self::Value(Value::String(_)) => "a string",
            Self::Value(_) => "a number, boolean or date",
        }
    }

    /// The keys with values that the table's own lines or braces hold, in the order of the text. A table in it
    /// counts if dotted keys write it.
    pub(super) fn entries(self, text: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.collect(&mut entries);
        entries.sort_by_key(|entry| entry.start);
        if let Some(braces) = self.value_span() {
            let mut before = braces.start + 1;
            for entry in &mut entries {
                entry.start = lines::next_key(text, before);
                before = entry.value.end;
            }
        }
        entries
    }

    fn collect(self, entries: &mut Vec<Entry>) {
        for node in self.children().filter_map(|(_, item)| Self::of(item)) {
            match node.value_span() {
                Some(value) => entries.push(Entry { start: value.start, value }),
                None if node.is_dotted() => node.collect(entries),
                None => {}
            }
        }
    }
}

/// A key with its value, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// In braces where the key begins, with all its dotted parts; else a place on its line.
    pub(super) start: usize,
    pub(super) value: Range<usize>,
}

/// The way down a path, as far as it exists.
#[derive(Debug)]
pub(super) struct Descent<'a> {
    /// The root, and what each key leads to.
    nodes: Vec<Node<'a>>,
    path: String,
}

impl<'a> Descent<'a> {
    pub(super) fn of(document: &'a Document<String>, path: &[&str]) -> Self {
        let mut node = Node::Table(document.as_table());
        let mut nodes = vec![node];
        for key in path {
            let Some(next) = node.child(key) else { break };
            nodes.push(next);
            node = next;
        }
        let path = insert::dotted(&path[..nodes.len() - 1]);
        Self { nodes, path }
    }

    /// How many keys of the path exist.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    /// The deepest node of the path that exists.
    pub(super) fn node(&self) -> Node<'a> {
        self.nodes[self.len()]
    }

    /// The deepest node that exists, which has to be a table.
    pub(super) fn table(&self) -> Result<Node<'a>> {
        match self.node() {
            table @ (Node::Table(_) | Node::Inline(_)) => Ok(table),
            other => bail!("`{}` is {}, not a table", self.path, other.kind()),
        }
    }

    /// The nearest node at or above `depth` that is not written by dotted keys, and its depth: its lines or braces
    /// hold the dotted keys.
    pub(super) fn home(&self, depth: usize) -> (usize, Node<'a>) {
        let home = (0..=depth).rev().find(|depth| !self.nodes[*depth].is_dotted()).unwrap_or(0);
        (home, self.nodes[home])
    }
}

/// A table's header and where the blank lines and comments before it begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) start: usize,
    pub(super) floor: usize,
}

/// The first header in the text of a table in `table`, not its own.
pub(super) fn first_header(table: &Table) -> Option<Header> {
    let of_table = |table: &Table| {
        let own = (!table.is_implicit()).then(|| table.span()).flatten().map(|span| {
            let decor = table.decor().prefix().and_then(RawString::span);
            Header { start: span.start, floor: decor.map_or(span.start, |decor| decor.start) }
        });
        own.into_iter().chain(first_header(table)).min_by_key(|header| header.start)
    };
    let headers = table.iter().filter_map(|(_, item)| match item {
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => tables.iter().filter_map(of_table).min_by_key(|header| header.start),
        Item::None | Item::Value(_) => None,
    });
    headers.min_by_key(|header| header.start)
}

/// Removes the last step of the descent, whose value is at `value`.
pub(super) fn removal(text: &str, descent: &Descent<'_>, value: &Range<usize>) -> Vec<Splice> {
    let (_, home) = descent.home(descent.len() - 1);
    let Some(braces) = home.value_span() else {
        let start = lines::line_start(text, value.start);
        return vec![Splice::remove(start..lines::line_end(text, value.end))];
    };
    list::remove(text, &braces, &home.entries(text), value)
}
