//! What tests wrote while they ran.

use std::collections::BTreeMap;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::Digest;

use crate::verdicts::contents::{escape, read_lines, unescape, write_lines};

/// The files that differed after a run, by name, relative to the workspace root.
pub(super) type Written = BTreeMap<String, Left>;

/// How a run left a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    /// `None` if it was gone.
    pub(super) content: Option<Digest>,
    /// In how many runs in a row it was written, up to [`SETTLED`].
    runs: u32,
    /// Whether the tests of the package whose folder it is in made it: then nobody else's tests depend on it.
    pub(super) is_output: bool,
}

const SETTLED: u32 = 2;

/// More is forgotten, which costs a run.
const MOST: usize = 10_000;

impl Left {
    /// A run made it where there was nothing (`was_missing`), or changed it; `owner_ran` if tests of the package ran whose
    /// folder it is in. A file that was there may be one that the user edits while tests run.
    pub(super) fn first(was_missing: bool, owner_ran: bool) -> Self {
        let is_output = was_missing && owner_ran;
        Self { content: None, runs: 1, is_output }
    }

    /// The next run wrote it too; `owner_ran` as in [`Left::first`]: if the package did not run, others write to it.
    pub(super) fn again(&self, owner_ran: bool) -> Self {
        Self { runs: SETTLED.min(self.runs + 1), is_output: self.is_output && owner_ran, ..self.clone() }
    }

    /// The next run left it alone, or wrote the same. One of two programs of a package may have, so what is known to differ
    /// from run to run stays so.
    pub(super) fn paused(&self) -> Option<Self> {
        let runs = if self.is_settled() { self.runs } else { 0 };
        (runs > 0 || self.is_output).then(|| Self { runs, ..self.clone() })
    }

    pub(super) fn holding(&self, content: Option<Digest>) -> Self {
        Self { content, ..self.clone() }
    }

    /// Whether it differs from run to run.
    pub(super) fn is_settled(&self) -> bool {
        self.runs >= SETTLED
    }
}

fn path(state_dir: &Utf8Path) -> Utf8PathBuf {
    state_dir.join("verdicts/written")
}

/// Nothing is known where the file is missing or damaged.
pub(super) fn load(state_dir: &Utf8Path) -> Written {
    let lines = read_lines(&path(state_dir)).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split('\t');
        let [content, runs, is_output, name] = [(); 4].map(|()| fields.next());
        let content = match content? {
            "-" => None,
            digest => Some(Digest::parse(digest)?),
        };
        let left = Left { content, runs: runs?.parse().ok()?, is_output: is_output? == "output" };
        Some((unescape(name?), left))
    };
    lines.lines().filter_map(entry).collect()
}

pub(super) fn save(written: &Written, state_dir: &Utf8Path) -> Result<()> {
    let lines = written.iter().take(MOST).map(|(name, left)| {
        let content = left.content.as_ref().map_or("-".into(), Digest::to_string);
        let whose = if left.is_output { "output" } else { "unknown" };
        format!("{content}\t{}\t{whose}\t{}\n", left.runs, escape(name))
    });
    write_lines(&path(state_dir), &lines.collect::<String>())
}
