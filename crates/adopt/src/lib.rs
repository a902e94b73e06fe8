//! Puts the suite into another workspace, keeps it up to date there, and takes it out again.
//!
//! What an adopted copy can do is always here: say what was adopted, take it back, and observe what does not build.
//! Adopting and updating need a clone of the suite. They are behind the feature `put`, whose sources are not copied.

mod format_1;
mod observe;
#[cfg(feature = "put")]
mod put;
mod record;

pub use observe::{Finding, Interrupted, ObservePlan, observe};
#[cfg(feature = "put")]
pub use put::{
    AdoptOptions, AdoptPlan, Existing, Host, Source, Update, plan, takes_lock_file, unchanged_but_for,
};
pub use record::{Adopted, How, find_adopted, plan_undo, remove_target_dir, short, without_launcher};
