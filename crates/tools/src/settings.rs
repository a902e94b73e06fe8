//! The settings of this machine: `.cargo/xtask.local.toml`, which git ignores and cargo's configuration includes if it
//! exists. And what cargo makes of them beside the user's own.
//!
//! Invariant: the file holds only what was proven on this machine; a checkout without it builds as if there were no suite.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use toml_edit::Value;
use xtask_workspace::{CargoConfig, Environment, cfg, target_variable};

use crate::link::LinkSettings;

/// The first line of the file.
pub(crate) const HEADER: &str = "# The settings of this machine, written and proven by `cargo xtask setup`.";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LocalSettings {
    pub link: Option<LinkSettings>,
    pub rustc_wrapper: Option<Utf8PathBuf>,
    pub jobs: Option<usize>,
}

impl LocalSettings {
    pub(crate) fn text(&self, host: &str, flags: FlagsTable) -> String {
        let mut text = format!(
            "{HEADER} Git ignores this file.
# To undo them: cargo xtask setup --undo
# If a program that is named here is removed, cargo cannot start rustc any more: then delete this file.
"
        );
        let quoted = |text: &str| Value::from(text).to_string();
        let link = self.link.clone().unwrap_or_default();
        let list = link.rustflags.iter().map(|flag| quoted(flag)).collect::<Vec<_>>().join(", ");
        let rustflags = (!list.is_empty()).then(|| format!("rustflags = [{list}]\n"));
        let (in_build, in_target) = match flags {
            FlagsTable::Build => (rustflags, None),
            FlagsTable::Target => (None, rustflags),
        };
        let wrapper = self.rustc_wrapper.as_ref().map(|path| quoted(path.as_str()));
        let wrapper = wrapper.map(|wrapper| format!("rustc-wrapper = {wrapper}\n"));
        let jobs = self.jobs.map(|jobs| format!("jobs = {jobs}\n"));
        let linker = link.linker.map(|linker| format!("linker = {}\n", quoted(&linker)));
        let build = [wrapper, jobs, in_build].into_iter().flatten().collect::<String>();
        let target = [linker, in_target].into_iter().flatten().collect::<String>();
        for (table, keys) in [("build".to_owned(), build), (format!("target.{host}"), target)] {
            if !keys.is_empty() {
                let _ = write!(text, "\n[{table}]\n{keys}");
            }
        }
        text
    }

    pub(crate) fn read(path: &Utf8Path, host: &str) -> Self {
        let file = CargoConfig::of_file(path);
        let value = |keys: &[&str]| file.set_in(keys).next().map(|(_, value)| value.clone());
        let flags = value(&["target", host, "rustflags"]).or_else(|| value(&["build", "rustflags"]));
        let flags = flags.as_ref().and_then(Value::as_array).into_iter().flatten();
        let link = LinkSettings {
            linker: file.string(&["target", host, "linker"]),
            rustflags: flags.filter_map(Value::as_str).map(str::to_owned).collect(),
        };
        Self {
            link: Some(link).filter(|link| !link.is_default()),
            rustc_wrapper: file.string(&["build", "rustc-wrapper"]).map(Utf8PathBuf::from),
            jobs: value(&["build", "jobs"]).and_then(|jobs| usize::try_from(jobs.as_integer()?).ok()),
        }
    }
}

/// The variables in the environment that void rustflags of every configuration file. Cargo uses the first that is set; an
/// empty one voids them too (seen with cargo 1.95).
pub(crate) fn variables_that_void_flags(environment: &Environment) -> Vec<&'static str> {
    let names = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];
    names.into_iter().filter(|name| environment.get_or_empty(name).is_some()).collect()
}

/// Those of `tables` under `[target]` that count for the host. Only for a condition `cfg(…)` rustc is asked what holds.
pub(crate) fn of_host(
    tables: impl IntoIterator<Item = String>,
    root: &Utf8Path,
    environment: &Environment,
    host: &str,
) -> Vec<String> {
    let conditions = std::cell::LazyCell::new(|| cfg::settings(root, environment, host));
    let counts =
        |table: &String| table == host || (table.starts_with("cfg(") && cfg::holds(table, &conditions));
    tables.into_iter().filter(counts).collect()
}

/// The words of a setting: a list, or a string that cargo splits at blanks.
pub(crate) fn words(value: &Value) -> Vec<String> {
    match value.as_array() {
        Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => value.as_str().into_iter().flat_map(str::split_whitespace).map(str::to_owned).collect(),
    }
}

/// A table of rustflags: cargo uses one of them and drops the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlagsTable {
    /// `[target.HOST]`
    Target,
    /// `[build]`
    Build,
}

impl FlagsTable {
    pub(crate) fn keys(self, host: &str) -> Vec<String> {
        let keys = match self {
            Self::Target => vec!["target", host, "rustflags"],
            Self::Build => vec!["build", "rustflags"],
        };
        keys.into_iter().map(str::to_owned).collect()
    }
}

