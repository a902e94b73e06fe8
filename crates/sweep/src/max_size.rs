//! What goes beyond the stale, where more is left than may be: the needed units whose bytes are the cheapest to make
//! again.
//!
//! Removing a unit makes cargo compile all that depend on it too, so its price is the time of all of these that
//! would not be compiled anyway.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use xtask_units::inventory::{Inventory, OutputName, Owner, Sum};
use xtask_units::{Incremental, Times, Unit};

use crate::decide::{Decision, Stale};
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
    /// Needed units that will be compiled again, those among them.
    pub recompiled_units: usize,
    /// How long that takes, in milliseconds of one core, as far as times were recorded.
    pub recorded_ms: u64,
    /// How many of them were never timed; they were priced at the median.
    pub unpriced: usize,
}

/// A needed unit that lies on disk and may go.
struct Candidate {
    /// Index into the decision's units.
    disk: usize,
    /// The needed units that have to be compiled again without it.
    rebuilt: BTreeSet<usize>,
    bytes: u64,
    items: Vec<usize>,
}

/// Adds what has to go to `decision`. `is_free` says whether a profile may be touched.
pub(crate) fn choose(
    max_size: u64,
    inventory: &Inventory,
    live: &Live,
    folders: &BTreeMap<Incremental, String>,
    times: &Times,
    is_free: &dyn Fn(usize) -> bool,
    decision: &mut Decision,
) {
    let total = inventory.total_bytes();
    let mut freed = Sum::new(&inventory.links);
    let mut gone = HashSet::new();
    for stale in &decision.stale {
        freed.add(&inventory.items[stale.item].size);
        gone.insert(stale.item);
    }
    if total.saturating_sub(freed.freed) <= max_size {
        return;
    }
    let candidates = candidates(inventory, live, folders, is_free, decision);
    let price = price(live, times);
    let mut rebuilt = BTreeSet::new();
    let mut open = candidates.iter().filter(|candidate| candidate.bytes > 0).collect::<Vec<_>>();
    let reason = decision.reason("needed, but more is there than `max-size` allows");
    while total.saturating_sub(freed.freed) > max_size && !open.is_empty() {
        // Prices fall as dependents go, so each round looks at all of them: some hundred units, some hundred rounds.
        let per_byte = |candidate: &Candidate| {
            let ms = candidate.rebuilt.difference(&rebuilt).map(|&unit| price(unit)).sum::<u64>();
            ms as f64 / candidate.bytes as f64
        };
        let cheapest = (0..open.len()).map(|at| (at, per_byte(open[at]))).min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((at, _)) = cheapest else { break };
        let candidate = open.swap_remove(at);
        rebuilt.extend(&candidate.rebuilt);
        // Two units that differ in their flags only share an incremental folder.
        for &item in candidate.items.iter().filter(|item| gone.insert(**item)) {
            freed.add(&inventory.items[item].size);
            decision.stale.push(Stale { item, reason });
        }
        decision.stale_units.insert(candidate.disk, reason);
    }
}

/// What it costs that needed units go with `decision`.
pub(crate) fn cost(
    max_size: u64,
    inventory: &Inventory,
    live: &Live,
    times: &Times,
    decision: &Decision,
) -> Cost {
    let mut freed = Sum::new(&inventory.links);
    for stale in &decision.stale {
        freed.add(&inventory.items[stale.item].size);
    }
    let gone = decision.stale_units.keys().map(|&disk| &decision.units[disk]);
    let needed = gone.filter_map(live.on_disk(inventory)).collect::<Vec<_>>();
    let dependents = dependents(live);
    let rebuilt = needed.iter().flat_map(|&unit| closure(unit, &dependents)).collect::<BTreeSet<_>>();
    let untimed = |unit: &&usize| live.units.get(**unit).is_some_and(|unit| times.of(unit).is_none());
    let price = price(live, times);
    Cost {
        max_size,
        left_bytes: inventory.total_bytes().saturating_sub(freed.freed),
        units: needed.len(),
        recompiled_units: rebuilt.len(),
        recorded_ms: rebuilt.iter().map(|&unit| price(unit)).sum(),
        unpriced: rebuilt.iter().filter(untimed).count(),
    }
}

/// Milliseconds that a needed unit took, or the median of all that are known.
fn price<'a>(live: &'a Live, times: &'a Times) -> impl Fn(usize) -> u64 + 'a {
    let median = times.median().unwrap_or(1000);
    move |unit| live.units.get(unit).and_then(|unit| times.of(unit)).unwrap_or(median)
}

fn candidates(
    inventory: &Inventory,
    live: &Live,
    folders: &BTreeMap<Incremental, String>,
    is_free: &dyn Fn(usize) -> bool,
    decision: &Decision,
) -> Vec<Candidate> {
    let gone = decision.stale.iter().map(|stale| stale.item).collect::<BTreeSet<_>>();
    let mut by_link = HashMap::<u32, Vec<usize>>::new();
    let mut by_folder = BTreeMap::<(usize, &str), Vec<usize>>::new();
    for (index, item) in
        inventory.items.iter().enumerate().filter(|(index, item)| !item.left_alone && !gone.contains(index))
    {
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
    let mut candidates = Vec::new();
    let dependents = dependents(live);
    let needed = live.on_disk(inventory);
    for (disk, unit) in decision.units.iter().enumerate() {
        let Some(at) = needed(unit).filter(|_| is_free(unit.profile)) else { continue };
        let own = unit
            .items
            .iter()
            .copied()
            .filter(|item| !gone.contains(item) && !inventory.items[*item].left_alone);
        let mut items = own.collect::<BTreeSet<_>>();
        let links = items.iter().flat_map(|&item| &inventory.items[item].size.links);
        let target = live.units.get(at).map_or("", |unit| &unit.target);
        let is_artifact = |item: &usize| {
            let name = inventory.items[*item].name.to_str().and_then(OutputName::parse);
            name.is_some_and(|name| name.id.is_none() && name.is_of(target))
        };
        let uplifted = links
            .filter_map(|link| by_link.get(link))
            .flatten()
            .copied()
            .filter(is_artifact)
            .collect::<Vec<_>>();
        items.extend(uplifted);
        let folder = live.units.get(at).and_then(|unit| folders.get(unit.incremental.as_ref()?));
        items.extend(
            folder.and_then(|folder| by_folder.get(&(unit.profile, folder.as_str()))).into_iter().flatten(),
        );
        let mut sum = Sum::new(&inventory.links);
        for &item in &items {
            sum.add(&inventory.items[item].size);
        }
        candidates.push(Candidate {
            disk,
            rebuilt: closure(at, &dependents),
            bytes: sum.freed,
            items: items.into_iter().collect(),
        });
    }
    candidates
}

/// By each needed unit, those that depend on it directly.
fn dependents(live: &Live) -> Vec<Vec<usize>> {
    let index =
        live.units.iter().enumerate().map(|(at, unit)| (unit.id.as_str(), at)).collect::<HashMap<_, _>>();
    let mut dependents = vec![Vec::new(); live.units.len()];
    let edges = |unit: &Unit| {
        unit.dependencies.iter().filter_map(|id| index.get(id.as_str()).copied()).collect::<Vec<_>>()
    };
    for (at, unit) in live.units.iter().enumerate() {
        for dependency in edges(unit) {
            dependents[dependency].push(at);
        }
    }
    dependents
}

/// `unit` and all that have to be compiled after it.
fn closure(unit: usize, dependents: &[Vec<usize>]) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut open = vec![unit];
    while let Some(unit) = open.pop() {
        if all.insert(unit) {
            open.extend(&dependents[unit]);
        }
    }
    all
}
