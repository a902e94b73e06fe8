//! What of the paths that a package's tests met is to be declared: what lies in the workspace and outside of the package.
//!
//! Invariant: whatever the result of a test could depend on there is declared, or named as what cannot be. A folder that was
//! listed counts with all that is below it, since a new file anywhere below changes it.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use glob::{MatchOptions, Pattern};
use serde::Serialize;
use xtask_workspace::config::{TestInputs, Verdicts};

use super::trace::Met;

/// From how many files on a folder is declared as a whole.
const MANY: usize = 9;

/// Where programs find the system and their tools, not what they are about.
const SYSTEM: [&str; 15] = [
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/dev", "/sys", "/run", "/nix",
    "/opt", "/tmp", "/var/tmp",
];

/// Folders of cargo's in a target dir. What tests get of them is part of the key of a pass already.
const OF_CARGO: [&str; 7] =
    ["deps", "build", "incremental", "tmp", "xtask-suite", "CACHEDIR.TAG", ".fingerprint"];

/// Where things are. All folders are real paths.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) root: Utf8PathBuf,
    /// The package's folder.
    pub(super) package: Utf8PathBuf,
    pub(super) target_dirs: Vec<Utf8PathBuf>,
    /// Cargo's and rustup's home, temporary folders, and those on `PATH`.
    pub(super) system: Vec<Utf8PathBuf>,
    /// Programs that cargo built for the tests: the tests themselves and the package's own.
    pub(super) given: BTreeSet<Utf8PathBuf>,
}

/// What the tests of a package read outside of its folder.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reads {
    /// Glob patterns relative to the workspace root.
    pub(super) files: BTreeSet<String>,
    /// Paths that no pattern can name.
    pub(super) elsewhere: BTreeSet<Utf8PathBuf>,
    /// How many paths of the system, and how many that were looked for elsewhere and are not there.
    pub(super) others: usize,
    /// Folders, relative to the root, that were only looked for.
    #[serde(skip)]
    folders: BTreeSet<Utf8PathBuf>,
}

impl Reads {
    /// Adds a path that a program met.
    pub(super) fn add(&mut self, path: &Utf8Path, met: &BTreeSet<Met>, places: &Places) {
        let (links, real) = resolved(path);
        for link in &links {
            self.add_real(link, &BTreeSet::from([Met::Found]), places);
        }
        self.add_real(&real, met, places);
    }

    fn add_real(&mut self, path: &Utf8Path, met: &BTreeSet<Met>, places: &Places) {
        let listed = met.contains(&Met::Listed);
        let of_target = places.target_dirs.iter().find_map(|dir| path.strip_prefix(dir).ok());
        if let Some(of_target) = of_target {
            let read = met.contains(&Met::Run) || met.contains(&Met::Read) && !is_of_cargo(of_target);
            if !read || places.given.contains(path) {
                return;
            }
        }
        // The folders around the package exist.
        let around = places.root.starts_with(path) || places.package.starts_with(path);
        if (around && !listed) || (of_target.is_none() && path.starts_with(&places.package)) {
            return;
        }
        let git = path.ancestors().find(|folder| folder.file_name() == Some(".git"));
        let Ok(relative) = path.strip_prefix(&places.root) else {
            let system =
                SYSTEM.iter().map(Utf8Path::new).chain(places.system.iter().map(Utf8PathBuf::as_path));
            if met.iter().all(|met| *met == Met::Missing)
                || system.into_iter().any(|dir| path.starts_with(dir))
            {
                self.others += 1;
            } else {
                self.elsewhere.insert(git.unwrap_or(path).to_owned());
            }
            return;
        };
        if let Some(git) = git {
            // Whether a folder is a repository is asked by many programs, and does not change.
            if git != path {
                self.elsewhere.insert(git.to_owned());
            }
        } else if listed {
            self.files.insert(below(relative));
        } else if path.is_dir() && !path.is_symlink() {
            self.folders.insert(relative.to_owned());
        } else {
            self.files.insert(Pattern::escape(relative.as_str()));
        }
    }

