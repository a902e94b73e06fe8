//! What a command works with: the workspace, its configuration, and where output goes.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::config::{Config, Preset, closest};
use xtask_workspace::{
    Call, CargoConfig, Environment, EnvironmentLacks, Launch, Workspace, WrongUsage, local_file, private_bin,
};

use crate::commands::PASSED_ON;
use crate::shell::Shell;

/// Everything a command needs.
#[derive(Debug)]
pub struct Context<'a> {
    /// The workspace.
    pub workspace: Workspace,
    /// Its `xtask.toml`, or the defaults.
    pub config: Config,
    /// Where output goes.
    pub shell: &'a Shell,
    /// This program's file.
    pub exe: Utf8PathBuf,
}

/// The nearest folder around `dir` that has settings of this machine.
pub fn nearest_settings(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let dir = dir.canonicalize_utf8().ok()?;
    dir.ancestors().find(|folder| local_file(folder).is_file()).map(Utf8Path::to_owned)
}

/// The user's environment, freed of what `cargo run` added.
pub(crate) fn user_environment() -> Environment {
    let current = Environment::current();
    let clone_env = current
        .get("XTASK_SUITE_ROOT")
        .map(|root| CargoConfig::load(Utf8Path::new(root), &current).env())
        .unwrap_or_default();
    let exe_dir = std::env::current_exe().ok().and_then(|exe| exe.parent().map(ToOwned::to_owned));
    let mut environment = current.without_cargo_run(&Launch { exe_dir, clone_env });
    environment.remove(PASSED_ON);
    environment
}

impl<'a> Context<'a> {
    /// Finds the workspace around `dir` and reads its configuration, where no tier may have a name of `reserved`.
    pub(crate) fn load(
        dir: &Utf8Path,
        mut environment: Environment,
        reserved: &[&str],
        shell: &'a Shell,
    ) -> Result<Self> {
        if shell.coloured {
            // What cargo prints passes through us, so it cannot see the terminal.
            environment.set("CARGO_TERM_COLOR", "always");
        }
        let mut workspace =
            Workspace::load(dir, environment).map_err(|error| match nearest_settings(dir) {
                // A wrapper that was removed since, or an edit: cargo's own words do not name the file.
                Some(root) => error.context(format!(
                    "if {} is the reason: cargo xtask setup --undo, or delete that file",
                    local_file(&root)
                )),
                None => error,
            })?;
        use_own_tools(&mut workspace);
        let config = Config::load(workspace.root(), &workspace.facts, reserved)?;
        let exe = std::env::current_exe().context("failed to find this program's file")?;
        let exe = Utf8PathBuf::from_path_buf(exe)
            .map_err(|path| anyhow::anyhow!("this program's path is not UTF-8: {}", path.display()))?;
        Ok(Self { workspace, config, shell, exe })
    }

    /// Has cargo and what it starts find the tools that were installed for this workspace alone.
    pub(crate) fn use_own_tools(&mut self) {
        use_own_tools(&mut self.workspace);
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
}

fn use_own_tools(workspace: &mut Workspace) {
    let own_tools = private_bin(workspace.root());
    // At the end, so that nothing of the user's is hidden: cargo looks there for `cargo-nextest`.
    if own_tools.is_dir() {
        workspace.environment.append_path(&own_tools);
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
