//! What is stale of files whose names carry no unit id: final artifacts, and what compilers write for a path
//! package's `cdylib` or `dylib`. That such a file is cargo's at all is known from the dep-info beside it: build
//! scripts and people put files there too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use camino::Utf8PathBuf;
use xtask_units::inventory::{Item, ItemKind, Owner};

use super::{Decision, Question, Stale};

/// The profiles and names of crates.
pub(super) type Crates = HashSet<(usize, String)>;

/// What linkers write beside an artifact; no dep-info names these.
const BESIDE: [&str; 7] = [".dll.a", ".dll.lib", ".dll.exp", ".pdb", ".dwp", ".dwo", OBJECT];
/// How the objects are called that a compiler puts together at its end.
const OBJECT: &str = ".rcgu.o";

impl Question<'_> {
    /// The crates of units that stay though no command needs them: of a unit that stays everything does.
    pub(super) fn kept_crates(&self, decision: &Decision, is_live: &[bool]) -> Crates {
        let units = decision.units.iter().enumerate();
        let kept = units.filter(|(index, _)| !is_live[*index] && !decision.stale_units.contains_key(index));
        kept.map(|(_, unit)| {
            let noted = unit.fingerprint(self.inventory);
            (unit.profile, crate_name(noted.map_or(&unit.package, |noted| &noted.target)))
        })
        .collect()
    }

    /// Final artifacts share their file with a unit's output, mostly.
    pub(super) fn uplifted(&self, kept: &Crates, decision: &mut Decision) {
        let mut fate = HashMap::<u32, Option<usize>>::new();
        for (index, unit) in decision.units.iter().enumerate() {
            let reason = decision.stale_units.get(&index).copied();
            for &item in &unit.items {
                for &link in &self.inventory.items[item].size.links {
                    // One needed unit is enough to keep it.
                    let fate = fate.entry(link).or_insert(reason);
                    *fate = fate.and(reason);
                }
            }
        }
        let mut gone = HashMap::<PathBuf, usize>::new();
        let mut dep_infos = Vec::new();
        for (index, item) in self.of(&Owner::Uplifted) {
            let path = self.inventory.path(item);
            let is_live = self.is_live_file(item);
            if is_dep_info(item) {
                if !is_live {
                    dep_infos.push((index, path));
                }
                continue;
            }
            let reason = match item.size.links.first().and_then(|link| fate.get(link)) {
                // Of a needed name too: cargo links it to the needed unit at the next build, and compiles nothing.
                Some(fate) => fate.filter(|_| is_artifact(&path)),
                None if is_live || self.is_recent(item.modified_ms) || is_of(kept, item) => None,
                None if !is_artifact(&path) => None,
                None => Some(decision.reason("a final artifact that nothing makes any more")),
            };
            if let Some(reason) = reason {
                decision.stale.push(Stale { item: index, reason });
                if !is_live {
                    gone.insert(dep_info_of(&path), reason);
                }
            }
        }
        for (index, path) in dep_infos {
            let reason = gone.get(&path).copied();
            // What it describes may be gone already; a needed one is among the needed files.
            let orphan = || {
                let item = &self.inventory.items[index];
                let described = described(&path);
                !described.is_empty()
                    && !described.iter().any(|name| path.with_file_name(name).exists())
                    && !self.is_recent(item.modified_ms)
                    && !is_of(kept, item)
            };
            let reason =
                reason.or_else(|| orphan().then(|| decision.reason("describes an artifact that is gone")));
            decision.stale.extend(reason.map(|reason| Stale { item: index, reason }));
        }
    }

    /// Files of the compiler's that carry no unit id.
    pub(super) fn crates_without_id(&self, kept: &Crates, decision: &mut Decision) {
        let mut dep_infos = BTreeMap::<PathBuf, Vec<String>>::new();
        for (index, item) in self.of(&Owner::Crate) {
            if self.is_live_file(item) || self.is_recent(item.modified_ms) || is_of(kept, item) {
                continue;
            }
            let path = self.inventory.path(item);
            let dep_info = dep_info_of(&path);
            let outputs = dep_infos.entry(dep_info.clone()).or_insert_with(|| described(&dep_info));
            let is_named = item.name.to_str().is_some_and(|name| outputs.iter().any(|output| output == name));
            // What no dep-info names goes with it; debug info of needed units is looked at by itself.
            let goes_along = is_beside(item) && !outputs.is_empty() && !self.is_needed(&dep_info);
            if is_named || goes_along {
                let reason = decision.reason("no needed unit writes this file");
                decision.stale.push(Stale { item: index, reason });
            }
        }
    }

    /// `lib.<codegen unit>.rcgu.dwo` beside a needed `lib.d`.
    pub(super) fn is_part_of_live(&self, item: &Item) -> bool {
        (item.kind == ItemKind::Dwo || is_object(item))
            && self.is_needed(&dep_info_of(&self.inventory.path(item)))
    }

    pub(super) fn is_live_file(&self, item: &Item) -> bool {
        self.is_needed(&self.inventory.path(item))
    }

    fn is_needed(&self, path: &Path) -> bool {
        Utf8PathBuf::from_path_buf(path.to_owned()).is_ok_and(|path| self.live.files.contains(&path))
    }
}

