//! Which members a change can break: on a branch, where a test program never ran here, what the branch cannot reach since
//! its base is left out.
//!
//! Invariant: where it cannot be told whether a change reaches a member, it does. Two limits: files that git ignores count
//! as unchanged, unless a whole package is among them; and whether a package reads files outside its folder is told by its
//! sources ([`may_read_outside`]).

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use glob::{MatchOptions, Pattern};

use crate::Facts;
use crate::config::Affected;

mod outside;
#[cfg(test)]
mod tests;

pub use outside::{may_read_outside, may_start_what_is_built, names_what_is_built};

/// Who owns which files. Package numbers are indices into [`Facts::packages`]; all paths are absolute.
pub struct Files<'a> {
    facts: &'a Facts,
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
    /// Whether a package may read files outside its folder ([`may_read_outside`]).
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
    /// `cargo_config` are cargo's configuration files in force.
    pub fn new(facts: &'a Facts, affected: &Affected, cargo_config: Vec<Utf8PathBuf>) -> Self {
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

    /// The packages whose folder holds `file`: the innermost, which owns it, and those around it, whose tests may read it as
    /// part of their own folder. None for a file that is shared: a package at the root of a workspace with further members
    /// owns only the folders of its targets.
    fn holders(&self, file: &Utf8Path) -> Vec<usize> {
        let packages = &self.facts.packages;
        let mut holders =
            (0..packages.len()).filter(|&at| file.starts_with(&packages[at].dir)).collect::<Vec<_>>();
        if let ([only], Some((package, own))) = (&holders[..], &self.root_package)
            && only == package
            && !own.iter().any(|path| file.starts_with(path))
        {
            holders.clear();
        }
        holders
    }

    /// Why every member depends on `file`, if they do. Files such as `clippy.toml` are not listed: a file outside all
    /// packages selects all anyway, and `ignore` may say that no test reads it.
    fn selects_all(&self, file: &Utf8Path) -> Option<&'static str> {
        let root = &self.facts.root;
        let folder = file.parent()?;
        // Cargo builds one copy of a dependency with the features that all members ask for, so each manifest reaches all. One
        // that exists and belongs to no package is a test's fixture.
        let is_manifest = || {
            let is_package = self.facts.packages.iter().any(|package| package.dir == folder);
            file.file_name() == Some("Cargo.toml") && (is_package || !file.exists())
        };
        let above = |folder: &Utf8Path| root.starts_with(folder);
        // The folder itself may have come or gone as a link or submodule.
        let in_cargo_folder = file
            .ancestors()
            .any(|ancestor| ancestor.file_name() == Some(".cargo") && ancestor.parent().is_some_and(above));
        if file == root.join("Cargo.toml") {
            Some("the root manifest")
        } else if *file == self.lock {
            Some("which chooses the dependencies")
        } else if is_manifest() {
            Some("which asks for dependencies")
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
        if let Some(why) = self.select_by_files(change, &mut selected) {
            let members = self.facts.members().map(|member| (member.name.clone(), why.clone()));
            return Reach { members: members.collect(), everything: Some(why) };
        }
        self.select_unseen(change, &mut selected);
        self.select_readers(change, &mut selected);
        self.select_dependents(&mut selected);
        let members = selected.into_iter().filter(|(package, _)| packages[*package].member);
        let members = members.map(|(package, why)| (packages[package].name.clone(), why)).collect();
        Reach { members, everything: None }
    }

    fn changed<'c>(&self, change: &Change<'c>) -> impl Iterator<Item = &'c Utf8PathBuf> {
        change.files.iter().filter(|file| !self.is_build_output(file))
    }

    /// The packages that hold each file. Returns why all are selected, if they are.
    fn select_by_files(&self, change: &Change<'_>, selected: &mut Selected) -> Option<String> {
        if change.unseen.iter().any(|ignored| self.lock.starts_with(ignored)) {
            return Some(format!("{} may have changed: git ignores it", self.shown(&self.lock)));
        }
        for file in self.changed(change) {
            let shown = self.shown(file);
            if let Some(why) = self.selects_all(file) {
                return Some(format!("{shown} changed, {why}"));
            }
            let holders = self.holders(file);
            if holders.is_empty() && !matches(&self.ignore, &shown) {
                return Some(format!(
                    "{shown} changed, which is outside of all members, and it is unknown who reads it"
                ));
            }
            for package in holders {
                selected.entry(package).or_insert_with(|| format!("{shown} changed"));
            }
        }
        None
    }

    /// Packages in places where git sees no changes.
    fn select_unseen(&self, change: &Change<'_>, selected: &mut Selected) {
        for (package, facts) in self.facts.packages.iter().enumerate() {
            let dir = &facts.dir;
            let ignored = change.unseen.iter().any(|folder| dir.starts_with(folder));
            if ignored || !dir.starts_with(change.repository) {
                let why = || format!("is in {}, where git sees no changes", self.shown(dir));
                selected.entry(package).or_insert_with(why);
            }
        }
    }

    /// Packages that may read what changed outside their folder. Even a file that `ignore` matches counts, as a test may
    /// include the sources of another package.
    fn select_readers(&self, change: &Change<'_>, selected: &mut Selected) {
        let Some(file) = self.changed(change).next() else { return };
        for package in 0..self.facts.packages.len() {
            if !selected.contains_key(&package) && (change.may_read_outside)(package) {
                selected.insert(package, format!("may read {}", self.shown(file)));
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
