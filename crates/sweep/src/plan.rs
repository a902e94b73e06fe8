//! The plan of a sweep: what goes and why, what stays that might have gone, and what is needed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow};
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_units::inventory::{Inventory, ItemKind, Sum, profile_dirs};
use xtask_units::{State, Times, states, whole_milliseconds};
use xtask_workspace::config::Sweep;
use xtask_workspace::{Progress, Workspace};

use crate::decide::{Decision, Question, Stale};
use crate::guard::Dirs;
use crate::live::{Live, LiveCommand, label};
use crate::locks::Locks;
use crate::max_size::{self, Cost};
use crate::saved::SavedPlan;
use crate::{incremental, report::Baseline};

/// So many of the largest items are named.
const LARGEST: usize = 10;

/// What a sweep is made with.
#[derive(Debug, Clone)]
pub struct SweepOptions {
    /// The commands whose units are needed.
    pub commands: Vec<LiveCommand>,
    /// What else is kept.
    pub policy: Sweep,
    /// The profiles of which nothing is said, by name, and why: units of commands that are not planned.
    pub apart: BTreeMap<String, String>,
    /// The suite's own binary, for its role as compiler.
    pub exe: Utf8PathBuf,
    /// Whether the user said that a dir without cargo's mark is cargo's.
    pub confirmed: bool,
    /// Now, in milliseconds since 1970.
    pub now_ms: u64,
    /// How many threads to work with.
    pub jobs: usize,
    /// Only what this earlier plan names goes.
    pub saved: Option<SavedPlan>,
}

/// A command whose units are needed, planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The command, as it is pasted.
    pub command: String,
    /// Whose it is.
    pub because: String,
    /// How many units it needs.
    pub units: usize,
    /// Why that is not known.
    pub error: Option<String>,
}

/// Something that was left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// A profile, a path, a kind.
    pub what: String,
    /// Why.
    pub why: String,
}

/// One kind of items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindShare {
    /// Which.
    pub kind: ItemKind,
    /// Bytes that lie there.
    pub total_bytes: u64,
    /// Bytes that go.
    pub stale_bytes: u64,
}

/// What goes for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonShare {
    /// The reason.
    pub why: String,
    /// Bytes that go.
    pub bytes: u64,
    /// Units that go.
    pub units: usize,
}

/// One of the largest items that go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Largest {
    /// Where.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Why it goes.
    pub why: String,
}

/// The plan. While it exists, cargo's locks are held.
#[derive(Debug, Serialize)]
pub struct SweepPlan {
    /// Where intermediate artifacts lie.
    pub build_dir: Utf8PathBuf,
    /// Where final artifacts lie.
    pub target_dir: Utf8PathBuf,
    /// Bytes that lie there now.
    pub total_bytes: u64,
    /// Bytes that will be free.
    pub stale_bytes: u64,
    /// Units that stay.
    pub kept_units: usize,
    /// Units that go.
    pub stale_units: usize,
    /// Units that stay only because they were built within the grace time, or are what such were built from.
    pub recent_units: usize,
    /// Their bytes.
    pub recent_bytes: u64,
    /// By kind, the largest first.
    pub kinds: Vec<KindShare>,
    /// By reason, the largest first.
    pub reasons: Vec<ReasonShare>,
    /// The largest items that go.
    pub largest: Vec<Largest>,
    /// What was left alone.
    pub skipped: Vec<Skipped>,
    /// What is needed, and by whom.
    pub commands: Vec<Planned>,
    /// What `max-size` costs, where it had to be enforced.
    pub max_size: Option<Cost>,
    /// Whether something could not be told: a plan that failed, a layout that is not known.
    pub incomplete: bool,
    /// Milliseconds of planning.
    pub plan_ms: u64,
    #[serde(skip)]
    pub(crate) inventory: Inventory,
    #[serde(skip)]
    pub(crate) decision: Decision,
    #[serde(skip)]
    pub(crate) baseline: Baseline,
    #[serde(skip)]
    pub(crate) jobs: usize,
    /// Held until the plan is done or dropped.
    #[serde(skip)]
    pub(crate) locks: Locks,
}

