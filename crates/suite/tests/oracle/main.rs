//! A test program is not run again only where a run would say the same, and nothing is called green that is not.
//!
//! The oracle knows no graph and no key: after each random edit, git operation or accident it runs every test of a
//! generated workspace without the suite. Each test writes down a number made from everything that it depends on, so
//! it is seen that an edit *can* break a test even where it still passes.
//!
//! Invariant checked after each step, for every program: one that ran has the oracle's numbers and verdict; one that
//! is remembered has numbers with which it has passed before; one that is left out has the numbers of the merge base.
//! So that this examines memories and not luck, the oracle is examined too: it has to see what a memory with too
//! small a key gets wrong, and must not accuse one whose key is everything there is.
//!
//! `XTASK_ORACLE_HISTORIES=200 XTASK_ORACLE_EDITS=12 cargo test -p xtask-suite --features heavy --test oracle --
//! --nocapture` goes through more of them; `XTASK_ORACLE_SEED=17` starts at another seed, and with
//! `XTASK_ORACLE_HISTORIES=1` goes through that one alone: the seed decides everything.

mod checkout;
mod fake;
mod git_steps;
mod history;
mod said;
mod traps;

use fake::{Clause, Fake};
use history::{History, Tally};
use said::Subject;
use xtask_testkit::{each_seed, setting};

/// Histories by the settings, or so many of so many edits.
fn histories(count: u64, edits: u64, subject: impl Fn() -> Subject + Sync) -> Tally {
    let first = setting("XTASK_ORACLE_SEED", 1);
    let count = setting("XTASK_ORACLE_HISTORIES", count);
    let edits = usize::try_from(setting("XTASK_ORACLE_EDITS", edits)).expect("a number of edits");
    // A few histories have to be quick; many may be larger.
    let most_members = if count > 5 { 5 } else { 4 };
    let mut total = Tally::default();
    let live = |seed| {
        let mut history = History::new(seed, most_members, subject());
        // While the history is there, so that its folder stays.
        history.run(edits).unwrap_or_else(|story| panic!("{story}")).clone()
    };
    for tally in each_seed(first, count, live) {
        total.add(&tally);
    }
    total
}

#[test]
#[expect(clippy::disallowed_macros, reason = "the numbers are the result of the slow run")]
fn no_program_that_a_change_can_break_is_remembered() {
    let total = histories(3, 6, || Subject::Suite);
    println!("{total}");
    assert!(
        total.remembered > 0 && total.steps > 0,
        "nothing was remembered, so nothing was proven: {total}"
    );
}

#[test]
#[expect(clippy::disallowed_macros, reason = "the numbers are the result of the slow run")]
fn a_memory_whose_key_is_everything_is_not_accused() {
    let total = histories(1, 6, || Subject::Fake(Fake::new(Clause::ALL)));
    println!("{total}");
    assert!(total.remembered > 0, "{total}");
}

/// `XTASK_ORACLE_CLAUSES=all` leaves out each clause in turn and takes an hour; without it only the one that is missed soonest.
#[test]
#[expect(clippy::disallowed_macros, reason = "the numbers are the result of the slow run")]
fn a_memory_whose_key_lacks_a_clause_is_found_out() {
    let asked = std::env::var("XTASK_ORACLE_CLAUSES").unwrap_or_else(|_| "Inputs".to_owned());
    let named =
        |clause: &Clause| asked == "all" || asked.split(' ').any(|name| name == format!("{clause:?}"));
    // The first that finds `Inputs` out.
    let first = setting("XTASK_ORACLE_SEED", 111);
    for left_out in Clause::ALL.into_iter().filter(named) {
        let clauses = || Clause::ALL.into_iter().filter(|clause| *clause != left_out);
        let found = (first..first + 40)
            .find_map(|seed| History::new(seed, 5, Subject::Fake(Fake::new(clauses()))).run(12).err());
        println!("{left_out:?}: {}", found.as_deref().unwrap_or("never"));
        assert!(found.is_some(), "{left_out:?} is not missed in 40 histories");
    }
}
