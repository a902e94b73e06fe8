//! Which incremental folder a unit compiles into: asked of the very compiler, and remembered.
//!
//! The folder is named by a hash that rustc makes of the crate's name, `-C metadata`, whether a program is made, and
//! its own version. An empty crate compiled with the same words gets the same folder, which takes 25 ms. So a compiler
//! is asked for one library and one program; where it answers as computed here, the other names are computed too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustc_stable_hash::FromStableHash;
use rustc_stable_hash::hashers::{SipHasher128Hash, StableSipHasher128};
use xtask_files::{Durability, remove_dir, write_atomic};
use xtask_units::{Incremental, parallel, scratch_dir};
use xtask_workspace::{Workspace, digest, stamp};

/// The folder of each of `wanted`. Fails where the compiler could not be asked: then no folder is known to be stale.
pub(crate) fn folders(
    workspace: &Workspace,
    wanted: &BTreeSet<Incremental>,
    jobs: usize,
) -> Result<BTreeMap<Incremental, String>> {
    let path = workspace.state_dir().join("incremental-names.json");
    let mut known = fs::read(&path)
        .ok()
        .and_then(|json| serde_json::from_slice::<BTreeMap<String, String>>(&json).ok())
        .unwrap_or_default();
    let keyed = wanted.iter().map(|incremental| (key(incremental), incremental)).collect::<Vec<_>>();
    let unknown = keyed.iter().filter(|(key, _)| !known.contains_key(key));
    let unknown = unknown.map(|(key, incremental)| (key.as_str(), *incremental)).collect::<Vec<_>>();
    if !unknown.is_empty() {
        known.extend(names(workspace, &unknown, jobs)?);
        // Without it the next sweep asks again.
        let _ = write_atomic(&path, serde_json::to_vec(&known)?, Durability::Cache);
    }
    Ok(keyed.into_iter().map(|(key, incremental)| (incremental.clone(), known[&key].clone())).collect())
}

/// The folders of `unknown`, by their keys.
fn names(
    workspace: &Workspace,
    unknown: &[(&str, &Incremental)],
    jobs: usize,
) -> Result<Vec<(String, String)>> {
    let mut kinds = BTreeSet::new();
    let (samples, others) = unknown.iter().partition::<Vec<_>, _>(|(_, incremental)| {
        kinds.insert((&incremental.compiler, incremental.program))
    });
    // `versions` has the compilers that name folders as is computed here.
    let name_all = |some: &[(&str, &Incremental)], versions: &BTreeMap<&Utf8Path, String>| {
        let names = parallel(jobs, some, |(key, incremental)| {
            let name = match versions.get(incremental.compiler.as_path()) {
                Some(version) => computed(incremental, version),
                None => ask(workspace, incremental, key)?,
            };
            Ok(((*key).to_owned(), name))
        });
        names.into_iter().collect::<Result<Vec<_>>>()
    };
    let mut names = name_all(&samples, &BTreeMap::new())?;
    let compilers = samples.iter().map(|(_, sample)| sample.compiler.as_path()).collect::<BTreeSet<_>>();
    let versions =
        compilers.into_iter().filter_map(|compiler| Some((compiler, version(workspace, compiler)?)));
    let mut versions = versions.collect::<BTreeMap<_, _>>();
    for ((_, sample), (_, name)) in samples.iter().zip(&names) {
        let compiler = sample.compiler.as_path();
        if versions.get(compiler).is_some_and(|version| computed(sample, version) != *name) {
            versions.remove(compiler);
        }
    }
    names.extend(name_all(&others, &versions)?);
    Ok(names)
}

