//! What goes beyond the stale where more is left than `max-size` allows: the needed units that are the cheapest to
//! build again per byte.
//!
//! Removing a unit makes cargo compile everything that depends on it too, so its price is the time of all of these that
//! would not be compiled anyway.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use xtask_units::inventory::{Inventory, OutputName, Owner, Sum};
use xtask_units::{Times, Unit};

use crate::decide::{Decision, Question, Stale};
use crate::disk::{DiskUnit, sum_of};
use crate::live::Live;

/// What keeping to `max-size` costs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The limit, in bytes.
    pub max_size: u64,
    /// Bytes that are left.
    pub left_bytes: u64,
    /// Needed units that go.
    pub units: usize,
    /// Needed units that will be compiled again, including those.
    pub recompiled_units: usize,
    /// How long that takes, in milliseconds of one core. Units that were never timed count as the median.
    pub recorded_ms: u64,
}

/// A needed unit on disk that may go.
struct Candidate {
    /// Index into the decision's units.
    disk: usize,
    /// The needed units that have to be compiled again without it.
    rebuilt: BTreeSet<usize>,
    bytes: u64,
    items: BTreeSet<usize>,
}

/// The limit, and what the needed units cost.
pub(crate) struct Limit<'a> {
    max_size: u64,
    inventory: &'a Inventory,
    live: &'a Live,
    times: Times,
    /// By each needed unit, those that depend on it directly.
    dependents: Vec<Vec<usize>>,
}

impl<'a> Limit<'a> {
    pub(crate) fn new(max_size: u64, inventory: &'a Inventory, live: &'a Live, times: Times) -> Self {
        let index = live.units.iter().enumerate().map(|(at, unit)| (unit.id.as_str(), at));
        let index = index.collect::<HashMap<_, _>>();
        let mut dependents = vec![Vec::new(); live.units.len()];
        for (at, unit) in live.units.iter().enumerate() {
            for &dependency in unit.dependencies.iter().filter_map(|id| index.get(id.as_str())) {
                dependents[dependency].push(at);
            }
        }
        Self { max_size, inventory, live, times, dependents }
    }

    /// Adds to `decision` what has to go.
    pub(crate) fn keep(&self, question: &Question<'_>, decision: &mut Decision) -> Cost {
        let total = self.inventory.total_bytes();
        let mut gone = decision.stale.iter().map(|stale| stale.item).collect::<BTreeSet<_>>();
        let mut freed = sum_of(self.inventory, &gone);
        let mut rebuilt = BTreeSet::new();
        let mut units = 0;
        let is_over = |freed: &Sum<'_>| total.saturating_sub(freed.freed) > self.max_size;
        let mut open = if is_over(&freed) { self.candidates(question, decision, &gone) } else { Vec::new() };
        while is_over(&freed) && !open.is_empty() {
            // Prices fall as dependents go, so each round looks at all of them: some hundred units, some hundred rounds.
            let per_byte = |candidate: &Candidate| {
                let ms = candidate.rebuilt.difference(&rebuilt).map(|&unit| self.price(unit)).sum::<u64>();
                ms as f64 / candidate.bytes as f64
            };
            let prices = open.iter().map(per_byte).enumerate();
            let Some((cheapest, _)) = prices.min_by(|a, b| a.1.total_cmp(&b.1)) else { break };
            let candidate = open.swap_remove(cheapest);
            rebuilt.extend(&candidate.rebuilt);
            units += 1;
            let reason = decision.reason("needed, but more is there than `max-size` allows");
            // Two units that differ only in their flags share an incremental folder.
            for &item in candidate.items.iter().filter(|item| gone.insert(**item)) {
                freed.add(&self.inventory.items[item].size);
                decision.stale.push(Stale { item, reason });
            }
            decision.stale_units.insert(candidate.disk, reason);
        }
        Cost {
            max_size: self.max_size,
            left_bytes: total.saturating_sub(freed.freed),
            units,
            recompiled_units: rebuilt.len(),
            recorded_ms: rebuilt.iter().map(|&unit| self.price(unit)).sum(),
        }
    }

    /// The milliseconds that a needed unit took, or the median of all that are known.
    fn price(&self, unit: usize) -> u64 {
        let known = self.live.units.get(unit).and_then(|unit| self.times.of(unit));
        known.or_else(|| self.times.median()).unwrap_or(1000)
    }

    /// The needed units on disk that may go, with everything that is of no use without them.
    fn candidates(
        &self,
        question: &Question<'_>,
        decision: &Decision,
        gone: &BTreeSet<usize>,
    ) -> Vec<Candidate> {
        let inventory = self.inventory;
        let stays = |item: usize| !inventory.items[item].left_alone && !gone.contains(&item);
        let mut by_link = HashMap::<u32, Vec<usize>>::new();
        let mut by_folder = BTreeMap::<(usize, &str), Vec<usize>>::new();
        for (index, item) in inventory.items.iter().enumerate().filter(|(index, _)| stays(*index)) {
            match (&item.owner, item.profile) {
                (Owner::Uplifted, _) => {
                    item.size.links.iter().for_each(|link| by_link.entry(*link).or_default().push(index));
                }
                (Owner::Incremental { folder }, Some(profile)) => {
                    by_folder.entry((profile, folder)).or_default().push(index);
                }
                _ => {}
            }
        }
        let on_disk = self.live.on_disk(inventory);
        let candidate = |(disk, unit): (usize, &DiskUnit)| {
            let at = on_disk(unit).filter(|_| !question.protected[unit.profile])?;
            let needed: &Unit = self.live.units.get(at)?;
            let mut items = unit.items.iter().copied().filter(|&item| stays(item)).collect::<BTreeSet<_>>();
            let links = items.iter().flat_map(|&item| &inventory.items[item].size.links);
            let is_artifact = |item: &usize| {
                let name = inventory.items[*item].name.to_str().and_then(OutputName::parse);
                let made = || items.iter().filter_map(|&item| inventory.items[item].name.to_str());
                let made = || made().filter_map(OutputName::parse);
                name.is_some_and(|name| made().any(|made| name.is_uplifted_from(&made, &needed.target)))
            };
            let uplifted = links.filter_map(|link| by_link.get(link)).flatten().copied().filter(is_artifact);
            let folder = needed.incremental.as_ref().and_then(|wanted| question.names?.get(wanted));
            let sessions = folder.and_then(|folder| by_folder.get(&(unit.profile, folder.as_str())));
            let beside = uplifted.chain(sessions.into_iter().flatten().copied()).collect::<Vec<_>>();
            items.extend(beside);
            let bytes = sum_of(inventory, &items).freed;
            Some(Candidate { disk, rebuilt: self.rebuilt(at), bytes, items })
        };
        let candidates = decision.units.iter().enumerate().filter_map(candidate);
        candidates.filter(|candidate| candidate.bytes > 0).collect()
    }

    /// `unit` and all that have to be compiled after it.
    fn rebuilt(&self, unit: usize) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut open = vec![unit];
        while let Some(unit) = open.pop() {
            if all.insert(unit) {
                open.extend(&self.dependents[unit]);
            }
        }
        all
    }
}
