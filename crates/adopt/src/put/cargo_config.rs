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
    let start = start(config, launcher, cargo);
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

/// The alias that starts the launcher, as a program of the host and of any newcomer's machine: it needs neither the device
/// that the workspace is built for, nor the wrapper and the linker that are demanded. Cargo splits it at blanks.
fn start(config: &TomlText, launcher: &str, cargo: CargoVersion) -> String {
    // The profile is the launcher's own, so that it neither waits for nor blocks a running build.
    let mut words = "run --quiet --profile xtask".to_owned();
    let mut set = |setting: &str| words.extend([" --config ", setting]);
    for wrapper in ["rustc-wrapper", "rustc-workspace-wrapper"] {
        if config.contains(&["build", wrapper]) {
            // It starts rustc and nothing else. An empty one would make cargo ask rustc anew in each call, 0.1 s.
            set(&format!("build.{wrapper}=\"env\""));
        }
    }
    // Flags of `target` void those of `build`. This one is what the profile says.
    set("target.\"cfg(all())\".rustflags=[\"-Cdebuginfo=0\"]");
    for table in config.keys(&["target"]).into_iter().filter(|table| !table.contains(char::is_whitespace)) {
        let value = |key| config.value(&["target", &table, key]);
        let flags = value("rustflags");
        let flags = flags.as_ref().and_then(Value::as_array).map(ToString::to_string).unwrap_or_default();
        // What only clang takes would stop `cc`, and no flag can be taken away.
        if table.contains("windows")
            || ["--ld-path", "-fuse-ld=/", "-fuse-ld=wild"].iter().any(|it| flags.contains(it))
        {
            continue;
        }
        let table = table.replace('"', "\\\"");
        if value("linker").is_some() {
            // What rustc calls where nothing is set.
            set(&format!("target.\"{table}\".linker=\"cc\""));
        }
        // Of several linkers the last one that is named counts.
        let is_linux = table.contains("linux") || ["mold", "gold"].iter().any(|name| flags.contains(name));
        if is_linux && flags.contains("-fuse-ld=") {
            set(&format!("target.\"{table}\".rustflags=[\"-Clink-arg=-fuse-ld=bfd\"]"));
        }
    }
    if cargo.release >= (1, 91) {
        words.push_str(" --target host-tuple");
    }
    format!("{words} --package {launcher} --example {launcher} --features {launcher}/launcher --")
}

/// Whether an alias starts the launcher.
pub(crate) fn is_ours(alias: &Value) -> bool {
    alias.as_str().is_some_and(|words| {
        words.contains("--profile xtask")
            && LAUNCHERS.iter().any(|name| words.contains(&format!("--package {name} ")))
    })
}
