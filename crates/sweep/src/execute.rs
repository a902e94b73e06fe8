//! Removes what a plan names: fingerprints first, and everything through open folders, so that no link is followed even
//! when one is swapped in meanwhile. Then, if asked, builds what is needed again and counts what was compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::{Instant, SystemTime};
use std::{fs, io};

use anyhow::Result;
use camino::Utf8Path;
use serde::Serialize;
use xtask_files::{EntryKind, Folder};
use xtask_units::inventory::{Item, ItemKind, Owner};
use xtask_units::{RunOptions, State, Unit, UnitSet, parallel, plan, run, states, whole_milliseconds};
use xtask_workspace::{Progress, Workspace};

use crate::decide::{Stale, goes_last};
use crate::disk::sum_of;
use crate::guard::Dirs;
use crate::live::LiveCommand;
use crate::max_size::Cost;
use crate::plan::{Skipped, SweepPlan};

/// Something that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub path: PathBuf,
    pub error: String,
}

/// What building the needed commands again has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Needed units that were fresh before and were compiled again: 0 unless `max-size` removed some.
    pub recompiled: Vec<String>,
    /// Units that were compiled because they were missing or out of date before.
    pub built_units: usize,
    /// The commands that failed.
    pub failed: Vec<String>,
    /// The commands that were left out, because not all they need was built here before.
    pub unbuilt: Vec<String>,
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct SweepReport {
    /// Bytes that are free now. A file counts when its last name is gone.
    pub freed_bytes: u64,
    pub left_bytes: u64,
    pub removed_units: usize,
    pub kept_units: usize,
    pub skipped: Vec<Skipped>,
    pub errors: Vec<Failure>,
    pub max_size: Option<Cost>,
    pub incomplete: bool,
    pub plan_ms: u64,
    pub remove_ms: u64,
    /// Only with `--verify`: needed units that had to be compiled again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompiled_units: Option<usize>,
    /// Only with `--verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

impl SweepReport {
    /// Whether everything planned was done, everything could be determined, and, where that was verified, nothing was
    /// compiled again except what `max-size` has removed.
    pub fn success(&self) -> bool {
        let foreseen = self.max_size.as_ref().map_or(0, |cost| cost.recompiled_units);
        let holds = |verified: &Verified| verified.failed.is_empty() && verified.recompiled.len() <= foreseen;
        self.errors.is_empty() && !self.incomplete && self.verified.as_ref().is_none_or(holds)
    }
}

/// How many items of one folder are removed at a time.
const BATCH: usize = 128;
/// Deeper folders are left alone: each level needs an open file.
const DEEPEST: usize = 220;

/// One ends before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A unit must never look fresh without its outputs, so cargo's notes in the fingerprint's folder go first.
    Notes,
    Others,
    /// Dep-infos and the folders of fingerprints say which files are cargo's, which the next sweep needs after a kill.
    Witnesses,
}

impl SweepPlan {
    /// Removes everything planned. It goes on after a failure; what changed since it was seen is kept.
    pub fn execute(self, progress: &dyn Progress) -> SweepReport {
        let started = Instant::now();
        let mut removed = BTreeSet::new();
        let mut errors = Vec::new();
        let mut still_noted = BTreeSet::new();
        for phase in [Phase::Notes, Phase::Others, Phase::Witnesses] {
            let items =
                self.decision.stale.iter().filter(|stale| phase.has(&self.inventory.items[stale.item]));
            // A unit whose fingerprint stays keeps its outputs.
            let items = items.filter(|stale| !still_noted.contains(&self.unit(stale.item)));
            let batches = self.batches(items);
            let results = parallel(self.jobs, &batches, |(folder, items)| {
                let folder = self.open(folder);
                let remove = |index: usize| match &folder {
                    Ok(folder) => or_gone(remove(folder, &self.inventory.items[index], phase)),
                    Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
                };
                items.iter().map(|&index| (index, remove(index))).collect::<Vec<_>>()
            });
            for (item, result) in results.into_iter().flatten() {
                if let Err(error) = result {
                    if phase == Phase::Notes {
                        still_noted.insert(self.unit(item));
                    }
                    let path = self.inventory.path(&self.inventory.items[item]);
                    errors.push(Failure { path, error: error.to_string() });
                } else if phase != Phase::Notes {
                    removed.insert(item);
                }
            }
        }
        self.tidy(&removed);
        drop(self.locks);
        let remove_ms = whole_milliseconds(started.elapsed());
        let freed = sum_of(&self.inventory, &removed).freed;
        let is_gone =
            |unit: &&usize| self.decision.units[**unit].items.iter().all(|item| removed.contains(item));
        let removed_units = self.decision.stale_units.keys().filter(is_gone).count();
        progress.detail(&format!("removed {} of {} items", removed.len(), self.decision.stale.len()));
        SweepReport {
            freed_bytes: freed,
            left_bytes: self.total_bytes.saturating_sub(freed),
            removed_units,
            kept_units: self.decision.units.len() - removed_units,
            skipped: self.skipped,
            errors,
            max_size: self.max_size,
            incomplete: self.incomplete,
            plan_ms: self.plan_ms,
            remove_ms,
            recompiled_units: None,
            verified: None,
        }
    }

