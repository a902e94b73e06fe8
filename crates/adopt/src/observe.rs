//! What does not build on this machine, found by checking the workspace, and left out in `xtask.toml` with the reason.
//!
//! Invariant: only what was seen to fail is written, and only for tiers that would build it. What a user wrote stays;
//! a second observation finds nothing more to write.

mod check;
pub(crate) mod settings;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_edit::{Edit, Node, Reversal, is_same_text};
use xtask_units::{FailedTarget, TargetKind};
use xtask_workspace::config::{Config, FILE_NAME, Packages, Target, Targets, Tier, TierCommand};
use xtask_workspace::{CargoCommand, Progress, Workspace, package_args};

use crate::record::{self, Adopted, read_text};
use check::{Check, Failure};
use settings::Settings;

pub use check::Interrupted;

/// What was observed, and the edits that follow from it.
#[derive(Debug, Serialize)]
pub struct ObservePlan {
    /// The workspace's root.
    pub root: Utf8PathBuf,
    /// What is left out from now on.
    pub findings: Vec<Finding>,
    /// The changes of `xtask.toml` and of the record; empty if there is nothing new to leave out.
    #[serde(skip)]
    pub edits: Vec<Edit>,
}

/// Something that does not build here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is left out: `member bb`, `benches`, `feature aa/fast`.
    pub what: String,
    /// The names of the tiers, or of the preset, that it is left out of.
    pub of: Vec<String>,
    /// What was seen.
    pub why: String,
}

/// Checks the members that the tiers take, once for each preset, and decides what `xtask.toml` has to leave out.
/// Compiles, but changes nothing outside the target dir.
///
/// Fails with [`Interrupted`] after a signal, and if cargo fails without naming anything that did not compile.
pub fn observe(
    workspace: &Workspace,
    config: &Config,
    (launcher, adopted): (&str, &Adopted),
    progress: &dyn Progress,
) -> Result<ObservePlan> {
    let root = workspace.root();
    let path = Utf8Path::new(FILE_NAME);
    let before = Node::read(&root.join(path))?;
    let text = read_text(root, path)?.unwrap_or_default();
    let created = adopted.undo.iter().find_map(|reversal| match reversal {
        Reversal::Created { path, digest, .. } if path == FILE_NAME => Some(digest),
        _ => None,
    });
    let is_as_written = created.is_some_and(|created| is_same_text(text.as_bytes(), created));
    let mut settings = Settings::new(&text, is_as_written)?;
    // The tiers that compile members of their own choice, by preset.
    let mut by_preset = BTreeMap::<_, Vec<_>>::new();
    for tier in &config.tiers {
        if tier.command != TierCommand::Doc && !matches!(tier.packages, Packages::List(_)) {
            let members = members(workspace, tier);
            by_preset.entry(tier.preset.as_deref()).or_default().push((tier, members));
        }
    }
    for (preset, tiers) in by_preset {
        let members = tiers.iter().flat_map(|(_, members)| members).collect::<BTreeSet<_>>();
        if members.is_empty() {
            continue;
        }
        let check = Check { workspace, members, progress };
        let preset = preset.and_then(|name| config.preset(name));
        let mut failures = check.run(preset)?;
        if let Some(preset) = preset.filter(|preset| settings.may_set(&["presets", &preset.name]))
            && let Some(found) = check.search(preset, &failures)?
        {
            settings.list_features(&workspace.facts, &preset.name, &found)?;
            failures = found.failures;
        }
        for (tier, members) in &tiers {
            leave_out(tier, members, &failures, &mut settings)?;
        }
    }
    let findings = settings.findings;
    let new = settings.text.text();
    let mut edits = Vec::new();
    if new != text {
        edits.push(Edit { path: path.to_owned(), before, after: Some(Node::file(new)) });
        // A file of adopt's own that a user has edited is the user's: undoing leaves it, whatever else is in it.
        if is_as_written || created.is_none() {
            let undo = xtask_edit::extend(adopted.undo.clone(), &edits, root, |_| false)?;
            let path = Utf8Path::new(launcher).join(record::FILE_NAME);
            let text = Adopted { undo, ..adopted.clone() }.to_text()?;
            let before = Node::read(&root.join(&path))?;
            edits.push(Edit { path, before, after: Some(Node::file(text)) });
        }
    }
    Ok(ObservePlan { root: root.to_owned(), findings, edits })
}

