//! The launcher's folder in another workspace: the launcher itself, the suite behind it, and the place for the
//! workspace's own tasks.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::Value;
use xtask_workspace::{CargoCommand, Environment};

use super::source::{Files, Source};
use crate::record::How;

/// The launcher's version: it stands in the workspace's lock file.
pub(crate) const LAUNCHER_VERSION: &str = "0.1.0";

/// The files that are the suite's, relative to the launcher's folder. `--update` replaces them.
pub(crate) fn own_files(source: &Source, launcher: &str, how: &How) -> Result<Files> {
    let mut files = source.launcher()?;
    let suite = match how {
        How::Vendored { .. } => source.suite()?,
        How::Path { path } => source.without_copy(|name| {
            let path = Value::from(path.join("crates").join(name).into_string());
            format!("{{ path = {path} }}")
        })?,
        How::Git { url, rev } => {
            let [url, rev] = [url, rev].map(|text| Value::from(text.as_str()));
            source.without_copy(|_| format!("{{ git = {url}, rev = {rev} }}"))?
        }
    };
    files.extend(suite.into_iter().map(|(path, bytes)| (Utf8Path::new("suite").join(path), bytes)));
    let texts = [
        ("Cargo.toml", launcher_manifest(launcher)),
        ("README.md", include_str!("../../files/README.md").replace("@URL@", env!("CARGO_PKG_REPOSITORY"))),
        ("src/rustfmt.toml", include_str!("../../files/rustfmt.toml").to_owned()),
        ("suite/rustfmt.toml", include_str!("../../files/rustfmt.toml").to_owned()),
        ("clippy.toml", include_str!("../../files/clippy.toml").to_owned()),
        ("suite/inside/Cargo.toml", include_str!("../../files/inside.toml").replace("@NAME@", launcher)),
        ("suite/inside/main.rs", include_str!("../../files/inside.rs").to_owned()),
        (".gitignore", include_str!("../../files/gitignore").to_owned()),
        (".gitattributes", include_str!("../../files/gitattributes").to_owned()),
    ];
    files.extend(texts.map(|(path, text)| (Utf8PathBuf::from(path), text.into_bytes())));
    Ok(files)
}

fn launcher_manifest(launcher: &str) -> String {
    let text = include_str!("../../files/launcher.toml");
    text.replace("@NAME@", launcher).replace("@VERSION@", LAUNCHER_VERSION)
}

/// The first content of the files that are the workspace's own, relative to the launcher's folder.
pub(crate) fn tasks_files() -> Files {
    let texts = [
        ("tasks/Cargo.toml", include_str!("../../files/tasks.toml")),
        ("tasks/src/main.rs", include_str!("../../files/tasks.rs")),
    ];
    texts.map(|(path, text)| (path.into(), text.as_bytes().to_vec())).into()
}

/// The lock file of the workspace of the suite and the tasks in `files` (relative to the launcher's folder), with
/// the versions that are locked in `seed`. Cargo makes it, in a scratch folder beside this program, so that the
/// first build changes nothing: not in the other workspace, whose configuration may put other sources in the
/// registry's place.
pub(crate) fn suite_lock(files: &Files, seed: &str, environment: &Environment) -> Result<Vec<u8>> {
    let exe = std::env::current_exe().context("failed to find this program's file")?;
    let beside = exe.with_file_name(format!("adopt-{}", std::process::id()));
    let scratch = Scratch(Utf8PathBuf::try_from(beside).context("this program's path is not UTF-8")?);
    for (path, bytes) in
        files.iter().filter(|(path, _)| path.starts_with("suite") || path.starts_with("tasks"))
    {
        scratch.write(path, bytes)?;
    }
    let dir = scratch.0.join("suite");
    scratch.write(Utf8Path::new("suite/Cargo.lock"), seed.as_bytes())?;
    let update = |offline: &[&str]| {
        let args = ["update", "--workspace", "--quiet"].iter().chain(offline).copied();
        let command = CargoCommand::new(&dir, args);
        let output = command.to_command(environment).output();
        output.map(|output| (command, output)).context("failed to start cargo")
    };
    // What was built here is known to this machine. Elsewhere cargo asks the registry.
    let (_, offline) = update(&["--offline"])?;
    if !offline.status.success() {
        let (command, online) = update(&[])?;
        if !online.status.success() {
            let said = String::from_utf8_lossy(&online.stderr);
            anyhow::bail!("failed to lock the suite's dependencies: `{command}`\n{}", said.trim_end());
        }
    }
    let path = dir.join("Cargo.lock");
    std::fs::read(&path).with_context(|| format!("failed to read {path}"))
}

/// A folder that goes when it is dropped.
struct Scratch(Utf8PathBuf);

impl Scratch {
    fn write(&self, path: &Utf8Path, bytes: &[u8]) -> Result<()> {
        xtask_files::write_atomic(&self.0.join(path), bytes, xtask_files::Durability::Cache)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays lies in the clone's target dir, which `cargo clean` empties.
        let _ = xtask_files::remove_dir(&self.0);
    }
}
