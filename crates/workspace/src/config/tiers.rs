//! `[tiers.NAME]`, `[presets.NAME]` and `[affected]`: the defaults, the file's changes to them, and its own.
//!
//! Only what the file sets is reported, never what a default tier has.

use super::kind::{Kind, render};
use super::section::{Problems, Table, choice, did_you_mean, one_of, section};
use crate::Facts;
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
    #[key("packages", Kind::ChoiceOr(Packages::NAMES, &Kind::List(&Kind::Text)),
        default = r#""workspace""#, example = r#"["core", "cli"]"#)]
    packages: Packages = Packages::Workspace,

    /// Members to leave out of `packages`. Cannot be combined with a list of packages.
    #[key("exclude", Kind::List(&Kind::Text), default = "[]", example = r#"["cli"]"#)]
    exclude: Vec<String>,

    /// The feature preset, built-in or from this file.
    #[key("preset", Kind::Text, otherwise = "default features", example = r#""full""#)]
    preset: Option<String>,

    /// The cargo profile, such as `release` or one from `Cargo.toml`.
    #[key("profile", Kind::Text, otherwise = "the command's own profile", example = r#""release""#)]
    profile: Option<String>,

    /// The cargo targets: what cargo selects by default, all, or a list. `cargo doc` knows only `lib`, `bins` and
    /// `examples`.
    #[key("targets", Kind::ChoiceOr(Targets::NAMES, &Kind::List(&Kind::Choice(Target::NAMES))),
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
    budget: Option<Duration>,

    /// Whether a test program that passed before with the same inputs is not run again (docs/verdicts.md). Only for the
    /// command `test`.
    #[key("remember", Kind::Bool, otherwise = "on where `packages` is `affected`", example = "true")]
    remember: Option<bool>,

    /// What a run that takes longer than its `budget` means. With `defer`, which is only for the command `test`, test
    /// programs that will not fit are left for `--deferred`.
    #[key("on-over-budget", Kind::Choice(OnOverBudget::NAMES), default = r#""warn""#, example = r#""fail""#)]
    on_over_budget: OnOverBudget = OnOverBudget::Warn,

    /// Environment variables for cargo and what it runs.
    #[key("env", Kind::Strings, default = "{}", example = r#"{ RUST_BACKTRACE = "1" }"#)]
    env: BTreeMap<String, String>,

    /// Further arguments, put at the end of cargo's command line.
    #[key("args", Kind::List(&Kind::Text), default = "[]", example = r#"["--locked"]"#)]
    args: Vec<String>,

    /// The tools that the tier needs, by their names in the catalog (docs/setup.md) or in `[tools]`.
    #[key("tools", Kind::List(&Kind::Text), default = "[]", example = r#"["mold"]"#)]
    tools: Vec<String>,

    /// Where the tier is meant to run; `ci` marks one that is too slow for daily work.
    #[key("where", Kind::Choice(Place::NAMES), default = r#""anywhere""#, example = r#""ci""#)]
    place: Place = Place::Anywhere,
}

choice! {
    TierCommand {
        Check = "check",
        Clippy = "clippy",
        Build = "build",
        Test = "test",
        Bench = "bench",
        Doc = "doc",
    }
}

choice! {
    Target {
        Lib = "lib",
        Bins = "bins",
        Tests = "tests",
        Examples = "examples",
        Benches = "benches",
    }
}

choice! {
    RunnerChoice {
        Auto = "auto",
        Nextest = "nextest",
        Cargo = "cargo",
    }
}

choice! {
    OnOverBudget {
        Warn = "warn",
        Fail = "fail",
        Defer = "defer",
    }
}

choice! {
    Place {
        Anywhere = "anywhere",
        /// In continuous integration; too slow for daily work.
        Ci = "ci",
    }
}

choice! {
    Packages {
        Affected = "affected",
        Workspace = "workspace",
        Default = "default",
    } else {
        /// The named members. Never empty; no name twice.
        List(Vec<String>)
    }
}

choice! {
    Targets {
        Default = "default",
        All = "all",
    } else {
        /// Only these kinds. Never empty; no kind twice.
        List(Vec<Target>)
    }
}

