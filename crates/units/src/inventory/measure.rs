//! Measures the parts of a build dir with several threads, and checks which unit each belongs to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use camino::Utf8Path;
use xtask_files::{Entry, EntryKind, FileId, Folder, Status};

use super::layout::find;
use super::names::{OutputName, is_filled_by_cargo};
use super::{Inventory, Item, ItemKind, Layout, Link, NotRead, Owner, UnitId};
use crate::fingerprint::{Fingerprint, LONGEST};
use crate::freshness::dep_info_outputs;
use crate::parallel;

/// How many entries of one folder are measured at a time, so that a very large folder keeps all threads busy.
const PIECE: usize = 256;
/// Deeper folders are left alone: each level needs an open file.
const DEEPEST: usize = 200;

/// Reads both folders. What is not measured by the `deadline` is left out.
pub(super) fn read(
    build_dir: &Utf8Path,
    target_dir: &Utf8Path,
    jobs: usize,
    deadline: Option<Instant>,
) -> Inventory {
    let found = find(build_dir, target_dir, false);
    let mut inventory = found.inventory;
    let pieces = found.batches.into_iter().flat_map(pieces).collect::<Vec<_>>();
    let measured = parallel(jobs, pieces, |items| {
        let folder = &inventory.folders[items.first()?.folder];
        Some(measure(folder, items, deadline))
    });
    let mut links = HashMap::new();
    for measured in measured.into_iter().flatten() {
        inventory.unreadable.extend(measured.unreadable);
        inventory.cut |= measured.cut;
        for (mut item, of_item) in measured.items {
            let indexes = of_item.into_iter().map(|link| {
                *links.entry(link.id).or_insert_with(|| {
                    inventory.links.push(link);
                    u32::try_from(inventory.links.len() - 1).unwrap_or(u32::MAX)
                })
            });
            item.size.links = indexes.collect();
            inventory.items.push(item);
        }
    }
    disown(&mut inventory, jobs);
    inventory
}

fn pieces(items: Vec<Item>) -> impl Iterator<Item = Vec<Item>> {
    let mut items = items.into_iter();
    std::iter::from_fn(move || {
        let piece = items.by_ref().take(PIECE).collect::<Vec<_>>();
        (!piece.is_empty()).then_some(piece)
    })
}

/// Items of one folder, each with its files that have several names.
#[derive(Default)]
struct Measured {
    items: Vec<(Item, Vec<Link>)>,
    unreadable: Vec<NotRead>,
    cut: bool,
}

fn measure(path: &Path, items: Vec<Item>, deadline: Option<Instant>) -> Measured {
    let mut measured = Measured::default();
    let folder = match Folder::open(path) {
        Ok(folder) => folder,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return measured,
        Err(error) => {
            measured.unreadable.push(NotRead { path: path.to_owned(), why: error.to_string() });
            return measured;
        }
    };
    for mut item in items {
        let mut tree = Tree { deadline, ..Tree::default() };
        measured.cut |= tree.is_over();
        if measured.cut {
            break;
        }
        match tree.item(&folder, &mut item) {
            // Removed since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                let why = error.to_string();
                measured.unreadable.push(NotRead { path: path.join(&item.name), why });
                item.left_alone = true;
            }
            Ok(()) => measured.cut |= tree.cut,
        }
        (item.size.bytes, item.size.files) = (tree.bytes, tree.files);
        item.modified_ms = tree.modified_ms;
        item.id = tree.id.unwrap_or(item.id);
        measured.items.push((item, tree.links));
    }
    measured
}

#[derive(Default)]
struct Tree {
    bytes: u64,
    files: u64,
    links: Vec<Link>,
    modified_ms: u64,
    id: Option<FileId>,
    deadline: Option<Instant>,
    /// Whether the deadline has come.
    cut: bool,
}

