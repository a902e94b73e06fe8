//! Puts the suite into somebody else's workspace, keeps it up to date there, and takes it out again.
//!
//! Invariant: only what [`plan`] lists is changed, all of it or nothing, and the workspace's own members are the
//! same afterwards, as cargo sees them.

mod cargo_config;
mod check;
mod host;
mod infer;
mod launcher;
mod lock_file;
mod manifest;
mod product;
mod record;
mod source;
mod undo;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_edit::{Edit, FileContent, Node};
use xtask_workspace::config::{Config, FILE_NAME, Members};
use xtask_workspace::{Environment, WrongUsage};

pub(crate) use check::{takes_lock_file, unchanged_but_for};
pub(crate) use host::{Host, OWN_ALIAS, find_adopted};
pub(crate) use record::{Adopted, How};
pub(crate) use source::Source;
pub(crate) use undo::plan_undo;

use host::{LAUNCHERS, parse, read_text};
use source::Files;

/// What the user asked for.
#[derive(Debug, Clone)]
pub(crate) struct AdoptOptions {
    /// How the suite shall be there; `None`: as it already is, or vendored.
    pub how: Option<How>,
    /// What a workspace has in the launcher's place.
    pub existing: Existing,
    /// What to do with a suite that is there already.
    pub update: Update,
}

/// What happens where the workspace has an `xtask` of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing is changed, and the user is told what to do.
    Refuse,
    /// It stays in reach: `cargo xtask NAME` goes on to it for names that the suite does not know.
    Merge,
}

/// What happens to the suite's own files that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    /// They stay.
    Keep,
    /// They become those of this clone, unless they were changed there.
    Replace,
    /// They become those of this clone.
    DiscardChanges,
}

/// What will be changed.
#[derive(Debug, Serialize)]
pub(crate) struct AdoptPlan {
    /// The workspace's root.
    pub root: Utf8PathBuf,
    /// The launcher's folder in it.
    pub launcher: &'static str,
    /// How the suite will be there.
    pub how: How,
    /// The changes in the order they are made: whatever stops them midway, what is there builds.
    #[serde(skip)]
    pub edits: Vec<Edit>,
    /// What the user should know, a line each.
    pub notes: Vec<String>,
}

/// Decides what to change in `host`. Fails as wrong usage where something is in the way.
pub(crate) fn plan(
    host: &Host,
    source: &Source,
    options: &AdoptOptions,
    environment: &Environment,
) -> Result<AdoptPlan> {
    if host.root().starts_with(&source.root) {
        return Err(WrongUsage(format!(
            "{} is the clone of the suite itself\n  next: name your workspace: cargo xtask adopt PATH",
            host.root()
        ))
        .into());
    }
    host.check_toolchain()?;
    let launcher = match &host.adopted {
        Some((launcher, _)) => launcher,
        None => free_place(host, options.existing)?,
    };
    let mut planner = Planner { host, environment, launcher, edits: Edits::default(), notes: Vec::new() };
    let how = planner.suite(source, options)?;
    planner.settings()?;
    planner.git_ignore()?;
    planner.cargo_config()?;
    planner.lock_file()?;
    planner.manifest()?;
    planner.record(&how)?;
    planner.say_what_git_ignores();
    let Planner { edits, notes, .. } = planner;
    Ok(AdoptPlan { root: host.root().to_owned(), launcher, how, edits: edits.0, notes })
}

/// The folder for the launcher.
fn free_place(host: &Host, existing: Existing) -> Result<&'static str> {
    let [usual, other] = LAUNCHERS;
    let in_the_way = host.in_the_way()?;
    if in_the_way.is_empty() {
        return Ok(usual);
    }
    let found = in_the_way.join(" and ");
    if existing == Existing::Refuse {
        return Err(WrongUsage(format!(
            "{} has an `{usual}` of its own: {found}\n  next: with --merge it stays, `cargo {usual} NAME` goes on to it where \
             the suite has no NAME, and `cargo {OWN_ALIAS}` is what `cargo {usual}` was; or rename yours",
            host.root()
        ))
        .into());
    }
    if host.root().join(other).symlink_metadata().is_ok() || host.outline.facts.member(other).is_some() {
        return Err(WrongUsage(format!(
            "{} has {found}, and a `{other}` too\n  next: rename one of them",
            host.root()
        ))
        .into());
    }
    Ok(other)
}

/// Changes by path; no path twice.
#[derive(Default)]
struct Edits(Vec<Edit>);

impl Edits {
    /// A file that becomes `after`; nothing where it is that already.
    fn file(&mut self, root: &Utf8Path, path: &Utf8Path, bytes: Vec<u8>) -> Result<()> {
        let before = Node::read(&root.join(path))?;
        let edit = Edit { path: path.to_owned(), before, after: Some(Node::file(bytes)) };
        if !edit.is_empty() {
            self.0.push(edit);
        }
        Ok(())
    }

