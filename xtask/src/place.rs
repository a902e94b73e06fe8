//! Where things lie: derived from the launcher's package folder and its own file, by asking nobody.
//!
//! Invariant: the suite's binary is looked for exactly where the build that [`crate::build`] runs puts it.

use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};

use crate::program::Program;

/// The profile that launcher and suite are built in: one of their own, so that they neither wait for nor block
/// a running `cargo build`.
pub(crate) const PROFILE: &str = "xtask";
/// Below a target dir: what is built for a copy of the suite.
const SUITE: &str = "xtask-suite";

/// The folders and files of one clone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The clone's workspace: the folder above the launcher's package.
    pub(crate) root: PathBuf,
    /// The workspace the suite is a member of: `root`, or the vendored one.
    pub(crate) workspace: PathBuf,
    /// The program that is wanted.
    pub(crate) program: Program,
    /// The folder of the package that has its binary.
    pub(crate) package: PathBuf,
    /// The folder of the workspace's own tasks, where the suite is a copy.
    pub(crate) tasks: Option<PathBuf>,
    /// What cargo gets as `--target-dir` for the suite.
    pub(crate) target_dir: PathBuf,
    /// The target triple that the launcher was built for, where cargo was told one. The suite is built for the
    /// same, whatever `build.target` says: that may be a device that runs neither.
    pub(crate) triple: Option<String>,
    /// The folder of the launcher's own file.
    pub(crate) launcher_dir: PathBuf,
    /// The program's file.
    pub(crate) binary: PathBuf,
    /// What is written beside it after a build: [`crate::stamp`].
    pub(crate) stamp: PathBuf,
}

impl Place {
    /// `exe` is the launcher's own file, `<target>/[<triple>/]<profile>/xtask`, or where the launcher is an example
    /// `…/<profile>/examples/xtask`. `None` when nothing is above `package_dir` or `exe`.
    pub(crate) fn find(package_dir: &Path, exe: &Path, program: Program) -> Option<Self> {
        let root = package_dir.parent()?.to_owned();
        let launcher_dir = exe.parent()?.to_owned();
        let is_example = launcher_dir.file_name().is_some_and(|name| name == "examples");
        let profile_dir = if is_example { launcher_dir.parent()? } else { &*launcher_dir };
        let (target, triple) = target_and_triple(profile_dir.parent()?);
        let vendored = package_dir.join("suite");
        let is_copy = vendored.join("Cargo.toml").exists();
        let (workspace, tasks, target_dir) = if is_copy {
            (vendored, Some(package_dir.join("tasks")), target.join(SUITE).join("build"))
        } else {
            (root.clone(), None, target.to_owned())
        };
        let crates = workspace.join("crates");
        let package = match (program, &tasks) {
            // Tasks stand beside the suite's own commands, so they make the program.
            (Program::Daily, Some(tasks)) => tasks.clone(),
            (Program::Daily, None) => crates.join("suite"),
            // Where the suite's sources are elsewhere, a package in its place starts it.
            (Program::Workshop, Some(_)) if !crates.exists() => workspace.join("workshop"),
            (Program::Workshop, _) => crates.join("workshop"),
        };
        let binary_dir = target_dir.join(triple).join(PROFILE);
        let name = program.name();
        let binary = binary_dir.join(format!("{name}{EXE_SUFFIX}"));
        let stamp = binary_dir.join(format!("{name}.stamp"));
        let triple = triple.to_str().filter(|triple| !triple.is_empty()).map(str::to_owned);
        Some(Self {
            root,
            workspace,
            program,
            package,
            tasks,
            target_dir,
            triple,
            launcher_dir,
            binary,
            stamp,
        })
    }

    /// The dep-info file that cargo writes beside the binary.
    pub(crate) fn dep_info(&self) -> PathBuf {
        self.binary.with_file_name(format!("{}.d", self.program.name()))
    }
}

/// Splits `<target>[/<triple>]`. With a triple, cargo 1.95 marks both folders with `CACHEDIR.TAG`, but keeps
/// `.rustc_info.json` in the upper one only; a target folder inside another one has both files itself.
fn target_and_triple(above_profile: &Path) -> (&Path, &Path) {
    let no_triple = (above_profile, Path::new(""));
    let Some(above) = above_profile.parent() else { return no_triple };
    if above_profile.join(".rustc_info.json").exists() || !above.join("CACHEDIR.TAG").exists() {
        return no_triple;
    }
    (above, above_profile.strip_prefix(above).unwrap_or(Path::new("")))
}
