//! What cargo says of a workspace, reduced to what the suite uses: small enough to be read back from its cache in a
//! millisecond.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::lacks::{WRAPPERS, missing_toolchain};
use crate::{CargoCommand, Environment, EnvironmentLacks, WrongUsage};

/// The facts of one workspace, as `cargo metadata` gave them.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub root: Utf8PathBuf,
    pub target_dir: Utf8PathBuf,
    /// The target dir unless `build.build-dir` is set.
    pub build_dir: Utf8PathBuf,
    pub host: String,
    /// All packages with sources on this disk: members first, then path dependencies that are not members.
    pub packages: Vec<LocalPackage>,
    /// Names of the members that cargo selects without `-p`.
    pub default_members: Vec<String>,
    /// Names of more than one package in the graph: `-p` needs the full id for these.
    pub ambiguous_names: Vec<String>,
}

/// A package with its sources on this disk.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalPackage {
    pub id: String,
    pub name: String,
    pub version: String,
    /// The folder of its manifest.
    pub dir: Utf8PathBuf,
    pub member: bool,
    /// Whether it is the suite's launcher (`package.metadata.xtask-suite.launcher`).
    pub launcher: bool,
    /// Its features and what each turns on.
    pub features: BTreeMap<String, Vec<String>>,
    pub targets: Vec<TargetFacts>,
    /// The local packages it depends on, directly or through patched registry packages.
    pub dependencies: Vec<LocalDependency>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    pub name: String,
    /// Cargo's kinds: `lib`, `proc-macro`, `cdylib`, `bin`, `test`, `example`, `bench`, `custom-build`.
    #[serde(alias = "kind")]
    pub kinds: Vec<String>,
    #[serde(alias = "src_path")]
    pub path: Utf8PathBuf,
}

/// An edge between local packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalDependency {
    /// Index into [`Facts::packages`].
    pub package: usize,
    /// Only the tests, examples and benches of the dependent see a dev dependency.
    pub dev: bool,
}

impl Facts {
    /// The members in the order of their names, without the suite's launcher, which has no tests.
    pub fn members(&self) -> impl Iterator<Item = &LocalPackage> {
        self.packages.iter().filter(|package| package.member && !package.launcher)
    }

    pub fn launcher(&self) -> Option<&LocalPackage> {
        self.packages.iter().find(|package| package.member && package.launcher)
    }

    pub fn member(&self, name: &str) -> Option<&LocalPackage> {
        self.members().find(|member| member.name == name)
    }

    /// The index of the innermost package whose folder holds `path`.
    pub fn owner_of(&self, path: &Utf8Path) -> Option<usize> {
        (0..self.packages.len())
            .filter(|&index| path.starts_with(&self.packages[index].dir))
            .max_by_key(|&index| self.packages[index].dir.as_str().len())
    }

    /// The value of `-p` for the package: its name, or its full id where the name is ambiguous.
    pub fn package_spec(&self, name: &str) -> String {
        match self.member(name) {
            Some(member) if self.ambiguous_names.iter().any(|ambiguous| ambiguous == name) => {
                member.id.clone()
            }
            _ => name.to_owned(),
        }
    }
}

impl LocalPackage {
    pub fn has_library(&self) -> bool {
        let others = ["bin", "test", "example", "bench", "custom-build"];
        self.targets.iter().any(|target| target.kinds.iter().all(|kind| !others.contains(&kind.as_str())))
    }

    pub fn has_target(&self, kind: &str) -> bool {
        self.targets.iter().any(|target| target.kinds.iter().any(|other| other == kind))
    }
}

/// Runs `cargo metadata` in `dir`, which also brings `Cargo.lock` up to date as any cargo command would.
///
/// Fails as [`WrongUsage`] for a missing or broken workspace, and as [`EnvironmentLacks`] when cargo cannot be started or its
/// toolchain is not installed.
pub(crate) fn query(dir: &Utf8Path, environment: &Environment) -> Result<Facts> {
    let (_, host) = cargo_version(dir, environment)?;
    // Without the filter cargo would download the sources of other platforms' dependencies.
    let command = CargoCommand::new(
        dir,
        ["metadata", "--format-version=1", "--all-features", "--filter-platform", &host],
    );
    facts(&command, environment, host)
}

/// What cargo says of a workspace without resolving its dependencies: nothing is written or downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The members only; [`Facts::ambiguous_names`] counts among them.
    pub facts: Facts,
    pub cargo: CargoVersion,
}

