//! One file per command. This one finds out which it is.

mod completions;
mod needs;
mod overview;
mod own_xtask;
mod preset;
mod tier;
mod with;

use std::process::ExitCode;

use anyhow::Result;
use camino::Utf8Path;
use clap::ArgMatches;
use clap::error::ErrorKind;
use xtask_workspace::config::{Config, Tier, json_schema};
use xtask_workspace::{Environment, Facts, WrongUsage};

use crate::cli::{self, LeadingFlags, OwnXtask, RESERVED, WORKSHOP};
use crate::context::{Context, user_environment};
use crate::exit::{Ended, Exit};
use crate::program::{Call, MoreCommands};
use crate::shell::Shell;
use crate::task::{self, Task};

pub use own_xtask::ALIAS as OWN_XTASK;
pub(crate) use own_xtask::PASSED_ON;

/// Runs the command in `args` (the program's own name first): one of the daily commands, of `tasks`, or, in the
/// workshop, of `more`.
pub(crate) fn run(args: &[String], tasks: &[Task], more: Option<MoreCommands>) -> ExitCode {
    let environment = user_environment();
    let first = cli::first_look(args);
    let shell = Shell::new(cli::output_options(&first), &environment);
    if let Err(error) = task::check(tasks) {
        return fail(&error.into(), &shell).into();
    }
    let reserved = RESERVED.into_iter().chain(tasks.iter().flat_map(Task::names)).collect::<Vec<_>>();
    let load = |dir: &Utf8Path| Context::load(dir, environment.clone(), &reserved, &shell);
    if let Some((leading, rest)) = for_own_xtask(args, tasks, &environment, load) {
        return own_xtask::run(&leading, rest, &environment)
            .unwrap_or_else(|error| fail(&error, &shell).into());
    }
    let dir = cli::directory(&first);
    let own = if own_xtask::exists(&dir, &environment) { OwnXtask::There } else { OwnXtask::None };
    // `adopt` is about another workspace: whatever lies here is left alone, and may be broken.
    let elsewhere =
        LeadingFlags::split(args).is_some_and(|(_, rest)| rest.first().is_some_and(|name| name == "adopt"));
    let loaded = if elsewhere { Err(anyhow::anyhow!("the workspace here was not read")) } else { load(&dir) };
    let command = cli::command(&tiers(&loaded), tasks, own);
    let matches = match command.try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return usage(&error, &shell, loaded.err()).into(),
    };
    match dispatch(&matches, loaded, tasks, more, &environment, &shell) {
        Ok(ended) => {
            if let Some(signal) = ended.signal {
                shell.end_progress();
                // The shell must see that we were interrupted, as it would see it of the tests.
                xtask_units::end_by_signal(signal);
            }
            ended.exit.into()
        }
        Err(error) => fail(&error, &shell).into(),
    }
}

fn fail(error: &anyhow::Error, shell: &Shell) -> Exit {
    shell.error(error);
    Exit::of_error(error)
}

/// The tiers that are subcommands: help, completions and the version work everywhere.
fn tiers(loaded: &Result<Context>) -> Vec<Tier> {
    match loaded {
        Ok(context) => context.config.tiers.clone(),
        Err(_) => Config::defaults(&Facts::default()).tiers,
    }
}

/// What goes to the xtask from before: a subcommand that is none here, where there is such an xtask. Flags after
/// it are its own, so the workspace is the one that those before it name.
fn for_own_xtask<'a, 's>(
    args: &'a [String],
    tasks: &[Task],
    environment: &Environment,
    load: impl Fn(&Utf8Path) -> Result<Context<'s>>,
) -> Option<(LeadingFlags, &'a [String])> {
    let (leading, rest) = LeadingFlags::split(args)?;
    let name = rest.first()?;
    let known = |tiers: &[Tier]| {
        let mut names = tiers.iter().map(|tier| tier.name.as_str()).chain(tasks.iter().flat_map(Task::names));
        RESERVED.contains(&name.as_str()) || names.any(|known| known == name)
    };
    let dir = leading.directory();
    if known(&Config::defaults(&Facts::default()).tiers) || !own_xtask::exists(&dir, environment) {
        return None;
    }
    // Where the workspace cannot be read, the word may be one of its tiers: then that is what is wrong.
    let loaded = load(&dir).ok()?;
    (!known(&loaded.config.tiers)).then_some((leading, rest))
}

/// Help and version are no failures. An unknown subcommand may be a tier of a file that could not be read:
/// then that is what is wrong.
fn usage(error: &clap::Error, shell: &Shell, not_loaded: Option<anyhow::Error>) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Nobody is reading any more.
        let _ = error.print();
        return Exit::Done;
    }
    if let Some(cause) = not_loaded.filter(|_| error.kind() == ErrorKind::InvalidSubcommand) {
        return fail(&cause, shell);
    }
    shell.usage_error(error);
    Exit::Usage
}

fn dispatch(
    matches: &ArgMatches,
    loaded: Result<Context>,
    tasks: &[Task],
    more: Option<MoreCommands>,
    environment: &Environment,
    shell: &Shell,
) -> Result<Ended> {
    let Some((name, arguments)) = matches.subcommand() else {
        return Ok(overview::run(&loaded?)?.into());
    };
    if let Some(task) = tasks.iter().find(|task| task.command().get_name() == name) {
        return task.run(&loaded?, arguments);
    }
    if WORKSHOP.contains(&name) {
        let Some(more) = more else {
            // The launcher starts the other program; here is who starts this one without it.
            let message =
                format!("`{name}` is a command of another program of the suite: call `cargo xtask {name}`");
            return Err(WrongUsage(message).into());
        };
        return more(name, Call { loaded, arguments, dir: cli::directory(matches), environment, shell });
    }
    match name {
        "schema" => {
            shell.result(&json_schema());
            Ok(Exit::Done.into())
        }
        "completions" => {
            let wanted = arguments.get_one::<String>("shell").map_or("", String::as_str);
            let command = cli::command(&tiers(&loaded), tasks, OwnXtask::None);
            shell.result(completions::script(wanted, &command).trim_end());
            Ok(Exit::Done.into())
        }
        "preset" => Ok(preset::run(&loaded?, arguments)?.into()),
        "with" => Ok(with::run(&loaded?, arguments, &cli::directory(matches))?.into()),
        tier => tier::run(loaded?, tier, arguments),
    }
}
