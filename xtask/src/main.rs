//! The launcher behind `cargo xtask`: builds the right program of the suite when it is out of date, and becomes it.
//!
//! It has no dependencies and knows only the names of the suite's programs, so the same files serve in every repository:
//! where the suite is a member of the launcher's workspace, and where a copy of it is a workspace of its own beside the
//! launcher. Its tests are in `tests/`, so that none of them runs among another workspace's own.

// Warnings of a newer rustc, or what another workspace asks of clippy, are not the launcher's concern. The level in a
// source goes before one on a command line (`-D warnings`, `-D clippy::pedantic`), which goes before one in a manifest. In
// the repository of the suite all of them apply all the same: `tests/units` includes every other module.
#![allow(warnings, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction, clippy::cargo)]

mod build;
mod environment;
mod inputs;
mod launch;
mod place;
mod stamp;
mod store;

fn main() -> std::process::ExitCode {
    launch::run()
}
