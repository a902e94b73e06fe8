//! Whether there is enough memory for the compilers that run at once, and enough space for the target dir.

use camino::Utf8Path;
use xtask_workspace::{CargoConfig, Environment};

use super::{Check, Subject, size};
use crate::memory::{fitting_jobs, free_bytes, total_bytes};

pub(super) fn memory(subject: &Subject<'_>) -> Vec<Check> {
    let (config, environment) = (&subject.workspace.cargo_config, &subject.workspace.environment);
    let Some((free, total)) = free_bytes().zip(total_bytes()) else { return Vec::new() };
    let per_job = subject.options.setup.memory_per_job;
    vec![judge_memory(jobs(config, environment, subject.options.cores), per_job, free, total)]
}

/// How many compilers cargo runs at once, and who says so.
fn jobs(config: &CargoConfig, environment: &Environment, cores: usize) -> (usize, String) {
    // A negative number is counted from that of the cores.
    let read = |text: &str| {
        let number = text.parse::<i64>().ok()?;
        let cores = i64::try_from(cores).ok()?;
        usize::try_from(if number < 0 { (cores + number).max(1) } else { number }).ok()
    };
    if let Some(jobs) = environment.get("CARGO_BUILD_JOBS").and_then(read) {
        return (jobs, "CARGO_BUILD_JOBS".to_owned());
    }
    let keys = ["build", "jobs"];
    let in_file = config.set_in(&keys).next();
    match in_file.and_then(|(file, value)| Some((read(&value.as_integer()?.to_string())?, file.to_string())))
    {
        Some((jobs, file)) => (jobs, file),
        None => (cores, "one for each core".to_owned()),
    }
}

/// Compares the memory that `jobs`, set by `by`, need with the bytes that are free and in total.
fn judge_memory((jobs, by): (usize, String), per_job: u64, free: u64, total: u64) -> Check {
    const NAME: &str = "memory";
    let need = per_job.saturating_mul(u64::try_from(jobs).unwrap_or(u64::MAX));
    let claim = format!("{jobs} jobs ({by}) of {} each", size(per_job));
    let (needed, free_now, all) = (size(need), size(free), size(total));
    if let Some(fitting) = fitting_jobs(jobs, total, per_job) {
        let fix = format!("cargo xtask setup, which sets jobs = {fitting} for this machine");
        return Check::warn(NAME, format!("{claim} need {needed}, and there are {all}"), fix);
    }
    if let Some(fitting) = fitting_jobs(jobs, free, per_job) {
        let evidence = format!("{claim} need {needed}, and {free_now} of {all} are free now");
        return Check::warn(NAME, evidence, format!("close other programs, or build with --jobs {fitting}"));
    }
    Check::ok(NAME, format!("{claim}; {free_now} of {all} are free"))
}

const GIB: u64 = 1 << 30;
/// Below this a build of a normal workspace fails halfway.
const FAILS_BELOW: u64 = GIB;
/// Below this the next one may.
const WARNS_BELOW: u64 = 5 * GIB;

pub(super) fn disk(subject: &Subject<'_>) -> Vec<Check> {
    let facts = &subject.workspace.facts;
    let mut dirs = vec![&facts.target_dir];
    if !facts.build_dir.starts_with(&facts.target_dir) {
        dirs.push(&facts.build_dir);
    }
    dirs.into_iter().filter_map(|dir| Some(judge_disk(dir, free_on_disk(dir)?))).collect()
}

/// The bytes that a user may still write to the file system of `dir`, or of the nearest folder above it that is there.
/// `None` where the system does not say.
fn free_on_disk(dir: &Utf8Path) -> Option<u64> {
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

fn judge_disk(dir: &Utf8Path, free: u64) -> Check {
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
    fn jobs_are_compared_with_memory() {
        let gib = 1_u64 << 30;
        // jobs, GiB in all, GiB free; how it is, a part of the fix
        let table = [
            (2, 16, 8, Status::Ok, ""),
            (16, 16, 16, Status::Warn, "jobs = 8"),
            (4, 16, 5, Status::Warn, "--jobs 2"),
        ];
        for (jobs, total, free, status, fix) in table {
            let check = judge_memory((jobs, "x".to_owned()), 2 * gib, free * gib, total * gib);
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
}
