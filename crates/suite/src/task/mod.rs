//! A project's own tasks: subcommands that a binary of the project adds to the suite's.
//!
//! Invariant: a task reaches the workspace, cargo and the output only as the suite's own commands do, so
//! `--json`, colours, exit codes and the environment of cargo are the same in all of them.

mod check;

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context as _, Result};
use clap::{ArgMatches, Command};
use xtask_units::{Record, RunOptions, UnitSet};
use xtask_workspace::config::{Config, Preset};
use xtask_workspace::{CargoCommand, Workspace};

use crate::context::{Context, not_started};
use crate::exit::{Ended, Exit};
use crate::shell::Shell;

pub(crate) use check::check;

/// Where a project's tasks are written in a workspace that adopted the suite.
pub(crate) const SOURCE: &str = "xtask/tasks/src/main.rs";

type Run = dyn Fn(&TaskContext<'_>, &ArgMatches) -> Result<Exit>;

/// One of a project's own tasks: `cargo xtask NAME`.
pub struct Task {
    command: Command,
    run: Box<Run>,
}

impl Task {
    /// The task that `command` names and describes, and that `run` does.
    ///
    /// The suite's global flags (`-C`, `--color`, `--json`, `-v`) come by themselves. An error that `run` returns
    /// is shown with all its causes; the exit code is then that of [`Exit::of_error`].
    pub fn new(
        command: Command,
        run: impl Fn(&TaskContext<'_>, &ArgMatches) -> Result<Exit> + 'static,
    ) -> Self {
        Self { command, run: Box::new(run) }
    }

    /// The subcommand.
    pub(crate) fn command(&self) -> &Command {
        &self.command
    }

    /// Its name and its other names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.command.get_name()).chain(self.command.get_all_aliases())
    }

    /// Does it.
    pub(crate) fn run(&self, context: &Context, arguments: &ArgMatches) -> Result<Ended> {
        let task = TaskContext {
            workspace: &context.workspace,
            config: &context.config,
            shell: context.shell,
            context,
            signal: Cell::new(None),
        };
        // clap panics where a task reads an argument as something it was not declared as; with that, too, the
        // exit code has to be one of ours.
        let ended = catch_unwind(AssertUnwindSafe(|| (self.run)(&task, arguments)));
        let exit = ended.unwrap_or_else(|_| {
            let name = self.command.get_name();
            Err(anyhow::anyhow!("the task `{name}` panicked (see above); its source is {SOURCE}"))
        });
        match task.signal.get() {
            // Whatever the task made of it: the shell must see the interruption.
            Some(signal) => Ok(Ended::new(Exit::Failed, Some(signal))),
            None => Ok(exit?.into()),
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("command", &self.command).finish_non_exhaustive()
    }
}

/// What a task works with.
#[derive(Debug)]
pub struct TaskContext<'a> {
    /// The workspace, read-only.
    pub workspace: &'a Workspace,
    /// Its `xtask.toml`, or the defaults.
    pub config: &'a Config,
    /// Where output goes.
    pub shell: &'a Shell,
    context: &'a Context<'a>,
    /// A signal that came while cargo ran.
    signal: Cell<Option<i32>>,
}

impl TaskContext<'_> {
    /// The preset of this name. Fails as wrong usage, with the nearest name.
    pub fn preset(&self, name: &str) -> Result<&Preset> {
        self.context.preset(name)
    }

    /// `cargo ARGS` in the root folder, as a value: for [`run`](Self::run), [`plan`](Self::plan) and
    /// [`build`](Self::build).
    pub fn cargo_command<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> CargoCommand {
        CargoCommand::new(self.workspace.root(), args)
    }

    /// Runs `cargo ARGS` in the root folder: [`run`](Self::run) of [`cargo_command`](Self::cargo_command).
    pub fn cargo<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Result<Exit> {
        self.run(&self.cargo_command(args))
    }

    /// Runs `command` with the terminal as it is, in the user's own environment: without what `cargo run` added
    /// to ours, so it shares every artifact with plain cargo.
    ///
    /// Where it fails, the answer is [`Exit::Failed`], and the command was shown so that it can be pasted. Under
    /// `--json` all it prints goes to standard error.
    pub fn run(&self, command: &CargoCommand) -> Result<Exit> {
        self.shell.end_progress();
        self.shell.detail(&format!("running `{command}`"));
        let mut process = command.to_command(&self.workspace.environment);
        if self.shell.json() {
            process.stdout(std::io::stderr());
        }
        let status = process.status().map_err(|error| not_started(error, &command.into()))?;
        if !status.success() {
            self.shell.note(&format!("failed: {command}"));
        }
        Ok(Exit::from_success(status.success()))
    }

    /// The units that `command` would need, without compiling any. It is a cargo command that builds: `check`,
    /// `clippy`, `build`, `test`, `bench` or `doc`.
    pub fn plan(&self, command: &CargoCommand) -> Result<UnitSet> {
        let shadow = xtask_units::plan(self.workspace, command, &self.context.exe);
        Ok(shadow.with_context(|| format!("failed to plan `{command}`"))?.units)
    }

    /// Runs `command`, one that builds, with no standard input, shows what it prints on standard error, and
    /// returns what it built, how long each unit took, and how it ended.
    pub fn build(&self, command: &CargoCommand) -> Result<Record> {
        let options = RunOptions { timings: true, ..RunOptions::default() };
        let record = xtask_units::run(self.workspace, command, options, self.shell, &mut |_| {})?;
        if record.signal.is_some() {
            self.signal.set(record.signal);
        } else if record.exit_code != Some(0) {
            self.shell.note(&format!("failed: {command}"));
        }
        Ok(record)
    }
}
