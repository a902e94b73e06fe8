//! `cargo xtask TIER`: plan it, show the plan or run it, show how it ended.

use anstyle::AnsiColor;
use anyhow::{Context as _, Result};
use clap::ArgMatches;
use xtask_tiers::{TierOptions, TierPlan, TierReport};
use xtask_units::Forecast;
use xtask_workspace::config::OnOverBudget;

use crate::commands::needs::{self, Missing};
use crate::context::Context;
use crate::exit::{Ended, Exit};
use crate::shell::{Shell, count, seconds};

/// Runs the tier.
pub(super) fn run(mut context: Context, name: &str, arguments: &ArgMatches) -> Result<Ended> {
    let tier = context.config.tier(name).with_context(|| format!("there is no tier `{name}`"))?.clone();
    let forecast = arguments.get_flag("forecast");
    let only_plan = arguments.get_flag("dry-run") || forecast;
    if !only_plan && !tier.tools.is_empty() {
        let missing = if arguments.get_flag("yes") { Missing::Install } else { Missing::Say };
        let exit = needs::ensure(&mut context, &tier, missing)?;
        if exit != Exit::Done {
            return Ok(exit.into());
        }
    }
    let runner_args = arguments.try_get_many::<String>("runner-args").ok().flatten();
    let options = TierOptions {
        preset: tier.preset.as_deref().map(|preset| context.preset(preset)).transpose()?.cloned(),
        tier: tier.clone(),
        affected: context.config.affected.clone(),
        runner_args: runner_args.into_iter().flatten().cloned().collect(),
        exe: context.exe.clone(),
        forecast,
    };
    let shell = context.shell;
    let plan = options.plan(&context.workspace, shell)?;
    for note in &plan.notes {
        shell.note(note);
    }
    if only_plan {
        show_plan(shell, &plan, forecast)?;
        return Ok(Exit::Done.into());
    }
    shell.group(&plan.tier);
    let report = plan.execute(&context.workspace, shell);
    shell.end_group();
    let report = report?;
    show_report(shell, &report, tier.on_over_budget)?;
    say_what_leaves_out(&context, &report);
    Ok(Ended::new(Exit::from_success(report.success), report.signal))
}

/// Says how a member that does not build on this machine is left out, as long as the tier has never succeeded here: later
/// it is more likely an edit that does not compile.
fn say_what_leaves_out(context: &Context, report: &TierReport) {
    let adopted = context.workspace.facts.launcher().is_some();
    if report.not_compiled.is_none() || report.signal.is_some() || !adopted {
        return;
    }
    let runs = xtask_tiers::ledger(&context.workspace).unwrap_or_default();
    if !runs.iter().any(|run| run.success && run.tier == report.tier) {
        context.shell.note("if a member does not build on this machine: cargo xtask adopt --observe");
    }
}

fn show_plan(shell: &Shell, plan: &TierPlan, forecast: bool) -> Result<()> {
    if shell.json() {
        return shell.document(plan);
    }
    if !forecast {
        for command in &plan.commands {
            shell.result(command);
        }
        if plan.commands.is_empty() {
            shell.result(&format!("{}: nothing to run: {}", plan.tier, plan.why));
        }
        return Ok(());
    }
    let Some(forecast) = &plan.forecast else {
        anyhow::bail!("what {} would compile is not known (see above)", plan.tier);
    };
    for planned in &forecast.units {
        let time =
            planned.recorded_ms.map_or_else(|| "     ?".to_owned(), |ms| format!("{:>6}", seconds(ms)));
        shell.result(&format!("{time}  {}: {}", planned.unit, planned.why));
    }
    shell.result(&forecast_line(plan, forecast));
    Ok(())
}

