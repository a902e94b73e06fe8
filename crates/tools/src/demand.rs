//! Which tools cargo's configuration demands: without them nothing builds in the workspace, whoever uses it.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::Value;
use xtask_workspace::config::{Need, Tool};
use xtask_workspace::{CargoConfig, Environment};

use crate::settings::{of_host, words};

/// What demands a tool, by the tool's name: `rustc-wrapper in .cargo/config.toml`.
pub(crate) type Demands = BTreeMap<String, String>;

/// What the configuration in force at `root` demands of `tools`. The settings of this machine, in `local`, demand nothing:
/// a setup replaces them.
pub(crate) fn demands(
    tools: &[Tool],
    config: &CargoConfig,
    environment: &Environment,
    host: &str,
    (root, local): (&Utf8Path, &Utf8Path),
) -> Demands {
    let mut demands = Demands::new();
    let mut add = |program: &str, key: &str, by: &str| {
        let name = Utf8Path::new(program).file_name().unwrap_or_default();
        let tool =
            tools.iter().find(|tool| tool.programs.iter().any(|other| other == name) || tool.name == name);
        if let Some(tool) = tool.filter(|_| by != local) {
            let by = by.strip_prefix(root.as_str()).map_or(by, |by| by.trim_start_matches('/'));
            demands.entry(tool.name.clone()).or_insert_with(|| format!("{key} in {by}"));
        }
    };
    if let Some((program, by)) = config.wrapper("rustc-wrapper", environment) {
        add(&program, "rustc-wrapper", &by);
    }
    for (key, file, value) in of_target(config, environment, host, root) {
        for word in words(&value) {
            match word.rsplit_once("-fuse-ld=").or_else(|| word.rsplit_once("--ld-path=")) {
                _ if key == "linker" => add(&word, key, file.as_str()),
                // Where rust-lld is the default it answers to this name.
                Some((_, linker)) if linker != "lld" => add(linker, key, file.as_str()),
                _ => {}
            }
        }
    }
    demands
}

/// The linkers and flags that count for programs of the host, with their files: those of `[target]` void those of
/// `[build]`.
fn of_target(
    config: &CargoConfig,
    environment: &Environment,
    host: &str,
    root: &Utf8Path,
) -> Vec<(&'static str, Utf8PathBuf, Value)> {
    let values = |key: &'static str, keys: &[&str]| {
        let set = config.set_in(keys).map(|(file, value)| (key, file.to_owned(), value.clone()));
        set.collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for table in of_host(config.targets(), root, environment, host) {
        for key in ["linker", "rustflags"] {
            found.extend(values(key, &["target", &table, key]));
        }
    }
    if !found.iter().any(|(key, ..)| *key == "rustflags") {
        found.extend(values("rustflags", &["build", "rustflags"]));
    }
    found
}

/// The tool as it is needed where something demands it.
pub(crate) fn as_demanded(tool: &Tool, demands: &Demands) -> Tool {
    let need = if demands.contains_key(&tool.name) { Need::Required } else { tool.need };
    Tool { need, ..tool.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::catalog;

    #[test]
    fn what_a_committed_configuration_cannot_do_without_is_demanded() {
        let host = "x86_64-unknown-linux-gnu";
        let tools = catalog(&[], host).unwrap();
        let target = format!("[target.{host}]\n");
        let mold = "rustflags = [\"-C\", \"link-arg=-fuse-ld=mold\"]\n";
        // the file; the tools, with their keys
        let table: [(String, &[(&str, &str)]); 8] = [
            (String::new(), &[]),
            ("[build]\nrustc-wrapper = \"sccache\"\n".to_owned(), &[("sccache", "rustc-wrapper")]),
            ("[build]\nrustc-wrapper = \"/opt/bin/sccache\"\n".to_owned(), &[("sccache", "rustc-wrapper")]),
            (format!("{target}linker = \"clang\"\n{mold}"), &[("clang", "linker"), ("mold", "rustflags")]),
            (format!("[build]\n{mold}"), &[("mold", "rustflags")]),
            (format!("[build]\n{mold}{target}rustflags = [\"-g\"]\n"), &[]),
            (
                "[target.'cfg(unix)']\nrustflags = \"-Clink-arg=--ld-path=/opt/wild\"\n".to_owned(),
                &[("wild", "rustflags")],
            ),
            (format!("{target}rustflags = [\"-Clink-arg=-fuse-ld=lld\"]\nlinker = \"my-cc\"\n"), &[]),
        ];
        for (text, expected) in table {
            let dir = xtask_testkit::TempDir::new("demands");
            dir.write(".cargo/config.toml", &text);
            let mut environment = Environment::current();
            environment.set("CARGO_HOME", dir.path().join("home").as_str());
            let (config, local) = (CargoConfig::load(dir.path(), &environment), dir.path().join("local"));
            let found = demands(&tools, &config, &environment, host, (dir.path(), &local));
            let expected = expected
                .iter()
                .map(|(tool, key)| ((*tool).to_owned(), format!("{key} in .cargo/config.toml")))
                .collect::<Demands>();
            assert_eq!(found, expected, "{text}");
        }
    }
}
