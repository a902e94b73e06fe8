//! How long units took when they were last compiled here, and the forecast made from that.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, lock_exclusive, write_atomic};
use xtask_workspace::Workspace;

use crate::freshness::State;
use crate::record::BuiltUnit;
use crate::unit::{Mode, TargetKind, Unit, UnitSet};

/// How long a unit took, in the words of the page that `cargo --timings` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitTime {
    /// Package, version and target: `app 0.1.0 app "bin" (test)`.
    pub unit: String,
    pub ms: u64,
}

#[derive(Deserialize)]
struct TimedUnit {
    name: String,
    version: String,
    /// With a space before it; empty for a library.
    target: String,
    duration: f64,
}

impl UnitTime {
    /// The units that were compiled, from the JSON in the page; empty when the page has another form.
    pub(crate) fn of_page(page: &Utf8Path) -> Vec<Self> {
        let page = fs::read_to_string(page).unwrap_or_default();
        let json = page.split_once("const UNIT_DATA = ").map_or("", |(_, json)| json);
        let units = serde_json::Deserializer::from_str(json).into_iter::<Vec<TimedUnit>>().next();
        let units = units.and_then(Result::ok).unwrap_or_default().into_iter();
        let timed = units.filter(|unit| unit.duration > 0.0);
        timed
            .map(|TimedUnit { name, version, target, duration }| Self {
                unit: format!("{name} {version}{target}"),
                ms: milliseconds(duration),
            })
            .collect()
    }
}

/// A time in seconds, as reports give it, in whole milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time, never negative")]
pub fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// Milliseconds that units took when they were last compiled here, by the folder of the profile and [`UnitTime::unit`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times(BTreeMap<String, u64>);

impl Times {
    /// The times recorded for this workspace.
    pub fn load(workspace: &Workspace) -> Self {
        let json = fs::read(times_path(workspace)).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    pub(crate) fn add(workspace: &Workspace, profile_dir: Option<&str>, units: &[UnitTime]) -> Result<()> {
        let Some(profile_dir) = profile_dir.filter(|_| !units.is_empty()) else { return Ok(()) };
        let path = times_path(workspace);
        // Two tiers may end at once: neither may lose what the other learned.
        let _lock = lock_exclusive(&path.with_extension("lock"))?;
        let mut times = Self::load(workspace);
        times.0.extend(units.iter().map(|unit| (format!("{profile_dir} {}", unit.unit), unit.ms)));
        let json = serde_json::to_vec(&times).context("failed to write the recorded times")?;
        write_atomic(&path, json, Durability::Cache)
    }

    pub fn of(&self, unit: &Unit) -> Option<u64> {
        self.0.get(&time_key(unit)).copied()
    }

    /// The median of all recorded times: the price of a unit that was never timed.
    pub fn median(&self) -> Option<u64> {
        let mut all = self.0.values().copied().collect::<Vec<_>>();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    }
}

fn times_path(workspace: &Workspace) -> Utf8PathBuf {
    workspace.state_dir().join("times.json")
}

/// The unit in the words of the timings page (cargo's `core/compiler/timings/mod.rs`).
fn time_key(unit: &Unit) -> String {
    let Unit { profile_dir, package, version, target, kind, mode, test, .. } = unit;
    let named = named_in_page(*kind, target, *mode, *test);
    format!("{profile_dir} {package} {version}{named}{}", unit.mode_in_words())
}

fn named_in_page(kind: TargetKind, target: &str, mode: Mode, test: bool) -> String {
    let word = match kind {
        TargetKind::Lib => "lib",
        TargetKind::Bin => "bin",
        TargetKind::Example => "example",
        TargetKind::IntegrationTest => "test",
        TargetKind::Bench => "bench",
        TargetKind::BuildScript => "build-script",
    };
    match (kind, mode, test) {
        (TargetKind::BuildScript, ..) => format!(" {word}"),
        (TargetKind::Lib, Mode::Check, _) | (TargetKind::Lib, Mode::Build, false) => String::new(),
        _ => format!(" {target} \"{word}\""),
    }
}

impl UnitTime {
    /// The time of a unit that cargo has just said to be compiled, under the name that the page would give it.
    pub(crate) fn of_built(unit: &BuiltUnit, package: &str, ms: u64) -> Self {
        let is_checked = unit.files.iter().all(|file| file.extension() == Some("rmeta"));
        let mode = if is_checked { Mode::Check } else { Mode::Build };
        let named = named_in_page(unit.kind, &unit.target, mode, unit.test);
        let words = match (unit.test, is_checked) {
            (true, true) => " (check-test)",
            (true, false) => " (test)",
            (false, true) => " (check)",
            (false, false) => "",
        };
        Self { unit: format!("{package}{named}{words}"), ms }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Units that are fresh on disk, without runs of build scripts.
    pub fresh: usize,
    pub compile: usize,
    /// Milliseconds until everything is compiled; `None` while nothing was ever recorded here.
    pub estimated_ms: Option<u64>,
    /// How many of the units to compile were never timed here, and are priced at the median.
    pub unpriced: usize,
    /// Whether cargo may find more to compile: a local build script looks fresh, but may watch a variable whose value only
    /// cargo compares.
    pub estimate: bool,
    /// What is to be compiled and why, in the order of packages.
    pub units: Vec<Planned>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub unit: String,
    pub why: String,
    pub recorded_ms: Option<u64>,
}

/// The forecast for `units` in `states`, compiling `jobs` at a time.
pub fn forecast(units: &UnitSet, states: &[State], times: &Times, jobs: usize) -> Forecast {
    let compiles = |unit: &Unit| unit.mode != Mode::RunBuildScript;
    let stale = units.iter().zip(states).filter(|(_, state)| **state != State::Fresh).collect::<Vec<_>>();
    let planned = stale.iter().filter(|(unit, _)| compiles(unit)).map(|(unit, state)| Planned {
        unit: unit.describe(),
        why: match state {
            State::Dirty(why) => why.clone(),
            State::Outdated(unit) => format!("{unit} is compiled again"),
            _ => "not built yet".to_owned(),
        },
        recorded_ms: times.of(unit),
    });
    let planned = planned.collect::<Vec<_>>();
    let stale = stale.iter().map(|(unit, _)| *unit).collect::<Vec<_>>();
    Forecast {
        fresh: units.iter().filter(|unit| compiles(unit)).count() - planned.len(),
        compile: planned.len(),
        estimated_ms: times.median().map(|median| {
            // Most build scripts run for a few milliseconds; the others have a recorded time.
            let unknown = |unit: &Unit| if compiles(unit) { median } else { 10 };
            estimate(&stale, &|unit| times.of(unit).unwrap_or_else(|| unknown(unit)), jobs)
        }),
        unpriced: planned.iter().filter(|planned| planned.recorded_ms.is_none()).count(),
        estimate: units.iter().zip(states).any(|(unit, state)| {
            let local_script = unit.mode == Mode::RunBuildScript && unit.local_dir.is_some();
            local_script && *state == State::Fresh
        }),
        units: planned,
    }
}

/// Milliseconds to compile `units`: the work shared evenly among `jobs`, or the longest chain of units that wait for each
/// other if that takes longer.
fn estimate(units: &[&Unit], price: &dyn Fn(&Unit) -> u64, jobs: usize) -> u64 {
    let by_id = units.iter().map(|unit| (unit.id.as_str(), *unit)).collect::<BTreeMap<_, _>>();
    let mut known = BTreeMap::new();
    let longest = units.iter().map(|unit| chain(unit, &by_id, price, &mut known)).max().unwrap_or(0);
    let work = units.iter().map(|unit| price(unit)).sum::<u64>();
    longest.max(work / u64::try_from(jobs.max(1)).unwrap_or(1))
}

/// Milliseconds until `unit` is compiled when nothing waits for a free job.
fn chain<'a>(
    unit: &'a Unit,
    by_id: &BTreeMap<&str, &'a Unit>,
    price: &dyn Fn(&Unit) -> u64,
    known: &mut BTreeMap<&'a str, u64>,
) -> u64 {
    if let Some(ms) = known.get(&*unit.id) {
        return *ms;
    }
    let needed = unit.dependencies.iter().filter_map(|id| by_id.get(&**id));
    let ms = price(unit) + needed.map(|unit| chain(unit, by_id, price, known)).max().unwrap_or(0);
    known.insert(&unit.id, ms);
    ms
}

#[cfg(test)]
mod tests {
    use xtask_testkit::TempDir;

