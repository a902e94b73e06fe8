//! Undoing the settings of this machine. Tools stay: other workspaces may use them.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::{Edit, Kept, Node, Reversal, Transaction, extend, pending, plan_undo};

use super::{LOCAL_FILE, is_ours};
use crate::machine::{IGNORES_ITSELF, OWN_FOLDER};

/// The record of what is to be undone. It is in a folder of our own, which git ignores, and not below the target dir:
/// `cargo clean` must not remove it.
const RECORD: &str = "undo.json";

/// The record of how to undo `edits`, which are about to be made below `root`, as edits for the same transaction. Each file
/// is recorded once, with its first state; the local file is ours and needs no record.
pub(crate) fn record(root: &Utf8Path, edits: &[Edit]) -> Result<Vec<Edit>> {
    let local = Utf8Path::new(".cargo").join(LOCAL_FILE);
    let recorded = edits.iter().filter(|edit| edit.path != local).cloned().collect::<Vec<_>>();
    let record = extend(read(root)?, &recorded, root, |_| false)?;
    if record.is_empty() {
        return Ok(Vec::new());
    }
    let json = serde_json::to_string_pretty(&record).context("failed to write JSON")? + "\n";
    let own = |name: &str, text: String| {
        let path = Utf8Path::new(OWN_FOLDER).join(name);
        let before = Node::read(&root.join(&path))?;
        Ok(Edit { path, before, after: Some(Node::file(text)) })
    };
    let edits = [own(".gitignore", IGNORES_ITSELF.to_owned()), own(RECORD, json)];
    edits.into_iter().collect()
}

fn read(root: &Utf8Path) -> Result<Vec<Reversal>> {
    let path = root.join(OWN_FOLDER).join(RECORD);
    match std::fs::read(&path) {
        Ok(json) => serde_json::from_slice(&json).with_context(|| {
            format!("failed to read {path}, which says how changes are undone; remove it to continue without")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
    }
}

/// What undoing would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupUndo {
    /// The changes, as one transaction.
    pub edits: Vec<Edit>,
    /// The files that stay as they are.
    pub kept: Vec<Kept>,
    /// Whether a setup was killed, whose changes are undone first.
    pub interrupted: bool,
    root: Utf8PathBuf,
}

impl SetupUndo {
    /// Plans the undo in the workspace at `root`. Changes nothing.
    pub fn plan(root: &Utf8Path) -> Result<Self> {
        let path = Utf8Path::new(".cargo").join(LOCAL_FILE);
        let before = Node::read(&root.join(&path))?;
        let back = plan_undo(root, &read(root)?)?;
        let mut kept = back.kept;
        let mut edits = Vec::new();
        if before.as_ref().is_some_and(|node| !is_ours(node)) {
            kept.push(Kept { path, why: "was not written by `cargo xtask setup`".to_owned() });
        } else {
            edits.push(Edit { path, before, after: None });
        }
        edits.extend(back.edits);
        edits.extend(forget(root)?);
        edits.retain(|edit| !edit.is_empty());
        Ok(Self { edits, kept, interrupted: pending(root), root: root.to_owned() })
    }

    /// Does it; returns what was done.
    pub fn execute(self) -> Result<Self> {
        let (transaction, recovered) = Transaction::begin(&self.root)?;
        // The changes of a killed setup were undone just now.
        let plan = if recovered.is_some() { Self::plan(&self.root)? } else { self };
        if !plan.edits.is_empty() {
            transaction.commit(&plan.edits, || Ok(()))?;
        }
        for folder in [plan.root.join(OWN_FOLDER), plan.root.join(".cargo")] {
            // A folder that is not empty stays.
            let _ = std::fs::remove_dir(folder);
        }
        Ok(plan)
    }
}

impl SetupUndo {
    /// The files of the user's that change, relative to the root: not our own record.
    pub fn changed(&self) -> impl Iterator<Item = &Edit> {
        self.edits.iter().filter(|edit| !edit.path.starts_with(OWN_FOLDER))
    }
}

/// The edits that remove our record, and its `.gitignore` if nothing else is beside them.
fn forget(root: &Utf8Path) -> Result<Vec<Edit>> {
    let folder = root.join(OWN_FOLDER);
    let names = folder.read_dir_utf8().into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_owned()).collect::<Vec<_>>();
    let alone = names.iter().all(|name| matches!(name.as_str(), RECORD | ".gitignore"));
    let goes = names.iter().filter(|name| *name == RECORD || (alone && *name == ".gitignore"));
    goes.map(|name| {
        let path = Utf8Path::new(OWN_FOLDER).join(name);
        Ok(Edit { before: Node::read(&root.join(&path))?, path, after: None })
    })
    .collect()
}
