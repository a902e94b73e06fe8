//! Cargo's configuration files, read for the few settings that must be known before cargo is asked, and digested whole as
//! part of every cache key.
//!
//! Cargo stays the authority: what is read here is either checked against its answer (the target dir) or only chained to
//! (a runner, a wrapper).

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{DocumentMut, Item, TableLike, Value};

use crate::Environment;
use crate::environment::cargo_home;

/// The configuration files in force in a folder, the strongest first.
#[derive(Debug, Default)]
pub struct CargoConfig {
    files: Vec<ConfigFile>,
    /// The files read and those they include, which may not exist.
    looked_at: Vec<Utf8PathBuf>,
}

#[derive(Debug)]
struct ConfigFile {
    path: Utf8PathBuf,
    /// Paths in the file are relative to the parent of its folder.
    base: Utf8PathBuf,
    document: DocumentMut,
}

impl ConfigFile {
    fn value(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().try_fold(self.document.as_item(), |item, key| item.get(key))?.as_value()
    }

    fn table(&self, name: &str) -> impl Iterator<Item = (&str, &Item)> {
        let table = self.document.get(name).and_then(Item::as_table_like);
        table.into_iter().flat_map(TableLike::iter)
    }
}

impl CargoConfig {
    /// Reads what cargo would read in `dir`: `.cargo/config` or `.cargo/config.toml` there and in every parent, then the
    /// one in cargo's home. Files that do not parse are left out: cargo will report them.
    pub fn load(dir: &Utf8Path, environment: &Environment) -> Self {
        let mut config = Self::default();
        // Of both names, cargo takes the one without extension and warns.
        for names in config_candidates(dir, environment).chunks(2) {
            if let Some(path) = names.iter().find(|path| path.is_file())
                && !config.looked_at.contains(path)
            {
                config.add(path, 0);
            }
        }
        config
    }

    /// Reads one file and what it includes, as cargo does for `--config FILE`.
    pub fn of_file(path: &Utf8Path) -> Self {
        let mut config = Self::default();
        config.add(path, 0);
        config
    }

    /// Reads `--config` arguments, of which a later one is stronger: files, and `KEY=VALUE` with paths relative to `dir`.
    pub fn of_arguments<'a>(arguments: impl DoubleEndedIterator<Item = &'a str>, dir: &Utf8Path) -> Self {
        let mut config = Self::default();
        for argument in arguments.rev() {
            let path = dir.join(argument);
            match argument.parse::<DocumentMut>() {
                Ok(document) if !path.exists() => {
                    config.files.push(ConfigFile { path, base: dir.to_owned(), document });
                }
                _ => config.add(&path, 0),
            }
        }
        config
    }

    /// Adds `path` and then what it includes, which is weaker. `depth` ends a circle of includes.
    fn add(&mut self, path: &Utf8Path, depth: u32) {
        self.looked_at.push(path.to_owned());
        let parsed = std::fs::read_to_string(path).ok().and_then(|text| text.parse::<DocumentMut>().ok());
        let Some(document) = parsed else { return };
        let folder = path.parent().unwrap_or(path);
        let included = include_paths(&document);
        let base = folder.parent().unwrap_or(folder).to_owned();
        self.files.push(ConfigFile { path: path.to_owned(), base, document });
        // A later include is stronger than an earlier one.
        for include in included.iter().rev().filter(|_| depth < 8) {
            self.add(&folder.join(include), depth + 1);
        }
    }

    /// The files read and those they include, which may not exist yet. A cache key must also contain the places where
    /// cargo looks without being told, which [`config_candidates`] lists.
    pub fn paths(&self) -> impl Iterator<Item = &Utf8Path> {
        self.looked_at.iter().map(Utf8PathBuf::as_path)
    }

    fn find(&self, keys: &[&str]) -> Option<(&Value, &ConfigFile)> {
        self.files.iter().find_map(|file| Some((file.value(keys)?, file)))
    }

    /// The files that set a key, with the value there; the strongest first. Of a scalar only the first counts; lists are
    /// joined, the weakest first.
    pub fn set_in<'a>(&'a self, keys: &'a [&str]) -> impl Iterator<Item = (&'a Utf8Path, &'a Value)> {
        self.files.iter().filter_map(move |file| Some((file.path.as_path(), file.value(keys)?)))
    }

    /// The conditions `cfg(…)` and the triples under `[target]` that any file has a table for.
    pub fn targets(&self) -> BTreeSet<String> {
        self.files.iter().flat_map(|file| file.table("target")).map(|(name, _)| name.to_owned()).collect()
    }

    /// A setting that is a string.
    pub fn string(&self, keys: &[&str]) -> Option<String> {
        self.find(keys)?.0.as_str().map(str::to_owned)
    }

    /// A setting that is a path relative to its file's base.
    pub fn path(&self, keys: &[&str]) -> Option<Utf8PathBuf> {
        let (value, file) = self.find(keys)?;
        Some(file.base.join(value.as_str()?))
    }

    /// A setting that names a program and its arguments: a string split at spaces, or a list.
    pub fn program(&self, keys: &[&str]) -> Option<Vec<String>> {
        let (value, file) = self.find(keys)?;
        let mut words = match value.as_str() {
            Some(text) => text.split_whitespace().map(str::to_owned).collect(),
            None => strings(value),
        };
        if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
            *program = file.base.join(&*program).into_string();
        }
        Some(words)
    }

    /// The program that wraps rustc by `build.KEY`, and the variable or file that sets it: a variable wins over every file.
    pub fn wrapper(&self, key: &str, environment: &Environment) -> Option<(String, String)> {
        let variable = key.to_uppercase().replace('-', "_");
        for name in [format!("CARGO_BUILD_{variable}"), variable].iter().rev() {
            // Set but empty means none, whatever the files say.
            if let Some(value) = environment.get_or_empty(name) {
                return (!value.is_empty()).then(|| (value.to_owned(), format!("the variable {name}")));
            }
        }
        let keys = ["build", key];
        let (file, value) = self.set_in(&keys).next()?;
        let value = value.as_str().filter(|value| !value.is_empty())?;
        let path = if value.contains('/') { self.path(&keys)?.into_string() } else { value.to_owned() };
        Some((path, file.to_string()))
    }

    /// `build.target`: one triple or several.
    pub fn build_targets(&self) -> Vec<String> {
        self.find(&["build", "target"]).map(|(value, _)| strings(value)).unwrap_or_default()
    }

    /// Runners under `[target.'cfg(…)']`, by their condition.
    pub fn conditional_runners(&self) -> BTreeMap<String, Vec<String>> {
        let conditions = self.targets().into_iter().filter(|name| name.starts_with("cfg("));
        let runner = |name: String| self.program(&["target", &name, "runner"]).map(|runner| (name, runner));
        conditions.filter_map(runner).collect()
    }

    /// The `[env]` table as cargo sets it, with `relative` values made absolute.
    pub fn env(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for file in self.files.iter().rev() {
            for (name, item) in file.table("env") {
                let value = item.as_str().or_else(|| item.get("value")?.as_str());
                let relative = item.get("relative").and_then(Item::as_bool).unwrap_or(false);
                let absolute =
                    |value| if relative { file.base.join(value).into_string() } else { String::from(value) };
                variables.extend(value.map(|value| (name.to_owned(), absolute(value))));
            }
        }
        variables
    }
}

