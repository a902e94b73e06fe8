//! The real binary on small real workspaces, with real cargo, nextest, shells and signals.
//!
//! One test program with a module per idea: every further program would link the same code again.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

mod completions;
mod counts;
mod dry_run;
mod endings;
mod forecast;
mod github;
mod interrupt;
mod json;
mod kinds;
mod own_runner;
mod sharing;
mod state;
#[path = "../cli/support.rs"]
mod support;
mod verdicts;
