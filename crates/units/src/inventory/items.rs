//! Which unit an entry belongs to, by where it lies and what it is called.

use std::path::Path;

use xtask_files::{Entry, EntryKind};

use super::layout::{Container, Found, Holds};
use super::names::{id_in_output, incremental, is_output_without_id, is_temporary, package_and_id, unit_id};
use super::{ItemKind, Layout, NotRead, Owner};

/// An entry that will be an item once it is measured.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) entry: Entry,
    pub(super) kind: ItemKind,
    pub(super) owner: Owner,
}

/// The entries of one folder.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) path: std::path::PathBuf,
    pub(super) profile: Option<usize>,
    pub(super) named: Vec<Named>,
}

/// Names the entries of `container`. Those that hold units themselves are opened, and named too.
pub(super) fn name(container: Container, found: &mut Found) -> Vec<Batch> {
    let Container { path, holds, profile, entries } = container;
    let mut batches = Vec::new();
    let mut named = Vec::new();
    for entry in entries {
        let text = entry.name.to_str().unwrap_or_default();
        let (kind, owner) = match holds {
            Holds::All(kind) => (kind, Owner::None),
            Holds::Profile => (ItemKind::Artifacts, Owner::Uplifted),
            Holds::Examples => match id_in_output(text) {
                Some(_) => output(text),
                None => (ItemKind::Artifacts, Owner::Uplifted),
            },
            Holds::Deps => output(text),
            Holds::Incremental => match incremental(text) {
                Some(owner) if entry.kind == EntryKind::Folder => {
                    let sessions = found.entries(&path.join(&entry.name));
                    if !sessions.is_empty() {
                        batches.push(of_crate(path.join(&entry.name), profile, sessions, &owner));
                        continue;
                    }
                    (ItemKind::Incremental, owner)
                }
                _ => (ItemKind::Other, Owner::None),
            },
            Holds::Fingerprints => match package_and_id(text) {
                Some((_, id)) => (ItemKind::Fingerprint, Owner::Unit { layout: Layout::V1, id }),
                None => (ItemKind::Other, Owner::None),
            },
            Holds::Build => match package_and_id(text) {
                Some((_, id)) => (ItemKind::BuildScripts, Owner::Unit { layout: Layout::V1, id }),
                None if entry.kind == EntryKind::Folder => {
                    batches.extend(package(&path.join(&entry.name), profile, found));
                    continue;
                }
                None => (ItemKind::Other, Owner::None),
            },
        };
        named.push(Named { entry, kind, owner });
    }
    batches.push(Batch { path, profile, named });
    batches
}

/// The sessions of one crate, and their lock files.
fn of_crate(path: std::path::PathBuf, profile: Option<usize>, entries: Vec<Entry>, owner: &Owner) -> Batch {
    let named = entries.into_iter();
    let named = named.map(|entry| Named { entry, kind: ItemKind::Incremental, owner: owner.clone() });
    Batch { path, profile, named: named.collect() }
}

/// A file of the compiler's.
fn output(name: &str) -> (ItemKind, Owner) {
    let dwo = Path::new(name).extension().is_some_and(|extension| extension == "dwo");
    let kind = if dwo { ItemKind::Dwo } else { ItemKind::Deps };
    match id_in_output(name) {
        Some(id) => (kind, Owner::Unit { layout: Layout::V1, id }),
        None if is_temporary(name) => (ItemKind::Temporary, Owner::None),
        None if is_output_without_id(name) => (kind, Owner::Crate),
        None => (ItemKind::Other, Owner::None),
    }
}

/// `build/<package>` of layout v2: a folder per unit.
fn package(path: &Path, profile: Option<usize>, found: &mut Found) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut strange = Vec::new();
    for entry in found.entries(path) {
        let id = entry.name.to_str().and_then(unit_id).filter(|_| entry.kind == EntryKind::Folder);
        let Some(id) = id else {
            strange.push(Named { entry, kind: ItemKind::Other, owner: Owner::None });
            continue;
        };
        batches.extend(unit(&path.join(&entry.name), profile, id, found));
    }
    if batches.is_empty() && !strange.is_empty() {
        let why = "it is neither a build script's folder nor a package's: a layout of cargo's that is not known here";
        found.unrecognised.push(NotRead { path: path.to_owned(), why: why.to_owned() });
    }
    batches.push(Batch { path: path.to_owned(), profile, named: strange });
    batches
}

/// `build/<package>/<id>`: what cargo noted, what the compiler or the build script wrote.
fn unit(path: &Path, profile: Option<usize>, id: u64, found: &mut Found) -> Vec<Batch> {
    let entries = found.entries(path);
    let runs = entries.iter().any(|entry| entry.name == "run");
    let alone = entries.len() == 1;
    let owner = Owner::Unit { layout: Layout::V2, id };
    let mut own = Vec::new();
    let mut outputs = Vec::new();
    for entry in entries {
        let (kind, owner) = match entry.name.to_str() {
            Some("fingerprint") => (ItemKind::Fingerprint, owner.clone()),
            Some("run") => (ItemKind::BuildScripts, owner.clone()),
            Some("out") if runs => (ItemKind::BuildScripts, owner.clone()),
            Some("out") if entry.kind == EntryKind::Folder => {
                let below = found.entries(&path.join("out"));
                if !below.is_empty() {
                    outputs.extend(below.into_iter().map(|entry| of_unit(entry, &owner)));
                    continue;
                }
                // For doc tests cargo makes a folder that nothing is ever put into.
                if alone { (ItemKind::Cargo, Owner::None) } else { (ItemKind::Deps, owner.clone()) }
            }
            _ => (ItemKind::Deps, owner.clone()),
        };
        own.push(Named { entry, kind, owner });
    }
    vec![
        Batch { path: path.to_owned(), profile, named: own },
        Batch { path: path.join("out"), profile, named: outputs },
    ]
}

fn of_unit(entry: Entry, owner: &Owner) -> Named {
    let name = entry.name.to_str().unwrap_or_default();
    if is_temporary(name) {
        return Named { entry, kind: ItemKind::Temporary, owner: Owner::None };
    }
    let kind = match output(name).0 {
        ItemKind::Dwo => ItemKind::Dwo,
        _ if name.starts_with("build_script_") || name.starts_with("build-script-") => ItemKind::BuildScripts,
        _ => ItemKind::Deps,
    };
    Named { entry, kind, owner: owner.clone() }
}