/// A string, or the strings of a list.
fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.chain([value]).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Every place where cargo looks for a configuration file for `dir`, the strongest first; in each folder two names.
pub fn config_candidates(dir: &Utf8Path, environment: &Environment) -> Vec<Utf8PathBuf> {
    let folders = dir.ancestors().map(|ancestor| ancestor.join(".cargo")).chain(cargo_home(environment));
    folders.flat_map(|folder| [folder.join("config"), folder.join("config.toml")]).collect()
}

/// The variable in which cargo reads `target.TRIPLE.key`, with the key in capitals.
pub fn target_variable(triple: &str, key: &str) -> String {
    format!("CARGO_TARGET_{}_{key}", triple.to_uppercase().replace(['-', '.'], "_"))
}

/// The paths of `include`: a string, a list of strings, or a list of tables with `path`.
fn include_paths(document: &DocumentMut) -> Vec<String> {
    let include = document.get("include");
    let tables = include.and_then(Item::as_array_of_tables).into_iter().flatten();
    let tables = tables.filter_map(|table| table.get("path")?.as_str());
    let values = include.and_then(Item::as_value).into_iter();
    let values = values.flat_map(|value| value.as_array().into_iter().flatten().chain([value]));
    let values =
        values.filter_map(|value| value.as_str().or_else(|| value.as_inline_table()?.get("path")?.as_str()));
    tables.chain(values).map(str::to_owned).collect()
}

/// `cfg(…)` conditions, as `[target.'cfg(unix)']` has them.
pub mod cfg {
    use std::collections::BTreeSet;

    use camino::Utf8Path;

    use crate::{Call, Environment};

    /// What the rustc that is used in `dir` says of `triple`: `unix`, `target_os="linux"` and the like. Nothing when it
    /// cannot be asked.
    pub fn settings(dir: &Utf8Path, environment: &Environment, triple: &str) -> BTreeSet<String> {
        let rustc = environment.get("RUSTC").unwrap_or("rustc");
        let call = Call::new(dir, rustc, ["--print", "cfg", "--target", triple]);
        let output = call.to_command(environment).output();
        let answer = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
        String::from_utf8_lossy(&answer.unwrap_or_default()).lines().map(str::to_owned).collect()
    }

    /// Whether `condition` (`cfg(all(unix, not(target_os = "macos")))`) holds under `settings`. One that cannot be read
    /// holds nowhere; cargo itself refuses it.
    pub fn holds(condition: &str, settings: &BTreeSet<String>) -> bool {
        // No value of a target has a space in it.
        let condition = condition.split_whitespace().collect::<String>();
        let mut rest = condition.strip_prefix("cfg(").unwrap_or_default();
        evaluate(&mut rest, settings) == Some(true) && rest == ")"
    }

