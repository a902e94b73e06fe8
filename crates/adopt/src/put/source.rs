//! The sources of the suite that are put into other workspaces: those of the clone this program runs from.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{DocumentMut, Item};
use xtask_edit::Node;
use xtask_workspace::{Environment, WrongUsage};

use super::product::keep_product;
use crate::record::How;

/// The bytes of files by path.
pub(crate) type Files = BTreeMap<Utf8PathBuf, Vec<u8>>;

/// A clone of xtask-suite.
pub struct Source {
    /// Its root folder.
    pub root: Utf8PathBuf,
    /// Its remote without a password, or the address in its manifest.
    pub url: String,
    /// The commit that is checked out; `None` without git.
    pub revision: Option<String>,
    /// Whether files that would be copied differ from that commit.
    pub edited: bool,
}

/// What is copied from the clone; git is asked whether it was edited.
const COPIED: [&str; 4] = ["crates", "xtask", "Cargo.toml", "Cargo.lock"];

impl Source {
    /// The clone whose `cargo xtask` started this program. A workspace that has adopted the suite is not one: what
    /// it has is a copy, which may have been changed.
    pub fn find(environment: &Environment) -> Result<Self> {
        let is_clone = |root: &Utf8Path| {
            root.join("crates/suite/Cargo.toml").is_file() && root.join("xtask/src/main.rs").is_file()
        };
        // Not from `environment`, which is the user's own: the launcher sets it for this program alone. Without the
        // launcher, this program is in the clone's target dir.
        let started_by = Environment::current().get("XTASK_SUITE_ROOT").map(Utf8PathBuf::from);
        let root = started_by.unwrap_or_else(|| {
            let exe = std::env::current_exe().ok().and_then(|exe| Utf8PathBuf::from_path_buf(exe).ok());
            let exe = exe.unwrap_or_default();
            exe.ancestors().find(|folder| is_clone(folder)).unwrap_or(&exe).to_owned()
        });
        let root = root.canonicalize_utf8().unwrap_or(root);
        if !is_clone(&root) {
            let url = env!("CARGO_PKG_REPOSITORY");
            bail!(WrongUsage(format!(
                "{root} is not a clone of xtask-suite, and only a clone can be adopted from\n  next: git clone {url} && cd xtask-suite && cargo xtask adopt PATH\n  \
                 --undo works here"
            )));
        }
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            git.args(args).current_dir(&root).env_clear().envs(environment.iter_os());
            let output = git.output().ok().filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        };
        // The clone's own repository, not one around it.
        let own = git(&["rev-parse", "--show-toplevel"]).is_some_and(|top| Utf8Path::new(&top) == root);
        let revision = git(&["rev-parse", "HEAD"]).filter(|_| own);
        let status = git(&[&["status", "--porcelain", "--"][..], &COPIED].concat()).filter(|_| own);
        let url = git(&["remote", "get-url", "origin"]).filter(|_| own).and_then(|url| public_url(&url));
        let url = url.unwrap_or_else(|| env!("CARGO_PKG_REPOSITORY").to_owned());
        Ok(Self { root, url, revision, edited: status.is_some_and(|lines| !lines.is_empty()) })
    }

    /// The suite as a workspace of its own, relative to its root, without its lock file: the crates without their
    /// tests and what only tests need, and the package at `tasks`, which has the binary.
    pub fn suite(&self) -> Result<Files> {
        let mut files = Files::new();
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            files.insert(licence.into(), read(&self.root.join(licence))?.into());
        }
        let crates = self.root.join("crates");
        let mut members = BTreeSet::new();
        for entry in crates.read_dir_utf8().with_context(|| format!("failed to read folder {crates}"))? {
            let entry = entry.with_context(|| format!("failed to read folder {crates}"))?;
            let dir = Utf8Path::new("crates").join(entry.file_name());
            let path = self.root.join(&dir).join("Cargo.toml");
            if !path.is_file() {
                continue;
            }
            let mut manifest = parse(&path)?;
            if manifest["package"].get("publish").and_then(Item::as_bool) == Some(false) {
                continue;
            }
            // What features turn on needs a clone, as tests do.
            for table in ["dev-dependencies", "features", "test"] {
                manifest.remove(table);
            }
            if let Some(dependencies) = manifest.get_mut("dependencies").and_then(Item::as_table_mut) {
                dependencies.retain(|_, item| item.get("optional").is_none());
            }
            if entry.file_name() == "suite" {
                // The binary is that of the tasks.
                manifest.remove("bin");
            }
            members.insert(dir.to_string());
            files.insert(dir.join("Cargo.toml"), manifest.to_string().into_bytes());
            collect(&self.root, &dir.join("src"), &mut files)?;
        }
        files.remove(Utf8Path::new("crates/suite/src/main.rs"));
        keep_product(&mut files);
        let mut manifest = parse(&self.root.join("Cargo.toml"))?;
        let workspace =
            manifest["workspace"].as_table_mut().context("the clone's manifest has no workspace")?;
        workspace.remove("default-members");
        // By their paths: below a folder such as `repo [old]` no pattern finds them.
        let mut members = toml_edit::Array::from_iter(members);
        members.extend(["inside", "../tasks"]);
        workspace["members"] = Item::Value(members.into());
        workspace["dependencies"]["xtask-suite"] = Item::Value("{ path = \"crates/suite\" }".parse()?);
        files.insert("Cargo.toml".into(), manifest.to_string().into_bytes());
        Ok(files)
    }

    /// The same workspace where the suite is not copied: only the tasks are in it, and a package that starts the
    /// workshop. `dependency` says where cargo finds a crate of the suite, as TOML.
    pub fn without_copy(&self, dependency: impl Fn(&str) -> String) -> Result<Files> {
        let mut profiles = parse(&self.root.join("Cargo.toml"))?;
        profiles.retain(|key, _| key == "profile");
        let manifest = format!(
            "[workspace]\nresolver = \"3\"\nmembers = [\"inside\", \"workshop\", \"../tasks\"]\n\n\
             [workspace.dependencies]\nxtask-suite = {}\nxtask-workshop = {}\n{profiles}",
            dependency("suite"),
            dependency("workshop")
        );
        Ok(Files::from([
            ("Cargo.toml".into(), manifest.into_bytes()),
            ("workshop/Cargo.toml".into(), include_bytes!("../../files/workshop.toml").to_vec()),
            ("workshop/src/main.rs".into(), include_bytes!("../../files/workshop.rs").to_vec()),
        ]))
    }

    /// The clone's lock file.
    pub fn lock_file(&self) -> Result<String> {
        read(&self.root.join("Cargo.lock"))
    }
}

