//! Removes what a plan names: fingerprints first, everything through open folders, so that no link is followed even
//! when one is swapped in meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path};
use std::time::Instant;

use xtask_files::{Entry, EntryKind, Folder};
use xtask_units::inventory::{Item, ItemKind, Owner, Sum};
use xtask_units::{parallel, whole_milliseconds};
use xtask_workspace::Progress;

use crate::decide::{Stale, goes_last};
use crate::plan::SweepPlan;
use crate::report::{Failure, SweepReport};

/// So many items of one folder are removed at a time.
const BATCH: usize = 128;
/// Deeper folders are left alone: each level takes an open file.
const DEEPEST: usize = 220;

/// One is over before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A unit never looks fresh without its outputs, so what cargo noted goes; the empty folder stays for now.
    Notes,
    Others,
    /// Dep-infos and the folders of fingerprints say which files are cargo's; the next sweep needs that where a kill left
    /// such files.
    Witnesses,
}

impl SweepPlan {
    /// Removes everything planned. It goes on after a failure; what changed since it was seen is kept.
    pub fn execute(self, progress: &dyn Progress) -> SweepReport {
        let started = Instant::now();
        let phases = [Phase::Notes, Phase::Others, Phase::Witnesses];
        let mut removed = BTreeSet::new();
        let mut errors = Vec::new();
        let mut still_noted = BTreeSet::new();
        for phase in phases {
            let items = self.decision.stale.iter().filter(|stale| is_in(phase, self.item(stale)));
            // A unit whose fingerprint stays keeps its outputs.
            let items = items.filter(|stale| !still_noted.contains(&self.unit(stale.item)));
            let batches = self.batches(&items.collect::<Vec<_>>());
            for results in parallel(self.jobs, &batches, |batch| self.remove_batch(batch, phase)) {
                for (item, result) in results {
                    match result {
                        Ok(()) if phase == Phase::Notes => {}
                        Ok(()) => {
                            removed.insert(item);
                        }
                        Err(error) => {
                            if phase == Phase::Notes {
                                still_noted.insert(self.unit(item));
                            }
                            let path = self.inventory.path(&self.inventory.items[item]);
                            errors.push(Failure { path, error: error.to_string() });
                        }
                    }
                }
            }
        }
        self.tidy(&removed);
        let remove_ms = whole_milliseconds(started.elapsed());
        self.report(&removed, errors, remove_ms, progress)
    }

    /// The unit that an item belongs to, or whatever else it belongs to.
    fn unit(&self, item: usize) -> (Option<usize>, &Owner) {
        let item = &self.inventory.items[item];
        (item.profile, &item.owner)
    }

    fn item(&self, stale: &Stale) -> &Item {
        &self.inventory.items[stale.item]
    }

    /// The items by folder, in the order of the plan; large folders in pieces.
    fn batches(&self, stale: &[&Stale]) -> Vec<(usize, Vec<usize>)> {
        let mut by_folder = BTreeMap::<&Path, Vec<usize>>::new();
        for stale in stale {
            by_folder.entry(&self.inventory.folders[self.item(stale).folder]).or_default().push(stale.item);
        }
        let batches = by_folder.into_values().flat_map(|items| {
            let folder = self.inventory.items[items[0]].folder;
            items.chunks(BATCH).map(|items| (folder, items.to_vec())).collect::<Vec<_>>()
        });
        batches.collect()
    }

