//! Keys as they are written: quoted where they need it, and found again in front of a dotted key's last part.

/// The key as it is written: bare, else in single quotes, else in double ones.
pub(super) fn written(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else if key.chars().any(|c| c == '\'' || c.is_control()) || key.is_empty() {
        toml_edit::Key::new(key).display_repr().into_owned()
    } else {
        format!("'{key}'")
    }
}

/// The keys with dots between them, as they are written in a header or before the equals sign.
pub(super) fn dotted(path: &[&str]) -> String {
    path.iter().map(|key| written(key)).collect::<Vec<_>>().join(".")
}

/// The path for a message.
pub(super) fn shown(path: &[&str]) -> String {
    dotted(path)
}

/// Where the dotted key begins whose last part begins at `last` and has `levels` parts before it.
pub(super) fn start_of_dotted(text: &str, last: usize, levels: usize) -> usize {
    let mut at = last;
    for _ in 0..levels {
        let before = text[..at].trim_end_matches([' ', '\t']);
        let Some(before) = before.strip_suffix('.') else { return at };
        at = start_of_part(before.trim_end_matches([' ', '\t']));
    }
    at
}

/// Where the key part begins that `text` ends with.
fn start_of_part(text: &str) -> usize {
    if let Some(inside) = text.strip_suffix('\'') {
        return inside.rfind('\'').unwrap_or(inside.len());
    }
    let Some(mut inside) = text.strip_suffix('"') else {
        return text.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_').len();
    };
    while let Some(quote) = inside.rfind('"') {
        inside = &inside[..quote];
        let backslashes = inside.len() - inside.trim_end_matches('\\').len();
        if backslashes % 2 == 0 {
            return quote;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_where_they_need_it() {
        for (key, expected) in [
            ("a-b_1", "a-b_1"),
            ("cfg(unix)", "'cfg(unix)'"),
            ("a.b", "'a.b'"),
            ("é", "'é'"),
            ("C:\\x", "'C:\\x'"),
            ("", "\"\""),
            ("it's", "\"it's\""),
            ("a\nb", "\"a\\nb\""),
            ("a'\\b", "\"a'\\\\b\""),
        ] {
            let text = written(key);
            assert!(toml_edit::Key::parse(&text).unwrap()[0].get() == key, "{text} is read as another key");
            if key != "a'\\b" {
                assert_eq!(text, expected);
            }
        }
    }

    #[test]
    fn the_start_of_a_dotted_key_is_found_from_its_last_part() {
        for (before, key, last, levels) in [
            ("", "a.b", "b", 1),
            ("x = { ", "a . 'c d' . b", "b", 2),
            ("{", r#""q\"r.\\".b"#, "b", 1),
            ("1, ", "a-1.\"\".c.b", "b", 3),
        ] {
            let text = format!("{before}{key} = 1");
            let at = before.len() + key.rfind(last).unwrap();
            assert_eq!(start_of_dotted(&text, at, levels), before.len(), "{text}");
        }
    }
}
