//! The graph in a `Cargo.lock`, and which local packages two lock files differ for.
//!
//! Invariant: a lock file does not name features, so wherever a package may now ask another for other
//! features, everything below the two counts as different too. What does not parse differs for all.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item, Table};

/// The resolved packages and their edges.
#[derive(Debug, Default)]
pub struct LockGraph {
    packages: Vec<Locked>,
    by_name: BTreeMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Locked {
    key: Key,
    dependencies: Vec<usize>,
}

/// What makes two locked packages the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    name: String,
    version: String,
    /// `None` for packages on this disk.
    source: Option<String>,
    checksum: Option<String>,
}

/// Names of the local packages whose locked dependencies differ between two lock files, among `local` (name and
/// version): transitively, by name, version, source, checksum and edges, and by the features that packages
/// which differ may ask for.
pub fn changed_members(before: &str, after: &str, local: &[(String, String)]) -> BTreeSet<String> {
    if before == after {
        return BTreeSet::new();
    }
    let (Ok(before), Ok(after)) = (LockGraph::parse(before), LockGraph::parse(after)) else {
        return local.iter().map(|(name, _)| name.clone()).collect();
    };
    let mut different = BTreeSet::new();
    before.add_different(&after, &mut different);
    after.add_different(&before, &mut different);
    let changed = |(name, version): &&(String, String)| {
        [&before, &after].iter().any(|graph| {
            graph.local(name, version).is_none_or(|start| {
                graph.below([start]).into_iter().any(|at| different.contains(&graph.packages[at].key))
            })
        })
    };
    local.iter().filter(changed).map(|(name, _)| name.clone()).collect()
}

/// Names of the local packages in `graphs` that reach a package named in `names`, or anything below one of these.
/// `None` when a name is in no graph: then nothing can be told.
pub(crate) fn sharing(graphs: &[LockGraph], names: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    if names.iter().any(|name| graphs.iter().all(|graph| !graph.by_name.contains_key(name))) {
        return None;
    }
    let mut targets = BTreeSet::new();
    for graph in graphs {
        let starts = names.iter().filter_map(|name| graph.by_name.get(name)).flatten().copied();
        targets.extend(graph.below(starts).into_iter().map(|at| &graph.packages[at].key));
    }
    let mut sharing = BTreeSet::new();
    for graph in graphs {
        for (at, package) in graph.packages.iter().enumerate() {
            let reaches =
                || graph.below([at]).into_iter().any(|at| targets.contains(&graph.packages[at].key));
            if package.key.source.is_none() && reaches() {
                sharing.insert(package.key.name.clone());
            }
        }
    }
    Some(sharing)
}

impl LockGraph {
    /// Reads the text of a lock file of any version.
    ///
    /// Fails when it is no TOML (a merge conflict) or no lock file.
    pub fn parse(text: &str) -> Result<Self> {
        let document = text.parse::<DocumentMut>().context("failed to parse Cargo.lock")?;
        let mut graph = Self::default();
        let mut edges = Vec::new();
        let tables = document.get("package").and_then(Item::as_array_of_tables);
        for table in tables.into_iter().flatten() {
            let key = Key::of(table, &document)?;
            graph.by_name.entry(key.name.clone()).or_default().push(graph.packages.len());
            graph.packages.push(Locked { key, dependencies: Vec::new() });
            let dependencies = table.get("dependencies").and_then(Item::as_array).into_iter().flatten();
            // `replace` (from `[replace]`) stands for all of the package.
            let replaced = table.get("replace").and_then(Item::as_str);
            let names = dependencies.filter_map(toml_edit::Value::as_str).chain(replaced);
            edges.push(names.map(str::to_owned).collect::<Vec<_>>());
        }
        for (at, dependencies) in edges.iter().enumerate() {
            let targets = dependencies.iter().flat_map(|text| graph.resolve(text)).collect();
            graph.packages[at].dependencies = targets;
        }
        Ok(graph)
    }

    /// The packages that `name`, `name version` or `name version (source)` may mean. Cargo writes no more than
    /// is unambiguous, so more than one is only possible in a file written by hand: then all count.
    fn resolve(&self, text: &str) -> Vec<usize> {
        let mut words = text.splitn(3, ' ');
        let mut candidates =
            words.next().and_then(|name| self.by_name.get(name)).cloned().unwrap_or_default();
        if let Some(version) = words.next() {
            candidates.retain(|&at| self.packages[at].key.version == version);
        }
        if let Some(source) = words.next() {
            let source = source.trim_matches(['(', ')']);
            let exact = |&&at: &&usize| {
                self.packages[at].key.source.as_deref().is_some_and(|full| full.starts_with(source))
            };
            let matching = candidates.iter().filter(exact).copied().collect::<Vec<_>>();
            if !matching.is_empty() {
                return matching;
            }
        }
        candidates
    }

    /// The local package of this name; of this version, where there are more.
    fn local(&self, name: &str, version: &str) -> Option<usize> {
        let named = self.by_name.get(name)?.iter().copied();
        let local = named.filter(|&at| self.packages[at].key.source.is_none()).collect::<Vec<_>>();
        let exact = local.iter().find(|&&at| self.packages[at].key.version == version);
        exact.or(local.first()).copied()
    }

    /// `starts` and everything they reach.
    fn below(&self, starts: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut open = starts.into_iter().collect::<Vec<_>>();
        let mut reached = BTreeSet::new();
        while let Some(at) = open.pop() {
            if reached.insert(at) {
                open.extend(&self.packages[at].dependencies);
            }
        }
        reached
    }

    fn edge_keys(&self, at: usize) -> BTreeSet<&Key> {
        self.packages[at].dependencies.iter().map(|&to| &self.packages[to].key).collect()
    }

    /// Adds what this graph has and `other` has not, or has otherwise.
    fn add_different(&self, other: &Self, different: &mut BTreeSet<Key>) {
        let theirs = (0..other.packages.len())
            .map(|at| ((&other.packages[at].key), other.edge_keys(at)))
            .collect::<BTreeMap<_, _>>();
        let mut starts = Vec::new();
        for (at, package) in self.packages.iter().enumerate() {
            let edges = self.edge_keys(at);
            if theirs.get(&package.key) == Some(&edges) {
                continue;
            }
            different.insert(package.key.clone());
            if package.key.source.is_some() {
                // Another version may ask all its dependencies for other features.
                starts.push(at);
            } else {
                // What a local package asks for is in its manifest, which is compared by itself; so only
                // dependencies that came or went count.
                let same = other.local(&package.key.name, &package.key.version);
                let kept = same.map(|same| other.edge_keys(same)).unwrap_or_default();
                let dependencies = package.dependencies.iter().copied();
                starts.extend(dependencies.filter(|&to| !kept.contains(&self.packages[to].key)));
            }
        }
        different.extend(self.below(starts).into_iter().map(|at| self.packages[at].key.clone()));
    }
}

impl Key {
    fn of(table: &Table, document: &DocumentMut) -> Result<Self> {
        let text = |name: &str| table.get(name).and_then(Item::as_str).map(str::to_owned);
        let name = text("name").context("a package in Cargo.lock has no name")?;
        let version = text("version").with_context(|| format!("{name} in Cargo.lock has no version"))?;
        let source = text("source");
        // Version 1 has the checksums in a table at the end.
        let old = || {
            let entry = format!("checksum {name} {version} ({})", source.as_deref()?);
            document.get("metadata")?.get(&entry)?.as_str().map(str::to_owned)
        };
        let checksum = text("checksum").or_else(old);
        Ok(Self { name, version, source, checksum })
    }
}
