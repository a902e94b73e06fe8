//! The shadow plan: the exact set of units that a cargo command would need, without compiling any.
//!
//! Cargo itself runs the command in a folder of ours, with this program as its compiler (`fake.rs`). The target path, the
//! wrapper and the output of build scripts are not part of a unit's hash, so hashes and file names are those of the real
//! build. The folder is kept: cargo then finds its empty outputs fresh, and a second plan starts no fake compiler at all.
//!
//! Invariant: a plan is complete or an error. When cargo fails, or a unit cannot be accounted for, nothing is known about
//! what is needed.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, lock_exclusive, private_dir, remove_dir, remove_file, write_atomic};
use xtask_workspace::{CargoCommand, CargoConfig, Environment, Flag, Hasher, Workspace, digest};

use crate::assemble::{CARGO_LOG, assemble, forget_pending};
use crate::fake::{self, CALLS};
use crate::parallel;
use crate::unit::UnitSet;

/// Raised when kept plans change their form or meaning.
const PLAN_VERSION: u32 = 3;
/// How many plans are kept, the newest: some ten commands in some states.
const KEPT_PLANS: usize = 64;
/// A kept folder that was not used for this long is removed.
const UNUSED: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// With more recorded calls than this the folder is made again, or it would fill up with those of old units.
const MOST_CALLS: usize = 20_000;

/// Cargo reads this before `MAKEFLAGS`, so a `make` around us has no effect on a plan.
pub(crate) const JOBSERVER: &str = "CARGO_MAKEFLAGS";

#[derive(Debug, Clone)]
pub struct Shadow {
    pub units: UnitSet,
    /// Whether it was kept from an earlier run. On 290 units a kept plan costs 5 ms; running cargo 0.2 to 1 s.
    pub kept: bool,
}

/// The plan of `command` if it is known without running cargo.
pub fn cached(workspace: &Workspace, command: &CargoCommand, fake: &Utf8Path) -> Option<UnitSet> {
    serde_json::from_slice(&fs::read(plan_path(workspace, command, fake)).ok()?).ok()
}

/// Removes the oldest kept plans: every change of a manifest makes new ones (138 kB at 198 units).
pub fn forget_plans(workspace: &Workspace) {
    let entries = plans_dir(workspace).read_dir_utf8().into_iter().flatten().flatten();
    let plans = entries.filter(|entry| entry.path().extension() == Some("json"));
    let mut plans = plans
        .filter_map(|plan| Some((plan.metadata().ok()?.modified().ok()?, plan.into_path())))
        .collect::<Vec<_>>();
    plans.sort_unstable_by(|a, b| b.cmp(a));
    for (_, path) in plans.iter().skip(KEPT_PLANS) {
        // Another process may have removed it.
        let _ = remove_file(path);
    }
}

/// Plans `command`, a cargo command that builds (`check`, `clippy`, `build`, `test`, `bench`, `doc`).
///
/// `fake` is the program that plays the compiler: the suite's own.
pub fn plan(workspace: &Workspace, command: &CargoCommand, fake: &Utf8Path) -> Result<Shadow> {
    if let Some(units) = cached(workspace, command, fake) {
        return Ok(Shadow { units, kept: true });
    }
    let units = run(workspace, command, fake)?;
    // When this fails, the next plan is slower.
    let _ =
        write_atomic(&plan_path(workspace, command, fake), serde_json::to_vec(&units)?, Durability::Cache);
    forget_plans(workspace);
    Ok(Shadow { units, kept: false })
}

/// Plans each of `commands`, in their order; no two should be equal. With more than one of `jobs`, families of commands that
/// share no units are planned at the same time: 1.26 times as fast on two cores.
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

fn plans_dir(workspace: &Workspace) -> Utf8PathBuf {
    workspace.state_dir().join("shadow")
}

/// The file of a kept plan. Its name is a hash of everything that the plan depends on.
fn plan_path(workspace: &Workspace, command: &CargoCommand, fake: &Utf8Path) -> Utf8PathBuf {
    let mut hasher = Hasher::new();
    hasher.field(PLAN_VERSION.to_string()).field(workspace.plan_key.to_string());
    hasher.field(command.dir.as_str());
    hasher.field(workspace.facts.target_dir.as_str()).field(workspace.facts.build_dir.as_str());
    for word in only_building(command).words() {
        hasher.field(word);
    }
    for path in command.config().paths() {
        hasher.field(path.as_str()).optional(fs::read(path).ok());
    }
    for (name, value) in &command.env {
        hasher.field(name).field(value);
    }
    // Another version of the suite may plan better.
    hasher.field(env!("CARGO_PKG_VERSION")).field(fake.file_name().unwrap_or_default());
    plans_dir(workspace).join(format!("{}.json", hasher.finish()))
}

