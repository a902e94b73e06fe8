//! Cargo's configuration files, read for the few settings that must be known before cargo is asked, and
//! digested whole as part of every cache key.
//!
//! Cargo stays the authority: what is read here is either checked against its answer (the target dir) or
//! only chained to (a runner, a wrapper).

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{DocumentMut, Item, Value};

use crate::Environment;

/// The configuration files in force in a folder, the strongest first.
#[derive(Debug, Default)]
pub struct CargoConfig {
    files: Vec<ConfigFile>,
    /// Where files were looked for by name: those above and what they include, which may not exist.
    looked_at: Vec<Utf8PathBuf>,
}

#[derive(Debug)]
struct ConfigFile {
    path: Utf8PathBuf,
    /// Paths in the file are relative to the parent of the folder it lies in.
    base: Utf8PathBuf,
    document: DocumentMut,
}

impl CargoConfig {
    /// Reads what cargo would read in `dir`: `.cargo/config` or `.cargo/config.toml` there and in every
    /// parent, then the one in cargo's home. Files that do not parse are left out: cargo will say so.
    pub fn load(dir: &Utf8Path, environment: &Environment) -> Self {
        let mut config = Self::default();
        let mut seen = BTreeSet::new();
        let homes = cargo_home(environment).into_iter();
        for folder in dir.ancestors().map(|ancestor| ancestor.join(".cargo")).chain(homes) {
            if seen.insert(folder.clone()) {
                // Both names: cargo takes the one without extension and warns.
                for name in ["config", "config.toml"] {
                    let path = folder.join(name);
                    if path.is_file() {
                        config.add(&path, 0);
                        break;
                    }
                }
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

    /// Adds `path` and then what it includes, which is weaker. `depth` ends a circle of includes.
    fn add(&mut self, path: &Utf8Path, depth: u32) {
        self.looked_at.push(path.to_owned());
        let parsed = std::fs::read_to_string(path).ok().and_then(|text| text.parse::<DocumentMut>().ok());
        let Some(document) = parsed else { return };
        let folder = path.parent().unwrap_or(path).to_owned();
        let included =
            include_paths(&document).into_iter().map(|include| folder.join(include)).collect::<Vec<_>>();
        let base = folder.parent().unwrap_or(&folder).to_owned();
        self.files.push(ConfigFile { path: path.to_owned(), base, document });
        if depth < 8 {
            // A later include is stronger than an earlier one.
            for include in included.iter().rev() {
                self.add(include, depth + 1);
            }
        }
    }

    /// The files read and those they include, which may not exist yet. A cache key must also hold the places where
    /// cargo looks by itself, which [`config_candidates`] lists.
    pub fn paths(&self) -> impl Iterator<Item = &Utf8Path> {
        self.looked_at.iter().map(Utf8PathBuf::as_path)
    }

    fn find(&self, keys: &[&str]) -> Option<(&Value, &ConfigFile)> {
        self.files.iter().find_map(|file| {
            let mut item = file.document.as_item();
            for key in keys {
                item = item.get(key)?;
            }
            Some((item.as_value()?, file))
        })
    }

    /// The files that set a key, with the value there; the strongest first. Of a scalar only the first counts; lists
    /// are joined, the weakest first.
    pub fn set_in<'a>(&'a self, keys: &'a [&str]) -> impl Iterator<Item = (&'a Utf8Path, &'a Value)> {
        self.files.iter().filter_map(move |file| {
            let mut item = file.document.as_item();
            for key in keys {
                item = item.get(key)?;
            }
            Some((file.path.as_path(), item.as_value()?))
        })
    }

    /// The files that were read, as they are; the strongest first.
    pub fn documents(&self) -> impl Iterator<Item = (&Utf8Path, &DocumentMut)> {
        self.files.iter().map(|file| (file.path.as_path(), &file.document))
    }

    /// The conditions `cfg(…)` and the triples under `[target]` that any file has a table for.
    pub fn targets(&self) -> BTreeSet<String> {
        let tables = self.files.iter().filter_map(|file| file.document.get("target")?.as_table_like());
        tables.flat_map(|table| table.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()).collect()
    }

    /// A setting that is a string.
    pub fn string(&self, keys: &[&str]) -> Option<String> {
        self.find(keys)?.0.as_str().map(str::to_owned)
    }

    /// A setting that is a path: one with a separator is relative to its config file's base, as cargo has it.
    pub fn path(&self, keys: &[&str]) -> Option<Utf8PathBuf> {
        let (value, file) = self.find(keys)?;
        Some(file.base.join(value.as_str()?))
    }

    /// A setting that names a program and its arguments: a string split at spaces, or a list.
    pub fn program(&self, keys: &[&str]) -> Option<Vec<String>> {
        let (value, file) = self.find(keys)?;
        Some(program_words(value, &file.base))
    }

    /// `build.target`: one triple or several.
    pub fn build_targets(&self) -> Vec<String> {
        match self.find(&["build", "target"]).map(|(value, _)| value) {
            Some(Value::String(triple)) => vec![triple.value().clone()],
            Some(Value::Array(triples)) => {
                triples.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Runners under `[target.'cfg(…)']`, by their condition.
    pub fn conditional_runners(&self) -> BTreeMap<String, Vec<String>> {
        let mut runners = BTreeMap::new();
        for file in &self.files {
            let Some(targets) = file.document.get("target").and_then(Item::as_table_like) else { continue };
            for (condition, settings) in targets.iter().filter(|(name, _)| name.starts_with("cfg(")) {
                if let Some(runner) = settings.get("runner").and_then(Item::as_value) {
                    runners.entry(condition.to_owned()).or_insert_with(|| program_words(runner, &file.base));
                }
            }
        }
        runners
    }

    /// The `[env]` table as cargo sets it: values, with `relative` ones made absolute.
    pub fn env(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for file in &self.files {
            let Some(table) = file.document.get("env").and_then(Item::as_table_like) else { continue };
            for (name, item) in table.iter() {
                let plain = item.as_str();
                let value = plain.or_else(|| item.get("value").and_then(Item::as_str));
                let relative = item.get("relative").and_then(Item::as_bool).unwrap_or(false);
                if let Some(value) = value {
                    let value = if relative { file.base.join(value).into_string() } else { value.to_owned() };
                    variables.entry(name.to_owned()).or_insert(value);
                }
            }
        }
        variables
    }
}

fn program_words(value: &Value, base: &Utf8Path) -> Vec<String> {
    let mut words: Vec<String> = match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        other => other.as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
    };
    if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
        *program = base.join(&*program).into_string();
    }
    words
}

/// Every place where a configuration file may lie for `dir`, existing or not, the strongest first.
pub fn config_candidates(dir: &Utf8Path, environment: &Environment) -> Vec<Utf8PathBuf> {
    let folders = dir.ancestors().map(|ancestor| ancestor.join(".cargo")).chain(cargo_home(environment));
    folders.flat_map(|folder| [folder.join("config"), folder.join("config.toml")]).collect()
}

/// The variable in which cargo reads `target.TRIPLE.key`; the key as it stands there, in capitals.
pub fn target_variable(triple: &str, key: &str) -> String {
    format!("CARGO_TARGET_{}_{key}", triple.to_uppercase().replace(['-', '.'], "_"))
}

/// `CARGO_HOME`, or `.cargo` in the user's home folder.
pub fn cargo_home(environment: &Environment) -> Option<Utf8PathBuf> {
    let explicit = environment.get("CARGO_HOME").map(Utf8PathBuf::from);
    explicit.or_else(|| home(environment).map(|home| home.join(".cargo")))
}

/// The user's home folder.
pub fn home(environment: &Environment) -> Option<Utf8PathBuf> {
    let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    environment.get(variable).map(Utf8PathBuf::from)
}

/// The paths of `include`: a string, a list of strings, or a list of tables with `path`.
fn include_paths(document: &DocumentMut) -> Vec<String> {
    fn path(item: &Value) -> Option<String> {
        item.as_str().or_else(|| item.as_inline_table()?.get("path")?.as_str()).map(str::to_owned)
    }
    match document.get("include") {
        Some(Item::Value(Value::Array(list))) => list.iter().filter_map(path).collect(),
        Some(Item::Value(value)) => path(value).into_iter().collect(),
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter().filter_map(|table| table.get("path")?.as_str()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_testkit::TempDir;

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
        let read = config.documents().map(|(path, _)| path.file_name().unwrap_or_default());
        assert_eq!(read.collect::<Vec<_>>(), ["config.toml", "local.toml", "config.toml"]);
    }

    #[test]
    fn a_file_that_does_not_parse_is_left_to_cargo_to_report() {
        let dir = TempDir::new("cargo-config-bad");
        dir.write(".cargo/config.toml", "[build\n");
        assert!(CargoConfig::load(dir.path(), &Environment::default()).string(&["build", "x"]).is_none());
    }
}
