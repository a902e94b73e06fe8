//! What is stale: set arithmetic over the inventory and the shadow plans. Reads a few files, changes nothing.

mod beside;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use camino::Utf8PathBuf;
use xtask_units::inventory::{Inventory, Item, ItemKind, Owner};
use xtask_units::parallel;
use xtask_workspace::Workspace;
use xtask_workspace::config::{OtherToolchains, Sweep};

use crate::known::{DiskUnit, units};
use crate::live::Live;
use crate::plan::Skipped;
use crate::why::Comparison;

/// An item that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stale {
    /// Index into the inventory's items.
    pub(crate) item: usize,
    /// Index into [`Reasons::all`].
    pub(crate) reason: usize,
}

/// What goes and what stays.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) stale: Vec<Stale>,
    pub(crate) reasons: Reasons,
    pub(crate) units: Vec<DiskUnit>,
    /// The reason of each unit that goes.
    pub(crate) stale_units: BTreeMap<usize, usize>,
    /// The units that only the grace time keeps.
    pub(crate) recent: Vec<usize>,
    /// What could not be told.
    pub(crate) skipped: Vec<Skipped>,
}

/// What a decision is made from.
pub(crate) struct Question<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) inventory: &'a Inventory,
    pub(crate) live: &'a Live,
    pub(crate) policy: &'a Sweep,
    /// Of each profile, whether it is left alone as a whole.
    pub(crate) protected: &'a [bool],
    /// Whether a cargo is at work: what lies outside of all profiles is guarded by no lock.
    pub(crate) busy: bool,
    pub(crate) now_ms: u64,
    pub(crate) jobs: usize,
}

