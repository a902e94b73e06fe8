//! `cargo xtask setup`: installs, proves and sets the tools of this machine.

use std::io::{IsTerminal, Write as _};

use anstyle::AnsiColor;
use anyhow::Result;
use camino::Utf8Path;
use clap::ArgMatches;
use xtask_stats::Verdict;
use xtask_tiers::build_commands;
use xtask_tools::race::Race;
use xtask_tools::{
    LocalSettings, Outcome, PlannedTool, SetupOptions, SetupPlan, SetupReport, SetupUndo, State, catalog,
    install, missing,
};
use xtask_units::cores;
use xtask_workspace::config::{Need, Packages, Tier, TierCommand, closest};
use xtask_workspace::{Call, CargoCommand, WrongUsage};

use xtask_suite::program::{Context, Ended, bytes, count, seconds};
use xtask_suite::{Exit, Shell};

/// Sets this machine up, or says what that would do.
pub(super) fn run(context: &Context, arguments: &ArgMatches) -> Result<Ended> {
    let (shell, workspace) = (context.shell, &context.workspace);
    if let Some(tier) = arguments.get_one::<String>("for") {
        return for_tier(context, tier, arguments);
    }
    let plan = options(context, arguments)?.plan(workspace)?;
    if arguments.get_flag("dry-run") {
        show_plan(shell, &plan);
        shell.result("setup: nothing was changed (--dry-run)");
        if shell.json() {
            shell.document(&plan)?;
        }
        return Ok(Exit::Done.into());
    }
    show_steps(shell, &plan);
    let yes = arguments.get_flag("yes");
    let report = plan.execute(&|call| yes_to(call, yes), shell)?;
    show_report(shell, &report)?;
    let exit = if report.lacking().next().is_some() { Exit::Environment } else { Exit::Done };
    Ok(Ended::new(exit, report.signal))
}

/// Installs and proves what the tier of this name needs, or says what of it is missing.
fn for_tier(context: &Context, name: &str, arguments: &ArgMatches) -> Result<Ended> {
    let (shell, workspace, config) = (context.shell, &context.workspace, &context.config);
    let tier = config.tier(name).ok_or_else(|| {
        let near = closest(name, config.tiers.iter().map(|tier| tier.name.as_str()));
        let hint = near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"));
        WrongUsage(format!("there is no tier `{name}`{hint}"))
    })?;
    let tools = catalog(&config.tools, &workspace.facts.host)?;
    if arguments.get_flag("dry-run") {
        let missing = missing(workspace, &tools, &tier.tools, &config.setup)?;
        for tool in &missing {
            shell.result(&tool.to_string());
        }
        let needed = count(missing.len(), "more tool");
        shell.result(&if missing.is_empty() {
            format!("setup: {name} has every tool it needs")
        } else {
            format!("setup: {name} needs {needed}; `cargo xtask {name} --yes` installs what is missing")
        });
        if shell.json() {
            let list =
                missing.iter().map(|tool| serde_json::json!({ "name": tool.name, "install": tool.install }));
            shell.document(&list.collect::<Vec<_>>())?;
        }
        return Ok(if missing.is_empty() { Exit::Done } else { Exit::Environment }.into());
    }
    let yes = arguments.get_flag("yes");
    let outcomes = install(workspace, &tools, &tier.tools, &config.setup, &|call| yes_to(call, yes), shell)?;
    for outcome in &outcomes {
        show_outcome(shell, outcome);
    }
    let lacking = outcomes.iter().filter(|outcome| outcome.is_lacking()).map(|outcome| outcome.name.as_str());
    let lacking = lacking.collect::<Vec<_>>();
    shell.result(&if lacking.is_empty() {
        format!("setup: {name} has every tool it needs")
    } else {
        format!("setup: {name} lacks {}", lacking.join(", "))
    });
    if shell.json() {
        shell.document(&outcomes)?;
    }
    Ok(if lacking.is_empty() { Exit::Done } else { Exit::Environment }.into())
}

