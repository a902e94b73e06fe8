//! Checks of one tier that look beyond a single value: names that must exist, settings that exclude each other.
//!
//! Only what the file sets is reported, never what a default tier brings along.

use super::members::Members;
use super::problem::{Problems, did_you_mean, one_of};
use super::settings::Settings;
use super::types::{Packages, Preset, RunnerChoice, Target, Targets, Tier, TierCommand};

/// Keys that say something only about a test run.
const TEST_KEYS: [&str; 4] = ["doctests", "runner", "nextest-profile", "retries"];

/// Checks what only a tier that the file adds can get wrong.
pub(super) fn new_tier(settings: &Settings, reserved: &[&str], problems: &mut Problems<'_>) {
    if reserved.contains(&settings.name.as_str()) {
        let message = format!("{} takes the name of `cargo xtask {}`", settings.header(), settings.name);
        problems.add(settings.offset, message, Some("choose another name".to_owned()));
    }
    if !settings.has("command") {
        let message = format!("{} has no `command`", settings.header());
        let hint = did_you_mean(&settings.name, super::tiers::default_tiers().iter().map(|tier| &*tier.name))
            .unwrap_or_else(|| format!("set `command` to {}", one_of(TierCommand::NAMES)));
        problems.add(settings.offset, message, Some(hint));
    }
}

/// Checks a tier after the file's settings were applied to it.
pub(super) fn tier(
    tier: &Tier,
    settings: &Settings,
    presets: &[Preset],
    members: &Members<'_>,
    problems: &mut Problems<'_>,
) {
    preset(settings, presets, problems);
    member_names(settings, members, problems);
    if settings.list("exclude").is_some_and(|names| !names.is_empty())
        && matches!(tier.packages, Packages::List(_))
    {
        let message = format!("{} contradicts a list of `packages`", settings.label("exclude"));
        problems.add(settings.offset_of("exclude"), message, Some("shorten the list instead".to_owned()));
    }
    if settings.holds("on-over-budget") && tier.budget.is_none() && !settings.has("budget") {
        let message = format!("{} has no `budget` to watch", settings.label("on-over-budget"));
        problems.add(settings.offset_of("on-over-budget"), message, Some("set `budget`".to_owned()));
    }
    // What the command is stays unknown when it is missing or wrong, which has been reported.
    if settings.choice::<TierCommand>("command").is_some() || !settings.has("command") {
        command_fits(tier, settings, problems);
    }
    if tier.runner == RunnerChoice::Cargo {
        for key in ["nextest-profile", "retries"].into_iter().filter(|key| settings.holds(key)) {
            let message = format!("{} needs nextest, but `runner` is `cargo`", settings.label(key));
            problems.add(settings.offset_of(key), message, None);
        }
    }
}

fn preset(settings: &Settings, presets: &[Preset], problems: &mut Problems<'_>) {
    let Some(name) = settings.text("preset") else { return };
    let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
    if !names.contains(&name.text.as_str()) {
        let message = format!("{}: no preset is named `{}`", settings.label("preset"), name.text);
        let hint = did_you_mean(&name.text, names.iter().copied())
            .unwrap_or_else(|| format!("write {} or define [presets.{}]", one_of(&names), name.text));
        problems.add(name.offset, message, Some(hint));
    }
}

fn member_names(settings: &Settings, members: &Members<'_>, problems: &mut Problems<'_>) {
    for key in ["packages", "exclude"] {
        for name in settings.list(key).unwrap_or_default() {
            if !members.contains(&name.text) {
                let message =
                    format!("{}: `{}` is no member of the workspace", settings.label(key), name.text);
                problems.add(name.offset, message, did_you_mean(&name.text, members.names()));
            }
        }
    }
}

/// Checks that the command knows the other settings.
fn command_fits(tier: &Tier, settings: &Settings, problems: &mut Problems<'_>) {
    if tier.command != TierCommand::Test {
        let says_nothing = |key: &&str| *key == "doctests" && settings.bool(key) == Some(false);
        for key in TEST_KEYS.into_iter().filter(|key| settings.holds(key) && !says_nothing(key)) {
            let message = format!(
                "{} is only for the command `test`, but the command is `{}`",
                settings.label(key),
                tier.command.name()
            );
            problems.add(settings.offset_of(key), message, None);
        }
    }
    let unknown_to_doc = match &tier.targets {
        Targets::Default => false,
        Targets::All => true,
        Targets::List(kinds) => kinds.iter().any(|kind| matches!(kind, Target::Tests | Target::Benches)),
    };
    if tier.command == TierCommand::Doc && unknown_to_doc && settings.holds("targets") {
        let message =
            format!("{} asks for targets that `cargo doc` does not know", settings.label("targets"));
        let hint = "list some of `lib`, `bins` and `examples`".to_owned();
        problems.add(settings.offset_of("targets"), message, Some(hint));
    }
}