fn forecast_line(plan: &TierPlan, forecast: &Forecast) -> String {
    let time = match forecast.estimated_ms {
        _ if forecast.compile == 0 => "nothing to compile".to_owned(),
        None => "no times recorded here yet".to_owned(),
        Some(ms) if forecast.unpriced > 0 => {
            format!("about {} ({} never timed here)", seconds(ms), count(forecast.unpriced, "unit"))
        }
        Some(ms) => format!("about {}", seconds(ms)),
    };
    format!(
        "{} forecast: {} of {}, {} fresh, {} to compile: {time}",
        plan.tier,
        plan.packages.len(),
        count(plan.members, "package"),
        count(forecast.fresh, "unit"),
        forecast.compile
    )
}

fn show_report(shell: &Shell, report: &TierReport, on_over_budget: OnOverBudget) -> Result<()> {
    let errors = report.not_compiled.iter().flatten().map(|target| format!("{target} did not compile"));
    for failure in report.failures.iter().cloned().chain(errors) {
        shell.annotate(&format!("{} failed", report.tier), &failure);
    }
    if let Some(command) = &report.failed_command {
        shell.note(&format!("failed: {command}"));
    }
    if report.over_budget {
        show_over_budget(shell, report, on_over_budget);
    }
    if report.custom_harnesses > 0 {
        let programs = count(report.custom_harnesses, "test program");
        shell.note(&format!("{programs} with a custom harness: each counts as one test"));
    }
    if report.no_test_matched {
        let text = format!("no test of {} matches; another package may have it", names(&report.packages));
        shell.warning(&text);
        shell.annotate(&format!("{} failed", report.tier), &text);
    }
    shell.result(&last_line(shell, report));
    if shell.json() { shell.document(report) } else { Ok(()) }
}

fn show_over_budget(shell: &Shell, report: &TierReport, on_over_budget: OnOverBudget) {
    let budget = seconds(report.budget_ms.unwrap_or_default());
    let took = seconds(report.compile_ms + report.run_ms);
    let text = format!("{} took {took}, its budget is {budget}", report.tier);
    shell.warning(&text);
    if on_over_budget == OnOverBudget::Fail {
        shell.annotate(&format!("{} over budget", report.tier), &text);
    }
    for (title, slow) in [("slowest units", &report.slowest_units), ("slowest tests", &report.slowest_tests)]
    {
        if !slow.is_empty() {
            shell.output(&format!("  {title}:"));
        }
        for slow in slow {
            shell.output(&format!("  {:>8}  {}", seconds(slow.ms), slow.name));
        }
    }
}

/// The line that people read first.
fn last_line(shell: &Shell, report: &TierReport) -> String {
    let (word, colour) = if report.signal.is_some() {
        ("interrupted", AnsiColor::Yellow)
    } else if report.success {
        ("ok", AnsiColor::Green)
    } else {
        ("failed", AnsiColor::Red)
    };
    let mut parts =
        vec![format!("{} of {} ({})", report.packages.len(), count(report.members, "package"), report.why)];
    if !report.packages.is_empty() {
        if let Some(targets) = report.not_compiled.as_ref().filter(|_| report.signal.is_none()) {
            parts.push(match &targets[..] {
                [] => "nothing was built".to_owned(),
                targets => format!("{} did not compile", names(targets)),
            });
        }
        let tests = report.tests;
        if tests.passed + tests.failed + tests.skipped > 0 {
            parts
                .push(format!("{} passed, {} failed, {} skipped", tests.passed, tests.failed, tests.skipped));
        }
        let compiled = count(report.units.compiled, "unit");
        let ran = report.not_compiled.is_none().then(|| format!(", ran {}", seconds(report.run_ms)));
        parts.push(format!(
            "{compiled} compiled in {}{}",
            seconds(report.compile_ms),
            ran.unwrap_or_default()
        ));
        if let Some(budget) = report.budget_ms {
            parts.push(format!("{} of {}", seconds(report.compile_ms + report.run_ms), seconds(budget)));
        }
    }
    format!("{} {}: {}", report.tier, shell.paint(word, colour), parts.join("; "))
}

/// The first of `names`, and how many more there are.
fn names(names: &[String]) -> String {
    match names {
        [_, _, _, _, ..] => format!("{} and {} more", names[..3].join(", "), names.len() - 3),
        _ => names.join(", "),
    }
}
