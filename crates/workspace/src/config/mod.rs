//! `xtask.toml`: what a workspace tells the suite about its tiers, presets, affected packages, build dir and tools.
//!
//! The file is optional: without it the defaults apply. Every key is declared once, in its section; the type, the
//! checks, the JSON schema and the reference in the documentation come from there. A [`Config`] is valid: every name
//! in it refers to something, and no two settings contradict each other. All problems of a file are reported at once,
//! each with line and column.

mod kind;
mod section;
mod tiers;
mod tools;
mod verdicts;

#[cfg(test)]
mod tests;

pub use kind::age;
pub use section::closest;
pub use tiers::{
    Affected, OnOverBudget, Packages, Place, Preset, RunnerChoice, Target, Targets, Tier, TierCommand,
    default_tiers,
};
pub use tools::{Archive, Effect, InstallTo, Need, OtherToolchains, Proof, Setup, Sweep, Tool, Way};
pub use verdicts::{TestInputs, Verdicts};

use crate::{Facts, WrongUsage};
use camino::{Utf8Path, Utf8PathBuf};
use section::{Problems, Section, Table};
use std::fs;
use std::io::ErrorKind;

/// Every section of the file, in the order of the reference.
const SECTIONS: [&Section; 8] = [
    Tier::SECTION,
    Preset::SECTION,
    Affected::SECTION,
    Verdicts::SECTION,
    TestInputs::SECTION,
    Sweep::SECTION,
    Setup::SECTION,
    Tool::SECTION,
];

/// The file's name, at the workspace root.
pub const FILE_NAME: &str = "xtask.toml";

/// The JSON schema of the file, pretty-printed. It accepts every file that the parser accepts; it cannot know which packages,
/// features and presets exist, nor which settings exclude each other.
pub fn json_schema() -> String {
    let schema: serde_json::Value = serde_json::from_str(include_str!("schema.json")).unwrap_or_default();
    format!("{schema:#}")
}

/// The configuration of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from; `None` if there is none.
    pub path: Option<Utf8PathBuf>,
    /// The default tiers, then the file's own in file order. No name twice.
    pub tiers: Vec<Tier>,
    /// The built-in presets, then the file's own in file order. No name twice.
    pub presets: Vec<Preset>,
    pub affected: Affected,
    pub verdicts: Verdicts,
    /// In file order, each of a member.
    pub test_inputs: Vec<TestInputs>,
    pub sweep: Sweep,
    pub setup: Setup,
    /// What the file says of tools, in file order.
    pub tools: Vec<Tool>,
}

impl Config {
    /// The configuration of a workspace without a file.
    #[must_use]
    pub fn defaults(facts: &Facts) -> Self {
        Self::resolve(None, &[], facts, &[], &mut Problems::new(Utf8Path::new(FILE_NAME), ""))
    }

    /// Reads the text of a file; `path` is what problems show. `reserved` are the subcommands that no tier may be named
    /// after. Fails with all problems.
    pub fn parse(text: &str, path: &Utf8Path, facts: &Facts, reserved: &[&str]) -> Result<Self, WrongUsage> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut problems = Problems::new(path, text);
        let document = toml_edit::Document::parse(text).unwrap_or_else(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            problems.add(offset, error.message().replace('\n', ": "));
            toml_edit::Document::default()
        });
        let tables = Table::all(document.as_table(), &mut problems);
        let config = Self::resolve(Some(path.to_owned()), &tables, facts, reserved, &mut problems);
        problems.finish().map(|()| config)
    }

    /// Reads `xtask.toml` in the workspace root; the defaults if there is none.
    pub fn load(root: &Utf8Path, facts: &Facts, reserved: &[&str]) -> Result<Self, WrongUsage> {
        let path = root.join(FILE_NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path, facts, reserved),
            // A symlink to nowhere is a file that the user believes to exist.
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
                Ok(Self::defaults(facts))
            }
            Err(error) => Err(WrongUsage(format!("{path}: failed to read: {error}"))),
        }
    }

    #[must_use]
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    #[must_use]
    pub fn preset(&self, name: &str) -> Option<&Preset> {
        self.presets.iter().find(|preset| preset.name == name)
    }

    /// Applies the tables of the file to the defaults.
    fn resolve(
        path: Option<Utf8PathBuf>,
        tables: &[Table<'_>],
        facts: &Facts,
        reserved: &[&str],
        problems: &mut Problems<'_>,
    ) -> Self {
        let mut presets = tiers::builtin_presets(facts);
        for table in tables.iter().filter(|table| table.section.name() == "presets") {
            tiers::read_preset(table, &mut presets, facts, problems);
        }
        let mut tiers = Vec::from(tiers::default_tiers());
        for tier in &mut tiers {
            tier.preset.take_if(|name| !presets.iter().any(|preset| preset.name == *name));
        }
        let (mut affected, mut sweep, mut setup) = (Affected::default(), Sweep::default(), Setup::default());
        let (mut verdicts, mut test_inputs, mut tools) = (Verdicts::default(), Vec::new(), Vec::new());
        for table in tables {
            match table.section.name() {
                "tiers" => tiers::read_tier(table, &mut tiers, &presets, (facts, reserved), problems),
                "affected" => table.read(&mut affected, problems),
                "verdicts" => table.read(&mut verdicts, problems),
                "test-inputs" => {
                    if facts.member(table.name).is_none() {
                        problems.add(table.offset, tiers::no_member(&table.header(), table.name, facts));
                    }
                    let mut inputs = TestInputs { name: table.name.to_owned(), ..TestInputs::default() };
                    table.read(&mut inputs, problems);
                    test_inputs.push(inputs);
                }
                "sweep" => table.read(&mut sweep, problems),
                "setup" => table.read(&mut setup, problems),
                "tools" => {
                    let mut tool = Tool { name: table.name.to_owned(), ..Tool::default() };
                    table.read(&mut tool, problems);
                    let keys = table.section.keys.iter().map(|key| key.name);
                    tool.given = keys.filter(|key| table.has(key)).collect();
                    tools.push(tool);
                }
                _ => {}
            }
        }
        for tier in tiers.iter_mut().filter(|tier| tier.about.is_empty()) {
            tier.about = tiers::describe(tier);
        }
        // Commands run at the workspace root.
        let root = path.as_deref().and_then(Utf8Path::parent).unwrap_or(Utf8Path::new(""));
        for command in &mut sweep.keep {
            root.clone_into(&mut command.dir);
        }
        Self { path, tiers, presets, affected, verdicts, test_inputs, sweep, setup, tools }
    }
}
