//! The files of a build dir, to be compared with those of another: names and bytes, without what differs in every
//! build.

use std::collections::BTreeMap;

use camino::Utf8Path;

/// Files that two builds of the same never share by name, or that no sweep is about, and why.
const EXCEPTIONS: [(Part, &str, &str); 6] = [
    (Part::Start, "xtask-suite/", "what the suite keeps for itself"),
    (Part::Start, ".rustc_info.json", "cargo's note of every compiler that was asked here"),
    (Part::Start, ".rustdoc_fingerprint.json", "cargo's note of the rustdoc that was asked here"),
    (Part::Middle, "/.cargo-", "lock files, which are never removed"),
    (Part::Start, "doc/.lock", "a lock file too"),
    (Part::End, "/CACHEDIR.TAG", "cargo's mark in the folder of a triple that nothing builds for any more"),
];

/// Which part of a path.
#[derive(Clone, Copy)]
enum Part {
    Start,
    Middle,
    End,
}

fn is_excepted(path: &str) -> bool {
    EXCEPTIONS.iter().any(|(part, text, _why)| match part {
        Part::Start => path.starts_with(text),
        Part::Middle => path.contains(text),
        Part::End => path.ends_with(text),
    })
}

/// Bytes of each file by its path; the sessions of incremental compilation have random names, so of these only the
/// crate's folder counts.
pub(crate) fn files(dir: &Utf8Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
            let metadata = entry.path().symlink_metadata().unwrap();
            if metadata.is_dir() {
                open.push(entry.path().to_owned());
                continue;
            }
            let path = entry.path().strip_prefix(dir).unwrap().as_str();
            if is_excepted(path) {
                continue;
            }
            *found.entry(without_session(path)).or_default() += metadata.len();
        }
    }
    found
}

/// `debug/incremental/app-0caea4yi76pxe/s-…/x.o` becomes `debug/incremental/app-0caea4yi76pxe`.
fn without_session(path: &str) -> String {
    let parts = path.split('/').collect::<Vec<_>>();
    match parts.iter().position(|part| *part == "incremental") {
        Some(at) => parts[..(at + 2).min(parts.len())].join("/"),
        None => path.to_owned(),
    }
}

/// Whether a file is cargo's note that a library was documented, in the folder of a needed unit of the same id: `cargo
/// doc` and `cargo check` number that library alike. Folders of units are removed as a whole.
pub(crate) fn is_note_beside_another(path: &str, needed: &BTreeMap<String, u64>) -> bool {
    path.rsplit_once('/').is_some_and(|(folder, name)| {
        name.starts_with("doc-lib-")
            && needed.keys().any(|other| other.rsplit_once('/').map(|(of, _)| of) == Some(folder))
    })
}

/// The paths and bytes that only the first has.
pub(crate) fn only_in(first: &BTreeMap<String, u64>, second: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let only = first.iter().filter(|(path, _)| !second.contains_key(*path));
    only.map(|(path, bytes)| (path.clone(), *bytes)).collect()
}
