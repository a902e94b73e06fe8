//! What is stale: set arithmetic over the inventory and the shadow plans. Reads a few files, changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use camino::Utf8PathBuf;
use xtask_units::inventory::{Inventory, Item, ItemKind, Owner, incremental_folders};
use xtask_units::parallel;
use xtask_workspace::config::{OtherToolchains, Sweep};
use xtask_workspace::{Progress, Workspace};

use crate::known::{DiskUnit, units};
use crate::live::Live;
use crate::plan::Skipped;
use crate::why::Reasons;
use crate::{dwo, incremental};

/// An item that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stale {
    /// Index into the inventory's items.
    pub(crate) item: usize,
    /// Index into [`Decision::reasons`].
    pub(crate) reason: usize,
}

/// What goes and what stays.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) stale: Vec<Stale>,
    pub(crate) reasons: Vec<String>,
    pub(crate) units: Vec<DiskUnit>,
    /// The reason of each unit that goes.
    pub(crate) stale_units: BTreeMap<usize, usize>,
    pub(crate) skipped: Vec<Skipped>,
}

/// What a decision is made from.
pub(crate) struct Question<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) inventory: &'a Inventory,
    pub(crate) live: &'a Live,
    pub(crate) policy: &'a Sweep,
    /// Why a profile is left alone as a whole, by its label.
    pub(crate) protected: &'a BTreeMap<String, String>,
    /// Whether a cargo is at work: what lies outside of all profiles is guarded by no lock.
    pub(crate) busy: bool,
    pub(crate) now_ms: u64,
    pub(crate) jobs: usize,
}

