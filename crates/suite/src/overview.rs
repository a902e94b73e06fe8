//! `cargo xtask` alone: where things stand, and what to do next.

use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::Result;
use camino::Utf8Path;
use serde::Serialize;
use xtask_tiers::{LedgerLine, ledger};
use xtask_units::inventory::occupied;
use xtask_workspace::config::{Place, Tier, TierCommand};

use crate::context::Context;
use crate::shell::{Shell, bytes, count, seconds};

/// A target dir of hundreds of gigabytes takes minutes to add up; an overview may not.
const MEASURE: Duration = Duration::from_millis(800);

#[derive(Serialize)]
struct Overview<'a> {
    root: &'a Utf8Path,
    members: usize,
    tiers: Vec<TierState<'a>>,
    target_bytes: u64,
    target_bytes_at_least: bool,
    next: String,
}

#[derive(Serialize)]
struct TierState<'a> {
    name: &'a str,
    about: &'a str,
    last: Option<&'a LedgerLine>,
}

pub(crate) fn run(context: &Context) -> Result<()> {
    let (workspace, tiers) = (&context.workspace, &context.config.tiers);
    let runs = ledger(workspace)?;
    let last = |tier: &Tier| runs.iter().rev().find(|run| run.tier == tier.name && !run.filtered);
    let occupied = occupied(workspace, MEASURE);
    let overview = Overview {
        root: workspace.root(),
        members: workspace.facts.members().count(),
        tiers: tiers
            .iter()
            .map(|tier| TierState { name: &tier.name, about: &tier.about, last: last(tier) })
            .collect(),
        target_bytes: occupied.bytes,
        target_bytes_at_least: !occupied.whole,
        next: next(tiers, last),
    };
    if context.shell.json() {
        return context.shell.document(&overview);
    }
    show(context.shell, &overview);
    Ok(())
}

fn show(shell: &Shell, overview: &Overview) {
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
    let size = bytes(overview.target_bytes);
    shell.result(&format!("target dir: {at_least}{size}"));
    shell.result(&format!("next: {}", overview.next));
}

fn next<'a>(tiers: &'a [Tier], last: impl Fn(&Tier) -> Option<&'a LedgerLine>) -> String {
    let daily = tiers.iter().filter(|tier| tier.place != Place::Ci && tier.command == TierCommand::Test);
    let daily = daily.collect::<Vec<_>>();
    let first = |is: &dyn Fn(&LedgerLine) -> bool| daily.iter().find(|tier| last(tier).is_some_and(is));
    let (tier, options, why) = if let Some(tier) = first(&|run| !run.success) {
        (tier, "", "it failed last time")
    } else if let Some(tier) = first(&|run| run.over_budget) {
        (tier, " --forecast", "it was over its budget")
    } else if let Some(tier) = daily.iter().find(|tier| last(tier).is_none()) {
        (tier, "", "it never ran here")
    } else if let Some(tier) = daily.first() {
        (tier, "", "after the next edit")
    } else {
        return "cargo xtask --help".to_owned();
    };
    format!("cargo xtask {}{options}  ({why})", tier.name)
}
