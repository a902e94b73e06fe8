//! A folder with something for every kind of edit, and what it looks like.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8PathBuf;
use xtask_testkit::TempDir;

/// The folder in its first state, whatever was there.
pub(crate) fn prepare(dir: &TempDir) -> Utf8PathBuf {
    let root = dir.path().join("root");
    if root.exists() {
        xtask_files::remove_dir(&root).unwrap();
    }
    for (path, text) in [
        ("edited.toml", "old = true\r\n"),
        ("read-only.toml", "old = \"read-only\"\n"),
        ("gone.txt", "gone\n"),
        ("gone-folder/a", "a\n"),
        ("gone-folder/deep/b", "b\n"),
        ("swapped-folder/kept", "was\n"),
        ("swapped-folder/lost", "lost\n"),
        ("file-then-folder", "a file\n"),
        ("bystander/file", "not ours\n"),
    ] {
        dir.write(&format!("root/{path}"), text);
    }
    for (path, mode) in [("read-only.toml", 0o444), ("edited.toml", 0o755), ("gone-folder/a", 0o600)] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    root
}
