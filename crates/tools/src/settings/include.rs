//! What the local file needs around it: that cargo's configuration includes it, in each of the forms that cargo takes,
//! and that git ignores it.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::Value;
use xtask_edit::{Edit, Node, TomlText};
use xtask_workspace::{CargoConfig, CargoVersion, Environment, is_ignored};

use super::{LOCAL_FILE, is_ours, local_file};

/// The first cargo with optional includes (cargo's changelog).
const INCLUDES_SINCE: (u32, u32) = (1, 94);

/// Whether this cargo supports optional includes.
pub fn includes(cargo: CargoVersion) -> bool {
    cargo.release >= INCLUDES_SINCE
}

/// Makes cargo's configuration in `config` include the local file as an optional file. Fails if its `include` cannot be
/// extended by an entry.
pub fn add_include(config: &mut TomlText) -> Result<()> {
    let ours = format!("{{ path = \"{LOCAL_FILE}\", optional = true }}");
    match config.value(&["include"]) {
        None if config.contains(&["include"]) => {
            if tables_include_local_file(config.text()) {
                return Ok(());
            }
            bail!(
                "it has [[include]] tables, which are not edited; add one with `path = \"{LOCAL_FILE}\"` and \
                 `optional = true`"
            )
        }
        None => config.set(&["include"], &format!("[{ours}]")),
        Some(Value::Array(list)) => match list.iter().find(|include| names_local_file(include)) {
            Some(include) if is_optional(include) => Ok(()),
            // Without `optional`, a checkout without the file cannot build.
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

/// Whether one of the `[[include]]` tables names the local file as optional.
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

/// Where cargo reads the workspace's own configuration, relative to its root; the name without extension is the
/// stronger one where both exist.
pub(crate) fn config_file(root: &Utf8Path) -> Utf8PathBuf {
    let old = Utf8PathBuf::from(".cargo/config");
    if root.join(&old).is_file() { old } else { ".cargo/config.toml".into() }
}

/// What is already done for the local file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around {
    /// Whether git ignores it.
    pub(crate) ignored: bool,
    /// Whether any file of cargo's configuration includes it; twice would be an error of cargo's.
    pub(crate) included: bool,
}

impl Around {
    /// Finds out.
    pub(crate) fn of(root: &Utf8Path, config: &CargoConfig, environment: &Environment) -> Self {
        let local = local_file(root);
        Self {
            ignored: is_ignored(root, &local, environment),
            // Paths compare by their parts: `./` in an include is no difference.
            included: config.paths().any(|path| path == local),
        }
    }
}

/// The edits that make `text` this machine's settings in the workspace at `root`: the file itself, the include, and, unless
/// git ignores the file already, a line in `.gitignore`. If `flags` is the key of our rustflags, the workspace's own under
/// that key become a list: cargo joins lists, and refuses to join a list with a string.
pub(crate) fn edits(
    root: &Utf8Path,
    text: Option<&str>,
    flags: Option<&[&str]>,
    around: Around,
) -> Result<Vec<Edit>> {
    let local = Utf8Path::new(".cargo").join(LOCAL_FILE);
    let before = Node::read(&root.join(&local))?;
    if before.as_ref().is_some_and(|node| !is_ours(node)) {
        bail!("{} was not written by `cargo xtask setup`; move its content elsewhere", root.join(&local));
    }
    let mut edits = vec![Edit { path: local.clone(), before, after: text.map(Node::file) }];
    if text.is_none() {
        edits.retain(|edit| !edit.is_empty());
        return Ok(edits);
    }
    let config = config_file(root);
    let (before, old) = read(root, &config)?;
    let mut toml = TomlText::parse(&old).with_context(|| format!("failed to read {}", root.join(&config)))?;
    let named_here = toml.contains(&["include"]) && names_it(&toml);
    if named_here || !around.included {
        add_include(&mut toml).with_context(|| format!("failed to extend {}", root.join(&config)))?;
    }
    let own = flags.and_then(|keys| Some((keys, toml.value(keys)?.as_str()?.to_owned())));
    if let Some((keys, own)) = own {
        let words = own.split_whitespace().map(|word| Value::from(word).to_string()).collect::<Vec<_>>();
        toml.set(keys, &format!("[{}]", words.join(", ")))?;
    }
    edits.push(Edit { path: config, before, after: Some(Node::file(toml.text())) });
    if !around.ignored {
        let path = Utf8PathBuf::from(".gitignore");
        let before = Node::read(&root.join(&path))?;
        let after = with_line(before.as_ref(), &format!("/{local}"));
        edits.push(Edit { path, before, after });
    }
    edits.retain(|edit| !edit.is_empty());
    Ok(edits)
}

/// A file with one more line, unless it has that line; it need not be UTF-8.
pub(crate) fn with_line(file: Option<&Node>, line: &str) -> Option<Node> {
    let old = match file {
        None => &[][..],
        Some(Node::File(file)) => &file.bytes,
        Some(folder) => return Some(folder.clone()),
    };
    if old.split(|byte| *byte == b'\n').any(|known| known.trim_ascii() == line.as_bytes()) {
        return file.cloned();
    }
    let end: &[u8] = if old.is_empty() || old.ends_with(b"\n") { b"" } else { b"\n" };
    Some(Node::file([old, end, line.as_bytes(), b"\n"].concat()))
}

/// A text file and its text, which is empty if there is no file.
pub(crate) fn read(root: &Utf8Path, path: &Utf8Path) -> Result<(Option<Node>, String)> {
    let node = Node::read(&root.join(path))?;
    let text = match &node {
        Some(Node::File(file)) => String::from_utf8(file.bytes.clone())
            .with_context(|| format!("{} is not UTF-8", root.join(path)))?,
        Some(Node::Folder(_)) => bail!("{} is a folder", root.join(path)),
        None => String::new(),
    };
    Ok((node, text))
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
        assert!(add_include(&mut tables).is_err(), "a checkout without the file could not build");
    }
}
