//! All files that anybody reads, each once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use xtask_workspace::{Digest, Facts, Listed};

use super::rules::{Rules, is_below, is_cargos, slashed};
use crate::verdicts::contents::{Contents, Seen, walk};

#[derive(Debug)]
pub(super) struct File {
    /// Absolute, with `/`; a name that is not UTF-8 with replacement characters.
    pub(super) path: String,
    /// Relative to the workspace root, with `../` outside of it.
    pub(super) name: String,
    pub(super) seen: Seen,
    pub(super) owner: Option<usize>,
    /// Whether it is what all packages may read.
    pub(super) shared: bool,
    pub(super) tracked: bool,
}

/// All files that anybody reads.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The first [`Table::sorted`] are what git lists, in the order of their paths.
    pub(super) files: Vec<File>,
    pub(super) sorted: usize,
    /// The others by path: ignored files, and those outside of the repository.
    others: HashMap<String, usize>,
}

/// A file that was found by its name.
struct Found {
    path: String,
    /// The path as the system knows it.
    disk: PathBuf,
    is_tracked: bool,
    is_listed: bool,
}

impl Table {
    /// Also returns the members whose folder git does not list; they are read from disk.
    pub(super) fn read(
        facts: &Facts,
        rules: &mut Rules,
        listing: Option<Vec<Listed>>,
        contents: &mut Contents,
    ) -> (Self, Vec<usize>) {
        let mut found = Vec::new();
        let has_git = listing.is_some();
        for listed in listing.into_iter().flatten() {
            let path = rules.absolute(&slashed(&listed.path.to_string_lossy()));
            let is_utf8 = listed.path.to_str().is_some();
            let disk = if is_utf8 { (&path).into() } else { facts.root.as_std_path().join(listed.path) };
            if !listed.tracked && path.ends_with("/CACHEDIR.TAG") {
                let folder = path.trim_end_matches("/CACHEDIR.TAG");
                rules.outputs.extend(is_cargos(folder).then(|| folder.to_owned()));
            }
            found.push(Found { path, disk, is_tracked: listed.tracked, is_listed: true });
        }
        // What is tracked was put there by people, wherever it is.
        let is_output = |path: &str| rules.outputs.iter().any(|output| is_below(path, output));
        found.retain(|file| file.is_tracked || !is_output(&file.path));
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let is_listed = |path: &str| found.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
        let members = (0..facts.packages.len()).filter(|&package| facts.packages[package].member);
        let manifest = |package: usize| slashed(facts.packages[package].dir.join("Cargo.toml").as_str());
        let unlisted = members.filter(|&package| !is_listed(&manifest(package))).collect::<Vec<_>>();
        // Where git knows nothing of the workspace, all that is in its folder is as if it were listed.
        let whole = if has_git { &rules.root } else { &rules.top };
        let whole = (!is_listed(&format!("{}/Cargo.toml", rules.root))).then(|| (Path::new(whole), true));
        let apart = unlisted.iter().map(|&package| (facts.packages[package].dir.as_std_path(), false));
        for (folder, is_listed) in whole.into_iter().chain(apart) {
            let mut paths = Vec::new();
            walk(folder, &|folder| rules.enters(folder), &mut paths);
            found.extend(paths.into_iter().map(|disk| Found {
                path: slashed(&disk.to_string_lossy()),
                disk,
                is_tracked: false,
                is_listed,
            }));
        }
        if whole.is_some() || !unlisted.is_empty() {
            // What git lists is first among equals, and stays.
            found.sort_by(|a, b| a.path.cmp(&b.path));
            found.dedup_by(|later, first| later.path == first.path && later.disk == first.disk);
        }
        let listed = found.iter().filter(|file| file.is_listed);
        let manifests = listed.filter_map(|file| file.path.strip_suffix("/Cargo.toml"));
        rules.manifests = manifests.filter(|folder| *folder != rules.root).map(str::to_owned).collect();
        let seen = contents.look(&found.iter().map(|file| &file.disk).collect::<Vec<_>>());
        let mut table = Self::default();
        let mut last = (String::new(), None);
        for (found, seen) in found.into_iter().zip(seen) {
            let Some(seen) = seen else { continue };
            let folder = found.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if last.0 != folder {
                last = (folder.to_owned(), rules.owner(&found.path));
            }
            let name = rules.relative(&found.path);
            table.files.push(File {
                shared: found.is_listed && rules.is_shared(&found.path, &name),
                path: found.path,
                name,
                seen,
                owner: last.1,
                tracked: found.is_tracked,
            });
        }
        table.sorted = table.files.len();
        (table, unlisted)
    }

    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let listed = self.files[..self.sorted].binary_search_by(|file| file.path.as_str().cmp(path));
        listed.ok().or_else(|| self.others.get(path).copied())
    }

    pub(super) fn content(&self, path: &str) -> Option<&Digest> {
        Some(&self.files[self.find(path)?].seen.digest)
    }

    pub(super) fn is_tracked(&self, path: &str) -> bool {
        self.find(path).is_some_and(|index| self.files[index].tracked)
    }

    /// The listed files below a folder.
    pub(super) fn below(&self, folder: &str) -> Vec<usize> {
        let folder = format!("{folder}/");
        let listed = &self.files[..self.sorted];
        let start = listed.partition_point(|file| file.path < folder);
        (start..self.sorted).take_while(|&index| listed[index].path.starts_with(&folder)).collect()
    }

    /// The numbers of files, which are added where they are not listed.
    pub(super) fn indices(
        &mut self,
        paths: Vec<PathBuf>,
        rules: &Rules,
        contents: &mut Contents,
    ) -> Vec<usize> {
        let mut indices = Vec::new();
        let mut unknown = Vec::new();
        for disk in paths {
            let path = slashed(&disk.to_string_lossy());
            // Two names that are not UTF-8 may look the same here.
            let known = self.find(&path);
            match known.filter(|_| disk.to_str().is_some()) {
                Some(index) => indices.push(index),
                None => unknown.push((path, disk)),
            }
        }
        let seen = contents.look(&unknown.iter().map(|(_, disk)| disk).collect::<Vec<_>>());
        for ((path, _), seen) in unknown.into_iter().zip(seen) {
            let Some(seen) = seen else { continue };
            indices.push(self.files.len());
            self.others.insert(path.clone(), self.files.len());
            let name = rules.relative(&path);
            let owner = rules.owner(&path);
            let file = File { path, name, seen, owner, shared: false, tracked: false };
            self.files.push(file);
        }
        // In the order of names, wherever they were found first.
        indices.sort_by(|&a, &b| self.files[a].path.cmp(&self.files[b].path));
        indices.dedup();
        indices
    }
}
