//! `cargo xtask setup`: installs, proves and sets the tools of this machine.

use std::io::{IsTerminal, Write as _};

use anstyle::AnsiColor;
use anyhow::Result;
use camino::Utf8Path;
use clap::ArgMatches;
use xtask_stats::Verdict;
use xtask_tiers::build_commands;
use xtask_tools::race::{Entry, Race};
use xtask_tools::{
    Measures, Outcome, Overruled, PlannedTool, SetupOptions, SetupPlan, SetupReport, SetupUndo, State,
    catalog, install, missing,
};
use xtask_units::{Times, cores, forecast, states};
use xtask_workspace::config::{Need, Packages, Setup, Tier, TierCommand};
use xtask_workspace::{Call, CargoCommand, WrongUsage};

use xtask_suite::program::{Context, Ended, bytes, count, seconds};
use xtask_suite::{Exit, Shell};

use crate::ended;

/// Sets this machine up, or says what that would do.
pub(super) fn run(context: &Context, arguments: &ArgMatches) -> Result<Ended> {
    let shell = context.shell;
    if let Some(tier) = arguments.get_one::<String>("for") {
        return for_tier(context, tier, arguments);
    }
    let plan = options(context, arguments)?.plan(&context.workspace)?;
    let dry_run = arguments.get_flag("dry-run");
    show_plan(shell, &plan, dry_run);
    if dry_run {
        show_settings(context, &plan);
        shell.result("setup: nothing was changed (--dry-run)");
        if shell.json() {
            shell.document(&plan)?;
        }
        return Ok(Exit::Done.into());
    }
    let yes = arguments.get_flag("yes");
    let report = plan.execute(&|call| yes_to(call, yes), shell)?;
    show_report(shell, &report)?;
    let exit = if report.lacking().next().is_some() { Exit::Environment } else { Exit::Done };
    Ok(Ended::new(exit, report.signal))
}

/// Installs and proves what the tier of this name needs, or says what of it is missing.
fn for_tier(context: &Context, name: &str, arguments: &ArgMatches) -> Result<Ended> {
    let (shell, workspace, config) = (context.shell, &context.workspace, &context.config);
    let tier = config.tier(name).ok_or_else(|| WrongUsage(format!("there is no tier `{name}`")))?;
    let tools = catalog(&config.tools, &workspace.facts.host)?;
    let lacks = if arguments.get_flag("dry-run") {
        let missing = missing(workspace, &tools, &tier.tools, &config.setup)?;
        for tool in &missing {
            shell.result(&format!("{} {}: {}", tool.name, tool.why, tool.install));
        }
        if shell.json() {
            shell.document(&missing)?;
        }
        let needed = count(missing.len(), "more tool");
        (!missing.is_empty())
            .then(|| format!("needs {needed}; `cargo xtask {name} --yes` installs what is missing"))
    } else {
        let yes = arguments.get_flag("yes");
        let outcomes =
            install(workspace, &tools, &tier.tools, &config.setup, &|call| yes_to(call, yes), shell)?;
        for outcome in &outcomes {
            show_outcome(shell, outcome);
        }
        if shell.json() {
            shell.document(&outcomes)?;
        }
        let lacking = names(outcomes.iter().filter(|outcome| outcome.is_lacking()));
        (!lacking.is_empty()).then(|| format!("lacks {lacking}"))
    };
    let exit = if lacks.is_none() { Exit::Done } else { Exit::Environment };
    let state = lacks.unwrap_or_else(|| "has every tool it needs".to_owned());
    shell.result(&format!("setup: {name} {state}"));
    Ok(exit.into())
}

