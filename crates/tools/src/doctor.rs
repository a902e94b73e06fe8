//! `doctor`: what slows down or breaks the builds of a workspace on this machine, each with its evidence and a fix.
//!
//! It checks what cargo itself does not warn of and what somebody can act on.
//!
//! Invariant: a diagnosis compiles nothing but a probe of one line, starts no daemon and changes no file of the user's; only
//! [`fix`] does, as one transaction that `setup --undo` undoes.

mod configuration;
mod toolchain;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_edit::{Edit, Transaction};
use xtask_files::lock_exclusive;
use xtask_units::inventory::artifact_sources;
use xtask_units::{parallel, whole_milliseconds};
use xtask_workspace::config::{Need, Setup, Tool};
use xtask_workspace::{
    CargoConfig, CargoVersion, Environment, EnvironmentLacks, LOCAL_FILE, Workspace, local_file,
};

use crate::committed::Committed;
use crate::demand::{as_demanded, demands};
use crate::edits::{Around, commit, edits, includes, local_edit};
use crate::link::{link_in_force, makers_in_words};
use crate::machine::{Found, Machine, Probed, fitting_jobs, memory, probe};
use crate::process::{Interrupted, uninterrupted};
use crate::settings::{FlagsTable, LocalSettings};
use crate::setup::in_force_key;
use crate::tool::{Known, kept};

pub use crate::edits::SafeFix;
pub use toolchain::diagnose_unloaded;

/// The number of checks that run at once: most of them wait for a process.
const AT_ONCE: usize = 6;
const SETUP: &str = "cargo xtask setup";

#[derive(Debug, Clone)]
pub struct DoctorOptions {
    pub tools: Vec<Tool>,
    pub setup: Setup,
    pub cores: usize,
}

/// The result of a check, ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nothing to do.
    Ok,
    /// It costs time, space or certainty.
    Warn,
    /// Builds fail, or are not what the workspace says they are.
    Fail,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    pub text: String,
    /// The same as a change that [`fix`] makes.
    pub safe: Option<SafeFix>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    pub status: Status,
    pub evidence: String,
    /// The fix; `None` only where there is nothing to do.
    pub fix: Option<Fix>,
}

impl Check {
    fn ok(name: &str, evidence: impl Into<String>) -> Self {
        let (name, evidence) = (name.to_owned(), evidence.into());
        Self { name, status: Status::Ok, evidence, fix: None }
    }

    fn warn(name: &str, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = Some(Fix { text: fix.into(), safe: None });
        Self { status: Status::Warn, fix, ..Self::ok(name, evidence) }
    }

    fn fail(name: &str, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status: Status::Fail, ..Self::warn(name, evidence, fix) }
    }

    fn with_safe(mut self, safe: SafeFix) -> Self {
        self.fix = self.fix.map(|fix| Fix { safe: Some(safe), ..fix });
        self
    }
}

/// A failure for what the machine lacks.
fn lacking(name: &str, lack: &EnvironmentLacks) -> Check {
    Check::fail(name, lack.what(), lack.fix().unwrap_or("install Rust from https://rustup.rs"))
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorReport {
    pub checks: Vec<Check>,
    /// The files that a fix has changed before.
    pub changed: Vec<Utf8PathBuf>,
    pub signal: Option<i32>,
    pub took_ms: u64,
}

impl DoctorReport {
    pub fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }
}

struct Subject<'a> {
    workspace: &'a Workspace,
    options: &'a DoctorOptions,
    machine: Machine,
    cargo: CargoVersion,
    known: Known,
}

/// Checks that are made together.
type Group = (&'static str, fn(&Subject<'_>) -> Result<Vec<Check>>);

const GROUPS: [Group; 11] = [
    ("toolchain", toolchain::check),
    ("tools", tools),
    ("committed settings", |subject| Ok(committed(subject).into_iter().collect())),
    ("linker", linker),
    ("sccache", configuration::cache),
    ("settings", |subject| Ok(configuration::settings(subject))),
    ("rustflags", |subject| Ok(vec![configuration::flags(subject)])),
    ("wrapper", configuration::wrappers),
    ("memory", |subject| Ok(memory_for_jobs(subject).into_iter().collect())),
    ("disk", |subject| Ok(disk(subject))),
    ("target dir", |subject| Ok(vec![target_dir(subject)])),
];

