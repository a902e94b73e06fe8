//! A plan that was kept: what may go later, if it is stale then too and has not changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, write_atomic};
use xtask_units::inventory::{Inventory, Item};
use xtask_workspace::WrongUsage;

use crate::decide::Decision;
use crate::plan::Skipped;

/// Raised when the meaning of a field changes.
const VERSION: u32 = 1;

/// What an earlier plan would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    version: u32,
    /// By path, what was seen there. Names that are not UTF-8 cannot be written down; they stay.
    removals: BTreeMap<String, Seen>,
}

/// What tells a file from another of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    inode: u64,
    modified_ms: u64,
}

impl Seen {
    fn of(item: &Item) -> Self {
        Self { inode: item.id.inode, modified_ms: item.modified_ms }
    }
}

impl SavedPlan {
    pub(crate) fn of(inventory: &Inventory, decision: &Decision) -> Self {
        let items = decision.stale.iter().map(|stale| &inventory.items[stale.item]);
        let removals =
            items.filter_map(|item| Some((inventory.path(item).to_str()?.to_owned(), Seen::of(item))));
        Self { version: VERSION, removals: removals.collect() }
    }

    /// Writes it to `path`.
    pub fn write(&self, path: &Utf8Path) -> Result<()> {
        write_atomic(path, serde_json::to_vec(self)?, Durability::Synced)
    }

    /// Reads it from `path`; fails as wrong usage where that is none.
    pub fn read(path: &Utf8Path) -> Result<Self> {
        let json = fs::read(path).with_context(|| format!("failed to read the saved plan {path}"))?;
        let plan = serde_json::from_slice::<Self>(&json)
            .map_err(|error| WrongUsage(format!("{path} is no saved plan of clean-stale: {error}")))?;
        if plan.version != VERSION {
            return Err(
                WrongUsage(format!("{path} was saved by another version of the suite; plan again")).into()
            );
        }
        Ok(plan)
    }

    /// Leaves in `decision` only what this plan names too and what is still the same; says what else it named.
    pub(crate) fn restrict(&self, inventory: &Inventory, decision: &mut Decision) -> Option<Skipped> {
        let is_meant = |item: &Item| {
            let path = inventory.path(item);
            path.to_str().and_then(|path| self.removals.get(path)).is_some_and(|seen| *seen == Seen::of(item))
        };
        decision.stale.retain(|stale| is_meant(&inventory.items[stale.item]));
        let items = decision.stale.iter().map(|stale| stale.item).collect::<BTreeSet<_>>();
        let units = &decision.units;
        decision.stale_units.retain(|unit, _| units[*unit].items.iter().any(|item| items.contains(item)));
        let kept = self.removals.len() - decision.stale.len().min(self.removals.len());
        (kept > 0).then(|| Skipped {
            what: format!("{kept} of {} in the saved plan", self.removals.len()),
            why: "gone, changed or needed since it was saved".to_owned(),
        })
    }
}
