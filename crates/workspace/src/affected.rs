//! Which members a change can break.
//!
//! Invariant: where it cannot be told whether a change reaches a member, it does. Two limits of what can be known
//! at all: no compiler says what a test reads while it runs, so outside of the test's own folder such a file
//! counts only while nobody is known to read it; and a file that git does not see counts only if a compiler or
//! build script read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem::discriminant;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::Facts;
use crate::lock_graph::{LockGraph, changed_members, sharing};

mod closure;
mod globs;
mod manifest;
mod outside;
mod owners;
mod readers;
#[cfg(test)]
mod tests;

pub use globs::Globs;
pub use outside::MayReadOutside;

pub(crate) use closure::tested_with;
pub(crate) use globs::relative;
pub(crate) use owners::{Owners, is_build_output};
pub(crate) use readers::Readers;

/// The files that the compiler and build scripts read for a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// Absolute paths; where a path leads through a link, the resolved one too. A folder stands for all that
    /// it holds.
    Known(BTreeSet<Utf8PathBuf>),
    /// Never built here, or its dep-info is out of date: it may read anything.
    Unknown,
}

/// Everything that decides which members a change reaches. Package numbers are indices into [`Facts::packages`].
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The workspace.
    pub facts: &'a Facts,
    /// What changed: absolute paths; a folder stands for all that it holds.
    pub files: &'a [Utf8PathBuf],
    /// The top folder of the repository: nothing is known of changes outside.
    pub repository: &'a Utf8Path,
    /// Files and folders that git ignores: nothing is known of changes there.
    pub unseen: &'a [Utf8PathBuf],
    /// What each package reads.
    pub reads: &'a dyn Fn(usize) -> Reads,
    /// Asked only of packages with [`Reads::Unknown`]: whether their sources can name a file outside their
    /// folder ([`MayReadOutside::package`]).
    pub may_read_outside: &'a dyn Fn(usize) -> bool,
    /// Files in no package's folder that no member reads.
    pub ignore: &'a Globs,
    /// Files that select all members.
    pub global: &'a Globs,
    /// Cargo's configuration files in force, absolute: an included one may lie anywhere.
    pub cargo_config: &'a [Utf8PathBuf],
    /// The lock file.
    pub lock: &'a Utf8Path,
    /// Its text at the base, or of the last run where git ignores it.
    pub lock_before: Option<&'a str>,
    /// Its text now.
    pub lock_after: Option<&'a str>,
    /// The text of a manifest at the base.
    pub manifest_before: &'a dyn Fn(&Utf8Path) -> Option<String>,
    /// The text of a manifest now.
    pub manifest_after: &'a dyn Fn(&Utf8Path) -> Option<String>,
}

/// The members that a change can break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// By name, and why; of each kind of reason only the first.
    pub members: BTreeMap<String, Vec<Reason>>,
    /// What selects all members, as a sentence.
    pub everything: Option<String>,
}

/// Why a member is selected. Paths are relative to the workspace root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A file of its own changed.
    Changed(String),
    /// It reads a file that changed.
    Reads(String),
    /// It was not built here since it changed, and its sources may read this file, which changed.
    MayRead(String),
    /// It reads a file that git ignores or that lies outside of the repository.
    ReadsUnseen(String),
    /// Its folder is ignored by git or lies outside of the repository.
    Unseen(String),
    /// The package of this name, which it depends on, is affected.
    DependsOn(String),
    /// Its locked dependencies changed.
    Lock,
    /// The manifest changed what it asks of dependencies that this member has too.
    SharedDependencies(String),
    /// This selects all members.
    Everything(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(path) => write!(f, "{path} changed"),
            Self::Reads(path) => write!(f, "reads {path}"),
            Self::MayRead(path) => write!(f, "may read {path} (not built here yet)"),
            Self::ReadsUnseen(path) => write!(f, "reads {path}, where git sees no changes"),
            Self::Unseen(path) => write!(f, "lies in {path}, where git sees no changes"),
            Self::DependsOn(name) => write!(f, "depends on {name}"),
            Self::Lock => f.write_str("its locked dependencies changed"),
            Self::SharedDependencies(path) => write!(f, "has dependencies that {path} asks for otherwise"),
            Self::Everything(why) => f.write_str(why),
        }
    }
}

/// Which members the change can break, and why.
pub fn reach(question: &Question<'_>) -> Reach {
    let mut search = Search::new(question);
    let everything = search.files().or_else(|| search.lock()).or_else(|| search.manifests());
    if let Some(why) = everything {
        let members = question.facts.members();
        let members = members.map(|member| (member.name.clone(), vec![Reason::Everything(why.clone())]));
        return Reach { members: members.collect(), everything: Some(why) };
    }
    search.unseen();
    search.unknown_readers();
    let packages = &question.facts.packages;
    let reached = closure::dependents(question.facts, search.seeds);
    let members = reached.into_iter().filter(|(package, _)| packages[*package].member);
    let members = members.map(|(package, reasons)| (packages[package].name.clone(), reasons)).collect();
    Reach { members, everything: None }
}

/// Packages by number, and why each is selected.
pub(crate) type Seeds = BTreeMap<usize, Vec<Reason>>;

/// Adds a reason unless there is one of its kind: a thousand changed files need not be listed.
fn add(seeds: &mut Seeds, package: usize, reason: Reason) {
    let reasons = seeds.entry(package).or_default();
    if reasons.iter().all(|known| discriminant(known) != discriminant(&reason)) {
        reasons.push(reason);
    }
}

struct Search<'a> {
    question: &'a Question<'a>,
    facts: &'a Facts,
    reads: Vec<Reads>,
    readers: Readers,
    owners: Owners<'a>,
    seeds: Seeds,
}

