//! The host workspace, read-only: what cargo and git say of it, `xtask.toml`, which packages a command selects, and cargo
//! commands as values.
//!
//! Invariant: nothing here writes into the workspace except below its target dir.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

mod affected;
mod call;
mod cargo_command;
mod cargo_config;
pub mod config;
mod environment;
mod git;
mod hash;
mod lacks;
mod metadata;
mod selection;
mod workspace;

pub use affected::{Change, Files, Reach, may_read_outside, may_start_what_is_built, names_what_is_built};
pub use call::{Call, shell_quote};
pub use cargo_command::{Arg, CargoCommand, Flag};
pub use cargo_config::{CargoConfig, cfg, config_candidates, target_variable};
pub use environment::{Environment, Launch, cargo_home, home, on_path, program_in};
pub use git::{Base, Changes, Listed, changes, head_commit, is_ignored, listing, repository_top, tracked};
pub use hash::{Digest, Hasher, digest, stamp};
pub use lacks::{missing_wrapper, pinned_toolchain, program_at};
pub use metadata::{CargoVersion, Facts, LocalDependency, LocalPackage, Outline, TargetFacts};
pub use selection::{feature_args, package_args, preset_features, target_args};
pub use workspace::{Workspace, has_workspace_table};

/// The user asked for something that does not exist or contradicts itself (exit code 2).
#[derive(Debug)]
pub struct WrongUsage(pub String);

/// The machine lacks something that is required (exit code 3).
#[derive(Debug)]
pub struct EnvironmentLacks(pub String);

impl EnvironmentLacks {
    /// With what to do about it.
    pub fn with_fix(what: &str, fix: &str) -> Self {
        Self(format!("{what}{NEXT}{fix}"))
    }

    /// What is lacking, on one line.
    pub fn what(&self) -> String {
        self.0.split(NEXT).next().unwrap_or_default().replace('\n', " ")
    }

    /// What to do about it.
    pub fn fix(&self) -> Option<&str> {
        self.0.split_once(NEXT).map(|(_, fix)| fix)
    }
}

/// Before what to do next.
const NEXT: &str = "\n  next: ";

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EnvironmentLacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}
impl std::error::Error for EnvironmentLacks {}

/// Receives what happens while a plan is executed. `suite` renders it; tests collect it.
pub trait Progress: Sync {
    /// A line of a tool's own output, colours included, to be shown as it is.
    fn output(&self, line: &str);

    /// Something worth saying once: a fallback taken, a file that selects everything.
    fn note(&self, text: &str);

    /// Something that only `-v` shows: why a choice was made, the exact command.
    fn detail(&self, text: &str);

    /// So many units are done (of so many, where a plan told), the last one being `unit`.
    fn units(&self, done: usize, of: Option<usize>, unit: &str);
}

/// Says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn output(&self, _line: &str) {}
    fn note(&self, _text: &str) {}
    fn detail(&self, _text: &str) {}
    fn units(&self, _done: usize, _of: Option<usize>, _unit: &str) {}
}

/// The name of the file with the settings of this machine, beside cargo's own configuration, which includes it.
pub const LOCAL_FILE: &str = "xtask.local.toml";
/// The folder, relative to the root, for what only this workspace on this machine uses; git ignores it.
pub const OWN_FOLDER: &str = ".cargo/xtask-tools";

/// The file with the settings of this machine.
pub fn local_file(root: &Utf8Path) -> Utf8PathBuf {
    root.join(".cargo").join(LOCAL_FILE)
}

/// The folder of the tools that only the workspace at `root` uses. Not in the target dir: `cargo clean` must not remove
/// what cargo's configuration names.
pub fn private_bin(root: &Utf8Path) -> Utf8PathBuf {
    root.join(OWN_FOLDER).join("bin")
}
