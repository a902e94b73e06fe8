//! A project's own tasks: subcommands that a binary of the project adds to the suite's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};
use clap::{Arg, ArgMatches, Command};
use xtask_workspace::config::Config;
use xtask_workspace::{Facts, WrongUsage};

use crate::cli::{RESERVED, global_arguments};
use crate::context::Context;
use crate::program::{Ended, Exit};

/// Where a project's tasks are in a workspace that adopted the suite.
const SOURCE: &str = "xtask/tasks/src/main.rs";

type Run = dyn Fn(&Context<'_>, &ArgMatches) -> Result<Exit>;

/// One of a project's own tasks: `cargo xtask NAME`.
pub struct Task {
    command: Command,
    run: Box<Run>,
}

impl Task {
    /// The task that `command` names and describes, and that `run` does.
    ///
    /// It also takes the suite's global flags (`-C`, `--color`, `--json`, `-v`). An error that `run` returns is shown with
    /// all its causes, and the exit code is that of [`Exit::of_error`].
    pub fn new(command: Command, run: impl Fn(&Context<'_>, &ArgMatches) -> Result<Exit> + 'static) -> Self {
        Self { command, run: Box::new(run) }
    }

    pub(crate) fn command(&self) -> &Command {
        &self.command
    }

    /// Its name and aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.command.get_name()).chain(self.command.get_all_aliases())
    }

    pub(crate) fn run(&self, context: &Context, arguments: &ArgMatches) -> Result<Ended> {
        // clap panics if a task reads an argument that it did not declare so.
        let exit = catch_unwind(AssertUnwindSafe(|| (self.run)(context, arguments))).unwrap_or_else(|_| {
            let name = self.command.get_name();
            Err(anyhow!("the task `{name}` panicked (see above); its source is {SOURCE}"))
        });
        match context.signal.get() {
            None => Ok(exit?.into()),
            signal => Ok(Ended::new(Exit::Failed, signal)),
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("command", &self.command).finish_non_exhaustive()
    }
}

/// Fails with all names and flags of `tasks` that are taken. clap itself checks none in the profile `xtask`, and takes
/// one of two without a word.
pub(crate) fn check(tasks: &[Task]) -> Result<(), WrongUsage> {
    let tiers = Config::defaults(&Facts::default()).tiers;
    let mut taken = BTreeMap::new();
    taken.extend(tiers.iter().map(|tier| (tier.name.as_str(), "a default tier")));
    taken.extend(RESERVED.map(|name| (name, "a command of the suite")));
    let mut problems = Vec::new();
    for task in tasks {
        for name in task.names() {
            if let Some(by) = taken.insert(name, "another task") {
                problems.push(format!("the task `{name}` has the name of {by}; choose another one"));
            }
        }
        check_flags(task.command.get_name(), &task.command, &mut problems);
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(WrongUsage(format!("{SOURCE} needs a change:\n  {}", problems.join("\n  "))))
}

/// Adds the flags and ids of `command` and its subcommands that are taken.
fn check_flags(path: &str, command: &Command, problems: &mut Vec<String>) {
    let mut taken = global_arguments().iter().flat_map(spellings).collect::<BTreeSet<_>>();
    for spelling in command.get_arguments().flat_map(spellings) {
        if taken.contains(&spelling) {
            problems.push(format!("the task `{path}` has {spelling}, which is taken"));
        }
        taken.insert(spelling);
    }
    for inner in command.get_subcommands() {
        check_flags(&format!("{path} {}", inner.get_name()), inner, problems);
    }
}

fn spellings(arg: &Arg) -> Vec<String> {
    let long = arg.get_long_and_visible_aliases().into_iter().flatten();
    let short = arg.get_short_and_visible_aliases().into_iter().flatten();
    let id = format!("an argument with the id `{}`", arg.get_id());
    let long = long.map(|long| format!("a flag `--{long}`"));
    long.chain(short.map(|short| format!("a flag `-{short}`"))).chain([id]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(commands: impl IntoIterator<Item = Command>) -> String {
        let tasks = commands.into_iter().map(|command| Task::new(command, |_, _| Ok(Exit::Done)));
        check(&tasks.collect::<Vec<_>>()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn names_and_flags_that_are_free_are_fine() {
        let task = Command::new("members")
            .visible_alias("who")
            .arg(Arg::new("name"))
            .arg(Arg::new("all").long("all").short('a').visible_alias("everything"));
        assert_eq!(problem([task.clone(), Command::new("release").subcommand(task)]), "");
    }

    #[test]
    fn each_clash_is_told_with_the_name_and_the_file() {
        let command = || Command::new("x");
        let table = [
            (vec![Command::new("with")], "the task `with` has the name of a command of the suite"),
            (vec![Command::new("adopt")], "the task `adopt` has the name of a command of the suite"),
            (vec![Command::new("test-fast")], "the task `test-fast` has the name of a default tier"),
            (vec![command(), command()], "the task `x` has the name of another task"),
            (vec![command().alias("lint")], "the task `lint` has the name of a default tier"),
            (vec![command().arg(Arg::new("j").long("json"))], "the task `x` has a flag `--json`"),
            (vec![command().arg(Arg::new("j").short('C'))], "the task `x` has a flag `-C`"),
            (vec![command().arg(Arg::new("json"))], "an argument with the id `json`"),
            (
                vec![command().subcommand(Command::new("y").arg(Arg::new("c").long("color")))],
                "the task `x y` has a flag `--color`",
            ),
            (
                vec![command().arg(Arg::new("a").long("all")).arg(Arg::new("b").long("all"))],
                "the task `x` has a flag `--all`",
            ),
        ];
        for (commands, expected) in table {
            let told = problem(commands);
            assert!(told.contains(expected) && told.starts_with(SOURCE), "{expected}: {told}");
        }
    }

    #[test]
    fn everything_is_told_at_once() {
        let told = problem([Command::new("with"), Command::new("lint")]);
        assert!(told.contains("`with`") && told.contains("`lint`"), "{told}");
    }
}