/// The names of the members that `tier` takes.
fn members(workspace: &Workspace, tier: &Tier) -> BTreeSet<String> {
    let facts = &workspace.facts;
    let args = package_args(&tier.packages, &tier.exclude, facts);
    let command = CargoCommand::new(workspace.root(), std::iter::once("check".to_owned()).chain(args));
    command.members(facts).into_iter().map(|member| member.name.clone()).collect()
}

/// Leaves what `tier` would build of the failures out of it: kinds of targets where that is enough, else members.
fn leave_out(
    tier: &Tier,
    members: &BTreeSet<String>,
    failures: &[Failure],
    settings: &mut Settings,
) -> Result<()> {
    let built =
        |failure: &&Failure| members.contains(&failure.target.package) && builds(tier, &failure.target);
    let by_kind = |failure: &&Failure| {
        matches!(failure.target.kind, TargetKind::Example | TargetKind::Bench)
            && settings.may_set(&["tiers", &tier.name, "targets"])
    };
    let (mut kinds, whole): (Vec<_>, Vec<_>) = failures.iter().filter(built).partition(by_kind);
    let is_gone = |name: &String| whole.iter().any(|failure| failure.target.package == *name);
    if members.iter().all(is_gone) && !members.is_empty() {
        // A tier without members would be an error, so it stays as it is.
        let why = whole.first().map_or("", |failure| failure.why.as_str());
        settings.find("nothing, since no member would be left", &tier.name, why);
        return Ok(());
    }
    kinds.retain(|failure| !is_gone(&failure.target.package));
    settings.exclude(&tier.name, &whole)?;
    settings.list_targets(tier, &kinds)
}

/// Whether the tier compiles the target that failed.
fn builds(tier: &Tier, failed: &FailedTarget) -> bool {
    let tests = tier.command == TierCommand::Test;
    let lists = |target: Target| match &tier.targets {
        Targets::All => true,
        Targets::List(kinds) => kinds.contains(&target),
        Targets::Default => match target {
            Target::Lib | Target::Bins => true,
            // `cargo test` builds examples without being asked to.
            Target::Tests | Target::Examples => tests,
            Target::Benches => tier.command == TierCommand::Bench,
        },
    };
    match failed.kind {
        TargetKind::Lib | TargetKind::Bin if failed.unit_tests => lists(Target::Tests),
        // The other targets need the library, and tests the programs.
        TargetKind::Lib | TargetKind::BuildScript => true,
        TargetKind::Bin => lists(Target::Bins) || lists(Target::Tests),
        TargetKind::IntegrationTest => lists(Target::Tests),
        TargetKind::Example => lists(Target::Examples),
        TargetKind::Bench => lists(Target::Benches),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_leaves_out_only_what_it_would_build() {
        let failure =
            |kind, unit_tests| FailedTarget { package: "a".to_owned(), kind, unit_tests, name: None };
        let failures = [
            failure(TargetKind::Lib, false),
            failure(TargetKind::Lib, true),
            failure(TargetKind::Bin, false),
            failure(TargetKind::IntegrationTest, false),
            failure(TargetKind::Example, false),
            failure(TargetKind::Bench, false),
        ];
        let list = |targets: &[Target]| Targets::List(targets.to_vec());
        // What of the failures above counts: library, its unit tests, program, test, example, bench.
        let table = [
            (TierCommand::Build, Targets::Default, [1, 0, 1, 0, 0, 0]),
            (TierCommand::Test, Targets::Default, [1, 1, 1, 1, 1, 0]),
            (TierCommand::Check, Targets::All, [1, 1, 1, 1, 1, 1]),
            (TierCommand::Bench, Targets::Default, [1, 0, 1, 0, 0, 1]),
            (TierCommand::Check, list(&[Target::Lib]), [1, 0, 0, 0, 0, 0]),
            (TierCommand::Test, list(&[Target::Tests]), [1, 1, 1, 1, 0, 0]),
            (TierCommand::Test, list(&[Target::Examples]), [1, 0, 0, 0, 1, 0]),
        ];
        for (command, targets, expected) in table {
            let mut tier = Config::defaults(&xtask_workspace::Facts::default()).tiers[0].clone();
            (tier.command, tier.targets) = (command, targets.clone());
            let found = failures.iter().map(|failure| u8::from(builds(&tier, failure))).collect::<Vec<_>>();
            assert_eq!(found, expected, "{command:?} {targets:?}");
        }
    }
}
