//! Runs a tier: which members, what is built for them, their tests, a budget, and what is remembered.

mod commands;
mod execute;
mod history;
mod junit;
mod plan;
mod report;
mod runner;
mod runner_shim;
mod select;

pub use commands::{build_command, build_commands};
pub use history::{LedgerLine, Results, Verdict, ledger};
pub use junit::TestRun;
pub use plan::{TierOptions, TierPlan};
pub use report::{Slow, TierReport, Units};
pub use runner::Runner;
pub use runner_shim::{Counts, ProgramRun, ROLE_TESTS, run_tests};
pub use select::Chosen;
