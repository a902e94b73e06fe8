//! Edits as people read them: a unified diff, which no terminal takes as commands.

use camino::Utf8Path;

use crate::node::{Edit, Node};
use crate::patch::Patch;

/// What an edit does: the diff of a file that is changed, one line for what is created or removed.
pub fn describe(edit: &Edit) -> String {
    let path = &edit.path;
    match (&edit.before, &edit.after) {
        (None, None) => String::new(),
        (None, Some(after)) => format!("+++ b/{path} (new {})\n", size(after)),
        (Some(before), None) => format!("--- a/{path} (removed {})\n", size(before)),
        (Some(Node::File(before)), Some(Node::File(after))) => unified_diff(path, before, after),
        (Some(before), Some(after)) => {
            format!("--- a/{path} (removed {})\n+++ b/{path} (new {})\n", size(before), size(after))
        }
    }
}

fn size(node: &Node) -> String {
    let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    match node {
        Node::Folder(files) => {
            let bytes = files.values().map(Vec::len).sum();
            format!("folder, {}, {}", count(files.len(), "file"), count(bytes, "byte"))
        }
        Node::File(bytes) => match text(bytes) {
            Some(text) => format!("file, {}", count(text.lines().count(), "line")),
            None => format!("binary file, {}", count(bytes.len(), "byte")),
        },
    }
}

/// The unified diff of one file for people; empty when nothing changes.
///
/// Where every line on both sides ends in CRLF, the CR is not shown; elsewhere it is, as `␍`.
pub fn unified_diff(path: &Utf8Path, before: &[u8], after: &[u8]) -> String {
    if before == after {
        return String::new();
    }
    let (Some(old), Some(new)) = (text(before), text(after)) else {
        let (old, new) = (before.len(), after.len());
        return format!("--- a/{path}\n+++ b/{path}\nbinary: {old} bytes become {new} bytes\n");
    };
    let all_crlf =
        [old, new].iter().all(|text| text.split_inclusive('\n').all(|line| line.ends_with("\r\n")));
    let show = |text: &str| if all_crlf { text.replace("\r\n", "\n") } else { text.replace("\r\n", "␍\n") };
    let (old, new) = (show(old), show(new));
    harmless(&format!("--- a/{path}\n+++ b/{path}\n{}", Patch::between(&old, &new)))
}

/// The bytes as text, if they are any.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Escapes control characters: those in somebody's file are not meant for the reader's terminal.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}