    use super::*;

    #[test]
    fn a_unit_is_found_by_the_words_of_the_timings_page() {
        // As cargo 1.95 names them.
        let table = [
            (TargetKind::Lib, Mode::Build, false, ""),
            (TargetKind::Lib, Mode::Build, true, " p \"lib\" (test)"),
            (TargetKind::Lib, Mode::Check, false, " (check)"),
            (TargetKind::Lib, Mode::Check, true, " (check-test)"),
            (TargetKind::Bin, Mode::Build, false, " p \"bin\""),
            (TargetKind::Bin, Mode::Check, true, " p \"bin\" (check-test)"),
            (TargetKind::IntegrationTest, Mode::Build, true, " p \"test\" (test)"),
            (TargetKind::BuildScript, Mode::Build, false, " build-script"),
            (TargetKind::BuildScript, Mode::RunBuildScript, false, " build-script (run)"),
        ];
        for (kind, mode, test, words) in table {
            let unit = Unit { kind, mode, test, ..Unit::for_tests() };
            assert_eq!(time_key(&unit), format!("debug p 1.0.0{words}"));
        }
    }

    #[test]
    fn a_page_of_another_form_has_no_units() {
        let dir = TempDir::new("timings");
        let read = |text: &str| {
            dir.write("page.html", text);
            UnitTime::of_page(&dir.path().join("page.html"))
        };
        assert!(read("<html>").is_empty());
        assert!(read("const UNIT_DATA = {\"new\": 1};").is_empty());
        let unit = |target: &str, duration: f64| {
            format!(
                "{{\"name\":\"a\",\"version\":\"1\",\"target\":\"{target}\",\"start\":0.5,\"duration\":{duration}}}"
            )
        };
        let page = format!("x\nconst UNIT_DATA = [{},{}];\nlet", unit(" a \\\"bin\\\"", 1.5), unit("", 0.0));
        assert_eq!(read(&page), [UnitTime { unit: "a 1 a \"bin\"".to_owned(), ms: 1500 }]);
    }

    #[test]
    fn units_wait_for_what_they_need_and_for_a_free_job() {
        let estimate = |edges: &[(usize, usize)], jobs| {
            let unit = |id: usize| {
                let needs = edges.iter().filter(|(of, _)| *of == id).map(|(_, need)| need.to_string());
                Unit { id: id.to_string(), dependencies: needs.collect(), ..Unit::for_tests() }
            };
            let units = (0..4).map(unit).collect::<Vec<_>>();
            estimate(&units.iter().collect::<Vec<_>>(), &|_| 5, jobs)
        };
        assert_eq!(estimate(&[], 2), 10);
        assert_eq!(estimate(&[(1, 0), (2, 1)], 8), 15);
        assert_eq!(estimate(&[(0, 1), (1, 2), (2, 9)], 1), 20);
    }
}
