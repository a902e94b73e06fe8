//! `cargo xtask clean-stale`: what nothing needs goes.

mod needed;

use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::Result;
use camino::Utf8Path;
use clap::ArgMatches;
use xtask_sweep::{Cost, SavedPlan, Skipped, SweepOptions, SweepPlan, SweepReport, unmarked, verify};
use xtask_units::{cores, now_ms, whole_milliseconds};

use crate::disk::share;
use xtask_suite::program::{Context, Ended, bytes, count, seconds};
use xtask_suite::{Exit, Shell};

/// So many reasons are named after a sweep; a dry run names all.
const REASONS: usize = 5;
/// So many things that were left alone are named, and so many failures.
const NAMED: usize = 10;

/// Sweeps, or says what a sweep would do. `dir` is where paths on the command line start.
pub(super) fn run(context: &Context, arguments: &ArgMatches, dir: &Utf8Path) -> Result<Ended> {
    let (shell, workspace) = (context.shell, &context.workspace);
    let mut policy = context.config.sweep.clone();
    if let Some(grace) = arguments.get_one::<Duration>("grace") {
        policy.grace = *grace;
    }
    let file = |name: &str| arguments.get_one::<String>(name).map(|path| dir.join(path));
    let now_ms = now_ms();
    let since_ms = now_ms.saturating_sub(whole_milliseconds(policy.grace));
    let needed = needed::commands(context, &policy, since_ms)?;
    let commands = needed.commands.clone();
    let options = SweepOptions {
        commands: needed.commands,
        apart: needed.apart,
        policy,
        exe: context.exe.clone(),
        confirmed: arguments.get_flag("yes") || confirmed(context)?,
        now_ms,
        jobs: cores(),
        saved: file("apply").map(|path| SavedPlan::read(&path)).transpose()?,
    };
    let plan = options.plan(workspace, shell)?;
    if arguments.get_flag("dry-run") {
        if let Some(path) = file("save") {
            plan.saved().write(&path)?;
        }
        show_plan(shell, &plan)?;
        return Ok(Exit::from_success(!plan.incomplete).into());
    }
    show_reasons(shell, &plan, REASONS);
    show_recent(shell, &plan);
    let verified = arguments.get_flag("verify");
    let plan = if verified { plan.to_be_verified(workspace) } else { plan };
    let mut report = plan.execute(shell);
    xtask_units::forget_plans(workspace);
    let mut signal = None;
    if verified {
        signal = verify(workspace, &commands, &mut report, shell)?;
    }
    show_report(shell, &report)?;
    Ok(Ended::new(Exit::from_success(report.success()), signal))
}

