//! Path patterns of `xtask.toml`, relative to the workspace root.

use anyhow::Result;
use camino::Utf8Path;
use glob::{MatchOptions, Pattern};

use crate::WrongUsage;

/// Patterns that are valid: `*` stays within one folder, `**` does not.
#[derive(Debug, Clone, Default)]
pub struct Globs(Vec<Pattern>);

impl Globs {
    /// Fails as [`WrongUsage`] at the first pattern that is none.
    pub fn parse(patterns: &[String]) -> Result<Self> {
        let parse = |pattern: &String| {
            Pattern::new(pattern).map_err(|error| {
                WrongUsage(format!("`{pattern}` is no pattern for paths: {} at {}", error.msg, error.pos))
                    .into()
            })
        };
        patterns.iter().map(parse).collect::<Result<Vec<_>>>().map(Self)
    }

    /// Whether a path, relative to the workspace root, matches one of them.
    pub fn matches(&self, path: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        self.0.iter().any(|pattern| pattern.matches_with(path, options))
    }
}

/// `path` as seen from `root`, with `..` for what lies outside of it.
pub(crate) fn relative(root: &Utf8Path, path: &Utf8Path) -> String {
    let common = root.ancestors().enumerate().find_map(|(up, ancestor)| {
        // On the top folder alone an absolute path is the shorter one.
        let rest = path.strip_prefix(ancestor).ok().filter(|_| ancestor.parent().is_some())?;
        Some(format!("{}{rest}", "../".repeat(up)))
    });
    common.unwrap_or_else(|| path.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_none_is_wrong_usage() {
        let error = Globs::parse(&["ok".into(), "a/***".into()]).unwrap_err();
        assert!(error.downcast_ref::<WrongUsage>().is_some() && error.to_string().contains("`a/***`"));
    }

    #[test]
    fn paths_are_shown_from_the_root() {
        let table = [("/r/w/a/b", "a/b"), ("/r/x", "../x"), ("/r/w", ""), ("/other/x", "/other/x")];
        for (path, expected) in table {
            assert_eq!(relative("/r/w".into(), path.into()), expected);
        }
    }
}
