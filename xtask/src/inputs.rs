//! What cargo has just built a program from: read from cargo's messages and rustc's dep-info, never from the sources.
//!
//! Invariant: in any doubt there are no inputs, and only cargo can tell whether the program is current.

use std::collections::BTreeSet;
use std::convert::TryFrom;
use std::env::consts::{DLL_PREFIX, EXE_EXTENSION, EXE_SUFFIX};
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::place::Place;

/// The files that go into a program, without packages that never change in place: those of registries and of git.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Sources, files that they include, and the manifests of their packages.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Whether the program is for this checkout only: a path is compiled in (`env!("CARGO_MANIFEST_DIR")`), or a source was
    /// replaced by one with an older time, which cargo takes for the one that it has compiled.
    pub(crate) only_here: bool,
}

impl Inputs {
    /// Reads `messages`, which cargo printed as `--message-format json-render-diagnostics`. `None` where a build script of a
    /// changeable package ran, or a variable of the environment went in: no dep-info says what the first depends on, and
    /// configuration can set the second.
    pub(crate) fn read(messages: &str, place: &Place) -> Option<Self> {
        let mut inputs = Self::default();
        // Where dep-info lies, and the crates whose own file name does not say which: programs.
        let (mut folders, mut programs) = (BTreeSet::new(), Vec::new());
        for message in messages.lines() {
            let can_change =
                strings(message, "package_id")?.first().is_some_and(|id| id.starts_with("path+"));
            match strings(message, "reason")?.first().map(String::as_str) {
                Some("build-script-executed") if can_change => return None,
                Some("compiler-artifact") => {}
                _ => continue,
            }
            if can_change {
                inputs.files.extend(strings(message, "manifest_path")?.into_iter().map(PathBuf::from));
            }
            let files = strings(message, "filenames")?.into_iter().map(PathBuf::from).collect::<Vec<_>>();
            let kind = strings(message, "kind")?;
            if kind == ["bin"] {
                let [name, source] = ["name", "src_path"].map(|key| strings(message, key)?.pop());
                programs.push((name?.replace('-', "_"), PathBuf::from(source?), files.first()?.clone()));
            } else if kind != ["custom-build"] {
                let dep_infos =
                    files.iter().filter_map(|file| dep_info_beside(file)).collect::<BTreeSet<_>>();
                if dep_infos.is_empty() {
                    return None;
                }
                for dep_info in dep_infos {
                    inputs.add(&dep_info, place, can_change)?;
                    folders.extend(dep_info.parent().map(Path::to_owned));
                }
            }
        }
        // Cargo said nothing of what it was asked for.
        if programs.is_empty() {
            return None;
        }
        for (name, source, program) in programs {
            let mut dep_infos = folders.iter().flat_map(|folder| dep_infos_of_program(folder, &name));
            inputs.add(&dep_infos.find(|path| is_copy(path, &program))?, place, true)?;
            // Another checkout that builds into the same folder may have put its own there meanwhile.
            if !inputs.files.contains(&source) {
                return None;
            }
        }
        Some(inputs)
    }

    /// Adds what rustc says about one crate.
    fn add(&mut self, dep_info: &Path, place: &Place, can_change: bool) -> Option<()> {
        let text = fs::read_to_string(dep_info).ok()?;
        let compiled = fs::metadata(dep_info).and_then(|found| found.modified()).ok()?;
        for name in variables(&text) {
            match name {
                "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_TARGET_TMPDIR" | "OUT_DIR" => {
                    self.only_here |= can_change;
                }
                // From the manifest.
                "CARGO_CRATE_NAME" | "CARGO_BIN_NAME" | "CARGO_PRIMARY_PACKAGE" => {}
                name if name.starts_with("CARGO_PKG_") => {}
                _ => return None,
            }
        }
        if can_change {
            for path in dep_info_paths(&text) {
                // Relative ones are those of members, for which cargo starts rustc in the workspace's folder.
                let path = normalized(&place.workspace.join(path));
                let found = fs::metadata(&path).ok().filter(Metadata::is_file)?;
                self.only_here |= changed(&found).map_or(true, |changed| changed > compiled);
                self.files.insert(path);
            }
        }
        Some(())
    }
}