    /// A file that goes; nothing where there is none.
    fn remove(&mut self, root: &Utf8Path, path: &Utf8Path) -> Result<()> {
        let before = Node::read(&root.join(path))?;
        if before.is_some() {
            self.0.push(Edit { path: path.to_owned(), before, after: None });
        }
        Ok(())
    }

    /// A folder that is not there yet.
    fn folder(&mut self, path: &str, files: Files) {
        let files = files.into_iter().map(|(path, bytes)| (path, FileContent::new(bytes)));
        self.0.push(Edit { path: path.into(), before: None, after: Some(Node::Folder(files.collect())) });
    }
}

struct Planner<'a> {
    host: &'a Host,
    environment: &'a Environment,
    launcher: &'static str,
    edits: Edits,
    notes: Vec<String>,
}

impl Planner<'_> {
    /// The launcher's folder. Returns how the suite will be there.
    fn suite(&mut self, source: &Source, options: &AdoptOptions) -> Result<How> {
        let Some((_, adopted)) = &self.host.adopted else {
            let how = options.how.clone().unwrap_or_else(|| How::vendored(source));
            let mut files = launcher::own_files(source, self.launcher, &how)?;
            files.extend(launcher::tasks_files());
            let seed = String::from_utf8_lossy(&source.lock_file()?).into_owned();
            let lock = self.suite_lock(&files, &seed)?;
            files.insert("suite/Cargo.lock".into(), lock);
            self.edits.folder(self.launcher, files);
            return Ok(how);
        };
        let root = self.host.root();
        if options.update == Update::Keep {
            if !root.join(self.launcher).join("Cargo.toml").exists() {
                return Err(WrongUsage(format!(
                    "the suite was adopted in {root}, but its files are gone\n  next: --update --discard-changes puts them back"
                ))
                .into());
            }
            self.say_if_older(source, adopted, options)?;
            return Ok(adopted.how.clone());
        }
        let how = match (&options.how, &adopted.how) {
            (Some(how), _) => how.clone(),
            (None, How::Vendored { .. }) => How::vendored(source),
            (None, How::Path { .. }) => How::Path { path: source.root.clone() },
            (None, How::Git { .. }) => {
                let message =
                    "the suite is fetched by cargo there\n  next: say which version: --git URL --rev REV";
                return Err(WrongUsage(message.to_owned()).into());
            }
        };
        let changed = adopted.changed_here(root, self.launcher);
        if !changed.is_empty() && options.update != Update::DiscardChanges {
            let list = changed.iter().map(|path| path.as_str()).collect::<Vec<_>>().join("\n  ");
            return Err(WrongUsage(format!(
                "files of the suite were changed in {root}, and --update would overwrite them:\n  {list}\n  next: move what you \
                 need into {}/tasks, then add --discard-changes",
                self.launcher
            ))
            .into());
        }
        self.replace_suite(source, adopted, &how)?;
        Ok(how)
    }

    /// Says what `--update` would do, where it would do something.
    fn say_if_older(&mut self, source: &Source, adopted: &Adopted, options: &AdoptOptions) -> Result<()> {
        let files = launcher::own_files(source, self.launcher, options.how.as_ref().unwrap_or(&adopted.how))?;
        if !adopted.is_of(&files, self.launcher) {
            let Adopted { version, how, .. } = adopted;
            let how = how.describe();
            self.notes.push(format!("xtask-suite {version} is there, {how}; --update makes it this clone's"));
        }
        Ok(())
    }

    /// The suite's own files become those of the clone, file by file: others may lie beside them.
    fn replace_suite(&mut self, source: &Source, adopted: &Adopted, how: &How) -> Result<()> {
        let root = self.host.root();
        let launcher = Utf8Path::new(self.launcher);
        let mut files = launcher::own_files(source, self.launcher, how)?;
        let gone = adopted.own_files(self.launcher).map(|(path, _)| path);
        for path in
            gone.filter(|path| path.strip_prefix(launcher).is_ok_and(|path| !files.contains_key(path)))
        {
            self.edits.remove(root, path)?;
        }
        if !adopted.is_of(&files, self.launcher) {
            let lock = self.updated_lock(source, &files)?;
            files.insert("suite/Cargo.lock".into(), lock);
        }
        for (path, bytes) in files {
            self.edits.file(root, &launcher.join(path), bytes)?;
        }
        Ok(())
    }

    /// The lock file of the suite after an update: the clone's versions, and those of the tasks' dependencies.
    fn updated_lock(&self, source: &Source, files: &Files) -> Result<Vec<u8>> {
        let mut files = files.clone();
        let launcher = Utf8Path::new(self.launcher);
        for path in launcher::tasks_files().into_keys() {
            if let Some(text) = read_text(self.host.root(), &launcher.join(&path))? {
                files.insert(path, text.into_bytes());
            }
        }
        let there = read_text(self.host.root(), &launcher.join("suite/Cargo.lock"))?.unwrap_or_default();
        let seed = lock_file::union(&String::from_utf8_lossy(&source.lock_file()?), &there);
        self.suite_lock(&files, &seed)
    }

    fn suite_lock(&self, files: &Files, seed: &str) -> Result<Vec<u8>> {
        launcher::suite_lock(files, seed, self.environment)
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
        let evidence = infer::Evidence::gather(&self.host.outline.facts, !self.host.outline.cargo.nightly);
        let inferred = infer::xtask_toml(&evidence);
        self.notes.extend(inferred.notes);
        self.edits.file(self.host.root(), path, inferred.text.into_bytes())
    }

    fn git_ignore(&mut self) -> Result<()> {
        let path = Utf8Path::new(".gitignore");
        let line = format!("/.cargo/{}", cargo_config::LOCAL_FILE);
        let text = read_text(self.host.root(), path)?.unwrap_or_default();
        if text.lines().any(|other| other.trim_end() == line) {
            return Ok(());
        }
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
        self.edits.file(self.host.root(), path, format!("{text}{end}{line}{newline}").into_bytes())
    }

    fn cargo_config(&mut self) -> Result<()> {
        let path = &self.host.config_path;
        let mut config =
            parse(self.host.config.as_deref().unwrap_or_default(), &self.host.root().join(path))?;
        let tiers = Config::defaults(&Members::default()).tiers;
        let tiers = tiers.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>();
        let notes = cargo_config::add(&mut config, self.launcher, &tiers, self.host.outline.cargo)?;
        self.notes.extend(notes);
        self.edits.file(self.host.root(), path, config.text().as_bytes().to_vec())
    }

    /// Where the workspace has no lock file, cargo makes it as it always did.
    fn lock_file(&mut self) -> Result<()> {
        let path = Utf8Path::new("Cargo.lock");
        let Some(text) = read_text(self.host.root(), path)? else { return Ok(()) };
        match lock_file::add_launcher(&text, self.launcher) {
            Some(text) => self.edits.file(self.host.root(), path, text.into_bytes()),
            None => Ok(()),
        }
    }

    fn manifest(&mut self) -> Result<()> {
        let path = Utf8Path::new("Cargo.toml");
        let mut manifest = parse(&self.host.manifest, &self.host.root().join(path))?;
        let nested = if manifest.contains(&["workspace"]) {
            Vec::new()
        } else {
            manifest::nested_packages(self.host.root(), &self.host.outline.facts.target_dir)?
        };
        let facts = &self.host.outline.facts;
        let default = facts.members().filter(|member| facts.default_members.contains(&member.name));
        let default =
            default.filter_map(|member| member.dir.strip_prefix(&facts.root).ok().map(Utf8Path::to_owned));
        manifest::add_member(&mut manifest, self.launcher, &default.collect::<Vec<_>>(), &nested)?;
        self.edits.file(self.host.root(), path, manifest.text().as_bytes().to_vec())
    }

    /// Whoever clones the repository lacks what git ignores.
    fn say_what_git_ignores(&mut self) {
        let mut paths = Vec::new();
        for edit in &self.edits.0 {
            match &edit.after {
                // What its own .gitignore says is not known to git yet.
                Some(Node::Folder(files)) => {
                    let files = files.keys().filter(|path| path.file_name() != Some("Cargo.lock"));
                    paths.extend(files.map(|path| edit.path.join(path)));
                }
                Some(Node::File(_)) if edit.before.is_none() => paths.push(edit.path.clone()),
                _ => {}
            }
        }
        let ignored = self.host.ignored(&paths, self.environment);
        if let Some((path, rule)) = ignored.first() {
            let more = if ignored.len() > 1 {
                format!(" and {} files more", ignored.len() - 1)
            } else {
                String::new()
            };
            self.notes.push(format!(
                "git ignores {path}{more} ({rule}): who clones the repository will not have them"
            ));
        }
    }

    /// How all of it is taken back.
    fn record(&mut self, how: &How) -> Result<()> {
        if self.edits.0.is_empty() {
            return Ok(());
        }
        let adopted = self.host.adopted.as_ref().map(|(_, adopted)| adopted);
        let before = adopted.map(|adopted| adopted.undo.clone()).unwrap_or_default();
        let undo = record::extend(before, &self.edits.0, self.launcher, self.host.root())?;
        let text = Adopted::new(how.clone(), undo).to_text()?.into_bytes();
        // The record goes with the launcher's folder where that is new, else it is the last file.
        let folder = self.edits.0.iter_mut().find_map(|edit| match &mut edit.after {
            Some(Node::Folder(files)) => Some(files),
            _ => None,
        });
        if let Some(files) = folder {
            files.insert(record::FILE_NAME.into(), FileContent::new(text));
        } else {
            let path = Utf8Path::new(self.launcher).join(record::FILE_NAME);
            self.edits.file(self.host.root(), &path, text)?;
        }
        Ok(())
    }
}
