//! `xtask.toml`: what a workspace tells the suite about its tiers, presets, affected packages, build dir and tools.
//!
//! The file is optional: without it the defaults hold. Every key is described once, in the table of keys, from
//! which the checks, the [JSON schema](json_schema) and the [reference](reference_markdown) are derived. A
//! [`Config`] that exists is right: every name in it refers to something, and no two settings contradict each
//! other. Everything wrong with a file is reported at once, each problem with line and column.

mod affected;
mod bytes;
mod check;
mod choice;
mod duration;
mod keys;
mod members;
mod presets;
mod problem;
mod read;
mod reference;
mod schema;
mod settings;
mod sweep;
mod tiers;
mod tools;
mod types;
mod value;

#[cfg(test)]
mod tests;

pub use members::Members;
pub use problem::{ConfigErrors, ConfigProblem, Position, closest};
pub use reference::{EXAMPLE, reference_markdown};
pub use schema::json_schema;
pub use tools::{Archive, Effect, InstallTo, Need, Proof, Setup, ToolSettings, Way};
pub use types::{
    Affected, OnOverBudget, OtherToolchains, Packages, Place, Preset, RunnerChoice, Sweep, Target, Targets,
    Tier, TierCommand,
};

use camino::{Utf8Path, Utf8PathBuf};
pub use duration::age;
use problem::Problems;
use serde::Serialize;
use std::io::ErrorKind;

/// The file's name, at the workspace root.
pub const FILE_NAME: &str = "xtask.toml";

/// The configuration of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// The file it was read from; `None` if there is none.
    pub path: Option<Utf8PathBuf>,
    /// The default tiers in their order, then the file's own in file order. No name twice.
    pub tiers: Vec<Tier>,
    /// The built-in presets, then the file's own in file order. No name twice.
    pub presets: Vec<Preset>,
    /// How affected packages are found.
    pub affected: Affected,
    /// What a sweep of the build dir keeps.
    pub sweep: Sweep,
    /// What the setup of a machine decides by.
    pub setup: Setup,
    /// What the file says of tools, in file order.
    pub tools: Vec<ToolSettings>,
}

impl Config {
    /// What holds without a file.
    #[must_use]
    pub fn defaults(members: &Members<'_>) -> Self {
        let mut none = Problems::new(Utf8Path::new(FILE_NAME), "");
        Self::resolve(None, &read::Sections::default(), members, &[], &mut none)
    }

    /// Reads the text of a file; the path is what problems and the result show.
    ///
    /// `reserved` are the subcommands that no tier may be named. Fails with everything that is wrong.
    pub fn parse(
        text: &str,
        path: &Utf8Path,
        members: &Members<'_>,
        reserved: &[&str],
    ) -> Result<Self, ConfigErrors> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut problems = Problems::new(path, text);
        let sections = match toml_edit::Document::parse(text) {
            Ok(document) => read::sections(document.as_table(), &mut problems),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                return Err(problems.only(offset, error.message().replace('\n', ": ")));
            }
        };
        let config = Self::resolve(Some(path.to_owned()), &sections, members, reserved, &mut problems);
        problems.finish().map(|()| config)
    }

    /// Reads `xtask.toml` in the workspace root; the defaults if there is none.
    ///
    /// Fails if it is there but cannot be read, is not UTF-8, or with everything that is wrong in it.
    pub fn load(root: &Utf8Path, members: &Members<'_>, reserved: &[&str]) -> Result<Self, ConfigErrors> {
        let path = root.join(FILE_NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            // A symlink that leads nowhere is a file the user believes to be there.
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
                return Ok(Self::defaults(members));
            }
            Err(error) => {
                return Err(ConfigErrors::unreadable(&path, None, format!("failed to read: {error}")));
            }
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text, &path, members, reserved),
            Err(error) => {
                let position = Position::of(bytes, error.valid_up_to());
                Err(ConfigErrors::unreadable(&path, Some(position), "the file is not UTF-8".to_owned()))
            }
        }
    }

    /// The tier of that name.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    /// The preset of that name.
    #[must_use]
    pub fn preset(&self, name: &str) -> Option<&Preset> {
        self.presets.iter().find(|preset| preset.name == name)
    }

    fn resolve(
        path: Option<Utf8PathBuf>,
        sections: &read::Sections,
        members: &Members<'_>,
        reserved: &[&str],
        problems: &mut Problems<'_>,
    ) -> Self {
        let presets = presets::presets(&sections.presets, members, problems);
        let tiers = tiers::tiers(&sections.tiers, &presets, members, reserved, problems);
        let affected = affected::affected(sections.affected.as_ref(), problems);
        // Commands are run at the workspace root, where the file lies.
        let root = path.as_deref().and_then(Utf8Path::parent).unwrap_or(Utf8Path::new(""));
        let sweep = sweep::sweep(sections.sweep.as_ref(), root, problems);
        let setup = tools::setup(sections.setup.as_ref());
        let tools = tools::tools(&sections.tools);
        Self { path, tiers, presets, affected, sweep, setup, tools }
    }
}
