//! What cargo says of a workspace, reduced to what the suite uses: small enough to be read back from its
//! cache in a millisecond.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// The facts of one workspace, as `cargo metadata` gave them.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The folder of the root manifest.
    pub root: Utf8PathBuf,
    /// Where final artifacts go.
    pub target_dir: Utf8PathBuf,
    /// Where intermediate artifacts go; the target dir unless `build.build-dir` is set.
    pub build_dir: Utf8PathBuf,
    /// The host's target triple.
    pub host: String,
    /// All packages that lie on this disk: members first, then path dependencies that are no members.
    pub packages: Vec<LocalPackage>,
    /// Names of the members that cargo takes when no package is selected.
    pub default_members: Vec<String>,
    /// Names that more than one package of the whole graph has: `-p` needs the full id for these.
    pub ambiguous_names: Vec<String>,
}

/// A package with its sources on this disk.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalPackage {
    /// Cargo's package id.
    pub id: String,
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The folder of its manifest.
    pub dir: Utf8PathBuf,
    /// Whether it is a member of the workspace.
    pub member: bool,
    /// Whether it is the suite's launcher in a workspace that adopted the suite, by
    /// `package.metadata.xtask-suite.launcher`.
    pub launcher: bool,
    /// Its features and what each turns on.
    pub features: BTreeMap<String, Vec<String>>,
    /// Its targets.
    pub targets: Vec<TargetFacts>,
    /// The local packages it depends on, directly or through registry packages that were patched.
    pub dependencies: Vec<LocalDependency>,
}

/// A target of a local package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// The target's name.
    pub name: String,
    /// Cargo's kinds: `lib`, `proc-macro`, `cdylib`, `bin`, `test`, `example`, `bench`, `custom-build`.
    #[serde(alias = "kind")]
    pub kinds: Vec<String>,
    /// The root source file.
    #[serde(alias = "src_path")]
    pub path: Utf8PathBuf,
}

/// An edge between local packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalDependency {
    /// Index into [`Facts::packages`].
    pub package: usize,
    /// Only the tests, examples and benches of the dependent see a dev dependency.
    pub dev: bool,
}

impl Facts {
    /// The members, in the order of their names, without the suite's launcher: nobody's tests are there.
    pub fn members(&self) -> impl Iterator<Item = &LocalPackage> {
        self.packages.iter().filter(|package| package.member && !package.launcher)
    }

    /// The suite's launcher, where a member is one.
    pub fn launcher(&self) -> Option<&LocalPackage> {
        self.packages.iter().find(|package| package.member && package.launcher)
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&LocalPackage> {
        self.members().find(|member| member.name == name)
    }

    /// The package whose folder holds `path`, the innermost where packages are nested; as an index.
    pub fn owner_of(&self, path: &Utf8Path) -> Option<usize> {
        (0..self.packages.len())
            .filter(|&index| path.starts_with(&self.packages[index].dir))
            .max_by_key(|&index| self.packages[index].dir.as_str().len())
    }

    /// `name` as an argument of `-p`: the name, or the full id where the name alone is ambiguous.
    pub fn package_spec(&self, name: &str) -> String {
        match self.member(name) {
            Some(member) if self.ambiguous_names.iter().any(|ambiguous| ambiguous == name) => {
                member.id.clone()
            }
            _ => name.to_owned(),
        }
    }
}

impl LocalPackage {
    /// Whether it has a library target, of whatever crate type.
    pub fn has_library(&self) -> bool {
        let others = ["bin", "test", "example", "bench", "custom-build"];
        self.targets.iter().any(|target| target.kinds.iter().all(|kind| !others.contains(&kind.as_str())))
    }

    /// Whether it has a target of this kind.
    pub fn has_target(&self, kind: &str) -> bool {
        self.targets.iter().any(|target| target.kinds.iter().any(|other| other == kind))
    }
}
