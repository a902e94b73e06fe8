//! `cargo xtask`: the command line over the crates that do the work.
//!
//! Every command is options → plan → execute → report; here the options are read and the report is shown.

mod cli;
mod commands;
mod context;
mod exit;
mod shell;

use std::process::ExitCode;

pub use exit::Exit;

use shell::Shell;
use xtask_units::fake::{ROLE, ROLE_COMPILER};
use xtask_workspace::Environment;

/// Runs the suite with this process's arguments.
pub fn main() -> ExitCode {
    // Cargo starts this binary hundreds of times as its compiler: nothing else may happen before.
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role);
    }
    let (exit, signal) = commands::run(&std::env::args().collect::<Vec<_>>());
    if let Some(signal) = signal {
        // The shell must see that we were interrupted, as it would see it of the tests.
        xtask_units::end_by_signal(signal);
    }
    exit.into()
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
