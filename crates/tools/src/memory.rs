//! The memory that builds here may use, and how many compilers it is enough for.

use sysinfo::System;

/// All memory of the machine, in bytes; in a container with a limit, that limit. `None` where the system does not tell.
pub(crate) fn total_bytes() -> Option<u64> {
    let system = read()?;
    let limit = system.cgroup_limits().map(|limits| limits.total_memory).filter(|limit| *limit > 0);
    let total = system.total_memory();
    Some(limit.map_or(total, |limit| limit.min(total))).filter(|total| *total > 0)
}

/// The memory that is not in use now, in bytes; in a container with a limit, what is left of it.
pub(crate) fn free_bytes() -> Option<u64> {
    let system = read()?;
    let limit = system.cgroup_limits().map(|limits| limits.free_memory).filter(|limit| *limit > 0);
    let free = system.available_memory();
    Some(limit.map_or(free, |limit| limit.min(free))).filter(|free| *free > 0)
}

fn read() -> Option<System> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    Some(system)
}

/// The number of compilers to run at once, where all cores at `memory_per_job` bytes each would take more memory than
/// the machine has; `None` leaves it to cargo.
pub(crate) fn fitting_jobs(cores: usize, memory_bytes: u64, memory_per_job: u64) -> Option<usize> {
    let fit = usize::try_from(memory_bytes / memory_per_job.max(1)).unwrap_or(usize::MAX).max(1);
    (fit < cores).then_some(fit)
}

#[cfg(test)]
mod tests {
    use super::*;

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
