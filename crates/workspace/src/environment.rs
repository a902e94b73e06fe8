//! The environment that the cargo we call gets: the user's own, without what `cargo run` and rustup added to ours. So a
//! build script that watches a variable sees the same value under xtask and under plain cargo, and neither rebuilds what
//! the other built.

use std::collections::BTreeMap;
use std::env::{join_paths, split_paths};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};

/// Environment variables by name. Names and values may be other than UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

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

    /// The value of `name`. Empty counts as unset, as cargo takes it; other than UTF-8 too.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_or_empty(name).filter(|value| !value.is_empty())
    }

    /// The value of `name`, which may be empty: for some variables that means something else than unset.
    pub fn get_or_empty(&self, name: &str) -> Option<&str> {
        self.0.get(OsStr::new(name))?.to_str()
    }

    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(OsStr::new(name));
    }

    /// Adds a folder at the end of `PATH`.
    pub fn append_path(&mut self, folder: &Utf8Path) {
        let path = self.0.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let folders = split_paths(&path).chain([folder.as_std_path().to_owned()]);
        // A folder whose name cannot be in PATH is not found there.
        if let Ok(path) = join_paths(folders) {
            self.set("PATH", path);
        }
    }

    /// All variables whose name and value are UTF-8, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// All variables, for a program that is started.
    pub fn iter_os(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }

    /// The variables that can change which units cargo plans, or their names: those of cargo, rustc and rustdoc, `CI`
    /// (cargo 1.99 turns incremental off there), and where their homes are.
    pub fn build_relevant(&self) -> impl Iterator<Item = (&str, &str)> {
        const NAMES: [&str; 5] = ["CI", "HOME", "USERPROFILE", "CC", "AR"];
        // Display; and the homes, which rustup sets for what it starts, mostly to what they are anyway: their content
        // (configuration, toolchains) is what counts.
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
        // rustup says where a toolchain choice came from (since 1.29); only the user's own choices stay. Where rustup did
        // not start us, the variable is the user's.
        let chosen_by_user = match self.get("RUSTUP_TOOLCHAIN_SOURCE") {
            Some(source) => matches!(source, "cli" | "env"),
            None => self.get("RUST_RECURSION_COUNT").is_none(),
        };
        if !chosen_by_user {
            self.remove("RUSTUP_TOOLCHAIN");
        }
        self.remove("RUSTUP_TOOLCHAIN_SOURCE");
        self.0.retain(|name, value| {
            let added = |name: &str| {
                added_by_cargo(name) || launch.clone_env.get(name).is_some_and(|added| **value == **added)
            };
            !name.to_str().is_some_and(added)
        });
        let variable = if cfg!(windows) {
            "PATH"
        } else if cfg!(target_os = "macos") {
            "DYLD_FALLBACK_LIBRARY_PATH"
        } else {
            "LD_LIBRARY_PATH"
        };
        if let Some(paths) = self.0.remove(OsStr::new(variable)) {
            let added = |entry: &PathBuf| added_library_path(entry, launch.exe_dir.as_deref());
            match join_paths(split_paths(&paths).skip_while(added)) {
                Ok(rest) if !rest.is_empty() => self.set(variable, rest),
                _ => {}
            }
        }
        self
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Variables that `cargo run` sets for the program it starts, rustup for its recursion guard, and our launcher.
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

/// Whether cargo or rustup put this entry at the front of the library path: the profile folder, folders in it, and the
/// toolchain's library folders.
fn added_library_path(entry: &Path, exe_dir: Option<&Path>) -> bool {
    let in_profile = exe_dir
        .is_some_and(|dir| entry == dir || entry == dir.join("deps") || entry.starts_with(dir.join("build")));
    let of_toolchain = |part: &OsStr| part == "toolchains" || part == "rustlib";
    in_profile || entry.ends_with("lib") && entry.iter().any(of_toolchain)
}

/// The file that running `program` would start, if `PATH` has one.
pub fn on_path(program: &str, environment: &Environment) -> Option<Utf8PathBuf> {
    split_paths(environment.0.get(OsStr::new("PATH"))?)
        .filter_map(|folder| Utf8PathBuf::from_path_buf(folder).ok())
        .find_map(|folder| program_in(&folder, program))
}

/// The executable file `program` in `folder`, if there is one.
pub fn program_in(folder: &Utf8Path, program: &str) -> Option<Utf8PathBuf> {
    let path = folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && is_executable(&metadata)).then_some(path)
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    true
}

/// The user's home folder.
pub fn home(environment: &Environment) -> Option<Utf8PathBuf> {
    let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    environment.get(variable).map(Utf8PathBuf::from)
}

/// `CARGO_HOME`, or `.cargo` in the user's home folder.
pub fn cargo_home(environment: &Environment) -> Option<Utf8PathBuf> {
    let explicit = environment.get("CARGO_HOME").map(Utf8PathBuf::from);
    explicit.or_else(|| home(environment).map(|home| home.join(".cargo")))
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
        assert_eq!(environment.get("VALUE"), None, "not for us to read");

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
