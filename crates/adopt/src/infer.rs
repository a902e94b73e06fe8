//! The `xtask.toml` that a workspace needs so that the default tiers work there.
//!
//! Invariant: the file says only what must differ from the defaults, and beside each entry stands where in the
//! workspace the reason for it is found. What is merely likely is not written.

mod ci;
mod common;
mod condition;
mod evidence;
mod features;
mod full;
mod gather;
mod ignore;
mod manifest;
mod render;
mod source;
#[cfg(test)]
mod tests;
mod tiers;

pub(crate) use evidence::Evidence;

use std::collections::{BTreeMap, BTreeSet};

use evidence::Kind;
use full::Full;
use render::Page;
use tiers::{Change, Selections};

/// An `xtask.toml` and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inferred {
    /// The text, lines ended by LF.
    pub(crate) text: String,
    /// One line each, for the report.
    pub(crate) notes: Vec<String>,
}

/// The text of `xtask.toml`, and notes.
pub(crate) fn xtask_toml(evidence: &Evidence) -> Inferred {
    let mut notes = Vec::new();
    let dropped = features::dropped(evidence);
    let full = Full::infer(evidence, &dropped);
    let built_in = common::built_in(evidence);
    let common = if built_in.is_empty() { common::infer(evidence, &dropped) } else { None };
    let selections = Selections {
        common: common.as_ref().map_or(built_in, |(features, _)| features.clone()),
        full: full.features(),
    };
    let changes = tiers::changes(evidence, &selections, &mut notes);

    let mut page = Page::default();
    header(&mut page);
    minimal(evidence, &mut page, &mut notes);
    if let Some((features, why)) = &common {
        page.table("presets.common");
        page.comment(&format!("{why}."));
        page.list("features", features::list(evidence, features).iter().map(String::as_str));
        notes.push(format!("preset common: {why}"));
    }
    full.write(&mut page, &mut notes);
    let mut told = BTreeSet::new();
    for (name, change) in &changes {
        page.table(&format!("tiers.{name}"));
        tier(change, &mut page, &mut told);
    }
    for why in &told {
        notes.push(why.clone());
    }
    ignore(evidence, &mut page);
    if !evidence.commands.is_empty()
        && !evidence.commands.iter().any(|command| command.all_features)
        && !features::all(evidence).is_empty()
        && full.is_everything()
    {
        notes.push("preset full: all features, though no command found here uses --all-features".to_owned());
    }
    Inferred { text: page.finish(), notes }
}

fn header(page: &mut Page) {
    page.comment(
        "What `cargo xtask` does otherwise here than by default. The file is yours: nothing writes it again.",
    );
    page.comment("Beside each entry stands what it was inferred from when the suite was adopted.");
    page.comment(&format!("Every key: {}/blob/main/docs/configuration.md", env!("CARGO_PKG_REPOSITORY")));
}

fn minimal(evidence: &Evidence, page: &mut Page, notes: &mut Vec<String>) {
    let required = features::required(evidence);
    if required.is_empty() {
        return;
    }
    page.table("presets.minimal");
    for (feature, why) in &required {
        page.comment(&format!("{feature}: {why}"));
        notes.push(format!("preset minimal: with {feature}, because of {why}"));
    }
    page.literal("default-features", "false");
    page.list("features", required.iter().map(|(feature, _)| feature.as_str()));
}

fn tier(change: &Change, page: &mut Page, told: &mut BTreeSet<String>) {
    // What was said of one tier is not said again of the next.
    let mut explain = |page: &mut Page, subject: &str, why: &str| {
        let sentence = format!("{subject}: {why}");
        if told.insert(sentence.clone()) {
            page.comment(&sentence);
        } else {
            page.comment(&format!("{subject}: as above"));
        }
    };
    if let Some(why) = &change.default_members {
        explain(page, "default members", why);
        page.string("packages", "default");
    }
    if !change.exclude.is_empty() {
        let mut by_reason = BTreeMap::<&str, Vec<&str>>::new();
        for (name, why) in &change.exclude {
            by_reason.entry(why).or_default().push(name);
        }
        for (why, names) in by_reason {
            explain(page, &names.join(", "), why);
        }
        page.list("exclude", change.exclude.keys().map(String::as_str));
    }
    if !change.without.is_empty() {
        for (kind, reasons) in &change.without {
            // The benches of a package often share one.
            let mut reasons = reasons.clone();
            reasons.dedup();
            let subject = if *kind == Kind::Bench { "no benches" } else { "no examples" };
            let more = match reasons.len() {
                0..=2 => String::new(),
                all => format!("; and {} more", all - 2),
            };
            let shown = reasons.iter().take(2).map(String::as_str).collect::<Vec<_>>().join("; ");
            explain(page, subject, &format!("{shown}{more}"));
        }
        page.list("targets", change.targets.iter().copied());
    }
    if let Some((profile, why)) = &change.nextest_profile {
        explain(page, "nextest", why);
        page.string("nextest-profile", profile);
    }
}

fn ignore(evidence: &Evidence, page: &mut Page) {
    if evidence.ignorable.is_empty() {
        return;
    }
    page.table("affected");
    page.comment(
        "Read by no compiler, and no source here has their names and a way to them. A change to any other file \
         outside of the members selects every member.",
    );
    page.list("ignore", evidence.ignorable.iter().map(String::as_str));
}
