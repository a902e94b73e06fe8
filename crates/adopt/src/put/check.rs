//! The proof after the edits: cargo sees the workspace as it was, and the launcher.

use anyhow::{Result, bail};
use xtask_workspace::{CargoCommand, Environment, Facts, LocalPackage, Outline};

/// Fails where cargo now sees anything else in the workspace than `before` and the member `launcher`, or where it
/// no longer takes the lock file, which it did before (`locked`).
pub fn unchanged_but_for(
    launcher: &str,
    before: &Facts,
    locked: bool,
    environment: &Environment,
) -> Result<()> {
    let after = Outline::of(&before.root, environment)?.facts;
    let others = |facts: &Facts| facts.members().cloned().map(comparable).collect::<Vec<_>>();
    let default = |facts: &Facts| {
        facts.default_members.iter().filter(|name| *name != launcher).cloned().collect::<Vec<_>>()
    };
    if after.launcher().is_none_or(|found| found.name != launcher) {
        bail!("cargo does not see the new member `{launcher}`");
    }
    if others(before) != others(&after) || default(before) != default(&after) {
        let names = |facts: &Facts| {
            let names = others(facts).into_iter().map(|member| member.name);
            names.collect::<Vec<_>>().join(", ")
        };
        bail!(
            "cargo would see other members or default members beside the launcher: {} in place of {}",
            names(&after),
            names(before)
        );
    }
    if before.target_dir != after.target_dir {
        bail!("the target dir would move from {} to {}", before.target_dir, after.target_dir);
    }
    if locked && !takes_lock_file(before, environment)? {
        bail!("cargo would no longer take Cargo.lock with --locked");
    }
    Ok(())
}

/// Without what only counts within one list: the places of other packages in it.
fn comparable(mut member: LocalPackage) -> LocalPackage {
    member.dependencies.clear();
    member
}

/// Whether `cargo --locked` works in the workspace, as far as this machine can tell without the network.
pub fn takes_lock_file(facts: &Facts, environment: &Environment) -> Result<bool> {
    let args = ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", &facts.host];
    let command = CargoCommand::new(&facts.root, args);
    Ok(command.to_command(environment).output()?.status.success())
}
