//! Which compiler a cargo call in a folder would use, told from files alone.
//!
//! Starting `rustc -vV` takes 20 to 60 ms; a few `stat` calls tell as well whether it is still the same.

use std::fs;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cargo_config::home;
use crate::{Environment, Hasher, stamp};

/// Adds everything to `hasher` that decides which toolchain rustup (or a plain install) picks in `dir`, and
/// whether that toolchain was updated since.
pub(crate) fn add_toolchain(hasher: &mut Hasher, dir: &Utf8Path, environment: &Environment) {
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTC", "CARGO_BUILD_RUSTC", "RUSTDOC"] {
        hasher.optional(environment.get(variable));
    }
    // rust-toolchain(.toml) here or in a parent; rustup takes the nearest.
    for folder in dir.ancestors() {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            if let Ok(text) = fs::read(folder.join(name)) {
                hasher.field(text);
            }
        }
    }
    for program in ["cargo", "rustc"] {
        if let Some(path) = on_path(program, environment) {
            hasher.optional(stamp(&path));
        }
    }
    let Some(rustup) = rustup_home(environment) else { return };
    // The default toolchain and the overrides per folder.
    hasher.optional(fs::read(rustup.join("settings.toml")).ok());
    let entries = rustup.join("toolchains").read_dir_utf8().into_iter().flatten().flatten();
    let mut toolchains = entries.map(|entry| entry.path().to_owned()).collect::<Vec<_>>();
    toolchains.sort();
    for toolchain in toolchains {
        hasher.field(toolchain.as_str());
        // rustup rewrites the manifest on every update; a linked toolchain has none, but a compiler.
        hasher.optional(stamp(&toolchain.join("lib/rustlib/multirust-channel-manifest.toml")));
        hasher.optional(stamp(&toolchain.join("bin/rustc")));
    }
}

fn rustup_home(environment: &Environment) -> Option<Utf8PathBuf> {
    let explicit = environment.get("RUSTUP_HOME").map(Utf8PathBuf::from);
    explicit.or_else(|| home(environment).map(|home| home.join(".rustup")))
}

/// The file that running `program` would start, if `PATH` has one.
pub fn on_path(program: &str, environment: &Environment) -> Option<Utf8PathBuf> {
    let folders = std::env::split_paths(environment.get("PATH")?);
    folders
        .filter_map(|folder| Utf8PathBuf::from_path_buf(folder).ok())
        .find_map(|folder| program_in(&folder, program))
}

/// The executable file `program` in `folder`, if there is one.
pub fn program_in(folder: &Utf8Path, program: &str) -> Option<Utf8PathBuf> {
    let path = folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    is_executable(path.as_std_path()).then_some(path)
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}
