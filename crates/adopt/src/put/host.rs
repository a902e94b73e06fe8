//! The workspace that adopts the suite: as it is before, and the proof that cargo sees it the same way afterwards.

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::TomlText;
use xtask_workspace::{
    CargoCommand, Environment, EnvironmentLacks, Facts, LocalPackage, Outline, WrongUsage,
};

use super::cargo_config;
use crate::record::{Adopted, LAUNCHERS, find_adopted, read_text};

/// The alias that keeps a workspace's own `xtask` in reach.
pub(crate) use xtask_suite::program::OWN_XTASK as OWN_ALIAS;

/// The workspace before.
pub struct Host {
    /// What its cargo says of it.
    pub outline: Outline,
    /// What was adopted here, with the launcher's folder.
    pub adopted: Option<(&'static str, Adopted)>,
    /// The file that cargo reads its configuration from, relative to the root; it may not exist yet.
    pub config_path: Utf8PathBuf,
    pub config: TomlText,
    /// The root manifest.
    pub manifest: TomlText,
}

impl Host {
    /// Looks at the workspace around `dir`, a path without links. Fails as wrong usage if there is none.
    pub fn inspect(dir: &Utf8Path, environment: &Environment) -> Result<Self> {
        let mut outline = Outline::of(dir, environment)?;
        let root = outline.facts.root.clone();
        if dir != root {
            // In a member's folder cargo calls that member the only default one.
            outline = Outline::of(&root, environment)?;
        }
        let config_path = config_path(&root);
        Ok(Self {
            adopted: find_adopted(&root)?,
            config: parse(&root, &config_path)?,
            config_path,
            manifest: parse(&root, Utf8Path::new("Cargo.toml"))?,
            outline,
        })
    }

    /// The workspace's root folder.
    pub fn root(&self) -> &Utf8Path {
        &self.outline.facts.root
    }

    /// Fails if the workspace's own toolchain is too old to build the suite.
    pub fn check_toolchain(&self) -> Result<()> {
        let oldest = env!("CARGO_PKG_RUST_VERSION");
        let (major, minor) = self.outline.cargo.release;
        if oldest.split('.').filter_map(|number| number.parse::<u32>().ok()).le([major, minor]) {
            return Ok(());
        }
        bail!(EnvironmentLacks(format!(
            "{} uses cargo {major}.{minor}, and the suite needs {oldest} or newer\n  next: raise the toolchain there (rust-toolchain.toml, or rustup update)",
            self.root()
        )))
    }

    /// The value of the workspace's own alias `xtask`, as it is written.
    pub(crate) fn own_alias(&self) -> Option<String> {
        let own = self.config.value(&["alias", LAUNCHERS[0]]).filter(|value| !cargo_config::is_ours(value));
        own.map(|value| value.to_string().trim().to_owned())
    }
}

/// Where cargo reads a workspace's configuration: `config` before `config.toml`; if the first is a link to the second, which
/// serves old and new cargos at once, it is the second.
fn config_path(root: &Utf8Path) -> Utf8PathBuf {
    let [old, new] = ["config", "config.toml"].map(|name| Utf8Path::new(".cargo").join(name));
    let real = |path: &Utf8Path| root.join(path).canonicalize_utf8().ok();
    let is_there = root.join(&old).symlink_metadata().is_ok();
    let is_link_to_new = root.join(&old).is_symlink() && real(&old) == real(&new);
    if is_there && !is_link_to_new { old } else { new }
}

/// The TOML of a file, which may not exist. Fails as wrong usage with the place of a mistake.
fn parse(root: &Utf8Path, path: &Utf8Path) -> Result<TomlText> {
    let text = read_text(root, path)?.unwrap_or_default();
    TomlText::parse(&text).map_err(|problem| WrongUsage(format!("{}: {problem}", root.join(path))).into())
}

/// Fails if cargo now sees anything else in the workspace than `before` and the member `launcher`, or no longer takes the
/// lock file, which it did before (`locked`).
pub fn unchanged_but_for(
    launcher: &str,
    before: &Facts,
    locked: bool,
    environment: &Environment,
) -> Result<()> {
    let after = Outline::of(&before.root, environment)?.facts;
    // The dependencies are places in a list that the launcher is in now.
    let others = |facts: &Facts| {
        let members = facts.members().cloned();
        members.map(|member| LocalPackage { dependencies: Vec::new(), ..member }).collect::<Vec<_>>()
    };
    let default = |facts: &Facts| {
        facts.default_members.iter().filter(|name| *name != launcher).cloned().collect::<Vec<_>>()
    };
    if after.launcher().is_none_or(|found| found.name != launcher) {
        bail!("cargo does not see the new member `{launcher}`");
    }
    if others(before) != others(&after) || default(before) != default(&after) {
        bail!("cargo would see other members or default members than before, beside the launcher");
    }
    if before.target_dir != after.target_dir {
        bail!("the target dir would move from {} to {}", before.target_dir, after.target_dir);
    }
    if locked && !takes_lock_file(before, environment)? {
        bail!("cargo would no longer take Cargo.lock with --locked");
    }
    Ok(())
}

/// Whether `cargo --locked` works in the workspace, as far as this machine can tell without the network.
pub fn takes_lock_file(facts: &Facts, environment: &Environment) -> Result<bool> {
    let args = ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", &facts.host];
    let command = CargoCommand::new(&facts.root, args);
    Ok(command.to_command(environment).output()?.status.success())
}
