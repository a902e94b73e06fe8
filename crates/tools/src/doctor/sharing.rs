//! Whether another checkout of this workspace builds into the same target dir: both have the same unit ids, and can get
//! each other's code.

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Check, Subject, some};

/// The most lists of sources that are read for a profile; they are a few kilobytes each.
const MOST: usize = 100;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let facts = &subject.workspace.facts;
    let (root, target) = (subject.root(), &facts.target_dir);
    let ours = facts.packages.iter().flat_map(|package| &package.targets);
    let ours = ours.filter_map(|target| target.path.strip_prefix(root).ok()).collect::<Vec<_>>();
    let sources = sources(target).into_iter();
    let foreign =
        sources.filter(|source| !facts.packages.iter().any(|package| source.starts_with(&package.dir)));
    let others = foreign.filter_map(|source| Some(checkout_of(&source, &ours)?.to_owned()));
    let others = others.filter(|other| other != root && other.join("Cargo.toml").is_file());
    vec![judge(target, root, &others.collect())]
}

/// The root of another checkout that `source` belongs to, if it is called as one of `ours`, which are the sources of our
/// targets relative to our root.
fn checkout_of<'a>(source: &'a Utf8Path, ours: &[&Utf8Path]) -> Option<&'a Utf8Path> {
    let ours = ours.iter().find(|ours| source.ends_with(ours))?;
    source.ancestors().nth(ours.components().count())
}

/// The sources of the final artifacts in the target dir: cargo lists them beside each artifact, as absolute paths, in the
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

/// The folders that may be profiles, directly in a target dir or below a triple.
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

/// The absolute paths after `output: `; a space in a path is written `\ `.
fn listed(text: &str) -> Vec<Utf8PathBuf> {
    let lists = text.lines().filter_map(|line| line.split_once(": "));
    let words = lists.flat_map(|(_, list)| {
        let list = list.replace("\\ ", "\0");
        list.split(' ').map(|word| word.replace('\0', " ")).collect::<Vec<_>>()
    });
    words.map(Utf8PathBuf::from).filter(|path| path.is_absolute()).collect()
}

fn judge(target: &Utf8Path, root: &Utf8Path, others: &BTreeSet<Utf8PathBuf>) -> Check {
    const NAME: &str = "target dir";
    if !others.is_empty() {
        let names = others.iter().map(|other| other.as_str()).collect::<Vec<_>>();
        let evidence = format!(
            "{target} also holds builds of another checkout, with the same unit ids: {}",
            some(&names, 3)
        );
        let fix =
            "give each checkout a target dir of its own: unset CARGO_TARGET_DIR, or remove build.target-dir";
        return Check::fail(NAME, evidence, fix);
    }
    let place = if target.starts_with(root) { "in the workspace" } else { "outside of the workspace" };
    Check::ok(NAME, format!("{target}, {place}, holds no builds of another checkout"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_checkout_is_found_by_sources_with_the_same_names() {
        let ours = [Utf8Path::new("app/src/main.rs"), Utf8Path::new("src/lib.rs")];
        let table = [
            ("/other/app/src/main.rs", Some("/other")),
            ("/other/src/lib.rs", Some("/other")),
            ("/other/tool/src/main.rs", None),
            ("/other/myapp/src/main.rs", None),
        ];
        for (source, root) in table {
            assert_eq!(checkout_of(source.into(), &ours).map(Utf8Path::as_str), root, "{source}");
        }
    }

    #[test]
    fn the_lists_that_cargo_writes_are_read() {
        let text = "/t/debug/app: /w/app/src/main.rs /my\\ disk/lib.rs relative.rs\n\n# comment\n";
        assert_eq!(listed(text), ["/w/app/src/main.rs", "/my disk/lib.rs"]);
    }
}
