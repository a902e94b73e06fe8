//! Sets of cargo compile units: those a command would need (the shadow plan), those it did build (the record) and those on
//! disk (the inventory). Only this crate runs cargo builds, reads cargo's output and walks the build dir.

mod assemble;
pub mod fake;
mod fingerprint;
mod forecast;
mod freshness;
pub mod inventory;
mod messages;
pub mod process;
mod record;
mod shadow;
mod unit;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use fingerprint::Fingerprint;
pub use forecast::{Forecast, Times, UnitTime, forecast, milliseconds};
pub use freshness::{State, dep_info_outputs, states};
pub use process::{end_by_signal, holding_signals};
pub use record::{BuiltUnit, CompileError, FailedTarget, Record, RunOptions, ScriptRun, run, without_colour};
pub use shadow::{Shadow, cached, forget_plans, plan, plan_all, scratch_dir, user_rustdoc};
pub use unit::{Comparison, Incremental, Mode, Split, TargetKind, Unit, UnitSet, compare};

/// The time now, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    whole_milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How many threads this process may use at once, within its limits.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The results of `work` on each of `things`, in their order, with `jobs` threads including this one.
pub fn parallel<I: IntoIterator<IntoIter: ExactSizeIterator + Send>, R: Send>(
    jobs: usize,
    things: I,
    work: impl Fn(I::Item) -> R + Sync,
) -> Vec<R> {
    let things = things.into_iter();
    let count = things.len();
    let next = Mutex::new(things.enumerate());
    let done = Mutex::new(Vec::with_capacity(count));
    let run = || {
        loop {
            let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, thing)) = taken else { break };
            let result = work(thing);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(count) {
            scope.spawn(run);
        }
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_in_order() {
        let things = (0..1000).collect::<Vec<u32>>();
        for jobs in [0, 1, 2, 8] {
            assert_eq!(
                parallel(jobs, &things, |thing| thing * 2),
                things.iter().map(|thing| thing * 2).collect::<Vec<_>>()
            );
        }
        assert!(parallel(4, &[] as &[u32], |thing| *thing).is_empty());
    }
}
