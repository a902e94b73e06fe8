//! Finds the parts of a build dir: which folders are profiles, and what their entries are by place and name.

use std::path::Path;

use camino::Utf8Path;
use xtask_files::{Entry, EntryKind, FileId, Folder};

use super::names::{
    OutputName, id_in_output, incremental, is_of_command, is_session, is_temporary, package_and_id, unit_id,
};
use super::{Inventory, Item, ItemKind, Layout, NotRead, Owner, ProfileDir, Size, UnitId};

/// Names that occur only in the folder of a profile. `deps` is not one: other build tools have such folders too.
const OF_PROFILE: [&str; 4] = [".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock", ".fingerprint"];
/// Cargo's files in the root of a build dir.
const OF_ROOT: [&str; 4] = ["CACHEDIR.TAG", ".rustc_info.json", ".rustdoc_fingerprint.json", ".cargo-lock"];
/// The suite's own state, and its own build where it is vendored.
const SUITE: &str = "xtask-suite";
/// For tests to use as they like (`CARGO_TARGET_TMPDIR`): cargo makes nothing in it.
const SCRATCH: &str = "tmp";

/// What the roots contain.
pub(super) struct Found {
    /// Everything but the items.
    pub(super) inventory: Inventory,
    /// The items of one folder each, not yet measured; none is empty.
    pub(super) batches: Vec<Vec<Item>>,
    only_profiles: bool,
}

/// The folders of profiles in both dirs.
pub fn profile_dirs(build_dir: &Utf8Path, target_dir: &Utf8Path) -> Vec<ProfileDir> {
    find(build_dir, target_dir, true).inventory.profiles
}

/// With `only_profiles` nothing below the folders of profiles is read.
pub(super) fn find(build_dir: &Utf8Path, target_dir: &Utf8Path, only_profiles: bool) -> Found {
    let mut found = Found { inventory: Inventory::default(), batches: Vec::new(), only_profiles };
    let mut roots = vec![build_dir];
    if target_dir != build_dir {
        roots.push(target_dir);
    }
    for root in &roots {
        found.root(root, &roots);
    }
    found
}

