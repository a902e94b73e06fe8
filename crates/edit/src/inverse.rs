//! Taking a change of TOML back by its meaning, after others have changed the same text.
//!
//! Invariant: only what the change had added goes, and only where it still stands as it was added.

use serde::{Deserialize, Serialize};
use toml_edit::Value;

use crate::TomlText;

/// How one change of meaning in TOML is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inverse {
    /// The key was added with this value.
    Remove {
        /// The keys that lead there.
        path: Vec<String>,
        /// As TOML.
        value: String,
    },
    /// The element was added to an array.
    Pull {
        /// The keys that lead to the array.
        path: Vec<String>,
        /// As TOML.
        value: String,
    },
    /// The table was added, with a header of its own.
    Drop {
        /// The keys that lead there.
        path: Vec<String>,
    },
    /// The value was changed.
    Set {
        /// The keys that lead there.
        path: Vec<String>,
        /// What it was changed to, as TOML.
        value: String,
        /// What it was before, as TOML.
        before: String,
    },
}

/// What takes the change from `old` to `new` back; nothing where either is not TOML, or where that takes more than
/// these inverses can say.
pub(crate) fn inverses(old: &str, new: &str) -> Vec<Inverse> {
    let mut found = Vec::new();
    if let (Ok(old), Ok(new)) = (TomlText::parse(old), TomlText::parse(new)) {
        compare(&old, &new, &mut Vec::new(), &mut found);
        let back = by_meaning(new.text(), &found).and_then(|back| TomlText::parse(&back).ok());
        if back.is_none_or(|back| !back.means_the_same(&old)) {
            found.clear();
        }
    }
    found
}

fn compare(old: &TomlText, new: &TomlText, path: &mut Vec<String>, found: &mut Vec<Inverse>) {
    let here = keys(path);
    for key in new.keys(&here) {
        path.push(key);
        let at = keys(path);
        match (old.value(&at), new.value(&at)) {
            (_, None) => {
                let is_new = !old.contains(&at);
                compare(old, new, path, found);
                if is_new {
                    found.push(Inverse::Drop { path: path.clone() });
                }
            }
            (None, Some(_)) if old.contains(&at) => {}
            (None, Some(value)) => found.push(Inverse::Remove { path: path.clone(), value: text(&value) }),
            (Some(before), Some(value)) if text(&before) == text(&value) => {}
            (Some(before), Some(value)) => {
                let path = path.clone();
                if let Some(elements) = appended(&before, &value) {
                    let pull = |value| Inverse::Pull { path: path.clone(), value };
                    found.extend(elements.into_iter().map(pull));
                } else {
                    found.push(Inverse::Set { path, value: text(&value), before: text(&before) });
                }
            }
        }
        path.pop();
    }
}

