//! Glob patterns of files, relative to the workspace root: `**` crosses folders, `*` does not. What is in a folder that a
//! pattern matches is matched too.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use glob::{MatchOptions, Pattern};

use crate::verdicts::contents::walk;

#[derive(Debug)]
pub(super) struct Globs(Vec<Glob>);

#[derive(Debug)]
struct Glob {
    parts: Vec<Part>,
    pattern: Pattern,
    /// What every match begins and ends with: to compare that is faster.
    ends: [String; 2],
}

#[derive(Debug)]
enum Part {
    Name(String),
    Pattern(Pattern),
    /// `**`
    Deep,
}

const WILD: [char; 3] = ['*', '?', '['];

impl Globs {
    pub(super) fn new(texts: &[String]) -> Self {
        Self(texts.iter().filter_map(|text| Glob::new(text)).collect())
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(name))
    }

    /// Whether a pattern matches the file or a folder that it is in.
    pub(super) fn holds(&self, name: &str) -> bool {
        Utf8Path::new(name).ancestors().any(|folder| self.matches(folder.as_str()))
    }

    /// All files that match, whether git ignores them or not, and what links among them lead to. A wildcard leads only into
    /// folders that are `entered`, a name into any.
    pub(super) fn find(&self, root: &Utf8Path, entered: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
        let mut search = Search { found: Vec::new(), linked: HashSet::new(), entered };
        for glob in &self.0 {
            search.look(root.as_std_path(), &glob.parts);
        }
        search.found
    }
}

impl Glob {
    fn new(text: &str) -> Option<Self> {
        let part = |part: &str| {
            Some(match part {
                "**" => Part::Deep,
                part if part.contains(WILD) => Part::Pattern(Pattern::new(part).ok()?),
                part => Part::Name(part.to_owned()),
            })
        };
        let names = text.split('/').filter(|name| !matches!(*name, "" | "."));
        let before = text.split(WILD).next().unwrap_or_default().to_owned();
        let after =
            text.rsplit(|char| WILD.contains(&char) || char == ']').next().unwrap_or_default().to_owned();
        let after = if text.contains(WILD) { after } else { String::new() };
        // `**/x` also matches `x`.
        let after = after.strip_prefix('/').map_or(after.clone(), str::to_owned);
        let before = before.strip_suffix('/').map_or(before.clone(), str::to_owned);
        Some(Self {
            parts: names.map(part).collect::<Option<_>>()?,
            pattern: Pattern::new(text).ok()?,
            ends: [before, after],
        })
    }

    fn matches(&self, name: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        name.starts_with(&self.ends[0])
            && name.ends_with(&self.ends[1])
            && self.pattern.matches_with(name, options)
    }
}

/// A walk over the disk.
struct Search<'a> {
    found: Vec<PathBuf>,
    /// What links led to.
    linked: HashSet<PathBuf>,
    entered: &'a dyn Fn(&Path) -> bool,
}

impl Search<'_> {
    fn look(&mut self, path: &Path, parts: &[Part]) {
        match parts {
            [] | [Part::Deep] => self.take(path),
            [Part::Name(name), rest @ ..] => {
                let path = path.join(name);
                if fs::symlink_metadata(&path).is_ok() {
                    self.look(&path, rest);
                }
            }
            [Part::Pattern(pattern), rest @ ..] => {
                for entry in entries(path) {
                    let path = entry.path();
                    if pattern.matches(&entry.file_name().to_string_lossy()) && (self.entered)(&path) {
                        self.look(&path, rest);
                    }
                }
            }
            [Part::Deep, rest @ ..] => {
                self.look(path, rest);
                for entry in entries(path) {
                    let path = entry.path();
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) && (self.entered)(&path) {
                        self.look(&path, parts);
                    }
                }
            }
        }
    }

    /// Adds what matched: a file, all that is in a folder, a link and what it leads to.
    fn take(&mut self, path: &Path) {
        let mut below = vec![path.to_owned()];
        if !path.is_symlink() {
            walk(path, self.entered, &mut below);
        }
        for path in below {
            if let Some(target) = path.is_symlink().then(|| fs::canonicalize(&path).ok()).flatten()
                && self.linked.insert(target.clone())
            {
                self.take(&target);
            }
            self.found.push(path);
        }
    }
}

fn entries(path: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(path).into_iter().flatten().flatten()
}