fn run(workspace: &Workspace, command: &CargoCommand, fake: &Utf8Path) -> Result<UnitSet> {
    let dir = shadow_dir(workspace, Family::of(command))?;
    // Cargo locks the folder too, but its messages and our records belong to one run.
    let _lock = lock_exclusive(&dir.with_extension("lock"))?;
    match attempt(workspace, command, fake, &dir) {
        // A kept folder may be incomplete after a kill or on a full disk; a new one is not.
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
    assemble(&places, &stderr, &String::from_utf8_lossy(&output.stdout))
}

fn cargo(command: &CargoCommand, environment: &Environment) -> Result<Output> {
    let mut process = command.to_command(environment);
    let _jobserver = give_jobserver(&mut process);
    let output = process.stdin(Stdio::null()).output();
    output.with_context(|| format!("failed to start `{command}`"))
}

/// Gives `cargo` a jobserver, which exists as long as what is returned; where this is not possible, cargo uses its own.
///
/// With its own jobserver, cargo has to prepare each child between fork and exec, so the standard library really forks, and
/// copying the page tables of cargo's memory (250 MB and more on 1,100 units) for each unit is most of a plan's time. For a
/// `fifo:` jobserver there is nothing to prepare (`Client::configure` of the crate `jobserver`), and children start by
/// `vfork`. Measured on 1,125 units of a public workspace: 14.8 s and 2.8 s.
///
/// It cannot block: cargo runs one job without a token, fake compilers take none, and each cargo gets a jobserver of its
/// own, so lost tokens only make one plan slower.
#[cfg(target_os = "linux")]
fn give_jobserver(cargo: &mut Command) -> Option<(std::io::PipeReader, std::io::PipeWriter)> {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = std::io::pipe().ok()?;
    // One token for each core, besides the job without a token: a fake compiler waits more than it computes.
    writer.write_all(&vec![b'+'; crate::cores()]).ok()?;
    // Opening this path opens the pipe as if it had a name, and nothing is left behind when we are killed.
    let path = format!("/proc/{}/fd/{}", std::process::id(), reader.as_raw_fd());
    // With the `/proc` of another container it would be another file.
    let (ours, found) = (rustix::fs::fstat(&reader).ok()?, rustix::fs::stat(&path).ok()?);
    if (ours.st_dev, ours.st_ino) != (found.st_dev, found.st_ino) {
        return None;
    }
    cargo.env(JOBSERVER, format!("-j --jobserver-auth=fifo:{path}"));
    Some((reader, writer))
}

#[cfg(not(target_os = "linux"))]
fn give_jobserver(_cargo: &mut Command) -> Option<()> {
    None
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
        let variables = [
            (fake::WRAPPER, user_wrapper(workspace, &environment)),
            (fake::RUSTDOC, user_rustdoc(workspace, &environment)),
            ("RUSTC_WRAPPER", Some(fake.to_string())),
            ("RUSTDOC", Some(fake.to_string())),
            (fake::ROLE, Some(fake::ROLE_COMPILER.to_owned())),
            (fake::SHADOW_DIR, Some(self.dir.to_string())),
            ("CARGO_TARGET_DIR", Some(self.target.to_string())),
            ("CARGO_BUILD_BUILD_DIR", Some(self.build.to_string())),
            ("CARGO_LOG", Some(CARGO_LOG.to_owned())),
            ("CARGO_TERM_COLOR", Some("never".to_owned())),
            // Cargo logs why a unit is not fresh, with a backtrace each: a tenth of a plan.
            ("RUST_BACKTRACE", Some("0".to_owned())),
        ];
        let set = variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        shadow.env.extend(set);
        Ok(shadow)
    }

    /// The path in the real build that a path in the shadow stands for.
    pub(crate) fn real(&self, path: &Utf8Path) -> Result<Utf8PathBuf> {
        if let Ok(below) = path.strip_prefix(&self.build) {
            return Ok(self.real_build.join(below));
        }
        let below = path
            .strip_prefix(&self.target)
            .with_context(|| format!("cargo planned {path}, which is not below {}", self.target))?;
        Ok(self.real_target.join(below))
    }
}

/// The command without options about where to build, how to report and what to run. The plan's jobserver limits the jobs;
/// with `--jobs` cargo would warn about that.
fn only_building(command: &CargoCommand) -> CargoCommand {
    let about = [Flag::Output, Flag::Messages, Flag::Timings, Flag::Jobs, Flag::Verbose, Flag::Quiet];
    let mut command = command.clone().without(&about);
    command.run_nothing();
    command
}

/// The `--config` that sets where to build: it overrides the variables with which a plan uses its own folder.
fn moves_build_dir(command: &CargoCommand) -> Option<String> {
    let moves = |argument: &&str| {
        let config = CargoConfig::of_arguments([*argument].into_iter(), &command.dir);
        ["target-dir", "build-dir"].iter().any(|dir| config.string(&["build", dir]).is_some())
    };
    command.values(Flag::Config).find(moves).map(str::to_owned)
}

