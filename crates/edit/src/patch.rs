//! Unified diffs of lines: made, written, read back and applied.
//!
//! Invariant: applied to the text that it was made from, a patch gives the other text, byte for byte. In any other text
//! it replaces lines only where they are together in exactly one place.

use std::fmt;

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 3;

/// With more changed lines than this, what lies between the first and the last of them is replaced as a whole: the time
/// for the shortest patch grows with their square.
const MOST_CHANGES: usize = 1_000;

/// A line of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line<'a> {
    /// As it is written before the line: `-` in the old text only, `+` in the new one only, a space in both.
    sign: &'a str,
    /// With its line break.
    text: &'a str,
}

/// Lines of the old text, and what replaces them.
struct Change<'a> {
    /// How many lines of the old text are before it.
    at: usize,
    old: Vec<&'a str>,
    new: Vec<&'a str>,
}

/// Which text a patch is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The one that it was made from.
    Here,
    /// One that others have changed since.
    Anywhere,
}

/// Changes that are close together.
#[derive(Debug)]
pub(crate) struct Hunk<'a> {
    /// How many lines of the old text are before it.
    old_start: usize,
    /// How many lines of the new text are before it.
    new_start: usize,
    lines: Vec<Line<'a>>,
}

/// All changes from one text to another.
#[derive(Debug)]
pub(crate) struct Patch<'a> {
    hunks: Vec<Hunk<'a>>,
}

impl<'a> Line<'a> {
    fn is_change(&self) -> bool {
        self.sign != " "
    }

    fn in_old(self) -> Option<&'a str> {
        (self.sign != "+").then_some(self.text)
    }

    fn in_new(self) -> Option<&'a str> {
        (self.sign != "-").then_some(self.text)
    }
}

impl<'a> Patch<'a> {
    /// What makes `new` from `old`.
    pub(crate) fn between(old: &'a str, new: &'a str) -> Self {
        let lines = script(&lines_of(old), &lines_of(new));
        let (mut old_start, mut new_start) = (0, 0);
        let mut hunks = Vec::<Hunk>::new();
        let mut in_hunk = false;
        for (at, line) in lines.iter().enumerate() {
            let around = at.saturating_sub(CONTEXT)..lines.len().min(at + CONTEXT + 1);
            let shown = lines[around].iter().any(Line::is_change);
            if shown && !in_hunk {
                hunks.push(Hunk { old_start, new_start, lines: Vec::new() });
            }
            in_hunk = shown;
            if let Some(hunk) = hunks.last_mut().filter(|_| shown) {
                hunk.lines.push(*line);
            }
            old_start += usize::from(line.in_old().is_some());
            new_start += usize::from(line.in_new().is_some());
        }
        Self { hunks }
    }

    /// Reads a written patch; what is before its first hunk is left out. `None` where it is damaged.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut hunks = Vec::<Hunk>::new();
        let mut counts = Vec::new();
        for line in text.split_inclusive('\n') {
            if let Some(ranges) = line.strip_prefix("@@ -") {
                let (old, new) = ranges.split_once(" @@")?.0.split_once(" +")?;
                let ((old_start, old_count), (new_start, new_count)) = (range(old)?, range(new)?);
                hunks.push(Hunk { old_start, new_start, lines: Vec::new() });
                counts.push((old_count, new_count));
                continue;
            }
            let Some(hunk) = hunks.last_mut() else { continue };
            match line.split_at_checked(1)? {
                // Some programs leave the space out.
                ("\n", _) => hunk.lines.push(Line { sign: " ", text: line }),
                // `\ No newline at end of file`.
                ("\\", _) => {
                    let last = hunk.lines.last_mut()?;
                    last.text = last.text.strip_suffix('\n')?;
                }
                (sign @ (" " | "-" | "+"), text) => hunk.lines.push(Line { sign, text }),
                _ => return None,
            }
        }
        let found = hunks.iter().map(|hunk| (hunk.in_old().count(), hunk.in_new().count()));
        found.eq(counts).then_some(Self { hunks })
    }

    /// `text` with the changes; `None` where they do not fit.
    pub(crate) fn apply(&self, text: &str, fit: Fit) -> Option<String> {
        let lines = lines_of(text);
        let mut result = String::new();
        // The first line that is not in `result` yet.
        let mut next = 0;
        for Change { at, old, new } in self.changes() {
            let at = if fit == Fit::Here { at } else { only_place(&lines, &old)? };
            if !lines.get(at..)?.starts_with(&old) {
                return None;
            }
            result.extend(lines.get(next..at)?.iter().copied());
            result.extend(new);
            next = at + old.len();
            // The last line of the old text may have had no line break, and others may have added lines below.
            if next < lines.len() && !result.is_empty() && !result.ends_with('\n') {
                let crlf = lines[..next].last().is_some_and(|line| line.ends_with("\r\n"));
                result.push_str(if crlf { "\r\n" } else { "\n" });
            }
        }
        result.extend(lines.get(next..)?.iter().copied());
        Some(result)
    }

    /// What is replaced: without the unchanged lines around it, unless they alone say where lines come back.
    fn changes(&self) -> Vec<Change<'a>> {
        let mut changes = Vec::new();
        for hunk in &self.hunks {
            let mut at = hunk.old_start;
            let mut runs = hunk.lines.chunk_by(|a, b| a.is_change() == b.is_change()).collect::<Vec<_>>();
            if runs.iter().any(|run| run.iter().all(|line| line.in_old().is_none())) {
                runs = vec![&hunk.lines];
            }
            for run in runs {
                let old = run.iter().filter_map(|line| line.in_old()).collect::<Vec<_>>();
                let end = at + old.len();
                if run.iter().any(Line::is_change) {
                    changes.push(Change {
                        at,
                        old,
                        new: run.iter().filter_map(|line| line.in_new()).collect(),
                    });
                }
                at = end;
            }
        }
        changes
    }
}

