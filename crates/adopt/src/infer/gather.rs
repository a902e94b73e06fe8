//! Reads the files of a workspace. Runs nothing; what cannot be read is left out.

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{Facts, LocalPackage, TargetFacts};

use super::condition::{Condition, Setting};
use super::evidence::{Dependency, Evidence, Kind, Package, Place, Target};
use super::manifest::Manifest;
use super::source::{Obstacle, What};
use super::{ci, ignore, source};

/// Harnesses of benches that know a test run from a measurement.
const HARNESSES: [&str; 6] = ["criterion", "divan", "codspeed", "iai", "gungraun", "libtest_mimic"];

impl Evidence {
    /// Reads manifests, root files, workflows and makefiles.
    pub(crate) fn gather(facts: &Facts, stable_toolchain: bool) -> Self {
        let root = manifest(facts, &facts.root.join("Cargo.toml"));
        let config = [".cargo/config.toml", ".cargo/config"];
        let bootstrap = config.iter().filter_map(|path| manifest(facts, &facts.root.join(path)));
        let stable = stable_toolchain && !bootstrap.into_iter().any(|config| config.has_bootstrap());
        let sets_flags = config.iter().any(|path| read(&facts.root.join(path)).contains("--cfg"));
        let nextest = manifest(facts, &facts.root.join(".config/nextest.toml"));
        let has_default = root.as_ref().is_some_and(Manifest::has_default_members);
        let files = ci::files(&facts.root);
        Self {
            stable,
            host: facts.host.clone(),
            sets_flags,
            packages: (0..facts.packages.len())
                .map(|number| package(facts, root.as_ref(), number, sets_flags))
                .collect(),
            default_members: has_default.then(|| facts.default_members.clone()),
            commands: files.iter().flat_map(|(file, text)| ci::commands(file, text)).collect(),
            full_features: files.iter().find_map(|(file, text)| ci::full_features(file, text)),
            nextest_profiles: nextest.map(|config| config.profiles()).unwrap_or_default(),
            ignorable: ignore::gather(facts),
        }
    }
}

fn manifest(facts: &Facts, path: &Utf8Path) -> Option<Manifest> {
    Manifest::parse(fs::read_to_string(path).ok()?, shown(facts, path))
}

fn shown(facts: &Facts, path: &Utf8Path) -> String {
    path.strip_prefix(&facts.root).unwrap_or(path).as_str().replace('\\', "/")
}

fn package(facts: &Facts, root: Option<&Manifest>, number: usize, sets_flags: bool) -> Package {
    let features = BTreeSet::new();
    // No build script has a say in which dependencies there are.
    let setting = Setting { features: &features, test: false, host: &facts.host, no_own_flags: !sets_flags };
    let local = &facts.packages[number];
    let path = local.dir.join("Cargo.toml");
    let manifest = manifest(facts, &path);
    let (dependencies, asks_for) = manifest
        .as_ref()
        .map(|manifest| manifest.dependencies(root, facts, number, setting))
        .unwrap_or_default();
    let mut package = Package {
        name: local.name.clone(),
        manifest: shown(facts, &path),
        member: local.member,
        features: local.features.clone(),
        dependencies,
        asks_for,
        docs_rs: manifest.as_ref().map(Manifest::docs_rs).unwrap_or_default(),
        own_target: own_target(facts, local),
        targets: Vec::new(),
    };
    package.targets =
        local.targets.iter().map(|found| target(facts, &package, manifest.as_ref(), found)).collect();
    if let Some(target) =
        package.targets.iter_mut().find(|target| matches!(target.kind, Kind::Lib | Kind::Bin))
    {
        let nightly = manifest.map(|manifest| nightly_elsewhere(&manifest, &package.dependencies));
        target.obstacles.extend(nightly.into_iter().flatten());
        let roots = local.targets.iter().map(|target| &target.path).collect::<Vec<_>>();
        sources(&local.dir.join("src"), &mut |path, text| {
            if roots.iter().all(|root| *root != path) {
                target.obstacles.extend(source::obstacles_in_module(&shown(facts, path), text));
            }
        });
    }
    package
}

