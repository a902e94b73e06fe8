//! The tools that make building and testing fast: found, installed, and proven to take effect; and the settings of
//! this machine, which never reach git.
//!
//! Invariant: a tool counts as installed only when its effect was seen, and a file that was downloaded is only put in
//! place, or even unpacked, when its SHA-256 is the pinned one.

mod catalog;
mod found;
#[cfg_attr(not(test), expect(dead_code, reason = "the setup of a machine is to call it"))]
mod install;
mod linker_name;
mod machine;
mod process;
mod prove;
pub mod race;

pub use catalog::{CATALOG, LinkSettings, Tool, catalog};
pub use found::{Found, Presence, look_for, places};
pub use machine::{Machine, private_bin};
pub use prove::{Proven, prove};
