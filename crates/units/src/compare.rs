//! What two sets of units share, and the feature or flag that splits them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::unit::{Unit, UnitIdentity, UnitSet};

/// Two sets of units side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Units that both need.
    pub shared: usize,
    /// Units that only the first needs.
    pub only_first: Vec<String>,
    /// Units that only the second needs.
    pub only_second: Vec<String>,
    /// Why units that both have in some form are not the same: the causes, the widest first.
    pub splits: Vec<Split>,
}

/// A unit that both sets have, but with different settings of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Split {
    /// The unit.
    pub unit: String,
    /// Features that only the first has on.
    pub features_first: Vec<String>,
    /// Features that only the second has on.
    pub features_second: Vec<String>,
    /// Flags and triples that differ: those of the first, those of the second.
    pub flags: Option<(String, String)>,
    /// How many units are compiled twice because of it, itself included.
    pub units: usize,
}

/// Compares `first` with `second`.
pub fn compare(first: &UnitSet, second: &UnitSet) -> Comparison {
    let only_first = first.minus(second);
    let only_second = second.minus(first);
    let describe = |units: &UnitSet| units.iter().map(Unit::describe).collect();
    Comparison {
        shared: first.shared_with(second).len(),
        splits: splits(&only_first, &only_second),
        only_first: describe(&only_first),
        only_second: describe(&only_second),
    }
}

fn splits(first: &UnitSet, second: &UnitSet) -> Vec<Split> {
    let mut partners = BTreeMap::<UnitIdentity, Vec<&Unit>>::new();
    for unit in second.iter() {
        partners.entry(unit.identity()).or_default().push(unit);
    }
    let pairs = first.iter().filter_map(|unit| {
        let candidates = partners.get(&unit.identity())?;
        // The same unit for the host and for the target: the partner is the one with most in common.
        let closest = candidates
            .iter()
            .min_by_key(|other| difference(unit, other).map_or(0, |split| split.weight()))?;
        Some((unit, difference(unit, closest)))
    });
    let pairs = pairs.collect::<Vec<_>>();
    let mut splits = pairs
        .iter()
        .filter_map(|(unit, split)| {
            let mut split = split.clone()?;
            split.units = caused_by(unit, &pairs);
            Some(split)
        })
        .collect::<Vec<_>>();
    splits.sort_by(|a, b| b.units.cmp(&a.units).then_with(|| a.unit.cmp(&b.unit)));
    splits
}

/// What differs in the settings of the two units themselves; `None` when only a dependency does.
fn difference(first: &Unit, second: &Unit) -> Option<Split> {
    let missing = |from: &Unit, other: &Unit| -> Vec<String> {
        from.features.iter().filter(|feature| !other.features.contains(feature)).cloned().collect()
    };
    let flags = |unit: &Unit| {
        let triple = unit.triple.iter().map(|triple| format!("target={triple}"));
        unit.profile_flags.iter().cloned().chain(triple).collect::<Vec<_>>().join(" ")
    };
    let split = Split {
        unit: first.describe(),
        features_first: missing(first, second),
        features_second: missing(second, first),
        flags: Some((flags(first), flags(second))).filter(|(first, second)| first != second),
        units: 0,
    };
    (split.weight() > 0).then_some(split)
}

impl Split {
    fn weight(&self) -> usize {
        self.features_first.len() + self.features_second.len() + usize::from(self.flags.is_some()) * 100
    }
}

/// How many of the split units depend on `root` over split units alone, itself included.
fn caused_by(root: &Unit, pairs: &[(&Unit, Option<Split>)]) -> usize {
    let mut reached = BTreeSet::from([root.id.as_str()]);
    loop {
        let next = pairs.iter().map(|(unit, _)| unit).find(|unit| {
            !reached.contains(unit.id.as_str())
                && unit.dependencies.iter().any(|id| reached.contains(id.as_str()))
        });
        match next {
            Some(unit) => reached.insert(&unit.id),
            None => return reached.len(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: &str, package: &str, features: &[&str], dependencies: &[&str]) -> Unit {
        Unit {
            id: id.into(),
            package: package.into(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
            dependencies: dependencies.iter().map(|id| (*id).to_owned()).collect(),
            fingerprint_dir: format!("/t/debug/.fingerprint/{package}-{id}").into(),
            ..Unit::for_tests()
        }
    }

    #[test]
    fn names_the_feature_that_splits_and_how_far_it_reaches() {
        let first = UnitSet::new([
            unit("1", "libc", &[], &[]),
            unit("2", "serde", &[], &["1"]),
            unit("3", "app", &[], &["2"]),
        ]);
        let second = UnitSet::new([
            unit("1", "libc", &[], &[]),
            unit("4", "serde", &["derive"], &["1"]),
            unit("5", "app", &[], &["4"]),
            unit("6", "syn", &[], &[]),
        ]);
        let comparison = compare(&first, &second);
        assert_eq!((comparison.shared, comparison.only_first.len(), comparison.only_second.len()), (1, 2, 3));
        assert_eq!(comparison.splits.len(), 1, "app differs only through serde: {:?}", comparison.splits);
        assert_eq!(comparison.splits[0].features_second, ["derive"]);
        assert_eq!(comparison.splits[0].units, 2);
    }

    #[test]
    fn equal_sets_split_nowhere() {
        let units = UnitSet::new([unit("1", "libc", &[], &[])]);
        let comparison = compare(&units, &units);
        assert_eq!((comparison.shared, comparison.splits.len(), comparison.only_first.len()), (1, 0, 0));
    }
}
