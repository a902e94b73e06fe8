//! Which incremental folder a unit compiles into: asked of the very compiler, and remembered.
//!
//! The folder is named by a hash that rustc makes of the crate's name, `-C metadata`, whether a program is made, and
//! its own version. An empty crate compiled with the same words gets the same folder (25 ms).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;
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
    let unknown = keyed.iter().filter(|(key, _)| !known.contains_key(key)).collect::<Vec<_>>();
    let asked =
        parallel(jobs, &unknown, |(key, incremental)| Ok((key.clone(), ask(workspace, incremental, key)?)));
    let asked = asked.into_iter().collect::<Result<Vec<_>>>()?;
    if !asked.is_empty() {
        known.extend(asked);
        // Without it the next sweep asks again.
        let _ = write_atomic(&path, serde_json::to_vec(&known)?, Durability::Cache);
    }
    Ok(keyed.into_iter().map(|(key, incremental)| (incremental.clone(), known[&key].clone())).collect())
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
    let mut command = std::process::Command::new(compiler);
    command.args([source.as_str(), "--crate-name", crate_name, "--edition=2021", "--emit=metadata"]);
    command.args(["--crate-type", if *program { "bin" } else { "lib" }, "--out-dir", dir.as_str()]);
    for value in metadata {
        command.args(["-C", &format!("metadata={value}")]);
    }
    command.args(["-C", &format!("incremental={dir}/incremental")]);
    command.current_dir(workspace.root()).env_clear().envs(workspace.environment.iter()).stdin(Stdio::null());
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
