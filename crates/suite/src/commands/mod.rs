//! One file per command. This one finds out which it is.

mod completions;
mod overview;
mod preset;
mod tier;
mod with;

use anyhow::Result;
use clap::ArgMatches;
use clap::error::ErrorKind;
use xtask_workspace::config::{Config, Members, json_schema};

use crate::cli;
use crate::context::{Context, user_environment};
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command in `args` (the program's own name first). The second value is the signal that ended it.
pub(crate) fn run(args: &[String]) -> (Exit, Option<i32>) {
    let environment = user_environment();
    let first = cli::first_look(args);
    let shell = Shell::new(cli::output_options(&first), &environment);
    let loaded = Context::load(&cli::directory(&first), environment, &shell);
    let tiers = match &loaded {
        Ok(context) => context.config.tiers.clone(),
        // Help, completions and the version work everywhere.
        Err(_) => Config::defaults(&Members::default()).tiers,
    };
    let matches = match cli::command(&tiers).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return (usage(&error, &shell, loaded.err()), None),
    };
    match dispatch(&matches, loaded, &shell) {
        Ok(ended) => ended,
        Err(error) => {
            shell.error(&error);
            (Exit::of_error(&error), None)
        }
    }
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
        shell.error(&cause);
        return Exit::of_error(&cause);
    }
    let _ = error.print();
    Exit::Usage
}

fn dispatch(matches: &ArgMatches, loaded: Result<Context>, shell: &Shell) -> Result<(Exit, Option<i32>)> {
    let Some((name, arguments)) = matches.subcommand() else {
        return Ok((overview::run(&loaded?)?, None));
    };
    match name {
        "schema" => {
            shell.result(json_schema().trim_end());
            Ok((Exit::Done, None))
        }
        "completions" => {
            let tiers =
                loaded.map_or_else(|_| Config::defaults(&Members::default()), |context| context.config).tiers;
            let wanted = arguments.get_one::<String>("shell").map_or("", String::as_str);
            shell.result(completions::script(wanted, &cli::command(&tiers)).trim_end());
            Ok((Exit::Done, None))
        }
        "preset" => Ok((preset::run(&loaded?, arguments)?, None)),
        "with" => Ok((with::run(&loaded?, arguments, &cli::directory(matches))?, None)),
        tier => tier::run(&loaded?, tier, arguments),
    }
}
