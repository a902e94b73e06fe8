//! What is kept of a tier's runs: a ledger line for each, and how each test program last ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, append_line, lock_exclusive, read_lines, write_atomic};
use xtask_workspace::{Digest, Workspace};

use crate::execute::TierReport;
use crate::runner_shim::Counts;
use crate::verdicts::Clauses;

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
    /// Whether arguments chose among the tests: it says nothing of the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filtered: bool,
}

pub(crate) fn append(
    workspace: &Workspace,
    report: &TierReport,
    narrow: &[String],
    filtered: bool,
) -> Result<()> {
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
        filtered,
    };
    append_line(&workspace.state_dir().join(LEDGER), &serde_json::to_string(&line)?)
}

/// Whether any tier ever ran in this target dir.
pub(crate) fn has_runs(workspace: &Workspace) -> bool {
    workspace.state_dir().join(LEDGER).exists()
}

/// All runs, the oldest first. Incomplete lines are left out.
pub fn ledger(workspace: &Workspace) -> Result<Vec<LedgerLine>> {
    let lines = read_lines(&workspace.state_dir().join(LEDGER))?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// How a program ended when it last ran in this checkout.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct LastRun {
    pub(crate) package: String,
    pub(crate) passed: bool,
    pub(crate) ms: u64,
    /// When it began, or was last known to pass, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// What it passed with; `None` if it did not, or if that does not count.
    pub(crate) passed_with: Option<Clauses>,
    /// How often its pass was found, whether it ran all the same or not.
    #[serde(default)]
    pub(crate) found: u32,
}

/// What this checkout knows of its test programs, which says why one runs and in which order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    /// By name.
    pub(crate) programs: BTreeMap<String, LastRun>,
    /// The variables of the runs that [`LastRun::passed_with`] refers to.
    pub(crate) environments: BTreeMap<Digest, BTreeMap<String, Digest>>,
    /// By tier, [`Inputs::before_build`](crate::verdicts::Inputs::before_build) of a run after which nothing was left to run.
    pub(crate) complete: BTreeMap<String, Digest>,
    /// By tier, the programs that did not fit into its budget in its last run, each with its package.
    #[serde(default)]
    pub(crate) deferred: BTreeMap<String, BTreeMap<String, String>>,
    /// By tier, the programs that had to run in its last run, each with the reason.
    #[serde(default)]
    pub(crate) ran: BTreeMap<String, BTreeMap<String, String>>,
}

/// By tier, the test programs that had to run in its last run here, each with the reason.
pub fn last_ran(workspace: &Workspace) -> BTreeMap<String, BTreeMap<String, String>> {
    History::load(workspace).ran
}

impl History {
    /// Empty if nothing ever ran here.
    pub(crate) fn load(workspace: &Workspace) -> Self {
        let json = fs::read(path(workspace)).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// Under a lock: of two runs that end at once, both count.
    pub(crate) fn update(workspace: &Workspace, change: impl FnOnce(&mut Self)) -> Result<()> {
        let path = path(workspace);
        let _lock = lock_exclusive(&path.with_extension("lock"))?;
        let mut history = Self::load(workspace);
        change(&mut history);
        let used =
            history.programs.values().filter_map(|last| Some(last.passed_with.as_ref()?.environment()));
        let used = used.cloned().collect::<BTreeSet<_>>();
        history.environments.retain(|environment, _| used.contains(environment));
        write_atomic(&path, serde_json::to_vec(&history)?, Durability::Cache)
    }

    /// Whether any program of the package ran here.
    pub(crate) fn knows(&self, package: &str) -> bool {
        self.programs.values().any(|last| last.package == package)
    }
}

fn path(workspace: &Workspace) -> Utf8PathBuf {
    workspace.state_dir().join("verdicts").join("programs.json")
}