/// Makes every check. Fails if not even the compiler can be asked.
pub fn diagnose(workspace: &Workspace, options: &DoctorOptions) -> Result<DoctorReport> {
    let started = Instant::now();
    let machine = Machine::of(workspace)?;
    let cargo = CargoVersion::of(workspace.root(), &workspace.environment)?;
    let known = Known::read(&machine.state_dir);
    let subject = Subject { workspace, options, machine, cargo, known };
    let mut report = DoctorReport::default();
    for ((name, _), checked) in GROUPS.iter().zip(parallel(AT_ONCE, &GROUPS, |(_, check)| check(&subject))) {
        match checked {
            Ok(checks) => report.checks.extend(checks),
            Err(error) if error.is::<Interrupted>() => report.signal = crate::interrupted(&error),
            Err(error) => {
                let evidence = format!("could not be checked: {error:#}");
                report.checks.push(Check::warn(name, evidence, "fix what the error names"));
            }
        }
    }
    report.took_ms = whole_milliseconds(started.elapsed());
    Ok(report)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    pub done: Vec<String>,
    pub edits: Vec<Edit>,
}

/// Makes every safe fix of `report`: all of them, or none. `cargo xtask setup --undo` takes them back.
pub fn fix(workspace: &Workspace, report: &DoctorReport) -> Result<Fixed> {
    let mut fixes = Vec::<&SafeFix>::new();
    for fix in report.checks.iter().filter_map(|check| check.fix.as_ref()?.safe.as_ref()) {
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    if fixes.is_empty() {
        return Ok(Fixed { done: Vec::new(), edits: Vec::new() });
    }
    let root = workspace.root();
    // A setup that runs now changes the same files.
    let _lock = lock_exclusive(&workspace.state_dir().join("setup/lock"))?;
    let (host, environment) = (workspace.facts.host.as_str(), &workspace.environment);
    let mut all = fixes.iter().copied().cloned().collect::<Vec<_>>();
    let mut local = None;
    if all.contains(&SafeFix::MoveToLocal) {
        let committed = Committed::read(root, host, environment);
        let around = Around::of(root, &workspace.cargo_config, environment);
        all.extend(committed.removals());
        all.extend((!around.included).then_some(SafeFix::Include));
        all.extend((!around.ignored).then_some(SafeFix::Ignore));
        // What setup has found out for this machine stays.
        let own = LocalSettings::read(&local_file(root), host);
        let settings = LocalSettings {
            link: own.link.or(committed.settings.link),
            rustc_wrapper: own.rustc_wrapper.or(committed.settings.rustc_wrapper),
            jobs: own.jobs,
        };
        local = Some(local_edit(root, settings.text(host, FlagsTable::Target))?);
    }
    let mut edits = edits(root, &all)?;
    edits.extend(local);
    let (transaction, _) = Transaction::begin(root)?;
    commit(&transaction, root, &edits, || Ok(())).context("failed to fix")?;
    Ok(Fixed { done: fixes.iter().map(ToString::to_string).collect(), edits })
}

/// The tools of the catalog: there or not, proven or not, and whether there are several versions of one.
fn tools(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let Subject { machine, known, options, workspace, .. } = subject;
    let (root, environment) = (workspace.root(), &workspace.environment);
    let around = (root, &*local_file(root));
    let demands = demands(&options.tools, &workspace.cargo_config, environment, &machine.host, around);
    let tools = options.tools.iter().map(|tool| as_demanded(tool, &demands));
    let wanted = tools.filter(|tool| tool.need != Need::Unwanted).collect::<Vec<_>>();
    let checks = parallel(AT_ONCE, &wanted, |tool| {
        let probed = probe(tool, machine)?;
        let proof = probed.found.first().and_then(|found| known.proof(tool, found, machine));
        let by = demands.get(&tool.name).map(String::as_str);
        Ok(judge_tool(tool, by, &probed, proof.map(|proven| proven.evidence.as_str())))
    });
    checks.into_iter().collect()
}

/// `demanded_by` is what in cargo's configuration demands the tool.
fn judge_tool(tool: &Tool, demanded_by: Option<&str>, probed: &Probed, proof: Option<&str>) -> Check {
    let name = format!("tool {}", tool.name);
    let Some((found, others)) = probed.found.split_first() else {
        let unsuited = probed.unsuited.first().map(|unsuited| format!("{}: {}", unsuited.path, unsuited.why));
        let why = unsuited.unwrap_or_else(|| "it is not installed".to_owned());
        if tool.need == Need::Required {
            let by = demanded_by.map_or_else(|| "it is required".to_owned(), |by| format!("{by} demands it"));
            return Check::fail(&name, format!("{why}, and {by}"), SETUP);
        }
        let instead = if tool.without.is_empty() { "nothing" } else { &tool.without };
        return Check::warn(&name, format!("{why}; used instead: {instead}"), SETUP);
    };
    let version = |found: &Found| found.version.clone().unwrap_or_else(|| "no version".to_owned());
    let here = format!("{} ({})", version(found), found.path);
    // Other names, such as `clang-19` beside `clang`, are other programs on purpose.
    let same_name = |path: &Utf8Path| path.file_name() == found.path.file_name();
    let others = others.iter().map(|other| (&other.path, version(other)));
    let unsuited = probed.unsuited.iter().map(|other| (&other.path, other.why.clone()));
    let others = others.chain(unsuited).filter(|(path, _)| same_name(path)).collect::<Vec<_>>();
    if others.iter().any(|(_, other)| *other != version(found)) {
        let others = others.iter().map(|(path, version)| format!("{version} ({path})")).collect::<Vec<_>>();
        return Check::warn(
            &name,
            format!("several versions: {here} is used, not {}", others.join(", ")),
            "remove the versions that are not meant, or change the order of PATH",
        );
    }
    match proof {
        Some(evidence) => Check::ok(&name, format!("{here}: {evidence}")),
        None => Check::warn(&name, format!("{here}: not proven yet in this version"), SETUP),
    }
}

/// What only a machine can have, in the file that everybody gets.
fn committed(subject: &Subject<'_>) -> Option<Check> {
    let workspace = subject.workspace;
    let Committed { file, keys, .. } =
        Committed::read(workspace.root(), &workspace.facts.host, &workspace.environment);
    if keys.is_empty() || !includes(subject.cargo) {
        return None;
    }
    let keys = keys.iter().map(|(key, value)| format!("{} = {value}", key.join("."))).collect::<Vec<_>>();
    let evidence = format!(
        "{file} is committed, and a machine that lacks one of these builds nothing: {}",
        keys.join(", ")
    );
    let check = Check::warn("committed settings", evidence, format!("move them to .cargo/{LOCAL_FILE}"));
    Some(check.with_safe(SafeFix::MoveToLocal))
}

/// Whether a program links with everything in force. What was seen is kept until the configuration, the toolchain or a linker
/// changes.
fn linker(subject: &Subject<'_>) -> Result<Vec<Check>> {
    const NAME: &str = "linker";
    let Subject { workspace, machine, .. } = subject;
    let local = std::fs::read_to_string(local_file(workspace.root())).ok();
    let key = in_force_key(&workspace.cargo_config, local.as_deref(), machine);
    let _lock = lock_exclusive(&machine.state_dir.join("lock"))?;
    let mut known = Known::read(&machine.state_dir);
    if let Some(makers) = kept(known.links.as_ref(), &key) {
        return Ok(vec![Check::ok(NAME, format!("a program links here with {makers}"))]);
    }
    Ok(vec![match uninterrupted(link_in_force(machine, false))? {
        Ok(in_force) => {
            let makers = makers_in_words(&in_force.makers).to_owned();
            known.links = Some((key, makers.clone()));
            known.write(&machine.state_dir)?;
            Check::ok(NAME, format!("a program links here with {makers}"))
        }
        Err(error) => {
            let (root, environment) = (workspace.root(), &workspace.environment);
            let around = (root, &*local_file(root));
            let tools = &subject.options.tools;
            let demands = demands(tools, &workspace.cargo_config, environment, &machine.host, around);
            let fix = if local.is_some() || demands.values().any(|by| !by.starts_with("rustc-wrapper")) {
                SETUP.to_owned()
            } else {
                "mend or remove `linker` and `rustflags` in cargo's configuration".to_owned()
            };
            Check::fail(NAME, format!("{error:#}"), fix)
        }
    }])
}

fn memory_for_jobs(subject: &Subject<'_>) -> Option<Check> {
    let (config, environment) = (&subject.workspace.cargo_config, &subject.workspace.environment);
    let jobs = jobs(config, environment, subject.options.cores);
    let (free, total) = memory()?;
    let root = subject.workspace.root();
    Some(judge_memory(jobs, root, subject.options.setup.memory_per_job, (free, total)))
}

/// What says how many compilers cargo runs at once.
#[derive(Debug, Clone, PartialEq, Eq)]
enum JobsBy {
    Cores,
    Variable,
    File(Utf8PathBuf),
}

impl std::fmt::Display for JobsBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cores => f.write_str("one for each core"),
            Self::Variable => f.write_str("CARGO_BUILD_JOBS"),
            Self::File(file) => f.write_str(file.as_str()),
        }
    }
}

