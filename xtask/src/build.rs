//! Asking cargo for a current binary of the suite.
//!
//! Invariant: nobody waits in silence, and a check that finds nothing to do prints nothing. Cargo's output goes
//! to stderr; stdin and stdout are the suite's.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};

use crate::environment::Environment;
use crate::place::{PROFILE, Place};

/// Returns once cargo says that the binary is current; else what failed and what to do about it.
pub(crate) fn run(place: &Place, environment: &Environment) -> Result<(), String> {
    let mut cargo = command(place, environment);
    let shown = paste_able(place, &cargo);
    let could_not_start = |error: io::Error| {
        format!(
            "failed to start cargo, which builds the suite: {error}\n  command: {shown}\n  \
             next: install Rust from https://rustup.rs, or unset CARGO if it names a cargo that is gone"
        )
    };
    let status = if place.binary.exists() {
        color_as_on_our_stderr(&mut cargo, environment);
        let mut child = cargo.stderr(Stdio::piped()).spawn().map_err(could_not_start)?;
        if let Some(output) = child.stderr.take() {
            // Cargo's exit status says what matters, even when its output cannot be passed on.
            let _ = relay(BufReader::new(output), &mut io::stderr());
        }
        child.wait()
    } else {
        let what = place.program.described();
        let _ = writeln!(io::stderr(), "xtask: building {what}: the first time takes about half a minute");
        cargo.status()
    };
    let status = status.map_err(could_not_start)?;
    if !status.success() {
        return Err(format!("failed to build the suite: cargo ended with {status}\n  command: {shown}"));
    }
    if !place.binary.exists() {
        let binary = place.binary.display();
        return Err(format!("cargo built the suite, but not as {binary}\n  command: {shown}"));
    }
    Ok(())
}

/// In the workspace's folder, not the user's: the configuration that applies is always the same.
fn command(place: &Place, environment: &Environment) -> Command {
    let mut cargo = Command::new(environment.cargo());
    cargo.args(["build", "--manifest-path"]).arg(place.package.join("Cargo.toml"));
    cargo.args(["--profile", PROFILE, "--bin", place.program.name()]);
    if let Some(triple) = &place.triple {
        cargo.args(["--target", triple]);
    }
    cargo.arg("--target-dir").arg(&place.target_dir).current_dir(&place.workspace);
    for name in environment.added_by_cargo_run() {
        cargo.env_remove(name);
    }
    // The dep-info is then absolute, whatever `build.dep-info-basedir` says: no path lies below this one.
    cargo.env("CARGO_BUILD_DEP_INFO_BASEDIR", place.stamp.join("none"));
    cargo.stdin(Stdio::null()).stdout(our_stderr());
    cargo
}

/// What compilers print on stdout (`cargo build` itself says all on stderr). `Stdio::from(io::stderr())` is younger than
/// the compilers we allow.
#[cfg(unix)]
fn our_stderr() -> Stdio {
    use std::os::fd::AsFd;
    io::stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Nothing: what compilers print on stdout does not belong on the suite's.
#[cfg(not(unix))]
fn our_stderr() -> Stdio {
    Stdio::null()
}

/// Through a pipe cargo would drop its colours; the user's own choice goes first.
fn color_as_on_our_stderr(cargo: &mut Command, environment: &Environment) {
    let chosen = ["CARGO_TERM_COLOR", "NO_COLOR"].iter().any(|name| environment.get(name).is_some());
    if io::stderr().is_terminal() && !chosen {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
}

/// Passes cargo's lines on as they come, under a line of ours, unless all it says is that it has finished.
pub(crate) fn relay(mut cargo: impl BufRead, out: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    let mut silent = true;
    while cargo.read_until(b'\n', &mut line)? > 0 {
        let finished = String::from_utf8_lossy(&line).contains("Finished");
        if silent && !finished {
            writeln!(out, "xtask: bringing the suite up to date")?;
            silent = false;
        }
        if !silent {
            out.write_all(&line)?;
        }
        line.clear();
    }
    Ok(())
}

/// One line for a shell. In the folder, because cargo reads its configuration there.
fn paste_able(place: &Place, cargo: &Command) -> String {
    let words = std::iter::once(cargo.get_program()).chain(cargo.get_args()).map(quote);
    let command = words.collect::<Vec<_>>().join(" ");
    format!("cd {} && {command}", quote(place.workspace.as_os_str()))
}

#[cfg(unix)]
pub(crate) fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(not(unix))]
pub(crate) fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.contains(' ') { format!("\"{word}\"") } else { word.into() }
}
