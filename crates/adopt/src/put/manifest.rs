//! The root manifest's part: the launcher is a member.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::Value;
use xtask_edit::TomlText;

/// Makes `launcher` a member. A package that was no workspace becomes one, and `nested`, the packages below its
/// folder, stay out of it, as they were.
pub(crate) fn add_member(manifest: &mut TomlText, launcher: &str, nested: &[Utf8PathBuf]) -> Result<()> {
    let quoted = |text: &str| Value::from(text).to_string();
    let members = manifest.value(&["workspace", "members"]);
    let mut members = members.as_ref().and_then(Value::as_array).into_iter().flatten();
    if !members.any(|member| member.as_str() == Some(launcher)) {
        manifest.push(&["workspace", "members"], &quoted(launcher))?;
    }
    nested.iter().try_for_each(|dir| manifest.push(&["workspace", "exclude"], &quoted(dir.as_str())))
}

/// The folders below `root` with a package that is no workspace itself, the outermost ones: as soon as the root
/// is a workspace, cargo would take each for a member that is not listed, and refuse to work in it.
pub(crate) fn nested_packages(root: &Utf8Path, target_dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let is_on_its_own = |manifest: &str| {
        TomlText::parse(manifest).is_ok_and(|manifest| {
            let has = |path: &[&str]| manifest.contains(path);
            has(&["package"]) && !has(&["workspace"]) && !has(&["package", "workspace"])
        })
    };
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        // A folder that cannot be read or named has nothing that cargo builds.
        for entry in dir.read_dir_utf8().into_iter().flatten().flatten() {
            let path = entry.path();
            let has = |name: &str| path.join(name).exists();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_dir || path == target_dir || entry.file_name() == ".git" || has("CACHEDIR.TAG") {
                continue;
            }
            match std::fs::read_to_string(path.join("Cargo.toml")) {
                // Nobody works in a copy that `cargo vendor` made, or that cargo unpacked into a cargo home.
                Ok(_) if has(".cargo-checksum.json") || has(".cargo-ok") => {}
                Ok(text) if is_on_its_own(&text) => {
                    found.extend(path.strip_prefix(root).map(Utf8Path::to_owned));
                }
                _ => open.push(path.to_owned()),
            }
        }
    }
    found.sort();
    found
}
