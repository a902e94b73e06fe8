//! Runs a tier: which members, what is built for them, their tests, a budget, and what is remembered.

mod execute;
mod history;
mod nextest;
mod plan;
mod runner_shim;
mod select;

pub use execute::TierReport;
pub use history::{LedgerLine, ledger};
pub use plan::{TierOptions, TierPlan, build_command, build_commands};
pub use runner_shim::{ROLE_TESTS, run_tests};