/// Asks, on a terminal, whether a dir that cargo has not marked is cargo's.
fn confirmed(context: &Context) -> Result<bool> {
    let dirs = unmarked(&context.workspace);
    let Some(dir) = dirs.first() else { return Ok(true) };
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{dir} has no CACHEDIR.TAG of cargo's. Is everything in it cargo's? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

fn show_plan(shell: &Shell, plan: &SweepPlan) -> Result<()> {
    if !plan.kinds.is_empty() {
        shell.result(&format!("{:<20} {:>12} {:>12}", "", "there", "stale"));
    }
    for share in &plan.kinds {
        let (total, stale) = (bytes(share.total_bytes), bytes(share.stale_bytes));
        shell.result(&format!("{:<20} {total:>12} {stale:>12}", share.kind.name()));
    }
    show_reasons(shell, plan, usize::MAX);
    if !plan.largest.is_empty() {
        shell.result("largest:");
    }
    for largest in &plan.largest {
        let path = shown(&largest.path, &plan.target_dir);
        shell.result(&format!("{:>12}  {path}: {}", bytes(largest.bytes), largest.why));
    }
    for planned in &plan.commands {
        shell.detail(&format!(
            "needed: {} units of `{}` ({})",
            planned.units, planned.command, planned.because
        ));
    }
    show_recent(shell, plan);
    show_left_alone(shell, &plan.skipped);
    show_cost(shell, plan.max_size.as_ref());
    shell.result(&format!(
        "clean-stale: {} of {} would go, {} of {}",
        bytes(plan.stale_bytes),
        bytes(plan.total_bytes),
        plan.stale_units,
        count(plan.stale_units + plan.kept_units, "unit"),
    ));
    if shell.json() { shell.document(plan) } else { Ok(()) }
}

/// Why things go, those first that take the most.
fn show_reasons(shell: &Shell, plan: &SweepPlan, most: usize) {
    if !plan.reasons.is_empty() {
        shell.result("why:");
    }
    for reason in plan.reasons.iter().take(most) {
        shell.result(&share(reason.bytes, &reason.why, reason.units));
    }
    if plan.reasons.len() > most {
        shell.result(&format!("{:>12}  and {} more (--dry-run names all)", "", plan.reasons.len() - most));
    }
}

/// Whoever expected more to go learns what holds it back.
fn show_recent(shell: &Shell, plan: &SweepPlan) {
    if plan.recent_units > 0 {
        let (units, bytes) = (count(plan.recent_units, "unit"), bytes(plan.recent_bytes));
        shell.note(&format!(
            "{units} ({bytes}) stay because they were built lately; `--grace 0` takes them too"
        ));
    }
}

fn show_left_alone(shell: &Shell, skipped: &[Skipped]) {
    for skipped in skipped.iter().take(NAMED) {
        shell.note(&format!("left alone: {}: {}", skipped.what, skipped.why));
    }
    if skipped.len() > NAMED {
        shell.note(&format!("{} more left alone (--json names all)", skipped.len() - NAMED));
    }
}

fn show_cost(shell: &Shell, cost: Option<&Cost>) {
    let Some(cost) = cost else { return };
    if cost.units > 0 {
        let untimed =
            if cost.unpriced > 0 { format!(" ({} never timed)", cost.unpriced) } else { String::new() };
        shell.result(&format!(
            "max-size {}: {} needed will be compiled again, about {} of one core{untimed}",
            bytes(cost.max_size),
            count(cost.recompiled_units, "unit"),
            seconds(cost.recorded_ms),
        ));
    }
    if cost.left_bytes > cost.max_size {
        let (left, most) = (bytes(cost.left_bytes), bytes(cost.max_size));
        shell.warning(&format!(
            "{left} are left, more than max-size = {most}: the rest belongs to no needed unit"
        ));
    }
}

fn show_report(shell: &Shell, report: &SweepReport) -> Result<()> {
    show_left_alone(shell, &report.skipped);
    for failure in report.errors.iter().take(NAMED) {
        shell.warning(&format!("failed to remove {}: {}", failure.path.display(), failure.error));
    }
    if report.errors.len() > NAMED {
        shell.warning(&format!(
            "{} more could not be removed (--json names all)",
            report.errors.len() - NAMED
        ));
    }
    show_cost(shell, report.max_size.as_ref());
    if let Some(verified) = &report.verified {
        for unit in &verified.recompiled {
            shell.warning(&format!("recompiled: {unit}"));
        }
        for command in &verified.failed {
            shell.note(&format!("failed: {command}"));
        }
    }
    let (word, colour) = if report.success() { ("ok", AnsiColor::Green) } else { ("failed", AnsiColor::Red) };
    let mut parts = vec![
        format!("{} freed, {} left", bytes(report.freed_bytes), bytes(report.left_bytes)),
        format!("{} removed, {} kept", count(report.removed_units, "unit"), report.kept_units),
    ];
    if !report.errors.is_empty() {
        parts.push(format!("{} could not be removed", report.errors.len()));
    }
    if report.incomplete {
        parts.push("not everything could be told (see above)".to_owned());
    }
    if let Some(verified) = &report.verified {
        parts.push(format!("{} recompiled", count(verified.recompiled_units, "unit")));
        if verified.built_units > 0 {
            parts.push(format!("{} were not current before", verified.built_units));
        }
    }
    shell.result(&format!("clean-stale {}: {}", shell.paint(word, colour), parts.join("; ")));
    if shell.json() { shell.document(report) } else { Ok(()) }
}

fn shown(path: &Path, target_dir: &Utf8Path) -> String {
    let root = target_dir.parent().unwrap_or(target_dir);
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
