//! Changes to files that belong to somebody else: made by meaning, shown as a diff, all or nothing, undoable.
//!
//! Invariant: every byte that an edit does not mean survives.

mod diff;
mod inverse;
mod journal;
mod node;
mod patch;
mod place;
mod roll_back;

mod toml;
mod transaction;
mod undo;

pub use crate::toml::{TomlProblem, TomlText};
pub use diff::{describe, unified_diff};
pub use inverse::Inverse;
pub use node::{Edit, Node};
pub use roll_back::{Conflict, Recovered};
pub use transaction::{Transaction, pending};
pub use undo::{Kept, Old, Reversal, UndoPlan, extend, plan_undo};
