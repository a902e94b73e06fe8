//! This machine, as seen from a workspace: its toolchain, its memory, and where the programs of a tool are.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use semver::{Version, VersionReq};
use serde::Serialize;
use sysinfo::System;
use xtask_files::{Durability, remove_dir, write_atomic};
use xtask_workspace::config::Tool;
use xtask_workspace::{Call, Environment, Workspace, cargo_home, private_bin};

use crate::process::{successful, uninterrupted};

/// rustup may have to unpack a toolchain first; otherwise this takes 50 ms.
const RUSTC_ANSWERS: Duration = Duration::from_secs(120);
/// A program that takes longer to print its version is broken.
const VERSION_ANSWERS: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Machine {
    /// The workspace's root; probes run there, so that its toolchain file and cargo configuration count.
    pub root: Utf8PathBuf,
    pub environment: Environment,
    pub host: String,
    pub rustc: String,
    /// The toolchain's folder `lib/rustlib/HOST`.
    pub rustlib: Utf8PathBuf,
    /// Our own folder below the target dir.
    pub state_dir: Utf8PathBuf,
}

impl Machine {
    pub fn of(workspace: &Workspace) -> Result<Self> {
        let (root, environment) = (workspace.root().to_owned(), workspace.environment.clone());
        let ask = |args: &[&str]| {
            let call = Call::new(&root, "rustc", args.iter().copied());
            let printed = successful(&call, &environment, RUSTC_ANSWERS)?.stdout;
            anyhow::Ok(
                printed.lines().next().with_context(|| format!("`{call}` printed nothing"))?.to_owned(),
            )
        };
        let (sysroot, rustc) = (ask(&["--print", "sysroot"])?, ask(&["--version"])?);
        let host = workspace.facts.host.clone();
        let rustlib = Utf8Path::new(&sysroot).join("lib/rustlib").join(&host);
        Ok(Self { root, environment, host, rustc, rustlib, state_dir: workspace.state_dir().join("setup") })
    }

    pub fn cargo_bin(&self) -> Option<Utf8PathBuf> {
        cargo_home(&self.environment).map(|home| home.join("bin"))
    }

    /// A new, empty folder for what a probe makes, removed when it is dropped. The caller holds the lock of a setup. It is
    /// below the target dir, because what is linked there has to run.
    pub(crate) fn scratch(&self, name: &str) -> Result<Scratch> {
        let dir = self.state_dir.join("probes").join(name);
        remove_dir(&dir)?;
        std::fs::create_dir_all(&dir).with_context(|| format!("failed to create folder {dir}"))?;
        Ok(Scratch(dir))
    }
}

pub(crate) struct Scratch(Utf8PathBuf);

impl Scratch {
    pub(crate) fn path(&self) -> &Utf8Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<Utf8PathBuf> {
        let path = self.0.join(name);
        write_atomic(&path, text, Durability::Cache)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove_dir(&self.0);
    }
}

/// The free and the total memory, in bytes; in a container its limit counts. `None` where the system does not say.
pub(crate) fn memory() -> Option<(u64, u64)> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let (mut free, mut total) = (system.available_memory(), system.total_memory());
    if let Some(limits) = system.cgroup_limits().filter(|limits| limits.total_memory > 0) {
        (free, total) = (free.min(limits.free_memory), total.min(limits.total_memory));
    }
    (free > 0 && total > 0).then_some((free, total))
}

/// The number of compilers to run at once, if all `cores` at `memory_per_job` bytes each would take more than
/// `memory_bytes`; `None` leaves it to cargo.
pub(crate) fn fitting_jobs(cores: usize, memory_bytes: u64, memory_per_job: u64) -> Option<usize> {
    let fit = usize::try_from(memory_bytes / memory_per_job.max(1)).unwrap_or(usize::MAX).max(1);
    (fit < cores).then_some(fit)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    pub path: Utf8PathBuf,
    pub version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsuited {
    pub path: Utf8PathBuf,
    pub why: String,
}

/// What the programs of a tool print when they are asked for their version. That proves nothing yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// Those that are accepted, the one that is used first.
    pub found: Vec<Found>,
    /// Those that are not.
    pub unsuited: Vec<Unsuited>,
}

/// Asks each program of a tool for its version. Fails only for a signal.
pub(crate) fn probe(tool: &Tool, machine: &Machine) -> Result<Probed> {
    let mut probed = Probed::default();
    for path in places(tool, machine) {
        let call = Call::new(&machine.root, path.as_str(), tool.version_args.clone());
        let asked = uninterrupted(successful(&call, &machine.environment, VERSION_ANSWERS))?;
        let accepted = asked.map_err(|error| format!("{error:#}")).and_then(|said| {
            let version = version_in(&said.stdout).or_else(|| version_in(&said.stderr));
            objection(tool.version.as_ref(), version.as_ref()).map_or(Ok(version), Err)
        });
        match accepted {
            Ok(version) => {
                let version = version.map(|version| version.to_string());
                probed.found.push(Found { path, version });
            }
            Err(why) => probed.unsuited.push(Unsuited { path, why }),
        }
    }
    Ok(probed)
}

