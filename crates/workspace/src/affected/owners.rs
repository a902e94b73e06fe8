//! Which package a file belongs to, and which files belong to all.

use camino::{Utf8Path, Utf8PathBuf};

use super::globs::{Globs, relative};
use crate::Facts;

/// Who owns which files of a workspace.
pub(crate) struct Owners<'a> {
    facts: &'a Facts,
    global: &'a Globs,
    cargo_config: &'a [Utf8PathBuf],
    /// The package at the root and its own files and folders, where other members lie below it.
    root_package: Option<(usize, Vec<Utf8PathBuf>)>,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(facts: &'a Facts, global: &'a Globs, cargo_config: &'a [Utf8PathBuf]) -> Self {
        let shared = facts.members().count() > 1;
        let at_root = facts.packages.iter().position(|package| shared && package.dir == facts.root);
        let root_package = at_root.map(|package| {
            let standard = ["src", "tests", "examples", "benches", "build.rs"];
            let mut own = standard.iter().map(|name| facts.root.join(name)).collect::<Vec<_>>();
            for target in &facts.packages[package].targets {
                // A target directly in the root folder owns its file, not all of the folder.
                let folder = target.path.parent().filter(|&folder| folder != facts.root);
                own.push(folder.unwrap_or(&target.path).to_owned());
            }
            (package, own)
        });
        Self { facts, global, cargo_config, root_package }
    }

    /// The package that `file` belongs to: the innermost whose folder holds it. A package at the root of a
    /// workspace with further members owns only the folders of its targets: the rest there is shared.
    pub(crate) fn of(&self, file: &Utf8Path) -> Option<usize> {
        let owner = self.facts.owner_of(file)?;
        match &self.root_package {
            Some((package, own)) if *package == owner => {
                own.iter().any(|path| file.starts_with(path)).then_some(owner)
            }
            _ => Some(owner),
        }
    }

    /// Why `file` is an input of all members, if it is. `clippy.toml` and the like are not: a file in no
    /// package's folder selects all anyway, and `ignore` may say that no test reads it.
    pub(crate) fn selects_all(&self, file: &Utf8Path) -> Option<&'static str> {
        let root = &self.facts.root;
        let folder = file.parent()?;
        let above = |folder: &Utf8Path| root.starts_with(folder);
        if file == root.join("Cargo.toml") {
            return Some("the root manifest");
        }
        let toolchain = matches!(file.file_name(), Some("rust-toolchain" | "rust-toolchain.toml"));
        if toolchain && above(folder) {
            return Some("which chooses the toolchain");
        }
        // The folder itself may have come or gone as a link or submodule.
        let in_cargo_folder = file
            .ancestors()
            .any(|ancestor| ancestor.file_name() == Some(".cargo") && ancestor.parent().is_some_and(above));
        if in_cargo_folder || self.cargo_config.iter().any(|config| config == file) {
            return Some("cargo's configuration");
        }
        if file == root.join(".config/nextest.toml") {
            return Some("which configures how tests run");
        }
        self.global.matches(&relative(root, file)).then_some("which `global` in xtask.toml matches")
    }
}

/// Whether cargo wrote `file`. A target dir that holds the workspace itself is none to go by.
pub(crate) fn is_build_output(facts: &Facts, file: &Utf8Path) -> bool {
    [&facts.target_dir, &facts.build_dir].into_iter().any(|dir| {
        file.starts_with(dir) && !facts.packages.iter().any(|package| package.dir.starts_with(dir))
    })
}
