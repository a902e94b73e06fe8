//! Taking the settings of this machine back. Tools stay: they may serve others.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::{Edit, Kept, Node, Reversal, Transaction, pending, plan_undo, reversal};
use xtask_files::{Durability, remove_file, write_atomic};

use crate::local::LOCAL_FILE;

fn file(state_dir: &Utf8Path) -> Utf8PathBuf {
    state_dir.join("undo.json")
}

/// Keeps what takes `edits` back, which are about to be made below `root`. Of each file the first state counts; the
/// local file itself is ours, and needs no such thing.
pub(crate) fn keep(state_dir: &Utf8Path, root: &Utf8Path, edits: &[Edit]) -> Result<()> {
    let local = Utf8Path::new(".cargo").join(LOCAL_FILE);
    let mut kept = read(state_dir);
    for edit in edits.iter().filter(|edit| edit.path != local) {
        if let Some(at) = kept.iter().position(|earlier| earlier.path() == edit.path) {
            // Edited again since: what the first one has changed is found by meaning, or left and said.
            let back = plan_undo(root, std::slice::from_ref(&kept[at]))?;
            if back.kept.is_empty() && back.edits.is_empty() {
                kept.remove(at);
            } else {
                continue;
            }
        }
        kept.extend(reversal(edit));
    }
    let json = serde_json::to_vec_pretty(&kept).context("failed to write JSON")?;
    write_atomic(&file(state_dir), json, Durability::Cache)
}

fn read(state_dir: &Utf8Path) -> Vec<Reversal> {
    let json = std::fs::read(file(state_dir)).ok();
    json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

/// What undoing would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupUndo {
    /// The changes, as one transaction.
    pub edits: Vec<Edit>,
    /// What stays as it is.
    pub kept: Vec<Kept>,
    root: Utf8PathBuf,
    state_dir: Utf8PathBuf,
}

impl SetupUndo {
    /// Looks what there is to be undone in the workspace at `root`.
    pub fn plan(root: &Utf8Path, state_dir: &Utf8Path) -> Result<Self> {
        if pending(root) {
            // Puts back what a killed setup has left: the plan is about the workspace as it was before that.
            Transaction::begin(root)?;
        }
        let path = Utf8Path::new(".cargo").join(LOCAL_FILE);
        let before = Node::read(&root.join(&path))?;
        let local = Edit { path, before, after: None };
        let back = plan_undo(root, &read(state_dir))?;
        let edits = std::iter::once(local).filter(|edit| !edit.is_empty()).chain(back.edits).collect();
        Ok(Self { edits, kept: back.kept, root: root.to_owned(), state_dir: state_dir.to_owned() })
    }

    /// Does it.
    pub fn execute(&self) -> Result<()> {
        if !self.edits.is_empty() {
            let (transaction, _) = Transaction::begin(&self.root)?;
            transaction.commit(&self.edits, || Ok(()))?;
        }
        remove_file(&file(&self.state_dir))
    }
}
