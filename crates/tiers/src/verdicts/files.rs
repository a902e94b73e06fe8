//! The files that tests may read while they run.
//!
//! Invariants: a file counts for a package unless the rules of docs/verdicts.md say that its tests do not read it; and what
//! tests themselves write while they run stops to count only as long as nobody else writes to it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::config::{TestInputs, Verdicts};
use xtask_workspace::{Digest, Facts, Hasher, Listing, Workspace, listing};

use super::contents::{Contents, Seen, walk};
use globs::Globs;
use written::{Left, Written};

mod globs;
#[cfg(test)]
mod tests;
mod written;

/// What the configuration says of run-time files.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// `ignore` of `[affected]`.
    pub ignore: Vec<String>,
    pub verdicts: Verdicts,
    pub test_inputs: Vec<TestInputs>,
}

/// The files of the workspace as they are now.
#[derive(Debug)]
pub(crate) struct RunTimeFiles {
    rules: Rules,
    table: Table,
    /// The files of each package, and what links in its folder lead to; sorted indices.
    own: Vec<Vec<usize>>,
    /// What `inputs` of `[verdicts]` matches.
    inputs: Vec<usize>,
    /// What `files` of `[test-inputs]` matches, for the packages that have it.
    narrowed: Vec<Option<Vec<usize>>>,
    /// What earlier runs wrote, as it was known when the files were read.
    written: Written,
    state_dir: Utf8PathBuf,
    /// Of each package.
    digests: Mutex<Vec<Digest>>,
}

/// Which file is whose.
#[derive(Debug)]
struct Rules {
    root: String,
    /// The top folder of the repository; the workspace root without git.
    top: String,
    /// Packages by folder.
    packages: HashMap<String, usize>,
    /// Folders of other manifests that git lists: packages of other workspaces.
    manifests: HashSet<String>,
    /// Folders that cargo and the suite write to.
    outputs: Vec<String>,
    ignore: Globs,
    inputs: Globs,
    /// By package.
    narrowed: Vec<Option<Globs>>,
}

#[derive(Debug)]
struct File {
    /// Absolute, with `/`; a name that is not UTF-8 with replacement characters.
    path: String,
    /// Relative to the workspace root, with `../` outside of it.
    name: String,
    content: Digest,
    is_link: bool,
    owner: Option<usize>,
    /// Whether it is what all packages may read.
    shared: bool,
    tracked: bool,
}

/// All files that anybody reads.
#[derive(Debug, Default)]
struct Table {
    /// The first [`Table::sorted`] are what git lists, in the order of their paths.
    files: Vec<File>,
    sorted: usize,
    /// The others by path: ignored files, and those outside of the repository.
    others: HashMap<String, usize>,
}

impl RunTimeFiles {
    /// Fails where there is a repository that git cannot read: then nothing is known of what counts.
    pub(crate) fn read(workspace: &Workspace, scope: &Scope, contents: &mut Contents) -> Result<Self> {
        let facts = &workspace.facts;
        let state_dir = workspace.state_dir();
        contents.begin_listing();
        let listing = listing(&facts.root, &workspace.environment)?;
        let mut rules = Rules::new(facts, &state_dir, scope, listing.as_ref());
        let has_git = listing.is_some();
        let (table, unlisted) = Table::read(facts, &mut rules, listing, contents);
        let mut files = Self {
            own: vec![Vec::new(); facts.packages.len()],
            inputs: Vec::new(),
            narrowed: Vec::new(),
            written: written::load(&state_dir),
            state_dir,
            digests: Mutex::default(),
            rules,
            table,
        };
        for (index, file) in files.table.files.iter().enumerate() {
            if let Some(owner) = file.owner {
                files.own[owner].push(index);
            }
        }
        for &package in &unlisted {
            // As with git, where what is no Rust source counts for everybody.
            let below = files.table.below(&slashed(facts.packages[package].dir.as_str()));
            let others = below.into_iter().filter(|&index| {
                let file = &files.table.files[index];
                file.owner != Some(package) && !is_rust(&file.path)
            });
            files.own[package].extend(others);
            files.own[package].sort_unstable();
        }
        for package in 0..files.own.len() {
            files.follow_links(package, has_git, contents);
        }
        files.inputs = files.table.indices(files.rules.find(&files.rules.inputs), &files.rules, contents);
        for globs in &files.rules.narrowed {
            let indices = globs
                .as_ref()
                .map(|globs| files.table.indices(files.rules.find(globs), &files.rules, contents));
            files.narrowed.push(indices);
        }
        contents.end_listing(|path| {
            is_below(path, &files.rules.top)
                && !files.rules.outputs.iter().any(|output| is_below(path, output))
        });
        *lock(&files.digests) = files.compute(&files.written);
        Ok(files)
    }