    /// The unit that an item belongs to, or whatever else it belongs to.
    fn unit(&self, item: usize) -> (Option<usize>, &Owner) {
        let item = &self.inventory.items[item];
        (item.profile, &item.owner)
    }

    /// The items by folder, in the order of the plan; large folders in pieces.
    fn batches<'a>(&self, stale: impl Iterator<Item = &'a Stale>) -> Vec<(&Path, Vec<usize>)> {
        let mut by_folder = BTreeMap::<&Path, Vec<usize>>::new();
        for &Stale { item, .. } in stale {
            let folder = self.inventory.items[item].folder;
            by_folder.entry(&self.inventory.folders[folder]).or_default().push(item);
        }
        let pieces = |(folder, items): (_, Vec<usize>)| {
            items.chunks(BATCH).map(|items| (folder, items.to_vec())).collect::<Vec<_>>()
        };
        by_folder.into_iter().flat_map(pieces).collect()
    }

    /// Opens a folder below the build dir or the target dir step by step, none of them a link.
    fn open(&self, path: &Path) -> io::Result<Folder> {
        let root = [&self.build_dir, &self.target_dir].into_iter().find(|root| path.starts_with(root));
        let root = root.ok_or_else(|| io::Error::other("outside of the build dir"))?;
        let mut folder = Folder::open(root.as_std_path())?;
        for part in path.strip_prefix(root).map_err(io::Error::other)?.components() {
            let Component::Normal(name) = part else { return Err(io::Error::other("not a plain path")) };
            folder = folder.folder(name)?;
        }
        Ok(folder)
    }

    /// Removes the folders of crates and units that are empty now, but none that cargo makes once per profile.
    fn tidy(&self, removed: &BTreeSet<usize>) {
        let items = removed.iter().map(|&index| &self.inventory.items[index]);
        let held = items.filter_map(|item| Some((item.folder, item.profile?))).collect::<BTreeSet<_>>();
        let mut folders = BTreeSet::new();
        for (folder, profile) in held {
            let profile = self.inventory.profiles[profile].path.as_std_path();
            let folders_below =
                self.inventory.folders[folder].ancestors().take_while(|folder| folder.starts_with(profile));
            folders.extend(
                folders_below.filter(|folder| ![Some(*folder), folder.parent()].contains(&Some(profile))),
            );
        }
        // The deepest first. One that is not empty is not removed, as intended.
        for folder in folders.iter().rev() {
            if let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) {
                let _ = self.open(parent).and_then(|parent| parent.remove_empty_folder(name));
            }
        }
    }
}

impl Phase {
    fn has(self, item: &Item) -> bool {
        match self {
            Self::Notes => item.kind == ItemKind::Fingerprint,
            Self::Others => !goes_last(item),
            Self::Witnesses => goes_last(item),
        }
    }
}

/// It is no error when something is already gone.
fn or_gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Removes what goes of `item` in this phase from `folder`, if it is still the one that was seen.
fn remove(folder: &Folder, item: &Item, phase: Phase) -> io::Result<()> {
    let changed = || io::Error::other("it changed since it was planned, so it was kept");
    if item.is_folder {
        let below = folder.folder(&item.name)?;
        if below.own_status()?.id != item.id {
            return Err(changed());
        }
        empty(&below, 0)?;
        return if phase == Phase::Notes { Ok(()) } else { folder.remove_empty_folder(&item.name) };
    }
    let status = folder.status(&item.name)?;
    if status.id != item.id || status.kind != EntryKind::File || status.modified_ms != item.modified_ms {
        return Err(changed());
    }
    folder.remove_file(&item.name)
}

/// Removes everything in `folder`. Links are removed, not followed.
fn empty(folder: &Folder, depth: usize) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other("nested too deeply"));
    }
    for entry in folder.entries()? {
        let result = if entry.kind == EntryKind::Folder {
            folder.folder(&entry.name).and_then(|below| {
                empty(&below, depth + 1)?;
                folder.remove_empty_folder(&entry.name)
            })
        } else {
            folder.remove_file(&entry.name)
        };
        or_gone(result)?;
    }
    Ok(())
}

