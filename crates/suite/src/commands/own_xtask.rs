//! An `xtask` that the workspace had before the suite: what the suite does not know goes there.
//!
//! Invariant: from its subcommand on, that xtask gets the words as they were typed, and the shell gets its exit
//! code and signals as they are.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use xtask_workspace::{Call, CargoConfig, Environment, WrongUsage};

use crate::cli::LeadingFlags;
use crate::context::not_started;

/// The cargo alias that leads to it, which `adopt --merge` makes.
pub const ALIAS: &str = "xtask-own";

/// What was passed on already: an alias that leads back to us would go round for ever.
pub(crate) const PASSED_ON: &str = "XTASK_SUITE_PASSED_ON";

/// Whether cargo knows the alias in `dir`.
pub(super) fn exists(dir: &Utf8Path, environment: &Environment) -> bool {
    let dir = dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    let words = CargoConfig::load(&dir, environment).program(&["alias", ALIAS]);
    words.is_some_and(|words| !words.is_empty())
}

/// Becomes `cargo xtask-own ARGS` in the folder that the leading flags name. Returns only where that is another
/// process's exit code, or why it could not be started.
pub(super) fn run(leading: &LeadingFlags, rest: &[String], environment: &Environment) -> Result<ExitCode> {
    let dir = leading.directory();
    let dir = dir.canonicalize_utf8().with_context(|| format!("failed to read folder {dir}"))?;
    let words = [ALIAS.to_owned()].into_iter().chain(leading.without_directory()).chain(rest.iter().cloned());
    // As they are typed: how the words are to be read is the other xtask's.
    let mut command = Call::new(dir, "cargo", words);
    let call = format!("{} {command}", command.dir);
    if std::env::var(PASSED_ON).is_ok_and(|passed_on| passed_on == call) {
        let message = format!(
            "there is no `cargo xtask {}`, and the alias `{ALIAS}` in cargo's configuration leads back here; \
             name the xtask from before there, or remove it",
            rest.first().map_or("", String::as_str)
        );
        return Err(WrongUsage(message).into());
    }
    command.env.insert(PASSED_ON.to_owned(), call);
    become_cargo(&command, environment)
}

/// Replaces this process, so that signals, the terminal and the exit code are cargo's own.
#[cfg(unix)]
fn become_cargo(command: &Call, environment: &Environment) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(not_started(command.to_command(environment).exec(), command))
}

/// Waits for cargo and passes its exit code on.
#[cfg(not(unix))]
fn become_cargo(command: &Call, environment: &Environment) -> Result<ExitCode> {
    let status = command.to_command(environment).status().map_err(|error| not_started(error, command))?;
    // Windows knows codes above 255 (a crash is one); what matters of them here is that they are not 0.
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
