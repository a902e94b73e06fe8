//! The workspace a command works on, cached by everything that cargo's answer depends on.

use std::fs;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, write_atomic};

use crate::cargo_config::config_candidates;
use crate::environment::home;
use crate::{
    CargoConfig, Digest, Environment, EnvironmentLacks, Facts, Hasher, metadata, missing_wrapper, on_path,
    stamp,
};

/// Increased when the form of the cache or the meaning of a field changes.
const CACHE_VERSION: u32 = 1;

/// A workspace, read-only.
#[derive(Debug)]
pub struct Workspace {
    pub facts: Facts,
    /// For every cargo call.
    pub environment: Environment,
    pub cargo_config: CargoConfig,
    /// A digest of everything except sources and arguments that decides which units a cargo command plans: lock file,
    /// manifests, names of target files, configuration, toolchain, environment.
    pub plan_key: Digest,
}

/// The content of the cache file.
#[derive(Serialize, Deserialize)]
struct Cached {
    version: u32,
    key: Digest,
    inputs: Inputs,
    facts: Facts,
}

/// The files and folders that cargo's answer depends on.
#[derive(Serialize, Deserialize)]
struct Inputs {
    root: Utf8PathBuf,
    /// Manifests and configuration files, existing or not, by content.
    files: Vec<Utf8PathBuf>,
    /// Package folders, by the files that cargo would discover as targets.
    package_dirs: Vec<Utf8PathBuf>,
    /// Patterns of `workspace.members` with wildcards, by the folders that they match.
    member_globs: Vec<String>,
}

impl Workspace {
    /// The workspace that cargo would find from `dir`, with `environment` for all calls of cargo.
    ///
    /// Asks `cargo metadata` (0.4 s on 570 packages) only when something it depends on changed.
    pub fn load(dir: &Utf8Path, environment: Environment) -> Result<Self> {
        let dir = dir
            .canonicalize_utf8()
            .map_err(|error| crate::WrongUsage(format!("failed to read folder {dir}: {error}")))?;
        for root in root_candidates(&dir) {
            let config = CargoConfig::load(&root, &environment);
            let target_dir = guess_target_dir(&root, &config, &environment);
            let Some(cached) = read_cache(&target_dir, &environment) else { continue };
            let known = |package: &crate::LocalPackage| package.member && dir.starts_with(&package.dir);
            if cached.facts.root == root && (dir == root || cached.facts.packages.iter().any(known)) {
                return Ok(Self {
                    facts: cached.facts,
                    environment,
                    cargo_config: config,
                    plan_key: cached.key,
                });
            }
        }
        Self::query(&dir, environment)
    }

    fn query(dir: &Utf8Path, environment: Environment) -> Result<Self> {
        let facts = metadata::query(dir, &environment)?;
        let cargo_config = CargoConfig::load(&facts.root, &environment);
        let inputs = Inputs::of(&facts, &cargo_config, &environment);
        let plan_key = inputs.digest(&environment);
        let cached = Cached { version: CACHE_VERSION, key: plan_key.clone(), inputs, facts };
        let workspace = Self { facts: cached.facts.clone(), environment, cargo_config, plan_key };
        // A target dir that cannot be written costs speed, not the answer.
        let target_dir = &workspace.facts.target_dir;
        if let (Ok(()), Ok(json)) = (make_target_dir(target_dir), serde_json::to_vec(&cached)) {
            let _ = write_atomic(&cache_path(target_dir), json, Durability::Cache);
        }
        Ok(workspace)
    }

    /// The folder of the suite's own state: below the target dir, so `cargo clean` removes it too.
    pub fn state_dir(&self) -> Utf8PathBuf {
        state_dir(&self.facts.target_dir)
    }

    pub fn root(&self) -> &Utf8Path {
        &self.facts.root
    }

