//! Which parts are a unit's for certain. An id in a name is no more than a hint: people call files so too, and copy those
//! of units. A part belongs to a unit where cargo's fingerprint or the compiler's dep-info speaks of that unit, and its
//! name is one that an artifact of that crate gets.

use std::collections::HashMap;
use std::path::PathBuf;

use super::{Inventory, Item, ItemKind, Layout, OutputName, Owner, UnitId};
use crate::dep_info::outputs;

/// The fingerprints' folders of each unit, as indexes into the items.
type Notes = HashMap<(Option<usize>, Layout, UnitId), Vec<usize>>;

/// Takes from units what is not known to be theirs.
pub(super) fn disown(inventory: &mut Inventory) {
    let mut notes = Notes::new();
    for (index, item) in inventory.items.iter().enumerate() {
        if let (ItemKind::Fingerprint, Owner::Unit { layout, id }) = (item.kind, &item.owner) {
            notes.entry((item.profile, *layout, *id)).or_default().push(index);
        }
    }
    let mut dep_infos = HashMap::new();
    let strange = inventory.items.iter().enumerate().filter(|(_, item)| {
        let Owner::Unit { layout, id } = item.owner else { return false };
        let notes = notes.get(&(item.profile, layout, id)).map_or(&[][..], Vec::as_slice);
        !is_of_unit(inventory, item, (layout, id), notes, &mut dep_infos)
    });
    for index in strange.map(|(index, _)| index).collect::<Vec<_>>() {
        let item = &mut inventory.items[index];
        (item.kind, item.owner) = (ItemKind::Other, Owner::None);
    }
}

fn is_of_unit(
    inventory: &Inventory,
    item: &Item,
    (layout, id): (Layout, UnitId),
    notes: &[usize],
    dep_infos: &mut HashMap<PathBuf, Vec<String>>,
) -> bool {
    let folder = &inventory.folders[item.folder];
    let mut notes = notes.iter().map(|&index| &inventory.items[index]);
    match (layout, item.kind) {
        (_, ItemKind::Fingerprint) => return true,
        // Both folders of a unit have one name.
        (Layout::V1, ItemKind::BuildScripts) => return notes.any(|note| note.name == item.name),
        (Layout::V2, _) if !folder.ends_with("out") => return notes.len() > 0,
        _ => {}
    }
    let Some(name) = item.name.to_str() else { return false };
    let output = OutputName::parse(name).filter(|output| {
        output.is_folder() == item.is_folder && output.id.map_or(layout == Layout::V2, |of| of == id)
    });
    // A unit that was never finished has no target noted.
    let target = |note: &Item| note.fingerprint.as_ref().map(|noted| noted.target.clone());
    if output.is_some_and(|output| notes.any(|note| target(note).is_none_or(|target| output.is_of(&target))))
    {
        return true;
    }
    let stem = name.split('.').next().unwrap_or(name);
    let stems = [Some(stem), stem.strip_prefix("lib")];
    !item.is_folder
        && stems.into_iter().flatten().any(|stem| {
            let dep_info = folder.join(format!("{stem}.d"));
            let outputs = dep_infos.entry(dep_info).or_insert_with_key(|path| outputs(path));
            let names = |name: &str| outputs.iter().any(|output| output == name);
            names(&format!("{stem}.d")) && (names(name) || output.is_some())
        })
}
