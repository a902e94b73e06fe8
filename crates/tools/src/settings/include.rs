//! What the local file needs around it: that cargo's configuration includes it, in each of the forms that cargo takes,
//! and that git ignores it.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{DocumentMut, Item, TableLike, Value};
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
    let named = named(config);
    match config.value(&["include"]) {
        _ if named == Some(Optional::Yes) => Ok(()),
        None if config.contains(&["include"]) => bail!(
            "it has [[include]] tables, which are not edited; add one with `path = \"{LOCAL_FILE}\"` and \
             `optional = true`"
        ),
        None => config.set(&["include"], &format!("[{ours}]")),
        Some(Value::Array(_)) if named.is_none() => config.push(&["include"], &ours),
        Some(value) => {
            // An entry of ours that is not optional goes: a checkout without the file could not build.
            let entries = value.as_array().map_or_else(|| vec![&value], |list| list.iter().collect());
            let others = entries.into_iter().filter(|entry| of_value(entry).is_none());
            let others = others.map(|entry| entry.to_string().trim().to_owned());
            let entries = others.chain([ours]).collect::<Vec<_>>().join(", ");
            config.set(&["include"], &format!("[{entries}]"))
        }
    }
}

/// Whether an include may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Optional {
    Yes,
    No,
}

/// How the configuration itself names the local file; `None` if it does not.
fn named(config: &TomlText) -> Option<Optional> {
    let document = config.text().parse::<DocumentMut>().ok()?;
    let include = document.get("include")?;
    if let Some(tables) = include.as_array_of_tables() {
        // They are not edited, so only one that is right already counts.
        return tables.iter().find_map(|table| of_table(table)).filter(|optional| *optional == Optional::Yes);
    }
    match include.as_value()? {
        Value::Array(list) => list.iter().find_map(of_value),
        value => of_value(value),
    }
}

fn of_value(entry: &Value) -> Option<Optional> {
    match entry.as_str() {
        Some(path) => is_local_file(path).then_some(Optional::No),
        None => of_table(entry.as_inline_table()?),
    }
}

fn of_table(entry: &dyn TableLike) -> Option<Optional> {
    let optional = entry.get("optional").and_then(Item::as_bool) == Some(true);
    let optional = if optional { Optional::Yes } else { Optional::No };
    is_local_file(entry.get("path")?.as_str()?).then_some(optional)
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
    if named(&toml).is_some() || !around.included {
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
        Some(Node::File(bytes)) => bytes,
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
        Some(Node::File(bytes)) => {
            String::from_utf8(bytes.clone()).with_context(|| format!("{} is not UTF-8", root.join(path)))?
        }
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
            assert_eq!(named(&config), Some(Optional::Yes), "{before}");
            add_include(&mut config).unwrap();
            assert_eq!(config.text().trim(), after, "a second time: {before}");
        }
        let mut tables = TomlText::parse("[[include]]\npath = \"xtask.local.toml\"\n").unwrap();
        assert!(add_include(&mut tables).is_err(), "a checkout without the file could not build");
    }
}
