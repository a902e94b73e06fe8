//! The tools that make building and testing fast: found, proven by their effect, and set for this machine in a file that
//! never reaches git. `doctor` checks what slows down or breaks builds.
//!
//! Invariant: a tool counts as installed only when its effect was seen, and a file that was downloaded is unpacked only
//! when its SHA-256 is the pinned one.

mod catalog;
pub mod doctor;
mod install;
mod linker_name;
mod machine;
mod memory;
mod needs;
mod probe;
mod process;
mod prove;
pub mod race;
mod settings;
mod setup;

pub use catalog::{CATALOG, LinkSettings, Tool, catalog};
pub use install::{Outdated, Step};
pub use machine::{Machine, private_bin};
pub use needs::{Missing, install, missing};
pub use probe::{Found, Probed, Unsuited, probe};
pub use prove::{Proven, prove};
pub use settings::{LOCAL_FILE, LocalSettings, Overruled, SetupUndo, add_include, includes, local_file};
pub use setup::{Outcome, PlannedTool, SetupOptions, SetupPlan, SetupReport, State};

/// The signal that `error` is about, if it is about one.
pub fn interrupted(error: &anyhow::Error) -> Option<i32> {
    error.downcast_ref::<process::Interrupted>().map(|interrupted| interrupted.signal)
}
