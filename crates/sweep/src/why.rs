//! Why a unit is stale: the first difference from what is needed, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use xtask_units::inventory::{Inventory, ProfileDir};
use xtask_units::{Fingerprint, Mode, TargetKind, Unit};
use xtask_workspace::Workspace;

use crate::disk::{DiskUnit, compilers, target, version};
use crate::live::Live;

/// What a unit is compared with.
pub(crate) struct Comparison<'a> {
    inventory: &'a Inventory,
    workspace: &'a Workspace,
    /// Of each profile, why nothing in its folder is needed, if nothing is.
    profiles: Vec<Option<String>>,
    /// The needed units of a package.
    live: BTreeMap<&'a str, Vec<&'a Unit>>,
    /// What cargo noted of the needed units on disk, by package.
    noted: BTreeMap<&'a str, Vec<&'a Fingerprint>>,
    /// The versions of every locked package.
    locked: BTreeMap<String, BTreeSet<String>>,
    /// The compilers of the needed units on disk.
    in_use: BTreeSet<u64>,
    compilers: BTreeMap<u64, String>,
}

impl<'a> Comparison<'a> {
    /// `is_live` of each of `units`.
    pub(crate) fn new(
        workspace: &'a Workspace,
        inventory: &'a Inventory,
        live: &'a Live,
        units: &'a [DiskUnit],
        is_live: &[bool],
    ) -> Self {
        let mut of_package = BTreeMap::<_, Vec<_>>::new();
        for unit in live.units.iter() {
            of_package.entry(unit.package.as_str()).or_default().push(unit);
        }
        let mut noted = BTreeMap::<_, Vec<_>>::new();
        for (unit, _) in units.iter().zip(is_live).filter(|(_, live)| **live) {
            if let Some(fingerprint) = unit.fingerprint(inventory) {
                noted.entry(unit.package.as_str()).or_default().push(fingerprint);
            }
        }
        let in_use = noted.values().flatten().map(|fingerprint| fingerprint.rustc).collect();
        Self {
            inventory,
            workspace,
            profiles: profiles(workspace, inventory, live),
            live: of_package,
            noted,
            locked: locked(workspace),
            in_use,
            compilers: compilers(inventory, units),
        }
    }

    /// Whether `unit` was made by a compiler that made none of the needed units on disk.
    pub(crate) fn may_be_of_other_toolchain(&self, unit: &DiskUnit) -> bool {
        unit.fingerprint(self.inventory).is_some_and(|noted| !self.in_use.contains(&noted.rustc))
    }

    /// Why `unit` is stale.
    pub(crate) fn why(&self, unit: &DiskUnit) -> String {
        if let Some(why) = &self.profiles[unit.profile] {
            return why.clone();
        }
        let Some(fingerprint) = unit.fingerprint(self.inventory) else {
            return "outputs of a unit that was removed or never finished".to_owned();
        };
        if !self.in_use.is_empty() && self.may_be_of_other_toolchain(unit) {
            return self.compilers.get(&fingerprint.rustc).map_or("another rustc", String::as_str).to_owned();
        }
        let package = unit.package.as_str();
        let local = self.workspace.facts.packages.iter().find(|local| local.name == package);
        let Some(local) = local else {
            let Some(versions) = self.locked.get(package) else {
                return format!("`{package}` left the lockfile");
            };
            // The same source file as that of a needed unit is the same version.
            let mut noted = self.noted.get(package).into_iter().flatten();
            if !noted.any(|noted| noted.path == fingerprint.path)
                && let Some(version) = version(self.inventory, unit)
                && !versions.contains(&version)
            {
                return format!("`{package}`: version {version} left the lockfile");
            }
            return self.difference(package, fingerprint);
        };
        let crate_name = |target: &str| target.replace('-', "_");
        let exists =
            local.targets.iter().any(|target| crate_name(&target.name) == crate_name(&fingerprint.target));
        if !exists && fingerprint.kind != TargetKind::BuildScript {
            return format!("`{package}` has no `{}` any more", target(fingerprint));
        }
        self.difference(package, fingerprint)
    }

    /// What differs from the needed units of its package.
    fn difference(&self, package: &str, fingerprint: &Fingerprint) -> String {
        let Some(live) = self.live.get(package) else { return format!("no tier needs `{package}`") };
        let on = live.iter().flat_map(|unit| &unit.features).collect::<BTreeSet<_>>();
        let off = fingerprint.features.iter().filter(|feature| !on.contains(feature)).collect::<Vec<_>>();
        if let [feature, ..] = off[..] {
            return format!("feature `{feature}` of `{package}` is on in no tier");
        }
        let same = |unit: &&&Unit| {
            unit.kind == fingerprint.kind
                && unit.target == fingerprint.target
                && unit.test == fingerprint.test
                && (unit.mode == fingerprint.mode
                    || (unit.mode, fingerprint.mode) == (Mode::Check, Mode::Build))
        };
        let alike = live.iter().filter(same).collect::<Vec<_>>();
        if alike.is_empty() {
            return format!("no tier makes `{}` of `{package}`", target(fingerprint));
        }
        let mut features = fingerprint.features.clone();
        features.sort();
        if !alike.iter().any(|unit| unit.features == features) {
            return "no tier has this set of features".to_owned();
        }
        // Another target of the package has settings of its own: tests are not built as libraries are.
        let same = |noted: &&&Fingerprint| {
            (noted.kind, noted.mode, noted.test) == (fingerprint.kind, fingerprint.mode, fingerprint.test)
                && noted.target == fingerprint.target
        };
        let noted = self.noted.get(package).into_iter().flatten().filter(same).collect::<Vec<_>>();
        if noted.is_empty() {
            return "no tier builds it this way".to_owned();
        }
        if !noted.iter().any(|noted| noted.rustflags == fingerprint.rustflags) {
            return match &fingerprint.rustflags[..] {
                [] => "built without the RUSTFLAGS of now".to_owned(),
                flags => format!("RUSTFLAGS `{}` are not set any more", flags.join(" ")),
            };
        }
        if !noted.iter().any(|noted| noted.profile == fingerprint.profile) {
            return "the settings of its profile have changed".to_owned();
        }
        "built against other versions or features of what it depends on".to_owned()
    }
}

fn profiles(workspace: &Workspace, inventory: &Inventory, live: &Live) -> Vec<Option<String>> {
    let label = |unit: &Unit| {
        let profile = unit.profile_path();
        profile.strip_prefix(&workspace.facts.build_dir).unwrap_or(profile).to_string()
    };
    let labels = live.units.iter().map(label).collect::<BTreeSet<_>>();
    let why = |profile: &ProfileDir| {
        if live.places.contains_key(&profile.path) {
            return None;
        }
        Some(match &profile.triple {
            _ if labels.contains(&profile.label()) => "cargo's build dir is elsewhere now".to_owned(),
            Some(triple) => format!("nothing builds profile `{}` for {triple}", profile.name),
            None => format!("profile `{}` has no live unit", profile.name),
        })
    };
    inventory.profiles.iter().map(why).collect()
}

/// Names and versions in the lock file; none where it cannot be read. Cargo writes the name of a package before its
/// version, each on a line of its own.
fn locked(workspace: &Workspace) -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(workspace.root().join("Cargo.lock")).unwrap_or_default();
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.strip_suffix('"')?.to_owned());
    let mut locked = BTreeMap::<_, BTreeSet<_>>::new();
    for (name, version) in text.lines().zip(text.lines().skip(1)) {
        if let (Some(name), Some(version)) = (value(name, "name = \""), value(version, "version = \"")) {
            locked.entry(name).or_default().insert(version);
        }
    }
    locked
}
