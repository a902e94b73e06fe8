//! The test programs of a build: what cargo's messages say of each, and of what it is given.

use std::collections::BTreeSet;

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};
use xtask_units::{BuiltUnit, Record, TargetKind};
use xtask_workspace::{Facts, Workspace};

/// A test program that cargo built.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// As nextest names it: `app`, `app::it`, `app::bin/app`.
    pub(crate) name: String,
    /// The name of its cargo target.
    pub(crate) target: String,
    /// Index into the packages of [`Facts`].
    pub(crate) package: usize,
    pub(crate) path: Utf8PathBuf,
    /// Programs that it may start and dynamic libraries that it may load.
    pub(crate) given: Vec<Utf8PathBuf>,
    /// What build scripts left: those of its package, and of the local packages that it is built with, whose code may read
    /// it while a test runs.
    pub(crate) out_dirs: Vec<Utf8PathBuf>,
    /// What the build scripts of its package set (`cargo::rustc-env`), which is also set while tests run.
    pub(crate) variables: Vec<(String, String)>,
}

impl Program {
    /// The programs of `record`, sorted by name.
    pub(crate) fn all(workspace: &Workspace, record: &Record) -> Vec<Self> {
        let facts = &workspace.facts;
        let for_all = given_to_all(facts, record);
        let programs = record.units.iter().filter(|unit| unit.test).filter_map(|unit| {
            let package = facts.packages.iter().position(|package| package.id == unit.package_id)?;
            let path = unit.executable.clone()?;
            let closure = dependencies(facts, package);
            let is_given = |other: &&BuiltUnit| match other.kind {
                _ if other.test => false,
                // `CARGO_BIN_EXE_*`, and what looks in the target dir for the programs and examples of its package or for
                // the programs of one that it depends on.
                TargetKind::Bin => closure.iter().any(|&at| facts.packages[at].id == other.package_id),
                TargetKind::Example => other.package_id == unit.package_id,
                // A test may compile code that uses a proc macro, and see other errors.
                TargetKind::Lib => closure.iter().any(|&at| {
                    facts.packages[at].id == other.package_id && facts.packages[at].has_target("proc-macro")
                }),
                _ => false,
            };
            let given = record.units.iter().filter(is_given).flat_map(|other| &other.files);
            let mut given = given.chain(&for_all).cloned().collect::<Vec<_>>();
            given.sort();
            given.dedup();
            let of_closure = |id: &str| closure.iter().any(|&at| facts.packages[at].id == id);
            let scripts = record.scripts.iter().filter(|script| of_closure(&script.package_id));
            let own = scripts.clone().filter(|script| script.package_id == unit.package_id);
            let mut out_dirs = scripts.map(|script| script.out_dir.clone()).collect::<Vec<_>>();
            // Cargo names them in the order in which they ended, which differs from build to build.
            out_dirs.sort();
            let variables = own.flat_map(|script| script.variables.clone()).collect();
            let name = binary_id(&unit.package, unit.kind, &unit.target);
            let target = unit.target.clone();
            Some(Self { name, target, package, path, given, out_dirs, variables })
        });
        let mut programs = programs.collect::<Vec<_>>();
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        programs
    }
}

/// nextest's name of a program (nextest's documentation, "Binary IDs").
pub(crate) fn binary_id(package: &str, kind: TargetKind, target: &str) -> String {
    match kind {
        TargetKind::IntegrationTest => format!("{package}::{target}"),
        TargetKind::Bin => format!("{package}::bin/{target}"),
        TargetKind::Example => format!("{package}::example/{target}"),
        TargetKind::Bench => format!("{package}::bench/{target}"),
        _ => package.to_owned(),
    }
}

/// The workspace's dynamic libraries, which cargo's library path leads to, native ones that build scripts made, and programs
/// that are dependencies (`-Z bindeps`).
fn given_to_all(facts: &Facts, record: &Record) -> Vec<Utf8PathBuf> {
    let is_library = |unit: &&BuiltUnit| {
        let package = facts.packages.iter().find(|package| package.id == unit.package_id);
        package.is_some_and(|package| !package.has_target("proc-macro"))
    };
    // A static library too: a test may link it.
    let is_dynamic = |file: &Utf8Path| {
        let name = file.file_name().unwrap_or_default();
        name.contains(".so") || matches!(file.extension(), Some("dylib" | "dll" | "a" | "lib"))
    };
    let is_artifact = |file: &Utf8Path| {
        let below = file.strip_prefix(&facts.build_dir);
        below.is_ok_and(|below| below.components().any(|part| part.as_str() == "artifact"))
    };
    let of_units = record.units.iter().filter(is_library).flat_map(|unit| &unit.files);
    let of_units = of_units.filter(|file| is_artifact(file) || is_dynamic(file));
    let folders = record.scripts.iter().flat_map(|script| &script.linked_paths).collect::<BTreeSet<_>>();
    let native = folders.into_iter().filter_map(|folder| folder.read_dir_utf8().ok()).flatten().flatten();
    let native = native.map(Utf8DirEntry::into_path).filter(|path| is_dynamic(path) && path.is_file());
    // What a link leads to counts, and where it leads.
    let native = native.flat_map(|path| path.canonicalize_utf8().ok().into_iter().chain([path]));
    of_units.cloned().chain(native).collect()
}