/// A release of cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CargoVersion {
    /// `1.95` is `(1, 95)`.
    pub release: (u32, u32),
    /// Whether it accepts unstable features.
    pub nightly: bool,
}

impl CargoVersion {
    /// The cargo that is used in `dir`.
    pub fn of(dir: &Utf8Path, environment: &Environment) -> Result<Self> {
        Ok(cargo_version(dir, environment)?.0)
    }
}

impl Outline {
    /// Asks the cargo that is used in `dir`. Fails as [`Workspace::load`](crate::Workspace::load) does.
    pub fn of(dir: &Utf8Path, environment: &Environment) -> Result<Self> {
        let (cargo, host) = cargo_version(dir, environment)?;
        let command = CargoCommand::new(dir, ["metadata", "--format-version=1", "--no-deps"]);
        Ok(Self { facts: facts(&command, environment, host)?, cargo })
    }
}

fn cargo_version(dir: &Utf8Path, environment: &Environment) -> Result<(CargoVersion, String)> {
    // Through cargo, not rustc: its message about a missing toolchain is better.
    let command = CargoCommand::new(dir, ["--version", "--verbose"]);
    let text = run(&command, environment)?;
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let read = || {
        let release = line("release: ")?;
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
        let cargo = CargoVersion {
            release: (numbers.next()?, numbers.next()?),
            nightly: release.contains("-nightly") || release.contains("-dev"),
        };
        Some((cargo, line("host: ")?.to_owned()))
    };
    read().with_context(|| format!("`{command}` names no host or release:\n{text}"))
}

/// The part of `cargo metadata` that is used here. The output has 4 MB for 400 packages, so what is only compared is
/// borrowed, and the rest is skipped.
#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    packages: Vec<Package<'a>>,
    #[serde(borrow)]
    workspace_members: Vec<Id<'a>>,
    /// Missing before cargo 1.71.
    #[serde(borrow)]
    workspace_default_members: Option<Vec<Id<'a>>>,
    /// Missing under `--no-deps`.
    #[serde(borrow)]
    resolve: Option<Resolve<'a>>,
    workspace_root: Utf8PathBuf,
    target_directory: Utf8PathBuf,
    /// Missing before cargo 1.91.
    build_directory: Option<Utf8PathBuf>,
}

type Id<'a> = Cow<'a, str>;

#[derive(Deserialize)]
struct Package<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    manifest_path: Utf8PathBuf,
    /// `None` for a package on this disk.
    source: Option<IgnoredAny>,
    features: BTreeMap<String, Vec<String>>,
    targets: Vec<TargetFacts>,
    #[serde(borrow)]
    dependencies: Vec<Dependency<'a>>,
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Dependency<'a> {
    /// `dev`, `build`, or nothing for a normal one.
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    path: Option<Utf8PathBuf>,
}

#[derive(Deserialize)]
struct Resolve<'a> {
    #[serde(borrow)]
    nodes: Vec<Node<'a>>,
}

#[derive(Deserialize)]
struct Node<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    deps: Vec<Edge<'a>>,
}

#[derive(Deserialize)]
struct Edge<'a> {
    #[serde(borrow)]
    pkg: Id<'a>,
    #[serde(borrow)]
    dep_kinds: Vec<EdgeKind<'a>>,
}

#[derive(Deserialize)]
struct EdgeKind<'a> {
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
}

fn is_dev(kind: Option<&Cow<'_, str>>) -> bool {
    kind.is_some_and(|kind| kind == "dev")
}

impl Package<'_> {
    fn dir(&self) -> &Utf8Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

fn facts(command: &CargoCommand, environment: &Environment, host: String) -> Result<Facts> {
    let json = run(command, environment)?;
    let metadata =
        serde_json::from_str(&json).with_context(|| format!("failed to read the output of `{command}`"))?;
    Ok(reduce(&metadata, host))
}

/// Runs a short cargo command for its output.
fn run(command: &CargoCommand, environment: &Environment) -> Result<String> {
    let output = match command.to_command(environment).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let message = "cargo is not on PATH; install Rust from https://rustup.rs".to_owned();
            return Err(EnvironmentLacks(message).into());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("failed to start `{command}` in {}", command.dir));
        }
    };
    if output.status.success() {
        return String::from_utf8(output.stdout).with_context(|| format!("`{command}` printed no UTF-8"));
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    if let Some(lacks) = missing_toolchain(&command.dir, environment, &stderr) {
        return Err(lacks.into());
    }
    // What wraps the compiler has no part in the answer, and may be missing on a new machine.
    let mut command = command.clone();
    let wrappers = WRAPPERS.map(|name| command.env.insert(name.to_owned(), String::new()));
    if wrappers == [None, None] && stderr.contains("could not execute process") {
        return run(&command, environment);
    }
    let message =
        format!("failed to read the workspace in {}: `{command}`\n{}", command.dir, stderr.trim_end());
    Err(WrongUsage(message).into())
}

