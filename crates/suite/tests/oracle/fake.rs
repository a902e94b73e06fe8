//! A memory of the oracle's own, by which the oracle is examined: it runs everything, and says of a program that passed
//! under the same key that it is remembered.
//!
//! Its key has the clauses of docs/verdicts.md, each made in the plainest way and rather too large than too small. With
//! all of them the oracle must be content; without any one it must not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::Outcome;

use crate::checkout::{Checkout, Program, Truth, failed, failed_once};
use crate::git_steps::git;
use crate::said::Said;

/// What a program must have in common with one that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Clause {
    Program,
    GivenPrograms,
    OutDir,
    OwnFolder,
    Modes,
    Links,
    Inputs,
    OtherFiles,
    RustOfOthers,
    Environment,
    CargoEnv,
    RunnerProgram,
    Runner,
    RunnerVersion,
    RunnerConfiguration,
    Arguments,
    /// Not of the key: that it passed at the first try.
    FirstTry,
}

impl Clause {
    pub(crate) const ALL: [Self; 17] = [
        Self::Program,
        Self::GivenPrograms,
        Self::OutDir,
        Self::OwnFolder,
        Self::Modes,
        Self::Links,
        Self::Inputs,
        Self::OtherFiles,
        Self::RustOfOthers,
        Self::Environment,
        Self::CargoEnv,
        Self::RunnerProgram,
        Self::Runner,
        Self::RunnerVersion,
        Self::RunnerConfiguration,
        Self::Arguments,
        Self::FirstTry,
    ];
}

pub(crate) struct Fake {
    clauses: BTreeSet<Clause>,
    memory: BTreeSet<(String, u64)>,
}

impl Fake {
    pub(crate) fn new(clauses: impl IntoIterator<Item = Clause>) -> Self {
        Self { clauses: clauses.into_iter().collect(), memory: BTreeSet::new() }
    }

    pub(crate) fn run(&mut self, checkout: &Checkout) -> Said {
        let Truth { programs, numbers: mut ran } = checkout.truth();
        let code = i32::from(programs.is_none() || ran.values().any(|tests| failed(tests)));
        let mut said = BTreeMap::new();
        let common = self.common(checkout);
        for (name, program) in programs.into_iter().flatten() {
            let key = self.key(checkout, &program) ^ common;
            let tests = ran.get(&name).map(Vec::as_slice).unwrap_or_default();
            let verdict = if self.memory.contains(&(name.clone(), key)) {
                ran.remove(&name);
                "remembered"
            } else if failed(tests) {
                "failed"
            } else {
                if !failed_once(tests) || !self.clauses.contains(&Clause::FirstTry) {
                    self.memory.insert((name.clone(), key));
                }
                "passed"
            };
            said.insert(name, (verdict.to_owned(), String::new()));
        }
        let outcome = Outcome { code: Some(code), stdout: String::new(), stderr: String::new() };
        Said { outcome, programs: said, left_out: BTreeSet::new(), ran }
    }

