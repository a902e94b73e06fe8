//! The launcher's folder in another workspace: the launcher itself, the suite behind it, and the place for the
//! workspace's own tasks.

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::Value;
use xtask_files::{Durability, write_atomic};
use xtask_workspace::{CargoCommand, Environment};

use super::source::{Files, Source, collect};
use crate::record::How;

/// The launcher's version, which is in the workspace's lock file.
pub(crate) const LAUNCHER_VERSION: &str = "0.1.0";

/// The files that are the suite's, relative to the launcher's folder. `--update` replaces them.
pub(crate) fn own_files(source: &Source, launcher: &str, how: &How) -> Result<Files> {
    let mut files = Files::new();
    collect(&source.root.join("xtask"), Utf8Path::new("src"), &mut files)?;
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
        ("Cargo.toml", include_str!("../../files/launcher.toml")),
        ("README.md", include_str!("../../files/README.md")),
        ("src/rustfmt.toml", include_str!("../../files/rustfmt.toml")),
        ("suite/rustfmt.toml", include_str!("../../files/rustfmt.toml")),
        ("clippy.toml", include_str!("../../files/clippy.toml")),
        ("suite/inside/Cargo.toml", include_str!("../../files/inside.toml")),
        ("suite/inside/main.rs", include_str!("../../files/inside.rs")),
        (".gitignore", include_str!("../../files/gitignore")),
        (".gitattributes", include_str!("../../files/gitattributes")),
    ];
    files.extend(texts.map(|(path, text)| {
        let text = text.replace("@NAME@", launcher).replace("@VERSION@", LAUNCHER_VERSION);
        (path.into(), text.replace("@URL@", env!("CARGO_PKG_REPOSITORY")).into_bytes())
    }));
    Ok(files)
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
    let scratch = exe.with_file_name(format!("adopt-{}", std::process::id()));
    let scratch = Utf8PathBuf::try_from(scratch).context("this program's path is not UTF-8")?;
    let locked = lock_in(&scratch, files, seed, environment);
    // What stays is in the clone's target dir, which `cargo clean` empties.
    let _ = xtask_files::remove_dir(&scratch);
    locked
}

fn lock_in(scratch: &Utf8Path, files: &Files, seed: &str, environment: &Environment) -> Result<Vec<u8>> {
    let is_needed = |path: &Utf8Path| path.starts_with("suite") || path.starts_with("tasks");
    for (path, bytes) in files.iter().filter(|(path, _)| is_needed(path)) {
        write_atomic(&scratch.join(path), bytes, Durability::Cache)?;
    }
    let dir = scratch.join("suite");
    let lock = dir.join("Cargo.lock");
    write_atomic(&lock, seed, Durability::Cache)?;
    // What was built here is known to this machine. Elsewhere cargo asks the registry.
    let mut args = vec!["update", "--workspace", "--quiet", "--offline"];
    loop {
        let command = CargoCommand::new(&dir, args.iter().copied());
        let output = command.to_command(environment).output().context("failed to start cargo")?;
        if output.status.success() {
            return std::fs::read(&lock).with_context(|| format!("failed to read {lock}"));
        }
        if args.pop() != Some("--offline") {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("failed to lock the suite's dependencies: `{command}`\n{}", said.trim_end());
        }
    }
}