impl Found {
    /// The entries of a folder; none if it does not exist.
    fn entries(&mut self, path: &Path) -> Vec<Entry> {
        match Folder::open(path).and_then(|folder| folder.entries()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let why = error.to_string();
                self.inventory.unreadable.push(NotRead { path: path.to_owned(), why });
                Vec::new()
            }
        }
    }

    /// The entries of a folder that contains no profile.
    fn contents(&mut self, path: &Path) -> Vec<Entry> {
        if self.only_profiles { Vec::new() } else { self.entries(path) }
    }

    /// Adds the entries of one folder as items.
    fn add(
        &mut self,
        path: &Path,
        profile: Option<usize>,
        entries: impl IntoIterator<Item = (Entry, ItemKind, Owner)>,
    ) {
        let folder = self.inventory.folders.len();
        let items = entries.into_iter().map(|(entry, kind, owner)| Item {
            folder,
            name: entry.name,
            profile,
            kind,
            owner,
            size: Size::default(),
            modified_ms: 0,
            id: FileId { device: 0, inode: 0 },
            fingerprint: None,
            is_folder: entry.kind == EntryKind::Folder,
            left_alone: !matches!(entry.kind, EntryKind::File | EntryKind::Folder),
        });
        let items = items.collect::<Vec<_>>();
        if !items.is_empty() {
            self.inventory.folders.push(path.to_owned());
            self.batches.push(items);
        }
    }

    /// Adds entries that are in no profile. Those with a name that cargo does not make are of no known kind.
    fn add_outside(&mut self, path: &Utf8Path, entries: impl IntoIterator<Item = (Entry, ItemKind)>) {
        let items = entries.into_iter().map(|(entry, kind)| {
            let is_of_kind = is_folder(&entry) || is_of_command(kind, name_of(&entry));
            (entry, if is_of_kind { kind } else { ItemKind::Other }, Owner::None)
        });
        self.add(path.as_std_path(), None, items);
    }

    fn root(&mut self, root: &Utf8Path, roots: &[&Utf8Path]) {
        let mut items = Vec::new();
        for entry in self.entries(root.as_std_path()) {
            let name = name_of(&entry);
            let path = root.join(name);
            let is_named_folder = is_folder(&entry) && !name.is_empty();
            if is_named_folder && roots.iter().any(|root| root.starts_with(&path)) {
                self.beside(&path, roots);
            } else if !is_named_folder || name == SCRATCH {
                let kind = of_root(&entry);
                items.push((entry, kind));
            } else if !self.known_folder(root, None, &entry) {
                let below = self.entries(path.as_std_path());
                if name == SUITE {
                    items.push((entry, ItemKind::Suite));
                } else if is_target_dir(name, &below) {
                    items.push((entry, ItemKind::NestedTargetDir));
                } else if !self.triple(&path, below) {
                    items.push((entry, ItemKind::Other));
                }
            }
        }
        self.add_outside(root, items);
    }

    /// Adds what a folder in the path of another root contains beside it.
    fn beside(&mut self, path: &Utf8Path, roots: &[&Utf8Path]) {
        if roots.contains(&path) {
            return;
        }
        let mut others = Vec::new();
        for entry in self.contents(path.as_std_path()) {
            let below = entry.name.to_str().map(|name| path.join(name));
            match below.filter(|below| roots.iter().any(|root| root.starts_with(below))) {
                Some(below) => self.beside(&below, roots),
                None => others.push((entry, ItemKind::Other)),
            }
        }
        self.add_outside(path, others);
    }

    /// Adds a profile's folder, or one of another cargo command; returns false if it is neither.
    fn known_folder(&mut self, parent: &Utf8Path, triple: Option<&str>, entry: &Entry) -> bool {
        let Some(name) = entry.name.to_str().filter(|_| is_folder(entry)) else { return false };
        let path = parent.join(name);
        let kind = match name {
            "doc" => ItemKind::Doc,
            "package" if triple.is_none() => ItemKind::Package,
            "cargo-timings" if triple.is_none() => ItemKind::Timings,
            _ => return self.profile(&path, name, triple),
        };
        let entries = self.contents(path.as_std_path());
        self.add_outside(&path, entries.into_iter().map(|entry| (entry, kind)));
        true
    }

    /// Adds the folder of a triple; returns false if it contains no profile.
    fn triple(&mut self, path: &Utf8Path, entries: Vec<Entry>) -> bool {
        let before = self.inventory.profiles.len();
        let triple = path.file_name();
        let (docs, mut rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.name == "doc");
        rest.retain(|entry| !self.known_folder(path, triple, entry));
        if self.inventory.profiles.len() == before {
            return false;
        }
        // Only beside a profile it is cargo's documentation.
        rest.extend(docs.into_iter().filter(|entry| !self.known_folder(path, triple, entry)));
        let rest = rest.into_iter().map(|entry| {
            let kind = of_root(&entry);
            (entry, kind)
        });
        self.add_outside(path, rest);
        true
    }

    fn profile(&mut self, path: &Utf8Path, name: &str, triple: Option<&str>) -> bool {
        let entries = self.entries(path.as_std_path());
        if !entries.iter().any(|entry| OF_PROFILE.contains(&name_of(entry))) {
            return false;
        }
        let profile = self.inventory.profiles.len();
        self.inventory.profiles.push(ProfileDir {
            path: path.to_owned(),
            name: name.to_owned(),
            triple: triple.map(str::to_owned),
        });
        let (mut items, mut strange, mut known) = (Vec::new(), Vec::new(), false);
        for entry in entries {
            if is_folder(&entry) && self.folder_of_profile(path, name_of(&entry), profile) {
                known = true;
            } else if name_of(&entry).starts_with(".cargo-") {
                items.push((entry, ItemKind::Cargo, Owner::None));
            } else if is_folder(&entry) && Path::new(&entry.name).extension().is_none() {
                strange.push(entry.name.to_string_lossy().into_owned());
                items.push(other(entry));
            } else {
                items.push((entry, ItemKind::Artifacts, Owner::Uplifted));
            }
        }
        if !known && !strange.is_empty() {
            let why = format!("an unknown layout: it contains {}", strange.join(", "));
            self.inventory.unrecognised.push(NotRead { path: path.as_std_path().to_owned(), why });
        }
        self.add(path.as_std_path(), Some(profile), items);
        true
    }

    /// Adds a folder that cargo makes for every profile; returns false for other names.
    fn folder_of_profile(&mut self, parent: &Utf8Path, folder: &str, profile: usize) -> bool {
        if !["deps", "examples", ".fingerprint", "build", "incremental"].contains(&folder) {
            return false;
        }
        let path = &parent.as_std_path().join(folder);
        let mut items = Vec::new();
        for entry in self.contents(path) {
            let text = name_of(&entry);
            let id = package_and_id(text).filter(|_| is_folder(&entry)).map(|(_, id)| id);
            let (kind, owner) = match (folder, id) {
                ("examples", _) if id_in_output(text).is_none() => (ItemKind::Artifacts, Owner::Uplifted),
                ("deps" | "examples", _) => output(text, is_folder(&entry)),
                (".fingerprint", Some(id)) => (ItemKind::Fingerprint, Owner::Unit { layout: Layout::V1, id }),
                ("build", Some(id)) => (ItemKind::BuildScripts, Owner::Unit { layout: Layout::V1, id }),
                ("build", None) if is_folder(&entry) => {
                    self.package(&path.join(&entry.name), profile);
                    continue;
                }
                ("incremental", _) if is_folder(&entry) => match incremental(text) {
                    Some(owner) if self.sessions(&path.join(text), profile, &owner) => continue,
                    Some(owner) => (ItemKind::Incremental, owner),
                    None => (ItemKind::Other, Owner::None),
                },
                _ => (ItemKind::Other, Owner::None),
            };
            items.push((entry, kind, owner));
        }
        self.add(path, Some(profile), items);
        true
    }

    /// Adds the sessions of one crate and their lock files; returns false if there are none.
    fn sessions(&mut self, path: &Path, profile: usize, owner: &Owner) -> bool {
        let entries = self.entries(path);
        let any = !entries.is_empty();
        let named = entries.into_iter().map(|entry| {
            if is_session(name_of(&entry), is_folder(&entry)) {
                (entry, ItemKind::Incremental, owner.clone())
            } else {
                other(entry)
            }
        });
        self.add(path, Some(profile), named);
        any
    }

    /// `build/<package>` of layout v2: a folder per unit.
    fn package(&mut self, path: &Path, profile: usize) {
        let mut strange = Vec::new();
        let (mut known, mut any_folder) = (false, false);
        for entry in self.entries(path) {
            any_folder |= is_folder(&entry);
            match unit_id(name_of(&entry)).filter(|_| is_folder(&entry)) {
                Some(id) => {
                    known = true;
                    self.unit(&path.join(&entry.name), profile, id);
                }
                None => strange.push(other(entry)),
            }
        }
        // Files alone are somebody's own.
        if !known && any_folder {
            let why = "an unknown layout: neither a build script's folder nor a package's".to_owned();
            self.inventory.unrecognised.push(NotRead { path: path.to_owned(), why });
        }
        self.add(path, Some(profile), strange);
    }

    /// `build/<package>/<id>` of layout v2: `fingerprint`, and what the compiler or the build script wrote.
    fn unit(&mut self, path: &Path, profile: usize, id: UnitId) {
        let entries = self.entries(path);
        let has_run = entries.iter().any(|entry| entry.name == "run");
        let has_fingerprint = entries.iter().any(|entry| entry.name == "fingerprint" && is_folder(entry));
        let is_only = entries.len() == 1;
        let owner = Owner::Unit { layout: Layout::V2, id };
        let out = path.join("out");
        let mut own = Vec::new();
        let mut outputs = Vec::new();
        for entry in entries {
            let (kind, owner) = match name_of(&entry) {
                // Cargo makes an empty folder for doc tests.
                "out" if is_only && is_folder(&entry) && self.entries(&out).is_empty() => {
                    (ItemKind::Cargo, Owner::None)
                }
                _ if !has_fingerprint || !is_folder(&entry) => (ItemKind::Other, Owner::None),
                "fingerprint" => (ItemKind::Fingerprint, owner.clone()),
                "run" => (ItemKind::BuildScripts, owner.clone()),
                "out" if has_run => (ItemKind::BuildScripts, owner.clone()),
                "out" => {
                    let below = self.entries(&out);
                    if !below.is_empty() {
                        outputs = below;
                        continue;
                    }
                    (ItemKind::Deps, owner.clone())
                }
                _ => (ItemKind::Other, Owner::None),
            };
            own.push((entry, kind, owner));
        }
        self.add(path, Some(profile), own);
        let outputs = outputs.into_iter().map(|entry| {
            let text = name_of(&entry);
            let kind = match output(text, is_folder(&entry)).0 {
                ItemKind::Temporary => return (entry, ItemKind::Temporary, Owner::None),
                ItemKind::Dwo => ItemKind::Dwo,
                _ if text.starts_with("build_script_") || text.starts_with("build-script-") => {
                    ItemKind::BuildScripts
                }
                _ => ItemKind::Deps,
            };
            (entry, kind, owner.clone())
        });
        self.add(&out, Some(profile), outputs);
    }
}

