//! Puts a shadow plan together: what cargo logged, what the fake compiler was called with, and what
//! cargo's messages name.
//!
//! Invariant: every unit that cargo logged is accounted for by a call, and every call by a unit.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, remove_file, write_atomic};

use crate::fake::{self, CALLS, Call, PENDING, RUN_BY, call_file, profile_dir_of};
use crate::messages::Message;
use crate::plan_log::LoggedUnit;
use crate::shadow::Places;
use crate::unit::{Mode, TargetKind, Unit, UnitSet};

/// Calls that a killed run left without a place.
pub(crate) fn forget_pending(dir: &Utf8Path) -> Result<()> {
    for name in pending(dir)? {
        remove_file(&dir.join(CALLS).join(name))?;
    }
    Ok(())
}

fn pending(dir: &Utf8Path) -> Result<Vec<String>> {
    let calls = dir.join(CALLS);
    let entries = calls.read_dir_utf8().with_context(|| format!("failed to read {calls}"))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_owned());
    Ok(names.filter(|name| name.starts_with(PENDING)).collect())
}

/// Joins what cargo logged, what the fake compiler was called with, and what the messages name.
pub(crate) fn assemble(places: &Places, logged: Vec<LoggedUnit>, stdout: &str) -> Result<UnitSet> {
    let mut pending = read_pending(places.dir)?;
    let mut units = Vec::new();
    let mut calls = Vec::new();
    for unit in logged {
        let (unit, call) = complete(places, unit, &mut pending)?;
        units.push(unit);
        calls.push(call);
    }
    if let Some(call) = pending.first() {
        bail!("the compiler was called for {} {}, which cargo did not plan", call.package, call.crate_name);
    }
    let scripts = add_run_features(&mut units, places)?;
    add_dependencies(&mut units, &calls, &scripts, places);
    add_uplifted(places, &mut units, stdout)?;
    Ok(UnitSet::new(units))
}

fn read_pending(dir: &Utf8Path) -> Result<Vec<Call>> {
    pending(dir)?.into_iter().map(|name| read_call(&dir.join(CALLS).join(name))).collect()
}

fn read_call(path: &Utf8Path) -> Result<Call> {
    let json = fs::read(path).with_context(|| format!("failed to read {path}"))?;
    serde_json::from_slice(&json).with_context(|| format!("failed to read {path}"))
}

fn complete(places: &Places, logged: LoggedUnit, pending: &mut Vec<Call>) -> Result<(Unit, Call)> {
    let file = places.dir.join(CALLS).join(call_file(places.dir, &logged.fingerprint_dir, &logged.id));
    let call = if logged.mode == Mode::RunBuildScript {
        Call::default()
    } else if let Some(at) = pending.iter().position(|call| is_call_of(places, call, &logged)) {
        let call = pending.swap_remove(at);
        // From now on the unit id leads to it, also when cargo finds it fresh.
        write_atomic(&file, serde_json::to_vec(&call)?, Durability::Cache)?;
        call
    } else {
        read_call(&file)?
    };
    let profile_dir = profile_dir_of(places.dir, &logged.fingerprint_dir)
        .with_context(|| format!("cargo planned {}, a layout not known here", logged.fingerprint_dir))?;
    let checks = logged.mode == Mode::Build && !call.emit.iter().any(|emit| emit == "link");
    let mut files = call.outputs.iter().map(|path| places.real(path)).collect::<Result<Vec<_>>>()?;
    files.extend(own_folder(&logged).map(|folder| places.real(&folder)).transpose()?);
    let unit = Unit {
        local_dir: logged.local.then(|| call.manifest_dir.clone()),
        fingerprint_dir: places.real(&logged.fingerprint_dir)?,
        fingerprint_file: logged.fingerprint_file,
        dependencies: Vec::new(),
        id: logged.id,
        package: logged.package,
        version: logged.version,
        target: logged.target,
        kind: logged.kind,
        mode: if checks { Mode::Check } else { logged.mode },
        test: logged.test,
        profile_dir: profile_dir.file_name().unwrap_or_default().to_owned(),
        profile_flags: call.profile_flags.clone(),
        features: call.features.clone(),
        triple: call.triple.clone(),
        files,
        incremental: call.incremental(),
    };
    Ok((unit, call))
}

/// A call without a unit id: the only one of this package, target and harness in this profile's folder
/// (two would have overwritten each other's files).
fn is_call_of(places: &Places, call: &Call, logged: &LoggedUnit) -> bool {
    call.package == logged.package
        && call.version == logged.version
        && call.crate_name == logged.target.replace('-', "_")
        && call.test == logged.test
        && (logged.mode == Mode::Doc) == call.documentation
        && (logged.mode == Mode::Doc
            || profile_dir_of(places.dir, &call.out_dir)
                == profile_dir_of(places.dir, &logged.fingerprint_dir))
}

/// The folder that belongs to the unit alone: a build script's in layout v1, every unit's in v2.
fn own_folder(logged: &LoggedUnit) -> Option<Utf8PathBuf> {
    let fingerprint = &logged.fingerprint_dir;
    if fingerprint.file_name() == Some("fingerprint") {
        return fingerprint.parent().map(ToOwned::to_owned);
    }
    let profile_dir = fingerprint.parent()?.parent()?;
    (logged.kind == TargetKind::BuildScript)
        .then(|| profile_dir.join("build").join(fingerprint.file_name().unwrap_or_default()))
}

/// A run has the features and the package folder of the build script it runs; the script left its unit id.
/// Returns the script's id by the run's.
fn add_run_features(units: &mut [Unit], places: &Places) -> Result<BTreeMap<String, String>> {
    let is_script = |unit: &&Unit| unit.kind == TargetKind::BuildScript && unit.mode == Mode::Build;
    let scripts = units.iter().filter(is_script).cloned().collect::<Vec<_>>();
    let mut script_of = BTreeMap::new();
    for run in units.iter_mut().filter(|unit| unit.mode == Mode::RunBuildScript) {
        let Some(real_folder) = run.files.first() else { continue };
        let ids = run_by(&places.build.join(real_folder.strip_prefix(places.real_build)?));
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

/// Reads who depends on whom from the files that the compiler was pointed at.
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

fn run_by(folder: &Utf8Path) -> Vec<String> {
    // Layout v1 has `out` below the folder; v2 too. The script writes beside `out`.
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().strip_prefix(RUN_BY).map(str::to_owned)).collect()
}

/// Adds the names without a hash that final artifacts get in the target dir.
fn add_uplifted(places: &Places, units: &mut [Unit], stdout: &str) -> Result<()> {
    for line in stdout.lines() {
        let Some(Message::CompilerArtifact(artifact)) = Message::parse(line) else { continue };
        let kind = TargetKind::from_cargo(&artifact.target.kind);
        let dir = Utf8Path::new(&artifact.manifest_path).parent();
        let (package, version) = crate::messages::name_and_version(&artifact.package_id);
        let mut features = artifact.features.clone();
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

/// Whether a file's name ends in a unit id, so that it is no uplifted one.
fn names_an_id(path: &Utf8Path) -> bool {
    path.file_stem().and_then(|stem| stem.rsplit_once('-')).is_some_and(|(_, id)| fake::is_unit_id(id))
}
