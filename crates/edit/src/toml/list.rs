//! Elements between brackets or braces: appended in the layout that the others have, and removed with their comma.

use std::ops::Range;

use super::lines::{self, Splice};
use super::tree::Entry;

/// What the elements stand between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brackets {
    Square,
    /// Padded with a space inside.
    Curly,
}

/// The splices that append `element` to a list at `span`, brackets included, that has `elements`.
pub(super) fn append(
    text: &str,
    span: &Range<usize>,
    elements: &[Range<usize>],
    element: &str,
    brackets: Brackets,
) -> Vec<Splice> {
    let close = span.end.saturating_sub(1);
    let Some(last) = elements.last() else {
        return vec![first(text, span.start + 1..close, element, brackets)];
    };
    let comma = comma_in(text, last.end..close);
    let after = comma.map_or(last.end, |comma| comma + 1);
    let kept_comma = if comma.is_some() { "," } else { "" };
    let missing_comma = if comma.is_some() { "" } else { "," };
    if !lines::begins_line(text, last.start) {
        let before = elements.len().checked_sub(2).and_then(|index| elements.get(index));
        let tight = before.is_some_and(|before| &text[before.end..last.start] == ",");
        let space = if tight { "" } else { " " };
        return vec![Splice::insert(after, format!("{missing_comma}{space}{element}{kept_comma}"))];
    }
    let newline = lines::newline_at(text, lines::line_end(text, after));
    let indent = lines::indent(text, last.start);
    if !text[after..close].contains('\n') {
        // The closing bracket is on the last element's line.
        return vec![Splice::insert(after, format!("{missing_comma}{newline}{indent}{element}{kept_comma}"))];
    }
    let line =
        Splice::insert(lines::line_end(text, after), format!("{indent}{element}{kept_comma}{newline}"));
    if comma.is_some() { vec![line] } else { vec![Splice::insert(after, ",".to_owned()), line] }
}

/// The first element of a list that has `inside` between its brackets: nothing, or blanks and comments.
fn first(text: &str, inside: Range<usize>, element: &str, brackets: Brackets) -> Splice {
    let between = &text[inside.clone()];
    if !between.contains('\n') {
        let padded = brackets == Brackets::Curly || !between.is_empty();
        let element = if padded { format!(" {element} ") } else { element.to_owned() };
        return Splice { span: inside, text: element };
    }
    let at = lines::line_start(text, inside.end);
    let newline = lines::newline_at(text, at);
    let comment = between.find('\n').and_then(|line| {
        let below = &between[line + 1..];
        let comment = below.len() - below.trim_start().len();
        below[comment..].starts_with('#').then(|| lines::indent(text, inside.start + line + 1 + comment))
    });
    let outer = lines::indent(text, inside.end);
    let step = if outer.starts_with('\t') { "\t" } else { "    " };
    let indent = comment.map_or_else(|| format!("{outer}{step}"), ToOwned::to_owned);
    Splice::insert(at, format!("{indent}{element},{newline}"))
}

/// The splices that remove the entry with `value` from a list at `span`, brackets included, that has `entries`.
pub(super) fn remove(
    text: &str,
    span: &Range<usize>,
    entries: &[Entry],
    value: &Range<usize>,
) -> Vec<Splice> {
    let Some(index) = entries.iter().position(|entry| entry.value == *value) else { return Vec::new() };
    let start = entries[index].start;
    let next = entries.get(index + 1);
    let before = index.checked_sub(1).and_then(|index| entries.get(index));
    let close = span.end.saturating_sub(1);
    let comma = comma_in(text, value.end..next.map_or(close, |next| next.start));
    let end = comma.map_or(value.end, |comma| comma + 1);
    let mut splices = Vec::new();
    if let (None, Some(before)) = (comma, before) {
        // The last one without a comma after it takes the comma before it along.
        splices.extend(comma_in(text, before.value.end..start).map(|comma| Splice::remove(comma..comma + 1)));
    }
    let line_end = lines::line_end(text, end);
    let rest = text[end..line_end].trim_start();
    if lines::begins_line(text, start) && (rest.is_empty() || rest.starts_with('#')) {
        splices.push(Splice::remove(lines::line_start(text, start)..line_end));
        return splices;
    }
    let blank = |range: Range<usize>| text[range].trim_matches([' ', '\t']).is_empty();
    match (before, next) {
        (_, Some(next)) if blank(end..next.start) => splices.push(Splice::remove(start..next.start)),
        (None, None) if blank(span.start + 1..start) && blank(end..close) => {
            splices.push(Splice::remove(span.start + 1..close));
        }
        _ => {
            // The blanks before it go, those after it stay.
            let blanks = text[..start].len() - text[..start].trim_end_matches([' ', '\t']).len();
            splices.push(Splice::remove(start - blanks..end));
        }
    }
    splices
}

/// The first comma in `range` that is not in a comment; only blanks and comments are around it.
fn comma_in(text: &str, range: Range<usize>) -> Option<usize> {
    let mut in_comment = false;
    text[range.clone()].bytes().enumerate().find_map(|(offset, byte)| {
        match byte {
            b'#' => in_comment = true,
            b'\n' => in_comment = false,
            b',' if !in_comment => return Some(range.start + offset),
            _ => {}
        }
        None
    })
}
