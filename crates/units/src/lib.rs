//! Sets of cargo compile units: those a command would need (the shadow plan) and those it did build (the
//! record). Nobody else in the suite runs cargo builds or reads cargo's output.

pub mod fake;
mod messages;
mod plan_log;
mod shadow;
mod shadow_dir;
mod unit;

pub use shadow::{Shadow, Source, plan};
pub use unit::{Mode, TargetKind, Unit, UnitIdentity, UnitSet};
