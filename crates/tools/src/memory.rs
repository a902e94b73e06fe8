//! The memory that builds here may use.

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
