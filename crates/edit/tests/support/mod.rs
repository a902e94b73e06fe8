//! A folder with something for every kind of edit, and what it looks like.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::TempDir;

/// Everything below a folder: mode and bytes of each file, and each folder with a `/`.
pub(crate) type Tree = BTreeMap<String, (u32, Vec<u8>)>;

pub(crate) fn tree(root: &Utf8Path) -> Tree {
    fn add(root: &Utf8Path, folder: &Utf8Path, tree: &mut Tree) {
        for entry in folder.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap();
            let mode = metadata.mode() & 0o7777;
            if metadata.is_dir() {
                tree.insert(format!("{name}/"), (mode, Vec::new()));
                add(root, &path, tree);
            } else if metadata.is_symlink() {
                let target = path.read_link_utf8().unwrap().into_string().into_bytes();
                tree.insert(format!("{name}@"), (0, target));
            } else {
                tree.insert(name.to_string(), (mode, fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = Tree::new();
    add(root, root, &mut found);
    found
}

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
