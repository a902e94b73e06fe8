//! Sources without their tests: in a copy nothing that tests need is there.

use camino::Utf8Path;

use super::source::Files;

/// How a module of tests begins.
const TESTS: &str = "mod tests {";

/// Takes the tests out of Rust sources: items behind `#[cfg(test)]` that begin in the first column, and the files
/// of modules named `tests`.
pub(crate) fn keep_product(files: &mut Files) {
    files.retain(|path, _| !is_test_file(path));
    for (_, bytes) in files.iter_mut().filter(|(path, _)| path.extension() == Some("rs")) {
        if let Ok(text) = std::str::from_utf8(bytes) {
            *bytes = without_tests(text).into_bytes();
        }
    }
}

fn is_test_file(path: &Utf8Path) -> bool {
    path.file_name() == Some("tests.rs") || path.components().any(|part| part.as_str() == "tests")
}

/// rustfmt's form makes this exact: an item that begins in the first column ends there too.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let behind = line.strip_prefix("#[cfg(").is_some_and(|rest| {
            rest.starts_with("test)]") || (rest.starts_with("all(") && rest.contains("(test,"))
        });
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
        // The empty line before the item goes with it.
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
    fn tests_go_and_nothing_else_does() {
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
            ("#[cfg(unix)]\nfn a() {}\n", "#[cfg(unix)]\nfn a() {}\n"),
            ("#[cfg_attr(test, x)]\nfn a() {}\n", "#[cfg_attr(test, x)]\nfn a() {}\n"),
        ];
        for (text, expected) in table {
            assert_eq!(without_tests(text), expected);
        }
        let mut files = Files::from([("a/tests.rs".into(), vec![]), ("a/tests/b.rs".into(), vec![])]);
        files.insert("a/testsuite.rs".into(), vec![]);
        keep_product(&mut files);
        assert_eq!(files.into_keys().collect::<Vec<_>>(), ["a/testsuite.rs"]);
    }
}
