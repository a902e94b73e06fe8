//! Whether there is enough memory for the compilers that run at once.

use xtask_workspace::{CargoConfig, Environment};

use super::{Check, Subject, size};
use crate::memory::{fitting_jobs, free_bytes, total_bytes};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let (config, environment) = (&subject.workspace.cargo_config, &subject.workspace.environment);
    let Some((free, total)) = free_bytes().zip(total_bytes()) else { return Vec::new() };
    let per_job = subject.options.setup.memory_per_job;
    vec![judge(jobs(config, environment, subject.options.cores), per_job, free, total)]
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
fn judge((jobs, by): (usize, String), per_job: u64, free: u64, total: u64) -> Check {
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
            let check = judge((jobs, "x".to_owned()), 2 * gib, free * gib, total * gib);
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
}
