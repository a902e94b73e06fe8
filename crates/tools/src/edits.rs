//! The changes of a user's files: the local file, the include and the `.gitignore` line that it needs, the safe fixes of
//! `doctor`, and undoing all of that. Tools stay: other workspaces may use them.
//!
//! Each change is one transaction, and keeps every other byte.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use toml_edit::Value;
use xtask_edit::{Edit, Kept, Node, Reversal, TomlText, Transaction, UndoPlan, extend, pending, plan_undo};
use xtask_files::{Durability, write_atomic};
use xtask_workspace::{
    CargoConfig, CargoVersion, Environment, LOCAL_FILE, OWN_FOLDER, is_ignored, local_file,
};

use crate::settings::HEADER;

/// The record of what `setup` is to undo. It is in a folder of our own, which git ignores, and not below the target dir:
/// `cargo clean` must not remove it.
const RECORD: &str = "undo.json";
/// The `.gitignore` of that folder: git ignores it, and no file of the user's changes.
const IGNORES_ITSELF: &str = "*\n";

/// Whether this cargo supports optional includes (cargo's changelog).
pub fn includes(cargo: CargoVersion) -> bool {
    cargo.release >= (1, 94)
}

/// Where cargo reads the workspace's own configuration, relative to its root; the name without extension is the
/// stronger one where both exist.
pub(crate) fn config_file(root: &Utf8Path) -> Utf8PathBuf {
    let old = Utf8PathBuf::from(".cargo/config");
    if root.join(&old).is_file() { old } else { ".cargo/config.toml".into() }
}

fn local_path() -> Utf8PathBuf {
    Utf8Path::new(".cargo").join(LOCAL_FILE)
}

/// Makes git ignore our own folder.
pub(crate) fn ignore_own_folder(root: &Utf8Path) -> Result<()> {
    write_atomic(&root.join(OWN_FOLDER).join(".gitignore"), IGNORES_ITSELF, Durability::Cache)
}

/// Makes cargo's configuration in `config` include the local file as an optional file. Fails if its `include` cannot be
/// extended by an entry.
pub fn add_include(config: &mut TomlText) -> Result<()> {
    let list = match config.value(&["include"]) {
        None if config.contains(&["include"]) => bail!(
            "it has [[include]] tables, which are not edited; add one with `path = \"{LOCAL_FILE}\"` and \
             `optional = true`"
        ),
        list => list.unwrap_or_else(|| Value::Array(toml_edit::Array::new())),
    };
    for entry in list.as_array().context("`include` is not a list")? {
        let table = entry.as_inline_table();
        let path = entry.as_str().or_else(|| table?.get("path")?.as_str());
        // Paths are relative to the file that includes them.
        if path.is_some_and(|path| path.trim_start_matches("./") == LOCAL_FILE) {
            if table.and_then(|table| table.get("optional")?.as_bool()) == Some(true) {
                return Ok(());
            }
            bail!(
                "it includes {LOCAL_FILE}, which only exists after a setup, without `optional = true`; add that"
            );
        }
    }
    config.push(&["include"], &format!("{{ path = \"{LOCAL_FILE}\", optional = true }}"))
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Around {
    pub(crate) ignored: bool,
    /// Whether any file of cargo's configuration includes it; twice is an error of cargo's.
    pub(crate) included: bool,
}

impl Around {
    pub(crate) fn of(root: &Utf8Path, config: &CargoConfig, environment: &Environment) -> Self {
        let local = local_file(root);
        Self {
            ignored: is_ignored(root, &local, environment),
            // Paths compare by their parts: `./` in an include is no difference.
            included: config.paths().any(|path| path == local),
        }
    }
}

/// A change that is safe to make. Paths are relative to the workspace's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SafeFix {
    /// Cargo's configuration includes the settings of this machine, if they exist.
    Include,
    /// Git ignores them.
    Ignore,
    /// A key is removed from a TOML file, so that the same key of a weaker file counts.
    RemoveKey { file: Utf8PathBuf, key: Vec<String> },
    /// What only a machine can have goes from the committed configuration into the settings of this machine.
    MoveToLocal,
    /// A string in cargo's configuration becomes a list: cargo joins lists, and refuses to join a list with a string.
    List { key: Vec<String> },
}