/// The options of a setup.
pub(super) fn options(context: &Context, arguments: &ArgMatches) -> Result<SetupOptions> {
    let workspace = &context.workspace;
    let flag = |name: &str| arguments.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default();
    let tools = catalog(&context.config.tools, &workspace.facts.host)?;
    let setup = context.config.setup.clone();
    let words = ["measured", "default"];
    let linkers = tools.iter().filter(|tool| tool.is_linker()).map(|tool| tool.name.as_str());
    let known = words.into_iter().chain(linkers).collect::<Vec<_>>();
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
        again: flag("again"),
        measure: !flag("no-measure"),
        offline: flag("offline"),
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
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    let mut stderr = std::io::stderr();
    let mut answer = String::new();
    let asked = write!(stderr, "run `{call}`? [y/N] ").and_then(|()| stderr.flush());
    asked.is_ok()
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
    let files = count(undo.changed().count(), "file");
    shell.result(&match (undo.changed().next().is_none(), dry_run) {
        (true, _) => "setup: nothing to undo".to_owned(),
        (false, true) => format!("setup: {files} would change (--dry-run)"),
        (false, false) => format!("setup undone: {files} changed; tools stay where they are"),
    });
    if shell.json() {
        let paths = undo.changed().map(|edit| edit.path.as_str()).collect::<Vec<_>>();
        let kept = undo.kept.iter().map(|kept| kept.path.as_str()).collect::<Vec<_>>();
        shell.document(&serde_json::json!({ "dry-run": dry_run, "changed": paths, "kept": kept }))?;
    }
    Ok(Exit::Done)
}

fn show_plan(shell: &Shell, plan: &SetupPlan<'_>) {
    for planned in &plan.tools {
        shell.result(&format!("{:<15} {}", planned.tool.name, intent(planned)));
        for step in planned.steps.iter().skip(1) {
            shell.result(&format!("{:<15} else {step}", ""));
        }
    }
    show_constraints(shell, plan);
}

/// What a plan would do about a tool.
fn intent(planned: &PlannedTool) -> String {
    let tool = &planned.tool;
    if tool.need == Need::Unwanted {
        return "unwanted".to_owned();
    }
    let install = || match planned.steps.first() {
        Some(step) => step.to_string(),
        None if tool.without.is_empty() => "there is no way to install it here".to_owned(),
        None => format!("there is no way to install it here; {} is used instead", tool.without),
    };
    match (planned.probed.found.first(), planned.probed.unsuited.first()) {
        (Some(found), _) => {
            format!("{}: {}", found.path, planned.evidence.as_deref().unwrap_or("to be proven"))
        }
        (None, Some(unsuited)) => format!("{}: {}; {}", unsuited.path, unsuited.why, install()),
        (None, None) => install(),
    }
}

/// Before anything is done: only what is left to do.
fn show_steps(shell: &Shell, plan: &SetupPlan<'_>) {
    let open = plan.tools.iter().filter(|planned| {
        planned.tool.need != Need::Unwanted
            && planned.evidence.is_none()
            && (!planned.probed.found.is_empty() || !planned.steps.is_empty())
    });
    for planned in open {
        shell.output(&format!("{:<15} {}", planned.tool.name, intent(planned)));
    }
    show_constraints(shell, plan);
}

