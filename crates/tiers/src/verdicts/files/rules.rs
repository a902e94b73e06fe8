//! Which file is whose, by its path.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{Facts, repository_top};

use super::Scope;
use super::globs::Globs;

/// Which file is whose.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) root: String,
    /// The top folder of the repository; the workspace root where there is none.
    pub(super) top: String,
    /// Packages by folder.
    packages: HashMap<String, usize>,
    /// Folders of other manifests that git lists: packages of other workspaces.
    pub(super) manifests: HashSet<String>,
    /// Folders that cargo and the suite write to.
    pub(super) outputs: Vec<String>,
    ignore: Globs,
    pub(super) inputs: Globs,
    /// By package.
    pub(super) narrowed: Vec<Option<Globs>>,
}

impl Rules {
    pub(super) fn new(facts: &Facts, state_dir: &Utf8Path, scope: &Scope) -> Self {
        let holds_packages =
            |dir: &Utf8Path| facts.packages.iter().any(|package| package.dir.starts_with(dir));
        let target_dirs =
            [&facts.target_dir, &facts.build_dir].into_iter().filter(|dir| !holds_packages(dir));
        let outputs = target_dirs.map(Utf8PathBuf::as_path).chain([state_dir]);
        let inputs_of = |name: &str| scope.test_inputs.iter().find(|inputs| inputs.name == name);
        let packages = facts.packages.iter();
        Self {
            root: slashed(facts.root.as_str()),
            top: slashed(repository_top(&facts.root).unwrap_or(&facts.root).as_str()),
            packages: packages
                .clone()
                .enumerate()
                .map(|(at, package)| (slashed(package.dir.as_str()), at))
                .collect(),
            manifests: HashSet::new(),
            outputs: outputs.map(|dir| slashed(dir.as_str())).collect(),
            ignore: Globs::new(&scope.ignore),
            inputs: Globs::new(&scope.verdicts.inputs),
            narrowed: packages
                .map(|package| Some(Globs::new(inputs_of(&package.name)?.files.as_ref()?)))
                .collect(),
        }
    }

    /// The innermost package whose folder holds the file.
    pub(super) fn owner(&self, path: &str) -> Option<usize> {
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            if let Some(&package) = self.packages.get(above) {
                return Some(package);
            }
            folder = above;
        }
        None
    }

    /// Whether what is in the folder may count: neither version control nor cargo keep their own files there.
    pub(super) fn enters(&self, folder: &Path) -> bool {
        const VERSION_CONTROL: [&str; 6] = ["/.git", "/.hg", "/.jj", "/.sl", "/.svn", "/.pijul"];
        let folder = &*slashed(&folder.to_string_lossy());
        !VERSION_CONTROL.iter().any(|name| folder.ends_with(name))
            && !self.outputs.iter().any(|output| output == folder)
            && !is_cargos(folder)
    }

    pub(super) fn find(&self, globs: &Globs) -> Vec<PathBuf> {
        globs.find(Utf8Path::new(&self.root), &|folder| self.enters(folder))
    }

    pub(super) fn is_shared(&self, path: &str, name: &str) -> bool {
        (!is_rust(path) || self.is_loose(path)) && !self.ignore.matches(name)
    }

    /// Whether a Rust source is in the folder of no package: then it is no code, but a case for a compiler, for example.
    fn is_loose(&self, path: &str) -> bool {
        let is_package = |folder: &Utf8Path| self.manifests.contains(folder.as_str());
        self.owner(path).is_none() && !Utf8Path::new(path).ancestors().any(is_package)
    }

    /// Whether a file, were it there, could count for the package.
    pub(super) fn counts(&self, path: &str, package: usize) -> bool {
        let name = self.relative(path);
        let by_rule = match &self.narrowed[package] {
            None => is_below(path, &self.top) && self.is_shared(path, &name),
            Some(globs) => globs.holds(&name),
        };
        by_rule || self.owner(path) == Some(package) || self.inputs.holds(&name)
    }

    /// A path relative to the workspace root.
    pub(super) fn relative(&self, path: &str) -> String {
        let mut base = self.root.as_str();
        let mut up = String::new();
        loop {
            if let Some(rest) = path.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) {
                return up + rest;
            }
            match base.rsplit_once('/') {
                Some((above, _)) => base = above,
                None => return path.to_owned(),
            }
            up += "../";
        }
    }

    /// The opposite of [`Rules::relative`].
    pub(super) fn absolute(&self, name: &str) -> String {
        let (mut base, mut rest) = (self.root.as_str(), name);
        while let Some(below) = rest.strip_prefix("../") {
            rest = below;
            base = base.rsplit_once('/').map_or("", |(above, _)| above);
        }
        if Utf8Path::new(rest).is_absolute() { rest.to_owned() } else { format!("{base}/{rest}") }
    }
}

/// A path with `/` between its parts, and none at the end.
pub(super) fn slashed(path: &str) -> String {
    let path = if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() };
    if path.ends_with('/') { path.trim_end_matches('/').to_owned() } else { path }
}

pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

pub(super) fn is_rust(path: &str) -> bool {
    path.as_bytes().ends_with(b".rs")
}

/// Whether cargo marked the folder as a target dir of its own. Other programs mark their caches with the same first line.
pub(super) fn is_cargos(folder: &str) -> bool {
    let tag = fs::read_to_string(format!("{folder}/CACHEDIR.TAG"));
    tag.is_ok_and(|tag| {
        tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55") && tag.contains("cargo")
    })
}
