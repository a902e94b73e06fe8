//! A digest of all files that can reach a member's tests: while it stays the same, and the compile units too,
//! the tests need not run again.
//!
//! Invariant: a file that [`reach`](crate::reach) would select a member for is in that member's digest. The lock
//! file and manifests act through compile units as well, which the caller adds.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::affected::{Globs, Owners, Readers, Reads, is_build_output, relative, tested_with};
use crate::git::Contents;
use crate::{Digest, Facts, Hasher};

/// What decides which files are a member's inputs. Package numbers are indices into [`Facts::packages`].
#[derive(Clone, Copy)]
pub struct InputsQuestion<'a> {
    /// The workspace.
    pub facts: &'a Facts,
    /// What the files hold.
    pub contents: &'a Contents,
    /// What each package reads.
    pub reads: &'a dyn Fn(usize) -> Reads,
    /// Files in no package's folder that no member reads.
    pub ignore: &'a Globs,
    /// Files that are inputs of all members.
    pub global: &'a Globs,
    /// Cargo's configuration files in force, absolute.
    pub cargo_config: &'a [Utf8PathBuf],
    /// The lock file: it acts through compile units, and is no input by itself unless it is read.
    pub lock: &'a Utf8Path,
    /// A digest of a file or folder that git does not know ([`stamp`](crate::stamp)); `None` when there is none.
    pub on_disk: &'a dyn Fn(&Utf8Path) -> Option<String>,
}

/// The digest of each member's inputs, by name; `None` where it is not known what its tests are built from.
pub fn member_inputs(question: &InputsQuestion<'_>) -> BTreeMap<String, Option<Digest>> {
    let facts = question.facts;
    let parts = Parts::of(question);
    let members = (0..facts.packages.len()).filter(|&package| facts.packages[package].member);
    let digest = |member: usize| {
        let mut hasher = Hasher::new();
        hasher.field(parts.shared.to_string());
        for package in tested_with(facts, member) {
            let part = parts.packages[package].as_ref()?;
            hasher.field(&facts.packages[package].name).field(part.to_string());
        }
        Some(hasher.finish())
    };
    members.map(|member| (facts.packages[member].name.clone(), digest(member))).collect()
}

/// Every file goes into few digests once, and members are made of these.
struct Parts {
    /// Files that are inputs of all members.
    shared: Digest,
    /// The files of each package and those it reads elsewhere; `None` when it is not known what it reads.
    packages: Vec<Option<Digest>>,
}

