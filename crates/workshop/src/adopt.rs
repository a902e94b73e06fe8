//! `cargo xtask adopt`: the suite in somebody else's workspace.

mod costs;
mod show;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::ArgMatches;
use xtask_edit::Transaction;
use xtask_units::holding_signals;
use xtask_workspace::{Environment, Outline, WrongUsage};

use xtask_adopt::{
    AdoptOptions, Existing, Host, How, Source, Update, takes_lock_file, unchanged_but_for, without_launcher,
};
use xtask_suite::Exit;
use xtask_suite::Shell;
use xtask_suite::program::Ended;

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
    } else {
        adopt(arguments, &dir, environment, shell)
    }
}

/// A manifest stands for its folder.
fn folder_of(file: &Utf8Path) -> Result<Utf8PathBuf> {
    match file.parent() {
        Some(folder) if file.file_name() == Some("Cargo.toml") => Ok(folder.to_owned()),
        _ => Err(WrongUsage(format!("{file} is a file\n  next: name the workspace's folder")).into()),
    }
}

fn adopt(arguments: &ArgMatches, dir: &Utf8Path, environment: &Environment, shell: &Shell) -> Result<Ended> {
    let source = Source::find(environment)?;
    let options = options(arguments, &source);
    let plan_now = || {
        let host = Host::inspect(dir, environment)?;
        let plan = xtask_adopt::plan(&host, &source, &options, environment)?;
        Ok::<_, anyhow::Error>((host, plan))
    };
    if arguments.get_flag("dry-run") {
        let (_, plan) = plan_now()?;
        show::plan(&plan, shell)?;
        return Ok(Exit::Done.into());
    }
    let root = Outline::of(dir, environment)?.facts.root;
    // From here on nobody else of us changes anything there; what another one has just done is seen.
    let transaction = begin(&root, shell)?;
    let (host, plan) = plan_now()?;
    for note in &plan.notes {
        shell.note(note);
    }
    let facts = &host.outline.facts;
    let changed = !plan.edits.is_empty();
    if changed {
        let locked = root.join("Cargo.lock").is_file() && takes_lock_file(facts, environment)?;
        // A signal meanwhile is acted on when all of it is done, or taken back.
        let (done, signal) = holding_signals(|came| {
            transaction.commit(&plan.edits, || {
                unchanged_but_for(plan.launcher, facts, locked, environment)?;
                if came().is_some() {
                    bail!("interrupted");
                }
                Ok(())
            })
        })?;
        if signal.is_some() {
            return Ok(Ended::new(Exit::Failed, signal));
        }
        done.with_context(|| format!("nothing was adopted in {root}"))?;
    }
    let costs = if arguments.get_flag("no-build") || !changed {
        None
    } else {
        show::before_build(&plan, shell);
        Some(costs::measure(&root, &facts.target_dir, environment)?)
    };
    show::report(&plan, costs.as_ref(), shell)?;
    Ok(Exit::Done.into())
}

fn undo(dir: &Utf8Path, environment: &Environment, dry_run: bool, shell: &Shell) -> Result<Ended> {
    if dry_run {
        let host = Host::inspect(dir, environment)?;
        show::undo_plan(host.root(), &xtask_adopt::plan_undo(&host)?, shell)?;
        return Ok(Exit::Done.into());
    }
    let root = Outline::of(dir, environment)?.facts.root;
    let transaction = begin(&root, shell)?;
    let host = Host::inspect(dir, environment)?;
    xtask_adopt::remove_target_dir(&host)?;
    let plan = xtask_adopt::plan_undo(&host)?;
    let launcher = host.adopted.as_ref().map_or("", |(launcher, _)| launcher);
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

fn options(arguments: &ArgMatches, source: &Source) -> AdoptOptions {
    let text = |name: &str| arguments.get_one::<String>(name).cloned();
    let how = match (text("git"), text("rev")) {
        (Some(url), Some(rev)) => Some(How::Git { url, rev }),
        _ if arguments.get_flag("from-path") => Some(How::Path { path: source.root.clone() }),
        _ if arguments.get_flag("vendor") => Some(How::vendored(source)),
        _ => None,
    };
    AdoptOptions {
        how,
        existing: if arguments.get_flag("merge") { Existing::Merge } else { Existing::Refuse },
        update: match (arguments.get_flag("update"), arguments.get_flag("discard-changes")) {
            (_, true) => Update::DiscardChanges,
            (true, false) => Update::Replace,
            (false, false) => Update::Keep,
        },
    }
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
