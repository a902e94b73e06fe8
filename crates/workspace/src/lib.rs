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
mod environment;
mod error;
mod git;
mod hash;
mod lock_graph;
mod machine;
mod member_inputs;
mod metadata;
mod model;
mod progress;
mod selection;
mod toolchain;
mod workspace;

pub use affected::{Globs, MayReadOutside, Question, Reach, Reads, Reason, reach};
pub use call::{Call, shell_quote};
pub use cargo_command::{Arg, CargoCommand, Flag};
pub use cargo_config::{CargoConfig, cargo_home, config_candidates, home, target_variable};
pub use environment::{Environment, Launch};
pub use error::{EnvironmentLacks, WrongUsage};
pub use git::{Base, Changes, Contents, LockBefore, changes, is_ignored, stamp, tracked};
pub use hash::{Digest, Hasher, digest};
pub use lock_graph::{LockGraph, changed_members};
pub use machine::{LOCAL_FILE, OWN_FOLDER, local_file, private_bin};
pub use member_inputs::{InputsQuestion, member_inputs};
pub use metadata::{CargoVersion, Outline};
pub use model::{Facts, LocalDependency, LocalPackage, TargetFacts};
pub use progress::{Progress, Silent};
pub use selection::{feature_args, package_args, preset_features, target_args};
pub use toolchain::{on_path, program_in};
pub use workspace::{Workspace, has_workspace_table};