/// The needed units as they were before a sweep.
#[derive(Debug)]
pub struct Baseline {
    units: UnitSet,
    /// Of each unit, whether it was fresh.
    fresh: Vec<bool>,
    /// When cargo last finished it.
    built: Vec<Option<SystemTime>>,
}

impl SweepPlan {
    /// What [`verify`] compares with. It has to be taken before the plan is executed.
    pub fn baseline(&self, workspace: &Workspace) -> Baseline {
        let states = states(workspace, &self.needed);
        let fresh = states.into_iter().map(|state| state == State::Fresh).collect();
        Baseline { units: self.needed.clone(), fresh, built: built(&self.needed) }
    }
}

/// Runs every command of `commands` without running any test, and writes into `report` which of the units that were
/// fresh before the sweep were compiled. Returns the signal that ended it early. Fails where cargo cannot be started.
pub fn verify(
    workspace: &Workspace,
    commands: &[LiveCommand],
    baseline: &Baseline,
    exe: &Utf8Path,
    report: &mut SweepReport,
    progress: &dyn Progress,
) -> Result<Option<i32>> {
    // Before the sweep: `max-size` takes needed units, too.
    let before = baseline.built.clone();
    let there = baseline.units.iter().zip(&before).filter(|(_, built)| built.is_some());
    let was_there = there.map(|(unit, _)| unit.fingerprint_dir.clone()).collect::<BTreeSet<_>>();
    let mut verified = Verified::default();
    let mut done = Vec::new();
    for LiveCommand { command, .. } in commands {
        let Ok(command) = command.clone().without_alias(&workspace.environment).to_build() else { continue };
        if done.contains(&command) {
            continue;
        }
        // One that was never built here would only build.
        let is_there = |unit: &Unit| was_there.contains(&unit.fingerprint_dir);
        if !plan(workspace, &command, exe).is_ok_and(|shadow| shadow.units.iter().all(is_there)) {
            verified.unbuilt.push(command.to_string());
            done.push(command);
            continue;
        }
        let record = run(workspace, &command, RunOptions::default(), progress, &mut |_| true)?;
        if record.exit_code != Some(0) {
            verified.failed.push(command.to_string());
        }
        done.push(command);
        if record.signal.is_some() {
            return Ok(record.signal);
        }
    }
    let times = before.into_iter().zip(built(&baseline.units));
    for ((unit, was_fresh), (before, after)) in baseline.units.iter().zip(&baseline.fresh).zip(times) {
        match *was_fresh {
            _ if before == after => {}
            true => verified.recompiled.push(unit.describe()),
            false => verified.built_units += 1,
        }
    }
    report.recompiled_units = Some(verified.recompiled.len());
    report.verified = Some(verified);
    Ok(None)
}

/// What lies in the build dir and the target dir, in bytes on disk, folders included: as `du -s` counts.
pub fn left(workspace: &Workspace) -> Result<u64> {
    let dirs = Dirs::of(workspace)?;
    let mut seen = BTreeSet::new();
    let apart = (!dirs.build.starts_with(&dirs.target)).then_some(&dirs.build);
    Ok([&dirs.target].into_iter().chain(apart).map(|dir| on_disk(dir.as_std_path(), &mut seen, 0)).sum())
}

fn on_disk(path: &Path, seen: &mut BTreeSet<(u64, u64)>, depth: usize) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    #[cfg(unix)]
    let bytes = {
        use std::os::unix::fs::MetadataExt;
        let is_seen =
            metadata.nlink() > 1 && !metadata.is_dir() && !seen.insert((metadata.dev(), metadata.ino()));
        if is_seen { 0 } else { metadata.blocks() * 512 }
    };
    #[cfg(not(unix))]
    let bytes = metadata.len();
    if !metadata.is_dir() || depth > DEEPEST {
        return bytes;
    }
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    bytes + below.map(|entry| on_disk(&entry.path(), seen, depth + 1)).sum::<u64>()
}

/// When cargo last finished each unit: it writes this file after the compiler has succeeded.
fn built(units: &UnitSet) -> Vec<Option<SystemTime>> {
    let time = |unit: &Unit| {
        fs::metadata(unit.fingerprint_dir.join(&unit.fingerprint_file)).and_then(|file| file.modified()).ok()
    };
    units.iter().map(time).collect()
}
