//! Where a sweep may remove anything at all, and cargo's own locks there.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{FileLock, try_lock};
use xtask_units::inventory::{ProfileDir, artifact_sources};
use xtask_workspace::{CargoConfig, Workspace, WrongUsage, cargo_home, has_workspace_table};

/// The start of a file that marks a cache (<https://bford.info/cachedir/>); cargo writes it into the dirs it makes.
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";

/// The build dir and the target dir without links in their paths, so that no link is followed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dirs {
    pub(crate) build: Utf8PathBuf,
    pub(crate) target: Utf8PathBuf,
}

impl Dirs {
    /// Fails as wrong usage where a dir may hold something that is not this workspace's.
    ///
    /// With `sole_owner` the user says that a dir outside the workspace serves nobody else, with `confirmed` that one
    /// without cargo's mark is cargo's.
    pub(crate) fn check(workspace: &Workspace, sole_owner: bool, confirmed: bool) -> Result<Self> {
        let dirs = Self::of(workspace)?;
        let root = real(workspace.root())?;
        let refuse = |why: String| Err(WrongUsage(why).into());
        for dir in [&dirs.build, &dirs.target] {
            if root.starts_with(dir) {
                return refuse(format!(
                    "{dir} contains the workspace, so nothing there is removed; set `build.target-dir` to a folder of \
                     its own"
                ));
            }
            if !dir.starts_with(&root) && !sole_owner && dir.exists() {
                return refuse(format!(
                    "{dir} is outside of the workspace {root} and may serve other workspaces too, whose units would look \
                     stale; if it serves only this one, set `sole-owner = true` under [sweep] in xtask.toml"
                ));
            }
        }
        let other = || other_workspace(workspace).or_else(|| builder(workspace));
        if let Some(other) = if sole_owner { None } else { other() } {
            return refuse(format!(
                "{other} is a workspace of its own and builds into {} too; its units would look stale \
                 here. If nothing is built there, set `sole-owner = true` under [sweep] in xtask.toml",
                dirs.target
            ));
        }
        let unmarked = |dir: &&&Utf8PathBuf| !confirmed && dir.exists() && !is_marked(dir);
        if let Some(dir) = [&dirs.build, &dirs.target].iter().find(unmarked) {
            return refuse(format!(
                "{dir} has no CACHEDIR.TAG of cargo's, so it was not made by cargo; if nothing in it is yours, \
                 run again with --yes"
            ));
        }
        Ok(dirs)
    }

    /// The dirs, whether they may be swept or not.
    pub(crate) fn of(workspace: &Workspace) -> Result<Self> {
        Ok(Self { build: real(&workspace.facts.build_dir)?, target: real(&workspace.facts.target_dir)? })
    }

    /// A path that cargo named, without links.
    pub(crate) fn real(&self, workspace: &Workspace, path: &Utf8Path) -> Utf8PathBuf {
        let facts = &workspace.facts;
        for (named, real) in [(&facts.build_dir, &self.build), (&facts.target_dir, &self.target)] {
            if let Ok(below) = path.strip_prefix(named) {
                return real.join(below);
            }
        }
        path.to_owned()
    }
}

/// A workspace in a folder of this one, not too deep, that is told to build into the same dirs: by what is set for both, or by
/// its own configuration.
fn other_workspace(workspace: &Workspace) -> Option<Utf8PathBuf> {
    let is_set = |key: &str, variable: &str| {
        // A relative path in a variable means another dir in another folder.
        let by_variable =
            workspace.environment.get(variable).is_some_and(|dir| Utf8Path::new(dir).is_absolute());
        by_variable || workspace.cargo_config.path(&["build", key]).is_some()
    };
    let set_for_both =
        is_set("target-dir", "CARGO_TARGET_DIR") || is_set("build-dir", "CARGO_BUILD_BUILD_DIR");
    let facts = &workspace.facts;
    let chose_ours = |dir: &Utf8Path| {
        let config = CargoConfig::load(dir, &workspace.environment);
        let chosen = ["target-dir", "build-dir"].into_iter().filter_map(|key| config.path(&["build", key]));
        let real = |path: &Utf8Path| path.canonicalize_utf8().ok();
        let ours = [real(&facts.target_dir), real(&facts.build_dir)];
        chosen.filter_map(|dir| real(&dir)).any(|dir| ours.contains(&Some(dir)))
    };
    let root = glob::Pattern::escape(workspace.root().as_str());
    let found =
        ["*", "*/*"].iter().filter_map(|below| glob::glob(&format!("{root}/{below}/Cargo.toml")).ok());
    let manifests = found.flatten().flatten().filter_map(|path| Utf8PathBuf::from_path_buf(path).ok());
    let mut dirs = manifests.filter_map(|manifest| {
        let text = fs::read_to_string(&manifest).ok()?;
        manifest.parent().filter(|_| has_workspace_table(&text)).map(Utf8Path::to_owned)
    });
    dirs.find(|dir| {
        let is_build_dir =
            [&facts.target_dir, &facts.build_dir].into_iter().any(|built| dir.starts_with(built));
        // An adopted suite builds into a dir of its own, wherever cargo is told to build.
        let is_suite = dir.starts_with(workspace.root().join("xtask"));
        !is_build_dir && !is_suite && (set_for_both || chose_ours(dir))
    })
}

