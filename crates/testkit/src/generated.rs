//! Random workspaces whose tests compute numbers from everything that a test can depend on: sources, files that
//! are included, read by build scripts or read at run time, features, dependencies of every kind, profiles,
//! flags, environment variables and locked versions.
//!
//! Every test writes its number to the file that `ORACLE_LOG` names, so whoever runs the tests twice sees which
//! of them an edit can break, without knowing why. The workspace on disk is the only state: after a checkout the
//! next edit works on what lies there.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::random::Random;
use crate::temp_dir::TempDir;

mod edit;
mod package;

use package::{Kind, Package};

/// What a workspace has to have, apart from what is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// Doc tests too: they take a compiler and a linker each.
    pub doctests: bool,
    /// At most so many members; at least 2.
    pub most_members: usize,
    /// Git ignores the lock file.
    pub lock_ignored: bool,
}

/// A random workspace in a folder of its own.
#[derive(Debug)]
pub struct Generated {
    dir: TempDir,
}

impl Generated {
    /// Makes one. The text goes to `xtask.toml` where it is not empty.
    pub fn new(name: &str, random: &mut Random, wishes: Wishes, xtask_toml: &str) -> Self {
        let generated = Self { dir: TempDir::new(name) };
        let mut files = BTreeMap::new();
        layout(random, wishes, &mut files);
        if !xtask_toml.is_empty() {
            files.insert("xtask.toml".to_owned(), xtask_toml.to_owned());
        }
        for (path, text) in files {
            generated.write(&path, &text);
        }
        generated.link_shared_files();
        generated
    }

    /// The workspace.
    pub fn root(&self) -> Utf8PathBuf {
        self.dir.path().join("workspace")
    }

    /// The folder that holds the workspace and what lies outside of it.
    pub fn dir(&self) -> &Utf8Path {
        self.dir.path()
    }

    /// Writes a file of the workspace.
    pub fn write(&self, path: &str, text: &str) {
        self.dir.write(&format!("workspace/{path}"), text);
    }

    fn link_shared_files(&self) {
        for dir in self.package_dirs() {
            if self.read(&format!("{dir}src/lib.rs")).is_some_and(|lib| lib.contains("files/link.txt")) {
                let link = self.root().join(format!("{dir}files/link.txt"));
                let target = format!("{}shared/s0.txt", "../".repeat(dir.matches('/').count() + 1));
                #[cfg(unix)]
                std::os::unix::fs::symlink(&target, &link).unwrap_or_else(|error| panic!("{link}: {error}"));
                #[cfg(not(unix))]
                self.write(&format!("{dir}files/link.txt"), &format!("{target}\n1\n"));
            }
        }
    }
}

/// All files of a workspace, by path relative to its root.
fn layout(random: &mut Random, wishes: Wishes, files: &mut BTreeMap<String, String>) {
    let count = 2 + random.below(wishes.most_members - 1);
    let rooted = random.chance(35);
    let globbed = random.chance(50);
    let pure = 1 + random.below(2);
    let with_macro = count > pure + 1 && random.chance(50);
    let mut packages = Vec::new();
    for index in 0..count {
        let (kind, name) = if index < pure {
            (Kind::Pure, format!("p{index}"))
        } else if with_macro && index == pure {
            (Kind::Macro, "x0".to_owned())
        } else {
            (Kind::Plain, format!("m{index}"))
        };
        let last = packages.last().map(|package: &Package| package.dir.clone());
        let dir = match last {
            _ if rooted && index + 1 == count => String::new(),
            Some(last) if random.chance(30) => format!("{last}nested/{name}/"),
            _ => format!("crates/{name}/"),
        };
        packages.push(Package { name, dir, kind, member: true });
    }
    let other = |name: &str, dir: &str| Package {
        name: name.to_owned(),
        dir: dir.to_owned(),
        kind: Kind::Pure,
        member: false,
    };
    let mut others = vec![other("patched", "patches/patched/")];
    if random.chance(40) {
        others.push(other("e0", "external/e0/"));
    }
    if random.chance(25) {
        others.push(other("o0", "../outside/o0/"));
    }
    shared_files(files);
    registry(files);
    let inherited = packages.iter().filter(|_| random.chance(40)).map(|package| package.name.clone());
    let inherited = inherited.collect::<Vec<_>>();
    let mut root = root_manifest(&packages, &inherited, globbed);
    for package in &others {
        package.files(random, wishes, &[], &[], files);
    }
    for (index, package) in packages.iter().enumerate() {
        let known = others.iter().chain(&packages[..index]).collect::<Vec<_>>();
        let mut later = packages[index + 1..].iter().filter(|later| later.kind == Kind::Plain);
        let mut package_files = BTreeMap::new();
        package.files(random, wishes, &known, &inherited, &mut package_files);
        if let Some(later) = later.next_back().filter(|_| package.kind == Kind::Plain && random.chance(15)) {
            package.dev_depends_on_later(later, &mut package_files);
        }
        if package.dir.is_empty() {
            let manifest = package_files.remove("Cargo.toml").unwrap_or_default();
            root = format!("{manifest}\n{root}");
        }
        files.extend(package_files);
    }
    files.insert("Cargo.toml".to_owned(), root);
    let lock = if wishes.lock_ignored { "Cargo.lock\n" } else { "" };
    files.insert(".gitignore".to_owned(), format!("/target\n{lock}"));
}

