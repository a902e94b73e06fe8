//! `cargo xtask TIER`: plan it, show the plan or run it, show how it ended.

use std::process::{Command, Stdio};

use anstyle::AnsiColor;
use anyhow::{Context as _, Result, bail};
use camino::Utf8PathBuf;
use clap::ArgMatches;
use xtask_tiers::{CauseKind, Scope, TierOptions, TierPlan, TierReport, Verdict, first_of};
use xtask_units::Forecast;
use xtask_workspace::config::{OnOverBudget, Tier};
use xtask_workspace::on_path;

use crate::context::Context;
use crate::program::{Ended, Exit};
use crate::shell::{Shell, ago, count, seconds};

pub(crate) fn run(mut context: Context, name: &str, arguments: &ArgMatches) -> Result<Ended> {
    let tier = context.config.tier(name).with_context(|| format!("there is no tier `{name}`"))?.clone();
    let forecast = arguments.get_flag("forecast");
    let only_plan = arguments.get_flag("dry-run") || forecast;
    if !only_plan && !tier.tools.is_empty() {
        let exit = ensure_tools(&mut context, &tier, arguments.get_flag("yes"))?;
        if exit != Exit::Done {
            return Ok(exit.into());
        }
    }
    let flag = |name: &str| arguments.try_get_one::<bool>(name).ok().flatten().is_some_and(|given| *given);
    let runner_args = arguments.try_get_many::<String>("runner-args").ok().flatten();
    let options = TierOptions {
        preset: tier.preset.as_deref().map(|preset| context.preset(preset)).transpose()?.cloned(),
        affected: context.config.affected.clone(),
        scope: Scope {
            ignore: context.config.affected.ignore.clone(),
            verdicts: context.config.verdicts.clone(),
            test_inputs: context.config.test_inputs.clone(),
        },
        fresh: flag("fresh"),
        deferred: flag("deferred"),
        runner_args: runner_args.into_iter().flatten().cloned().collect(),
        exe: context.exe.clone(),
        forecast,
        tier,
    };
    let on_over_budget = options.tier.on_over_budget;
    let (shell, workspace) = (context.shell, &context.workspace);
    let plan = options.plan(workspace, shell)?;
    if only_plan {
        show_plan(shell, &plan, forecast)?;
        return Ok(Exit::Done.into());
    }
    let report = shell.grouped(name, || plan.execute(workspace, shell))?;
    show_report(shell, &report, on_over_budget)?;
    let adopted = workspace.facts.launcher().is_some();
    if report.not_compiled.is_some() && report.signal.is_none() && adopted {
        // Only while the tier has never succeeded here: later it is more likely an edit that does not compile.
        let runs = xtask_tiers::ledger(workspace).unwrap_or_default();
        if !runs.iter().any(|run| run.success && run.tier == name) {
            shell.note("if a member does not build on this machine: cargo xtask adopt --observe");
        }
    }
    let exit = match report.cause.as_ref().map(|cause| cause.kind) {
        Some(CauseKind::WrongUsage) => Exit::Usage,
        Some(CauseKind::EnvironmentLacks) => Exit::Environment,
        _ => Exit::from_success(report.success),
    };
    Ok(Ended::new(exit, report.signal))
}

