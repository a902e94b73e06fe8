//! What is stale of files that do not belong to one unit by their names: final artifacts, what compilers write for a
//! path package's `cdylib` or `dylib`, debug info and objects beside an artifact, and what cargo's other commands made.
//!
//! Build scripts and people put files there too, under names that begin like those of artifacts. A file is cargo's only
//! if its whole name is one that artifacts get, and the fingerprint of the unit it is a link to, or the dep-info beside
//! it, says so.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use camino::Utf8PathBuf;
use memchr::memmem;
use xtask_units::dep_info_outputs;
use xtask_units::inventory::{Item, ItemKind, OutputName, Owner};

use super::{Decision, Question, Stale};

/// The profiles and names of crates.
pub(super) type Crates = HashSet<(usize, String)>;

/// Why the leftovers of a killed compiler go.
const KILLED: &str = "left by a compiler that was killed";
const DOCS: &str = "documentation that no tier makes";

/// The files of one unit, or of one crate without an id, in a profile.
struct Pile {
    profile: usize,
    dwo: Vec<usize>,
    objects: Vec<usize>,
    artifacts: Vec<PathBuf>,
}

impl Question<'_> {
    /// The crates of units that stay although no command needs them: everything of such a unit stays.
    pub(super) fn kept_crates(&self, decision: &Decision, is_live: &[bool]) -> Crates {
        let units = decision.units.iter().enumerate();
        let kept = units.filter(|(index, _)| !is_live[*index] && !decision.stale_units.contains_key(index));
        kept.map(|(_, unit)| {
            let noted = unit.fingerprint(self.inventory);
            (unit.profile, crate_name(noted.map_or(&unit.package, |noted| &noted.target)))
        })
        .collect()
    }

    /// Final artifacts, which are mostly links to a unit's output.
    pub(super) fn uplifted(&self, kept: &Crates, decision: &mut Decision) {
        // For each file with several names: why it goes, and which units and items it is an output of.
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
                // Also under a needed name: the next build links it to the needed unit and compiles nothing.
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
            // What it describes may be gone already; a needed one is among the needed files.
            let orphan = || {
                let item = &self.inventory.items[index];
                let artifacts = artifacts(&path);
                !artifacts.is_empty()
                    && !artifacts.iter().any(|name| path.with_file_name(name).exists())
                    && !self.is_recent(item.modified_ms)
                    && !is_of(kept, item)
            };
            let why = "describes an artifact that is gone";
            let reason = gone.get(&path).copied().or_else(|| orphan().then(|| decision.reason(why)));
            decision.stale.extend(reason.map(|reason| Stale { item: index, reason }));
        }
    }

    /// Files of compilers without a unit id in their names.
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
            // What no dep-info names goes with it; `parts` handles the debug info of needed units.
            let is_beside = |own: OutputName<'_>| {
                outputs.iter().filter_map(|made| OutputName::parse(made)).any(|made| own.is_beside(&made))
            };
            if is_named || (output_name(item).is_some_and(is_beside) && !self.is_needed(&dep_info)) {
                decision.remove([index], "no needed unit writes this file");
            }
        }
    }

    /// Debug info and objects of kept units that their artifact does not name: recompiling a unit leaves old ones, and
    /// a killed compiler leaves objects.
    pub(super) fn parts(&self, decision: &mut Decision) {
        let units = decision.units.iter().enumerate();
        let kept = units.filter(|(index, _)| !decision.stale_units.contains_key(index));
        let kept = kept.filter(|(_, unit)| !self.protected[unit.profile]);
        let of_units = kept.filter_map(|(_, unit)| self.pile(unit.profile, &unit.items));
        let mut crates = BTreeMap::<(usize, PathBuf), Vec<usize>>::new();
        for (index, item) in
            self.of(&Owner::Crate).filter(|(_, item)| self.is_live_file(item) || self.is_part_of_live(item))
        {
            let dep_info = dep_info_of(&self.inventory.path(item));
            crates.entry((item.profile.unwrap_or_default(), dep_info)).or_default().push(index);
        }
        let of_crates = crates.iter().filter_map(|((profile, _), items)| self.pile(*profile, items));
        for pile in of_units.chain(of_crates).collect::<Vec<_>>() {
            let Ok(named) = parts_named_in(&pile.artifacts) else { continue };
            let is_named = |item: &usize| named.contains(self.inventory.items[*item].name.as_encoded_bytes());
            // A program that names none of them may have its debug info compressed; libraries never have.
            let is_library = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rlib");
            if pile.dwo.iter().any(is_named) || pile.artifacts.iter().any(is_library) {
                let unnamed = pile.dwo.into_iter().filter(|item| !is_named(item));
                decision.remove(unnamed, "debug info that its artifact does not name");
            }
            // For Apple's targets a program's debug info stays in the objects.
            let triple = self.inventory.profiles[pile.profile].triple.as_deref();
            if !triple.map_or(cfg!(target_vendor = "apple"), |triple| triple.contains("apple")) {
                decision.remove(pile.objects.into_iter().filter(|item| !is_named(item)), KILLED);
            }
        }
    }

    /// What is beside the artifacts of one unit or crate, if anything is.
    fn pile(&self, profile: usize, items: &[usize]) -> Option<Pile> {
        let mut pile = Pile { profile, dwo: Vec::new(), objects: Vec::new(), artifacts: Vec::new() };
        for index in self.removable(items) {
            let item = &self.inventory.items[index];
            let extension = Path::new(&item.name).extension();
            match item.kind {
                ItemKind::Dwo => pile.dwo.push(index),
                ItemKind::Deps if is_object(item) => pile.objects.push(index),
                ItemKind::Deps
                    if !item.is_folder && extension.is_none_or(|it| it != "d" && it != "rmeta") =>
                {
                    pile.artifacts.push(self.inventory.path(item));
                }
                _ => {}
            }
        }
        (!pile.dwo.is_empty() || !pile.objects.is_empty()).then_some(pile)
    }

    /// What belongs to no unit: leftovers of killed compilers, and what cargo's other commands made.
    pub(super) fn others(&self, decision: &mut Decision) {
        let docs = self.inventory.items.iter().filter(|item| item.kind == ItemKind::Doc);
        let needs_docs = docs.clone().any(|item| self.is_live_file(item));
        let newest_doc = docs.map(|item| item.modified_ms).max().unwrap_or(0);
        for (index, item) in self.inventory.items.iter().enumerate() {
            let old = |age: Option<Duration>| !self.is_younger(item.modified_ms, age);
            let why = match item.kind {
                _ if item.left_alone => None,
                ItemKind::Temporary => {
                    item.profile.is_some_and(|profile| !self.protected[profile]).then_some(KILLED)
                }
                _ if self.busy => None,
                ItemKind::Package => old(self.policy.package).then_some("packaged long ago"),
                ItemKind::Timings => old(self.policy.timings).then_some("timings of long ago"),
                ItemKind::Doc if self.live.documentation_unknown || item.name == ".lock" => None,
                ItemKind::Doc if !needs_docs => {
                    (!self.is_younger(newest_doc, self.policy.doc)).then_some(DOCS)
                }
                ItemKind::Doc if self.is_live_file(item) || !old(self.policy.doc) => None,
                ItemKind::Doc => {
                    (item.is_folder && self.inventory.path(item).join("index.html").is_file()).then_some(DOCS)
                }
                _ => None,
            };
            let holds_more = |item: &Item| item.is_folder && !is_of_rustdoc(&self.inventory.path(item), 0);
            let why = why.filter(|_| item.kind != ItemKind::Doc || !holds_more(item));
            if let Some(why) = why {
                decision.remove([index], why);
            }
        }
    }

    /// `lib.<codegen unit>.rcgu.dwo` beside a needed `lib.d`.
    fn is_part_of_live(&self, item: &Item) -> bool {
        (item.kind == ItemKind::Dwo || is_object(item))
            && self.is_needed(&dep_info_of(&self.inventory.path(item)))
    }

    fn is_live_file(&self, item: &Item) -> bool {
        self.is_needed(&self.inventory.path(item))
    }

    fn is_needed(&self, path: &Path) -> bool {
        Utf8PathBuf::from_path_buf(path.to_owned()).is_ok_and(|path| self.live.files.contains(&path))
    }
}

