//! From the call of the launcher to the suite's start.
//!
//! Invariant: a binary that is out of date is never started, and one known to be current is started without
//! asking cargo, which would cost every call tens of milliseconds. Where it cannot know, it asks cargo.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::environment::Environment;
use crate::place::Place;
use crate::program::Program;
use crate::stamp::{Moment, Stamp};
use crate::store::Store;
use crate::{build, inputs};

/// The environment lacks something required; the suite uses the same code for it.
const EXIT_ENVIRONMENT: u8 = 3;

/// All that the launcher does: its exit code is the suite's, or says that the suite could not be started.
pub(crate) fn run() -> ExitCode {
    launch().unwrap_or_else(|problem| {
        // With stderr closed there is nobody left to tell; the exit code still says it.
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
        .ok_or_else(|| format!("{} lies in no target folder; use `cargo xtask`", exe.display()))?;
    let environment = Environment::current();
    let conditions = environment.conditions(&place);
    if !Stamp::read(&place.stamp).is_some_and(|stamp| stamp.holds(&conditions)) {
        // Where it cannot be removed it cannot mislead either: it names the old binary's time and size.
        let _ = std::fs::remove_file(&place.stamp);
        bring_up_to_date(&place, &environment, conditions)?;
    }
    let mut suite = Command::new(&place.binary);
    suite.args(args).env("XTASK_SUITE_ROOT", &place.root).env("XTASK_LAUNCHER", &exe);
    become_suite(suite).map_err(|error| format!("failed to start {}: {error}", place.binary.display()))
}

/// Takes the program from the store, or has cargo build it and puts it there. Nothing that goes wrong with the store
/// or the stamp is worth a word: it only costs time.
fn bring_up_to_date(place: &Place, environment: &Environment, conditions: String) -> Result<(), String> {
    let start = Moment::now(&place.launcher_dir);
    let store = Store::open(place, environment);
    let taken = store.as_ref().and_then(|store| store.take(&place.binary));
    let is_taken = taken.is_some();
    let sources = if is_taken {
        taken
    } else {
        build::run(place, environment)?;
        inputs::sources(place)
    };
    let stamp = match (start, &sources) {
        (Some(start), Some(sources)) => inputs::stamp(place, environment, conditions, start, sources),
        _ => None,
    };
    // Without a stamp something may have changed while it was built.
    if let (Some(stamp), Some(sources)) = (stamp, sources) {
        // A stamp that cannot be written costs the next call a question to cargo, nothing else.
        let _ = stamp.write(&place.stamp);
        if let (Some(store), false) = (store, is_taken) {
            store.keep(&place.binary, &sources);
        }
    }
    Ok(())
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