impl How {
    /// A copy of this clone.
    pub fn vendored(source: &Source) -> Self {
        Self::Vendored { url: source.url.clone(), revision: source.revision.clone(), edited: source.edited }
    }
}

/// The address as anybody may read it: without user and password. `None` for a folder of this machine.
fn public_url(url: &str) -> Option<String> {
    match url.split_once("://") {
        Some(("file", _)) => None,
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            Some(format!("{scheme}://{host}/{path}"))
        }
        // git@host:path
        None if url.contains(':') && !url.starts_with(['/', '.']) => Some(url.to_owned()),
        None => None,
    }
}

/// Adds the files below `dir` of `base`, without what editors leave. Fails for a link.
pub(super) fn collect(base: &Utf8Path, dir: &Utf8Path, files: &mut Files) -> Result<()> {
    let is_wanted =
        |path: &Utf8Path| !path.as_str().ends_with('~') && !path.iter().any(|name| name.starts_with('.'));
    if let Some(Node::Folder(found)) = Node::read(&base.join(dir))? {
        let found = found.into_iter().filter(|(path, _)| is_wanted(path));
        files.extend(found.map(|(path, bytes)| (dir.join(path), bytes)));
    }
    Ok(())
}

fn read(path: &Utf8Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("failed to read {path}"))
}

fn parse(path: &Utf8Path) -> Result<DocumentMut> {
    read(path)?.parse().with_context(|| format!("failed to parse {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_its_password_and_a_folder_is_none() {
        let table = [
            ("https://example.com/a/b", Some("https://example.com/a/b")),
            ("https://user:secret@example.com/a", Some("https://example.com/a")),
            ("ssh://git@example.com:22/a", Some("ssh://example.com:22/a")),
            ("git@example.com:a/b.git", Some("git@example.com:a/b.git")),
            ("file:///home/me/x", None),
            ("/home/me/x", None),
            ("../x", None),
        ];
        for (url, public) in table {
            assert_eq!(public_url(url).as_deref(), public, "{url}");
        }
    }
}
