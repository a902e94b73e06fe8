//! Runs a tier: which members, what is built for them, their tests, a budget, and what is remembered.

mod commands;
mod execute;
mod junit;
mod ledger;
mod needs;
mod plan;
mod report;
mod results;
mod roles;
mod runner;
mod select;

pub use junit::TestRun;
pub use ledger::{LedgerLine, ledger};
pub use needs::build_commands;
pub use plan::{TierOptions, TierPlan};
pub use report::{Slow, TierReport, Units};
pub use results::{Results, Verdict};
pub use roles::{Counts, ProgramRun, ROLE_TESTS, run_tests};
pub use runner::Runner;
pub use select::Chosen;
