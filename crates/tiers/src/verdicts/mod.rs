//! Which test programs passed before with everything the same, so that they need not run again (docs/verdicts.md).
//!
//! Invariant: a program is remembered only if it ran whole and passed, in a run that began and ended with the same inputs,
//! and every clause of the key is as it was then. Whatever cannot be told is not remembered.

pub(crate) mod contents;
mod environment;
pub(crate) mod files;
pub(crate) mod memory;
pub(crate) mod store;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_workspace::{CargoCommand, Digest, Environment, Flag, Hasher, Workspace, on_path, repository_top};

use self::contents::Contents;
use self::files::{RunTimeFiles, Scope};
use crate::history::History;
use crate::programs::Program;

/// Everything that the result of a test program depends on, each clause apart, so that it can be said what changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clauses {
    program: Digest,
    /// Programs and dynamic libraries that it is given, by file name.
    given: BTreeMap<String, Digest>,
    /// What build scripts left, and the variables that they set.
    out_dir: Digest,
    /// The files that it may read.
    files: Digest,
    /// Variables: a key of [`History::environments`].
    environment: Digest,
    /// Runner, arguments, configuration, working directory.
    run: Digest,
}

impl Clauses {
    pub(crate) fn environment(&self) -> &Digest {
        &self.environment
    }

    fn is_same_but_files(&self, other: &Self) -> bool {
        *self == Self { files: self.files.clone(), ..other.clone() }
    }

    pub(crate) fn key(&self) -> Digest {
        let mut hasher = Hasher::new();
        // Raised when the meaning of a clause changes.
        hasher.field("1").field(self.program.to_string());
        for (name, digest) in &self.given {
            hasher.field(name).field(digest.to_string());
        }
        for clause in [&self.out_dir, &self.files, &self.environment, &self.run] {
            hasher.field(clause.to_string());
        }
        hasher.finish()
    }
}

/// The inputs of all test programs at one moment.
pub(crate) struct Inputs<'a> {
    workspace: &'a Workspace,
    scope: &'a Scope,
    /// [`Run::scripts`].
    scripts: bool,
    pub(crate) contents: Contents,
    pub(crate) files: RunTimeFiles,
    /// By name, a digest of each value.
    pub(crate) variables: BTreeMap<String, Digest>,
    pub(crate) environment: Digest,
    /// How programs are run, but for their working directory.
    run: Digest,
}

/// How programs are run.
pub(crate) struct Run<'a> {
    pub(crate) command: &'a CargoCommand,
    /// The runner and its version.
    pub(crate) runner: String,
    /// The user's own runners by triple.
    pub(crate) runners: BTreeMap<String, Vec<String>>,
    /// The files that configure the runner.
    pub(crate) configuration: Vec<Utf8PathBuf>,
    /// Whether the runner has scripts of the user's, which may build anything for the tests.
    pub(crate) scripts: bool,
}

impl<'a> Inputs<'a> {
    /// `contents` is what is known of files already.
    pub(crate) fn read(
        workspace: &'a Workspace,
        scope: &'a Scope,
        run: &Run,
        mut contents: Contents,
    ) -> anyhow::Result<Self> {
        let files = RunTimeFiles::read(workspace, scope, run.scripts, &mut contents)?;
        let variables = environment::variables(workspace, run.command, &scope.verdicts);
        let mut hasher = Hasher::new();
        for (name, value) in &variables {
            hasher.field(name).field(value.to_string());
        }
        let environment = hasher.finish();
        let (scripts, run) = (run.scripts, run.digest(&workspace.environment, &mut contents));
        Ok(Self { workspace, scope, scripts, contents, files, variables, environment, run })
    }

    /// The files as they are now.
    pub(crate) fn files_now(&mut self) -> anyhow::Result<RunTimeFiles> {
        RunTimeFiles::read(self.workspace, self.scope, self.scripts, &mut self.contents)
    }