impl Parts {
    fn of(question: &InputsQuestion<'_>) -> Self {
        let &InputsQuestion { facts, contents, lock, .. } = question;
        let reads = (0..facts.packages.len()).map(question.reads).collect::<Vec<_>>();
        let readers = Readers::new(&reads);
        let owners = Owners::new(facts, question.global, question.cargo_config);
        let mut shared = Hasher::new();
        let mut packages = facts.packages.iter().map(|_| Hasher::new()).collect::<Vec<_>>();
        let files = contents.files.iter().filter(|(path, _)| !is_build_output(facts, path));
        for (path, content) in files {
            let shown = relative(&facts.root, path);
            let owner = owners.of(path);
            let readers = readers.of(path);
            for package in readers.iter().copied().chain(owner.filter(|owner| !readers.contains(owner))) {
                packages[package].field(&shown).field(content);
            }
            let nobodys = owner.is_none() && readers.is_empty() && path != lock;
            // A submodule holds what its packages are made of.
            let holds_packages = facts.packages.iter().any(|package| package.dir.starts_with(path));
            let global = holds_packages || owners.selects_all(path).is_some();
            if global || (nobodys && !question.ignore.matches(&shown)) {
                shared.field(&shown).field(content);
            }
        }
        for path in &contents.ignored {
            if let Some(owner) = owners.of(path).filter(|_| !is_build_output(facts, path)) {
                let shown = relative(&facts.root, path);
                packages[owner].field(shown).optional((question.on_disk)(path));
            }
        }
        let packages = packages.into_iter().zip(&reads).map(|(mut hasher, reads)| {
            let Reads::Known(paths) = reads else { return None };
            let unknown_to_git =
                |path: &&Utf8PathBuf| !contents.files.contains_key(*path) && !is_build_output(facts, path);
            for path in paths.iter().filter(unknown_to_git) {
                hasher.field(relative(&facts.root, path)).optional((question.on_disk)(path));
            }
            Some(hasher.finish())
        });
        Self { packages: packages.collect(), shared: shared.finish() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{LocalDependency, LocalPackage};

    fn facts() -> Facts {
        // b depends on a; c has b as a dev dependency; d depends on c.
        let edges: [&[(usize, bool)]; 4] = [&[], &[(0, false)], &[(1, true)], &[(2, false)]];
        let package = |(at, name): (usize, &str)| LocalPackage {
            id: name.into(),
            name: name.into(),
            version: "0.1.0".into(),
            dir: format!("/w/{name}").into(),
            member: true,
            launcher: false,
            features: BTreeMap::new(),
            targets: Vec::new(),
            dependencies: edges[at].iter().map(|&(package, dev)| LocalDependency { package, dev }).collect(),
        };
        Facts {
            root: "/w".into(),
            target_dir: "/w/target".into(),
            build_dir: "/w/target".into(),
            host: "host".into(),
            packages: ["a", "b", "c", "d"].into_iter().enumerate().map(package).collect(),
            default_members: Vec::new(),
            ambiguous_names: Vec::new(),
        }
    }

    const FILES: [&str; 13] = [
        "a/x",
        "b/x",
        "c/x",
        "d/x",
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
        "data/a.json",
        "data/nobody.json",
        "docs/x.md",
        "target/x",
        "sub",
        "b",
    ];

    /// Which members' digests change with `edited`.
    fn moved(edited: &str) -> String {
        let facts = facts();
        let digests = |edit: bool| {
            let text = |path: &str| if edit && path == edited { "new" } else { "old" }.to_owned();
            let files = FILES.iter().map(|path| (Utf8Path::new("/w").join(path), text(path))).collect();
            let contents = Contents { files, ignored: vec!["/w/d/.env".into(), "/w/root.log".into()] };
            let reads = |at: usize| {
                let paths: &[&str] = match at {
                    0 => &["/w/data/a.json", "/w/docs/read.md", "/w/target/gen.rs", "/w/a/x"],
                    3 => &["/outside/x", "/w/a/x"],
                    _ => &[],
                };
                Reads::Known(paths.iter().map(Utf8PathBuf::from).collect::<BTreeSet<_>>())
            };
            let shown = |path: &Utf8Path| relative("/w".into(), path);
            member_inputs(&InputsQuestion {
                facts: &facts,
                contents: &contents,
                reads: &reads,
                ignore: &Globs::parse(&["docs/**".into(), "Cargo.toml".into(), "a/**".into()]).unwrap(),
                global: &Globs::default(),
                cargo_config: &[],
                lock: "/w/Cargo.lock".into(),
                on_disk: &|path| Some(text(&shown(path))),
            })
        };
        let (before, after) = (digests(false), digests(true));
        before.keys().filter(|name| before[*name] != after[*name]).cloned().collect()
    }

    #[test]
    fn a_file_is_an_input_of_those_it_can_reach() {
        let table = [
            ("none", ""),
            ("a/x", "abcd"),
            ("b/x", "bc"),
            ("c/x", "cd"),
            ("d/x", "d"),
            ("Cargo.toml", "abcd"),
            (".cargo/config.toml", "abcd"),
            ("Cargo.lock", ""),
            ("data/a.json", "abc"),
            ("data/nobody.json", "abcd"),
            ("docs/x.md", ""),
            ("docs/read.md", "abc"),
            ("target/x", ""),
            ("target/gen.rs", ""),
            ("d/.env", "d"),
            ("root.log", ""),
            ("sub", "abcd"),
            // A submodule.
            ("b", "abcd"),
            ("/outside/x", "d"),
        ];
        for (edited, expected) in table {
            assert_eq!(moved(edited), expected, "{edited}");
        }
    }

    #[test]
    fn without_knowing_what_is_read_there_is_no_digest() {
        let facts = facts();
        let contents = Contents::default();
        let inputs = member_inputs(&InputsQuestion {
            facts: &facts,
            contents: &contents,
            reads: &|at| if at == 1 { Reads::Unknown } else { Reads::Known(BTreeSet::new()) },
            ignore: &Globs::default(),
            global: &Globs::default(),
            cargo_config: &[],
            lock: "/w/Cargo.lock".into(),
            on_disk: &|_| None,
        });
        let known = inputs.into_iter().filter(|(_, digest)| digest.is_some()).map(|(name, _)| name);
        assert_eq!(known.collect::<Vec<_>>(), ["a", "d"], "b itself, and c tests with it");
    }
}
