//! Puts the suite of a clone into another workspace, or brings the one there up to date.
//!
//! Invariant: only what [`plan`] lists is changed, all of it or nothing, and the workspace's own members are the
//! same afterwards, as cargo sees them.

mod cargo_config;
mod host;
mod infer;
mod launcher;
mod lock_file;
mod manifest;
mod product;
mod source;

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_edit::{Edit, Node, extend};
use xtask_workspace::config::{FILE_NAME, default_tiers};
use xtask_workspace::{Environment, WrongUsage, digest};

pub use host::{Host, takes_lock_file, unchanged_but_for};
pub use source::Source;

use crate::record::{self, Adopted, How, LAUNCHERS, is_own, read_text};
use host::OWN_ALIAS;
use source::Files;

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct AdoptOptions {
    /// How the suite will be there; `None`: as it already is, or as a copy.
    pub how: Option<How>,
    /// What to do if the workspace has an `xtask` of its own.
    pub existing: Existing,
    /// What to do with a suite that is already there.
    pub update: Update,
}

/// What to do if the workspace has an `xtask` of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is changed, and the user is told what to do.
    Refuse,
    /// It can still be called: `cargo xtask NAME` is passed on to it for names that the suite does not know.
    Merge,
}

/// What to do with the suite's own files that are already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// They stay.
    Keep,
    /// They become those of this clone, unless they were changed there.
    Replace,
    /// They become those of this clone.
    DiscardChanges,
}

/// What will be changed.
#[derive(Debug, Serialize)]
pub struct AdoptPlan {
    /// The workspace's root.
    pub root: Utf8PathBuf,
    /// The launcher's folder in it.
    pub launcher: &'static str,
    /// How the suite will be there.
    pub how: How,
    /// The changes in the order they are made: the workspace builds whenever they are stopped.
    #[serde(skip)]
    pub edits: Vec<Edit>,
    /// What the user should know, one line each.
    pub notes: Vec<String>,
}

/// Decides what to change in `host`. Fails as wrong usage if something is in the way.
pub fn plan(
    host: &Host,
    source: &Source,
    options: &AdoptOptions,
    environment: &Environment,
) -> Result<AdoptPlan> {
    if host.root().starts_with(&source.root) {
        bail!(WrongUsage(format!(
            "{} is the clone of the suite itself\n  next: name your workspace: cargo xtask adopt PATH",
            host.root()
        )));
    }
    host.check_toolchain()?;
    let launcher = match &host.adopted {
        Some((launcher, _)) => launcher,
        None => free_place(host, options.existing)?,
    };
    let mut planner = Planner { host, environment, launcher, edits: Vec::new(), notes: Vec::new() };
    let how = planner.suite(source, options)?;
    planner.settings()?;
    planner.git_ignore()?;
    planner.cargo_config()?;
    planner.lock_file()?;
    planner.manifest()?;
    planner.record(&how, options.update)?;
    planner.say_what_git_ignores();
    planner.say_what_is_packaged();
    Ok(AdoptPlan { root: host.root().to_owned(), launcher, how, edits: planner.edits, notes: planner.notes })
}

/// The folder for the launcher.
fn free_place(host: &Host, existing: Existing) -> Result<&'static str> {
    let [usual, other] = LAUNCHERS;
    let (root, member) = (host.root(), |name| host.outline.facts.member(name));
    let is_there = |name| root.join(name).symlink_metadata().is_ok();
    let lock = read_text(root, Utf8Path::new("Cargo.lock"))?.unwrap_or_default();
    let is_dependency = |name| lock_file::has_package(&lock, name);
    let mut found = Vec::new();
    if let Some(member) = member(usual) {
        found.push(format!("a member named `{usual}` in {}", member.dir));
    } else if is_there(usual) {
        found.push(format!("a folder or file {}", root.join(usual)));
    } else if is_dependency(usual) {
        found.push(format!("a dependency named `{usual}`, which Cargo.lock lists"));
    }
    let own_alias = host.own_alias();
    if let Some(alias) = &own_alias {
        found.push(format!("the alias `{usual} = {alias}` in {}", host.config_path));
    }
    let found = found.join(" and ");
    if found.is_empty() {
        return Ok(usual);
    }
    if existing == Existing::Refuse {
        let stays = if own_alias.is_some() {
            format!(
                ", `cargo {usual} NAME` is passed on to it where the suite has no NAME, and `cargo {OWN_ALIAS}` is what \
                 `cargo {usual}` was"
            )
        } else {
            format!(", and the launcher is called `{other}`")
        };
        bail!(WrongUsage(format!(
            "{root} has an `{usual}` of its own: {found}\n  next: with --merge it stays{stays}; or rename yours"
        )));
    }
    if is_there(other) || member(other).is_some() || is_dependency(other) {
        bail!(WrongUsage(format!("{root} has {found}, and a `{other}` too\n  next: rename one of them")));
    }
    Ok(other)
}

