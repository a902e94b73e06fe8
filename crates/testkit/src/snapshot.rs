//! Everything in a folder, to be compared with what is there later.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

/// What lies below a folder, but for `.git` and what cargo marks as its own (`CACHEDIR.TAG`). Paths are relative to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<Utf8PathBuf, Entry>);

/// One thing in a folder. Modes are the permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder {
        /// Its mode.
        mode: u32,
    },
    /// A file.
    File {
        /// Its mode.
        mode: u32,
        /// What it holds.
        bytes: Vec<u8>,
    },
    /// A symbolic link, which is not followed.
    Link {
        /// Where it leads.
        target: Utf8PathBuf,
    },
}

impl Snapshot {
    /// Reads all of `root`.
    ///
    /// # Panics
    ///
    /// Where something cannot be read.
    pub fn of(root: &Utf8Path) -> Self {
        let mut entries = BTreeMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in dir.read_dir_utf8().expect("a folder to read") {
                let entry = entry.expect("an entry");
                let path = entry.path();
                let metadata = path.symlink_metadata().expect("its metadata");
                let mode = metadata.permissions().mode() & 0o7777;
                let node = if metadata.is_symlink() {
                    Entry::Link { target: path.read_link_utf8().expect("a link to read") }
                } else if metadata.is_file() {
                    Entry::File { mode, bytes: fs::read(path).expect("a file to read") }
                } else if entry.file_name() == ".git" || path.join("CACHEDIR.TAG").exists() {
                    continue;
                } else {
                    open.push(path.to_owned());
                    Entry::Folder { mode }
                };
                entries.insert(path.strip_prefix(root).expect("below the root").to_owned(), node);
            }
        }
        Self(entries)
    }

    /// Without `path` and what lies below it.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.0.retain(|entry, _| !entry.starts_with(path));
        self
    }

    /// Puts everything back into `root`, with nothing beside it.
    ///
    /// # Panics
    ///
    /// Where something cannot be written, or is a link.
    #[expect(clippy::disallowed_methods, reason = "a fixture needs no atomic write, and has no link in it")]
    pub fn restore(&self, root: &Utf8Path) {
        for entry in root.read_dir_utf8().expect("a folder to empty") {
            let path = entry.expect("an entry").into_path();
            let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            removed.expect("something to remove");
        }
        // A folder comes before what is in it.
        for (path, entry) in &self.0 {
            let path = root.join(path);
            let mode = match entry {
                Entry::Folder { mode } => {
                    fs::create_dir(&path).expect("a new folder");
                    *mode
                }
                Entry::File { mode, bytes } => {
                    fs::write(&path, bytes).expect("a new file");
                    *mode
                }
                Entry::Link { .. } => panic!("{path} is a link"),
            };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        }
    }

    /// Compares with `before`.
    ///
    /// # Panics
    ///
    /// With the paths that differ.
    #[track_caller]
    pub fn assert_same(&self, before: &Self, when: &str) {
        let changed = self.changed_since(before);
        assert!(changed.is_empty(), "{when}, these differ: {changed:?}");
    }

    /// The paths that are new, gone or different, folders too.
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a Utf8Path> {
        let paths = self.0.keys().chain(before.0.keys().filter(|path| !self.0.contains_key(*path)));
        paths.filter(|path| self.0.get(*path) != before.0.get(*path)).map(Utf8PathBuf::as_path).collect()
    }

    /// All paths, a folder before what is in it.
    pub fn paths(&self) -> impl Iterator<Item = &Utf8Path> {
        self.0.keys().map(Utf8PathBuf::as_path)
    }

    /// What is at `path`; `None` where nothing is.
    pub fn entry(&self, path: impl AsRef<Utf8Path>) -> Option<&Entry> {
        self.0.get(path.as_ref())
    }

    /// The text of a file; `None` where there is none.
    ///
    /// # Panics
    ///
    /// Where it is no text.
    pub fn text(&self, path: impl AsRef<Utf8Path>) -> Option<&str> {
        match self.entry(path)? {
            Entry::File { bytes, .. } => Some(std::str::from_utf8(bytes).expect("text")),
            Entry::Folder { .. } | Entry::Link { .. } => None,
        }
    }

    /// The mode of a file or folder.
    pub fn mode(&self, path: impl AsRef<Utf8Path>) -> Option<u32> {
        match self.entry(path)? {
            Entry::File { mode, .. } | Entry::Folder { mode } => Some(*mode),
            Entry::Link { .. } => None,
        }
    }
}
