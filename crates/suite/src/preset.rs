//! `cargo xtask preset`: list, show, compare. `cargo xtask with PRESET -- CARGO COMMAND`.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use clap::ArgMatches;
use serde_json::json;
use xtask_tiers::build_command;
use xtask_units::{Comparison, compare};
use xtask_workspace::config::{Preset, Tier, TierCommand};
use xtask_workspace::{CargoCommand, Flag, WrongUsage, feature_args, preset_features};

use crate::context::{Context, not_started};
use crate::program::Exit;
use crate::shell::count;

/// How many units and splits are listed for people; `--json` has all.
const LISTED: usize = 10;

pub(crate) fn run(context: &Context, arguments: &ArgMatches) -> Result<()> {
    let preset = |arguments: &ArgMatches, id: &str| {
        context.preset(arguments.get_one::<String>(id).map_or("", String::as_str))
    };
    match arguments.subcommand() {
        Some(("show", arguments)) => show(context, preset(arguments, "name")?),
        Some(("compare", arguments)) => {
            let presets = [preset(arguments, "first")?, preset(arguments, "second")?];
            compare_presets(context, presets, arguments.get_one::<String>("tier"))
        }
        _ => list(context),
    }
}

/// Runs `cargo xtask with` in `dir`, on the terminal.
pub(crate) fn with(context: &Context, arguments: &ArgMatches, dir: &Utf8Path) -> Result<Exit> {
    let preset = context.preset(arguments.get_one::<String>("preset").map_or("", String::as_str))?;
    let words = arguments.get_many::<String>("cargo-args").into_iter().flatten().cloned();
    // `with full -- cargo test` is meant as `with full -- test`.
    let mut words = words.peekable();
    words.next_if(|word| word == "cargo");
    let dir = dir.canonicalize_utf8().with_context(|| format!("failed to read folder {dir}"))?;
    let environment = &context.workspace.environment;
    let mut command = CargoCommand::new(dir, words).without_alias(environment);
    if command.verb.is_empty() {
        return Err(WrongUsage("there is no cargo command after `--`".to_owned()).into());
    }
    if let Some(arg) = command.args.iter().find(|arg| arg.flag == Flag::Features) {
        return Err(WrongUsage(format!(
            "`{}` contradicts the preset `{}`; leave one of them out",
            arg.name, preset.name
        ))
        .into());
    }
    command.insert_args(feature_args(preset, &command.members(&context.workspace.facts)));
    if arguments.get_flag("dry-run") {
        let command = command.to_string();
        if context.shell.json() {
            context.shell.document(&json!({ "command": command }))?;
        } else {
            context.shell.result(&command);
        }
        return Ok(Exit::Done);
    }
    context.workspace.check_wrappers()?;
    let status = command.to_command(environment).status();
    let status = status.map_err(|error| not_started(error, &(&command).into()))?;
    Ok(Exit::from_success(status.success()))
}

fn list(context: &Context) -> Result<()> {
    if context.shell.json() {
        return context.shell.document(&context.config.presets);
    }
    let presets = &context.config.presets;
    let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    for preset in presets {
        let own = if preset.builtin { "" } else { "  (xtask.toml)" };
        context.shell.result(&format!("{:width$}  {}{own}", preset.name, describe(preset)));
    }
    Ok(())
}

fn describe(preset: &Preset) -> String {
    if preset.all_features {
        return "all features".to_owned();
    }
    let default = if preset.default_features { "default features" } else { "no default features" };
    if preset.features.is_empty() {
        default.to_owned()
    } else {
        format!("{default} + {}", preset.features.join(", "))
    }
}

fn show(context: &Context, preset: &Preset) -> Result<()> {
    let members = context.workspace.facts.members().map(|member| {
        let features = if preset.all_features {
            member.features.keys().cloned().collect()
        } else {
            let turned_on = preset_features(preset, &[member]).into_iter();
            let turned_on = turned_on.filter_map(|feature| Some(feature.split_once('/')?.1.to_owned()));
            let default = preset.default_features && member.features.contains_key("default");
            default.then(|| "default".to_owned()).into_iter().chain(turned_on).collect::<Vec<_>>()
        };
        (&member.name, features)
    });
    let members = members.collect::<Vec<_>>();
    if context.shell.json() {
        let members = members.iter().map(|(name, features)| json!({ "name": name, "features": features }));
        return context.shell.document(&json!({ "preset": preset, "members": members.collect::<Vec<_>>() }));
    }
    let width = members.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, features) in &members {
        let features = if features.is_empty() { "-".to_owned() } else { features.join(", ") };
        context.shell.result(&format!("{name:width$}  {features}"));
    }
    context.shell.result(&format!("{}: {}", preset.name, describe(preset)));
    Ok(())
}

fn compare_presets(context: &Context, presets: [&Preset; 2], tier: Option<&String>) -> Result<()> {
    let default = Tier::new("compare", TierCommand::Test);
    let tier = match tier {
        None => &default,
        Some(name) => {
            context.config.tier(name).ok_or_else(|| WrongUsage(format!("there is no tier `{name}`")))?
        }
    };
    let units = |preset| context.plan(&build_command(&context.workspace, tier, Some(preset)));
    let comparison = compare(&units(presets[0])?, &units(presets[1])?);
    if context.shell.json() {
        return context.shell.document(&comparison);
    }
    show_comparison(context, &presets[0].name, &presets[1].name, &comparison);
    Ok(())
}

fn show_comparison(context: &Context, first: &str, second: &str, comparison: &Comparison) {
    let shell = context.shell;
    let more = |all: usize| {
        if all > LISTED {
            shell.result(&format!("  … and {} more (--json lists all)", all - LISTED));
        }
    };
    for (name, units) in [(first, &comparison.only_first), (second, &comparison.only_second)] {
        if !units.is_empty() {
            shell.result(&format!("only {name}: {}", count(units.len(), "unit")));
        }
        for unit in units.iter().take(LISTED) {
            shell.result(&format!("  {unit}"));
        }
        more(units.len());
    }
    if !comparison.splits.is_empty() {
        shell.result("what splits them:");
    }
    for split in comparison.splits.iter().take(LISTED) {
        let mut causes = Vec::new();
        for (name, features) in [(first, &split.features_first), (second, &split.features_second)] {
            if !features.is_empty() {
                causes.push(format!("{name} has {}", features.join(", ")));
            }
        }
        if let Some((flags_first, flags_second)) = &split.flags {
            causes.push(format!("flags `{flags_first}` against `{flags_second}`"));
        }
        let units = count(split.units, "unit");
        shell.result(&format!("  {}: {} ({units} compiled twice)", split.unit, causes.join("; ")));
    }
    more(comparison.splits.len());
    shell.result(&format!(
        "{first} and {second} share {}; {first} adds {}, {second} adds {}",
        count(comparison.shared, "unit"),
        comparison.only_first.len(),
        comparison.only_second.len()
    ));
}
