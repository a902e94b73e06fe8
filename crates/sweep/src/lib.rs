//! Decides what in a build dir is stale, removes it safely, and says where the space is.
//!
//! Stale is what is on disk (the inventory) and no command that matters would need (the shadow plans). Invariant: what
//! cannot be determined is kept, and reported as kept.

mod decide;
mod disk;
mod execute;
mod guard;
mod live;
mod max_size;
mod plan;
mod why;

pub use disk::{DiskReport, Share, Variant, Variants, disk};
pub use execute::{Baseline, Failure, SweepReport, Verified, left, verify};
pub use live::LiveCommand;
pub use max_size::Cost;
pub use plan::{KindShare, Largest, Planned, ReasonShare, Skipped, SweepOptions, SweepPlan};