    fn remove_batch(
        &self,
        (folder, items): &(usize, Vec<usize>),
        phase: Phase,
    ) -> Vec<(usize, io::Result<()>)> {
        let folder = self.open(&self.inventory.folders[*folder]);
        let remove = |index: usize| match &folder {
            Ok(folder) => remove(folder, &self.inventory.items[index], phase),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        items.iter().map(|&index| (index, remove(index))).collect()
    }

    /// Opens a folder below the build dir or the target dir step by step, none of them a link.
    fn open(&self, path: &Path) -> io::Result<Folder> {
        let root = [&self.build_dir, &self.target_dir].into_iter().find(|root| path.starts_with(root));
        let root = root.ok_or_else(|| io::Error::other("it lies outside of the build dir"))?;
        let mut folder = Folder::open(root.as_std_path())?;
        for part in path.strip_prefix(root).map_err(io::Error::other)?.components() {
            let Component::Normal(name) = part else { return Err(io::Error::other("it is no plain path")) };
            folder = folder.folder(name)?;
        }
        Ok(folder)
    }

    /// Removes folders that only held what is gone: those of crates and units, but none that cargo makes per profile.
    fn tidy(&self, removed: &BTreeSet<usize>) {
        let items = removed.iter().map(|&index| &self.inventory.items[index]);
        let held = items.filter_map(|item| Some((item.folder, item.profile?))).collect::<BTreeSet<_>>();
        let mut folders = BTreeSet::new();
        for (folder, profile) in held {
            let profile = self.inventory.profiles[profile].path.as_std_path();
            let folder = &self.inventory.folders[folder];
            let below = folder.ancestors().take_while(|folder| folder.starts_with(profile));
            let depth = |folder: &Path| folder.components().count() - profile.components().count();
            folders.extend(below.filter(|folder| depth(folder) >= 2).map(Path::to_owned));
        }
        // The deepest first. One that still holds something refuses, which is what is wanted.
        for folder in folders.iter().rev() {
            let _ = self.remove_if_empty(folder);
        }
    }

    fn remove_if_empty(&self, folder: &Path) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let parent = self.open(folder.parent().ok_or_else(missing)?)?;
        parent.remove_empty_folder(folder.file_name().ok_or_else(missing)?)
    }

    fn report(
        self,
        removed: &BTreeSet<usize>,
        errors: Vec<Failure>,
        remove_ms: u64,
        progress: &dyn Progress,
    ) -> SweepReport {
        let mut freed = Sum::new(&self.inventory.links);
        for &index in removed {
            freed.add(&self.inventory.items[index].size);
        }
        drop(self.locks);
        let is_gone =
            |unit: &&usize| self.decision.units[**unit].items.iter().all(|item| removed.contains(item));
        let removed_units = self.decision.stale_units.keys().filter(is_gone).count();
        progress.detail(&format!("removed {} of {} items", removed.len(), self.decision.stale.len()));
        SweepReport {
            freed_bytes: freed.freed,
            left_bytes: self.total_bytes.saturating_sub(freed.freed),
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
            baseline: self.baseline,
        }
    }
}

fn is_in(phase: Phase, item: &Item) -> bool {
    match phase {
        Phase::Notes => item.kind == ItemKind::Fingerprint,
        Phase::Others => !goes_last(item),
        Phase::Witnesses => goes_last(item),
    }
}

/// Removes what is to go of `item` in this phase from `folder`, if it is still the one that was seen. What is gone
/// already is fine.
fn remove(folder: &Folder, item: &Item, phase: Phase) -> io::Result<()> {
    match remove_seen(folder, item, phase) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn remove_seen(folder: &Folder, item: &Item, phase: Phase) -> io::Result<()> {
    let changed = || io::Error::other("it changed since it was planned, so it was kept");
    if item.is_folder {
        let below = folder.folder(&item.name)?;
        if below.own_status()?.id != item.id {
            return Err(changed());
        }
        let mut entries = below.entries()?;
        if item.kind == ItemKind::Fingerprint {
            entries.sort_by_key(|entry| !makes_fresh(&entry.name));
        }
        empty(&below, entries, 0)?;
        return if phase == Phase::Notes { Ok(()) } else { folder.remove_empty_folder(&item.name) };
    }
    let status = folder.status(&item.name)?;
    if status.id != item.id || status.kind != EntryKind::File || status.modified_ms != item.modified_ms {
        return Err(changed());
    }
    folder.remove_file(&item.name)
}

/// Removes `entries`, which are all of `folder`, in their order. Links are removed, not followed.
fn empty(folder: &Folder, entries: Vec<Entry>, depth: usize) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other("it is nested too deeply"));
    }
    for entry in entries {
        let result = if entry.kind == EntryKind::Folder {
            folder.folder(&entry.name).and_then(|below| {
                empty(&below, below.entries()?, depth + 1)?;
                folder.remove_empty_folder(&entry.name)
            })
        } else {
            folder.remove_file(&entry.name)
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

/// In a fingerprint's folder, the file that cargo compares first: without it nothing looks fresh.
fn makes_fresh(name: &OsStr) -> bool {
    const KINDS: [&str; 9] =
        ["doc-", "lib-", "bin-", "test-", "integration-test-", "example-", "bench-", "build-script-", "run-"];
    let name = name.to_string_lossy();
    !name.contains('.') && KINDS.iter().any(|kind| name.starts_with(kind))
}
