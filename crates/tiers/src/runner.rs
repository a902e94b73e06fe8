//! What runs the tests: cargo-nextest where it is installed and works, else `cargo test`.

use std::fs;
use std::process::Command;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, write_atomic};
use xtask_workspace::config::RunnerChoice;
use xtask_workspace::{EnvironmentLacks, Workspace, cargo_home, on_path, stamp};

/// What runs the tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runner {
    /// `cargo nextest run`.
    Nextest {
        /// Its version.
        version: String,
    },
    /// `cargo test`.
    Cargo,
}

/// The runner for a tier, and the one line to say when it is a fallback.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) runner: Runner,
    pub(crate) note: Option<String>,
}

/// What was found out about a nextest binary; asked again only when the file changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Probe {
    stamp: String,
    /// `None` when it does not run.
    version: Option<String>,
    /// Whether it passes cargo's JSON messages on, which the record is made from.
    passes_messages: bool,
}

/// Chooses the runner. Fails as [`EnvironmentLacks`] when nextest is demanded and cannot be had.
pub(crate) fn choose(workspace: &Workspace, choice: RunnerChoice) -> Result<Choice> {
    if choice == RunnerChoice::Cargo {
        return Ok(Choice { runner: Runner::Cargo, note: None });
    }
    let why_not = match find(workspace) {
        None => "cargo-nextest is not installed".to_owned(),
        Some(path) => match probe(workspace, &path) {
            Probe { version: Some(version), passes_messages: true, .. } => {
                return Ok(Choice { runner: Runner::Nextest { version }, note: None });
            }
            Probe { version: Some(version), .. } => {
                format!("cargo-nextest {version} is too old (it lacks --cargo-message-format)")
            }
            Probe { version: None, .. } => format!("{path} does not run"),
        },
    };
    if choice == RunnerChoice::Nextest {
        let message = format!("{why_not}, and this tier wants it; run `cargo xtask setup`");
        return Err(EnvironmentLacks(message).into());
    }
    Ok(Choice { runner: Runner::Cargo, note: Some(format!("{why_not}: using `cargo test`")) })
}

/// Where cargo would find it: on `PATH`, else in its own bin folder.
fn find(workspace: &Workspace) -> Option<Utf8PathBuf> {
    let name = "cargo-nextest";
    on_path(name, &workspace.environment).or_else(|| {
        let home = cargo_home(&workspace.environment)?.join("bin");
        Some(home.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))).filter(|path| path.is_file())
    })
}

fn probe(workspace: &Workspace, path: &Utf8Path) -> Probe {
    let stamp = format!("{path} {}", stamp(path).unwrap_or_default());
    let cache = workspace.state_dir().join("nextest").join("probe.json");
    let known = fs::read(&cache).ok().and_then(|json| serde_json::from_slice::<Probe>(&json).ok());
    if let Some(known) = known.filter(|known| known.stamp == stamp) {
        return known;
    }
    let ask = |args: &[&str]| -> Option<String> {
        let mut command = Command::new(path);
        command.args(args).env_clear().envs(workspace.environment.iter_os());
        let output = command.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    // `cargo-nextest 0.9.143 (60fa45f63 2026-08-04)` and more lines.
    let version = ask(&["nextest", "--version"])
        .and_then(|text| text.split_whitespace().nth(1).map(str::to_owned))
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()));
    let help = version.as_ref().and_then(|_| ask(&["nextest", "run", "--help"]));
    let passes_messages = help.is_some_and(|help| help.contains("--cargo-message-format"));
    let probe = Probe { stamp, version, passes_messages };
    if let Ok(json) = serde_json::to_vec(&probe) {
        // Not kept: asked again next time.
        let _ = write_atomic(&cache, json, Durability::Cache);
    }
    probe
}