impl std::fmt::Display for SafeFix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Include => write!(f, "cargo's configuration includes {LOCAL_FILE}"),
            Self::Ignore => write!(f, ".gitignore has /.cargo/{LOCAL_FILE}"),
            Self::RemoveKey { file, key } => write!(f, "{} is removed from {file}", key.join(".")),
            Self::MoveToLocal => write!(f, "what only a machine can have is in {LOCAL_FILE}"),
            Self::List { key } => write!(f, "{} is a list", key.join(".")),
        }
    }
}

/// `fixes` as changes of files, one for each file.
pub(crate) fn edits<'a>(root: &Utf8Path, fixes: impl IntoIterator<Item = &'a SafeFix>) -> Result<Vec<Edit>> {
    let mut edits = Vec::<Edit>::new();
    for fix in fixes {
        let path = match fix {
            SafeFix::Ignore => ".gitignore".into(),
            SafeFix::RemoveKey { file, .. } => file.clone(),
            SafeFix::Include | SafeFix::List { .. } => config_file(root),
            SafeFix::MoveToLocal => continue,
        };
        if !edits.iter().any(|edit| edit.path == path) {
            let before = Node::read(&root.join(&path))?;
            edits.push(Edit { path: path.clone(), after: before.clone(), before });
        }
        let Some(Edit { after, .. }) = edits.iter_mut().find(|edit| edit.path == path) else { continue };
        let old = match after {
            None => &[][..],
            Some(Node::File(bytes)) => bytes,
            Some(Node::Folder(_)) => bail!("{} is a folder", root.join(&path)),
        };
        let new = fixed(fix, old).with_context(|| format!("failed to change {}", root.join(&path)))?;
        *after = Some(Node::file(new));
    }
    edits.retain(|edit| !edit.is_empty());
    edits.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(edits)
}

fn words(key: &[String]) -> Vec<&str> {
    key.iter().map(String::as_str).collect()
}

fn fixed(fix: &SafeFix, old: &[u8]) -> Result<Vec<u8>> {
    let toml =
        || Ok::<_, anyhow::Error>(TomlText::parse(std::str::from_utf8(old).context("it is not UTF-8")?)?);
    let toml = match fix {
        // It need not be UTF-8.
        SafeFix::Ignore => {
            let line = format!("/.cargo/{LOCAL_FILE}");
            if old.split(|byte| *byte == b'\n').any(|known| known.trim_ascii() == line.as_bytes()) {
                return Ok(old.to_owned());
            }
            let end: &[u8] = if old.is_empty() || old.ends_with(b"\n") { b"" } else { b"\n" };
            return Ok([old, end, line.as_bytes(), b"\n"].concat());
        }
        SafeFix::Include => {
            let mut toml = toml()?;
            add_include(&mut toml)?;
            toml
        }
        SafeFix::RemoveKey { key, .. } => {
            let mut toml = toml()?;
            toml.remove(&words(key))?;
            toml
        }
        SafeFix::MoveToLocal => return Ok(old.to_owned()),
        SafeFix::List { key } => {
            let (mut toml, key) = (toml()?, words(key));
            if let Some(text) = toml.value(&key).as_ref().and_then(Value::as_str) {
                let words = text.split_whitespace().map(|word| Value::from(word).to_string());
                toml.set(&key, &format!("[{}]", words.collect::<Vec<_>>().join(", ")))?;
            }
            toml
        }
    };
    Ok(toml.text().into())
}

/// The edits that make `text` this machine's settings: the local file, the include, and the line in `.gitignore`. `flags` is
/// the key of our rustflags, if there are any.
pub(crate) fn local_edits(
    root: &Utf8Path,
    text: Option<&str>,
    flags: Option<Vec<String>>,
    around: Around,
) -> Result<Vec<Edit>> {
    let local = local_edit(root, text.unwrap_or_default().to_owned())?;
    let mut edits = vec![Edit { after: local.after.filter(|_| text.is_some()), ..local }];
    if text.is_some() {
        let include = (!around.included).then_some(SafeFix::Include);
        let ignore = (!around.ignored).then_some(SafeFix::Ignore);
        let list = flags.map(|key| SafeFix::List { key });
        edits.extend(self::edits(root, [include, list, ignore].iter().flatten())?);
    }
    edits.retain(|edit| !edit.is_empty());
    Ok(edits)
}