impl Question<'_> {
    /// Decides. `progress` hears what could not be told.
    pub(crate) fn decide(&self, progress: &dyn Progress) -> Decision {
        let mut decision = Decision { units: units(self.inventory), ..Decision::default() };
        self.units(&mut decision);
        self.uplifted(&mut decision);
        self.crates_without_id(&mut decision);
        self.incremental(&mut decision, progress);
        self.dwo(&mut decision);
        self.others(&mut decision);
        decision.stale.sort_by_key(|stale| stale.item);
        decision.stale.dedup_by_key(|stale| stale.item);
        decision
    }

    fn label(&self, profile: usize) -> String {
        self.inventory.profiles[profile].label()
    }

    fn is_protected(&self, profile: usize) -> bool {
        self.protected.contains_key(&self.label(profile))
    }

    fn is_recent(&self, modified_ms: u64) -> bool {
        self.is_younger(modified_ms, Some(self.policy.grace))
    }

    /// Whether something is not as old as `age`; no age means that nothing ever is.
    fn is_younger(&self, modified_ms: u64, age: Option<Duration>) -> bool {
        let Some(age) = age else { return true };
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        age_ms > 0 && self.now_ms.saturating_sub(modified_ms) < age_ms
    }

    fn units(&self, decision: &mut Decision) {
        let units = &mut decision.units;
        let profiles = self.inventory.profiles.iter();
        let of_profile = profiles.map(|profile| self.live.places.get(&profile.label())).collect::<Vec<_>>();
        let is_live = |unit: &DiskUnit| {
            of_profile[unit.profile].is_some_and(|units| units.contains_key(&(unit.layout, unit.id)))
        };
        let is_live = units.iter().map(is_live).collect::<Vec<_>>();
        let is_protected =
            (0..of_profile.len()).map(|profile| self.is_protected(profile)).collect::<Vec<_>>();
        let mut candidates = (0..units.len())
            .filter(|&index| !is_live[index] && !is_protected[units[index].profile])
            .collect::<Vec<_>>();
        if candidates.is_empty() {
            return;
        }
        let recent = self.recent(units, &is_live);
        candidates.retain(|index| !recent.contains(index));
        let reasons = Reasons::new(self.workspace, self.inventory, self.live, units, &is_live);
        let keep_others = self.policy.other_toolchains == OtherToolchains::Keep;
        let mut why = Vec::new();
        for index in candidates {
            if !(keep_others && reasons.other_toolchain(&units[index])) {
                why.push((index, reasons.of(&units[index])));
            }
        }
        let mut named = Interned::default();
        for (index, why) in why {
            let reason = named.index(why);
            decision.stale_units.insert(index, reason);
            let items = decision.units[index].items.iter();
            let items = items.filter(|&&item| !self.inventory.items[item].left_alone);
            decision.stale.extend(items.map(|&item| Stale { item, reason }));
        }
        decision.reasons = named.all;
    }

    /// The units that were built within the grace time, and what they were built from.
    fn recent(&self, units: &[DiskUnit], is_live: &[bool]) -> HashSet<usize> {
        let mut open = (0..units.len())
            .filter(|&index| !is_live[index] && self.is_recent(units[index].built_ms))
            .collect::<Vec<_>>();
        let mut by_hash = HashMap::<u64, Vec<usize>>::new();
        if !open.is_empty() {
            let hashes = parallel(self.jobs, units, |unit| unit.hash(self.inventory));
            for (index, hash) in hashes.into_iter().enumerate() {
                by_hash.entry(hash.unwrap_or_default()).or_default().push(index);
            }
        }
        let mut recent = HashSet::new();
        while let Some(index) = open.pop() {
            if recent.insert(index) {
                let dependencies = units[index]
                    .fingerprint(self.inventory)
                    .into_iter()
                    .flat_map(|noted| &noted.dependencies);
                open.extend(dependencies.filter_map(|hash| by_hash.get(hash)).flatten());
            }
        }
        recent
    }

    /// Final artifacts share their file with a unit's output, mostly.
    fn uplifted(&self, decision: &mut Decision) {
        let mut fate = HashMap::<u32, Option<usize>>::new();
        for (index, unit) in decision.units.iter().enumerate() {
            let reason = decision.stale_units.get(&index).copied();
            for &item in &unit.items {
                for &link in &self.inventory.items[item].size.links {
                    // One needed unit is enough to keep it.
                    let fate = fate.entry(link).or_insert(reason);
                    *fate = fate.and(reason);
                }
            }
        }
        let mut gone = HashMap::<PathBuf, usize>::new();
        let mut dep_infos = Vec::new();
        for (index, item) in self.of(&Owner::Uplifted) {
            if self.is_live_file(item) {
                continue;
            }
            let path = self.inventory.path(item);
            if path.extension().is_some_and(|extension| extension == "d") {
                dep_infos.push((index, path));
                continue;
            }
            let reason = match item.size.links.first().and_then(|link| fate.get(link)) {
                Some(fate) => *fate,
                None if self.is_recent(item.modified_ms) || !names_it(&path) => None,
                None => Some(decision.reason("a final artifact that nothing makes any more")),
            };
            if let Some(reason) = reason {
                decision.stale.push(Stale { item: index, reason });
                gone.insert(path.with_extension("d"), reason);
            }
        }
        for (index, path) in dep_infos {
            let reason = gone.get(&path).copied();
            // What it describes may be gone already; a needed one is among the needed files.
            let orphan = || {
                let described =
                    [path.with_extension(""), path.with_extension("rlib"), path.with_extension("so")];
                let item = &self.inventory.items[index];
                !described.iter().any(|path| path.exists())
                    && describes_own_folder(&path)
                    && !self.is_recent(item.modified_ms)
            };
            let reason =
                reason.or_else(|| orphan().then(|| decision.reason("describes an artifact that is gone")));
            decision.stale.extend(reason.map(|reason| Stale { item: index, reason }));
        }
    }

    /// Files of the compiler's that carry no unit id.
    fn crates_without_id(&self, decision: &mut Decision) {
        for (index, item) in self.of(&Owner::Crate) {
            if !self.is_live_file(item) && !self.is_part_of_live(item) && !self.is_recent(item.modified_ms) {
                let reason = decision.reason("no needed unit writes this file");
                decision.stale.push(Stale { item: index, reason });
            }
        }
    }

    /// `lib.<codegen unit>.rcgu.dwo` beside a needed `lib.d`.
    fn is_part_of_live(&self, item: &Item) -> bool {
        let Some((stem, _)) = item.name.to_str().and_then(|name| name.split_once('.')) else { return true };
        item.kind == ItemKind::Dwo
            && Utf8PathBuf::from_path_buf(self.inventory.folders[item.folder].join(format!("{stem}.d")))
                .is_ok_and(|path| self.live.files.contains(&path))
    }

    fn is_live_file(&self, item: &Item) -> bool {
        Utf8PathBuf::from_path_buf(self.inventory.path(item))
            .is_ok_and(|path| self.live.files.contains(&path))
    }

    /// The items of this owner in profiles that are not left alone.
    fn of<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = (usize, &'a Item)> {
        let profiles = 0..self.inventory.profiles.len();
        let is_protected = profiles.map(|profile| self.is_protected(profile)).collect::<Vec<_>>();
        let items = self.inventory.items.iter().enumerate();
        items.filter(move |(_, item)| {
            item.owner == *owner
                && !item.left_alone
                && item.profile.is_some_and(|profile| !is_protected[profile])
        })
    }

    fn incremental(&self, decision: &mut Decision, progress: &dyn Progress) {
        let mut folders = BTreeMap::<(usize, &str), Vec<usize>>::new();
        for (index, item) in self.inventory.items.iter().enumerate() {
            if let (Some(profile), Owner::Incremental { folder }) = (item.profile, &item.owner)
                && !self.is_protected(profile)
            {
                folders.entry((profile, folder)).or_default().push(index);
            }
        }
        let on_disk = folders
            .keys()
            .filter_map(|(profile, folder)| Some((self.label(*profile), incremental_folders(folder)?)))
            .collect::<BTreeSet<_>>();
        let wanted = self.live.incremental.iter().flat_map(|(label, all)| {
            all.iter()
                .filter(|incremental| on_disk.contains(&(label.clone(), incremental.crate_name.as_str())))
        });
        let names = match incremental::folders(self.workspace, &wanted.cloned().collect(), self.jobs) {
            Ok(names) => names,
            Err(error) => {
                progress.note(&format!("incremental/ is left as it is: {error:#}"));
                let what = "incremental".to_owned();
                decision.skipped.push(Skipped { what, why: format!("{error:#}") });
                return;
            }
        };
        let mut live = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (label, all) in &self.live.incremental {
            let folders = all.iter().filter_map(|incremental| names.get(incremental)).map(String::as_str);
            live.entry(label).or_default().extend(folders);
        }
        for ((profile, folder), items) in folders {
            let label = self.label(profile);
            if live.get(label.as_str()).is_some_and(|live| live.contains(folder)) {
                self.old_sessions(&items, decision);
            } else if !items.iter().any(|&item| self.is_recent(self.inventory.items[item].modified_ms)) {
                let reason = decision.reason("no needed unit compiles into this incremental folder");
                decision.stale.extend(self.removable(&items).map(|item| Stale { item, reason }));
            }
        }
    }

    fn removable<'a>(&'a self, items: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        items.iter().copied().filter(|&item| !self.inventory.items[item].left_alone)
    }

    /// Of a needed folder rustc uses the newest finished session only (`rustc_incremental/persist/fs.rs`). What a
    /// failed compilation leaves is no finished one.
    fn old_sessions(&self, items: &[usize], decision: &mut Decision) {
        let name = |item: usize| self.inventory.items[item].name.to_str().unwrap_or_default();
        let sessions = items.iter().copied().filter(|&item| self.inventory.items[item].is_folder);
        let finished = sessions.filter_map(|item| Some((finished_at(name(item))?, name(item))));
        let newest = finished.max().map_or("", |(_, newest)| newest);
        // `s-<time>-<random>-<svh>` has the lock file `s-<time>-<random>.lock`.
        let lock = newest.rsplit_once('-').map(|(stem, _)| format!("{stem}.lock"));
        let is_kept = |name: &str| name == newest || Some(name) == lock.as_deref() || !name.starts_with("s-");
        let old = self.removable(items).filter(|&item| !is_kept(name(item))).collect::<Vec<_>>();
        if !old.is_empty() {
            let reason = decision.reason("an older or unfinished session of incremental compilation");
            decision.stale.extend(old.into_iter().map(|item| Stale { item, reason }));
        }
    }

    /// Debug info of needed units that their artifact does not name.
    fn dwo(&self, decision: &mut Decision) {
        let mut piles = BTreeMap::<(usize, String), (Vec<usize>, Vec<PathBuf>)>::new();
        for unit in
            decision.units.iter().enumerate().filter(|(index, _)| !decision.stale_units.contains_key(index))
        {
            let (_, unit) = unit;
            if self.is_protected(unit.profile) {
                continue;
            }
            let pile = piles.entry((unit.profile, format!("{:016x}", unit.id))).or_default();
            self.add_to_pile(unit.items.iter().copied(), pile);
        }
        for (index, item) in
            self.of(&Owner::Crate).filter(|(_, item)| self.is_live_file(item) || self.is_part_of_live(item))
        {
            let stem = item.name.to_str().and_then(|name| name.split('.').next()).unwrap_or_default();
            let stem = stem
                .strip_prefix("lib")
                .filter(|rest| !rest.is_empty() && item.kind != ItemKind::Dwo)
                .unwrap_or(stem);
            let profile = item.profile.unwrap_or_default();
            self.add_to_pile([index].into_iter(), piles.entry((profile, stem.to_owned())).or_default());
        }
        for (dwo, artifacts) in piles.into_values().filter(|(dwo, _)| !dwo.is_empty()) {
            let Ok(named) = dwo::named_in(artifacts.iter().map(PathBuf::as_path)) else { continue };
            let name = |item: usize| &self.inventory.items[item].name;
            if !dwo.iter().any(|&item| dwo::is_named(&named, name(item))) {
                continue;
            }
            let reason = decision.reason("debug info that its artifact does not name");
            let unnamed = self.removable(&dwo).filter(|&item| !dwo::is_named(&named, name(item)));
            decision.stale.extend(unnamed.map(|item| Stale { item, reason }));
        }
    }

    fn add_to_pile(
        &self,
        items: impl Iterator<Item = usize>,
        (dwo, artifacts): &mut (Vec<usize>, Vec<PathBuf>),
    ) {
        for index in items {
            let item = &self.inventory.items[index];
            match item.kind {
                ItemKind::Dwo => dwo.push(index),
                ItemKind::Deps if !item.is_folder => {
                    let path = self.inventory.path(item);
                    if path.extension().is_none_or(|extension| extension != "d" && extension != "rmeta") {
                        artifacts.push(path);
                    }
                }
                _ => {}
            }
        }
    }

    /// What belongs to no unit: leftovers of killed compilers, and what cargo's other commands made.
    fn others(&self, decision: &mut Decision) {
        let docs = self.inventory.items.iter().filter(|item| item.kind == ItemKind::Doc);
        let needs_docs = docs.clone().any(|item| self.is_live_file(item));
        let newest_doc = docs.map(|item| item.modified_ms).max().unwrap_or(0);
        for (index, item) in self.inventory.items.iter().enumerate() {
            let old = |age: Option<Duration>| !self.is_younger(item.modified_ms, age);
            let why = match item.kind {
                _ if item.left_alone => None,
                ItemKind::Temporary => item
                    .profile
                    .is_some_and(|profile| !self.is_protected(profile))
                    .then_some("left by a compiler that was killed"),
                _ if self.busy => None,
                ItemKind::Package => old(self.policy.package).then_some("packaged long ago"),
                ItemKind::Timings => old(self.policy.timings).then_some("timings of long ago"),
                ItemKind::Doc if self.live.documentation_unknown || item.name == ".lock" => None,
                ItemKind::Doc if needs_docs => {
                    let of_crate = item.is_folder && self.inventory.path(item).join("index.html").is_file();
                    (of_crate && !self.is_live_file(item) && old(self.policy.doc))
                        .then_some("documentation that no tier makes")
                }
                ItemKind::Doc => (!self.is_younger(newest_doc, self.policy.doc))
                    .then_some("documentation that no tier makes"),
                _ => None,
            };
            if let Some(why) = why {
                let reason = decision.reason(why);
                decision.stale.push(Stale { item: index, reason });
            }
        }
    }
}

