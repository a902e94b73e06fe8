//! The workspace that is to adopt the suite, as it is before.

use std::process::Command;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::TomlText;
use xtask_workspace::{Environment, EnvironmentLacks, Outline, WrongUsage};

use super::cargo_config;
use crate::record::{Adopted, LAUNCHERS, find_adopted, read_text};

/// The alias that keeps a workspace's own `xtask` in reach.
pub(crate) use xtask_suite::program::OWN_XTASK as OWN_ALIAS;

/// A workspace of somebody else's.
pub struct Host {
    /// What its cargo says of it.
    pub outline: Outline,
    /// What was adopted here, with the launcher's folder.
    pub adopted: Option<(&'static str, Adopted)>,
    /// The file that cargo reads its configuration from, relative to the root; it may not exist yet.
    pub config_path: Utf8PathBuf,
    /// The text of that file.
    pub config: Option<String>,
    /// The text of the root manifest.
    pub manifest: String,
}

impl Host {
    /// Looks at the workspace around `dir`, a path without links. Fails as wrong usage where there is none.
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
            config: read_text(&root, &config_path)?,
            config_path,
            manifest: read_text(&root, Utf8Path::new("Cargo.toml"))?.unwrap_or_default(),
            outline,
        })
    }

    /// The workspace's root folder.
    pub fn root(&self) -> &Utf8Path {
        &self.outline.facts.root
    }

    /// Fails where the workspace's own toolchain is too old to build the suite.
    pub fn check_toolchain(&self) -> Result<()> {
        let oldest = env!("CARGO_PKG_RUST_VERSION");
        let (major, minor) = self.outline.cargo.release;
        if oldest.split('.').filter_map(|number| number.parse::<u32>().ok()).le([major, minor]) {
            return Ok(());
        }
        Err(EnvironmentLacks(format!(
            "{} uses cargo {major}.{minor}, and the suite needs {oldest} or newer\n  next: raise the toolchain there (rust-toolchain.toml, or rustup update)",
            self.root()
        ))
        .into())
    }

    /// What of the workspace stands where the launcher would go, in words; empty where nothing does.
    pub fn in_the_way(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let launcher = LAUNCHERS[0];
        if let Some(member) = self.outline.facts.member(launcher) {
            found.push(format!("a member named `{launcher}` in {}", member.dir));
        } else if self.root().join(launcher).symlink_metadata().is_ok() {
            found.push(format!("a folder or file {}", self.root().join(launcher)));
        }
        if let Some(alias) = self.own_alias()? {
            found.push(format!("the alias `{launcher} = {alias}` in {}", self.config_path));
        }
        Ok(found)
    }

    /// The value of the alias `xtask`, as it is written.
    pub fn own_alias(&self) -> Result<Option<String>> {
        let Some(config) = &self.config else { return Ok(None) };
        let config = parse(config, &self.root().join(&self.config_path))?;
        let own = config.value(&["alias", LAUNCHERS[0]]).filter(|value| !cargo_config::is_ours(value));
        Ok(own.map(|value| value.to_string().trim().to_owned()))
    }

    /// Those of `paths` that git ignores, with the rule. None without git.
    pub fn ignored(&self, paths: &[Utf8PathBuf], environment: &Environment) -> Vec<(Utf8PathBuf, String)> {
        let mut git = Command::new("git");
        git.args(["check-ignore", "--verbose", "--"]).args(paths).current_dir(self.root());
        let Ok(output) = git.env_clear().envs(environment.iter_os()).output() else { return Vec::new() };
        let lines = String::from_utf8_lossy(&output.stdout);
        // `<file>:<line>:<pattern>\t<path>`; a pattern that takes back what another one ignores begins with `!`.
        let rules = lines.lines().filter_map(|line| line.split_once('\t'));
        let rules =
            rules.filter(|(rule, _)| !rule.rsplit(':').next().is_some_and(|rule| rule.starts_with('!')));
        rules.map(|(rule, path)| (path.into(), rule.to_owned())).collect()
    }
}

/// Where cargo reads a workspace's configuration: `config` before `config.toml`, and a link from the first to
/// the second, which served old and new cargos at once, is the second.
fn config_path(root: &Utf8Path) -> Utf8PathBuf {
    let [old, new] = ["config", "config.toml"].map(|name| Utf8Path::new(".cargo").join(name));
    match root.join(&old).symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => {
            let same = root.join(&old).canonicalize_utf8().ok() == root.join(&new).canonicalize_utf8().ok();
            if same { new } else { old }
        }
        Ok(_) => old,
        Err(_) => new,
    }
}

/// Reads TOML. Fails as wrong usage with the place of the mistake.
pub(crate) fn parse(text: &str, path: &Utf8Path) -> Result<TomlText> {
    TomlText::parse(text).map_err(|problem| WrongUsage(format!("{path}: {problem}")).into())
}
