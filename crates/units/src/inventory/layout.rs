//! Which folders there are: profiles, and those that cargo's other commands fill.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use xtask_files::{Entry, EntryKind, Folder};

use super::{ItemKind, NotRead, ProfileDir};

/// Names that only the folder of a profile holds. `deps` is none: other build tools have such folders too.
const OF_PROFILE: [&str; 4] = [".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock", ".fingerprint"];
/// Files that cargo keeps in the root of a build dir.
const OF_ROOT: [&str; 4] = ["CACHEDIR.TAG", ".rustc_info.json", ".rustdoc_fingerprint.json", ".cargo-lock"];

/// Where the suite keeps its own state, and its own build where it is vendored.
const SUITE: &str = "xtask-suite";
/// What tests may use as they like (`CARGO_TARGET_TMPDIR`): whatever lies there, cargo did not make it.
const SCRATCH: &str = "tmp";

/// What a folder holds, which tells what its entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// The folder of a profile, whose files are final artifacts.
    Profile,
    /// `.fingerprint` of layout v1.
    Fingerprints,
    /// `deps` of layout v1.
    Deps,
    /// `build`: of build scripts in layout v1, of packages in v2.
    Build,
    /// `incremental`.
    Incremental,
    /// `examples`.
    Examples,
    /// Entries that are all of one kind.
    All(ItemKind),
}

/// A folder whose entries are parts.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) path: PathBuf,
    pub(super) holds: Holds,
    pub(super) profile: Option<usize>,
    /// Those to be taken; the others have a container of their own.
    pub(super) entries: Vec<Entry>,
}

/// What the roots hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) profiles: Vec<ProfileDir>,
    pub(super) containers: Vec<Container>,
    pub(super) unrecognised: Vec<NotRead>,
    pub(super) unreadable: Vec<NotRead>,
    depth: Depth,
}

/// The folders of profiles in both dirs.
pub fn profile_dirs(build_dir: &Utf8Path, target_dir: &Utf8Path) -> Vec<ProfileDir> {
    find(build_dir, target_dir, Depth::Profiles).profiles
}

/// How much is looked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The folders of profiles.
    Profiles,
    /// What is in them too.
    #[default]
    Everything,
}

