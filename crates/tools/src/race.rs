//! Which linker is the fastest here: the workspace's largest test program, linked over and over by each candidate.
//!
//! One run of the linker is all that is timed. Cargo prints how it calls rustc for that program (`subject`), and rustc
//! how it calls the linker (`link_line`). That call is edited for each candidate, and the calls are made in rounds, so
//! that other work on the machine slows all of them (`contest`).
//!
//! Invariants: nothing that is linked here is put where a build would look for it; the one unit that is compiled again
//! in the user's own target dir ends fresh; and what the race wrote is gone when it ends. After a kill the next race
//! removes it.

mod contest;
mod link_line;
mod subject;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use xtask_stats::{Comparison, Verdict};
use xtask_workspace::{CargoCommand, Progress, Workspace};

use crate::catalog::LinkSettings;
use crate::machine::Machine;

/// A way to link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What it is called in the result.
    pub name: String,
    /// How rustc is told to use it.
    pub settings: LinkSettings,
    /// The name that the linker leaves in what it links, see [`Tool::says`](crate::Tool::says); `None` is not checked.
    pub says: Option<String>,
}

/// How long each candidate took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Race {
    /// What was linked: package and target, `app test it`.
    pub binary: String,
    /// The size of that program in the user's own build, in bytes.
    pub bytes: u64,
    /// How many rounds were timed.
    pub rounds: usize,
    /// The candidates in the order they were given; the first is the baseline.
    pub entries: Vec<Entry>,
}

impl Race {
    /// The name of the candidate that is faster than the baseline beyond the noise, the fastest of them if several are.
    pub fn fastest(&self) -> Option<&str> {
        let faster = |entry: &&Entry| {
            entry.comparison.as_ref().is_some_and(|comparison| comparison.verdict == Verdict::Faster)
        };
        let by_median = |one: &&Entry, other: &&Entry| {
            let median = |entry: &Entry| entry.median_ms.unwrap_or(f64::INFINITY);
            median(one).total_cmp(&median(other))
        };
        self.entries.iter().filter(faster).min_by(by_median).map(|entry| entry.name.as_str())
    }
}

/// How long one candidate took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The candidate's name.
    pub name: String,
    /// Milliseconds that the linker took, one value per round.
    pub milliseconds: Vec<f64>,
    /// Their median; `None` when it linked in no round.
    pub median_ms: Option<f64>,
    /// Against the baseline; `None` for the baseline itself, and for a candidate that failed.
    pub comparison: Option<Comparison>,
    /// Why it could not link; it is left out from then on.
    pub failed: Option<String>,
}

/// Times each of `candidates` in `rounds` rounds at linking the largest test program that `test_command` builds.
///
/// The first candidate is the baseline, what is in force now. Nothing that the user's own flags say of the linker reaches
/// the others.
///
/// `None`, with the reason as a note, where there is no test program or the tests do not build. Fails when the baseline
/// cannot be linked again, or on a signal.
pub fn race(
    workspace: &Workspace,
    machine: &Machine,
    test_command: &CargoCommand,
    candidates: &[Candidate],
    rounds: usize,
    progress: &dyn Progress,
) -> Result<Option<Race>> {
    if candidates.is_empty() {
        bail!("there is nothing to race: the first candidate is the baseline");
    }
    let scratch = machine.scratch("race")?;
    let mut test_command = test_command.clone();
    test_command.run_nothing();
    let Some(program) = subject::largest(workspace, &test_command, progress)? else { return Ok(None) };
    progress.note(&format!("linking {} over and over", program.name));
    let call = subject::compiler_call(workspace, &test_command, &program)?;
    let mut contestants = contest::prepare(&call, candidates, scratch.path(), progress)?;
    contest::run(&mut contestants, rounds, progress)?;
    let entries = contest::entries(contestants);
    Ok(Some(Race { binary: program.name, bytes: program.bytes, rounds, entries }))
}