impl SweepOptions {
    /// Plans a sweep of `workspace`, changing nothing but lock files that are missing.
    ///
    /// Fails as wrong usage where a dir must not be swept.
    pub fn plan(self, workspace: &Workspace, progress: &dyn Progress) -> Result<SweepPlan> {
        let started = Instant::now();
        let dirs = Dirs::check(workspace, self.policy.sole_owner, self.confirmed)?;
        // Before anything is looked at, so that nothing changes afterwards.
        let profiles = profile_dirs(&dirs.build, &dirs.target);
        let locks = Locks::take(&profiles);
        let (live, inventory) = std::thread::scope(|scope| {
            let reading = scope.spawn(|| Inventory::read(&dirs.build, &dirs.target, self.jobs));
            let live = Live::plan(workspace, &dirs, &self.commands, &self.exe, self.jobs, progress);
            (live, reading.join())
        });
        let inventory = inventory.map_err(|_| anyhow!("reading {} failed", dirs.build))?;
        let mut protected = locks.refused.clone();
        let mut incomplete = !live.unknown.is_empty() || !inventory.unrecognised.is_empty();
        for profile in &inventory.profiles {
            let why = if profiles.contains(profile) {
                let unknown = live.unknown_in(&profile.name);
                let unknown = unknown.map(|why| format!("what it needs is not known: {why}"));
                unknown.or_else(|| self.apart.get(&profile.name).cloned())
            } else {
                Some("a cargo has just made it".to_owned())
            };
            if let Some(why) = why {
                protected.entry(profile.label()).or_insert(why);
            }
        }
        for unrecognised in &inventory.unrecognised {
            let profile =
                inventory.profiles.iter().find(|profile| unrecognised.path.starts_with(&profile.path));
            if let Some(profile) = profile {
                protected.entry(profile.label()).or_insert_with(|| "its layout is not known here".to_owned());
            }
        }
        let left_alone = inventory.items.iter().filter(|item| item.left_alone);
        let left_alone = left_alone.map(|item| inventory.path(item)).collect::<HashSet<_>>();
        // What lies in an unreadable folder may belong to anything beside it. A single item is its own unit's matter.
        for unreadable in
            inventory.unreadable.iter().filter(|unreadable| !left_alone.contains(&unreadable.path))
        {
            let profile =
                inventory.profiles.iter().find(|profile| unreadable.path.starts_with(&profile.path));
            if let Some(profile) = profile {
                let why = format!("{} cannot be read: {}", unreadable.path.display(), unreadable.why);
                protected.entry(profile.label()).or_insert(why);
            }
        }
        let is_protected = inventory.profiles.iter().map(|profile| protected.contains_key(&profile.label()));
        let is_protected = is_protected.collect::<Vec<_>>();
        let question = Question {
            workspace,
            inventory: &inventory,
            live: &live,
            policy: &self.policy,
            protected: &is_protected,
            busy: !locks.refused.is_empty(),
            now_ms: self.now_ms,
            jobs: self.jobs,
        };
        let mut decision = question.decide();
        let limit = self.policy.max_size.map(|most| (most, Times::load(workspace)));
        if let Some((most, times)) = &limit {
            let wanted = live.units.iter().filter_map(|unit| unit.incremental.clone()).collect();
            let folders = incremental::folders(workspace, &wanted, self.jobs)?;
            let is_free = |profile: usize| !is_protected[profile];
            max_size::choose(*most, &inventory, &live, &folders, times, &is_free, &mut decision);
        }
        let mut skipped = self.skipped(&inventory, &protected, &live);
        incomplete |= !decision.skipped.is_empty();
        skipped.append(&mut decision.skipped);
        if let Some(saved) = &self.saved {
            skipped.extend(saved.restrict(&inventory, &mut decision));
        }
        decision.stale.sort_by_key(|stale| stale.item);
        let max_size = limit.map(|(most, times)| max_size::cost(most, &inventory, &live, &times, &decision));
        let summary = Summary::of(&inventory, &decision);
        Ok(SweepPlan {
            build_dir: dirs.build,
            target_dir: dirs.target,
            total_bytes: summary.total_bytes,
            stale_bytes: summary.stale_bytes,
            kept_units: decision.units.len() - decision.stale_units.len(),
            stale_units: decision.stale_units.len(),
            recent_units: decision.recent.len(),
            recent_bytes: summary.recent_bytes,
            kinds: summary.kinds,
            reasons: summary.reasons,
            largest: summary.largest,
            skipped,
            commands: live.planned,
            max_size,
            incomplete,
            plan_ms: whole_milliseconds(started.elapsed()),
            inventory,
            decision,
            baseline: Baseline { units: live.units, fresh: BTreeSet::new() },
            jobs: self.jobs,
            locks,
        })
    }

