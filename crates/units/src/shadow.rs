//! The shadow plan: the exact set of units that a cargo command would need, without compiling any.
//!
//! Cargo itself runs the command in a folder of ours, with this binary as its compiler (`fake.rs`). The
//! target path, the wrapper and the output of build scripts are not part of a unit's hash, so the hashes
//! and file names are those of the real build. The folder is kept: cargo then finds its empty outputs
//! fresh and a second plan costs no fake compiler at all.
//!
//! Invariant: a plan is whole or an error. Any failure of cargo, and any unit that cannot be accounted for,
//! is an error: then nothing is known about what is needed.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, lock_exclusive, remove_dir, write_atomic};
use xtask_workspace::{CargoCommand, CargoConfig, Environment, Flag, Hasher, Workspace};

use crate::assemble::{assemble, forget_pending};
use crate::fake::{self, CALLS};
use crate::jobserver;
use crate::kept_plans;
use crate::parallel::parallel;
use crate::plan_log::{CARGO_LOG, LoggedUnit};
use crate::shadow_dir::{self, Family};
use crate::unit::UnitSet;

/// Raised when what is cached changes its form or meaning.
const CACHE_VERSION: u32 = 2;

/// Where a plan came from. On 290 units it costs about 5 ms from the cache, and from 0.2 s (kept folder) to 1 s by cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// From our cache: nothing that a plan depends on changed.
    Cached,
    /// Cargo ran.
    Planned,
}

/// The shadow plan of one cargo command.
#[derive(Debug, Clone)]
pub struct Shadow {
    /// The units.
    pub units: UnitSet,
    /// Where they came from.
    pub source: Source,
}

#[derive(Serialize, Deserialize)]
struct Cached {
    version: u32,
    units: UnitSet,
}

/// The plan of `command` if it is known without running cargo.
pub fn cached(workspace: &Workspace, command: &CargoCommand, fake: &Utf8Path) -> Option<UnitSet> {
    let path = cache_path(workspace, command, fake);
    let json = fs::read(&path).ok()?;
    let cached = serde_json::from_slice::<Cached>(&json).ok()?;
    kept_plans::used(&path);
    (cached.version == CACHE_VERSION).then_some(cached.units)
}

/// Removes kept plans that nobody used for long, and all but so many.
pub fn forget_plans(workspace: &Workspace) {
    kept_plans::forget(&kept_plans::dir(workspace), SystemTime::now());
}

/// Plans `command`, a cargo command that builds (`check`, `clippy`, `build`, `test`, `bench`, `doc`).
///
/// `fake` is the program that plays the compiler: the suite's own binary.
pub fn plan(workspace: &Workspace, command: &CargoCommand, fake: &Utf8Path) -> Result<Shadow> {
    if let Some(units) = cached(workspace, command, fake) {
        return Ok(Shadow { units, source: Source::Cached });
    }
    let units = run(workspace, command, fake)?;
    let cached = Cached { version: CACHE_VERSION, units };
    // Without a writable cache the next plan is slower, not wrong.
    let cache = cache_path(workspace, command, fake);
    let _ = write_atomic(&cache, serde_json::to_vec(&cached)?, Durability::Cache);
    forget_plans(workspace);
    Ok(Shadow { units: cached.units, source: Source::Planned })
}

/// Plans each of `commands`, which are best all different; in their order. With more than one of `jobs`, families of
/// commands that share no units are planned at the same time: 1.26 times as fast on two cores.
pub fn plan_all(
    workspace: &Workspace,
    commands: &[CargoCommand],
    fake: &Utf8Path,
    jobs: usize,
) -> Vec<Result<Shadow>> {
    let mut families = BTreeMap::<Family, Vec<usize>>::new();
    for (index, command) in commands.iter().enumerate() {
        families.entry(Family::of(command)).or_default().push(index);
    }
    let families = families.into_values().collect::<Vec<_>>();
    let planned = parallel(jobs, &families, |indexes| {
        indexes.iter().map(|&index| (index, plan(workspace, &commands[index], fake))).collect::<Vec<_>>()
    });
    let mut planned = planned.into_iter().flatten().collect::<Vec<_>>();
    planned.sort_by_key(|(index, _)| *index);
    planned.into_iter().map(|(_, result)| result).collect()
}