    /// Joins many files of a folder, and drops what is named twice.
    pub(super) fn finish(&mut self, places: &Places) {
        let mut folders = BTreeMap::<_, usize>::new();
        for file in self.files.iter().filter(|file| !file.ends_with("**")) {
            *folders
                .entry(Utf8Path::new(file).parent().unwrap_or(Utf8Path::new("")).to_owned())
                .or_default() += 1;
        }
        for (folder, _) in folders.into_iter().filter(|(_, files)| *files >= MANY) {
            // The workspace root and a target dir have too much else in them.
            let in_target = places.target_dirs.iter().any(|dir| places.root.join(&folder).starts_with(dir));
            if !folder.as_str().is_empty() && !in_target {
                self.files.insert(format!("{folder}/**"));
            }
        }
        for folder in std::mem::take(&mut self.folders) {
            // What was read below it is gone with it.
            if !self.files.iter().any(|file| Utf8Path::new(file).starts_with(&folder)) {
                self.files.insert(below(&folder));
            }
        }
        let all = self.files.clone();
        self.files.retain(|file| !all.iter().any(|other| other != file && covers(other, file)));
    }
}

/// What is missing in `xtask.toml` for a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Declaration {
    pub(super) package: String,
    /// Patterns to add to `files`.
    pub(super) files: Vec<String>,
    /// Whether `files` is to be made.
    pub(super) new: bool,
    /// Whether `network = true` is to be set.
    pub(super) network: bool,
}

impl Declaration {
    /// `None` if everything is declared.
    pub(super) fn of(
        package: &str,
        reads: &Reads,
        uses_network: bool,
        declared: Option<&TestInputs>,
        verdicts: &Verdicts,
    ) -> Option<Self> {
        let files = declared.and_then(|declared| declared.files.as_ref());
        let known = files.into_iter().flatten().chain(&verdicts.inputs).collect::<Vec<_>>();
        let is_new = |file: &&String| !known.iter().any(|known| covers(known, file));
        let declaration = Self {
            package: package.to_owned(),
            files: reads.files.iter().filter(is_new).cloned().collect(),
            new: files.is_none(),
            network: uses_network && !declared.is_some_and(|declared| declared.network),
        };
        (declaration.new || !declaration.files.is_empty() || declaration.network).then_some(declaration)
    }
}

/// The pattern of everything in a folder.
fn below(folder: &Utf8Path) -> String {
    let folder = Pattern::escape(folder.as_str());
    if folder.is_empty() { "**".to_owned() } else { format!("{folder}/**") }
}

/// Whether all that the pattern `other` names is certainly among what `pattern` names.
fn covers(pattern: &str, other: &str) -> bool {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let matches = || Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_with(other, options));
    pattern == other || (pattern.ends_with("**") || !other.ends_with("**")) && matches()
}

/// Whether it is a file in the target dir that only cargo and linkers are about.
fn is_of_cargo(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    path.components().any(|part| OF_CARGO.contains(&part.as_str()))
        || name.starts_with('.')
        || ["so", "dylib", "d", "rlib", "rmeta"].iter().any(|kind| path.extension() == Some(kind))
}

