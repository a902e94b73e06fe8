//! Which test programs will not fit into the budget of a tier: neither built nor run, but named, until `--deferred` runs
//! them.
//!
//! Times are those recorded here; what was never timed costs nothing, so that it runs.

use std::collections::{BTreeMap, BTreeSet};

use xtask_units::{Mode, State, Times, Unit, UnitSet, cores, states, whole_milliseconds};
use xtask_workspace::CargoCommand;
use xtask_workspace::config::OnOverBudget;

use crate::history::History;
use crate::plan::{Planning, TierOptions};
use crate::programs::binary_id;

/// A test program that will not fit.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Deferred {
    /// As nextest names it.
    pub name: String,
    pub package: String,
    /// How long it would take to compile and run, in milliseconds.
    pub estimated_ms: u64,
}

impl Deferred {
    pub(crate) fn why(&self) -> String {
        format!("does not fit into the budget: about {:.1} s", self.estimated_ms as f64 / 1000.0)
    }
}

impl TierOptions {
    /// The budget in milliseconds, if what exceeds it is deferred.
    pub(crate) fn deferring_budget(&self) -> Option<u64> {
        let defers = self.tier.on_over_budget == OnOverBudget::Defer && !self.deferred;
        self.tier.budget.filter(|_| defers).map(whole_milliseconds)
    }
}

/// The programs of `command` that have to be compiled and will not fit into `budget_ms`, by name, and the packages that have
/// no others. Those that failed last time have the first turn, then those of changed packages, then the slowest.
pub(crate) fn will_not_fit(
    planning: Planning,
    command: &CargoCommand,
    history: &History,
    budget_ms: u64,
) -> (Vec<Deferred>, BTreeSet<String>) {
    let Some(units) = planning.planned(command) else { return Default::default() };
    let states = states(planning.workspace, &units);
    let deferred = choose(&units, &states, &Times::load(planning.workspace), history, budget_ms, cores());
    let is_deferred = |unit: &&Unit| {
        let name = binary_id(&unit.package, unit.kind, &unit.target);
        deferred.iter().any(|program| program.name == name)
    };
    let (without, with): (Vec<_>, Vec<_>) = units.iter().filter(|unit| unit.test).partition(is_deferred);
    let mut whole = without.into_iter().map(|unit| unit.package.clone()).collect::<BTreeSet<_>>();
    whole.retain(|package| with.iter().all(|unit| unit.package != *package));
    (deferred, whole)
}

fn choose(
    units: &UnitSet,
    states: &[State],
    times: &Times,
    history: &History,
    budget_ms: u64,
    jobs: usize,
) -> Vec<Deferred> {
    let stale = units.iter().zip(states).filter(|(_, state)| **state != State::Fresh);
    let stale = stale.map(|(unit, state)| (&*unit.id, (unit, state))).collect::<BTreeMap<_, _>>();
    let is_program = |unit: &Unit| unit.test && unit.mode == Mode::Build;
    let mut programs = stale.values().filter(|(unit, _)| is_program(unit)).collect::<Vec<_>>();
    let name = |unit: &Unit| binary_id(&unit.package, unit.kind, &unit.target);
    programs.sort_by_key(|(unit, state)| {
        let last = history.programs.get(&name(unit));
        let failed = last.is_some_and(|last| !last.passed);
        let changed = matches!(state, State::Dirty(_));
        (!failed, !changed, std::cmp::Reverse(last.map_or(0, |last| last.ms)))
    });
    let (mut compiled, mut spent, mut deferred) = (BTreeSet::new(), 0, Vec::new());
    for (unit, _) in programs {
        let mut needed = BTreeSet::new();
        let mut open = vec![*unit];
        while let Some(next) = open.pop() {
            if !compiled.contains(&*next.id) && needed.insert(&*next.id) {
                open.extend(
                    next.dependencies.iter().filter_map(|id| stale.get(&**id)).map(|(unit, _)| *unit),
                );
            }
        }
        let price = needed.iter().filter_map(|id| times.of(stale.get(id)?.0)).sum::<u64>();
        let name = name(unit);
        let run = history.programs.get(&name).map_or(0, |last| last.ms);
        let estimated_ms = price / u64::try_from(jobs.max(1)).unwrap_or(1) + run;
        if spent + estimated_ms > budget_ms {
            deferred.push(Deferred { name, package: unit.package.clone(), estimated_ms });
        } else {
            spent += estimated_ms;
            compiled.extend(needed);
        }
    }
    deferred.sort_by(|a, b| a.name.cmp(&b.name));
    deferred
}
