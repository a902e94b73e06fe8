//! Puts a shadow plan together: what cargo logged, what the fake compiler was called with, and what cargo's messages name.
//!
//! Invariant: every unit that cargo logged is accounted for by a call, and every call by a unit.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, remove_file, write_atomic};

use crate::fake::{CALLS, Call, PENDING, RUN_BY, call_file, is_unit_id, profile_dir_of};
use crate::fingerprint::what_it_is;
use crate::messages::{Message, name_and_version};
use crate::shadow::Places;
use crate::unit::{Mode, TargetKind, Unit, UnitSet};

/// With this value of `CARGO_LOG` cargo prints one line per unit, also for fresh ones, on stable (cargo's
/// `core/compiler/fingerprint/mod.rs`, `prepare_target`).
pub(crate) const CARGO_LOG: &str = "cargo::core::compiler::fingerprint=debug";

/// Removes the calls that a killed run left under no unit's name.
pub(crate) fn forget_pending(dir: &Utf8Path) -> Result<()> {
    pending(dir)?.iter().try_for_each(|path| remove_file(path))
}

fn pending(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let calls = dir.join(CALLS);
    let entries = calls.read_dir_utf8().with_context(|| format!("failed to read {calls}"))?.flatten();
    let pending = entries.filter(|entry| entry.file_name().starts_with(PENDING));
    Ok(pending.map(camino::Utf8DirEntry::into_path).collect())
}

/// The plan from what cargo printed.
pub(crate) fn assemble(places: &Places, stderr: &str, stdout: &str) -> Result<UnitSet> {
    let mut pending = pending(places.dir)?.iter().map(|path| read_call(path)).collect::<Result<Vec<_>>>()?;
    let mut units = Vec::new();
    let mut calls = Vec::new();
    for mut unit in stderr.lines().filter_map(logged_unit) {
        calls.push(complete(places, &mut unit, &mut pending)?);
        units.push(unit);
    }
    if let Some(call) = pending.first() {
        bail!("the compiler was called for {} {}, which cargo did not plan", call.package, call.crate_name);
    }
    let scripts = add_run_features(&mut units, places)?;
    add_dependencies(&mut units, &calls, &scripts, places);
    add_uplifted(places, &mut units, stdout)?;
    Ok(UnitSet::new(units))
}

/// The unit in a line of cargo's log, as far as it says; `None` for every other line. The log does not distinguish check from
/// build. The fingerprint's folder is in the shadow, and the folder of a local package is empty.
fn logged_unit(line: &str) -> Option<Unit> {
    let (head, path) = line.split_once("fingerprint at: ")?;
    let package = head.split_once("package_id=")?.1.rsplit_once(" target=")?.0;
    let (name, rest) = package.split_once(" v")?;
    let (version, source) = rest.split_once(' ').unwrap_or((rest, ""));
    let path = Utf8Path::new(path.trim_end());
    let (fingerprint_dir, file) = (path.parent()?, path.file_name()?);
    // In `name v1.0.0 (source)` the source of a local package is its folder; of one from git, a URL.
    let source = source.trim_start_matches("(proc-macro) ").trim_matches(['(', ')']);
    // `.fingerprint/<package>-<id>` in layout v1, `build/<package>/<id>/fingerprint` in v2.
    let id = match fingerprint_dir.file_name()? {
        "fingerprint" => fingerprint_dir.parent()?.file_name()?,
        name => name.rsplit_once('-')?.1,
    };
    let (kind, target, mode, test) = what_it_is(file)?;
    is_unit_id(id).then(|| Unit {
        id: id.to_owned(),
        package: name.to_owned(),
        version: version.to_owned(),
        local_dir: (!source.is_empty() && !source.contains("://")).then(Utf8PathBuf::new),
        target,
        kind,
        mode,
        test,
        fingerprint_dir: fingerprint_dir.to_owned(),
        fingerprint_file: file.to_owned(),
        ..Unit::default()
    })
}

fn read_call(path: &Utf8Path) -> Result<Call> {
    let read = || anyhow::Ok(serde_json::from_slice(&fs::read(path)?)?);
    read().with_context(|| format!("failed to read {path}"))
}

