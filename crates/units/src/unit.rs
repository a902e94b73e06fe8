//! Compile units in cargo's sense, sets of them, and what two sets share. A unit is one run of the compiler, of rustdoc or of
//! a build script.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Compiles to code.
    #[default]
    Build,
    /// Compiles to metadata only, as `cargo check` and clippy do.
    Check,
    RunBuildScript,
    Doc,
}

/// The kind of a target, by the word in cargo's fingerprint files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A library of any crate type, including proc macros.
    #[default]
    Lib,
    Bin,
    Example,
    IntegrationTest,
    Bench,
    BuildScript,
}

impl TargetKind {
    /// The kind that a JSON message or `cargo metadata` calls `kinds`.
    pub fn from_cargo<S: AsRef<str>>(kinds: &[S]) -> Self {
        match kinds.first().map(AsRef::as_ref) {
            Some("bin") => Self::Bin,
            Some("example") => Self::Example,
            Some("test") => Self::IntegrationTest,
            Some("bench") => Self::Bench,
            Some("custom-build") => Self::BuildScript,
            _ => Self::Lib,
        }
    }

    /// A target of this kind and name, for people: `lib`, `bin app`.
    pub fn describe(self, name: &str) -> String {
        match self {
            Self::Lib => "lib".to_owned(),
            Self::Bin => format!("bin {name}"),
            Self::Example => format!("example {name}"),
            Self::IntegrationTest => format!("test {name}"),
            Self::Bench => format!("bench {name}"),
            Self::BuildScript => "build script".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Cargo's unit id: 16 hex digits that file and folder names contain.
    pub id: String,
    pub package: String,
    pub version: String,
    /// The folder of the package's manifest; `None` for packages from a registry or a git repository.
    pub local_dir: Option<Utf8PathBuf>,
    pub target: String,
    pub kind: TargetKind,
    pub mode: Mode,
    /// Whether the test harness or `cfg(test)` is on.
    pub test: bool,
    /// The name of the profile's folder: `debug`, `release`, or a custom profile's name.
    pub profile_dir: String,
    /// The compiler's flags from the profile: optimization, debug info and the like.
    pub profile_flags: Vec<String>,
    pub features: Vec<String>,
    /// The `--target` triple; `None` for the host without `--target`.
    pub triple: Option<String>,
    pub fingerprint_dir: Utf8PathBuf,
    /// The name of the fingerprint file in there: `lib-serde`, `test-integration-test-it`.
    pub fingerprint_file: String,
    /// The ids of its direct dependencies.
    pub dependencies: Vec<String>,
    /// All its files and folders: outputs, dep-info, the build script's folder, and the uplifted names in the target dir.
    pub files: Vec<Utf8PathBuf>,
    /// `None` where it is compiled without an incremental folder.
    pub incremental: Option<Incremental>,
}

/// What the name of an incremental folder depends on (rustc's `StableCrateId`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incremental {
    pub crate_name: String,
    /// The values of `-C metadata`.
    pub metadata: Vec<String>,
    pub program: bool,
    /// The compiler, as cargo calls it.
    pub compiler: Utf8PathBuf,
}

#[cfg(test)]
impl Unit {
    /// A unit for tables to change.
    pub(crate) fn for_tests() -> Self {
        Self {
            package: "p".into(),
            version: "1.0.0".into(),
            target: "p".into(),
            profile_dir: "debug".into(),
            ..Self::default()
        }
    }
}

impl Unit {
    /// One line for people: `serde 1.0.2 lib (check)`.
    pub fn describe(&self) -> String {
        let kind = self.kind.describe(&self.target);
        format!("{} {} {kind}{}", self.package, self.version, self.mode_in_words())
    }

    /// What is done with its target, in the words of `cargo --timings`.
    pub(crate) fn mode_in_words(&self) -> &'static str {
        match (self.mode, self.test) {
            (Mode::Build, false) => "",
            (Mode::Build, true) => " (test)",
            (Mode::Check, false) => " (check)",
            (Mode::Check, true) => " (check-test)",
            (Mode::RunBuildScript, _) => " (run)",
            (Mode::Doc, _) => " (doc)",
        }
    }

    /// What stays the same when only features, flags or versions of dependencies change.
    fn identity(&self) -> (&str, &str, &str, TargetKind, Mode, bool) {
        (&self.package, &self.version, &self.target, self.kind, self.mode, self.test)
    }

    /// The folder of its profile in the build dir.
    pub fn profile_path(&self) -> &Utf8Path {
        let fingerprint = self.fingerprint_dir.as_path();
        // `<profile>/.fingerprint/<package>-<id>`, or `<profile>/build/<package>/<id>/fingerprint`.
        let depth = if fingerprint.file_name() == Some("fingerprint") { 4 } else { 2 };
        fingerprint.ancestors().nth(depth).unwrap_or(fingerprint)
    }
}

/// A set of units, by the folder of their fingerprint: the same unit id can occur in two profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitSet(Vec<Unit>);

impl UnitSet {
    /// The units, each once, in the order of package, target and id.
    pub fn new(units: impl IntoIterator<Item = Unit>) -> Self {
        let by_place: BTreeMap<_, _> =
            units.into_iter().map(|unit| (unit.fingerprint_dir.clone(), unit)).collect();
        let mut units = by_place.into_values().collect::<Vec<_>>();
        units.sort_by(|a, b| (&a.package, &a.target, &a.id).cmp(&(&b.package, &b.target, &b.id)));
        Self(units)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.0.iter()
    }

    pub fn get(&self, index: usize) -> Option<&Unit> {
        self.0.get(index)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn minus(&self, other: &Self) -> Vec<&Unit> {
        let places = other.iter().map(|unit| &unit.fingerprint_dir).collect::<BTreeSet<_>>();
        self.iter().filter(|unit| !places.contains(&unit.fingerprint_dir)).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub shared: usize,
    pub only_first: Vec<String>,
    pub only_second: Vec<String>,
    /// Why units that both have in some form differ: the causes, those that affect most units first.
    pub splits: Vec<Split>,
}

/// A unit that both sets have, but with different settings of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Split {
    pub unit: String,
    pub features_first: Vec<String>,
    pub features_second: Vec<String>,
    /// Flags and triples that differ: those of the first, those of the second.
    pub flags: Option<(String, String)>,
    /// How many units are compiled twice because of it, itself included.
    pub units: usize,
}

pub fn compare(first: &UnitSet, second: &UnitSet) -> Comparison {
    let only_first = first.minus(second);
    let only_second = second.minus(first);
    let describe = |units: &[&Unit]| units.iter().map(|unit| unit.describe()).collect();
    Comparison {
        shared: first.len() - only_first.len(),
        splits: splits(&only_first, &only_second),
        only_first: describe(&only_first),
        only_second: describe(&only_second),
    }
}

fn splits(first: &[&Unit], second: &[&Unit]) -> Vec<Split> {
    let pairs = first.iter().filter_map(|unit| {
        // There may be two, for the host and for the target: its partner is the one that has most in common with it.
        let partners = second.iter().filter(|other| other.identity() == unit.identity());
        let differences = partners.map(|other| difference(unit, other));
        Some((*unit, differences.min_by_key(|split| split.as_ref().map_or(0, Split::weight))?))
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
