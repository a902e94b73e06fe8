//! An `xtask` that the workspace had before the suite: commands that the suite does not know go there.
//!
//! Invariant: it gets the words as they were typed, and the shell gets its exit code and signals.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use xtask_workspace::{Call, CargoConfig, Environment, WrongUsage};

use crate::context::not_started;

/// The cargo alias for it, which `adopt --merge` makes.
pub const OWN_XTASK: &str = "xtask-own";

/// Set to the call that was passed on: an alias that leads back to us would never end.
pub(crate) const PASSED_ON: &str = "XTASK_SUITE_PASSED_ON";

pub(crate) fn exists(dir: &Utf8Path, environment: &Environment) -> bool {
    let dir = dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    let words = CargoConfig::load(&dir, environment).program(&["alias", OWN_XTASK]);
    words.is_some_and(|words| !words.is_empty())
}

/// Becomes `cargo xtask-own FLAGS COMMAND` in `dir`, without `-C` among the `flags`. Returns only if that failed, or on
/// Windows its exit code.
pub(crate) fn run(
    dir: &Utf8Path,
    flags: &[String],
    command: &[String],
    environment: &Environment,
) -> Result<ExitCode> {
    let dir = dir.canonicalize_utf8().with_context(|| format!("failed to read folder {dir}"))?;
    let mut words = vec![OWN_XTASK.to_owned()];
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        match flag.strip_prefix("-C") {
            Some("") => drop(flags.next()),
            Some(_) => {}
            None => words.push(flag.clone()),
        }
    }
    words.extend_from_slice(command);
    let mut call = Call::new(dir, "cargo", words);
    let passed_on = format!("{} {call}", call.dir);
    if std::env::var(PASSED_ON).is_ok_and(|before| before == passed_on) {
        return Err(WrongUsage(format!(
            "there is no `cargo xtask {}`, and the alias `{OWN_XTASK}` in cargo's configuration leads back here\n  \
             next: let the alias start the earlier xtask, or remove it",
            command.first().map_or("", String::as_str)
        ))
        .into());
    }
    call.env.insert(PASSED_ON.to_owned(), passed_on);
    let mut process = call.to_command(environment);
    #[cfg(unix)]
    return Err(not_started(std::os::unix::process::CommandExt::exec(&mut process), &call));
    #[cfg(not(unix))]
    {
        let status = process.status().map_err(|error| not_started(error, &call))?;
        // On Windows a code can be above 255.
        Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
    }
}
