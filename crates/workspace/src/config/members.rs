//! What the checks need to know of the workspace: its members and their features.

use std::collections::{BTreeMap, BTreeSet};

/// The workspace's members by name, each with the names of its features; collected from pairs of these.
#[derive(Debug, Clone, Default)]
pub struct Members<'a> {
    features: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Members<'a> {
    /// Whether the workspace has that member.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.features.contains_key(name)
    }

    /// Whether any member has a feature of that name.
    #[must_use]
    pub fn any_has_feature(&self, feature: &str) -> bool {
        self.features.values().any(|features| features.contains(feature))
    }

    /// The members' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.features.keys().copied()
    }

    /// The names of one member's features, sorted; none for an unknown member.
    pub fn features_of(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.features.get(name).into_iter().flatten().copied()
    }

    /// The names of all members' features, sorted, each once.
    pub fn all_features(&self) -> impl Iterator<Item = &'a str> {
        self.features.values().flatten().copied().collect::<BTreeSet<_>>().into_iter()
    }
}

impl<'a, F: IntoIterator<Item = &'a str>> FromIterator<(&'a str, F)> for Members<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, F)>>(members: I) -> Self {
        let members = members.into_iter().map(|(name, features)| (name, features.into_iter().collect()));
        Self { features: members.collect() }
    }
}