/// A command's plan is the same as long as everything in this key is.
fn cache_path(workspace: &Workspace, command: &CargoCommand, fake: &Utf8Path) -> Utf8PathBuf {
    let mut hasher = Hasher::new();
    hasher.field(CACHE_VERSION.to_string()).field(workspace.plan_key.to_string());
    hasher.field(command.dir.as_str());
    hasher.field(workspace.facts.target_dir.as_str()).field(workspace.facts.build_dir.as_str());
    for word in only_building(command).words() {
        hasher.field(word);
    }
    for file in command.config_files() {
        for path in CargoConfig::of_file(&file).paths() {
            hasher.field(path.as_str()).optional(fs::read(path).ok());
        }
    }
    for (name, value) in &command.env {
        hasher.field(name).field(value);
    }
    // Another version of the suite may plan better.
    hasher.field(env!("CARGO_PKG_VERSION")).field(fake.file_name().unwrap_or_default());
    kept_plans::dir(workspace).join(format!("{}.json", hasher.finish()))
}

fn run(workspace: &Workspace, command: &CargoCommand, fake: &Utf8Path) -> Result<UnitSet> {
    let dir = shadow_dir::place(workspace, Family::of(command))?;
    // Cargo would wait for another of us anyway, but its messages and our records belong to one run.
    let _lock = lock_exclusive(&dir.with_extension("lock"))?;
    match attempt(workspace, command, fake, &dir) {
        // A kept folder may be incomplete (a kill, a full disk): a plan from nothing cannot be.
        Err(_) if dir.join(CALLS).exists() => {
            remove_dir(&dir)?;
            attempt(workspace, command, fake, &dir)
        }
        result => result,
    }
}

fn attempt(
    workspace: &Workspace,
    command: &CargoCommand,
    fake: &Utf8Path,
    dir: &Utf8Path,
) -> Result<UnitSet> {
    let places = Places::new(workspace, dir);
    fs::create_dir_all(dir.join(CALLS)).with_context(|| format!("failed to create folder {dir}/{CALLS}"))?;
    forget_pending(dir)?;
    let shadow = places.command(workspace, command, fake)?;
    // Offline first: `cargo metadata` has just resolved everything, and a plan must not wait for a network.
    let mut offline = shadow.clone();
    offline.insert_args(["--offline"]);
    let mut output = cargo(&offline, &workspace.environment)?;
    if !output.status.success() {
        // Sources that were never downloaded: the real command would fetch them now, so may we.
        output = cargo(&shadow, &workspace.environment)?;
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let said = stderr.lines().filter(|line| !line.contains("cargo::core::compiler::fingerprint"));
        bail!("failed to plan `{command}` in {}:\n{}", command.dir, said.collect::<Vec<_>>().join("\n"));
    }
    let logged = stderr.lines().filter_map(LoggedUnit::parse).collect::<Vec<_>>();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assemble(&places, logged, &stdout)
}

fn cargo(command: &CargoCommand, environment: &Environment) -> Result<std::process::Output> {
    let mut process = command.to_command(environment);
    let _jobserver = jobserver::give_to(&mut process);
    let output = process.stdin(std::process::Stdio::null()).output();
    output.with_context(|| format!("failed to start `{command}`"))
}

/// The shadow's folders and what each stands for.
pub(crate) struct Places<'a> {
    pub(crate) dir: &'a Utf8Path,
    /// Stands for the target dir, and for the build dir too unless they differ.
    target: Utf8PathBuf,
    pub(crate) build: Utf8PathBuf,
    real_target: &'a Utf8Path,
    pub(crate) real_build: &'a Utf8Path,
}

impl<'a> Places<'a> {
    fn new(workspace: &'a Workspace, dir: &'a Utf8Path) -> Self {
        let facts = &workspace.facts;
        let target = dir.join("t");
        let build = if facts.build_dir == facts.target_dir { target.clone() } else { dir.join("b") };
        Self { dir, target, build, real_target: &facts.target_dir, real_build: &facts.build_dir }
    }