fn names<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    outcomes.map(|outcome| outcome.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The options of a setup.
fn options(context: &Context, arguments: &ArgMatches) -> Result<SetupOptions> {
    let setup = context.config.setup.clone();
    let tools = catalog(&context.config.tools, &context.workspace.facts.host)?;
    let linkers = tools.iter().filter(|tool| tool.is_linker()).map(|tool| tool.name.as_str());
    let known = [Setup::MEASURED, Setup::DEFAULT].into_iter().chain(linkers).collect::<Vec<_>>();
    if !known.contains(&setup.linker.as_str()) {
        let message = format!(
            "`linker` in [setup] is `{}`, which is not a linker on this host\n  next: choose one of {}",
            setup.linker,
            known.join(", ")
        );
        return Err(WrongUsage(message).into());
    }
    Ok(SetupOptions {
        tools,
        setup,
        test_command: test_command(context)?,
        again: arguments.get_flag("again"),
        measure: !arguments.get_flag("no-measure"),
        offline: arguments.get_flag("offline"),
        cores: cores(),
    })
}

/// The command that builds the tests of the first tier that is for the whole workspace, with that tier's excludes and
/// features: what other tiers add may not build here.
fn test_command(context: &Context) -> Result<CargoCommand> {
    let workspace = &context.workspace;
    let whole = |tier: &&Tier| {
        tier.command == TierCommand::Test && matches!(tier.packages, Packages::Affected | Packages::Workspace)
    };
    let all = || CargoCommand::new(workspace.root(), ["test", "--workspace"]);
    let Some(tier) = context.config.tiers.iter().find(whole) else { return Ok(all()) };
    let preset = tier.preset.as_deref().map(|name| context.preset(name)).transpose()?;
    Ok(build_commands(workspace, tier, preset, u64::MAX).pop().unwrap_or_else(all))
}

/// Whether the system's package manager may be called: by `--yes`, or because the user agrees now. A call with `sudo` is
/// always asked about.
fn yes_to(call: &Call, yes: bool) -> bool {
    if yes && call.program != "sudo" {
        return true;
    }
    let (mut stderr, mut answer) = (std::io::stderr(), String::new());
    std::io::stdin().is_terminal()
        && stderr.is_terminal()
        && write!(stderr, "run `{call}`? [y/N] ").and_then(|()| stderr.flush()).is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && answer.trim().eq_ignore_ascii_case("y")
}

/// Undoes the settings. It works even if cargo cannot read the workspace because of them: then the nearest folder that
/// has them is meant.
pub(super) fn undo(root: &Utf8Path, dry_run: bool, shell: &Shell) -> Result<Exit> {
    let mut undo = SetupUndo::plan(root)?;
    if undo.interrupted {
        shell.note("a setup was killed here; its changes are undone first");
    }
    if !dry_run {
        undo = undo.execute()?;
    }
    for edit in undo.changed() {
        shell.output(xtask_edit::describe(edit).trim_end());
    }
    for kept in &undo.kept {
        shell.note(&format!("{} stays: it {}", kept.path, kept.why));
    }
    let paths = undo.changed().map(|edit| edit.path.as_str()).collect::<Vec<_>>();
    let files = count(paths.len(), "file");
    shell.result(&match (paths.is_empty(), dry_run) {
        (true, _) => "setup: nothing to undo".to_owned(),
        (false, true) => format!("setup: {files} would change (--dry-run)"),
        (false, false) => format!("setup undone: {files} changed; tools stay where they are"),
    });
    if shell.json() {
        let kept = undo.kept.iter().map(|kept| kept.path.as_str()).collect::<Vec<_>>();
        shell.document(&serde_json::json!({ "dry-run": dry_run, "changed": paths, "kept": kept }))?;
    }
    Ok(Exit::Done)
}

/// A dry run's result, or, before anything is done, only what is left to do.
fn show_plan(shell: &Shell, plan: &SetupPlan<'_>, dry_run: bool) {
    for planned in &plan.tools {
        let is_open =
            planned.evidence.is_none() && !(planned.probed.found.is_empty() && planned.steps.is_empty());
        let demanded = planned.demanded_by.iter().map(|by| format!("; {by} demands it"));
        let line = format!("{:<15} {}{}", planned.tool.name, intent(planned), demanded.collect::<String>());
        if dry_run {
            shell.result(&line);
            for step in planned.steps.iter().skip(1) {
                shell.result(&format!("{:<15} else {step}", ""));
            }
        } else if is_open {
            shell.output(&line);
        }
    }
    if !plan.includes {
        shell.note(
            "this cargo has no optional `include` (1.94 has), so nothing is set for the workspace; the settings are \
             shown for the configuration in your cargo home",
        );
    }
}

/// What would be set and measured, and what that costs.
fn show_settings(context: &Context, plan: &SetupPlan<'_>) {
    let shell = context.shell;
    match &plan.measures {
        Measures::Linkers { count: linkers, rounds, command } => {
            shell.result(&format!(
                "measure         {} and what is in use: {} by each, after",
                count(*linkers, "linker"),
                count(*rounds, "link")
            ));
            shell.result(&format!("                `{command}`{}; the fastest is set", cost(context)));
        }
        Measures::Before => shell.result("measure         nothing: linkers were measured before"),
        Measures::Nothing { why } => shell.result(&format!("measure         nothing: {why}")),
    }
    let wrapper = plan.wrapper.as_ref().map(|wrapper| format!("rustc-wrapper = {wrapper}, if it is proven"));
    let jobs = plan.jobs.map(|jobs| format!("jobs = {jobs}, because memory is short"));
    for setting in [wrapper, jobs].into_iter().flatten() {
        shell.result(&format!("set             {setting}"));
    }
}

/// What building the tests costs, as far as their units and times are known.
fn cost(context: &Context) -> String {
    let Ok(units) = test_command(context).and_then(|command| context.plan(&command)) else {
        return String::new();
    };
    let workspace = &context.workspace;
    let forecast = forecast(&units, &states(workspace, &units), &Times::load(workspace), cores());
    let time = forecast.estimated_ms.map_or_else(String::new, |ms| format!(", about {}", seconds(ms)));
    format!(" ({} to compile{time})", count(forecast.compile, "unit"))
}

/// What a plan would do about a tool.
fn intent(planned: &PlannedTool) -> String {
    if planned.tool.need == Need::Unwanted {
        return "unwanted".to_owned();
    }
    let nowhere = || "there is no way to install it here".to_owned();
    let install = planned.steps.first().map_or_else(nowhere, ToString::to_string);
    match (planned.probed.found.first(), planned.probed.unsuited.first()) {
        (Some(found), _) => {
            format!("{}: {}", found.path, planned.evidence.as_deref().unwrap_or("to be proven"))
        }
        (None, Some(unsuited)) => format!("{}: {}; {install}", unsuited.path, unsuited.why),
        (None, None) => install,
    }
}

fn show_report(shell: &Shell, report: &SetupReport) -> Result<()> {
    for outcome in &report.tools {
        show_outcome(shell, outcome);
    }
    if let Some(race) = &report.race {
        show_race(shell, race);
    }
    for fallback in &report.fallbacks {
        shell.warning(&format!("fell back: {fallback}"));
    }
    for Overruled { key, ours, theirs, by, .. } in &report.overruled {
        shell.warning(&format!("{key} = {ours} was not set, because it would not count: {by} says {theirs}"));
    }
    if let Some(text) = &report.for_user_config {
        shell.note("for the configuration in your cargo home:");
        shell.output(text.trim_end());
    }
    // As they are written in cargo's configuration.
    let settings = &report.settings;
    let link = settings.link.clone().unwrap_or_default();
    let flags = Some(link.rustflags.join(" ")).filter(|flags| !flags.is_empty());
    let wrapper = settings.rustc_wrapper.as_ref().map(ToString::to_string);
    let jobs = settings.jobs.map(|jobs| jobs.to_string());
    let set = [("linker", link.linker), ("rustflags", flags), ("rustc-wrapper", wrapper), ("jobs", jobs)];
    for (key, value) in set.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        shell.result(&format!("set: {key} = {value}"));
    }
    if let Some(in_force) = &report.in_force {
        shell.result(&format!("seen: {in_force}"));
    }
    shell.result(&last_line(shell, report));
    if shell.json() { shell.document(report) } else { Ok(()) }
}

