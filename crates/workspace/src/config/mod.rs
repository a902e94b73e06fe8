//! `xtask.toml`: what a workspace tells the suite about its tiers, presets, affected packages, build dir and tools.
//!
//! The file is optional: without it the defaults hold. Every key is declared once, in its section; the
//! type, the checks, the [JSON schema](json_schema) and the [reference](reference_markdown) come from there. A [`Config`]
//! is valid: every name in it refers to something, and no two settings contradict each other. Everything wrong with a
//! file is reported at once, each problem with line and column.

mod affected;
mod check;
mod describe;
mod kind;
mod presets;
mod problem;
mod quantity;
mod section;
mod sweep;
mod tiers;
mod tools;
mod value;

#[cfg(test)]
mod tests;

pub use affected::Affected;
pub use describe::{EXAMPLE, json_schema, reference_markdown};
pub use presets::Preset;
pub use problem::{ConfigErrors, ConfigProblem, Position, closest};
pub use quantity::age;
pub use sweep::{OtherToolchains, Sweep};
pub use tiers::{OnOverBudget, Packages, Place, RunnerChoice, Target, Targets, Tier, TierCommand};
pub use tools::{Archive, Effect, InstallTo, Need, Proof, Setup, Tool, Way};

use camino::{Utf8Path, Utf8PathBuf};
use problem::Problems;
use section::{Section, Table};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

/// Every section of the file, in the order of the reference.
const SECTIONS: [&Section; 6] =
    [Tier::SECTION, Preset::SECTION, Affected::SECTION, Sweep::SECTION, Setup::SECTION, Tool::SECTION];

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
    pub tools: Vec<Tool>,
}

impl Config {
    /// What holds without a file.
    #[must_use]
    pub fn defaults(members: &Members<'_>) -> Self {
        let mut none = Problems::new(Utf8Path::new(FILE_NAME), "");
        Self::resolve(None, Vec::new(), members, &[], &mut none)
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
        let document = match toml_edit::Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                return Err(problems.only(offset, error.message().replace('\n', ": ")));
            }
        };
        let tables = Table::all(document.as_table(), &mut problems);
        let config = Self::resolve(Some(path.to_owned()), tables, members, reserved, &mut problems);
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

    /// What the tables of the file make of the defaults.
    fn resolve(
        path: Option<Utf8PathBuf>,
        mut tables: Vec<Table<'_>>,
        members: &Members<'_>,
        reserved: &[&str],
        problems: &mut Problems<'_>,
    ) -> Self {
        let mut presets = presets::builtin(members);
        for table in tables.iter_mut().filter(|table| table.section.name() == "presets") {
            presets::read(table, &mut presets, members, problems);
        }
        let mut tiers = tiers::defaults(&presets);
        let mut affected = Affected::default();
        let mut sweep = Sweep::default();
        let mut setup = Setup::default();
        let mut tools = Vec::new();
        for table in &mut tables {
            match table.section.name() {
                "tiers" => tiers::read(table, &mut tiers, &presets, members, reserved, problems),
                "affected" => affected = affected::read(table, problems),
                "sweep" => table.read(&mut sweep, problems),
                "setup" => table.read(&mut setup, problems),
                "tools" => tools.push(tools::read(table, problems)),
                _ => {}
            }
        }
        for tier in tiers.iter_mut().filter(|tier| tier.about.is_empty()) {
            tier.about = tiers::describe(tier);
        }
        // Commands are run at the workspace root, where the file lies.
        let root = path.as_deref().and_then(Utf8Path::parent).unwrap_or(Utf8Path::new(""));
        for command in &mut sweep.keep {
            root.clone_into(&mut command.dir);
        }
        Self { path, tiers, presets, affected, sweep, setup, tools }
    }
}

/// The workspace's members by name, each with the names of its features; collected from pairs of these.
#[derive(Debug, Clone, Default)]
pub struct Members<'a> {
    features: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Members<'a> {
    /// Whether the workspace has that member.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.features.contains_key(name)
    }

    /// Whether any member has a feature of that name.
    #[must_use]
    pub fn any_has_feature(&self, feature: &str) -> bool {
        self.features.values().any(|features| features.contains(feature))
    }

    /// The members' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.features.keys().copied()
    }

    /// The names of one member's features, sorted; none for an unknown member.
    pub fn features_of(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.features.get(name).into_iter().flatten().copied()
    }

    /// The names of all members' features, sorted, each once.
    pub fn all_features(&self) -> impl Iterator<Item = &'a str> {
        self.features.values().flatten().copied().collect::<BTreeSet<_>>().into_iter()
    }
}

impl<'a, F: IntoIterator<Item = &'a str>> FromIterator<(&'a str, F)> for Members<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, F)>>(members: I) -> Self {
        let members = members.into_iter().map(|(name, features)| (name, features.into_iter().collect()));
        Self { features: members.collect() }
    }
}
