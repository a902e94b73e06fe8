//! Measures what was named, with several threads: each takes the next batch.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use camino::Utf8Path;
use xtask_files::{Entry, EntryKind, FileId, Folder, Status};

use super::items::{self, Batch, Entries, Named, name};
use super::layout::{Depth, find};
use super::names::is_filled_by_cargo;
use super::owners;
use super::{Inventory, Item, ItemKind, Link, NotRead, Owner, Size};
use crate::fingerprint::{Fingerprint, LONGEST};
use crate::parallel::parallel;

/// So many entries of one folder are measured at a time.
const BATCH: usize = 256;
/// Deeper folders are left alone: each level takes an open file.
const DEEPEST: usize = 200;

/// Reads both folders; what is not measured when `deadline` comes is left out.
pub(super) fn read(
    build_dir: &Utf8Path,
    target_dir: &Utf8Path,
    jobs: usize,
    deadline: Option<Instant>,
) -> Inventory {
    let mut found = find(build_dir, target_dir, Depth::Everything);
    let mut batches = Vec::new();
    for container in std::mem::take(&mut found.containers) {
        for batch in items::batches(container, &mut found) {
            split(batch, &mut batches);
        }
    }
    let mut inventory = Inventory {
        profiles: found.profiles,
        unrecognised: found.unrecognised,
        unreadable: found.unreadable,
        ..Inventory::default()
    };
    let batches = batches.into_iter().map(|batch| Mutex::new(Some(batch))).collect::<Vec<_>>();
    // Each batch is taken once; its names need not be copied.
    let take = |batch: &Mutex<Option<Batch>>| batch.lock().ok().and_then(|mut batch| batch.take());
    let measured = parallel(jobs, &batches, |batch| take(batch).map(|batch| measure(batch, deadline)));
    let mut links = Links::default();
    for batch in measured.into_iter().flatten() {
        links.add(batch, &mut inventory);
    }
    inventory.links = links.all;
    owners::disown(&mut inventory);
    inventory
}

/// Cuts a batch into pieces, so that one folder with very many entries keeps all threads busy.
fn split(batch: Batch, batches: &mut Vec<Batch>) {
    let Batch { path, profile, entries } = batch;
    let of = |entries| Batch { path: path.clone(), profile, entries };
    match entries {
        Entries::In(holds, entries) => {
            batches.extend(pieces(entries).map(|piece| of(Entries::In(holds, piece))));
        }
        Entries::Named(named) => batches.extend(pieces(named).map(|piece| of(Entries::Named(piece)))),
    }
}

fn pieces<T>(all: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut all = all.into_iter();
    std::iter::from_fn(move || {
        // A collection of its own: what `split_off` leaves keeps the room of the whole.
        let piece = all.by_ref().take(BATCH).collect::<Vec<_>>();
        (!piece.is_empty()).then_some(piece)
    })
}

/// A batch with what its entries take up.
struct Measured {
    path: std::path::PathBuf,
    profile: Option<usize>,
    items: Vec<(Named, Tree)>,
    unreadable: Vec<NotRead>,
    cut: bool,
}

/// What an entry takes up.
#[derive(Default)]
struct Tree {
    bytes: u64,
    files: u64,
    links: Vec<Link>,
    modified_ms: u64,
    id: Option<FileId>,
    fingerprint: Option<Box<Fingerprint>>,
    unreadable: bool,
    /// When to stop.
    deadline: Option<Instant>,
    /// Whether it was stopped.
    cut: bool,
}

fn measure(batch: Batch, deadline: Option<Instant>) -> Measured {
    let Batch { path, profile, entries } = batch;
    let named = match entries {
        Entries::In(holds, entries) => entries.into_iter().map(|entry| name(holds, entry)).collect(),
        Entries::Named(named) => named,
    };
    let mut measured = Measured {
        items: Vec::with_capacity(named.len()),
        path,
        profile,
        unreadable: Vec::new(),
        cut: false,
    };
    let folder = match Folder::open(&measured.path) {
        Ok(folder) => folder,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return measured,
        Err(error) => {
            measured.unreadable.push(NotRead { path: measured.path.clone(), why: error.to_string() });
            return measured;
        }
    };
    for mut named in named {
        let mut tree = Tree { deadline, ..Tree::default() };
        measured.cut |= tree.is_over();
        if measured.cut {
            break;
        }
        let name = &named.entry.name;
        let result = match named.entry.kind {
            EntryKind::Folder => folder.folder(name).and_then(|below| {
                let entries = tree.folder(&below, 0)?;
                if named.kind == ItemKind::Fingerprint {
                    tree.notes(&below, &entries);
                }
                Ok(entries)
            }),
            kind => tree.entry(&folder, name, kind, 0).map(|()| Vec::new()),
        };
        match result {
            // Gone since it was listed, or while it was read: there is nothing to say of it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                measured.unreadable.push(NotRead { path: measured.path.join(name), why: error.to_string() });
                tree.unreadable = true;
                measured.items.push((named, tree));
            }
            Ok(entries) => {
                let inside = entries.iter().map(|entry| entry.name.to_str().unwrap_or_default());
                let is_cargos = named.entry.kind != EntryKind::Folder
                    || is_filled_by_cargo(named.kind, name.to_str().unwrap_or_default(), inside);
                if !is_cargos {
                    (named.kind, named.owner) = (ItemKind::Other, Owner::None);
                }
                measured.cut |= tree.cut;
                measured.items.push((named, tree));
            }
        }
    }
    measured
}

