//! The tools that a tier needs: seen to be there before anything is compiled.
//!
//! What a tool is called where, how it is installed and how it is proven is known to the workshop. It is asked only where
//! a look at `PATH` does not answer.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use xtask_workspace::config::Tier;
use xtask_workspace::{EnvironmentLacks, on_path};

use crate::cli::WORKSHOP_PROGRAM;
use crate::context::Context;
use crate::exit::Exit;

/// What to do about tools that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Install them.
    Install,
    /// Say which, and how each is installed.
    Say,
}

/// Sees to it that the tools of `tier` are there. Returns [`Exit::Done`], or how the tier ends because of them.
pub(super) fn ensure(context: &mut Context, tier: &Tier, missing: Missing) -> Result<Exit> {
    let is_there = |name: &String| {
        let configured = context.config.tools.iter().find(|tool| tool.name == *name);
        let programs = configured.map(|tool| tool.programs.as_slice()).filter(|list| !list.is_empty());
        let programs = programs.unwrap_or(std::slice::from_ref(name));
        programs.iter().any(|program| on_path(program, &context.workspace.environment).is_some())
    };
    if tier.tools.iter().all(is_there) {
        return Ok(Exit::Done);
    }
    let how = match missing {
        Missing::Install => "--yes",
        Missing::Say => "--dry-run",
    };
    let program = workshop(context)?;
    let mut workshop = Command::new(&program);
    workshop.args(["-C", context.workspace.root().as_str(), "setup", "--for", &tier.name, how]);
    // Standard output is the tier's own.
    let status = workshop.stdout(Stdio::from(std::io::stderr())).status();
    let status = status.with_context(|| format!("failed to start {program}"))?;
    context.use_own_tools();
    Ok(match status.code() {
        Some(0) => Exit::Done,
        Some(2) => Exit::Usage,
        Some(3) => Exit::Environment,
        _ => Exit::Failed,
    })
}

/// The launcher, which builds the workshop where that is due; else the workshop beside this program.
fn workshop(context: &Context) -> Result<Utf8PathBuf> {
    if let Ok(launcher) = std::env::var("XTASK_LAUNCHER") {
        return Ok(launcher.into());
    }
    let beside = context.exe.with_file_name(format!("{WORKSHOP_PROGRAM}{}", std::env::consts::EXE_SUFFIX));
    let lacks = || {
        EnvironmentLacks("the tier needs tools, which are looked after by another program of the suite\n  next: call it as `cargo xtask`".to_owned())
    };
    beside.is_file().then_some(beside).ok_or_else(|| lacks().into())
}
