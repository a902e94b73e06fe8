//! Runs a tier: which members, what is built for them, their tests, a budget, and what is remembered.

mod commands;
mod execute;
mod junit;
mod ledger;
mod plan;
mod report;
mod results;
mod runner;
mod runner_shim;
mod select;

pub use commands::{build_command, build_commands};
pub use junit::TestRun;
pub use ledger::{LedgerLine, ledger};
pub use plan::{TierOptions, TierPlan};
pub use report::{Slow, TierReport, Units};
pub use results::{Results, Verdict};
pub use runner::Runner;
pub use runner_shim::{Counts, ProgramRun, ROLE_TESTS, run_tests};
pub use select::Chosen;
