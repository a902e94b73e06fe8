//! `cargo xtask` alone: where things stand, and what to do next.

use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::Result;
use serde::Serialize;
use xtask_tiers::{LedgerLine, ledger};
use xtask_units::inventory::occupied;
use xtask_workspace::config::{Place, Tier};

use crate::context::Context;
use crate::exit::Exit;
use crate::shell::{count, seconds};

/// A target dir of hundreds of gigabytes takes minutes to add up; an overview may not.
const MEASURE: Duration = Duration::from_millis(800);

/// The overview.
#[derive(Serialize)]
struct Overview {
    root: String,
    members: usize,
    tiers: Vec<TierState>,
    target_bytes: u64,
    /// Whether there was more to add up than time.
    target_bytes_at_least: bool,
    next: String,
}

#[derive(Serialize)]
struct TierState {
    name: String,
    about: String,
    last: Option<LedgerLine>,
}

/// Shows it.
pub(super) fn run(context: &Context) -> Result<Exit> {
    let runs = ledger(&context.workspace)?;
    let last = |tier: &Tier| runs.iter().rev().find(|run| run.tier == tier.name).cloned();
    let tiers = context
        .config
        .tiers
        .iter()
        .map(|tier| TierState { name: tier.name.clone(), about: tier.about.clone(), last: last(tier) })
        .collect::<Vec<_>>();
    let occupied = occupied(&context.workspace, MEASURE);
    let overview = Overview {
        root: context.workspace.root().to_string(),
        members: context.workspace.facts.members().count(),
        next: next(&context.config.tiers, &runs),
        tiers,
        target_bytes: occupied.bytes,
        target_bytes_at_least: !occupied.whole,
    };
    if context.shell.json() {
        context.shell.document(&overview)?;
    } else {
        show(context, &overview);
    }
    Ok(Exit::Done)
}

fn show(context: &Context, overview: &Overview) {
    let shell = context.shell;
    shell.result(&format!("{} ({})", overview.root, count(overview.members, "member")));
    let width = overview.tiers.iter().map(|tier| tier.name.len()).max().unwrap_or(0);
    for tier in &overview.tiers {
        let state = match &tier.last {
            None => "never run here".to_owned(),
            Some(run) => {
                let (word, colour) =
                    if run.success { ("ok", AnsiColor::Green) } else { ("failed", AnsiColor::Red) };
                let tests = run.tests.passed + run.tests.failed;
                let tests = if tests > 0 { format!(", {}", count(tests, "test")) } else { String::new() };
                format!("{} in {}{tests}", shell.paint(word, colour), seconds(run.compile_ms + run.run_ms))
            }
        };
        shell.result(&format!("  {:width$}  {state}", tier.name));
    }
    let at_least = if overview.target_bytes_at_least { "more than " } else { "" };
    let size = crate::shell::bytes(overview.target_bytes);
    shell.result(&format!("target dir: {at_least}{size}"));
    shell.result(&format!("next: {}", overview.next));
}

fn next(tiers: &[Tier], runs: &[LedgerLine]) -> String {
    let daily = tiers
        .iter()
        .filter(|tier| tier.place != Place::Ci && matches!(tier.command.name(), "test"))
        .collect::<Vec<_>>();
    let last = |name: &str| runs.iter().rev().find(|run| run.tier == name);
    let run = |tier: &Tier, why: &str| format!("cargo xtask {}  ({why})", tier.name);
    if let Some(tier) = daily.iter().find(|tier| last(&tier.name).is_some_and(|run| !run.success)) {
        return run(tier, "it failed last time");
    }
    if let Some(tier) = daily.iter().find(|tier| last(&tier.name).is_some_and(|run| run.over_budget)) {
        return format!("cargo xtask {} --forecast  (it was over its budget)", tier.name);
    }
    let never = daily.iter().find(|tier| last(&tier.name).is_none());
    match (never, daily.first()) {
        (Some(tier), _) => run(tier, "it never ran here"),
        (None, Some(tier)) => run(tier, "after the next edit"),
        (None, None) => "cargo xtask --help".to_owned(),
    }
}
