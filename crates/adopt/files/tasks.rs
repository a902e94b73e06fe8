//! This project's own tasks: each is a subcommand of `cargo xtask`.
//!
//! This folder is yours. Bringing the suite up to date (`adopt --update`) leaves it alone.
//!
//! A task that prints the names of the members is this entry in the list below:
//!
//! ```text
//! Task::new(Command::new("members").about("List the members"), |context, _matches| {
//!     for member in context.workspace.facts.members() {
//!         context.shell.result(&member.name);
//!     }
//!     Ok(Exit::Done)
//! })
//! ```
//!
//! with `use xtask_suite::{Exit, Task, clap::Command};` above. More: docs/extending.md in xtask-suite.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask_suite::main_with([])
}