/// Where in `lines` are those of `wanted`, if that is one place.
fn only_place(lines: &[&str], wanted: &[&str]) -> Option<usize> {
    let mut places = (0..lines.len()).filter(|at| !wanted.is_empty() && lines[*at..].starts_with(wanted));
    let place = places.next()?;
    places.next().is_none().then_some(place)
}

impl<'a> Hunk<'a> {
    fn in_old(&self) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter_map(|line| line.in_old())
    }

    fn in_new(&self) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter_map(|line| line.in_new())
    }
}

impl fmt::Display for Patch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hunk in &self.hunks {
            write_range(f, "@@ -", hunk.old_start, hunk.in_old().count())?;
            write_range(f, " +", hunk.new_start, hunk.in_new().count())?;
            f.write_str(" @@\n")?;
            for Line { sign, text } in &hunk.lines {
                let end = if text.ends_with('\n') { "" } else { "\n\\ No newline at end of file\n" };
                write!(f, "{sign}{text}{end}")?;
            }
        }
        Ok(())
    }
}

/// Lines are counted from 1; a range without lines is after the line it names.
fn write_range(f: &mut fmt::Formatter<'_>, sign: &str, start: usize, count: usize) -> fmt::Result {
    match count {
        0 => write!(f, "{sign}{start},0"),
        1 => write!(f, "{sign}{}", start + 1),
        _ => write!(f, "{sign}{},{count}", start + 1),
    }
}

/// `7,2`, or `7` for one line, as how many lines are before it and how many it has.
fn range(text: &str) -> Option<(usize, usize)> {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    let (start, count) = (start.parse::<usize>().ok()?, count.parse().ok()?);
    Some((if count == 0 { start } else { start.checked_sub(1)? }, count))
}

fn lines_of(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// All lines of both texts; where lines are replaced, the old ones first.
fn script<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let before = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (same, old) = old.split_at(before);
    let new = &new[before..];
    let after = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, same_after) = old.split_at(old.len() - after);
    let new = &new[..new.len() - after];
    let changes = shortest(old, new).unwrap_or_else(|| {
        old.iter()
            .map(|text| Line { sign: "-", text })
            .chain(new.iter().map(|text| Line { sign: "+", text }))
            .collect()
    });
    let mut lines = same.iter().map(|text| Line { sign: " ", text }).collect::<Vec<_>>();
    for run in changes.chunk_by(|a, b| a.is_change() == b.is_change()) {
        let start = lines.len();
        lines.extend(run);
        lines[start..].sort_by_key(|line| line.sign == "+");
    }
    lines.extend(same_after.iter().map(|text| Line { sign: " ", text }));
    lines
}