/// Adds to a logged unit what the compiler was called with, and returns that call.
fn complete(places: &Places, unit: &mut Unit, pending: &mut Vec<Call>) -> Result<Call> {
    let path = places.dir.join(CALLS).join(call_file(places.dir, &unit.fingerprint_dir, &unit.id));
    let call = if unit.mode == Mode::RunBuildScript {
        Call::default()
    } else if let Some(at) = pending.iter().position(|call| is_call_of(places, call, unit)) {
        let call = pending.swap_remove(at);
        // From now on the unit id leads to it, also when cargo finds the unit fresh.
        write_atomic(&path, serde_json::to_vec(&call)?, Durability::Cache)?;
        call
    } else {
        read_call(&path)?
    };
    let profile_dir = profile_dir_of(places.dir, &unit.fingerprint_dir)
        .with_context(|| format!("cargo planned {}, an unknown layout", unit.fingerprint_dir))?;
    profile_dir.file_name().unwrap_or_default().clone_into(&mut unit.profile_dir);
    if unit.mode == Mode::Build && !call.emit.iter().any(|emit| emit == "link") {
        unit.mode = Mode::Check;
    }
    if let Some(dir) = &mut unit.local_dir {
        dir.clone_from(&call.manifest_dir);
    }
    unit.profile_flags.clone_from(&call.profile_flags);
    unit.features.clone_from(&call.features);
    unit.triple.clone_from(&call.triple);
    unit.incremental = call.incremental();
    let files = call.outputs.iter().cloned().chain(own_folder(unit));
    unit.files = files.map(|path| places.real(&path)).collect::<Result<_>>()?;
    unit.fingerprint_dir = places.real(&unit.fingerprint_dir)?;
    Ok(call)
}

/// Whether a call without a unit id is this unit's: the only one of this package, target and harness in this profile's folder
/// (two would have overwritten each other's files).
fn is_call_of(places: &Places, call: &Call, logged: &Unit) -> bool {
    let profile_dir = |path: &Utf8Path| profile_dir_of(places.dir, path);
    call.package == logged.package
        && call.version == logged.version
        && call.crate_name == logged.target.replace('-', "_")
        && call.test == logged.test
        && call.documentation == (logged.mode == Mode::Doc)
        && (call.documentation || profile_dir(&call.out_dir) == profile_dir(&logged.fingerprint_dir))
}

/// The folder that belongs to the unit alone: a build script's in layout v1, every unit's in v2.
fn own_folder(unit: &Unit) -> Option<Utf8PathBuf> {
    let fingerprint = &unit.fingerprint_dir;
    let name = fingerprint.file_name()?;
    if name == "fingerprint" {
        return fingerprint.parent().map(ToOwned::to_owned);
    }
    let profile_dir = fingerprint.parent()?.parent()?;
    (unit.kind == TargetKind::BuildScript).then(|| profile_dir.join("build").join(name))
}

/// A run has the features and the package folder of the build script it runs; the script left its unit id.
/// Returns the script's id by the run's.
fn add_run_features(units: &mut [Unit], places: &Places) -> Result<BTreeMap<String, String>> {
    let is_script = |unit: &&Unit| unit.kind == TargetKind::BuildScript && unit.mode == Mode::Build;
    let scripts = units.iter().filter(is_script).cloned().collect::<Vec<_>>();
    let mut script_of = BTreeMap::new();
    for run in units.iter_mut().filter(|unit| unit.mode == Mode::RunBuildScript) {
        let Some(real_folder) = run.files.first() else { continue };
        // In both layouts the script runs in `out` below the folder, and writes its name beside it.
        let folder = places.build.join(real_folder.strip_prefix(places.real_build)?);
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().strip_prefix(RUN_BY).map(str::to_owned));
        let ids = ids.collect::<Vec<_>>();
        let of_package = |script: &&Unit| script.package == run.package && script.version == run.version;
        let named = scripts.iter().filter(of_package).find(|script| ids.contains(&script.id));
        let Some(script) = named.or_else(|| scripts.iter().find(of_package)) else { continue };
        run.features.clone_from(&script.features);
        run.local_dir.clone_from(&script.local_dir);
        run.profile_flags.clone_from(&script.profile_flags);
        script_of.insert(run.id.clone(), script.id.clone());
    }
    Ok(script_of)
}

/// Adds the dependencies of each unit, from the files that the compiler was given.
fn add_dependencies(units: &mut [Unit], calls: &[Call], scripts: &BTreeMap<String, String>, places: &Places) {
    // By text: paths compare by their components, which took a tenth of planning 1,100 units again.
    let mut owner = BTreeMap::<String, String>::new();
    for (unit, call) in units.iter().zip(calls) {
        owner.extend(call.outputs.iter().map(|output| (output.to_string(), unit.id.clone())));
        if let Some(folder) = unit.files.first().filter(|_| unit.mode == Mode::RunBuildScript) {
            let below = folder.strip_prefix(places.real_build).unwrap_or(folder);
            owner.insert(places.build.join(below).join("out").into(), unit.id.clone());
        }
    }
    // `CARGO_BIN_EXE_*`: cargo builds a package's binaries before its integration tests and benches.
    let bins = units.iter().filter(|unit| unit.kind == TargetKind::Bin && !unit.test);
    let bins = bins.map(|unit| (unit.package.clone(), unit.id.clone())).collect::<Vec<_>>();
    for (unit, call) in units.iter_mut().zip(calls) {
        let files = call.externs.iter().chain(&call.build_script_out);
        let mut ids = files.filter_map(|file| owner.get(file.as_str()).cloned()).collect::<Vec<_>>();
        ids.extend(scripts.get(&unit.id).cloned());
        if matches!(unit.kind, TargetKind::IntegrationTest | TargetKind::Bench) {
            ids.extend(bins.iter().filter(|(package, _)| *package == unit.package).map(|(_, id)| id.clone()));
        }
        ids.sort();
        ids.dedup();
        unit.dependencies = ids;
    }
}

