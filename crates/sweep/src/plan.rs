//! The plan of a sweep: what goes and why, what stays that might have gone, and what is needed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_units::inventory::{Inventory, ItemKind, Sum, profile_dirs};
use xtask_units::{Times, UnitSet, whole_milliseconds};
use xtask_workspace::config::Sweep;
use xtask_workspace::{Progress, Workspace};

use crate::decide::{Decision, Question, Stale, incremental};
use crate::disk::sum_of;
use crate::guard::{Dirs, Locks};
use crate::live::{Elsewhere, Live, LiveCommand};
use crate::max_size::{self, Cost};

/// How many of the largest items are listed.
const LARGEST: usize = 10;

/// What a sweep is planned with.
#[derive(Debug, Clone)]
pub struct SweepOptions {
    /// The commands whose units are needed.
    pub commands: Vec<LiveCommand>,
    /// Commands that are needed elsewhere, so that what goes of theirs can be named.
    pub elsewhere: Vec<LiveCommand>,
    /// What else is kept.
    pub policy: Sweep,
    /// The profiles that are left alone, by name, and why: commands that are not planned build there.
    pub apart: BTreeMap<String, String>,
    /// The suite's own binary, which acts as the compiler.
    pub exe: Utf8PathBuf,
    /// Whether the user confirmed that a dir without cargo's mark is cargo's.
    pub confirmed: bool,
    /// Now, in milliseconds since 1970.
    pub now_ms: u64,
    /// How many threads to use.
    pub jobs: usize,
}

/// A command whose units are needed, planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The command, to be pasted.
    pub command: String,
    /// Why it counts.
    pub because: String,
    /// How many units it needs.
    pub units: usize,
    /// Why its units are not known.
    pub error: Option<String>,
}

/// Something that was left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// A profile, a path or a kind of items.
    pub what: String,
    pub why: String,
}

/// The bytes of one kind of items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindShare {
    pub kind: ItemKind,
    pub total_bytes: u64,
    pub stale_bytes: u64,
}

/// What goes for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonShare {
    pub why: String,
    pub bytes: u64,
    pub units: usize,
    /// For units that are needed elsewhere, the milliseconds that compiling them again takes, as far as they are known.
    pub compile_ms: Option<u64>,
}

/// One of the largest items that go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Largest {
    pub path: PathBuf,
    pub bytes: u64,
    pub why: String,
}

/// The plan. While it exists, cargo's locks are held.
#[derive(Debug, Serialize)]
pub struct SweepPlan {
    pub build_dir: Utf8PathBuf,
    pub target_dir: Utf8PathBuf,
    /// Bytes in both dirs now.
    pub total_bytes: u64,
    pub stale_bytes: u64,
    pub kept_units: usize,
    pub stale_units: usize,
    /// Units that stay only because they, or units built from them, were built within the grace time.
    pub recent_units: usize,
    pub recent_bytes: u64,
    /// By kind, the largest first.
    pub kinds: Vec<KindShare>,
    /// By reason, the largest first.
    pub reasons: Vec<ReasonShare>,
    pub largest: Vec<Largest>,
    /// What was left alone.
    pub skipped: Vec<Skipped>,
    pub commands: Vec<Planned>,
    /// What `max-size` costs, where it had to be enforced.
    pub max_size: Option<Cost>,
    /// Whether something could not be determined: a plan that failed, an unknown layout.
    pub incomplete: bool,
    pub plan_ms: u64,
    #[serde(skip)]
    pub(crate) inventory: Inventory,
    #[serde(skip)]
    pub(crate) decision: Decision,
    /// The needed units.
    #[serde(skip)]
    pub(crate) needed: UnitSet,
    #[serde(skip)]
    pub(crate) jobs: usize,
    /// Held until the plan is done or dropped.
    #[serde(skip)]
    pub(crate) locks: Locks,
}

