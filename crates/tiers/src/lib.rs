//! Runs a tier: which members, what is built for them, their tests, a budget, and what is remembered.

mod budget;
mod cause;
mod execute;
mod history;
mod nextest;
mod plan;
mod programs;
mod runner_shim;
mod select;
mod test_run;
mod verdicts;

pub use budget::Deferred;
pub use cause::{Cause, CauseKind, first_of};
pub use execute::{ProgramReport, Remembered, TierReport, Verdict};
pub use history::{LedgerLine, last_ran, ledger};
pub use plan::{TierOptions, TierPlan, build_command, build_commands};
pub use runner_shim::{Counts, Observer, ROLE_TESTS, observe, run_tests};
pub use verdicts::files::Scope;
pub use verdicts::store::{Mismatch, Pass, Store, Summary};
