//! What a command works with: the workspace, its configuration, cargo, and where output goes.

use std::cell::Cell;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_units::{Record, RunOptions, UnitSet};
use xtask_workspace::config::{Config, Preset, closest};
use xtask_workspace::{
    Call, CargoCommand, CargoConfig, Environment, EnvironmentLacks, Launch, Workspace, WrongUsage,
    local_file, private_bin,
};

use crate::program::Exit;
use crate::shell::Shell;

/// What a task works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// The workspace, read-only.
    pub workspace: Workspace,
    /// Its `xtask.toml`, or the defaults.
    pub config: Config,
    /// Where output goes.
    pub shell: &'a Shell,
    /// This program's file.
    pub exe: Utf8PathBuf,
    /// A signal that came while [`build`](Self::build) ran.
    pub(crate) signal: Cell<Option<i32>>,
}

/// The nearest folder at or above `dir` with settings of this machine.
pub fn nearest_settings(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let dir = dir.canonicalize_utf8().ok()?;
    dir.ancestors().find(|folder| local_file(folder).is_file()).map(Utf8Path::to_owned)
}

/// The user's environment, without what `cargo run` added.
pub(crate) fn user_environment() -> Environment {
    let mut current = Environment::current();
    // Cargo takes them from the current folder, and we call it in the root folder of the workspace.
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "CARGO_BUILD_BUILD_DIR"] {
        let relative = current.get(name).filter(|dir| Utf8Path::new(dir).is_relative());
        if let (Some(dir), Ok(here)) = (relative, std::env::current_dir()) {
            let absolute = here.join(dir);
            current.set(name, absolute);
        }
    }
    let clone_env = current
        .get("XTASK_SUITE_ROOT")
        .map(|root| CargoConfig::load(Utf8Path::new(root), &current).env())
        .unwrap_or_default();
    let exe_dir = std::env::current_exe().ok().and_then(|exe| exe.parent().map(ToOwned::to_owned));
    current.without_cargo_run(&Launch { exe_dir, clone_env })
}

impl<'a> Context<'a> {
    /// Finds the workspace around `dir` and reads its configuration, in which no tier may have a name of `reserved`.
    pub(crate) fn load(
        dir: &Utf8Path,
        mut environment: Environment,
        reserved: &[&str],
        shell: &'a Shell,
    ) -> Result<Self> {
        if shell.coloured {
            // Cargo does not see the terminal, because its output passes through us.
            environment.set("CARGO_TERM_COLOR", "always");
        }
        let workspace = Workspace::load(dir, environment)?;
        let config = Config::load(workspace.root(), &workspace.facts, reserved)?;
        let exe = std::env::current_exe().context("failed to find this program's file")?;
        let exe = Utf8PathBuf::from_path_buf(exe)
            .map_err(|path| anyhow!("this program's path is not UTF-8: {}", path.display()))?;
        let mut context = Self { workspace, config, shell, exe, signal: Cell::new(None) };
        context.use_own_tools();
        Ok(context)
    }

    /// Lets cargo find the tools that were installed for this workspace only, such as `cargo-nextest`.
    pub(crate) fn use_own_tools(&mut self) {
        let own_tools = private_bin(self.workspace.root());
        if own_tools.is_dir() {
            // At the end, so that the user's own tools come first.
            self.workspace.environment.append_path(&own_tools);
        }
    }

    /// The preset of this name. Fails as wrong usage, with the nearest name.
    pub fn preset(&self, name: &str) -> Result<&Preset> {
        let names = || self.config.presets.iter().map(|preset| preset.name.as_str());
        self.config.preset(name).ok_or_else(|| {
            let hint = closest(name, names()).map_or_else(
                || names().collect::<Vec<_>>().join(", "),
                |near| format!("did you mean `{near}`?"),
            );
            WrongUsage(format!("there is no preset `{name}`: {hint}")).into()
        })
    }

    /// `cargo ARGS` in the root folder, as a value: for [`run`](Self::run), [`plan`](Self::plan) and
    /// [`build`](Self::build).
    pub fn cargo_command<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> CargoCommand {
        CargoCommand::new(self.workspace.root(), args)
    }

    /// Runs `cargo ARGS` in the root folder: [`run`](Self::run) of [`cargo_command`](Self::cargo_command).
    pub fn cargo<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Result<Exit> {
        self.run(&self.cargo_command(args))
    }

    /// Runs `command` on the terminal, in the user's own environment, so that it shares every artifact with plain cargo.
    ///
    /// If it fails, the answer is [`Exit::Failed`], and the command is shown, to be pasted. With `--json` all its output
    /// goes to standard error.
    pub fn run(&self, command: &CargoCommand) -> Result<Exit> {
        self.workspace.check_wrappers()?;
        self.shell.end_progress();
        self.shell.detail(&format!("running `{command}`"));
        let mut process = command.to_command(&self.workspace.environment);
        if self.shell.json() {
            process.stdout(std::io::stderr());
        }
        let status = process.status().map_err(|error| not_started(error, &command.into()))?;
        if !status.success() {
            self.shell.note(&format!("failed: {command}"));
        }
        Ok(Exit::from_success(status.success()))
    }

    /// The units that `command` would need, without compiling any. It must be a cargo command that builds: `check`,
    /// `clippy`, `build`, `test`, `bench` or `doc`.
    pub fn plan(&self, command: &CargoCommand) -> Result<UnitSet> {
        let shadow = xtask_units::plan(&self.workspace, command, &self.exe);
        Ok(shadow.with_context(|| format!("failed to plan `{command}`"))?.units)
    }

    /// Runs `command`, which builds, without standard input, shows its output on standard error, and returns what it
    /// built, how long each unit took, and how it ended.
    pub fn build(&self, command: &CargoCommand) -> Result<Record> {
        self.workspace.check_wrappers()?;
        let options = RunOptions { timings: true, ..RunOptions::default() };
        let record = xtask_units::run(&self.workspace, command, options, self.shell, &mut |_| true)?;
        if record.signal.is_some() {
            self.signal.set(record.signal);
        } else if record.exit_code != Some(0) {
            self.shell.note(&format!("failed: {command}"));
        }
        Ok(record)
    }
}

/// Why `command` could not be started.
pub(crate) fn not_started(error: std::io::Error, command: &Call) -> anyhow::Error {
    // A working directory that is gone is "not found" too.
    if error.kind() == std::io::ErrorKind::NotFound && command.dir.is_dir() {
        return EnvironmentLacks("cargo is not on PATH; install Rust from https://rustup.rs".to_owned())
            .into();
    }
    anyhow::Error::new(error).context(format!("failed to start `{command}` in {}", command.dir))
}
