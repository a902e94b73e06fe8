//! Files beside the members that no compiler reads, but whose change would select every member.
//!
//! Invariant: a file is listed only if it is there, lies in no member's folder, and no source of the workspace has
//! its name together with a way to reach it.

use camino::Utf8Path;
use xtask_workspace::Facts;

use super::{entries, read};

/// Folders and files at the root of a repository that are read by git, editors, formatters and hosting sites alone.
const FOLDERS: [&str; 6] = [".github", ".gitlab", ".circleci", ".vscode", ".idea", ".zed"];
const FILES: [&str; 23] = [
    ".gitignore",
    ".gitattributes",
    ".mailmap",
    ".git-blame-ignore-revs",
    ".editorconfig",
    ".ignore",
    ".gitlab-ci.yml",
    ".travis.yml",
    ".pre-commit-config.yaml",
    ".rustfmt.toml",
    "rustfmt.toml",
    ".taplo.toml",
    "taplo.toml",
    ".typos.toml",
    "typos.toml",
    "_typos.toml",
    "deny.toml",
    "release-plz.toml",
    "codecov.yml",
    "CODEOWNERS",
    "CITATION.cff",
    "UNLICENSE",
    "COPYRIGHT",
];

/// The patterns for what is there.
pub(super) fn gather(facts: &Facts) -> Vec<String> {
    let found = entries(&facts.root).into_iter().filter_map(|path| {
        let name = path.file_name()?.to_owned();
        if FOLDERS.contains(&name.as_str()) && path.is_dir() {
            return selects_all(facts, &path).then_some((format!("{name}/**"), name));
        }
        let licence = ["LICENSE", "LICENCE", "COPYING"].iter().any(|start| name.starts_with(start));
        let listed = (licence || FILES.contains(&name.as_str())) && path.is_file();
        (listed && selects_all(facts, &path)).then(|| (name.clone(), name))
    });
    let mut found = found.collect::<Vec<_>>();
    if found.is_empty() {
        return Vec::new();
    }
    for package in &facts.packages {
        sources(&package.dir, &mut |source| found.retain(|(_, name)| !mentions(source, name)));
    }
    found.into_iter().map(|(pattern, _)| pattern).collect()
}

/// Whether the file is in no package's own folder: below the only package of a workspace it belongs to that.
fn selects_all(facts: &Facts, path: &Utf8Path) -> bool {
    let Some(owner) = facts.owner_of(path) else { return true };
    facts.packages[owner].dir == facts.root && facts.members().count() > 1
}

/// Whether a source names the file and can find it at the root: by a relative path, or from the place of the
/// package.
fn mentions(source: &str, name: &str) -> bool {
    let reaches = source.contains("CARGO_MANIFEST_DIR") || source.contains("CARGO_WORKSPACE_DIR");
    source.contains(&format!("../{name}")) || (reaches && source.contains(name))
}

/// All Rust sources below `folder`, but for what was built.
fn sources(folder: &Utf8Path, each: &mut dyn FnMut(&str)) {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for path in entries(&folder) {
            let Ok(kind) = path.symlink_metadata().map(|metadata| metadata.file_type()) else { continue };
            let hidden = path.file_name().is_some_and(|name| name.starts_with('.') || name == "target");
            if kind.is_dir() && !hidden {
                open.push(path);
            } else if kind.is_file() && path.extension() == Some("rs") {
                each(&read(&path));
            }
        }
    }
}
