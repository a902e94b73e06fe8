//! `cargo xtask`: the command line over the crates that do the work.
//!
//! Every command is options → plan → execute → report; here the options are read and the report is shown.
//!
//! A project adds [tasks](Task) of its own in a binary that calls [`main_with`]; `docs/extending.md` has examples.
//! What such a task needs is exported here, so that its package depends on this crate only.

mod adopt;
mod cli;
mod commands;
mod context;
mod exit;
mod shell;
mod task;

use std::process::ExitCode;

pub use exit::Exit;
pub use shell::Shell;
pub use task::{Task, TaskContext};

pub use xtask_units as units;
pub use xtask_workspace as workspace;
pub use xtask_workspace::{EnvironmentLacks, WrongUsage};
// The versions that the suite itself is built with.
pub use {anyhow, camino, clap, serde_json};

use xtask_units::fake::{ROLE, ROLE_COMPILER};
use xtask_workspace::Environment;

/// Runs the suite with this process's arguments.
pub fn main() -> ExitCode {
    main_with([])
}

/// Runs the suite with this process's arguments and a project's own `tasks` beside the suite's commands.
///
/// A task that takes a name which is not its own is wrong usage (exit code 2), whatever was asked for.
pub fn main_with(tasks: impl IntoIterator<Item = Task>) -> ExitCode {
    // Cargo starts this binary hundreds of times as its compiler: nothing else may happen before.
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role);
    }
    let tasks = tasks.into_iter().collect::<Vec<_>>();
    commands::run(&std::env::args().collect::<Vec<_>>(), &tasks)
}

/// Plays a part in cargo's own run instead of calling it.
fn play(role: &str) -> ExitCode {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let played = match role {
        ROLE_COMPILER => xtask_units::fake::compiler(&args),
        xtask_tiers::ROLE_TESTS => xtask_tiers::run_tests(&args),
        other => {
            Err(anyhow::anyhow!("{ROLE} is set to `{other}`, which is no role of this program; unset it"))
        }
    };
    match played {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            let options = shell::OutputOptions { colour: shell::Colour::Never, json: false, verbose: false };
            Shell::new(options, &Environment::default()).error(&error);
            // rustc's own code for a failure, which cargo reports as such.
            ExitCode::from(101)
        }
    }
}
