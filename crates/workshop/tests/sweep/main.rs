//! `clean-stale` and `disk` on real builds: what is needed stays, everything else goes, and nothing goes wrong.
//!
//! - `histories`: random lives of generated workspaces; after a sweep nothing recompiles and what is left is what a
//!   build from nothing leaves
//! - `reasons`, `policies`, `unnamed`, `refusals`: what is said and kept, one case at a time
//! - `foreign`: what cargo did not make survives
//! - `faults`, `races`, `hostile`: kills, broken disks, running builds, and build dirs that are none

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

mod faults;
mod files;
mod foreign;
mod histories;
mod history;
mod hostile;
mod policies;
mod races;
mod reasons;
mod refusals;
mod support;
mod unnamed;
