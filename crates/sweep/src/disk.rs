//! The units on disk, and where the space is: by kind, by profile, by package, and which crates have several copies.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_units::inventory::{Inventory, ItemKind, Layout, NotRead, Owner, Sum, UnitId};
use xtask_units::{Fingerprint, Mode, TargetKind, parallel};
use xtask_workspace::Workspace;

use crate::guard::Dirs;

/// A part of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    pub name: String,
    pub bytes: u64,
    pub units: usize,
}

/// A crate with several copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variants {
    pub package: String,
    /// Which of its targets: `lib`, `bin app`, `lib (test)`.
    pub target: String,
    pub bytes: u64,
    /// How they differ: `features`, `flags`, `toolchain`, `version`, `profile`, `dependencies`.
    pub differ_by: Vec<&'static str>,
    /// The largest first.
    pub variants: Vec<Variant>,
}

/// One of the copies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Variant {
    /// The label of the profile's folder: `debug`, `wasm32-unknown-unknown/release`.
    pub profile: String,
    /// The unit id, as file names have it.
    pub id: String,
    pub bytes: u64,
    /// Read from its dep-info, where that has it.
    pub version: Option<String>,
    /// Read from a library of this compiler, where there is one.
    pub toolchain: Option<String>,
    pub features: Vec<String>,
    pub rustflags: Vec<String>,
    /// A hash of the profile's settings.
    pub profile_settings: u64,
}

/// Where the space is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskReport {
    pub build_dir: Utf8PathBuf,
    pub target_dir: Utf8PathBuf,
    /// Bytes on the disk, each file once.
    pub total_bytes: u64,
    pub files: u64,
    pub units: usize,
    pub kinds: Vec<Share>,
    pub profiles: Vec<Share>,
    pub packages: Vec<Share>,
    /// Crates with several copies, the largest first.
    pub variants: Vec<Variants>,
    /// Folders whose layout is not known here.
    pub unrecognised: Vec<NotRead>,
    /// What could not be read, and is in no figure.
    pub unreadable: Vec<NotRead>,
}

/// Reads both dirs with `jobs` threads. It takes no lock: what a cargo writes meanwhile may be missing.
pub fn disk(workspace: &Workspace, jobs: usize) -> Result<DiskReport> {
    let dirs = Dirs::of(workspace)?;
    let inventory = Inventory::read(&dirs.build, &dirs.target, jobs);
    let units = units(&inventory, jobs);
    let mut sum = Sum::new(&inventory.links);
    let (mut kinds, mut profiles) = (Shares::default(), Shares::default());
    // The items of units first: a final artifact that is a link to a unit's output counts as that output.
    let mut unit_bytes = vec![0; units.len()];
    let mut packages = Shares::default();
    let of_units =
        units.iter().enumerate().flat_map(|(at, unit)| unit.items.iter().map(move |&item| (item, Some(at))));
    let owned = of_units.collect::<Vec<_>>();
    let known = owned.iter().map(|(item, _)| *item).collect::<BTreeSet<_>>();
    let rest = (0..inventory.items.len()).filter(|item| !known.contains(item)).map(|item| (item, None));
    for (index, unit) in owned.into_iter().chain(rest) {
        let item = &inventory.items[index];
        let before = sum.bytes;
        sum.add(&item.size);
        let bytes = sum.bytes - before;
        kinds.add(item.kind.name(), bytes, 0);
        let profile = item.profile.map(|profile| inventory.profiles[profile].label());
        profiles.add(profile.as_deref().unwrap_or("outside of all profiles"), bytes, 0);
        if let Some(unit) = unit {
            unit_bytes[unit] += bytes;
        }
    }
    for (unit, bytes) in units.iter().zip(&unit_bytes) {
        packages.add(if unit.package.is_empty() { "(unknown)" } else { &unit.package }, *bytes, 1);
        profiles.add(&inventory.profiles[unit.profile].label(), 0, 1);
    }
    Ok(DiskReport {
        total_bytes: sum.bytes,
        files: inventory.items.iter().map(|item| item.size.files).sum(),
        units: units.len(),
        kinds: kinds.sorted(),
        profiles: profiles.sorted(),
        packages: packages.sorted(),
        variants: variants(&inventory, &units, &unit_bytes),
        unrecognised: inventory.unrecognised,
        unreadable: inventory.unreadable,
        build_dir: dirs.build,
        target_dir: dirs.target,
    })
}

