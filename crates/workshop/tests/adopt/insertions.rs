//! Whether a text is another one with insertions.

use camino::Utf8Path;

/// Fails unless `after` is `before` with insertions: each line is still there, in order and with its ending, as it
/// was or with something inserted; and new lines end as all the old ones do.
#[track_caller]
pub(crate) fn assert_only_insertions(before: &str, after: &str, path: &Utf8Path) {
    // The first line need not stay the first; the mark does.
    let text = |with_mark: &str| with_mark.strip_prefix('\u{feff}').unwrap_or(with_mark).to_owned();
    assert_eq!(before.starts_with('\u{feff}'), after.starts_with('\u{feff}'), "the mark of {path}");
    let (before, after) = (text(before), text(after));
    let mut rest = after.split_inclusive('\n').collect::<Vec<_>>().into_iter();
    for line in before.split_inclusive('\n') {
        let found = rest.as_slice().iter().position(|other| *other == line);
        let found = found.or_else(|| rest.as_slice().iter().position(|other| is_extended(line, other)));
        let Some(found) = found else {
            panic!("{path}: {line:?} is gone or has moved\n--- before\n{before}\n--- after\n{after}")
        };
        rest.nth(found);
    }
    let (lines, windows) = (before.matches('\n').count(), before.matches("\r\n").count());
    let (lines_after, windows_after) = (after.matches('\n').count(), after.matches("\r\n").count());
    if windows == 0 {
        assert_eq!(windows_after, 0, "{path} has got Windows line endings:\n{after:?}");
    } else if windows == lines {
        assert_eq!(
            windows_after, lines_after,
            "{path} has not only Windows line endings any more:\n{after:?}"
        );
    }
}

/// Whether `longer` is `line` with insertions, the line's ending unchanged.
fn is_extended(line: &str, longer: &str) -> bool {
    let (content, ending) = split_ending(line);
    let (longer, longer_ending) = split_ending(longer);
    let mut rest = longer.chars();
    // The last line of a file may get an ending.
    (ending == longer_ending || ending.is_empty())
        && content.chars().all(|wanted| rest.any(|other| other == wanted))
}

fn split_ending(line: &str) -> (&str, &str) {
    let content = line.trim_end_matches('\n');
    let content = content.strip_suffix('\r').unwrap_or(content);
    line.split_at(content.len())
}

#[test]
fn insertions_are_told_from_other_changes() {
    let only_insertions = |before: &str, after: &str| {
        std::panic::catch_unwind(|| assert_only_insertions(before, after, Utf8Path::new("f"))).is_ok()
    };
    let table = [
        ("a\nb\n", "a\nnew\nb\n", true),
        ("m = [\"a\"]\n", "m = [\"a\", \"b\"]\n", true),
        ("w = { m = [\"a\"] } # w\n", "w = { m = [\"a\", \"b\"], d = [] } # w\n", true),
        ("\u{feff}a\n", "\u{feff}new\na\n", true),
        ("\u{feff}a\n", "new\n\u{feff}a\n", false),
        ("a", "a\nb\n", true),
        ("a\r\n", "a\r\nb\r\n", true),
        ("a\r\nb\n", "a\r\nb\nc\n", true),
        ("a\nb\n", "b\na\n", false),
        ("a\nb\n", "a\n", false),
        ("m = [ \"a\" ]\n", "m = [\"a\", \"b\"]\n", false),
        ("a\n", "a\r\n", false),
        ("a\r\n", "a\r\nb\n", false),
        ("a\n", "a\nb\r\n", false),
    ];
    for (before, after, expected) in table {
        assert_eq!(only_insertions(before, after), expected, "{before:?} -> {after:?}");
    }
}
