//! `cargo xtask setup` on machines of its own: real linkers, a real sccache, a real nextest, and what lies about itself.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

mod faults;
mod installs;
mod liars;
mod proofs;
mod settings;
mod support;
mod tiers;
