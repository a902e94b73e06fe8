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
    let given = ["--features", "-F", "--all-features", "--no-default-features"];
    if let Some(flag) = args
        .iter()
        .take_while(|arg| *arg != "--")
        .find(|arg| given.contains(&arg.split('=').next().unwrap_or(arg)))
    {
        return Err(WrongUsage(format!(
            "`{flag}` contradicts the preset `{}`; leave one of them out",
            preset.name
        ))
        .into());
    }
    let features = feature_args(preset, &selected(&context.workspace, &args, dir));
    // From the folder of `-C`, else from here, where plain cargo would run.
    let dir = if dir == "." { current_dir(context)? } else { dir.to_owned() };
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

fn current_dir(context: &Context) -> Result<camino::Utf8PathBuf> {
    let dir = std::env::current_dir().context("failed to find the current folder")?;
    let dir = camino::Utf8PathBuf::from_path_buf(dir).unwrap_or_default();
    // With `-C` the workspace lies elsewhere: then its root is where cargo runs.
    Ok(if dir.starts_with(context.workspace.root()) { dir } else { context.workspace.root().to_owned() })
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
            _ => {}
        }
    }
    let here = dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    if all {
        return Selection::Workspace { exclude }.members(facts);
    }
    if names.is_empty() {
        // In a member's own folder cargo takes that member; at a virtual root, the default members.
        let own = facts.owner_of(&here).map(|index| &facts.packages[index]).filter(|package| package.member);
        return own.map_or_else(|| Selection::Default { exclude }.members(facts), |member| vec![member]);
    }
    // Cargo also takes `name@version`.
    let names = names.iter().map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect();
    Selection::Only(names).members(facts)
}