    /// Evaluates the expression at the front of `text` and removes it there; `None` when it cannot be read.
    fn evaluate(text: &mut &str, settings: &BTreeSet<String>) -> Option<bool> {
        let word = &text[..text.find(['(', ')', ',']).unwrap_or(text.len())];
        *text = &text[word.len()..];
        if !text.starts_with('(') {
            let known = word == "true" || settings.contains(word);
            return (!word.is_empty()).then_some(known);
        }
        let mut values = Vec::new();
        // `all()` is empty, and a comma may end the list.
        while !text.starts_with(')') {
            *text = text.strip_prefix(['(', ','])?;
            if !text.starts_with(')') {
                values.push(evaluate(text, settings)?);
            }
        }
        *text = &text[1..];
        match (word, values.as_slice()) {
            ("all", values) => Some(values.iter().all(|value| *value)),
            ("any", values) => Some(values.iter().any(|value| *value)),
            ("not", [value]) => Some(!value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_testkit::TempDir;

    #[test]
    fn the_wrapper_is_the_one_that_cargo_takes() {
        let dir = xtask_testkit::TempDir::new("doctor-wrapper");
        dir.write(".cargo/config.toml", "[build]\nrustc-wrapper = \"bin/wrap\"\n");
        let in_file = dir.path().join("bin/wrap").into_string();
        // variables, the wrapper
        let table = [
            (&[][..], Some(in_file.as_str())),
            (&[("RUSTC_WRAPPER", "one"), ("CARGO_BUILD_RUSTC_WRAPPER", "two")], Some("one")),
            (&[("CARGO_BUILD_RUSTC_WRAPPER", "two")], Some("two")),
            (&[("RUSTC_WRAPPER", "")], None),
        ];
        for (variables, expected) in table {
            let mut environment = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<Environment>();
            environment.set("CARGO_HOME", dir.path().join("home").as_str());
            let config = CargoConfig::load(dir.path(), &environment);
            let found = config.wrapper("rustc-wrapper", &environment);
            assert_eq!(found.map(|(program, _)| program).as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn the_nearest_file_wins_includes_are_weaker_and_paths_are_made_absolute() {
        let dir = TempDir::new("cargo-config");
        dir.write("home/config.toml", "[build]\ntarget-dir = \"home-target\"\nrustc-wrapper = \"sccache\"\n");
        dir.write(
            "ws/.cargo/config.toml",
            "include = [{ path = \"local.toml\", optional = true }]\n[build]\ntarget = [\"a\", \"b\"]\n\
             [env]\nPLAIN = \"1\"\nHERE = { value = \"data\", relative = true }\n\
             [target.'cfg(unix)']\nrunner = [\"tools/run\", \"-q\"]\n",
        );
        dir.write("ws/.cargo/local.toml", "[build]\ntarget-dir = \"out\"\ntarget = \"weaker\"\n");
        let environment =
            [("CARGO_HOME".to_owned(), dir.path().join("home").into_string())].into_iter().collect();

        let config = CargoConfig::load(&dir.path().join("ws/member"), &environment);

        assert_eq!(config.path(&["build", "target-dir"]), Some(dir.path().join("ws/out")));
        assert_eq!(config.build_targets(), ["a", "b"]);
        assert_eq!(config.string(&["build", "rustc-wrapper"]).as_deref(), Some("sccache"));
        assert_eq!(config.env()["PLAIN"], "1");
        assert_eq!(config.env()["HERE"], dir.path().join("ws/data").as_str());
        let runner = &config.conditional_runners()["cfg(unix)"];
        assert_eq!(runner, &[dir.path().join("ws/tools/run").into_string(), "-q".to_owned()]);
        assert_eq!(config.paths().count(), 3);
    }

    #[test]
    fn a_file_that_does_not_parse_is_left_to_cargo_to_report() {
        let dir = TempDir::new("cargo-config-bad");
        dir.write(".cargo/config.toml", "[build\n");
        assert!(CargoConfig::load(dir.path(), &Environment::default()).string(&["build", "x"]).is_none());
    }

    #[test]
    fn conditions_are_read_as_cargo_reads_them() {
        let settings = ["unix", "target_os=\"linux\"", "target_arch=\"x86_64\""];
        let settings = settings.into_iter().map(str::to_owned).collect();
        let table = [
            ("cfg(unix)", true),
            ("cfg(windows)", false),
            ("cfg(target_os = \"linux\")", true),
            ("cfg(all(unix, not(target_os = \"macos\")))", true),
            ("cfg(any(windows, all(unix, target_arch = \"arm\")))", false),
            ("cfg(any(windows, target_arch = \"x86_64\",))", true),
            ("cfg(all())", true),
            ("cfg(any())", false),
            ("cfg(not(unix, windows))", false),
            ("cfg(all(unix)", false),
            ("cfg(unix))", false),
            ("cfg()", false),
            ("x86_64-unknown-linux-gnu", false),
        ];
        for (condition, expected) in table {
            assert_eq!(cfg::holds(condition, &settings), expected, "{condition}");
        }
    }
}
