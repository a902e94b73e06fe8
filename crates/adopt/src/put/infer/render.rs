//! The text of the file.

use crate::observe::settings::{WIDTH, list};

/// The file under construction.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// `[name]`
    pub(super) fn table(&mut self, name: &str) {
        self.line("");
        self.line(&format!("[{name}]"));
    }

    /// A comment, wrapped at words.
    pub(super) fn comment(&mut self, words: &str) {
        let mut line = "#".to_owned();
        for word in words.split(' ') {
            if line.len() + 1 + word.len() > WIDTH && line.len() > 1 {
                self.line(&line);
                "#  ".clone_into(&mut line);
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    /// What was written on another page.
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// `key = "text"`
    pub(super) fn string(&mut self, key: &str, value: &str) {
        self.line(&format!("{key} = {}", quoted(value)));
    }

    /// `key = ["a", "b"]`, over several lines where it is long.
    pub(super) fn list(&mut self, key: &str, values: &[String]) {
        let one =
            format!("{key} = [{}]", values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", "));
        self.line(&if one.len() <= WIDTH { one } else { format!("{key} = {}", list(&[], values)) });
    }
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}
