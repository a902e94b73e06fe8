//! Which members a change can break, and a digest of all files that can reach a member's tests.
//!
//! Invariants: where it cannot be told whether a change reaches a member, it does; and a file for which a member would be
//! selected is in that member's digest. Two limits: no compiler says what a test reads while it runs, so such a file
//! outside the test's own folder counts only while nobody is known to read it; and a file that git does not see counts
//! only if a compiler or build script read it.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use glob::{MatchOptions, Pattern};

use crate::config::Affected;
use crate::dependencies::{LockGraph, changed_members, different_dependencies, sharing};
use crate::git::Contents;
use crate::{Digest, Facts, Hasher};

mod outside;
#[cfg(test)]
mod tests;

pub use outside::may_read_outside;

/// The files that the compiler and build scripts read for a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// Absolute paths; where a path leads through a link, the resolved one too. A folder stands for all that it holds.
    Known(BTreeSet<Utf8PathBuf>),
    /// Never built here, or its dep-info is out of date: it may read anything.
    Unknown,
}

/// Who owns and who reads which files. Package numbers are indices into [`Facts::packages`]; all paths are absolute.
pub struct Files<'a> {
    facts: &'a Facts,
    reads: Vec<Reads>,
    /// The packages that read each file or folder.
    readers: BTreeMap<Utf8PathBuf, BTreeSet<usize>>,
    /// The package at the root with its own files and folders, in a workspace with further members.
    root_package: Option<(usize, Vec<Utf8PathBuf>)>,
    /// Files outside all packages that no member reads.
    ignore: Vec<Pattern>,
    /// Files that every member depends on.
    global: Vec<Pattern>,
    cargo_config: Vec<Utf8PathBuf>,
    lock: Utf8PathBuf,
}

/// What changed.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// A folder stands for all that it holds.
    pub files: &'a [Utf8PathBuf],
    /// The top folder of the repository: nothing is known of changes outside.
    pub repository: &'a Utf8Path,
    /// Files and folders that git ignores: nothing is known of changes there.
    pub unseen: &'a [Utf8PathBuf],
    /// The text of the lock file at the base (of the last run where git ignores it), and now.
    pub lock: [Option<&'a str>; 2],
    /// The text of a manifest at the base.
    pub manifest_before: &'a dyn Fn(&Utf8Path) -> Option<String>,
    /// The text of a manifest now.
    pub manifest_after: &'a dyn Fn(&Utf8Path) -> Option<String>,
    /// Whether the sources of a package can name a file outside its folder ([`may_read_outside`]); asked only of packages
    /// with [`Reads::Unknown`].
    pub may_read_outside: &'a dyn Fn(usize) -> bool,
}

/// The members that a change can break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// By name, and why each is selected. Paths are relative to the workspace root.
    pub members: BTreeMap<String, String>,
    /// Why all members are selected, if they are.
    pub everything: Option<String>,
}

/// Packages by number, and why each is selected; the first reason stays.
type Selected = BTreeMap<usize, String>;

impl<'a> Files<'a> {
    /// `reads` in the order of the packages; `cargo_config` are cargo's configuration files in force.
    pub fn new(
        facts: &'a Facts,
        reads: Vec<Reads>,
        affected: &Affected,
        cargo_config: Vec<Utf8PathBuf>,
    ) -> Self {
        let mut readers = BTreeMap::<_, BTreeSet<usize>>::new();
        for (package, reads) in reads.iter().enumerate() {
            let Reads::Known(paths) = reads else { continue };
            for path in paths {
                readers.entry(path.clone()).or_default().insert(package);
                // Dep-info has `crates/a/../b/x` where the source has `../b/x`.
                if path.components().any(|part| part == Utf8Component::ParentDir) {
                    readers.entry(without_parents(path)).or_default().insert(package);
                }
            }
        }
        let shared = facts.members().count() > 1;
        let at_root = facts.packages.iter().position(|package| shared && package.dir == facts.root);
        let root_package = at_root.map(|package| {
            let standard = ["src", "tests", "examples", "benches", "build.rs"];
            let mut own = standard.map(|name| facts.root.join(name)).to_vec();
            for target in &facts.packages[package].targets {
                // A target directly in the root folder owns its file, not the whole folder.
                let folder = target.path.parent().filter(|&folder| folder != facts.root);
                own.push(folder.unwrap_or(&target.path).to_owned());
            }
            (package, own)
        });
        let patterns = |list: &[String]| list.iter().filter_map(|text| Pattern::new(text).ok()).collect();
        Self {
            facts,
            reads,
            readers,
            root_package,
            ignore: patterns(&affected.ignore),
            global: patterns(&affected.global),
            cargo_config,
            lock: facts.root.join("Cargo.lock"),
        }
    }

