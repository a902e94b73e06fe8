//! What a setup has done.

use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_workspace::config::{Need, Way};

use super::decide::Overruled;
use crate::catalog::LinkSettings;
use crate::local::LocalSettings;
use crate::race::Race;

/// What is true of a tool now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "state")]
pub enum State {
    /// Its effect was seen.
    Proven {
        /// Its program.
        path: Utf8PathBuf,
        /// The version that it says to have.
        version: Option<String>,
        /// What was seen.
        evidence: String,
        /// For a linker: the settings by which it was.
        link: Option<LinkSettings>,
    },
    /// It is there, and does not do what it is for.
    Unproven {
        /// Its program.
        path: Utf8PathBuf,
        /// What was seen instead.
        why: String,
    },
    /// It is not there, or its version will not do.
    Missing {
        /// Why, and what was tried: a line each.
        why: Vec<String>,
    },
    /// It is neither installed nor used.
    Unwanted,
}

/// What became of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// How much it is wanted.
    pub need: Need,
    /// What is used without it; may be empty.
    pub without: String,
    /// The way by which it was installed just now.
    pub installed: Option<Way>,
    /// Whether its proof was made just now, not earlier.
    pub proven_now: bool,
    /// How long installing it took, in milliseconds.
    pub install_ms: u64,
    /// How long its proof took, in milliseconds; 0 for one that was made earlier.
    pub proof_ms: u64,
    /// What is true of it.
    #[serde(flatten)]
    pub state: State,
}

impl Outcome {
    /// Whether the setup fails for the lack of it.
    pub fn is_lacking(&self) -> bool {
        self.need == Need::Required && !matches!(self.state, State::Proven { .. })
    }

    /// The settings by which it links, if it is a proven linker.
    pub fn link(&self) -> Option<&LinkSettings> {
        match &self.state {
            State::Proven { link, .. } => link.as_ref(),
            _ => None,
        }
    }
}

/// What a setup has done.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetupReport {
    /// The tools, in the catalog's order.
    pub tools: Vec<Outcome>,
    /// How long the largest test links with each linker, if that was measured, now or earlier.
    pub race: Option<Race>,
    /// What is set for this machine now.
    pub settings: LocalSettings,
    /// The files that were changed, relative to the workspace's root.
    pub changed: Vec<Utf8PathBuf>,
    /// What was seen with all settings in force.
    pub in_force: Option<String>,
    /// Settings that do not count.
    pub overruled: Vec<Overruled>,
    /// Settings of the user's that ours take the place of in this workspace, a line each.
    pub replaced: Vec<String>,
    /// Choices that did not work and were replaced by the next one.
    pub fallbacks: Vec<String>,
    /// The text of the settings, where this cargo cannot include them: it is for the user's own configuration.
    pub for_user_config: Option<String>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long measuring linkers took, in milliseconds, building the tests for it included.
    pub race_ms: u64,
    /// How long it took to set everything and to see it in force, in milliseconds.
    pub set_ms: u64,
    /// How long all of it took, in milliseconds.
    pub took_ms: u64,
}

impl SetupReport {
    /// The required tools that are not there or not proven.
    pub fn lacking(&self) -> impl Iterator<Item = &Outcome> {
        self.tools.iter().filter(|outcome| outcome.is_lacking())
    }
}
