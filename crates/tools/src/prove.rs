//! Proofs: a tool counts as installed only when its effect was seen.

mod cache;
mod link;
mod runner;

use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use xtask_workspace::Call;
use xtask_workspace::config::{Effect, Proof};

use crate::catalog::{LinkSettings, Tool, filled};
use crate::machine::Machine;
use crate::probe::Found;
use crate::process::successful;

pub(crate) use link::{InForce, link_in_force};

/// The longest that a command may take that proves a tool.
const COMMAND_ENDS: Duration = Duration::from_secs(120);

/// The effect of a tool, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proven {
    /// What was seen, in a few words.
    pub evidence: String,
    /// For a linker: how rustc was told to use it.
    pub link: Option<LinkSettings>,
}

/// Makes the tool at `found` do what it is for, and checks that it did. Fails with what was seen instead.
pub fn prove(tool: &Tool, found: &Found, machine: &Machine) -> Result<Proven> {
    match &tool.proof {
        Proof::Effect(Effect::Link | Effect::Driver) => link::prove(tool, found, machine),
        Proof::Effect(Effect::Cache) => cache::prove(found, machine),
        Proof::Effect(Effect::Tests) => runner::prove(found, machine),
        Proof::Effect(Effect::Version) => match &found.version {
            Some(version) => Ok(seen(format!("says to be {version}"))),
            None => bail!("{} says no version", found.path),
        },
        Proof::Command(words) => {
            let mut words = words.iter().map(|word| filled(word, &found.path, &machine.rustlib));
            let program = words.next().unwrap_or_default();
            let call = Call::new(&machine.root, program, words);
            successful(&call, &machine.environment, COMMAND_ENDS)?;
            Ok(seen(format!("`{call}` succeeds")))
        }
    }
}

fn seen(evidence: String) -> Proven {
    Proven { evidence, link: None }
}

/// A text that nothing has printed before: a program that prints it was just built.
pub(crate) fn token() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("proof-{}-{}", std::process::id(), now.as_nanos())
}