    fn shown(&self, path: &Utf8Path) -> String {
        relative(&self.facts.root, path)
    }

    /// The package that `file` belongs to: the innermost whose folder holds it. A package at the root of a workspace with
    /// further members owns only the folders of its targets: the rest there is shared.
    fn owner(&self, file: &Utf8Path) -> Option<usize> {
        let owner = self.facts.owner_of(file)?;
        match &self.root_package {
            Some((package, own)) if *package == owner => {
                own.iter().any(|path| file.starts_with(path)).then_some(owner)
            }
            _ => Some(owner),
        }
    }

    /// The packages that read `path`, a folder above it (a build script may watch one) or, where `path` is a folder,
    /// anything in it.
    fn readers(&self, path: &Utf8Path) -> BTreeSet<usize> {
        let above = path.ancestors().filter_map(|ancestor| self.readers.get(ancestor));
        // Paths are ordered by component, so the content of a folder follows it.
        let below = self.readers.range(path.to_owned()..).take_while(|(read, _)| read.starts_with(path));
        above.chain(below.map(|(_, packages)| packages)).flatten().copied().collect()
    }

    /// Whether nobody owns or reads `file`, and so every member may. The lock file is compared apart.
    fn may_be_anybodys(&self, file: &Utf8Path, owner: Option<usize>, readers: &BTreeSet<usize>) -> bool {
        owner.is_none()
            && readers.is_empty()
            && file != self.lock
            && !matches(&self.ignore, &self.shown(file))
    }

