//! Which settings of this machine do not count because a stronger one says otherwise, and which they replace.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use toml_edit::Value;
use xtask_workspace::{CargoConfig, Environment, target_variable};

use super::LocalSettings;

/// The variables in the environment that void rustflags of every configuration file. Cargo uses the first that is set; an
/// empty one voids them too (seen with cargo 1.95).
pub(crate) fn variables_that_void_flags(environment: &Environment) -> Vec<&'static str> {
    let names = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];
    names.into_iter().filter(|name| environment.get_or_empty(name).is_some()).collect()
}

/// A setting of this machine that does not count, because a stronger one says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Overruled {
    /// The key, such as `build.jobs`.
    pub key: String,
    /// What it is set to for this machine.
    pub ours: String,
    /// What counts instead.
    pub theirs: String,
    /// The file that says so; `None` for a variable.
    pub file: Option<Utf8PathBuf>,
    /// The variable that says so.
    pub variable: Option<String>,
}

impl Overruled {
    /// The file or variable that overrules it, for messages.
    pub fn by(&self) -> String {
        match (&self.file, &self.variable) {
            (Some(file), _) => file.to_string(),
            (None, Some(variable)) => format!("the variable {variable}"),
            (None, None) => "something stronger".to_owned(),
        }
    }
}

/// A scalar that a setup sets: its keys, what it is set to, and the variables that are stronger than every file.
type Scalar<'a> = (Vec<&'a str>, String, Vec<String>);

fn scalars<'a>(settings: &LocalSettings, host: &'a str) -> impl Iterator<Item = Scalar<'a>> {
    let linker = settings.link.as_ref().and_then(|link| link.linker.clone());
    let wrapper = settings.rustc_wrapper.as_ref().map(ToString::to_string);
    let jobs = settings.jobs.map(|jobs| jobs.to_string());
    let variables = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let all = [
        (vec!["target", host, "linker"], linker, vec![target_variable(host, "LINKER")]),
        (vec!["build", "rustc-wrapper"], wrapper, variables(&["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"])),
        (vec!["build", "jobs"], jobs, variables(&["CARGO_BUILD_JOBS"])),
    ];
    all.into_iter().filter_map(|(keys, ours, variables)| Some((keys, ours?, variables)))
}

/// A scalar as text, without the comment after it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.clone().decorated("", "").to_string(), str::to_owned)
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
    let overruled = |(keys, ours_says, variables): Scalar<'_>| {
        // Set but empty counts too: it means none, whatever the files say.
        let set = |name: String| Some((environment.get_or_empty(&name)?.to_owned(), name));
        let (theirs, file, variable) = if let Some((value, name)) = variables.into_iter().find_map(set) {
            (value, None, Some(name))
        } else {
            let (path, value) = config.set_in(&keys).next().filter(|(path, _)| *path != ours)?;
            (text(value), Some(path.to_owned()), None)
        };
        let key = keys.join(".");
        (theirs != ours_says).then_some(Overruled { key, ours: ours_says, theirs, file, variable })
    };
    scalars(settings, host).filter_map(overruled).collect()
}

/// What `settings`, in the file `ours`, replace of the user's in this workspace: a line for each scalar that a weaker
/// file sets otherwise, such as the one in cargo's home.
pub(crate) fn replaced(
    settings: &LocalSettings,
    ours: &Utf8Path,
    host: &str,
    config: &CargoConfig,
) -> Vec<String> {
    let line = |(keys, ours_says, _): Scalar<'_>| {
        let (path, value) = config.set_in(&keys).skip_while(|(path, _)| *path != ours).nth(1)?;
        let (key, theirs) = (keys.join("."), text(value));
        // Jobs are lowered on purpose.
        (theirs != ours_says && !key.ends_with("jobs"))
            .then(|| format!("in this workspace, {key} = {ours_says} replaces {theirs} of {path}"))
    };
    scalars(settings, host).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::LinkSettings;

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
        write(".cargo/xtask.local.toml", &settings.text(host, crate::settings::FlagsTable::Target));
        let include = "include = [{ path = \"xtask.local.toml\", optional = true }]\n";
        let keys = |theirs: &str, variables: &[(&str, &str)]| {
            write(".cargo/config.toml", &format!("{include}{theirs}"));
            let mut environment: Environment =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            environment.set("CARGO_HOME", dir.path().join("home").as_str());
            let config = CargoConfig::load(dir.path(), &environment);
            let found = overruled(&settings, &ours, host, &config, &environment);
            found.into_iter().map(|one| format!("{} by {}", one.key, one.by())).collect::<Vec<_>>()
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
        // What our setting replaces there is reported.
        let mut environment = Environment::default();
        environment.set("CARGO_HOME", dir.path().join("home").as_str());
        let config = CargoConfig::load(dir.path(), &environment);
        let home = dir.path().join("home/config.toml");
        assert_eq!(
            replaced(&settings, &ours, host, &config),
            [format!("in this workspace, build.rustc-wrapper = /usr/bin/sccache replaces other of {home}")]
        );
    }
}
