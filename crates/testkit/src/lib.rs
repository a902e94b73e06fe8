//! What the tests of xtask-suite share: folders that stay when a test fails, fixture workspaces, and
//! commands with a scrubbed environment.
//!
//! Imports nothing of ours, so every crate can use it.

mod bare_machine;
mod faults;
mod fixture;
mod generated;
mod harness;
mod https_server;
mod process;
mod random;
mod seeds;
mod snapshot;
mod strace_log;
mod temp_dir;

pub use bare_machine::BareMachine;
pub use faults::{Call, Fault, Faults, Injected, assert_all_fired, sample};
pub use fixture::{Fixture, git_init};
pub use generated::{Generated, Wishes, verdicts_toml};
pub use harness::{played, run_tests};
pub use https_server::HttpsServer;
pub use process::{Outcome, cargo, scrub};
pub use random::Random;
pub use seeds::{each_seed, setting};
pub use snapshot::{Entry, Snapshot};
pub use temp_dir::TempDir;