impl Tree {
    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }

    fn item(&mut self, folder: &Folder, item: &mut Item) -> std::io::Result<()> {
        if !item.is_folder {
            self.file(&folder.status(&item.name)?);
            return Ok(());
        }
        let below = folder.folder(&item.name)?;
        let entries = self.folder(&below, 0)?;
        if item.kind == ItemKind::Fingerprint {
            let mut names = entries.iter().filter_map(|entry| entry.name.to_str());
            if let Some((name, file)) = names.find_map(|name| Some((name, name.strip_suffix(".json")?))) {
                let json = below.read(name.as_ref(), LONGEST).unwrap_or_default();
                item.fingerprint = Fingerprint::parse(file, &json).map(Box::new);
            }
        }
        let inside = entries.iter().map(|entry| entry.name.to_str().unwrap_or_default());
        if !is_filled_by_cargo(item.kind, item.name.to_str().unwrap_or_default(), inside) {
            (item.kind, item.owner) = (ItemKind::Other, Owner::None);
        }
        Ok(())
    }

    /// An open folder with everything below it. Returns its entries.
    fn folder(&mut self, folder: &Folder, depth: usize) -> std::io::Result<Vec<Entry>> {
        if depth > DEEPEST {
            return Err(std::io::Error::other("it is nested too deeply"));
        }
        let own = folder.own_status()?;
        self.bytes += own.bytes;
        self.id.get_or_insert(own.id);
        let entries = folder.entries()?;
        for entry in &entries {
            let is_folder = entry.kind == EntryKind::Folder;
            self.cut = self.cut || (is_folder && self.is_over());
            if self.cut {
                break;
            }
            let read = if is_folder {
                folder.folder(&entry.name).and_then(|below| self.folder(&below, depth + 1)).map(|_| ())
            } else {
                folder.status(&entry.name).map(|status| self.file(&status))
            };
            match read {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                read => read?,
            }
        }
        if entries.is_empty() {
            self.modified_ms = self.modified_ms.max(own.modified_ms);
        }
        Ok(entries)
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

/// Takes from units the items that are not known to be theirs. An id in a name is only a hint: people give files such names
/// too, and copy those of units. An item belongs to a unit if a fingerprint or the compiler's dep-info names that unit, and
/// its name is one that an artifact of that crate gets.
fn disown(inventory: &mut Inventory, jobs: usize) {
    let mut fingerprints = HashMap::<_, Vec<usize>>::new();
    for (index, item) in inventory.items.iter().enumerate() {
        if let (ItemKind::Fingerprint, Owner::Unit { layout, id }) = (item.kind, &item.owner) {
            fingerprints.entry((item.profile, *layout, *id)).or_default().push(index);
        }
    }
    let pieces = inventory.items.chunks(16 * PIECE).collect::<Vec<_>>();
    let strange = parallel(jobs, &pieces, |piece| {
        let mut dep_infos = HashMap::new();
        let is_strange = |item: &Item| {
            let Owner::Unit { layout, id } = item.owner else { return false };
            let of_unit = fingerprints.get(&(item.profile, layout, id)).map_or(&[][..], Vec::as_slice);
            !is_of_unit(inventory, item, (layout, id), of_unit, &mut dep_infos)
        };
        piece.iter().map(is_strange).collect::<Vec<_>>()
    });
    for (item, is_strange) in inventory.items.iter_mut().zip(strange.into_iter().flatten()) {
        if is_strange {
            (item.kind, item.owner) = (ItemKind::Other, Owner::None);
        }
    }
}

/// Whether `item` belongs to a unit that has these `fingerprints`.
fn is_of_unit(
    inventory: &Inventory,
    item: &Item,
    (layout, id): (Layout, UnitId),
    fingerprints: &[usize],
    dep_infos: &mut HashMap<PathBuf, Vec<String>>,
) -> bool {
    let folder = &inventory.folders[item.folder];
    let mut fingerprints = fingerprints.iter().map(|&index| &inventory.items[index]);
    match (layout, item.kind) {
        (_, ItemKind::Fingerprint) => return true,
        // Both folders of a unit have the same name.
        (Layout::V1, ItemKind::BuildScripts) => return fingerprints.any(|other| other.name == item.name),
        (Layout::V2, _) if !folder.ends_with("out") => return fingerprints.len() > 0,
        _ => {}
    }
    let Some(name) = item.name.to_str() else { return false };
    let output = OutputName::parse(name).filter(|output| {
        output.is_folder() == item.is_folder && output.id.map_or(layout == Layout::V2, |of| of == id)
    });
    // The fingerprint of a unit that was never finished does not name a target.
    let is_target = |other: &Item, output: OutputName| {
        other.fingerprint.as_ref().is_none_or(|known| output.is_of(&known.target))
    };
    if output.is_some_and(|output| fingerprints.any(|other| is_target(other, output))) {
        return true;
    }
    let stem = name.split('.').next().unwrap_or(name);
    let stems = [Some(stem), stem.strip_prefix("lib")];
    !item.is_folder
        && stems.into_iter().flatten().any(|stem| {
            let dep_info = folder.join(format!("{stem}.d"));
            let outputs = dep_infos.entry(dep_info).or_insert_with_key(|path| dep_info_outputs(path));
            let names = |name: &str| outputs.iter().any(|output| output == name);
            names(&format!("{stem}.d")) && (names(name) || output.is_some())
        })
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
