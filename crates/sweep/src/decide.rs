//! What is stale: set arithmetic over the inventory and the shadow plans. Reads a few files, changes nothing.

pub(crate) mod incremental;
mod not_units;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use xtask_units::inventory::{Inventory, Item, Owner};
use xtask_units::parallel;
use xtask_workspace::Workspace;
use xtask_workspace::config::{OtherToolchains, Sweep};

use crate::disk::{DiskUnit, units};
use crate::live::{Elsewhere, Live};
use crate::why::Comparison;

pub(crate) use not_units::goes_last;

/// An item that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stale {
    /// Index into the inventory's items.
    pub(crate) item: usize,
    /// Index into [`Decision::reasons`].
    pub(crate) reason: usize,
}

/// What goes and what stays.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) stale: Vec<Stale>,
    /// Each reason once.
    pub(crate) reasons: Vec<String>,
    /// By reason, how long it takes to compile again what is needed elsewhere.
    pub(crate) compile_ms: BTreeMap<String, u64>,
    pub(crate) units: Vec<DiskUnit>,
    /// The reason of each unit that goes.
    pub(crate) stale_units: BTreeMap<usize, usize>,
    /// The units that only the grace time keeps.
    pub(crate) recent: Vec<usize>,
}

/// What a decision is made from.
pub(crate) struct Question<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) inventory: &'a Inventory,
    pub(crate) live: &'a Live,
    pub(crate) elsewhere: &'a Elsewhere,
    pub(crate) names: Option<&'a incremental::Names>,
    pub(crate) policy: &'a Sweep,
    /// Of each profile, whether it is left alone as a whole.
    pub(crate) protected: &'a [bool],
    /// Whether a cargo is running: what is outside of all profiles is guarded by no lock.
    pub(crate) busy: bool,
    pub(crate) now_ms: u64,
    pub(crate) jobs: usize,
}

impl Question<'_> {
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

    fn is_recent(&self, modified_ms: u64) -> bool {
        self.is_younger(modified_ms, Some(self.policy.grace))
    }

    /// Whether something is younger than `age`; without an age everything is.
    fn is_younger(&self, modified_ms: u64, age: Option<Duration>) -> bool {
        let Some(age) = age else { return true };
        u128::from(self.now_ms.saturating_sub(modified_ms)) < age.as_millis()
    }

    fn units(&self, is_live: &[bool], decision: &mut Decision) {
        let units = &decision.units;
        let recent = self.recent(units, is_live);
        let (recent, mut candidates) = (0..units.len())
            .filter(|&index| {
                // Of a unit that cannot be read completely nothing is removed, or its fingerprint might outlive its
                // outputs.
                let is_whole = self.removable(&units[index].items).count() == units[index].items.len();
                !is_live[index] && !self.protected[units[index].profile] && is_whole
            })
            .partition::<Vec<_>, _>(|index| recent.contains(index));
        if candidates.is_empty() {
            decision.recent = recent;
            return;
        }
        let comparison = Comparison::new(self.workspace, self.inventory, self.live, units, is_live);
        let keep_others = self.policy.other_toolchains == OtherToolchains::Keep;
        candidates.retain(|&index| !(keep_others && comparison.may_be_of_other_toolchain(&units[index])));
        let why = parallel(self.jobs, &candidates, |&index| {
            let elsewhere = self.elsewhere.need(self.inventory, &units[index]);
            elsewhere.map_or_else(|| (comparison.why(&units[index]), None), |(why, ms)| (why.to_owned(), ms))
        });
        decision.recent = recent;
        for (index, (why, ms)) in candidates.into_iter().zip(why) {
            if let Some(ms) = ms {
                *decision.compile_ms.entry(why.clone()).or_default() += ms;
            }
            let reason = decision.reason(&why);
            decision.stale_units.insert(index, reason);
            let items = decision.units[index].items.iter();
            decision.stale.extend(items.map(|&item| Stale { item, reason }));
        }
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
                && item.profile.is_some_and(|profile| !self.protected[profile])
        })
    }

    fn removable<'a>(&'a self, items: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        items.iter().copied().filter(|&item| !self.inventory.items[item].left_alone)
    }
}

impl Decision {
    /// The index of `why`.
    pub(crate) fn reason(&mut self, why: &str) -> usize {
        self.reasons.iter().position(|reason| reason == why).unwrap_or_else(|| {
            self.reasons.push(why.to_owned());
            self.reasons.len() - 1
        })
    }

    fn remove(&mut self, items: impl IntoIterator<Item = usize>, why: &str) {
        let reason = self.reason(why);
        self.stale.extend(items.into_iter().map(|item| Stale { item, reason }));
    }
}
