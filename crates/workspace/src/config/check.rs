//! Checks of one tier that look beyond a single value: names that must exist, settings that exclude each other.
//!
//! Only what the file sets is reported, never what a default tier brings along.

use super::problem::{Problems, did_you_mean, one_of};
use super::section::Table;
use super::{Members, Packages, Preset, RunnerChoice, Target, Targets, Tier, TierCommand};

/// Keys that say something only about a test run.
const TEST_KEYS: [&str; 4] = ["doctests", "runner", "nextest-profile", "retries"];

/// Checks what only a tier that the file adds can get wrong.
pub(super) fn new_tier(table: &Table<'_>, reserved: &[&str], problems: &mut Problems<'_>) {
    if reserved.contains(&table.name) {
        let message = format!("{} takes the name of `cargo xtask {}`", table.header(), table.name);
        problems.add(table.offset, message, Some("choose another name".to_owned()));
    }
    if !table.has("command") {
        let message = format!("{} has no `command`", table.header());
        let hint = did_you_mean(table.name, super::tiers::default_tiers().iter().map(|tier| &*tier.name))
            .unwrap_or_else(|| format!("set `command` to {}", one_of(TierCommand::NAMES)));
        problems.add(table.offset, message, Some(hint));
    }
}

/// Checks a tier after the table was applied to it.
pub(super) fn tier(
    tier: &Tier,
    table: &Table<'_>,
    presets: &[Preset],
    members: &Members<'_>,
    problems: &mut Problems<'_>,
) {
    preset(table, presets, problems);
    member_names(table, members, problems);
    if table.list("exclude").next().is_some() && matches!(tier.packages, Packages::List(_)) {
        let message = format!("{} contradicts a list of `packages`", table.label("exclude"));
        problems.add(table.offset_of("exclude"), message, Some("shorten the list instead".to_owned()));
    }
    if table.holds("on-over-budget") && tier.budget.is_none() && !table.has("budget") {
        let message = format!("{} has no `budget` to watch", table.label("on-over-budget"));
        problems.add(table.offset_of("on-over-budget"), message, Some("set `budget`".to_owned()));
    }
    // What the command is stays unknown when it is missing or wrong, which has been reported.
    if table.holds("command") || !table.has("command") {
        command_fits(tier, table, problems);
    }
    if tier.runner == RunnerChoice::Cargo {
        for key in ["nextest-profile", "retries"].into_iter().filter(|key| table.holds(key)) {
            let message = format!("{} needs nextest, but `runner` is `cargo`", table.label(key));
            problems.add(table.offset_of(key), message, None);
        }
    }
}

fn preset(table: &Table<'_>, presets: &[Preset], problems: &mut Problems<'_>) {
    let Some((name, offset)) = table.text("preset") else { return };
    let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
    if !names.contains(&name) {
        let message = format!("{}: no preset is named `{}`", table.label("preset"), name);
        let hint = did_you_mean(name, names.iter().copied())
            .unwrap_or_else(|| format!("write {} or define [presets.{}]", one_of(&names), name));
        problems.add(offset, message, Some(hint));
    }
}

fn member_names(table: &Table<'_>, members: &Members<'_>, problems: &mut Problems<'_>) {
    for key in ["packages", "exclude"] {
        for (name, offset) in table.list(key) {
            if !members.contains(name) {
                let message = format!("{}: `{}` is no member of the workspace", table.label(key), name);
                problems.add(offset, message, did_you_mean(name, members.names()));
            }
        }
    }
}

/// Checks that the command knows the other settings.
fn command_fits(tier: &Tier, table: &Table<'_>, problems: &mut Problems<'_>) {
    if tier.command != TierCommand::Test {
        let says_nothing = |key: &&str| *key == "doctests" && !tier.doctests;
        for key in TEST_KEYS.into_iter().filter(|key| table.holds(key) && !says_nothing(key)) {
            let message = format!(
                "{} is only for the command `test`, but the command is `{}`",
                table.label(key),
                tier.command.name()
            );
            problems.add(table.offset_of(key), message, None);
        }
    }
    let unknown_to_doc = match &tier.targets {
        Targets::Default => false,
        Targets::All => true,
        Targets::List(kinds) => kinds.iter().any(|kind| matches!(kind, Target::Tests | Target::Benches)),
    };
    if tier.command == TierCommand::Doc && unknown_to_doc && table.holds("targets") {
        let message = format!("{} asks for targets that `cargo doc` does not know", table.label("targets"));
        let hint = "list some of `lib`, `bins` and `examples`".to_owned();
        problems.add(table.offset_of("targets"), message, Some(hint));
    }
}
