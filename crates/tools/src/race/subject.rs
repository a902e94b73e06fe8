//! What is linked: the largest test program, and how cargo calls rustc for it.

use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_units::inventory::unit_id;
use xtask_units::{BuiltUnit, RunOptions};
use xtask_workspace::{Call, CargoCommand, Environment, Progress, Workspace};

use crate::process::{Interrupted, successful};

/// Compiling and linking one test program.
const BUILDS: Duration = Duration::from_secs(30 * 60);

/// A test program in the user's own build.
#[derive(Debug)]
pub(super) struct Program {
    /// Package and target: `app test it`.
    pub(super) name: String,
    pub(super) path: Utf8PathBuf,
    pub(super) bytes: u64,
}

/// Builds the tests as the user does and returns the largest test program. `None`, with the reason as a note, if there
/// is none.
pub(super) fn largest(
    workspace: &Workspace,
    test_command: &CargoCommand,
    progress: &dyn Progress,
) -> Result<Option<Program>> {
    let record = xtask_units::run(workspace, test_command, RunOptions::default(), progress, &mut |_| {})?;
    if let Some(signal) = record.signal {
        return Err(Interrupted { signal, call: test_command.to_string() }.into());
    }
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

/// A call of rustc by cargo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CompilerCall {
    pub(super) call: Call,
    /// The environment that the call adds its own variables to.
    pub(super) environment: Environment,
}

/// How cargo calls rustc for `program`. Cargo tells only while it compiles, so this one unit is compiled once more.
pub(super) fn compiler_call(
    workspace: &Workspace,
    test_command: &CargoCommand,
    program: &Program,
) -> Result<CompilerCall> {
    make_dirty(&fingerprint_folder(&program.path)?)?;
    let mut command = test_command.clone();
    // Twice verbose, so that the variables are printed too.
    command.insert_args(["-vv"]);
    command.env.insert("CARGO_TERM_COLOR".to_owned(), "never".to_owned());
    let said = successful(&Call::from(&command), &workspace.environment, BUILDS)?.stderr;
    let without_ending = program.path.with_extension("");
    let makes_it = |call: &Call| output_of(call).as_ref() == Some(&without_ending);
    let call = running(&said, workspace.root()).into_iter().find(makes_it);
    let call = call.with_context(|| format!("`{command}` does not say how it compiles {}", program.path))?;
    Ok(CompilerCall { call, environment: command.environment(&workspace.environment) })
}

/// The calls in what `cargo -vv` says: "Running `NAME=value … rustc …`". A value may have several lines. Of a wrapper and
/// the compiler only the latter is in the result.
fn running(said: &str, dir: &Utf8Path) -> Vec<Call> {
    let mut lines = said.lines();
    let mut calls = Vec::new();
    while let Some(line) = lines.next() {
        let Some(first) = line.trim_start().strip_prefix("Running `") else { continue };
        let mut text = first.to_owned();
        let words = loop {
            // A quote that is still open continues in the next line.
            if let Some(words) = text.strip_suffix('`').and_then(shlex::split) {
                break words;
            }
            let Some(next) = lines.next() else { return calls };
            text = format!("{text}\n{next}");
        };
        let Some(first_arg) = words.iter().position(|word| word == "--crate-name") else { continue };
        let (head, args) = words.split_at(first_arg);
        let Some((rustc, variables)) = head.split_last() else { continue };
        let env = variables.iter().map_while(|word| word.split_once('='));
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        calls.push(Call { env, ..Call::new(dir, rustc, args.to_vec()) });
    }
    calls
}

/// Where rustc puts what it makes, without an ending.
pub(super) fn output_of(call: &Call) -> Option<Utf8PathBuf> {
    let after = |flag: &str| {
        let at = call.args.iter().position(|arg| arg == flag)?;
        call.args.get(at + 1).map(String::as_str)
    };
    let ending = call.args.iter().find_map(|arg| arg.strip_prefix("extra-filename="));
    let name = format!("{}{}", after("--crate-name")?, ending.unwrap_or_default());
    Some(call.dir.join(after("--out-dir")?).join(name))
}

/// The folder of cargo's fingerprint for the unit of `program`, in either layout.
fn fingerprint_folder(program: &Utf8Path) -> Result<Utf8PathBuf> {
    let not_found = || format!("{program} has no fingerprint by cargo beside it");
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

/// Makes a unit stale: its dep-info, whose time cargo compares with the sources', gets a time in 1970. Compiling the unit
/// again sets it right.
fn make_dirty(fingerprint: &Utf8Path) -> Result<()> {
    let entries =
        fingerprint.read_dir_utf8().with_context(|| format!("failed to read folder {fingerprint}"))?;
    let dep_infos = entries.flatten().filter(|entry| entry.file_name().starts_with("dep-"));
    let mut dated = false;
    for path in dep_infos.map(camino::Utf8DirEntry::into_path) {
        let file = File::options().write(true).open(&path);
        file.and_then(|file| file.set_modified(UNIX_EPOCH))
            .with_context(|| format!("failed to set the time of {path}"))?;
        dated = true;
    }
    if dated { Ok(()) } else { bail!("{fingerprint} holds no dep-info") }
}

#[cfg(test)]
mod tests {
    use xtask_testkit::TempDir;

    use super::*;

    #[test]
    fn calls_of_the_compiler_are_read_from_what_cargo_says() {
        let said = "   Compiling app v0.1.0 (/w)\n     \
            Running `A=1 CARGO_PKG_DESCRIPTION='two\nlines with a `\nin them' D= /r/sccache /r/rustc --crate-name it \
            --edition=2024 --out-dir /w/t/deps -C extra-filename=-1 --cfg 'feature=\"a b\"'`\n    \
            Finished `test` profile in 1 s\n     Running `/w/t/deps/it-1`\n     Running `never ends";
        let calls = running(said, "/w".into());
        let [call] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((call.program.as_str(), call.dir.as_str()), ("/r/rustc", "/w"));
        assert_eq!(call.env["CARGO_PKG_DESCRIPTION"], "two\nlines with a `\nin them");
        assert_eq!((call.env["A"].as_str(), call.env["D"].as_str(), call.env.len()), ("1", "", 3));
        assert_eq!(call.args.last().unwrap(), "feature=\"a b\"");
        assert_eq!(output_of(call).unwrap(), "/w/t/deps/it-1");
    }

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
