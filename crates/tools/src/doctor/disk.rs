//! Room for the target dir.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use camino::Utf8Path;

use super::{Check, Patient, size};

const GIB: u64 = 1 << 30;
/// Below this a build of a normal workspace fails halfway.
const FAILS_BELOW: u64 = GIB;
/// Below this the next one may.
const WARNS_BELOW: u64 = 5 * GIB;
/// A huge target dir is not walked to its end.
const WALKS: Duration = Duration::from_millis(100);

pub(super) fn check(patient: &Patient<'_>) -> Vec<Check> {
    let facts = &patient.workspace.facts;
    let mut dirs = vec![&facts.target_dir];
    if !facts.build_dir.starts_with(&facts.target_dir) {
        dirs.push(&facts.build_dir);
    }
    let judged = dirs.into_iter().map(|dir| judge(dir, free_bytes(dir), walked(dir, WALKS)));
    judged.collect()
}

/// The bytes that a user may still write to the file system of `dir`, or of the nearest folder above it that is there.
#[cfg(unix)]
fn free_bytes(dir: &Utf8Path) -> Option<u64> {
    let there = dir.ancestors().find(|dir| dir.exists())?;
    let status = rustix::fs::statvfs(there.as_std_path()).ok()?;
    Some(status.f_bavail.saturating_mul(status.f_frsize))
}

/// Not supported here.
#[cfg(not(unix))]
fn free_bytes(_dir: &Utf8Path) -> Option<u64> {
    None
}

/// The bytes of files below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Walked {
    bytes: u64,
    /// Whether all were seen.
    whole: bool,
}

/// Counts for at most `limit`. What cannot be read counts nothing.
fn walked(dir: &Utf8Path, limit: Duration) -> Walked {
    let latest = Instant::now() + limit;
    let mut bytes = 0_u64;
    let mut open: Vec<PathBuf> = vec![dir.into()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            // Of the entry itself, so that no link is followed.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                bytes += metadata.len();
            }
        }
        if Instant::now() > latest {
            return Walked { bytes, whole: open.is_empty() };
        }
    }
    Walked { bytes, whole: true }
}

fn judge(dir: &Utf8Path, free: Option<u64>, walked: Walked) -> Check {
    const NAME: &str = "disk";
    const FIX: &str = "cargo xtask clean-stale";
    let least = if walked.whole { "" } else { "at least " };
    let holds = format!("{dir} holds {least}{}", size(walked.bytes));
    let Some(free) = free else {
        return Check::ok(NAME, format!("{holds}; this system does not say what is free"));
    };
    let evidence = format!("{} free; {holds}", size(free));
    if free < FAILS_BELOW {
        return Check::fail(NAME, evidence, FIX);
    }
    if free < WARNS_BELOW.max(walked.bytes / 4) {
        return Check::warn(NAME, evidence, FIX);
    }
    Check::ok(NAME, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn room_is_weighed_against_what_is_there() {
        // MiB free, MiB in the target dir; how it is
        let table = [
            (Some(100_000), 1000, Status::Ok),
            (Some(6000), 1000, Status::Ok),
            (Some(4000), 0, Status::Warn),
            (Some(20_000), 100_000, Status::Warn),
            (Some(30_000), 100_000, Status::Ok),
            (Some(1023), 0, Status::Fail),
            (None, 100_000, Status::Ok),
        ];
        for (free, holds, status) in table {
            let walked = Walked { bytes: holds << 20, whole: true };
            let check = judge("/t".into(), free.map(|free: u64| free << 20), walked);
            assert_eq!(check.status, status, "{check:?}");
        }
        let part = judge("/t".into(), None, Walked { bytes: GIB, whole: false });
        assert!(part.evidence.contains("at least 1024 MiB"), "{part:?}");
    }

    #[test]
    fn a_walk_counts_every_file_and_ends_in_time() {
        let dir = xtask_testkit::TempDir::new("doctor-walk");
        for number in 0..50 {
            dir.write(&format!("a/{number}/file"), "12345");
        }
        assert_eq!(walked(dir.path(), Duration::from_secs(60)), Walked { bytes: 250, whole: true });
        assert!(!walked(dir.path(), Duration::ZERO).whole);
        assert!(free_bytes(&dir.path().join("not/there")).is_some());
    }
}