/// Every program of the tool's names: in the workspace's own folder, then on `PATH`, then in cargo's home. None is started.
pub(crate) fn places(tool: &Tool, machine: &Machine) -> Vec<Utf8PathBuf> {
    let path = machine.environment.get("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(path).filter_map(|dir| Utf8PathBuf::from_path_buf(dir).ok());
    // A relative folder is relative to where cargo is called, which is the root.
    let on_path = on_path.filter(|dir| !dir.as_str().is_empty()).map(|dir| machine.root.join(dir));
    let dirs = [private_bin(&machine.root)].into_iter().chain(on_path).chain(machine.cargo_bin());
    let dirs = dirs.collect::<Vec<_>>();
    let mut found = Vec::new();
    for program in &tool.programs {
        let path = Utf8PathBuf::from(program.replace("{rustlib}", machine.rustlib.as_str()));
        if path.components().count() > 1 {
            found.extend(Some(path).filter(|path| path.is_file()));
        } else {
            found.extend(dirs.iter().filter_map(|dir| xtask_workspace::program_in(dir, program)));
        }
    }
    // A folder may be on PATH twice, or be a link to another one.
    let mut seen = BTreeSet::new();
    found.retain(|path| seen.insert(path.canonicalize_utf8().unwrap_or_else(|_| path.clone())));
    found
}

/// Why `version` does not meet `requirement`; `None` if it does. A pre-release counts as its release: Debian's sccache
/// calls itself `0.4.0-pre.6`.
fn objection(requirement: Option<&VersionReq>, version: Option<&Version>) -> Option<String> {
    let requirement = requirement?;
    let Some(version) = version else {
        return Some(format!("it prints no version, and {requirement} is required"));
    };
    let release = Version::new(version.major, version.minor, version.patch);
    let meets = requirement.matches(version) || requirement.matches(&release);
    (!meets).then(|| format!("it is {version}, and {requirement} is required"))
}

/// The first word of `text` that is a version, as in `mold 1.10.1 (compatible with GNU ld)`; without one, the first that
/// ends in a version, as in `jq-1.6` and `Redis server v=7.0.15`.
fn version_in(text: &str) -> Option<Version> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ','));
    let without_name = |word: &str| version(word.trim_start_matches(|c: char| !c.is_ascii_digit()));
    words.clone().find_map(version).or_else(|| words.clone().find_map(without_name))
}

/// `1.2`, `v1.2.3` or `1.2.3-pre`; a single number is not a version.
fn version(word: &str) -> Option<Version> {
    let word = word.trim_start_matches('v');
    let numbers = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (numbers, rest) = word.split_at(numbers);
    let parts = numbers.split('.').map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
    let release = match parts.as_slice() {
        [major, minor] => Version::new(*major, *minor, 0),
        [major, minor, patch] => Version::new(*major, *minor, *patch),
        _ => return None,
    };
    if rest.is_empty() {
        return Some(release);
    }
    // `+git` and Debian's `1.2.3-4` parse; anything else is at least this release.
    Version::parse(&format!("{release}{rest}")).ok().or(Some(release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_real_programs_say() {
        let table = [
            ("mold 1.10.1 (compatible with GNU ld)", Some("1.10.1")),
            ("Debian LLD 14.0.6 (compatible with GNU linkers)", Some("14.0.6")),
            (
                "LLD 22.1.2 (/checkout/src/llvm-project/llvm 1cb4e3833c19) (compatible with GNU linkers)",
                Some("22.1.2"),
            ),
            ("Wild 0.10.0 non-git-build (compatible with GNU linkers)", Some("0.10.0")),
            ("sccache 0.4.0-pre.6", Some("0.4.0-pre.6")),
            ("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143", Some("0.9.143")),
            ("Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu", Some("14.0.6")),
            ("libprotoc 3.21", Some("3.21.0")),
            ("v2.40.4", Some("2.40.4")),
            ("jq-1.6", Some("1.6.0")),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", Some("7.0.15")),
            ("zsh 5.9 (x86_64-debian-linux-gnu)", Some("5.9.0")),
            ("fish, version 3.6.0", Some("3.6.0")),
            ("strace -- version 6.1", Some("6.1.0")),
            ("Python 3.11.2", Some("3.11.2")),
            ("usage: ld [options]", None),
            ("tool of 2024", None),
            ("", None),
        ];
        for (said, version) in table {
            assert_eq!(version_in(said).map(|version| version.to_string()).as_deref(), version, "{said}");
        }
    }

    #[test]
    fn a_requirement_is_met_or_named() {
        // required, said, whether it does
        let table = [
            (Some(">=0.4"), Some("0.4.0-pre.6"), true),
            (Some(">=1.0"), Some("0.9.9"), false),
            (Some("=0.9.143"), Some("0.9.143"), true),
            (Some("=0.9.143"), Some("0.9.151"), false),
            (Some(">=1"), None, false),
            (None, None, true),
        ];
        for (required, said, does) in table {
            let said = said.map(|said| Version::parse(said).unwrap());
            let requirement = required.map(|required| VersionReq::parse(required).unwrap());
            assert_eq!(
                objection(requirement.as_ref(), said.as_ref()).is_none(),
                does,
                "{required:?} {said:?}"
            );
        }
    }

    #[test]
    fn jobs_are_lowered_only_where_memory_is_short() {
        let gib = 1 << 30;
        // cores, GiB of memory, GiB per job, what is set
        let table = [
            (2, 24, 2, None),
            (16, 16, 2, Some(8)),
            (16, 32, 2, None),
            (8, 1, 2, Some(1)),
            (1, 1, 2, None),
            (4, 7, 2, Some(3)),
        ];
        for (cores, memory, per_job, expected) in table {
            assert_eq!(
                fitting_jobs(cores, memory * gib, per_job * gib),
                expected,
                "{cores} {memory} {per_job}"
            );
        }
        assert_eq!(fitting_jobs(4, gib, 0), None);
    }
}
