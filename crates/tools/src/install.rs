//! The ways of installing a tool, as steps that are shown before they are run.

pub(crate) mod archive;
mod download;

#[cfg(all(test, unix, feature = "heavy"))]
mod tests;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_files::remove_dir;
use xtask_units::holding_signals;
use xtask_units::process::{Ended, Out, run};
use xtask_workspace::config::{Archive, InstallTo, Way};
use xtask_workspace::{Call, Environment, Progress, cargo_home, home, on_path};

use crate::catalog::Tool;
use crate::install::archive::{Fetch, Limits, fetch};
use crate::machine::Machine;
use crate::process::Interrupted;

/// The longest that a package manager or `cargo install` may take.
const INSTALLS: Duration = Duration::from_secs(3600);

/// One way of installing one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Download a release archive, check it, and put the program in a folder.
    Archive {
        /// What is fetched.
        archive: Archive,
        /// The program's file name.
        program: String,
        /// The folder that it is put in.
        folder: Utf8PathBuf,
    },
    /// Have the system's package manager install a package.
    Packages {
        /// Its call, `sudo` in front where only root may.
        call: Call,
        /// What to do when the package is not found because the list of packages is out of date.
        outdated: Option<Outdated>,
    },
    /// Compile it.
    Cargo {
        /// The call of cargo.
        call: Call,
    },
}

/// How the list of packages of a package manager is brought up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outdated {
    /// By this call, which changes nothing else.
    Refresh(Call),
    /// Only together with every installed package; that is left to the user.
    Upgrade(Call),
}

impl Step {
    /// Which way it is.
    pub fn way(&self) -> Way {
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

/// The ways of installing `tool` on this machine, in the order in which they are tried.
pub(crate) fn steps(tool: &Tool, machine: &Machine, install_to: InstallTo) -> Vec<Step> {
    tool.install.iter().filter_map(|way| step(*way, tool, machine, install_to)).collect()
}

fn step(way: Way, tool: &Tool, machine: &Machine, install_to: InstallTo) -> Option<Step> {
    let folder = match install_to {
        InstallTo::CargoBin => machine.cargo_bin()?,
        InstallTo::Workspace => machine.private_bin(),
    };
    match way {
        Way::Archive => {
            let archive = tool.archive.clone()?;
            let program = format!("{}{}", tool.programs.first()?, std::env::consts::EXE_SUFFIX);
            Some(Step::Archive { archive, program, folder })
        }
        Way::Packages => {
            let mut known = MANAGERS.iter().filter(|manager| tool.packages.contains_key(manager.name));
            let manager = known.find(|manager| on_path(manager.program, &machine.environment).is_some())?;
            Some(manager.step(&tool.packages[manager.name], machine, is_root()))
        }
        Way::Cargo => {
            (!tool.crate_args.is_empty()).then(|| cargo_install(tool, machine, folder.parent()?)).flatten()
        }
    }
}

fn cargo_install(tool: &Tool, machine: &Machine, root: &camino::Utf8Path) -> Option<Step> {
    let args = ["install", "--locked", "--root", root.as_str()].map(str::to_owned);
    let target = machine.state_dir.join("install").join(&tool.name);
    // Not in the workspace: its toolchain may be older than the tool needs, and its settings are for its own builds.
    let dir = home(&machine.environment).or_else(|| cargo_home(&machine.environment))?;
    let mut call = Call::new(dir, "cargo", args.into_iter().chain(tool.crate_args.iter().cloned()));
    for variable in ["CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR"] {
        // Kept if it fails or is killed: the next call continues there.
        call = call.with_env(variable, target.as_str());
    }
    Some(Step::Cargo { call })
}

/// How a package manager is called.
struct Manager {
    /// Its name in the catalog.
    name: &'static str,
    program: &'static str,
    install: &'static [&'static str],
    /// What brings its list of packages up to date; empty if it does that by itself.
    refresh: &'static [&'static str],
    /// What does that together with every installed package.
    upgrade: &'static [&'static str],
    /// Whether only root may.
    root: bool,
}

const MANAGERS: &[Manager] = &[
    Manager::new("apt", "apt-get", &["install", "--yes", "--no-install-recommends"])
        .refreshed_by(&["update"]),
    Manager::new("dnf", "dnf", &["install", "--assumeyes"]),
    Manager {
        // `-Sy` and then `-S package` is the partial upgrade that Arch does not support.
        upgrade: &["-Syu"],
        ..Manager::new("pacman", "pacman", &["-S", "--needed", "--noconfirm"])
    },
    Manager::new("zypper", "zypper", &["--non-interactive", "install"])
        .refreshed_by(&["--non-interactive", "refresh"]),
    Manager::new("apk", "apk", &["add"]).refreshed_by(&["update"]),
    Manager { root: false, ..Manager::new("brew", "brew", &["install"]) },
    Manager { root: false, ..Manager::new("winget", "winget", WINGET) },
];

