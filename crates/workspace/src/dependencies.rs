//! Which members a changed lock file or manifest can affect.
//!
//! Invariant: a lock file does not name features, so wherever a package may now ask another for other features,
//! everything below that one counts as different too. What does not parse differs for all.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{DocumentMut, Item, TableLike};

/// The resolved packages of a `Cargo.lock` and their edges.
#[derive(Debug, Default)]
pub(crate) struct LockGraph {
    packages: Vec<Locked>,
    /// By name, by name and version, and by name, version and source: a dependency is written as the shortest of these
    /// that is unambiguous.
    by_spec: BTreeMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Locked {
    name: String,
    /// Whether its sources are on this disk.
    local: bool,
    /// Name, version, source and checksum: the same in two lock files for the same package.
    key: String,
    dependencies: Vec<usize>,
}

/// Those of the local packages `names` whose locked dependencies differ between two lock files: transitively, by name,
/// version, source, checksum and edges, and by the features that packages which differ may ask for.
pub(crate) fn changed_members(before: &str, after: &str, names: &BTreeSet<&str>) -> BTreeSet<String> {
    if before == after {
        return BTreeSet::new();
    }
    let graphs = LockGraph::parse(before).zip(LockGraph::parse(after));
    let different = graphs.as_ref().map(|(before, after)| {
        let mut different = BTreeSet::new();
        before.add_different(after, &mut different);
        after.add_different(before, &mut different);
        different
    });
    let changed = |name: &&&str| {
        let (Some((before, after)), Some(different)) = (&graphs, &different) else { return true };
        [before, after].into_iter().any(|graph| {
            let below = graph.below(graph.locals(name));
            below.is_empty() || below.into_iter().any(|at| different.contains(&graph.packages[at].key))
        })
    };
    names.iter().filter(changed).map(|&name| name.to_owned()).collect()
}

/// Names of the local packages in `graphs` that reach a package named in `names`, or anything below one of these. `None`
/// when a name is in no graph: then nothing can be told.
pub(crate) fn sharing(graphs: &[LockGraph], names: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let mut targets = BTreeSet::new();
    for name in names {
        let found = graphs.iter().filter_map(|graph| Some((graph, graph.by_spec.get(name)?)));
        let before = targets.len();
        targets.extend(found.flat_map(|(graph, starts)| graph.keys_below(starts.iter().copied())));
        if targets.len() == before && !graphs.iter().any(|graph| graph.by_spec.contains_key(name)) {
            return None;
        }
    }
    let local =
        graphs.iter().flat_map(|graph| graph.packages.iter().enumerate().map(move |entry| (graph, entry)));
    let sharing = local.filter(|(graph, (at, package))| {
        package.local && graph.keys_below([*at]).any(|key| targets.contains(key))
    });
    Some(sharing.map(|(_, (_, package))| package.name.clone()).collect())
}

impl LockGraph {
    /// Reads the text of a lock file; `None` when it is not TOML (a merge conflict) or not a lock file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let document = text.parse::<DocumentMut>().ok()?;
        let tables = document.get("package").and_then(Item::as_array_of_tables);
        let mut graph = Self::default();
        for table in tables.into_iter().flatten() {
            let text = |name: &str| table.get(name).and_then(Item::as_str);
            let (name, version, source) = (text("name")?, text("version")?, text("source"));
            let checksum = text("checksum").unwrap_or_default();
            let with_version = format!("{name} {version}");
            // Dependencies name a git source without the commit.
            let plain_source = source.and_then(|source| source.split('#').next()).unwrap_or_default();
            let with_source = format!("{with_version} ({plain_source})");
            let key = format!("{with_version} {} {checksum}", source.unwrap_or_default());
            for spec in [name.to_owned(), with_version, with_source] {
                graph.by_spec.entry(spec).or_default().push(graph.packages.len());
            }
            let (name, local) = (name.to_owned(), source.is_none());
            graph.packages.push(Locked { name, local, key, dependencies: Vec::new() });
        }
        for (at, table) in tables.into_iter().flatten().enumerate() {
            let specs = table.get("dependencies").and_then(Item::as_array).into_iter().flatten();
            let found = specs.filter_map(|spec| graph.by_spec.get(spec.as_str()?));
            graph.packages[at].dependencies = found.flatten().copied().collect();
        }
        Some(graph)
    }