    /// Adds what links in the package's folder lead to. A link out of the repository counts as its text.
    fn follow_links(&mut self, package: usize, has_git: bool, contents: &mut Contents) {
        let table = &mut self.table;
        let is_link = |table: &Table, &index: &usize| table.files[index].is_link;
        let mut open =
            self.own[package].iter().copied().filter(|index| is_link(table, index)).collect::<Vec<_>>();
        if open.is_empty() {
            return;
        }
        let mut all = self.own[package].iter().copied().collect::<BTreeSet<_>>();
        let Ok(top) = fs::canonicalize(&self.rules.top) else { return };
        while let Some(link) = open.pop() {
            let Ok(target) = fs::canonicalize(&table.files[link].path) else { continue };
            // The workspace itself may be known by a path with links in it.
            let Ok(inside) = target.strip_prefix(&top) else { continue };
            let target = Path::new(&self.rules.top).join(inside);
            let brought = if !target.is_dir() {
                table.indices(vec![target], &self.rules, contents)
            } else if has_git {
                table.below(&slashed(&target.to_string_lossy()))
            } else {
                let mut found = Vec::new();
                walk(&target, &|folder| self.rules.enters(folder), &mut found);
                table.indices(found, &self.rules, contents)
            };
            let new = brought.into_iter().filter(|&index| all.insert(index));
            open.extend(new.filter(|index| is_link(table, index)));
        }
        self.own[package] = all.into_iter().collect();
    }

    /// The digest of what tests of the package may read; `package` is an index into the packages of `Facts`.
    pub(crate) fn digest(&self, package: usize) -> Digest {
        lock(&self.digests)[package].clone()
    }

    /// The digests of all packages, were `written` what earlier runs wrote.
    fn compute(&self, written: &Written) -> Vec<Digest> {
        let as_left = self.as_left(written);
        let add = |hasher: &mut Hasher, index: usize| {
            let file = &self.table.files[index];
            hasher.field(&file.name).field(file.content.to_string());
        };
        let mut shared = Hasher::new();
        for index in (0..self.table.sorted).filter(|&index| self.table.files[index].shared) {
            if counts(as_left.get(&index), false) {
                add(&mut shared, index);
            }
        }
        let (shared, mut inputs) = (shared.finish(), Hasher::new());
        self.inputs.iter().for_each(|&index| add(&mut inputs, index));
        let inputs = inputs.finish();
        // That they are as the run left them counts, not what they hold.
        let settled = written.iter().filter(|(_, left)| left.is_settled());
        let outputs = settled.filter_map(|(name, left)| {
            let path = self.rules.absolute(name);
            (self.table.content(&path) == left.content.as_ref()).then(|| (self.rules.owner(&path), name))
        });
        let outputs = outputs.collect::<Vec<_>>();
        let digest = |package: usize| {
            let mut hasher = Hasher::new();
            for &index in &self.own[package] {
                if counts(as_left.get(&index), self.table.files[index].owner == Some(package)) {
                    add(&mut hasher, index);
                }
            }
            for (_, name) in outputs.iter().filter(|(owner, _)| *owner == Some(package)) {
                hasher.field("written").field(name);
            }
            match &self.narrowed[package] {
                None => _ = hasher.field("shared").field(shared.to_string()),
                Some(narrowed) => narrowed.iter().for_each(|&index| add(&mut hasher, index)),
            }
            hasher.field("inputs").field(inputs.to_string());
            hasher.finish()
        };
        (0..self.own.len()).map(digest).collect()
    }

