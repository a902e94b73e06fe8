//! What a command would compile now, and about how long that takes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::freshness::State;
use crate::times::Times;
use crate::unit::{Mode, Unit, UnitSet};

/// The forecast of one cargo command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Units that lie fresh on disk. Runs of build scripts are not counted.
    pub fresh: usize,
    /// Units to compile.
    pub compile: usize,
    /// Milliseconds until all is compiled; `None` while nothing was ever recorded here.
    pub estimated_ms: Option<u64>,
    /// How many of the units to compile were never timed here, and are priced at the median.
    pub unpriced: usize,
    /// What is to be compiled and why, in the order of packages.
    pub units: Vec<Planned>,
}

/// A unit to compile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The unit, for a person.
    pub unit: String,
    /// Why it is not fresh.
    pub why: String,
    /// Its recorded time in milliseconds.
    pub recorded_ms: Option<u64>,
}

/// The forecast for `units` in `states`, compiling `jobs` at a time.
pub fn forecast(units: &UnitSet, states: &[State], times: &Times, jobs: usize) -> Forecast {
    let counted = |unit: &Unit| unit.mode != Mode::RunBuildScript;
    let stale = units.iter().zip(states).filter(|(_, state)| **state != State::Fresh).collect::<Vec<_>>();
    let compile = stale.iter().filter(|(unit, _)| counted(unit)).count();
    let total = units.iter().filter(|unit| counted(unit)).count();
    let planned = stale.iter().filter(|(unit, _)| counted(unit)).map(|(unit, state)| Planned {
        unit: unit.describe(),
        why: match state {
            State::Dirty(why) => why.clone(),
            State::Outdated(unit) => format!("{unit} is compiled anew"),
            _ => "not built yet".to_owned(),
        },
        recorded_ms: times.of(unit),
    });
    let planned = planned.collect::<Vec<_>>();
    let units = stale.iter().map(|(unit, _)| *unit).collect::<Vec<_>>();
    Forecast {
        fresh: total - compile,
        compile,
        estimated_ms: times.median().map(|median| makespan(&units, |unit| price(unit, times, median), jobs)),
        unpriced: planned.iter().filter(|planned| planned.recorded_ms.is_none()).count(),
        units: planned,
    }
}

fn price(unit: &Unit, times: &Times, median: u64) -> u64 {
    // Most build scripts run for a few milliseconds; one that does not was recorded.
    let unseen = if unit.mode == Mode::RunBuildScript { 10 } else { median };
    times.of(unit).unwrap_or(unseen)
}

/// Milliseconds to work through `units` with `jobs` at a time, each after those it depends on: the longest
/// chain first, as cargo does too (`core/compiler/job_queue`).
fn makespan(units: &[&Unit], price: impl Fn(&Unit) -> u64, jobs: usize) -> u64 {
    let index = units.iter().enumerate().map(|(at, unit)| (unit.id.as_str(), at)).collect::<BTreeMap<_, _>>();
    let needs = |unit: &Unit| {
        unit.dependencies.iter().filter_map(|id| index.get(id.as_str()).copied()).collect::<Vec<_>>()
    };
    let needs = units.iter().map(|unit| needs(unit)).collect::<Vec<_>>();
    let prices = units.iter().map(|unit| price(unit)).collect::<Vec<_>>();
    let chain = chains(&needs, &prices);

    let mut done_at = vec![None::<u64>; units.len()];
    let mut workers = vec![0_u64; jobs.max(1)];
    for _ in 0..units.len() {
        workers.sort_unstable();
        let now = workers[0];
        let ready_at = |at: usize| {
            needs[at].iter().map(|need| done_at[*need]).try_fold(0, |latest, done| Some(latest.max(done?)))
        };
        let waiting = (0..units.len()).filter(|at| done_at[*at].is_none());
        let ready = waiting.filter_map(|at| Some((at, ready_at(at)?)));
        // What can start earliest; of those that can start now, the one with the longest chain behind it.
        let next = ready.min_by_key(|(at, ready)| ((*ready).max(now), std::cmp::Reverse(chain[*at])));
        let Some((at, ready)) = next else { break };
        let end = ready.max(now) + prices[at];
        done_at[at] = Some(end);
        workers[0] = end;
    }
    done_at.into_iter().flatten().max().unwrap_or(0)
}

/// For each unit, the price of the longest chain of units that wait for it, itself included.
fn chains(needs: &[Vec<usize>], prices: &[u64]) -> Vec<u64> {
    let mut chain = prices.to_vec();
    // Each round carries prices one step further down; a chain is never longer than the number of units.
    for _ in 0..needs.len() {
        let mut changed = false;
        for (at, dependencies) in needs.iter().enumerate() {
            for dependency in dependencies {
                let through = prices[*dependency] + chain[at];
                if through > chain[*dependency] {
                    chain[*dependency] = through;
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(prices: &[u64], needs: &[(usize, usize)], jobs: usize) -> u64 {
        let units = prices
            .iter()
            .enumerate()
            .map(|(at, _)| Unit {
                id: format!("{at:016x}"),
                dependencies: needs
                    .iter()
                    .filter(|(unit, _)| *unit == at)
                    .map(|(_, need)| format!("{need:016x}"))
                    .collect(),
                ..Unit::for_tests()
            })
            .collect::<Vec<_>>();
        makespan(
            &units.iter().collect::<Vec<_>>(),
            |unit| prices[usize::from_str_radix(&unit.id, 16).unwrap()],
            jobs,
        )
    }

    #[test]
    fn units_wait_for_what_they_need_and_for_a_free_core() {
        assert_eq!(schedule(&[], &[], 2), 0);
        assert_eq!(schedule(&[5, 5, 5, 5], &[], 2), 10);
        assert_eq!(schedule(&[5, 5, 5], &[(1, 0), (2, 1)], 8), 15);
        // A long chain starts first, and the short ones fill the other core.
        assert_eq!(schedule(&[3, 3, 3, 10, 10], &[(4, 3)], 2), 20);
    }
}
