//! Changes to files that belong to somebody else: made by meaning, shown as a diff, all or nothing, undoable.
//!
//! Invariant: every byte that an edit does not mean survives.

mod toml;

pub use crate::toml::{TomlProblem, TomlText};
