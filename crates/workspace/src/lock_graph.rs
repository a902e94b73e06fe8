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

#[cfg(test)]
mod tests {
    use super::*;

    /// `name version(@: local) -> dependencies` per line; a trailing `!` on the version is another checksum.
    fn lock(lines: &[&str]) -> String {
        let entry = |line: &&str| {
            let (package, dependencies) = line.split_once(" -> ").unwrap_or((line, ""));
            let (name, version) = package.split_once(' ').unwrap();
            let plain = version.trim_end_matches(['@', '!']);
            let checksum = version.ends_with('!');
            let source = if version.contains('@') {
                String::new()
            } else {
                format!("source = \"registry+https://x\"\nchecksum = \"{checksum}\"\n")
            };
            let list = dependencies.split(", ").filter(|text| !text.is_empty());
            let list = list.map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ");
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{plain}\"\n{source}dependencies = [{list}]\n\n"
            )
        };
        lines.iter().map(entry).collect()
    }

    const BEFORE: [&str; 9] = [
        "a 0.1.0@ -> x",
        "b 0.1.0@ -> a, y",
        "c 0.1.0@ -> z 1.0.0",
        "d 0.1.0@",
        "x 1.0.0 -> shared",
        "y 1.0.0 -> z 2.0.0",
        "z 1.0.0",
        "z 2.0.0",
        "shared 1.0.0",
    ];

    fn changed(edits: &[(&str, &str)]) -> Vec<String> {
        let mut after = BEFORE.map(str::to_owned).to_vec();
        for (from, to) in edits {
            match after.iter_mut().find(|line| line == from) {
                Some(line) => (*to).clone_into(line),
                None => after.push((*to).to_owned()),
            }
        }
        after.retain(|line| !line.is_empty());
        let after = lock(&after.iter().map(String::as_str).collect::<Vec<_>>());
        let members = ["a", "b", "c", "d"].map(|name| (name.to_owned(), "0.1.0".to_owned()));
        changed_members(&lock(&BEFORE), &after, &members).into_iter().collect()
    }

    #[test]
    fn a_member_differs_when_anything_below_it_does() {
        let none: [&str; 0] = [];
        assert_eq!(changed(&[]), none);
        assert_eq!(changed(&[("", "unrelated 1.0.0")]), none);
        assert_eq!(changed(&[("y 1.0.0 -> z 2.0.0", "y 1.0.1 -> z 2.0.0")]), ["b"]);
        assert_eq!(changed(&[("z 1.0.0", "z 1.0.0!")]), ["c"], "the checksum");
        assert_eq!(changed(&[("shared 1.0.0", "shared 1.0.1")]), ["a", "b"]);
        assert_eq!(changed(&[("d 0.1.0@", "d 0.2.0@")]), ["d"], "its own version");
        assert_eq!(changed(&[("d 0.1.0@", "")]), ["d"], "not locked at all");
        assert_eq!(changed(&[("a 0.1.0@ -> x", "a 0.2.0@ -> x")]), ["a", "b"]);
    }

    #[test]
    fn the_same_packages_with_other_edges_differ() {
        let swapped =
            [("c 0.1.0@ -> z 1.0.0", "c 0.1.0@ -> z 2.0.0"), ("y 1.0.0 -> z 2.0.0", "y 1.0.0 -> z 1.0.0")];
        assert_eq!(changed(&swapped), ["b", "c"]);
    }

    #[test]
    fn what_a_changed_package_may_ask_for_other_features_differs() {
        assert_eq!(
            changed(&[("x 1.0.0 -> shared", "x 1.0.1 -> shared"), ("d 0.1.0@", "d 0.1.0@ -> shared")]),
            ["a", "b", "d"]
        );
        let c_differs = |before: &[&str], after: &[&str]| {
            let member = [("c".to_owned(), "0.1.0".to_owned())];
            !changed_members(&lock(before), &lock(after), &member).is_empty()
        };
        // q 1.0.1 may ask shared for more, deep below a package that c has nothing to do with.
        let with = |q: &str| {
            [
                "a 0.1.0@ -> x",
                "x 1.0.0 -> q",
                &format!("q {q} -> shared"),
                "shared 1.0.0",
                "c 0.1.0@ -> shared",
            ]
            .map(str::to_owned)
        };
        let (old, new) = (with("1.0.0"), with("1.0.1"));
        assert!(c_differs(&old.each_ref().map(String::as_str), &new.each_ref().map(String::as_str)));
        // What a asked shared for is not asked any more.
        let rest = ["shared 1.0.0", "c 0.1.0@ -> shared"];
        assert!(c_differs(&["a 0.1.0@ -> shared", rest[0], rest[1]], &["a 0.1.0@", rest[0], rest[1]]));

        // A local package's new dependency: whoever has it too, not whoever has its old ones.
        let edit = [("d 0.1.0@", "d 0.1.0@ -> z 1.0.0")];
        assert_eq!(changed(&edit), ["c", "d"]);
    }

    #[test]
    fn what_does_not_parse_differs_for_all() {
        let members = [("a".to_owned(), "1".to_owned())];
        for broken in ["<<<<<<< HEAD\n", "[[package]]\nname = \"a\"\n"] {
            assert_eq!(changed_members(&lock(&BEFORE), broken, &members).len(), 1);
            assert_eq!(changed_members(broken, &lock(&BEFORE), &members).len(), 1);
        }
    }

    #[test]
    fn version_1_keeps_its_checksums_at_the_end_and_sources_tell_packages_apart() {
        let lock = |checksum: &str| {
            format!(
                "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                 dependencies = [\"x 1.0.0 (registry+https://r)\"]\n\
                 [[package]]\nname = \"b\"\nversion = \"1.0.0\"\ndependencies = [\"x 1.0.0 (git+https://g)\"]\n\
                 [[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = \"registry+https://r\"\n\
                 [[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = \"git+https://g#abc\"\n\
                 [metadata]\n\"checksum x 1.0.0 (registry+https://r)\" = \"{checksum}\"\n"
            )
        };
        let members = ["a", "b"].map(|name| (name.to_owned(), "1.0.0".to_owned()));
        assert_eq!(changed_members(&lock("1"), &lock("2"), &members), BTreeSet::from(["a".to_owned()]));
    }

    #[test]
    fn sharing_is_reaching_a_package_or_what_lies_below_it() {
        let graphs = || [LockGraph::parse(&lock(&BEFORE)).unwrap()];
        let of = |name: &str| sharing(&graphs(), &BTreeSet::from([name.to_owned()]));
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>());
        assert_eq!(of("x"), names(&["a", "b"]));
        assert_eq!(of("y"), names(&["b"]));
        assert_eq!(of("z"), names(&["b", "c"]), "each version of the name");
        assert_eq!(of("d"), names(&["d"]));
        assert_eq!(of("unknown"), None);
    }
}
