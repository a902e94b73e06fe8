//! Room for the target dir.

use camino::Utf8Path;

use super::{Check, Subject, size};

const GIB: u64 = 1 << 30;
/// Below this a build of a normal workspace fails halfway.
const FAILS_BELOW: u64 = GIB;
/// Below this the next one may.
const WARNS_BELOW: u64 = 5 * GIB;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let facts = &subject.workspace.facts;
    let mut dirs = vec![&facts.target_dir];
    if !facts.build_dir.starts_with(&facts.target_dir) {
        dirs.push(&facts.build_dir);
    }
    dirs.into_iter().filter_map(|dir| Some(judge(dir, free_bytes(dir)?))).collect()
}

/// The bytes that a user may still write to the file system of `dir`, or of the nearest folder above it that is there.
/// `None` where the system does not say.
fn free_bytes(dir: &Utf8Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let there = dir.ancestors().find(|dir| dir.exists())?;
        let status = rustix::fs::statvfs(there.as_std_path()).ok()?;
        Some(status.f_bavail.saturating_mul(status.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

fn judge(dir: &Utf8Path, free: u64) -> Check {
    const NAME: &str = "disk";
    const FIX: &str = "cargo xtask clean-stale";
    let evidence = format!("{} free for {dir}", size(free));
    if free < FAILS_BELOW {
        return Check::fail(NAME, evidence, FIX);
    }
    if free < WARNS_BELOW {
        return Check::warn(NAME, evidence, FIX);
    }
    Check::ok(NAME, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn little_room_warns_and_less_fails() {
        let table = [(5120, Status::Ok), (5119, Status::Warn), (1024, Status::Warn), (1023, Status::Fail)];
        for (mib, status) in table {
            assert_eq!(judge("/t".into(), mib << 20).status, status, "{mib}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_need_not_be_there_yet() {
        let dir = xtask_testkit::TempDir::new("doctor-disk");
        assert!(free_bytes(&dir.path().join("not/there")).is_some());
    }
}
