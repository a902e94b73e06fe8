//! The environment variables: which of them a build depends on, and which `cargo run` added for the launcher.
//!
//! Invariant: a variable that cargo or rustc reads and that can change the program is part of [`Environment::flags`].
//! What only build scripts of registry packages read (`CC`, `PKG_CONFIG_PATH`) is not.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::place::Place;

/// All variables, in the order of their names.
#[derive(Debug)]
pub(crate) struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// This process's own.
    pub(crate) fn current() -> Self {
        Self::of(env::vars_os().collect())
    }

    /// These variables, in any order.
    pub(crate) fn of(mut variables: Vec<(OsString, OsString)>) -> Self {
        variables.sort();
        Self(variables)
    }

    /// The value of `name`; cargo takes an empty one as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// The cargo to call: the one that started us, which a `+toolchain` may have chosen.
    pub(crate) fn cargo(&self) -> &OsStr {
        self.get("CARGO").unwrap_or(OsStr::new("cargo"))
    }

    /// Where cargo keeps the user's own configuration. `None` where only the system's list of users could tell:
    /// `env::home_dir` asks it, but compilers before 1.87 call that deprecated.
    pub(crate) fn cargo_home(&self) -> Option<PathBuf> {
        let home = || self.get(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        self.get("CARGO_HOME").map(PathBuf::from).or_else(|| Some(Path::new(home()?).join(".cargo")))
    }

    /// Everything a build here depends on that is not a file. Values are escaped: each is on one line.
    pub(crate) fn conditions(&self, place: &Place) -> String {
        let [rustc, toolchain] = ["RUSTC", "RUSTUP_TOOLCHAIN"].map(|name| self.get(name));
        let here = (&place.workspace, self.cargo(), self.cargo_home(), rustc, toolchain);
        format!("{}workspace and compiler={here:?}\n", self.flags())
    }

    /// The variables that change what a build makes, wherever it is made and with whichever compiler.
    pub(crate) fn flags(&self) -> String {
        let mut text = String::new();
        for variable in self.0.iter().filter(|(name, _)| name.to_str().is_some_and(is_flag)) {
            let _ = writeln!(text, "{variable:?}");
        }
        text
    }

    /// The variables that `cargo run` set for the launcher; with them in place build scripts would rerun.
    pub(crate) fn added_by_cargo_run(&self) -> impl Iterator<Item = &OsStr> {
        self.0.iter().map(|(name, _)| name.as_os_str()).filter(|name| {
            name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_MANIFEST_")
                    || name.starts_with("CARGO_PKG_")
                    || ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "RUST_RECURSION_COUNT"]
                        .contains(&name)
            })
        })
    }
}

fn is_flag(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_BOOTSTRAP",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
    ];
    const PREFIXES: [&str; 4] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_UNSTABLE_"];
    // Where and how files are made. The launcher's own folder decides on the target dir. A wrapper of the compiler is no
    // part of what cargo tells units apart by, and the compiler itself is asked.
    const EXCEPT: [&str; 6] = [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_BUILD_BUILD_DIR",
        "CARGO_BUILD_DEP_INFO_BASEDIR",
        "CARGO_BUILD_JOBS",
        "CARGO_BUILD_RUSTC_WRAPPER",
    ];
    let is_named = NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let is_runner = name.starts_with("CARGO_TARGET_") && name.ends_with("_RUNNER");
    is_named && !is_runner && !EXCEPT.contains(&name)
}
