//! The environment that the cargo we call gets: the user's own, without what `cargo run` and rustup added
//! to ours. So a build script that watches a variable sees the same value under xtask and under plain
//! cargo, and neither rebuilds what the other built.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use camino::Utf8Path;

/// Environment variables by name. Names and values that are not UTF-8 are read here with replacement characters, and
/// passed on to other programs as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    text: BTreeMap<String, String>,
    /// The variables of `text` that are not UTF-8.
    not_utf8: BTreeMap<OsString, OsString>,
}

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
        std::env::vars_os().collect()
    }

    /// The value of `name`; an empty one counts as unset, as cargo takes it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.text.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `name`, which may be empty: for some variables that says something else than none.
    pub fn even_empty(&self, name: &str) -> Option<&str> {
        self.text.get(name).map(String::as_str)
    }

    /// Sets `name`.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.text.insert(name.to_owned(), value.into());
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) {
        self.text.remove(name);
        self.not_utf8.retain(|other, _| other.to_string_lossy() != name);
    }

    /// Sets `name` to a value that may be no UTF-8.
    fn set_os(&mut self, name: OsString, value: OsString) {
        let text = name.to_string_lossy().into_owned();
        self.set(&text, value.to_string_lossy());
        if name.to_str().is_none() || value.to_str().is_none() {
            self.not_utf8.insert(name, value);
        }
    }

    /// The value of `name` as it is; an empty one counts as unset.
    fn get_os(&self, name: &str) -> Option<&OsStr> {
        let text = self.get(name)?;
        Some(self.not_utf8.get(OsStr::new(name)).map_or(OsStr::new(text), OsString::as_os_str))
    }

    /// Adds a folder at the end of `PATH`.
    pub fn append_path(&mut self, folder: &Utf8Path) {
        let path = self.get_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(path).chain([folder.as_std_path().to_owned()]);
        // A folder whose name cannot stand in PATH is not found there, as before.
        if let Ok(path) = std::env::join_paths(folders) {
            self.set_os("PATH".into(), path);
        }
    }

    /// All variables in the order of their names, to be looked at.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All variables as they are, for a program that is started.
    pub fn iter_os(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let exact = |name: &str| !self.not_utf8.keys().any(|other| other.to_string_lossy() == name);
        let text = self.iter().filter(move |(name, _)| exact(name));
        let text = text.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        text.chain(self.not_utf8.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())))
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
        self.text.retain(|name, value| {
            !added_by_cargo(name) && launch.clone_env.get(name).is_none_or(|added| added != value)
        });
        self.not_utf8.retain(|name, _| self.text.contains_key(&*name.to_string_lossy()));
        let variable = library_path_variable();
        if let Some(paths) = self.get_os(variable) {
            match user_library_path(paths, launch.exe_dir.as_deref()) {
                Some(rest) => self.set_os(variable.into(), rest),
                None => self.remove(variable),
            }
        }
        self
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { text: variables.into_iter().collect(), not_utf8: BTreeMap::new() }
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            environment.set_os(name, value);
        }
        environment
    }
}

/// Variables that `cargo run` sets for the program it starts, and rustup for its recursion guard, plus our
/// launcher's own.
fn added_by_cargo(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "CARGO",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "RUST_RECURSION_COUNT",
        "XTASK_LAUNCHER",
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
fn user_library_path(paths: &OsStr, exe_dir: Option<&Path>) -> Option<OsString> {
    let entries = std::env::split_paths(paths).collect::<Vec<_>>();
    let kept = entries.iter().skip_while(|entry| added_library_path(entry, exe_dir)).collect::<Vec<_>>();
    if kept.is_empty() {
        return None;
    }
    std::env::join_paths(kept).ok()
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
            ("XTASK_LAUNCHER", "/clone/target/xtask/xtask", None),
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

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn what_is_no_utf8_reaches_other_programs_as_it_is() {
        use std::os::unix::ffi::OsStringExt;

        let os = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let environment = [
            (os(b"PATH"), os(b"/bin/\xff:/usr/bin")),
            (os(b"LD_LIBRARY_PATH"), os(b"/clone/target/xtask:/lib/\xff")),
            (os(b"NAME\xff"), os(b"value")),
            (os(b"VALUE"), os(b"\xff")),
            (os(b"CARGO_PKG_AUTHORS"), os(b"\xff")),
            (os(b"GONE"), os(b"\xff")),
            (os(b"SET"), os(b"\xff")),
        ];
        let mut environment = environment.into_iter().collect::<Environment>().without_cargo_run(&launch());
        environment.append_path("/more".into());
        environment.remove("GONE");
        environment.set("SET", "text");
        assert_eq!(environment.get("VALUE"), Some("\u{fffd}"));

        let command = crate::Call::new("/", "program", [""; 0]).to_command(&environment);
        let mut passed = command.get_envs().map(|(name, value)| (name, value.unwrap())).collect::<Vec<_>>();
        passed.sort();
        let expected = [
            (os(b"LD_LIBRARY_PATH"), os(b"/lib/\xff")),
            (os(b"NAME\xff"), os(b"value")),
            (os(b"PATH"), os(b"/bin/\xff:/usr/bin:/more")),
            (os(b"SET"), os(b"text")),
            (os(b"VALUE"), os(b"\xff")),
        ];
        assert_eq!(passed, expected.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>());
    }

    #[test]
    fn only_what_cargo_and_rustc_read_is_build_relevant() {
        let all = environment(&[("CARGO_INCREMENTAL", "1"), ("CARGO_TERM_COLOR", "never"), ("EDITOR", "vi")]);
        assert_eq!(all.build_relevant().collect::<Vec<_>>(), [("CARGO_INCREMENTAL", "1")]);
    }
}