/// A workspace or package of its own from whose sources an artifact in our dirs was built, however it was told to.
fn builder(workspace: &Workspace) -> Option<Utf8PathBuf> {
    let facts = &workspace.facts;
    let home = cargo_home(&workspace.environment);
    let others = |source: &Utf8PathBuf| {
        let is_local = facts
            .packages
            .iter()
            .any(|package| !package.dir.starts_with(workspace.root()) && source.starts_with(&package.dir));
        let is_fetched = home.as_ref().is_some_and(|home| source.starts_with(home));
        if is_local || is_fetched || !source.is_file() {
            return None;
        }
        let manifests = source.ancestors().skip(1).map(|dir| (dir, dir.join("Cargo.toml")));
        let mut nearest = None;
        for (dir, manifest) in manifests {
            let Ok(text) = fs::read_to_string(manifest) else { continue };
            nearest = nearest.or(Some(dir));
            if has_workspace_table(&text) || dir == workspace.root() {
                nearest = Some(dir);
                break;
            }
        }
        // Another checkout of this workspace has the same units; its target dir may have been copied here.
        let relative = nearest.and_then(|root| source.strip_prefix(root).ok());
        let ours = facts.packages.iter().flat_map(|package| &package.targets);
        let mut ours = ours.filter_map(|target| target.path.strip_prefix(workspace.root()).ok());
        let is_copy =
            nearest.is_some_and(|root| root != workspace.root()) && ours.any(|ours| relative == Some(ours));
        nearest.filter(|_| !is_copy).map(Utf8Path::to_owned)
    };
    artifact_sources(&facts.build_dir, &facts.target_dir).iter().find_map(|sources| {
        let mut roots = sources.iter().filter_map(others);
        // What is built from ours as well is ours: it may have depended on something elsewhere.
        let first = roots.next().filter(|root| root != workspace.root())?;
        roots.all(|root| root != workspace.root()).then_some(first)
    })
}

fn is_marked(dir: &Utf8Path) -> bool {
    let tag = dir.join("CACHEDIR.TAG");
    let is_file = fs::symlink_metadata(&tag).is_ok_and(|metadata| metadata.is_file());
    is_file && fs::read_to_string(&tag).is_ok_and(|text| text.starts_with(SIGNATURE))
}

/// `path` without links; a missing path is taken as it is.
fn real(path: &Utf8Path) -> Result<Utf8PathBuf> {
    match path.canonicalize_utf8() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(path.to_owned()),
        result => result.with_context(|| format!("failed to read folder {path}")),
    }
}

/// The lock files. Up to 1.95 cargo holds the first exclusively while it builds; since 1.96 it holds that one shared and
/// the others exclusively. Whoever has all of them is alone. The first is made where it is missing: cargo of every
/// version takes it. A lock file is never removed, or cargo would make another one and not wait.
const LOCK_FILES: [&str; 3] = [".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock"];

/// What is locked, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Vec<FileLock>,
    /// Why a profile's folders could not be locked, by the profile's label.
    pub(crate) refused: BTreeMap<String, String>,
}

impl Locks {
    /// Locks every profile that nobody else has locked, without waiting.
    pub(crate) fn take(profiles: &[ProfileDir]) -> Self {
        let mut locks = Self::default();
        for profile in profiles {
            for (index, name) in LOCK_FILES.iter().enumerate() {
                let path = profile.path.join(name);
                if index > 0 && !path.is_file() {
                    continue;
                }
                let why = match try_lock(&path) {
                    Ok(Some(lock)) => {
                        locks.held.push(lock);
                        continue;
                    }
                    Ok(None) => "a cargo is building in it".to_owned(),
                    Err(error) => format!("{error:#}"),
                };
                locks.refused.entry(profile.label()).or_insert(why);
            }
        }
        locks
    }
}
