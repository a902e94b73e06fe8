//! The fixes that are safe to make: each changes one thing, and every other byte stays.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use xtask_edit::{Edit, Node, TomlText, Transaction};
use xtask_files::lock_exclusive;
use xtask_workspace::Workspace;

use super::DoctorReport;
use crate::settings::{LOCAL_FILE, add_include, config_file, read, record, with_line};

/// A change that is safe to make. Paths are relative to the workspace's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SafeFix {
    /// Cargo's configuration includes the settings of this machine, if they are there.
    Include,
    /// Git ignores them.
    Ignore,
    /// A key is removed from a TOML file, so that the same key of a weaker file counts.
    RemoveKey {
        /// The file.
        file: Utf8PathBuf,
        /// The key, part by part.
        key: Vec<String>,
    },
}

impl std::fmt::Display for SafeFix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Include => write!(f, "cargo's configuration includes {LOCAL_FILE}"),
            Self::Ignore => write!(f, ".gitignore has /.cargo/{LOCAL_FILE}"),
            Self::RemoveKey { file, key } => write!(f, "{} is gone from {file}", key.join(".")),
        }
    }
}

/// What a fix has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// What is true now, one line each.
    pub done: Vec<String>,
    /// The changes.
    pub edits: Vec<Edit>,
}

/// Makes every safe fix of `report`: all of them, or none. `cargo xtask setup --undo` takes them back.
pub fn fix(workspace: &Workspace, report: &DoctorReport) -> Result<Fixed> {
    let fixes = report.safe_fixes();
    if fixes.is_empty() {
        return Ok(Fixed { done: Vec::new(), edits: Vec::new() });
    }
    let (root, state_dir) = (workspace.root(), workspace.state_dir().join("setup"));
    // A setup that runs now changes the same files.
    let _lock = lock_exclusive(&state_dir.join("lock"))?;
    let edits = edits(root, &fixes)?;
    let (transaction, _) = Transaction::begin(root)?;
    let all = [edits.clone(), record(root, &edits)?].concat();
    transaction.commit(&all, || Ok(())).context("failed to fix")?;
    Ok(Fixed { done: fixes.iter().map(ToString::to_string).collect(), edits })
}

/// The fixes as changes of files, one for each file.
fn edits(root: &Utf8Path, fixes: &[&SafeFix]) -> Result<Vec<Edit>> {
    let mut texts = BTreeMap::<Utf8PathBuf, (Option<Node>, String)>::new();
    for fix in fixes {
        let path = match fix {
            SafeFix::Include => config_file(root),
            SafeFix::Ignore => ".gitignore".into(),
            SafeFix::RemoveKey { file, .. } => file.clone(),
        };
        if !texts.contains_key(&path) {
            texts.insert(path.clone(), read(root, &path)?);
        }
        let Some((_, text)) = texts.get_mut(&path) else { continue };
        *text = fixed(fix, text).with_context(|| format!("failed to change {}", root.join(&path)))?;
    }
    let edit = |(path, (before, text))| Edit { path, before, after: Some(Node::file(text)) };
    Ok(texts.into_iter().map(edit).filter(|edit| !edit.is_empty()).collect())
}

/// The text of a file after a fix.
fn fixed(fix: &SafeFix, text: &str) -> Result<String> {
    if *fix == SafeFix::Ignore {
        let line = format!("/.cargo/{LOCAL_FILE}");
        let Some(Node::File(file)) = with_line(Some(&Node::file(text)), &line) else {
            bail!(".gitignore is not a file");
        };
        return String::from_utf8(file).context("it is not UTF-8");
    }
    let mut toml = TomlText::parse(text)?;
    if let SafeFix::RemoveKey { key, .. } = fix {
        let key = key.iter().map(String::as_str).collect::<Vec<_>>();
        toml.remove(&key)?;
    } else {
        add_include(&mut toml)?;
    }
    Ok(toml.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(fixed(&fix, before).unwrap(), after, "{fix}");
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
        let edits = edits(dir.path(), &[&SafeFix::Include, &jobs, &wrapper, &SafeFix::Ignore]).unwrap();
        let paths = edits.iter().map(|edit| edit.path.as_str()).collect::<Vec<_>>();
        assert_eq!(paths, [".cargo/config.toml", ".gitignore"]);
        let Some(Node::File(file)) = &edits[0].after else { panic!("{edits:?}") };
        let text = String::from_utf8(file.clone()).unwrap();
        assert!(text.starts_with("include = [") && text.ends_with("[build]\n"), "{text}");
    }
}