/// `settings` as the content of the local file.
pub(crate) fn local_edit(root: &Utf8Path, text: String) -> Result<Edit> {
    let path = local_path();
    let before = Node::read(&root.join(&path))?;
    if before.as_ref().is_some_and(|node| !is_ours(node)) {
        bail!("{} was not written by `cargo xtask setup`; move its content elsewhere", root.join(&path));
    }
    Ok(Edit { path, before, after: Some(Node::file(text)) })
}

/// Whether a file is one that `setup` wrote.
fn is_ours(node: &Node) -> bool {
    matches!(node, Node::File(bytes) if bytes.starts_with(HEADER.as_bytes()))
}

/// Makes `edits`, with a record for [`SetupUndo`]; takes them back if `check` fails.
pub(crate) fn commit(
    transaction: &Transaction,
    root: &Utf8Path,
    edits: &[Edit],
    check: impl FnOnce() -> Result<()>,
) -> Result<()> {
    commit_recorded(transaction, root, RECORD, edits, check)
}

/// Makes `edits`, with a record of this name for [`plan_recorded_undo`]; takes them back if `check` fails.
pub fn commit_recorded(
    transaction: &Transaction,
    root: &Utf8Path,
    name: &str,
    edits: &[Edit],
    check: impl FnOnce() -> Result<()>,
) -> Result<()> {
    transaction.commit(&[edits.to_vec(), record(root, name, edits)?].concat(), check)
}

/// The record of this name of how to undo `edits`, which are about to be made below `root`, as edits for the same transaction. Each file
/// is recorded once, with its first state; the local file is ours and needs no record.
fn record(root: &Utf8Path, name: &str, edits: &[Edit]) -> Result<Vec<Edit>> {
    let recorded = edits.iter().filter(|edit| edit.path != local_path()).cloned().collect::<Vec<_>>();
    let record = extend(read(root, name)?, &recorded, root, |_| false)?;
    if record.is_empty() {
        return Ok(Vec::new());
    }
    let json = serde_json::to_string_pretty(&record).context("failed to write JSON")? + "\n";
    let own = |(name, text): (&str, String)| {
        let path = Utf8Path::new(OWN_FOLDER).join(name);
        Ok(Edit { before: Node::read(&root.join(&path))?, path, after: Some(Node::file(text)) })
    };
    [(".gitignore", IGNORES_ITSELF.to_owned()), (name, json)].into_iter().map(own).collect()
}

fn read(root: &Utf8Path, name: &str) -> Result<Vec<Reversal>> {
    let path = root.join(OWN_FOLDER).join(name);
    match Node::read(&path)? {
        Some(Node::File(json)) => serde_json::from_slice(&json).with_context(|| {
            format!("failed to read {path}, which says how changes are undone; remove it to continue without")
        }),
        _ => Ok(Vec::new()),
    }
}

/// How to undo what [`commit_recorded`] did under this name, the record itself included.
pub fn plan_recorded_undo(root: &Utf8Path, name: &str) -> Result<UndoPlan> {
    let mut plan = plan_undo(root, &read(root, name)?)?;
    let own = Utf8Path::new(OWN_FOLDER);
    plan.edits.push(removed(root, own.join(name))?);
    // Git keeps ignoring tools that are beside it.
    let entries = root.join(own).read_dir_utf8().into_iter().flatten().flatten();
    if entries.into_iter().all(|entry| [name, ".gitignore"].contains(&entry.file_name())) {
        plan.edits.push(removed(root, own.join(".gitignore"))?);
    }
    plan.edits.retain(|edit| !edit.is_empty());
    Ok(plan)
}

fn removed(root: &Utf8Path, path: Utf8PathBuf) -> Result<Edit> {
    Ok(Edit { before: Node::read(&root.join(&path))?, path, after: None })
}

/// What undoing a setup would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupUndo {
    pub edits: Vec<Edit>,
    pub kept: Vec<Kept>,
    /// Whether a setup was killed, whose changes are undone first.
    pub interrupted: bool,
    root: Utf8PathBuf,
}

impl SetupUndo {
    pub fn plan(root: &Utf8Path) -> Result<Self> {
        let back = plan_recorded_undo(root, RECORD)?;
        let (mut edits, mut kept) = (vec![removed(root, local_path())?], back.kept);
        if edits[0].before.as_ref().is_some_and(|node| !is_ours(node)) {
            edits.clear();
            kept.push(Kept { path: local_path(), why: "was not written by `cargo xtask setup`".to_owned() });
        }
        edits.extend(back.edits);
        edits.retain(|edit| !edit.is_empty());
        Ok(Self { edits, kept, interrupted: pending(root), root: root.to_owned() })
    }