fn root_manifest(packages: &[Package], inherited: &[String], globbed: bool) -> String {
    let mut members = if globbed { vec!["crates/*".to_owned()] } else { Vec::new() };
    let below_root = packages.iter().filter(|package| !package.dir.is_empty());
    let dirs = below_root.map(|package| package.dir.trim_end_matches('/').to_owned());
    members.extend(dirs.filter(|dir| !globbed || dir.matches('/').count() > 1));
    let mut lines = vec![
        "[workspace]".to_owned(),
        "resolver = \"3\"".to_owned(),
        "exclude = [\"external\", \"patches\"]".to_owned(),
        "members = [".to_owned(),
    ];
    lines.extend(members.iter().map(|member| format!("    \"{member}\",")));
    lines.extend(["    # members-here".to_owned(), "]".to_owned(), "[workspace.dependencies]".to_owned()]);
    for package in packages.iter().filter(|package| inherited.contains(&package.name)) {
        let path = if package.dir.is_empty() { "." } else { package.dir.trim_end_matches('/') };
        let features = if package.kind == Kind::Macro { "" } else { ", features = []" };
        lines.push(format!("{} = {{ path = \"{path}\"{features} }}", package.name));
    }
    lines.extend(
        [
            "[workspace.lints.rust]",
            "unexpected_cfgs = \"allow\"",
            "unused = \"warn\"",
            "[profile.dev]",
            "debug = false",
            "debug-assertions = true",
            "[patch.crates-io]",
            "patched = { path = \"patches/patched\" }",
            "",
        ]
        .map(str::to_owned),
    );
    lines.join("\n")
}

fn shared_files(files: &mut BTreeMap<String, String>) {
    for (index, name) in
        ["s0.txt", "s1.txt", "s2.in", "build.txt", "live0.txt", "live1.txt"].iter().enumerate()
    {
        files.insert(format!("shared/{name}"), format!("{}\n", 100 + index));
    }
    files.insert("shared/part.rs".to_owned(), "pub const N: u64 = /*n*/7;\n".to_owned());
    files.insert("NOTES.md".to_owned(), "Nobody reads this.\n".to_owned());
    let config = "[build]\n# rustflags = [\"--cfg\", \"oracle_flag\"]\n[env]\nORACLE_BUILD = \"1\"\nORACLE_RUN = \"1\"\n\
                  [source.crates-io]\nreplace-with = \"local\"\n[source.local]\ndirectory = \"../registry\"\n";
    files.insert(".cargo/config.toml".to_owned(), config.to_owned());
}

/// A registry with two versions of one crate, outside of the workspace.
fn registry(files: &mut BTreeMap<String, String>) {
    for (patch, number) in [(0, 3), (1, 4)] {
        let dir = format!("../registry/tiny-1.0.{patch}");
        files.insert(
            format!("{dir}/Cargo.toml"),
            format!("[package]\nname = \"tiny\"\nversion = \"1.0.{patch}\"\nedition = \"2021\"\n"),
        );
        files.insert(format!("{dir}/src/lib.rs"), format!("pub fn value() -> u64 {{ {number} }}\n"));
        files.insert(format!("{dir}/.cargo-checksum.json"), "{\"files\":{}}".to_owned());
    }
}