/// The packages that `package` is built with, itself among them.
pub(crate) fn dependencies(facts: &Facts, package: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([package]);
    let mut open = vec![package];
    while let Some(next) = open.pop() {
        let edges = facts.packages[next].dependencies.iter();
        let edges = edges.filter(|edge| !edge.dev || next == package);
        open.extend(edges.map(|edge| edge.package).filter(|&other| found.insert(other)));
    }
    found
}

#[cfg(test)]
mod tests {
    use xtask_units::ScriptRun;
    use xtask_workspace::{CargoConfig, Environment, LocalDependency, LocalPackage, digest};

    use super::*;

    fn package(name: &str, dependencies: Vec<LocalDependency>) -> LocalPackage {
        LocalPackage { id: name.to_owned(), name: name.to_owned(), dependencies, ..LocalPackage::default() }
    }

    fn workspace(packages: Vec<LocalPackage>) -> Workspace {
        Workspace {
            facts: Facts { packages, ..Facts::default() },
            environment: std::iter::empty::<(&str, &str)>().collect::<Environment>(),
            cargo_config: CargoConfig::default(),
            plan_key: digest(""),
        }
    }

    fn unit(package: &str, target: &str, kind: TargetKind, test: bool) -> BuiltUnit {
        BuiltUnit {
            package_id: package.to_owned(),
            package: package.to_owned(),
            target: target.to_owned(),
            kind,
            test,
            files: vec![target.into()],
            executable: Some(target.into()),
            fresh: true,
        }
    }

    #[test]
    fn a_test_is_given_what_it_may_start() {
        // `app` and the tests of it in a package of their own, and `other`, which has nothing to do with them.
        let app = LocalDependency { package: 0, dev: true };
        let packages =
            vec![package("app", vec![]), package("app-tests", vec![app]), package("other", vec![])];
        let workspace = workspace(packages);
        let units = vec![
            unit("app", "app", TargetKind::Bin, false),
            unit("app", "app-unit", TargetKind::Bin, true),
            unit("app", "app-example", TargetKind::Example, false),
            unit("app", "it", TargetKind::IntegrationTest, true),
            unit("app-tests", "whole", TargetKind::IntegrationTest, true),
            unit("other", "other", TargetKind::Bin, false),
            unit("other", "alone", TargetKind::IntegrationTest, true),
        ];
        let programs = Program::all(&workspace, &Record { units, ..Record::default() });
        let given = |program: &Program| {
            let given = program.given.iter().map(|path| path.as_str()).collect::<Vec<_>>();
            format!("{}: {}", program.target, given.join(" "))
        };
        assert_eq!(
            programs.iter().map(given).collect::<Vec<_>>(),
            ["whole: app", "app-unit: app app-example", "it: app app-example", "alone: other"]
        );
    }

    #[test]
    fn the_order_in_which_build_scripts_end_is_of_no_account() {
        let packages =
            vec![package("base", vec![]), package("app", vec![LocalDependency { package: 0, dev: false }])];
        let workspace = workspace(packages);
        let unit = unit("app", "app", TargetKind::Lib, true);
        let script = |package: &str| ScriptRun {
            package_id: package.to_owned(),
            out_dir: format!("build/{package}/out").into(),
            linked_paths: Vec::new(),
            variables: Vec::new(),
        };
        let out_dirs = [["base", "app"], ["app", "base"]].map(|order| {
            let scripts = order.map(script).to_vec();
            let record = Record { units: vec![unit.clone()], scripts, ..Record::default() };
            Program::all(&workspace, &record).remove(0).out_dirs
        });
        assert_eq!(out_dirs[0].len(), 2);
        assert_eq!(out_dirs[0], out_dirs[1]);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_linked_counts_through_links_and_nothing_but_files() {
        let fixture = xtask_testkit::Fixture::new("linked", &[("real", "")]);
        let path = |name: &str| fixture.root().join(name);
        let (real, folder) = (path("real"), path("native"));
        std::fs::create_dir_all(folder.join("my.source")).unwrap();
        std::os::unix::fs::symlink("../real", folder.join("libx.so")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("x.sock")).unwrap();
        let script = ScriptRun {
            package_id: String::new(),
            out_dir: path("out"),
            linked_paths: vec![folder.clone()],
            variables: Vec::new(),
        };
        let given = given_to_all(&Facts::default(), &Record { scripts: vec![script], ..Record::default() });
        assert_eq!(given, [real.canonicalize_utf8().unwrap(), folder.join("libx.so")]);
    }

    #[test]
    fn a_file_that_is_a_dependency_is_given_whatever_it_is() {
        let packages = vec![package("lib", vec![])];
        let facts = Facts { packages, build_dir: "/artifact/target".into(), ..Facts::default() };
        let files = ["debug/deps/artifact/lib-1/cdylib/lib.wasm", "debug/deps/liblib-1.rlib"];
        let files = files.map(|file| facts.build_dir.join(file));
        let unit = BuiltUnit {
            files: files.to_vec(),
            executable: None,
            ..unit("lib", "lib", TargetKind::Lib, false)
        };
        let given = given_to_all(&facts, &Record { units: vec![unit], ..Record::default() });
        assert_eq!(given, files[..1]);
    }
}