    /// Why every member depends on `file`, if they do. Files such as `clippy.toml` are not listed: a file outside all
    /// packages selects all anyway, and `ignore` may say that no test reads it.
    fn selects_all(&self, file: &Utf8Path) -> Option<&'static str> {
        let root = &self.facts.root;
        let folder = file.parent()?;
        let above = |folder: &Utf8Path| root.starts_with(folder);
        // The folder itself may have come or gone as a link or submodule.
        let in_cargo_folder = file
            .ancestors()
            .any(|ancestor| ancestor.file_name() == Some(".cargo") && ancestor.parent().is_some_and(above));
        if file == root.join("Cargo.toml") {
            Some("the root manifest")
        } else if matches!(file.file_name(), Some("rust-toolchain" | "rust-toolchain.toml")) && above(folder)
        {
            Some("which chooses the toolchain")
        } else if in_cargo_folder || self.cargo_config.iter().any(|config| config == file) {
            Some("cargo's configuration")
        } else if file == root.join(".config/nextest.toml") {
            Some("which configures how tests run")
        } else if matches(&self.global, &self.shown(file)) {
            Some("which `global` in xtask.toml matches")
        } else if self.facts.packages.iter().any(|package| package.dir.starts_with(file)) {
            Some("a submodule or link with packages in it")
        } else {
            None
        }
    }

    /// Whether cargo wrote `file`. A target dir that holds the workspace itself does not count.
    fn is_build_output(&self, file: &Utf8Path) -> bool {
        let holds_packages =
            |dir: &Utf8Path| self.facts.packages.iter().any(|package| package.dir.starts_with(dir));
        let dirs = [&self.facts.target_dir, &self.facts.build_dir];
        dirs.into_iter().any(|dir| file.starts_with(dir) && !holds_packages(dir))
    }

    /// Which members `change` can break, and why.
    pub fn reach(&self, change: &Change<'_>) -> Reach {
        let packages = &self.facts.packages;
        let mut selected = Selected::new();
        let everything = self
            .select_by_files(change, &mut selected)
            .or_else(|| self.select_by_lock(change, &mut selected))
            .or_else(|| self.select_by_manifests(change, &mut selected));
        if let Some(why) = everything {
            let members = self.facts.members().map(|member| (member.name.clone(), why.clone()));
            return Reach { members: members.collect(), everything: Some(why) };
        }
        self.select_unseen(change, &mut selected);
        self.select_unknown(change, &mut selected);
        self.select_dependents(&mut selected);
        let members = selected.into_iter().filter(|(package, _)| packages[*package].member);
        let members = members.map(|(package, why)| (packages[package].name.clone(), why)).collect();
        Reach { members, everything: None }
    }

    fn changed<'c>(&self, change: &Change<'c>) -> impl Iterator<Item = &'c Utf8PathBuf> {
        change.files.iter().filter(|file| !self.is_build_output(file))
    }

    /// Owners and known readers of each file. Returns why all are selected, if they are.
    fn select_by_files(&self, change: &Change<'_>, selected: &mut Selected) -> Option<String> {
        for file in self.changed(change) {
            let shown = self.shown(file);
            if let Some(why) = self.selects_all(file) {
                return Some(format!("{shown} changed, {why}"));
            }
            let (owner, readers) = (self.owner(file), self.readers(file));
            if self.may_be_anybodys(file, owner, &readers) {
                return Some(format!(
                    "{shown} changed, which is outside of all members, and it is unknown who reads it"
                ));
            }
            if let Some(owner) = owner {
                selected.entry(owner).or_insert_with(|| format!("{shown} changed"));
            }
            for reader in readers {
                selected.entry(reader).or_insert_with(|| format!("reads {shown}"));
            }
        }
        None
    }

    fn select_by_lock(&self, change: &Change<'_>, selected: &mut Selected) -> Option<String> {
        let [Some(before), Some(after)] = change.lock else {
            let when = if change.lock[1].is_none() { "now" } else { "before" };
            return Some(format!(
                "{} may have changed: it cannot be read from {when}",
                self.shown(&self.lock)
            ));
        };
        let names = self.facts.packages.iter().map(|package| package.name.as_str()).collect();
        self.select_named(
            &changed_members(before, after, &names),
            "its locked dependencies changed",
            selected,
        );
        None
    }

    /// Cargo builds one copy of a dependency with the features that all selected members ask for, so a manifest can break
    /// members that share a dependency with it.
    fn select_by_manifests(&self, change: &Change<'_>, selected: &mut Selected) -> Option<String> {
        let root_manifest = (change.manifest_after)(&self.facts.root.join("Cargo.toml"));
        let graphs = LazyCell::new(|| {
            let graphs = change.lock.into_iter().map(|text| LockGraph::parse(text?));
            graphs.collect::<Option<Vec<_>>>()
        });
        for file in self.changed(change).filter(|file| file.file_name() == Some("Cargo.toml")) {
            let after = (change.manifest_after)(file);
            let known = self.facts.packages.iter().any(|package| file.parent() == Some(&package.dir));
            // Exists, but is no package of this workspace: a test's fixture.
            if !known && after.is_some() {
                continue;
            }
            let before = (change.manifest_before)(file);
            let different =
                different_dependencies(before.as_deref(), after.as_deref(), root_manifest.as_deref());
            let shared = different.and_then(|names| sharing(graphs.as_deref()?, &names));
            let shown = self.shown(file);
            let Some(shared) = shared else {
                return Some(format!("{shown} changed its dependencies, and who shares them cannot be told"));
            };
            self.select_named(&shared, &format!("shares dependencies that {shown} changed"), selected);
        }
        None
    }

    fn select_named(&self, names: &BTreeSet<String>, why: &str, selected: &mut Selected) {
        for (package, facts) in self.facts.packages.iter().enumerate() {
            if names.contains(&facts.name) {
                selected.entry(package).or_insert_with(|| why.to_owned());
            }
        }
    }

    /// Packages in places where git sees no changes, and packages that read there.
    fn select_unseen(&self, change: &Change<'_>, selected: &mut Selected) {
        let is_unseen = |path: &Utf8Path| {
            !path.starts_with(change.repository)
                || change.unseen.iter().any(|folder| path.starts_with(folder))
                || path.components().any(|part| part.as_str() == ".git")
        };
        for (package, (facts, reads)) in self.facts.packages.iter().zip(&self.reads).enumerate() {
            let read = match reads {
                _ if is_unseen(&facts.dir) => Some(format!("is in {}", self.shown(&facts.dir))),
                Reads::Known(paths) => {
                    let unseen = |path: &&Utf8PathBuf| is_unseen(path) && !self.is_build_output(path);
                    paths.iter().find(unseen).map(|path| format!("reads {}", self.shown(path)))
                }
                Reads::Unknown => None,
            };
            if let Some(read) = read {
                selected.entry(package).or_insert_with(|| format!("{read}, where git sees no changes"));
            }
        }
    }

    /// Packages that may read something that changed outside their folder.
    fn select_unknown(&self, change: &Change<'_>, selected: &mut Selected) {
        for package in (0..self.reads.len()).filter(|&package| self.reads[package] == Reads::Unknown) {
            let outside = self.changed(change).find(|file| self.owner(file) != Some(package));
            if let Some(file) = outside.filter(|_| (change.may_read_outside)(package)) {
                let why = || format!("may read {} (not built here yet)", self.shown(file));
                selected.entry(package).or_insert_with(why);
            }
        }
    }

    /// Adds all packages that depend on the selected ones. Only the tests of a package see its dev dependencies: such an
    /// edge leads to the dependent and ends there.
    fn select_dependents(&self, selected: &mut Selected) {
        let packages = &self.facts.packages;
        let mut open = selected.keys().copied().collect::<Vec<_>>();
        let mut reached = BTreeSet::new();
        while let Some(package) = open.pop() {
            if !reached.insert(package) {
                continue;
            }
            for (dependent, facts) in packages.iter().enumerate() {
                for edge in facts.dependencies.iter().filter(|edge| edge.package == package) {
                    let why = || format!("depends on {}", packages[package].name);
                    selected.entry(dependent).or_insert_with(why);
                    open.extend((!edge.dev).then_some(dependent));
                }
            }
        }
    }

    /// The digest of each member's inputs, by name; `None` where it is not known what its tests are built from. The lock
    /// file and manifests also act through compile units, which the caller adds.
    ///
    /// `on_disk` is a digest of a file or folder that git does not know ([`stamp`](crate::stamp)).
    pub fn inputs(
        &self,
        contents: &Contents,
        on_disk: &dyn Fn(&Utf8Path) -> Option<String>,
    ) -> BTreeMap<String, Option<Digest>> {
        let mut shared = Hasher::new();
        let mut packages = self.reads.iter().map(|_| Hasher::new()).collect::<Vec<_>>();
        for (path, content) in contents.files.iter().filter(|(path, _)| !self.is_build_output(path)) {
            let shown = self.shown(path);
            let (owner, mut readers) = (self.owner(path), self.readers(path));
            if self.selects_all(path).is_some() || self.may_be_anybodys(path, owner, &readers) {
                shared.field(&shown).field(content);
            }
            readers.extend(owner);
            for package in readers {
                packages[package].field(&shown).field(content);
            }
        }
        for path in contents.ignored.iter().filter(|path| !self.is_build_output(path)) {
            if let Some(owner) = self.owner(path) {
                packages[owner].field(self.shown(path)).optional(on_disk(path));
            }
        }
        let shared = shared.finish();
        let packages = packages.into_iter().zip(&self.reads).map(|(mut hasher, reads)| {
            let Reads::Known(paths) = reads else { return None };
            let unknown_to_git =
                |path: &&Utf8PathBuf| !contents.files.contains_key(*path) && !self.is_build_output(path);
            for path in paths.iter().filter(unknown_to_git) {
                hasher.field(self.shown(path)).optional(on_disk(path));
            }
            Some(hasher.finish())
        });
        let packages = packages.collect::<Vec<_>>();
        let digest = |member| {
            let mut hasher = Hasher::new();
            hasher.field(shared.to_string());
            for package in tested_with(self.facts, member) {
                let part = packages[package].as_ref()?;
                hasher.field(&self.facts.packages[package].name).field(part.to_string());
            }
            Some(hasher.finish())
        };
        let members = self.facts.packages.iter().enumerate().filter(|(_, package)| package.member);
        members.map(|(at, member)| (member.name.clone(), digest(at))).collect()
    }
}

