//! What a sweep did.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use xtask_units::UnitSet;

use crate::max_size::Cost;
use crate::plan::Skipped;

/// Something that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Where.
    pub path: PathBuf,
    /// Why.
    pub error: String,
}

/// What building the tiers again has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Needed units that were fresh before and were compiled all the same: 0 unless `max-size` took some.
    pub recompiled_units: usize,
    /// Their names.
    pub recompiled: Vec<String>,
    /// Units that were compiled because they were not there or out of date before.
    pub built_units: usize,
    /// The commands that failed.
    pub failed: Vec<String>,
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct SweepReport {
    /// Bytes that are free now. A file counts when its last name is gone.
    pub freed_bytes: u64,
    /// Bytes that are left.
    pub left_bytes: u64,
    /// Units that are gone.
    pub removed_units: usize,
    /// Units that are left.
    pub kept_units: usize,
    /// What was left alone, and why.
    pub skipped: Vec<Skipped>,
    /// What could not be removed.
    pub errors: Vec<Failure>,
    /// What `max-size` costs.
    pub max_size: Option<Cost>,
    /// Whether something could not be told.
    pub incomplete: bool,
    /// Milliseconds of planning.
    pub plan_ms: u64,
    /// Milliseconds of removing.
    pub remove_ms: u64,
    /// Only with `--verify`: needed units that had to be compiled again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompiled_units: Option<usize>,
    /// Only with `--verify`: what building the tiers has shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    #[serde(skip)]
    pub(crate) baseline: Baseline,
}

impl SweepReport {
    /// Whether everything that was planned was done, everything could be told, and, where that was verified, nothing
    /// was compiled again but what `max-size` has taken.
    pub fn success(&self) -> bool {
        let foreseen = self.max_size.as_ref().map_or(0, |cost| cost.recompiled_units);
        let holds = |verified: &Verified| verified.failed.is_empty() && verified.recompiled_units <= foreseen;
        self.errors.is_empty() && !self.incomplete && self.verified.as_ref().is_none_or(holds)
    }
}

/// The needed units as they were before a sweep.
#[derive(Debug, Clone, Default)]
pub(crate) struct Baseline {
    pub(crate) units: UnitSet,
    /// The label of the profile and the id of those that were fresh.
    pub(crate) fresh: BTreeSet<(String, String)>,
}
