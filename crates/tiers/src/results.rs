//! How each member's last run in a tier ended, and with which inputs: what lets a later run skip it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, lock_exclusive, write_atomic};
use xtask_workspace::{Digest, Workspace};

/// The last verdict on one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether all of its tests passed.
    pub passed: bool,
    /// What it was run with; `None` when that could not be told, or changed during the run.
    pub inputs: Option<Digest>,
}

/// The last verdicts of a tier, by member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// By the member's name.
    pub members: BTreeMap<String, Verdict>,
    /// The text of a lock file that git does not know, as it was at the last run.
    pub lock: Option<String>,
}

impl Results {
    /// The verdicts of `tier`; none when it never ran here.
    pub fn load(workspace: &Workspace, tier: &str) -> Self {
        let json = fs::read(path(workspace, tier)).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// Changes the verdicts of `tier`; two runs that end at once both count.
    pub(crate) fn update(workspace: &Workspace, tier: &str, change: impl FnOnce(&mut Self)) -> Result<()> {
        let path = path(workspace, tier);
        let _lock = lock_exclusive(&path.with_extension("lock"))?;
        let mut results = Self::load(workspace, tier);
        change(&mut results);
        write_atomic(&path, serde_json::to_vec(&results)?, Durability::Cache)
    }
}

fn path(workspace: &Workspace, tier: &str) -> Utf8PathBuf {
    workspace.state_dir().join("results").join(format!("{tier}.json"))
}
