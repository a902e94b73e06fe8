//! After a sweep every command that is needed compiles nothing, and what is left is what a build from nothing leaves.
//!
//! `XTASK_SWEEP_HISTORIES=200 cargo test --package xtask-suite --test sweep histories -- --nocapture` goes through more
//! lives than the tier does; `XTASK_SWEEP_SEED=17` starts at another seed, and the seed decides everything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::{History, Tally};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect(name))
}

#[test]
#[expect(clippy::disallowed_macros, reason = "the numbers are the result of the slow run")]
fn a_sweep_leaves_what_is_needed_and_nothing_else() {
    let first = setting("XTASK_SWEEP_SEED", 1);
    let count = setting("XTASK_SWEEP_HISTORIES", 5);
    let most_members = if count > 5 { 6 } else { 3 };
    let next = AtomicU64::new(first);
    let total = Mutex::new(Tally::default());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    match catch_unwind(AssertUnwindSafe(|| History::new(seed, most_members).run(3))) {
                        Ok(tally) => total.lock().unwrap().add(&tally),
                        Err(_) => failed.lock().unwrap().push(seed),
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!("{total:?}");
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "the histories of these seeds failed (see above): {failed:?}");
    assert!(
        total.removed_units > 0 && total.kept_units > 0,
        "nothing was ever stale, so nothing was proven: {total:?}"
    );
    assert!(total.broken * 4 < total.histories.max(4), "too many lives ended in ruins: {total:?}");
}
