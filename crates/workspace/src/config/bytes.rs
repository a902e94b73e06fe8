//! Numbers of bytes as people write them: `500 MB`, `20 GiB`, `1.5GB`.
//!
//! [`parse`] accepts exactly the strings that [`PATTERN`] matches.

/// The strings that are sizes, as a regular expression for the JSON schema.
pub(super) const PATTERN: &str = "^(0|[1-9][0-9]{0,8})(\\.[0-9]{1,3})? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$";

/// What to do about a string that is no size.
pub(super) const HINT: &str = "write `500 MB`, `20 GiB` or `1.5 TB`";

const UNITS: [(&str, u64); 9] = [
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

/// The number of bytes that the text says; `None` when it says none.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write_and_refuses_the_rest() {
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
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
