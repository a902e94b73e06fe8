//! Where a workspace keeps what belongs to one machine: settings and tools that never reach git.

use camino::{Utf8Path, Utf8PathBuf};

/// The name of the file with the settings of this machine, beside cargo's own configuration, which includes it.
pub const LOCAL_FILE: &str = "xtask.local.toml";
/// The folder, relative to the root, with what only this workspace on this machine shall have; git ignores it.
pub const OWN_FOLDER: &str = ".cargo/xtask-tools";

/// The file that holds the settings of this machine.
pub fn local_file(root: &Utf8Path) -> Utf8PathBuf {
    root.join(".cargo").join(LOCAL_FILE)
}

/// Where the tools of the workspace at `root` lie that nobody else shall have. It is no part of the target dir:
/// `cargo clean` must not take away what cargo's configuration names.
pub fn private_bin(root: &Utf8Path) -> Utf8PathBuf {
    root.join(OWN_FOLDER).join("bin")
}