/// Who sets rustflags, in words. Empty flags do not count.
#[derive(Debug)]
pub(crate) struct FlagSources {
    /// For the host: tables `[target.…]` and a variable.
    pub(crate) target: Vec<String>,
    /// `[build]`, or its variable.
    pub(crate) build: Vec<String>,
}

impl FlagSources {
    /// Reads the files that `counts` says, and the tables whose condition `cfg(…)` `holds` says.
    pub(crate) fn of(
        config: &CargoConfig,
        environment: &Environment,
        host: &str,
        counts: &dyn Fn(&Utf8Path) -> bool,
        holds: &dyn Fn(&str) -> bool,
    ) -> Self {
        let is_something = |value: &Value| match value {
            Value::Array(list) => !list.is_empty(),
            other => other.as_str().is_none_or(|text| !text.trim().is_empty()),
        };
        let in_files = |keys: &[&str]| {
            let files = config.set_in(keys).filter(|(path, value)| counts(path) && is_something(value));
            let key =
                keys.iter().map(|key| if key.contains('(') { format!("'{key}'") } else { (*key).to_owned() });
            let key = key.collect::<Vec<_>>().join(".");
            files.map(|(path, _)| format!("{key} in {path}")).collect::<Vec<_>>()
        };
        let in_variable = |name: String| environment.get(&name).is_some().then_some(name);
        let mut target = Vec::from_iter(in_variable(target_variable(host, "RUSTFLAGS")));
        for table in config.targets() {
            if table == host || (table.starts_with("cfg(") && holds(&table)) {
                target.extend(in_files(&["target", &table, "rustflags"]));
            }
        }
        let mut build = Vec::from_iter(in_variable("CARGO_BUILD_RUSTFLAGS".to_owned()));
        build.extend(in_files(&["build", "rustflags"]));
        Self { target, build }
    }

    /// The table for our rustflags that voids none of these: `target.*` silently voids `build.*`.
    pub(crate) fn table(&self) -> FlagsTable {
        if self.target.is_empty() && !self.build.is_empty() { FlagsTable::Build } else { FlagsTable::Target }
    }
}

/// A setting of this machine that does not count, because a stronger one says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overruled {
    /// The key, such as `build.jobs`.
    pub key: String,
    pub ours: String,
    pub theirs: String,
    /// What says so: a file, or `the variable NAME`.
    pub by: String,
    /// The file; `None` for a variable.
    pub file: Option<Utf8PathBuf>,
}

/// Which of `settings`, in the file `ours`, do not count: cargo takes a scalar from the including file before the
/// included one, and from a variable before any file.
pub(crate) fn overruled(
    settings: &LocalSettings,
    ours: &Utf8Path,
    host: &str,
    config: &CargoConfig,
    environment: &Environment,
) -> Vec<Overruled> {
    let linker = settings.link.as_ref().and_then(|link| link.linker.clone());
    let wrapper = settings.rustc_wrapper.as_ref().map(ToString::to_string);
    let linker_variable = target_variable(host, "LINKER");
    let scalars = [
        (vec!["target", host, "linker"], linker, vec![linker_variable.as_str()]),
        (vec!["build", "rustc-wrapper"], wrapper, vec!["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"]),
        (vec!["build", "jobs"], settings.jobs.map(|jobs| jobs.to_string()), vec!["CARGO_BUILD_JOBS"]),
    ];
    let overruled = |(keys, ours_says, variables): (Vec<&str>, Option<String>, Vec<&str>)| {
        // Set but empty counts too: it means none, whatever the files say.
        let set = |name: &str| {
            Some((environment.get_or_empty(name)?.to_owned(), format!("the variable {name}"), None))
        };
        let (theirs, by, file) = variables.into_iter().find_map(set).or_else(|| {
            let (path, value) = config.set_in(&keys).next().filter(|(path, _)| *path != ours)?;
            let decorated = || value.clone().decorated("", "").to_string();
            let text = value.as_str().map_or_else(decorated, str::to_owned);
            Some((text, path.to_string(), Some(path.to_owned())))
        })?;
        let ours = ours_says.filter(|ours| *ours != theirs)?;
        Some(Overruled { key: keys.join("."), ours, theirs, by, file })
    };
    scalars.into_iter().filter_map(overruled).collect()
}

#[cfg(test)]
mod tests {
    use xtask_testkit::TempDir;
    use xtask_workspace::LOCAL_FILE;

    use super::*;

    const HOST: &str = "x86_64-unknown-linux-gnu";

    #[test]
    fn settings_are_read_back_as_written() {
        let dir = TempDir::new("local");
        let path = dir.path().join("xtask.local.toml");
        let all = LocalSettings {
            link: Some(LinkSettings {
                linker: Some("/opt/ä b/\"clang\"".to_owned()),
                rustflags: vec!["-Clink-arg=-fuse-ld=mold".to_owned(), "-Clink-arg=a'b\\c".to_owned()],
            }),
            rustc_wrapper: Some("/opt/s c/sccache".into()),
            jobs: Some(3),
        };
        let none = LocalSettings::default();
        let only_jobs = LocalSettings { jobs: Some(1), ..LocalSettings::default() };
        for settings in [all, none, only_jobs] {
            for table in [FlagsTable::Target, FlagsTable::Build] {
                dir.write("xtask.local.toml", &settings.text(HOST, table));
                assert_eq!(LocalSettings::read(&path, HOST), settings, "{table:?}");
            }
        }
    }