    /// Fails if the compiler is wrapped by a program that does not exist: cargo can then build nothing.
    pub fn check_wrappers(&self) -> Result<(), EnvironmentLacks> {
        let wrapper = |key| self.cargo_config.wrapper(key, &self.environment);
        let wrappers = ["rustc-wrapper", "rustc-workspace-wrapper"].into_iter().filter_map(wrapper);
        let mut missing =
            wrappers.filter_map(|(program, by)| missing_wrapper(&program, &by, &self.environment));
        missing.next().map_or(Ok(()), Err)
    }
}

/// Creates the target dir as cargo would: cargo marks it as a cache, which may be deleted, only when it creates it.
fn make_target_dir(target_dir: &Utf8Path) -> Result<()> {
    const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                       # This folder holds what cargo builds. About this file: https://bford.info/cachedir/\n";
    if target_dir.exists() {
        return Ok(());
    }
    write_atomic(&target_dir.join("CACHEDIR.TAG"), TAG, Durability::Cache)
}

fn state_dir(target_dir: &Utf8Path) -> Utf8PathBuf {
    target_dir.join("xtask-suite")
}

fn cache_path(target_dir: &Utf8Path) -> Utf8PathBuf {
    state_dir(target_dir).join("workspace.json")
}

fn read_cache(target_dir: &Utf8Path, environment: &Environment) -> Option<Cached> {
    let cached: Cached = serde_json::from_slice(&fs::read(cache_path(target_dir)).ok()?).ok()?;
    let current = cached.version == CACHE_VERSION && cached.inputs.digest(environment) == cached.key;
    current.then_some(cached)
}

/// Folders that may be the root of the workspace around `dir`: those whose manifest has a `[workspace]` table, and the
/// nearest with a manifest. Only a cache that knows `dir` is used, so a wrong candidate does no harm.
fn root_candidates(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut nearest = true;
    let mut candidates = Vec::new();
    for folder in dir.ancestors() {
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        if nearest || has_workspace_table(&manifest) {
            candidates.push(folder.to_owned());
        }
        nearest = false;
    }
    candidates
}

/// Whether a manifest is that of a workspace root.
pub fn has_workspace_table(manifest: &str) -> bool {
    manifest.lines().any(|line| line.trim_start().starts_with("[workspace"))
}

/// Where cargo will probably put the target dir. Only the place of our cache depends on it.
fn guess_target_dir(root: &Utf8Path, config: &CargoConfig, environment: &Environment) -> Utf8PathBuf {
    let variable = environment.get("CARGO_TARGET_DIR").or_else(|| environment.get("CARGO_BUILD_TARGET_DIR"));
    variable
        .map(|dir| root.join(dir))
        .or_else(|| config.path(&["build", "target-dir"]))
        .unwrap_or_else(|| root.join("target"))
}

impl Inputs {
    fn of(facts: &Facts, config: &CargoConfig, environment: &Environment) -> Self {
        let root = facts.root.clone();
        let mut files = vec![root.join("Cargo.toml"), root.join("Cargo.lock")];
        files.extend(facts.packages.iter().map(|package| package.dir.join("Cargo.toml")));
        files.extend(config_candidates(&root, environment));
        files.extend(config.paths().map(ToOwned::to_owned));
        files.sort();
        files.dedup();
        let member_globs = member_globs(&root);
        let package_dirs = facts.packages.iter().map(|package| package.dir.clone()).collect();
        Self { root, files, package_dirs, member_globs }
    }

    fn digest(&self, environment: &Environment) -> Digest {
        let mut hasher = Hasher::new();
        hasher.field(CACHE_VERSION.to_string());
        for (name, value) in environment.build_relevant() {
            hasher.field(name).field(value);
        }
        add_toolchain(&mut hasher, &self.root, environment);
        for file in &self.files {
            hasher.field(file.as_str()).optional(fs::read(file).ok());
        }
        for dir in &self.package_dirs {
            add_discoverable_targets(&mut hasher, dir);
        }
        for pattern in &self.member_globs {
            let matches = glob::glob(self.root.join(pattern).as_str()).into_iter().flatten().flatten();
            for folder in matches.filter(|folder| folder.join("Cargo.toml").is_file()) {
                hasher.field(folder.to_string_lossy().as_bytes());
            }
        }
        hasher.finish()
    }
}

