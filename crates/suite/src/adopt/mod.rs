//! `cargo xtask adopt`: puts the suite into somebody else's workspace.

#[cfg_attr(not(test), expect(dead_code, reason = "the command that calls it is not there yet"))]
mod infer;