    #[test]
    fn flags_go_where_they_void_no_others() {
        let table = [
            ("", FlagsTable::Target),
            ("[build]\nrustflags = ['-g']\n", FlagsTable::Build),
            (
                "[build]\nrustflags = ['-g']\n[target.x86_64-unknown-linux-gnu]\nrustflags = []\n",
                FlagsTable::Build,
            ),
            (
                "[build]\nrustflags = ['-g']\n[target.x86_64-unknown-linux-gnu]\nrustflags = ['-g']\n",
                FlagsTable::Target,
            ),
            ("[build]\nrustflags = ['-g']\n[target.'cfg(unix)']\nrustflags = ['-g']\n", FlagsTable::Target),
            ("[build]\nrustflags = ['-g']\n[target.'cfg(windows)']\nrustflags = ['-g']\n", FlagsTable::Build),
            // Another target's flags are none of this one's.
            (
                "[build]\nrustflags = ['-g']\n[target.wasm32-unknown-unknown]\nrustflags = ['-g']\n",
                FlagsTable::Build,
            ),
            (
                "[build]\nrustflags = ['-g']\n[target.x86_64-unknown-linux-gnu]\nrunner = 'x'\n",
                FlagsTable::Build,
            ),
        ];
        let dir = TempDir::new("flags-table");
        let ours = dir.path().join(".cargo").join(LOCAL_FILE);
        let environment = Environment::default();
        for (config, expected) in table {
            let include = "include = [{ path = \"xtask.local.toml\", optional = true }]\n";
            dir.write(".cargo/config.toml", &format!("{include}{config}"));
            // Ours do not count, wherever they were written before.
            for before in [FlagsTable::Target, FlagsTable::Build] {
                let link = LinkSettings { linker: None, rustflags: vec!["-Cours".to_owned()] };
                let settings = LocalSettings { link: Some(link), ..LocalSettings::default() };
                dir.write(".cargo/xtask.local.toml", &settings.text(HOST, before));
                let read = CargoConfig::load(dir.path(), &environment);
                assert_eq!(
                    FlagSources::of(&read, &environment, HOST, &|path| path != ours, &|condition| {
                        condition == "cfg(unix)"
                    })
                    .table(),
                    expected,
                    "{config}"
                );
            }
        }
    }

    #[test]
    fn stronger_settings_are_named() {
        let host = "x86_64-unknown-linux-gnu";
        let dir = xtask_testkit::TempDir::new("overruled");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            xtask_files::write_atomic(&path, text, xtask_files::Durability::Cache).unwrap();
        };
        let ours = dir.path().join(".cargo/xtask.local.toml");
        let settings = LocalSettings {
            link: Some(LinkSettings { linker: Some("/usr/bin/clang".into()), rustflags: Vec::new() }),
            rustc_wrapper: Some("/usr/bin/sccache".into()),
            jobs: Some(2),
        };
        write(".cargo/xtask.local.toml", &settings.text(host, FlagsTable::Target));
        let include = "include = [{ path = \"xtask.local.toml\", optional = true }]\n";
        let keys = |theirs: &str, variables: &[(&str, &str)]| {
            write(".cargo/config.toml", &format!("{include}{theirs}"));
            let mut environment: Environment =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            environment.set("CARGO_HOME", dir.path().join("home").as_str());
            let config = CargoConfig::load(dir.path(), &environment);
            let found = overruled(&settings, &ours, host, &config, &environment);
            found.into_iter().map(|one| format!("{} by {}", one.key, one.by)).collect::<Vec<_>>()
        };
        let file = dir.path().join(".cargo/config.toml");
        assert_eq!(keys("", &[]), [""; 0]);
        assert_eq!(keys("[build]\njobs = 4\n", &[]), [format!("build.jobs by {file}")]);
        assert_eq!(keys("[build]\njobs = 2 # two\n", &[]), [""; 0]);
        assert_eq!(
            keys("[target.x86_64-unknown-linux-gnu]\nlinker = 'gcc'\n", &[]),
            [format!("target.{host}.linker by {file}")]
        );
        assert_eq!(keys("", &[("RUSTC_WRAPPER", "")]), ["build.rustc-wrapper by the variable RUSTC_WRAPPER"]);
        assert_eq!(
            keys("", &[("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", "ld")]),
            [format!("target.{host}.linker by the variable CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER")]
        );
        // The user's own configuration is weaker.
        write("home/config.toml", "[build]\njobs = 7\nrustc-wrapper = 'other'\n");
        assert_eq!(keys("", &[]), [""; 0]);
    }
}
