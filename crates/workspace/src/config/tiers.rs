//! Tiers: the default ones, the file's changes to them, and the file's own.

use super::check;
use super::duration;
use super::members::Members;
use super::presets::COMMON;
use super::problem::Problems;
use super::settings::Settings;
use super::types::{Packages, Place, Preset, Target, Targets, Tier, TierCommand};
use std::time::Duration;

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

/// All tiers: the default ones in their order, with the file's changes, then the file's own in file order.
pub(super) fn tiers(
    file: &[Settings],
    presets: &[Preset],
    members: &Members<'_>,
    reserved: &[&str],
    problems: &mut Problems<'_>,
) -> Vec<Tier> {
    let mut tiers = Vec::from(default_tiers());
    for tier in &mut tiers {
        tier.preset.take_if(|name| !presets.iter().any(|preset| preset.name == *name));
    }
    for settings in file {
        let index = tiers.iter().position(|tier| tier.name == settings.name).unwrap_or_else(|| {
            check::new_tier(settings, reserved, problems);
            tiers.push(Tier::new(&settings.name, TierCommand::Test));
            tiers.len() - 1
        });
        apply(&mut tiers[index], settings);
        check::tier(&tiers[index], settings, presets, members, problems);
    }
    for tier in tiers.iter_mut().filter(|tier| tier.about.is_empty()) {
        tier.about = describe(tier);
    }
    tiers
}

/// Changes a tier by the keys that the file sets.
fn apply(tier: &mut Tier, settings: &Settings) {
    if let Some(command) = settings.choice("command") {
        if command != tier.command {
            *tier = Tier { targets: Targets::Default, doctests: false, args: Vec::new(), ..tier.clone() };
        }
        tier.command = command;
    }
    set(&mut tier.about, settings.string("about"));
    set(&mut tier.packages, packages(settings));
    set(&mut tier.exclude, settings.strings("exclude"));
    set_some(&mut tier.preset, settings.string("preset"));
    set_some(&mut tier.profile, settings.string("profile"));
    set(&mut tier.targets, targets(settings));
    set(&mut tier.doctests, settings.bool("doctests"));
    set(&mut tier.runner, settings.choice("runner"));
    set_some(&mut tier.nextest_profile, settings.string("nextest-profile"));
    set_some(&mut tier.retries, settings.integer("retries"));
    set_some(&mut tier.budget, settings.duration("budget"));
    set(&mut tier.on_over_budget, settings.choice("on-over-budget"));
    set(&mut tier.env, settings.variables("env"));
    set(&mut tier.args, settings.strings("args"));
    set(&mut tier.tools, settings.strings("tools"));
    set(&mut tier.place, settings.choice("where"));
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn set_some<T>(field: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *field = value;
    }
}

fn packages(settings: &Settings) -> Option<Packages> {
    if let Some(names) = settings.strings("packages") {
        return Some(Packages::List(names));
    }
    match settings.text("packages")?.text.as_str() {
        "affected" => Some(Packages::Affected),
        "workspace" => Some(Packages::Workspace),
        "default" => Some(Packages::Default),
        _ => None,
    }
}

fn targets(settings: &Settings) -> Option<Targets> {
    use super::choice::Choice;
    if let Some(kinds) = settings.list("targets") {
        return kinds
            .iter()
            .map(|kind| Target::from_name(&kind.text))
            .collect::<Option<_>>()
            .map(Targets::List);
    }
    match settings.text("targets")?.text.as_str() {
        "default" => Some(Targets::Default),
        "all" => Some(Targets::All),
        _ => None,
    }
}

/// The line for `--help`: "Test the packages that a change affects, within 30s".
fn describe(tier: &Tier) -> String {
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
        tier.budget.map(|budget| format!("within {}", duration::render(budget))),
        (tier.place == Place::Ci).then(|| "for CI".to_owned()),
    ];
    let head = format!("{verb} {packages}{except}");
    std::iter::once(head).chain(details.into_iter().flatten()).collect::<Vec<_>>().join(", ")
}

/// Up to three names, else how many there are.
fn listed(names: &[String]) -> String {
    if names.len() <= 3 { names.join(" + ") } else { format!("{} packages", names.len()) }
}
