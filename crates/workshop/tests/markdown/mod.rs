//! The Markdown of this repository, and the fenced blocks in it.

use camino::Utf8PathBuf;

use crate::generated::repository;

/// Markdown that people read: at the root and in `docs/`.
pub(crate) fn documents() -> Vec<Utf8PathBuf> {
    let folders = [repository(), repository().join("docs")];
    let entries = folders.iter().flat_map(|folder| folder.read_dir_utf8().unwrap());
    let mut files = entries.map(|entry| entry.unwrap().into_path()).collect::<Vec<_>>();
    files.retain(|path| path.extension() == Some("md"));
    files.sort();
    assert!(files.len() > 5, "{files:?}");
    files
}

/// The text cut where a block of that language begins or ends; whether each piece is the inside of one.
pub(crate) fn pieces(text: &str, language: &str) -> Vec<(bool, String)> {
    let mut pieces = vec![(false, String::new())];
    for line in text.split_inclusive('\n') {
        let inside = pieces.last().is_some_and(|(inside, _)| *inside);
        let ends = inside && line.trim_end() == "```";
        if ends {
            pieces.push((false, String::new()));
        }
        if let Some((_, piece)) = pieces.last_mut() {
            piece.push_str(line);
        }
        if !inside && line.trim_end() == format!("```{language}") {
            pieces.push((true, String::new()));
        }
    }
    pieces
}
