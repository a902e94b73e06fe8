//! Which members an affected tier runs for, and what is built for them.
//!
//! Invariant: a member is left out only if it last passed here with the same inputs, or if nothing since a base that is
//! not HEAD itself reaches it. Whatever cannot be told selects.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_units::{State, UnitSet, reads, states};
use xtask_workspace::config::{Packages, TierCommand};
use xtask_workspace::{
    Base, CargoCommand, Change, Changes, Digest, Files, Hasher, LocalPackage, Reach, Reads, Workspace,
    changes, config_candidates, may_read_outside, stamp,
};

use crate::history::Results;
use crate::plan::{Build, Planning, TierOptions, build_command};

#[derive(Debug, Serialize)]
pub struct Chosen {
    pub name: String,
    pub reasons: Vec<String>,
}

pub(crate) struct Selected {
    pub(crate) chosen: Vec<Chosen>,
    pub(crate) why: String,
    pub(crate) build: Build,
    pub(crate) inputs: Option<InputsOf>,
}

/// What the members would be run with now.
#[derive(Debug)]
pub(crate) struct InputsOf {
    /// By member; `None` if it is not known what its tests are built from.
    pub(crate) members: BTreeMap<String, Option<Digest>>,
    /// A digest of every file in the work tree.
    pub(crate) contents: BTreeMap<Utf8PathBuf, String>,
    /// The text of the lock file, if git does not track it.
    pub(crate) lock: Option<String>,
}

struct Now<'a> {
    workspace: &'a Workspace,
    options: &'a TierOptions,
    members: Vec<&'a LocalPackage>,
    changes: Changes,
    /// What the build of the whole workspace needs.
    wide: UnitSet,
    states: Vec<State>,
    files: Files<'a>,
    lock: Utf8PathBuf,
}

pub(crate) fn affected(planning: Planning) -> Result<Selected> {
    let Planning { workspace, options, progress } = planning;
    let changes = changes_of(options, workspace)?;
    if let Base::Unknown { why } = &changes.base {
        progress.note(&format!("{why}: taking the whole workspace"));
        return Ok(planning.select_all(why));
    }
    let command = planning.build_command(&options.tier.packages);
    let Some(wide) = planning.planned(&command) else {
        return Ok(planning.select_all("the units are not known"));
    };
    let now = Now::new(workspace, options, &command, changes, wide);
    let inputs = now.inputs(&command)?;
    let results = Results::load(workspace, &options.tier.name);
    let (chosen, why) = now.choose(&results, &inputs);
    for member in &chosen {
        progress.detail(&format!("{}: {}", member.name, member.reasons.join(", ")));
    }
    let build = now.build(planning, command, &chosen);
    progress.detail(&format!("building {}", build.why));
    Ok(Selected { chosen, why, build, inputs: Some(inputs) })
}

pub(crate) fn inputs_now(options: &TierOptions, workspace: &Workspace) -> Result<InputsOf> {
    let command = build_command(workspace, &options.tier, options.preset.as_ref());
    let wide = xtask_units::plan(workspace, &command, &options.exe)?.units;
    Now::new(workspace, options, &command, changes_of(options, workspace)?, wide).inputs(&command)
}

pub(crate) fn changes_of(options: &TierOptions, workspace: &Workspace) -> Result<Changes> {
    changes(workspace.root(), options.affected.base.as_deref(), &workspace.environment)
}

impl<'a> Now<'a> {
    fn new(
        workspace: &'a Workspace,
        options: &'a TierOptions,
        command: &CargoCommand,
        changes: Changes,
        wide: UnitSet,
    ) -> Self {
        let states = states(workspace, &wide);
        let mut reads = reads(workspace, &wide, &states);
        let facts = &workspace.facts;
        let reads = facts.packages.iter().map(|package| match reads.remove(&package.dir) {
            Some(Some(files)) => Reads::Known(files),
            Some(None) => Reads::Unknown,
            // No unit is made from it, so nothing is read for it: an optional dependency that is turned off.
            None => Reads::Known(BTreeSet::new()),
        });
        let mut cargo_config = config_candidates(workspace.root(), &workspace.environment);
        cargo_config.extend(workspace.cargo_config.paths().map(ToOwned::to_owned));
        cargo_config.retain(|file| file.is_file());
        Self {
            files: Files::new(facts, reads.collect(), &options.affected, cargo_config),
            lock: workspace.root().join("Cargo.lock"),
            members: command.members(&workspace.facts),
            workspace,
            options,
            changes,
            wide,
            states,
        }
    }

    /// The inputs of every member: the files that can reach its tests, the ids of its units (which stand for
    /// locked versions, features, flags and the toolchain), and the command.
    fn inputs(&self, command: &CargoCommand) -> Result<InputsOf> {
        let facts = &self.workspace.facts;
        let lock = match self.changes.at_base(&self.lock) {
            None => fs::read_to_string(&self.lock).ok(),
            Some(_) => None,
        };
        let Some(contents) = self.changes.contents()? else {
            return Ok(InputsOf { members: BTreeMap::new(), contents: BTreeMap::new(), lock });
        };
        let files = self.files.inputs(&contents, &stamp);
        let members = files.into_iter().map(|(name, digest)| {
            let dir = facts.member(&name).map(|member| &member.dir);
            let digest = digest.map(|digest| {
                let mut hasher = Hasher::new();
                hasher.field(digest.to_string()).field(command.to_string());
                for unit in self.wide.iter().filter(|unit| unit.local_dir.as_ref() == dir) {
                    hasher.field(&unit.id);
                }
                hasher.finish()
            });
            (name, digest)
        });
        Ok(InputsOf { members: members.collect(), contents: contents.files, lock })
    }