    /// The local packages of this name.
    fn locals(&self, name: &str) -> impl Iterator<Item = usize> {
        let named = self.by_spec.get(name).into_iter().flatten().copied();
        named.filter(|&at| self.packages[at].local)
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

    fn keys_below(&self, starts: impl IntoIterator<Item = usize>) -> impl Iterator<Item = &String> {
        self.below(starts).into_iter().map(|at| &self.packages[at].key)
    }

    fn edges(&self, at: usize) -> BTreeSet<&String> {
        self.packages[at].dependencies.iter().map(|&to| &self.packages[to].key).collect()
    }

    /// Adds what this graph has and `other` does not have, or has with other edges.
    fn add_different(&self, other: &Self, different: &mut BTreeSet<String>) {
        let theirs = other.packages.iter().enumerate();
        let theirs = theirs.map(|(at, package)| (&package.key, at)).collect::<BTreeMap<_, _>>();
        let mut starts = Vec::new();
        for (at, package) in self.packages.iter().enumerate() {
            let same = theirs.get(&package.key).copied();
            if same.is_some_and(|same| other.edges(same) == self.edges(at)) {
                continue;
            }
            different.insert(package.key.clone());
            // Another version may ask all its dependencies for other features. What a local package asks for is in its
            // manifest, which is compared apart, so only dependencies that came or went count.
            let same = same.or_else(|| other.locals(&package.name).next()).filter(|_| package.local);
            let kept = same.map(|same| other.edges(same)).unwrap_or_default();
            let dependencies = package.dependencies.iter().copied();
            starts.extend(dependencies.filter(|&to| !kept.contains(&self.packages[to].key)));
        }
        different.extend(self.keys_below(starts).cloned());
    }
}

/// How a manifest asks for dependencies.
struct Asks {
    /// By table and key: the text, and the name of the package.
    dependencies: BTreeMap<(String, String), (String, String)>,
    /// What may change the features of all dependencies, as text.
    features: String,
    /// The dependencies of a proc macro are built apart from those of other members.
    proc_macro: bool,
}

const TABLES: [&str; 5] =
    ["dependencies", "dev-dependencies", "dev_dependencies", "build-dependencies", "build_dependencies"];

/// Names of the packages that the manifest asks for in another way than before; `None` when it cannot be told. A manifest
/// that does not exist asks for nothing. `root` is the root manifest, which a member may inherit from.
pub(crate) fn different_dependencies(
    before: Option<&str>,
    after: Option<&str>,
    root: Option<&str>,
) -> Option<BTreeSet<String>> {
    let root = root.unwrap_or_default().parse::<DocumentMut>().ok()?;
    let before = Asks::of(before.unwrap_or_default(), &root)?;
    let after = Asks::of(after.unwrap_or_default(), &root)?;
    let all = before.features != after.features || before.proc_macro != after.proc_macro;
    let mut names = BTreeSet::new();
    for (ours, theirs) in [(&before, &after), (&after, &before)] {
        let different = ours.dependencies.iter();
        let different = different.filter(|&(key, ask)| all || theirs.dependencies.get(key) != Some(ask));
        names.extend(different.map(|(_, (_, name))| name.clone()));
    }
    Some(names)
}

impl Asks {
    fn of(manifest: &str, root: &DocumentMut) -> Option<Self> {
        let document = manifest.parse::<DocumentMut>().ok()?;
        let targets = document.get("target").and_then(Item::as_table_like);
        let targets = targets.into_iter().flat_map(TableLike::iter);
        let mut dependencies = BTreeMap::new();
        for (condition, tables) in targets.chain([("", document.as_item())]) {
            for table in TABLES {
                let asked = tables.get(table).and_then(Item::as_table_like);
                for (name, item) in asked.into_iter().flat_map(TableLike::iter) {
                    let inherited = || root.get("workspace")?.get("dependencies")?.get(name);
                    let source = if item.get("workspace").is_some() { inherited() } else { Some(item) };
                    let renamed = source.and_then(|item| item.get("package")?.as_str());
                    let key = (format!("{condition} {table}"), name.to_owned());
                    dependencies.insert(key, (item.to_string(), renamed.unwrap_or(name).to_owned()));
                }
            }
        }
        let features = document.get("features").map(ToString::to_string).unwrap_or_default();
        let lib = |key| document.get("lib")?.get(key)?.as_bool();
        let proc_macro = lib("proc-macro").or_else(|| lib("proc_macro")).unwrap_or(false);
        Some(Self { dependencies, features, proc_macro })
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
        changed_members(&lock(&BEFORE), &after, &BTreeSet::from(["a", "b", "c", "d"])).into_iter().collect()
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
            !changed_members(&lock(before), &lock(after), &BTreeSet::from(["c"])).is_empty()
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
        let members = BTreeSet::from(["a"]);
        for broken in ["<<<<<<< HEAD\n", "[[package]]\nname = \"a\"\n"] {
            assert_eq!(changed_members(&lock(&BEFORE), broken, &members).len(), 1);
            assert_eq!(changed_members(broken, &lock(&BEFORE), &members).len(), 1);
        }
    }

    #[test]
    fn sources_tell_packages_apart() {
        let lock = |checksum: &str| {
            format!(
                "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                 dependencies = [\"x 1.0.0 (registry+https://r)\"]\n\
                 [[package]]\nname = \"b\"\nversion = \"1.0.0\"\ndependencies = [\"x 1.0.0 (git+https://g)\"]\n\
                 [[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = \"registry+https://r\"\n\
                 checksum = \"{checksum}\"\n\
                 [[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = \"git+https://g#abc\"\n"
            )
        };
        let members = BTreeSet::from(["a", "b"]);
        assert_eq!(changed_members(&lock("1"), &lock("2"), &members), BTreeSet::from(["a".to_owned()]));
    }

    #[test]
    fn sharing_means_reaching_a_package_or_one_below_it() {
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