    /// The clauses of each program, in their order; `None` if a file of it cannot be read.
    pub(crate) fn clauses(&mut self, programs: &[Program]) -> Vec<Option<Clauses>> {
        // Together, because they are read in parallel.
        let files = programs.iter().flat_map(|program| std::iter::once(&program.path).chain(&program.given));
        let files = files.cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        let digests = self.contents.digests(&files);
        let by_path = files.iter().zip(digests).collect::<BTreeMap<_, _>>();
        let digest = |path: &Utf8PathBuf| by_path.get(path).cloned().flatten();
        // Programs share what they are built with.
        let out_dirs = programs.iter().flat_map(|program| &program.out_dirs).collect::<BTreeSet<_>>();
        let out_dirs = out_dirs.into_iter().map(|dir| (dir, self.contents.folder(dir)));
        let out_dirs = out_dirs.collect::<BTreeMap<_, _>>();
        let packages = &self.workspace.facts.packages;
        let all = programs.iter().map(|program| {
            let mut out_dir = Hasher::new();
            for dir in &program.out_dirs {
                out_dir.optional(out_dirs.get(dir).map(Digest::to_string));
            }
            for (name, value) in &program.variables {
                out_dir.field(name).field(value);
            }
            let mut given = BTreeMap::new();
            for path in &program.given {
                let name = path.file_name().unwrap_or_default().to_owned();
                // Two folders may have a library of one name.
                given.entry(name).or_insert_with(Hasher::new).field(digest(path)?.to_string());
            }
            let given = given.into_iter().map(|(name, hasher)| (name, hasher.finish())).collect();
            let mut run = Hasher::new();
            run.field(self.run.to_string()).field(working_directory(&packages[program.package].dir));
            Some(Clauses {
                program: digest(&program.path)?,
                given,
                out_dir: out_dir.finish(),
                files: self.files.digest(program.package),
                environment: self.environment.clone(),
                run: run.finish(),
            })
        });
        all.collect()
    }

    /// A digest of everything but what is built: while it is the same, cargo most likely has nothing to build.
    pub(crate) fn before_build(&self, members: impl Iterator<Item = usize>) -> Digest {
        let mut hasher = Hasher::new();
        for member in members {
            hasher.field(self.files.digest(member).to_string());
        }
        hasher.field(self.environment.to_string()).field(self.run.to_string());
        hasher.finish()
    }

    /// The files that it may read and that changed after `since_ms`, relative to the workspace root.
    fn changed_files(&self, program: &Program, since_ms: u64) -> Vec<Utf8PathBuf> {
        self.files.changed_since(program.package, since_ms, &self.contents)
    }

    /// What is different from the program's last pass in this checkout.
    pub(crate) fn changed(&self, program: &Program, now: Option<&Clauses>, history: &History) -> String {
        let Some(last) = history.programs.get(&program.name) else { return "never ran here".to_owned() };
        if !last.passed {
            return "its last run here failed".to_owned();
        }
        let (Some(before), Some(now)) = (&last.passed_with, now) else {
            return "its last run here was not whole".to_owned();
        };
        let mut changes = Vec::new();
        if before.program != now.program {
            changes.push("the program".to_owned());
        }
        let names = before.given.keys().chain(now.given.keys()).collect::<BTreeSet<_>>();
        let given = names.into_iter().filter(|name| before.given.get(*name) != now.given.get(*name));
        changes.extend(given.map(|name| format!("{name}, which it is given")));
        if before.out_dir != now.out_dir {
            changes.push("what build scripts left".to_owned());
        }
        if before.files != now.files {
            let files = self.changed_files(program, last.at_ms);
            let more = files.len().saturating_sub(3);
            changes.extend(files.iter().take(3).map(ToString::to_string));
            changes.extend((more > 0).then(|| format!("{more} more files")));
            changes.extend(files.is_empty().then(|| "the files that it may read".to_owned()));
        }
        if before.environment != now.environment {
            let empty = BTreeMap::new();
            let earlier = history.environments.get(&before.environment).unwrap_or(&empty);
            let names = earlier.keys().chain(self.variables.keys()).collect::<BTreeSet<_>>();
            let different = names.into_iter().filter(|name| earlier.get(*name) != self.variables.get(*name));
            changes.extend(different.map(|name| format!("variable {name}")));
        }
        if before.run != now.run {
            changes.push("how it is run".to_owned());
        }
        if changes.is_empty() {
            // The store was emptied, or the pass was of a run that does not count.
            return "its pass is not remembered".to_owned();
        }
        format!("changed: {}", changes.join(", "))
    }
}

