//! Splices, and the lines of the text that they have to look like.

use std::ops::Range;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Bytes of the old text and what stands in their place.
#[derive(Debug, Clone)]
pub(super) struct Splice {
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

impl Splice {
    pub(super) fn insert(at: usize, text: String) -> Self {
        Self { span: at..at, text }
    }

    pub(super) fn remove(span: Range<usize>) -> Self {
        Self { span, text: String::new() }
    }
}

/// The text with the splices, which are in order and do not overlap.
pub(super) fn spliced(text: &str, splices: &[Splice]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for splice in splices {
        result.push_str(&text[at..splice.span.start]);
        result.push_str(&splice.text);
        at = splice.span.end;
    }
    result.push_str(&text[at..]);
    result
}

/// Where the line begins that `at` is on; a byte order mark is before the first line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let first = text.len() - text.trim_start_matches(BYTE_ORDER_MARK).len();
    text[..at].rfind('\n').map_or(first, |newline| newline + 1)
}

/// Where the line ends that `at` is on, its newline included.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The spaces and tabs that the line of `at` begins with.
pub(super) fn indent(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Whether only spaces and tabs are before `at` on its line.
pub(super) fn begins_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].trim_start_matches([' ', '\t']).is_empty()
}

/// Where the first key begins after `at`, which is before a comma, blanks or comments in braces.
pub(super) fn next_key(text: &str, at: usize) -> usize {
    let mut rest = &text[at..];
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t', '\r', '\n']);
        if !rest.starts_with('#') {
            return text.len() - rest.len();
        }
        rest = rest.trim_start_matches(|character| character != '\n');
    }
}

/// The newline of the line before `at`; without such a line, that of the line `at` is on.
pub(super) fn newline_at(text: &str, at: usize) -> &'static str {
    let newline = text[..at].rfind('\n').or_else(|| text[at..].find('\n').map(|newline| at + newline));
    if newline.is_some_and(|newline| text[..newline].ends_with('\r')) { "\r\n" } else { "\n" }
}

/// A line of its own below the line that `at` is on.
pub(super) fn below(text: &str, at: usize, line: impl Fn(&str) -> String) -> Splice {
    let end = line_end(text, at);
    let newline = newline_at(text, end);
    let open = if text[..end].ends_with('\n') { "" } else { newline };
    Splice::insert(end, format!("{open}{}{newline}", line(newline)))
}

/// Lines at the end of the text, a blank line before them.
pub(super) fn at_the_end(text: &str, lines: impl Fn(&str) -> String) -> Splice {
    let end = text.len();
    let newline = newline_at(text, end);
    let last = line_start(text, end);
    let before = if last < end {
        // The last line has no newline.
        if text[last..].trim().is_empty() { newline.to_owned() } else { newline.repeat(2) }
    } else if !text[..last].ends_with('\n') || text[line_start(text, last - 1)..].trim().is_empty() {
        String::new()
    } else {
        newline.to_owned()
    };
    Splice::insert(end, format!("{before}{}{newline}", lines(newline)))
}

/// Where the block of comments begins that is attached to the line of `at`: not above `floor`; the line itself if
/// there is no such block.
pub(super) fn attached_comments(text: &str, at: usize, floor: usize) -> usize {
    let mut start = line_start(text, at);
    while start > floor {
        let above = line_start(text, start - 1);
        if !text[above..].trim_start_matches([' ', '\t']).starts_with('#') {
            break;
        }
        start = above;
    }
    start
}