/// How many compilers cargo runs at once, and what says so.
fn jobs(config: &CargoConfig, environment: &Environment, cores: usize) -> (usize, JobsBy) {
    // A negative number is counted from that of the cores.
    let read = |number: i64| match number {
        ..0 => Some(cores.saturating_sub(usize::try_from(number.unsigned_abs()).ok()?).max(1)),
        _ => usize::try_from(number).ok(),
    };
    let variable = environment.get("CARGO_BUILD_JOBS").and_then(|jobs| read(jobs.parse().ok()?));
    if let Some(jobs) = variable {
        return (jobs, JobsBy::Variable);
    }
    let set =
        config.set_in(&["build", "jobs"]).next().map(|(file, value)| (value.as_integer(), file.to_owned()));
    let in_file = set.and_then(|(jobs, file)| Some((read(jobs?)?, JobsBy::File(file))));
    in_file.unwrap_or((cores, JobsBy::Cores))
}

fn judge_memory(
    (jobs, by): (usize, JobsBy),
    root: &Utf8Path,
    per_job: u64,
    (free, total): (u64, u64),
) -> Check {
    const NAME: &str = "memory";
    let need = per_job.saturating_mul(u64::try_from(jobs).unwrap_or(u64::MAX));
    let claim = format!("{jobs} jobs ({by}) of {} each", size(per_job));
    let (needed, free_now, all) = (size(need), size(free), size(total));
    if let Some(fitting) = fitting_jobs(jobs, total, per_job) {
        let evidence = format!("{claim} need {needed}, and there are {all}");
        return match by {
            // What setup sets for this machine is weaker than either.
            JobsBy::Variable => Check::warn(NAME, evidence, "unset CARGO_BUILD_JOBS"),
            JobsBy::File(file) => match file.strip_prefix(root) {
                Ok(inside) if inside.file_name() != Some(LOCAL_FILE) => {
                    let key = ["build", "jobs"].map(str::to_owned).to_vec();
                    let safe = SafeFix::RemoveKey { file: inside.to_owned(), key };
                    Check::warn(NAME, evidence, format!("remove `build.jobs` from {inside}")).with_safe(safe)
                }
                Ok(_) => Check::warn(
                    NAME,
                    evidence,
                    format!("cargo xtask setup --again, which sets jobs = {fitting}"),
                ),
                Err(_) => Check::warn(NAME, evidence, format!("remove `build.jobs` from {file}")),
            },
            JobsBy::Cores => {
                let fix = format!("cargo xtask setup, which sets jobs = {fitting} for this machine");
                Check::warn(NAME, evidence, fix)
            }
        };
    }
    if let Some(fitting) = fitting_jobs(jobs, free, per_job) {
        let evidence = format!("{claim} need {needed}, and {free_now} of {all} are free now");
        return Check::warn(NAME, evidence, format!("close other programs, or build with --jobs {fitting}"));
    }
    Check::ok(NAME, format!("{claim}; {free_now} of {all} are free"))
}