/// The packages that the tests of `package` are built from, itself among them.
fn tested_with(facts: &Facts, package: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([package]);
    let mut open = facts.packages[package].dependencies.iter().map(|edge| edge.package).collect::<Vec<_>>();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            let edges = facts.packages[next].dependencies.iter().filter(|edge| !edge.dev);
            open.extend(edges.map(|edge| edge.package));
        }
    }
    found
}

/// Whether a path, relative to the workspace root, matches a pattern: `*` stays within one folder, `**` does not.
fn matches(patterns: &[Pattern], path: &str) -> bool {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    patterns.iter().any(|pattern| pattern.matches_with(path, options))
}

/// `path` as seen from `root`, with `..` for what is outside.
pub(crate) fn relative(root: &Utf8Path, path: &Utf8Path) -> String {
    let common = root.ancestors().enumerate().find_map(|(up, ancestor)| {
        // With only the top folder in common, an absolute path is shorter.
        let rest = path.strip_prefix(ancestor).ok().filter(|_| ancestor.parent().is_some())?;
        Some(format!("{}{rest}", "../".repeat(up)))
    });
    common.unwrap_or_else(|| path.to_string())
}

/// `path` with each `..` resolved together with the folder before it.
fn without_parents(path: &Utf8Path) -> Utf8PathBuf {
    let mut plain = Utf8PathBuf::new();
    for part in path.components() {
        if part == Utf8Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}
