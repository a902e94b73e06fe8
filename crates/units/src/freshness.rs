//! Which planned units are fresh on disk, without starting cargo.
//!
//! It follows cargo's rules as far as files show them: a unit exists when its fingerprint and outputs do, and is fresh when
//! nothing it was made from is newer and every dependency is fresh. What only cargo sees (a change of lints, a variable that a
//! build script watches) is missed: this prices a plan, and cargo itself decides what is compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_workspace::Workspace;

use crate::unit::{Mode, TargetKind, Unit, UnitSet};

/// The state of a planned unit on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing will be compiled.
    Fresh,
    /// It was never built, or not finished.
    Missing,
    /// Something that it was made from has changed.
    Dirty(String),
    /// Nothing of its own changed, but this dependency is compiled again.
    Outdated(String),
}

/// The state of every unit of `units`, in their order.
pub fn states(workspace: &Workspace, units: &UnitSet) -> Vec<State> {
    let by_id = units.iter().enumerate().map(|(index, unit)| (unit.id.as_str(), index)).collect();
    let mut check = Check { workspace, units, by_id, modified: BTreeMap::new() };
    let mut states = units.iter().map(|unit| check.own_state(unit)).collect::<Vec<_>>();
    let written = units.iter().map(|unit| Written::of(workspace, unit)).collect::<Vec<_>>();
    let mut settled = vec![false; states.len()];
    for index in 0..states.len() {
        check.settle(index, &written, &mut settled, &mut states);
    }
    states
}

struct Check<'a> {
    workspace: &'a Workspace,
    units: &'a UnitSet,
    by_id: BTreeMap<&'a str, usize>,
    /// Modification times, each read once: the units of a package share their sources.
    modified: BTreeMap<Utf8PathBuf, Option<SystemTime>>,
}

impl<'a> Check<'a> {
    fn dependencies(&self, unit: &'a Unit) -> impl Iterator<Item = (usize, &'a Unit)> {
        let indexes = unit.dependencies.iter().filter_map(|id| self.by_id.get(id.as_str()));
        indexes.filter_map(|&index| Some((index, self.units.get(index)?)))
    }

    /// A unit is at most as fresh as each of its dependencies. Cargo's unit graph has no cycles.
    fn settle(&self, index: usize, written: &[Written], settled: &mut [bool], states: &mut [State]) {
        if std::mem::replace(&mut settled[index], true) {
            return;
        }
        let Some(unit) = self.units.get(index) else { return };
        for (at, dependency) in self.dependencies(unit) {
            self.settle(at, written, settled, states);
            // An integration test starts the binaries of its package, so cargo builds them first, but does not compile the
            // test again for them (core/compiler/fingerprint, `calculate_normal`).
            let only_started = dependency.kind == TargetKind::Bin;
            // Another command may have made the dependency again, and this unit not yet (`check_filesystem` there).
            let is_newer =
                written[at].needed.zip(written[index].last).is_some_and(|(needed, own)| needed > own);
            let is_stale = !only_started && (is_newer || states[at] != State::Fresh);
            if is_stale && states[index] == State::Fresh {
                states[index] = State::Outdated(dependency.describe());
            }
        }
    }

    fn own_state(&mut self, unit: &'a Unit) -> State {
        // Cargo writes this file last.
        if !unit.fingerprint_dir.join(&unit.fingerprint_file).is_file() {
            return State::Missing;
        }
        let build_dir = &self.workspace.facts.build_dir;
        let own = |file: &&Utf8PathBuf| file.starts_with(build_dir) && is_intermediate(self.workspace, file);
        if let Some(file) = unit.files.iter().filter(own).find(|file| !file.exists()) {
            return State::Dirty(format!("{file} is gone"));
        }
        // Sources of a registry or git package do not change while its version stays the same.
        let Some(package_dir) = &unit.local_dir else { return State::Fresh };
        let (Some(built), Some(inputs)) = (built_at(unit), inputs(self.workspace, unit)) else {
            return State::Missing;
        };
        let changed = self.changed_file(unit, package_dir, &inputs, built);
        let changed = changed.or_else(|| self.changed_variable(unit, inputs.variables));
        changed.map_or(State::Fresh, State::Dirty)
    }