/// Adds the names of the files that cargo discovers as targets (The Cargo Book, "Target auto-discovery"): a new
/// `tests/x.rs` is a new unit.
fn add_discoverable_targets(hasher: &mut Hasher, dir: &Utf8Path) {
    for file in ["build.rs", "src/lib.rs", "src/main.rs"] {
        hasher.field(if dir.join(file).is_file() { "1" } else { "0" });
    }
    for folder in ["src/bin", "tests", "examples", "benches"] {
        let folder = dir.join(folder);
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut names = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let is_target = if entry.file_type().ok()?.is_dir() {
                    entry.path().join("main.rs").is_file()
                } else {
                    Utf8Path::new(&name).extension() == Some("rs")
                };
                is_target.then_some(name)
            })
            .collect::<Vec<_>>();
        names.sort();
        hasher.field(folder.as_str());
        for name in names {
            hasher.field(name);
        }
    }
}

/// Adds everything that decides which toolchain rustup (or a plain install) picks in `dir`, and whether that toolchain was
/// updated since. Starting `rustc -vV` takes 20 to 60 ms; a few `stat` calls answer that too.
fn add_toolchain(hasher: &mut Hasher, dir: &Utf8Path, environment: &Environment) {
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTC", "CARGO_BUILD_RUSTC", "RUSTDOC"] {
        hasher.optional(environment.get(variable));
    }
    // Here or in a parent; rustup takes the nearest.
    for folder in dir.ancestors() {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            if let Ok(text) = fs::read(folder.join(name)) {
                hasher.field(text);
            }
        }
    }
    for program in ["cargo", "rustc"] {
        if let Some(path) = on_path(program, environment) {
            hasher.optional(stamp(&path));
        }
    }
    let explicit = environment.get("RUSTUP_HOME").map(Utf8PathBuf::from);
    let Some(rustup) = explicit.or_else(|| home(environment).map(|home| home.join(".rustup"))) else {
        return;
    };
    // The default toolchain and the overrides of folders.
    hasher.optional(fs::read(rustup.join("settings.toml")).ok());
    let entries = rustup.join("toolchains").read_dir_utf8().into_iter().flatten().flatten();
    let mut toolchains = entries.map(|entry| entry.path().to_owned()).collect::<Vec<_>>();
    toolchains.sort();
    for toolchain in toolchains {
        hasher.field(toolchain.as_str());
        // rustup rewrites the manifest on every update; a linked toolchain only has a compiler.
        hasher.optional(stamp(&toolchain.join("lib/rustlib/multirust-channel-manifest.toml")));
        hasher.optional(stamp(&toolchain.join("bin/rustc")));
    }
}

