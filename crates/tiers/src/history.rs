//! What is kept of a tier's runs: a ledger line for each, and each member's last verdict, which lets a later run skip it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, append_line, lock_exclusive, read_lines, write_atomic};
use xtask_workspace::{Digest, Workspace};

use crate::execute::TierReport;
use crate::runner_shim::Counts;

const LEDGER: &str = "ledger.jsonl";

/// One run of a tier.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerLine {
    pub started_at_ms: u64,
    pub tier: String,
    pub packages: usize,
    /// The members that were built, if they were fewer than the tier's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrow: Vec<String>,
    pub fresh: usize,
    pub compiled: usize,
    pub tests: Counts,
    pub compile_ms: u64,
    pub run_ms: u64,
    pub success: bool,
    pub over_budget: bool,
}

pub(crate) fn append(workspace: &Workspace, report: &TierReport, narrow: &[String]) -> Result<()> {
    let line = LedgerLine {
        started_at_ms: report.started_at_ms,
        tier: report.tier.clone(),
        packages: report.packages.len(),
        narrow: narrow.to_vec(),
        fresh: report.units.fresh,
        compiled: report.units.compiled,
        tests: report.tests,
        compile_ms: report.compile_ms,
        run_ms: report.run_ms,
        success: report.success,
        over_budget: report.over_budget,
    };
    append_line(&workspace.state_dir().join(LEDGER), &serde_json::to_string(&line)?)
}

/// All runs, the oldest first. Incomplete lines are left out.
pub fn ledger(workspace: &Workspace) -> Result<Vec<LedgerLine>> {
    let lines = read_lines(&workspace.state_dir().join(LEDGER))?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// How a member's last run ended.
#[derive(Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) passed: bool,
    /// What it was run with; `None` if that is not known, or changed during the run.
    pub(crate) inputs: Option<Digest>,
}

/// The last verdicts of a tier.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) members: BTreeMap<String, Verdict>,
    /// The text of a lock file that git does not track, at the last run.
    pub(crate) lock: Option<String>,
}

impl Results {
    /// Empty if `tier` never ran here.
    pub(crate) fn load(workspace: &Workspace, tier: &str) -> Self {
        let json = fs::read(results_path(workspace, tier)).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// Under a lock: of two runs that end at once, both count.
    pub(crate) fn update(workspace: &Workspace, tier: &str, change: impl FnOnce(&mut Self)) -> Result<()> {
        let path = results_path(workspace, tier);
        let _lock = lock_exclusive(&path.with_extension("lock"))?;
        let mut results = Self::load(workspace, tier);
        change(&mut results);
        write_atomic(&path, serde_json::to_vec(&results)?, Durability::Cache)
    }
}

fn results_path(workspace: &Workspace, tier: &str) -> Utf8PathBuf {
    workspace.state_dir().join("results").join(format!("{tier}.json"))
}
