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
    if !includes(cargo) {
        let (major, minor) = cargo.release;
        notes.push(format!(
            "cargo {major}.{minor} knows no `include`, so {LOCAL_FILE} is not included: settings of this machine go into the \
             configuration in your cargo home"
        ));
    } else if let Err(error) = add_include(config) {
        notes.push(format!("{LOCAL_FILE} is not included: {error}"));
    }
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
    if !config.contains(&["profile", "xtask"]) {
        if config.value(&["profile"]).is_some() {
            // In braces, where dotted keys are not added one after the other.
            config.set(&["profile", "xtask"], "{ inherits = \"dev\", debug = false }")?;
        } else {
            config.set(&["profile", "xtask", "inherits"], "\"dev\"")?;
            config.set(&["profile", "xtask", "debug"], "false")?;
        }
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
