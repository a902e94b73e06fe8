//! `cargo xtask adopt`: the suite in somebody else's workspace.

#[cfg(feature = "put")]
mod put;
mod show;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::ArgMatches;
use xtask_edit::Transaction;
use xtask_units::holding_signals;
use xtask_workspace::config::Config;
use xtask_workspace::{Environment, Outline, Workspace, WrongUsage};

use xtask_adopt::{Adopted, Interrupted, find_adopted, without_launcher};
use xtask_suite::program::{Ended, RESERVED};
use xtask_suite::{Exit, Shell};

#[cfg(feature = "put")]
use put::adopt;

/// Adopts, updates or undoes in the workspace that `arguments` name, relative to `dir`.
pub(super) fn run(
    arguments: &ArgMatches,
    dir: &Utf8Path,
    environment: &Environment,
    shell: &Shell,
) -> Result<Ended> {
    let path = arguments.get_one::<String>("path").map_or(".", String::as_str);
    let dir = dir.join(path);
    let dir = dir
        .canonicalize_utf8()
        .map_err(|error| WrongUsage(format!("failed to read folder {dir}: {error}")))?;
    let dir = if dir.is_file() { folder_of(&dir)? } else { dir };
    let dry_run = arguments.get_flag("dry-run");
    finish_interrupted(&dir, dry_run, shell)?;
    if arguments.get_flag("undo") {
        undo(&dir, environment, dry_run, shell)
    } else if arguments.get_flag("observe") {
        observe(&dir, environment, dry_run, shell)
    } else {
        adopt(arguments, &dir, environment, shell)
    }
}

/// A copy cannot be copied: it was perhaps changed, and lacks what its workspace does not need.
#[cfg(not(feature = "put"))]
fn adopt(_: &ArgMatches, _: &Utf8Path, _: &Environment, _: &Shell) -> Result<Ended> {
    let url = env!("CARGO_PKG_REPOSITORY");
    Err(WrongUsage(format!(
        "this is a copy of xtask-suite, and only a clone can be adopted from\n  next: git clone {url} && cd xtask-suite && \
         cargo xtask adopt PATH\n  --observe and --undo work here"
    ))
    .into())
}

/// A manifest stands for its folder.
fn folder_of(file: &Utf8Path) -> Result<Utf8PathBuf> {
    match file.parent() {
        Some(folder) if file.file_name() == Some("Cargo.toml") => Ok(folder.to_owned()),
        _ => Err(WrongUsage(format!("{file} is a file\n  next: name the workspace's folder")).into()),
    }
}

fn undo(dir: &Utf8Path, environment: &Environment, dry_run: bool, shell: &Shell) -> Result<Ended> {
    let root = Outline::of(dir, environment)?.facts.root;
    if dry_run {
        let (launcher, adopted) = adopted(&root)?;
        show::undo_plan(&root, &xtask_adopt::plan_undo(&root, launcher, &adopted)?, shell)?;
        return Ok(Exit::Done.into());
    }
    let transaction = begin(&root, shell)?;
    let (launcher, adopted) = adopted(&root)?;
    xtask_adopt::remove_target_dir(&root, launcher)?;
    let plan = xtask_adopt::plan_undo(&root, launcher, &adopted)?;
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
    show::undone(&root, &plan, shell)?;
    Ok(Ended::new(Exit::from_success(plan.kept.is_empty()), signal))
}

/// Checks the workspace, and writes what does not build into its `xtask.toml`.
fn observe(dir: &Utf8Path, environment: &Environment, dry_run: bool, shell: &Shell) -> Result<Ended> {
    let root = Outline::of(dir, environment)?.facts.root;
    let (launcher, adopted) = adopted(&root)?;
    let workspace = Workspace::load(&root, environment.clone())?;
    let config = || Config::load(&root, &workspace.facts, &RESERVED);
    let plan = match xtask_adopt::observe(&workspace, &config()?, (launcher, &adopted), shell) {
        Ok(plan) => plan,
        Err(error) => match error.downcast::<Interrupted>() {
            Ok(Interrupted(signal)) => return Ok(Ended::new(Exit::Failed, Some(signal))),
            Err(error) => return Err(error),
        },
    };
    if dry_run || plan.edits.is_empty() {
        show::observed(&plan, dry_run, shell)?;
        return Ok(Exit::Done.into());
    }
    let transaction = begin(&root, shell)?;
    let (done, signal) =
        holding_signals(|_| transaction.commit(&plan.edits, || config().map(drop).map_err(Into::into)))?;
    done.with_context(|| format!("nothing was left out in {root}"))?;
    show::observed(&plan, dry_run, shell)?;
    Ok(Ended::new(Exit::Done, signal))
}

/// What was adopted at `root`, with the launcher's folder. Fails as wrong usage where nothing was.
fn adopted(root: &Utf8Path) -> Result<(&'static str, Adopted)> {
    find_adopted(root)?.ok_or_else(|| WrongUsage(format!("nothing was adopted in {root}")).into())
}

/// Rolls back what a killed run left in the workspace around `dir`, before cargo is asked about it.
fn finish_interrupted(dir: &Utf8Path, dry_run: bool, shell: &Shell) -> Result<()> {
    let Some(root) = dir.ancestors().find(|folder| xtask_edit::pending(folder)) else { return Ok(()) };
    if dry_run {
        return Err(WrongUsage(format!(
            "an earlier change of {root} was interrupted\n  next: the same command without --dry-run takes it back first"
        ))
        .into());
    }
    begin(root, shell).map(drop)
}

fn begin(root: &Utf8Path, shell: &Shell) -> Result<Transaction> {
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
