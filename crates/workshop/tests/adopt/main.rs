//! `adopt` on many kinds of workspaces, with real cargo: it adds the suite and changes nothing else, not in the
//! files and not in what cargo makes of them; and it goes away again without a trace.
//!
//! [`hosts`] has a table of workspaces, each with some property that an edit could get wrong; [`grid`] has what must
//! hold for all of them. Every host goes through adopt, adopt again and undo, with real builds and tests before and
//! after. Calling the adopted `cargo xtask` takes seconds more, so only the hosts that the table marks for it do:
//!
//! ```text
//! XTASK_ADOPT_GRID=all cargo test -p xtask-workshop --test adopt    # all of them
//! ```
//!
//! The other modules are about one thing each that a host can do with the suite afterwards.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

mod cargo_view;
mod grid;
mod host;
mod hosts;
mod insertions;
mod merge;
mod observe;
mod refusals;
mod store;
mod tiers;
mod undo;
mod update;
mod ways;