impl Decision {
    /// The index of `why`.
    pub(crate) fn reason(&mut self, why: &str) -> usize {
        let known = self.reasons.iter().position(|reason| reason == why);
        known.unwrap_or_else(|| {
            self.reasons.push(why.to_owned());
            self.reasons.len() - 1
        })
    }
}

/// Texts, each once.
#[derive(Default)]
struct Interned {
    all: Vec<String>,
    index: HashMap<String, usize>,
}

impl Interned {
    fn index(&mut self, text: String) -> usize {
        let next = self.all.len();
        *self.index.entry(text).or_insert_with_key(|text| {
            self.all.push(text.clone());
            next
        })
    }
}

/// When a session was begun, from its name; `None` for one that was not finished.
fn finished_at(name: &str) -> Option<u64> {
    let mut parts = name.strip_prefix("s-")?.split('-');
    let (time, _random, svh) = (parts.next()?, parts.next()?, parts.next()?);
    (svh != "working").then(|| u64::from_str_radix(time, 36).ok()).flatten()
}

/// Whether cargo's dep-info beside an artifact says that it is one.
fn names_it(artifact: &Path) -> bool {
    let text = fs::read_to_string(artifact.with_extension("d")).unwrap_or_default();
    let escaped = artifact.to_string_lossy().replace(' ', "\\ ");
    text.lines().any(|line| line.strip_prefix(&*escaped).is_some_and(|rest| rest.starts_with(':')))
}

/// Whether a dep-info file is cargo's about something in its own folder.
fn describes_own_folder(dep_info: &Path) -> bool {
    let text = fs::read_to_string(dep_info).unwrap_or_default();
    let stem = dep_info.with_extension("");
    text.starts_with(&*stem.to_string_lossy().replace(' ', "\\ "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_ordered_by_their_time() {
        assert!(
            finished_at("s-hodeeffuh4-00b4ygs-9lmcupe52jw780uingz2fislr")
                > finished_at("s-hodeefba2e-1nmsxm2-x")
        );
        assert!(finished_at("s-10000000000-1-x") > finished_at("s-zzzzzzzzzz-1-x"), "one digit more");
        assert_eq!(finished_at("s-hodeefba2e-1nmsxm2-working"), None);
        assert_eq!(finished_at("s-hodeefba2e-1nmsxm2.lock"), None);
    }
}
