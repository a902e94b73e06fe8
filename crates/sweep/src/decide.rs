//! What is stale: set arithmetic over the inventory and the shadow plans. Reads a few files, changes nothing.

mod beside;
mod unnamed;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use xtask_units::inventory::{Inventory, Item, Owner};
use xtask_units::parallel;
use xtask_workspace::Workspace;
use xtask_workspace::config::{OtherToolchains, Sweep};

use crate::disk_units::{DiskUnit, PIECE, units};
use crate::live::Live;
use crate::plan::Skipped;
use crate::why::Comparison;

pub(crate) use unnamed::goes_last;

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
        let mut decision = Decision { units: units(self.inventory, self.jobs), ..Decision::default() };
        let needed = self.live.on_disk(self.inventory);
        let is_live = decision.units.iter().map(|unit| needed(unit).is_some()).collect::<Vec<_>>();
        self.units(&is_live, &mut decision);
        let kept = self.kept_crates(&decision, &is_live);
        self.uplifted(&kept, &mut decision);
        self.crates_without_id(&kept, &mut decision);
        self.incremental(&kept, &mut decision);
        self.parts(&mut decision);
        self.others(&mut decision);
        decision.stale.sort_by_key(|stale| stale.item);
        decision.stale.dedup_by_key(|stale| stale.item);
        decision
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

    fn units(&self, is_live: &[bool], decision: &mut Decision) {
        let units = &decision.units;
        let mut candidates = (0..units.len())
            .filter(|&index| {
                !is_live[index] && !self.is_protected(units[index].profile) && self.is_whole(&units[index])
            })
            .collect::<Vec<_>>();
        if candidates.is_empty() {
            return;
        }
        let recent = self.recent(units, is_live);
        decision.recent = candidates.iter().copied().filter(|index| recent.contains(index)).collect();
        candidates.retain(|index| !recent.contains(index));
        let comparison = Comparison::new(self.workspace, self.inventory, self.live, units, is_live);
        let keep_others = self.policy.other_toolchains == OtherToolchains::Keep;
        candidates.retain(|&index| !(keep_others && comparison.may_be_of_other_toolchain(&units[index])));
        let pieces = candidates.chunks(PIECE).collect::<Vec<_>>();
        let why = parallel(self.jobs, &pieces, |piece| {
            piece.iter().map(|&index| comparison.why(&units[index])).collect::<Vec<_>>()
        });
        let why = why.into_iter().flatten().collect::<Vec<_>>();
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
