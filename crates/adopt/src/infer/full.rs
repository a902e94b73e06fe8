//! The preset `full`: all features, but for those that cannot be on, and for what the workspace itself keeps apart.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::Action;
use super::evidence::{Evidence, Place};
use super::features::{self, Dropped, Feature};
use super::render::Page;

/// What the preset is, as far as it is not just all features.
pub(super) struct Full<'a> {
    evidence: &'a Evidence,
    dropped: &'a Dropped,
    /// The members that are tested with all their features, each alone, and where; where it is not all of them.
    alone: BTreeMap<usize, &'a Place>,
    /// What the workspace itself calls the full features, and where.
    named: Option<(BTreeSet<Feature>, &'a Place)>,
}

impl<'a> Full<'a> {
    pub(super) fn infer(evidence: &'a Evidence, dropped: &'a Dropped) -> Self {
        let named = named(evidence);
        let alone = if named.is_some() { BTreeMap::new() } else { alone(evidence) };
        Self { evidence, dropped, alone, named }
    }

    /// Whether all features can be taken as they are.
    pub(super) fn is_everything(&self) -> bool {
        self.named.is_none() && self.alone.is_empty() && self.dropped.features.is_empty()
    }

    /// The features that are on beside the default ones.
    pub(super) fn features(&self) -> BTreeSet<Feature> {
        let mut features = features::all(self.evidence);
        features.retain(|feature| self.takes(feature) && !self.dropped.features.contains_key(feature));
        features
    }

    fn takes(&self, feature: &Feature) -> bool {
        match &self.named {
            Some((features, _)) => features.contains(feature),
            None => self.alone.is_empty() || self.alone.contains_key(&feature.0),
        }
    }

    /// Writes the preset, if it differs from the default one.
    pub(super) fn write(&self, page: &mut Page, notes: &mut Vec<String>) {
        if self.is_everything() {
            return;
        }
        page.table("presets.full");
        if let Some((_, place)) = &self.named {
            page.comment(&format!("{place} calls these the full features."));
            notes.push(format!("preset full: the features that {place} calls so"));
        } else if self.alone.is_empty() {
            page.comment("All features but these:");
        } else {
            let named = self.alone.iter();
            let named =
                named.map(|(number, place)| format!("{} ({place})", self.evidence.packages[*number].name));
            let named = named.collect::<Vec<_>>().join(", ");
            page.comment(&format!(
                "All features of {named}; no command here tests all of all members together."
            ));
            notes.push(format!("preset full: all features of {named}"));
        }
        let not = if self.alone.is_empty() && self.named.is_none() { "" } else { "not " };
        for (why, features) in &self.dropped.reasons {
            let left_out = features.iter().filter(|feature| self.takes(feature));
            let names = left_out.map(|feature| features::shown(self.evidence, feature)).collect::<Vec<_>>();
            if !names.is_empty() {
                page.comment(&format!("- {not}{}: {why}", names.join(", ")));
                notes.push(format!("preset full: without {}, because of {why}", names.join(", ")));
            }
        }
        page.list("features", features::list(self.evidence, &self.features()).iter().map(String::as_str));
    }
}

/// What a makefile calls the full features, where each is one of a member.
fn named(evidence: &Evidence) -> Option<(BTreeSet<Feature>, &Place)> {
    let (names, place) = evidence.full_features.as_ref()?;
    let mut features = BTreeSet::new();
    for name in names {
        let found = features::named(evidence, name)?;
        if found.is_empty() || !found.iter().all(|feature| features::is_declared(evidence, feature)) {
            return None;
        }
        features.extend(found);
    }
    Some((features, place))
}

/// Where the tests of the whole workspace run without all features, and some members' tests with all of theirs, that
/// is how they are meant: features of one may break the tests of another.
fn alone(evidence: &Evidence) -> BTreeMap<usize, &Place> {
    let together = evidence.commands.iter().any(|command| command.workspace && command.all_features);
    let tests =
        evidence.commands.iter().filter(|command| command.action == Some(Action::Test) && !command.elsewhere);
    if together || !tests.clone().any(|command| command.workspace) {
        return BTreeMap::new();
    }
    let mut alone = BTreeMap::new();
    for command in tests.filter(|command| command.all_features) {
        for name in &command.packages {
            if let Some((member, place)) = evidence.member(name).zip(command.place.as_ref()) {
                alone.entry(member).or_insert(place);
            }
        }
    }
    alone
}
