//! Numbers with units as people write them: durations (`500ms`, `1min 30s`, `7d`) and sizes (`500 MB`, `1.5GB`).
//!
//! [`duration`] and [`size`] accept exactly the strings that their patterns match, and [`render`] writes a duration.

use serde::{Serialize, Serializer};
use std::time::Duration;

/// The strings that are durations, as a regular expression for the JSON schema.
pub(super) const DURATION_PATTERN: &str = "^[1-9][0-9]{0,8}(ms|s|min|h|d)( [1-9][0-9]{0,8}(ms|s|min|h|d))*$";

/// What to do about a string that is no duration.
pub(super) const DURATION_HINT: &str = "write `500ms`, `30s`, `2min`, `1h`, `7d` or `1min 30s`";

/// The largest number in front of a unit of time, and the largest integer of seconds.
pub(super) const MAX_SECONDS: u32 = 999_999_999;

/// Units of time in milliseconds, longest first.
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// The strings that are sizes, as a regular expression for the JSON schema.
pub(super) const SIZE_PATTERN: &str =
    "^(0|[1-9][0-9]{0,8})(\\.[0-9]{1,3})? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$";

/// What to do about a string that is no size.
pub(super) const SIZE_HINT: &str = "write `500 MB`, `20 GiB` or `1.5 TB`";

/// Units of size in bytes; each comes before those that it ends with.
const SIZES: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// The duration in the text; `None` if there is none.
pub(super) fn duration(text: &str) -> Option<Duration> {
    text.split(' ').try_fold(Duration::ZERO, |sum, part| sum.checked_add(parse_part(part)?))
}

/// An age as the command line takes it: a duration or `0`; `None` if the text is neither.
pub fn age(text: &str) -> Option<Duration> {
    if text == "0" { Some(Duration::ZERO) } else { duration(text) }
}

fn parse_part(part: &str) -> Option<Duration> {
    let (number, unit) = part.split_at(part.find(|character: char| !character.is_ascii_digit())?);
    let (_, milliseconds) = TIMES.iter().find(|(name, _)| *name == unit)?;
    if number.starts_with('0') {
        return None;
    }
    let number: u32 = number.parse().ok().filter(|number| *number <= MAX_SECONDS)?;
    Some(Duration::from_millis(u64::from(number) * milliseconds))
}

/// The duration in the file's own notation, cut to whole milliseconds; `0s` for none.
pub(super) fn render(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (name, milliseconds) in TIMES {
        if rest >= milliseconds {
            parts.push(format!("{}{name}", rest / milliseconds));
            rest %= milliseconds;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// The number of bytes in the text; `None` if there is none.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = SIZES.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let number = number.strip_suffix(' ').unwrap_or(number);
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |text: &str, most: usize| {
        ((1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let whole_number = digits(whole, 9).filter(|_| whole == "0" || !whole.starts_with('0'))?;
    let thousandths = match fraction {
        Some(text) => digits(text, 3)? * [100, 10, 1][text.len() - 1],
        None => 0,
    };
    Some(whole_number.checked_mul(*unit)?.saturating_add(unit * thousandths / 1000))
}

/// Serializes a duration, or an optional one, as its number of milliseconds.
pub(super) fn milliseconds<S, D>(duration: &D, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    D: Copy + Into<Option<Duration>>,
{
    let duration: Option<Duration> = (*duration).into();
    duration.map(|duration| duration.as_millis()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
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
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in
            ["", " ", "30", "s", "0s", "030s", "-1s", "+1s", "1.5s", "1 s", "1m", "1S", "1s ", "1s  1s", "²s"]
        {
            assert_eq!(duration(text), None, "{text:?}");
        }
        assert_eq!(duration("1000000000s"), None);
        assert_eq!(duration("99999999999999999999s"), None);
    }

    #[test]
    fn renders_its_own_notation() {
        for text in ["500ms", "30s", "2min", "1h", "1min 30s", "1h 1min 1s 1ms", "2d 1h"] {
            assert_eq!(duration(text).map(render).as_deref(), Some(text));
        }
        assert_eq!(render(Duration::ZERO), "0s");
    }

    #[test]
    fn reads_sizes_and_refuses_the_rest() {
        let table = [
            ("500 MB", Some(500_000_000)),
            ("20GiB", Some(20 << 30)),
            ("1.5 GB", Some(1_500_000_000)),
            ("0 B", Some(0)),
            ("0.5 KiB", Some(512)),
            ("1.05kB", Some(1050)),
            ("20", None),
            ("20 gib", None),
            ("20  GiB", None),
            ("-1 GB", None),
            ("1. GB", None),
            (".5 GB", None),
            ("01 GB", None),
            ("GB", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(size(text), expected, "{text:?}");
        }
    }
}
