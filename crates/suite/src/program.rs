//! What the suite's two programs share: the daily one, and the workshop with the commands that people need now and then.
//!
//! Not meant for a project's own tasks: what is here changes with the workshop's needs.

use std::process::ExitCode;

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::ArgMatches;
use xtask_units::fake::{ROLE, ROLE_COMPILER};
use xtask_workspace::Environment;

use crate::commands;
use crate::shell::{Colour, OutputOptions, Shell};
use crate::task::Task;

pub use crate::cli::{RESERVED, WORKSHOP};
pub use crate::commands::OWN_XTASK;
pub use crate::context::{Context, nearest_settings};
pub use crate::exit::Ended;
pub use crate::shell::{bytes, count, seconds};

/// The commands that the workshop has beside the daily ones: the first value is a name of [`WORKSHOP`].
pub type MoreCommands = fn(&str, Call<'_>) -> Result<Ended>;

/// A call of a command.
#[derive(Debug)]
pub struct Call<'a> {
    /// The workspace, or why it could not be read.
    pub loaded: Result<Context<'a>>,
    /// The command's own arguments.
    pub arguments: &'a ArgMatches,
    /// The folder that the user is in, or has named.
    pub dir: Utf8PathBuf,
    /// The user's environment.
    pub environment: &'a Environment,
    /// Where output goes.
    pub shell: &'a Shell,
}

/// Runs a program of the suite with this process's arguments.
pub fn main(tasks: &[Task], more: Option<MoreCommands>) -> ExitCode {
    // Cargo starts this program hundreds of times as its compiler: nothing else may happen before.
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role);
    }
    commands::run(&std::env::args().collect::<Vec<_>>(), tasks, more)
}

/// Plays a part in cargo's own run instead of running a command.
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
            let options = OutputOptions { colour: Colour::Never, json: false, verbose: false };
            Shell::new(options, &Environment::default()).error(&error);
            // rustc's own code for a failure, which cargo reports as such.
            ExitCode::from(101)
        }
    }
}
