//! Durations as people write them: `500ms`, `30s`, `1min 30s`, `1h`, `7d`.
//!
//! [`parse`] accepts exactly the strings that [`PATTERN`] matches, and [`render`] writes one of them.

use std::time::Duration;

/// The strings that are durations, as a regular expression for the JSON schema.
pub(super) const PATTERN: &str = "^[1-9][0-9]{0,8}(ms|s|min|h|d)( [1-9][0-9]{0,8}(ms|s|min|h|d))*$";

/// The largest number in front of a unit, and the largest integer of seconds.
pub(super) const MAX: u32 = 999_999_999;

/// What to do about a string that is no duration.
pub(super) const HINT: &str = "write `500ms`, `30s`, `2min`, `1h`, `7d` or `1min 30s`";

/// Units with their length in milliseconds, longest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// The duration that the text says; `None` when it says none.
pub(super) fn parse(text: &str) -> Option<Duration> {
    text.split(' ').try_fold(Duration::ZERO, |sum, part| sum.checked_add(parse_part(part)?))
}

/// An age as the command line takes it: a duration or `0`; `None` when the text says none.
pub fn age(text: &str) -> Option<Duration> {
    if text == "0" { Some(Duration::ZERO) } else { parse(text) }
}

fn parse_part(part: &str) -> Option<Duration> {
    let (number, unit) = part.split_at(part.find(|character: char| !character.is_ascii_digit())?);
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    if number.starts_with('0') {
        return None;
    }
    let number: u32 = number.parse().ok().filter(|number| *number <= MAX)?;
    Some(Duration::from_millis(u64::from(number) * milliseconds))
}

/// The duration in the file's own notation, cut to whole milliseconds; `0s` for none.
pub(super) fn render(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (name, milliseconds) in UNITS {
        if rest >= milliseconds {
            parts.push(format!("{}{name}", rest / milliseconds));
            rest %= milliseconds;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("1min 30s", 90_000),
            ("30s 1min", 90_000),
            ("999999999h", 3_599_999_996_400_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", " ", "30", "s", "0s", "030s", "-1s", "+1s", "1.5s", "1 s", "1m", "1S", "1s ", "1s  1s", "²s"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("1000000000s"), None);
        assert_eq!(parse("99999999999999999999s"), None);
    }

    #[test]
    fn renders_its_own_notation() {
        for text in ["500ms", "30s", "2min", "1h", "1min 30s", "1h 1min 1s 1ms", "2d 1h"] {
            assert_eq!(parse(text).map(render).as_deref(), Some(text));
        }
        assert_eq!(render(Duration::ZERO), "0s");
    }
}
