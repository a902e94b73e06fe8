//! What people are shown of an edit.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::{Edit, Node, describe, unified_diff};

fn diff(before: &[u8], after: &[u8]) -> String {
    unified_diff(Utf8Path::new("a/f.toml"), before, after)
}

#[test]
fn a_diff_shows_what_changes() {
    let table: [(&[u8], &[u8], &str); 7] = [
        (b"same\n", b"same\n", ""),
        (b"a\nb\n", b"a\nc\n", "--- a/a/f.toml\n+++ b/a/f.toml\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"),
        // All lines end in CRLF: nobody wants to read that of each.
        (b"a\r\nb\r\n", b"a\r\nc\r\n", "--- a/a/f.toml\n+++ b/a/f.toml\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"),
        // Some do: that is what changes.
        (b"a\r\nb\n", b"a\nb\n", "--- a/a/f.toml\n+++ b/a/f.toml\n@@ -1,2 +1,2 @@\n-a␍\n+a\n b\n"),
        (b"a", b"a\n", "--- a/a/f.toml\n+++ b/a/f.toml\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"),
        (b"\xff", b"a\n", "--- a/a/f.toml\n+++ b/a/f.toml\nbinary: 1 bytes become 2 bytes\n"),
        // No file may speak to the terminal.
        (b"", b"\x1b[2J\n", "--- a/a/f.toml\n+++ b/a/f.toml\n@@ -0,0 +1 @@\n+\\u{1b}[2J\n"),
    ];
    for (before, after, expected) in table {
        assert_eq!(diff(before, after), expected, "{before:?} {after:?}");
    }
}

#[test]
fn what_comes_or_goes_as_a_whole_is_one_line() {
    let folder = |files: &[(&str, &str)]| {
        Node::Folder(
            files
                .iter()
                .map(|(path, text)| (Utf8PathBuf::from(path), text.as_bytes().to_vec()))
                .collect::<BTreeMap<_, _>>(),
        )
    };
    let show = |before, after| describe(&Edit { path: "p".into(), before, after });
    let two = folder(&[("x", "1\n"), ("y/z", "2\n")]);
    assert_eq!(show(None, Some(Node::file("1\n2\n"))), "+++ b/p (new file, 2 lines)\n");
    assert_eq!(show(Some(Node::file("1\n")), None), "--- a/p (removed file, 1 line)\n");
    assert_eq!(show(None, Some(Node::file([0xff, 0]))), "+++ b/p (new binary file, 2 bytes)\n");
    assert_eq!(show(None, Some(two.clone())), "+++ b/p (new folder, 2 files, 4 bytes)\n");
    assert_eq!(
        show(Some(two), Some(Node::file("1\n"))),
        "--- a/p (removed folder, 2 files, 4 bytes)\n+++ b/p (new file, 1 line)\n"
    );
}
