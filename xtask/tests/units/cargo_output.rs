//! What of cargo's output is passed on, and how its command is shown.

use std::ffi::OsStr;

use crate::build::{quote, relay};

#[test]
fn cargos_lines_are_passed_on_unless_it_only_says_that_it_has_finished() {
    let fresh = "\x1b[1m    Finished\x1b[0m `xtask` profile in 0.01s\n";
    let built = "   Compiling a\n    Finished `xtask`\n";
    let blocked = "    Blocking waiting for file lock\n    Finished `xtask`\n";
    let ours = "xtask: bringing the suite up to date\n";
    let table = [
        (fresh, String::new()),
        ("", String::new()),
        (built, format!("{ours}{built}")),
        (blocked, format!("{ours}{blocked}")),
        ("error: no end of line", format!("{ours}error: no end of line")),
    ];
    for (cargo, expected) in table {
        let mut shown = Vec::new();
        relay(cargo.as_bytes(), &mut shown).unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
    }
}

#[cfg(unix)]
#[test]
fn words_are_quoted_where_a_shell_would_split_them() {
    let table = [
        ("--bin", "--bin"),
        ("/ä/b", "/ä/b"),
        ("/a b", "'/a b'"),
        ("it's", r"'it'\''s'"),
        ("", "''"),
        ("a\\b", "'a\\b'"),
    ];
    for (word, quoted) in table {
        assert_eq!(quote(OsStr::new(word)), quoted);
    }
}
