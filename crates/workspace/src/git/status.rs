//! Reads the NUL-separated output of `git status` and `git ls-files`.

use camino::{Utf8Path, Utf8PathBuf};

/// Renames as two entries; submodules and ignored files too, whatever the user's settings say.
pub(super) const STATUS_ARGS: [&str; 9] = [
    "status",
    "--porcelain=v2",
    "--branch",
    "--no-ahead-behind",
    "-z",
    "--untracked-files=all",
    "--ignored=matching",
    "--no-renames",
    "--ignore-submodules=none",
];

/// `-s` for modes and blob ids, `-v` for the flags that hide edits; `:/` for the whole repository.
pub(super) const INDEX_ARGS: [&str; 6] = ["ls-files", "-s", "-v", "-z", "--full-name", ":/"];

/// What `git status` said. All paths are absolute.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// The id of HEAD; `None` before the first commit.
    pub(super) commit: Option<String>,
    /// Whatever differs between HEAD, index and work tree, and untracked files.
    pub(super) changed: Vec<Utf8PathBuf>,
    /// Of these, what differs between index and work tree, and untracked files.
    pub(super) not_as_index: Vec<Utf8PathBuf>,
    /// Ignored files, and folders that are ignored as a whole.
    pub(super) ignored: Vec<Utf8PathBuf>,
}

impl Status {
    /// Reads the output of [`STATUS_ARGS`].
    pub(super) fn parse(output: &[u8], repository: &Utf8Path) -> Self {
        let mut status = Self::default();
        for record in records(output) {
            let (kind, rest) = record.split_once(' ').unwrap_or((&record, ""));
            match kind {
                "#" => status.header(rest),
                // `XY sub mH mI mW hH hI path`; X is HEAD against index, Y index against work tree.
                "1" => status.add(rest, 7, repository),
                // `XY sub m1 m2 m3 mW h1 h2 h3 path`: unmerged.
                "u" => status.add(rest, 9, repository),
                "?" => status.add(rest, 0, repository),
                "!" => status.ignored.push(absolute(rest, repository)),
                _ => {}
            }
        }
        status
    }

    fn header(&mut self, header: &str) {
        if let Some(commit) = header.strip_prefix("branch.oid ") {
            self.commit = (commit != "(initial)").then(|| commit.to_owned());
        }
    }

    fn add(&mut self, record: &str, fields_before_path: usize, repository: &Utf8Path) {
        let Some(path) = record.splitn(fields_before_path + 1, ' ').last() else { return };
        let path = absolute(path, repository);
        let as_index = fields_before_path > 0 && record.as_bytes().get(1) == Some(&b'.');
        if !as_index {
            self.not_as_index.push(path.clone());
        }
        self.changed.push(path);
    }
}

/// A tracked file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    /// Absolute.
    pub(super) path: Utf8PathBuf,
    /// Mode and blob id, `100644 ID`: the same for the same content.
    pub(super) content: String,
    /// Git was told not to look for edits.
    pub(super) unwatched: bool,
}

impl IndexEntry {
    /// Reads the output of [`INDEX_ARGS`]: `H 100644 ID 0\tpath`.
    pub(super) fn parse(output: &[u8], repository: &Utf8Path) -> Vec<Self> {
        let entry = |record: String| {
            let (facts, path) = record.split_once('\t')?;
            let (tag, rest) = facts.split_once(' ')?;
            // Its stage is not 0 only in a conflict, and then the file on disk counts.
            let (content, _stage) = rest.rsplit_once(' ')?;
            // Lower case: assume-unchanged; `S`: skip-worktree.
            let unwatched = tag == "S" || tag.chars().all(char::is_lowercase);
            Some(Self { path: absolute(path, repository), content: content.to_owned(), unwatched })
        };
        records(output).filter_map(entry).collect()
    }
}

/// A NUL-separated list of paths relative to the top of the work tree.
pub(super) fn paths(output: &[u8], repository: &Utf8Path) -> Vec<Utf8PathBuf> {
    records(output).map(|path| absolute(&path, repository)).collect()
}

/// A name that is not Unicode is carried lossily: its folder, which decides what it selects, is right.
fn records(output: &[u8]) -> impl Iterator<Item = String> {
    let records = output.split(|&byte| byte == 0).filter(|record| !record.is_empty());
    records.map(|record| String::from_utf8_lossy(record).into_owned())
}

/// Folders (submodules, repositories inside this one) end in a slash.
fn absolute(path: &str, repository: &Utf8Path) -> Utf8PathBuf {
    repository.join(path.trim_end_matches('/'))
}
