//! Which planned units lie fresh on disk, told without starting cargo.
//!
//! It follows cargo's rules as far as files tell them: a unit is there when its fingerprint and outputs are,
//! and fresh when nothing it was made from is newer and every unit it depends on is fresh. What only cargo
//! sees (a change of lints, a variable that a build script watches) is missed: this prices a plan, and
//! cargo itself decides what is compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_workspace::Workspace;

use crate::dep_info::{self, Inputs};
use crate::unit::{Mode, TargetKind, Unit, UnitSet};

/// What lies on disk of a planned unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing will be compiled.
    Fresh,
    /// It was never built, or not to its end.
    Missing,
    /// It is there, but made from something that changed since.
    Dirty(String),
    /// Nothing of its own changed, but this unit it depends on is compiled anew.
    Outdated(String),
}

/// The state of every unit of `units`, in their order.
pub fn states(workspace: &Workspace, units: &UnitSet) -> Vec<State> {
    let mut clock = Clock::default();
    let by_id =
        units.iter().enumerate().map(|(index, unit)| (unit.id.as_str(), index)).collect::<BTreeMap<_, _>>();
    let runs_of = |unit: &Unit| {
        let dependencies = unit.dependencies.iter().filter_map(|id| units.get(*by_id.get(id.as_str())?));
        dependencies.filter(|unit| unit.mode == Mode::RunBuildScript).cloned().collect::<Vec<_>>()
    };
    let own = units.iter().map(|unit| own_state(workspace, unit, &runs_of, &mut clock)).collect::<Vec<_>>();
    let made = units.iter().map(|unit| Made::of(workspace, unit)).collect::<Vec<_>>();
    let mut states = vec![None; own.len()];
    for index in 0..own.len() {
        settle(index, units, (&own, &made), &by_id, &mut states);
    }
    states.into_iter().map(|state| state.unwrap_or(State::Missing)).collect()
}

/// A unit is as fresh as the least fresh unit it depends on. Cargo's unit graph has no circles.
fn settle(
    index: usize,
    units: &UnitSet,
    (own, made): (&[State], &[Made]),
    by_id: &BTreeMap<&str, usize>,
    states: &mut Vec<Option<State>>,
) {
    if states[index].is_some() {
        return;
    }
    // Marks it as being worked on; a circle, which cannot be, would end here.
    states[index] = Some(own[index].clone());
    let Some(unit) = units.get(index) else { return };
    for dependency in unit.dependencies.iter().filter_map(|id| by_id.get(id.as_str())) {
        settle(*dependency, units, (own, made), by_id, states);
        // An integration test starts the binaries of its package, so cargo builds them first but does not
        // compile the test anew for them (core/compiler/fingerprint, `calculate_normal`).
        let started = units.get(*dependency).is_some_and(|unit| unit.kind == TargetKind::Bin);
        // Another command may have made the dependency anew, and this unit not yet (`check_filesystem` there).
        let newer = made[*dependency].needed.zip(made[index].last).is_some_and(|(needed, own)| needed > own);
        let stale = !started && (newer || !matches!(states[*dependency], Some(State::Fresh)));
        if stale && matches!(states[index], Some(State::Fresh)) {
            let name = units.get(*dependency).map(Unit::describe).unwrap_or_default();
            states[index] = Some(State::Outdated(name));
        }
    }
}

/// When a unit's outputs were written.
struct Made {
    /// The last of them.
    last: Option<SystemTime>,
    /// What those wait for that depend on it: a library's metadata where it has some, else the last of all.
    needed: Option<SystemTime>,
}

impl Made {
    fn of(workspace: &Workspace, unit: &Unit) -> Self {
        if unit.mode == Mode::RunBuildScript {
            let time = built_at(unit);
            return Self { last: time, needed: time };
        }
        let outputs = unit.files.iter().filter(|file| is_intermediate(workspace, file));
        let outputs = outputs.filter(|file| file.extension() != Some("d"));
        let times = outputs.filter_map(|file| {
            let metadata = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
            Some((file.extension() == Some("rmeta"), metadata.modified().ok()?))
        });
        let times = times.collect::<Vec<_>>();
        let last = times.iter().map(|(_, time)| *time).max();
        let metadata = times.iter().find(|(metadata, _)| *metadata).map(|(_, time)| *time);
        Self { last, needed: metadata.or(last) }
    }
}

