//! What `xtask.toml` says, as values: tiers, presets and what counts as affected.
//!
//! A value of these types has passed every check: names refer to things that exist and settings fit together.

use super::choice::choice;
use crate::CargoCommand;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::time::Duration;

choice! {
    /// The cargo command that a tier runs.
    TierCommand {
        /// `cargo check`
        Check = "check",
        /// `cargo clippy`
        Clippy = "clippy",
        /// `cargo build`
        Build = "build",
        /// `cargo test` or `cargo nextest run`, see [`RunnerChoice`]
        Test = "test",
        /// `cargo bench`
        Bench = "bench",
        /// `cargo doc`
        Doc = "doc",
    }
}

choice! {
    /// One kind of cargo target.
    Target {
        /// `--lib`
        Lib = "lib",
        /// `--bins`
        Bins = "bins",
        /// `--tests`
        Tests = "tests",
        /// `--examples`
        Examples = "examples",
        /// `--benches`
        Benches = "benches",
    }
}

choice! {
    /// What runs the tests.
    RunnerChoice {
        /// cargo-nextest if it is installed, else `cargo test`.
        Auto = "auto",
        /// cargo-nextest; without it the tier cannot run.
        Nextest = "nextest",
        /// `cargo test`
        Cargo = "cargo",
    }
}

choice! {
    /// What a run that took longer than its budget means.
    OnOverBudget {
        /// A warning; the tier succeeds.
        Warn = "warn",
        /// The tier fails.
        Fail = "fail",
    }
}

choice! {
    /// Where a tier is meant to run.
    Place {
        /// On every machine.
        Anywhere = "anywhere",
        /// In continuous integration; too slow for daily work.
        Ci = "ci",
    }
}

choice! {
    /// What happens to units of a compiler that nothing here uses.
    OtherToolchains {
        /// They are stale.
        Remove = "remove",
        /// They stay.
        Keep = "keep",
    }
}

/// The packages that a tier works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packages {
    /// Those that the change under work can break.
    Affected,
    /// Every member.
    Workspace,
    /// The workspace's default members.
    Default,
    /// The named members. Never empty; no name twice.
    #[serde(untagged)]
    List(Vec<String>),
}

/// The targets that a tier selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Targets {
    /// What cargo selects when it is told nothing.
    Default,
    /// `--all-targets`
    All,
    /// Only these kinds. Never empty; no kind twice.
    #[serde(untagged)]
    List(Vec<Target>),
}

/// A named cargo command with its packages, features and budget: `cargo xtask NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tier {
    /// The subcommand: lowercase letters, digits and `-`.
    pub name: String,
    /// One line for `--help`; derived from the settings when the file gives none.
    pub about: String,
    /// The cargo command.
    pub command: TierCommand,
    /// The selected packages.
    pub packages: Packages,
    /// Members that are never selected; empty when `packages` is a list.
    pub exclude: Vec<String>,
    /// The name of one of [`Config::presets`](super::Config::presets); `None` means default features.
    pub preset: Option<String>,
    /// The cargo profile; `None` means the command's own.
    pub profile: Option<String>,
    /// The selected targets.
    pub targets: Targets,
    /// Whether documentation tests run too.
    pub doctests: bool,
    /// What runs the tests.
    pub runner: RunnerChoice,
    /// nextest's profile, from `.config/nextest.toml`.
    pub nextest_profile: Option<String>,
    /// How often nextest runs a failed test again; `None` leaves it to nextest's own configuration.
    pub retries: Option<u32>,
    /// The longest a run may take, in whole milliseconds. JSON output: `budget-ms`.
    #[serde(rename = "budget-ms", serialize_with = "milliseconds")]
    pub budget: Option<Duration>,
    /// What a longer run means.
    pub on_over_budget: OnOverBudget,
    /// Environment variables for cargo.
    pub env: BTreeMap<String, String>,
    /// Further arguments, put at the end of cargo's command line.
    pub args: Vec<String>,
    /// The names of the tools that the tier needs. No name twice; whether there are such tools is not checked here.
    pub tools: Vec<String>,
    /// Where the tier is meant to run. Key `where`.
    #[serde(rename = "where")]
    pub place: Place,
}

impl Tier {
    /// A tier with the defaults of a tier that the file adds: the whole workspace, default features, no budget.
    #[must_use]
    pub fn new(name: &str, command: TierCommand) -> Self {
        Self {
            name: name.to_owned(),
            about: String::new(),
            command,
            packages: Packages::Workspace,
            exclude: Vec::new(),
            preset: None,
            profile: None,
            targets: Targets::Default,
            doctests: false,
            runner: RunnerChoice::Auto,
            nextest_profile: None,
            retries: None,
            budget: None,
            on_over_budget: OnOverBudget::Warn,
            env: BTreeMap::new(),
            args: Vec::new(),
            tools: Vec::new(),
            place: Place::Anywhere,
        }
    }
}

/// A named feature selection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Preset {
    /// The name: lowercase letters, digits and `-`.
    pub name: String,
    /// `feature`, for every member that has it, or `member/feature`. Every entry exists.
    pub features: Vec<String>,
    /// Whether default features are on.
    pub default_features: bool,
    /// Whether all features are on; then `features` is empty and `default_features` is true.
    pub all_features: bool,
    /// Whether it is one of the suite's own, not the file's.
    pub builtin: bool,
}

/// How the packages that a change affects are found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Affected {
    /// The git revision that changes are counted from; `None` means it is found out.
    pub base: Option<String>,
    /// Glob patterns of files, relative to the workspace root, whose change affects no package.
    pub ignore: Vec<String>,
    /// Glob patterns of files, relative to the workspace root, whose change affects every package.
    pub global: Vec<String>,
}

/// What a sweep of the build dir keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sweep {
    /// Further cargo commands whose units are needed, with the workspace root as their folder.
    pub keep: Vec<CargoCommand>,
    /// What was built so recently is kept. JSON output: `grace-ms`.
    #[serde(rename = "grace-ms", serialize_with = "whole_milliseconds")]
    pub grace: Duration,
    /// The most bytes that may be left; `None` means no limit.
    pub max_size: Option<u64>,
    /// How old what `cargo package` leaves may get; `None` means any age.
    #[serde(rename = "package-ms", serialize_with = "milliseconds")]
    pub package: Option<Duration>,
    /// How old documentation may get that no tier makes; `None` means any age.
    #[serde(rename = "doc-ms", serialize_with = "milliseconds")]
    pub doc: Option<Duration>,
    /// How old the pages of `--timings` may get; `None` means any age.
    #[serde(rename = "timings-ms", serialize_with = "milliseconds")]
    pub timings: Option<Duration>,
    /// What happens to units of a compiler that nothing here uses.
    pub other_toolchains: OtherToolchains,
    /// Whether a target dir outside of the workspace serves nobody else.
    pub sole_owner: bool,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Sweep {
    fn default() -> Self {
        Self {
            keep: Vec::new(),
            grace: DAY,
            max_size: None,
            package: Some(DAY * 7),
            doc: Some(DAY * 30),
            timings: Some(DAY * 30),
            other_toolchains: OtherToolchains::Remove,
            sole_owner: false,
        }
    }
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_millis()).serialize(serializer)
}

fn whole_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    duration.as_millis().serialize(serializer)
}
