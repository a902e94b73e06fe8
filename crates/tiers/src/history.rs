//! What is remembered of a tier's runs: a line of numbers for each, for as long as the target dir is, and how each
//! member's last run ended and with which inputs, which lets a later run skip it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, append_line, lock_exclusive, read_lines, write_atomic};
use xtask_workspace::{Digest, Workspace};

use crate::report::TierReport;
use crate::runner_shim::Counts;

/// One run of a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// When it started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// The tier.
    pub tier: String,
    /// How many members it ran for.
    pub packages: usize,
    /// The members that alone were built, where that was less than the tier's whole selection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrow: Vec<String>,
    /// Units that were fresh.
    pub fresh: usize,
    /// Units that were compiled.
    pub compiled: usize,
    /// Its tests.
    pub tests: Counts,
    /// Milliseconds of compiling.
    pub compile_ms: u64,
    /// Milliseconds of running.
    pub run_ms: u64,
    /// Whether it succeeded.
    pub success: bool,
    /// Whether it took longer than its budget.
    pub over_budget: bool,
}

/// Appends the line of `report`; `narrow` as in [`LedgerLine::narrow`].
pub(crate) fn append(workspace: &Workspace, report: &TierReport, narrow: Vec<String>) -> Result<()> {
    let line = LedgerLine {
        started_at_ms: report.started_at_ms,
        tier: report.tier.clone(),
        packages: report.packages.len(),
        narrow,
        fresh: report.units.fresh,
        compiled: report.units.compiled,
        tests: report.tests,
        compile_ms: report.compile_ms,
        run_ms: report.run_ms,
        success: report.success,
        over_budget: report.over_budget,
    };
    append_line(&ledger_path(workspace), &serde_json::to_string(&line)?)
}

/// All runs, the oldest first. Lines that a kill tore are left out.
pub fn ledger(workspace: &Workspace) -> Result<Vec<LedgerLine>> {
    let lines = read_lines(&ledger_path(workspace))?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn ledger_path(workspace: &Workspace) -> Utf8PathBuf {
    workspace.state_dir().join("ledger.jsonl")
}

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
        let json = fs::read(results_path(workspace, tier)).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// Changes the verdicts of `tier`; two runs that end at once both count.
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
