//! From the call of the launcher to the suite's start.
//!
//! Invariant: a program that is out of date is never started, and one known to be current is started without asking
//! cargo, which would cost every call tens of milliseconds. Where the launcher cannot know, it asks cargo.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::environment::Environment;
use crate::inputs::Inputs;
use crate::place::{Place, Program};
use crate::store::{Store, put};
use crate::{build, stamp};

/// The environment lacks something required; the suite uses the same code for it.
const EXIT_ENVIRONMENT: u8 = 3;

/// All that the launcher does: its exit code is the suite's, or says that the suite could not be started.
pub(crate) fn run() -> ExitCode {
    launch().unwrap_or_else(|problem| {
        // If stderr is closed, the exit code still says it.
        let _ = writeln!(io::stderr(), "xtask: {problem}");
        ExitCode::from(EXIT_ENVIRONMENT)
    })
}

/// Returns the suite's exit code (on unix only when the suite could not be started), or what is lacking.
fn launch() -> Result<ExitCode, String> {
    let exe =
        env::current_exe().map_err(|error| format!("failed to find the launcher's own file: {error}"))?;
    let args = env::args_os().skip(1).collect::<Vec<_>>();
    let place = Place::find(&package_dir(), &exe, Program::of(&args))
        .ok_or_else(|| format!("{} is not in a target folder; use `cargo xtask`", exe.display()))?;
    let environment = Environment::current();
    let conditions = environment.conditions(&place);
    let stamp = place.binary.with_extension("stamp");
    let found = fs::read_to_string(&stamp).unwrap_or_default();
    if !stamp::holds(&found, &conditions) {
        // Where it cannot be removed it cannot mislead either: it names the old program's time and size.
        let _ = fs::remove_file(&stamp);
        let start = exe.parent().and_then(stamp::now);
        // A program that only cargo can vouch for is not kept in the store.
        let may_be_kept = found != stamp::ONLY_CARGO_KNOWS;
        let store = if may_be_kept { Store::open(&place, &environment) } else { None };
        let taken = store.as_ref().and_then(|store| store.take(&place.binary));
        let is_taken = taken.is_some();
        let inputs = match taken {
            Some(files) => Some(Inputs { files, only_here: false }),
            None => build::run(&place, &environment)?,
        };
        let new = start
            .zip(inputs.as_ref())
            .and_then(|(start, inputs)| stamp::make(&place, &environment, &conditions, start, &inputs.files));
        // A stamp that cannot be written costs the next call a question to cargo, and what goes wrong with the store costs
        // a build: neither is worth a word.
        let _ = put(&stamp, new.as_deref().unwrap_or(stamp::ONLY_CARGO_KNOWS).as_bytes());
        // Without a stamp something may have changed during the build.
        if let (Some(_), Some(Inputs { files, only_here: false }), false) = (new, inputs, is_taken) {
            if let Some(store) = store.or_else(|| Store::open(&place, &environment)) {
                store.keep(&place.binary, &files);
            }
        }
    }
    let mut suite = Command::new(&place.binary);
    suite.args(args).env("XTASK_SUITE_ROOT", &place.root).env("XTASK_LAUNCHER", &exe);
    become_suite(suite).map_err(|error| format!("failed to start {}: {error}", place.binary.display()))
}

/// The folder of the launcher's package: as `cargo run` says, because a checkout may have moved since this was
/// compiled, unless the variables are those of another package whose program started us.
fn package_dir() -> PathBuf {
    let is_ours = env::var_os("CARGO_PKG_NAME").as_deref() == Some(OsStr::new(env!("CARGO_PKG_NAME")));
    let at_run_time = env::var_os("CARGO_MANIFEST_DIR").filter(|_| is_ours).map(PathBuf::from);
    at_run_time.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned())
}

/// Replaces this process, so that signals, the terminal and the exit code are the suite's own.
#[cfg(unix)]
fn become_suite(mut suite: Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(suite.exec())
}

/// Waits for the suite and passes its exit code on.
#[cfg(not(unix))]
fn become_suite(mut suite: Command) -> io::Result<ExitCode> {
    let code = suite.status()?.code();
    // Windows knows codes above 255 (a crash is one); what matters of them here is that they are not 0.
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
