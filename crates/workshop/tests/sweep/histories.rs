//! After a sweep every command that is needed compiles nothing, and what is left is what a build from nothing leaves.
//!
//! `XTASK_SWEEP_HISTORIES=200 cargo test --package xtask-workshop --test sweep histories -- --nocapture` goes through more
//! lives than the tier does; `XTASK_SWEEP_SEED=17` starts at another seed, and the seed decides everything.

use xtask_testkit::{each_seed, setting};

use crate::history::{History, Tally};

#[test]
#[expect(clippy::disallowed_macros, reason = "the numbers are the result of the slow run")]
fn a_sweep_leaves_what_is_needed_and_nothing_else() {
    let first = setting("XTASK_SWEEP_SEED", 1);
    let count = setting("XTASK_SWEEP_HISTORIES", 5);
    let most_members = if count > 5 { 6 } else { 3 };
    let mut total = Tally::default();
    for tally in each_seed(first, count, |seed| History::new(seed, most_members).run(3)) {
        total.add(tally);
    }
    println!("{total:?}");
    assert!(
        total.removed_units > 0 && total.kept_units > 0,
        "nothing was ever stale, so nothing was proven: {total:?}"
    );
    assert!(total.broken * 4 < total.histories.max(4), "too many lives ended in ruins: {total:?}");
}
