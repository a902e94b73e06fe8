//! Who reads a file, told from what each package reads.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::Reads;

/// The packages that are known to read each file or folder.
pub(crate) struct Readers(BTreeMap<Utf8PathBuf, BTreeSet<usize>>);

impl Readers {
    /// `reads` in the order of the packages.
    pub(crate) fn new(reads: &[Reads]) -> Self {
        let mut readers = BTreeMap::<_, BTreeSet<usize>>::new();
        for (package, reads) in reads.iter().enumerate() {
            let Reads::Known(paths) = reads else { continue };
            for path in paths {
                readers.entry(path.clone()).or_default().insert(package);
                // Dep-info has `crates/a/../b/x` where the source has `../b/x`.
                if path.components().any(|part| part == Utf8Component::ParentDir) {
                    readers.entry(without_parents(path)).or_default().insert(package);
                }
            }
        }
        Self(readers)
    }

    /// The packages that read `path`, a folder above it (a build script may watch one) or, where `path` is a
    /// folder, anything below it.
    pub(crate) fn of(&self, path: &Utf8Path) -> BTreeSet<usize> {
        let above = path.ancestors().filter_map(|ancestor| self.0.get(ancestor));
        // Paths are ordered by component, so what lies below a folder follows it.
        let below = self.0.range(path.to_owned()..).take_while(|(read, _)| read.starts_with(path));
        above.chain(below.map(|(_, packages)| packages)).flatten().copied().collect()
    }
}

/// `path` with each `..` taken together with the folder before it.
fn without_parents(path: &Utf8Path) -> Utf8PathBuf {
    let mut plain = Utf8PathBuf::new();
    for part in path.components() {
        if part == Utf8Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}
