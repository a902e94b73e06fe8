//! Which members a tier is for, and what is built for them.
//!
//! Invariant: an affected tier leaves a member out only if none of its test programs ever ran in this checkout and nothing
//! since a base that is not HEAD itself reaches it. Whatever cannot be told is taken.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;
use xtask_units::{State, UnitSet, states};
use xtask_workspace::config::Packages;
use xtask_workspace::{
    Base, CargoCommand, Change, Changes, Files, LocalPackage, Reach, changes, config_candidates,
    may_read_outside, may_start_what_is_built,
};

use crate::budget::{Deferred, will_not_fit};
use crate::history::History;
use crate::plan::{Build, Planning};
use crate::programs::dependencies;

#[derive(Debug, Serialize)]
pub struct Chosen {
    pub name: String,
    pub reasons: Vec<String>,
}

pub(crate) struct Selected {
    pub(crate) chosen: Vec<Chosen>,
    /// Members that nothing since the base can reach.
    pub(crate) left_out: Vec<String>,
    pub(crate) why: String,
    pub(crate) build: Build,
}

/// Why members are chosen where some are known: what it was becomes known when they are built.
pub(crate) const CHANGED: &str = "changed since they last passed";

/// The members of an affected tier of tests.
pub(crate) fn affected(planning: Planning, history: &History) -> Result<Selected> {
    let Planning { workspace, options, progress } = planning;
    let never_ran = "nothing was run here yet";
    let why = if history.programs.is_empty() { never_ran } else { CHANGED };
    let all = planning.select_all(why);
    let is_known = |name: &str| history.knows(name);
    if !options.affected.trust_base || all.chosen.iter().all(|member| is_known(&member.name)) {
        return Ok(all);
    }
    let changes = changes(workspace.root(), options.affected.base.as_deref(), &workspace.environment)?;
    let base = match &changes.base {
        Base::Commit { name, .. } => name.clone(),
        Base::Head { .. } => return Ok(all),
        Base::Unknown { why } => {
            progress.detail(&format!("{why}: taking the whole workspace"));
            return Ok(all);
        }
    };
    if changes.files.is_empty() && history.programs.is_empty() {
        // As in a fresh clone of the branch.
        return Ok(all);
    }
    let reach = reach(planning, &changes);
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    for Chosen { name, .. } in all.chosen {
        let reason = match reach.members.get(&name) {
            Some(reason) => reason.clone(),
            None if is_known(&name) => "ran here before".to_owned(),
            None => {
                left_out.push(name);
                continue;
            }
        };
        progress.detail(&format!("{name}: {reason}"));
        chosen.push(Chosen { name, reasons: vec![reason] });
    }
    let why = reach.everything.unwrap_or_else(|| format!("changed since {base}, or failed last time"));
    let build = build(planning, &all.build.command, &chosen);
    progress.detail(&format!("building {}", build.why));
    Ok(Selected { chosen, left_out, why, build })
}

/// Of `selected`, what fits into the budget, and the programs that do not. With `--deferred`, what did not fit last time.
pub(crate) fn within_budget(
    planning: Planning,
    mut selected: Selected,
    history: &History,
) -> (Selected, Vec<Deferred>) {
    let options = planning.options;
    let keep = |selected: &mut Selected, keeps: &dyn Fn(&str) -> bool| {
        let before = selected.chosen.len();
        selected.chosen.retain(|member| keeps(&member.name));
        if selected.chosen.len() < before {
            selected.build = build(planning, &selected.build.command, &selected.chosen);
        }
    };
    if options.deferred {
        let earlier = history.deferred.get(&options.tier.name);
        let packages = earlier.into_iter().flat_map(BTreeMap::values).collect::<BTreeSet<_>>();
        keep(&mut selected, &|name| packages.iter().any(|package| *package == name));
        "deferred by an earlier run".clone_into(&mut selected.why);
        return (selected, Vec::new());
    }
    let Some(budget_ms) = options.deferring_budget() else { return (selected, Vec::new()) };
    let (deferred, whole) = will_not_fit(planning, &selected.build.command, history, budget_ms);
    keep(&mut selected, &|name| !whole.contains(name));
    (selected, deferred)
}

