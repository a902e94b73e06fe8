//! The presets `common` and `full`, as far as manifests say what belongs there.

use std::collections::BTreeSet;

use super::{Member, Page, Workspace};
use crate::observe::settings::shortest;

/// A feature as `member/feature`; what it turns on: features of members in the same form, and others as they are written
/// (`locks?/nightly`); and its manifest.
type Feature<'a> = (String, Vec<String>, &'a str);

/// Writes the presets that differ from the built-in ones.
pub(super) fn write(workspace: &Workspace<'_>, stable: bool, page: &mut Page, notes: &mut Vec<String>) {
    let all = features(workspace);
    let dropped = dropped(&all, stable);
    let is_kept = |feature: &String| dropped.iter().all(|(_, features)| !features.contains(feature));
    // A built-in preset takes the features `common`; else those named `full` are what the members say goes together.
    let with = |name: &str| {
        let members = workspace.members.iter();
        members.filter(|member| member.package.features.contains_key(name)).collect::<Vec<_>>()
    };
    let members = if with("common").is_empty() { with("full") } else { Vec::new() };
    let full = members.iter().map(|member| member.feature("full")).filter(is_kept).collect::<BTreeSet<_>>();
    if full.iter().any(|feature| !is_on_by_default(&carriers(&all, feature))) {
        let manifests = members.iter().map(|member| member.manifest.shown.as_str()).collect::<Vec<_>>();
        let why = format!("a feature `full` in {}", manifests.join(", "));
        page.table("presets.common");
        page.comment(&format!("{why}."));
        page.list("features", &shortest(workspace.facts, &full));
        notes.push(format!("preset common: {why}"));
    }
    if dropped.is_empty() {
        return;
    }
    page.table("presets.full");
    page.comment("All features but these:");
    for (why, features) in &dropped {
        let names = features.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        page.comment(&format!("- {names}: {why}"));
        notes.push(format!("preset full: without {names}: {why}"));
    }
    let kept =
        all.iter().map(|(feature, ..)| feature).filter(|name| is_kept(name) && !name.ends_with("/default"));
    page.list("features", &shortest(workspace.facts, &kept.cloned().collect()));
}

/// What all features are without, with the reason: features that compile logging out, and on a stable toolchain those that
/// turn on the feature `nightly` of a package from elsewhere; with all that lead to one of them.
fn dropped(all: &[Feature<'_>], stable: bool) -> Vec<(String, BTreeSet<String>)> {
    let is_foreign = |value: &str| all.iter().all(|(feature, ..)| feature != value);
    let mut dropped = Vec::<(String, BTreeSet<String>)>::new();
    for (feature, values, shown) in all {
        let nightly = values.iter().find(|value| stable && value.ends_with("/nightly") && is_foreign(value));
        let why = match nightly {
            Some(value) => format!("{shown}: `{value}`"),
            None if is_static_level(feature) => format!("{shown}: they compile logging out"),
            None => continue,
        };
        let carriers = carriers(all, feature);
        // What is on by default is meant to be on.
        if is_on_by_default(&carriers) {
            continue;
        }
        match dropped.iter_mut().find(|(other, _)| *other == why) {
            Some((_, features)) => features.extend(carriers),
            None => dropped.push((why, carriers)),
        }
    }
    dropped
}

/// Whether `log` and `tracing`, and those that pass it on to them, have such a feature to leave events out of the program:
/// with all of them on, none is left, and tests of what is logged fail.
fn is_static_level(feature: &str) -> bool {
    let name = feature.split('/').next_back().unwrap_or_default();
    let level = name.strip_prefix("release_").unwrap_or(name).strip_prefix("max_level_");
    level.is_some_and(|level| ["off", "error", "warn", "info", "debug", "trace"].contains(&level))
}

fn is_on_by_default(carriers: &BTreeSet<String>) -> bool {
    carriers.iter().any(|feature| feature.ends_with("/default"))
}

fn features<'a>(workspace: &'a Workspace<'_>) -> Vec<Feature<'a>> {
    let mut all = Vec::new();
    for member in &workspace.members {
        let dependencies = member.manifest.dependencies(&workspace.root);
        let resolved = |value: &String| {
            let Some((key, name)) = value.split_once('/') else { return member.feature(value) };
            let dependency = dependencies.iter().find(|found| found.key == key.trim_end_matches('?'));
            let is_meant =
                |other: &&Member<'_>| dependency.is_some_and(|found| found.package == other.package.name);
            workspace.members.iter().find(is_meant).map_or(value.clone(), |other| other.feature(name))
        };
        for (name, values) in &member.package.features {
            let values = values.iter().map(resolved).collect();
            all.push((member.feature(name), values, member.manifest.shown.as_str()));
        }
    }
    all
}

/// `feature`, and all features that turn it on.
fn carriers(all: &[Feature<'_>], feature: &str) -> BTreeSet<String> {
    let mut carriers = BTreeSet::from([feature.to_owned()]);
    loop {
        let before = carriers.len();
        for (feature, values, _) in all {
            if values.iter().any(|value| carriers.contains(value)) {
                carriers.insert(feature.clone());
            }
        }
        if carriers.len() == before {
            return carriers;
        }
    }
}

impl Member<'_> {
    fn feature(&self, name: &str) -> String {
        format!("{}/{name}", self.package.name)
    }
}