impl Question<'_> {
    /// Decides.
    pub(crate) fn decide(&self) -> Decision {
        let mut decision = Decision { units: units(self.inventory), ..Decision::default() };
        self.units(&mut decision);
        self.uplifted(&mut decision);
        self.crates_without_id(&mut decision);
        self.incremental(&mut decision);
        self.dwo(&mut decision);
        self.others(&mut decision);
        decision.stale.sort_by_key(|stale| stale.item);
        decision.stale.dedup_by_key(|stale| stale.item);
        decision
    }

    fn label(&self, profile: usize) -> String {
        self.inventory.profiles[profile].label()
    }

    fn is_protected(&self, profile: usize) -> bool {
        self.protected[profile]
    }

    fn is_recent(&self, modified_ms: u64) -> bool {
        self.is_younger(modified_ms, Some(self.policy.grace))
    }

    /// Whether something is not as old as `age`; no age means that nothing ever is.
    fn is_younger(&self, modified_ms: u64, age: Option<Duration>) -> bool {
        let Some(age) = age else { return true };
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        age_ms > 0 && self.now_ms.saturating_sub(modified_ms) < age_ms
    }

    fn units(&self, decision: &mut Decision) {
        let units = &decision.units;
        let profiles = self.inventory.profiles.iter();
        let of_profile = profiles.map(|profile| self.live.places.get(&profile.label())).collect::<Vec<_>>();
        let is_live = |unit: &DiskUnit| {
            of_profile[unit.profile].is_some_and(|units| units.contains_key(&(unit.layout, unit.id)))
        };
        let is_live = units.iter().map(is_live).collect::<Vec<_>>();
        let mut candidates = (0..units.len())
            .filter(|&index| {
                !is_live[index] && !self.is_protected(units[index].profile) && self.is_whole(&units[index])
            })
            .collect::<Vec<_>>();
        if candidates.is_empty() {
            return;
        }
        let recent = self.recent(units, &is_live);
        decision.recent = candidates.iter().copied().filter(|index| recent.contains(index)).collect();
        candidates.retain(|index| !recent.contains(index));
        let comparison = Comparison::new(self.workspace, self.inventory, self.live, units, &is_live);
        let keep_others = self.policy.other_toolchains == OtherToolchains::Keep;
        candidates.retain(|&index| !(keep_others && comparison.other_toolchain(&units[index])));
        let why = candidates.iter().map(|&index| comparison.why(&units[index])).collect::<Vec<_>>();
        for (index, why) in candidates.into_iter().zip(why) {
            let reason = decision.reason(&why);
            decision.stale_units.insert(index, reason);
            let items = decision.units[index].items.iter();
            decision.stale.extend(items.map(|&item| Stale { item, reason }));
        }
    }

    /// Of a unit that cannot be read to its end nothing is removed, or its fingerprint might outlive its outputs.
    fn is_whole(&self, unit: &DiskUnit) -> bool {
        !unit.items.iter().any(|&item| self.inventory.items[item].left_alone)
    }

    /// The units that were built within the grace time, and what they were built from.
    fn recent(&self, units: &[DiskUnit], is_live: &[bool]) -> HashSet<usize> {
        let mut open = (0..units.len())
            .filter(|&index| !is_live[index] && self.is_recent(units[index].built_ms))
            .collect::<Vec<_>>();
        let mut by_hash = HashMap::<u64, Vec<usize>>::new();
        if !open.is_empty() {
            let hashes = parallel(self.jobs, units, |unit| unit.hash(self.inventory));
            for (index, hash) in hashes.into_iter().enumerate() {
                by_hash.entry(hash.unwrap_or_default()).or_default().push(index);
            }
        }
        let mut recent = HashSet::new();
        while let Some(index) = open.pop() {
            if recent.insert(index) {
                let dependencies = units[index].dependencies(self.inventory);
                open.extend(dependencies.iter().filter_map(|hash| by_hash.get(hash)).flatten());
            }
        }
        recent
    }

    /// Final artifacts share their file with a unit's output, mostly.
    fn uplifted(&self, decision: &mut Decision) {
        let mut fate = HashMap::<u32, Option<usize>>::new();
        for (index, unit) in decision.units.iter().enumerate() {
            let reason = decision.stale_units.get(&index).copied();
            for &item in &unit.items {
                for &link in &self.inventory.items[item].size.links {
                    // One needed unit is enough to keep it.
                    let fate = fate.entry(link).or_insert(reason);
                    *fate = fate.and(reason);
                }
            }
        }
        let mut gone = HashMap::<PathBuf, usize>::new();
        let mut dep_infos = Vec::new();
        for (index, item) in self.of(&Owner::Uplifted) {
            let path = self.inventory.path(item);
            let is_live = self.is_live_file(item);
            if path.extension().is_some_and(|extension| extension == "d") {
                if !is_live {
                    dep_infos.push((index, path));
                }
                continue;
            }
            let reason = match item.size.links.first().and_then(|link| fate.get(link)) {
                // Of a needed name too: cargo links it to the needed unit at the next build, and compiles nothing.
                Some(fate) => *fate,
                None if is_live => None,
                None if self.is_recent(item.modified_ms) || !names_it(&path) => None,
                None => Some(decision.reason("a final artifact that nothing makes any more")),
            };
            if let Some(reason) = reason {
                decision.stale.push(Stale { item: index, reason });
                if !is_live {
                    gone.insert(path.with_extension("d"), reason);
                }
            }
        }
        for (index, path) in dep_infos {
            let reason = gone.get(&path).copied();
            // What it describes may be gone already; a needed one is among the needed files.
            let orphan = || {
                let described =
                    [path.with_extension(""), path.with_extension("rlib"), path.with_extension("so")];
                let item = &self.inventory.items[index];
                !described.iter().any(|path| path.exists())
                    && describes_own_folder(&path)
                    && !self.is_recent(item.modified_ms)
            };
            let reason =
                reason.or_else(|| orphan().then(|| decision.reason("describes an artifact that is gone")));
            decision.stale.extend(reason.map(|reason| Stale { item: index, reason }));
        }
    }

    /// Files of the compiler's that carry no unit id.
    fn crates_without_id(&self, decision: &mut Decision) {
        for (index, item) in self.of(&Owner::Crate) {
            if !self.is_live_file(item) && !self.is_part_of_live(item) && !self.is_recent(item.modified_ms) {
                let reason = decision.reason("no needed unit writes this file");
                decision.stale.push(Stale { item: index, reason });
            }
        }
    }

    /// `lib.<codegen unit>.rcgu.dwo` beside a needed `lib.d`.
    fn is_part_of_live(&self, item: &Item) -> bool {
        let Some((stem, _)) = item.name.to_str().and_then(|name| name.split_once('.')) else { return true };
        item.kind == ItemKind::Dwo
            && Utf8PathBuf::from_path_buf(self.inventory.folders[item.folder].join(format!("{stem}.d")))
                .is_ok_and(|path| self.live.files.contains(&path))
    }

    fn is_live_file(&self, item: &Item) -> bool {
        Utf8PathBuf::from_path_buf(self.inventory.path(item))
            .is_ok_and(|path| self.live.files.contains(&path))
    }

    /// The items of this owner in profiles that are not left alone.
    fn of<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = (usize, &'a Item)> {
        let items = self.inventory.items.iter().enumerate();
        items.filter(move |(_, item)| {
            item.owner == *owner
                && !item.left_alone
                && item.profile.is_some_and(|profile| !self.is_protected(profile))
        })
    }
}

/// Reasons, each once.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    /// In the order in which they came up.
    pub(crate) all: Vec<String>,
    index: HashMap<String, usize>,
}

impl Decision {
    /// The index of `why`.
    pub(crate) fn reason(&mut self, why: &str) -> usize {
        let Reasons { all, index } = &mut self.reasons;
        if let Some(known) = index.get(why) {
            return *known;
        }
        all.push(why.to_owned());
        index.insert(why.to_owned(), all.len() - 1);
        all.len() - 1
    }
}

/// Whether cargo's dep-info beside an artifact says that it is one.
fn names_it(artifact: &Path) -> bool {
    let text = fs::read_to_string(artifact.with_extension("d")).unwrap_or_default();
    let escaped = artifact.to_string_lossy().replace(' ', "\\ ");
    text.lines().any(|line| line.strip_prefix(&*escaped).is_some_and(|rest| rest.starts_with(':')))
}

/// Whether a dep-info file is cargo's about something in its own folder.
fn describes_own_folder(dep_info: &Path) -> bool {
    let text = fs::read_to_string(dep_info).unwrap_or_default();
    let stem = dep_info.with_extension("");
    text.starts_with(&*stem.to_string_lossy().replace(' ', "\\ "))
}
