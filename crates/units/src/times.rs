//! How long units took when they were last compiled here.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, lock_exclusive, write_atomic};
use xtask_workspace::Workspace;

use crate::record::BuiltUnit;
use crate::unit::{Mode, Unit, UnitIdentity};

/// How long units took when they were last compiled here: what a forecast is priced with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Milliseconds by what [`time_key`] makes of a unit.
    by_unit: BTreeMap<String, u64>,
}

impl Times {
    /// The times recorded for this workspace; none when nothing was compiled yet.
    pub fn load(workspace: &Workspace) -> Self {
        let json = fs::read(times_path(workspace)).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    pub(crate) fn add(workspace: &Workspace, units: &[BuiltUnit]) -> Result<()> {
        let path = times_path(workspace);
        // Two tiers may end at once: neither may lose what the other learned.
        let _lock = lock_exclusive(&path.with_extension("lock"))?;
        let mut times = Self::load(workspace);
        for unit in units {
            if let Some(ms) = unit.duration_ms {
                times.by_unit.insert(time_key(&unit.identity(), &unit.opt_level), ms);
            }
        }
        let json = serde_json::to_vec(&times).context("failed to write the recorded times")?;
        write_atomic(&path, json, Durability::Cache)
    }

    /// Milliseconds for `unit`: its own, else those of the same unit in another version.
    pub fn of(&self, unit: &Unit) -> Option<u64> {
        let flag = unit.profile_flags.iter().find_map(|flag| flag.strip_prefix("opt-level="));
        let opt_level = if unit.mode == Mode::RunBuildScript { "" } else { flag.unwrap_or("0") };
        self.by_unit.get(&time_key(&unit.identity(), opt_level)).copied()
    }

    /// The median of all recorded times: the price of a unit that was never seen.
    pub fn median(&self) -> Option<u64> {
        let mut all = self.by_unit.values().copied().collect::<Vec<_>>();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    }
}

fn times_path(workspace: &Workspace) -> Utf8PathBuf {
    workspace.state_dir().join("times.json")
}

fn time_key(unit: &UnitIdentity, opt_level: &str) -> String {
    let UnitIdentity { package, version, target, kind, mode, test } = unit;
    format!("{package} {version} {target} {kind:?} {mode:?} {test} {opt_level}")
}
