//! No text, however broken, makes the parser panic.

use super::{EXAMPLE, accept, parse};

#[test]
fn every_prefix_of_the_example() {
    for end in (0..=EXAMPLE.len()).filter(|&end| EXAMPLE.is_char_boundary(end)) {
        let _ = parse(&EXAMPLE[..end]);
    }
    accept(EXAMPLE);
}

#[test]
fn every_byte_of_the_example_replaced_or_removed() {
    let mut refused = 0;
    let mut tried = 0;
    let mut attempt = |bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        tried += 1;
        if let Err(errors) = parse(text) {
            refused += 1;
            for place in errors.0.split('\n').filter_map(|line| line.strip_prefix("xtask.toml:")) {
                let mut numbers = place.split(':').map_while(|number| number.parse::<usize>().ok());
                let (line, column) = (numbers.next().unwrap(), numbers.next().unwrap());
                let line = text.split('\n').nth(line - 1).unwrap();
                assert!((1..=line.chars().count() + 1).contains(&column), "{errors}\nin:\n{text}");
            }
        }
    };
    // A table at a time and without comments, which only cost time: all at once would take a minute.
    let example = EXAMPLE.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    for table in example.split_inclusive("\n\n").map(str::as_bytes) {
        for at in 0..table.len() {
            let (before, after) = (&table[..at], &table[at + 1..]);
            attempt(&[before, after].concat());
            // Every byte in the heavy tests; else each at some of the places.
            let (first, step) = if cfg!(feature = "heavy") { (0, 1) } else { (at % 16, 16) };
            for byte in (0..=u8::MAX).skip(first).step_by(step) {
                attempt(&[before, &[byte], after].concat());
            }
        }
    }
    assert!(refused > tried / 2 && refused < tried, "{refused} of {tried} refused");
}