/// Whether a file says which files a unit made.
fn is_dep_info(item: &Item) -> bool {
    Path::new(&item.name).extension().is_some_and(|extension| extension == "d")
}

/// Whether what says that a file without an id is cargo's has to outlive that file, for a sweep after a kill.
pub(crate) fn goes_last(item: &Item) -> bool {
    matches!(item.owner, Owner::Crate | Owner::Uplifted) && is_dep_info(item)
}

pub(super) fn is_object(item: &Item) -> bool {
    item.name.to_str().is_some_and(|name| name.ends_with(OBJECT))
}

fn is_beside(item: &Item) -> bool {
    item.name.to_str().is_some_and(|name| BESIDE.iter().any(|ending| name.ends_with(ending)))
}

fn is_of(kept: &Crates, item: &Item) -> bool {
    let (Some(profile), Some(name)) = (item.profile, item.name.to_str()) else { return false };
    let stem = name.split('.').next().unwrap_or(name);
    // A library `x` is `libx.so`, and a crate may be called `libx`.
    [Some(stem), stem.strip_prefix("lib")]
        .into_iter()
        .flatten()
        .any(|stem| kept.contains(&(profile, crate_name(stem))))
}

fn crate_name(target: &str) -> String {
    target.replace('-', "_")
}

/// Where the dep-info of an artifact lies: rustc's in `deps` is named by the crate, cargo's beside a final artifact
/// by the artifact, whose debug info is named by the crate (`my_app.pdb` of `my-app.exe`).
pub(super) fn dep_info_of(artifact: &Path) -> PathBuf {
    let name = artifact.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or(name);
    let crate_of_library = stem.strip_prefix("lib").filter(|rest| !rest.is_empty()).unwrap_or(stem);
    let stems = [stem, crate_of_library, &stem.replace('_', "-")]
        .map(|stem| artifact.with_file_name(format!("{stem}.d")));
    stems.iter().find(|path| path.exists()).unwrap_or(&stems[0]).clone()
}

/// Whether cargo's dep-info beside an artifact is one of that name. It names only one of the files that a library
/// is made as.
fn is_artifact(artifact: &Path) -> bool {
    let stem = |name: &str| name.split('.').next().map(crate_name);
    let own = artifact.file_name().and_then(|name| name.to_str()).and_then(stem);
    own.is_some() && described(&dep_info_of(artifact)).iter().any(|name| stem(name) == own)
}

/// The names of the files in its own folder that a dep-info file says how to make.
fn described(dep_info: &Path) -> Vec<String> {
    let Ok(text) = fs::read_to_string(dep_info) else { return Vec::new() };
    let folder = dep_info.parent().and_then(Path::file_name);
    let output = |line: &str| {
        let (path, _) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
        let path = PathBuf::from(path.replace("\\ ", " "));
        // By the names alone: the way there may have led through a link, or be relative to what cargo was told.
        let parent = path.parent().and_then(Path::file_name);
        let is_own = parent.is_none() || parent == folder;
        path.file_name().filter(|_| is_own)?.to_str().map(str::to_owned)
    };
    text.lines().filter_map(output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_files::{Durability, write_atomic};
    use xtask_testkit::TempDir;

    #[test]
    fn only_what_a_dep_info_names_is_cargos() {
        let dir = TempDir::new("unnamed");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            write_atomic(&path, text, Durability::Cache).unwrap();
            path.into_std_path_buf()
        };
        let named = write("deps/x.d", "/my\\ w/deps/x.d: a.rs\n\n/my\\ w/deps/libx.so: a.rs\n\na.rs:\n");
        assert_eq!(described(&named), ["x.d", "libx.so", "a.rs"]);
        assert_eq!(dep_info_of(&named.with_file_name("libx.so")), named);
        assert_eq!(dep_info_of(&named.with_file_name("x.dll.lib")), named);
        write("debug/libx.d", "/through/a/link/debug/libx.so: /w/src/lib.rs\n");
        let of = |name: &str| is_artifact(dir.path().join("debug").join(name).as_std_path());
        assert!(of("libx.so") && of("libx.rlib") && !of("libxy.so") && !of("backup"));
        write("debug/app.d", "app: src/main.rs\n");
        write("debug/my-app.d", "/w/debug/my-app.exe: src/main.rs\n");
        assert!(of("my-app.exe") && of("my_app.pdb") && !of("my_notes.pdb"));
        write("debug/notes.d", "/elsewhere/notes: it\n");
        assert!(of("app") && !of("notes"));
    }
}