    /// The files that are as a run left them.
    fn as_left<'a>(&self, written: &'a Written) -> HashMap<usize, &'a Left> {
        let as_left = |(name, left): (&'a String, &'a Left)| {
            let index = self.table.find(&self.rules.absolute(name))?;
            let file = &self.table.files[index];
            (!file.tracked && left.content.as_ref() == Some(&file.content)).then_some((index, left))
        };
        written.iter().filter_map(as_left).collect()
    }

    /// Those of the package's run-time files, relative to the workspace root, that changed, came or went after `since_ms`.
    pub(crate) fn changed_since(
        &self,
        package: usize,
        since_ms: u64,
        contents: &Contents,
    ) -> Vec<Utf8PathBuf> {
        let as_left = self.as_left(&self.written);
        let files = &self.table.files;
        let shared = (0..self.table.sorted).filter(|&index| files[index].shared);
        let (shared, narrowed) = match &self.narrowed[package] {
            None => (Some(shared), None),
            Some(narrowed) => (None, Some(narrowed)),
        };
        let named = narrowed.into_iter().flatten().chain(&self.inputs).copied();
        let by_rules = self.own[package].iter().copied().chain(shared.into_iter().flatten());
        let by_rules =
            by_rules.filter(|index| counts(as_left.get(index), files[*index].owner == Some(package)));
        let present = named.chain(by_rules).map(|index| &files[index]);
        let changed = present
            .filter(|file| contents.changed_ms(&file.path).is_some_and(|changed| changed > since_ms))
            .map(|file| file.name.clone());
        let gone =
            contents.gone().filter(|(path, gone_ms)| *gone_ms > since_ms && self.rules.counts(path, package));
        let gone = gone.map(|(path, _)| self.rules.relative(path));
        changed.chain(gone).collect::<BTreeSet<_>>().into_iter().map(Utf8PathBuf::from).collect()
    }

    /// Compares `before` and `after` a run of the programs of the packages `ran`: the packages whose files are as before,
    /// so that their passes may be kept, under the digests that `after` gives from now on.
    ///
    /// Remembers what the run wrote. What a package's own tests wrote twice in a row is taken for their output: it is the
    /// same before and after, whatever it holds.
    pub(crate) fn unchanged(before: &Self, after: &Self, ran: &BTreeSet<usize>) -> Result<BTreeSet<usize>> {
        let old = &before.written;
        // As left by this run, and as left before it.
        let (mut now, mut then) = (Written::default(), Written::default());
        let files = before.table.files.iter().chain(&after.table.files);
        let names = files.filter(|file| !file.tracked).map(|file| &file.name).chain(old.keys());
        for name in names.collect::<BTreeSet<_>>() {
            let path = after.rules.absolute(name);
            if [before, after].iter().any(|files| files.table.is_tracked(&path)) {
                continue;
            }
            let [was, is] = [before, after].map(|files| files.table.content(&path).cloned());
            let known = old.get(name).filter(|left| left.content == was);
            let owner = after.rules.owner(&path);
            let owner_ran = owner.is_some_and(|owner| ran.contains(&owner));
            let left = if was != is && !ran.is_empty() {
                let first = || Left::first(was.is_none(), owner_ran);
                Some(known.map_or_else(first, |left| left.again(owner_ran)))
            } else if owner_ran || owner.is_none() && !ran.is_empty() {
                known.and_then(Left::paused)
            } else {
                known.cloned()
            };
            if let Some(left) = left {
                then.insert(name.clone(), left.holding(was));
                now.insert(name.clone(), left.holding(is));
            }
        }
        if now != *old {
            written::save(&now, &after.state_dir)?;
        }
        let digests = after.compute(&now);
        let same = before.compute(&then).into_iter().zip(&digests).enumerate();
        let same = same.filter(|(_, (before, after))| before == *after).map(|(package, _)| package).collect();
        *lock(&after.digests) = digests;
        Ok(same)
    }
}