/// Adds the names without an id that final artifacts get in the target dir.
fn add_uplifted(places: &Places, units: &mut [Unit], stdout: &str) -> Result<()> {
    for line in stdout.lines() {
        let Some(Message::CompilerArtifact(artifact)) = Message::parse(line) else { continue };
        let kind = TargetKind::from_cargo(&artifact.target.kind);
        let dir = Utf8Path::new(&artifact.manifest_path).parent();
        let (package, version) = name_and_version(&artifact.package_id);
        let mut features = artifact.features;
        features.sort();
        for file in &artifact.filenames {
            let real = places.real(Utf8Path::new(file))?;
            if names_an_id(&real) {
                continue;
            }
            let profile_dir = real.parent().filter(|parent| parent.file_name() != Some("examples"));
            let profile_dir = profile_dir.or_else(|| real.parent()?.parent());
            let owner = units.iter_mut().find(|unit| {
                unit.kind == kind
                    && unit.mode != Mode::Doc
                    && unit.mode != Mode::RunBuildScript
                    && unit.target == artifact.target.name
                    && unit.test == artifact.profile.test
                    && unit.package == package
                    && unit.version == version
                    && unit.features == features
                    && (unit.local_dir.is_none() || unit.local_dir.as_deref() == dir)
                    && profile_dir.and_then(Utf8Path::file_name) == Some(&unit.profile_dir)
            });
            let Some(unit) = owner else { continue };
            if unit.files.iter().any(|own| real.starts_with(own)) {
                continue;
            }
            // `cargo test` uplifts a binary without its dep-info, `cargo build` with it.
            let dep_info = Utf8Path::new(file).with_extension("d");
            let dep_info = dep_info.exists().then(|| real.with_extension("d"));
            for path in [Some(real), dep_info].into_iter().flatten() {
                if !unit.files.contains(&path) {
                    unit.files.push(path);
                }
            }
        }
    }
    Ok(())
}

/// Whether a file's name ends in a unit id; an uplifted one does not.
fn names_an_id(path: &Utf8Path) -> bool {
    path.file_stem().and_then(|stem| stem.rsplit_once('-')).is_some_and(|(_, id)| is_unit_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_layouts_and_all_kinds() {
        let head = "   0.1s DEBUG prepare_target{force=false package_id=";
        let tail = "}: cargo::core::compiler::fingerprint: fingerprint at: ";
        let table = [
            (
                "app v0.1.0 (/w/my app) target=\"app\"",
                "/s/t/debug/.fingerprint/app-c1809edda26666eb/test-bin-app",
                ("app", true, "c1809edda26666eb", TargetKind::Bin, "app", Mode::Build, true),
            ),
            (
                "anyhow v1.0.104 target=\"build-script-build\"",
                "/s/t/debug/build/anyhow/338cc543f3f3df4f/fingerprint/run-build-script-build-script-build",
                (
                    "anyhow",
                    false,
                    "338cc543f3f3df4f",
                    TargetKind::BuildScript,
                    "build-script-build",
                    Mode::RunBuildScript,
                    false,
                ),
            ),
            (
                "g v0.1.0 (https://example.com/g#abc) target=\"g\"",
                "/s/t/debug/.fingerprint/g-0123456789abcdef/doc-lib-g",
                ("g", false, "0123456789abcdef", TargetKind::Lib, "g", Mode::Doc, false),
            ),
        ];
        for (package, path, expected) in table {
            let unit = logged_unit(&format!("{head}{package}{tail}{path}")).unwrap();
            assert_eq!(
                (
                    &*unit.package,
                    unit.local_dir.is_some(),
                    &*unit.id,
                    unit.kind,
                    &*unit.target,
                    unit.mode,
                    unit.test
                ),
                expected
            );
        }
        assert!(logged_unit("   Compiling app v0.1.0").is_none());
        assert!(logged_unit("x package_id=a v1 target=\"a\"}: fingerprint at: /no/hash/lib-a").is_none());
    }
}
