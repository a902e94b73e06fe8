//! `[tiers.NAME]`: the default tiers, the file's changes to them, and the file's own.

use super::check;
use super::kind::Kind;
use super::presets::COMMON;
use super::problem::Problems;
use super::quantity::{milliseconds, render};
use super::section::{Table, section};
use super::value::choice;
use super::{Members, Preset};
use std::collections::BTreeMap;
use std::time::Duration;

section! {
    /// A tier is a cargo command with its packages, features and budget; `cargo xtask NAME` runs it. A table with the
    /// name of a default tier overrides that tier key by key.
    "[tiers.NAME]" Tier {
        /// The subcommand: lowercase letters, digits and `-`.
        name: String;
    }

    /// The cargo command. A default tier that gets another command drops the `targets`, `doctests` and `args` it had
    /// for the old one.
    #[key("command", Kind::Choice(TierCommand::NAMES),
        otherwise = "none: required in a tier of your own", example = r#""check""#)]
    command: TierCommand = TierCommand::Test,

    /// The line in `cargo xtask --help`.
    #[key("about", Kind::Text,
        otherwise = "a line that says what the settings do", example = r#""Check what I touched""#)]
    about: String,

    /// The packages: those that the current changes can break, all members, the default members, or a list of names.
    #[key("packages", Kind::ChoiceOr(Packages::NAMES, &Kind::Set(&Kind::Text)),
        default = r#""workspace""#, example = r#"["core", "cli"]"#)]
    packages: Packages = Packages::Workspace,

    /// Members to leave out of `packages`. Cannot be combined with a list of packages.
    #[key("exclude", Kind::Set(&Kind::Text), default = "[]", example = r#"["cli"]"#)]
    exclude: Vec<String>,

    /// The feature preset, built-in or from this file.
    #[key("preset", Kind::Text, otherwise = "default features", example = r#""full""#)]
    preset: Option<String>,

    /// The cargo profile, such as `release` or one from `Cargo.toml`.
    #[key("profile", Kind::Text, otherwise = "the command's own profile", example = r#""release""#)]
    profile: Option<String>,

    /// The cargo targets: what cargo selects by default, all, or a list. `cargo doc` knows only `lib`, `bins` and
    /// `examples`.
    #[key("targets", Kind::ChoiceOr(Targets::NAMES, &Kind::Set(&Kind::Choice(Target::NAMES))),
        default = r#""default""#, example = r#"["lib", "tests"]"#)]
    targets: Targets = Targets::Default,

    /// Whether documentation tests run too. Only for the command `test`.
    #[key("doctests", Kind::Bool, default = "false", example = "true")]
    doctests: bool,

    /// What runs the tests; `auto` is cargo-nextest if it is installed, otherwise `cargo test`. Only for the command
    /// `test`.
    #[key("runner", Kind::Choice(RunnerChoice::NAMES), default = r#""auto""#, example = r#""nextest""#)]
    runner: RunnerChoice = RunnerChoice::Auto,

    /// The profile from `.config/nextest.toml`. Only for the command `test`, and not with the runner `cargo`.
    #[key("nextest-profile", Kind::Text, otherwise = "nextest's default profile", example = r#""ci""#)]
    nextest_profile: Option<String>,

    /// How often nextest runs a failed test again. Only for the command `test`, and not with the runner `cargo`.
    #[key("retries", Kind::Integer, otherwise = "what nextest's configuration says", example = "2")]
    retries: Option<u32>,

    /// The longest a run may take: numbers with `ms`, `s`, `min` or `h`, or an integer of seconds.
    #[key("budget", Kind::Duration, otherwise = "no limit", example = r#""1min 30s""#)]
    #[serde(rename = "budget-ms", serialize_with = "milliseconds")]
    budget: Option<Duration>,

    /// What a run that takes longer than its `budget` means.
    #[key("on-over-budget", Kind::Choice(OnOverBudget::NAMES), default = r#""warn""#, example = r#""fail""#)]
    on_over_budget: OnOverBudget = OnOverBudget::Warn,

    /// Environment variables for cargo and what it runs.
    #[key("env", Kind::Variables, default = "{}", example = r#"{ RUST_BACKTRACE = "1" }"#)]
    env: BTreeMap<String, String>,

    /// Further arguments, put at the end of cargo's command line.
    #[key("args", Kind::List(&Kind::Text), default = "[]", example = r#"["--locked"]"#)]
    args: Vec<String>,

    /// The tools that the tier needs, by their names in the catalog (docs/setup.md) or in `[tools]`.
    #[key("tools", Kind::Set(&Kind::Text), default = "[]", example = r#"["mold"]"#)]
    tools: Vec<String>,

    /// Where the tier is meant to run; `ci` marks one that is too slow for daily work.
    #[key("where", Kind::Choice(Place::NAMES), default = r#""anywhere""#, example = r#""ci""#)]
    #[serde(rename = "where")]
    place: Place = Place::Anywhere,
}

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
    /// The packages that a tier works on.
    Packages {
        /// Those that the change under work can break.
        Affected = "affected",
        /// Every member.
        Workspace = "workspace",
        /// The workspace's default members.
        Default = "default",
    } else {
        /// The named members. Never empty; no name twice.
        List(Vec<String>)
    }
}