fn reach(planning: Planning, changes: &Changes) -> Reach {
    let Planning { workspace, options, .. } = planning;
    let mut cargo_config = config_candidates(workspace.root(), &workspace.environment);
    cargo_config.extend(workspace.cargo_config.paths().map(ToOwned::to_owned));
    cargo_config.retain(|file| file.is_file());
    Files::new(&workspace.facts, &options.affected, cargo_config).reach(&Change {
        files: &changes.files,
        repository: changes.repository.as_deref().unwrap_or(workspace.root()),
        unseen: &changes.unseen,
        may_read_outside: &may_read_outside(workspace),
    })
}

/// What to build for `chosen`: the whole workspace, of which only their tests run, or a narrow selection if it needs
/// no other units and has less to compile. So daily runs share their units, and every verdict is on what the
/// workspace is built from.
fn build(planning: Planning, command: &CargoCommand, chosen: &[Chosen]) -> Build {
    let facts = &planning.workspace.facts;
    let names = chosen.iter().map(|member| member.name.clone()).collect::<Vec<_>>();
    let wide = |why: String, units: Option<(UnitSet, Vec<State>)>| Build {
        command: command.clone(),
        narrow: Vec::new(),
        why,
        units,
    };
    if names.is_empty() || names.len() == command.members(facts).len() {
        return wide("the workspace".to_owned(), None);
    }
    let chosen = (0..facts.packages.len()).filter(|&at| names.contains(&facts.packages[at].name));
    let built_with = chosen.flat_map(|at| dependencies(facts, at)).collect::<BTreeSet<_>>();
    if let Some(package) = built_with.into_iter().find(|&at| may_start_what_is_built(facts, at)) {
        let why = format!("the workspace ({} may start what others build)", facts.packages[package].name);
        return wide(why, None);
    }
    let Some(units) = planning.planned(command) else {
        return wide("the workspace (its units are not known)".to_owned(), None);
    };
    let wide_states = states(planning.workspace, &units);
    let stale = units.iter().zip(&wide_states).filter(|(_, state)| **state != State::Fresh);
    let stale = stale.map(|(unit, _)| unit).collect::<Vec<_>>();
    let dirs = names.iter().filter_map(|name| facts.member(name)).map(|member: &LocalPackage| &member.dir);
    let dirs = dirs.collect::<BTreeSet<_>>();
    let count = stale.len();
    if stale.iter().all(|unit| unit.local_dir.as_ref().is_some_and(|dir| dirs.contains(dir))) {
        // A narrow selection has at least these to compile.
        let why = format!("the workspace ({count} units to compile, all of the packages chosen)");
        return wide(why, Some((units, wide_states)));
    }
    let narrow = planning.build_command(&Packages::List(names.clone()));
    let Some(narrow_units) = planning.planned(&narrow) else {
        let why = "the workspace (the narrow selection cannot be planned)".to_owned();
        return wide(why, Some((units, wide_states)));
    };
    // With other features or flags its verdict would be on other code, and daily runs would build both.
    let ids = units.iter().map(|unit| &unit.id).collect::<BTreeSet<_>>();
    let different = narrow_units.iter().filter(|unit| !ids.contains(&unit.id)).count();
    if different > 0 {
        let why =
            format!("the workspace (the packages chosen alone need {different} other units: other features)");
        return wide(why, Some((units, wide_states)));
    }
    let narrow_states = states(planning.workspace, &narrow_units);
    let narrow_count = narrow_states.iter().filter(|state| **state != State::Fresh).count();
    if narrow_count >= count {
        let why =
            format!("the workspace ({count} units to compile; {narrow_count} for the packages chosen alone)");
        return wide(why, Some((units, wide_states)));
    }
    let why =
        format!("only the packages chosen ({narrow_count} units to compile; {count} for the workspace)");
    Build { command: narrow, narrow: names, why, units: Some((narrow_units, narrow_states)) }
}
