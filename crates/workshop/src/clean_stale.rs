//! `cargo xtask clean-stale`: removes what nothing needs.

use std::collections::BTreeMap;
use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::{Result, bail};
use clap::ArgMatches;
use xtask_suite::program::{Context, Ended, bytes, count, seconds};
use xtask_suite::{Exit, Shell};
use xtask_sweep::{Cost, Failure, LiveCommand, Skipped, SweepOptions, SweepPlan, SweepReport, left, verify};
use xtask_tiers::build_commands;
use xtask_units::{cores, now_ms, whole_milliseconds};
use xtask_workspace::config::{FILE_NAME, Place, Sweep, Tier};
use xtask_workspace::{CargoCommand, WrongUsage};

use crate::disk::share;

/// The profile of the launcher and the suite.
const OWN_PROFILE: &str = "xtask";
/// How many reasons are listed after a sweep; a dry run lists all.
const REASONS: usize = 5;
/// How many things that were left alone are listed, and how many failures.
const LISTED: usize = 10;

/// Sweeps, or shows what a sweep would do.
pub(super) fn run(context: &Context, arguments: &ArgMatches) -> Result<Ended> {
    let (shell, workspace) = (context.shell, &context.workspace);
    workspace.check_wrappers()?;
    let mut policy = context.config.sweep.clone();
    if let Some(grace) = arguments.get_one::<Duration>("grace") {
        policy.grace = *grace;
    }
    let now_ms = now_ms();
    let since_ms = now_ms.saturating_sub(whole_milliseconds(policy.grace));
    let commands = needed(context, &policy, since_ms)?;
    let mut apart = BTreeMap::new();
    if workspace.facts.member("xtask-suite").is_none() {
        apart.insert(OWN_PROFILE.to_owned(), "the suite's own build".to_owned());
    }
    let options = SweepOptions {
        commands: commands.clone(),
        elsewhere: of_tiers(context, since_ms, |is_needed| !is_needed)?,
        apart,
        policy,
        exe: context.exe.clone(),
        confirmed: arguments.get_flag("yes"),
        now_ms,
        jobs: cores(),
    };
    let plan = options.plan(workspace, shell)?;
    check_keep(&plan)?;
    if arguments.get_flag("dry-run") {
        show_plan(shell, &plan)?;
        return Ok(Exit::from_success(!plan.incomplete).into());
    }
    show_reasons(shell, &plan, REASONS);
    let baseline = arguments.get_flag("verify").then(|| plan.baseline(workspace));
    let mut report = plan.execute(shell);
    xtask_units::forget_plans(workspace);
    let verified =
        baseline.map(|baseline| verify(workspace, &commands, &baseline, &context.exe, &mut report, shell));
    let signal = verified.transpose()?.flatten();
    report.left_bytes = left(workspace)?;
    show_report(shell, &report)?;
    Ok(Ended::new(Exit::from_success(report.success()), signal))
}

/// Why a command counts that `keep` names.
const KEPT: &str = "[sweep] keep";

/// Fails as wrong usage for a command of `keep` that cannot be planned where all others can: nothing would go, this time and
/// any other.
fn check_keep(plan: &SweepPlan) -> Result<()> {
    let failed = || plan.commands.iter().filter_map(|planned| Some((planned, planned.error.as_ref()?)));
    if failed().any(|(planned, _)| planned.because != KEPT) {
        return Ok(());
    }
    let Some((planned, error)) = failed().next() else { return Ok(()) };
    bail!(WrongUsage(format!(
        "`keep` under [sweep] in {FILE_NAME} has `{}`, whose units cannot be found out: {error}\n  \
         next: write a command that builds what is to stay, or leave it out",
        planned.command
    )))
}

/// The commands whose units stay: of every tier of this place, of plain cargo, of editors, of `keep`, and of the suite's
/// own build.
fn needed(context: &Context, policy: &Sweep, since_ms: u64) -> Result<Vec<LiveCommand>> {
    let workspace = &context.workspace;
    let facts = &workspace.facts;
    let mut commands = of_tiers(context, since_ms, |is_needed| is_needed)?;
    let mut add = |args: &[&str], because: &str| {
        let command = CargoCommand::new(workspace.root(), args.iter().copied());
        commands.push(LiveCommand { command, because: because.to_owned() });
    };
    add(&["build", "--workspace"], "cargo build");
    add(&["check", "--workspace", "--all-targets"], "cargo check");
    if facts.default_members.len() < facts.members().count() {
        // Without `--workspace` other features may be on.
        add(&["build"], "cargo build");
    }
    if facts.member("xtask-suite").is_some() {
        for package in ["xtask", "xtask-suite"] {
            add(&["build", "--profile", OWN_PROFILE, "--package", package], "the suite's own build");
        }
    }
    let keep = policy.keep.iter().cloned();
    commands.extend(keep.map(|command| LiveCommand { command, because: KEPT.to_owned() }));
    Ok(commands)
}

/// The commands of the tiers that are needed here, or are not: one of CI is, where a person ran it since `since_ms`.
fn of_tiers(context: &Context, since_ms: u64, chosen: fn(bool) -> bool) -> Result<Vec<LiveCommand>> {
    let workspace = &context.workspace;
    let in_ci = workspace.environment.get("CI").is_some();
    let runs = xtask_tiers::ledger(workspace).unwrap_or_default();
    let ran = |tier: &Tier| runs.iter().any(|run| run.tier == tier.name && run.started_at_ms >= since_ms);
    let is_needed = |tier: &Tier| in_ci || tier.place != Place::Ci || ran(tier);
    let mut commands = Vec::new();
    for tier in context.config.tiers.iter().filter(|tier| chosen(is_needed(tier))) {
        let preset = tier.preset.as_deref().map(|preset| context.preset(preset)).transpose()?;
        for command in build_commands(workspace, tier, preset, since_ms) {
            commands.push(LiveCommand { command, because: format!("tier `{}`", tier.name) });
        }
    }
    Ok(commands)
}

