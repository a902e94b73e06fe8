//! `cargo xtask doctor`: what slows down or breaks builds on this machine, and how to fix it.

use anstyle::AnsiColor;
use anyhow::Result;
use clap::ArgMatches;
use xtask_tools::catalog;
use xtask_tools::doctor::{DoctorOptions, DoctorReport, Status, diagnose, diagnose_unloaded, fix};
use xtask_units::cores;
use xtask_workspace::Workspace;

use xtask_suite::program::{Context, Ended, count, seconds};
use xtask_suite::{Exit, Shell};

use crate::ended;

/// Checks, makes the safe fixes where `--fix` asks for them, and shows.
///
/// A workspace that cannot be read for a reason of the machine's is a finding; any other error is what it always is.
pub(super) fn run(loaded: Result<Context>, arguments: &ArgMatches, shell: &Shell) -> Result<Ended> {
    let context = match loaded {
        Ok(context) => context,
        Err(error) => return show(shell, &diagnose_unloaded(error)?),
    };
    let options = DoctorOptions {
        tools: catalog(&context.config.tools, &context.workspace.facts.host)?,
        setup: context.config.setup.clone(),
        cores: cores(),
    };
    let mut report = diagnose(&context.workspace, &options)?;
    if arguments.get_flag("fix") && report.signal.is_none() {
        let fixed = fix(&context.workspace, &report)?;
        for edit in &fixed.edits {
            shell.output(xtask_edit::describe(edit).trim_end());
        }
        for done in &fixed.done {
            shell.result(&format!("{} {done}", shell.paint("fixed", AnsiColor::Green)));
        }
        if fixed.edits.is_empty() {
            shell.note("there is nothing that --fix can fix");
        } else {
            // What cargo reads is another configuration now.
            let workspace = Workspace::load(context.workspace.root(), context.workspace.environment.clone())?;
            report = diagnose(&workspace, &options)?;
            report.changed = fixed.edits.into_iter().map(|edit| edit.path).collect();
        }
    }
    show(shell, &report)
}

fn show(shell: &Shell, report: &DoctorReport) -> Result<Ended> {
    let width = report.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    for check in &report.checks {
        let (word, colour) = match check.status {
            Status::Ok => ("ok", AnsiColor::Green),
            Status::Warn => ("warn", AnsiColor::Yellow),
            Status::Fail => ("fail", AnsiColor::Red),
        };
        // Padded before it is coloured: escape codes have no width.
        let padding = " ".repeat("fail".len() - word.len());
        let word = shell.paint(word, colour);
        shell.result(&format!("{word}{padding}  {:<width$}  {}", check.name, check.evidence));
        if let Some(fix) = &check.fix {
            let by_us = if fix.safe.is_some() { " (or cargo xtask doctor --fix)" } else { "" };
            shell.result(&format!("{:>width$}fix: {}{by_us}", "", fix.text, width = width + 8));
        }
        if check.status == Status::Fail {
            shell.annotate(&format!("doctor: {}", check.name), &check.evidence);
        }
    }
    shell.result(&last_line(shell, report));
    if shell.json() {
        shell.document(report)?;
    }
    Ok(Ended::new(Exit::from_success(report.count(Status::Fail) == 0), report.signal))
}

fn last_line(shell: &Shell, report: &DoctorReport) -> String {
    let (failed, warned) = (report.count(Status::Fail), report.count(Status::Warn));
    let changed = report.changed.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(", ");
    let changed = if changed.is_empty() { changed } else { format!("; changed: {changed}") };
    format!(
        "doctor {}: {}, {}, {} ok{changed} ({})",
        ended(shell, report.signal, failed > 0),
        count(failed, "failure"),
        count(warned, "warning"),
        report.count(Status::Ok),
        seconds(report.took_ms)
    )
}
