//! `test-fast` never skips a member that a change can break, and never calls a run green that is not.
//!
//! The oracle knows no graph: after each random edit or git operation it runs every test of a generated workspace
//! with plain cargo, in a build dir of its own. Each test writes down a number made from everything that it
//! depends on, so it is seen that an edit *can* break a test even where the verdict stays the same.
//!
//! Invariant checked after each step, for every member: either the numbers that its tests had when `test-fast`
//! last ran it equal the oracle's numbers now, or nothing since the merge base reaches it and its numbers equal
//! those at the merge base.
//!
//! `XTASK_ORACLE_HISTORIES=200 XTASK_ORACLE_EDITS=12 cargo test -p xtask-suite --test oracle -- --nocapture` goes
//! through more of them; `XTASK_ORACLE_SEED=17` starts at another seed, and with `XTASK_ORACLE_HISTORIES=1` goes
//! through that one alone: the seed decides everything.

mod git_steps;
mod history;
mod tests_run;
mod traps;

use history::{History, Tally};
use xtask_testkit::{each_seed, setting};

#[test]
#[expect(clippy::disallowed_macros, reason = "the numbers are the result of the slow run")]
fn no_member_that_a_change_can_break_is_skipped() {
    let first = setting("XTASK_ORACLE_SEED", 1);
    let count = setting("XTASK_ORACLE_HISTORIES", 5);
    let steps = usize::try_from(setting("XTASK_ORACLE_EDITS", 8)).expect("a number of edits");
    // Five histories have to be quick; many may be large.
    let most_members = if count > 5 { 8 } else { 4 };
    let mut total = Tally::default();
    for tally in each_seed(first, count, |seed| History::new(seed, most_members).run(steps)) {
        total.add(&tally);
    }
    println!("{total}");
    assert!(total.skipped > 0 && total.steps > 0, "nothing was ever skipped, so nothing was proven: {total}");
}