fn reduce(metadata: &Metadata, host: String) -> Facts {
    let members = metadata.workspace_members.iter().collect::<BTreeSet<_>>();
    let mut local = metadata.packages.iter().filter(|package| package.source.is_none()).collect::<Vec<_>>();
    local.sort_by_key(|package| (!members.contains(&package.id), &package.name, &package.id));
    let index =
        local.iter().enumerate().map(|(index, package)| (&*package.id, index)).collect::<BTreeMap<_, _>>();
    let through = Externals::new(metadata, &index);

    let packages = local
        .iter()
        .map(|package| LocalPackage {
            id: package.id.to_string(),
            name: package.name.to_string(),
            version: package.version.to_string(),
            dir: package.dir().to_owned(),
            member: members.contains(&package.id),
            launcher: package.metadata["xtask-suite"]["launcher"] == true,
            features: package.features.clone(),
            targets: package.targets.clone(),
            dependencies: dependencies(package, &local, &through),
        })
        .collect();
    let default_members = metadata.workspace_default_members.as_ref().unwrap_or(&metadata.workspace_members);
    Facts {
        root: metadata.workspace_root.clone(),
        target_dir: metadata.target_directory.clone(),
        build_dir: metadata.build_directory.clone().unwrap_or_else(|| metadata.target_directory.clone()),
        host,
        packages,
        default_members: metadata
            .packages
            .iter()
            .filter(|package| default_members.contains(&package.id))
            .map(|package| package.name.to_string())
            .collect(),
        ambiguous_names: ambiguous_names(metadata),
    }
}

/// Declared path dependencies (the resolve may lack some, such as those of other platforms), and those that the resolve
/// found through `[patch]`.
fn dependencies(package: &Package, local: &[&Package], through: &Externals) -> Vec<LocalDependency> {
    let mut edges = BTreeMap::<usize, bool>::new();
    let mut add = |to: usize, dev: bool| {
        edges.entry(to).and_modify(|only_dev| *only_dev &= dev).or_insert(dev);
    };
    for dependency in &package.dependencies {
        let Some(path) = &dependency.path else { continue };
        let found = local.iter().position(|other| other.dir() == path);
        if let Some(to) = found {
            add(to, is_dev(dependency.kind.as_ref()));
        }
    }
    for (to, dev) in through.reached_from(&package.id) {
        add(to, dev);
    }
    edges.into_iter().map(|(package, dev)| LocalDependency { package, dev }).collect()
}

/// The resolved graph, for edges that the manifests do not show.
struct Externals<'a> {
    edges: BTreeMap<&'a str, Vec<(&'a str, bool)>>,
    local: &'a BTreeMap<&'a str, usize>,
}

impl<'a> Externals<'a> {
    fn new(metadata: &'a Metadata, local: &'a BTreeMap<&'a str, usize>) -> Self {
        let mut edges = BTreeMap::new();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let targets = node.deps.iter().map(|dep| {
                let dev = dep.dep_kinds.iter().all(|kind| is_dev(kind.kind.as_ref()));
                (&*dep.pkg, dev && !dep.dep_kinds.is_empty())
            });
            edges.insert(&*node.id, targets.collect());
        }
        Self { edges, local }
    }

    /// The local packages that `start` reaches through packages that are not local.
    fn reached_from(&self, start: &str) -> Vec<(usize, bool)> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = self.edges.get(start).cloned().unwrap_or_default();
        while let Some((id, dev)) = open.pop() {
            if let Some(&index) = self.local.get(id) {
                found.push((index, dev));
            } else if seen.insert((id, dev)) {
                // After the first edge cargo follows only normal and build dependencies.
                let next = self.edges.get(id).into_iter().flatten();
                open.extend(next.map(|&(id, _)| (id, dev)));
            }
        }
        found
    }
}

fn ambiguous_names(metadata: &Metadata) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice = metadata.packages.iter().filter(|package| !seen.insert(&package.name));
    twice.map(|package| package.name.to_string()).collect::<BTreeSet<_>>().into_iter().collect()
}
