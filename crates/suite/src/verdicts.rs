//! `cargo xtask verdicts`: what is remembered, and after a mismatch what it was and how to go on.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::ArgMatches;
use serde::Serialize;
use xtask_tiers::{Mismatch, Store, Summary, last_ran};
use xtask_units::now_ms;

use crate::context::Context;
use crate::program::Exit;
use crate::shell::{Shell, ago, bytes, count, seconds};

#[derive(Serialize)]
struct Verdicts {
    /// Why nothing can be remembered.
    off: Option<String>,
    store: Option<Summary>,
    /// What has stopped the memory, or had before `--accept`.
    stopped: Option<Mismatch>,
    accepted: bool,
    /// By tier, what its last run here could not reuse, and why.
    ran: BTreeMap<String, BTreeMap<String, String>>,
}

/// How many programs are listed for each tier.
const LISTED: usize = 10;

pub(crate) fn run(context: &Context, arguments: &ArgMatches) -> Result<Exit> {
    let ran = last_ran(&context.workspace);
    let verdicts = match Store::open(&context.workspace) {
        Err(reason) => Verdicts { off: Some(reason), store: None, stopped: None, accepted: false, ran },
        Ok(store) => {
            let accept = arguments.get_flag("accept");
            let stopped = if accept { store.accept()? } else { store.stopped() };
            let accepted = accept && stopped.is_some();
            Verdicts { off: None, store: Some(store.summary()?), stopped, accepted, ran }
        }
    };
    if context.shell.json() {
        context.shell.document(&verdicts)?;
    } else {
        show(context.shell, &verdicts, now_ms());
    }
    Ok(Exit::from_success(verdicts.stopped.is_none() || verdicts.accepted))
}

fn show(shell: &Shell, verdicts: &Verdicts, now_ms: u64) {
    if let Some(reason) = &verdicts.off {
        shell.result(&format!("nothing is remembered: {reason}"));
    }
    if let Some(mismatch) = &verdicts.stopped {
        for line in describe(mismatch, now_ms) {
            shell.result(&line);
        }
    }
    if let Some(store) = &verdicts.store {
        let unused = store.oldest_ms.map(|oldest| format!(", the oldest last used {}", ago(oldest, now_ms)));
        let passes = match store.passes {
            1 => "1 pass".to_owned(),
            passes => format!("{passes} passes"),
        };
        let (size, dir) = (bytes(store.bytes), &store.dir);
        shell.result(&format!("{passes} remembered{}, {size} in {dir}", unused.unwrap_or_default()));
    }
    for (tier, programs) in verdicts.ran.iter().filter(|(_, programs)| !programs.is_empty()) {
        shell.result(&format!("the last {tier} ran {}:", count(programs.len(), "test program")));
        for (program, why) in programs.iter().take(LISTED) {
            shell.result(&format!("  {program}: {why}"));
        }
        if let Some(more @ 1..) = programs.len().checked_sub(LISTED) {
            shell.result(&format!("  and {more} more"));
        }
    }
    match &verdicts.stopped {
        Some(mismatch) if verdicts.accepted => {
            let forgotten = if mismatch.is_known() { "that pass is" } else { "all passes are" };
            shell.result(&format!("{forgotten} forgotten, and remembering goes on"));
        }
        Some(_) => shell.result(
            "remembering is stopped: every test runs; find out why they differ, then run `cargo xtask verdicts --accept`",
        ),
        None => {}
    }
}

fn describe(mismatch: &Mismatch, now_ms: u64) -> Vec<String> {
    let Mismatch { program, pass, failures, .. } = mismatch;
    if !mismatch.is_known() {
        let lines = ["a program failed whose pass was remembered; the record of it is damaged:".to_owned()];
        return lines.into_iter().chain(failures.iter().map(|line| format!("  {line}"))).collect();
    }
    let commit =
        pass.commit.as_ref().map(|commit| format!(" at commit {}", commit.get(..12).unwrap_or(commit)));
    let tests = count(pass.tests.passed, "test");
    let mut lines = vec![
        format!(
            "{program} failed {}, although nothing had changed since it passed",
            ago(mismatch.at_ms, now_ms)
        ),
        format!(
            "  passed: {}{}, {tests} in {}",
            ago(pass.at_ms, now_ms),
            commit.unwrap_or_default(),
            seconds(pass.ms)
        ),
    ];
    lines.extend(failures.iter().map(|failure| format!("  failed: {failure}")));
    lines.push(format!("  key:    {}", mismatch.key));
    lines
}
