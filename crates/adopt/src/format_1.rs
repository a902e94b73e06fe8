//! Records of format 1, which earlier suites wrote: there a patch undoes the change of a file.

use serde_json::{Value, json};

/// Makes the reversals of a record of format 1 what [`Reversal`](xtask_edit::Reversal) reads.
pub(crate) fn upgrade(record: &mut Value) {
    let undo = record.get_mut("undo").and_then(Value::as_array_mut);
    for reversal in undo.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(Value::String(patch)) = reversal.remove("patch") {
            reversal.insert("back".to_owned(), changes(&patch));
        }
        let inverses = reversal.get_mut("inverses").and_then(Value::as_array_mut);
        for inverse in inverses.into_iter().flatten().filter_map(Value::as_object_mut) {
            if let Some(removed) = inverse.remove("remove") {
                inverse.insert("set".to_owned(), removed);
            }
        }
    }
}

/// The changes in a unified diff: each with the lines before it, the old text and the new one.
fn changes(patch: &str) -> Value {
    let mut changes: Vec<(usize, String, String)> = Vec::new();
    // The next line of the old text, and whether the line before was a change too.
    let (mut at, mut is_open) = (0, false);
    let mut lines = patch.split_inclusive('\n').skip(2).peekable();
    while let Some(line) = lines.next() {
        if let Some(hunk) = line.strip_prefix("@@ -") {
            let mut numbers = hunk.split([' ', ',']).map(|number| number.parse::<usize>().ok());
            let (start, is_empty) = (numbers.next().flatten().unwrap_or(0), hunk.contains(",0 +"));
            (at, is_open) = (if is_empty { start } else { start.saturating_sub(1) }, false);
            continue;
        }
        let (sign, text) = line.split_at(1.min(line.len()));
        let has_no_end = lines.next_if(|next| next.starts_with('\\')).is_some();
        let text = if has_no_end { text.strip_suffix('\n').unwrap_or(text) } else { text };
        // An unchanged line that is empty may have no sign.
        if [" ", "\n"].contains(&sign) {
            (at, is_open) = (at + 1, false);
            continue;
        }
        if !is_open {
            changes.push((at, String::new(), String::new()));
            is_open = true;
        }
        if let Some((_, old, new)) = changes.last_mut() {
            if sign == "-" {
                old.push_str(text);
                at += 1;
            } else {
                new.push_str(text);
            }
        }
    }
    changes.into_iter().map(|(at, old, new)| json!({ "at": at, "old": old, "new": new })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_becomes_the_changes_that_it_makes() {
        let table = [
            (
                "@@ -1,2 +1 @@\n /target\n-/.cargo/xtask.local.toml\n",
                json!([{ "at": 1, "old": "/.cargo/xtask.local.toml\n", "new": "" }]),
            ),
            (
                "@@ -4,6 +4,3 @@\n a\n\n b\n-\n-c\n-d\n@@ -20,2 +17,3 @@\n-e\r\n+f\r\n g\n+h\n\\ No newline at end of file\n",
                json!([
                    { "at": 6, "old": "\nc\nd\n", "new": "" },
                    { "at": 19, "old": "e\r\n", "new": "f\r\n" },
                    { "at": 21, "old": "", "new": "h" },
                ]),
            ),
            ("@@ -3,0 +4 @@\n+new\n", json!([{ "at": 3, "old": "", "new": "new\n" }])),
        ];
        for (hunks, expected) in table {
            assert_eq!(changes(&format!("--- original\n+++ modified\n{hunks}")), expected, "{hunks}");
        }
        let mut record = json!({ "undo": [
            { "change": "created", "path": "a", "digest": "0" },
            { "change": "edited", "patch": "", "inverses": [{ "remove": { "path": ["a"], "value": "1" } }] },
        ] });
        upgrade(&mut record);
        let inverses = json!([{ "set": { "path": ["a"], "value": "1" } }]);
        assert_eq!(record["undo"][1], json!({ "change": "edited", "back": [], "inverses": inverses }));
    }
}