    /// The same command, in the shadow.
    fn command(
        &self,
        workspace: &Workspace,
        command: &CargoCommand,
        fake: &Utf8Path,
    ) -> Result<CargoCommand> {
        if let Some(moved) = moves_build_dir(command) {
            bail!(
                "`{moved}` moves the build dir, so its plan would touch the real one; set it in .cargo/config.toml"
            );
        }
        let mut shadow = only_building(command);
        shadow.insert_args(["--message-format=json"]);
        let environment = command.environment(&workspace.environment);
        if let Some(wrapper) = user_wrapper(workspace, &environment) {
            shadow.env.insert(fake::WRAPPER.into(), wrapper);
        }
        if let Some(rustdoc) = user_rustdoc(workspace, &environment) {
            shadow.env.insert(fake::RUSTDOC.into(), rustdoc);
        }
        for tool in ["RUSTC_WRAPPER", "RUSTDOC"] {
            shadow.env.insert(tool.into(), fake.to_string());
        }
        shadow.env.insert(fake::ROLE.into(), fake::ROLE_COMPILER.into());
        shadow.env.insert(fake::SHADOW_DIR.into(), self.dir.to_string());
        shadow.env.insert("CARGO_TARGET_DIR".into(), self.target.to_string());
        shadow.env.insert("CARGO_BUILD_BUILD_DIR".into(), self.build.to_string());
        shadow.env.insert("CARGO_LOG".into(), CARGO_LOG.into());
        shadow.env.insert("CARGO_TERM_COLOR".into(), "never".into());
        // Cargo logs why a unit is not fresh, with a backtrace each: a tenth of a plan.
        shadow.env.insert("RUST_BACKTRACE".into(), "0".into());
        Ok(shadow)
    }

    /// Where a path in the shadow lies in the real build.
    pub(crate) fn real(&self, path: &Utf8Path) -> Result<Utf8PathBuf> {
        if let Ok(below) = path.strip_prefix(&self.build) {
            return Ok(self.real_build.join(below));
        }
        let below = path.strip_prefix(&self.target).with_context(|| {
            format!("cargo planned {path}, which is not below {}; nothing is known then", self.target)
        })?;
        Ok(self.real_target.join(below))
    }
}

/// The command without what says where to build, how to report and what to run. How many jobs run at once is for the
/// plan's jobserver to say; cargo would warn that it has one.
fn only_building(command: &CargoCommand) -> CargoCommand {
    let about = [Flag::Output, Flag::Messages, Flag::Timings, Flag::Jobs, Flag::Verbose, Flag::Quiet];
    let mut command = command.clone().without(&about);
    command.run_nothing();
    command
}

/// The `--config` that says where to build: it is stronger than the variables that put a plan elsewhere.
fn moves_build_dir(command: &CargoCommand) -> Option<String> {
    const DIRS: [&str; 2] = ["target-dir", "build-dir"];
    let mut settings = command.values(Flag::Config).filter(|value| value.contains('='));
    let setting = settings.find(|value| DIRS.iter().any(|dir| value.contains(dir)));
    let in_file = |file: &Utf8PathBuf| {
        let config = CargoConfig::of_file(file);
        DIRS.iter().any(|dir| config.string(&["build", dir]).is_some())
    };
    setting.map(str::to_owned).or_else(|| command.config_files().into_iter().find(in_file).map(Into::into))
}

/// The compiler wrapper that the fake takes the place of.
fn user_wrapper(workspace: &Workspace, environment: &Environment) -> Option<String> {
    let variables = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"];
    let set = variables.iter().find_map(|name| environment.get_or_empty(name));
    match set {
        // Set but empty means: none, whatever the configuration says.
        Some(value) => Some(value.to_owned()).filter(|value| !value.is_empty()),
        None => workspace.cargo_config.program(&["build", "rustc-wrapper"])?.into_iter().next(),
    }
}

/// The program that is rustdoc where the user has set one, in `environment` or cargo's configuration.
pub fn user_rustdoc(workspace: &Workspace, environment: &Environment) -> Option<String> {
    let set =
        environment.get("RUSTDOC").or_else(|| environment.get("CARGO_BUILD_RUSTDOC")).map(str::to_owned);
    set.or_else(|| workspace.cargo_config.program(&["build", "rustdoc"])?.into_iter().next())
}