    /// Returns what was done.
    pub fn execute(self) -> Result<Self> {
        let (transaction, recovered) = Transaction::begin(&self.root)?;
        // The changes of a killed setup were undone just now.
        let plan = if recovered.is_some() { Self::plan(&self.root)? } else { self };
        if !plan.edits.is_empty() {
            transaction.commit(&plan.edits, || Ok(()))?;
        }
        for folder in [OWN_FOLDER, ".cargo"] {
            // A folder that is not empty stays.
            let _ = std::fs::remove_dir(plan.root.join(folder));
        }
        Ok(plan)
    }

    /// The files of the user's that change, relative to the root: not our own record.
    pub fn changed(&self) -> impl Iterator<Item = &Edit> {
        self.edits.iter().filter(|edit| !edit.path.starts_with(OWN_FOLDER))
    }
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
            (
                "include = [{ path = \"./xtask.local.toml\", optional = true }]",
                "include = [{ path = \"./xtask.local.toml\", optional = true }]".to_owned(),
            ),
        ];
        for (before, after) in table {
            let mut config = TomlText::parse(before).unwrap();
            add_include(&mut config).unwrap();
            assert_eq!(config.text().trim(), after, "{before}");
            add_include(&mut config).unwrap();
            assert_eq!(config.text().trim(), after, "a second time: {before}");
        }
        for other in ["[[include]]\npath = \"a.toml\"\n", "include = [\"./xtask.local.toml\"]\n"] {
            assert!(add_include(&mut TomlText::parse(other).unwrap()).is_err(), "{other}");
        }
    }

    #[test]
    fn each_fix_changes_what_it_means_and_no_other_byte() {
        let remove = |key: &[&str]| SafeFix::RemoveKey {
            file: ".cargo/config.toml".into(),
            key: key.iter().map(|part| (*part).to_owned()).collect(),
        };
        let include = format!("include = [{{ path = \"{LOCAL_FILE}\", optional = true }}]\n");
        let table = [
            (
                SafeFix::Include,
                "# mine\n[build] # b\njobs = 2\n",
                format!("{include}\n# mine\n[build] # b\njobs = 2\n"),
            ),
            (SafeFix::Ignore, "/target", format!("/target\n/.cargo/{LOCAL_FILE}\n")),
            (SafeFix::Ignore, "", format!("/.cargo/{LOCAL_FILE}\n")),
            (
                remove(&["build", "jobs"]),
                "[build]\r\njobs = 4 # four\r\ntarget-dir='x'\r\n",
                "[build]\r\ntarget-dir='x'\r\n".to_owned(),
            ),
            (
                remove(&["target", "x86_64-unknown-linux-gnu", "linker"]),
                "target.x86_64-unknown-linux-gnu.linker = 'gcc'\nbuild.jobs = 1\n",
                "build.jobs = 1\n".to_owned(),
            ),
        ];
        for (fix, before, after) in table {
            assert_eq!(fixed(&fix, before.as_bytes()).unwrap(), after.as_bytes(), "{fix}");
        }
    }

    #[test]
    fn several_fixes_of_one_file_are_one_edit() {
        let dir = xtask_testkit::TempDir::new("doctor-fixes");
        dir.write(".cargo/config.toml", "[build]\njobs = 4\nrustc-wrapper = \"x\"\n");
        let remove = |key: &str| SafeFix::RemoveKey {
            file: ".cargo/config.toml".into(),
            key: vec!["build".into(), key.into()],
        };
        let (jobs, wrapper) = (remove("jobs"), remove("rustc-wrapper"));
        let edits = edits(dir.path(), [&SafeFix::Include, &jobs, &wrapper, &SafeFix::Ignore]).unwrap();
        let paths = edits.iter().map(|edit| edit.path.as_str()).collect::<Vec<_>>();
        assert_eq!(paths, [".cargo/config.toml", ".gitignore"]);
        let Some(Node::File(file)) = &edits[0].after else { panic!("{edits:?}") };
        let text = String::from_utf8(file.clone()).unwrap();
        assert!(text.starts_with("include = [") && text.ends_with("[build]\n"), "{text}");
    }
}
