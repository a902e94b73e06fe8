//! Why a unit is stale, in words a person understands: the first difference from what is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use xtask_units::inventory::{Inventory, ProfileDir};
use xtask_units::{Fingerprint, Mode, TargetKind, Unit};
use xtask_workspace::Workspace;

use crate::disk_units::{DiskUnit, compilers, version};
use crate::live::{Live, label};

/// What a unit is compared with.
pub(crate) struct Comparison<'a> {
    inventory: &'a Inventory,
    workspace: &'a Workspace,
    /// Of each profile, why nothing in its folder is needed, if so.
    profiles: Vec<Option<String>>,
    /// The needed units of a package.
    live: BTreeMap<&'a str, Vec<&'a Unit>>,
    /// What cargo noted of the needed units that lie on disk, by package.
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

    /// Whether `unit` was made by a compiler that made nothing of what is needed and lies on disk.
    pub(crate) fn may_be_of_other_toolchain(&self, unit: &DiskUnit) -> bool {
        unit.fingerprint(self.inventory).is_some_and(|noted| !self.in_use.contains(&noted.rustc))
    }

    /// The same where it is known which compiler makes what is needed.
    fn is_of_other_toolchain(&self, unit: &DiskUnit) -> bool {
        !self.in_use.is_empty() && self.may_be_of_other_toolchain(unit)
    }

    /// Why `unit` is stale.
    pub(crate) fn why(&self, unit: &DiskUnit) -> String {
        if let Some(why) = &self.profiles[unit.profile] {
            return why.clone();
        }
        let Some(fingerprint) = unit.fingerprint(self.inventory) else {
            return "outputs of a unit that was removed or never finished".to_owned();
        };
        if self.is_of_other_toolchain(unit) {
            let other = || "another rustc".to_owned();
            return self.compilers.get(&fingerprint.rustc).cloned().unwrap_or_else(other);
        }
        let package = unit.package.as_str();
        let local = self.workspace.facts.packages.iter().find(|local| local.name == package);
        if local.is_none() {
            match self.locked.get(package) {
                None => return format!("`{package}` left the lockfile"),
                Some(versions) => {
                    // The same source file as that of a needed unit is the same version.
                    let noted = self.noted.get(package).map_or(&[][..], |noted| noted);
                    let known = noted.iter().any(|noted| noted.path == fingerprint.path);
                    let version = if known { None } else { version(self.inventory, unit) };
                    if let Some(version) = version.filter(|version| !versions.contains(version)) {
                        return format!("`{package}`: version {version} left the lockfile");
                    }
                }
            }
        }
        if let Some(local) = local.filter(|_| fingerprint.kind != TargetKind::BuildScript) {
            let is_it = |target: &&xtask_workspace::TargetFacts| {
                target.name.replace('-', "_") == fingerprint.target.replace('-', "_")
            };
            if !local.targets.iter().any(|target| is_it(&target)) {
                return format!("`{package}` has no {} any more", target(fingerprint));
            }
        }
        self.difference(package, fingerprint)
    }

    /// What tells it from the needed units of its package.
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
            return format!("no tier makes the {} of `{package}`", target(fingerprint));
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

/// Of each profile, why nothing in its folder is needed, if so.
fn profiles(workspace: &Workspace, inventory: &Inventory, live: &Live) -> Vec<Option<String>> {
    let labels = live.units.iter().map(|unit| label(workspace, unit)).collect::<BTreeSet<_>>();
    let why = |profile: &ProfileDir| {
        if live.places.contains_key(&profile.path) {
            return None;
        }
        Some(match &profile.triple {
            _ if labels.contains(&profile.label()) => "cargo's build dir lies elsewhere now".to_owned(),
            Some(triple) => format!("nothing builds profile `{}` for {triple}", profile.name),
            None => format!("profile `{}` has no live unit", profile.name),
        })
    };
    inventory.profiles.iter().map(why).collect()
}

/// A target as people name it: `test it`, `library`.
fn target(fingerprint: &Fingerprint) -> String {
    let name = &fingerprint.target;
    let what = match fingerprint.kind {
        TargetKind::Lib => "library".to_owned(),
        TargetKind::Bin => format!("binary `{name}`"),
        TargetKind::Example => format!("example `{name}`"),
        TargetKind::IntegrationTest => format!("test `{name}`"),
        TargetKind::Bench => format!("benchmark `{name}`"),
        TargetKind::BuildScript => "build script".to_owned(),
    };
    match (fingerprint.mode, fingerprint.test) {
        (Mode::Doc, _) => format!("documentation of the {what}"),
        (_, true) if matches!(fingerprint.kind, TargetKind::Lib | TargetKind::Bin | TargetKind::Example) => {
            format!("tests of the {what}")
        }
        _ => what,
    }
}

/// Names and versions in the lock file; none where it cannot be read.
fn locked(workspace: &Workspace) -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(workspace.root().join("Cargo.lock")).unwrap_or_default();
    let mut locked = BTreeMap::<_, BTreeSet<_>>::new();
    let mut name = None;
    // Cargo writes the name of a package before its version, each on a line of its own.
    for line in text.lines() {
        let value =
            |key: &str| Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned());
        if let Some(found) = value("name") {
            name = Some(found);
        } else if let (Some(version), Some(name)) = (value("version"), name.take()) {
            locked.entry(name).or_default().insert(version);
        }
    }
    locked
}