/// Whether a folder holds only files with endings that rustdoc's have.
fn is_of_rustdoc(folder: &Path, depth: usize) -> bool {
    const ENDINGS: [&str; 12] =
        ["html", "js", "css", "svg", "png", "woff2", "woff", "json", "lock", "ico", "map", "desc"];
    // Its fonts come with their licences.
    let is_licence = |name: &str| name.contains("LICENSE-") || name.starts_with("COPYRIGHT-");
    let Ok(entries) = fs::read_dir(folder) else { return false };
    depth < 64
        && entries.flatten().all(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => is_of_rustdoc(&entry.path(), depth + 1),
            Ok(kind) if kind.is_file() => {
                let (path, name) = (entry.path(), entry.file_name());
                let ending = path.extension().and_then(|ending| ending.to_str());
                ending.is_some_and(|ending| ENDINGS.contains(&ending))
                    || name.to_str().is_some_and(is_licence)
            }
            _ => false,
        })
}

/// Whether a file says which files a unit made.
fn is_dep_info(item: &Item) -> bool {
    Path::new(&item.name).extension().is_some_and(|extension| extension == "d")
}

/// Whether it proves that other files are cargo's: it has to outlive them, for a sweep after a kill.
pub(crate) fn goes_last(item: &Item) -> bool {
    item.kind == ItemKind::Fingerprint || (item.owner != Owner::None && is_dep_info(item))
}

/// Whether it is an object that a compiler links at its end.
fn is_object(item: &Item) -> bool {
    item.name.to_str().is_some_and(|name| name.ends_with(".rcgu.o"))
}

