//! Clocks: cargo tells by modification times what is fresh, so a file from the future is never built, or always.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, remove_file, write_atomic};

use super::{Check, Patient, profile_dirs, some};

/// Clocks of machines in one network differ by less.
const TOLERATED: Duration = Duration::from_secs(2);
/// So many sources are looked at, and so many folders of each profile.
const MOST: usize = 5000;

pub(super) fn check(patient: &Patient<'_>) -> Vec<Check> {
    let root = patient.root();
    let tracked = patient.tracked.iter().flatten().take(MOST).map(|path| root.join(path));
    let built = fingerprints(&patient.workspace.facts.build_dir);
    // Not the time at which the diagnosis began: others build meanwhile.
    let now = patient.options.now + patient.started.elapsed();
    let mut seen = 0_usize;
    let mut late = Vec::new();
    for path in tracked.chain(built) {
        let Ok(modified) = fs::symlink_metadata(&path).and_then(|metadata| metadata.modified()) else {
            continue;
        };
        seen += 1;
        late.extend(ahead(modified, now).map(|by| (path, by)));
    }
    vec![judge(seen, &late, &|path| patient.shown(path).to_owned())]
}

/// The folders of units below a build dir, in either layout.
fn fingerprints(build_dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = |dir: &Utf8Path| {
        let entries = dir.read_dir_utf8().into_iter().flatten().flatten();
        entries.map(|entry| entry.path().to_owned()).take(MOST).collect::<Vec<_>>()
    };
    let units = profile_dirs(build_dir).into_iter().flat_map(|profile| {
        let packages = entries(&profile.join("build")).into_iter().flat_map(|package| entries(&package));
        entries(&profile.join(".fingerprint")).into_iter().chain(packages).take(MOST).collect::<Vec<_>>()
    });
    units.collect()
}

/// By how much `modified` is later than `now`, if that is more than clocks differ.
fn ahead(modified: SystemTime, now: SystemTime) -> Option<Duration> {
    modified.duration_since(now).ok().filter(|by| *by > TOLERATED)
}

fn judge(seen: usize, late: &[(Utf8PathBuf, Duration)], shown: &dyn Fn(&Utf8Path) -> String) -> Check {
    const NAME: &str = "clock";
    let Some((first, by)) = late.first() else {
        return Check::ok(NAME, format!("none of {seen} files and folders is from the future"));
    };
    let paths = late.iter().map(|(path, _)| shown(path)).collect::<Vec<_>>();
    let evidence = format!("from the future, by {} s or so: {}", by.as_secs(), some(&paths, 3));
    let fix = format!("set the clock, then touch them: touch {}", shown(first));
    Check::warn(NAME, evidence, fix).with_more(paths.into_iter().skip(3).take(20))
}

pub(super) fn check_file_system(patient: &Patient<'_>) -> Result<Vec<Check>> {
    let path = patient.machine.state_dir.join(format!("clock-{}", std::process::id()));
    let before = SystemTime::now();
    write_atomic(&path, "", Durability::Cache)?;
    let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
    let after = SystemTime::now();
    remove_file(&path)?;
    let written = written.with_context(|| format!("failed to read {path}"))?;
    Ok(vec![judge_file_system(before, written, after)])
}

/// What was written between two looks at the clock has a time between them, but for the rounding of file systems.
fn judge_file_system(before: SystemTime, written: SystemTime, after: SystemTime) -> Check {
    const NAME: &str = "file clock";
    let late = written.duration_since(after).unwrap_or_default();
    let early = before.duration_since(written).unwrap_or_default();
    let off = late.max(early);
    if off <= TOLERATED {
        return Check::ok(NAME, "the file system's clock is this machine's");
    }
    let which = if late > early { "ahead of" } else { "behind" };
    let evidence = format!(
        "the target dir's file system is {} s {which} this machine: cargo takes what is old for new",
        off.as_secs()
    );
    Check::warn(NAME, evidence, "set both clocks by NTP, or build on a local disk")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn only_what_is_clearly_ahead_is_said() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        // seconds ahead of now, whether that is said
        for (seconds, said) in [(0, false), (2, false), (3, true), (86_400, true)] {
            let by = ahead(now + Duration::from_secs(seconds), now);
            assert_eq!(by.is_some(), said, "{seconds}");
            let late = by.map(|by| (Utf8PathBuf::from("/w/src/lib.rs"), by)).into_iter().collect::<Vec<_>>();
            let status = if said { Status::Warn } else { Status::Ok };
            assert_eq!(judge(1, &late, &|path| path.to_string()).status, status, "{seconds}");
        }
        assert_eq!(ahead(now - Duration::from_secs(100), now), None);
    }

    #[test]
    fn a_file_system_with_another_clock_is_said() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        // written at, while the clock went from 1000 to 1001
        for (written, status) in [
            (1000, Status::Ok),
            (998, Status::Ok),
            (1003, Status::Ok),
            (990, Status::Warn),
            (1010, Status::Warn),
        ] {
            assert_eq!(judge_file_system(at(1000), at(written), at(1001)).status, status, "{written}");
        }
    }

    #[test]
    fn units_are_found_in_both_layouts() {
        let dir = xtask_testkit::TempDir::new("doctor-clock");
        dir.write("debug/.fingerprint/a-1/lib-a", "");
        dir.write("release/build/b/2/fingerprint/lib-b", "");
        dir.write("wasm32-wasip1/debug/.fingerprint/c-3/lib-c", "");
        let mut found = fingerprints(dir.path());
        found.sort();
        let paths = ["debug/.fingerprint/a-1", "release/build/b/2", "wasm32-wasip1/debug/.fingerprint/c-3"];
        assert_eq!(found, paths.map(|path| dir.path().join(path)));
    }
}
