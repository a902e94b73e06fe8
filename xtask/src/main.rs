//! The launcher behind `cargo xtask`: builds the suite's binary when it is out of date and becomes it.
//!
//! It has no dependencies and knows nothing of the suite but its name, so the same files serve in every
//! repository: where the suite is a member of the launcher's workspace, and where it is vendored beside the
//! launcher as a workspace of its own.
//!
//! Invariant: nothing but the product is in this folder. In the repository of the suite the tests stand in
//! `tests/`, so that none of them runs among another workspace's own.

// Nor are warnings of a younger rustc, or what another workspace asks of clippy, any concern here. The level in a source
// goes before that on a command line (`-D warnings`, `-D clippy::pedantic`), which goes before that in a manifest. In the
// repository of the suite all of them apply nevertheless: `tests/units` includes every module.
#![allow(warnings, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction, clippy::cargo)]

mod build;
mod environment;
mod inputs;
mod launch;
mod place;
mod program;
mod stamp;
mod store;

fn main() -> std::process::ExitCode {
    launch::run()
}
