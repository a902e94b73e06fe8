//! Which of the suite's two programs a call is for, and where its files are: derived from the arguments, the launcher's
//! package folder and its own file, without asking anybody.
//!
//! Invariant: the program is looked for exactly where the build that `build.rs` runs puts it.

use std::env::consts::{ARCH, EXE_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A program of the suite. Each is built when it is first asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// What people run all day, with a project's own tasks and the help of all commands.
    Daily,
    /// The commands that people need now and then.
    Workshop,
}

/// The workshop's commands. The daily program refuses tiers and tasks with such a name.
pub(crate) const WORKSHOP: [&str; 7] =
    ["setup", "doctor", "clean-stale", "disk", "test-inputs", "adopt", "version"];

impl Program {
    /// The program that has the subcommand in `args`, which come without the launcher's own name.
    pub(crate) fn of(args: &[OsString]) -> Self {
        let mut is_value = false;
        for word in args.iter().map(|word| word.to_str().unwrap_or_default()) {
            let is_flag = !is_value && word.starts_with('-');
            if !is_flag && !is_value {
                return if WORKSHOP.contains(&word) { Self::Workshop } else { Self::Daily };
            }
            // The global flags that take a value; short flags may be joined: `-vC PATH`.
            is_value = is_flag && (word == "--color" || (!word.starts_with("--") && word.ends_with('C')));
        }
        Self::Daily
    }

    /// The name of its binary.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Daily => "xtask-suite",
            Self::Workshop => "xtask-workshop",
        }
    }
}

/// The profile that launcher and suite are built in: their own, so that they neither wait for nor block a running
/// `cargo build`.
pub(crate) const PROFILE: &str = "xtask";

/// The folders and files of one clone or adopted copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The workspace that `cargo xtask` was called in: the folder above the launcher's package.
    pub(crate) root: PathBuf,
    /// The workspace the suite is a member of: `root`, or the copy.
    pub(crate) workspace: PathBuf,
    pub(crate) program: Program,
    /// The folder of the package that has the program.
    pub(crate) package: PathBuf,
    /// The folder of the workspace's own tasks, where the suite is a copy.
    pub(crate) tasks: Option<PathBuf>,
    /// What cargo gets as `--target-dir` for the suite.
    pub(crate) target_dir: PathBuf,
    /// The target triple that the launcher was built for, where cargo was told one. The suite is built for the same,
    /// whatever `build.target` says: that may be a device that runs neither.
    pub(crate) triple: Option<String>,
    /// The program's file. Its stamp is beside it, and cargo's dep-info.
    pub(crate) binary: PathBuf,
}

impl Place {
    /// `exe` is the launcher's own file, `<target>/[<triple>/]<profile>/xtask`, or where the launcher is an example
    /// `…/<profile>/examples/xtask`. `None` when nothing is above `package_dir` or `exe`.
    pub(crate) fn find(package_dir: &Path, exe: &Path, program: Program) -> Option<Self> {
        let root = package_dir.parent()?.to_owned();
        let mut profile_dir = exe.parent()?;
        if profile_dir.ends_with("examples") {
            profile_dir = profile_dir.parent()?;
        }
        let (target, triple) = target_and_triple(profile_dir.parent()?);
        let copy = package_dir.join("suite");
        let (workspace, tasks, target_dir) = if copy.join("Cargo.toml").exists() {
            (copy, Some(package_dir.join("tasks")), target.join("xtask-suite/build"))
        } else {
            (root.clone(), None, target.to_owned())
        };
        let crates = workspace.join("crates");
        let package = match (program, &tasks) {
            // Tasks are commands beside the suite's own, so their package has the program.
            (Program::Daily, Some(tasks)) => tasks.clone(),
            (Program::Daily, None) => crates.join("suite"),
            // Where the suite's sources are elsewhere, a package in its place starts it.
            (Program::Workshop, Some(_)) if !crates.exists() => workspace.join("workshop"),
            (Program::Workshop, _) => crates.join("workshop"),
        };
        let binary_dir = target_dir.join(triple.unwrap_or_default()).join(PROFILE);
        let binary = binary_dir.join(format!("{}{EXE_SUFFIX}", program.name()));
        let triple = triple.map(str::to_owned);
        Some(Self { root, workspace, program, package, tasks, target_dir, triple, binary })
    }
}

/// Splits `<target>[/<triple>]`. The launcher is a program of this machine, so its triple begins with the architecture. A
/// target folder inside another one may be called anything, and where builds go elsewhere (`build.build-dir`) it has no
/// `.rustc_info.json`; with a triple, cargo 1.95 marks both folders with `CACHEDIR.TAG` and keeps that file in the upper one.
fn target_and_triple(above_profile: &Path) -> (&Path, Option<&str>) {
    let above = above_profile.parent().filter(|above| above.join("CACHEDIR.TAG").exists());
    let name = above_profile.file_name().and_then(|name| name.to_str());
    let arch = if ARCH == "x86" { "i" } else { ARCH };
    let is_triple = |name: &&str| name.starts_with(arch) && name.matches('-').count() > 1;
    match (above, name.filter(is_triple)) {
        (Some(target), Some(triple)) if !above_profile.join(".rustc_info.json").exists() => {
            (target, Some(triple))
        }
        _ => (above_profile, None),
    }
}
