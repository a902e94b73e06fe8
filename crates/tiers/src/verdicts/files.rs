//! The files that tests may read while they run.
//!
//! Invariants: a file counts for a package unless the rules of docs/verdicts.md say that its tests do not read it; and what
//! tests themselves write while they run stops to count only as long as nobody else writes to it.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::config::{TestInputs, Verdicts};
use xtask_workspace::{Digest, Facts, Hasher, Workspace, listing};

use super::contents::{Contents, walk};
use super::store;
use crate::programs::dependencies;
use rules::{Rules, is_below, is_rust, slashed};
use table::{File, Table};
use written::{Left, Written};

mod globs;
mod rules;
mod table;
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

/// In a package's folder, the sources that are no part of its library.
const APART: [&str; 4] = ["/tests/", "/benches/", "/examples/", "/build.rs"];

/// The files of the workspace as they are now.
#[derive(Debug)]
pub(crate) struct RunTimeFiles {
    rules: Rules,
    table: Table,
    /// The files of each package, and what links in its folder lead to; sorted indices.
    own: Vec<Vec<usize>>,
    /// What `inputs` of `[verdicts]` matches, and each `.env`.
    inputs: Vec<usize>,
    /// What `files` of `[test-inputs]` matches, for the packages that have it.
    narrowed: Vec<Option<Vec<usize>>>,
    /// The packages whose tests may build Rust sources of others.
    builders: Vec<bool>,
    /// What earlier runs wrote, as it was known when the files were read.
    written: Written,
    state_dir: Utf8PathBuf,
    /// Of each package.
    digests: Mutex<Vec<Digest>>,
}

impl RunTimeFiles {
    /// Fails where there is a repository that git cannot read: then nothing is known of what counts.
    ///
    /// `scripts`: whether the runner has scripts, which may build anything for the tests.
    pub(crate) fn read(
        workspace: &Workspace,
        scope: &Scope,
        scripts: bool,
        contents: &mut Contents,
    ) -> Result<Self> {
        let facts = &workspace.facts;
        let state_dir = workspace.state_dir();
        contents.begin_listing();
        let listing = listing(&facts.root, &workspace.environment)?;
        let mut rules = Rules::new(facts, &state_dir, scope);
        // Somebody may keep them in the repository.
        let passes = store::base(&workspace.environment).map(|base| base.join("verdicts"));
        rules.outputs.extend(passes.ok().map(|dir| slashed(dir.as_str())));
        let has_git = listing.is_some();
        let (table, unlisted) = Table::read(facts, &mut rules, listing, contents);
        let mut files = Self {
            own: vec![Vec::new(); facts.packages.len()],
            inputs: Vec::new(),
            narrowed: Vec::new(),
            builders: vec![scripts; facts.packages.len()],
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
        if !scripts {
            files.builders = builders(facts, &files.table);
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
        let mut inputs = files.rules.find(&files.rules.inputs);
        // Git ignores it as a rule, and libraries read it from the folder of the package and those above.
        let folders = facts.packages.iter().map(|package| &package.dir).chain([&facts.root]);
        let folders = folders.map(Utf8PathBuf::as_path).chain([Utf8Path::new(&files.rules.top)]);
        inputs.extend(folders.map(|folder| folder.join(".env").into()));
        files.inputs = files.table.indices(inputs, &files.rules, contents);
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
        let is_link = |table: &Table, &index: &usize| table.files[index].seen.is_link;
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
            hasher.field(&file.name).field(file.seen.digest.to_string());
        };
        let (mut shared, mut sources) = (Hasher::new(), Hasher::new());
        for index in (0..self.table.sorted).filter(|index| counts(as_left.get(index), false)) {
            let file = &self.table.files[index];
            if file.shared {
                add(&mut shared, index);
            } else if is_rust(&file.path) {
                add(&mut sources, index);
            }
        }
        let (shared, sources, mut inputs) = (shared.finish(), sources.finish(), Hasher::new());
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
                None => {
                    hasher.field("shared").field(shared.to_string());
                    hasher.optional(self.builders[package].then(|| sources.to_string()));
                }
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
            (!file.tracked && left.content.as_ref() == Some(&file.seen.digest)).then_some((index, left))
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
        let reads = |file: &File| file.shared || self.builders[package] && is_rust(&file.path);
        let shared = (0..self.table.sorted).filter(|&index| reads(&files[index]));
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

/// Whether each package's tests may build or check Rust sources of others: by its own, or by a library that it is built with.
fn builders(facts: &Facts, table: &Table) -> Vec<bool> {
    let (mut own, mut linked) = (vec![false; facts.packages.len()], BTreeSet::new());
    for (file, owner) in table.files.iter().filter_map(|file| Some((file, file.owner?))) {
        if file.seen.builds {
            own[owner] = true;
            let package = slashed(facts.packages[owner].dir.as_str());
            let name = file.path.strip_prefix(&package).unwrap_or_default();
            if !APART.iter().any(|apart| name.starts_with(apart)) {
                linked.insert(owner);
            }
        }
    }
    if !linked.is_empty() {
        for (package, own) in own.iter_mut().enumerate() {
            *own |= !dependencies(facts, package).is_disjoint(&linked);
        }
    }
    own
}

/// Whether a file counts that is as a run left it: to the tests of its package until they have written it twice in a row.
fn counts(left: Option<&&Left>, is_own: bool) -> bool {
    left.is_none_or(|left| !left.is_settled() && (is_own || !left.is_output))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