/// The name of a file that an artifact may have, or of a folder.
fn output_name(item: &Item) -> Option<OutputName<'_>> {
    OutputName::parse(item.name.to_str()?).filter(|output| output.is_folder() == item.is_folder)
}

fn is_of(kept: &Crates, item: &Item) -> bool {
    let (Some(profile), Some(name)) = (item.profile, item.name.to_str()) else { return false };
    let stem = name.split('.').next().unwrap_or(name);
    // A library `x` is `libx.so`, and a crate may be called `libx`.
    let is_kept = |stem: &str| kept.contains(&(profile, crate_name(stem)));
    is_kept(stem) || stem.strip_prefix("lib").is_some_and(is_kept)
}

fn crate_name(target: &str) -> String {
    target.replace('-', "_")
}

/// Where the dep-info of an artifact may be: rustc's in `deps` is named by the crate, cargo's beside a final artifact
/// by the artifact, whose debug info is named by the crate (`my_app.pdb` of `my-app.exe`).
fn dep_infos_of(artifact: &Path) -> [PathBuf; 3] {
    let name = artifact.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or(name);
    let crate_of_library = stem.strip_prefix("lib").filter(|rest| !rest.is_empty()).unwrap_or(stem);
    [stem, crate_of_library, &stem.replace('_', "-")].map(|stem| artifact.with_file_name(format!("{stem}.d")))
}

/// Where the dep-info of an artifact is.
fn dep_info_of(artifact: &Path) -> PathBuf {
    let [first, second, third] = dep_infos_of(artifact);
    [second, third].into_iter().find(|path| !first.exists() && path.exists()).unwrap_or(first)
}

/// The dep-info of cargo's that says that `item` at `path` is an artifact, or is beside one.
fn dep_info_naming(path: &Path, item: &Item) -> Option<PathBuf> {
    let is_artifact = |made: &String| {
        let is_one = !item.is_folder && item.name.to_str() == Some(made);
        let is_with =
            |own: OutputName<'_>| OutputName::parse(made).is_some_and(|made| own.is_uplifted_with(&made));
        // Cargo links what it does not name; a file with one name may be somebody's own.
        is_one || (!item.size.links.is_empty() && output_name(item).is_some_and(is_with))
    };
    dep_infos_of(path).into_iter().find(|dep_info| artifacts(dep_info).iter().any(is_artifact))
}

/// The final artifacts that a dep-info of cargo's describes: it is named by them.
fn artifacts(dep_info: &Path) -> Vec<String> {
    let mut outputs = dep_info_outputs(dep_info);
    outputs.retain(|output| Path::new(output).with_extension("d").file_name() == dep_info.file_name());
    outputs
}

/// The names, without folders, of the `.dwo` and `.o` files that `artifacts` name (as `DW_AT_GNU_dwo_name`, or as members
/// of an archive). Fails where an artifact cannot be read or is not a file.
fn parts_named_in(artifacts: &[PathBuf]) -> io::Result<HashSet<Vec<u8>>> {
    let mut names = HashSet::new();
    for artifact in artifacts {
        // Opening a pipe would wait for its other end.
        if !fs::symlink_metadata(artifact)?.is_file() {
            return Err(io::Error::other("not a file"));
        }
        let bytes = fs::read(artifact)?;
        for at in memmem::find_iter(&bytes, b".rcgu.") {
            let ending = at + b".rcgu.".len();
            let known = ["dwo", "o"].iter().find(|known| bytes[ending..].starts_with(known.as_bytes()));
            let Some(known) = known else { continue };
            // In an archive a name follows the padding of the file before it, or another name and a newline.
            let is_before = |byte: &u8| matches!(byte, 0 | b'/' | b'\\' | b'\n');
            let start = bytes[..at].iter().rposition(is_before).map_or(0, |before| before + 1);
            names.insert(bytes[start..ending + known.len()].to_vec());
        }
    }
    Ok(names)
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

    #[test]
    fn names_of_parts_are_found_wherever_they_are() {
        let dir = TempDir::new("parts");
        let mut bytes = vec![0; 1000];
        bytes.extend(b"/t/debug/deps/app-1.path.rcgu.dwo\0");
        bytes.extend(b"app-1.bare.rcgu.dwo\0.debug_info.dwo\0");
        bytes.extend(b"!<arch>\n//  60 `\nx-1.member.rcgu.o/\nx-1.other.rcgu.o/\n");
        let path = dir.path().join("artifact");
        write_atomic(&path, bytes, Durability::Cache).unwrap();
        let names = parts_named_in(&[path.into_std_path_buf()]).unwrap();
        let mut names = names.iter().map(|name| std::str::from_utf8(name).unwrap()).collect::<Vec<_>>();
        names.sort_unstable();
        assert_eq!(
            names,
            ["app-1.bare.rcgu.dwo", "app-1.path.rcgu.dwo", "x-1.member.rcgu.o", "x-1.other.rcgu.o"]
        );
        assert!(parts_named_in(&[dir.path().into()]).is_err());
    }
}
