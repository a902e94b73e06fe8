//! The units that lie on disk, with what cargo noted of each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use xtask_units::inventory::{Inventory, ItemKind, Layout, Owner, UnitId};
use xtask_units::{Fingerprint, parallel};

/// So many units are looked at in one go.
pub(crate) const PIECE: usize = 256;

/// A unit on disk.
#[derive(Debug, Clone)]
pub(crate) struct DiskUnit {
    /// Index into the inventory's profiles.
    pub(crate) profile: usize,
    pub(crate) layout: Layout,
    pub(crate) id: UnitId,
    /// Indexes into the inventory's items.
    pub(crate) items: Vec<usize>,
    /// Its package; empty where only outputs are left.
    pub(crate) package: String,
    /// The item of its fingerprint's folder, where cargo's notes are understood.
    noted: Option<usize>,
    /// When it was built, in milliseconds since 1970.
    pub(crate) built_ms: u64,
}

impl DiskUnit {
    /// What cargo noted of it.
    pub(crate) fn fingerprint<'a>(&self, inventory: &'a Inventory) -> Option<&'a Fingerprint> {
        inventory.items[self.noted?].fingerprint.as_deref()
    }

    /// What stands for those it was built from, in their notes.
    pub(crate) fn dependencies(&self, inventory: &Inventory) -> Vec<u64> {
        let Some(item) = self.noted.map(|item| &inventory.items[item]) else { return Vec::new() };
        item.fingerprint.as_ref().map_or_else(Vec::new, |noted| noted.dependencies(&inventory.path(item)))
    }

    /// What stands for it in the notes of the units that depend on it.
    pub(crate) fn hash(&self, inventory: &Inventory) -> Option<u64> {
        self.fingerprint(inventory)?.hash(&inventory.path(&inventory.items[self.noted?]))
    }
}

/// All units of `inventory`, put together with `jobs` threads.
pub(crate) fn units(inventory: &Inventory, jobs: usize) -> Vec<DiskUnit> {
    let items = inventory.items_of_units();
    let of = |index: usize| (inventory.items[index].profile, &inventory.items[index].owner);
    let units = items.chunk_by(|a, b| of(*a) == of(*b)).collect::<Vec<_>>();
    let pieces = units.chunks(PIECE).collect::<Vec<_>>();
    let known = parallel(jobs, &pieces, |units| {
        units.iter().filter_map(|items| unit(inventory, items)).collect::<Vec<_>>()
    });
    known.into_iter().flatten().collect()
}

/// The unit that these items are of.
fn unit(inventory: &Inventory, items: &[usize]) -> Option<DiskUnit> {
    let first = &inventory.items[*items.first()?];
    let (Some(profile), Owner::Unit { layout, id }) = (first.profile, &first.owner) else { return None };
    let (mut built, mut newest, mut noted) = (None, 0, None);
    for &index in items {
        let item = &inventory.items[index];
        if item.kind == ItemKind::Fingerprint && item.size.files == 0 {
            // A sweep that was killed has emptied it lately, which says nothing of when the unit was built.
            continue;
        }
        newest = newest.max(item.modified_ms);
        if item.kind == ItemKind::Fingerprint {
            built = built.max(Some(item.modified_ms));
        }
        if item.fingerprint.is_some() {
            noted.get_or_insert(index);
        }
    }
    Some(DiskUnit {
        profile,
        layout: *layout,
        id: *id,
        items: items.to_vec(),
        package: package(inventory, items, *layout).unwrap_or_default(),
        noted,
        // Cargo writes the fingerprint when it builds; outputs of build scripts may carry any time.
        built_ms: built.unwrap_or(newest),
    })
}

/// `<package>-<id>` in layout v1, `build/<package>/<id>` in v2.
fn package(inventory: &Inventory, items: &[usize], layout: Layout) -> Option<String> {
    let items = || items.iter().map(|&index| &inventory.items[index]);
    match layout {
        Layout::V1 => {
            let kinds = [ItemKind::Fingerprint, ItemKind::BuildScripts];
            let item = items().find(|item| kinds.contains(&item.kind))?;
            let (package, _) = item.name.to_str()?.rsplit_once('-')?;
            Some(package.to_owned())
        }
        Layout::V2 => {
            let folder = &inventory.folders[items().next()?.folder];
            let folder = if folder.ends_with("out") { folder.parent()? } else { folder };
            Some(folder.parent()?.file_name()?.to_str()?.to_owned())
        }
    }
}

/// The version of a registry package, from the paths in a dep-info file of one of its units: the folder of its
/// sources is named `<package>-<version>`.
pub(crate) fn version(inventory: &Inventory, unit: &DiskUnit) -> Option<String> {
    let items = unit.items.iter().map(|&index| &inventory.items[index]);
    let mut dep_infos =
        items.filter(|item| Path::new(&item.name).extension().is_some_and(|ending| ending == "d"));
    dep_infos.find_map(|item| version_in(&start_of(&inventory.path(item))?, &unit.package))
}

fn version_in(dep_info: &str, package: &str) -> Option<String> {
    let mut folders =
        dep_info.split('/').filter_map(|folder| folder.strip_prefix(package)?.strip_prefix('-'));
    let is_version = |rest: &&str| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && rest.matches('.').count() >= 2
            && !rest.contains(' ')
    };
    folders.find(is_version).map(str::to_owned)
}

/// What the compilers are called, by the number that cargo's fingerprints have for them: read from the first bytes
/// of a library each has made (rustc's `rmeta` begins with its version).
pub(crate) fn compilers(inventory: &Inventory, units: &[DiskUnit]) -> BTreeMap<u64, String> {
    let mut names = BTreeMap::new();
    for unit in units {
        let Some(rustc) = unit.fingerprint(inventory).map(|noted| noted.rustc) else { continue };
        if names.contains_key(&rustc) {
            continue;
        }
        let items = unit.items.iter().map(|&index| &inventory.items[index]);
        let mut libraries =
            items.filter(|item| Path::new(&item.name).extension().is_some_and(|ending| ending == "rmeta"));
        if let Some(name) = libraries.find_map(|item| compiler_in(&start_of(&inventory.path(item))?)) {
            names.insert(rustc, name);
        }
    }
    names
}

fn compiler_in(start: &str) -> Option<String> {
    let at = start.find("rustc ")?;
    let version = start[at..].split(" (").next()?;
    Some(version.to_owned()).filter(|version| version.len() < 40)
}

/// The first bytes of a file, as text.
fn start_of(path: &Path) -> Option<String> {
    let mut bytes = Vec::with_capacity(4096);
    File::open(path).ok()?.take(4096).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_where_sources_lie() {
        let text = "/t/debug/deps/liba_b-1.rlib: /h/.cargo/registry/src/index-1/a-b-1.2.3-rc.1/src/lib.rs";
        assert_eq!(version_in(text, "a-b").as_deref(), Some("1.2.3-rc.1"));
        assert_eq!(version_in(text, "a"), None);
        assert_eq!(version_in("/w/vendor/a-0.1.0/src/lib.rs", "a").as_deref(), Some("0.1.0"));
        assert_eq!(version_in("/t/x: /w/src/lib.rs", "x"), None);
        assert_eq!(
            compiler_in("rust\0\0\0\n#rustc 1.95.0 (59807616e 2026-04-14)").as_deref(),
            Some("rustc 1.95.0")
        );
        assert_eq!(compiler_in("nothing"), None);
    }
}