    fn changed_file(
        &mut self,
        unit: &Unit,
        package_dir: &Utf8Path,
        inputs: &Inputs,
        built: SystemTime,
    ) -> Option<String> {
        let shown = |file: &Utf8Path| file.strip_prefix(self.workspace.root()).unwrap_or(file).to_string();
        for file in &inputs.files {
            let time = *self.modified.entry(file.clone()).or_insert_with(|| modified(file));
            match time {
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
        (inputs.whole_package && newest_below(package_dir, built)).then(|| {
            let dir = shown(package_dir);
            format!("something in {dir} changed, and its build script names no files to watch")
        })
    }

    fn changed_variable(
        &self,
        unit: &'a Unit,
        mut variables: Vec<(String, Option<String>)>,
    ) -> Option<String> {
        // Cargo sets those of the package, and `cargo clippy` its arguments, so they are not in our environment.
        variables
            .retain(|(name, _)| !name.starts_with("CARGO") && name != "OUT_DIR" && name != "CLIPPY_ARGS");
        if variables.is_empty() {
            return None;
        }
        // Cargo compares those that the package's own build script set through the script.
        let runs = self.dependencies(unit).filter(|(_, unit)| unit.mode == Mode::RunBuildScript);
        let set = runs.filter_map(|(_, run)| build_script_output(run)).flat_map(|output| {
            let prefix = "rustc-env=";
            let names = instructions(&output)
                .filter_map(|line| Some(line.strip_prefix(prefix)?.split_once('=')?.0.to_owned()));
            names.collect::<Vec<_>>()
        });
        let set = set.collect::<BTreeSet<_>>();
        let configured = self.workspace.cargo_config.env();
        let changed = variables.iter().find(|(name, value)| {
            let now = self.workspace.environment.get(name);
            let now = now.or_else(|| configured.get(name).map(String::as_str));
            !set.contains(name) && now != value.as_deref().filter(|value| !value.is_empty())
        });
        changed.map(|(name, _)| format!("variable {name} changed"))
    }
}

struct Written {
    last: Option<SystemTime>,
    /// That of the output that dependents wait for: a library's metadata if it has some, else the last one.
    needed: Option<SystemTime>,
}

impl Written {
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

fn modified(path: &Utf8Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Uplifted files are linked again without compiling anything.
fn is_intermediate(workspace: &Workspace, file: &Utf8Path) -> bool {
    let below = file.strip_prefix(&workspace.facts.build_dir).unwrap_or(file);
    below.components().any(|part| matches!(part.as_str(), "deps" | "build"))
}

/// When the unit's inputs were read: cargo compares with the time of its own dep-info file, or of a build script's output.
fn built_at(unit: &Unit) -> Option<SystemTime> {
    if unit.mode == Mode::RunBuildScript {
        return modified(&build_script_output(unit)?);
    }
    let dep = unit.fingerprint_dir.join(format!("dep-{}", unit.fingerprint_file));
    modified(&dep).or_else(|| modified(&unit.fingerprint_dir.join("invoked.timestamp")))
}

/// What a build script printed, where cargo keeps it: in layout v1 in its folder, in v2 in `run`.
fn build_script_output(run: &Unit) -> Option<Utf8PathBuf> {
    let folder = run.files.first()?;
    [folder.join("output"), folder.join("run/output")].into_iter().find(|path| path.is_file())
}

/// Whether anything below `dir` is newer than `time`; like cargo, without its target dir and hidden folders.
fn newest_below(dir: &Utf8Path, time: SystemTime) -> bool {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in dir.read_dir_utf8().into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let name = entry.file_name();
            if metadata.is_dir() && !metadata.is_symlink() {
                // A folder with a manifest belongs to another package.
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

#[derive(Debug, Default)]
struct Inputs {
    /// Files, and folders that a build script watches.
    files: Vec<Utf8PathBuf>,
    /// Variables with the value they had; `None` when they were not set.
    variables: Vec<(String, Option<String>)>,
    /// A build script that names nothing to watch: cargo then watches its whole package.
    whole_package: bool,
}

fn inputs(workspace: &Workspace, unit: &Unit) -> Option<Inputs> {
    let package_dir = unit.local_dir.as_deref()?;
    if unit.mode == Mode::RunBuildScript {
        return Some(of_build_script(&build_script_output(unit)?, package_dir));
    }
    // Cargo runs rustc in the workspace root for packages below it, else in the package's own folder.
    let root = workspace.root();
    let dir = if package_dir.starts_with(root) { root } else { package_dir };
    let mut dep_infos = unit.files.iter().filter(|file| file.extension() == Some("d"));
    of_compiler(dep_infos.find(|file| is_intermediate(workspace, file) || file.exists())?, dir)
}

/// Reads rustc's dep-info (in the format of make). Relative paths in it are relative to `dir`, where rustc ran.
fn of_compiler(dep_info: &Utf8Path, dir: &Utf8Path) -> Option<Inputs> {
    let text = fs::read_to_string(dep_info).ok()?;
    let mut inputs = Inputs::default();
    for line in text.lines() {
        if let Some(variable) = line.strip_prefix("# env-dep:") {
            let (name, value) =
                variable.split_once('=').map_or((variable, None), |(name, value)| (name, Some(value)));
            // rustc escapes newlines and backslashes (`compiler/rustc_interface/src/passes.rs`).
            let value =
                value.map(|value| value.replace("\\n", "\n").replace("\\r", "\r").replace("\\\\", "\\"));
            inputs.variables.push((name.to_owned(), value));
        } else if let (Some((_, files)), true) = (line.split_once(": "), inputs.files.is_empty()) {
            // The first rule, that of the dep-info file itself or of an output, lists all inputs.
            inputs.files = split_words(files).into_iter().map(|file| dir.join(file)).collect();
        }
    }
    Some(inputs)
}

/// Splits at spaces that are not escaped with a backslash.
fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => word.push(characters.next().filter(|next| *next != '\\').map_or('\\', |next| next)),
            ' ' => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            c => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

fn instructions(output: &Utf8Path) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(&fs::read(output).unwrap_or_default()).into_owned();
    let instructions = text.lines().filter_map(|line| {
        line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:")).map(str::to_owned)
    });
    instructions.collect::<Vec<_>>().into_iter()
}

/// What a build script asked cargo to watch. Paths are relative to the package.
fn of_build_script(output: &Utf8Path, package_dir: &Utf8Path) -> Inputs {
    let mut inputs = Inputs { whole_package: true, ..Inputs::default() };
    for instruction in instructions(output) {
        if let Some(path) = instruction.strip_prefix("rerun-if-changed=") {
            inputs.files.push(package_dir.join(path));
        }
        inputs.whole_package &= !instruction.starts_with("rerun-if-");
    }
    inputs
}

/// The names of the files in its own folder that a dep-info file has rules for; empty if they are not made from Rust sources,
/// as in a file of another compiler.
pub fn dep_info_outputs(dep_info: &Path) -> Vec<String> {
    // Longer than that of any crate. Only files are opened, as a named pipe would block.
    const LONGEST: u64 = 64 << 20;
    let is_file = fs::symlink_metadata(dep_info).is_ok_and(|found| found.is_file() && found.len() <= LONGEST);
    let text = is_file.then(|| fs::read_to_string(dep_info).ok()).flatten();
    let Some(text) = text.filter(|text| text.contains(".rs")) else { return Vec::new() };
    let folder = dep_info.parent().and_then(Path::file_name);
    let output = |line: &str| {
        let (path, _) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
        let path = PathBuf::from(path.replace("\\ ", " "));
        // Only the name of the folder is compared: its path may contain links, or be relative to another folder.
        let is_own = path.parent().and_then(Path::file_name) == folder;
        path.file_name().filter(|_| is_own)?.to_str().map(str::to_owned)
    };
    text.lines().filter_map(output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_testkit::TempDir;

    #[test]
    fn reads_files_variables_and_escaped_spaces() {
        let dir = TempDir::new("dep-info");
        dir.write("x.d", "/t/x.d: src/lib.rs src/my\\ file.rs /abs/data.txt\n\nsrc/lib.rs:\n\n# env-dep:A=1\n# env-dep:B\n");
        let inputs = of_compiler(&dir.path().join("x.d"), Utf8Path::new("/w")).unwrap();
        assert_eq!(inputs.files, ["/w/src/lib.rs", "/w/src/my file.rs", "/abs/data.txt"]);
        assert_eq!(inputs.variables, [("A".to_owned(), Some("1".to_owned())), ("B".to_owned(), None)]);
    }

    #[test]
    fn only_files_beside_it_are_its_outputs() {
        let dir = TempDir::new("dep-info-outputs");
        let outputs = |text: &str| {
            dir.write("deps/x.d", text);
            dep_info_outputs(dir.path().join("deps/x.d").as_std_path())
        };
        let of_rustc = "/my\\ w/deps/x.d: a.rs\n\n/my\\ w/deps/libx.so: a.rs\n\na.rs:\n";
        assert_eq!(outputs(of_rustc), ["x.d", "libx.so"]);
        assert_eq!(outputs("/elsewhere/x: a.rs\nnotes: of mine\n"), Vec::<String>::new());
    }

    #[test]
    fn a_build_script_that_names_nothing_watches_its_package() {
        let dir = TempDir::new("build-output");
        dir.write("quiet", "cargo:rustc-cfg=x\n");
        dir.write("one", "cargo::rerun-if-changed=proto/a.proto\n");
        dir.write("env", "cargo:rerun-if-env-changed=CC\n");
        let read = |name: &str| of_build_script(&dir.path().join(name), Utf8Path::new("/p"));
        assert!(read("quiet").whole_package);
        assert_eq!(read("one").files, ["/p/proto/a.proto"]);
        assert!(!read("one").whole_package && !read("env").whole_package);
    }
}
