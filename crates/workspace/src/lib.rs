//! The host workspace, read-only: what cargo says of it, `xtask.toml`, the toolchain, which packages a
//! command selects, and cargo commands as values.
//!
//! Invariant: nothing here writes into the workspace but below its target dir.

mod affected;
mod call;
mod cargo_command;
mod cargo_config;
pub mod cfg;
pub mod config;
mod dependencies;
mod environment;
mod error;
mod git;
mod hash;
mod machine;
mod metadata;
mod model;
mod progress;
mod selection;
mod toolchain;
mod workspace;

pub use affected::{Change, Files, Reach, Reads, may_read_outside};
pub use call::{Call, shell_quote};
pub use cargo_command::{Arg, CargoCommand, Flag};
pub use cargo_config::{CargoConfig, cargo_home, config_candidates, home, target_variable};
pub use environment::{Environment, Launch};
pub use error::{EnvironmentLacks, WrongUsage};
pub use git::{Base, Changes, changes, is_ignored, tracked};
pub use hash::{Digest, Hasher, digest, stamp};
pub use machine::{LOCAL_FILE, OWN_FOLDER, local_file, private_bin};
pub use metadata::{CargoVersion, Outline};
pub use model::{Facts, LocalDependency, LocalPackage, TargetFacts};
pub use progress::{Progress, Silent};
pub use selection::{feature_args, package_args, preset_features, target_args};
pub use toolchain::{on_path, program_in};
pub use workspace::{Workspace, has_workspace_table};
