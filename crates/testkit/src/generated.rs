//! Random workspaces whose tests compute numbers from everything that a test can depend on: sources, files that
//! are included, read by build scripts or read at run time, features, dependencies of every kind, profiles,
//! flags, environment variables, locked versions, programs that are started, and the runner's configuration.
//!
//! Every test writes its number to the file that `ORACLE_LOG` names, so whoever runs the tests twice sees which
//! of them an edit can break, without knowing why. What lies on disk is the only state: after a checkout the
//! next edit works on what lies there.

use std::cell::RefCell;
use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::random::Random;
use crate::temp_dir::TempDir;

mod edit;
mod package;
mod reads;
mod run_time_edits;

use package::{Kind, Package};
pub use run_time_edits::verdicts_toml;

/// What a workspace has to have, apart from what is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
pub struct Wishes {
    /// At most so many members; at least 2.
    pub most_members: usize,
    /// Git ignores the lock file.
    pub lock_ignored: bool,
    /// Tests depend on more than what they are compiled from, and edits change that too.
    pub run_time: bool,
    /// Programs may have paths of this checkout in them. Not where two checkouts build into one target dir: cargo
    /// takes the other's programs for fresh, and what these read is nothing of this checkout.
    pub absolute_paths: bool,
    /// Most packages read nothing outside of their folders: what a branch may leave out.
    pub secluded: bool,
    /// What programs seldom depend on, and on nothing else that changes with it, is there and changes often.
    pub rare: bool,
}

impl Wishes {
    /// How many packages of a hundred have a binary.
    fn bins(self) -> usize {
        match self {
            Self { run_time: true, .. } => 45,
            Self { most_members: 5.., .. } => 20,
            Self { .. } => 10,
        }
    }

    /// How many binaries of a hundred have an example beside them.
    fn examples(self) -> usize {
        if self.run_time { 45 } else { 20 }
    }

    /// How many packages of a hundred have a build script.
    fn build_scripts(self) -> usize {
        if self.run_time { 45 } else { 35 }
    }
}

/// Where what is rare is there: the package that the others depend on, and those that its binary and its example alone
/// are made of.
const USED: &str = "m1";
const OF_PROGRAMS: [&str; 2] = ["b0", "b1"];

/// A random workspace in a folder of its own.
#[derive(Debug)]
pub struct Generated {
    dir: TempDir,
    root: Utf8PathBuf,
    wishes: Wishes,
    /// What files held before they were written again.
    past: RefCell<Vec<(String, String)>>,
}

impl Generated {
    /// Makes one. The text goes to `xtask.toml` where it is not empty.
    pub fn new(name: &str, random: &mut Random, wishes: Wishes, xtask_toml: &str) -> Self {
        let dir = TempDir::new(name);
        let root = dir.path().join("workspace");
        let generated = Self { dir, root, wishes, past: RefCell::default() };
        let mut files = BTreeMap::new();
        let members = layout(random, wishes, &mut files);
        if !xtask_toml.is_empty() {
            // Sources of strangers are not among what a declaration names.
            let declarable =
                |name: &String| !files.values().any(|text| text.contains(&reads::mark_of_stranger(name)));
            let declared =
                members.iter().filter(|name| wishes.run_time && random.chance(35) && declarable(name));
            let declared = declared.map(|name| run_time_edits::declaration(name)).collect::<String>();
            files.insert("xtask.toml".to_owned(), format!("{xtask_toml}{declared}"));
        }
        for (path, text) in files {
            generated.write(&path, &text);
        }
        for dir in generated.package_dirs() {
            generated.make_links(&dir);
        }
        if wishes.run_time {
            generated.make_tools();
        }
        generated
    }

    /// The workspace, or the checkout of it where edits are made now.
    pub fn root(&self) -> Utf8PathBuf {
        self.root.clone()
    }

    /// From now on, edits are made in another checkout.
    pub fn move_to(&mut self, root: &Utf8Path) {
        root.clone_into(&mut self.root);
    }

    /// The folder that holds the workspace and what lies outside of it.
    pub fn dir(&self) -> &Utf8Path {
        self.dir.path()
    }

    /// Writes a file; the path is relative to the workspace.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        self.past.borrow_mut().extend(self.read(path).map(|old| (path.to_owned(), old)));
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("parent folders");
        #[expect(clippy::disallowed_methods, reason = "a fixture needs no atomic write")]
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("failed to write {path}: {error}"));
    }

    /// The links that the sources of a package mention.
    fn make_links(&self, dir: &str) {
        let sources = ["src/lib.rs", "tests/it.rs"].map(|source| self.read(&format!("{dir}{source}")));
        let sources = sources.into_iter().flatten().collect::<String>();
        let up = "../".repeat(dir.matches('/').count() + 1);
        for (link, target) in [
            ("link.txt", "shared/s0.txt"),
            ("link.rs", "shared/code0.rs"),
            ("link.md", "shared/notes0.md"),
            ("linked", "shared/folder0"),
        ] {
            let (path, target) = (format!("{dir}files/{link}"), format!("{up}{target}"));
            if sources.contains(&format!("files/{link}")) && self.root.join(&path).symlink_metadata().is_err()
            {
                self.link(&path, &target);
            }
        }
    }

    /// Makes a link at `path`; where there are no links, a file.
    fn link(&self, path: &str, target: &str) {
        #[cfg(unix)]
        std::os::unix::fs::symlink(target, self.root.join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        #[cfg(not(unix))]
        self.write(path, &format!("{target}\n1\n"));
    }
}