/// Modification times, each asked for once: units of a package share their sources.
#[derive(Default)]
struct Clock(BTreeMap<Utf8PathBuf, Option<SystemTime>>);

impl Clock {
    fn of(&mut self, path: &Utf8Path) -> Option<SystemTime> {
        if let Some(time) = self.0.get(path) {
            return *time;
        }
        let time = modified(path);
        self.0.insert(path.to_owned(), time);
        time
    }
}

fn modified(path: &Utf8Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn own_state(
    workspace: &Workspace,
    unit: &Unit,
    runs_of: &dyn Fn(&Unit) -> Vec<Unit>,
    clock: &mut Clock,
) -> State {
    // Cargo writes this file last; without it the unit was never finished.
    if !unit.fingerprint_dir.join(&unit.fingerprint_file).is_file() {
        return State::Missing;
    }
    let gone = unit.files.iter().find(|file| file.starts_with(&workspace.facts.build_dir) && !file.exists());
    if let Some(file) = gone.filter(|file| is_intermediate(workspace, file)) {
        return State::Dirty(format!("{file} is gone"));
    }
    if unit.local_dir.is_none() {
        // Sources of a registry or git package do not change under their version.
        return State::Fresh;
    }
    let Some(built) = built_at(unit) else { return State::Missing };
    match inputs(workspace, unit) {
        None => State::Missing,
        Some(mut inputs) => {
            // Variables that its own build script set are compared by cargo through the script.
            inputs.variables.retain(|(name, _)| !is_cargos_variable(name));
            if !inputs.variables.is_empty() {
                let set = runs_of(unit).iter().flat_map(variables_set_by).collect::<BTreeSet<_>>();
                inputs.variables.retain(|(name, _)| !set.contains(name));
            }
            changed_since(unit, &inputs, built, workspace, clock).map_or(State::Fresh, State::Dirty)
        }
    }
}

/// Uplifted files are linked anew without compiling anything.
fn is_intermediate(workspace: &Workspace, file: &Utf8Path) -> bool {
    let below = file.strip_prefix(&workspace.facts.build_dir).unwrap_or(file);
    below.components().any(|part| matches!(part.as_str(), "deps" | "build"))
}

/// When the unit's inputs were read: cargo compares with the time of its own dep-info file, or of the output
/// of a build script.
fn built_at(unit: &Unit) -> Option<SystemTime> {
    if unit.mode == Mode::RunBuildScript {
        return modified(&run_folder(unit)?.join("output"))
            .or_else(|| modified(&run_folder(unit)?.join("run/output")));
    }
    let dep = unit.fingerprint_dir.join(format!("dep-{}", unit.fingerprint_file));
    modified(&dep).or_else(|| modified(&unit.fingerprint_dir.join("invoked.timestamp")))
}

fn run_folder(unit: &Unit) -> Option<&Utf8Path> {
    unit.files.first().map(Utf8PathBuf::as_path)
}

fn inputs(workspace: &Workspace, unit: &Unit) -> Option<Inputs> {
    let package_dir = unit.local_dir.as_deref()?;
    if unit.mode == Mode::RunBuildScript {
        let folder = run_folder(unit)?;
        let output =
            [folder.join("output"), folder.join("run/output")].into_iter().find(|path| path.is_file())?;
        return dep_info::of_build_script(&output, package_dir);
    }
    // Cargo runs rustc at the workspace root for packages below it, else in the package's own folder.
    let root = workspace.root();
    let dir = if package_dir.starts_with(root) { root } else { package_dir };
    let file = unit.dep_info().find(|file| is_intermediate(workspace, file) || file.exists())?;
    dep_info::of_compiler(file, dir)
}

fn changed_since(
    unit: &Unit,
    inputs: &Inputs,
    built: SystemTime,
    workspace: &Workspace,
    clock: &mut Clock,
) -> Option<String> {
    let package_dir = unit.local_dir.as_deref()?;
    let shown = |file: &Utf8Path| file.strip_prefix(workspace.root()).unwrap_or(file).to_string();
    for file in &inputs.files {
        match clock.of(file) {
            None => return Some(format!("{} is gone", shown(file))),
            Some(_) if unit.mode == Mode::RunBuildScript && file.is_dir() => {
                if newest_below(file, built) {
                    return Some(format!("something in {} changed", shown(file)));
                }
            }
            Some(time) if time > built => return Some(format!("{} changed", shown(file))),
            Some(_) => {}
        }
    }
    if inputs.whole_package && newest_below(package_dir, built) {
        return Some(format!(
            "something in {} changed, and its build script names no files to watch",
            shown(package_dir)
        ));
    }
    let configured = if inputs.variables.is_empty() { BTreeMap::new() } else { workspace.cargo_config.env() };
    let changed = inputs.variables.iter().find(|(name, value)| {
        let now = workspace.environment.get(name).or_else(|| configured.get(name).map(String::as_str));
        now != value.as_deref().filter(|value| !value.is_empty())
    });
    changed.map(|(name, _)| format!("variable {name} changed"))
}

/// Variables of the package itself are set by cargo, and the arguments of clippy by `cargo clippy`, so the environment here
/// does not have them.
fn is_cargos_variable(name: &str) -> bool {
    name.starts_with("CARGO") || name == "OUT_DIR" || name == "CLIPPY_ARGS"
}

/// The names that a build script set for its package with `rustc-env`.
fn variables_set_by(run: &Unit) -> Vec<String> {
    let output =
        run_folder(run).into_iter().flat_map(|folder| [folder.join("output"), folder.join("run/output")]);
    output.filter_map(|output| dep_info::variables_of_build_script(&output)).flatten().collect()
}

/// Whether anything below `dir` is newer than `time`; cargo leaves out its own target dir and hidden folders.
fn newest_below(dir: &Utf8Path, time: SystemTime) -> bool {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in dir.read_dir_utf8().into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let name = entry.file_name();
            if metadata.is_dir() && !metadata.is_symlink() {
                // A folder with a manifest is another package's.
                if name != "target" && !name.starts_with('.') && !entry.path().join("Cargo.toml").is_file() {
                    open.push(entry.path().to_owned());
                }
            } else if metadata.modified().is_ok_and(|modified| modified > time) {
                return true;
            }
        }
    }
    false
}

