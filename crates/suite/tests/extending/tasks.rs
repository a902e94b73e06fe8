//! Tasks of which each ends in its own way. `TASKS` chooses others, with which something is wrong.
use std::process::ExitCode;
use xtask_suite::anyhow::{Context as _, anyhow};
use xtask_suite::clap::{Arg, ArgAction, Command};
use xtask_suite::{EnvironmentLacks, Exit, Task, WrongUsage, serde_json};

fn main() -> ExitCode {
    let nothing = |command| Task::new(command, |_, _| Ok(Exit::Done));
    match std::env::var("TASKS").as_deref() {
        Ok("suite") => xtask_suite::main_with([nothing(Command::new("with"))]),
        Ok("tier") => xtask_suite::main_with([nothing(Command::new("test-fast"))]),
        Ok("twice") => xtask_suite::main_with([nothing(Command::new("a")), nothing(Command::new("a"))]),
        Ok("flag") => xtask_suite::main_with([nothing(Command::new("a").arg(Arg::new("j").long("json")))]),
        _ => xtask_suite::main_with(tasks()),
    }
}

fn tasks() -> Vec<Task> {
    let task = |name: &'static str| Command::new(name).about("Ends in its own way");
    let words =
        Arg::new("words").num_args(1..).last(true).allow_hyphen_values(true).action(ArgAction::Append);
    vec![
        Task::new(task("fail"), |_, _| Ok(Exit::Failed)),
        Task::new(task("error"), |_, _| Err(anyhow!("the cause")).context("the task's own words")),
        Task::new(task("wrong"), |_, _| Err(WrongUsage("no such thing".into())).context("asked")),
        Task::new(task("lacks"), |_, _| Err(EnvironmentLacks("no such tool".into()))?),
        Task::new(task("panic").arg(Arg::new("n").long("n")), |_, matches| {
            Ok(Exit::from_success(matches.get_one::<usize>("n").is_some()))
        }),
        Task::new(task("say").alias("tell"), |context, _| {
            context.shell.progress(1, 2, "half");
            context.shell.note("a note");
            context.shell.detail("a detail");
            context.shell.result("a result");
            if context.shell.json() {
                context.shell.document(&serde_json::json!({ "tiers": context.config.tiers.len() }))?;
            }
            Ok(Exit::Done)
        }),
        Task::new(task("call").arg(words), |context, matches| {
            context.cargo(matches.get_many::<String>("words").into_iter().flatten())
        }),
        Task::new(task("build"), |context, _| {
            let record = context.build(&context.cargo_command(["build", "--workspace"]))?;
            context.shell.result(&format!("{} compiled", record.compiled()));
            Ok(Exit::from_success(record.exit_code == Some(0)))
        }),
    ]
}
