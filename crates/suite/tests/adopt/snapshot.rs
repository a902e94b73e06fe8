//! Every file of a folder, and what was done to it since.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

/// What lies below a folder, but for `.git` and what cargo marks as its own (`CACHEDIR.TAG`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<Utf8PathBuf, Node>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Folder { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Link { target: Utf8PathBuf },
}

impl Snapshot {
    /// Reads all of it.
    pub(crate) fn of(root: &Utf8Path) -> Self {
        let mut nodes = BTreeMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in dir.read_dir_utf8().unwrap() {
                let entry = entry.unwrap();
                let path = entry.path();
                let metadata = path.symlink_metadata().unwrap();
                let mode = metadata.permissions().mode() & 0o7777;
                let node = if metadata.is_symlink() {
                    Node::Link { target: path.read_link_utf8().unwrap() }
                } else if metadata.is_file() {
                    Node::File { mode, bytes: fs::read(path).unwrap() }
                } else if entry.file_name() == ".git" || path.join("CACHEDIR.TAG").exists() {
                    continue;
                } else {
                    open.push(path.to_owned());
                    Node::Folder { mode }
                };
                nodes.insert(path.strip_prefix(root).unwrap().to_owned(), node);
            }
        }
        Self(nodes)
    }

    /// Fails with the paths that differ from `before`.
    #[track_caller]
    pub(crate) fn assert_same(&self, before: &Self, when: &str) {
        let changed = self.changed_since(before);
        assert!(changed.is_empty(), "{when}, these differ: {changed:?}");
    }

    /// The paths that are new, gone or different, folders too.
    pub(crate) fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a Utf8Path> {
        let paths = self.0.keys().chain(before.0.keys().filter(|path| !self.0.contains_key(*path)));
        paths.filter(|path| self.0.get(*path) != before.0.get(*path)).map(Utf8PathBuf::as_path).collect()
    }

    /// The text of a file; `None` where there is none.
    pub(crate) fn text(&self, path: &Utf8Path) -> Option<&str> {
        match self.0.get(path)? {
            Node::File { bytes, .. } => Some(std::str::from_utf8(bytes).unwrap()),
            Node::Folder { .. } | Node::Link { .. } => None,
        }
    }

    /// The mode of a file or folder.
    pub(crate) fn mode(&self, path: &Utf8Path) -> Option<u32> {
        match self.0.get(path)? {
            Node::File { mode, .. } | Node::Folder { mode } => Some(*mode),
            Node::Link { .. } => None,
        }
    }
}

/// Fails unless `after` is `before` with insertions: each line is still there, in order and with its ending, as it
/// was or with something inserted; and new lines end as all the old ones do.
#[track_caller]
pub(crate) fn assert_only_insertions(before: &str, after: &str, path: &Utf8Path) {
    // The first line need not stay the first; the mark does.
    let text = |with_mark: &str| with_mark.strip_prefix('\u{feff}').unwrap_or(with_mark).to_owned();
    assert_eq!(before.starts_with('\u{feff}'), after.starts_with('\u{feff}'), "the mark of {path}");
    let (before, after) = (text(before), text(after));
    let mut rest = after.split_inclusive('\n').collect::<Vec<_>>().into_iter();
    for line in before.split_inclusive('\n') {
        let found = rest.as_slice().iter().position(|other| *other == line);
        let found = found.or_else(|| rest.as_slice().iter().position(|other| is_extended(line, other)));
        let Some(found) = found else {
            panic!("{path}: {line:?} is gone or has moved\n--- before\n{before}\n--- after\n{after}")
        };
        rest.nth(found);
    }
    let (lines, windows) = (before.matches('\n').count(), before.matches("\r\n").count());
    let (lines_after, windows_after) = (after.matches('\n').count(), after.matches("\r\n").count());
    if windows == 0 {
        assert_eq!(windows_after, 0, "{path} has got Windows line endings:\n{after:?}");
    } else if windows == lines {
        assert_eq!(
            windows_after, lines_after,
            "{path} has not only Windows line endings any more:\n{after:?}"
        );
    }
}

/// Whether `longer` is `line` with insertions, the line's ending unchanged.
fn is_extended(line: &str, longer: &str) -> bool {
    let (content, ending) = split_ending(line);
    let (longer, longer_ending) = split_ending(longer);
    let mut rest = longer.chars();
    // The last line of a file may get an ending.
    (ending == longer_ending || ending.is_empty())
        && content.chars().all(|wanted| rest.any(|other| other == wanted))
}

fn split_ending(line: &str) -> (&str, &str) {
    let content = line.trim_end_matches('\n');
    let content = content.strip_suffix('\r').unwrap_or(content);
    line.split_at(content.len())
}

#[test]
fn insertions_are_told_from_other_changes() {
    let only_insertions = |before: &str, after: &str| {
        std::panic::catch_unwind(|| assert_only_insertions(before, after, Utf8Path::new("f"))).is_ok()
    };
    let table = [
        ("a\nb\n", "a\nnew\nb\n", true),
        ("m = [\"a\"]\n", "m = [\"a\", \"b\"]\n", true),
        ("w = { m = [\"a\"] } # w\n", "w = { m = [\"a\", \"b\"], d = [] } # w\n", true),
        ("\u{feff}a\n", "\u{feff}new\na\n", true),
        ("\u{feff}a\n", "new\n\u{feff}a\n", false),
        ("a", "a\nb\n", true),
        ("a\r\n", "a\r\nb\r\n", true),
        ("a\r\nb\n", "a\r\nb\nc\n", true),
        ("a\nb\n", "b\na\n", false),
        ("a\nb\n", "a\n", false),
        ("m = [ \"a\" ]\n", "m = [\"a\", \"b\"]\n", false),
        ("a\n", "a\r\n", false),
        ("a\r\n", "a\r\nb\n", false),
        ("a\n", "a\nb\r\n", false),
    ];
    for (before, after, expected) in table {
        assert_eq!(only_insertions(before, after), expected, "{before:?} -> {after:?}");
    }
}
