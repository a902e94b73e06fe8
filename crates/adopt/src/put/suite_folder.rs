//! The launcher's folder, with the suite behind it: made, or brought up to date.

use std::collections::BTreeMap;

use anyhow::Result;
use camino::Utf8Path;
use xtask_workspace::{WrongUsage, digest};

use super::planner::Planner;
use super::source::{Files, Source};
use super::{AdoptOptions, Update, launcher, lock_file};
use crate::record::{Adopted, How, read_text};

impl Planner<'_> {
    /// The launcher's folder. Returns how the suite will be there.
    pub(super) fn suite(&mut self, source: &Source, options: &AdoptOptions) -> Result<How> {
        let Some((_, adopted)) = &self.host.adopted else {
            if options.update != Update::Keep {
                let root = self.host.root();
                let message =
                    format!("nothing was adopted in {root}\n  next: the same without --update adopts it");
                return Err(WrongUsage(message).into());
            }
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
        if !is_of(adopted, &files, self.launcher) {
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
        if !is_of(adopted, &files, self.launcher) {
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
        // Tasks that depend on packages beside them cannot be locked elsewhere. Of the union, cargo takes what it
        // needs when it builds.
        let tasks = launcher::tasks_files();
        let are_as_made = tasks.iter().all(|(path, bytes)| files.get(path) == Some(bytes));
        match self.suite_lock(&files, &seed) {
            Err(_) if !are_as_made => Ok(seed.into_bytes()),
            locked => locked,
        }
    }

    fn suite_lock(&self, files: &Files, seed: &str) -> Result<Vec<u8>> {
        launcher::suite_lock(files, seed, self.environment)
    }
}

/// Whether the suite's own files in a workspace are just `files`, which are relative to the launcher's folder.
fn is_of(adopted: &Adopted, files: &Files, launcher: &str) -> bool {
    let written = adopted.own_files(launcher).map(|(path, written)| (path.to_owned(), written.clone()));
    let wanted = files.iter().map(|(path, bytes)| (Utf8Path::new(launcher).join(path), digest(bytes)));
    written.collect::<BTreeMap<_, _>>() == wanted.collect::<BTreeMap<_, _>>()
}
