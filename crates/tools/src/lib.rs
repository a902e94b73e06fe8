//! The tools that make building and testing fast: found, proven by their effect, and set for this machine in a file that
//! never reaches git. `doctor` checks what slows down or breaks builds.
//!
//! Invariant: a tool counts as installed only when its effect was seen, and a file that was downloaded is unpacked only
//! when its SHA-256 is the pinned one.

mod catalog;
mod committed;
mod demand;
pub mod doctor;
mod download;
mod edits;
mod install;
mod link;
mod machine;
mod process;
mod prove;
pub mod race;
mod settings;
mod setup;
mod tool;

pub use catalog::catalog;
pub use edits::{SetupUndo, add_include, commit_recorded, includes, plan_recorded_undo};
pub use link::LinkSettings;
pub use machine::Machine;
pub use settings::{LocalSettings, Overruled};
pub use setup::{Measures, SetupOptions, SetupPlan, SetupReport};
pub use tool::{Missing, Outcome, PlannedTool, State, install, missing};
pub use xtask_workspace::LOCAL_FILE;

/// The signal that `error` is about, if it is about one.
pub fn interrupted(error: &anyhow::Error) -> Option<i32> {
    error.downcast_ref::<process::Interrupted>().map(|interrupted| interrupted.signal)
}