    fn reach(&self, results: &Results) -> Reach {
        let lock_before = self.changes.at_base(&self.lock).or_else(|| results.lock.clone());
        let lock_after = fs::read_to_string(&self.lock).ok();
        self.files.reach(&Change {
            files: &self.changes.files,
            repository: self.changes.repository.as_deref().unwrap_or(self.workspace.root()),
            unseen: &self.changes.unseen,
            lock: [lock_before.as_deref(), lock_after.as_deref()],
            manifest_before: &|path| self.changes.at_base(path),
            manifest_after: &|path: &Utf8Path| fs::read_to_string(path).ok(),
            may_read_outside: &may_read_outside(&self.workspace.facts),
        })
    }

    fn choose(&self, results: &Results, inputs: &InputsOf) -> (Vec<Chosen>, String) {
        // As in a fresh clone: nothing ever passed here.
        let first_run = results.members.is_empty() && self.changes.files.is_empty();
        let base = match &self.changes.base {
            Base::Commit { name, .. } => Some(name),
            Base::Head { .. } | Base::Unknown { .. } => None,
        };
        let reached = base.filter(|_| !first_run).map(|_| self.reach(results));
        let uncommitted = LazyCell::new(|| self.reach(results).members);
        let mut chosen = Vec::new();
        for member in &self.members {
            let name = &member.name;
            let last = results.members.get(name);
            let same = inputs.members.get(name).cloned().flatten();
            let reasons = match (last, &reached) {
                (Some(last), _) if !last.passed => vec!["its last run here failed".to_owned()],
                (Some(last), _) if last.inputs.is_some() && last.inputs == same => continue,
                (_, Some(reached)) => match reached.members.get(name) {
                    Some(reason) => vec![reason.clone()],
                    None => continue,
                },
                (None, None) => vec!["never run here".to_owned()],
                (Some(_), None) => {
                    let since = std::iter::once("changed since it last passed here".to_owned());
                    let files = uncommitted.get(name).into_iter();
                    since.chain(files.map(|reason| format!("not committed: {reason}"))).collect()
                }
            };
            chosen.push(Chosen { name: name.clone(), reasons });
        }
        let why = match (base, reached.and_then(|reached| reached.everything)) {
            _ if chosen.is_empty() => "nothing changed since the last run that passed".to_owned(),
            (None, _) if results.members.is_empty() => "nothing was run here yet".to_owned(),
            _ if first_run => "nothing was run here yet".to_owned(),
            (_, Some(everything)) => everything,
            (Some(base), None) => format!("changed since {base}, or failed last time"),
            (None, None) => "changed since they last passed here".to_owned(),
        };
        (chosen, why)
    }

    /// What to build for `chosen`: the whole workspace, of which only their tests run, or a narrow selection if it needs
    /// no other units and has less to compile. So daily runs share their units, and every verdict is on what the
    /// workspace is built from.
    fn build(&self, planning: Planning, command: CargoCommand, chosen: &[Chosen]) -> Build {
        let names = chosen.iter().map(|member| member.name.clone()).collect::<Vec<_>>();
        let everything = self.members.len() == names.len();
        let runs = matches!(self.options.tier.command, TierCommand::Test | TierCommand::Bench);
        let only = (runs && !everything).then(|| names.clone());
        let units = Some((self.wide.clone(), self.states.clone()));
        let wide = |why: String| Build { command, narrow: Vec::new(), only, why, units };
        if everything || names.is_empty() {
            return wide("the workspace".to_owned());
        }
        let stale = self.wide.iter().zip(&self.states).filter(|(_, state)| **state != State::Fresh);
        let stale = stale.map(|(unit, _)| unit).collect::<Vec<_>>();
        let dirs = names.iter().filter_map(|name| self.workspace.facts.member(name));
        let dirs = dirs.map(|member| &member.dir).collect::<BTreeSet<_>>();
        if stale.iter().all(|unit| unit.local_dir.as_ref().is_some_and(|dir| dirs.contains(dir))) {
            // A narrow selection has at least these to compile.
            return wide(format!(
                "the workspace ({} units to compile, all of the packages chosen)",
                stale.len()
            ));
        }
        let narrow = planning.build_command(&Packages::List(names.clone()));
        let Some(units) = planning.planned(&narrow) else {
            return wide("the workspace (the narrow selection cannot be planned)".to_owned());
        };
        // With other features or flags its verdict would be on other code, and daily runs would build both.
        let ids = self.wide.iter().map(|unit| &unit.id).collect::<BTreeSet<_>>();
        let different = units.iter().filter(|unit| !ids.contains(&unit.id)).count();
        if different > 0 {
            return wide(format!(
                "the workspace (the packages chosen alone need {different} other units: other features)"
            ));
        }
        let states = states(self.workspace, &units);
        let narrow_stale = states.iter().filter(|state| **state != State::Fresh).count();
        let stale = stale.len();
        if narrow_stale >= stale {
            return wide(format!(
                "the workspace ({stale} units to compile; {narrow_stale} for the packages chosen alone)"
            ));
        }
        let why =
            format!("only the packages chosen ({narrow_stale} units to compile; {stale} for the workspace)");
        Build { command: narrow, narrow: names, only: None, why, units: Some((units, states)) }
    }
}