const WINGET: &[&str] =
    &["install", "--exact", "--accept-source-agreements", "--accept-package-agreements", "--id"];

impl Manager {
    const fn new(name: &'static str, program: &'static str, install: &'static [&'static str]) -> Self {
        Self { name, program, install, refresh: &[], upgrade: &[], root: true }
    }

    const fn refreshed_by(self, refresh: &'static [&'static str]) -> Self {
        Self { refresh, ..self }
    }

    fn step(&self, package: &str, machine: &Machine, we_are_root: bool) -> Step {
        let call = |args: &[&str]| {
            if !self.root || we_are_root {
                return Call::new(&machine.root, self.program, args.iter().copied());
            }
            Call::new(&machine.root, "sudo", [self.program].iter().chain(args).copied())
        };
        let mut install = call(self.install);
        install.args.push(package.to_owned());
        let outdated = match (self.refresh, self.upgrade) {
            ([], []) => None,
            ([], upgrade) => Some(Outdated::Upgrade(call(upgrade))),
            (refresh, _) => Some(Outdated::Refresh(call(refresh))),
        };
        Step::Packages { call: install, outdated }
    }
}

/// Whether `sudo` is not needed. Package managers that need it exist on Unix only.
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
    match step {
        Step::Archive { archive, program, folder } => {
            let downloads = machine.state_dir.join("downloads");
            let what = Fetch { archive, program, downloads: &downloads, folder, limits: Limits::default() };
            fetch(&what, &machine.environment, progress).map(|_| ())
        }
        Step::Packages { call, outdated } => {
            if !confirm(call) {
                bail!("not confirmed; run it yourself, or let `--yes` confirm: {call}");
            }
            let Err(first) = installing(call, &machine.environment, progress) else { return Ok(()) };
            match outdated {
                Some(Outdated::Refresh(refresh)) if !first.is::<Interrupted>() => {
                    progress.note(&format!("{first:#}; its list of packages may be out of date"));
                    if !confirm(refresh) {
                        return Err(first);
                    }
                    installing(refresh, &machine.environment, progress)
                        .and_then(|()| installing(call, &machine.environment, progress))
                        .with_context(|| format!("{first:#}"))
                }
                Some(Outdated::Upgrade(upgrade)) if !first.is::<Interrupted>() => {
                    bail!(
                        "{first:#}; if its list of packages is out of date, run `{upgrade}` first, then try again"
                    )
                }
                _ => Err(first),
            }
        }
        Step::Cargo { call } => {
            installing(call, &machine.environment, progress)?;
            let target = call.env.get("CARGO_TARGET_DIR").map(Utf8PathBuf::from);
            target.map_or(Ok(()), |target| remove_dir(&target))
        }
    }
}

/// Makes the call, whose output is shown as it comes.
fn installing(call: &Call, environment: &Environment, progress: &dyn Progress) -> Result<()> {
    progress.detail(&format!("running `{call}`"));
    if call.program == "sudo" {
        return as_root(call, environment);
    }
    let mut last = String::new();
    let Ended { status, signal, timed_out } =
        run(call, environment, Some(INSTALLS), Out::Lines, &mut |_, line| {
            progress.output(line);
            if !line.trim().is_empty() {
                line.trim().clone_into(&mut last);
            }
        })?;
    if let Some(signal) = signal {
        return Err(Interrupted { signal, call: call.to_string() }.into());
    }
    if timed_out {
        bail!("`{call}` did not end within {} minutes", INSTALLS.as_secs() / 60);
    }
    if !status.success() {
        bail!("`{call}` failed: {last}");
    }
    Ok(())
}

/// `sudo` may ask for a password, so it gets the terminal that we have.
fn as_root(call: &Call, environment: &Environment) -> Result<()> {
    let mut command = call.to_command(environment);
    // A signal reaches it too, so it is waited for.
    let (status, signal) = holding_signals(|_| command.stdout(Stdio::from(std::io::stderr())).status())?;
    if let Some(signal) = signal {
        return Err(Interrupted { signal, call: call.to_string() }.into());
    }
    let status = status.with_context(|| format!("failed to start `{call}`"))?;
    if !status.success() {
        bail!("`{call}` failed");
    }
    Ok(())
}
