//! Files that are made from the code: compared, and rewritten where `XTASK_SUITE_BLESS=1` asks for it.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

/// The command that rewrites everything of this kind.
pub(crate) const REWRITE: &str = "XTASK_SUITE_BLESS=1 cargo test --package xtask-workshop --features heavy --test docs --test examples --test house";

/// The root of this repository.
pub(crate) fn repository() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders up").to_owned()
}

/// Whether files are to be rewritten.
pub(crate) fn blessing() -> bool {
    std::env::var("XTASK_SUITE_BLESS").is_ok_and(|bless| bless == "1")
}

/// Writes a file of this repository.
#[expect(clippy::disallowed_methods, reason = "the file is in git")]
pub(crate) fn rewrite(file: &Utf8Path, text: &str) {
    fs::write(file, text).unwrap_or_else(|error| panic!("failed to write {file}: {error}"));
}

/// Fails unless the file holds exactly `expected`; writes it first where that is asked for.
pub(crate) fn assert_current(path: &str, expected: &str) {
    let file = repository().join(path);
    if blessing() {
        rewrite(&file, expected);
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    let line = differs.unwrap_or_else(|| found.lines().count().min(expected.lines().count()));
    let show = |text: &str| text.lines().nth(line).unwrap_or("(end of file)").to_owned();
    assert!(
        found == expected,
        "{path} is out of date in line {}:\n  is:        {}\n  should be: {}\nto rewrite it: {REWRITE}",
        line + 1,
        show(&found),
        show(expected)
    );
}
