//! One tool: installed where it is missing, and proven.

use std::time::Instant;

use anyhow::Result;
use xtask_units::whole_milliseconds;
use xtask_workspace::config::InstallTo;
use xtask_workspace::{Call, Progress};

use super::known::Known;
use super::report::{Outcome, State};
use crate::catalog::Tool;
use crate::install::{Step, steps, take};
use crate::machine::{Machine, ignore_own_folder};
use crate::probe::{Found, Probed, probe};
use crate::process::Interrupted;
use crate::prove::{Proven, prove};

/// How tools are installed and proven.
pub(crate) struct Installer<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) install_to: InstallTo,
    /// Whether nothing may be downloaded.
    pub(crate) offline: bool,
    /// Is asked before the system's package manager is called.
    pub(crate) confirm: &'a dyn Fn(&Call) -> bool,
    pub(crate) progress: &'a dyn Progress,
}

impl Installer<'_> {
    /// The ways of installing `tool` that are left to try after `probed`: none where a program was found.
    pub(crate) fn steps(&self, tool: &Tool, probed: &Probed) -> Vec<Step> {
        if probed.found.is_empty() && !self.offline {
            steps(tool, self.machine, self.install_to)
        } else {
            Vec::new()
        }
    }

    /// Installs `tool` by the first of `steps` that works unless `probed` has found it, and proves it unless `known` has
    /// a proof that still holds. Fails only for a signal.
    pub(crate) fn set_up(
        &self,
        tool: &Tool,
        mut probed: Probed,
        steps: &[Step],
        known: &mut Known,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::new(tool);
        let mut why = Vec::new();
        if !steps.is_empty() {
            let installing = Instant::now();
            // Another process may have installed it while this one waited for the lock.
            probed = probe(tool, self.machine)?;
            for step in steps {
                if !probed.found.is_empty() {
                    break;
                }
                match self.install(tool, step) {
                    Ok(()) => {
                        probed = probe(tool, self.machine)?;
                        outcome.installed = (!probed.found.is_empty()).then(|| step.way());
                    }
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) => {
                        let line = format!("{}: {error:#}", step.way().name());
                        self.progress.note(&format!("{}: {line}", tool.name));
                        why.push(line);
                    }
                }
            }
            outcome.install_ms = whole_milliseconds(installing.elapsed());
        }
        let unsuited = probed.unsuited.iter().map(|unsuited| format!("{}: {}", unsuited.path, unsuited.why));
        why.splice(0..0, unsuited);
        if probed.found.is_empty() {
            if self.offline && !tool.install.is_empty() {
                why.push("nothing may be downloaded (--offline)".to_owned());
            }
            if why.is_empty() {
                why.push("it is not there, and there is no way to install it here".to_owned());
            }
            outcome.state = State::Missing { why };
            return Ok(outcome);
        }
        // The first on PATH may be broken, and another one behind it may not.
        for found in probed.found {
            match self.proven(tool, &found, &mut outcome, known) {
                Ok(proven) => {
                    known.keep_proof(tool, &found, self.machine, &proven);
                    outcome.state = State::Proven {
                        path: found.path,
                        version: found.version,
                        evidence: proven.evidence,
                        link: proven.link.filter(|_| tool.is_linker()),
                    };
                    break;
                }
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(error) => {
                    why.push(format!("{}: {error:#}", found.path));
                    outcome.state = State::Unproven { path: found.path, why: why.join("; ") };
                }
            }
        }
        Ok(outcome)
    }

    fn install(&self, tool: &Tool, step: &Step) -> Result<()> {
        self.progress.note(&format!("{}: {step}", tool.name));
        if self.install_to == InstallTo::Workspace {
            ignore_own_folder(&self.machine.root)?;
        }
        take(step, self.machine, self.confirm, self.progress)
    }

    /// What was seen of the tool at `found`, now or earlier.
    fn proven(&self, tool: &Tool, found: &Found, outcome: &mut Outcome, known: &Known) -> Result<Proven> {
        if let Some(proven) = known.proof(tool, found, self.machine) {
            return Ok(proven.clone());
        }
        outcome.proven_now = true;
        self.progress.detail(&format!("proving {} at {}", tool.name, found.path));
        let proving = Instant::now();
        let proven = prove(tool, found, self.machine);
        outcome.proof_ms += whole_milliseconds(proving.elapsed());
        proven
    }
}

impl Outcome {
    /// Nothing was done about `tool` so far.
    pub(crate) fn new(tool: &Tool) -> Self {
        Self {
            name: tool.name.clone(),
            need: tool.need,
            without: tool.without.clone(),
            installed: None,
            proven_now: false,
            install_ms: 0,
            proof_ms: 0,
            state: State::Unwanted,
        }
    }
}
