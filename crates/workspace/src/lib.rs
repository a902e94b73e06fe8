//! The host workspace, read-only: what cargo says of it, `xtask.toml`, the toolchain, which packages a
//! command selects, and cargo commands as values.
//!
//! Invariant: nothing here writes into the workspace but below its target dir.

mod cargo_command;
mod cargo_config;
pub mod config;
mod environment;
mod error;
mod hash;
mod metadata;
mod model;
mod progress;
mod toolchain;
mod workspace;

pub use cargo_command::{CargoCommand, shell_quote};
pub use cargo_config::{CargoConfig, cargo_home, config_candidates, home};
pub use environment::{Environment, Launch};
pub use error::{EnvironmentLacks, WrongUsage};
pub use hash::{Digest, Hasher, digest};
pub use model::{Facts, LocalDependency, LocalPackage, TargetFacts};
pub use progress::{Progress, Silent};
pub use toolchain::on_path;
pub use workspace::Workspace;
