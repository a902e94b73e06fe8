//! `[affected]`.

use super::kind::Kind;
use super::problem::Problems;
use super::section::{Table, section};

section! {
    /// How the packages that a change affects are found.
    "[affected]" Affected {}

    /// The git revision that changes are counted from.
    #[key("base", Kind::Text, otherwise = "found from the repository", example = r#""origin/main""#)]
    base: Option<String>,

    /// Glob patterns of files whose change affects no package, relative to the workspace root.
    #[key("ignore", Kind::Set(&Kind::Glob), default = "[]", example = r#"["docs/**", "**/*.md"]"#)]
    ignore: Vec<String>,

    /// Glob patterns of files whose change affects every package, relative to the workspace root.
    #[key("global", Kind::Set(&Kind::Glob), default = "[]", example = r#"["rust-toolchain.toml"]"#)]
    global: Vec<String>,
}

/// Reads `[affected]`, and reports what no git revision and no path below the root can be.
pub(super) fn read(table: &mut Table<'_>, problems: &mut Problems<'_>) -> Affected {
    let mut affected = Affected::default();
    table.read(&mut affected, problems);
    if let Some((base, offset)) = table.text("base").filter(|(base, _)| base.starts_with('-')) {
        problems.add(offset, format!("{}: `{base}` is no git revision", table.label("base")), None);
    }
    for key in ["ignore", "global"] {
        for (pattern, offset) in table.list(key) {
            if ["/", "./", "../"].iter().any(|start| pattern.starts_with(start)) {
                let message = format!("{}: `{pattern}` never matches", table.label(key));
                let hint = "patterns are relative to the workspace root, without a leading `/` or `./`";
                problems.add(offset, message, Some(hint.to_owned()));
            }
        }
    }
    affected
}
