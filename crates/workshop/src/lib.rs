//! The workshop: the program with the commands that people need now and then. The launcher builds it when one is first
//! asked for; the daily program, `xtask-suite`, links none of what only these need.
//!
//! Every command is options → plan → execute → report; here the options are read and the report is shown.

mod adopt;
mod clean_stale;
mod disk;
mod doctor;
mod setup;
mod test_inputs;
mod version;

use std::process::ExitCode;

use anstyle::AnsiColor;
use anyhow::{Result, anyhow};
use xtask_suite::Shell;
use xtask_suite::program::{self, Call, Ended, nearest_settings};

/// Runs the workshop with this process's arguments.
pub fn main() -> ExitCode {
    program::main(&[], Some(run))
}

/// Runs the command of this name.
fn run(name: &str, call: Call<'_>) -> Result<Ended> {
    let Call { loaded, arguments, dir, environment, shell } = call;
    let ended = match name {
        "adopt" => adopt::run(arguments, &dir, environment, shell),
        "version" => version::run(&loaded?, environment).map(Into::into),
        "clean-stale" => clean_stale::run(&loaded?, arguments),
        "setup" if arguments.get_flag("undo") => {
            // It works where cargo cannot read the workspace because of what is to be undone.
            let root = match (loaded, nearest_settings(&dir)) {
                (Ok(context), _) => context.workspace.root().to_owned(),
                (Err(_), Some(root)) => root,
                (Err(error), None) => return Err(error),
            };
            setup::undo(&root, arguments.get_flag("dry-run"), shell).map(Into::into)
        }
        "setup" => setup::run(&loaded?, arguments),
        "test-inputs" => test_inputs::run(&loaded?, arguments),
        "doctor" => doctor::run(loaded, arguments, shell),
        "disk" => disk::run(&loaded?, arguments).map(Into::into),
        other => Err(anyhow!("there is no command `{other}`")),
    };
    ended.or_else(|error| {
        let observing = error.downcast_ref::<xtask_adopt::Interrupted>().map(|interrupted| interrupted.0);
        let signal = xtask_tools::interrupted(&error).or(observing).ok_or(error)?;
        Ok(Ended::new(xtask_suite::Exit::Failed, Some(signal)))
    })
}

/// How a command ended, in one word.
fn ended(shell: &Shell, signal: Option<i32>, failed: bool) -> String {
    let (word, colour) = match (signal, failed) {
        (Some(_), _) => ("interrupted", AnsiColor::Yellow),
        (None, true) => ("failed", AnsiColor::Red),
        (None, false) => ("ok", AnsiColor::Green),
    };
    shell.paint(word, colour)
}
