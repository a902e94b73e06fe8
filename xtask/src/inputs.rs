//! What the suite's binary depends on: read once after a build, from cargo's own dep-info.
//!
//! Invariant: every file whose change or appearance makes cargo build again is listed, or there is no stamp.
//! Packages from a registry never change in place and stand in `Cargo.lock`; cargo leaves them out too.

use std::collections::BTreeSet;
use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::place::Place;
use crate::stamp::{Moment, Stamp, State};

/// The sources of the binary that cargo has just built, as its dep-info says; `None` where that cannot be read.
pub(crate) fn sources(place: &Place) -> Option<Vec<PathBuf>> {
    let text = fs::read_to_string(place.dep_info()).ok()?;
    Some(dep_info_paths(&text).into_iter().map(|path| place.workspace.join(path)).collect())
}

/// The stamp for the binary that was made of `sources`, in a build begun at `start`. `None` where only cargo can tell
/// whether the binary is current: an input was touched since, cannot be read, or is not knowable from outside.
pub(crate) fn stamp(
    place: &Place,
    environment: &Environment,
    conditions: String,
    start: Moment,
    sources: &[PathBuf],
) -> Option<Stamp> {
    let mut paths = configuration(place, &environment.cargo_home()?).into_iter().collect::<BTreeSet<_>>();
    let mut packages = BTreeSet::new();
    for source in sources {
        if reads_environment(&String::from_utf8_lossy(&fs::read(source).ok()?)) {
            return None;
        }
        let mut manifests =
            source.ancestors().skip(1).map(|dir| dir.join("Cargo.toml")).filter(|path| path.exists());
        packages.extend(manifests.next());
        // Not only the nearest: profiles stand in its workspace's, and it inherits from there.
        paths.extend(manifests);
        paths.insert(source.clone());
    }
    for manifest in packages {
        if has_build_script(&manifest) {
            return None;
        }
        let text = fs::read_to_string(&manifest).ok()?;
        if let Some(dir) = workspace_named_in(&text) {
            paths.insert(manifest.with_file_name(dir).join("Cargo.toml"));
        }
        paths.extend([manifest.with_file_name("build.rs"), manifest]);
    }
    paths.insert(place.workspace.join("Cargo.lock"));
    paths.extend(compiler(environment));

    let mut files = Vec::new();
    for path in paths {
        let state = State::of(&path).filter(|state| start.is_after(*state))?;
        files.push((path, state));
    }
    // The binary itself is younger than the build's start.
    let binary = State::of(&place.binary).filter(|state| *state != State::Absent)?;
    files.push((place.binary.clone(), binary));
    Some(Stamp { conditions, files })
}

/// The paths after the colon of a dep-info file of cargo's: one line in Make's format, spaces as `\ `.
pub(crate) fn dep_info_paths(text: &str) -> Vec<String> {
    // A colon in a path (`C:\`) has no plain space behind it.
    let Some((_, listed)) = text.lines().next().unwrap_or_default().split_once(": ") else {
        return Vec::new();
    };
    let mut paths = vec![String::new()];
    let mut rest = listed.chars().peekable();
    while let Some(next) = rest.next() {
        match (next, paths.last_mut()) {
            ('\\', Some(path)) if rest.peek() == Some(&' ') => path.extend(rest.next()),
            (' ', _) => paths.push(String::new()),
            (_, Some(path)) => path.push(next),
            (_, None) => {}
        }
    }
    paths.retain(|path| !path.is_empty());
    paths
}

/// Whether a source takes a variable of ours at compile time. Cargo watches those, its dep-info does not name
/// them. The `CARGO_` ones come from the manifest, which is listed.
pub(crate) fn reads_environment(source: &str) -> bool {
    source.split("env!(").skip(1).any(|rest| {
        let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
        name.is_some_and(|(name, _)| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            !name.is_empty() && name.chars().all(is_name) && !name.starts_with("CARGO_")
        })
    })
}

/// Whether the package of `manifest` has a build script: it may depend on any file of its package, and on
/// variables, and no dep-info names those.
fn has_build_script(manifest: &Path) -> bool {
    let names_one = |line: &str| {
        let value =
            line.trim_start().strip_prefix("build").and_then(|rest| rest.trim_start().strip_prefix('='));
        value.is_some_and(|value| value.trim_start().starts_with(['"', '\'', '[']))
    };
    manifest.with_file_name("build.rs").exists()
        || fs::read_to_string(manifest).is_ok_and(|text| text.lines().any(names_one))
}

/// The folder of the workspace that a package's manifest names, as one must that lies in no folder below it: what
/// the package inherits, and its profiles, stand there.
pub(crate) fn workspace_named_in(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| {
        let key = line.trim_start().trim_start_matches("package.");
        let value = key.strip_prefix("workspace")?.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|first| ['"', '\''].contains(first))?;
        value.split(quote).nth(1)
    })
}

/// Where cargo and rustup look for settings, whether there is a file or not, and what those files include. What is
/// nearer comes first, and all of it in the same order in every checkout.
pub(crate) fn configuration(place: &Place, cargo_home: &Path) -> Vec<PathBuf> {
    let folders = place.workspace.ancestors().map(|dir| dir.join(".cargo"));
    let folders = folders.chain([cargo_home.to_owned()]);
    let mut paths: Vec<_> =
        folders.flat_map(|dir| ["config.toml", "config"].map(|name| dir.join(name))).collect();
    let mut read = 0;
    while let Some(config) = paths.get(read).cloned() {
        read += 1;
        // Every quoted word that ends in `.toml`, as an included file's name must: one too many costs nothing.
        for word in fs::read_to_string(&config).unwrap_or_default().split(['"', '\'']) {
            let included = config.with_file_name(word);
            if included.extension().is_some_and(|end| end == "toml") && !paths.contains(&included) {
                paths.push(included);
            }
        }
    }
    let toolchains = place.workspace.ancestors();
    paths.extend(
        toolchains.flat_map(|dir| ["rust-toolchain.toml", "rust-toolchain"].map(|name| dir.join(name))),
    );
    paths
}

/// The files that tell one compiler from another: cargo, and rustc beside it or where `RUSTC` says.
fn compiler(environment: &Environment) -> Vec<PathBuf> {
    let cargo = PathBuf::from(environment.cargo());
    let beside = cargo.with_file_name(format!("rustc{EXE_SUFFIX}"));
    let named = environment.get("RUSTC").map(PathBuf::from);
    let mut paths = vec![cargo, beside];
    paths.extend(named);
    paths.retain(|path| path.is_absolute());
    paths
}
