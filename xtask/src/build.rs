//! Asking cargo for a current program of the suite.
//!
//! Invariant: nobody waits in silence, and a check that finds nothing to do prints nothing. Cargo's output goes to
//! stderr; stdin and stdout are the suite's.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use crate::environment::Environment;
use crate::inputs::Inputs;
use crate::place::{PROFILE, Place, Program};

/// Returns once cargo says that the program is current, with what went into it; else what failed and what to do about it.
pub(crate) fn run(place: &Place, environment: &Environment) -> Result<Option<Inputs>, String> {
    let mut cargo = command(place, environment);
    let shown = paste_able(place, &cargo);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let is_first = !place.binary.exists();
    if is_first {
        let (what, time) = match place.program {
            Program::Daily => ("the suite", "half a minute"),
            Program::Workshop => ("the suite's second program, which has this command", "ten seconds"),
        };
        let _ = writeln!(io::stderr(), "xtask: building {what}: the first time takes about {time}");
    } else {
        cargo.stderr(Stdio::piped());
        // Through a pipe cargo would drop its colours; the user's own choice counts more.
        let chosen = ["CARGO_TERM_COLOR", "NO_COLOR"].iter().any(|name| environment.get(name).is_some());
        if io::stderr().is_terminal() && !chosen {
            cargo.env("CARGO_TERM_COLOR", "always");
        }
    }
    let mut messages = String::new();
    let ended = cargo.spawn().and_then(|mut child| {
        // Cargo's exit status says what matters, even when its output cannot be passed on.
        let relayed = child
            .stderr
            .take()
            .map(|output| thread::spawn(move || drop(relay(BufReader::new(output), &mut io::stderr()))));
        if child.stdout.take().map_or(true, |mut output| output.read_to_string(&mut messages).is_err()) {
            messages.clear();
        }
        relayed.map(thread::JoinHandle::join);
        child.wait()
    });
    match ended {
        Err(error) => Err(format!(
            "failed to start cargo, which builds the suite: {error}\n  command: {shown}\n  \
             next: install Rust from https://rustup.rs, or unset CARGO if it names a cargo that is gone"
        )),
        Ok(status) if !status.success() => {
            Err(format!("failed to build the suite: cargo ended with {status}\n  command: {shown}"))
        }
        Ok(_) if !place.binary.exists() => {
            let binary = place.binary.display();
            Err(format!("cargo built the suite, but not as {binary}\n  command: {shown}"))
        }
        Ok(_) => Ok(Inputs::read(&messages, place)),
    }
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
    if place.tasks.is_some() {
        cargo.envs(bare(place, environment));
    }
    // Cargo says everything for people on stderr.
    cargo.stdin(Stdio::null()).stdout(Stdio::piped());
    cargo
}

/// What voids another workspace's flags, wrapper and linker, which may be for a device, or missing on a new machine. `env`
/// starts rustc and nothing else, and `cc` is what rustc calls by default.
fn bare(place: &Place, environment: &Environment) -> Vec<(String, &'static str)> {
    let mut variables = vec![("CARGO_ENCODED_RUSTFLAGS".to_owned(), "")];
    if cfg!(unix) {
        variables.push(("RUSTC_WRAPPER".to_owned(), "env"));
    }
    let path = environment.get("PATH").unwrap_or_default();
    if let Some(triple) = place.triple.as_ref().filter(|_| cfg!(unix)) {
        let linker = format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace('-', "_"));
        let has_cc = env::split_paths(path).any(|dir| dir.join("cc").is_file());
        if has_cc && environment.get(&linker).is_none() {
            variables.push((linker, "cc"));
        }
    }
    variables
}

/// Passes cargo's lines on as they come, below a line of ours, unless it only says that it has finished.
pub(crate) fn relay(mut cargo: impl BufRead, out: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    let mut silent = true;
    while cargo.read_until(b'\n', &mut line)? > 0 {
        if silent && !String::from_utf8_lossy(&line).contains("Finished") {
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

pub(crate) fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
