//! What is on disk: every file of the build dir and the target dir, its bytes, and the unit that it belongs to.
//!
//! Both of cargo's layouts are read; one profile's folder may contain both:
//!
//! - v1: `<profile>/{.fingerprint/<package>-<id>,deps/<name>-<id>*,build/<package>-<id>,incremental,examples}`
//! - v2: `<profile>/build/<package>/<id>/{fingerprint,out,run}`, and `incremental` as before
//!
//! Invariants: nothing is changed, no link is followed, and what is not recognised is reported as such.

mod layout;
mod measure;
mod names;
mod sources;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_files::FileId;
use xtask_workspace::Workspace;

use crate::cores;
use crate::fingerprint::Fingerprint;

pub use layout::profile_dirs;
pub use names::{OutputName, incremental_crate, unit_id};
pub use sources::artifact_sources;

pub type UnitId = u64;

/// One of cargo's two ways to lay out a profile's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Until cargo 1.99.
    V1,
    /// From cargo 1.100; `-Zbuild-dir-new-layout` before.
    V2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// What the compiler wrote for a unit: libraries, programs, dep-info.
    Deps,
    /// What cargo wrote down about a unit.
    Fingerprint,
    /// Build scripts, and what they wrote.
    BuildScripts,
    /// Debug info beside the objects (`split-debuginfo = "unpacked"`).
    Dwo,
    /// rustc's state for incremental compilation.
    Incremental,
    /// Final artifacts, under names without an id.
    Artifacts,
    /// What a killed compiler left.
    Temporary,
    Package,
    Doc,
    /// Pages of `cargo build --timings`.
    Timings,
    /// Files that cargo keeps for itself, lock files among them.
    Cargo,
    /// A target dir inside this one; editors make some.
    NestedTargetDir,
    /// The suite's own state.
    Suite,
    /// Everything else; cargo did not make it.
    Other,
}

impl ItemKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deps => "deps",
            Self::Fingerprint => "fingerprints",
            Self::BuildScripts => "build scripts",
            Self::Dwo => "dwo",
            Self::Incremental => "incremental",
            Self::Artifacts => "artifacts",
            Self::Temporary => "temporary",
            Self::Package => "package",
            Self::Doc => "doc",
            Self::Timings => "timings",
            Self::Cargo => "cargo's own",
            Self::NestedTargetDir => "nested target dirs",
            Self::Suite => "the suite's own",
            Self::Other => "not cargo's",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A unit. The same id may occur in both layouts.
    Unit {
        layout: Layout,
        id: UnitId,
    },
    /// A crate whose files have no id in their names: a path package's `cdylib` or `dylib` in layout v1.
    Crate,
    /// The unit whose file it is a link to: a final artifact, without an id in its name.
    Uplifted,
    /// The incremental folder of this name: `<crate>-<id in base 36>`.
    Incremental {
        folder: String,
    },
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileDir {
    pub path: Utf8PathBuf,
    /// `debug`, `release`, or a profile's own name.
    pub name: String,
    /// The name of the triple's folder that it is in.
    pub triple: Option<String>,
}