    fn skipped(
        &self,
        inventory: &Inventory,
        protected: &BTreeMap<String, String>,
        live: &Live,
    ) -> Vec<Skipped> {
        let mut skipped = Vec::new();
        let mut said = BTreeSet::new();
        for (label, why) in protected {
            let known = inventory.profiles.iter().any(|profile| profile.label() == *label);
            if known && !self.apart.values().any(|apart| apart == why) {
                skipped.push(Skipped { what: format!("profile {label}"), why: why.clone() });
                said.insert(why.clone());
            }
        }
        for (_, why) in &live.unknown {
            if !said.iter().any(|said| said.ends_with(why)) {
                skipped.push(Skipped { what: "a needed command".to_owned(), why: why.clone() });
            }
        }
        for not_read in inventory.unrecognised.iter().chain(&inventory.unreadable) {
            skipped.push(Skipped { what: not_read.path.display().to_string(), why: not_read.why.clone() });
        }
        for item in inventory.items.iter().filter(|item| item.left_alone && item.profile.is_some()) {
            let path = inventory.path(item);
            if !inventory.unreadable.iter().any(|unreadable| unreadable.path == path) {
                let why = "it is no file or folder, and a link is not followed".to_owned();
                skipped.push(Skipped { what: path.display().to_string(), why });
            }
        }
        skipped
    }
}

/// The figures of a plan.
struct Summary {
    total_bytes: u64,
    stale_bytes: u64,
    recent_bytes: u64,
    kinds: Vec<KindShare>,
    reasons: Vec<ReasonShare>,
    largest: Vec<Largest>,
}

impl Summary {
    fn of(inventory: &Inventory, decision: &Decision) -> Self {
        let mut kinds = BTreeMap::<ItemKind, (u64, u64)>::new();
        let mut all = Sum::new(&inventory.links);
        // A file with several names counts where it was seen first, whichever of its names goes last.
        let mut kind_of_link = vec![ItemKind::Other; inventory.links.len()];
        for item in &inventory.items {
            let before = all.bytes;
            for &link in &item.size.links {
                if !all.has(link) {
                    kind_of_link[link as usize] = item.kind;
                }
            }
            all.add(&item.size);
            kinds.entry(item.kind).or_default().0 += all.bytes - before;
        }
        let total_bytes = all.bytes;
        let mut stale = Sum::new(&inventory.links);
        let mut reasons = vec![(0, 0); decision.reasons.all.len()];
        for entry in &decision.stale {
            let item = &inventory.items[entry.item];
            let before = stale.freed;
            kinds.entry(item.kind).or_default().1 += item.size.bytes;
            stale.add_and(&item.size, |link, bytes| kinds.entry(kind_of_link[link]).or_default().1 += bytes);
            reasons[entry.reason].0 += stale.freed - before;
        }
        for reason in decision.stale_units.values() {
            reasons[*reason].1 += 1;
        }
        let mut recent = Sum::new(&inventory.links);
        for &item in decision.recent.iter().flat_map(|&unit| &decision.units[unit].items) {
            recent.add(&inventory.items[item].size);
        }
        let mut kinds = kinds
            .into_iter()
            .map(|(kind, (total_bytes, stale_bytes))| KindShare { kind, total_bytes, stale_bytes })
            .collect::<Vec<_>>();
        kinds.sort_by_key(|share| std::cmp::Reverse((share.stale_bytes, share.total_bytes)));
        let named = decision.reasons.all.iter().zip(reasons);
        let mut reasons = named
            .map(|(why, (bytes, units))| ReasonShare { why: why.clone(), bytes, units })
            .filter(|share| share.bytes > 0 || share.units > 0)
            .collect::<Vec<_>>();
        reasons.sort_by(|a, b| (b.bytes, b.units, &a.why).cmp(&(a.bytes, a.units, &b.why)));
        let sized = decision.stale.iter().map(|stale| (inventory.bytes(&inventory.items[stale.item]), stale));
        let mut sized = sized.collect::<Vec<_>>();
        let order = |(bytes, stale): &(u64, &Stale)| (std::cmp::Reverse(*bytes), stale.item);
        if sized.len() > LARGEST {
            sized.select_nth_unstable_by_key(LARGEST, order);
            sized.truncate(LARGEST);
        }
        sized.sort_unstable_by_key(order);
        let largest = sized.iter().take(LARGEST).map(|(bytes, stale)| Largest {
            path: inventory.path(&inventory.items[stale.item]),
            bytes: *bytes,
            why: decision.reasons.all[stale.reason].clone(),
        });
        Self {
            total_bytes,
            stale_bytes: stale.freed,
            recent_bytes: recent.bytes,
            kinds,
            reasons,
            largest: largest.collect(),
        }
    }
}

impl SweepPlan {
    /// Looks which needed units are fresh now: what [`verify`](crate::verify) compares with.
    #[must_use]
    pub fn to_be_verified(mut self, workspace: &Workspace) -> Self {
        let states = states(workspace, &self.baseline.units);
        let fresh = self.baseline.units.iter().zip(states).filter(|(_, state)| *state == State::Fresh);
        self.baseline.fresh = fresh.map(|(unit, _)| (label(workspace, unit), unit.id.clone())).collect();
        self
    }

    /// The plan as it can be kept and applied later.
    pub fn saved(&self) -> SavedPlan {
        SavedPlan::of(&self.inventory, &self.decision)
    }
}
