//! Whether a package may read files outside its folder, by its sources.
//!
//! A search for a few words, not a parser: what it finds may be a comment, but whatever leads to another folder has one of
//! the words in it. The exceptions are a macro or function from a registry that looks elsewhere, and a program or script that
//! a test starts.

use std::fs;

use camino::{Utf8Component, Utf8Path};

use crate::{Facts, Workspace};

/// Whether the package of a number may read a file outside its folder while it is compiled or tested. What its macros and
/// functions read for others is found in it: whoever depends on it is reached with it.
pub fn may_read_outside(workspace: &Workspace) -> impl Fn(usize) -> bool {
    let facts = &workspace.facts;
    // Each may hold the path of a folder.
    let variables = workspace.cargo_config.env().into_keys().map(|name| format!("\"{name}\""));
    let variables = variables.collect::<Vec<_>>();
    move |package| {
        let package = &facts.packages[package];
        // Cargo leaves `..` in the path of a target as the manifest has it.
        let elsewhere = package.targets.iter().any(|target| {
            let leaves = target.path.components().any(|part| part == Utf8Component::ParentDir);
            leaves || !target.path.starts_with(&package.dir)
        });
        // Git knows its files by another path.
        let behind_a_link = package.dir.ancestors().any(Utf8Path::is_symlink);
        let is_proc_macro = package.has_target("proc-macro");
        let found = |source: &str| {
            names_outside(source)
                || variables.iter().any(|name| source.contains(name))
                || is_proc_macro && source.contains("fs")
        };
        elsewhere
            || behind_a_link
            || package.has_target("custom-build")
            || any_file(facts, &package.dir, &|link| !leads_to_a_shared_file(facts, link), &found)
    }
}

/// Whether a source in the package's folder [names what is built](names_what_is_built).
pub fn may_start_what_is_built(facts: &Facts, package: usize) -> bool {
    any_file(facts, &facts.packages[package].dir, &|_| false, &names_what_is_built)
}

/// Whether `link` says so of a link in `dir`, or `found` of a source file. What cannot be read may contain anything.
fn any_file(
    facts: &Facts,
    dir: &Utf8Path,
    link: &dyn Fn(&Utf8Path) -> bool,
    found: &dyn Fn(&str) -> bool,
) -> bool {
    let Ok(mut entries) = dir.read_dir_utf8() else { return true };
    entries.any(|entry| {
        let Ok((entry, kind)) = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind))) else {
            return true;
        };
        let path = entry.path();
        if kind.is_symlink() {
            link(path)
        } else if kind.is_dir() {
            let other = path == facts.target_dir
                || path == facts.build_dir
                || entry.file_name() == ".git"
                || facts.packages.iter().any(|package| package.dir == path);
            !other && any_file(facts, path, link, found)
        } else {
            path.extension() == Some("rs")
                && fs::read(path).map_or(true, |source| found(&String::from_utf8_lossy(&source)))
        }
    })
}

/// Whether `link` leads straight to a file in the root folder that belongs to no package, as a crate's `LICENSE` often does:
/// a change of that reaches everybody, unless `ignore` says that no test reads it.
fn leads_to_a_shared_file(facts: &Facts, link: &Utf8Path) -> bool {
    let Ok(text) = link.read_link_utf8() else { return false };
    let (Some(up), Some(name)) = (text.parent(), text.file_name()) else { return false };
    up.components().all(|part| part == Utf8Component::ParentDir)
        && link.ancestors().nth(1 + up.components().count()) == Some(&facts.root)
        && text.extension() != Some("rs")
        && fs::symlink_metadata(facts.root.join(name)).is_ok_and(|found| found.is_file())
}

/// Whether a source file contains anything that can name a file in another folder.
fn names_outside(source: &str) -> bool {
    // A path into a parent folder has `..` between quotes or separators. An absolute path leads there through `parent()`.
    const WORDS: [&str; 14] = [
        "include!",
        "include_",
        "#[path",
        "current_dir",
        "CARGO_MANIFEST_",
        "../",
        "..\\",
        "\"..",
        "/..",
        "ParentDir",
        "canonicalize",
        "path::absolute",
        "\"PWD\"",
        "show-toplevel",
    ];
    // These describe the package, never where another file is.
    const HARMLESS: [&str; 3] = ["\"CARGO_PKG_", "\"CARGO_BIN_", "\"CARGO_CRATE_NAME"];
    let mut variables = source.split("env!(").skip(1).map(str::trim_start);
    names_what_is_built(source)
        || WORDS.iter().any(|word| source.contains(word))
        || variables.any(|rest| !HARMLESS.iter().any(|name| rest.starts_with(name)))
}