/// The patterns with wildcards in `workspace.members`.
fn member_globs(root: &Utf8Path) -> Vec<String> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    let Ok(document) = manifest.parse::<toml_edit::DocumentMut>() else { return Vec::new() };
    let members = document.get("workspace").and_then(|workspace| workspace.get("members")?.as_array());
    let patterns = members.into_iter().flatten().filter_map(|member| member.as_str());
    patterns.filter(|pattern| pattern.contains(['*', '?', '['])).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_testkit::Fixture;

    fn fixture() -> Fixture {
        Fixture::new(
            "workspace",
            &[
                ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n"),
                ("crates/a/Cargo.toml", "[package]\nname = \"a\"\nedition = \"2021\"\n[features]\nx = []\n"),
                ("crates/a/src/lib.rs", ""),
                (
                    "crates/b/Cargo.toml",
                    "[package]\nname = \"b\"\nedition = \"2021\"\n[dev-dependencies]\na = { path = \"../a\" }\n",
                ),
                ("crates/b/src/main.rs", "fn main() {}"),
            ],
        )
    }

    fn load(dir: &Utf8Path) -> Workspace {
        try_load(dir).unwrap()
    }

    fn try_load(dir: &Utf8Path) -> Result<Workspace> {
        let mut environment = Environment::current();
        environment.remove("CARGO_TARGET_DIR");
        Workspace::load(dir, environment)
    }

    #[test]
    fn the_cached_answer_is_cargos_answer_and_is_found_from_below() {
        let fixture = fixture();
        let asked = load(fixture.root());
        assert!(cache_path(&asked.facts.target_dir).is_file());
        for dir in ["", "crates/a", "crates/b/src"] {
            let cached = load(&fixture.root().join(dir));
            assert_eq!((cached.facts, cached.plan_key), (asked.facts.clone(), asked.plan_key.clone()));
        }
        let b = asked.facts.member("b").unwrap();
        assert_eq!(b.dependencies.len(), 1);
        assert!(b.dependencies[0].dev);
        assert_eq!(asked.facts.owner_of(&fixture.root().join("crates/a/src/lib.rs")), Some(0));
    }

    #[test]
    fn whatever_changes_cargos_answer_is_noticed() {
        let fixture = fixture();
        let root = fixture.root();
        let edits: [(&str, &str); 9] = [
            ("crates/a/tests/new.rs", ""),
            ("crates/a/tests/dir/main.rs", ""),
            ("crates/a/build.rs", "fn main() {}"),
            (
                "crates/a/Cargo.toml",
                "[package]\nname = \"a\"\nedition = \"2021\"\n[features]\nx = []\ny = []\n",
            ),
            ("crates/c/Cargo.toml", "[package]\nname = \"c\"\nedition = \"2021\"\n"),
            ("crates/c/src/lib.rs", ""),
            (
                ".cargo/config.toml",
                "include = [{ path = \"local.toml\", optional = true }]\n[build]\nrustflags = [\"-g\"]\n",
            ),
            // What was included before it was there.
            (".cargo/local.toml", "[build]\njobs = 1\n"),
            ("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n"),
        ];
        let mut key = load(root).plan_key;
        for (path, text) in edits {
            fixture.write(path, text);
            // A member without sources is an error of cargo's, to be seen as such and not from the cache.
            let Ok(workspace) = try_load(root) else { continue };
            assert_ne!(workspace.plan_key, key, "{path}");
            key = workspace.plan_key;
        }
        assert_eq!(load(root).facts.members().count(), 3);
        fixture.write("crates/a/src/lib.rs", "pub fn edited() {}");
        assert_eq!(load(root).plan_key, key, "an edit of a source plans the same units");
    }

    #[test]
    fn the_target_dir_that_cargo_uses_is_where_the_cache_is_found() {
        let fixture = fixture();
        fixture.write(".cargo/config.toml", "[build]\ntarget-dir = \"elsewhere\"\n");
        let workspace = load(fixture.root());
        assert_eq!(workspace.facts.target_dir, fixture.root().join("elsewhere"));
        assert_eq!(
            guess_target_dir(fixture.root(), &workspace.cargo_config, &Environment::default()),
            workspace.facts.target_dir
        );
    }

    #[test]
    fn no_workspace_and_a_missing_toolchain_are_told_apart() {
        let empty = xtask_testkit::TempDir::new("no-workspace");
        let error = Workspace::load(empty.path(), Environment::current()).unwrap_err();
        assert!(error.downcast_ref::<crate::WrongUsage>().is_some(), "{error:#}");

        let fixture = fixture();
        fixture.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.11.0\"\n");
        let mut environment = Environment::current();
        environment.remove("RUSTUP_TOOLCHAIN");
        environment.set("RUSTUP_AUTO_INSTALL", "0");
        let error = Workspace::load(fixture.root(), environment).unwrap_err();
        assert!(error.downcast_ref::<crate::EnvironmentLacks>().is_some(), "{error:#}");
    }
}