fn name_of(entry: &Entry) -> &str {
    entry.name.to_str().unwrap_or_default()
}

fn is_folder(entry: &Entry) -> bool {
    entry.kind == EntryKind::Folder
}

/// Whether a folder in a target dir is a target dir itself. Cargo marks those that it makes, and the folders of triples in
/// them too (1.95), and keeps the file about rustc where intermediate artifacts are (`build.build-dir`).
fn is_target_dir(name: &str, entries: &[Entry]) -> bool {
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    has(".rustc_info.json") || (has("CACHEDIR.TAG") && !is_triple(name))
}

/// Whether it begins as the triples of rustc do. Another name, of a target that a file describes, is safe from a sweep.
fn is_triple(name: &str) -> bool {
    const ARCHITECTURES: [&str; 23] = [
        "aarch64",
        "amdgcn",
        "arm",
        "avr",
        "bpf",
        "csky",
        "hexagon",
        "i386",
        "i586",
        "i686",
        "loongarch",
        "m68k",
        "mips",
        "msp430",
        "nvptx",
        "powerpc",
        "riscv",
        "s390x",
        "sparc",
        "thumb",
        "wasm",
        "x86_64",
        "xtensa",
    ];
    name.contains('-') && ARCHITECTURES.iter().any(|start| name.starts_with(start))
}

/// The kind of an entry in the root of a build dir that is not a folder of cargo's.
fn of_root(entry: &Entry) -> ItemKind {
    if OF_ROOT.contains(&name_of(entry)) { ItemKind::Cargo } else { ItemKind::Other }
}

fn other(entry: Entry) -> (Entry, ItemKind, Owner) {
    (entry, ItemKind::Other, Owner::None)
}

/// A file of the compiler in layout v1, by its name.
fn output(name: &str, is_folder: bool) -> (ItemKind, Owner) {
    let is_dwo = Path::new(name).extension().is_some_and(|extension| extension == "dwo");
    let kind = if is_dwo { ItemKind::Dwo } else { ItemKind::Deps };
    match id_in_output(name) {
        Some(id) => (kind, Owner::Unit { layout: Layout::V1, id }),
        None if is_folder && is_temporary(name) => (ItemKind::Temporary, Owner::None),
        None if OutputName::parse(name).is_some_and(|output| output.is_folder() == is_folder) => {
            (kind, Owner::Crate)
        }
        None => (ItemKind::Other, Owner::None),
    }
}
