//! What differs between two texts, line by line: as people read it, and as it is undone later.
//!
//! Invariant: applied to the text that they were made from, changes give the other text, byte for byte. In any other
//! text they replace lines only where these are found in exactly one place.

use std::ops::Range;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::edit::{Edit, Node};

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 3;

/// Above this product of line counts, everything between the first and the last difference counts as one change: the
/// time and the memory for the smallest difference grow with it.
const MOST_PAIRS: usize = 1 << 22;

/// Lines and what replaces them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The number of lines before it in the old text.
    at: usize,
    old: String,
    new: String,
}

impl Change {
    /// The same with both texts as `map` makes them.
    pub(crate) fn with(&self, map: impl Fn(&str) -> String) -> Self {
        Self { at: self.at, old: map(&self.old), new: map(&self.new) }
    }
}

/// Which text changes are applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The one that they were made from.
    Here,
    /// One that was edited since.
    Anywhere,
}

/// What makes `new` from `old`.
pub(crate) fn changes(old: &str, new: &str) -> Vec<Change> {
    let (old, new) = (lines_of(old), lines_of(new));
    let change = |(from, to): (Range<usize>, Range<usize>)| Change {
        at: from.start,
        old: old[from].concat(),
        new: new[to].concat(),
    };
    replaced(&old, &new).into_iter().map(change).collect()
}

/// `text` with `changes`; `None` where they do not fit.
pub(crate) fn apply(text: &str, changes: &[Change], fit: Fit) -> Option<String> {
    let lines = lines_of(text);
    let mut result = String::new();
    // The first line that is not in `result` yet.
    let mut next = 0;
    for Change { at, old, new } in changes {
        let old = lines_of(old);
        let at = if fit == Fit::Here { *at } else { only_place(&lines, &old)? };
        if !lines.get(at..)?.starts_with(&old) {
            return None;
        }
        result.extend(lines.get(next..at)?.iter().copied());
        result.push_str(new);
        next = at + old.len();
        // The old text may have ended without a line break, and lines were added below since.
        if next < lines.len() && !result.is_empty() && !result.ends_with('\n') {
            result.push_str(if lines[next - 1].ends_with("\r\n") { "\r\n" } else { "\n" });
        }
    }
    result.extend(lines.get(next..)?.iter().copied());
    Some(result)
}

/// Where `wanted` is in `lines`, if it is in one place only.
fn only_place(lines: &[&str], wanted: &[&str]) -> Option<usize> {
    let mut places = (0..lines.len()).filter(|at| !wanted.is_empty() && lines[*at..].starts_with(wanted));
    let place = places.next()?;
    places.next().is_none().then_some(place)
}

fn lines_of(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The ranges of `old` that are replaced, each with the range of `new` that replaces it: as few lines as possible.
fn replaced(old: &[&str], new: &[&str]) -> Vec<(Range<usize>, Range<usize>)> {
    let before = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[before..], &new[before..]);
    let after = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - after], &new[..new.len() - after]);
    if old.len().saturating_mul(new.len()) > MOST_PAIRS {
        return vec![(before..before + old.len(), before..before + new.len())];
    }
    // How many lines the rests of both texts have in common, from each pair of lines on.
    let pair = |x: usize, y: usize| x * (new.len() + 1) + y;
    let mut common = vec![0_u32; pair(old.len(), new.len()) + 1];
    for (x, old) in old.iter().enumerate().rev() {
        for (y, new) in new.iter().enumerate().rev() {
            common[pair(x, y)] = if old == new {
                common[pair(x + 1, y + 1)] + 1
            } else {
                common[pair(x + 1, y)].max(common[pair(x, y + 1)])
            };
        }
    }
    let mut ranges = Vec::<(Range<usize>, Range<usize>)>::new();
    let (mut x, mut y) = (0, 0);
    while x < old.len() || y < new.len() {
        if x < old.len() && old.get(x) == new.get(y) {
            (x, y) = (x + 1, y + 1);
            continue;
        }
        let removed = y == new.len() || x < old.len() && common[pair(x + 1, y)] >= common[pair(x, y + 1)];
        let (from, to) = (before + x, before + y);
        let adjacent = ranges.pop_if(|(old, new)| (old.end, new.end) == (from, to));
        let (old_start, new_start) = adjacent.map_or((from, to), |(old, new)| (old.start, new.start));
        (x, y) = (x + usize::from(removed), y + usize::from(!removed));
        ranges.push((old_start..before + x, new_start..before + y));
    }
    ranges
}

