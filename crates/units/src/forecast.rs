//! What a command would compile now, and about how long that takes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::freshness::State;
use crate::makespan::makespan;
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
        estimated_ms: times
            .median()
            .map(|median| milliseconds(&units, |unit| price(unit, times, median), jobs)),
        unpriced: planned.iter().filter(|planned| planned.recorded_ms.is_none()).count(),
        units: planned,
    }
}

fn price(unit: &Unit, times: &Times, median: u64) -> u64 {
    // Most build scripts run for a few milliseconds; one that does not was recorded.
    let unseen = if unit.mode == Mode::RunBuildScript { 10 } else { median };
    times.of(unit).unwrap_or(unseen)
}

/// Milliseconds to work through `units` with `jobs` at a time.
fn milliseconds(units: &[&Unit], price: impl Fn(&Unit) -> u64, jobs: usize) -> u64 {
    let index = units.iter().enumerate().map(|(at, unit)| (unit.id.as_str(), at)).collect::<BTreeMap<_, _>>();
    let needs = |unit: &Unit| {
        unit.dependencies.iter().filter_map(|id| index.get(id.as_str()).copied()).collect::<Vec<_>>()
    };
    let needs = units.iter().map(|unit| needs(unit)).collect::<Vec<_>>();
    let prices = units.iter().map(|unit| price(unit)).collect::<Vec<_>>();
    makespan(&prices, &needs, jobs)
}