/// A plan under construction.
struct Planner<'a> {
    host: &'a Host,
    environment: &'a Environment,
    launcher: &'static str,
    edits: Vec<Edit>,
    notes: Vec<String>,
}

impl Planner<'_> {
    /// A file that becomes `after`, or is removed; no edit if it is so already.
    fn file(&mut self, path: &Utf8Path, after: Option<Vec<u8>>) -> Result<()> {
        let before = Node::read(&self.host.root().join(path))?;
        let edit = Edit { path: path.to_owned(), before, after: after.map(Node::File) };
        if !edit.is_empty() {
            self.edits.push(edit);
        }
        Ok(())
    }

    /// The launcher's folder. Returns how the suite will be there.
    fn suite(&mut self, source: &Source, options: &AdoptOptions) -> Result<How> {
        let Some((_, adopted)) = &self.host.adopted else {
            if options.update != Update::Keep {
                let root = self.host.root();
                bail!(WrongUsage(format!(
                    "nothing was adopted in {root}\n  next: the same without --update adopts it"
                )));
            }
            let how = options.how.clone().unwrap_or_else(|| How::vendored(source));
            let mut files = launcher::own_files(source, self.launcher, &how)?;
            files.extend(launcher::tasks_files());
            let lock = launcher::suite_lock(&files, &source.lock_file()?, self.environment)?;
            files.insert("suite/Cargo.lock".into(), lock);
            let after = Some(Node::Folder(files));
            self.edits.push(Edit { path: self.launcher.into(), before: None, after });
            return Ok(how);
        };
        let root = self.host.root();
        if options.update == Update::Keep {
            if !root.join(self.launcher).join("Cargo.toml").exists() {
                bail!(WrongUsage(format!(
                    "the suite was adopted in {root}, but its files are gone\n  next: --update --discard-changes puts them back"
                )));
            }
            let how = options.how.as_ref().unwrap_or(&adopted.how);
            if !is_of(adopted, &launcher::own_files(source, self.launcher, how)?, self.launcher) {
                let Adopted { version, how, .. } = adopted;
                let how = how.describe();
                self.notes.push(format!(
                    "xtask-suite {version} is there, {how}; --update replaces it by this clone's"
                ));
            }
            return Ok(adopted.how.clone());
        }
        let how = match (&options.how, &adopted.how) {
            (Some(how), _) => how.clone(),
            (None, How::Vendored { .. }) => How::vendored(source),
            (None, How::Path { .. }) => How::Path { path: source.root.clone() },
            (None, How::Git { .. }) => bail!(WrongUsage(
                "the suite is fetched by cargo there\n  next: say which version: --git URL --rev REV"
                    .to_owned()
            )),
        };
        let changed = adopted.changed_here(root, self.launcher);
        if !changed.is_empty() && options.update != Update::DiscardChanges {
            let list = changed.iter().map(|path| path.as_str()).collect::<Vec<_>>().join("\n  ");
            bail!(WrongUsage(format!(
                "files of the suite were changed in {root}, and --update would overwrite them:\n  {list}\n  next: move what you \
                 need into {}/tasks, then add --discard-changes",
                self.launcher
            )));
        }
        self.replace_suite(source, adopted, &how)?;
        Ok(how)
    }

    /// The suite's own files become those of the clone, one by one: there may be others beside them.
    fn replace_suite(&mut self, source: &Source, adopted: &Adopted, how: &How) -> Result<()> {
        let launcher = Utf8Path::new(self.launcher);
        let mut files = launcher::own_files(source, self.launcher, how)?;
        for (path, _) in adopted.own_files(self.launcher) {
            if path.strip_prefix(launcher).is_ok_and(|path| !files.contains_key(path)) {
                self.file(path, None)?;
            }
        }
        if !is_of(adopted, &files, self.launcher) {
            let lock = self.updated_lock(source, &files)?;
            files.insert("suite/Cargo.lock".into(), lock);
        }
        for (path, bytes) in files {
            self.file(&launcher.join(path), Some(bytes))?;
        }
        Ok(())
    }

    /// The lock file of the suite after an update: the clone's versions, and those of the tasks' dependencies.
    fn updated_lock(&self, source: &Source, files: &Files) -> Result<Vec<u8>> {
        let read = |path: &Utf8Path| read_text(self.host.root(), &Utf8Path::new(self.launcher).join(path));
        let mut files = files.clone();
        let mut are_as_made = true;
        for (path, made) in launcher::tasks_files() {
            let text = read(&path)?.map(String::into_bytes);
            are_as_made &= text.as_ref() == Some(&made);
            files.extend(text.map(|text| (path, text)));
        }
        let there = read(Utf8Path::new("suite/Cargo.lock"))?.unwrap_or_default();
        let seed = lock_file::union(&source.lock_file()?, &there);
        // Tasks that depend on packages beside them cannot be locked elsewhere. Of the union, cargo takes what it
        // needs when it builds.
        match launcher::suite_lock(&files, &seed, self.environment) {
            Err(_) if !are_as_made => Ok(seed.into_bytes()),
            locked => locked,
        }
    }

    /// `xtask.toml`, unless there is one.
    fn settings(&mut self) -> Result<()> {
        let path = Utf8Path::new(FILE_NAME);
        if self.host.adopted.is_some() {
            return Ok(());
        }
        if read_text(self.host.root(), path)?.is_some() {
            self.notes.push(format!("your {FILE_NAME} stays as it is"));
            return Ok(());
        }
        let outline = &self.host.outline;
        let (text, notes) = infer::xtask_toml(&outline.facts, !outline.cargo.nightly);
        self.notes.extend(notes);
        self.file(path, Some(text.into_bytes()))
    }

    fn git_ignore(&mut self) -> Result<()> {
        let path = Utf8Path::new(".gitignore");
        let line = format!("/.cargo/{}", xtask_tools::LOCAL_FILE);
        let Ok(text) = read_text(self.host.root(), path) else {
            // A change of what is no text could not be undone.
            let path = Utf8Path::new(".cargo/.gitignore");
            let text = read_text(self.host.root(), path)?.unwrap_or_default();
            return self.file(path, Some(format!("{text}/{}\n", xtask_tools::LOCAL_FILE).into_bytes()));
        };
        let text = text.unwrap_or_default();
        if text.lines().any(|other| other.trim_end() == line) {
            return Ok(());
        }
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
        self.file(path, Some(format!("{text}{end}{line}{newline}").into_bytes()))
    }

    fn cargo_config(&mut self) -> Result<()> {
        let mut config = self.host.config.clone();
        let tiers = default_tiers();
        let tiers = tiers.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>();
        let notes = cargo_config::add(&mut config, self.launcher, &tiers, self.host.outline.cargo)?;
        self.notes.extend(notes);
        self.file(&self.host.config_path, Some(config.text().into()))
    }

    /// If the workspace has no lock file, cargo makes it, as before.
    fn lock_file(&mut self) -> Result<()> {
        let path = Utf8Path::new("Cargo.lock");
        let Some(text) = read_text(self.host.root(), path)? else { return Ok(()) };
        match lock_file::add_launcher(&text, self.launcher) {
            Some(text) => self.file(path, Some(text.into_bytes())),
            None => Ok(()),
        }
    }

    fn manifest(&mut self) -> Result<()> {
        let mut manifest = self.host.manifest.clone();
        let nested = if manifest.contains(&["workspace"]) {
            Vec::new()
        } else {
            manifest::nested_packages(self.host.root(), &self.host.outline.facts.target_dir)
        };
        manifest::add_member(&mut manifest, self.launcher, &nested)?;
        self.file(Utf8Path::new("Cargo.toml"), Some(manifest.text().into()))
    }

    /// How all of it is taken back.
    fn record(&mut self, how: &How, update: Update) -> Result<()> {
        if self.edits.is_empty() {
            return Ok(());
        }
        let adopted = self.host.adopted.as_ref().map(|(_, adopted)| adopted);
        let before = adopted.map(|adopted| adopted.undo.clone()).unwrap_or_default();
        let undo = extend(before, &self.edits, self.host.root(), |path| is_own(path, self.launcher))?;
        // Settings may be repaired while the suite stays.
        let version = match adopted {
            Some(adopted) if update == Update::Keep => adopted.version.clone(),
            _ => env!("CARGO_PKG_VERSION").to_owned(),
        };
        let text = Adopted { version, how: how.clone(), undo }.to_text()?.into_bytes();
        // The record is in the launcher's folder if that is new, else it is the last file.
        if let Some(Node::Folder(files)) = self.edits.first_mut().and_then(|edit| edit.after.as_mut()) {
            files.insert(record::FILE_NAME.into(), text);
            return Ok(());
        }
        self.file(&Utf8Path::new(self.launcher).join(record::FILE_NAME), Some(text))
    }

    /// Cargo packages what git knows below a package's folder.
    fn say_what_is_packaged(&mut self) {
        let has = |key| self.host.manifest.contains(&["package", key]);
        let is_new = self.host.adopted.is_none() && has("name") && !has("include");
        let excluded = self.host.manifest.value(&["package", "exclude"]).map(|list| list.to_string());
        if is_new && excluded.is_none_or(|list| !list.contains(FILE_NAME)) {
            self.notes.push(format!(
                "`cargo package` of the root package takes {FILE_NAME} and {} in too, unless its `exclude` has both",
                self.host.config_path
            ));
        }
    }

    /// New files that git ignores would be missing in other clones.
    fn say_what_git_ignores(&mut self) {
        let mut git = Command::new("git");
        git.args(["check-ignore", "--verbose", "--"]).current_dir(self.host.root());
        for edit in &self.edits {
            match &edit.after {
                Some(Node::Folder(files)) => {
                    // What its own .gitignore says of the lock file is not known to git yet.
                    let files = files.keys().filter(|path| path.file_name() != Some("Cargo.lock"));
                    git.args(files.map(|path| edit.path.join(path)));
                }
                Some(Node::File(_)) if edit.before.is_none() => drop(git.arg(&edit.path)),
                _ => {}
            }
        }
        let Ok(output) = git.env_clear().envs(self.environment.iter_os()).output() else { return };
        let lines = String::from_utf8_lossy(&output.stdout);
        // `<file>:<line>:<pattern>\t<path>`; a pattern that begins with `!` takes back what another one ignores.
        let ignored = lines.lines().filter_map(|line| line.split_once('\t'));
        let mut ignored =
            ignored.filter(|(rule, _)| !rule.rsplit(':').next().unwrap_or_default().starts_with('!'));
        if let Some((rule, path)) = ignored.next() {
            let more = match ignored.count() {
                0 => String::new(),
                more => format!(" and {more} more files"),
            };
            self.notes.push(format!("git ignores {path}{more} ({rule}): other clones will not have them"));
        }
    }
}

/// Whether the suite's own files in a workspace are just `files`, which are relative to the launcher's folder.
fn is_of(adopted: &Adopted, files: &Files, launcher: &str) -> bool {
    let written = adopted.own_files(launcher).map(|(path, written)| (path.to_owned(), written.clone()));
    let wanted = files.iter().map(|(path, bytes)| (Utf8Path::new(launcher).join(path), digest(bytes)));
    written.collect::<BTreeMap<_, _>>() == wanted.collect::<BTreeMap<_, _>>()
}
