//! Cargo's configuration in a workspace: the aliases, the profile they name, and the include of the machine's own
//! settings.

use anyhow::Result;
use toml_edit::Value;
use xtask_edit::TomlText;
use xtask_tools::{LOCAL_FILE, add_include, includes};
use xtask_workspace::CargoVersion;

use super::host::OWN_ALIAS;
use crate::record::LAUNCHERS;

/// Adds what is missing. `tiers` get an alias each; one that the workspace has already stays. Returns what the
/// report should say of it.
pub(crate) fn add(
    config: &mut TomlText,
    launcher: &str,
    tiers: &[&str],
    cargo: CargoVersion,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    include(config, cargo, &mut notes)?;
    let quoted = |text: &str| Value::from(text).to_string();
    // The profile is the launcher's own, so that it neither waits for nor blocks a running build.
    let target = if config.contains(&["build", "target"]) { " --target host-tuple" } else { "" };
    let name = format!("--package {launcher} --example {launcher} --features {launcher}/launcher");
    let start = format!("run --quiet --profile xtask{target} {name} --");
    let [alias, _] = LAUNCHERS;
    if let Some(own) = config.value(&["alias", alias]).filter(|value| !is_ours(value)) {
        config.set(&["alias", OWN_ALIAS], own.to_string().trim())?;
    }
    config.set(&["alias", alias], &quoted(&start))?;
    for tier in tiers {
        let ours = format!("{alias} {tier}");
        match config.value(&["alias", tier]) {
            None => config.set(&["alias", tier], &quoted(&ours))?,
            Some(value) if value.as_str() == Some(&*ours) => {}
            Some(_) => notes
                .push(format!("your alias `{tier}` stays; the tier of that name is `cargo {alias} {tier}`")),
        }
    }
    if config.contains(&["source", "crates-io", "replace-with"]) {
        notes.push(format!(
            "your configuration replaces crates.io: what the suite depends on must be there too; for a vendored folder: \
             cargo vendor --sync {launcher}/suite/Cargo.toml"
        ));
    }
    if !config.contains(&["profile", "xtask"]) {
        config.set(&["profile", "xtask", "inherits"], "\"dev\"")?;
        config.set(&["profile", "xtask", "debug"], "false")?;
    }
    Ok(notes)
}

/// Whether an alias starts the launcher.
pub(crate) fn is_ours(alias: &Value) -> bool {
    alias.as_str().is_some_and(|words| {
        words.contains("--profile xtask")
            && LAUNCHERS.iter().any(|name| words.contains(&format!("--package {name} ")))
    })
}

fn include(config: &mut TomlText, cargo: CargoVersion, notes: &mut Vec<String>) -> Result<()> {
    if !includes(cargo) {
        notes.push(format!(
            "cargo {}.{} knows no `include`, so {LOCAL_FILE} is not included: settings of this machine go into the \
             configuration in your cargo home",
            cargo.release.0, cargo.release.1
        ));
        return Ok(());
    }
    if config.contains(&["include"]) && config.value(&["include"]).is_none() {
        notes.push(format!("`[[include]]` stays as it is; add one with `path = \"{LOCAL_FILE}\"`"));
        return Ok(());
    }
    add_include(config)
}
