//! Decides what in a build dir is stale, removes it safely, and says where the space is.
//!
//! Stale is what lies on disk (the inventory) and no command that matters would need (the shadow plans). Invariant:
//! what cannot be told is kept, and said to be kept.

mod decide;
mod disk;
mod disk_units;
mod dwo;
mod execute;
mod guard;
mod incremental;
mod live;
mod locks;
mod max_size;
mod plan;
mod report;
mod saved;
mod verify;
mod why;

pub use disk::{DiskReport, Share, Variant, Variants, disk};
pub use guard::unmarked;
pub use live::LiveCommand;
pub use max_size::Cost;
pub use plan::{KindShare, Largest, Planned, ReasonShare, Skipped, SweepOptions, SweepPlan};
pub use report::{Failure, SweepReport, Verified};
pub use saved::SavedPlan;
pub use verify::verify;
