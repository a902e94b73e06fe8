//! What is linked: the largest test program, and how cargo calls rustc for it.

use std::fs::{self, File};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::Value;
use xtask_units::fake::ROLE;
use xtask_units::inventory::unit_id;
use xtask_units::{BuiltUnit, Record, RunOptions};
use xtask_workspace::{CargoCommand, Progress, Silent, Workspace};

use super::capture::{CompilerCall, FOLDER, ROLE_CAPTURE};
use crate::process::{Interrupted, last_lines};

/// A test program in the user's own build.
#[derive(Debug)]
pub(super) struct Program {
    /// Package and target: `app test it`.
    pub(super) name: String,
    pub(super) path: Utf8PathBuf,
    pub(super) bytes: u64,
}

/// Builds the tests as the user does and takes the largest program of them. `None`, with the reason as a note, where
/// there is none.
pub(super) fn largest(
    workspace: &Workspace,
    test_command: &CargoCommand,
    progress: &dyn Progress,
) -> Result<Option<Program>> {
    let record = build(workspace, test_command, progress, &mut |_| {})?;
    if record.build_succeeded != Some(true) {
        progress.note(&format!("no linkers were compared: `{test_command}` fails"));
        return Ok(None);
    }
    let programs = record.units.iter().filter(|unit| unit.test).flat_map(programs);
    let largest = programs.max_by_key(|program| program.bytes);
    if largest.is_none() {
        progress.note(&format!("no linkers were compared: `{test_command}` builds no test program"));
    }
    Ok(largest)
}

fn programs(unit: &BuiltUnit) -> impl Iterator<Item = Program> {
    let is_program = |path: &&Utf8PathBuf| matches!(path.extension(), None | Some("exe" | "wasm"));
    unit.files.iter().filter(is_program).filter_map(|path| {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let name = format!("{} {}", unit.package, unit.kind.describe(&unit.target));
        Some(Program { name, path: path.clone(), bytes: metadata.len() })
    })
}

/// How cargo calls rustc for `program`. Cargo tells only while it compiles, so this one unit is compiled once more.
pub(super) fn captured(
    workspace: &Workspace,
    test_command: &CargoCommand,
    program: &Program,
    capture: &Utf8Path,
    scratch: &Utf8Path,
    progress: &dyn Progress,
) -> Result<CompilerCall> {
    let folder = scratch.join("calls");
    fs::create_dir(&folder).with_context(|| format!("failed to create folder {folder}"))?;
    let command = with_wrapper(workspace, test_command, capture, &folder);
    make_dirty(&fingerprint_folder(&program.path)?)?;
    let mut said = String::new();
    let record = build(workspace, &command, &Silent, &mut |line| {
        said.push_str(line);
        said.push('\n');
    })?;
    if record.build_succeeded != Some(true) {
        bail!("`{command}` failed: {}", last_lines(&said, ""));
    }
    let without_ending = program.path.with_extension("");
    let mut calls = CompilerCall::read_all(&folder)?.into_iter();
    let call = calls.find(|call| call.output().as_ref() == Some(&without_ending));
    let call = call.with_context(|| format!("cargo did not compile {} again", program.path))?;
    let after = build(workspace, test_command, &Silent, &mut |_| {})?.compiled();
    let again = record.compiled();
    // A build script that watches `RUSTC_WRAPPER` where the user sets that, or one that always runs.
    if (again, after) != (1, 0) {
        progress.note(&format!("{again} units were compiled again instead of one, and {after} after that"));
    }
    Ok(call)
}

/// Runs cargo and writes down what it did, as always; a signal is an error.
fn build(
    workspace: &Workspace,
    command: &CargoCommand,
    progress: &dyn Progress,
    on_line: &mut dyn FnMut(&str),
) -> Result<Record> {
    let record = xtask_units::run(workspace, command, RunOptions::default(), progress, on_line)?;
    match record.signal {
        Some(signal) => Err(Interrupted { signal, call: command.to_string() }.into()),
        None => Ok(record),
    }
}