fn keys(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// The value alone, without the blanks and comments around it.
fn text(value: &Value) -> String {
    value.clone().decorated("", "").to_string()
}

/// The elements that `after` has at its end and `before` has not, when that is all.
fn appended(before: &Value, after: &Value) -> Option<Vec<String>> {
    let elements = |value: &Value| Some(value.as_array()?.iter().map(text).collect::<Vec<_>>());
    let (before, mut after) = (elements(before)?, elements(after)?);
    let added = after.split_off(before.len().min(after.len()));
    (before == after).then_some(added)
}

/// `now` after `inverses`: each where the value is still what it was changed to. `None` where there are none, or where
/// something of it cannot be taken back alone.
pub(crate) fn by_meaning(now: &str, inverses: &[Inverse]) -> Option<String> {
    let mut toml = TomlText::parse(now).ok().filter(|_| !inverses.is_empty())?;
    inverses.iter().all(|inverse| take_back(&mut toml, inverse)).then(|| toml.text().to_owned())
}

/// Whether nothing is left of a change then.
fn take_back(toml: &mut TomlText, inverse: &Inverse) -> bool {
    match inverse {
        Inverse::Remove { path, value } if is_at(toml, path, value) => toml.remove(&keys(path)).is_ok(),
        Inverse::Set { path, value, before } if is_at(toml, path, value) => {
            toml.set(&keys(path), before).is_ok()
        }
        Inverse::Remove { .. } | Inverse::Set { .. } => true,
        // Of two such elements it cannot be told which one is ours; and no array of values holds none.
        Inverse::Pull { path, value } => {
            let _ = toml.pull(&keys(path), value);
            !matches!(toml.clone().pull(&keys(path), value), Ok(true))
        }
        // One that others have written to stays.
        Inverse::Drop { path } => {
            let _ = toml.remove_empty_table(&keys(path));
            true
        }
    }
}

fn is_at(toml: &TomlText, path: &[String], value: &str) -> bool {
    toml.value(&keys(path)).is_some_and(|now| text(&now) == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before, after, what others made of it since, and what is left when the change is taken back.
    const TABLE: [(&str, &str, &str, &str); 6] = [
        (
            "[workspace]\nmembers = [\"a\"]\n",
            "[workspace]\nmembers = [\"a\", \"x\"]\n",
            "[workspace]\nmembers = [\"a\", \"x\", \"b\"] # more\n",
            "[workspace]\nmembers = [\"a\", \"b\"] # more\n",
        ),
        (
            "[workspace]\nmembers = [\n    \"a\",\n]\n",
            "[workspace]\nmembers = [\n    \"a\",\n    \"x\",\n]\n",
            "[workspace]\nmembers = [\n    \"a\",\n    \"b\",\n    \"x\",\n    \"c\",\n]\n",
            "[workspace]\nmembers = [\n    \"a\",\n    \"b\",\n    \"c\",\n]\n",
        ),
        (
            "[dependencies]\n",
            "[dependencies]\n\n[workspace]\nmembers = [\"x\"]\n",
            "[dependencies]\nlibc = \"1\"\n\n[workspace]\nmembers = [\"x\"]\n",
            "[dependencies]\nlibc = \"1\"\n",
        ),
        (
            "",
            "[alias]\nx = \"run\"\ny = \"x\"\n",
            "[alias]\nx = \"run\"\nmine = \"b\"\ny = \"x\"\n",
            "[alias]\nmine = \"b\"\n",
        ),
        (
            "",
            "[alias]\nx = \"run\"\n\n[profile.x]\ndebug = false\n",
            "[alias]\nmine = \"b\"\nx = \"run\"\n\n[profile.x]\n# Mine.\ndebug = false\n",
            "[alias]\nmine = \"b\"\n# Mine.\n",
        ),
        ("a = 1\n", "a = 2\n", "# new\na = 2 # two\n", "# new\na = 1 # two\n"),
    ];

    #[test]
    fn what_others_have_added_survives() {
        for (before, after, now, left) in TABLE {
            let found = by_meaning(now, &inverses(before, after));
            assert_eq!(found.as_deref(), Some(left), "{now}");
        }
    }

    #[test]
    fn half_of_it_is_not_taken_back() {
        let inverses = inverses("a = []\n", "a = [\"x\"]\nb = 1\n");
        assert_eq!(by_meaning("a = [\"x\"] #\nb = 1\n", &inverses).as_deref(), Some("a = [] #\n"));
        // Which of the two is ours cannot be told.
        assert_eq!(by_meaning("a = [\"x\", \"x\"]\nb = 1\n", &inverses), None);
        // A key that went is not among what can be said.
        assert_eq!(super::inverses("a = []\nb = 1\n", "a = [\"x\"]\n"), []);
    }

    #[test]
    fn what_somebody_made_their_own_stays() {
        let inverses = inverses("b = 1\n", "b = 1\n[alias]\nx = \"run\"\n");
        let theirs = "b = 2\n[alias]\nx = \"mine\"\n";
        assert_eq!(by_meaning(theirs, &inverses).as_deref(), Some(theirs));
        // However it is written.
        assert_eq!(by_meaning("b = 2\nalias.x = \"run\"\n", &inverses).as_deref(), Some("b = 2\n"));
    }
}
