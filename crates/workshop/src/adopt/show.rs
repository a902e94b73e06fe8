//! How plans and reports of `adopt` look.

use anstyle::AnsiColor;
use anyhow::Result;
use camino::Utf8Path;
use serde::Serialize;
use xtask_adopt::{Finding, ObservePlan};
use xtask_edit::{Edit, Kept, Node, UndoPlan, describe, unified_diff};
use xtask_suite::Shell;
use xtask_suite::program::{bytes, count};

/// What is done to a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Create,
    Edit,
    Remove,
}

/// One change, for people and for `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Change<'a> {
    action: Action,
    /// Relative to the root.
    path: &'a Utf8Path,
    /// 1, or how many are in the folder.
    files: usize,
    /// What it will hold.
    bytes: u64,
}

#[derive(Serialize)]
struct Undone<'a> {
    root: &'a Utf8Path,
    changes: Vec<Change<'a>>,
    kept: Vec<Stays<'a>>,
}

impl<'a> Change<'a> {
    fn of(edit: &'a Edit) -> Self {
        let (files, bytes) = edit.after.as_ref().map_or((1, 0), size);
        let action = match (&edit.before, &edit.after) {
            (None, _) => Action::Create,
            (Some(_), None) => Action::Remove,
            (Some(_), Some(_)) => Action::Edit,
        };
        Self { action, path: &edit.path, files, bytes }
    }
}

/// How many files there are, and their bytes.
pub(super) fn size(node: &Node) -> (usize, u64) {
    match node {
        Node::File(bytes) => (1, bytes.len() as u64),
        Node::Folder(files) => (files.len(), files.values().map(|bytes| bytes.len() as u64).sum()),
    }
}

/// A file that an undo leaves as it is.
#[derive(Serialize)]
struct Stays<'a> {
    path: &'a Utf8Path,
    why: &'a str,
}

pub(super) fn changes(edits: &[Edit]) -> Vec<Change<'_>> {
    edits.iter().map(Change::of).collect()
}

/// The changes, a line each.
pub(super) fn list(edits: &[Edit], shell: &Shell) {
    for change in changes(edits) {
        let (word, colour) = match change.action {
            Action::Create => ("create", AnsiColor::Green),
            Action::Edit => ("edit  ", AnsiColor::Cyan),
            Action::Remove => ("remove", AnsiColor::Yellow),
        };
        let word = shell.paint(word, colour);
        let files = if change.files == 1 { String::new() } else { format!(" ({} files)", change.files) };
        let size = if change.action == Action::Remove {
            String::new()
        } else {
            format!("  {}", bytes(change.bytes))
        };
        shell.result(&format!("  {word}  {}{files}{size}", change.path));
    }
}

/// The change as a diff. A new file is shown whole: it is the user's from then on.
pub(super) fn text(edit: &Edit) -> String {
    match (&edit.before, &edit.after) {
        (None, Some(Node::File(after))) => unified_diff(&edit.path, &[], after),
        _ => describe(edit),
    }
}

/// What `--observe` has found, and what it writes or would write.
pub(super) fn observed(plan: &ObservePlan, dry_run: bool, shell: &Shell) -> Result<()> {
    if shell.json() {
        return shell.document(plan);
    }
    for Finding { what, of, why } in &plan.findings {
        shell.result(&format!("{}: left out {what}: {why}", of.join(", ")));
    }
    let Some(edit) = plan.edits.first() else {
        shell.result(&format!("nothing to leave out in {}", plan.root));
        return Ok(());
    };
    if dry_run {
        shell.result(text(edit).trim_end());
    }
    let found = count(plan.findings.len(), "thing");
    shell.result(&if dry_run {
        format!("{found} would be left out in {}; nothing was changed", plan.root)
    } else {
        format!("{found} left out in {}", plan.root.join(&edit.path))
    });
    Ok(())
}

/// What `--undo` would do.
pub(super) fn undo_plan(root: &Utf8Path, plan: &UndoPlan, shell: &Shell) -> Result<()> {
    if shell.json() {
        return shell.document(&Undone::of(root, plan));
    }
    list(&plan.edits, shell);
    kept(plan, shell);
    shell.result(&format!("this would be undone in {root}; nothing was changed"));
    Ok(())
}

/// What `--undo` did.
pub(super) fn undone(root: &Utf8Path, plan: &UndoPlan, shell: &Shell) -> Result<()> {
    if shell.json() {
        return shell.document(&Undone::of(root, plan));
    }
    kept(plan, shell);
    shell.result(&match plan.kept.len() {
        0 => format!("undone: {root} is as it was"),
        1 => format!("undone in {root}, but for a file that was changed since"),
        count => format!("undone in {root}, but for {count} files that were changed since"),
    });
    Ok(())
}

impl<'a> Undone<'a> {
    fn of(root: &'a Utf8Path, plan: &'a UndoPlan) -> Self {
        let stays = |kept: &'a Kept| Stays { path: &kept.path, why: &kept.why };
        Self { root, changes: changes(&plan.edits), kept: plan.kept.iter().map(stays).collect() }
    }
}

fn kept(plan: &UndoPlan, shell: &Shell) {
    for kept in &plan.kept {
        shell.warning(&format!("{} stays: it {}", kept.path, kept.why));
    }
}
