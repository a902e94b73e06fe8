//! What is stale of files whose names carry no unit id: final artifacts, and what compilers write for a path
//! package's `cdylib` or `dylib`. Build scripts and people put files there too, under names that begin like those of
//! artifacts: a file is cargo's only if its whole name is one that artifacts get, and the fingerprint of the unit it
//! is a link to, or the dep-info beside it, says so.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use camino::Utf8PathBuf;
use xtask_units::dep_info_outputs;
use xtask_units::inventory::{Item, ItemKind, OutputName, Owner};

use super::{Decision, Question, Stale};

/// The profiles and names of crates.
pub(super) type Crates = HashSet<(usize, String)>;

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
        // Of each file with several names why it goes, and the units and items it is an output of.
        let mut outputs = HashMap::<u32, (Option<usize>, Vec<(usize, usize)>)>::new();
        for (index, unit) in decision.units.iter().enumerate() {
            let reason = decision.stale_units.get(&index).copied();
            for &item in &unit.items {
                for &link in &self.inventory.items[item].size.links {
                    // One needed unit is enough to keep it.
                    let (fate, of) = outputs.entry(link).or_insert((reason, Vec::new()));
                    *fate = fate.and(reason);
                    of.push((index, item));
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
            let linked = item.size.links.first().filter(|_| !item.is_folder);
            let linked = linked.and_then(|link| outputs.get(link));
            let dep_info = dep_info_naming(&path, item);
            let is_noted = linked.is_some_and(|(_, of)| {
                of.iter().any(|&(unit, output)| {
                    let noted = decision.units[unit].fingerprint(self.inventory);
                    let made = output_name(&self.inventory.items[output]);
                    let names = output_name(item).zip(made).zip(noted);
                    names.is_some_and(|((own, made), noted)| own.is_uplifted_from(&made, &noted.target))
                })
            });
            let reason = match linked {
                _ if dep_info.is_none() && !is_noted => None,
                // Of a needed name too: cargo links it to the needed unit at the next build, and compiles nothing.
                Some((fate, _)) => *fate,
                None if is_live || self.is_recent(item.modified_ms) || is_of(kept, item) => None,
                None => Some(decision.reason("a final artifact that nothing makes any more")),
            };
            if let Some(reason) = reason {
                decision.stale.push(Stale { item: index, reason });
                if !is_live {
                    gone.extend(dep_info.map(|path| (path, reason)));
                }
            }
        }
        for (index, path) in dep_infos {
            let reason = gone.get(&path).copied();
            // What it describes may be gone already; a needed one is among the needed files.
            let orphan = || {
                let item = &self.inventory.items[index];
                let artifacts = artifacts(&path);
                !artifacts.is_empty()
                    && !artifacts.iter().any(|name| path.with_file_name(name).exists())
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
            let dep_info = dep_info_of(&self.inventory.path(item));
            let outputs = dep_infos.entry(dep_info.clone()).or_insert_with(|| dep_info_outputs(&dep_info));
            let names = |name: Option<&str>| name.is_some_and(|name| outputs.iter().any(|made| made == name));
            // rustc's dep-info names itself too.
            if !names(dep_info.file_name().and_then(|name| name.to_str())) {
                continue;
            }
            let is_named = names(item.name.to_str()) && !item.is_folder;
            // What no dep-info names goes with it; debug info of needed units is looked at by itself.
            let is_beside = |own: OutputName<'_>| {
                outputs.iter().filter_map(|made| OutputName::parse(made)).any(|made| own.is_beside(&made))
            };
            if is_named || (output_name(item).is_some_and(is_beside) && !self.is_needed(&dep_info)) {
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

/// Whether it says that other files are cargo's: it has to outlive them, for a sweep after a kill.
pub(crate) fn goes_last(item: &Item) -> bool {
    item.kind == ItemKind::Fingerprint || (item.owner != Owner::None && is_dep_info(item))
}

pub(super) fn is_object(item: &Item) -> bool {
    item.name.to_str().is_some_and(|name| name.ends_with(OBJECT))
}

/// The name of a file that an artifact may have, or of a folder.
fn output_name(item: &Item) -> Option<OutputName<'_>> {
    OutputName::parse(item.name.to_str()?).filter(|output| output.is_folder() == item.is_folder)
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

/// Where the dep-info of an artifact may lie: rustc's in `deps` is named by the crate, cargo's beside a final artifact
/// by the artifact, whose debug info is named by the crate (`my_app.pdb` of `my-app.exe`).
fn dep_infos_of(artifact: &Path) -> [PathBuf; 3] {
    let name = artifact.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or(name);
    let crate_of_library = stem.strip_prefix("lib").filter(|rest| !rest.is_empty()).unwrap_or(stem);
    [stem, crate_of_library, &stem.replace('_', "-")].map(|stem| artifact.with_file_name(format!("{stem}.d")))
}

/// Where the dep-info of an artifact lies.
pub(super) fn dep_info_of(artifact: &Path) -> PathBuf {
    let [first, second, third] = dep_infos_of(artifact);
    [second, third].into_iter().find(|path| !first.exists() && path.exists()).unwrap_or(first)
}

/// The dep-info of cargo's that says that `item` at `path` is an artifact, or is beside one.
fn dep_info_naming(path: &Path, item: &Item) -> Option<PathBuf> {
    let is_artifact = |made: &String| {
        let is_one = !item.is_folder && item.name.to_str() == Some(made);
        let is_with =
            |own: OutputName<'_>| OutputName::parse(made).is_some_and(|made| own.is_uplifted_with(&made));
        is_one || output_name(item).is_some_and(is_with)
    };
    dep_infos_of(path).into_iter().find(|dep_info| artifacts(dep_info).iter().any(is_artifact))
}

/// The final artifacts that a dep-info of cargo's describes: it is named by them.
fn artifacts(dep_info: &Path) -> Vec<String> {
    let mut outputs = dep_info_outputs(dep_info);
    outputs.retain(|output| Path::new(output).with_extension("d").file_name() == dep_info.file_name());
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_files::{Durability, write_atomic};
    use xtask_testkit::TempDir;

    #[test]
    fn the_dep_info_of_an_artifact_is_found_by_its_name() {
        let dir = TempDir::new("unnamed");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            write_atomic(&path, text, Durability::Cache).unwrap();
            path.into_std_path_buf()
        };
        let named = write("deps/x.d", "/w/deps/x.d: a.rs\n\n/w/deps/libx.so: a.rs\n\na.rs:\n");
        assert_eq!(dep_info_of(&named.with_file_name("libx.so")), named);
        assert_eq!(dep_info_of(&named.with_file_name("x.dll.lib")), named);
        let of_cargo = write("debug/my-app.d", "/w/debug/my-app.exe: src/main.rs\n");
        assert_eq!(artifacts(&of_cargo), ["my-app.exe"]);
        assert_eq!(dep_info_of(&of_cargo.with_file_name("my_app.pdb")), of_cargo);
        assert!(artifacts(&write("debug/notes.d", "/w/debug/others: a.rs\n")).is_empty());
    }
}
