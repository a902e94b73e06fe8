//! `cargo xtask`: the command line over the crates that do the work.
//!
//! Every command is options → plan → execute → report; here the options are read and the report is shown.
//!
//! A project adds [tasks](Task) of its own in a binary that calls [`main_with`]; `docs/extending.md` has examples.
//! What such a task needs is exported here, so that its package depends on this crate only.

#![warn(missing_docs)]

mod cli;
mod completions;
mod context;
mod overview;
mod preset;
#[doc(hidden)]
pub mod program;
mod shell;
mod task;
mod tier;
mod verdicts;

use std::process::ExitCode;

pub use context::Context as TaskContext;
pub use program::Exit;
pub use shell::Shell;
pub use task::Task;

pub use xtask_units as units;
pub use xtask_workspace as workspace;
pub use xtask_workspace::{EnvironmentLacks, WrongUsage};
// The versions that the suite itself is built with.
pub use {anyhow, camino, clap, serde_json};

/// Runs the suite with this process's arguments.
pub fn main() -> ExitCode {
    main_with([])
}

/// Runs the suite with this process's arguments and a project's own `tasks` beside the suite's commands.
///
/// If a task has a name that is taken, every call is wrong usage (exit code 2).
pub fn main_with(tasks: impl IntoIterator<Item = Task>) -> ExitCode {
    program::main(&tasks.into_iter().collect::<Vec<_>>(), None)
}
