//! The real binary on small real workspaces, with real cargo.
//!
//! One test program with a module per idea: every further program would link the same code again.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

mod completions;
mod config;
mod counts;
mod dry_run;
mod endings;
mod forecast;
mod github;
mod interrupt;
mod json;
mod kinds;
mod own_runner;
mod own_xtask;
mod presets;
mod sharing;
mod state;
mod support;
mod usage;
mod with;
