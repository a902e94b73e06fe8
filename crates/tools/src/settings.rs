//! The settings of this machine: `.cargo/xtask.local.toml`, which git ignores and cargo's configuration includes if it
//! exists.
//!
//! Invariant: the file holds only what was proven on this machine; a checkout without it builds as if there were no suite.

mod include;
mod overruled;
mod undo;

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use toml_edit::Value;
use xtask_edit::Node;
use xtask_workspace::{CargoConfig, Environment, target_variable};
pub use xtask_workspace::{LOCAL_FILE, local_file};

use crate::catalog::LinkSettings;

pub(crate) use include::{Around, config_file, edits, read, with_line};
pub use include::{add_include, includes};
pub use overruled::Overruled;
pub(crate) use overruled::{overruled, replaced, variables_that_void_flags};
pub use undo::SetupUndo;
pub(crate) use undo::record;

/// The first line of the file.
const HEADER: &str = "# The settings of this machine, written and proven by `cargo xtask setup`.";

/// What is set for this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LocalSettings {
    /// How rustc links.
    pub link: Option<LinkSettings>,
    /// The compiler cache that wraps rustc.
    pub rustc_wrapper: Option<Utf8PathBuf>,
    /// The number of compilers that run at once; `None` leaves it to cargo, which uses the number of cores.
    pub jobs: Option<usize>,
}

/// The table in which our rustflags are written: cargo uses one of them and drops the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagsTable {
    /// `[target.HOST]`
    Target,
    /// `[build]`
    Build,
}

/// The variables that add rustflags to a table of cargo's configuration, with their values; empty ones add nothing.
pub(crate) fn flag_variables<'a>(
    environment: &'a Environment,
    host: &str,
) -> impl Iterator<Item = (FlagsTable, &'a str)> {
    let names = [
        (FlagsTable::Target, target_variable(host, "RUSTFLAGS")),
        (FlagsTable::Build, "CARGO_BUILD_RUSTFLAGS".to_owned()),
    ];
    names.into_iter().filter_map(|(table, name)| Some((table, environment.get(&name)?)))
}

/// The table for our rustflags that voids none of the user's: `target.*` silently voids `build.*`, so ours go where the
/// workspace or the user has theirs. Settings in `ours` do not count, and neither do empty ones. `holds` says whether a
/// condition `cfg(…)` does.
pub(crate) fn flags_table(
    config: &CargoConfig,
    environment: &Environment,
    host: &str,
    ours: &Utf8Path,
    holds: &dyn Fn(&str) -> bool,
) -> FlagsTable {
    let is_something = |value: &Value| match value {
        Value::Array(list) => !list.is_empty(),
        other => other.as_str().is_none_or(|text| !text.trim().is_empty()),
    };
    let theirs = |keys: &[&str]| config.set_in(keys).any(|(path, value)| path != ours && is_something(value));
    let by_variable = |table| flag_variables(environment, host).any(|(of, _)| of == table);
    let targets = config.targets();
    let in_target = targets
        .iter()
        .filter(|name| theirs(&["target", name, "rustflags"]))
        .any(|name| name == host || (name.starts_with("cfg(") && holds(name)));
    let in_build = theirs(&["build", "rustflags"]) || by_variable(FlagsTable::Build);
    if in_build && !in_target && !by_variable(FlagsTable::Target) {
        FlagsTable::Build
    } else {
        FlagsTable::Target
    }
}

impl FlagsTable {
    /// The keys of the flags.
    pub(crate) fn keys(self, host: &str) -> Vec<&str> {
        match self {
            Self::Target => vec!["target", host, "rustflags"],
            Self::Build => vec!["build", "rustflags"],
        }
    }
}

impl LocalSettings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The file's text.
    pub fn text(&self, host: &str, flags: FlagsTable) -> String {
        let mut text = format!("{HEADER} Git ignores this file.\n");
        text.push_str(
            "\
# To undo them: cargo xtask setup --undo
# If a program that is named here is removed, cargo cannot start rustc any more: then delete this file.
",
        );
        let quoted = |text: &str| Value::from(text).to_string();
        let list = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ");
        let link = self.link.clone().unwrap_or_default();
        let rustflags =
            (!link.rustflags.is_empty()).then(|| format!("rustflags = [{}]\n", list(&link.rustflags)));
        let (in_build, in_target) = match flags {
            FlagsTable::Build => (rustflags, None),
            FlagsTable::Target => (None, rustflags),
        };
        let wrapper =
            self.rustc_wrapper.as_ref().map(|path| format!("rustc-wrapper = {}\n", quoted(path.as_str())));
        let jobs = self.jobs.map(|jobs| format!("jobs = {jobs}\n"));
        let build = [wrapper, jobs, in_build].into_iter().flatten().collect::<String>();
        if !build.is_empty() {
            let _ = write!(text, "\n[build]\n{build}");
        }
        let linker = link.linker.as_ref().map(|linker| format!("linker = {}\n", quoted(linker)));
        let target = [linker, in_target].into_iter().flatten().collect::<String>();
        if !target.is_empty() {
            let _ = write!(text, "\n[target.{host}]\n{target}");
        }
        text
    }

    /// The settings in the file at `path`; none if it does not exist.
    pub fn read(path: &Utf8Path, host: &str) -> Self {
        let file = CargoConfig::of_file(path);
        let flags = |keys: &[&str]| {
            let mut values = file.set_in(keys).filter_map(|(_, value)| value.as_array());
            let list = values.next()?.iter().filter_map(Value::as_str);
            Some(list.map(str::to_owned).collect::<Vec<_>>())
        };
        let link = LinkSettings {
            linker: file.string(&["target", host, "linker"]),
            rustflags: flags(&["target", host, "rustflags"])
                .or_else(|| flags(&["build", "rustflags"]))
                .unwrap_or_default(),
        };
        let mut jobs = file.set_in(&["build", "jobs"]).filter_map(|(_, value)| value.as_integer());
        Self {
            link: Some(link).filter(|link| !link.is_default()),
            rustc_wrapper: file.string(&["build", "rustc-wrapper"]).map(Utf8PathBuf::from),
            jobs: jobs.next().and_then(|jobs| usize::try_from(jobs).ok()),
        }
    }
}

/// Whether a file is one that was written here.
pub(crate) fn is_ours(node: &Node) -> bool {
    matches!(node, Node::File(bytes) if bytes.starts_with(HEADER.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_testkit::TempDir;

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
                    flags_table(&read, &environment, HOST, &ours, &|condition| condition == "cfg(unix)"),
                    expected,
                    "{config}"
                );
            }
        }
    }
}