fn show_constraints(shell: &Shell, plan: &SetupPlan<'_>) {
    if !plan.includes {
        shell.note(
            "this cargo has no optional `include` (1.94 has), so nothing is set for the workspace; the settings are \
             shown for the configuration in your cargo home",
        );
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
    for replaced in &report.replaced {
        shell.note(replaced);
    }
    for overruled in &report.overruled {
        shell.warning(&format!(
            "{} = {} does not count: {} says {}; `cargo xtask doctor --fix` removes it if it is in a file of this \
             workspace",
            overruled.key,
            overruled.ours,
            overruled.by(),
            overruled.theirs
        ));
    }
    if let Some(text) = &report.for_user_config {
        shell.note("for the configuration in your cargo home:");
        shell.output(text.trim_end());
    }
    for line in settings(&report.settings) {
        shell.result(&format!("set: {line}"));
    }
    if let Some(in_force) = &report.in_force {
        shell.result(&format!("seen: {in_force}"));
    }
    shell.result(&last_line(shell, report));
    if shell.json() { shell.document(report) } else { Ok(()) }
}

fn show_outcome(shell: &Shell, outcome: &Outcome) {
    let name = &outcome.name;
    let instead = || match outcome.without.as_str() {
        "" => String::new(),
        without => format!("; used instead: {without}"),
    };
    match &outcome.state {
        State::Proven { path, version, evidence, .. } => {
            let version = version.as_deref().unwrap_or("");
            let word = shell.paint("ok", AnsiColor::Green);
            shell.result(&format!("{word}   {name:<15} {version:<12} {evidence} ({path})"));
        }
        State::Unproven { why, .. } => {
            let word = shell.paint("no", AnsiColor::Red);
            shell.result(&format!("{word}   {name:<15} {why}{}", instead()));
        }
        State::Missing { why } => {
            let word = shell.paint("no", AnsiColor::Yellow);
            shell.result(&format!("{word}   {name:<15} {}{}", why.join("; "), instead()));
        }
        State::Unwanted => shell.detail(&format!("{name} is unwanted")),
    }
}

/// The table of a measurement: what linked, how long, and whether that is a difference.
fn show_race(shell: &Shell, race: &Race) {
    shell.result(&format!(
        "linking {} ({}), medians of {}:",
        race.binary,
        bytes(race.bytes),
        count(race.rounds, "round")
    ));
    for entry in &race.entries {
        let Some(median) = entry.median_ms else {
            let why = entry.failed.as_deref().unwrap_or("it did not link");
            shell.result(&format!("{:>10}  {}: {why}", "-", entry.name));
            continue;
        };
        let compared = entry.comparison.as_ref().map_or(String::new(), |comparison| {
            let word = match comparison.verdict {
                Verdict::Faster => "faster",
                Verdict::Slower => "slower",
                Verdict::NoDifference => "no difference beyond the noise",
                Verdict::TooFewRounds => "too few rounds to tell",
            };
            let ratio = comparison.ratio.unwrap_or(f64::NAN);
            match comparison.interval {
                Some(interval) => {
                    format!("  {ratio:.2} × ({:.2} to {:.2}): {word}", interval.low, interval.high)
                }
                None => format!("  {ratio:.2} ×: {word}"),
            }
        });
        shell.result(&format!("{median:>7.0} ms  {}{compared}", entry.name));
    }
}

/// The settings as they stand in cargo's configuration.
fn settings(settings: &LocalSettings) -> Vec<String> {
    let link = settings.link.iter();
    let linker = link.clone().filter_map(|link| Some(format!("linker = {}", link.linker.as_ref()?)));
    let flags = link.filter(|link| !link.rustflags.is_empty());
    let flags = flags.map(|link| format!("rustflags = {}", link.rustflags.join(" ")));
    let wrapper = settings.rustc_wrapper.iter().map(|wrapper| format!("rustc-wrapper = {wrapper}"));
    let jobs = settings.jobs.iter().map(|jobs| format!("jobs = {jobs}"));
    linker.chain(flags).chain(wrapper).chain(jobs).collect()
}

fn last_line(shell: &Shell, report: &SetupReport) -> String {
    let lacking = report.lacking().map(|outcome| outcome.name.as_str()).collect::<Vec<_>>();
    let (word, colour) = if report.signal.is_some() {
        ("interrupted", AnsiColor::Yellow)
    } else if lacking.is_empty() {
        ("ok", AnsiColor::Green)
    } else {
        ("failed", AnsiColor::Red)
    };
    let wanted = report.tools.iter().filter(|outcome| outcome.need != Need::Unwanted);
    let proven = wanted.clone().filter(|outcome| matches!(outcome.state, State::Proven { .. })).count();
    let mut parts = vec![format!("{proven} of {} proven", count(wanted.count(), "tool"))];
    parts.push(match report.changed.as_slice() {
        [] => "nothing changed".to_owned(),
        changed => {
            format!("changed: {}", changed.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(", "))
        }
    });
    if !lacking.is_empty() {
        parts.push(format!("required and missing: {}", lacking.join(", ")));
    }
    format!("setup {}: {} ({})", shell.paint(word, colour), parts.join("; "), seconds(report.took_ms))
}
