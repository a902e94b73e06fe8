//! Sources as a copy has them: without tests and what only they need, and without what works in a clone only.

use camino::Utf8Path;

use super::source::Files;

/// What the copy is without: this crate's feature, and that of the crates which pass it on. Its modules are named
/// so too.
const FEATURE: &str = "put";
/// How a module of tests begins.
const TESTS: &str = "mod tests {";

/// Takes out of Rust sources what a copy does not have: items behind `#[cfg(test)]` or the feature that begin in the
/// first column, and the files of modules named `tests` or as the feature is.
pub(crate) fn keep_product(files: &mut Files) {
    files.retain(|path, _| !is_left_out(path));
    for (_, bytes) in files.iter_mut().filter(|(path, _)| path.extension() == Some("rs")) {
        if let Ok(text) = std::str::from_utf8(bytes) {
            *bytes = product(text).into_bytes();
        }
    }
}

fn is_left_out(path: &Utf8Path) -> bool {
    path.components().any(|part| {
        let name = part.as_str();
        ["tests", FEATURE].contains(&name.strip_suffix(".rs").unwrap_or(name))
    })
}

/// rustfmt's form makes this exact: an item that begins in the first column ends there too.
fn product(text: &str) -> String {
    let on = format!("#[cfg(feature = \"{FEATURE}\")]");
    let off = format!("#[cfg(not(feature = \"{FEATURE}\"))]");
    let mut kept = String::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        if line.trim_end() == off {
            continue;
        }
        let behind = line.strip_prefix("#[cfg(").is_some_and(|rest| {
            rest.starts_with("test)]") || (rest.starts_with("all(") && rest.contains("(test,"))
        });
        let behind = behind || line.trim_end() == on;
        if !behind {
            kept.push_str(line);
            continue;
        }
        // Attributes, then `mod tests;`, or an item up to its brace. A module of tests ends the file, which clippy
        // demands, and may have any text in it.
        let is_last = |line: &&str| {
            let line = line.trim_end();
            line == TESTS || line.starts_with('}') || (!line.starts_with([' ', '#']) && line.ends_with(';'))
        };
        if lines.by_ref().find(is_last).is_some_and(|line| line.trim_end() == TESTS) {
            lines.by_ref().for_each(drop);
        }
        // The empty line before the item is left out too.
        if kept.ends_with("\n\n") {
            kept.pop();
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_the_feature_go_and_nothing_else_does() {
        let table = [
            ("fn a() {}\n", "fn a() {}\n"),
            ("mod x;\n\n#[cfg(test)]\nmod tests;\n\nuse x::y;\n", "mod x;\n\nuse x::y;\n"),
            (
                "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() { \"\n}\n\" }\n}\n",
                "fn a() {}\n",
            ),
            (
                "fn a() {}\n\n#[cfg(all(test, unix))]\n#[expect(x)]\nimpl A {\n    use a;\n}\n\nfn c() {}\n",
                "fn a() {}\n\nfn c() {}\n",
            ),
            ("fn a() {\n    #[cfg(test)]\n    b();\n}\n", "fn a() {\n    #[cfg(test)]\n    b();\n}\n"),
            (
                "mod a;\n#[cfg(feature = \"put\")]\nmod put;\n#[cfg(feature = \"put\")]\npub use put::{\n    A,\n};\nuse b;\n",
                "mod a;\nuse b;\n",
            ),
            ("#[cfg(not(feature = \"put\"))]\nfn a() {}\n", "fn a() {}\n"),
            ("#[cfg(unix)]\nfn a() {}\n", "#[cfg(unix)]\nfn a() {}\n"),
            ("#[cfg_attr(test, x)]\nfn a() {}\n", "#[cfg_attr(test, x)]\nfn a() {}\n"),
        ];
        for (text, expected) in table {
            assert_eq!(product(text), expected);
        }
        let left_out = ["a/tests.rs", "a/tests/b.rs", "a/put.rs", "a/put/files/c.toml"];
        let names = left_out.into_iter().chain(["a/testsuite.rs"]);
        let mut files = names.map(|name| (name.into(), Vec::new())).collect::<Files>();
        keep_product(&mut files);
        assert_eq!(files.into_keys().collect::<Vec<_>>(), ["a/testsuite.rs"]);
    }
}
