//! Puts the suite of a clone into another workspace, or brings the one there up to date.
//!
//! Invariant: only what [`plan`] lists is changed, all of it or nothing, and the workspace's own members are the
//! same afterwards, as cargo sees them.

mod cargo_config;
mod check;
mod host;
mod infer;
mod launcher;
mod lock_file;
mod manifest;
mod planner;
mod product;
mod source;
mod suite_folder;

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_edit::Edit;
use xtask_workspace::{Environment, WrongUsage};

pub use check::{takes_lock_file, unchanged_but_for};
pub use host::Host;
pub use source::Source;

use crate::record::{How, LAUNCHERS};
use host::OWN_ALIAS;
use planner::{Edits, Planner};

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct AdoptOptions {
    /// How the suite shall be there; `None`: as it already is, or vendored.
    pub how: Option<How>,
    /// What a workspace has in the launcher's place.
    pub existing: Existing,
    /// What to do with a suite that is there already.
    pub update: Update,
}

/// What happens where the workspace has an `xtask` of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is changed, and the user is told what to do.
    Refuse,
    /// It stays in reach: `cargo xtask NAME` goes on to it for names that the suite does not know.
    Merge,
}

/// What happens to the suite's own files that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// They stay.
    Keep,
    /// They become those of this clone, unless they were changed there.
    Replace,
    /// They become those of this clone.
    DiscardChanges,
}

/// What will be changed.
#[derive(Debug, Serialize)]
pub struct AdoptPlan {
    /// The workspace's root.
    pub root: Utf8PathBuf,
    /// The launcher's folder in it.
    pub launcher: &'static str,
    /// How the suite will be there.
    pub how: How,
    /// The changes in the order they are made: whatever stops them midway, what is there builds.
    #[serde(skip)]
    pub edits: Vec<Edit>,
    /// What the user should know, a line each.
    pub notes: Vec<String>,
}

/// Decides what to change in `host`. Fails as wrong usage where something is in the way.
pub fn plan(
    host: &Host,
    source: &Source,
    options: &AdoptOptions,
    environment: &Environment,
) -> Result<AdoptPlan> {
    if host.root().starts_with(&source.root) {
        return Err(WrongUsage(format!(
            "{} is the clone of the suite itself\n  next: name your workspace: cargo xtask adopt PATH",
            host.root()
        ))
        .into());
    }
    host.check_toolchain()?;
    let launcher = match &host.adopted {
        Some((launcher, _)) => launcher,
        None => free_place(host, options.existing)?,
    };
    let mut planner = Planner { host, environment, launcher, edits: Edits::default(), notes: Vec::new() };
    let how = planner.suite(source, options)?;
    planner.settings()?;
    planner.git_ignore()?;
    planner.cargo_config()?;
    planner.lock_file()?;
    planner.manifest()?;
    planner.record(&how, options.update)?;
    planner.say_what_git_ignores();
    let Planner { edits, notes, .. } = planner;
    Ok(AdoptPlan { root: host.root().to_owned(), launcher, how, edits: edits.0, notes })
}

/// The folder for the launcher.
fn free_place(host: &Host, existing: Existing) -> Result<&'static str> {
    let [usual, other] = LAUNCHERS;
    let in_the_way = host.in_the_way()?;
    if in_the_way.is_empty() {
        return Ok(usual);
    }
    let found = in_the_way.join(" and ");
    if existing == Existing::Refuse {
        return Err(WrongUsage(format!(
            "{} has an `{usual}` of its own: {found}\n  next: with --merge it stays, `cargo {usual} NAME` goes on to it where \
             the suite has no NAME, and `cargo {OWN_ALIAS}` is what `cargo {usual}` was; or rename yours",
            host.root()
        ))
        .into());
    }
    if host.root().join(other).symlink_metadata().is_ok() || host.outline.facts.member(other).is_some() {
        return Err(WrongUsage(format!(
            "{} has {found}, and a `{other}` too\n  next: rename one of them",
            host.root()
        ))
        .into());
    }
    Ok(other)
}