fn disk(subject: &Subject<'_>) -> Vec<Check> {
    let facts = &subject.workspace.facts;
    let mut dirs = vec![&facts.target_dir];
    if !facts.build_dir.starts_with(&facts.target_dir) {
        dirs.push(&facts.build_dir);
    }
    dirs.into_iter().filter_map(|dir| Some(judge_disk(dir, free_on_disk(dir)?))).collect()
}

/// The free bytes on the file system of `dir`, or of the nearest folder above it that exists, where the system says so.
fn free_on_disk(dir: &Utf8Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let existing = dir.ancestors().find(|dir| dir.exists())?;
        let status = rustix::fs::statvfs(existing.as_std_path()).ok()?;
        Some(status.f_bavail.saturating_mul(status.f_frsize))
    }
    #[cfg(not(unix))]
    dir.parent().and(None)
}

fn judge_disk(dir: &Utf8Path, free: u64) -> Check {
    const NAME: &str = "disk";
    const FIX: &str = "cargo xtask clean-stale, or free space there otherwise";
    let evidence = format!("{} free for {dir}", size(free));
    match free >> 30 {
        // In GiB: here a build of a normal workspace fails halfway, and below 5 the next one may.
        0 => Check::fail(NAME, evidence, FIX),
        1..5 => Check::warn(NAME, evidence, FIX),
        _ => Check::ok(NAME, evidence),
    }
}