impl Tree {
    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }

    fn entry(&mut self, folder: &Folder, name: &OsStr, kind: EntryKind, depth: usize) -> std::io::Result<()> {
        if kind != EntryKind::Folder {
            self.file(&folder.status(name)?);
            return Ok(());
        }
        if depth > DEEPEST {
            return Err(std::io::Error::other("it is nested too deeply"));
        }
        self.folder(&folder.folder(name)?, depth)?;
        Ok(())
    }

    /// An open folder with all below it. Returns its entries.
    fn folder(&mut self, folder: &Folder, depth: usize) -> std::io::Result<Vec<Entry>> {
        let own = folder.own_status()?;
        self.bytes += own.bytes;
        if depth == 0 {
            self.id = Some(own.id);
        }
        let entries = folder.entries()?;
        for entry in &entries {
            self.cut = self.cut || (entry.kind == EntryKind::Folder && self.is_over());
            if self.cut {
                break;
            }
            match self.entry(folder, &entry.name, entry.kind, depth + 1) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        if entries.is_empty() {
            self.modified_ms = self.modified_ms.max(own.modified_ms);
        }
        Ok(entries)
    }

    /// Reads what cargo noted, while the folder of a fingerprint is open.
    fn notes(&mut self, folder: &Folder, entries: &[Entry]) {
        let notes =
            entries.iter().find_map(|entry| Some((&entry.name, entry.name.to_str()?.strip_suffix(".json")?)));
        if let Some((name, file)) = notes {
            let json = folder.read(name, LONGEST).unwrap_or_default();
            self.fingerprint = Fingerprint::parse(file, &json).map(Box::new);
        }
    }

    fn file(&mut self, status: &Status) {
        self.files += 1;
        self.id.get_or_insert(status.id);
        self.modified_ms = self.modified_ms.max(status.modified_ms);
        if status.names > 1 {
            self.links.push(Link { id: status.id, bytes: status.bytes, names: status.names });
        } else {
            self.bytes += status.bytes;
        }
    }
}

/// The files with several names, each once.
#[derive(Default)]
struct Links {
    all: Vec<Link>,
    index: HashMap<FileId, u32>,
}

impl Links {
    fn add(&mut self, measured: Measured, inventory: &mut Inventory) {
        let folder = folder_index(&measured.path, inventory);
        inventory.unreadable.extend(measured.unreadable);
        inventory.cut |= measured.cut;
        for (named, tree) in measured.items {
            let links = tree.links.into_iter().map(|link| self.index_of(link)).collect();
            inventory.items.push(Item {
                folder,
                profile: measured.profile,
                kind: named.kind,
                owner: named.owner,
                size: Size { bytes: tree.bytes, files: tree.files, links },
                modified_ms: tree.modified_ms,
                fingerprint: tree.fingerprint,
                id: tree.id.unwrap_or(FileId { device: 0, inode: 0 }),
                is_folder: named.entry.kind == EntryKind::Folder,
                left_alone: tree.unreadable
                    || !matches!(named.entry.kind, EntryKind::File | EntryKind::Folder),
                name: named.entry.name,
            });
        }
    }

    fn index_of(&mut self, link: Link) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        *self.index.entry(link.id).or_insert_with(|| {
            self.all.push(link);
            next
        })
    }
}

/// The pieces of one folder share its name.
fn folder_index(path: &Path, inventory: &mut Inventory) -> usize {
    if inventory.folders.last().is_none_or(|last| last != path) {
        inventory.folders.push(path.to_owned());
    }
    inventory.folders.len() - 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use xtask_testkit::TempDir;

    #[test]
    fn what_is_not_measured_in_time_is_left_out_and_that_is_said() {
        let dir = TempDir::new("walk-deadline");
        for number in 0..50 {
            dir.write(&format!("a/{number}/file"), "12345");
        }
        let read = |deadline| {
            let inventory = read(dir.path(), dir.path(), 2, deadline);
            (inventory.items.iter().map(|item| item.size.files).sum::<u64>(), inventory.cut)
        };
        assert_eq!(read(None), (50, false));
        assert_eq!(read(Some(Instant::now() + Duration::from_secs(60))), (50, false));
        assert_eq!(read(Some(Instant::now())), (0, true));
        let mut tree = Tree { deadline: Some(Instant::now()), ..Tree::default() };
        tree.folder(&Folder::open(dir.path().as_std_path()).unwrap(), 0).unwrap();
        assert_eq!((tree.files, tree.cut), (0, true), "a large folder is left midway");
    }
}