section! {
    /// A preset is a feature selection that tiers refer to by name. A table with the name of a built-in preset replaces
    /// it.
    #[derive(serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    "[presets.NAME]" Preset {
        /// The name: lowercase letters, digits and `-`.
        name: String;
        /// Whether it is one of the suite's own, not the file's.
        builtin: bool;
    }

    /// The features to turn on: `feature` for every member that has it, or `member/feature`.
    #[key("features", Kind::List(&Kind::Text), default = "[]", example = r#"["core/serde", "cli"]"#)]
    features: Vec<String>,

    /// Whether default features are on.
    #[key("default-features", Kind::Bool, default = "true", example = "false")]
    default_features: bool = true,

    /// Whether all features are on. Cannot be combined with `features` or `default-features = false`.
    #[key("all-features", Kind::Bool, default = "false", example = "true")]
    all_features: bool,
}

section! {
    /// How the packages that a change affects are found.
    "[affected]" Affected {}

    /// The git revision that changes are counted from.
    #[key("base", Kind::Text, otherwise = "found from the repository", example = r#""origin/main""#)]
    base: Option<String>,

    /// Glob patterns of files whose change affects no package, relative to the workspace root.
    #[key("ignore", Kind::List(&Kind::Glob), default = "[]", example = r#"["docs/**", "**/*.md"]"#)]
    ignore: Vec<String>,

    /// Whether, on a branch, test programs that never ran here and that nothing since the base can reach are left out.
    #[key("trust-base", Kind::Bool, default = "true", example = "false")]
    trust_base: bool = true,

    /// Glob patterns of files whose change affects every package, relative to the workspace root.
    #[key("global", Kind::List(&Kind::Glob), default = "[]", example = r#"["rust-toolchain.toml"]"#)]
    global: Vec<String>,
}

impl Tier {
    /// A tier with the defaults of a tier that the file adds: the whole workspace, default features, no budget.
    #[must_use]
    pub fn new(name: &str, command: TierCommand) -> Self {
        Self { name: name.to_owned(), command, ..Self::default() }
    }

    /// Whether passes are looked up.
    #[must_use]
    pub fn remembers(&self) -> bool {
        self.remember.unwrap_or(self.packages == Packages::Affected)
    }
}

