//! The environment variables: which of them a build depends on, and which `cargo run` added for the launcher.
//!
//! Invariant: a variable that cargo or rustc reads and that can change the binary is part of the conditions.
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

    /// The value of `name`; an empty one counts as unset, as cargo takes it.
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

    /// Everything a build depends on that is no file, as lines that are only ever compared as a whole.
    /// Escaped: a line break cannot pass for a new line.
    pub(crate) fn conditions(&self, place: &Place) -> String {
        let mut text = String::new();
        let relevant = self.0.iter().filter(|(name, _)| name.to_str().is_some_and(matters_to_a_build));
        for variable in relevant {
            let _ = writeln!(text, "env {variable:?}");
        }
        let cargo = (self.cargo(), self.cargo_home(), &place.workspace);
        let _ = writeln!(text, "cargo, its home, workspace: {cargo:?}");
        text
    }

    /// The variables that change what a build makes, wherever it is made. The compiler is asked itself, so what
    /// chooses it does not count, nor does what only says where and how files are made.
    pub(crate) fn flags(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            let counts =
                name.to_str().is_some_and(|name| matters_to_a_build(name) && makes_a_difference(name));
            if counts {
                let _ = writeln!(text, "{name:?}={value:?}");
            }
        }
        text
    }

    /// The variables that `cargo run` set for the launcher; with them in place build scripts would rerun.
    pub(crate) fn added_by_cargo_run(&self) -> impl Iterator<Item = &OsStr> {
        self.0.iter().map(|(name, _)| name.as_os_str()).filter(|name| {
            name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_MANIFEST_")
                    || name.starts_with("CARGO_PKG_")
                    || matches!(name, "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE")
                    || name == "RUST_RECURSION_COUNT"
            })
        })
    }
}

fn makes_a_difference(name: &str) -> bool {
    const WITHOUT: [&str; 8] = [
        "CI",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTUP_TOOLCHAIN",
        "CARGO_BUILD_BUILD_DIR",
        "CARGO_BUILD_DEP_INFO_BASEDIR",
        "CARGO_BUILD_JOBS",
        "CARGO_BUILD_RUSTC_WRAPPER",
    ];
    let is_runner = name.starts_with("CARGO_TARGET_") && name.ends_with("_RUNNER");
    !WITHOUT.contains(&name) && !is_runner
}

fn matters_to_a_build(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO_ENCODED_RUSTFLAGS", "CARGO_INCREMENTAL", "CI"];
    // `RUSTC` stands for `RUSTC`, `RUSTC_WRAPPER`, `RUSTC_WORKSPACE_WRAPPER`, `RUSTC_BOOTSTRAP`.
    const PREFIXES: [&str; 5] =
        ["RUSTC", "CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_UNSTABLE_"];
    // The target folder is the one the launcher lies in, whatever these say.
    let of_target_dir = matches!(name, "CARGO_TARGET_DIR" | "CARGO_BUILD_TARGET_DIR");
    !of_target_dir && (NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}
