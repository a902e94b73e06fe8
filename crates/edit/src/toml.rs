//! TOML text that is changed by meaning: a change is a splice into the text, so what lies outside of it survives.
//!
//! Invariant: an operation is done only if the changed text, parsed again, means what the old one meant with
//! exactly that change; otherwise it fails and the text stays as it was. `toml_edit` only reads here: what it
//! writes loses a byte order mark and CRLF, and regroups dotted keys.

mod insert;
mod lines;
mod list;
mod meaning;
mod tree;

use anyhow::{Context as _, Result, bail};
use toml_edit::{Document, Item, Value};

use self::insert::dotted;
use self::lines::Splice;
use self::meaning::Meaning;
use self::tree::{Descent, Entry, Node};

/// TOML text that is changed by meaning; all bytes that a change does not mean survive.
#[derive(Debug, Clone)]
pub struct TomlText {
    document: Document<String>,
}

/// Why a text is not TOML, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlProblem {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1; a byte order mark is none.
    pub column: usize,
    /// What is wrong there, in the parser's words.
    pub message: String,
}

impl std::fmt::Display for TomlProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for TomlProblem {}

impl TomlProblem {
    fn new(text: &str, error: &toml_edit::TomlError) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default().trim_start_matches('\u{feff}');
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            message: error.message().to_owned(),
        }
    }
}

impl TomlText {
    /// The text, if it is TOML. A byte order mark and CRLF are kept.
    pub fn parse(text: &str) -> Result<Self, TomlProblem> {
        match Document::parse(text.to_owned()) {
            Ok(document) => Ok(Self { document }),
            Err(error) => Err(TomlProblem::new(text, &error)),
        }
    }

    /// The text as it is now.
    pub fn text(&self) -> &str {
        self.document.raw()
    }

    /// The value at `path`, whatever way the tables above it are written. None where there is none, and for a
    /// table or an array of tables that is written with headers or dotted keys.
    pub fn value(&self, path: &[&str]) -> Option<Value> {
        let span = self.found(path)?.value_span()?;
        self.text().get(span)?.parse().ok()
    }

    /// Whether there is a value or a table at `path`.
    pub fn contains(&self, path: &[&str]) -> bool {
        self.found(path).is_some()
    }

    /// The keys of the table at `path`; none if there is no table.
    pub fn keys(&self, path: &[&str]) -> Vec<String> {
        self.found(path).into_iter().flat_map(Node::children).map(|(key, _)| key.to_owned()).collect()
    }

    /// Makes `path` mean the TOML expression `value`, such as `"dev"` with its quotes. A value that is there and
    /// means the same stays as it is written; another one is replaced in its place, its trailing comment stays.
    pub fn set(&mut self, path: &[&str], value: &str) -> Result<()> {
        let doing = || format!("cannot set `{}`", dotted(path));
        let value = value.trim();
        let new = expression(value).with_context(doing)?;
        let splices = match self.found(path) {
            Some(node) => {
                let Some(span) = node.value_span() else {
                    bail!(
                        "cannot set `{}`: it is {} that is not written as one value",
                        dotted(path),
                        node.kind()
                    );
                };
                if self.meaning().at(path) == Some(&new) {
                    return Ok(());
                }
                let value = insert::in_newlines_at(self.text(), span.start, value);
                vec![Splice { span, text: value }]
            }
            None => insert::key(&self.document, path, value).with_context(doing)?,
        };
        self.change(path, Some(&new), &splices).with_context(doing)
    }

    /// Appends an element to the array at `path`, in the layout that the array has. Makes the array if there is
    /// none. Fails for an array of tables.
    pub fn push(&mut self, path: &[&str], value: &str) -> Result<()> {
        let doing = || format!("cannot add to `{}`", dotted(path));
        let value = value.trim();
        let splices = match self.found(path) {
            None => return self.set(path, &format!("[{value}]")),
            Some(Node::Value(Value::Array(array))) => {
                let span = array.span().unwrap_or_default();
                let elements: Vec<_> = array.iter().filter_map(Value::span).collect();
                let value = insert::in_newlines_at(self.text(), span.end, value);
                list::append(self.text(), &span, &elements, &value, list::Brackets::Square)
            }
            Some(other) => bail!("cannot add to `{}`: it is {}, not an array", dotted(path), other.kind()),
        };
        let mut elements = self.elements(path);
        elements.push(expression(value).with_context(doing)?);
        self.change(path, Some(&Meaning::Array(elements)), &splices).with_context(doing)
    }

