//! What lies on disk: every file of the build dir and the target dir, its bytes, and the unit it belongs to.
//!
//! Both of cargo's layouts are read, and may lie side by side in one profile's folder:
//!
//! - v1: `<profile>/{.fingerprint/<package>-<id>,deps/<name>-<id>*,build/<package>-<id>,incremental,examples}`
//! - v2: `<profile>/build/<package>/<id>/{fingerprint,out,run}`, and `incremental` as before
//!
//! Invariants: nothing is changed, no link is followed, and what is not recognised is said to be so.

mod items;
mod layout;
mod names;
mod output_name;
mod owners;
mod size;
mod walk;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_files::FileId;
use xtask_workspace::Workspace;

use crate::fingerprint::Fingerprint;
use crate::parallel::cores;

pub use layout::profile_dirs;
pub use names::{incremental_crate, unit_id};
pub use output_name::OutputName;
pub use size::{Link, Size, Sum};

/// A unit id as a number: 16 hex digits on disk.
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

/// What a part of the build dir is, in the words of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// What the compiler made of a unit: libraries, programs, dep-info.
    Deps,
    /// Cargo's note of what a unit was made from.
    Fingerprint,
    /// Build scripts, and what they wrote.
    BuildScripts,
    /// Debug info beside the objects (`split-debuginfo = "unpacked"`).
    Dwo,
    /// rustc's state for incremental compilation.
    Incremental,
    /// Final artifacts, under names without an id.
    Artifacts,
    /// What a compiler left that was killed.
    Temporary,
    /// `cargo package`.
    Package,
    /// `cargo doc`.
    Doc,
    /// Pages of `cargo build --timings`.
    Timings,
    /// Files that cargo keeps for itself, lock files among them.
    Cargo,
    /// A target dir inside of this one, as editors make them.
    NestedTargetDir,
    /// What the suite keeps for itself.
    Suite,
    /// Everything else: it was put there by something that is not cargo.
    Other,
}

impl ItemKind {
    /// As people read it.
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

/// What a part of the build dir belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A unit. The same id may lie in both layouts.
    Unit {
        /// Which layout.
        layout: Layout,
        /// The id.
        id: UnitId,
    },
    /// A crate whose files carry no id: a path package's `cdylib` or `dylib` in layout v1.
    Crate,
    /// Whichever unit it is a link to: a final artifact without an id in its name.
    Uplifted,
    /// The incremental folder of this name.
    Incremental {
        /// `<crate>-<id in base 36>`.
        folder: String,
    },
    /// Nobody that is known.
    None,
}

/// The folder of one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileDir {
    /// Where it lies.
    pub path: Utf8PathBuf,
    /// `debug`, `release`, or a profile's own name.
    pub name: String,
    /// The triple's folder it lies in.
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
    /// Index into [`Inventory::profiles`], if it lies in one.
    pub profile: Option<usize>,
    /// What it is.
    pub kind: ItemKind,
    /// What it belongs to.
    pub owner: Owner,
    /// What it takes up.
    pub size: Size,
    /// When anything in it last changed, in milliseconds since 1970.
    pub modified_ms: u64,
    /// The file or folder that was seen.
    pub id: FileId,
    /// What cargo noted, of a fingerprint's folder.
    pub fingerprint: Option<Box<Fingerprint>>,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether it is a link or a device, or holds what cannot be read: left alone.
    pub left_alone: bool,
}

/// A part that could not be understood or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotRead {
    /// Where.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Everything in a workspace's build dir and target dir.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The profiles' folders, in the build dir and in the target dir.
    pub profiles: Vec<ProfileDir>,
    /// The folders that items lie in.
    pub folders: Vec<PathBuf>,
    /// All parts.
    pub items: Vec<Item>,
    /// Files with several names, which are in the sizes of no item: [`Sum`] counts each once.
    pub links: Vec<Link>,
    /// Folders whose layout is not known here.
    pub unrecognised: Vec<NotRead>,
    /// What could not be read.
    pub unreadable: Vec<NotRead>,
    /// Whether time ran out before all was measured.
    cut: bool,
}

/// What a workspace's build dir and target dir take up on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupied {
    /// Allocated bytes, each file once.
    pub bytes: u64,
    /// Whether all of them were counted: if not, there are more.
    pub whole: bool,
}

/// What both dirs of `workspace` take up, as far as it can be counted within `limit`: the number that `disk` and
/// `clean-stale` say. With hundreds of gigabytes counting takes minutes.
pub fn occupied(workspace: &Workspace, limit: Duration) -> Occupied {
    let deadline = Instant::now() + limit;
    // Links on the way to a dir are followed, those in it are not.
    let real = |dir: &Utf8Path| dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    let facts = &workspace.facts;
    let inventory = walk::read(&real(&facts.build_dir), &real(&facts.target_dir), cores(), Some(deadline));
    Occupied { bytes: inventory.total_bytes(), whole: !inventory.cut }
}

impl Inventory {
    /// Reads both folders, which may be the same or missing, with `jobs` threads.
    pub fn read(build_dir: &Utf8Path, target_dir: &Utf8Path, jobs: usize) -> Self {
        walk::read(build_dir, target_dir, jobs, None)
    }

    /// Where an item lies.
    pub fn path(&self, item: &Item) -> PathBuf {
        self.folders[item.folder].join(&item.name)
    }

    /// All bytes, each file once.
    pub fn total_bytes(&self) -> u64 {
        let mut sum = Sum::new(&self.links);
        self.items.iter().for_each(|item| sum.add(&item.size));
        sum.bytes
    }

    /// The bytes of an item, those included that it shares with others.
    pub fn bytes(&self, item: &Item) -> u64 {
        item.size.bytes + item.size.links.iter().map(|&link| self.links[link as usize].bytes).sum::<u64>()
    }

    /// The indexes of all items that belong to units, those of one unit side by side.
    pub fn items_of_units(&self) -> Vec<usize> {
        // Numbers are sorted in a third of the time: profile and layout, id, index.
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
