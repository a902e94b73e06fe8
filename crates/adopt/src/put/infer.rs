//! The `xtask.toml` for a workspace, from its manifests and other plain facts; nothing is built for it.
//!
//! Invariant: the file says only what must differ from the defaults, and each entry has a comment that says where in
//! the workspace its reason is. What only a build can tell is left to `adopt --observe`.

mod ignore;
mod manifest;
mod presets;
mod tiers;

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{Facts, LocalPackage};

use crate::observe::settings::list;
use manifest::Manifest;

/// Beyond it a line goes on in the next one.
const WIDTH: usize = 108;

/// The members with their manifests, and the root manifest.
struct Workspace<'a> {
    facts: &'a Facts,
    members: Vec<Member<'a>>,
    root: Manifest,
}

struct Member<'a> {
    package: &'a LocalPackage,
    manifest: Manifest,
}

/// The text of `xtask.toml`, and notes for the report. `stable`: whether the toolchain refuses unstable features.
pub(crate) fn xtask_toml(facts: &Facts, stable: bool) -> (String, Vec<String>) {
    let read = |dir: &Utf8Path| Manifest::read(&facts.root, &dir.join("Cargo.toml"));
    let members = facts.members().map(|package| Member { package, manifest: read(&package.dir) });
    let workspace = Workspace { facts, members: members.collect(), root: read(&facts.root) };
    let mut notes = Vec::new();
    let mut page = Page::default();
    page.comment(
        "What `cargo xtask` does differently here than by default. The file is yours; `adopt --observe` adds to it.",
    );
    page.comment("Each entry has the reason for it, as it was when the suite was adopted.");
    page.comment(&format!("Every key: {}/blob/main/docs/configuration.md", env!("CARGO_PKG_REPOSITORY")));
    presets::write(&workspace, stable, &mut page, &mut notes);
    tiers::write(&workspace, &mut page, &mut notes);
    let ignorable = ignore::gather(facts);
    if !ignorable.is_empty() {
        page.table("affected");
        page.comment(
            "No compiled code and no test seems to read these files. A change to any other file \
             outside of the members selects every member.",
        );
        page.list("ignore", &ignorable);
    }
    (page.text, notes)
}

/// The text of a file; empty where it cannot be read.
fn read(path: &Utf8Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The entries of a folder, sorted by name.
fn entries(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let found = folder.read_dir_utf8().into_iter().flatten().flatten();
    let mut paths = found.map(camino::Utf8DirEntry::into_path).collect::<Vec<_>>();
    paths.sort();
    paths
}

/// The text of the file, or of a part.
#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    /// `[name]`
    fn table(&mut self, name: &str) {
        self.line("");
        self.line(&format!("[{name}]"));
    }

    /// A comment, wrapped at words.
    fn comment(&mut self, words: &str) {
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

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// `key = ["a", "b"]`, over several lines where it is long.
    fn list(&mut self, key: &str, values: &[String]) {
        let quoted = |value: &String| toml_edit::Value::from(value).to_string();
        let one = format!("{key} = [{}]", values.iter().map(quoted).collect::<Vec<_>>().join(", "));
        self.line(&if one.len() <= WIDTH { one } else { format!("{key} = {}", list(&[], values)) });
    }
}

#[cfg(test)]
mod tests;
