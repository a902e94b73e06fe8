//! One line per run of a tier, kept for as long as the target dir is.

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use xtask_files::{append_line, read_lines};
use xtask_workspace::Workspace;

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
    append_line(&path(workspace), &serde_json::to_string(&line)?)
}

/// All runs, the oldest first. Lines that a kill tore are left out.
pub fn ledger(workspace: &Workspace) -> Result<Vec<LedgerLine>> {
    let lines = read_lines(&path(workspace))?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn path(workspace: &Workspace) -> Utf8PathBuf {
    workspace.state_dir().join("ledger.jsonl")
}
