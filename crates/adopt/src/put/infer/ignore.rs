//! Files beside the members that no compiler reads, but whose change would select every member.
//!
//! Invariant: a file is listed only if it exists, is in no member's folder, and no source of the workspace has its name
//! together with a way to reach it.

use camino::Utf8Path;
use xtask_workspace::Facts;

use super::{entries, read};

/// Folders and files at the root of a repository that only git, editors, formatters, hosting sites and people read.
const FOLDERS: &str = ".github .gitlab .circleci .vscode .idea .zed doc docs";
const FILES: &str = ".gitignore .gitattributes .mailmap .git-blame-ignore-revs .editorconfig .ignore .gitlab-ci.yml \
    .travis.yml .pre-commit-config.yaml .rustfmt.toml rustfmt.toml .taplo.toml taplo.toml .typos.toml typos.toml _typos.toml \
    deny.toml release-plz.toml codecov.yml CODEOWNERS CITATION.cff UNLICENSE COPYRIGHT NOTICE AUTHORS";
/// Endings of texts and images.
const ENDINGS: [&str; 9] = ["md", "adoc", "rst", "png", "jpg", "gif", "svg", "webp", "ico"];

/// The patterns for what is there.
pub(super) fn gather(facts: &Facts) -> Vec<String> {
    let found = entries(&facts.root).into_iter().filter_map(|path| {
        let name = path.file_name()?.to_owned();
        let is_in = |list: &str| list.split(' ').any(|other| other == name);
        let is_ending = |ending: &str| ENDINGS.contains(&ending);
        let is_licence = ["LICENSE", "LICENCE", "COPYING"].iter().any(|start| name.starts_with(start));
        let pattern = if is_in(FOLDERS) && path.is_dir() {
            format!("{name}/**")
        } else if (is_in(FILES) || is_licence || path.extension().is_some_and(is_ending)) && path.is_file() {
            name.clone()
        } else {
            return None;
        };
        selects_all(facts, &path).then_some((pattern, name))
    });
    let mut found = found.collect::<Vec<_>>();
    if !found.is_empty() {
        for package in &facts.packages {
            drop_mentioned(&package.dir, &mut found);
        }
    }
    found.into_iter().map(|(pattern, _)| pattern).collect()
}

/// Whether the file is in no package's own folder: the only package of a workspace owns what is at the root.
fn selects_all(facts: &Facts, path: &Utf8Path) -> bool {
    let Some(owner) = facts.owner_of(path) else { return true };
    facts.packages[owner].dir == facts.root && facts.members().count() > 1
}

/// Drops the files that a Rust source below `folder` names and can find at the root: by a relative path, or from the place
/// of the package.
fn drop_mentioned(folder: &Utf8Path, files: &mut Vec<(String, String)>) {
    for path in entries(folder) {
        let Ok(kind) = path.symlink_metadata().map(|metadata| metadata.file_type()) else { continue };
        let is_hidden = path.file_name().is_some_and(|name| name.starts_with('.') || name == "target");
        if kind.is_dir() && !is_hidden {
            drop_mentioned(&path, files);
        } else if kind.is_file() && path.extension() == Some("rs") {
            let source = read(&path);
            let reaches = source.contains("CARGO_MANIFEST_DIR") || source.contains("CARGO_WORKSPACE_DIR");
            files.retain(|(_, name)| {
                let finds = source.contains(&format!("../{name}")) || (reaches && source.contains(name));
                !finds
            });
        }
    }
}
