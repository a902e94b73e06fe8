//! What probes need to know: the workspace, the toolchain, and where to put what they make.

use std::time::Duration;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, remove_dir, write_atomic};
pub(crate) use xtask_workspace::OWN_FOLDER;
pub use xtask_workspace::private_bin;
use xtask_workspace::{Call, Environment, Workspace, cargo_home};

use crate::process::successful;

/// rustup may have to unpack a toolchain first; else this takes 50 ms.
const RUSTC_ANSWERS: Duration = Duration::from_secs(120);

/// This machine, as seen from a workspace.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The workspace's root; probes run there, so that its toolchain file and cargo configuration count.
    pub root: Utf8PathBuf,
    /// The user's environment.
    pub environment: Environment,
    /// The host triple.
    pub host: String,
    /// What `rustc --version` says; empty where rustc was not asked.
    pub rustc: String,
    /// The toolchain's folder `lib/rustlib/HOST`; empty where rustc was not asked.
    pub rustlib: Utf8PathBuf,
    /// Our own folder below the target dir.
    pub state_dir: Utf8PathBuf,
}

impl Machine {
    /// Asks the workspace's rustc where it is.
    pub fn of(workspace: &Workspace) -> Result<Self> {
        let mut machine = Self::without_toolchain(workspace);
        let ask = |args: &[&str]| {
            let call = Call::new(&machine.root, "rustc", args.iter().copied());
            let said = successful(&call, &machine.environment, RUSTC_ANSWERS)?.stdout;
            anyhow::Ok(said.lines().next().with_context(|| format!("`{call}` said nothing"))?.to_owned())
        };
        let (sysroot, rustc) = (ask(&["--print", "sysroot"])?, ask(&["--version"])?);
        machine.rustlib = Utf8Path::new(&sysroot).join("lib/rustlib").join(&machine.host);
        machine.rustc = rustc;
        Ok(machine)
    }

    /// The same without asking rustc: enough to look for programs that are not the toolchain's.
    pub(crate) fn without_toolchain(workspace: &Workspace) -> Self {
        Self {
            root: workspace.root().to_owned(),
            environment: workspace.environment.clone(),
            host: workspace.facts.host.clone(),
            rustc: String::new(),
            rustlib: Utf8PathBuf::new(),
            state_dir: workspace.state_dir().join("setup"),
        }
    }

    /// The folder of tools that are for this workspace only. It is not in the target dir: `cargo clean` must not remove
    /// what cargo's configuration names.
    pub fn private_bin(&self) -> Utf8PathBuf {
        private_bin(&self.root)
    }

    /// The `bin` folder in cargo's home.
    pub fn cargo_bin(&self) -> Option<Utf8PathBuf> {
        cargo_home(&self.environment).map(|home| home.join("bin"))
    }

    /// A new, empty folder for what a probe makes, removed when it is dropped; a folder that a killed process left is emptied.
    /// The caller holds the lock of a setup, so nobody else uses it. It is below the target dir, because what is linked
    /// there has to run.
    pub(crate) fn scratch(&self, name: &str) -> Result<Scratch> {
        let dir = self.state_dir.join("probes").join(name);
        remove_dir(&dir)?;
        std::fs::create_dir_all(&dir).with_context(|| format!("failed to create folder {dir}"))?;
        Ok(Scratch(dir))
    }
}

/// Its `.gitignore`: git ignores the folder, and no file of the user's changes.
pub(crate) const IGNORES_ITSELF: &str = "*\n";

/// Makes git ignore that folder.
pub(crate) fn ignore_own_folder(root: &Utf8Path) -> Result<()> {
    write_atomic(&root.join(OWN_FOLDER).join(".gitignore"), IGNORES_ITSELF, Durability::Cache)
}

/// A folder that is removed when it is dropped.
pub(crate) struct Scratch(Utf8PathBuf);

impl Scratch {
    pub(crate) fn path(&self) -> &Utf8Path {
        &self.0
    }

    /// Writes a file in it, and creates the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<Utf8PathBuf> {
        let path = self.0.join(name);
        write_atomic(&path, text, Durability::Cache)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover is below the target dir, and the next probe with that name removes it.
        let _ = remove_dir(&self.0);
    }
}
