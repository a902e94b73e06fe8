//! What was proven before on this machine. A proof holds as long as the program, the toolchain and the variables that
//! it may depend on are the same; a failure is tried again every time.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, write_atomic};
use xtask_workspace::{Digest, Hasher, on_path, stamp};

use crate::catalog::Tool;
use crate::machine::Machine;
use crate::probe::Found;
use crate::prove::Proven;
use crate::race::Race;

/// Raised when what is written changes its form or meaning.
const FORMAT: u32 = 1;

/// Proofs and measurements by what they depend on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    format: u32,
    proofs: BTreeMap<String, Kept<Proven>>,
    race: Option<Kept<Race>>,
    in_force: Option<Kept<String>>,
}

/// A result, and what it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept<T> {
    key: Digest,
    value: T,
}

/// The names by which C compilers look for linkers.
pub(crate) const LINKERS: [&str; 5] = ["ld", "ld.lld", "ld.mold", "ld.wild", "ld.gold"];

fn file(state_dir: &Utf8Path) -> camino::Utf8PathBuf {
    state_dir.join("known.json")
}

impl Known {
    /// What was kept in the folder; nothing if there is none, or if another version of the suite wrote it.
    pub(crate) fn read(state_dir: &Utf8Path) -> Self {
        let known =
            fs::read(file(state_dir)).ok().and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        known.filter(|known| known.format == FORMAT).unwrap_or_default()
    }

    /// Keeps it in the folder.
    pub(crate) fn write(&mut self, state_dir: &Utf8Path) -> Result<()> {
        self.format = FORMAT;
        let json = serde_json::to_vec_pretty(self).context("failed to write JSON")?;
        write_atomic(&file(state_dir), json, Durability::Cache)
    }

    /// What was seen of the tool at `found`, if that still holds.
    pub(crate) fn proof(&self, tool: &Tool, found: &Found, machine: &Machine) -> Option<&Proven> {
        let kept = self.proofs.get(&tool.name)?;
        (kept.key == proof_key(tool, found, machine)).then_some(&kept.value)
    }

    pub(super) fn keep_proof(&mut self, tool: &Tool, found: &Found, machine: &Machine, proven: &Proven) {
        let kept = Kept { key: proof_key(tool, found, machine), value: proven.clone() };
        self.proofs.insert(tool.name.clone(), kept);
    }

    /// The measurement of the linkers with these keys, if there is one.
    pub(super) fn race(&self, key: &Digest) -> Option<&Race> {
        self.race.as_ref().filter(|kept| kept.key == *key).map(|kept| &kept.value)
    }

    pub(super) fn keep_race(&mut self, key: Digest, race: &Race) {
        self.race = Some(Kept { key, value: race.clone() });
    }

    /// What was seen with everything in force, if nothing has changed since.
    pub(crate) fn in_force(&self, key: &Digest) -> Option<&str> {
        self.in_force.as_ref().filter(|kept| kept.key == *key).map(|kept| kept.value.as_str())
    }

    pub(super) fn keep_in_force(&mut self, key: Digest, evidence: &str) {
        self.in_force = Some(Kept { key, value: evidence.to_owned() });
    }
}

/// Everything that a proof depends on: another program, toolchain or environment may behave differently.
fn proof_key(tool: &Tool, found: &Found, machine: &Machine) -> Digest {
    let mut hasher = Hasher::new();
    hasher.field(format!("{tool:?}")).field(format!("{found:?}"));
    hasher.optional(stamp(&found.path));
    // Not PATH itself, which differs in an editor, but what is found there.
    let drivers = tool.link_with.iter().filter_map(|way| way.split(' ').next());
    for program in drivers.chain(LINKERS).filter_map(|program| on_path(program, &machine.environment)) {
        hasher.field(program.as_str()).optional(stamp(&program));
    }
    hasher.field(&machine.rustc).field(machine.rustlib.as_str());
    for (name, value) in machine.environment.iter() {
        if name.starts_with("SCCACHE_") || name.starts_with("NEXTEST_") {
            hasher.field(name).field(value);
        }
    }
    for (name, value) in machine.environment.build_relevant() {
        hasher.field(name).field(value);
    }
    hasher.finish()
}