pub(super) fn find(build_dir: &Utf8Path, target_dir: &Utf8Path, depth: Depth) -> Found {
    let mut found = Found { depth, ..Found::default() };
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
    /// The entries of a folder; a folder that is not there has none.
    pub(super) fn entries(&mut self, path: &Path) -> Vec<Entry> {
        match Folder::open(path).and_then(|folder| folder.entries()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.unreadable.push(NotRead { path: path.to_owned(), why: error.to_string() });
                Vec::new()
            }
        }
    }

    /// The entries of a folder that holds no profile, where they are looked for.
    fn contents(&mut self, path: &Path) -> Vec<Entry> {
        if self.depth == Depth::Profiles { Vec::new() } else { self.entries(path) }
    }

    fn root(&mut self, root: &Utf8Path, roots: &[&Utf8Path]) {
        let mut cargos = Vec::new();
        let mut others = Vec::new();
        for entry in self.entries(root.as_std_path()) {
            let name = entry.name.to_str().unwrap_or_default();
            let path = root.join(name);
            if entry.kind != EntryKind::Folder || name.is_empty() {
                if OF_ROOT.contains(&name) { cargos.push(entry) } else { others.push(entry) }
            } else if roots.iter().any(|root| root.starts_with(&path)) {
                self.beside(&path, roots);
            } else if name == SCRATCH {
                others.push(entry);
            } else if !self.known_folder(root, None, &entry) {
                let below = self.entries(path.as_std_path());
                if name == SUITE {
                    self.all(root.as_std_path(), ItemKind::Suite, vec![entry]);
                } else if below.iter().any(|entry| entry.name == ".rustc_info.json") {
                    self.all(root.as_std_path(), ItemKind::NestedTargetDir, vec![entry]);
                } else if !self.triple(&path, below) {
                    others.push(entry);
                }
            }
        }
        self.all(root.as_std_path(), ItemKind::Cargo, cargos);
        self.all(root.as_std_path(), ItemKind::Other, others);
    }

    /// What lies in a folder on the way to another root; the root itself is looked at as one.
    fn beside(&mut self, path: &Utf8Path, roots: &[&Utf8Path]) {
        if roots.contains(&path) {
            return;
        }
        let mut others = Vec::new();
        for entry in self.contents(path.as_std_path()) {
            let below = entry.name.to_str().map(|name| path.join(name));
            match below.filter(|below| roots.iter().any(|root| root.starts_with(below))) {
                Some(below) => self.beside(&below, roots),
                None => others.push(entry),
            }
        }
        self.all(path.as_std_path(), ItemKind::Other, others);
    }

    /// A profile's folder, or one that another command of cargo fills.
    fn known_folder(&mut self, parent: &Utf8Path, triple: Option<&str>, entry: &Entry) -> bool {
        let Some(name) = entry.name.to_str().filter(|_| entry.kind == EntryKind::Folder) else {
            return false;
        };
        let path = parent.join(name);
        let kind = match name {
            "doc" => ItemKind::Doc,
            "package" if triple.is_none() => ItemKind::Package,
            "cargo-timings" if triple.is_none() => ItemKind::Timings,
            _ => return self.profile(&path, name, triple),
        };
        let entries = self.contents(path.as_std_path());
        self.all(path.as_std_path(), kind, entries);
        true
    }

    /// A folder of a triple holds profiles; everything else in it was put there by something else.
    fn triple(&mut self, path: &Utf8Path, entries: Vec<Entry>) -> bool {
        let before = self.profiles.len();
        let triple = path.file_name();
        let (docs, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.name == "doc");
        let mut rest =
            rest.into_iter().filter(|entry| !self.known_folder(path, triple, entry)).collect::<Vec<_>>();
        if self.profiles.len() == before {
            return false;
        }
        // Only beside a profile it is cargo's documentation.
        rest.extend(docs.into_iter().filter(|entry| !self.known_folder(path, triple, entry)));
        let (cargos, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|entry| OF_ROOT.iter().any(|name| entry.name == *name));
        self.all(path.as_std_path(), ItemKind::Cargo, cargos);
        self.all(path.as_std_path(), ItemKind::Other, others);
        true
    }

    fn profile(&mut self, path: &Utf8Path, name: &str, triple: Option<&str>) -> bool {
        let entries = self.entries(path.as_std_path());
        let has = |name: &str| entries.iter().any(|entry| entry.name == name);
        if !OF_PROFILE.iter().any(|name| has(name)) {
            return false;
        }
        let profile = self.profiles.len();
        self.profiles.push(ProfileDir {
            path: path.to_owned(),
            name: name.to_owned(),
            triple: triple.map(str::to_owned),
        });
        let (mut uplifted, mut cargos, mut strange) = (Vec::new(), Vec::new(), Vec::new());
        let mut known = 0;
        for entry in entries {
            let holds = container(&entry.name).filter(|_| entry.kind == EntryKind::Folder);
            if let Some(holds) = holds {
                known += 1;
                let path = path.as_std_path().join(&entry.name);
                let entries = self.contents(&path);
                self.containers.push(Container { path, holds, profile: Some(profile), entries });
            } else if entry.name.to_str().is_some_and(|name| name.starts_with(".cargo-")) {
                cargos.push(entry);
            } else if entry.kind == EntryKind::Folder && Path::new(&entry.name).extension().is_none() {
                strange.push(entry);
            } else {
                uplifted.push(entry);
            }
        }
        if known == 0 && !strange.is_empty() {
            let names =
                strange.iter().map(|entry| entry.name.to_string_lossy()).collect::<Vec<_>>().join(", ");
            let why = format!("it holds {names}: a layout of cargo's that is not known here");
            self.unrecognised.push(NotRead { path: path.as_std_path().to_owned(), why });
        }
        let own = |holds, entries| Container {
            path: path.as_std_path().to_owned(),
            holds,
            profile: Some(profile),
            entries,
        };
        self.containers.push(own(Holds::Profile, uplifted));
        self.containers.push(own(Holds::All(ItemKind::Cargo), cargos));
        self.containers.push(own(Holds::All(ItemKind::Other), strange));
        true
    }

    fn all(&mut self, path: &Path, kind: ItemKind, entries: Vec<Entry>) {
        if !entries.is_empty() {
            self.containers.push(Container {
                path: path.to_owned(),
                holds: Holds::All(kind),
                profile: None,
                entries,
            });
        }
    }
}

fn container(name: &OsStr) -> Option<Holds> {
    Some(match name.to_str()? {
        ".fingerprint" => Holds::Fingerprints,
        "deps" => Holds::Deps,
        "build" => Holds::Build,
        "incremental" => Holds::Incremental,
        "examples" => Holds::Examples,
        _ => return None,
    })
}
