//! What the final artifacts in a target dir were built from, whoever built them.

use camino::{Utf8Path, Utf8PathBuf};

use super::profile_dirs;

/// The sources of each final artifact in the target dir, with their full paths: cargo lists them beside it, in the form of
/// a Makefile.
pub fn artifact_sources(build: &Utf8Path, target: &Utf8Path) -> Vec<Vec<Utf8PathBuf>> {
    let mut sources = Vec::new();
    for profile in profile_dirs(build, target) {
        let lists = profile.path.read_dir_utf8().into_iter().flatten().flatten();
        for list in lists.filter(|entry| entry.path().extension() == Some("d")) {
            sources.push(listed(&std::fs::read_to_string(list.path()).unwrap_or_default()));
        }
    }
    sources
}

/// The absolute paths after `output: `; a space in a path is written `\ `.
fn listed(text: &str) -> Vec<Utf8PathBuf> {
    let lists = text.lines().filter_map(|line| line.split_once(": "));
    let words = lists.flat_map(|(_, list)| {
        let list = list.replace("\\ ", "\0");
        list.split(' ').map(|word| Utf8PathBuf::from(word.replace('\0', " "))).collect::<Vec<_>>()
    });
    words.filter(|path| path.is_absolute()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_that_cargo_writes_are_read() {
        let text = "/t/debug/app: /w/app/src/main.rs /my\\ disk/lib.rs relative.rs\n\n# comment\n";
        assert_eq!(listed(text), ["/w/app/src/main.rs", "/my disk/lib.rs"]);
    }
}
