//! What the suite's two programs share: the daily one, and the workshop with the commands that people need now and then.
//!
//! Not meant for a project's own tasks: it changes with the workshop's needs.

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use clap::ArgMatches;
use clap::error::ErrorKind;
use xtask_units::fake::{ROLE, ROLE_COMPILER};
use xtask_workspace::config::{Config, Tier, json_schema};
use xtask_workspace::{CargoConfig, Environment, EnvironmentLacks, Facts, WrongUsage};

use crate::cli::{self, Globals};
use crate::context::{not_started, user_environment};
use crate::shell::Shell;
use crate::task::{self, Task};
use crate::{completions, overview, preset, tier, verdicts};

pub use crate::cli::{RESERVED, WORKSHOP};
pub use crate::context::{Context, nearest_settings};
pub use crate::shell::{bytes, count, seconds};

/// The cargo alias of an `xtask` that the workspace had before, which `adopt --merge` makes. Commands that the suite does not
/// know are passed on to it as they were typed.
pub const OWN_XTASK: &str = "xtask-own";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the task itself failed: a test, a lint, a budget that was exceeded and is set to fail.
    Failed,
    /// 2: wrong usage or configuration.
    Usage,
    /// 3: the environment lacks something that is required.
    Environment,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Done or failed.
    pub const fn from_success(success: bool) -> Self {
        if success { Self::Done } else { Self::Failed }
    }

    /// The exit code of an error: its kind may be anywhere in the chain of contexts.
    pub fn of_error(error: &anyhow::Error) -> Self {
        if error.chain().any(<dyn std::error::Error>::is::<WrongUsage>) {
            Self::Usage
        } else if error.chain().any(<dyn std::error::Error>::is::<EnvironmentLacks>) {
            Self::Environment
        } else {
            Self::Failed
        }
    }
}

/// How a command ended, and the signal that ended it. The process then ends by the same signal, so that the shell sees
/// the interruption.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    pub exit: Exit,
    pub signal: Option<i32>,
}

impl Ended {
    pub const fn new(exit: Exit, signal: Option<i32>) -> Self {
        Self { exit, signal }
    }
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Self {
        Self::new(exit, None)
    }
}

/// The commands of the workshop: the first value is a name of [`WORKSHOP`].
pub type MoreCommands = fn(&str, Call<'_>) -> Result<Ended>;

#[derive(Debug)]
pub struct Call<'a> {
    /// The workspace, or why it could not be read.
    pub loaded: Result<Context<'a>>,
    pub arguments: &'a ArgMatches,
    pub dir: Utf8PathBuf,
    pub environment: &'a Environment,
    pub shell: &'a Shell,
}

