//! Problems of a configuration file, each at its line and column.
//!
//! All problems of a file are collected before any is reported, so one look at the output is enough to mend it.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use std::fmt;

/// A place in a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1; a byte order mark does not count.
    pub column: usize,
}

impl Position {
    /// The position of a byte offset. Offsets past the end or inside a character are allowed.
    pub(super) fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let starts_character = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
        let mut line = 0;
        let mut column = 0;
        for in_line in before.split(|&byte| byte == b'\n') {
            line += 1;
            column = in_line.iter().filter(starts_character).count() + 1;
        }
        Self { line, column }
    }
}

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigProblem {
    /// The file.
    pub path: Utf8PathBuf,
    /// Where in the file; `None` when the file could not be read at all.
    pub position: Option<Position>,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  {hint}"))
    }
}

/// Everything that is wrong with the file, in file order. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigErrors {
    problems: Vec<ConfigProblem>,
}

impl ConfigErrors {
    /// The problems, in file order.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }

    /// A file that could not be read as text.
    pub(super) fn unreadable(path: &Utf8Path, position: Option<Position>, message: String) -> Self {
        Self { problems: vec![ConfigProblem { path: path.to_owned(), position, message, hint: None }] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects the problems of one file.
pub(super) struct Problems<'a> {
    path: &'a Utf8Path,
    text: &'a str,
    found: Vec<ConfigProblem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(path: &'a Utf8Path, text: &'a str) -> Self {
        Self { path, text, found: Vec::new() }
    }

    /// Adds a problem at a byte offset of the text.
    pub(super) fn add(&mut self, offset: usize, message: String, hint: Option<String>) {
        let position = Some(Position::of(self.text.as_bytes(), offset));
        self.found.push(ConfigProblem { path: self.path.to_owned(), position, message, hint });
    }

    /// The problems with this one added, for when nothing else can be looked at.
    pub(super) fn only(mut self, offset: usize, message: String) -> ConfigErrors {
        self.add(offset, message, None);
        ConfigErrors { problems: self.found }
    }

    /// Fails with the problems, if there are any.
    pub(super) fn finish(mut self) -> Result<(), ConfigErrors> {
        self.found.sort_by_key(|problem| problem.position);
        if self.found.is_empty() { Ok(()) } else { Err(ConfigErrors { problems: self.found }) }
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

/// The hint that names the closest candidate.
pub(super) fn did_you_mean<'a>(
    unknown: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(unknown, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// `a`, `b` or `c`, each in backticks.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
