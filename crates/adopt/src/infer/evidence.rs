//! What is known of a workspace before anything is decided.
//!
//! Invariant: plain values. Whatever could not be read is simply not among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::ci::CiCommand;
use super::source::Obstacle;

/// What was found in the workspace that decides about tiers and presets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    /// Whether the toolchain refuses unstable features.
    pub(crate) stable: bool,
    /// The host's target triple.
    pub(crate) host: String,
    /// Whether cargo's configuration has a `--cfg`.
    pub(crate) sets_flags: bool,
    /// All local packages, in the order of [`Facts::packages`](xtask_workspace::Facts::packages).
    pub(crate) packages: Vec<Package>,
    /// What `default-members` of the root manifest selects, where it has that key.
    pub(crate) default_members: Option<Vec<String>>,
    /// What continuous integration and the makefiles run.
    pub(crate) commands: Vec<CiCommand>,
    /// The features that a makefile there calls the full ones, and where.
    pub(crate) full_features: Option<(Vec<String>, Place)>,
    /// The profiles in `.config/nextest.toml`.
    pub(crate) nextest_profiles: BTreeSet<String>,
    /// Patterns for files that exist, belong to no member and that no compiler reads.
    pub(crate) ignorable: Vec<String>,
}

/// A local package.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its manifest, relative to the workspace root.
    pub(crate) manifest: String,
    /// Whether it is a member.
    pub(crate) member: bool,
    /// Its features and what each turns on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// What it asks of other local packages.
    pub(crate) dependencies: Vec<Dependency>,
    /// What it asks for in any table, by the package's name.
    pub(crate) asks_for: BTreeMap<String, Requirement>,
    /// Its targets.
    pub(crate) targets: Vec<Target>,
    /// The `features` of `[package.metadata.docs.rs]`.
    pub(crate) docs_rs: Vec<String>,
    /// Its own `.cargo/config.toml` sets `build.target`.
    pub(crate) own_target: Option<Place>,
}

/// The version that is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requirement {
    /// As cargo takes it; empty where there is none.
    pub(crate) version: String,
    /// Where the dependency stands.
    pub(crate) place: Place,
}

/// A dependency on a local package.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dependency {
    /// The name by which features refer to it.
    pub(crate) key: String,
    /// Index into [`Evidence::packages`].
    pub(crate) package: usize,
    /// Whether a feature must turn it on.
    pub(crate) optional: bool,
    /// Whether only tests, examples and benches see it.
    pub(crate) dev: bool,
    /// Whether its default features are on.
    pub(crate) default_features: bool,
    /// Its features that are on.
    pub(crate) features: Vec<String>,
}

/// A target.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    /// What it is.
    pub(crate) kind: Kind,
    /// Features without which cargo leaves it out.
    pub(crate) required: Vec<String>,
    /// What keeps it from being built.
    pub(crate) obstacles: Vec<Obstacle>,
    /// Why it is no bench that a test run can take: a program of its own in place of the test harness, say.
    pub(crate) no_test: Option<String>,
}

/// Kinds of targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A library of any kind.
    #[default]
    Lib,
    /// A program.
    Bin,
    /// An integration test.
    Test,
    /// An example.
    Example,
    /// A benchmark.
    Bench,
    /// A build script.
    BuildScript,
}

/// A line of a file, relative to the workspace root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Evidence {
    /// The members with their numbers.
    pub(crate) fn members(&self) -> impl Iterator<Item = (usize, &Package)> {
        self.packages.iter().enumerate().filter(|(_, package)| package.member)
    }

    /// The number of a member.
    pub(crate) fn member(&self, name: &str) -> Option<usize> {
        self.members().find(|(_, member)| member.name == name).map(|(number, _)| number)
    }
}
