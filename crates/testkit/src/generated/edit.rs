//! Random edits of what lies on disk.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::Generated;
use super::package::{integration_test, value_of};
use super::run_time_edits;
use crate::random::Random;

/// An edit that may find nothing to work on.
pub(super) type Attempt = fn(&Generated, &mut Random) -> Option<String>;

/// Each as often as it stands here.
const ATTEMPTS: [Attempt; 28] = [
    Generated::change_number,
    Generated::change_number,
    Generated::change_number,
    Generated::change_what_is_read,
    Generated::change_what_is_read,
    Generated::change_what_is_read,
    Generated::change_what_is_read,
    Generated::change_what_is_read,
    Generated::change_shared_number,
    Generated::change_shared_number,
    Generated::touch_or_write_prose,
    Generated::make_or_remove_optional_file,
    Generated::make_or_remove_optional_file,
    Generated::make_or_remove_test,
    Generated::make_or_remove_test,
    Generated::move_module,
    Generated::rename_own_file,
    Generated::toggle_feature,
    Generated::toggle_feature,
    Generated::toggle_feature,
    Generated::toggle_default_features,
    Generated::toggle_default_features,
    Generated::add_or_remove_dependency,
    Generated::add_or_remove_dependency,
    Generated::bump_version,
    Generated::edit_root_manifest,
    Generated::edit_cargo_config,
    Generated::edit_lock,
];

impl Generated {
    /// Makes one random edit, and says what and where.
    ///
    /// # Panics
    /// When nothing can be edited, which cannot be: every package has a number.
    pub fn edit(&self, random: &mut Random) -> String {
        if self.wishes.rare
            && random.chance(40)
            && let Some(what) = self.change_what_is_rare(random)
        {
            return what;
        }
        for _ in 0..1000 {
            let run_time = self.wishes.run_time && random.chance(65);
            let attempts = if run_time { &run_time_edits::ATTEMPTS[..] } else { &ATTEMPTS[..] };
            let attempt = random.pick(attempts).expect("attempts");
            if let Some(what) = attempt(self, random) {
                return what;
            }
        }
        panic!("nothing to edit in {}", self.root());
    }

