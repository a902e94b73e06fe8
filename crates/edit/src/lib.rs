//! Changes to files that belong to the user: shown as a diff, made all or none, and undone later. TOML is changed by
//! meaning.
//!
//! Invariant: every byte that an edit is not about survives.

mod diff;
mod edit;
mod journal;
mod toml;
mod transaction;
mod undo;

pub use crate::toml::TomlText;
pub use diff::{Change, describe, unified_diff};
pub use edit::{Edit, Node};
pub use transaction::{Conflict, Recovered, Transaction, pending};
pub use undo::{Inverse, Kept, Reversal, UndoPlan, extend, is_same_text, plan_undo};