/// Bytes and units by name.
#[derive(Default)]
struct Shares(BTreeMap<String, (u64, usize)>);

impl Shares {
    fn add(&mut self, name: &str, bytes: u64, units: usize) {
        let share = self.0.entry(name.to_owned()).or_default();
        *share = (share.0 + bytes, share.1 + units);
    }

    fn sorted(self) -> Vec<Share> {
        let shares = self.0.into_iter().map(|(name, (bytes, units))| Share { name, bytes, units });
        let mut shares = shares.collect::<Vec<_>>();
        shares.sort_by(|a, b| (b.bytes, &a.name).cmp(&(a.bytes, &b.name)));
        shares
    }
}

fn variants(inventory: &Inventory, units: &[DiskUnit], bytes: &[u64]) -> Vec<Variants> {
    let toolchains = compilers(inventory, units);
    let mut groups = BTreeMap::<(&str, String), Vec<(usize, &Fingerprint)>>::new();
    for (at, unit) in units.iter().enumerate() {
        if let Some(fingerprint) = unit.fingerprint(inventory).filter(|_| !unit.package.is_empty()) {
            groups.entry((&unit.package, target(fingerprint))).or_default().push((at, fingerprint));
        }
    }
    let mut all = Vec::new();
    for ((package, target), group) in groups.into_iter().filter(|(_, group)| group.len() > 1) {
        let variant = |&(at, fingerprint): &(usize, &Fingerprint)| Variant {
            profile: inventory.profiles[units[at].profile].label(),
            id: format!("{:016x}", units[at].id),
            bytes: bytes[at],
            version: version(inventory, &units[at]),
            toolchain: toolchains.get(&fingerprint.rustc).cloned(),
            features: fingerprint.features.clone(),
            rustflags: fingerprint.rustflags.clone(),
            profile_settings: fingerprint.profile,
        };
        let mut variants = group.iter().map(variant).collect::<Vec<_>>();
        let differ_by = differences(&group, &variants);
        variants.sort_by(|a, b| (b.bytes, &a.id).cmp(&(a.bytes, &b.id)));
        all.push(Variants {
            package: package.to_owned(),
            target,
            bytes: variants.iter().map(|variant| variant.bytes).sum(),
            differ_by,
            variants,
        });
    }
    all.sort_by(|a, b| (b.bytes, &a.package, &a.target).cmp(&(a.bytes, &b.package, &b.target)));
    all
}

/// What is not the same in all copies.
fn differences(group: &[(usize, &Fingerprint)], variants: &[Variant]) -> Vec<&'static str> {
    fn vary<T: Ord>(values: impl Iterator<Item = T>) -> bool {
        values.collect::<BTreeSet<_>>().len() > 1
    }
    let differ = [
        ("features", vary(variants.iter().map(|variant| &variant.features))),
        ("flags", vary(variants.iter().map(|variant| &variant.rustflags))),
        ("toolchain", vary(group.iter().map(|(_, fingerprint)| fingerprint.rustc))),
        ("version", vary(variants.iter().filter_map(|variant| variant.version.as_ref()))),
        ("profile", vary(variants.iter().map(|variant| (&variant.profile, variant.profile_settings)))),
    ];
    let mut differ = differ.iter().filter(|(_, vary)| *vary).map(|(name, _)| *name).collect::<Vec<_>>();
    // What is left where two are the same in all of that.
    let told_apart = group.iter().zip(variants).map(|((_, fingerprint), variant)| {
        let Variant { profile, version, features, rustflags, profile_settings, .. } = variant;
        (features, rustflags, fingerprint.rustc, version, profile, profile_settings)
    });
    if told_apart.collect::<BTreeSet<_>>().len() < variants.len() {
        differ.push("dependencies");
    }
    differ
}

/// Which of its package's targets a unit is made of: `lib`, `bin app (test)`.
pub(crate) fn target(fingerprint: &Fingerprint) -> String {
    let what = fingerprint.kind.describe(&fingerprint.target);
    match (fingerprint.mode, fingerprint.test) {
        (Mode::RunBuildScript, _) => format!("{what} (run)"),
        (Mode::Doc, _) => format!("{what} (doc)"),
        (_, true) if !matches!(fingerprint.kind, TargetKind::IntegrationTest | TargetKind::Bench) => {
            format!("{what} (test)")
        }
        _ => what,
    }
}

