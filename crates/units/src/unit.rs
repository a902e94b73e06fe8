//! A compile unit, in cargo's sense: one run of the compiler, of rustdoc, or of a build script.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// What a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Compiles to code.
    Build,
    /// Compiles to metadata only, as `cargo check` and clippy do.
    Check,
    /// Runs a build script.
    RunBuildScript,
    /// Documents.
    Doc,
}

/// The kind of a target, by the word cargo uses in its fingerprint files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A library of any crate type, proc macros among them.
    Lib,
    /// A binary.
    Bin,
    /// An example.
    Example,
    /// An integration test.
    IntegrationTest,
    /// A benchmark.
    Bench,
    /// A build script.
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

    /// A target of this kind and name, for a person: `lib`, `bin app`.
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

/// A unit that a cargo command would need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Cargo's unit id: 16 hex digits that file and folder names carry.
    pub id: String,
    /// The package's name.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The folder of the package's manifest, where its sources are on this disk; `None` for packages from
    /// a registry or a git repository.
    pub local_dir: Option<Utf8PathBuf>,
    /// The target's name.
    pub target: String,
    /// The target's kind.
    pub kind: TargetKind,
    /// What is done with it.
    pub mode: Mode,
    /// Whether the test harness or `cfg(test)` is on.
    pub test: bool,
    /// The folder of the profile: `debug`, `release`, or a custom profile's name.
    pub profile_dir: String,
    /// The flags that the profile came to: optimisation, debug info and the like.
    pub profile_flags: Vec<String>,
    /// The features that are on.
    pub features: Vec<String>,
    /// The `--target` triple; `None` for the host without `--target`.
    pub triple: Option<String>,
    /// The folder of its fingerprint.
    pub fingerprint_dir: Utf8PathBuf,
    /// The name of the fingerprint file in there: `lib-serde`, `test-integration-test-it`.
    pub fingerprint_file: String,
    /// The ids of the units it depends on directly.
    pub dependencies: Vec<String>,
    /// Every file and folder of its own: outputs, dep-info, the build script's folder, and the uplifted
    /// names it has in the target dir.
    pub files: Vec<Utf8PathBuf>,
    /// What rustc names its incremental folder by; `None` where it is compiled without one.
    pub incremental: Option<Incremental>,
}

/// What the name of an incremental folder depends on (rustc's `StableCrateId`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incremental {
    /// The crate's name.
    pub crate_name: String,
    /// The values of `-C metadata`.
    pub metadata: Vec<String>,
    /// Whether a program is made.
    pub program: bool,
    /// The compiler, as cargo calls it.
    pub compiler: Utf8PathBuf,
}

#[cfg(test)]
impl Unit {
    /// A unit for tables to change.
    pub(crate) fn for_tests() -> Self {
        Self {
            id: String::new(),
            package: "p".into(),
            version: "1.0.0".into(),
            local_dir: None,
            target: "p".into(),
            kind: TargetKind::Lib,
            mode: Mode::Build,
            test: false,
            profile_dir: "debug".into(),
            profile_flags: Vec::new(),
            features: Vec::new(),
            triple: None,
            fingerprint_dir: Utf8PathBuf::new(),
            fingerprint_file: String::new(),
            dependencies: Vec::new(),
            files: Vec::new(),
            incremental: None,
        }
    }
}

impl Unit {
    /// One line for a person: `serde 1.0.2 lib (check)`.
    pub fn describe(&self) -> String {
        let kind = self.kind.describe(&self.target);
        let mode = match (self.mode, self.test) {
            (Mode::Build, false) => "",
            (Mode::Build, true) => " (test)",
            (Mode::Check, false) => " (check)",
            (Mode::Check, true) => " (check test)",
            (Mode::RunBuildScript, _) => " (run)",
            (Mode::Doc, _) => " (doc)",
        };
        format!("{} {} {kind}{mode}", self.package, self.version)
    }

    /// What stays the same when only features, flags or versions of dependencies change: used to find the
    /// other form of a unit.
    pub fn identity(&self) -> UnitIdentity {
        UnitIdentity {
            package: self.package.clone(),
            version: self.version.clone(),
            target: self.target.clone(),
            kind: self.kind,
            mode: self.mode,
            test: self.test,
        }
    }

    /// The folder of its profile in the build dir.
    pub fn profile_path(&self) -> &Utf8Path {
        let fingerprint = self.fingerprint_dir.as_path();
        // `<profile>/.fingerprint/<package>-<id>`, or `<profile>/build/<package>/<id>/fingerprint`.
        let depth = if fingerprint.file_name() == Some("fingerprint") { 4 } else { 2 };
        fingerprint.ancestors().nth(depth).unwrap_or(fingerprint)
    }

    /// The dep-info files the compiler writes for it.
    pub fn dep_info(&self) -> impl Iterator<Item = &Utf8Path> {
        self.files.iter().map(Utf8PathBuf::as_path).filter(|file| file.extension() == Some("d"))
    }
}

/// A unit without what tells its variants apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitIdentity {
    /// The package's name.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The target's name.
    pub target: String,
    /// The target's kind.
    pub kind: TargetKind,
    /// What is done with it.
    pub mode: Mode,
    /// Whether the test harness is on.
    pub test: bool,
}

/// A set of units, by the folder of their fingerprint: the same unit id can lie below two profiles.
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

    /// The units.
    pub fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.0.iter()
    }

    /// The unit at this place.
    pub fn get(&self, index: usize) -> Option<&Unit> {
        self.0.get(index)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The units that `other` does not have.
    pub fn minus(&self, other: &Self) -> Self {
        let places = other.places();
        Self(self.0.iter().filter(|unit| !places.contains(&&*unit.fingerprint_dir)).cloned().collect())
    }

    /// The units that both have.
    pub fn shared_with(&self, other: &Self) -> Self {
        let places = other.places();
        Self(self.0.iter().filter(|unit| places.contains(&&*unit.fingerprint_dir)).cloned().collect())
    }

    fn places(&self) -> std::collections::BTreeSet<&Utf8Path> {
        self.0.iter().map(|unit| &*unit.fingerprint_dir).collect()
    }
}