    /// The text of a file of the workspace.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root().join(path)).ok()
    }

    /// The folders of all packages, members or not, with a `/` at the end; empty for the root.
    pub fn package_dirs(&self) -> Vec<String> {
        let manifests = self.files(|path| path.file_name() == Some("Cargo.toml"));
        let with_package = manifests
            .into_iter()
            .filter(|path| self.read(path).is_some_and(|text| text.contains("[package]")));
        with_package.map(|path| path.trim_end_matches("Cargo.toml").to_owned()).collect()
    }

    /// Paths of the files that `wanted` takes, relative to the workspace root and sorted: those of the packages
    /// outside of it too.
    pub(super) fn files(&self, wanted: impl Fn(&Utf8Path) -> bool) -> Vec<String> {
        let mut found = Vec::new();
        for (top, prefix) in [(self.root(), ""), (self.path("../outside"), "../outside/")] {
            let mut open = vec![top.clone()];
            while let Some(dir) = open.pop() {
                for entry in dir.read_dir_utf8().into_iter().flatten().flatten() {
                    let kind = entry.file_type().expect("a kind");
                    let skipped = ["target", ".git", "scratch"].contains(&entry.file_name());
                    if kind.is_dir() && !skipped {
                        open.push(entry.path().to_owned());
                    } else if kind.is_file() && wanted(entry.path()) {
                        let relative: &Utf8Path = entry.path().strip_prefix(&top).expect("below the top");
                        found.push(format!("{prefix}{relative}"));
                    }
                }
            }
        }
        found.sort();
        found
    }

    pub(super) fn path(&self, path: &str) -> Utf8PathBuf {
        self.root().join(path)
    }

    /// Replaces in a file; `None` where there is nothing to replace.
    pub(super) fn replace(&self, path: &str, from: &str, to: &str) -> Option<String> {
        let text = self.read(path)?;
        if !text.contains(from) {
            return None;
        }
        self.write(path, &text.replacen(from, to, 1));
        Some(format!("{path}: {} becomes {}", from.trim(), to.trim()))
    }

    /// An edit that reaches only one package and what depends on it.
    ///
    /// # Panics
    /// When there is no number in a package, which cannot be.
    pub fn edit_a_package(&self, random: &mut Random) -> String {
        for _ in 0..1000 {
            let dirs = self.package_dirs();
            let dir = random.pick(&dirs).filter(|dir| dir.starts_with("crates/"));
            let paths = ["src/lib.rs", "src/module.rs", "tests/it.rs", "files/test.txt", "files/code.rs"];
            let path = random.pick(&paths).expect("a path");
            if let Some(what) = dir.and_then(|dir| self.change_number_in(&format!("{dir}{path}"), random)) {
                return what;
            }
        }
        panic!("nothing to edit in {}", self.root());
    }

    /// Changes a file that a test may read while it runs.
    pub fn edit_what_is_read(&self, random: &mut Random) -> String {
        let attempt = (0..100).find_map(|_| self.change_read_file(random));
        attempt.unwrap_or_else(|| self.edit(random))
    }

    fn change_number(&self, random: &mut Random) -> Option<String> {
        let files = self.files(|path| matches!(path.extension(), Some("txt" | "in" | "rs")));
        let path = random.pick(&files)?.clone();
        self.change_number_in(&path, random)
    }

    /// Changes a file that a source file mentions.
    fn change_what_is_read(&self, random: &mut Random) -> Option<String> {
        let sources = self.files(|path| path.extension() == Some("rs"));
        let source = random.pick(&sources)?;
        let text = self.read(source)?;
        let literals = text.split('"').skip(1).step_by(2).filter(|literal| literal.contains('/'));
        let paths = literals.flat_map(|literal| self.mentioned(literal, Utf8Path::new(source)));
        let paths = paths.filter(|path| self.path(path).is_file()).collect::<Vec<_>>();
        let path = random.pick(&paths)?;
        let edit = self.change_number_in(path, random)?;
        Some(format!("{edit}, which {source} reads"))
    }

    /// What is there of that which a string in a source file may name: relative to it, to its package's folder, or to
    /// the workspace root.
    pub(super) fn mentioned(&self, literal: &str, source: &Utf8Path) -> Vec<String> {
        let Some(folder) = source.parent() else { return Vec::new() };
        let package =
            folder.ancestors().find(|folder| self.path(folder.join("Cargo.toml").as_str()).exists());
        let literal = literal.trim_start_matches('/');
        if !literal.contains('/') {
            return Vec::new();
        }
        let folders = [Some(folder), package, Some("".into())].into_iter().flatten();
        let paths = folders.map(|folder| folder.join(literal).into_string());
        paths.filter(|path| self.path(path).exists()).collect()
    }

    fn change_shared_number(&self, random: &mut Random) -> Option<String> {
        let files = self.files(|path| path.parent().and_then(Utf8Path::file_name) == Some("shared"));
        let path = random.pick(&files)?.clone();
        self.change_number_in(&path, random)
    }

    pub(super) fn change_number_in(&self, path: &str, random: &mut Random) -> Option<String> {
        let text = self.read(path)?;
        let number = random.below(1000);
        let new = if Utf8Path::new(path).extension() == Some("rs") {
            let marks = text.match_indices("/*n*/").map(|(at, mark)| at + mark.len()).collect::<Vec<_>>();
            let at = *random.pick(&marks)?;
            let digits = text[at..].chars().take_while(char::is_ascii_digit).count();
            format!("{}{number}{}", &text[..at], &text[at + digits..])
        } else {
            format!("{number}\n")
        };
        self.write(path, &new);
        Some(format!("a number in {path} becomes {number}"))
    }

    /// Edits that change no number.
    fn touch_or_write_prose(&self, random: &mut Random) -> Option<String> {
        let files = self.files(|path| matches!(path.extension(), Some("md" | "rs")));
        let path = random.pick(&files)?;
        let text = self.read(path)?;
        let more = if random.chance(70) { format!("// {}\n", random.below(1000)) } else { String::new() };
        self.write(path, &format!("{text}{more}"));
        Some(format!("{path} {}", if more.is_empty() { "is touched" } else { "gets a comment" }))
    }

    fn make_or_remove_optional_file(&self, random: &mut Random) -> Option<String> {
        let dir = random.pick(&self.package_dirs())?.clone();
        let path = match random.below(3) {
            0 | 1 => format!("{dir}files/maybe.txt"),
            _ => format!("{dir}files/watched/two.txt"),
        };
        Some(self.make_or_remove(&path, &format!("{}\n", 500 + random.below(100))))
    }

    pub(super) fn make_or_remove(&self, path: &str, text: &str) -> String {
        if self.path(path).exists() {
            fs::remove_file(self.path(path)).expect("a file to remove");
            return format!("{path} is removed");
        }
        self.write(path, text);
        format!("{path} is new")
    }

    fn make_or_remove_test(&self, random: &mut Random) -> Option<String> {
        let dir = random.pick(&self.package_dirs())?.clone();
        let manifest = self.read(&format!("{dir}Cargo.toml"))?;
        let name = crate_name(&manifest)?;
        let not_a_member = dir.starts_with("external") || dir.starts_with("patches") || dir.starts_with("..");
        if manifest.contains("proc-macro = true") || not_a_member {
            return None;
        }
        let number = random.below(1000);
        let text = integration_test(&name, "more", &format!("{name}::value() ^ /*n*/{number},"));
        if random.chance(50) && self.path(&format!("{dir}tests/more.rs")).exists() {
            let (from, to) = (format!("{dir}tests/more.rs"), format!("{dir}tests/renamed.rs"));
            fs::rename(self.path(&from), self.path(&to)).expect("a file to rename");
            return Some(format!("{from} is renamed to {to}"));
        }
        Some(self.make_or_remove(&format!("{dir}tests/more.rs"), &text))
    }

    fn move_module(&self, random: &mut Random) -> Option<String> {
        let dir = random.pick(&self.package_dirs())?.clone();
        let (file, folder) = (format!("{dir}src/module.rs"), format!("{dir}src/module/mod.rs"));
        let (from, to) = if self.path(&file).exists() { (file, folder) } else { (folder, file) };
        let text = self.read(&from)?;
        fs::remove_file(self.path(&from)).expect("a file to remove");
        self.write(&to, &text);
        self.change_number_in(&to, random)?;
        Some(format!("{from} moves to {to}, with another number"))
    }

    /// Renames a file that is included, and the mention of it.
    fn rename_own_file(&self, random: &mut Random) -> Option<String> {
        let dir = random.pick(&self.package_dirs())?.clone();
        let lib = format!("{dir}src/lib.rs");
        let readers = self.files(|path| path.extension() == Some("rs"));
        let elsewhere = readers.iter().any(|reader| {
            *reader != lib
                && self.read(reader).is_some_and(|text| text.contains(&format!("{dir}files/own.txt")))
        });
        if elsewhere || !self.path(&format!("{dir}files/own.txt")).exists() {
            return None;
        }
        self.replace(&lib, "files/own.txt", "files/renamed.txt")?;
        fs::remove_file(self.path(&format!("{dir}files/own.txt"))).expect("a file to remove");
        self.write(&format!("{dir}files/renamed.txt"), &format!("{}\n", random.below(1000)));
        Some(format!("{dir}files/own.txt is renamed, with another number"))
    }

    fn toggle_feature(&self, random: &mut Random) -> Option<String> {
        let manifests = self.files(|path| path.file_name() == Some("Cargo.toml"));
        let path = random.pick(&manifests)?.clone();
        let text = self.read(&path)?;
        let lines = text.lines().filter(|line| line.contains("features = [") && line.contains(" = {"));
        let lines = lines.collect::<Vec<_>>();
        let line = *random.pick(&lines)?;
        let new = if line.contains("features = []") {
            line.replace("features = []", "features = [\"extra\"]")
        } else {
            line.replace("features = [\"extra\"]", "features = []")
        };
        self.replace(&path, line, &new)
    }

    fn toggle_default_features(&self, random: &mut Random) -> Option<String> {
        let dir = random.pick(&self.package_dirs())?.clone();
        let path = format!("{dir}Cargo.toml");
        let text = self.read(&path)?;
        let line = text.lines().find(|line| line.starts_with("default = ["))?;
        let has_optional = text.contains("\nopt = [");
        let choices = ["default = []", "default = [\"extra\"]", "default = [\"opt\"]"];
        let new = random.pick(&choices[..if has_optional { 3 } else { 2 }])?;
        if *new == line {
            return None;
        }
        self.replace(&path, line, new)
    }

    fn add_or_remove_dependency(&self, random: &mut Random) -> Option<String> {
        let dirs = self.package_dirs();
        let dir = random.pick(&dirs)?.clone();
        let manifest_path = format!("{dir}Cargo.toml");
        let manifest = self.read(&manifest_path)?;
        let lib_path = format!("{dir}src/lib.rs");
        let lib = self.read(&lib_path)?;
        let own = crate_name(&manifest)?;
        let names = manifest
            .lines()
            .filter(|line| !line.contains("optional"))
            .filter_map(|line| line.split_once(" # dep:"));
        let names = names.map(|(_, name)| name.to_owned()).collect::<Vec<_>>();
        if random.chance(50)
            && let Some(name) = random.pick(&names)
        {
            let files =
                self.files(|path| path.extension() == Some("rs") || path.file_name() == Some("Cargo.toml"));
            // Not those of packages that are nested in this one.
            let of_package = |path: &&String| {
                path.strip_prefix(&dir).is_some_and(|rest| {
                    ["Cargo.toml", "src/lib.rs", "src/main.rs", "tests/it.rs", "tests/circle.rs"]
                        .contains(&rest)
                        || rest.starts_with("examples/")
                        || rest.starts_with("benches/")
                })
            };
            // A build dependency is used in the middle of a line.
            if self
                .read(&format!("{dir}build.rs"))
                .is_some_and(|text| text.contains(&format!("{name}::value")))
            {
                return None;
            }
            for path in files.iter().filter(of_package) {
                let text = self.read(path)?;
                let mark = format!("dep:{name}");
                let lines = text.lines().filter(|line| !line.ends_with(&mark)).collect::<Vec<_>>();
                if lines.len() < text.lines().count() {
                    self.write(path, &format!("{}\n", lines.join("\n")));
                }
            }
            return Some(format!("{own} no longer depends on {name}"));
        }
        // Names are in the order in which packages may depend on each other.
        let others = dirs.iter().filter_map(|other| {
            let text = self.read(&format!("{other}Cargo.toml"))?;
            let name = crate_name(&text).filter(|_| !text.contains("name = \"renamed_"))?;
            let known = manifest.contains(&format!("# dep:{name}\n"));
            (may_depend(&own, &name) && !known).then_some((name, other.clone()))
        });
        let others = others.collect::<Vec<_>>();
        let (name, other) = random.pick(&others)?;
        if dir.starts_with("..") || dir.starts_with("external") || dir.starts_with("patches") {
            return None;
        }
        let up = "../".repeat(dir.matches('/').count());
        let path = format!("{up}{other}");
        let path = if path.is_empty() { "." } else { path.trim_end_matches('/') };
        let features = if name.starts_with('x') { "" } else { ", features = []" };
        let line = format!("{name} = {{ path = \"{path}\"{features} }} # dep:{name}\n# deps-here");
        let value = format!("{}, // dep:{name}\n        // deps-here", value_of(name));
        self.write(&manifest_path, &manifest.replacen("# deps-here", &line, 1));
        self.write(&lib_path, &lib.replacen("// deps-here", &value, 1));
        Some(format!("{own} depends on {name}"))
    }

    fn bump_version(&self, random: &mut Random) -> Option<String> {
        let dir = random.pick(&self.package_dirs())?.clone();
        let path = format!("{dir}Cargo.toml");
        let text = self.read(&path)?;
        let line = text.lines().find(|line| line.starts_with("version = \"1.0."))?;
        self.replace(&path, line, &format!("version = \"1.0.{}\"", random.below(100)))
    }

    fn edit_root_manifest(&self, random: &mut Random) -> Option<String> {
        let pairs = [
            ("debug-assertions = true", "debug-assertions = false"),
            ("debug-assertions = false", "debug-assertions = true"),
            ("unused = \"warn\"", "unused = \"allow\""),
            ("unused = \"allow\"", "unused = \"warn\""),
        ];
        let (from, to) = random.pick(&pairs)?;
        self.replace("Cargo.toml", from, to)
    }

    fn edit_cargo_config(&self, random: &mut Random) -> Option<String> {
        let (one, two) = (random.below(100), random.below(100));
        let config = ".cargo/config.toml";
        let line =
            |name: &str| self.read(config)?.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        match random.below(4) {
            0 => self.replace(config, &line("ORACLE_BUILD")?, &format!("ORACLE_BUILD = \"{one}\"")),
            1 => self.replace(config, &line("ORACLE_RUN")?, &format!("ORACLE_RUN = \"{two}\"")),
            2 => self.replace(config, "# rustflags", "rustflags"),
            _ => self.replace(config, "\nrustflags", "\n# rustflags"),
        }
    }

    /// Another locked version of the crate from the registry.
    fn edit_lock(&self, _random: &mut Random) -> Option<String> {
        let (old, new) = ("name = \"tiny\"\nversion = \"1.0.0\"", "name = \"tiny\"\nversion = \"1.0.1\"");
        self.replace("Cargo.lock", old, new).or_else(|| self.replace("Cargo.lock", new, old))
    }
}

/// The name of a package's library, which stays when the package is renamed.
pub(super) fn crate_name(manifest: &str) -> Option<String> {
    let lib = manifest.split_once("[lib]\n").map_or(manifest, |(_, rest)| rest);
    lib.lines().find_map(|line| Some(line.strip_prefix("name = \"")?.trim_end_matches('"').to_owned()))
}

/// Whether `own` may depend on `other` without a circle, by their names; and without anything that a proc macro
/// or build script would read unseen.
fn may_depend(own: &str, other: &str) -> bool {
    let rank = |name: &str| match name.chars().next() {
        Some('p') if name != "patched" => 1,
        Some('x' | 'd') => 2,
        Some('m') => 3,
        _ => 0,
    };
    let number = |name: &str| name[1..].parse::<u32>().ok();
    let allowed = match (rank(own), rank(other)) {
        (0, _) | (_, 0) => false,
        (1 | 2, 1) | (3, 1..=3) => true,
        _ => return false,
    };
    allowed && number(own) > number(other)
}
