//! `adopt PATH` and `adopt --update`: they copy from the clone that this program was built in.

mod costs;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use clap::ArgMatches;
use serde::Serialize;
use xtask_adopt::{
    AdoptOptions, AdoptPlan, Existing, Host, How, Source, Update, takes_lock_file, unchanged_but_for,
};
use xtask_edit::{Edit, Node};
use xtask_suite::program::{Ended, bytes, seconds};
use xtask_suite::{Exit, Shell};
use xtask_units::holding_signals;
use xtask_workspace::{Environment, Outline, shell_quote};

use self::costs::Costs;
use super::begin;
use super::show::{self, Change};

/// Adopts, or brings up to date, in the workspace around `dir`.
pub(super) fn adopt(
    arguments: &ArgMatches,
    dir: &Utf8Path,
    environment: &Environment,
    shell: &Shell,
) -> Result<Ended> {
    let source = Source::find(environment)?;
    let options = options(arguments, &source);
    let plan_now = || {
        let host = Host::inspect(dir, environment)?;
        let plan = xtask_adopt::plan(&host, &source, &options, environment)?;
        Ok::<_, anyhow::Error>((host, plan))
    };
    if arguments.get_flag("dry-run") {
        let (_, plan) = plan_now()?;
        show_plan(&plan, shell)?;
        return Ok(Exit::Done.into());
    }
    let root = Outline::of(dir, environment)?.facts.root;
    // From here on nobody else of us changes anything there; what another one has just done is seen.
    let transaction = begin(&root, shell)?;
    let (host, plan) = plan_now()?;
    for note in &plan.notes {
        shell.note(note);
    }
    let facts = &host.outline.facts;
    let changed = !plan.edits.is_empty();
    if changed {
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
    }
    let costs = if arguments.get_flag("no-build") || !changed {
        None
    } else {
        say_before_build(&plan, shell);
        Some(costs::measure(&root, &facts.target_dir, environment)?)
    };
    show_report(&plan, costs.as_ref(), shell)?;
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

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    plan: &'a AdoptPlan,
    changes: Vec<Change<'a>>,
    /// What the suite and the settings take in the repository.
    repository_bytes: u64,
    /// `null` where nothing was built.
    costs: Option<&'a Costs>,
}

/// What would be done, with the text of each change but for that of whole folders.
fn show_plan(plan: &AdoptPlan, shell: &Shell) -> Result<()> {
    for note in &plan.notes {
        shell.note(note);
    }
    if shell.json() {
        return document(plan, None, shell);
    }
    for edit in &plan.edits {
        shell.result(show::text(edit).trim_end());
    }
    show::list(&plan.edits, shell);
    shell.result(&match plan.edits.len() {
        0 => format!("nothing to change in {}", plan.root),
        _ => format!("{} would get the suite {}; nothing was changed", plan.root, plan.how.describe()),
    });
    Ok(())
}

/// Said before the build, which takes its time.
fn say_before_build(plan: &AdoptPlan, shell: &Shell) {
    shell.note(&format!(
        "the suite is in {}; it is built there once, to see that it starts and what it costs (--undo takes it out)",
        plan.root
    ));
}

/// What was done, and what to do next.
fn show_report(plan: &AdoptPlan, costs: Option<&Costs>, shell: &Shell) -> Result<()> {
    if shell.json() {
        return document(plan, costs, shell);
    }
    show::list(&plan.edits, shell);
    if plan.edits.is_empty() {
        shell.result(&format!("nothing to change: {} has the suite, {}", plan.root, plan.how.describe()));
        return Ok(());
    }
    if let Some(costs) = costs {
        shell.result(&format!(
            "costs: first build {}, then {} ms per call; {} in the repository, {} in the target dir",
            seconds(costs.first_build_ms),
            costs.call_ms,
            bytes(repository_bytes(&plan.edits)),
            bytes(costs.target_bytes)
        ));
    }
    if matches!(plan.how, How::Path { .. }) {
        shell.note("the suite is built from a clone on this machine: nobody else's `cargo xtask` works");
    }
    shell.result(&format!("next: cd {} && cargo xtask test-fast", shell_quote(plan.root.as_str())));
    Ok(())
}

fn repository_bytes(edits: &[Edit]) -> u64 {
    let grown = |edit: &Edit| {
        let bytes = |node: &Option<Node>| node.as_ref().map_or(0, |node| show::size(node).1);
        bytes(&edit.after).saturating_sub(bytes(&edit.before))
    };
    edits.iter().map(grown).sum()
}

fn document(plan: &AdoptPlan, costs: Option<&Costs>, shell: &Shell) -> Result<()> {
    let repository_bytes = repository_bytes(&plan.edits);
    shell.document(&Report { plan, changes: show::changes(&plan.edits), repository_bytes, costs })
}
