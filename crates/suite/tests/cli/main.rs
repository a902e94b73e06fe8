//! The real binary on small real workspaces, with real cargo.
//!
//! What starts no test of a fixture, and needs nothing but cargo and git. What takes longer, or needs nextest and other
//! tools, is in `tests/cli_heavy`.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]
#![expect(dead_code, reason = "what is shared with `tests/cli_heavy` has more than these tests need")]

mod config;
mod own_xtask;
mod presets;
mod support;
mod usage;
mod verdicts;
mod with;