/// The same command with `capture` as its compiler wrapper. The wrapper is no part of a unit's hash; a wrapper of the
/// user's own (sccache) has nothing to gain here, as none caches programs.
fn with_wrapper(
    workspace: &Workspace,
    test_command: &CargoCommand,
    capture: &Utf8Path,
    folder: &Utf8Path,
) -> CargoCommand {
    let mut command = test_command.clone();
    let environment = command.environment(&workspace.environment);
    if environment.even_empty("RUSTC_WRAPPER").is_some() {
        // It is stronger than every configuration, even when it is empty.
        command.env.insert("RUSTC_WRAPPER".to_owned(), capture.to_string());
    } else {
        // Not the variable: a build script may ask to be run again whenever that one changes.
        command.insert_args(["--config", &format!("build.rustc-wrapper={}", Value::from(capture.as_str()))]);
    }
    command.env.insert(ROLE.to_owned(), ROLE_CAPTURE.to_owned());
    command.env.insert(FOLDER.to_owned(), folder.to_string());
    command
}

/// The folder in which cargo notes from what the unit of `program` was made, in either layout.
fn fingerprint_folder(program: &Utf8Path) -> Result<Utf8PathBuf> {
    let not_found = || format!("{program} has no fingerprint of cargo's beside it");
    let folder = program.parent().and_then(Utf8Path::parent).with_context(not_found)?;
    // `build/<package>/<id>/{out,fingerprint}`
    let beside = folder.join("fingerprint");
    if beside.is_dir() {
        return Ok(beside);
    }
    // `{deps/<name>-<id>,.fingerprint/<package>-<id>}`
    let id = program.file_stem().and_then(|name| name.rsplit('-').next()).with_context(not_found)?;
    unit_id(id).with_context(not_found)?;
    let fingerprints = folder.join(".fingerprint");
    let entries = fingerprints.read_dir_utf8().with_context(not_found)?;
    let found = entries
        .flatten()
        .find(|entry| entry.file_name().strip_suffix(id).is_some_and(|package| package.ends_with('-')));
    Ok(found.with_context(not_found)?.into_path())
}

/// Makes the sources of a unit look newer than what was made of them: its dep-info, whose time cargo compares with
/// theirs, is dated to 1970. Compiling sets that right.
fn make_dirty(fingerprint: &Utf8Path) -> Result<()> {
    let entries =
        fingerprint.read_dir_utf8().with_context(|| format!("failed to read folder {fingerprint}"))?;
    let dep_infos = entries.flatten().filter(|entry| entry.file_name().starts_with("dep-"));
    let mut dated = false;
    for path in dep_infos.map(camino::Utf8DirEntry::into_path) {
        let file = File::options().write(true).open(&path);
        file.and_then(|file| file.set_modified(UNIX_EPOCH))
            .with_context(|| format!("failed to date {path}"))?;
        dated = true;
    }
    if dated { Ok(()) } else { bail!("{fingerprint} holds no dep-info") }
}

#[cfg(test)]
mod tests {
    use xtask_testkit::TempDir;

    use super::*;

    #[test]
    fn the_fingerprint_is_found_in_both_layouts() {
        let dir = TempDir::new("race-fingerprint");
        let id = "0123456789abcdef";
        let old = format!("debug/.fingerprint/my-app-{id}");
        let new = format!("debug/build/my-app/{id}/fingerprint");
        for folder in [&old, &new] {
            dir.write(&format!("{folder}/dep-test-lib-app"), "");
        }
        let table = [
            (format!("debug/deps/app-{id}"), Some(&old)),
            (format!("debug/deps/app-{id}.exe"), Some(&old)),
            (format!("debug/build/my-app/{id}/out/app-{id}"), Some(&new)),
            ("debug/deps/app-fedcba9876543210".to_owned(), None),
            ("debug/deps/app".to_owned(), None),
            (format!("other/deps/app-{id}"), None),
        ];
        for (program, expected) in table {
            let found = fingerprint_folder(&dir.path().join(&program)).ok();
            assert_eq!(found, expected.map(|folder| dir.path().join(folder)), "{program}");
        }
    }

    #[test]
    fn dirty_is_what_is_older_than_every_source() {
        let dir = TempDir::new("race-dirty");
        dir.write("dep-test-lib-app", "");
        dir.write("test-lib-app", "");
        make_dirty(dir.path()).unwrap();
        let modified = |name: &str| fs::metadata(dir.path().join(name)).unwrap().modified().unwrap();
        assert_eq!(modified("dep-test-lib-app"), UNIX_EPOCH);
        assert_ne!(modified("test-lib-app"), UNIX_EPOCH);
        let empty = TempDir::new("race-dirty-empty");
        assert!(make_dirty(empty.path()).is_err());
    }
}