/// Whether a source names cargo, rustc, what calls them, or the programs that cargo built: then it may build sources of other
/// packages while it runs, or start what lies beside it. What it finds may be a comment, which costs runs and no more.
pub fn names_what_is_built(source: &str) -> bool {
    const WORDS: [&str; 20] = [
        "\"cargo\"",
        "\"cargo ",
        "&& cargo ",
        "\"CARGO\"",
        "\"rustc\"",
        "\"rustc ",
        "\"RUSTC\"",
        "trybuild",
        "macrotest",
        "ui_test::",
        "compiletest",
        "escargot",
        "cargo_bin",
        "target/debug",
        "target/release",
        "target/{",
        "join(\"target\")",
        "join(\"debug\")",
        "\"CARGO_TARGET_DIR\"",
        "current_exe",
    ];
    WORDS.iter().any(|word| source.contains(word))
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
            ("fn f() { env!(\"CARGO_BIN_EXE_x\"); }", false),
            ("fn f() { canonicalize(\".\"); }", true),
            ("fn f() { path::absolute(\".\"); }", true),
            ("fn f() { path.join(Component::ParentDir); }", true),
            ("fn f() { var(\"PWD\"); }", true),
            ("fn f() { Command::new(\"git\").args([\"rev-parse\", \"--show-toplevel\"]); }", true),
            ("fn f() { current_exe(); }", true),
            ("fn f() { Command::cargo_bin(\"other\"); }", true),
            ("fn f() { Command::new(\"cargo\"); }", true),
            ("fn f() { sh(\"cargo run\"); }", true),
        ];
        for (source, expected) in table {
            assert_eq!(names_outside(source), expected, "{source}");
        }
    }

    #[test]
    fn packages_are_looked_into_but_not_into_each_other() {
        let files = [
            ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"[a-z]\", \"a/inner\"]\n"),
            (".cargo/config.toml", "[env]\nDATA = { value = \"a\", relative = true }\n"),
            ("a/src/lib.rs", "pub fn plain() {}"),
            ("a/target.txt", "../"),
            ("a/inner/src/lib.rs", "const X: &str = include_str!(\"x\");"),
            ("b/src/lib.rs", "#[macro_export] macro_rules! load { () => { include_str!(\"../x\") } }"),
            ("c/src/lib.rs", "#[proc_macro] fn f() { fs::read(\"a/x\"); }"),
            ("d/src/lib.rs", ""),
            ("d/build.rs", "fn main() {}"),
            ("e/src/lib.rs", ""),
            ("e/tests/deep/x.rs", "fn f() { read(\"../x\") }"),
            ("f/src/lib.rs", ""),
            ("g/shared.rs", ""),
            ("h/src/lib.rs", ""),
            ("i/src/lib.rs", "fn f() { var(\"DATA\"); }"),
            ("a/j/src/lib.rs", "// DATA"),
            ("k/src/lib.rs", ""),
            ("l/src/lib.rs", ""),
            ("m/src/lib.rs", ""),
            ("n/src/lib.rs", ""),
            ("LICENSE", ""),
            ("build.rs", ""),
        ];
        let fixture = xtask_testkit::Fixture::new("outside", &files);
        for name in ["a", "a/inner", "b", "c", "d", "e", "f", "g", "h", "i", "a/j", "k", "l", "m", "n"] {
            let more = match name {
                "c" => "[lib]\nproc-macro = true\n",
                "f" => "[dependencies]\ninner = { path = \"../a/inner\" }\n",
                "g" => "[lib]\npath = \"../f/src/lib.rs\"\n",
                _ => "",
            };
            let package = name.rsplit('/').next().unwrap();
            let manifest = format!("[package]\nname = \"{package}\"\nedition = \"2024\"\n{more}");
            fixture.write(&format!("{name}/Cargo.toml"), &manifest);
        }
        for (to, link) in [
            ("../f/data", "h/data"),
            ("a/j", "j"),
            ("../LICENSE", "a/LICENSE"),
            ("../../LICENSE", "f/src/LICENSE"),
            ("LICENSE", "LINKED"),
            ("../LINKED", "k/LICENSE"),
            ("../LICENSE", "l/src/wrong"),
            ("src/LICENSE", "m/LICENSE"),
            ("../build.rs", "n/build"),
        ] {
            std::os::unix::fs::symlink(to, fixture.root().join(link)).unwrap();
        }
        let workspace = crate::Workspace::load(fixture.root(), crate::Environment::current()).unwrap();
        let packages = &workspace.facts.packages;
        let outside = may_read_outside(&workspace);
        let may = (0..packages.len()).filter(|&package| outside(package));
        let may = may.map(|package| packages[package].name.as_str()).collect::<Vec<_>>();
        assert_eq!(may, ["b", "c", "d", "e", "g", "h", "i", "inner", "j", "k", "l", "m", "n"]);
    }
}