/// Whether another checkout of this workspace builds into the same target dir: both have the same unit ids, and can get
/// each other's code.
fn target_dir(subject: &Subject<'_>) -> Check {
    const NAME: &str = "target dir";
    let (root, facts) = (subject.workspace.root(), &subject.workspace.facts);
    let target = &facts.target_dir;
    let ours = facts.packages.iter().flat_map(|package| &package.targets);
    let ours = ours.filter_map(|target| target.path.strip_prefix(root).ok()).collect::<Vec<_>>();
    let foreign = artifact_sources(&facts.build_dir, target).into_iter().flatten();
    let foreign =
        foreign.filter(|source| !facts.packages.iter().any(|package| source.starts_with(&package.dir)));
    let others = foreign.filter_map(|source| Some(checkout_of(&source, &ours)?.to_owned()));
    let others = others.filter(|other| other != root && other.join("Cargo.toml").is_file());
    let others = others.map(Utf8PathBuf::into_string).collect::<BTreeSet<_>>();
    if !others.is_empty() {
        let names = others.into_iter().collect::<Vec<_>>().join(", ");
        return Check::fail(
            NAME,
            format!("{target} also holds builds of another checkout, with the same unit ids: {names}"),
            "give each checkout a target dir of its own (unset CARGO_TARGET_DIR, or remove build.target-dir), then cargo clean",
        );
    }
    let place = if target.starts_with(root) { "in the workspace" } else { "outside of the workspace" };
    Check::ok(NAME, format!("{target}, {place}, holds no builds of another checkout"))
}

/// The root of another checkout that `source` belongs to, if it is called as one of `ours`, which are the sources of our
/// targets relative to our root.
fn checkout_of<'a>(source: &'a Utf8Path, ours: &[&Utf8Path]) -> Option<&'a Utf8Path> {
    let ours = ours.iter().find(|ours| source.ends_with(ours))?;
    source.ancestors().nth(ours.components().count())
}

