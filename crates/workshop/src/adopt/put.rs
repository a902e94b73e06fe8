//! `adopt PATH` and `adopt --update`: they copy from the clone that this program was built in.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use clap::ArgMatches;
use serde::Serialize;
use serde_json::json;
use xtask_adopt::{
    AdoptOptions, AdoptPlan, Existing, Host, How, Source, Update, takes_lock_file, unchanged_but_for,
};
use xtask_edit::Edit;
use xtask_suite::program::{Ended, bytes, seconds};
use xtask_suite::{Exit, Shell};
use xtask_units::inventory::Inventory;
use xtask_units::{cores, holding_signals, whole_milliseconds};
use xtask_workspace::{CargoCommand, Environment, Facts, Outline, shell_quote};

use super::{begin, changes, diff, list, size};

/// Adopts, or brings up to date, in the workspace around `dir`.
pub(super) fn adopt(
    arguments: &ArgMatches,
    dir: &Utf8Path,
    environment: &Environment,
    shell: &Shell,
) -> Result<Ended> {
    let source = Source::find(environment)?;
    let options = options(arguments, &source);
    // From here on no other process of the suite changes anything there; what one has just done is seen.
    let transaction = if arguments.get_flag("dry-run") {
        None
    } else {
        Some(begin(&Outline::of(dir, environment)?.facts.root, shell)?)
    };
    let host = Host::inspect(dir, environment)?;
    let plan = xtask_adopt::plan(&host, &source, &options, environment)?;
    for note in &plan.notes {
        shell.note(note);
    }
    let Some(transaction) = transaction else {
        show(&plan, None, true, shell)?;
        return Ok(Exit::Done.into());
    };
    let (root, facts) = (&plan.root, &host.outline.facts);
    let mut costs = None;
    if !plan.edits.is_empty() {
        let locked = root.join("Cargo.lock").is_file() && takes_lock_file(facts, environment)?;
        // A signal meanwhile is acted on when all of it is done, or taken back.
        let (done, signal) = holding_signals(|came| {
            transaction.commit(&plan.edits, || {
                unchanged_but_for(plan.launcher, facts, locked, environment)?;
                if came().is_some() {
                    bail!("interrupted");
                }
                Ok(())
            })
        })?;
        if signal.is_some() {
            return Ok(Ended::new(Exit::Failed, signal));
        }
        done.with_context(|| format!("nothing was adopted in {root}"))?;
        if !arguments.get_flag("no-build") {
            shell.note(&format!(
                "the suite is in {root}; it is built there once, to see that it starts and what it costs (--undo takes it out)"
            ));
            costs = Some(measure(root, facts, environment).or_else(|error| {
                let back = plan.edits.iter().rev().map(|Edit { path, before, after }| Edit {
                    path: path.clone(),
                    before: after.clone(),
                    after: before.clone(),
                });
                let taken_back = transaction.commit(&back.collect::<Vec<_>>(), || Ok(()));
                taken_back
                    .with_context(|| format!("{error:#}\n  and what was adopted could not be taken back"))?;
                // Only if nothing else is in it.
                let _ = std::fs::remove_dir(root.join(".cargo"));
                Err(error.context(format!(
                    "nothing was adopted in {root}: the suite does not start there\n  \
                     next: mend that, or adopt with --no-build and mend it afterwards"
                )))
            })?);
        }
    }
    show(&plan, costs.as_ref(), false, shell)?;
    Ok(Exit::Done.into())
}

fn options(arguments: &ArgMatches, source: &Source) -> AdoptOptions {
    let text = |name: &str| arguments.get_one::<String>(name).cloned();
    let how = match (text("git"), text("rev")) {
        (Some(url), Some(rev)) => Some(How::Git { url, rev }),
        _ if arguments.get_flag("from-path") => Some(How::Path { path: source.root.clone() }),
        _ if arguments.get_flag("vendor") => Some(How::vendored(source)),
        _ => None,
    };
    AdoptOptions {
        how,
        existing: if arguments.get_flag("merge") { Existing::Merge } else { Existing::Refuse },
        update: match (arguments.get_flag("update"), arguments.get_flag("discard-changes")) {
            (_, true) => Update::DiscardChanges,
            (true, false) => Update::Replace,
            (false, false) => Update::Keep,
        },
    }
}

/// What is or would be done, and what to do next.
fn show(plan: &AdoptPlan, costs: Option<&Costs>, dry_run: bool, shell: &Shell) -> Result<()> {
    let AdoptPlan { root, launcher, how, edits, notes } = plan;
    let grown = |edit: &Edit| {
        let bytes = |node: &Option<_>| node.as_ref().map_or(0, |node| size(node).1);
        bytes(&edit.after).saturating_sub(bytes(&edit.before))
    };
    // What the suite and the settings take in the repository.
    let repository_bytes = edits.iter().map(grown).sum::<u64>();
    if shell.json() {
        return shell.document(&json!({
            "root": root, "launcher": launcher, "how": how, "notes": notes, "changes": changes(edits),
            "repository_bytes": repository_bytes, "costs": costs,
        }));
    }
    if dry_run {
        for edit in edits {
            shell.result(diff(edit).trim_end());
        }
    }
    list(edits, shell);
    if edits.is_empty() {
        shell.result(&format!("nothing to change: {root} has the suite, {}", how.describe()));
        return Ok(());
    }
    if dry_run {
        shell.result(&format!("{root} would get the suite {}; nothing was changed", how.describe()));
        return Ok(());
    }
    if let Some(costs) = costs {
        shell.result(&format!(
            "costs: first build {}, then {} ms per call; {} in the repository, {} in the target dir",
            seconds(costs.first_build_ms),
            costs.call_ms,
            bytes(repository_bytes),
            bytes(costs.target_bytes)
        ));
    }
    if matches!(how, How::Path { .. }) {
        shell
            .note("the suite is built from a clone on this machine: `cargo xtask` works on no other machine");
    }
    shell.result(&format!("next: cd {} && cargo xtask test-fast", shell_quote(root.as_str())));
    Ok(())
}

/// How many calls are timed after the first; an odd number has a median.
const CALLS: usize = 5;

/// The costs of calling the suite in a workspace.
#[derive(Debug, Serialize)]
struct Costs {
    /// From the first call to its answer, in milliseconds: cargo builds the launcher, and the launcher the suite.
    first_build_ms: u64,
    /// The median of later calls, in milliseconds, with cargo's own part.
    call_ms: u64,
    /// What was built for it in the target dir, in bytes.
    target_bytes: u64,
}

/// Calls `cargo xtask --version` in `root` until nothing is left to build. The build shows itself on stderr.
fn measure(root: &Utf8Path, facts: &Facts, environment: &Environment) -> Result<Costs> {
    let Facts { target_dir, host, .. } = facts;
    let first_build = call(root, environment)?;
    // The second call finds files of the first build's own second; the ones after it are as all later ones.
    call(root, environment)?;
    let mut calls = (0..CALLS).map(|_| call(root, environment)).collect::<Result<Vec<_>>>()?;
    calls.sort_unstable();
    // The launcher and its profile; the suite.
    let built = [&format!("{host}/xtask"), "xtask", "xtask-suite"].map(|folder| target_dir.join(folder));
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
    let mut process = command.to_command(environment);
    process.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = process.output().context("failed to start cargo")?;
    if !output.status.success() {
        bail!(
            "cargo ended with {}\n  command: cd {} && {command}",
            output.status,
            shell_quote(root.as_str())
        );
    }
    Ok(start.elapsed())
}