    /// The clauses that are the same for all programs.
    fn common(&self, checkout: &Checkout) -> u64 {
        let mut hasher = DefaultHasher::new();
        let toml = fs::read_to_string(checkout.root.join("xtask.toml")).expect("a configuration");
        let line = |key: &str| toml.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        let nextest = !line("runner").contains("cargo");
        let above = checkout.root.join("../.cargo/config.toml");
        let configs = [checkout.root.join(".cargo/config.toml"), above.clone()].map(read);
        for clause in &self.clauses {
            match clause {
                Clause::GivenPrograms => {
                    let given = |path: &Utf8Path| {
                        path.extension() == Some("so")
                            || path.file_name().is_some_and(|name| {
                                ["app_", "example_"].iter().any(|start| name.starts_with(start))
                                    && !name.contains('.')
                            })
                    };
                    hash_files(files(&checkout.target_dir(), given), &mut hasher);
                }
                Clause::OutDir => {
                    let built = |path: &Utf8Path| path.as_str().contains("/out/");
                    hash_files(files(&checkout.target_dir(), built), &mut hasher);
                }
                Clause::Inputs => hash_files(files(&checkout.root.join("local"), |_| true), &mut hasher),
                Clause::OtherFiles => {
                    let ignored = line("ignore");
                    let counts = |path: &Utf8PathBuf| {
                        let named = path.strip_prefix(&checkout.root).is_ok_and(|path| {
                            let first = path.iter().next().unwrap_or_default();
                            ignored.contains(&format!("\"{path}\""))
                                || ignored.contains(&format!("\"{first}/**\""))
                        });
                        !named && !matches!(path.extension(), Some("rs" | "md"))
                    };
                    let all = listed(&checkout.root, ":/").into_iter().filter(counts).collect();
                    hash_files(all, &mut hasher);
                }
                // All that is no part of a program.
                Clause::RustOfOthers => {
                    let counts = |path: &Utf8PathBuf| {
                        path.extension() == Some("rs") && path.as_str().contains("/files/")
                    };
                    let all = listed(&checkout.root, ":/").into_iter().filter(counts).collect();
                    hash_files(all, &mut hasher);
                }
                Clause::Environment => {
                    let volatile = |name: &str| ["SHLVL"].contains(&name);
                    let counts = checkout.environment.iter().filter(|(name, _)| !volatile(name));
                    counts.collect::<Vec<_>>().hash(&mut hasher);
                    line("env").hash(&mut hasher);
                }
                Clause::CargoEnv => {
                    let set = configs
                        .iter()
                        .flat_map(|text| text.lines())
                        .filter(|line| line.starts_with("ORACLE") || line.starts_with("runner"));
                    set.collect::<Vec<_>>().hash(&mut hasher);
                }
                Clause::RunnerProgram if configs[1].contains("\nrunner") => {
                    hash_files(vec![checkout.root.join("../tools/run.sh")], &mut hasher);
                }
                Clause::Runner => nextest.hash(&mut hasher),
                Clause::RunnerVersion if nextest => {
                    hash_files(vec![checkout.scratch.join("bin/cargo-nextest")], &mut hasher);
                }
                Clause::RunnerConfiguration if nextest => {
                    hash_files(vec![checkout.root.join(".config/nextest.toml")], &mut hasher);
                }
                Clause::Arguments => [line("args"), line("nextest-profile")].hash(&mut hasher),
                _ => {}
            }
        }
        hasher.finish()
    }

    /// The clauses that are the program's.
    fn key(&self, checkout: &Checkout, program: &Program) -> u64 {
        let mut hasher = DefaultHasher::new();
        if self.clauses.contains(&Clause::Program) {
            hash_files(vec![program.path.clone()], &mut hasher);
        }
        // Where there is no git, the folder is declared.
        let own = listed(&checkout.root, program.folder.as_str());
        let (links, own) = own.into_iter().partition::<Vec<_>, _>(|path| path.is_symlink());
        if self.clauses.contains(&Clause::Modes) {
            for path in &own {
                let executable =
                    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o100 != 0);
                executable.hash(&mut hasher);
            }
        }
        if self.clauses.contains(&Clause::OwnFolder) {
            hash_files(own, &mut hasher);
        }
        if self.clauses.contains(&Clause::Links) {
            for link in links {
                let Ok(target) = link.canonicalize_utf8() else { continue };
                hash_files(
                    if target.is_dir() { files(&target, |_| true) } else { vec![target] },
                    &mut hasher,
                );
            }
        }
        hasher.finish()
    }
}

fn read(path: Utf8PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn hash_files(mut files: Vec<Utf8PathBuf>, hasher: &mut DefaultHasher) {
    files.sort();
    for path in files {
        (path.as_str(), fs::read(&path).ok()).hash(hasher);
    }
}

/// The files of a folder as git sees it; all without git.
fn listed(root: &Utf8Path, folder: &str) -> Vec<Utf8PathBuf> {
    let top = git(root, &["rev-parse", "--show-toplevel"]);
    if top.code != Some(0) {
        let folder = if folder == ":/" { root } else { Utf8Path::new(folder) };
        return files(folder, |path| {
            !path.starts_with(root.join("target")) && !path.starts_with(root.join("local"))
        });
    }
    let top = Utf8Path::new(top.stdout.trim());
    let list = git(root, &["ls-files", "--full-name", "-co", "--exclude-standard", "--", folder]);
    list.stdout.lines().map(|path| top.join(path)).collect()
}

/// The files below a folder that are wanted; links are not followed.
fn files(top: &Utf8Path, wanted: impl Fn(&Utf8Path) -> bool) -> Vec<Utf8PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![top.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in dir.read_dir_utf8().into_iter().flatten().flatten() {
            let path = entry.into_path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found
}