/// The tiers of a workspace without a file. A workspace may lack the preset of `test-common`.
pub fn default_tiers() -> [Tier; 7] {
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

/// Applies a table to the tier of its name, which is added if there is none.
pub(super) fn read_tier(
    table: &Table<'_>,
    tiers: &mut Vec<Tier>,
    presets: &[Preset],
    (facts, reserved): (&Facts, &[&str]),
    problems: &mut Problems<'_>,
) {
    let index = tiers.iter().position(|tier| tier.name == table.name).unwrap_or_else(|| {
        check_new(table, reserved, problems);
        tiers.push(Tier::new(table.name, TierCommand::Test));
        tiers.len() - 1
    });
    let tier = &mut tiers[index];
    // Another command does not understand what a default tier has for its own.
    if table.strings("command").any(|(command, _)| command != tier.command.name()) {
        *tier = Tier { targets: Targets::Default, doctests: false, args: Vec::new(), ..tier.clone() };
    }
    table.read(tier, problems);
    check(tier, table, presets, facts, problems);
}

/// Checks a tier that the file adds.
fn check_new(table: &Table<'_>, reserved: &[&str], problems: &mut Problems<'_>) {
    let (name, header) = (table.name, table.header());
    if reserved.contains(&name) {
        let problem = format!("{header} takes the name of `cargo xtask {name}`\n  choose another name");
        problems.add(table.offset, problem);
    }
    if !table.has("command") {
        let hint = did_you_mean(name, default_tiers().iter().map(|tier| &*tier.name))
            .unwrap_or_else(|| format!("\n  set `command` to {}", one_of(TierCommand::NAMES)));
        problems.add(table.offset, format!("{header} has no `command`{hint}"));
    }
}

/// Checks a tier after the table was applied to it: names that must exist, settings that exclude each other.
fn check(tier: &Tier, table: &Table<'_>, presets: &[Preset], facts: &Facts, problems: &mut Problems<'_>) {
    let names = presets.iter().map(|preset| preset.name.as_str()).collect::<Vec<_>>();
    for (name, offset) in table.strings("preset").filter(|(name, _)| !names.contains(name)) {
        let hint = did_you_mean(name, names.iter().copied())
            .unwrap_or_else(|| format!("\n  write {} or define [presets.{name}]", one_of(&names)));
        problems.add(offset, format!("{}: no preset is named `{name}`{hint}", table.label("preset")));
    }
    let listed = matches!(tier.packages, Packages::List(_));
    for key in ["packages", "exclude"].into_iter().filter(|&key| listed || key == "exclude") {
        for (name, offset) in table.strings(key).filter(|(name, _)| facts.member(name).is_none()) {
            problems.add(offset, no_member(&table.label(key), name, facts));
        }
    }
    if listed && table.has("exclude") {
        table.fail("exclude", "contradicts a list of `packages`\n  shorten the list instead", problems);
    }
    let defers = tier.on_over_budget == OnOverBudget::Defer && table.has("on-over-budget");
    if defers && tier.command != TierCommand::Test {
        let problem = format!(
            "is `defer`, which is only for the command `test`, but the command is `{}`\n  write `warn` or `fail`",
            tier.command.name()
        );
        table.fail("on-over-budget", &problem, problems);
    }
    for key in ["doctests", "runner", "nextest-profile", "retries", "remember"] {
        let says_nothing =
            key == "doctests" && !tier.doctests || key == "remember" && tier.remember == Some(false);
        if tier.command != TierCommand::Test && table.has(key) && !says_nothing {
            let command = tier.command.name();
            let problem = format!("is only for the command `test`, but the command is `{command}`");
            table.fail(key, &problem, problems);
        } else if tier.runner == RunnerChoice::Cargo
            && ["nextest-profile", "retries"].contains(&key)
            && table.has(key)
        {
            table.fail(key, "needs nextest, but `runner` is `cargo`", problems);
        }
    }
}

pub(super) fn no_member(label: &str, name: &str, facts: &Facts) -> String {
    let hint = did_you_mean(name, facts.members().map(|member| &*member.name)).unwrap_or_default();
    format!("{label}: `{name}` is not a member of the workspace{hint}")
}

/// The preset that exists only if a member has a feature of that name.
pub(super) const COMMON: &str = "common";

/// The presets that need no file.
pub(super) fn builtin_presets(facts: &Facts) -> Vec<Preset> {
    let preset = |name: &str| Preset { name: name.to_owned(), builtin: true, ..Preset::default() };
    let mut presets = vec![
        Preset { default_features: false, ..preset("minimal") },
        Preset { all_features: true, ..preset("full") },
    ];
    if facts.members().any(|member| member.features.contains_key(COMMON)) {
        presets.insert(1, Preset { features: vec![COMMON.to_owned()], ..preset(COMMON) });
    }
    presets
}

/// Adds the preset of a table, or replaces the built-in one of that name.
pub(super) fn read_preset(
    table: &Table<'_>,
    presets: &mut Vec<Preset>,
    facts: &Facts,
    problems: &mut Problems<'_>,
) {
    let mut preset = Preset { name: table.name.to_owned(), ..Preset::default() };
    table.read(&mut preset, problems);
    for (feature, offset) in table.strings("features") {
        if let Some(problem) = unknown_feature(&table.label("features"), feature, facts) {
            problems.add(offset, problem);
        }
    }
    let contradicts =
        [("features", !preset.features.is_empty()), ("default-features", !preset.default_features)];
    for (key, _) in contradicts.into_iter().filter(|(_, contradicts)| preset.all_features && *contradicts) {
        table.fail(key, "contradicts `all-features = true`\n  remove one of the two", problems);
    }
    match presets.iter_mut().find(|other| other.name == preset.name) {
        Some(builtin) => *builtin = preset,
        None => presets.push(preset),
    }
}

fn unknown_feature(label: &str, text: &str, facts: &Facts) -> Option<String> {
    let (who, feature, members) = match text.split_once('/') {
        None => ("no member has a feature".to_owned(), text, facts.members().collect::<Vec<_>>()),
        Some((name, feature)) => match facts.member(name) {
            None => return Some(no_member(label, name, facts)),
            Some(member) => (format!("member `{name}` has no feature"), feature, vec![member]),
        },
    };
    if members.iter().any(|member| member.features.contains_key(feature)) {
        return None;
    }
    let known = members.iter().flat_map(|member| member.features.keys().map(String::as_str));
    Some(format!("{label}: {who} named `{feature}`{}", did_you_mean(feature, known).unwrap_or_default()))
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