/// The hunks of a unified diff.
fn hunks(old: &str, new: &str) -> String {
    let (old, new) = (lines_of(old), lines_of(new));
    let mut text = String::new();
    for near in replaced(&old, &new).chunk_by(|(one, _), (next, _)| next.start - one.end <= 2 * CONTEXT) {
        let ([(first, first_new), ..], [.., (last, last_new)]) = (near, near) else { continue };
        let before = CONTEXT.min(first.start);
        let after = CONTEXT.min(old.len() - last.end);
        let shown = range(first.start - before..last.end + after);
        let shown_new = range(first_new.start - before..last_new.end + after);
        text.extend(["@@ -", &shown, " +", &shown_new, " @@\n"]);
        let mut add = |sign: char, lines: &[&str]| {
            for line in lines {
                let end = if line.ends_with('\n') { "" } else { "\n\\ No newline at end of file\n" };
                text.extend([sign.encode_utf8(&mut [0; 4]), *line, end]);
            }
        };
        let mut at = first.start - before;
        for (from, to) in near {
            add(' ', &old[at..from.start]);
            add('-', &old[from.clone()]);
            add('+', &new[to.clone()]);
            at = from.end;
        }
        add(' ', &old[at..last.end + after]);
    }
    text
}

/// Lines are counted from 1; a range without lines is after the line it names.
fn range(lines: Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        count => format!("{},{count}", lines.start + 1),
    }
}

