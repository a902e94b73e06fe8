//! What is stale of things that are no units: incremental folders, piles of debug info, leftovers, and what cargo's
//! other commands made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use camino::Utf8Path;
use xtask_units::inventory::{ItemKind, Owner, incremental_crate};

use super::unnamed::{Crates, dep_info_of, is_object};
use super::{Decision, Question, Stale};
use crate::plan::Skipped;
use crate::{dwo, incremental};

/// Why what a killed compiler left goes.
const KILLED: &str = "left by a compiler that was killed";

/// The files of one unit, or of one crate without an id.
struct Pile {
    profile: usize,
    dwo: Vec<usize>,
    objects: Vec<usize>,
    artifacts: Vec<PathBuf>,
}

impl Question<'_> {
    pub(super) fn incremental(&self, kept: &Crates, decision: &mut Decision) {
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
            .filter_map(|(profile, folder)| Some((self.place(*profile), incremental_crate(folder)?)))
            .collect::<BTreeSet<_>>();
        let wanted = self.live.incremental.iter().flat_map(|(place, all)| {
            all.iter().filter(|incremental| on_disk.contains(&(&**place, incremental.crate_name.as_str())))
        });
        let names = match incremental::folders(self.workspace, &wanted.cloned().collect(), self.jobs) {
            Ok(names) => names,
            Err(error) => {
                let what = "incremental".to_owned();
                decision.skipped.push(Skipped { what, why: format!("{error:#}") });
                return;
            }
        };
        let mut live = BTreeMap::<&Utf8Path, BTreeSet<&str>>::new();
        for (place, all) in &self.live.incremental {
            let folders = all.iter().filter_map(|incremental| names.get(incremental)).map(String::as_str);
            live.entry(place).or_default().extend(folders);
        }
        for ((profile, folder), items) in folders {
            let of_kept =
                || incremental_crate(folder).is_some_and(|name| kept.contains(&(profile, name.to_owned())));
            if live.get(self.place(profile)).is_some_and(|live| live.contains(folder)) {
                self.old_sessions(&items, decision);
            } else if !items.iter().any(|&item| self.is_recent(self.inventory.items[item].modified_ms))
                && !of_kept()
            {
                let reason = decision.reason("no needed unit compiles into this incremental folder");
                decision.stale.extend(self.removable(&items).map(|item| Stale { item, reason }));
            }
        }
    }

    /// Where a profile lies.
    fn place(&self, profile: usize) -> &Utf8Path {
        &self.inventory.profiles[profile].path
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

    /// Debug info and objects of kept units that their artifact does not name.
    pub(super) fn parts(&self, decision: &mut Decision) {
        let units = decision.units.iter().enumerate();
        let kept = units.filter(|(index, _)| !decision.stale_units.contains_key(index));
        let kept = kept.filter(|(_, unit)| !self.is_protected(unit.profile));
        let of_units = kept.filter_map(|(_, unit)| self.pile(unit.profile, &unit.items));
        let mut crates = BTreeMap::<(usize, PathBuf), Vec<usize>>::new();
        for (index, item) in
            self.of(&Owner::Crate).filter(|(_, item)| self.is_live_file(item) || self.is_part_of_live(item))
        {
            let dep_info = dep_info_of(&self.inventory.path(item));
            crates.entry((item.profile.unwrap_or_default(), dep_info)).or_default().push(index);
        }
        let of_crates = crates.iter().filter_map(|((profile, _), items)| self.pile(*profile, items));
        for pile in of_units.chain(of_crates).collect::<Vec<_>>() {
            let Ok(named) = dwo::named_in(pile.artifacts.iter().map(PathBuf::as_path)) else { continue };
            let is_named = |item: usize| dwo::is_named(&named, &self.inventory.items[item].name);
            let unnamed = |part: Vec<usize>| part.into_iter().filter(|&item| !is_named(item));
            // A program that names none of them may have its debug info compressed; libraries never have.
            let is_library = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rlib");
            if pile.dwo.iter().any(|&item| is_named(item)) || pile.artifacts.iter().any(is_library) {
                let reason = decision.reason("debug info that its artifact does not name");
                decision.stale.extend(unnamed(pile.dwo).map(|item| Stale { item, reason }));
            }
            if !self.is_for_apple(pile.profile) {
                let reason = decision.reason(KILLED);
                decision.stale.extend(unnamed(pile.objects).map(|item| Stale { item, reason }));
            }
        }
    }

    /// There debug info stays in the objects.
    fn is_for_apple(&self, profile: usize) -> bool {
        let triple = self.inventory.profiles[profile].triple.as_deref();
        triple.map_or(cfg!(target_vendor = "apple"), |triple| triple.contains("apple"))
    }

    /// What is to be looked at of one unit or crate, if it has anything beside its artifacts.
    fn pile(&self, profile: usize, items: &[usize]) -> Option<Pile> {
        let item = |index: usize| &self.inventory.items[index];
        let (dwo, others) =
            self.removable(items).partition::<Vec<_>, _>(|&index| item(index).kind == ItemKind::Dwo);
        let others = others.into_iter().filter(|&index| item(index).kind == ItemKind::Deps);
        let (objects, others) = others.partition::<Vec<_>, _>(|&index| is_object(item(index)));
        if dwo.is_empty() && objects.is_empty() {
            return None;
        }
        let files = others.into_iter().filter(|&index| !item(index).is_folder);
        let paths = files.map(|index| self.inventory.path(item(index)));
        let is_artifact = |path: &PathBuf| {
            path.extension().is_none_or(|extension| extension != "d" && extension != "rmeta")
        };
        Some(Pile { profile, dwo, objects, artifacts: paths.filter(is_artifact).collect() })
    }

    /// What belongs to no unit: leftovers of killed compilers, and what cargo's other commands made.
    pub(super) fn others(&self, decision: &mut Decision) {
        let docs = self.inventory.items.iter().filter(|item| item.kind == ItemKind::Doc);
        let needs_docs = docs.clone().any(|item| self.is_live_file(item));
        let newest_doc = docs.map(|item| item.modified_ms).max().unwrap_or(0);
        for (index, item) in self.inventory.items.iter().enumerate() {
            let old = |age: Option<Duration>| !self.is_younger(item.modified_ms, age);
            let why = match item.kind {
                _ if item.left_alone => None,
                ItemKind::Temporary => {
                    item.profile.is_some_and(|profile| !self.is_protected(profile)).then_some(KILLED)
                }
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

/// When a session was begun, from its name; `None` for one that was not finished.
fn finished_at(name: &str) -> Option<u64> {
    let mut parts = name.strip_prefix("s-")?.split('-');
    let (time, _random, svh) = (parts.next()?, parts.next()?, parts.next()?);
    (svh != "working").then(|| u64::from_str_radix(time, 36).ok()).flatten()
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
