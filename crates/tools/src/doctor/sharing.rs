//! Whether other checkouts build into this workspace's target dir: two of one repository have the same unit ids, and can
//! get each other's code.

use anyhow::Result;
use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{cargo_home, has_workspace_table};

use super::{Check, Subject, some};

/// So many lists of sources are read for each profile; they are a few kilobytes each.
const MOST: usize = 100;

pub(super) fn check(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let facts = &subject.workspace.facts;
    let (root, target) = (subject.root(), &facts.target_dir);
    let mut known = facts.packages.iter().map(|package| package.dir.clone()).collect::<Vec<_>>();
    known.extend(cargo_home(&subject.workspace.environment));
    // The standard library, where it was built from its sources.
    known.extend(subject.machine.rustlib.parent().map(Utf8Path::to_owned));
    known.push(target.clone());
    known.push(facts.build_dir.clone());
    let foreign = sources(target).into_iter().filter(|source| {
        // What is only included, such as a text, may be anybody's.
        source.extension() == Some("rs")
            && !source.starts_with(root)
            && !known.iter().any(|dir| source.starts_with(dir))
            && source.is_file()
    });
    let ours = facts.packages.iter().flat_map(|package| &package.targets);
    let ours = ours.filter_map(|target| target.path.strip_prefix(root).ok()).collect::<Vec<_>>();
    let others = foreign.filter_map(|source| Some(Other { root: workspace_of(&source)?, source }));
    let mut seen = BTreeSet::new();
    let others = others.filter(|other| seen.insert(other.root.clone())).collect::<Vec<_>>();
    Ok(vec![judge(target, root, &others, &ours)])
}

/// Another workspace whose sources were built into the target dir.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Other {
    root: Utf8PathBuf,
    /// One of its sources.
    source: Utf8PathBuf,
}

/// The sources of what lies in the target dir as a final artifact: cargo lists them beside it, as absolute paths, in the
/// form of a Makefile.
fn sources(target: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = |dir: &Utf8Path| dir.read_dir_utf8().into_iter().flatten().flatten().collect::<Vec<_>>();
    let mut sources = Vec::new();
    for profile in profile_dirs(target) {
        let lists = entries(&profile).into_iter().filter(|entry| entry.path().extension() == Some("d"));
        for list in lists.take(MOST) {
            let Ok(text) = fs::read_to_string(list.path()) else { continue };
            sources.extend(listed(&text));
        }
    }
    sources
}

/// The folders that may be those of profiles, right in a target dir or below a triple.
fn profile_dirs(target: &Utf8Path) -> Vec<Utf8PathBuf> {
    let folders = |dir: &Utf8Path| {
        let entries = dir.read_dir_utf8().into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.map(|entry| entry.path().to_owned()).collect::<Vec<_>>()
    };
    let top = folders(target);
    let triples = top.iter().filter(|dir| dir.file_name().is_some_and(|name| name.contains('-')));
    let below = triples.flat_map(|dir| folders(dir)).collect::<Vec<_>>();
    top.into_iter().chain(below).collect()
}

/// The absolute paths behind `output: `; a space in one is written `\ `.
fn listed(text: &str) -> Vec<Utf8PathBuf> {
    let lists = text.lines().filter_map(|line| line.split_once(": "));
    let words = lists.flat_map(|(_, list)| {
        let list = list.replace("\\ ", "\0");
        list.split(' ').map(|word| word.replace('\0', " ")).collect::<Vec<_>>()
    });
    words.map(Utf8PathBuf::from).filter(|path| path.is_absolute()).collect()
}

/// The root of the workspace that a source lies in: the outermost manifest with a `[workspace]` table, or the nearest.
fn workspace_of(source: &Utf8Path) -> Option<Utf8PathBuf> {
    let manifests = source
        .ancestors()
        .skip(1)
        .filter_map(|dir| Some((dir, fs::read_to_string(dir.join("Cargo.toml")).ok()?)));
    let manifests = manifests.collect::<Vec<_>>();
    let root = manifests.iter().rev().find(|(_, text)| has_workspace_table(text)).or(manifests.first());
    root.map(|(dir, _)| dir.to_path_buf())
}

/// `ours` are the sources of our targets, relative to the root.
fn judge(target: &Utf8Path, root: &Utf8Path, others: &[Other], ours: &[&Utf8Path]) -> Check {
    const NAME: &str = "target dir";
    let fix =
        "give each checkout a target dir of its own: unset CARGO_TARGET_DIR, or remove build.target-dir";
    let is_twin =
        |other: &&Other| other.source.strip_prefix(&other.root).is_ok_and(|source| ours.contains(&source));
    let names =
        |others: &[&Other]| some(&others.iter().map(|other| other.root.as_str()).collect::<Vec<_>>(), 3);
    let witnesses = |others: &[&Other]| {
        let lines = others.iter().map(|other| format!("built from {}", other.source));
        lines.collect::<Vec<_>>()
    };
    let (twins, strangers) = others.iter().partition::<Vec<_>, _>(is_twin);
    if !twins.is_empty() {
        let evidence = format!(
            "{target} holds builds of another checkout too, with the same unit ids: {}",
            names(&twins)
        );
        return Check::fail(NAME, evidence, fix).with_more(witnesses(&twins));
    }
    if !strangers.is_empty() {
        let evidence = format!("{target} also serves {}: builds wait for each other", names(&strangers));
        return Check::warn(NAME, evidence, fix).with_more(witnesses(&strangers));
    }
    let place = if target.starts_with(root) { "in the workspace" } else { "outside of the workspace" };
    Check::ok(NAME, format!("{target}, {place}, holds builds of this one only"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn another_checkout_is_worse_than_another_workspace() {
        let other = |source: &str| Other { root: "/other".into(), source: source.into() };
        let ours = [Utf8Path::new("app/src/main.rs")];
        let table = [
            (vec![], Status::Ok),
            (vec![other("/other/tool/src/main.rs")], Status::Warn),
            (vec![other("/other/app/src/main.rs")], Status::Fail),
        ];
        for (others, status) in table {
            let check = judge("/t".into(), "/w".into(), &others, &ours);
            assert_eq!(check.status, status, "{check:?}");
        }
    }

    #[test]
    fn the_lists_that_cargo_writes_are_read() {
        let text = "/t/debug/app: /w/app/src/main.rs /my\\ disk/lib.rs relative.rs\n\n# comment\n";
        assert_eq!(listed(text), ["/w/app/src/main.rs", "/my disk/lib.rs"]);
        let dir = xtask_testkit::TempDir::new("doctor-sharing");
        dir.write("w/Cargo.toml", "[workspace]\nmembers = ['a']\n");
        dir.write("w/a/Cargo.toml", "[package]\nname = 'a'\n");
        dir.write("lone/Cargo.toml", "[package]\nname = 'lone'\n");
        let source = |path: &str| workspace_of(&dir.path().join(path));
        assert_eq!(source("w/a/src/lib.rs"), Some(dir.path().join("w")));
        assert_eq!(source("lone/src/lib.rs"), Some(dir.path().join("lone")));
    }
}