/// Bytes as people read them: whole MiB below 10 GiB, GiB with one digit above.
fn size(bytes: u64) -> String {
    if bytes < 10 << 30 {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::catalog;
    use crate::machine::Unsuited;

    #[test]
    fn what_a_tool_lacks_weighs_as_much_as_it_is_wanted() {
        let tools = catalog(&[], "x86_64-unknown-linux-gnu").unwrap();
        let wanted = tools.iter().find(|tool| tool.name == "mold").unwrap().clone();
        let required = Tool { need: Need::Required, ..wanted.clone() };
        let program = |path: &str, version: &str| Found { path: path.into(), version: Some(version.into()) };
        let found = |others: &[Found]| {
            let found = [&[program("/usr/bin/mold", "2.4.0")], others].concat();
            Probed { found, unsuited: Vec::new() }
        };
        let unsuited = Unsuited { path: "/usr/bin/mold".into(), why: "it is 0.9".into() };
        let unsuited = Probed { found: Vec::new(), unsuited: vec![unsuited] };
        let (missing, one) = (Probed::default(), found(&[]));
        let other_name = found(&[program("/opt/bin/mold-1", "1.0.0")]);
        let (same, older) =
            (found(&[program("/opt/bin/mold", "2.4.0")]), found(&[program("/opt/bin/mold", "1.0.0")]));
        // the tool, its programs, its proof; the status, and a part of the evidence
        let table = [
            (&wanted, &missing, None, Status::Warn, "used instead: rust-lld"),
            (&required, &missing, None, Status::Fail, "it is required"),
            (&wanted, &unsuited, None, Status::Warn, "it is 0.9; used instead"),
            (&required, &unsuited, None, Status::Fail, "it is 0.9, and it is required"),
            (&wanted, &one, None, Status::Warn, "not proven"),
            (&wanted, &one, Some("linked"), Status::Ok, "2.4.0 (/usr/bin/mold): linked"),
            (&wanted, &same, Some("linked"), Status::Ok, "linked"),
            (&wanted, &other_name, Some("linked"), Status::Ok, "linked"),
            (&wanted, &older, Some("linked"), Status::Warn, "is used, not 1.0.0 (/opt/bin/mold)"),
        ];
        for (tool, probed, proof, status, evidence) in table {
            let check = judge_tool(tool, None, probed, proof);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.evidence.contains(evidence), "{check:?}");
            assert_eq!(check.fix.is_some(), status != Status::Ok);
        }
    }

    #[test]
    fn jobs_are_compared_with_memory() {
        let gib = 1_u64 << 30;
        let root = Utf8Path::new("/w");
        let file = |path: &str| JobsBy::File(path.into());
        // jobs, what says so, GiB in all, GiB free; how it is, a part of the fix
        let table = [
            (2, JobsBy::Cores, 16, 8, Status::Ok, ""),
            (16, JobsBy::Cores, 16, 16, Status::Warn, "cargo xtask setup, which sets jobs = 8"),
            (16, JobsBy::Variable, 16, 16, Status::Warn, "unset CARGO_BUILD_JOBS"),
            (
                16,
                file("/w/.cargo/config.toml"),
                16,
                16,
                Status::Warn,
                "remove `build.jobs` from .cargo/config.toml",
            ),
            (
                16,
                file("/home/config.toml"),
                16,
                16,
                Status::Warn,
                "remove `build.jobs` from /home/config.toml",
            ),
            (
                16,
                file("/w/.cargo/xtask.local.toml"),
                16,
                16,
                Status::Warn,
                "setup --again, which sets jobs = 8",
            ),
            (4, JobsBy::Cores, 16, 5, Status::Warn, "--jobs 2"),
        ];
        for (jobs, by, total, free, status, fix) in table {
            let check = judge_memory((jobs, by), root, 2 * gib, (free * gib, total * gib));
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.fix.map_or(String::new(), |fix| fix.text).contains(fix));
        }
    }

    #[test]
    fn the_number_of_jobs_is_the_one_that_cargo_takes() {
        // [build] jobs, CARGO_BUILD_JOBS, what it comes to with 8 cores
        let table = [
            ("", None, 8),
            ("[build]\njobs = 3\n", None, 3),
            ("[build]\njobs = -2\n", None, 6),
            ("[build]\njobs = 3\n", Some("5"), 5),
            ("[build]\njobs = 'default'\n", None, 8),
        ];
        for (text, variable, expected) in table {
            let dir = xtask_testkit::TempDir::new("doctor-jobs");
            dir.write(".cargo/config.toml", text);
            let mut environment = Environment::default();
            environment.set("CARGO_HOME", dir.path().join("home").as_str());
            if let Some(variable) = variable {
                environment.set("CARGO_BUILD_JOBS", variable);
            }
            assert_eq!(
                jobs(&CargoConfig::load(dir.path(), &environment), &environment, 8).0,
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn little_room_warns_and_less_fails() {
        let table = [(5120, Status::Ok), (5119, Status::Warn), (1024, Status::Warn), (1023, Status::Fail)];
        for (mib, status) in table {
            assert_eq!(judge_disk("/t".into(), mib << 20).status, status, "{mib}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_need_not_be_there_yet() {
        let dir = xtask_testkit::TempDir::new("doctor-disk");
        assert!(free_on_disk(&dir.path().join("not/there")).is_some());
    }

    #[test]
    fn another_checkout_is_found_by_sources_with_the_same_names() {
        let ours = [Utf8Path::new("app/src/main.rs"), Utf8Path::new("src/lib.rs")];
        let table = [
            ("/other/app/src/main.rs", Some("/other")),
            ("/other/src/lib.rs", Some("/other")),
            ("/other/tool/src/main.rs", None),
            ("/other/myapp/src/main.rs", None),
        ];
        for (source, root) in table {
            assert_eq!(checkout_of(source.into(), &ours).map(Utf8Path::as_str), root, "{source}");
        }
    }
}