impl SweepOptions {
    /// Plans a sweep of `workspace`, changing nothing except creating missing lock files.
    ///
    /// Fails as wrong usage where a dir must not be swept.
    pub fn plan(self, workspace: &Workspace, progress: &dyn Progress) -> Result<SweepPlan> {
        let started = Instant::now();
        let dirs = Dirs::check(workspace, self.policy.sole_owner, self.confirmed)?;
        // Before anything is read, so that nothing changes afterwards.
        let profiles = profile_dirs(&dirs.build, &dirs.target);
        let locks = Locks::take(&profiles);
        let (live, inventory) = std::thread::scope(|scope| {
            let reading = scope.spawn(|| Inventory::read(&dirs.build, &dirs.target, self.jobs));
            let live = Live::plan(workspace, &dirs, &self.commands, &self.exe, self.jobs, progress);
            (live, reading.join())
        });
        let inventory = inventory.map_err(|_| anyhow!("failed to read {}", dirs.build))?;
        let mut protected = locks.refused.clone();
        for profile in &inventory.profiles {
            let why = if !profiles.contains(profile) {
                Some("a cargo has just created it".to_owned())
            } else if let Some(why) = live.unknown_in(&profile.name) {
                Some(format!("what it needs is not known: {why}"))
            } else {
                self.apart.get(&profile.name).cloned()
            };
            if let Some(why) = why {
                protected.entry(profile.label()).or_insert(why);
            }
        }
        let left_alone = inventory.items.iter().filter(|item| item.left_alone);
        let left_alone = left_alone.map(|item| inventory.path(item)).collect::<HashSet<_>>();
        let unknown_layout = |not_read| (not_read, "its layout is not known here".to_owned());
        let unrecognised = inventory.unrecognised.iter().map(unknown_layout);
        // Anything in an unreadable folder may belong to something beside it. A single item only concerns its own unit.
        let unreadable = inventory.unreadable.iter().filter(|not_read| !left_alone.contains(&not_read.path));
        let unreadable = unreadable.map(|not_read| {
            (not_read, format!("{} cannot be read: {}", not_read.path.display(), not_read.why))
        });
        for (not_read, why) in unrecognised.chain(unreadable) {
            let mut profiles = inventory.profiles.iter();
            if let Some(profile) = profiles.find(|profile| not_read.path.starts_with(&profile.path)) {
                protected.entry(profile.label()).or_insert(why);
            }
        }
        let is_protected = inventory.profiles.iter().map(|profile| protected.contains_key(&profile.label()));
        let is_protected = is_protected.collect::<Vec<_>>();
        let mut skipped = self.skipped(&inventory, &live, &protected);
        let mut incomplete = !live.unknown.is_empty() || !inventory.unrecognised.is_empty();
        let elsewhere = Elsewhere::plan(workspace, &dirs, &self, progress);
        let names = incremental::names(workspace, &inventory, &live, self.jobs);
        if let Err(error) = &names {
            skipped.push(Skipped { what: "incremental".to_owned(), why: format!("{error:#}") });
            incomplete = true;
        }
        let question = Question {
            workspace,
            inventory: &inventory,
            live: &live,
            elsewhere: &elsewhere,
            names: names.as_ref().ok(),
            policy: &self.policy,
            protected: &is_protected,
            busy: !locks.refused.is_empty(),
            now_ms: self.now_ms,
            jobs: self.jobs,
        };
        let mut decision = question.decide();
        let max_size = self.policy.max_size.map(|most| {
            let limit = max_size::Limit::new(most, &inventory, &live, Times::load(workspace));
            limit.keep(&question, &mut decision)
        });
        decision.stale.sort_by_key(|stale| stale.item);
        let mut plan = SweepPlan {
            build_dir: dirs.build,
            target_dir: dirs.target,
            total_bytes: 0,
            stale_bytes: 0,
            kept_units: decision.units.len() - decision.stale_units.len(),
            stale_units: decision.stale_units.len(),
            recent_units: decision.recent.len(),
            recent_bytes: 0,
            kinds: Vec::new(),
            reasons: Vec::new(),
            largest: Vec::new(),
            skipped,
            commands: live.planned,
            max_size,
            incomplete,
            plan_ms: 0,
            inventory,
            decision,
            needed: live.units,
            jobs: self.jobs,
            locks,
        };
        plan.add_up();
        plan.plan_ms = whole_milliseconds(started.elapsed());
        Ok(plan)
    }

