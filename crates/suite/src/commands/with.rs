//! `cargo xtask with PRESET -- CARGO COMMAND`: any cargo command with the features of a preset.

use std::process::Command;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use clap::ArgMatches;
use serde::Serialize;
use xtask_workspace::{CargoCommand, LocalPackage, Selection, Workspace, WrongUsage, feature_args};

use crate::context::Context;
use crate::exit::Exit;

/// What `--dry-run --json` prints.
#[derive(Serialize)]
struct Plan {
    command: String,
}

/// Runs the command in `dir`, with the terminal as it is.
pub(super) fn run(context: &Context, arguments: &ArgMatches, dir: &Utf8Path) -> Result<Exit> {
    let preset = arguments.get_one::<String>("preset").map_or("", String::as_str);
    let preset = context.preset(preset)?;
    let mut args =
        arguments.get_many::<String>("cargo-args").into_iter().flatten().cloned().collect::<Vec<_>>();
    // `with full -- cargo test` is meant as `with full -- test`.
    if args.first().is_some_and(|arg| arg == "cargo") {
        args.remove(0);
    }
    let toolchain = args.first().and_then(|arg| arg.strip_prefix('+')).map(str::to_owned);
    if toolchain.is_some() {
        args.remove(0);
    }
    if args.is_empty() {
        return Err(WrongUsage("there is no cargo command after `--`".to_owned()).into());
    }
    let given = ["--features", "--all-features", "--no-default-features"];
    let chooses_features =
        |arg: &str| given.contains(&arg.split('=').next().unwrap_or(arg)) || arg.starts_with("-F");
    if let Some(flag) = args.iter().take_while(|arg| *arg != "--").find(|arg| chooses_features(arg)) {
        return Err(WrongUsage(format!(
            "`{flag}` contradicts the preset `{}`; leave one of them out",
            preset.name
        ))
        .into());
    }
    // Where plain cargo would run: here, or in the folder of `-C`.
    let dir = dir.canonicalize_utf8().with_context(|| format!("failed to read folder {dir}"))?;
    let features = feature_args(preset, &selected(&context.workspace, &args, &dir));
    let mut command = CargoCommand::new(dir, args);
    command.toolchain = toolchain;
    command.insert_args(features);
    if arguments.get_flag("dry-run") {
        let plan = Plan { command: command.to_string() };
        if context.shell.json() {
            context.shell.document(&plan)?;
        } else {
            context.shell.result(&plan.command);
        }
        return Ok(Exit::Done);
    }
    let mut process: Command = command.to_command(&context.workspace.environment);
    let status = process.status().with_context(|| format!("failed to start `{command}`"))?;
    Ok(Exit::from_success(status.success()))
}

/// The members that the user's own arguments select.
fn selected<'a>(workspace: &'a Workspace, args: &[String], dir: &Utf8Path) -> Vec<&'a LocalPackage> {
    let facts = &workspace.facts;
    let mut names = Vec::new();
    let mut exclude = Vec::new();
    let mut all = false;
    let mut words = args.iter().take_while(|arg| *arg != "--");
    while let Some(word) = words.next() {
        let (flag, inline) =
            word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
        let mut value = || inline.map(str::to_owned).or_else(|| words.next().cloned());
        match flag {
            "-p" | "--package" => names.extend(value()),
            "--exclude" => exclude.extend(value()),
            "--workspace" | "--all" => all = true,
            _ => names.extend(word.strip_prefix("-p").filter(|name| !name.is_empty()).map(str::to_owned)),
        }
    }
    if all {
        return Selection::Workspace { exclude }.members(facts);
    }
    if names.is_empty() {
        // In a member's own folder cargo takes that member; at the root, the default members.
        let own = facts.owner_of(dir).map(|index| &facts.packages[index]);
        let own = own.filter(|package| package.member && package.dir != facts.root);
        return own.map_or_else(|| Selection::Default { exclude }.members(facts), |member| vec![member]);
    }
    // Cargo also takes `name@version`.
    let names = names.iter().map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect();
    Selection::Only(names).members(facts)
}
