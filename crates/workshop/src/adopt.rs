//! `cargo xtask adopt`: the suite in another workspace.

#[cfg(feature = "put")]
mod put;

use anstyle::AnsiColor;
use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use clap::ArgMatches;
use serde_json::{Value, json};
use xtask_adopt::{Adopted, Finding, ObservePlan, find_adopted, without_launcher};
use xtask_edit::{Edit, Node, Transaction, UndoPlan, describe, unified_diff};
use xtask_suite::program::{Ended, RESERVED, bytes, count};
use xtask_suite::{Exit, Shell};
use xtask_units::holding_signals;
use xtask_workspace::config::Config;
use xtask_workspace::{Environment, Outline, Workspace, WrongUsage};

#[cfg(feature = "put")]
use put::adopt;

/// Adopts, updates, observes or undoes in the workspace that `arguments` name, relative to `dir`.
pub(super) fn run(
    arguments: &ArgMatches,
    dir: &Utf8Path,
    environment: &Environment,
    shell: &Shell,
) -> Result<Ended> {
    let dir = dir.join(arguments.get_one::<String>("path").map_or(".", String::as_str));
    let dir = dir
        .canonicalize_utf8()
        .map_err(|error| WrongUsage(format!("failed to read folder {dir}: {error}")))?;
    // A manifest stands for its folder.
    let dir = match dir.parent() {
        Some(folder) if dir.is_file() && dir.file_name() == Some("Cargo.toml") => folder,
        _ if dir.is_file() => {
            bail!(WrongUsage(format!("{dir} is a file\n  next: name the workspace's folder")))
        }
        _ => &dir,
    };
    let dry_run = arguments.get_flag("dry-run");
    // What a killed run has left is rolled back before cargo is asked about the workspace.
    if let Some(root) = dir.ancestors().find(|folder| xtask_edit::pending(folder)) {
        if dry_run {
            bail!(WrongUsage(format!(
                "an earlier change of {root} was interrupted\n  next: the same command without --dry-run takes it back first"
            )));
        }
        begin(root, shell)?;
    }
    if arguments.get_flag("undo") {
        undo(dir, environment, dry_run, shell)
    } else if arguments.get_flag("observe") {
        observe(dir, environment, dry_run, shell)
    } else {
        adopt(arguments, dir, environment, shell)
    }
}

/// A copy cannot be copied: it may have been changed, and lacks what its workspace does not need.
#[cfg(not(feature = "put"))]
fn adopt(_: &ArgMatches, _: &Utf8Path, _: &Environment, _: &Shell) -> Result<Ended> {
    let url = env!("CARGO_PKG_REPOSITORY");
    bail!(WrongUsage(format!(
        "this is a copy of xtask-suite, and only a clone can be adopted from\n  next: git clone {url} && cd xtask-suite && \
         cargo xtask adopt PATH\n  --observe and --undo work here"
    )))
}

fn undo(dir: &Utf8Path, environment: &Environment, dry_run: bool, shell: &Shell) -> Result<Ended> {
    let root = Outline::of(dir, environment)?.facts.root;
    let transaction = if dry_run { None } else { Some(begin(&root, shell)?) };
    let (launcher, adopted) = adopted(&root)?;
    if !dry_run {
        xtask_adopt::remove_target_dir(&root, launcher)?;
    }
    let plan = xtask_adopt::plan_undo(&root, launcher, &adopted)?;
    let Some(transaction) = transaction else {
        show_undo(&root, &plan, dry_run, shell)?;
        return Ok(Exit::Done.into());
    };
    if let Some(manifest) = plan.kept.iter().find(|kept| kept.path == "Cargo.toml") {
        bail!(
            "nothing was undone in {root}: Cargo.toml {}, and without the launcher cargo could not read it\n  \
             next: remove the member `{launcher}` from it, then the same command again",
            manifest.why
        );
    }
    let (done, signal) = holding_signals(|_| {
        transaction.commit(&plan.edits, || without_launcher(&root, launcher, environment))
    })?;
    done.with_context(|| format!("nothing was undone in {root}"))?;
    show_undo(&root, &plan, dry_run, shell)?;
    Ok(Ended::new(Exit::from_success(plan.kept.is_empty()), signal))
}

fn show_undo(root: &Utf8Path, plan: &UndoPlan, dry_run: bool, shell: &Shell) -> Result<()> {
    if shell.json() {
        let kept = plan.kept.iter().map(|kept| json!({ "path": kept.path, "why": kept.why }));
        let kept = kept.collect::<Vec<_>>();
        return shell.document(&json!({ "root": root, "changes": changes(&plan.edits), "kept": kept }));
    }
    if dry_run {
        list(&plan.edits, shell);
    }
    for kept in &plan.kept {
        shell.warning(&format!("{} stays: it {}", kept.path, kept.why));
    }
    shell.result(&match plan.kept.len() {
        _ if dry_run => format!("this would be undone in {root}; nothing was changed"),
        0 => format!("undone: {root} is as it was"),
        kept => format!("undone in {root}, except for {} changed since", count(kept, "file")),
    });
    Ok(())
}

