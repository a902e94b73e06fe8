//! Where a sweep may remove anything at all.

use std::fs;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{Workspace, WrongUsage, has_workspace_table};

/// How a file that marks a cache begins (<https://bford.info/cachedir/>); cargo writes it into the dirs it makes.
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";

/// The build dir and the target dir without links in their paths, so that nothing on the way is followed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dirs {
    pub(crate) build: Utf8PathBuf,
    pub(crate) target: Utf8PathBuf,
}

impl Dirs {
    /// Fails as wrong usage where a dir may hold what is not this workspace's.
    ///
    /// `sole_owner` is the user's word that a dir outside of the workspace serves nobody else, `confirmed` that one
    /// without cargo's mark is cargo's.
    pub(crate) fn check(workspace: &Workspace, sole_owner: bool, confirmed: bool) -> Result<Self> {
        let dirs = Self::of(workspace)?;
        let root = real(workspace.root())?;
        for dir in [&dirs.build, &dirs.target] {
            if root.starts_with(dir) {
                return Err(WrongUsage(format!(
                    "{dir} is the workspace itself or holds it, so nothing there is removed; set `build.target-dir` \
                     to a folder of its own"
                ))
                .into());
            }
            if !dir.starts_with(&root) && !sole_owner && dir.exists() {
                return Err(WrongUsage(format!(
                    "{dir} lies outside of the workspace {root} and may serve others too, whose units would look \
                     stale; if it serves only this workspace, set `sole-owner = true` under [sweep] in xtask.toml"
                ))
                .into());
            }
        }
        if let Some(other) = other_workspace(workspace).filter(|_| !sole_owner) {
            return Err(WrongUsage(format!(
                "{other} is a workspace of its own and builds into {} too, because that is set for both; its units would \
                 look stale here. If nothing is built there, set `sole-owner = true` under [sweep] in xtask.toml",
                dirs.target
            ))
            .into());
        }
        if let Some(dir) = unmarked(workspace).first().filter(|_| !confirmed) {
            return Err(WrongUsage(format!(
                "{dir} has no CACHEDIR.TAG of cargo's, so it was not made by cargo; if nothing in it is yours, \
                 run again with --yes"
            ))
            .into());
        }
        Ok(dirs)
    }

    /// The dirs, whether they may be swept or not.
    pub(crate) fn of(workspace: &Workspace) -> Result<Self> {
        Ok(Self { build: real(&workspace.facts.build_dir)?, target: real(&workspace.facts.target_dir)? })
    }

    /// Where a path that cargo named really lies.
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

/// A workspace in a folder of this one, not too deep, that is told to build into the same dirs.
fn other_workspace(workspace: &Workspace) -> Option<Utf8PathBuf> {
    let is_set = |key: &str, variable: &str| {
        // A relative path in a variable means another dir in another folder.
        let by_variable =
            workspace.environment.get(variable).is_some_and(|dir| Utf8Path::new(dir).is_absolute());
        by_variable || workspace.cargo_config.path(&["build", key]).is_some()
    };
    if !is_set("target-dir", "CARGO_TARGET_DIR") && !is_set("build-dir", "CARGO_BUILD_BUILD_DIR") {
        return None;
    }
    let facts = &workspace.facts;
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
        !is_build_dir && !dir.starts_with(workspace.root().join("xtask"))
    })
}

/// The dirs of this workspace that exist and do not carry cargo's mark.
pub fn unmarked(workspace: &Workspace) -> Vec<Utf8PathBuf> {
    let facts = &workspace.facts;
    let mut dirs = vec![facts.build_dir.clone(), facts.target_dir.clone()];
    dirs.dedup();
    dirs.retain(|dir| dir.exists() && !is_marked(dir));
    dirs
}

fn is_marked(dir: &Utf8Path) -> bool {
    let tag = dir.join("CACHEDIR.TAG");
    let is_file = fs::symlink_metadata(&tag).is_ok_and(|metadata| metadata.is_file());
    is_file && fs::read_to_string(&tag).is_ok_and(|text| text.starts_with(SIGNATURE))
}

/// `path` without links; a path that is not there is taken as it is.
fn real(path: &Utf8Path) -> Result<Utf8PathBuf> {
    match path.canonicalize_utf8() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(path.to_owned()),
        result => result.with_context(|| format!("failed to read folder {path}")),
    }
}