/// The links on the way to `path`, and where it leads.
fn resolved(path: &Utf8Path) -> (Vec<Utf8PathBuf>, Utf8PathBuf) {
    let (mut links, mut real) = (Vec::new(), Utf8PathBuf::new());
    // What is there differs from process to process.
    if path.starts_with("/proc") || path.starts_with("/dev") {
        return (links, path.to_owned());
    }
    for part in path.components() {
        match part.as_str() {
            ".." => drop(real.pop()),
            part => real.push(part),
        }
        if let Ok(target) = real.read_link_utf8() {
            links.push(real.clone());
            let target = real.parent().unwrap_or(Utf8Path::new("/")).join(target);
            real = target.canonicalize_utf8().unwrap_or(target);
        }
    }
    (links, real)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            root: "/w/repository".into(),
            package: "/w/repository/crates/app".into(),
            target_dirs: vec!["/w/repository/target".into(), "/w/builds".into()],
            system: vec!["/home/u/.cargo".into()],
            given: BTreeSet::from(["/w/repository/target/debug/app".into()]),
        }
    }

    /// What is read where these paths were met so; and what cannot be declared.
    fn reads(met: &[(&str, Met)]) -> (Vec<String>, Vec<String>, usize) {
        let (places, mut reads) = (places(), Reads::default());
        for (path, met) in met {
            reads.add(Utf8Path::new(path), &BTreeSet::from([*met]), &places);
        }
        reads.finish(&places);
        let elsewhere = reads.elsewhere.iter().map(ToString::to_string).collect();
        (reads.files.into_iter().collect(), elsewhere, reads.others)
    }

    #[test]
    fn each_place_has_its_rule() {
        // path, met, pattern, what cannot be declared
        let table = [
            ("/w/repository/crates/app/tests/data.txt", Met::Read, "", ""),
            ("/w/repository/crates/app/../side/x.rs", Met::Read, "crates/side/x.rs", ""),
            ("/w/repository/gone", Met::Missing, "gone", ""),
            ("/w/repository/we[i]rd*", Met::Read, "we[[]i[]]rd[*]", ""),
            ("/w/repository/data", Met::Listed, "data/**", ""),
            ("/w/repository", Met::Listed, "**", ""),
            ("/w/repository", Met::Found, "", ""),
            ("/w", Met::Found, "", ""),
            ("/w", Met::Listed, "", "/w"),
            ("/w/repository/.git/HEAD", Met::Read, "", "/w/repository/.git"),
            ("/w/repository/.git", Met::Found, "", ""),
            ("/w/repository/crates/.git", Met::Missing, "", ""),
            ("/w/repository/target/debug/server", Met::Run, "target/debug/server", ""),
            ("/w/repository/target/debug/server", Met::Found, "", ""),
            ("/w/repository/target/debug/app", Met::Run, "", ""),
            ("/w/repository/target/debug/deps/other-1", Met::Run, "target/debug/deps/other-1", ""),
            ("/w/repository/target/debug/deps/libx.so", Met::Read, "", ""),
            ("/w/repository/target/tmp/x", Met::Read, "", ""),
            ("/w/repository/target/debug/model.bin", Met::Read, "target/debug/model.bin", ""),
            ("/w/repository/target/gone", Met::Missing, "", ""),
            ("/w/builds/debug/server", Met::Run, "", "/w/builds/debug/server"),
            ("/w/sibling/x", Met::Read, "", "/w/sibling/x"),
            ("/data/x", Met::Read, "", "/data/x"),
            ("/home/u/.config/x", Met::Found, "", "/home/u/.config/x"),
        ];
        for (path, met, pattern, elsewhere) in table {
            let (files, cannot, system) = reads(&[(path, met)]);
            assert_eq!(
                (files.join(" "), cannot.join(" "), system),
                (pattern.into(), elsewhere.into(), 0),
                "{path} {met:?}"
            );
        }
        for path in ["/usr/bin/x", "/etc/passwd", "/proc/self/maps", "/home/u/.cargo/registry/x", "/tmp/x/y"]
        {
            assert_eq!(reads(&[(path, Met::Read)]), (vec![], vec![], 1), "{path}");
        }
        assert_eq!(reads(&[("/home/u/.config/x", Met::Missing)]), (vec![], vec![], 1));
    }

    #[test]
    fn many_files_become_their_folder() {
        let files = |folder: &str, count: usize| {
            (0..count).map(|number| format!("/w/repository/{folder}f{number}")).collect::<Vec<_>>()
        };
        // files in `data/`, at the root and in the target dir; patterns
        let table = [(8, 0, 0, 8), (9, 0, 0, 1), (0, 9, 0, 9), (0, 0, 9, 9)];
        for (data, root, target, expected) in table {
            let all = [files("data/", data), files("", root), files("target/debug/", target)].concat();
            let met = all.iter().map(|path| (path.as_str(), Met::Read)).collect::<Vec<_>>();
            assert_eq!(reads(&met).0.len(), expected, "{data} {root} {target}");
        }
        let listed = [
            ("/w/repository/data", Met::Listed),
            ("/w/repository/data/deep", Met::Listed),
            ("/w/repository/data/x", Met::Read),
        ];
        assert_eq!(reads(&listed).0, ["data/**"]);
    }

    #[test]
    fn only_what_is_not_declared_yet_is_missing() {
        let declare = |files: Option<&[&str]>, network, inputs: &[&str], read: &[&str], uses_network| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let declared = TestInputs { files: files.map(texts), network, ..TestInputs::default() };
            let verdicts = Verdicts { inputs: texts(inputs), ..Verdicts::default() };
            let reads = Reads { files: texts(read).into_iter().collect(), ..Reads::default() };
            let found = Declaration::of("app", &reads, uses_network, Some(&declared), &verdicts);
            found.map(|found| (found.files.join(" "), found.new, found.network))
        };
        let some = |files: &str, new, network| Some((files.to_owned(), new, network));
        assert_eq!(declare(None, false, &[], &[], false), some("", true, false));
        assert_eq!(declare(Some(&[]), false, &[], &[], false), None);
        assert_eq!(declare(Some(&["a/*"]), false, &["b/**"], &["a/x", "b/c/**", "b/y"], false), None);
        assert_eq!(
            declare(Some(&["a/*"]), false, &[], &["a/**", "a/b/x"], false),
            some("a/** a/b/x", false, false)
        );
        assert_eq!(declare(Some(&[]), false, &[], &[], true), some("", false, true));
        assert_eq!(declare(Some(&[]), true, &[], &[], true), None);
    }
}