/// All files of a workspace, by path relative to its root. Returns the names of its members.
fn layout(random: &mut Random, wishes: Wishes, files: &mut BTreeMap<String, String>) -> Vec<String> {
    let count = if wishes.rare { 4 } else { 2 + random.below(wishes.most_members - 1) };
    let rooted = random.chance(35);
    let globbed = random.chance(50);
    let pure = if wishes.rare { 1 } else { 1 + random.below(2) };
    // A proc macro may read anything, and so may whoever depends on it.
    let with_macro = count > pure + 1 && random.chance(if wishes.secluded { 15 } else { 50 });
    let with_dylib = wishes.run_time && !with_macro && count > pure + 1 && random.chance(60);
    let mut packages = Vec::new();
    for index in 0..count {
        let (kind, name) = if index < pure {
            (Kind::Pure, format!("p{index}"))
        } else if with_macro && index == pure {
            (Kind::Macro, "x0".to_owned())
        } else if with_dylib && index == pure {
            (Kind::Dylib, "d0".to_owned())
        } else {
            // The first of them is [`USED`] where what is rare is there.
            let number = if wishes.rare && (with_macro || with_dylib) { index - 1 } else { index };
            (Kind::Plain, format!("m{number}"))
        };
        let last = packages.last().map(|package: &Package| package.dir.clone());
        let dir = match last {
            _ if rooted && index + 1 == count => String::new(),
            Some(last) if random.chance(30) => format!("{last}nested/{name}/"),
            _ => format!("crates/{name}/"),
        };
        let secluded = wishes.secluded && !wishes.rare && random.chance(85);
        packages.push(Package { name, dir, kind, member: true, secluded });
    }
    let other = |name: &str, dir: &str| Package {
        name: name.to_owned(),
        dir: dir.to_owned(),
        kind: Kind::Pure,
        member: false,
        secluded: wishes.secluded,
    };
    let mut others = vec![other("patched", "patches/patched/")];
    if random.chance(40) {
        others.push(other("e0", "external/e0/"));
    }
    if random.chance(25) {
        others.push(other("o0", "../outside/o0/"));
    }
    if wishes.rare {
        // In no repository, so that only the programs that are made of them tell what they hold.
        others.extend(OF_PROGRAMS.map(|name| other(name, &format!("../outside/{name}/"))));
    }
    shared_files(files);
    if wishes.run_time {
        run_time_files(random, with_dylib, files);
    }
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
    files.insert(".gitignore".to_owned(), format!("/target\n/local\n{lock}"));
    packages.into_iter().map(|package| package.name).collect()
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
            "[workspace.package]",
            "description = \"1\"",
            "[workspace.lints.rust]",
            "unexpected_cfgs = \"allow\"",
            "unused = \"warn\"",
            "[profile.dev]",
            // Small programs are compiled in half of the time.
            "incremental = false",
            "codegen-units = 1",
            "debug = false",
            "debug-assertions = true",
            "[profile.other]",
            "inherits = \"dev\"",
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

/// What tests read while they run, and what the runner is told.
fn run_time_files(random: &mut Random, with_dylib: bool, files: &mut BTreeMap<String, String>) {
    let nextest = "[test-groups]\none = { max-threads = 4 }\ntwo = { max-threads = 4 }\n[profile.other]\n\
                   [[profile.default.overrides]]\nfilter = \"all()\"\ntest-group = \"one\"\n";
    let runner = if random.chance(50) { "" } else { "# " };
    // Else rustc refuses to link a test with a dynamic library that has another copy of the standard library in it.
    let flags = if with_dylib { "[build]\nrustflags = [\"-C\", \"prefer-dynamic\"]\n" } else { "" };
    let above = format!(
        "{flags}[env]\nORACLE_ABOVE = \"1\"\n[target.\"cfg(all())\"]\n{runner}runner = \"tools/run.sh 1\"\n"
    );
    for (path, text) in [
        ("root.txt", "81\n"),
        ("shared/code0.rs", "/*n*/82\n"),
        ("shared/code1.rs", "/*n*/83\n"),
        ("shared/notes0.md", "88\n"),
        ("shared/notes1.md", "89\n"),
        ("shared/folder0/code.rs", "/*n*/84\n"),
        ("shared/folder1/code.rs", "/*n*/85\n"),
        ("local/l0.txt", "86\n"),
        ("local/build.txt", "87\n"),
        ("local/set.txt", "90\n"),
        ("local/native/libplain.so", "91\n"),
        (".config/nextest.toml", nextest),
        ("../.cargo/config.toml", &above),
    ] {
        files.insert(path.to_owned(), text.to_owned());
    }
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
