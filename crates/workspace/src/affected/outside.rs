//! Whether the sources of a package can name a file outside its folder: for packages that were never built here, so that
//! no compiler has said what they read.
//!
//! A search for a few words, not a parser: what it finds may be a comment, but whatever reads a file in another folder
//! while it compiles has one of the words in it. The exception is a macro from a registry that looks elsewhere.

use std::cell::OnceCell;
use std::fs;

use camino::{Utf8Component, Utf8Path};

use super::tested_with;
use crate::Facts;

#[derive(Debug, Default, Clone, Copy)]
struct Found {
    /// Its own code may read elsewhere.
    code: bool,
    /// Its macros may, on behalf of the packages that use them.
    macros: bool,
}

/// Whether the package of a number may read a file outside its folder while it is compiled or tested. Looks into each
/// package at most once, and only when asked.
pub fn may_read_outside(facts: &Facts) -> impl Fn(usize) -> bool {
    let found = vec![OnceCell::new(); facts.packages.len()];
    move |package| {
        let found = |at: usize| *found[at].get_or_init(|| look_into_package(facts, at));
        found(package).code || tested_with(facts, package).into_iter().any(|other| found(other).macros)
    }
}

fn look_into_package(facts: &Facts, package: usize) -> Found {
    let package = &facts.packages[package];
    // Cargo leaves `..` in the path of a target as the manifest has it.
    let elsewhere = package.targets.iter().any(|target| {
        let leaves = target.path.components().any(|part| part == Utf8Component::ParentDir);
        leaves || !target.path.starts_with(&package.dir)
    });
    let mut found = Found { code: elsewhere || package.has_target("custom-build"), macros: false };
    look_into(facts, &package.dir, package.has_target("proc-macro"), &mut found);
    found
}

/// What cannot be read may contain anything.
fn look_into(facts: &Facts, dir: &Utf8Path, proc_macro: bool, found: &mut Found) {
    let Ok(entries) = dir.read_dir_utf8() else {
        found.code = true;
        return;
    };
    for entry in entries {
        let Ok((entry, kind)) = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind))) else {
            found.code = true;
            continue;
        };
        let path = entry.path();
        if kind.is_symlink() {
            found.code = true;
        } else if kind.is_dir() {
            let other = path == facts.target_dir
                || path == facts.build_dir
                || entry.file_name() == ".git"
                || facts.packages.iter().any(|package| package.dir == path);
            if !other {
                look_into(facts, path, proc_macro, found);
            }
        } else if path.extension() == Some("rs") {
            let source = fs::read(path).map(|source| String::from_utf8_lossy(&source).into_owned());
            let Ok(source) = source else {
                found.code = true;
                continue;
            };
            let names = names_outside(&source);
            found.code |= names;
            found.macros |= proc_macro && (names || source.contains("fs"));
            found.macros |= names && source.contains("macro_rules!");
        }
    }
}

/// Whether a source file contains anything that can name a file in another folder.
fn names_outside(source: &str) -> bool {
    // A path into a parent folder has `..` between quotes or separators. `current_dir` and the manifest folder lead there
    // through `parent()`.
    const WORDS: [&str; 9] =
        ["include!", "include_", "#[path", "current_dir", "CARGO_MANIFEST_", "../", "..\\", "\"..", "/.."];
    // These describe the package, never where another file is.
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
        let outside = may_read_outside(facts);
        let may = (0..facts.packages.len()).filter(|&package| outside(package));
        let may = may.map(|package| facts.packages[package].name.as_str()).collect::<Vec<_>>();
        let linked: &[&str] = if cfg!(unix) { &["h"] } else { &[] };
        let expected = ["b", "c", "d", "e", "g"].iter().chain(linked).chain(&["inner"]);
        assert_eq!(may, expected.copied().collect::<Vec<_>>());
    }
}
