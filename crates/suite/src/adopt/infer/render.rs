//! The text of the file.

/// A table under construction: comments, then what they explain.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

const WIDTH: usize = 108;

impl Page {
    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// `[name]`
    pub(super) fn table(&mut self, name: &str) {
        self.text.push_str(&format!("\n[{name}]\n"));
    }

    /// A comment, wrapped at words.
    pub(super) fn comment(&mut self, words: &str) {
        let mut line = "#".to_owned();
        for word in words.split(' ') {
            if line.len() + 1 + word.len() > WIDTH && line.len() > 1 {
                self.text.push_str(&line);
                self.text.push('\n');
                "#  ".clone_into(&mut line);
            }
            line.push(' ');
            line.push_str(word);
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }

    /// `key = "value"`, or a literal.
    pub(super) fn literal(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("{key} = {value}\n"));
    }

    /// `key = "text"`
    pub(super) fn string(&mut self, key: &str, value: &str) {
        self.literal(key, &quoted(value));
    }

    /// `key = ["a", "b"]`, over several lines where it is long.
    pub(super) fn list<'a>(&mut self, key: &str, values: impl Iterator<Item = &'a str>) {
        let values = values.map(quoted).collect::<Vec<_>>();
        let one = format!("[{}]", values.join(", "));
        if key.len() + 3 + one.len() <= WIDTH {
            return self.literal(key, &one);
        }
        let mut lines = vec![String::new()];
        for value in values {
            let last = lines.len() - 1;
            if lines[last].len() + value.len() + 4 > WIDTH {
                lines.push(String::new());
            }
            let last = lines.len() - 1;
            lines[last].push_str(&format!(" {value},"));
        }
        let lines = lines.iter().map(|line| format!("   {line}\n")).collect::<String>();
        self.literal(key, &format!("[\n{lines}]"));
    }
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}
