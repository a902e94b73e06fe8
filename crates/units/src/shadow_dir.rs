//! Where shadow plans are made: in memory where that is possible, else below the target dir.
//!
//! Measured on 292 units: 3.0 s on ext4, 1.65 s on tmpfs.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, private_dir, remove_dir, remove_file, write_atomic};
use xtask_workspace::{CargoCommand, Workspace, digest};

/// Commands that share most of their units. Those of two families share next to none (build scripts and macros), so
/// plans of both are made at the same time, each in a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// Commands that only check or document.
    Check,
    /// Commands that make code.
    Build,
}

impl Family {
    /// That of `command`.
    pub(crate) fn of(command: &CargoCommand) -> Self {
        match &*command.verb {
            "check" | "clippy" | "doc" | "rustdoc" => Self::Check,
            _ => Self::Build,
        }
    }
}

/// A kept folder, or a kept plan, that nobody used for this long goes: the workspace may be gone.
pub(crate) const KEEP: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// With more recorded calls than this the folder is made anew, so that dead units do not pile up.
const MOST_CALLS: usize = 20_000;

/// The folder for this workspace's shadow plans of one family. It may not exist yet; its parent does.
pub(crate) fn place(workspace: &Workspace, family: Family) -> Result<Utf8PathBuf> {
    let facts = &workspace.facts;
    let key = digest(format!("{family:?}\0{}\0{}\0{}", facts.root, facts.target_dir, facts.build_dir));
    let parent = in_memory().unwrap_or_else(|| workspace.state_dir().join("shadow-dir"));
    fs::create_dir_all(&parent)?;
    forget_unused(&parent);
    let dir = parent.join(key.to_string());
    // Names the workspace, so that whoever comes next can tell when it is gone.
    let owner = dir.with_extension("root");
    if !owner.exists() {
        write_atomic(&owner, facts.root.as_str(), Durability::Cache)?;
    }
    let calls = dir.join(crate::fake::CALLS).read_dir_utf8().map_or(0, Iterator::count);
    if calls > MOST_CALLS {
        remove_dir(&dir)?;
    }
    Ok(dir)
}

/// A folder for files that are needed for a moment, in memory where that is possible: the disk may be full.
pub fn scratch_dir(workspace: &Workspace) -> Result<Utf8PathBuf> {
    let dir = in_memory().unwrap_or_else(|| workspace.state_dir().join("scratch"));
    fs::create_dir_all(&dir).with_context(|| format!("failed to create folder {dir}"))?;
    Ok(dir)
}

/// A private folder on tmpfs, if there is one: somebody else could have made it first, so its owner and mode
/// are checked, and anything odd means the target dir is used.
#[cfg(target_os = "linux")]
fn in_memory() -> Option<Utf8PathBuf> {
    let memory = Utf8Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory.as_std_path()).ok().map(|stat| stat.f_bavail * stat.f_frsize)?;
    // A plan of 300 units takes about 10 MB; a container's default of 64 MB would soon be full.
    if free < 256 * 1024 * 1024 {
        return None;
    }
    let dir = memory.join(format!("xtask-suite-{}", rustix::process::geteuid().as_raw()));
    private_dir(&dir).ok().map(|()| dir)
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> Option<Utf8PathBuf> {
    None
}

/// Removes kept folders of workspaces that are gone, or that nobody planned in for long.
fn forget_unused(parent: &Utf8Path) {
    for entry in parent.read_dir_utf8().into_iter().flatten().flatten() {
        if entry.path().extension() != Some("root") {
            continue;
        }
        let gone = fs::read_to_string(entry.path()).is_ok_and(|root| !Utf8Path::new(&root).exists());
        let dir = entry.path().with_extension("");
        // Every plan leaves something in the folder of recorded calls or replaces something there.
        let used = fs::metadata(dir.join(crate::fake::CALLS)).and_then(|metadata| metadata.modified());
        let unused =
            used.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > KEEP));
        if gone || unused {
            // Another of us may be removing it too: then it is gone just as well.
            let _ = remove_dir(&dir);
            for extension in ["lock", "root"] {
                let _ = remove_file(&dir.with_extension(extension));
            }
        }
    }
}
