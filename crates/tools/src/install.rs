//! The ways of installing a tool, as steps that are shown before they are run.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_files::remove_dir;
use xtask_units::holding_signals;
use xtask_units::process::{Out, run};
use xtask_workspace::config::{Archive, InstallTo, Tool, Way};
use xtask_workspace::{Call, Environment, Progress, cargo_home, home, on_path, private_bin};

use crate::download::{Fetch, Limits};
use crate::machine::Machine;
use crate::process::{Interrupted, status_of, uninterrupted};

#[cfg(all(test, unix, feature = "heavy"))]
mod tests;

/// The longest that a package manager or `cargo install` may take.
const INSTALLS: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Archive {
        archive: Archive,
        program: String,
        folder: Utf8PathBuf,
    },
    Packages {
        /// Its call, with `sudo` where only root may.
        call: Call,
        /// The call that brings its list of packages up to date and changes nothing else.
        refresh: Option<Call>,
    },
    Cargo {
        call: Call,
    },
}

impl Step {
    pub(crate) fn way(&self) -> Way {
        match self {
            Self::Archive { .. } => Way::Archive,
            Self::Packages { .. } => Way::Packages,
            Self::Cargo { .. } => Way::Cargo,
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Archive { archive, folder, .. } => {
                write!(f, "download {} (SHA-256 {}…) into {folder}", archive.url, &archive.sha256[..12])
            }
            Self::Packages { call, .. } | Self::Cargo { call } => write!(f, "{call}"),
        }
    }
}

pub(crate) fn steps(tool: &Tool, machine: &Machine, install_to: InstallTo) -> Vec<Step> {
    tool.install.iter().filter_map(|way| step(*way, tool, machine, install_to)).collect()
}

fn step(way: Way, tool: &Tool, machine: &Machine, install_to: InstallTo) -> Option<Step> {
    let folder = match install_to {
        InstallTo::CargoBin => machine.cargo_bin()?,
        InstallTo::Workspace => private_bin(&machine.root),
    };
    match way {
        Way::Archive => {
            let archive = tool.archives.first()?.clone();
            let program = format!("{}{}", tool.programs.first()?, std::env::consts::EXE_SUFFIX);
            Some(Step::Archive { archive, program, folder })
        }
        Way::Packages => packages(tool, machine),
        Way::Cargo if tool.crate_args.is_empty() => None,
        Way::Cargo => {
            let args = ["install", "--locked", "--root", folder.parent()?.as_str()].map(str::to_owned);
            let target = machine.state_dir.join("install").join(&tool.name);
            // Not in the workspace: its toolchain may be older than the tool needs, and its settings are for its own builds.
            let dir = home(&machine.environment).or_else(|| cargo_home(&machine.environment))?;
            let call = Call::new(dir, "cargo", args.into_iter().chain(tool.crate_args.iter().cloned()))
                // Kept if it fails or is killed: the next call continues there.
                .with_env("CARGO_TARGET_DIR", target.as_str())
                .with_env("CARGO_BUILD_BUILD_DIR", target.as_str());
            Some(Step::Cargo { call })
        }
    }
}

/// The package managers, in the order in which they are looked for: the name in the catalog, the program, the arguments that
/// install a package, and those that bring the list of packages up to date.
const MANAGERS: [(&str, &str, &[&str], &[&str]); 7] = [
    ("apt", "apt-get", &["install", "--yes", "--no-install-recommends"], &["update"]),
    ("dnf", "dnf", &["install", "--assumeyes"], &[]),
    // `-Sy` and then `-S package` is the partial upgrade that Arch does not support.
    ("pacman", "pacman", &["-S", "--needed", "--noconfirm"], &[]),
    ("zypper", "zypper", &["--non-interactive", "install"], &["--non-interactive", "refresh"]),
    ("apk", "apk", &["add"], &["update"]),
    ("brew", "brew", &["install"], &[]),
    (
        "winget",
        "winget",
        &["install", "--exact", "--accept-source-agreements", "--accept-package-agreements", "--id"],
        &[],
    ),
];

fn packages(tool: &Tool, machine: &Machine) -> Option<Step> {
    let has = |program: &str| on_path(program, &machine.environment).is_some();
    let (name, program, install, refresh) =
        MANAGERS.into_iter().find(|(name, program, ..)| tool.packages.contains_key(*name) && has(program))?;
    let sudo = !matches!(name, "brew" | "winget") && !is_root();
    let call = |args: &[&str]| {
        let words = ["sudo", program].into_iter().skip(usize::from(!sudo)).collect::<Vec<_>>();
        Call::new(&machine.root, words[0], words[1..].iter().chain(args).copied())
    };
    let refresh = (!refresh.is_empty()).then(|| call(refresh));
    Some(Step::Packages { call: call(&[install, &[&tool.packages[name]]].concat()), refresh })
}

/// Package managers that need `sudo` exist on Unix only.
fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    false
}

/// Runs a step. `confirm` is asked before the system's package manager is called.
pub(crate) fn take(
    step: &Step,
    machine: &Machine,
    confirm: &dyn Fn(&Call) -> bool,
    progress: &dyn Progress,
) -> Result<()> {
    let installing = |call: &Call| installing(call, &machine.environment, progress);
    match step {
        Step::Archive { archive, program, folder } => {
            let downloads = machine.state_dir.join("downloads");
            let (limits, environment, downloads) = (Limits::default(), &machine.environment, &downloads);
            Fetch { archive, program, downloads, folder, limits, environment, progress }.fetch().map(|_| ())
        }
        Step::Packages { call, refresh } => {
            if !confirm(call) {
                bail!("not confirmed; run it yourself, or let `--yes` confirm: {call}");
            }
            let Err(first) = uninterrupted(installing(call))? else { return Ok(()) };
            match refresh {
                Some(refresh) => {
                    progress.note(&format!("{first:#}; its list of packages may be out of date"));
                    if !confirm(refresh) {
                        return Err(first);
                    }
                    let again = installing(refresh).and_then(|()| installing(call));
                    again.with_context(|| format!("{first:#}"))
                }
                None if [&call.program, &call.args[0]].contains(&&"pacman".to_owned()) => bail!(
                    "{first:#}; if its list of packages is out of date, run `sudo pacman -Syu` first, then try again"
                ),
                None => Err(first),
            }
        }
        Step::Cargo { call } => {
            installing(call)?;
            call.env.get("CARGO_TARGET_DIR").map_or(Ok(()), |target| remove_dir(target.as_str().into()))
        }
    }
}

/// Makes the call, whose output is shown as it comes.
fn installing(call: &Call, environment: &Environment, progress: &dyn Progress) -> Result<()> {
    progress.detail(&format!("running `{call}`"));
    let mut last = String::new();
    let status = if call.program == "sudo" {
        // It may ask for a password, so it gets the terminal that we have. A signal reaches it too, so it is waited for.
        let mut command = call.to_command(environment);
        let (status, signal) = holding_signals(|_| command.stdout(Stdio::from(std::io::stderr())).status())?;
        if let Some(signal) = signal {
            return Err(Interrupted { signal, call: call.to_string() }.into());
        }
        status.with_context(|| format!("failed to start `{call}`"))?
    } else {
        let ended = run(call, environment, Some(INSTALLS), Out::Lines, &mut |_, line| {
            progress.output(line);
            if !line.trim().is_empty() {
                line.trim().clone_into(&mut last);
            }
        })?;
        status_of(call, &ended, INSTALLS)?
    };
    if !status.success() {
        bail!("`{call}` failed: {last}");
    }
    Ok(())
}