impl<'a> Search<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        let facts = question.facts;
        let reads = (0..facts.packages.len()).map(question.reads).collect::<Vec<_>>();
        let readers = Readers::new(&reads);
        let owners = Owners::new(facts, question.global, question.cargo_config);
        Self { question, facts, reads, readers, owners, seeds: Seeds::new() }
    }

    /// What changed, without what cargo itself wrote.
    fn changed(&self) -> impl Iterator<Item = &'a Utf8PathBuf> + use<'a> {
        let facts = self.facts;
        self.question.files.iter().filter(move |file| !owners::is_build_output(facts, file))
    }

    fn shown(&self, path: &Utf8Path) -> String {
        relative(&self.facts.root, path)
    }

    /// Owners and known readers of each file. Returns what selects all, if anything does.
    fn files(&mut self) -> Option<String> {
        for file in self.changed() {
            let shown = self.shown(file);
            if let Some(why) = self.owners.selects_all(file) {
                return Some(format!("{shown} changed, {why}"));
            }
            if self.facts.packages.iter().any(|package| package.dir.starts_with(file)) {
                return Some(format!("{shown} changed, a submodule or link with packages in it"));
            }
            let owner = self.owners.of(file);
            if let Some(owner) = owner {
                add(&mut self.seeds, owner, Reason::Changed(shown.clone()));
            }
            let readers = self.readers.of(file);
            for &reader in readers.iter().filter(|&&reader| Some(reader) != owner) {
                add(&mut self.seeds, reader, Reason::Reads(shown.clone()));
            }
            // What the lock file selects is told from its text.
            let nobodys = owner.is_none() && readers.is_empty() && file != self.question.lock;
            if nobodys && !self.question.ignore.matches(&shown) {
                return Some(format!(
                    "{shown} changed, which lies in no member's folder and has no known reader"
                ));
            }
        }
        None
    }

    fn lock(&mut self) -> Option<String> {
        let Question { lock_before, lock_after, lock, .. } = *self.question;
        let shown = self.shown(lock);
        let (Some(before), Some(after)) = (lock_before, lock_after) else {
            let when = if lock_after.is_none() { "now" } else { "before" };
            return Some(format!("{shown} may have changed: there is none to be read from {when}"));
        };
        let packages = self.facts.packages.iter();
        let local =
            packages.map(|package| (package.name.clone(), package.version.clone())).collect::<Vec<_>>();
        self.add_named(&changed_members(before, after, &local), &Reason::Lock);
        None
    }

    /// Feature unification: a member may get other features of its dependencies because of another's
    /// manifest.
    fn manifests(&mut self) -> Option<String> {
        let root_manifest = (self.question.manifest_after)(&self.facts.root.join("Cargo.toml"));
        let mut graphs = None;
        for file in self.changed().filter(|file| file.file_name() == Some("Cargo.toml")) {
            let after = (self.question.manifest_after)(file);
            let known = self.facts.packages.iter().any(|package| file.parent() == Some(&package.dir));
            // There, but no package of this workspace: a test's fixture.
            if !known && after.is_some() {
                continue;
            }
            let before = (self.question.manifest_before)(file);
            let different = manifest::different_dependencies(
                before.as_deref(),
                after.as_deref(),
                root_manifest.as_deref(),
            );
            let graphs = graphs.get_or_insert_with(|| self.lock_graphs());
            let shown = self.shown(file);
            let shared = different.and_then(|names| sharing(graphs.as_deref()?, &names));
            let Some(shared) = shared else {
                return Some(format!(
                    "{shown} changed what it asks of dependencies, and whose they are cannot be told"
                ));
            };
            self.add_named(&shared, &Reason::SharedDependencies(shown));
        }
        None
    }

    fn lock_graphs(&self) -> Option<Vec<LockGraph>> {
        let texts = [self.question.lock_before, self.question.lock_after];
        texts.into_iter().map(|text| LockGraph::parse(text?).ok()).collect()
    }

    fn add_named(&mut self, names: &BTreeSet<String>, reason: &Reason) {
        for (package, facts) in self.facts.packages.iter().enumerate() {
            if names.contains(&facts.name) {
                add(&mut self.seeds, package, reason.clone());
            }
        }
    }

    /// Packages in places where git sees no changes, and packages that read there.
    fn unseen(&mut self) {
        let Question { repository, unseen, .. } = *self.question;
        let is_unseen = |path: &Utf8Path| {
            !path.starts_with(repository)
                || unseen.iter().any(|folder| path.starts_with(folder))
                || path.components().any(|part| part.as_str() == ".git")
        };
        for (package, facts) in self.facts.packages.iter().enumerate() {
            if is_unseen(&facts.dir) {
                let reason = Reason::Unseen(self.shown(&facts.dir));
                add(&mut self.seeds, package, reason);
            }
            let Reads::Known(paths) = &self.reads[package] else { continue };
            let mut paths = paths.iter().filter(|path| !owners::is_build_output(self.facts, path));
            if let Some(path) = paths.find(|path| is_unseen(path)) {
                let reason = Reason::ReadsUnseen(self.shown(path));
                add(&mut self.seeds, package, reason);
            }
        }
    }

    /// Packages that may read whatever changed outside of their folder.
    fn unknown_readers(&mut self) {
        for package in 0..self.facts.packages.len() {
            if self.reads[package] != Reads::Unknown {
                continue;
            }
            let outside = self.changed().find(|file| self.owners.of(file) != Some(package));
            if let Some(file) = outside.filter(|_| (self.question.may_read_outside)(package)) {
                let reason = Reason::MayRead(self.shown(file));
                add(&mut self.seeds, package, reason);
            }
        }
    }
}
