//! `cargo xtask preset`: list, show, compare.

use anyhow::{Context as _, Result};
use clap::ArgMatches;
use serde::Serialize;
use xtask_tiers::build_command;
use xtask_units::{Comparison, compare, plan};
use xtask_workspace::config::{Preset, Tier, TierCommand};
use xtask_workspace::{WrongUsage, preset_features};

use crate::context::Context;
use crate::exit::Exit;
use crate::shell::count;

/// So many units and splits are listed for people; `--json` has all.
const LISTED: usize = 10;

/// Runs one of the subcommands.
pub(super) fn run(context: &Context, arguments: &ArgMatches) -> Result<Exit> {
    let name =
        |arguments: &ArgMatches, id: &str| arguments.get_one::<String>(id).cloned().unwrap_or_default();
    match arguments.subcommand() {
        Some(("show", arguments)) => show(context, &name(arguments, "name"))?,
        Some(("compare", arguments)) => {
            let tier = arguments.get_one::<String>("tier").map(String::as_str);
            compare_presets(context, &name(arguments, "first"), &name(arguments, "second"), tier)?;
        }
        _ => list(context)?,
    }
    Ok(Exit::Done)
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

/// What a preset means for each member.
#[derive(Serialize)]
struct Shown<'a> {
    preset: &'a Preset,
    members: Vec<MemberFeatures>,
}

#[derive(Serialize)]
struct MemberFeatures {
    name: String,
    features: Vec<String>,
}

fn show(context: &Context, name: &str) -> Result<()> {
    let preset = context.preset(name)?;
    let members = context.workspace.facts.members().map(|member| {
        let features = if preset.all_features {
            member.features.keys().cloned().collect()
        } else {
            let turned_on = preset_features(preset, &[member]);
            let turned_on =
                turned_on.iter().filter_map(|feature| Some(feature.split_once('/')?.1.to_owned()));
            let default = (preset.default_features && member.features.contains_key("default"))
                .then(|| "default".to_owned());
            default.into_iter().chain(turned_on).collect()
        };
        MemberFeatures { name: member.name.clone(), features }
    });
    let shown = Shown { preset, members: members.collect() };
    if context.shell.json() {
        return context.shell.document(&shown);
    }
    let width = shown.members.iter().map(|member| member.name.len()).max().unwrap_or(0);
    for member in &shown.members {
        let features = if member.features.is_empty() { "-".to_owned() } else { member.features.join(", ") };
        context.shell.result(&format!("{:width$}  {features}", member.name));
    }
    context.shell.result(&format!("{}: {}", preset.name, describe(preset)));
    Ok(())
}

fn compare_presets(context: &Context, first: &str, second: &str, tier: Option<&str>) -> Result<()> {
    let (first, second) = (context.preset(first)?, context.preset(second)?);
    let default = Tier::new("compare", TierCommand::Test);
    let tier = match tier {
        None => &default,
        Some(name) => {
            context.config.tier(name).ok_or_else(|| WrongUsage(format!("there is no tier `{name}`")))?
        }
    };
    let units = |preset: &Preset| {
        let command = build_command(&context.workspace, tier, Some(preset));
        plan(&context.workspace, &command, &context.exe)
            .with_context(|| format!("failed to plan preset `{}`", preset.name))
    };
    let comparison = compare(&units(first)?.units, &units(second)?.units);
    if context.shell.json() {
        return context.shell.document(&comparison);
    }
    show_comparison(context, &first.name, &second.name, &comparison);
    Ok(())
}

fn show_comparison(context: &Context, first: &str, second: &str, comparison: &Comparison) {
    let shell = context.shell;
    let listed = |name: &str, units: &[String]| {
        if !units.is_empty() {
            shell.result(&format!("only {name}: {}", count(units.len(), "unit")));
        }
        for unit in units.iter().take(LISTED) {
            shell.result(&format!("  {unit}"));
        }
        if units.len() > LISTED {
            shell.result(&format!("  … and {} more (--json lists all)", units.len() - LISTED));
        }
    };
    listed(first, &comparison.only_first);
    listed(second, &comparison.only_second);
    if !comparison.splits.is_empty() {
        shell.result("what splits them:");
    }
    for split in comparison.splits.iter().take(LISTED) {
        let mut causes = Vec::new();
        let mut add = |preset: &str, features: &[String]| {
            if !features.is_empty() {
                causes.push(format!("{preset} has {}", features.join(", ")));
            }
        };
        add(first, &split.features_first);
        add(second, &split.features_second);
        if let Some((flags_first, flags_second)) = &split.flags {
            causes.push(format!("flags `{flags_first}` against `{flags_second}`"));
        }
        let units = if split.units == 1 { "unit" } else { "units" };
        shell.result(&format!(
            "  {}: {} ({} {units} compiled twice)",
            split.unit,
            causes.join("; "),
            split.units
        ));
    }
    if comparison.splits.len() > LISTED {
        shell.result(&format!("  … and {} more (--json lists all)", comparison.splits.len() - LISTED));
    }
    shell.result(&format!(
        "{first} and {second} share {} {}; {first} adds {}, {second} adds {}",
        comparison.shared,
        if comparison.shared == 1 { "unit" } else { "units" },
        comparison.only_first.len(),
        comparison.only_second.len()
    ));
}