/// What a compiler hashes of itself: `1.95.0 (59807616e 2026-04-14)`.
fn version(workspace: &Workspace, compiler: &Utf8Path) -> Option<String> {
    let mut command = Command::new(compiler);
    command.arg("-V").current_dir(workspace.root()).env_clear().envs(workspace.environment.iter_os());
    let output = command.stdin(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().strip_prefix("rustc ").map(str::to_owned)
}

/// The folder as rustc names it: `StableCrateId::new` (`rustc_span/src/def_id.rs`) in base 36.
fn computed(incremental: &Incremental, version: &str) -> String {
    let mut hasher = StableSipHasher128::new();
    incremental.crate_name.as_str().hash(&mut hasher);
    hasher.write(b"metadata");
    for value in incremental.metadata.iter().collect::<BTreeSet<_>>() {
        hasher.write_usize(value.len());
        hasher.write(value.as_bytes());
    }
    hasher.write(if incremental.program { b"exe" } else { b"lib" });
    hasher.write(version.as_bytes());
    let CrateId(mut left) = hasher.finish();
    let mut digits = [b'0'; 13];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(left % 36) as usize];
        left /= 36;
    }
    format!("{}-{}", incremental.crate_name, String::from_utf8_lossy(&digits))
}

/// The 64 bits that rustc takes of a hash of 128.
struct CrateId(u64);

impl FromStableHash for CrateId {
    type Hash = SipHasher128Hash;

    fn from(SipHasher128Hash([first, _]): Self::Hash) -> Self {
        Self(first)
    }
}

/// Another compiler at the same path names folders otherwise.
fn key(incremental: &Incremental) -> String {
    let Incremental { crate_name, metadata, program, compiler } = incremental;
    let compiler = stamp(compiler).unwrap_or_else(|| compiler.to_string());
    digest(format!("{crate_name}\0{}\0{program}\0{compiler}", metadata.join("\0"))).to_string()
}

fn ask(workspace: &Workspace, incremental: &Incremental, key: &str) -> Result<String> {
    let dir = scratch_dir(workspace)?.join(format!("incremental-{}-{key}", std::process::id()));
    let name = probe(workspace, incremental, &dir);
    remove_dir(&dir)?;
    name
}

fn probe(workspace: &Workspace, incremental: &Incremental, dir: &Utf8PathBuf) -> Result<String> {
    let Incremental { crate_name, metadata, program, compiler } = incremental;
    fs::create_dir_all(dir).with_context(|| format!("failed to create folder {dir}"))?;
    let source = dir.join("probe.rs");
    write_atomic(&source, if *program { "fn main() {}" } else { "" }, Durability::Cache)?;
    let mut command = Command::new(compiler);
    command.args([source.as_str(), "--crate-name", crate_name, "--edition=2021", "--emit=metadata"]);
    command.args(["--crate-type", if *program { "bin" } else { "lib" }, "--out-dir", dir.as_str()]);
    for value in metadata {
        command.args(["-C", &format!("metadata={value}")]);
    }
    command.args(["-C", &format!("incremental={dir}/incremental")]);
    command
        .current_dir(workspace.root())
        .env_clear()
        .envs(workspace.environment.iter_os())
        .stdin(Stdio::null());
    let output = command.output().with_context(|| format!("failed to start {compiler}"))?;
    if !output.status.success() {
        bail!(
            "failed to ask {compiler} for the name of an incremental folder: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let folder = dir.join("incremental");
    let mut entries = folder.read_dir_utf8().with_context(|| format!("failed to read {folder}"))?;
    let first = entries.next().with_context(|| format!("{compiler} made no incremental folder"))?;
    Ok(first.with_context(|| format!("failed to read {folder}"))?.file_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As rustc 1.95 and 1.97 named these.
    #[test]
    fn names_are_those_that_compilers_give() {
        let table = [
            (true, &["abc", "12"][..], "1.95.0 (59807616e 2026-04-14)", "my_app-260fomnu0zmkh"),
            (false, &["abc"], "1.95.0 (59807616e 2026-04-14)", "my_app-1s9zjo9yy8hym"),
        ];
        for (program, metadata, version, expected) in table {
            let incremental = Incremental {
                crate_name: "my_app".to_owned(),
                metadata: metadata.iter().map(|value| (*value).to_owned()).collect(),
                program,
                compiler: "rustc".into(),
            };
            assert_eq!(computed(&incremental, version), expected);
        }
    }
}