    /// Removes the first element that means `value` from the array at `path`, with its line if it stands alone on it.
    /// Whether there was one. Fails where something else than an array of values is there.
    pub fn pull(&mut self, path: &[&str], value: &str) -> Result<bool> {
        let doing = || format!("cannot remove an element of `{}`", dotted(path));
        let unwanted = expression(value).with_context(doing)?;
        let array = match self.found(path) {
            None => return Ok(false),
            Some(Node::Value(Value::Array(array))) => array,
            Some(other) => bail!("{}: it is {}, not an array", doing(), other.kind()),
        };
        let mut elements = self.elements(path);
        let Some(index) = elements.iter().position(|element| *element == unwanted) else { return Ok(false) };
        elements.remove(index);
        let spans = array.iter().filter_map(Value::span);
        let entries = spans.map(|value| Entry { start: value.start, value }).collect::<Vec<_>>();
        let element = entries.get(index).map(|entry| entry.value.clone()).unwrap_or_default();
        let splices = list::remove(self.text(), &array.span().unwrap_or_default(), &entries, &element);
        self.change(path, Some(&Meaning::Array(elements)), &splices).with_context(doing)?;
        Ok(true)
    }

    /// Removes the value at `path`, with its line if it stands alone on it. Whether it was there. A table that was
    /// only written by this one dotted key is gone with it; a header stays. Fails for a table.
    pub fn remove(&mut self, path: &[&str]) -> Result<bool> {
        let doing = || format!("cannot remove `{}`", dotted(path));
        let descent = Descent::of(&self.document, path);
        if descent.len() < path.len() {
            descent.table().with_context(doing)?;
            return Ok(false);
        }
        let splices = match descent.node().value_span() {
            Some(value) => tree::removal(self.text(), &descent, &value),
            None => bail!("cannot remove `{}`: it is {}", dotted(path), descent.node().kind()),
        };
        self.change(path, None, &splices).with_context(doing)?;
        Ok(true)
    }

    /// Removes the header of the table at `path` if nothing is in the table. Whether there was one.
    pub fn remove_empty_table(&mut self, path: &[&str]) -> Result<bool> {
        let doing = || format!("cannot remove the table `{}`", dotted(path));
        let header = match self.found(path) {
            Some(Node::Table(table)) if table.is_empty() && !table.is_implicit() => table.span(),
            _ => None,
        };
        let Some(header) = header else { return Ok(false) };
        let text = self.text();
        // The empty line that parted it from what is above goes too.
        let above = &text[..lines::line_start(text, header.start)];
        let blank = ["\r\n\r\n", "\n\n"].into_iter().find(|blank| above.ends_with(blank));
        let start = above.len() - blank.map_or(0, |blank| blank.len() / 2);
        let splice = Splice::remove(start..lines::line_end(text, header.end));
        self.change(path, None, &[splice]).with_context(doing)?;
        Ok(true)
    }

    pub(crate) fn means_the_same(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }

    fn found(&self, path: &[&str]) -> Option<Node<'_>> {
        let descent = Descent::of(&self.document, path);
        (descent.len() == path.len()).then(|| descent.node())
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(self.document.as_item())
    }

    /// What the elements of the array at `path` mean.
    fn elements(&self, path: &[&str]) -> Vec<Meaning> {
        match self.meaning().at(path) {
            Some(Meaning::Array(elements)) => elements.clone(),
            _ => Vec::new(),
        }
    }

    /// Takes the splices over if the text then means `expected` at `path`, and elsewhere what it did. Tables on the way
    /// to `path` may come, or go when they are empty.
    fn change(&mut self, path: &[&str], expected: Option<&Meaning>, splices: &[Splice]) -> Result<()> {
        let changed = Self::parse(&lines::spliced(self.text(), splices))
            .context("the change would leave a text that is not TOML")?;
        let (before, after) = (self.meaning(), changed.meaning());
        if after.at(path) != expected || after.without(path) != before.without(path) {
            bail!("the change would mean something else, too");
        }
        *self = changed;
        Ok(())
    }
}

/// What one TOML expression means.
fn expression(value: &str) -> Result<Meaning> {
    let parsed: Value = value.parse().with_context(|| format!("`{value}` is not a TOML value"))?;
    Ok(Meaning::of(&Item::Value(parsed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_does_more_or_less_than_it_should_is_refused() {
        let text = "a = 1\n[t]\nb = 2\n";
        let mut toml = TomlText::parse(text).unwrap();
        let three = Meaning::Scalar("integer", "3".to_owned());
        for (at, line, message) in [
            (6, "c = ", "the change would leave a text that is not TOML"),
            (6, "", "the change would mean something else, too"),
            (6, "c = 4\n", "the change would mean something else, too"),
            (6, "c = 3\nd = 4\n", "the change would mean something else, too"),
            (text.len(), "c = 3\n", "the change would mean something else, too"),
        ] {
            let error = toml.change(&["c"], Some(&three), &[Splice::insert(at, line.to_owned())]);
            assert_eq!(error.unwrap_err().to_string(), message, "{line}");
            assert_eq!(toml.text(), text);
        }
        toml.change(&["c"], Some(&three), &[Splice::insert(6, "c = 3\n".to_owned())]).unwrap();
        assert_eq!(toml.text(), "a = 1\nc = 3\n[t]\nb = 2\n");
    }
}