/// What an edit does: the diff of a file that is changed, one line for what is created or removed.
pub fn describe(edit: &Edit) -> String {
    let path = &edit.path;
    if let (Some(Node::File(before)), Some(Node::File(after))) = (&edit.before, &edit.after) {
        return unified_diff(path, before, after);
    }
    let removed = edit.before.iter().map(|node| format!("--- a/{path} (removed {})\n", size(node)));
    removed.chain(edit.after.iter().map(|node| format!("+++ b/{path} (new {})\n", size(node)))).collect()
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

/// The unified diff of one file; empty when nothing changes. Control characters are escaped, so that no file sends
/// commands to the terminal.
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
    let show = |text: &str| text.replace("\r\n", if all_crlf { "\n" } else { "␍\n" });
    let diff = format!("--- a/{path}\n+++ b/{path}\n{}", hunks(&show(old), &show(new)));
    let mut shown = String::with_capacity(diff.len());
    for character in diff.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The bytes as text, if they are text.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use xtask_testkit::Random;

    use super::*;

    #[test]
    fn hunks_are_written_as_other_programs_write_them() {
        // old, new, hunks
        let table = [
            ("a\nb\n", "a\nc\n", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"),
            ("", "a\n", "@@ -0,0 +1 @@\n+a\n"),
            ("a\n", "", "@@ -1 +0,0 @@\n-a\n"),
            ("a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"),
            ("1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n6\n7\n", "@@ -4,3 +4,4 @@\n 4\n 5\n 6\n+7\n"),
            ("a\nb\n", "c\nd\n", "@@ -1,2 +1,2 @@\n-a\n-b\n+c\n+d\n"),
            (
                "x\n1\n2\n3\n4\n5\n6\n7\ny\n",
                "X\n1\n2\n3\n4\n5\n6\n7\nY\n",
                "@@ -1,4 +1,4 @@\n-x\n+X\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-y\n+Y\n",
            ),
            ("same\n", "same\n", ""),
        ];
        for (old, new, expected) in table {
            assert_eq!(hunks(old, new), expected, "{old:?} {new:?}");
        }
    }

    /// Texts of few different lines, so that many are equal; some without a line break at their end.
    fn texts() -> Vec<String> {
        let mut random = Random::new(7);
        let mut text = || {
            let count = random.below(14);
            let lines = (0..count).map(|_| *random.pick(&["a\n", "b\n", "\n", "c\r\n"]).unwrap());
            let text = lines.collect::<String>();
            if random.chance(33) { text + "z" } else { text }
        };
        (0..60).map(|_| text()).collect()
    }

    #[test]
    fn changes_make_the_other_text() {
        for old in &texts() {
            for new in &texts() {
                let changes = changes(old, new);
                assert_eq!(apply(old, &changes, Fit::Here).as_deref(), Some(&**new), "{old:?} {new:?}");
            }
        }
    }

    #[test]
    fn no_more_lines_are_replaced_than_necessary() {
        let longest_common = |old: &[&str], new: &[&str]| {
            let mut lengths = vec![vec![0; new.len() + 1]; old.len() + 1];
            for (x, a) in old.iter().enumerate() {
                for (y, b) in new.iter().enumerate() {
                    let longer = lengths[x][y + 1].max(lengths[x + 1][y]);
                    lengths[x + 1][y + 1] = if a == b { lengths[x][y] + 1 } else { longer };
                }
            }
            lengths[old.len()][new.len()]
        };
        for old in &texts() {
            for new in &texts() {
                let (old, new) = (lines_of(old), lines_of(new));
                let replaced = replaced(&old, &new).iter().map(|(old, _)| old.len()).sum::<usize>();
                assert_eq!(old.len() - replaced, longest_common(&old, &new), "{old:?} {new:?}");
            }
        }
    }

    #[test]
    fn what_others_have_added_survives() {
        // Before, after, what others made of it since, and what is left when the change is taken back.
        let table = [
            ("a\nb\n", "a\nours\nb\n", "a\nx\nours\ny\nb\n", Some("a\nx\ny\nb\n")),
            ("a\nold\nb\n", "a\nours\nb\n", "x\nours\nb\n", Some("x\nold\nb\n")),
            ("a\n", "1\na\n2\n", "x\n1\ny\na\n2\nz\n", Some("x\ny\na\nz\n")),
            ("a", "a\nours\n", "a\nours\nx\n", Some("a\nx\n")),
            ("a\r\nb", "a\r\nb\r\nours\r\n", "a\r\nb\r\nours\r\nx\r\n", Some("a\r\nb\r\nx\r\n")),
            ("", "ours", "ours and theirs\n", None),
            ("a\n", "a\nours\n", "ours\na\nours\n", None),
            ("a\n", "a\nours\n", "a\nnot ours\n", None),
            ("a\n", "a\nours\n", "a\n", None),
            // Where it was is not known any more.
            ("a\nold\nb\n", "a\nb\n", "a\nx\nb\n", None),
            ("old\n", "", "x\n", None),
        ];
        for (before, after, now, left) in table {
            let found = apply(now, &changes(after, before), Fit::Anywhere);
            assert_eq!(found.as_deref(), left, "{now}");
        }
    }

    #[test]
    fn a_large_change_is_replaced_as_a_whole() {
        let old = format!("x\n{}y\n", "0\n1\n2\n".repeat(1_000));
        let new = format!("x\n{}y\n", "3\n4\n5\n".repeat(1_000));
        let all = changes(&old, &new);
        assert_eq!((all.len(), apply(&old, &all, Fit::Here)), (1, Some(new)));
        assert_eq!(hunks(&old, &old[2..]), "@@ -1,4 +1,3 @@\n-x\n 0\n 1\n 2\n");
    }
}