/// The strings of the JSON value of `key`, which is one or an array of them: none where the message has no such key. `None`
/// where one has an escape other than that of a backslash.
fn strings(message: &str, key: &str) -> Option<Vec<String>> {
    let array = message.split_once(&format!("\"{key}\":["));
    let is_array = array.is_some();
    let mut rest =
        array.or_else(|| message.split_once(&format!("\"{key}\":"))).map_or("", |(_, value)| value);
    let mut strings = Vec::new();
    while let Some((string, after)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        let string = string.replace(r"\\", "\0");
        if string.contains('\\') {
            return None;
        }
        strings.push(string.replace('\0', r"\"));
        rest = after.strip_prefix(',').filter(|_| is_array).unwrap_or_default();
    }
    Some(strings)
}

/// `deps/libname-HASH.rlib` -> `deps/name-HASH.d`, if there is one.
fn dep_info_beside(library: &Path) -> Option<PathBuf> {
    let stem = library.file_stem()?.to_str()?;
    let names = [stem.strip_prefix("lib"), stem.strip_prefix(DLL_PREFIX), Some(stem)];
    names.iter().flatten().map(|name| library.with_file_name(format!("{name}.d"))).find(|path| path.is_file())
}

/// The dep-info of programs called `name`, of each way in which it was built. `folder` is that of another crate's dep-info:
/// `deps`, or in cargo's newer layout `build/PACKAGE/HASH/out`.
fn dep_infos_of_program(folder: &Path, name: &str) -> Vec<PathBuf> {
    let children =
        |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = match folder.ancestors().nth(3) {
        Some(build) if folder.ends_with("out") => {
            children(build.to_owned()).flat_map(children).map(|unit| unit.join("out")).collect()
        }
        _ => vec![folder.to_owned()],
    };
    let is_its_own = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str());
        let rest = file.and_then(|file| file.strip_prefix(name)?.strip_suffix(".d"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    folders.into_iter().flat_map(children).filter(is_its_own).collect()
}

/// When a file was last changed in any way; programs can set the time of modification, but not this one.
#[cfg(unix)]
fn changed(found: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let since = Duration::new(u64::try_from(found.ctime()).ok()?, u32::try_from(found.ctime_nsec()).ok()?);
    Some(UNIX_EPOCH + since)
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn changed(found: &Metadata) -> Option<SystemTime> {
    found.modified().ok()
}

/// Whether what this dep-info is about is what cargo has put at `program`, by a link or a copy.
fn is_copy(dep_info: &Path, program: &Path) -> bool {
    let built = if EXE_SUFFIX.is_empty() {
        dep_info.with_extension("")
    } else {
        dep_info.with_extension(EXE_EXTENSION)
    };
    let (Ok(one), Ok(other)) = (fs::metadata(&built), fs::metadata(program)) else { return false };
    // Usually a link: 30 MB need not be read.
    is_same(&one, &other) || one.len() == other.len() && fs::read(built).ok() == fs::read(program).ok()
}

/// Without `..`, as cargo reads these paths: `src/../text`, for `include_str!("../text")`, is `text`.
fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            normalized.pop();
        } else {
            normalized.push(component);
        }
    }
    normalized
}

/// The paths that a dep-info file lists: the first line in Make's format, spaces as `\ `.
pub(crate) fn dep_info_paths(text: &str) -> Vec<String> {
    // A colon in a path (`C:\`) has no plain space after it.
    let Some((_, listed)) = text.lines().next().unwrap_or_default().split_once(": ") else {
        return Vec::new();
    };
    let paths = listed.replace("\\ ", "\0");
    paths.split(' ').filter(|path| !path.is_empty()).map(|path| path.replace('\0', " ")).collect()
}

/// The names of the variables that a crate takes at compile time, set or not. Rustc names those of `env!` and
/// `option_env!` after macros are expanded, and those that procedural macros track.
fn variables(dep_info: &str) -> impl Iterator<Item = &str> {
    let names = dep_info.lines().filter_map(|line| line.strip_prefix("# env-dep:"));
    names.map(|variable| variable.split('=').next().unwrap_or_default())
}
