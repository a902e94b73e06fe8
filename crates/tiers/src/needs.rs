//! The commands that say which units a tier needs, whatever it would run for right now.

use std::collections::BTreeSet;

use xtask_workspace::config::{Packages, Preset, Targets, Tier, TierCommand};
use xtask_workspace::{CargoCommand, Selection, Workspace, target_args};

use crate::commands::Shape;
use crate::ledger::ledger;
use crate::runner::Runner;

/// The cargo commands that build what `tier` needs. An affected tier needs what it builds for the whole workspace,
/// and what it built for fewer members since `since_ms` (milliseconds since 1970).
pub fn build_commands(
    workspace: &Workspace,
    tier: &Tier,
    preset: Option<&Preset>,
    since_ms: u64,
) -> Vec<CargoCommand> {
    let shape = Shape { tier, preset, runner: Runner::Cargo, tool_config: None, runner_args: &[] };
    let exclude = tier.exclude.clone();
    let mut selections = vec![match &tier.packages {
        Packages::Affected | Packages::Workspace => Selection::Workspace { exclude },
        Packages::Default => Selection::Default { exclude },
        Packages::List(names) => Selection::Only(names.clone()),
    }];
    if tier.packages == Packages::Affected {
        selections.extend(narrow(workspace, &tier.name, since_ms).into_iter().map(Selection::Only));
    }
    let mut commands = Vec::new();
    for selection in selections {
        let command = shape.build(workspace, &selection);
        if tier.command == TierCommand::Test && tier.doctests && tier.targets != Targets::Default {
            // Doc tests need the libraries, which `--all-targets` and the like leave out.
            let mut libraries = command.clone();
            let targets = target_args(&tier.targets);
            libraries.args.retain(|arg| !targets.contains(arg));
            commands.push(libraries);
        }
        commands.push(command);
    }
    commands
}

/// The members that runs of an affected tier were narrowed to, each choice once. Members that are gone need nothing.
fn narrow(workspace: &Workspace, tier: &str, since_ms: u64) -> BTreeSet<Vec<String>> {
    let lines = ledger(workspace).unwrap_or_default();
    let recent = lines.into_iter().filter(|line| line.tier == tier && line.started_at_ms >= since_ms);
    let choices = recent.map(|line| line.narrow).filter(|choice| !choice.is_empty());
    choices.filter(|choice| choice.iter().all(|name| workspace.facts.member(name).is_some())).collect()
}