/// Whether a file counts that is as a run left it: to the tests of its package until they have written it twice in a row.
fn counts(left: Option<&&Left>, is_own: bool) -> bool {
    left.is_none_or(|left| !left.is_settled() && (is_own || !left.is_output))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rules {
    fn new(facts: &Facts, state_dir: &Utf8Path, scope: &Scope, listing: Option<&Listing>) -> Self {
        let holds_packages =
            |dir: &Utf8Path| facts.packages.iter().any(|package| package.dir.starts_with(dir));
        let target_dirs =
            [&facts.target_dir, &facts.build_dir].into_iter().filter(|dir| !holds_packages(dir));
        let outputs = target_dirs.map(Utf8PathBuf::as_path).chain([state_dir]);
        let inputs_of = |name: &str| scope.test_inputs.iter().find(|inputs| inputs.name == name);
        let packages = facts.packages.iter();
        Self {
            root: slashed(facts.root.as_str()),
            top: slashed(listing.map_or(&facts.root, |listing| &listing.top).as_str()),
            packages: packages
                .clone()
                .enumerate()
                .map(|(at, package)| (slashed(package.dir.as_str()), at))
                .collect(),
            manifests: HashSet::new(),
            outputs: outputs.map(|dir| slashed(dir.as_str())).collect(),
            ignore: Globs::new(&scope.ignore),
            inputs: Globs::new(&scope.verdicts.inputs),
            narrowed: packages
                .map(|package| Some(Globs::new(inputs_of(&package.name)?.files.as_ref()?)))
                .collect(),
        }
    }

    /// The innermost package whose folder holds the file.
    fn owner(&self, path: &str) -> Option<usize> {
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            if let Some(&package) = self.packages.get(above) {
                return Some(package);
            }
            folder = above;
        }
        None
    }

    /// Whether what is in the folder may count: neither git nor cargo keep their own files there.
    fn enters(&self, folder: &Path) -> bool {
        let folder = &*slashed(&folder.to_string_lossy());
        !folder.ends_with("/.git")
            && !self.outputs.iter().any(|output| output == folder)
            && !is_cargos(folder)
    }

    fn find(&self, globs: &Globs) -> Vec<PathBuf> {
        globs.find(Utf8Path::new(&self.root), &|folder| self.enters(folder))
    }

    fn is_shared(&self, path: &str, name: &str) -> bool {
        (!is_rust(path) || self.is_loose(path)) && !self.ignore.matches(name)
    }

    /// Whether a Rust source is in the folder of no package: then it is no code, but a case for a compiler, for example.
    fn is_loose(&self, path: &str) -> bool {
        let is_package = |folder: &Utf8Path| self.manifests.contains(folder.as_str());
        self.owner(path).is_none() && !Utf8Path::new(path).ancestors().any(is_package)
    }

    /// Whether a file, were it there, could count for the package.
    fn counts(&self, path: &str, package: usize) -> bool {
        let name = self.relative(path);
        let by_rule = match &self.narrowed[package] {
            None => is_below(path, &self.top) && self.is_shared(path, &name),
            Some(globs) => globs.holds(&name),
        };
        by_rule || self.owner(path) == Some(package) || self.inputs.holds(&name)
    }

    /// A path relative to the workspace root.
    fn relative(&self, path: &str) -> String {
        let mut base = self.root.as_str();
        let mut up = String::new();
        loop {
            if let Some(rest) = path.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) {
                return up + rest;
            }
            match base.rsplit_once('/') {
                Some((above, _)) => base = above,
                None => return path.to_owned(),
            }
            up += "../";
        }
    }

    /// The opposite of [`Rules::relative`].
    fn absolute(&self, name: &str) -> String {
        let (mut base, mut rest) = (self.root.as_str(), name);
        while let Some(below) = rest.strip_prefix("../") {
            rest = below;
            base = base.rsplit_once('/').map_or("", |(above, _)| above);
        }
        if Utf8Path::new(rest).is_absolute() { rest.to_owned() } else { format!("{base}/{rest}") }
    }
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
    fn read(
        facts: &Facts,
        rules: &mut Rules,
        listing: Option<Listing>,
        contents: &mut Contents,
    ) -> (Self, Vec<usize>) {
        let mut found = Vec::new();
        for listed in listing.into_iter().flat_map(|listing| listing.files) {
            let path = rules.absolute(&slashed(&listed.path.to_string_lossy()));
            let is_utf8 = listed.path.to_str().is_some();
            let disk = if is_utf8 { (&path).into() } else { facts.root.as_std_path().join(listed.path) };
            if !listed.tracked && path.ends_with("/CACHEDIR.TAG") {
                let folder = path.trim_end_matches("/CACHEDIR.TAG");
                rules.outputs.extend(is_cargos(folder).then(|| folder.to_owned()));
            }
            let manifest = path.strip_suffix("/Cargo.toml").filter(|folder| *folder != rules.root);
            rules.manifests.extend(manifest.map(str::to_owned));
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
        for &package in &unlisted {
            let mut paths = Vec::new();
            walk(facts.packages[package].dir.as_std_path(), &|folder| rules.enters(folder), &mut paths);
            found.extend(paths.into_iter().map(|disk| Found {
                path: slashed(&disk.to_string_lossy()),
                disk,
                is_tracked: false,
                is_listed: false,
            }));
        }
        if !unlisted.is_empty() {
            // What git lists is first among equals, and stays.
            found.sort_by(|a, b| a.path.cmp(&b.path));
            found.dedup_by(|later, first| later.path == first.path && later.disk == first.disk);
        }
        let seen = contents.look(&found.iter().map(|file| &file.disk).collect::<Vec<_>>());
        let mut table = Self::default();
        let mut last = (String::new(), None);
        for (found, seen) in found.into_iter().zip(seen) {
            let Some(Seen { digest, is_link }) = seen else { continue };
            let folder = found.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if last.0 != folder {
                last = (folder.to_owned(), rules.owner(&found.path));
            }
            let name = rules.relative(&found.path);
            table.files.push(File {
                shared: found.is_listed && rules.is_shared(&found.path, &name),
                path: found.path,
                name,
                content: digest,
                is_link,
                owner: last.1,
                tracked: found.is_tracked,
            });
        }
        table.sorted = table.files.len();
        (table, unlisted)
    }

    fn find(&self, path: &str) -> Option<usize> {
        let listed = self.files[..self.sorted].binary_search_by(|file| file.path.as_str().cmp(path));
        listed.ok().or_else(|| self.others.get(path).copied())
    }

    fn content(&self, path: &str) -> Option<&Digest> {
        Some(&self.files[self.find(path)?].content)
    }

    fn is_tracked(&self, path: &str) -> bool {
        self.find(path).is_some_and(|index| self.files[index].tracked)
    }

    /// The listed files below a folder.
    fn below(&self, folder: &str) -> Vec<usize> {
        let folder = format!("{folder}/");
        let listed = &self.files[..self.sorted];
        let start = listed.partition_point(|file| file.path < folder);
        (start..self.sorted).take_while(|&index| listed[index].path.starts_with(&folder)).collect()
    }

    /// The numbers of files, which are added where they are not listed.
    fn indices(&mut self, paths: Vec<PathBuf>, rules: &Rules, contents: &mut Contents) -> Vec<usize> {
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
            let Some(Seen { digest, is_link }) = seen else { continue };
            indices.push(self.files.len());
            self.others.insert(path.clone(), self.files.len());
            let name = rules.relative(&path);
            let owner = rules.owner(&path);
            let file = File { path, name, content: digest, is_link, owner, shared: false, tracked: false };
            self.files.push(file);
        }
        // In the order of names, wherever they were found first.
        indices.sort_by(|&a, &b| self.files[a].path.cmp(&self.files[b].path));
        indices.dedup();
        indices
    }
}

/// A path with `/` between its parts, and none at the end.
fn slashed(path: &str) -> String {
    let path = if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() };
    if path.ends_with('/') { path.trim_end_matches('/').to_owned() } else { path }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn is_rust(path: &str) -> bool {
    path.as_bytes().ends_with(b".rs")
}

/// Whether cargo marked the folder as a target dir of its own. Other programs mark their caches with the same first line.
fn is_cargos(folder: &str) -> bool {
    let tag = fs::read_to_string(format!("{folder}/CACHEDIR.TAG"));
    tag.is_ok_and(|tag| {
        tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55") && tag.contains("cargo")
    })
}
