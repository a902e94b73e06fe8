//! The tools that somebody needs here by name, such as the tests of a tier: which are missing, and installing them.

use anyhow::Result;
use xtask_files::lock_exclusive;
use xtask_workspace::config::{Need, Setup, closest};
use xtask_workspace::{Call, Progress, Workspace, WrongUsage};

use crate::catalog::Tool;
use crate::install::{Step, steps};
use crate::machine::Machine;
use crate::probe::{places, probe};
use crate::setup::{Installer, Known, Outcome};

/// A tool that is needed and not installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name in the catalog.
    pub name: String,
    /// The command that installs it here, or a sentence if there is none.
    pub install: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not installed: {}", self.name, self.install)
    }
}

/// Which of the tools called `names` in the catalog `tools` are missing, in that order. Nothing is started, and nothing
/// is asked of a network: a tool is there if one of its programs is.
///
/// Fails as wrong usage for a name that is not in the catalog, or not for this host.
pub fn missing(
    workspace: &Workspace,
    tools: &[Tool],
    names: &[String],
    setup: &Setup,
) -> Result<Vec<Missing>> {
    let tools = named(tools, names)?;
    // Only the toolchain's own programs are found by asking rustc, which takes 50 ms.
    let of_the_toolchain = |tool: &&Tool| tool.programs.iter().any(|program| program.contains("{rustlib}"));
    let machine = if tools.iter().any(of_the_toolchain) {
        Machine::of(workspace)?
    } else {
        Machine::without_toolchain(workspace)
    };
    let missing = tools.into_iter().filter(|tool| places(tool, &machine).is_empty());
    Ok(missing
        .map(|tool| Missing { name: tool.name.clone(), install: advice(tool, &machine, setup) })
        .collect())
}

/// Installs those of the tools called `names` that are missing, and proves all of them, as a setup does. `confirm` is asked
/// before the system's package manager is called.
///
/// What became of each tool is in the result, in the order of `names`. Fails for an unknown name and for a signal.
pub fn install(
    workspace: &Workspace,
    tools: &[Tool],
    names: &[String],
    setup: &Setup,
    confirm: &dyn Fn(&Call) -> bool,
    progress: &dyn Progress,
) -> Result<Vec<Outcome>> {
    let tools = named(tools, names)?;
    let machine = Machine::of(workspace)?;
    let _lock = lock_exclusive(&machine.state_dir.join("lock"))?;
    let mut known = Known::read(&machine.state_dir);
    let installer =
        Installer { machine: &machine, install_to: setup.install_to, offline: false, confirm, progress };
    let mut outcomes = Vec::new();
    for tool in tools {
        let tool = Tool { need: Need::Required, ..tool.clone() };
        let probed = probe(&tool, &machine)?;
        let steps = installer.steps(&tool, &probed);
        outcomes.push(installer.set_up(&tool, probed, &steps, &mut known)?);
        known.write(&machine.state_dir)?;
    }
    Ok(outcomes)
}

/// The tools with these names, each once.
fn named<'a>(tools: &'a [Tool], names: &[String]) -> Result<Vec<&'a Tool>> {
    let mut found = Vec::<&Tool>::new();
    for name in names {
        let Some(tool) = tools.iter().find(|tool| tool.name == *name) else {
            let next = match closest(name, tools.iter().map(|tool| tool.name.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("describe it as [tools.{name}] in xtask.toml"),
            };
            return Err(WrongUsage(format!("there is no tool `{name}` for this host\n  next: {next}")).into());
        };
        if !found.iter().any(|earlier| earlier.name == tool.name) {
            found.push(tool);
        }
    }
    Ok(found)
}

/// The one line that installs `tool`.
fn advice(tool: &Tool, machine: &Machine, setup: &Setup) -> String {
    let steps = steps(tool, machine, setup.install_to);
    match steps.first() {
        Some(Step::Archive { .. }) if tool.need != Need::Unwanted => "cargo xtask setup".to_owned(),
        Some(Step::Packages { call, .. } | Step::Cargo { call }) => call.to_string(),
        Some(archive @ Step::Archive { .. }) => archive.to_string(),
        None => format!(
            "install `{}` yourself; [tools.{}] in xtask.toml has no package for this system",
            tool.programs.join("` or `"),
            tool.name
        ),
    }
}
