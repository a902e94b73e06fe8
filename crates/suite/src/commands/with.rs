//! `cargo xtask with PRESET -- CARGO COMMAND`: any cargo command with the features of a preset.

use std::process::Command;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use clap::ArgMatches;
use serde::Serialize;
use xtask_workspace::{CargoCommand, Flag, WrongUsage, feature_args};

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
    let words = arguments.get_many::<String>("cargo-args").into_iter().flatten().cloned();
    // `with full -- cargo test` is meant as `with full -- test`.
    let mut words = words.peekable();
    words.next_if(|word| word == "cargo");
    // Where plain cargo would run: here, or in the folder of `-C`.
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
        let plan = Plan { command: command.to_string() };
        if context.shell.json() {
            context.shell.document(&plan)?;
        } else {
            context.shell.result(&plan.command);
        }
        return Ok(Exit::Done);
    }
    let mut process: Command = command.to_command(environment);
    let status = process.status().with_context(|| format!("failed to start `{command}`"))?;
    Ok(Exit::from_success(status.success()))
}