    /// What is left alone, and why.
    fn skipped(&self, inventory: &Inventory, live: &Live, kept: &BTreeMap<String, String>) -> Vec<Skipped> {
        let is_said = |(_, why): &(&String, &String)| !self.apart.values().any(|apart| apart == *why);
        let said = kept.iter().filter(is_said).collect::<Vec<_>>();
        let profiles =
            said.iter().map(|(label, why)| Skipped { what: format!("profile {label}"), why: (*why).clone() });
        let unknown =
            live.unknown.iter().filter(|(_, why)| !said.iter().any(|(_, said)| said.ends_with(why)));
        let commands =
            unknown.map(|(_, why)| Skipped { what: "a needed command".to_owned(), why: why.clone() });
        let not_read = inventory.unrecognised.iter().chain(&inventory.unreadable);
        let paths = not_read.map(|not_read| at(&not_read.path, &not_read.why));
        let links = inventory.items.iter().filter(|item| item.left_alone && item.profile.is_some());
        let links = links.map(|item| inventory.path(item));
        let links =
            links.filter(|path| !inventory.unreadable.iter().any(|unreadable| unreadable.path == *path));
        let links = links.map(|path| at(&path, "not a file or folder, and links are not followed"));
        profiles.chain(commands).chain(paths).chain(links).collect()
    }
}

fn at(path: &Path, why: &str) -> Skipped {
    Skipped { what: path.display().to_string(), why: why.to_owned() }
}

impl SweepPlan {
    /// Fills in the bytes.
    fn add_up(&mut self) {
        let (inventory, decision) = (&self.inventory, &self.decision);
        let mut kinds = BTreeMap::<ItemKind, (u64, u64)>::new();
        let mut all = Sum::new(&inventory.links);
        // A file with several names counts where it was seen first, whichever of its names goes last.
        let mut kind_of_link = vec![ItemKind::Other; inventory.links.len()];
        for item in &inventory.items {
            let before = all.bytes;
            for &link in item.size.links.iter().filter(|link| !all.has(**link)) {
                kind_of_link[link as usize] = item.kind;
            }
            all.add(&item.size);
            kinds.entry(item.kind).or_default().0 += all.bytes - before;
        }
        let mut stale = Sum::new(&inventory.links);
        let share = |why: &String| ReasonShare {
            why: why.clone(),
            bytes: 0,
            units: 0,
            compile_ms: decision.compile_ms.get(why).copied(),
        };
        let mut reasons = decision.reasons.iter().map(share).collect::<Vec<_>>();
        for entry in &decision.stale {
            let item = &inventory.items[entry.item];
            let before = stale.freed;
            kinds.entry(item.kind).or_default().1 += item.size.bytes;
            stale.add_and(&item.size, |link, bytes| kinds.entry(kind_of_link[link]).or_default().1 += bytes);
            reasons[entry.reason].bytes += stale.freed - before;
        }
        for reason in decision.stale_units.values() {
            reasons[*reason].units += 1;
        }
        reasons.retain(|share| share.bytes > 0 || share.units > 0);
        reasons.sort_by(|a, b| (b.bytes, b.units, &a.why).cmp(&(a.bytes, a.units, &b.why)));
        let recent = decision.recent.iter().flat_map(|&unit| &decision.units[unit].items);
        let recent_bytes = sum_of(inventory, recent).bytes;
        let kinds = kinds.into_iter();
        let share = |(kind, (total_bytes, stale_bytes))| KindShare { kind, total_bytes, stale_bytes };
        let mut kinds = kinds.map(share).collect::<Vec<_>>();
        kinds.sort_by_key(|share| Reverse((share.stale_bytes, share.total_bytes)));
        let mut sized = decision.stale.clone();
        sized.sort_by_cached_key(|stale| Reverse(inventory.bytes(&inventory.items[stale.item])));
        let largest = |stale: &Stale| {
            let item = &inventory.items[stale.item];
            let why = decision.reasons[stale.reason].clone();
            Largest { path: inventory.path(item), bytes: inventory.bytes(item), why }
        };
        let largest = sized.iter().take(LARGEST).map(largest).collect();
        (self.total_bytes, self.stale_bytes, self.recent_bytes) = (all.bytes, stale.freed, recent_bytes);
        (self.kinds, self.reasons, self.largest) = (kinds, reasons, largest);
    }
}
