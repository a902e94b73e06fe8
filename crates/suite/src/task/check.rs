//! What can be wrong with a project's tasks, told before clap sees them: in the profile `xtask` it does not
//! check a definition, and of two that are called alike it silently takes one.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, Command};
use xtask_workspace::config::Config;
use xtask_workspace::{Facts, WrongUsage};

use super::{SOURCE, Task};
use crate::cli::{RESERVED, global_arguments};

/// Fails with everything that is wrong with `tasks`.
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
            if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
                problems.push(format!("the task `{name}` has a name that is not one plain word"));
            }
        }
        arguments(task.command.get_name(), &task.command, &mut problems);
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(WrongUsage(format!("{SOURCE} needs a change:\n  {}", problems.join("\n  "))))
}

/// Adds what is wrong with the arguments of `command` and of the commands below it.
fn arguments(path: &str, command: &Command, problems: &mut Vec<String>) {
    let globals = global_arguments();
    let mut taken = globals.iter().flat_map(spellings).collect::<BTreeSet<_>>();
    if !command.is_disable_help_flag_set() {
        taken.extend(["--help".to_owned(), "-h".to_owned()]);
    }
    let mut ids = globals.iter().map(|arg| arg.get_id().as_str()).collect::<BTreeSet<_>>();
    for arg in command.get_arguments() {
        for spelling in spellings(arg) {
            if taken.contains(&spelling) {
                problems.push(format!("the task `{path}` has a flag `{spelling}`, which is taken"));
            }
            taken.insert(spelling);
        }
        let id = arg.get_id().as_str();
        if !ids.insert(id) {
            problems.push(format!("the task `{path}` has an argument with the id `{id}`, which is taken"));
        }
    }
    let mut names = BTreeSet::new();
    for inner in command.get_subcommands() {
        for name in std::iter::once(inner.get_name()).chain(inner.get_all_aliases()) {
            if !names.insert(name) {
                problems.push(format!("the task `{path}` has two subcommands `{name}`"));
            }
        }
        arguments(&format!("{path} {}", inner.get_name()), inner, problems);
    }
}

/// The forms in which a flag is typed.
fn spellings(arg: &Arg) -> Vec<String> {
    let long = arg.get_long_and_visible_aliases().into_iter().flatten().map(|long| format!("--{long}"));
    let short = arg.get_short_and_visible_aliases().into_iter().flatten().map(|short| format!("-{short}"));
    long.chain(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn problem(commands: impl IntoIterator<Item = Command>) -> String {
        let tasks = commands.into_iter().map(|command| Task::new(command, |_, _| Ok(Exit::Done)));
        check(&tasks.collect::<Vec<_>>()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_nobody_else_has_is_a_tasks_own() {
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
            (vec![Command::new("a b")], "the task `a b` has a name that is not one plain word"),
            (vec![command().arg(Arg::new("j").long("json"))], "the task `x` has a flag `--json`"),
            (vec![command().arg(Arg::new("j").short('C'))], "the task `x` has a flag `-C`"),
            (vec![command().arg(Arg::new("json"))], "an argument with the id `json`"),
            (vec![command().arg(Arg::new("h").short('h'))], "the task `x` has a flag `-h`"),
            (
                vec![command().subcommand(Command::new("y").arg(Arg::new("c").long("color")))],
                "the task `x y` has a flag `--color`",
            ),
            (
                vec![command().arg(Arg::new("a").long("all")).arg(Arg::new("b").long("all"))],
                "the task `x` has a flag `--all`",
            ),
            (
                vec![command().subcommand(Command::new("y")).subcommand(Command::new("y"))],
                "the task `x` has two subcommands `y`",
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
