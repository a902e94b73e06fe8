//! Bytes on the disk, with files that have several names counted once.

use xtask_files::FileId;

/// What an item takes up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Size {
    /// Allocated bytes of the files that have no other name.
    pub bytes: u64,
    /// How many files there are.
    pub files: u64,
    /// The files that have further names, as indexes into the inventory's links; once per name.
    pub links: Vec<u32>,
}

/// A file with several names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Which file.
    pub id: FileId,
    /// Allocated bytes.
    pub bytes: u64,
    /// How many names it has, here or elsewhere.
    pub names: u64,
}

/// Adds sizes up.
#[derive(Debug)]
pub struct Sum<'a> {
    links: &'a [Link],
    seen: Vec<u64>,
    /// Bytes of the files added, each once.
    pub bytes: u64,
    /// Bytes that would be free if all that was added were removed: a file with a name that was not added stays.
    pub freed: u64,
}

impl<'a> Sum<'a> {
    /// Nothing yet.
    pub fn new(links: &'a [Link]) -> Self {
        Self { links, seen: vec![0; links.len()], bytes: 0, freed: 0 }
    }

    /// Whether any name of this link was added.
    pub fn has(&self, link: u32) -> bool {
        self.seen[link as usize] > 0
    }

    /// Adds an item's size.
    pub fn add(&mut self, size: &Size) {
        self.add_and(size, |_, _| {});
    }

    /// Adds an item's size; `last` hears of each file that has its last name in it: which of the links it is, and its
    /// bytes.
    pub fn add_and(&mut self, size: &Size, mut last: impl FnMut(usize, u64)) {
        self.bytes += size.bytes;
        self.freed += size.bytes;
        for &index in &size.links {
            let index = index as usize;
            let link = &self.links[index];
            self.seen[index] += 1;
            if self.seen[index] == 1 {
                self.bytes += link.bytes;
            }
            if self.seen[index] == link.names {
                self.freed += link.bytes;
                last(index, link.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_once_and_is_free_only_without_its_last_name() {
        let id = |inode| FileId { device: 1, inode };
        let links = [Link { id: id(1), bytes: 100, names: 2 }, Link { id: id(2), bytes: 10, names: 2 }];
        let mut sum = Sum::new(&links);
        sum.add(&Size { bytes: 5, files: 1, links: vec![0] });
        assert_eq!((sum.bytes, sum.freed), (105, 5));
        sum.add(&Size { bytes: 0, files: 1, links: vec![0, 1] });
        assert_eq!((sum.bytes, sum.freed), (115, 105), "the second has a name elsewhere");
    }
}