/// The files that each local package was made from, by package folder: `None` when that cannot be told, because a
/// unit of it was never built or is out of date. Those in its own folder are among them: a member in a folder
/// below may own such a file, git may not see it, and it may be a link; then the place it leads to is there too.
pub fn reads(
    workspace: &Workspace,
    units: &UnitSet,
    states: &[State],
) -> BTreeMap<Utf8PathBuf, Option<BTreeSet<Utf8PathBuf>>> {
    let mut known = BTreeMap::<Utf8PathBuf, Option<BTreeSet<Utf8PathBuf>>>::new();
    let mut links = Links::default();
    for (unit, state) in units.iter().zip(states) {
        let Some(dir) = &unit.local_dir else { continue };
        let files = known.entry(dir.clone()).or_insert_with(|| Some(BTreeSet::new()));
        let current = matches!(state, State::Fresh | State::Outdated(_));
        let own = if current { inputs(workspace, unit) } else { None };
        match (own, files.as_mut()) {
            (Some(inputs), Some(files)) => {
                for file in inputs.files {
                    let path = normalized(&file);
                    if !files.contains(&path) {
                        files.extend(links.resolved(&file));
                        files.insert(path);
                    }
                }
            }
            _ => *files = None,
        }
    }
    known
}

/// Where folders really are, each asked for once: most files share theirs.
#[derive(Default)]
struct Links(BTreeMap<Utf8PathBuf, Option<Utf8PathBuf>>);

impl Links {
    /// The path of `file` without links in it; `None` when it is gone.
    fn resolved(&mut self, file: &Utf8Path) -> Option<Utf8PathBuf> {
        if fs::symlink_metadata(file).ok()?.is_symlink() {
            return file.canonicalize_utf8().ok();
        }
        let folder = file.parent()?;
        let real = self.0.entry(folder.to_owned()).or_insert_with(|| folder.canonicalize_utf8().ok());
        Some(real.as_ref()?.join(file.file_name()?))
    }
}

/// `path` without `.` and `..`, told from its text: the file may be gone.
fn normalized(path: &Utf8Path) -> Utf8PathBuf {
    let mut parts = Utf8PathBuf::new();
    for part in path.components() {
        match part {
            camino::Utf8Component::ParentDir => {
                parts.pop();
            }
            camino::Utf8Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts
}
