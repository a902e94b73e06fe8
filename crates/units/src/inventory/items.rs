//! Which unit an entry belongs to, by where it lies and what it is called.

use std::path::Path;

use xtask_files::{Entry, EntryKind};

use super::layout::{Container, Found, Holds};
use super::names::{incremental, is_of_command, is_session, is_temporary, package_and_id, unit_id};
use super::output_name::{OutputName, id_in_output};
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
    pub(super) entries: Entries,
}

/// Entries, named or not yet.
#[derive(Debug)]
pub(super) enum Entries {
    /// What the name of each tells depends only on this.
    In(Holds, Vec<Entry>),
    Named(Vec<Named>),
}

/// The batches of `container`. Entries that hold units themselves are opened, and named.
pub(super) fn batches(container: Container, found: &mut Found) -> Vec<Batch> {
    let Container { path, holds, profile, mut entries } = container;
    let mut batches = Vec::new();
    if matches!(holds, Holds::Incremental | Holds::Build) {
        entries.retain(|entry| {
            let below = below(&path.join(&entry.name), holds, profile, entry, found);
            let is_open = !below.is_empty();
            batches.extend(below);
            !is_open
        });
    }
    batches.push(Batch { path, profile, entries: Entries::In(holds, entries) });
    batches
}

/// The batches of what lies in an entry, where these are parts.
fn below(path: &Path, holds: Holds, profile: Option<usize>, entry: &Entry, found: &mut Found) -> Vec<Batch> {
    let text = entry.name.to_str().unwrap_or_default();
    if entry.kind != EntryKind::Folder {
        return Vec::new();
    }
    match (holds, incremental(text)) {
        (Holds::Incremental, Some(owner)) => {
            let sessions = found.entries(path);
            if sessions.is_empty() {
                Vec::new()
            } else {
                vec![of_crate(path.to_owned(), profile, sessions, &owner)]
            }
        }
        (Holds::Build, _) if package_and_id(text).is_none() => package(path, profile, found),
        _ => Vec::new(),
    }
}

/// What an entry is where only its name tells.
pub(super) fn name(holds: Holds, entry: Entry) -> Named {
    let text = entry.name.to_str().unwrap_or_default();
    let is_folder = entry.kind == EntryKind::Folder;
    let unit = |kind| match package_and_id(text) {
        Some((_, id)) if is_folder => (kind, Owner::Unit { layout: Layout::V1, id }),
        _ => (ItemKind::Other, Owner::None),
    };
    let (kind, owner) = match holds {
        Holds::All(kind) if is_folder || is_of_command(kind, text) => (kind, Owner::None),
        Holds::All(_) => (ItemKind::Other, Owner::None),
        Holds::Profile => (ItemKind::Artifacts, Owner::Uplifted),
        Holds::Examples if id_in_output(text).is_none() => (ItemKind::Artifacts, Owner::Uplifted),
        Holds::Examples | Holds::Deps => output(text, is_folder),
        Holds::Incremental => match incremental(text) {
            Some(owner) if is_folder => (ItemKind::Incremental, owner),
            _ => (ItemKind::Other, Owner::None),
        },
        Holds::Fingerprints => unit(ItemKind::Fingerprint),
        Holds::Build => unit(ItemKind::BuildScripts),
    };
    Named { entry, kind, owner }
}

/// The sessions of one crate, and their lock files.
fn of_crate(path: std::path::PathBuf, profile: Option<usize>, entries: Vec<Entry>, owner: &Owner) -> Batch {
    let named = entries.into_iter().map(|entry| {
        let is_session =
            entry.name.to_str().is_some_and(|name| is_session(name, entry.kind == EntryKind::Folder));
        let (kind, owner) =
            if is_session { (ItemKind::Incremental, owner.clone()) } else { (ItemKind::Other, Owner::None) };
        Named { entry, kind, owner }
    });
    Batch { path, profile, entries: Entries::Named(named.collect()) }
}

/// A file of the compiler's, where its name is all that is known.
fn output(name: &str, is_folder: bool) -> (ItemKind, Owner) {
    let dwo = Path::new(name).extension().is_some_and(|extension| extension == "dwo");
    let kind = if dwo { ItemKind::Dwo } else { ItemKind::Deps };
    match id_in_output(name) {
        Some(id) => (kind, Owner::Unit { layout: Layout::V1, id }),
        None if is_folder && is_temporary(name) => (ItemKind::Temporary, Owner::None),
        None if OutputName::parse(name).is_some_and(|output| output.is_folder() == is_folder) => {
            (kind, Owner::Crate)
        }
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
    batches.push(Batch { path: path.to_owned(), profile, entries: Entries::Named(strange) });
    batches
}

/// `build/<package>/<id>`: what cargo noted, what the compiler or the build script wrote.
fn unit(path: &Path, profile: Option<usize>, id: u64, found: &mut Found) -> Vec<Batch> {
    let entries = found.entries(path);
    let runs = entries.iter().any(|entry| entry.name == "run");
    let alone = entries.len() == 1;
    let is_folder = |entry: &Entry| entry.kind == EntryKind::Folder;
    let is_noted = entries.iter().any(|entry| entry.name == "fingerprint" && is_folder(entry));
    let owner = Owner::Unit { layout: Layout::V2, id };
    let mut own = Vec::new();
    let mut outputs = Vec::new();
    for entry in entries {
        let (kind, owner) = match entry.name.to_str() {
            Some("out") if alone && is_folder(&entry) && found.entries(&path.join("out")).is_empty() => {
                // For doc tests cargo makes a folder that nothing is ever put into.
                (ItemKind::Cargo, Owner::None)
            }
            Some("fingerprint" | "run" | "out") if !is_noted || !is_folder(&entry) => {
                (ItemKind::Other, Owner::None)
            }
            Some("fingerprint") => (ItemKind::Fingerprint, owner.clone()),
            Some("run") => (ItemKind::BuildScripts, owner.clone()),
            Some("out") if runs => (ItemKind::BuildScripts, owner.clone()),
            Some("out") => {
                let below = found.entries(&path.join("out"));
                if !below.is_empty() {
                    outputs.extend(below.into_iter().map(|entry| of_unit(entry, &owner)));
                    continue;
                }
                (ItemKind::Deps, owner.clone())
            }
            _ => (ItemKind::Other, Owner::None),
        };
        own.push(Named { entry, kind, owner });
    }
    vec![
        Batch { path: path.to_owned(), profile, entries: Entries::Named(own) },
        Batch { path: path.join("out"), profile, entries: Entries::Named(outputs) },
    ]
}

fn of_unit(entry: Entry, owner: &Owner) -> Named {
    let name = entry.name.to_str().unwrap_or_default();
    let is_folder = entry.kind == EntryKind::Folder;
    if is_folder && is_temporary(name) {
        return Named { entry, kind: ItemKind::Temporary, owner: Owner::None };
    }
    let kind = match output(name, is_folder).0 {
        ItemKind::Dwo => ItemKind::Dwo,
        _ if name.starts_with("build_script_") || name.starts_with("build-script-") => ItemKind::BuildScripts,
        _ => ItemKind::Deps,
    };
    Named { entry, kind, owner: owner.clone() }
}
