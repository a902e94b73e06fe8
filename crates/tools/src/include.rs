//! Cargo's `include` of the settings of this machine: read and extended in each of the forms that cargo takes.

use anyhow::{Result, bail};
use toml_edit::Value;
use xtask_edit::TomlText;
use xtask_workspace::CargoVersion;

use crate::local::LOCAL_FILE;

/// Since then an `include` may be optional (cargo's changelog).
const INCLUDES_SINCE: (u32, u32) = (1, 94);

/// Whether this cargo takes an optional include.
pub fn includes(cargo: CargoVersion) -> bool {
    cargo.release >= INCLUDES_SINCE
}

/// Has cargo's configuration in `config` include the local file, if it is there. Fails where its include cannot be
/// extended by an entry.
pub fn add_include(config: &mut TomlText) -> Result<()> {
    let ours = format!("{{ path = \"{LOCAL_FILE}\", optional = true }}");
    match config.value(&["include"]) {
        None if config.contains(&["include"]) => {
            if tables_include_local_file(config.text()) {
                return Ok(());
            }
            bail!(
                "it has [[include]] tables, to which none is added; add one with `path = \"{LOCAL_FILE}\"` and \
                 `optional = true`"
            )
        }
        None => config.set(&["include"], &format!("[{ours}]")),
        Some(Value::Array(list)) => match list.iter().find(|include| names_local_file(include)) {
            Some(include) if is_optional(include) => Ok(()),
            // Whoever has no such file could not build.
            Some(_) => {
                let entry = |include: &Value| {
                    if names_local_file(include) {
                        ours.clone()
                    } else {
                        include.to_string().trim().to_owned()
                    }
                };
                let entries = list.iter().map(entry).collect::<Vec<_>>().join(", ");
                config.set(&["include"], &format!("[{entries}]"))
            }
            None => config.push(&["include"], &ours),
        },
        Some(value) if names_local_file(&value) && is_optional(&value) => Ok(()),
        Some(value) if names_local_file(&value) => config.set(&["include"], &format!("[{ours}]")),
        Some(one) => config.set(&["include"], &format!("[{}, {ours}]", one.to_string().trim())),
    }
}

/// Whether the configuration itself names the local file.
pub(crate) fn names_it(config: &TomlText) -> bool {
    match config.value(&["include"]) {
        None => tables_include_local_file(config.text()),
        Some(Value::Array(list)) => list.iter().any(names_local_file),
        Some(value) => names_local_file(&value),
    }
}

/// Whether one of the `[[include]]` tables names the local file as one that may be missing.
fn tables_include_local_file(config: &str) -> bool {
    let Ok(document) = config.parse::<toml_edit::DocumentMut>() else { return false };
    let tables = document.get("include").and_then(toml_edit::Item::as_array_of_tables);
    tables.into_iter().flatten().any(|table| {
        let path = table.get("path").and_then(toml_edit::Item::as_str);
        let optional = table.get("optional").and_then(toml_edit::Item::as_bool);
        path.is_some_and(is_local_file) && optional == Some(true)
    })
}

fn names_local_file(include: &Value) -> bool {
    let path = include.as_str().or_else(|| include.as_inline_table()?.get("path")?.as_str());
    path.is_some_and(is_local_file)
}

fn is_optional(include: &Value) -> bool {
    include.as_inline_table().and_then(|table| table.get("optional")?.as_bool()) == Some(true)
}

/// Paths are relative to the file that includes them.
fn is_local_file(path: &str) -> bool {
    path.trim_start_matches("./") == LOCAL_FILE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_include_needs_cargo_1_94() {
        for (release, does) in [((1, 89), false), ((1, 93), false), ((1, 94), true), ((2, 0), true)] {
            assert_eq!(includes(CargoVersion { release, nightly: false }), does, "{release:?}");
        }
    }

    #[test]
    fn each_form_gets_one_optional_entry() {
        let ours = "{ path = \"xtask.local.toml\", optional = true }";
        // what is included, and what is then
        let table = [
            ("", format!("include = [{ours}]")),
            ("include = []", format!("include = [{ours}]")),
            ("include = [\"a.toml\"]", format!("include = [\"a.toml\", {ours}]")),
            ("include = [\"xtask.local.toml\"]", format!("include = [{ours}]")),
            (
                "include = [\"a.toml\", { path = \"./xtask.local.toml\" }]",
                format!("include = [\"a.toml\", {ours}]"),
            ),
            (
                "include = [{ path = \"./xtask.local.toml\", optional = true }]",
                "include = [{ path = \"./xtask.local.toml\", optional = true }]".to_owned(),
            ),
            (
                "[[include]]\npath = \"xtask.local.toml\"\noptional = true",
                "[[include]]\npath = \"xtask.local.toml\"\noptional = true".to_owned(),
            ),
        ];
        for (before, after) in table {
            let mut config = TomlText::parse(before).unwrap();
            add_include(&mut config).unwrap();
            assert_eq!(config.text().trim(), after, "{before}");
            assert!(names_it(&config), "{before}");
            add_include(&mut config).unwrap();
            assert_eq!(config.text().trim(), after, "a second time: {before}");
        }
        let mut tables = TomlText::parse("[[include]]\npath = \"xtask.local.toml\"\n").unwrap();
        assert!(add_include(&mut tables).is_err(), "whoever has no such file could not build");
    }
}
