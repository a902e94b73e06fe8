//! Where the space is: by kind, by profile, by package, and how often the same crate lies there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_units::inventory::{Inventory, NotRead, Sum};
use xtask_units::{Fingerprint, Mode};
use xtask_workspace::Workspace;

use crate::disk_units::{DiskUnit, compilers, units, version};
use crate::guard::Dirs;

/// A part of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Of what.
    pub name: String,
    /// Bytes on the disk.
    pub bytes: u64,
    /// How many units lie there.
    pub units: usize,
}

/// One crate that lies there several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variants {
    /// The package.
    pub package: String,
    /// Which of its targets: `lib`, `bin app`, `lib (test)`.
    pub target: String,
    /// Bytes of all of them.
    pub bytes: u64,
    /// What tells them apart: `features`, `flags`, `toolchain`, `version`, `profile`, `dependencies`.
    pub differ_by: Vec<&'static str>,
    /// Each, the largest first.
    pub variants: Vec<Variant>,
}

/// One of the several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Variant {
    /// The label of the profile's folder: `debug`, `wasm32-unknown-unknown/release`.
    pub profile: String,
    /// The unit id, as file names have it.
    pub id: String,
    /// Its bytes.
    pub bytes: u64,
    /// The version, where its dep-info tells it.
    pub version: Option<String>,
    /// The compiler, where one of its libraries tells it.
    pub toolchain: Option<String>,
    /// The features that were on.
    pub features: Vec<String>,
    /// The flags it was compiled with.
    pub rustflags: Vec<String>,
    /// Stands for the settings of the profile: other settings, another number.
    pub profile_settings: u64,
}

/// Where the space is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskReport {
    /// Where intermediate artifacts lie.
    pub build_dir: Utf8PathBuf,
    /// Where final artifacts lie.
    pub target_dir: Utf8PathBuf,
    /// Bytes on the disk, each file once.
    pub total_bytes: u64,
    /// Files.
    pub files: u64,
    /// Units.
    pub units: usize,
    /// By kind, the largest first.
    pub kinds: Vec<Share>,
    /// By profile.
    pub profiles: Vec<Share>,
    /// By package.
    pub packages: Vec<Share>,
    /// Crates that lie there more than once, those that take the most first.
    pub variants: Vec<Variants>,
    /// Folders whose layout is not known here.
    pub unrecognised: Vec<NotRead>,
    /// What could not be read, and is in no figure.
    pub unreadable: Vec<NotRead>,
}

/// Looks, with `jobs` threads. It takes no lock: what a cargo writes meanwhile may be missing.
pub fn disk(workspace: &Workspace, jobs: usize) -> Result<DiskReport> {
    let dirs = Dirs::of(workspace)?;
    let inventory = Inventory::read(&dirs.build, &dirs.target, jobs);
    let units = units(&inventory, jobs);
    let mut sum = Sum::new(&inventory.links);
    let (mut kinds, mut profiles) = (Shares::default(), Shares::default());
    // The items of units first: a file that a final artifact shares with a unit's output counts as that.
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
        if let Some(share) = self.0.get_mut(name) {
            share.0 += bytes;
            share.1 += units;
        } else {
            self.0.insert(name.to_owned(), (bytes, units));
        }
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

/// What is not the same in all of them.
fn differences(group: &[(usize, &Fingerprint)], variants: &[Variant]) -> Vec<&'static str> {
    fn vary<T: Ord>(values: impl Iterator<Item = T>) -> bool {
        values.collect::<BTreeSet<_>>().len() > 1
    }
    let mut differ = Vec::new();
    let mut note = |name, varies: bool| {
        if varies {
            differ.push(name);
        }
    };
    note("features", vary(variants.iter().map(|variant| &variant.features)));
    note("flags", vary(variants.iter().map(|variant| &variant.rustflags)));
    note("toolchain", vary(group.iter().map(|(_, fingerprint)| fingerprint.rustc)));
    note("version", vary(variants.iter().filter_map(|variant| variant.version.as_ref())));
    note("profile", vary(variants.iter().map(|variant| (&variant.profile, variant.profile_settings))));
    // What is left where two are alike in all of that.
    let told_apart = group.iter().zip(variants).map(|((_, fingerprint), variant)| {
        let Variant { profile, version, features, rustflags, profile_settings, .. } = variant;
        (features, rustflags, fingerprint.rustc, version, profile, profile_settings)
    });
    if told_apart.collect::<BTreeSet<_>>().len() < variants.len() {
        differ.push("dependencies");
    }
    differ
}

fn target(fingerprint: &Fingerprint) -> String {
    let what = fingerprint.kind.describe(&fingerprint.target);
    match (fingerprint.mode, fingerprint.test) {
        (Mode::RunBuildScript, _) => format!("{what} (run)"),
        (Mode::Doc, _) => format!("{what} (doc)"),
        (_, true) => format!("{what} (test)"),
        _ => what,
    }
}
