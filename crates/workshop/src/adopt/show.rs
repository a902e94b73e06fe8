//! How plans and reports of `adopt` look.

use anstyle::AnsiColor;
use anyhow::Result;
use camino::Utf8Path;
use serde::Serialize;
use xtask_edit::{Edit, Kept, Node, UndoPlan, describe, unified_diff};
use xtask_workspace::shell_quote;

use super::costs::Costs;
use xtask_adopt::{AdoptPlan, How};
use xtask_suite::Shell;
use xtask_suite::program::seconds;

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
struct Change<'a> {
    action: Action,
    /// Relative to the root.
    path: &'a Utf8Path,
    /// 1, or how many are in the folder.
    files: usize,
    /// What it will hold.
    bytes: u64,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    plan: &'a AdoptPlan,
    changes: Vec<Change<'a>>,
    /// What the suite and the settings take in the repository.
    repository_bytes: u64,
    /// `null` where nothing was built.
    costs: Option<&'a Costs>,
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
fn size(node: &Node) -> (usize, u64) {
    match node {
        Node::File(content) => (1, content.bytes.len() as u64),
        Node::Folder(files) => (files.len(), files.values().map(|content| content.bytes.len() as u64).sum()),
    }
}

/// A file that an undo leaves as it is.
#[derive(Serialize)]
struct Stays<'a> {
    path: &'a Utf8Path,
    why: &'a str,
}

fn changes(edits: &[Edit]) -> Vec<Change<'_>> {
    edits.iter().map(Change::of).collect()
}

/// What would be done, with the text of each change but for that of whole folders.
pub(super) fn plan(plan: &AdoptPlan, shell: &Shell) -> Result<()> {
    for note in &plan.notes {
        shell.note(note);
    }
    if shell.json() {
        return document(plan, None, shell);
    }
    for edit in &plan.edits {
        shell.result(text(edit).trim_end());
    }
    list(&plan.edits, shell);
    shell.result(&match plan.edits.len() {
        0 => format!("nothing to change in {}", plan.root),
        _ => format!("{} would get the suite {}; nothing was changed", plan.root, plan.how.describe()),
    });
    Ok(())
}

/// The change as a diff. A new file is shown whole: it is the user's from then on.
fn text(edit: &Edit) -> String {
    match (&edit.before, &edit.after) {
        (None, Some(Node::File(after))) => unified_diff(&edit.path, &[], &after.bytes),
        _ => describe(edit),
    }
}

fn list(edits: &[Edit], shell: &Shell) {
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
            format!("  {}", xtask_suite::program::bytes(change.bytes))
        };
        shell.result(&format!("  {word}  {}{files}{size}", change.path));
    }
}

/// Said before the build, which takes its time.
pub(super) fn before_build(plan: &AdoptPlan, shell: &Shell) {
    shell.note(&format!(
        "the suite is in {}; it is built there once, to see that it starts and what it costs (--undo takes it out)",
        plan.root
    ));
}

/// What was done, and what to do next.
pub(super) fn report(plan: &AdoptPlan, costs: Option<&Costs>, shell: &Shell) -> Result<()> {
    if shell.json() {
        return document(plan, costs, shell);
    }
    list(&plan.edits, shell);
    if plan.edits.is_empty() {
        shell.result(&format!("nothing to change: {} has the suite, {}", plan.root, plan.how.describe()));
        return Ok(());
    }
    if let Some(costs) = costs {
        shell.result(&format!(
            "costs: first build {}, then {} ms per call; {} in the repository, {} in the target dir",
            seconds(costs.first_build_ms),
            costs.call_ms,
            xtask_suite::program::bytes(repository_bytes(&plan.edits)),
            xtask_suite::program::bytes(costs.target_bytes)
        ));
    }
    if matches!(plan.how, How::Path { .. }) {
        shell.note("the suite is built from a clone on this machine: nobody else's `cargo xtask` works");
    }
    shell.result(&format!("next: cd {} && cargo xtask test-fast", shell_quote(plan.root.as_str())));
    Ok(())
}

fn repository_bytes(edits: &[Edit]) -> u64 {
    let grown = |edit: &Edit| {
        let bytes = |node: &Option<Node>| node.as_ref().map_or(0, |node| size(node).1);
        bytes(&edit.after).saturating_sub(bytes(&edit.before))
    };
    edits.iter().map(grown).sum()
}

fn document(plan: &AdoptPlan, costs: Option<&Costs>, shell: &Shell) -> Result<()> {
    let repository_bytes = repository_bytes(&plan.edits);
    shell.document(&Report { plan, changes: changes(&plan.edits), repository_bytes, costs })
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