fn show_outcome(shell: &Shell, outcome: &Outcome) {
    let name = &outcome.name;
    let demanded = outcome.demanded_by.as_ref().map(|by| format!("; {by} demands it")).unwrap_or_default();
    let (colour, why) = match &outcome.state {
        State::Proven { path, version, evidence, .. } => {
            let version = version.as_deref().unwrap_or_default();
            let word = shell.paint("ok", AnsiColor::Green);
            return shell.result(&format!("{word}   {name:<15} {version:<12} {evidence} ({path}){demanded}"));
        }
        State::Unproven { why, .. } => (AnsiColor::Red, why.clone()),
        State::Missing { why } => (AnsiColor::Yellow, why.join("; ")),
        State::Unwanted => return shell.detail(&format!("{name} is unwanted")),
    };
    let instead = match &outcome.without {
        without if without.is_empty() || !demanded.is_empty() => demanded,
        without => format!("; used instead: {without}"),
    };
    shell.result(&format!("{}   {name:<15} {why}{instead}", shell.paint("no", colour)));
}

/// The table of a measurement: what linked, how long, and whether that is a difference.
fn show_race(shell: &Shell, race: &Race) {
    let (size, rounds) = (bytes(race.bytes), count(race.rounds, "round"));
    shell.result(&format!("linking {} ({size}), medians of {rounds}:", race.binary));
    let compared = |entry: &Entry| {
        let comparison = entry.comparison.as_ref()?;
        let (ratio, interval) = (comparison.ratio?, comparison.interval?);
        let word = match comparison.verdict {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::NoDifference | Verdict::TooFewRounds => "no difference beyond the noise",
        };
        Some(format!("  {ratio:.2} × ({:.2} to {:.2}): {word}", interval.low, interval.high))
    };
    for entry in &race.entries {
        let name = &entry.name;
        shell.result(&match entry.median_ms {
            Some(median) => format!("{median:>7.0} ms  {name}{}", compared(entry).unwrap_or_default()),
            None => format!("{:>10}  {name}: {}", "-", entry.failed.as_deref().unwrap_or("it did not link")),
        });
    }
}

fn last_line(shell: &Shell, report: &SetupReport) -> String {
    let lacking = names(report.lacking());
    let wanted = report.tools.iter().filter(|outcome| outcome.need != Need::Unwanted);
    let proven = wanted.clone().filter(|outcome| matches!(outcome.state, State::Proven { .. })).count();
    let changed = report.changed.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(", ");
    format!(
        "setup {}: {proven} of {} proven; {}{} ({})",
        ended(shell, report.signal, !lacking.is_empty()),
        count(wanted.count(), "tool"),
        if changed.is_empty() { "nothing changed".to_owned() } else { format!("changed: {changed}") },
        if lacking.is_empty() { String::new() } else { format!("; required and missing: {lacking}") },
        seconds(report.took_ms)
    )
}