fn show_plan(shell: &Shell, plan: &SweepPlan) -> Result<()> {
    shell.result(&format!("{:<20} {:>12} {:>12}", "", "there", "stale"));
    for share in &plan.kinds {
        let (total, stale) = (bytes(share.total_bytes), bytes(share.stale_bytes));
        shell.result(&format!("{:<20} {total:>12} {stale:>12}", share.kind.name()));
    }
    for planned in &plan.commands {
        let (units, command) = (planned.units, &planned.command);
        shell.detail(&format!("needed: {units} units of `{command}` ({})", planned.because));
    }
    show_reasons(shell, plan, usize::MAX);
    if !plan.largest.is_empty() {
        shell.result("largest:");
    }
    for largest in &plan.largest {
        let root = plan.target_dir.parent().unwrap_or(&plan.target_dir);
        let path = largest.path.strip_prefix(root).unwrap_or(&largest.path).display();
        shell.result(&format!("{:>12}  {path}: {}", bytes(largest.bytes), largest.why));
    }
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

/// Why things go, the largest first, and what only the grace time keeps.
fn show_reasons(shell: &Shell, plan: &SweepPlan, most: usize) {
    if !plan.reasons.is_empty() {
        shell.result("why:");
    }
    for reason in plan.reasons.iter().take(most) {
        let cost = reason.compile_ms.map(|ms| format!("; to compile again: {}", seconds(ms)));
        let why = format!("{}{}", reason.why, cost.unwrap_or_default());
        shell.result(&share(reason.bytes, &why, reason.units));
    }
    if plan.reasons.len() > most {
        shell.result(&format!("{:>12}  and {} more (--dry-run lists all)", "", plan.reasons.len() - most));
    }
    if plan.recent_units > 0 {
        let (units, bytes) = (count(plan.recent_units, "unit"), bytes(plan.recent_bytes));
        shell.note(&format!(
            "{units} ({bytes}) stay because they were built recently; `--grace 0` removes them"
        ));
    }
}

/// The first of a list, a line each.
fn list<T>(things: &[T], show: impl Fn(&str), line: impl Fn(&T) -> String, what: &str) {
    things.iter().take(LISTED).for_each(|thing| show(&line(thing)));
    if things.len() > LISTED {
        show(&format!("{} more {what} (--json lists all)", things.len() - LISTED));
    }
}

fn show_left_alone(shell: &Shell, skipped: &[Skipped]) {
    let line = |Skipped { what, why }: &Skipped| format!("left alone: {what}: {why}");
    list(skipped, |line| shell.note(line), line, "left alone");
}

fn show_cost(shell: &Shell, cost: Option<&Cost>) {
    let Some(cost) = cost else { return };
    let most = bytes(cost.max_size);
    if cost.units > 0 {
        let (units, time) = (count(cost.recompiled_units, "unit"), seconds(cost.recorded_ms));
        shell.result(&format!(
            "max-size {most}: {units} needed will be compiled again, about {time} of one core"
        ));
    }
    if cost.left_bytes > cost.max_size {
        let left = bytes(cost.left_bytes);
        shell.warning(&format!(
            "{left} are left, more than max-size = {most}: the rest belongs to no needed unit"
        ));
    }
}

fn show_report(shell: &Shell, report: &SweepReport) -> Result<()> {
    show_left_alone(shell, &report.skipped);
    let line = |failure: &Failure| format!("failed to remove {}: {}", failure.path.display(), failure.error);
    list(&report.errors, |line| shell.warning(line), line, "could not be removed");
    show_cost(shell, report.max_size.as_ref());
    let mut parts = vec![
        format!("{} freed, {} left", bytes(report.freed_bytes), bytes(report.left_bytes)),
        format!("{} removed, {} kept", count(report.removed_units, "unit"), report.kept_units),
    ];
    if !report.errors.is_empty() {
        parts.push(format!("{} could not be removed", report.errors.len()));
    }
    if report.incomplete {
        parts.push("not everything could be determined (see above)".to_owned());
    }
    if let Some(verified) = &report.verified {
        for unit in &verified.recompiled {
            shell.warning(&format!("recompiled: {unit}"));
        }
        for command in &verified.failed {
            shell.note(&format!("failed: {command}"));
        }
        if !verified.unbuilt.is_empty() {
            let commands = verified.unbuilt.join("`, `");
            shell.note(&format!(
                "not verified, because not all they need was built here before: `{commands}`"
            ));
        }
        parts.push(format!("{} recompiled", count(verified.recompiled.len(), "unit")));
        if verified.built_units > 0 {
            parts.push(format!("{} more compiled, which were not up to date before", verified.built_units));
        }
    }
    let (word, colour) = if report.success() { ("ok", AnsiColor::Green) } else { ("failed", AnsiColor::Red) };
    shell.result(&format!("clean-stale {}: {}", shell.paint(word, colour), parts.join("; ")));
    if shell.json() { shell.document(report) } else { Ok(()) }
}
