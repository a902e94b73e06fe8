//! The files of the workspace's own that change, and the record of all changes.

use anyhow::Result;
use camino::Utf8Path;
use xtask_edit::{Edit, Node};
use xtask_workspace::config::{Config, FILE_NAME};
use xtask_workspace::{Environment, Facts};

use super::host::{Host, parse};
use super::source::Files;
use super::{Update, cargo_config, infer, lock_file, manifest};
use crate::record::{self, Adopted, How, read_text};

/// Changes by path; no path twice.
#[derive(Default)]
pub(super) struct Edits(pub(super) Vec<Edit>);

impl Edits {
    /// A file that becomes `after`; nothing where it is that already.
    pub(super) fn file(&mut self, root: &Utf8Path, path: &Utf8Path, bytes: Vec<u8>) -> Result<()> {
        let before = Node::read(&root.join(path))?;
        let edit = Edit { path: path.to_owned(), before, after: Some(Node::file(bytes)) };
        if !edit.is_empty() {
            self.0.push(edit);
        }
        Ok(())
    }

    /// A file that goes; nothing where there is none.
    pub(super) fn remove(&mut self, root: &Utf8Path, path: &Utf8Path) -> Result<()> {
        let before = Node::read(&root.join(path))?;
        if before.is_some() {
            self.0.push(Edit { path: path.to_owned(), before, after: None });
        }
        Ok(())
    }

    /// A folder that is not there yet.
    pub(super) fn folder(&mut self, path: &str, files: Files) {
        self.0.push(Edit { path: path.into(), before: None, after: Some(Node::Folder(files)) });
    }
}

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) host: &'a Host,
    pub(super) environment: &'a Environment,
    pub(super) launcher: &'static str,
    pub(super) edits: Edits,
    pub(super) notes: Vec<String>,
}

impl Planner<'_> {
    /// `xtask.toml`, unless there is one.
    pub(super) fn settings(&mut self) -> Result<()> {
        let path = Utf8Path::new(FILE_NAME);
        if self.host.adopted.is_some() {
            return Ok(());
        }
        if read_text(self.host.root(), path)?.is_some() {
            self.notes.push(format!("your {FILE_NAME} stays as it is"));
            return Ok(());
        }
        let inferred = infer::xtask_toml(&self.host.outline.facts, !self.host.outline.cargo.nightly);
        self.notes.extend(inferred.notes);
        self.edits.file(self.host.root(), path, inferred.text.into_bytes())
    }

    pub(super) fn git_ignore(&mut self) -> Result<()> {
        let path = Utf8Path::new(".gitignore");
        let line = format!("/.cargo/{}", xtask_tools::LOCAL_FILE);
        let text = read_text(self.host.root(), path)?.unwrap_or_default();
        if text.lines().any(|other| other.trim_end() == line) {
            return Ok(());
        }
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
        self.edits.file(self.host.root(), path, format!("{text}{end}{line}{newline}").into_bytes())
    }

    pub(super) fn cargo_config(&mut self) -> Result<()> {
        let path = &self.host.config_path;
        let mut config =
            parse(self.host.config.as_deref().unwrap_or_default(), &self.host.root().join(path))?;
        let tiers = Config::defaults(&Facts::default()).tiers;
        let tiers = tiers.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>();
        let notes = cargo_config::add(&mut config, self.launcher, &tiers, self.host.outline.cargo)?;
        self.notes.extend(notes);
        self.edits.file(self.host.root(), path, config.text().as_bytes().to_vec())
    }

    /// Where the workspace has no lock file, cargo makes it as it always did.
    pub(super) fn lock_file(&mut self) -> Result<()> {
        let path = Utf8Path::new("Cargo.lock");
        let Some(text) = read_text(self.host.root(), path)? else { return Ok(()) };
        match lock_file::add_launcher(&text, self.launcher) {
            Some(text) => self.edits.file(self.host.root(), path, text.into_bytes()),
            None => Ok(()),
        }
    }

    pub(super) fn manifest(&mut self) -> Result<()> {
        let path = Utf8Path::new("Cargo.toml");
        let mut manifest = parse(&self.host.manifest, &self.host.root().join(path))?;
        let nested = if manifest.contains(&["workspace"]) {
            Vec::new()
        } else {
            manifest::nested_packages(self.host.root(), &self.host.outline.facts.target_dir)?
        };
        manifest::add_member(&mut manifest, self.launcher, &nested)?;
        self.edits.file(self.host.root(), path, manifest.text().as_bytes().to_vec())
    }

    /// Whoever clones the repository lacks what git ignores.
    pub(super) fn say_what_git_ignores(&mut self) {
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
    pub(super) fn record(&mut self, how: &How, update: Update) -> Result<()> {
        if self.edits.0.is_empty() {
            return Ok(());
        }
        let adopted = self.host.adopted.as_ref().map(|(_, adopted)| adopted);
        let before = adopted.map(|adopted| adopted.undo.clone()).unwrap_or_default();
        let is_own = |path: &Utf8Path| record::is_own(path, self.launcher);
        let undo = xtask_edit::extend(before, &self.edits.0, self.host.root(), is_own)?;
        // Settings may be repaired while the suite stays.
        let version = match adopted {
            Some(adopted) if update == Update::Keep => adopted.version.clone(),
            _ => env!("CARGO_PKG_VERSION").to_owned(),
        };
        let text = Adopted::new(version, how.clone(), undo).to_text()?.into_bytes();
        // The record goes with the launcher's folder where that is new, else it is the last file.
        let folder = self.edits.0.iter_mut().find_map(|edit| match &mut edit.after {
            Some(Node::Folder(files)) => Some(files),
            _ => None,
        });
        if let Some(files) = folder {
            files.insert(record::FILE_NAME.into(), text);
        } else {
            let path = Utf8Path::new(self.launcher).join(record::FILE_NAME);
            self.edits.file(self.host.root(), &path, text)?;
        }
        Ok(())
    }
}