impl ProfileDir {
    /// `debug`, or `wasm32-unknown-unknown/debug`.
    pub fn label(&self) -> String {
        match &self.triple {
            Some(triple) => format!("{triple}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The smallest part that is kept or removed as a whole: a file, or a folder with all below it.
#[derive(Debug, Clone)]
pub struct Item {
    /// Index into [`Inventory::folders`].
    pub folder: usize,
    /// Its name there.
    pub name: OsString,
    /// Index into [`Inventory::profiles`], if it is in one.
    pub profile: Option<usize>,
    pub kind: ItemKind,
    pub owner: Owner,
    pub size: Size,
    /// When anything in it last changed, in milliseconds since 1970.
    pub modified_ms: u64,
    pub id: FileId,
    /// The content of a fingerprint's folder.
    pub fingerprint: Option<Box<Fingerprint>>,
    pub is_folder: bool,
    /// Whether it must not be touched: it is a link or a device, or contains something that cannot be read.
    pub left_alone: bool,
}

/// A part that was not understood or could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotRead {
    pub path: PathBuf,
    pub why: String,
}

#[derive(Debug, Default)]
pub struct Inventory {
    /// The profiles' folders, in the build dir and in the target dir.
    pub profiles: Vec<ProfileDir>,
    pub folders: Vec<PathBuf>,
    pub items: Vec<Item>,
    /// Files with several names. They are not in [`Size::bytes`]; [`Sum`] counts each once.
    pub links: Vec<Link>,
    /// Folders with an unknown layout.
    pub unrecognised: Vec<NotRead>,
    pub unreadable: Vec<NotRead>,
    /// Whether the time limit cut it short.
    cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupied {
    /// Allocated bytes, each file once.
    pub bytes: u64,
    pub whole: bool,
}

/// The size of both dirs of `workspace`, as far as it can be counted within `limit`: the number that `disk` and `clean-stale`
/// report. With hundreds of gigabytes counting takes minutes.
pub fn occupied(workspace: &Workspace, limit: Duration) -> Occupied {
    let deadline = Instant::now() + limit;
    // Links in the path of a dir are followed, those inside it are not.
    let real = |dir: &Utf8Path| dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    let facts = &workspace.facts;
    let inventory = measure::read(&real(&facts.build_dir), &real(&facts.target_dir), cores(), Some(deadline));
    Occupied { bytes: inventory.total_bytes(), whole: !inventory.cut }
}

impl Inventory {
    /// Reads both folders, which may be the same or missing, with `jobs` threads.
    pub fn read(build_dir: &Utf8Path, target_dir: &Utf8Path, jobs: usize) -> Self {
        measure::read(build_dir, target_dir, jobs, None)
    }

    pub fn path(&self, item: &Item) -> PathBuf {
        self.folders[item.folder].join(&item.name)
    }

    /// All bytes, each file once.
    pub fn total_bytes(&self) -> u64 {
        let mut sum = Sum::new(&self.links);
        self.items.iter().for_each(|item| sum.add(&item.size));
        sum.bytes
    }

    /// The bytes of an item, including those that it shares with others.
    pub fn bytes(&self, item: &Item) -> u64 {
        item.size.bytes + item.size.links.iter().map(|&link| self.links[link as usize].bytes).sum::<u64>()
    }

    /// The indexes of all items that belong to units, grouped by unit.
    pub fn items_of_units(&self) -> Vec<usize> {
        // Sorting numbers takes a third of the time: profile and layout, id, index.
        let numbers =
            self.items.iter().enumerate().filter_map(|(index, item)| match (item.profile, &item.owner) {
                (Some(profile), Owner::Unit { layout, id }) => {
                    let place = (profile as u128) << 1 | u128::from(*layout == Layout::V2);
                    Some(place << 96 | u128::from(*id) << 32 | index as u128)
                }
                _ => None,
            });
        let mut numbers = numbers.collect::<Vec<_>>();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|number| usize::try_from(number & u128::from(u32::MAX)).ok()).collect()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Size {
    /// Allocated bytes of the files that have no other name.
    pub bytes: u64,
    pub files: u64,
    /// The files that have several names, as indexes into the inventory's links; once per name.
    pub links: Vec<u32>,
}

/// A file with several names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub id: FileId,
    /// Allocated bytes.
    pub bytes: u64,
    /// How many names it has, here or elsewhere.
    pub names: u64,
}

/// A sum of sizes that counts each file once.
#[derive(Debug)]
pub struct Sum<'a> {
    links: &'a [Link],
    seen: Vec<u64>,
    /// Bytes of the files added, each once.
    pub bytes: u64,
    /// Bytes that would be free if everything added were removed: a file stays while it has another name.
    pub freed: u64,
}

impl<'a> Sum<'a> {
    pub fn new(links: &'a [Link]) -> Self {
        Self { links, seen: vec![0; links.len()], bytes: 0, freed: 0 }
    }

    pub fn has(&self, link: u32) -> bool {
        self.seen[link as usize] > 0
    }

    pub fn add(&mut self, size: &Size) {
        self.add_and(size, |_, _| {});
    }

    /// Adds an item's size. `last` gets each file whose last name this is: its index among the links, and its bytes.
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