/// Relative to the top of the repository: worktrees share what they remember.
fn working_directory(dir: &Utf8Path) -> &str {
    repository_top(dir).and_then(|top| dir.strip_prefix(top).ok()).unwrap_or(dir).as_str()
}

impl Run<'_> {
    fn digest(&self, environment: &Environment, contents: &mut Contents) -> Digest {
        // What chooses the code to build is in the programs; the rest reaches them or their runner.
        let arguments = self.command.clone().without(&[
            Flag::Package,
            Flag::Exclude,
            Flag::Workspace,
            Flag::Features,
            Flag::Targets,
            Flag::Resolve,
            Flag::Output,
            Flag::Messages,
            Flag::Timings,
            Flag::Verbose,
            Flag::Quiet,
        ]);
        let mut hasher = Hasher::new();
        hasher.field(&self.runner).field(arguments.words().join("\0"));
        for (triple, words) in &self.runners {
            hasher.field(triple).field(words.join("\0"));
            // The program may be an interpreter, and a script among its arguments.
            let program = words.first().and_then(|program| on_path(program, environment));
            let files = program.into_iter().chain(words.iter().map(Utf8PathBuf::from));
            let files = files.filter(|file| file.is_absolute() && file.is_file());
            let files = files.filter_map(|file| file.canonicalize_utf8().ok()).collect::<Vec<_>>();
            for digest in contents.digests(&files) {
                hasher.optional(digest.map(|digest| digest.to_string()));
            }
        }
        let digests = contents.digests(&self.configuration);
        for (path, digest) in self.configuration.iter().zip(digests) {
            hasher
                .field(path.file_name().unwrap_or_default())
                .optional(digest.map(|digest| digest.to_string()));
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use xtask_testkit::Fixture;

    use super::*;

    #[test]
    fn libraries_of_one_name_in_two_folders_all_count() {
        let manifest = "[package]\nname = \"app\"\nedition = \"2024\"\n";
        let fixture = Fixture::new("given", &[("Cargo.toml", manifest), ("src/lib.rs", ""), ("app", "")]);
        let workspace = Workspace::load(fixture.root(), Environment::current()).unwrap();
        let path = |name: &str| fixture.root().join(name);
        let program = Program {
            name: "app".to_owned(),
            target: "app".to_owned(),
            package: 0,
            path: path("app"),
            given: vec![path("target/a/lib.so"), path("target/b/lib.so")],
            out_dirs: Vec::new(),
            variables: Vec::new(),
        };
        let command = CargoCommand::new(fixture.root(), ["test"]);
        let run = Run {
            command: &command,
            runner: "cargo".to_owned(),
            runners: BTreeMap::new(),
            configuration: Vec::new(),
            scripts: false,
        };
        let scope = Scope::default();
        let mut keys = BTreeSet::new();
        for [a, b] in [["1", "1"], ["2", "1"], ["1", "2"]] {
            fixture.write("target/a/lib.so", a);
            fixture.write("target/b/lib.so", b);
            let contents = Contents::default();
            let mut inputs = Inputs::read(&workspace, &scope, &run, contents).unwrap();
            keys.insert(inputs.clauses(std::slice::from_ref(&program))[0].as_ref().unwrap().key());
        }
        assert_eq!(keys.len(), 3);
    }

    #[test]
    #[cfg(unix)]
    fn the_runner_counts_wherever_it_is() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let fixture = Fixture::new("runner", &[("tools/real", "")]);
        let tools = fixture.root().join("tools");
        symlink("real", tools.join("run")).unwrap();
        let link = tools.join("run").into_string();
        let environment = [("PATH", tools.as_str())].into_iter().collect::<Environment>();
        let command = CargoCommand::new(fixture.root(), ["test"]);
        let runners = [vec![link.as_str()], vec!["run"], vec!["sh", &link]];
        for words in runners.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>()) {
            let run = Run {
                command: &command,
                runner: "cargo".to_owned(),
                runners: [("host".to_owned(), words)].into(),
                configuration: Vec::new(),
                scripts: false,
            };
            let keys = ["1", "2"].map(|text| {
                fixture.write("tools/real", text);
                std::fs::set_permissions(tools.join("real"), std::fs::Permissions::from_mode(0o755)).unwrap();
                run.digest(&environment, &mut Contents::default())
            });
            assert_ne!(keys[0], keys[1], "{:?}", run.runners);
        }
    }
}