/// Checks that the tools of `tier` are on `PATH`. Only if one is not, the workshop is asked: it knows how each is installed
/// and proven, and what else it may be called. Returns [`Exit::Done`], or how the tier ends because of them.
fn ensure_tools(context: &mut Context, tier: &Tier, install: bool) -> Result<Exit> {
    let is_there = |name: &String| {
        let configured = context.config.tools.iter().find(|tool| tool.name == *name);
        let programs = configured.map(|tool| tool.programs.as_slice()).filter(|list| !list.is_empty());
        let programs = programs.unwrap_or(std::slice::from_ref(name));
        // What version it is only the workshop finds out.
        configured.is_none_or(|tool| tool.version.is_none())
            && programs.iter().any(|program| on_path(program, &context.workspace.environment).is_some())
    };
    if tier.tools.iter().all(is_there) {
        return Ok(Exit::Done);
    }
    let workshop = format!("xtask-workshop{}", std::env::consts::EXE_SUFFIX);
    // The launcher builds the workshop if needed. Without the launcher it is next to this program.
    let program = std::env::var("XTASK_LAUNCHER")
        .map_or_else(|_| context.exe.with_file_name(workshop), Utf8PathBuf::from);
    let mut setup = Command::new(&program);
    setup.args(["-C", context.workspace.root().as_str(), "setup", "--for", &tier.name]);
    setup.arg(if install { "--yes" } else { "--dry-run" });
    // Standard output is the tier's own.
    let status = setup.stdout(Stdio::from(std::io::stderr())).status();
    let status = status.with_context(|| format!("failed to start {program}"))?;
    context.use_own_tools();
    Ok(match status.code() {
        Some(0) => Exit::Done,
        Some(2) => Exit::Usage,
        Some(3) => Exit::Environment,
        _ => Exit::Failed,
    })
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
        bail!("what {} would compile is not known (see above)", plan.tier);
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
        _ if forecast.compile == 0 && forecast.estimate => {
            "an estimate, because build scripts may watch variables".to_owned()
        }
        _ if forecast.compile == 0 => "nothing to compile".to_owned(),
        None => "no times recorded here yet".to_owned(),
        Some(ms) if forecast.unpriced > 0 => {
            format!("about {} ({} never timed here)", seconds(ms), count(forecast.unpriced, "unit"))
        }
        Some(ms) => format!("about {}", seconds(ms)),
    };
    let at_least = if forecast.estimate { "at least " } else { "" };
    format!(
        "{} forecast: {} of {}, {} fresh, {at_least}{} to compile: {time}",
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
    if let Some(mismatch) = &report.mismatch {
        let text = format!(
            "{} failed although its pass was remembered, so nothing is remembered any more: cargo xtask verdicts",
            mismatch.program
        );
        shell.warning(&text);
        shell.annotate(&format!("{}: a remembered pass was wrong", report.tier), &text);
    }
    if let Some(command) = &report.failed_command {
        shell.note(&format!("failed: {command}"));
    }
    for program in report.programs.iter().filter(|program| program.verdict == Verdict::Deferred) {
        shell.note(&format!("{} deferred: {}; run it with --deferred", program.name, program.why));
    }
    if report.over_budget {
        show_over_budget(shell, report, on_over_budget);
    }
    if report.custom_harnesses > 0 {
        let programs = count(report.custom_harnesses, "test program");
        shell.note(&format!("{programs} with a custom harness: each counts as one test"));
    }
    if report.cause.as_ref().is_some_and(|cause| cause.kind == CauseKind::NoTestMatched) {
        let text = format!("no test of {} matches; another package may have it", first_of(&report.packages));
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
    let mut parts = report.cause.iter().map(|cause| cause.what.clone()).collect::<Vec<_>>();
    let packages = count(report.members, "package");
    parts.push(format!("{} of {packages} ({})", report.packages.len(), report.why));
    parts.extend(programs(report));
    if report.packages.is_empty() {
        if report.remembered.tests.passed > 0 {
            parts.push(format!("0 passed, {} remembered", report.remembered.tests.passed));
        }
    } else {
        let tests = report.tests;
        let remembered = report.remembered.tests.passed;
        if tests.passed + tests.failed + tests.skipped + remembered > 0 {
            let remembered =
                if remembered > 0 { format!(", {remembered} remembered") } else { String::new() };
            parts.push(format!(
                "{} passed, {} failed, {} skipped{remembered}",
                tests.passed, tests.failed, tests.skipped
            ));
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

/// How many test programs ran, and what became of the others.
fn programs(report: &TierReport) -> Option<String> {
    let of = |verdict| report.programs.iter().filter(|program| program.verdict == verdict).count();
    let remembered = &report.remembered;
    let others = [
        remembered.since_ms.map(|since_ms| {
            let ago = ago(since_ms, report.started_at_ms);
            let commit =
                remembered.commit.as_ref().map_or_else(String::new, |commit| format!(" at {commit}"));
            format!("{} remembered (passed {ago}{commit})", remembered.programs)
        }),
        Some(of(Verdict::Deferred))
            .filter(|count| *count > 0)
            .map(|count| format!("{count} deferred, about {}", seconds(report.deferred_ms))),
        (!report.left_out.is_empty())
            .then(|| format!("{} left out", count(report.left_out.len(), "package"))),
    ];
    let others = others.into_iter().flatten().collect::<Vec<_>>();
    let ran = of(Verdict::Passed) + of(Verdict::Failed);
    let all = count(report.programs.len(), "test program");
    (!others.is_empty()).then(|| format!("ran {ran} of {all}, {}", others.join(", ")))
}