/// The bytes of these items.
pub(crate) fn sum_of<'a, 'b>(
    inventory: &'a Inventory,
    items: impl IntoIterator<Item = &'b usize>,
) -> Sum<'a> {
    let mut sum = Sum::new(&inventory.links);
    for &item in items {
        sum.add(&inventory.items[item].size);
    }
    sum
}

/// A unit on disk.
#[derive(Debug, Clone)]
pub(crate) struct DiskUnit {
    /// Index into the inventory's profiles.
    pub(crate) profile: usize,
    pub(crate) layout: Layout,
    pub(crate) id: UnitId,
    /// Indexes into the inventory's items.
    pub(crate) items: Vec<usize>,
    /// Empty where only outputs are left.
    pub(crate) package: String,
    /// The item of its fingerprint's folder, where cargo's notes are understood.
    noted: Option<usize>,
    /// In milliseconds since 1970.
    pub(crate) built_ms: u64,
}

impl DiskUnit {
    /// What cargo noted of it.
    pub(crate) fn fingerprint<'a>(&self, inventory: &'a Inventory) -> Option<&'a Fingerprint> {
        inventory.items[self.noted?].fingerprint.as_deref()
    }

    /// The hashes of the units it was built from.
    pub(crate) fn dependencies(&self, inventory: &Inventory) -> Vec<u64> {
        let Some(item) = self.noted.map(|item| &inventory.items[item]) else { return Vec::new() };
        item.fingerprint.as_ref().map_or_else(Vec::new, |noted| noted.dependencies(&inventory.path(item)))
    }

    /// Its hash in the fingerprints of the units that depend on it.
    pub(crate) fn hash(&self, inventory: &Inventory) -> Option<u64> {
        self.fingerprint(inventory)?.hash(&inventory.path(&inventory.items[self.noted?]))
    }
}

/// All units of `inventory`.
pub(crate) fn units(inventory: &Inventory, jobs: usize) -> Vec<DiskUnit> {
    let items = inventory.items_of_units();
    let of = |index: usize| (inventory.items[index].profile, &inventory.items[index].owner);
    let units = items.chunk_by(|a, b| of(*a) == of(*b)).collect::<Vec<_>>();
    parallel(jobs, &units, |items| unit(inventory, items)).into_iter().flatten().collect()
}

/// The unit that these items are of.
fn unit(inventory: &Inventory, items: &[usize]) -> Option<DiskUnit> {
    let first = &inventory.items[*items.first()?];
    let (Some(profile), Owner::Unit { layout, id }) = (first.profile, &first.owner) else { return None };
    let (mut built, mut newest, mut noted) = (None, 0, None);
    for &index in items {
        let item = &inventory.items[index];
        if item.kind == ItemKind::Fingerprint && item.size.files == 0 {
            // A sweep that was killed has emptied it recently, so its time is not that of the unit.
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

/// The starts of those of a unit's files that have this extension.
fn starts(inventory: &Inventory, unit: &DiskUnit, extension: &str) -> impl Iterator<Item = String> {
    let items = unit.items.iter().map(|&index| &inventory.items[index]);
    let items = items.filter(move |item| Path::new(&item.name).extension().is_some_and(|it| it == extension));
    items.filter_map(|item| {
        let mut bytes = Vec::with_capacity(4096);
        File::open(inventory.path(item)).ok()?.take(4096).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// The version of a registry package, from the paths in a dep-info file of one of its units: the folder of its
/// sources is named `<package>-<version>`.
pub(crate) fn version(inventory: &Inventory, unit: &DiskUnit) -> Option<String> {
    starts(inventory, unit, "d").find_map(|text| version_in(&text, &unit.package))
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

/// The names of the compilers, by their hash in cargo's fingerprints, from the first bytes of a library of each: an
/// `rmeta` begins with the version of rustc.
pub(crate) fn compilers(inventory: &Inventory, units: &[DiskUnit]) -> BTreeMap<u64, String> {
    let mut names = BTreeMap::new();
    for unit in units {
        let Some(rustc) = unit.fingerprint(inventory).map(|noted| noted.rustc) else { continue };
        if names.contains_key(&rustc) {
            continue;
        }
        if let Some(name) = starts(inventory, unit, "rmeta").find_map(|text| compiler_in(&text)) {
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