/// The compiler wrapper that the fake replaces.
fn user_wrapper(workspace: &Workspace, environment: &Environment) -> Option<String> {
    let variables = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"];
    let set = variables.iter().find_map(|name| environment.get_or_empty(name));
    match set {
        // An empty variable means no wrapper, whatever the configuration says.
        Some(value) => Some(value.to_owned()).filter(|value| !value.is_empty()),
        None => workspace.cargo_config.program(&["build", "rustc-wrapper"])?.into_iter().next(),
    }
}

/// The rustdoc that the user has set, in `environment` or cargo's configuration.
pub fn user_rustdoc(workspace: &Workspace, environment: &Environment) -> Option<String> {
    let set =
        environment.get("RUSTDOC").or_else(|| environment.get("CARGO_BUILD_RUSTDOC")).map(str::to_owned);
    set.or_else(|| workspace.cargo_config.program(&["build", "rustdoc"])?.into_iter().next())
}

/// Commands that share most of their units. Those of two families share almost none (build scripts and macros), so they can
/// be planned at the same time, each in a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    /// Commands that only check or document.
    Check,
    /// Commands that compile to code.
    Build,
}

impl Family {
    fn of(command: &CargoCommand) -> Self {
        match &*command.verb {
            "check" | "clippy" | "doc" | "rustdoc" => Self::Check,
            _ => Self::Build,
        }
    }
}

/// The folder for this workspace's shadow plans of one family; it may not exist yet. In memory where possible, else below the
/// target dir: on 292 units a plan takes 1.65 s on tmpfs and 3.0 s on ext4.
fn shadow_dir(workspace: &Workspace, family: Family) -> Result<Utf8PathBuf> {
    let facts = &workspace.facts;
    let key = digest(format!("{family:?}\0{}\0{}\0{}", facts.root, facts.target_dir, facts.build_dir));
    let parent = memory_or(workspace, "shadow-dir")?;
    forget_unused(&parent);
    let dir = parent.join(key.to_string());
    // Names the workspace, so that the folder can be removed when that no longer exists.
    let owner = dir.with_extension("root");
    if !owner.exists() {
        write_atomic(&owner, facts.root.as_str(), Durability::Cache)?;
    }
    if dir.join(CALLS).read_dir_utf8().map_or(0, Iterator::count) > MOST_CALLS {
        remove_dir(&dir)?;
    }
    Ok(dir)
}

/// A folder for short-lived files, in memory where possible: the disk may be full.
pub fn scratch_dir(workspace: &Workspace) -> Result<Utf8PathBuf> {
    memory_or(workspace, "scratch")
}

fn memory_or(workspace: &Workspace, name: &str) -> Result<Utf8PathBuf> {
    let dir = in_memory().unwrap_or_else(|| workspace.state_dir().join(name));
    fs::create_dir_all(&dir).with_context(|| format!("failed to create folder {dir}"))?;
    Ok(dir)
}

/// A private folder on tmpfs, if there is one. Another user could have made it first, so its owner and mode are checked.
#[cfg(target_os = "linux")]
fn in_memory() -> Option<Utf8PathBuf> {
    let memory = Utf8Path::new("/dev/shm");
    let stat = rustix::fs::statvfs(memory.as_std_path()).ok()?;
    // The build scripts of a plan are programs, which Docker and hardened machines do not let run there.
    let runs_nothing = stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC);
    // A plan of 300 units takes about 10 MB; a container's default of 64 MB would soon be full.
    if runs_nothing || stat.f_bavail * stat.f_frsize < 256 * 1024 * 1024 {
        return None;
    }
    let dir = memory.join(format!("xtask-suite-{}", rustix::process::geteuid().as_raw()));
    private_dir(&dir).ok().map(|()| dir)
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> Option<Utf8PathBuf> {
    None
}

/// Removes the kept folders of workspaces that no longer exist, and those that were not used for long.
fn forget_unused(parent: &Utf8Path) {
    let entries = parent.read_dir_utf8().into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.path().extension() == Some("root")) {
        let gone = fs::read_to_string(entry.path()).is_ok_and(|root| !Utf8Path::new(&root).exists());
        let dir = entry.path().with_extension("");
        // Every plan adds or replaces something in the folder of recorded calls.
        let used = fs::metadata(dir.join(CALLS)).and_then(|metadata| metadata.modified());
        let unused =
            used.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > UNUSED));
        if gone || unused {
            // Another process may be removing it too.
            let _ = remove_dir(&dir);
            for extension in ["lock", "root"] {
                let _ = remove_file(&dir.with_extension(extension));
            }
        }
    }
}
