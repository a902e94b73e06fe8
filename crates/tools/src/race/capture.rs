//! The suite's own binary in the role of cargo's `rustc-wrapper`: it writes down how a program is compiled and linked,
//! and passes every call on.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, write_atomic};
use xtask_units::fake::ROLE;
use xtask_workspace::Environment;

use super::arguments::{self, flag_values};

/// [`ROLE`] of the binary when it writes down calls of rustc.
pub const ROLE_CAPTURE: &str = "capture";

/// The folder that calls are written to, one file each.
pub(super) const FOLDER: &str = "XTASK_SUITE_CAPTURE_DIR";

/// A call of rustc that links a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CompilerCall {
    /// The compiler; before it the wrapper that the user's settings have for members, if there is one.
    pub(super) programs: Vec<String>,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// All variables it was given.
    pub(super) env: BTreeMap<String, String>,
    /// The working directory.
    pub(super) dir: Utf8PathBuf,
}

/// Plays the wrapper. `args` is everything after the program's own name: `[workspace-wrapper] rustc ARGS`. The result
/// is the exit code.
pub fn capture(args: &[String]) -> Result<i32> {
    let Some((program, rest)) = args.split_first() else {
        bail!("called as a compiler without arguments");
    };
    let words = with_files(args)?;
    if arguments::links_a_program(&words) {
        write_down(&words)?;
    }
    let status = Command::new(program)
        .args(rest)
        .env_remove(ROLE)
        .env_remove(FOLDER)
        .status()
        .with_context(|| format!("failed to start {program}"))?;
    Ok(status.code().unwrap_or(1))
}

/// `args` with the lines of each `@file` in its place, which is how cargo passes more than the system allows: the file
/// is gone afterwards.
fn with_files(args: &[String]) -> Result<Vec<String>> {
    let mut words = Vec::with_capacity(args.len());
    for arg in args {
        match arg.strip_prefix('@') {
            Some(path) => {
                let text = fs::read_to_string(path).with_context(|| format!("failed to read {path}"))?;
                words.extend(text.lines().map(str::to_owned));
            }
            None => words.push(arg.clone()),
        }
    }
    Ok(words)
}

fn write_down(words: &[String]) -> Result<()> {
    let folder = std::env::var(FOLDER).with_context(|| format!("{FOLDER} is not set"))?;
    let dir = std::env::current_dir().context("failed to tell the working directory")?;
    let dir = Utf8PathBuf::from_path_buf(dir);
    let programs = words.iter().take_while(|word| !word.starts_with('-')).cloned().collect::<Vec<_>>();
    let call = CompilerCall {
        args: words[programs.len()..].to_vec(),
        programs,
        env: Environment::current().iter().map(|(name, value)| (name.into(), value.into())).collect(),
        dir: dir.map_err(|dir| anyhow::anyhow!("the name of {} is not UTF-8", dir.display()))?,
    };
    let name = format!("{}.json", std::process::id());
    write_atomic(&Utf8Path::new(&folder).join(name), serde_json::to_vec(&call)?, Durability::Cache)
}

impl CompilerCall {
    /// The calls in a folder.
    pub(super) fn read_all(folder: &Utf8Path) -> Result<Vec<Self>> {
        let entries = folder.read_dir_utf8().with_context(|| format!("failed to read folder {folder}"))?;
        let read = |entry: std::io::Result<camino::Utf8DirEntry>| {
            let path = entry.with_context(|| format!("failed to read folder {folder}"))?.into_path();
            let json = fs::read(&path).with_context(|| format!("failed to read {path}"))?;
            serde_json::from_slice(&json).with_context(|| format!("failed to understand {path}"))
        };
        entries.map(read).collect()
    }

    /// Where it puts the program, without the ending of the platform's programs.
    pub(super) fn output(&self) -> Option<Utf8PathBuf> {
        let last = |flag: &str| flag_values(&self.args, flag).into_iter().next_back();
        let folder = last("--out-dir")?;
        let name = last("--crate-name")?;
        let ending = arguments::codegen_value(&self.args, "extra-filename").unwrap_or_default();
        Some(self.dir.join(folder).join(format!("{name}{ending}")))
    }

    /// The environment to make the call again in: without our own variables, and without cargo's jobserver, which is
    /// gone.
    pub(super) fn environment(&self) -> Environment {
        let gone = [ROLE, FOLDER, "CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"];
        let kept = self.env.iter().filter(|(name, _)| !gone.contains(&name.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_program_goes_is_told_by_the_call() {
        let call = |line: &str| CompilerCall {
            programs: vec!["rustc".into()],
            args: line.split(' ').map(str::to_owned).collect(),
            env: BTreeMap::new(),
            dir: "/w".into(),
        };
        let table = [
            ("--crate-name it --out-dir /t/debug/deps -C extra-filename=-1", Some("/t/debug/deps/it-1")),
            ("--crate-name=it --out-dir=t/deps -Cextra-filename=-1", Some("/w/t/deps/it-1")),
            ("--crate-name it --out-dir /t", Some("/t/it")),
            ("--crate-name it", None),
        ];
        for (line, expected) in table {
            assert_eq!(call(line).output().as_deref().map(Utf8Path::as_str), expected, "{line}");
        }
    }

    #[test]
    fn arguments_in_a_file_are_those_of_the_call() {
        let dir = xtask_testkit::TempDir::new("capture");
        dir.write("arguments", "--crate-name\na b\n");
        let args = ["rustc".to_owned(), format!("@{}", dir.path().join("arguments")), "-g".to_owned()];
        assert_eq!(with_files(&args).unwrap(), ["rustc", "--crate-name", "a b", "-g"]);
        assert!(with_files(&["@/nowhere/at/all".to_owned()]).is_err());
    }
}
