//! The environment that the cargo we call gets: the user's own, without what `cargo run` and rustup added
//! to ours. So a build script that watches a variable sees the same value under xtask and under plain
//! cargo, and neither rebuilds what the other built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use serde::Serialize;

/// Environment variables by name. Names and values that are not Unicode are carried lossily: cargo itself
/// refuses them wherever it reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Environment(BTreeMap<String, String>);

/// How this process was started: what is needed to tell cargo's additions from the user's values.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The folder of the running executable, `<target>/xtask`; cargo put it into the library path.
    pub exe_dir: Option<PathBuf>,
    /// The `[env]` table of the clone whose `cargo run` started us, as cargo sets it.
    pub clone_env: BTreeMap<String, String>,
}

impl Environment {
    /// This process's environment as it is.
    pub fn current() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
    }

    /// The value of `name`; an empty one counts as unset, as cargo takes it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `name`, which may be empty: for some variables that says something else than none.
    pub fn even_empty(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets `name`.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Adds a folder at the end of `PATH`.
    pub fn append_path(&mut self, folder: &Utf8Path) {
        let path = self.get("PATH").unwrap_or_default();
        let folders = std::env::split_paths(path).chain([folder.as_std_path().to_owned()]);
        // A folder whose name cannot stand in PATH is not found there, as before.
        if let Some(path) = std::env::join_paths(folders).ok().and_then(|path| path.into_string().ok()) {
            self.set("PATH", path);
        }
    }

    /// All variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variables that can change which units cargo plans, or what they are called: cargo's, rustc's and
    /// rustdoc's own, `CI` (cargo 1.99 turns incremental off there), and where their homes are.
    pub fn build_relevant(&self) -> impl Iterator<Item = (&str, &str)> {
        const NAMES: [&str; 5] = ["CI", "HOME", "USERPROFILE", "CC", "AR"];
        // About display; and the homes, which rustup sets for what it starts, mostly to what they are anyway:
        // what lies there (configuration, toolchains) is what counts.
        const NOISE: [&str; 4] = ["RUST_BACKTRACE", "RUST_LOG", "CARGO_HOME", "CARGO_LOG"];
        self.iter().filter(|(name, _)| {
            (name.starts_with("CARGO") || name.starts_with("RUST") || NAMES.contains(name))
                && !NOISE.contains(name)
                && !name.starts_with("CARGO_TERM_")
                && !name.starts_with("RUSTUP_")
        })
    }

    /// The user's environment: exactly what `cargo run` and rustup added is gone, all else stays.
    pub fn without_cargo_run(mut self, launch: &Launch) -> Self {
        // rustup says where a toolchain choice came from (since 1.29); only the user's own choices stay. Where
        // rustup did not start us, the variable is the user's.
        let source = self.get("RUSTUP_TOOLCHAIN_SOURCE");
        let chosen_by_user = match source {
            Some(source) => matches!(source, "cli" | "env"),
            None => self.get("RUST_RECURSION_COUNT").is_none(),
        };
        if !chosen_by_user {
            self.remove("RUSTUP_TOOLCHAIN");
        }
        self.remove("RUSTUP_TOOLCHAIN_SOURCE");
        self.0.retain(|name, value| {
            !added_by_cargo(name) && launch.clone_env.get(name).is_none_or(|added| added != value)
        });
        let variable = library_path_variable();
        if let Some(paths) = self.get(variable) {
            match user_library_path(paths, launch.exe_dir.as_deref()) {
                Some(rest) => self.set(variable, rest),
                None => self.remove(variable),
            }
        }
        self
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Variables that `cargo run` sets for the program it starts, and rustup for its recursion guard, plus our
/// launcher's own.
fn added_by_cargo(name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "CARGO",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "RUST_RECURSION_COUNT",
        "XTASK_SUITE_ROOT",
    ];
    const PREFIXES: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The variable in which cargo passes library folders to what it runs.
fn library_path_variable() -> &'static str {
    if cfg!(windows) {
        "PATH"
    } else if cfg!(target_os = "macos") {
        "DYLD_FALLBACK_LIBRARY_PATH"
    } else {
        "LD_LIBRARY_PATH"
    }
}

/// `paths` without the entries at its front that cargo and rustup put there: the profile folder, its
/// `deps`, and the toolchain's library folders. `None` when nothing is left.
fn user_library_path(paths: &str, exe_dir: Option<&Path>) -> Option<String> {
    let entries = std::env::split_paths(paths).collect::<Vec<_>>();
    let kept = entries.iter().skip_while(|entry| added_library_path(entry, exe_dir)).collect::<Vec<_>>();
    if kept.is_empty() {
        return None;
    }
    Some(std::env::join_paths(kept).ok()?.to_string_lossy().into_owned())
}

fn added_library_path(entry: &Path, exe_dir: Option<&Path>) -> bool {
    let in_profile = exe_dir
        .is_some_and(|dir| entry == dir || entry == dir.join("deps") || entry.starts_with(dir.join("build")));
    let in_toolchain =
        entry.components().any(|part| part.as_os_str() == "toolchains" || part.as_os_str() == "rustlib")
            && entry.ends_with("lib");
    in_profile || in_toolchain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn launch() -> Launch {
        Launch {
            exe_dir: Some("/clone/target/xtask".into()),
            clone_env: BTreeMap::from([("FROM_CLONE".into(), "1".into())]),
        }
    }

    #[test]
    fn each_variable_that_cargo_run_and_rustup_add_goes_and_every_other_stays() {
        // name, value, what the cargo we call sees
        let table = [
            ("CARGO", "/toolchain/bin/cargo", None),
            ("CARGO_MANIFEST_DIR", "/clone/xtask", None),
            ("CARGO_MANIFEST_PATH", "/clone/xtask/Cargo.toml", None),
            ("CARGO_PKG_NAME", "xtask", None),
            ("CARGO_PKG_VERSION_MAJOR", "0", None),
            ("CARGO_BIN_NAME", "xtask", None),
            ("RUST_RECURSION_COUNT", "1", None),
            ("XTASK_SUITE_ROOT", "/clone", None),
            ("RUSTUP_TOOLCHAIN_SOURCE", "default", None),
            ("FROM_CLONE", "1", None),
            ("CARGO_HOME", "/home/me/.cargo", Some("/home/me/.cargo")),
            ("CARGO_TARGET_DIR", "/big/target", Some("/big/target")),
            ("CARGO_INCREMENTAL", "0", Some("0")),
            ("CARGO_REGISTRY_TOKEN", "secret", Some("secret")),
            ("CARGO_PROFILE_DEV_DEBUG", "0", Some("0")),
            ("RUSTFLAGS", "-g", Some("-g")),
            ("RUSTUP_HOME", "/home/me/.rustup", Some("/home/me/.rustup")),
            ("PATH", "/usr/bin", Some("/usr/bin")),
            ("MY_OWN", "x", Some("x")),
        ];
        for (name, value, expected) in table {
            let left = environment(&[(name, value)]).without_cargo_run(&launch());
            assert_eq!(left.get(name), expected, "{name}");
        }
    }

    #[test]
    fn a_value_the_user_set_over_the_clones_env_table_stays() {
        let left = environment(&[("FROM_CLONE", "mine")]).without_cargo_run(&launch());
        assert_eq!(left.get("FROM_CLONE"), Some("mine"));
    }

    #[test]
    fn the_toolchain_stays_only_where_the_user_chose_it() {
        // what rustup says, whether it started us, what stays
        let table = [
            (Some("cli"), "1", Some("nightly")),
            (Some("env"), "1", Some("nightly")),
            (Some("default"), "1", None),
            (Some("toolchain-file"), "1", None),
            (Some("path-override"), "1", None),
            (None, "1", None),
            (None, "", Some("nightly")),
        ];
        for (source, recursion, expected) in table {
            let mut before =
                environment(&[("RUSTUP_TOOLCHAIN", "nightly"), ("RUST_RECURSION_COUNT", recursion)]);
            if let Some(source) = source {
                before.set("RUSTUP_TOOLCHAIN_SOURCE", source);
            }
            assert_eq!(before.without_cargo_run(&launch()).get("RUSTUP_TOOLCHAIN"), expected, "{source:?}");
        }
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn of_the_library_path_only_cargos_own_entries_at_the_front_go() {
        let toolchain = "/home/me/.rustup/toolchains/stable/lib";
        let rustlib = "/home/me/.rustup/toolchains/stable/lib/rustlib/x86_64-unknown-linux-gnu/lib";
        let cargo = format!("/clone/target/xtask:/clone/target/xtask/deps:{rustlib}:{toolchain}");
        let table = [
            (cargo.clone(), None),
            (format!("{cargo}:/opt/lib:/usr/local/lib"), Some("/opt/lib:/usr/local/lib")),
            (
                format!("{cargo}:/opt/lib:{toolchain}"),
                Some("/opt/lib:/home/me/.rustup/toolchains/stable/lib"),
            ),
            ("/opt/lib".to_owned(), Some("/opt/lib")),
        ];
        for (before, expected) in table {
            let left = environment(&[("LD_LIBRARY_PATH", &before)]).without_cargo_run(&launch());
            assert_eq!(left.get("LD_LIBRARY_PATH"), expected, "{before}");
        }
    }

    #[test]
    fn only_what_cargo_and_rustc_read_is_build_relevant() {
        let all = environment(&[("CARGO_INCREMENTAL", "1"), ("CARGO_TERM_COLOR", "never"), ("EDITOR", "vi")]);
        assert_eq!(all.build_relevant().collect::<Vec<_>>(), [("CARGO_INCREMENTAL", "1")]);
    }
}