/// Checks the workspace, and writes what does not build into its `xtask.toml`.
fn observe(dir: &Utf8Path, environment: &Environment, dry_run: bool, shell: &Shell) -> Result<Ended> {
    let root = Outline::of(dir, environment)?.facts.root;
    let (launcher, adopted) = adopted(&root)?;
    let workspace = Workspace::load(&root, environment.clone())?;
    let config = || Config::load(&root, &workspace.facts, &RESERVED);
    let plan = xtask_adopt::observe(&workspace, &config()?, (launcher, &adopted), shell)?;
    if dry_run || plan.edits.is_empty() {
        show_observed(&plan, dry_run, shell)?;
        return Ok(Exit::Done.into());
    }
    let transaction = begin(&root, shell)?;
    let (done, signal) =
        holding_signals(|_| transaction.commit(&plan.edits, || config().map(drop).map_err(Into::into)))?;
    done.with_context(|| format!("nothing was left out in {root}"))?;
    show_observed(&plan, dry_run, shell)?;
    Ok(Ended::new(Exit::Done, signal))
}

/// What was found, and what is or would be written.
fn show_observed(plan: &ObservePlan, dry_run: bool, shell: &Shell) -> Result<()> {
    if shell.json() {
        return shell.document(plan);
    }
    for Finding { what, of, why } in &plan.findings {
        shell.result(&format!("{}: left out {what}: {why}", of.join(", ")));
    }
    let found = count(plan.findings.len(), "thing");
    shell.result(&match plan.edits.first() {
        None => format!("nothing to leave out in {}", plan.root),
        Some(edit) if dry_run => {
            shell.result(diff(edit).trim_end());
            format!("{found} would be left out in {}; nothing was changed", plan.root)
        }
        Some(edit) => format!("{found} left out in {}", plan.root.join(&edit.path)),
    });
    Ok(())
}

/// What was adopted at `root`, with the launcher's folder. Fails as wrong usage if nothing was.
fn adopted(root: &Utf8Path) -> Result<(&'static str, Adopted)> {
    find_adopted(root)?.ok_or_else(|| WrongUsage(format!("nothing was adopted in {root}")).into())
}

pub(super) fn begin(root: &Utf8Path, shell: &Shell) -> Result<Transaction> {
    let (transaction, recovered) = Transaction::begin(root)?;
    if let Some(recovered) = recovered {
        shell.note(&format!("an earlier change of {root} was interrupted; it was taken back"));
        for conflict in &recovered.conflicts {
            let old =
                conflict.old.as_ref().map(|old| format!("; what it was before is in {}", root.join(old)));
            let path = root.join(&conflict.path);
            shell.warning(&format!("{path} was changed since; it stays{}", old.unwrap_or_default()));
        }
    }
    Ok(transaction)
}

/// What is done to a file or folder; in how many files, and how many bytes they will hold.
fn change(edit: &Edit) -> (&'static str, usize, u64) {
    let action = match (&edit.before, &edit.after) {
        (None, _) => "create",
        (Some(_), None) => "remove",
        (Some(_), Some(_)) => "edit",
    };
    let (files, bytes) = edit.after.as_ref().map_or((1, 0), size);
    (action, files, bytes)
}

/// How many files there are, and their bytes.
fn size(node: &Node) -> (usize, u64) {
    match node {
        Node::File(bytes) => (1, bytes.len() as u64),
        Node::Folder(files) => (files.len(), files.values().map(|bytes| bytes.len() as u64).sum()),
    }
}

/// The changes for `--json`.
fn changes(edits: &[Edit]) -> Vec<Value> {
    let json = |edit: &Edit| {
        let (action, files, bytes) = change(edit);
        json!({ "action": action, "path": edit.path, "files": files, "bytes": bytes })
    };
    edits.iter().map(json).collect()
}

/// The changes for people, one line each.
fn list(edits: &[Edit], shell: &Shell) {
    for edit in edits {
        let (action, files, size) = change(edit);
        let colour = match action {
            "create" => AnsiColor::Green,
            "edit" => AnsiColor::Cyan,
            _ => AnsiColor::Yellow,
        };
        let action_shown = shell.paint(&format!("{action:6}"), colour);
        let files = if files == 1 { String::new() } else { format!(" ({files} files)") };
        let size = if action == "remove" { String::new() } else { format!("  {}", bytes(size)) };
        shell.result(&format!("  {action_shown}  {}{files}{size}", edit.path));
    }
}

/// The change as a diff. A new file is shown whole: it is the user's from then on.
pub(super) fn diff(edit: &Edit) -> String {
    match (&edit.before, &edit.after) {
        (None, Some(Node::File(after))) => unified_diff(&edit.path, &[], after),
        _ => describe(edit),
    }
}
