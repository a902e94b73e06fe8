//! Incremental folders: which folder a needed unit compiles into, and what goes of all of them.
//!
//! The folder is named by a hash that rustc makes of the crate's name, `-C metadata`, whether it is a program, and
//! rustc's own version. An empty crate compiled with the same arguments gets the same folder, which takes 25 ms. So each
//! compiler is asked for one library and one program; where it answers as computed here, the other names are computed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::process::Command;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustc_stable_hash::FromStableHash;
use rustc_stable_hash::hashers::{SipHasher128Hash, StableSipHasher128};
use xtask_files::{Durability, remove_dir, write_atomic};
use xtask_units::inventory::{Inventory, Owner, incremental_crate};
use xtask_units::{Incremental, parallel, scratch_dir};
use xtask_workspace::{Workspace, digest};

use super::not_units::Crates;
use super::{Decision, Question};
use crate::live::Live;

/// The incremental folder of each needed unit that has one.
pub(crate) type Names = BTreeMap<Incremental, String>;

/// The folders of the needed units, if any such folder is on disk. Fails where a compiler could not be asked.
pub(crate) fn names(workspace: &Workspace, inventory: &Inventory, live: &Live, jobs: usize) -> Result<Names> {
    if !inventory.items.iter().any(|item| matches!(item.owner, Owner::Incremental { .. })) {
        return Ok(Names::new());
    }
    let wanted = live.incremental.values().flatten().cloned().collect::<BTreeSet<_>>();
    let mut kinds = BTreeSet::new();
    let (samples, others): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .partition(|incremental| kinds.insert((incremental.compiler.clone(), incremental.program)));
    let asked = parallel(jobs, &samples, |sample| Ok((sample.clone(), ask(workspace, sample)?)));
    let mut names = asked.into_iter().collect::<Result<Names>>()?;
    let mut versions = BTreeMap::new();
    for (sample, name) in &names {
        let version =
            versions.entry(sample.compiler.clone()).or_insert_with(|| version(workspace, &sample.compiler));
        // A compiler that names folders in another way is asked for each.
        version.take_if(|version| computed(sample, version) != *name);
    }
    let others = parallel(jobs, &others, |incremental| {
        let name = match &versions[&incremental.compiler] {
            Some(version) => computed(incremental, version),
            None => ask(workspace, incremental)?,
        };
        Ok((incremental.clone(), name))
    });
    names.extend(others.into_iter().collect::<Result<Names>>()?);
    Ok(names)
}

/// What a compiler hashes of itself: `1.95.0 (59807616e 2026-04-14)`.
fn version(workspace: &Workspace, compiler: &Utf8Path) -> Option<String> {
    let output = rustc(workspace, compiler).arg("-V").output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().strip_prefix("rustc ").map(str::to_owned)
}

fn rustc(workspace: &Workspace, compiler: &Utf8Path) -> Command {
    let mut command = Command::new(compiler);
    command.current_dir(workspace.root()).env_clear().envs(workspace.environment.iter_os());
    command.stdin(std::process::Stdio::null());
    command
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

fn ask(workspace: &Workspace, incremental: &Incremental) -> Result<String> {
    let key = digest(format!("{incremental:?}"));
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
    let mut command = rustc(workspace, compiler);
    command.args([source.as_str(), "--crate-name", crate_name, "--edition=2021", "--emit=metadata"]);
    command.args(["--crate-type", if *program { "bin" } else { "lib" }, "--out-dir", dir.as_str()]);
    command.args(metadata.iter().map(|value| format!("-Cmetadata={value}")));
    command.arg(format!("-Cincremental={dir}/incremental"));
    let output = command.output().with_context(|| format!("failed to start {compiler}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("failed to ask {compiler} for the name of an incremental folder: {error}");
    }
    let folder = dir.join("incremental");
    let first = folder.read_dir_utf8().ok().and_then(|mut entries| entries.next()?.ok());
    Ok(first.with_context(|| format!("{compiler} made no folder in {folder}"))?.file_name().to_owned())
}

impl Question<'_> {
    /// Nothing goes where the names are not known.
    pub(super) fn incremental(&self, kept: &Crates, decision: &mut Decision) {
        let Some(names) = self.names else { return };
        let mut folders = BTreeMap::<(usize, &str), Vec<usize>>::new();
        for (index, item) in self.inventory.items.iter().enumerate() {
            if let (Some(profile), Owner::Incremental { folder }) = (item.profile, &item.owner)
                && !self.protected[profile]
            {
                folders.entry((profile, folder)).or_default().push(index);
            }
        }
        let needed = self.live.incremental.iter().flat_map(|(place, all)| {
            all.iter()
                .filter_map(move |incremental| Some((place.as_path(), names.get(incremental)?.as_str())))
        });
        let needed = needed.collect::<HashSet<_>>();
        for ((profile, folder), items) in folders {
            let of_kept =
                || incremental_crate(folder).is_some_and(|name| kept.contains(&(profile, name.to_owned())));
            if needed.contains(&(self.inventory.profiles[profile].path.as_path(), folder)) {
                self.old_sessions(&items, decision);
            } else if !items.iter().any(|&item| self.is_recent(self.inventory.items[item].modified_ms))
                && !of_kept()
            {
                let why = "no needed unit compiles into this incremental folder";
                decision.remove(self.removable(&items), why);
            }
        }
    }

    /// Of a needed folder rustc uses only the newest finished session (`rustc_incremental/persist/fs.rs`). What a
    /// failed compilation leaves is not finished.
    fn old_sessions(&self, items: &[usize], decision: &mut Decision) {
        let name = |item: usize| self.inventory.items[item].name.to_str().unwrap_or_default();
        let sessions = items.iter().copied().filter(|&item| self.inventory.items[item].is_folder);
        let finished = sessions.filter_map(|item| Some((finished_at(name(item))?, name(item))));
        let newest = finished.max().map_or("", |(_, newest)| newest);
        // `s-<time>-<random>-<svh>` has the lock file `s-<time>-<random>.lock`.
        let lock = newest.rsplit_once('-').map(|(stem, _)| format!("{stem}.lock"));
        let is_kept = |name: &str| name == newest || Some(name) == lock.as_deref() || !name.starts_with("s-");
        let old = self.removable(items).filter(|&item| !is_kept(name(item)));
        decision.remove(old, "an older or unfinished session of incremental compilation");
    }
}

/// When a session was begun, from its name; `None` for one that was not finished.
fn finished_at(name: &str) -> Option<u64> {
    let mut parts = name.strip_prefix("s-")?.split('-');
    let (time, _random, svh) = (parts.next()?, parts.next()?, parts.next()?);
    (svh != "working").then(|| u64::from_str_radix(time, 36).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_ordered_by_their_time() {
        assert!(
            finished_at("s-hodeeffuh4-00b4ygs-9lmcupe52jw780uingz2fislr")
                > finished_at("s-hodeefba2e-1nmsxm2-x")
        );
        assert!(finished_at("s-10000000000-1-x") > finished_at("s-zzzzzzzzzz-1-x"), "one digit more");
        assert_eq!(finished_at("s-hodeefba2e-1nmsxm2-working"), None);
        assert_eq!(finished_at("s-hodeefba2e-1nmsxm2.lock"), None);
    }

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