pub fn main(tasks: &[Task], more: Option<MoreCommands>) -> ExitCode {
    // Cargo starts this program hundreds of times as its compiler: nothing else may happen before.
    if let Ok(role) = std::env::var(ROLE) {
        return act_as(&role);
    }
    let environment = user_environment();
    let (args, refused) = match arguments() {
        Ok(args) => (args, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let globals = Globals::read(&args);
    let shell = Shell::new(&globals, &environment);
    let ended = match refused {
        None => run(&args, globals.dir, tasks, more, &environment, &shell),
        Some(error) => Err(error),
    };
    ended.and_then(|code| shell.written().map(|()| code)).unwrap_or_else(|error| {
        shell.error(&error);
        Exit::of_error(&error).code().into()
    })
}

/// This process's arguments, its own name first. Fails as wrong usage for one that is not UTF-8: nothing that the suite
/// passes arguments on to could be named, shown and pasted with it.
fn arguments() -> Result<Vec<String>> {
    let read = |arg: std::ffi::OsString| {
        arg.into_string()
            .map_err(|arg| WrongUsage(format!("the argument {} is not UTF-8", arg.display())).into())
    };
    std::env::args_os().map(read).collect()
}

fn act_as(role: &str) -> ExitCode {
    let ended = arguments().and_then(|args| match role {
        ROLE_COMPILER => xtask_units::fake::compiler(&args[1..]),
        xtask_tiers::ROLE_TESTS => xtask_tiers::run_tests(&args[1..]),
        other => Err(anyhow!("{ROLE} is set to `{other}`, which is not a role of this program; unset it")),
    });
    // rustc's own code for a failure, which cargo reports as such.
    let code = ended.unwrap_or_else(|error| {
        Shell::new(&Globals::read(&[]), &Environment::default()).error(&error);
        101
    });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Runs the command in `args`, whose first is the program's own name.
fn run(
    args: &[String],
    dir: Utf8PathBuf,
    tasks: &[Task],
    more: Option<MoreCommands>,
    environment: &Environment,
    shell: &Shell,
) -> Result<ExitCode> {
    task::check(tasks)?;
    let reserved = RESERVED.into_iter().chain(tasks.iter().flat_map(Task::names)).collect::<Vec<_>>();
    let load = |dir: &Utf8Path| Context::load(dir, environment.clone(), &reserved, shell);
    let subcommand = cli::subcommand(args);
    let name = subcommand.map_or("", |at| &args[at]);
    // Flags after the command of another xtask are its own, so the workspace is that of the flags before it.
    let leading = &args[..subcommand.unwrap_or(1)];
    let leading_dir = Globals::read(leading).dir;
    let has_own_xtask = has_own_xtask(&leading_dir, environment);
    if let Some(at) = subcommand.filter(|_| has_own_xtask && !reserved.contains(&name)) {
        // In a workspace that cannot be read, the name may be that of a tier.
        if load(&leading_dir).is_ok_and(|context| context.config.tier(name).is_none()) {
            return become_own_xtask(&leading_dir, &leading[1..], &args[at..], environment);
        }
    }
    // `adopt` works on another workspace, and the one here may be broken.
    let loaded = if name == "adopt" { Err(anyhow!("the workspace here was not read")) } else { load(&dir) };
    let mut command = cli::command(&tiers(&loaded), tasks);
    if has_own_xtask {
        let others = format!("Other commands go to `cargo {OWN_XTASK}`, this workspace's earlier xtask.");
        command = command.after_help(format!("{}\n\n{others}", cli::EXIT_CODES));
    }
    let matches = match command.try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => {
            // Help or the version.
            shell.print(&error.render().to_string());
            return Ok(Exit::Done.code().into());
        }
        Err(error) => {
            // An unknown name may be a tier of the file that could not be read.
            if error.kind() == ErrorKind::InvalidSubcommand {
                loaded?;
            }
            shell.usage_error(&error);
            return Ok(Exit::Usage.code().into());
        }
    };
    let ended = match matches.subcommand() {
        None => overview::run(&loaded?).map(|()| Exit::Done.into())?,
        Some((name, arguments)) => {
            dispatch(name, Call { loaded, arguments, dir, environment, shell }, tasks, more)?
        }
    };
    if let Some(signal) = ended.signal {
        shell.end_progress();
        xtask_units::end_by_signal(signal);
    }
    Ok(ended.exit.code().into())
}

fn dispatch(name: &str, call: Call<'_>, tasks: &[Task], more: Option<MoreCommands>) -> Result<Ended> {
    let Call { arguments, shell, .. } = call;
    if let Some(task) = tasks.iter().find(|task| task.command().get_name() == name) {
        return task.run(&call.loaded?, arguments);
    }
    match (name, more) {
        ("schema", _) => shell.result(&json_schema()),
        ("completions", _) => {
            let wanted = arguments.get_one::<String>("shell").map_or("", String::as_str);
            let command = cli::command(&tiers(&call.loaded), tasks);
            shell.result(completions::script(wanted, &command).trim_end());
        }
        ("preset", _) => preset::run(&call.loaded?, arguments)?,
        ("with", _) => return Ok(preset::with(&call.loaded?, arguments, &call.dir)?.into()),
        ("verdicts", _) => return Ok(verdicts::run(&call.loaded?, arguments)?.into()),
        (name, Some(more)) if WORKSHOP.contains(&name) => return more(name, call),
        (name, None) if WORKSHOP.contains(&name) => {
            // The launcher starts the right program; this one was started without it.
            let message = format!("`{name}` is in another program of the suite: call `cargo xtask {name}`");
            return Err(WrongUsage(message).into());
        }
        (tier, _) => return tier::run(call.loaded?, tier, arguments),
    }
    Ok(Exit::Done.into())
}

fn has_own_xtask(dir: &Utf8Path, environment: &Environment) -> bool {
    let dir = dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    let words = CargoConfig::load(&dir, environment).program(&["alias", OWN_XTASK]);
    words.is_some_and(|words| !words.is_empty())
}

/// Becomes `cargo xtask-own FLAGS COMMAND` in `dir`, without `-C` among the `flags`. Returns only if that failed, or on
/// Windows its exit code.
fn become_own_xtask(
    dir: &Utf8Path,
    flags: &[String],
    command: &[String],
    environment: &Environment,
) -> Result<ExitCode> {
    let dir = dir.canonicalize_utf8().with_context(|| format!("failed to read folder {dir}"))?;
    let mut words = vec![OWN_XTASK.to_owned()];
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        match flag.strip_prefix("-C") {
            Some("") => drop(flags.next()),
            Some(_) => {}
            None => words.push(flag.clone()),
        }
    }
    words.extend_from_slice(command);
    let call = xtask_workspace::Call::new(dir, "cargo", words);
    let mut process = call.to_command(environment);
    #[cfg(unix)]
    return Err(not_started(std::os::unix::process::CommandExt::exec(&mut process), &call));
    #[cfg(not(unix))]
    {
        let status = process.status().map_err(|error| not_started(error, &call))?;
        // On Windows a code can be above 255.
        Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
    }
}

/// The tiers that are subcommands: help and completions work without a workspace.
fn tiers(loaded: &Result<Context>) -> Vec<Tier> {
    let config = loaded.as_ref().map(|context| context.config.tiers.clone());
    config.unwrap_or_else(|_| Config::defaults(&Facts::default()).tiers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_found_below_any_context() {
        let wrap = |error: anyhow::Error| Err::<(), _>(error).context("one").context("two").unwrap_err();
        assert_eq!(Exit::of_error(&wrap(WrongUsage("x".into()).into())), Exit::Usage);
        assert_eq!(Exit::of_error(&wrap(EnvironmentLacks("x".into()).into())), Exit::Environment);
        assert_eq!(Exit::of_error(&wrap(anyhow!("x"))), Exit::Failed);
    }
}
