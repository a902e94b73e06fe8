//! Whether the sources of a package can name a file outside of its folder: for packages that were never built
//! here, of which no compiler has said what they read.
//!
//! A search for a few words, not a parser: what it finds may be a comment, but what reads a file by a path into
//! another folder while it compiles has one of the words in it. The exception is a macro from a registry that
//! looks elsewhere by itself.

use std::cell::OnceCell;
use std::fs;

use camino::{Utf8Component, Utf8Path};

use crate::Facts;
use crate::affected::tested_with;

/// Looks into each package at most once, and only when asked.
pub struct MayReadOutside<'a> {
    facts: &'a Facts,
    found: Vec<OnceCell<Found>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Found {
    /// Its own code may read elsewhere.
    code: bool,
    /// Its macros may, on behalf of the packages that use them.
    macros: bool,
}

impl<'a> MayReadOutside<'a> {
    /// Reads nothing yet.
    pub fn new(facts: &'a Facts) -> Self {
        Self { facts, found: vec![OnceCell::new(); facts.packages.len()] }
    }

    /// Whether the package of this number may read a file outside of its folder while it is compiled or tested.
    pub fn package(&self, package: usize) -> bool {
        let dependencies = tested_with(self.facts, package);
        self.found(package).code || dependencies.into_iter().any(|other| self.found(other).macros)
    }

    fn found(&self, package: usize) -> Found {
        *self.found[package].get_or_init(|| {
            let facts = &self.facts.packages[package];
            // Cargo leaves `..` in the path of a target as the manifest has it.
            let elsewhere = facts.targets.iter().any(|target| {
                let leaves = target.path.components().any(|part| part == Utf8Component::ParentDir);
                leaves || !target.path.starts_with(&facts.dir)
            });
            let proc_macro =
                facts.targets.iter().any(|target| target.kinds.iter().any(|kind| kind == "proc-macro"));
            let mut found = Found { code: elsewhere || facts.has_build_script(), macros: false };
            self.look_into(&facts.dir, proc_macro, &mut found);
            found
        })
    }

    fn look_into(&self, dir: &Utf8Path, proc_macro: bool, found: &mut Found) {
        // What cannot be read may hold anything.
        let Ok(entries) = dir.read_dir_utf8() else {
            found.code = true;
            return;
        };
        for entry in entries {
            let Ok((entry, kind)) = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind)))
            else {
                found.code = true;
                continue;
            };
            let path = entry.path();
            if kind.is_symlink() {
                found.code = true;
            } else if kind.is_dir() {
                let other = path == self.facts.target_dir
                    || path == self.facts.build_dir
                    || entry.file_name() == ".git"
                    || self.facts.packages.iter().any(|package| package.dir == path);
                if !other {
                    self.look_into(path, proc_macro, found);
                }
            } else if path.extension() == Some("rs") {
                let source = fs::read(path).map(|source| String::from_utf8_lossy(&source).into_owned());
                let names = source.as_deref().map_or(true, names_outside);
                found.code |= names;
                let has_macros = |source: &str| source.contains("macro_rules!") || proc_macro;
                let reads = |source: &str| names || (proc_macro && source.contains("fs"));
                found.macros |= source.is_ok_and(|source| has_macros(&source) && reads(&source));
            }
        }
    }
}

/// Whether a source file has anything in it that can name a file in another folder.
fn names_outside(source: &str) -> bool {
    // A path into a parent folder has `..` between quotes or separators. `current_dir` and the manifest folder
    // lead there by way of `parent()`.
    const WORDS: [&str; 9] =
        ["include!", "include_", "#[path", "current_dir", "CARGO_MANIFEST_", "../", "..\\", "\"..", "/.."];
    // These say something about the package, never where another file is.
    const HARMLESS: [&str; 3] = ["\"CARGO_PKG_", "\"CARGO_BIN_", "\"CARGO_CRATE_NAME"];
    let mut variables = source.split("env!(").skip(1).map(str::trim_start);
    WORDS.iter().any(|word| source.contains(word))
        || variables.any(|rest| !HARMLESS.iter().any(|name| rest.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_can_name_a_file_elsewhere_is_found() {
        let table = [
            ("fn f() { let r = 0..10; }", false),
            ("fn f() { env!(\"CARGO_PKG_VERSION\"); }", false),
            ("fn f() { env!(\"OUT_DIR\"); }", true),
            ("fn f() { option_env!(\n\"DATA\"); }", true),
            ("const X: &str = include_str!(\"x\");", true),
            ("include!(\"x.rs\");", true),
            ("#[path = \"x.rs\"] mod x;", true),
            ("fn f() { read(\"../x\"); }", true),
            ("fn f() { dir.join(\"..\"); }", true),
            ("fn f() { read(\"a/..\"); }", true),
            ("fn f() { current_dir(); }", true),
            ("fn f() { var(\"CARGO_MANIFEST_DIR\"); }", true),
        ];
        for (source, expected) in table {
            assert_eq!(names_outside(source), expected, "{source}");
        }
    }

    #[test]
    fn packages_are_looked_into_with_the_macros_they_use_but_not_into_each_other() {
        let files = [
            ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"[a-z]\", \"a/inner\"]\n"),
            ("a/src/lib.rs", "pub fn plain() {}"),
            ("a/target.txt", "../"),
            ("a/inner/src/lib.rs", "const X: &str = include_str!(\"x\");"),
            ("b/src/lib.rs", "#[macro_export] macro_rules! load { () => { include_str!(\"../x\") } }"),
            ("c/src/lib.rs", ""),
            ("d/src/lib.rs", ""),
            ("d/build.rs", "fn main() {}"),
            ("e/src/lib.rs", ""),
            ("e/tests/deep/x.rs", "fn f() { read(\"../x\") }"),
            ("f/src/lib.rs", ""),
            ("g/shared.rs", ""),
            ("h/src/lib.rs", ""),
        ];
        let fixture = xtask_testkit::Fixture::new("outside", &files);
        for name in ["a", "a/inner", "b", "c", "d", "e", "f", "g", "h"] {
            let more = match name {
                "c" => "[dependencies]\nb = { path = \"../b\" }\n",
                "f" => "[dependencies]\ninner = { path = \"../a/inner\" }\n",
                "g" => "[lib]\npath = \"../f/src/lib.rs\"\n",
                _ => "",
            };
            let package = name.rsplit('/').next().unwrap();
            let manifest = format!("[package]\nname = \"{package}\"\nedition = \"2024\"\n{more}");
            fixture.write(&format!("{name}/Cargo.toml"), &manifest);
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("../../f/src/lib.rs", fixture.root().join("h/src/link.rs")).unwrap();
        let workspace = crate::Workspace::load(fixture.root(), crate::Environment::current()).unwrap();
        let facts = &workspace.facts;
        let outside = MayReadOutside::new(facts);
        let may = (0..facts.packages.len()).filter(|&package| outside.package(package));
        let may = may.map(|package| facts.packages[package].name.as_str()).collect::<Vec<_>>();
        let linked: &[&str] = if cfg!(unix) { &["h"] } else { &[] };
        let expected = ["b", "c", "d", "e", "g"].iter().chain(linked).chain(&["inner"]);
        assert_eq!(may, expected.copied().collect::<Vec<_>>());
    }
}