choice! {
    /// The targets that a tier selects.
    Targets {
        /// What cargo selects when it is told nothing.
        Default = "default",
        /// `--all-targets`
        All = "all",
    } else {
        /// Only these kinds. Never empty; no kind twice.
        List(Vec<Target>)
    }
}

impl Tier {
    /// A tier with the defaults of a tier that the file adds: the whole workspace, default features, no budget.
    #[must_use]
    pub fn new(name: &str, command: TierCommand) -> Self {
        Self { name: name.to_owned(), command, ..Self::default() }
    }
}

/// The tiers that need no file. `test-common` refers to a preset that a workspace may lack.
pub(super) fn default_tiers() -> [Tier; 7] {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let strings = |strings: &[&str]| strings.iter().map(|&string| string.to_owned()).collect();
    [
        Tier {
            packages: Packages::Affected,
            budget: seconds(30),
            ..Tier::new("test-fast", TierCommand::Test)
        },
        Tier {
            preset: Some(COMMON.to_owned()),
            budget: seconds(120),
            ..Tier::new("test-common", TierCommand::Test)
        },
        Tier {
            preset: Some("full".to_owned()),
            targets: Targets::All,
            doctests: true,
            place: Place::Ci,
            ..Tier::new("test-full", TierCommand::Test)
        },
        Tier {
            packages: Packages::Affected,
            targets: Targets::All,
            ..Tier::new("check-fast", TierCommand::Check)
        },
        Tier::new("build-dev", TierCommand::Build),
        Tier { profile: Some("release".to_owned()), ..Tier::new("build-release", TierCommand::Build) },
        Tier {
            targets: Targets::All,
            args: strings(&["--", "-D", "warnings"]),
            ..Tier::new("lint", TierCommand::Clippy)
        },
    ]
}

/// The default tiers of a workspace with these presets.
pub(super) fn defaults(presets: &[Preset]) -> Vec<Tier> {
    let mut tiers = Vec::from(default_tiers());
    for tier in &mut tiers {
        tier.preset.take_if(|name| !presets.iter().any(|preset| preset.name == *name));
    }
    tiers
}

/// Applies a table to the tier of its name, which is added if there is none.
pub(super) fn read(
    table: &mut Table<'_>,
    tiers: &mut Vec<Tier>,
    presets: &[Preset],
    members: &Members<'_>,
    reserved: &[&str],
    problems: &mut Problems<'_>,
) {
    let index = tiers.iter().position(|tier| tier.name == table.name).unwrap_or_else(|| {
        check::new_tier(table, reserved, problems);
        tiers.push(Tier::new(table.name, TierCommand::Test));
        tiers.len() - 1
    });
    let tier = &mut tiers[index];
    // What a default tier has for its own command, another one does not understand.
    if table.text("command").is_some_and(|(command, _)| command != tier.command.name()) {
        *tier = Tier { targets: Targets::Default, doctests: false, args: Vec::new(), ..tier.clone() };
    }
    table.read(tier, problems);
    check::tier(tier, table, presets, members, problems);
}

/// The line for `--help`: "Test the packages that a change affects, within 30s".
pub(super) fn describe(tier: &Tier) -> String {
    let verb = match tier.command {
        TierCommand::Check => "Check",
        TierCommand::Clippy => "Lint",
        TierCommand::Build => "Build",
        TierCommand::Test => "Test",
        TierCommand::Bench => "Benchmark",
        TierCommand::Doc => "Document",
    };
    let packages = match &tier.packages {
        Packages::Affected => "the packages that a change affects".to_owned(),
        Packages::Workspace => "the whole workspace".to_owned(),
        Packages::Default => "the default members".to_owned(),
        Packages::List(names) => listed(names),
    };
    let except =
        if tier.exclude.is_empty() { String::new() } else { format!(" except {}", listed(&tier.exclude)) };
    let targets = match &tier.targets {
        Targets::Default => None,
        Targets::All => Some("all targets".to_owned()),
        Targets::List(kinds) => Some(kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" + ")),
    };
    let details = [
        tier.preset.as_ref().map(|preset| format!("preset {preset}")),
        tier.profile.as_ref().map(|profile| format!("profile {profile}")),
        targets,
        tier.doctests.then(|| "doctests".to_owned()),
        tier.budget.map(|budget| format!("within {}", render(budget))),
        (tier.place == Place::Ci).then(|| "for CI".to_owned()),
    ];
    let head = format!("{verb} {packages}{except}");
    std::iter::once(head).chain(details.into_iter().flatten()).collect::<Vec<_>>().join(", ")
}

/// Up to three names, else how many there are.
fn listed(names: &[String]) -> String {
    if names.len() <= 3 { names.join(" + ") } else { format!("{} packages", names.len()) }
}
