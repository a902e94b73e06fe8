//! Which cargo commands count: their units stay.

use std::collections::BTreeMap;

use anyhow::Result;
use xtask_sweep::LiveCommand;
use xtask_tiers::build_commands;
use xtask_workspace::CargoCommand;
use xtask_workspace::config::{Place, Sweep};

use xtask_suite::program::Context;

/// The profile that launcher and suite are built in.
const OWN_PROFILE: &str = "xtask";

/// What is needed.
pub(super) struct Needed {
    pub(super) commands: Vec<LiveCommand>,
    /// Profiles that are left alone as a whole, and why.
    pub(super) apart: BTreeMap<String, String>,
}

/// The commands of every tier of this place, of plain cargo, of editors, of `keep`, and of the suite's own build.
pub(super) fn commands(context: &Context, policy: &Sweep, since_ms: u64) -> Result<Needed> {
    let workspace = &context.workspace;
    let facts = &workspace.facts;
    let mut commands = Vec::new();
    let in_ci = workspace.environment.get("CI").is_some();
    for tier in context.config.tiers.iter().filter(|tier| in_ci || tier.place != Place::Ci) {
        let preset = tier.preset.as_deref().map(|preset| context.preset(preset)).transpose()?;
        for command in build_commands(workspace, tier, preset, since_ms) {
            commands.push(LiveCommand { command, because: format!("tier `{}`", tier.name) });
        }
    }
    let mut plain = vec![vec!["build", "--workspace"], vec!["check", "--workspace", "--all-targets"]];
    if facts.default_members.len() < facts.members().count() {
        // Without `--workspace` other features may be on.
        plain.push(vec!["build"]);
    }
    for args in plain {
        let because = format!("cargo {}", args[0]);
        commands.push(LiveCommand { command: CargoCommand::new(workspace.root(), args), because });
    }
    let keep = policy.keep.iter().cloned();
    commands.extend(keep.map(|command| LiveCommand { command, because: "[sweep] keep".to_owned() }));
    let mut apart = BTreeMap::new();
    if facts.member("xtask-suite").is_some() {
        for package in ["xtask", "xtask-suite"] {
            let args = ["build", "--profile", OWN_PROFILE, "--package", package];
            let command = CargoCommand::new(workspace.root(), args);
            commands.push(LiveCommand { command, because: "the suite's own build".to_owned() });
        }
    } else {
        apart.insert(OWN_PROFILE.to_owned(), "the suite's own build".to_owned());
    }
    Ok(Needed { commands, apart })
}