/// A feature `nightly` of a package from elsewhere needs what it says: that is the name's whole use there.
fn nightly_elsewhere(manifest: &Manifest, local: &[Dependency]) -> Vec<Obstacle> {
    let found = manifest.nightly_elsewhere(local).into_iter().map(|(feature, code, line)| Obstacle {
        what: What::Nightly,
        when: Condition::Value("feature".to_owned(), feature),
        place: Place { file: manifest.shown.clone(), line },
        code,
    });
    found.collect()
}

/// A configuration in the package's own folder is in force only for commands that are run from there.
fn own_target(facts: &Facts, local: &LocalPackage) -> Option<Place> {
    if local.dir == facts.root {
        return None;
    }
    let paths = [".cargo/config.toml", ".cargo/config"].map(|path| local.dir.join(path));
    paths.iter().find_map(|path| manifest(facts, path)?.build_target())
}

fn target(facts: &Facts, package: &Package, manifest: Option<&Manifest>, found: &TargetFacts) -> Target {
    let kind = kind(found);
    let text = read(&found.path);
    let table = match kind {
        Kind::Bin => "bin",
        Kind::Test => "test",
        Kind::Example => "example",
        Kind::Bench => "bench",
        Kind::Lib | Kind::BuildScript => "lib",
    };
    let (required, no_harness) =
        manifest.map(|manifest| manifest.target(table, &found.name)).unwrap_or_default();
    let path = shown(facts, &found.path);
    let no_test = no_harness.filter(|_| kind == Kind::Bench);
    Target {
        kind,
        obstacles: source::obstacles(&path, &text),
        no_test: no_test.and_then(|place| no_test_harness(&place, &path, &text, package)),
        required,
    }
}

/// Why a bench with `harness = false` at `place` is none that a test run can take, if so.
fn no_test_harness(place: &Place, path: &str, text: &str, package: &Package) -> Option<String> {
    let known = |name: &str| HARNESSES.iter().any(|harness| name.contains(harness));
    if !known(text) && !package.asks_for.keys().any(|name| known(name)) {
        return Some(format!(
            "{place}: `harness = false`, and {path} has no known harness: it would run as a program"
        ));
    }
    let criterion = package.asks_for.get("criterion").filter(|_| text.contains("criterion"))?;
    // `--list --format terse`, which nextest asks of every test program, came with 0.5.
    let old = ["0.1", "0.2", "0.3", "0.4"];
    let version = criterion.version.trim_start_matches(['=', '^', '~', ' ']);
    let old = old
        .iter()
        .any(|old| version.strip_prefix(old).is_some_and(|rest| !rest.starts_with(char::is_numeric)));
    old.then(|| format!("{}: criterion {version} cannot list its benchmarks to nextest", criterion.place))
}

fn kind(found: &TargetFacts) -> Kind {
    match found.kinds.first().map(String::as_str) {
        Some("bin") => Kind::Bin,
        Some("test") => Kind::Test,
        Some("example") => Kind::Example,
        Some("bench") => Kind::Bench,
        Some("custom-build") => Kind::BuildScript,
        _ => Kind::Lib,
    }
}

/// The text of a file; none where it cannot be read.
pub(super) fn read(path: &Utf8Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The entries of a folder in the order of their names.
pub(super) fn entries(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let found = folder.read_dir_utf8().into_iter().flatten().flatten();
    let mut paths = found.map(camino::Utf8DirEntry::into_path).collect::<Vec<_>>();
    paths.sort();
    paths
}

/// All Rust sources below `folder`, but for what was built.
pub(super) fn sources(folder: &Utf8Path, each: &mut dyn FnMut(&Utf8Path, &str)) {
    let mut open: Vec<Utf8PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for path in entries(&folder) {
            let Ok(kind) = path.symlink_metadata().map(|metadata| metadata.file_type()) else { continue };
            let hidden = path.file_name().is_some_and(|name| name.starts_with('.') || name == "target");
            if kind.is_dir() && !hidden {
                open.push(path);
            } else if kind.is_file() && path.extension() == Some("rs") {
                each(&path, &read(&path));
            }
        }
    }
}
