//! What the adopted suite costs: measured, there and now.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use serde::Serialize;
use xtask_units::inventory::Inventory;
use xtask_units::{cores, whole_milliseconds};
use xtask_workspace::{CargoCommand, Environment};

/// Calls that are timed after the first; an odd number has a middle one.
const CALLS: usize = 5;

/// The costs of calling the suite in a workspace.
#[derive(Debug, Serialize)]
pub(super) struct Costs {
    /// From the first call to its answer, in milliseconds: cargo builds the launcher, and the launcher the suite.
    pub first_build_ms: u64,
    /// The median of later calls, in milliseconds, with cargo's own part.
    pub call_ms: u64,
    /// What was built for it in the target dir, in bytes.
    pub target_bytes: u64,
}

/// Calls `cargo xtask --version` in `root` until nothing is left to build. The build shows itself on standard
/// error. Fails with the command when it does.
pub(super) fn measure(root: &Utf8Path, target_dir: &Utf8Path, environment: &Environment) -> Result<Costs> {
    let first_build = call(root, environment)?;
    // The second call finds files of the first build's own second; the ones after it are as all later ones.
    call(root, environment)?;
    let mut calls = (0..CALLS).map(|_| call(root, environment)).collect::<Result<Vec<_>>>()?;
    calls.sort_unstable();
    // The launcher and its profile; the suite.
    let built = ["xtask", "xtask-suite"].map(|folder| target_dir.join(folder));
    let target_bytes = built.iter().map(|dir| Inventory::read(dir, dir, cores()).total_bytes()).sum();
    Ok(Costs {
        first_build_ms: whole_milliseconds(first_build),
        call_ms: whole_milliseconds(calls[CALLS / 2]),
        target_bytes,
    })
}

fn call(root: &Utf8Path, environment: &Environment) -> Result<Duration> {
    let command = CargoCommand::new(root, ["xtask", "--version"]);
    let start = Instant::now();
    let mut process: Command = command.to_command(environment);
    let output =
        process.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("failed to start cargo")?;
    if !output.status.success() {
        bail!(
            "the suite is in place, but it does not start: cargo ended with {}\n  command: cd {} && {command}",
            output.status,
            xtask_workspace::shell_quote(root.as_str())
        );
    }
    Ok(start.elapsed())
}
