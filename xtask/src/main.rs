//! The launcher behind `cargo xtask`: builds the suite's binary when it is out of date and becomes it.
//!
//! It has no dependencies and knows nothing of the suite but its name, so the same files serve in every
//! repository: where the suite is a member of the launcher's workspace, and where it is vendored beside the
//! launcher as a workspace of its own.
//!
//! Invariant: nothing but the product is in this folder. In the repository of the suite the tests stand in
//! `tests/`, so that none of them runs among another workspace's own.

mod build;
mod environment;
mod inputs;
mod launch;
mod place;
mod stamp;

fn main() -> std::process::ExitCode {
    launch::run()
}