/// The fewest deleted and inserted lines that make `new` from `old` (Myers, "An O(ND) difference algorithm and its
/// variations", 1986); `None` where they are more than [`MOST_CHANGES`].
fn shortest<'a>(old: &[&'a str], new: &[&'a str]) -> Option<Vec<Line<'a>>> {
    // A diagonal is all pairs of positions (x in `old`, y in `new`) with the same x − y; `middle` has 0.
    let middle = MOST_CHANGES.min(old.len() + new.len()) + 1;
    let y_at = |x: usize, diagonal: usize| x + middle - diagonal;
    // The largest x that so many changes reach, by diagonal; and the same before each further change.
    let mut furthest = vec![0; 2 * middle + 1];
    let mut history = Vec::new();
    // Whether the last change on the way to a diagonal is an insertion, which comes from the diagonal above.
    let inserts = |furthest: &[usize], changes: usize, diagonal: usize| {
        diagonal == middle - changes
            || (diagonal != middle + changes && furthest[diagonal - 1] < furthest[diagonal + 1])
    };
    let found = (0..middle).any(|changes| {
        history.push(furthest.clone());
        (middle - changes..=middle + changes).step_by(2).any(|diagonal| {
            let insert = inserts(&furthest, changes, diagonal);
            let mut x = if insert { furthest[diagonal + 1] } else { furthest[diagonal - 1] + 1 };
            while x < old.len() && old.get(x) == new.get(y_at(x, diagonal)) {
                x += 1;
            }
            furthest[diagonal] = x;
            x == old.len() && y_at(x, diagonal) == new.len()
        })
    });
    if !found {
        return None;
    }
    let (mut x, mut y) = (old.len(), new.len());
    let mut lines = Vec::new();
    for (changes, furthest) in history.iter().enumerate().rev() {
        let diagonal = middle + x - y;
        let insert = inserts(furthest, changes, diagonal);
        // Where the last change ended, and equal lines began.
        let from = match (changes, insert) {
            (0, _) => 0,
            (_, true) => furthest[diagonal + 1],
            (_, false) => furthest[diagonal - 1] + 1,
        };
        while x > from {
            (x, y) = (x - 1, y - 1);
            lines.push(Line { sign: " ", text: old[x] });
        }
        if changes > 0 && insert {
            y -= 1;
            lines.push(Line { sign: "+", text: new[y] });
        } else if changes > 0 {
            x -= 1;
            lines.push(Line { sign: "-", text: old[x] });
        }
    }
    lines.reverse();
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_written_as_other_programs_write_it() {
        // old, new, patch
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
            assert_eq!(Patch::between(old, new).to_string(), expected, "{old:?} {new:?}");
        }
    }

    /// Texts of few different lines, so that many are equal; some without a line break at their end.
    fn texts() -> Vec<String> {
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let text = |_| {
            let lines =
                (0..random(14)).map(|_| ["a\n", "b\n", "\n", "c\r\n"][usize::try_from(random(4)).unwrap()]);
            let mut text = lines.collect::<String>();
            if random(3) == 0 {
                text.push('z');
            }
            text
        };
        (0..60).map(text).collect()
    }

    #[test]
    fn a_patch_that_was_written_and_read_makes_the_other_text() {
        for old in &texts() {
            for new in &texts() {
                let written = Patch::between(old, new).to_string();
                let read = Patch::parse(&written).unwrap();
                assert_eq!(read.to_string(), written);
                assert_eq!(read.apply(old, Fit::Here).as_deref(), Some(&**new), "{old:?} {new:?}");
            }
        }
    }

    #[test]
    fn no_patch_has_more_changes_than_it_needs() {
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
                let kept = script(&old, &new).iter().filter(|line| !line.is_change()).count();
                assert_eq!(kept, longest_common(&old, &new), "{old:?} {new:?}");
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
            ("a\nold\nb\n", "a\nb\n", "x\na\nb\n", Some("x\na\nold\nb\n")),
            // Where it was is not known any more.
            ("a\nold\nb\n", "a\nb\n", "a\nx\nb\n", None),
            ("old\n", "", "x\n", None),
        ];
        for (before, after, now, left) in table {
            let patch = Patch::between(after, before).to_string();
            let found = Patch::parse(&patch).unwrap().apply(now, Fit::Anywhere);
            assert_eq!(found.as_deref(), left, "{now}");
        }
    }

    #[test]
    fn a_damaged_patch_is_refused() {
        for text in [
            "@@ -1 +1 @@\n-a\n",
            "@@ -1 @@\n-a\n",
            "@@ -0 +1 @@\n-a\n+b\n",
            "@@ -x +1 @@\n-a\n+b\n",
            "@@ -1 +1 @@\n-a\n+b\nmore\n",
            "@@ -1 +1 @@\n\\ No newline at end of file\n-a\n+b\n",
        ] {
            assert!(Patch::parse(text).is_none(), "{text}");
        }
        let overlapping = Patch::parse("@@ -2 +2 @@\n-a\n+b\n@@ -1 +1 @@\n-a\n+b\n").unwrap();
        for fit in [Fit::Here, Fit::Anywhere] {
            assert_eq!(overlapping.apply("a\na\n", fit), None);
        }
    }

    #[test]
    fn a_large_change_is_a_patch_all_the_same() {
        let old = format!("x\n{}y\n", "0\n1\n2\n".repeat(1_000));
        let new = format!("x\n{}y\n", "3\n4\n5\n".repeat(1_000));
        let patch = Patch::between(&old, &new);
        assert_eq!(patch.apply(&old, Fit::Here), Some(new));
        let moved = Patch::between(&old, &old[2..]);
        assert_eq!(moved.to_string(), "@@ -1,4 +1,3 @@\n-x\n 0\n 1\n 2\n");
    }
}
