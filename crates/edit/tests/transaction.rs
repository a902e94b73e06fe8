//! What a transaction does, what it refuses, and what it finds after somebody else was there.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use support::prepare;
use xtask_edit::{Edit, Node, Recovered, Transaction, pending};
use xtask_testkit::{Entry, Snapshot, TempDir};

/// A folder in its first state.
fn root(name: &str) -> (TempDir, Utf8PathBuf) {
    let dir = TempDir::new(name);
    let root = prepare(&dir);
    (dir, root)
}

/// The edit of `path` from what is there now.
fn edit(root: &Utf8Path, path: &str, after: Option<Node>) -> Edit {
    Edit { path: path.into(), before: Node::read(&root.join(path)).unwrap(), after }
}

fn commit(root: &Utf8Path, edits: &[Edit]) -> Result<()> {
    Transaction::begin(root)?.0.commit(edits, || Ok(()))
}

/// Fails with `message`, and leaves everything as it was.
fn refused(root: &Utf8Path, edits: &[Edit], message: &str) {
    let before = Snapshot::of(root);
    let error = format!("{:#}", commit(root, edits).unwrap_err());
    assert!(error.contains(message), "{error}");
    assert_eq!(Snapshot::of(root), before);
}

/// A transaction that was killed before its commit: a copy of the folder made while the check ran.
fn killed(root: &Utf8Path, edits: &[Edit]) {
    let aside = root.with_file_name("aside");
    let copy = |from: &Utf8Path, to: &Utf8Path| {
        let done =
            std::process::Command::new("cp").args(["-a", from.as_str(), to.as_str()]).status().unwrap();
        assert!(done.success());
    };
    let (transaction, _) = Transaction::begin(root).unwrap();
    transaction
        .commit(edits, || {
            copy(root, &aside);
            Ok(())
        })
        .unwrap();
    drop(transaction);
    xtask_files::remove_dir(root).unwrap();
    fs::rename(&aside, root).unwrap();
    assert!(pending(root));
}

fn recover(root: &Utf8Path) -> Recovered {
    let recovered = Transaction::begin(root).unwrap().1.unwrap();
    assert!(!pending(root) && !root.join(".xtask-journal").exists());
    recovered
}

fn write(path: &Utf8Path, text: &str) {
    xtask_files::write_atomic(path, text, xtask_files::Durability::Cache).unwrap();
}

#[test]
fn a_mode_is_kept() {
    let (_dir, root) = root("modes");
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().mode() & 0o7777;
    fs::set_permissions(root.join("gone.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    let edits = [
        edit(&root, "read-only.toml", Some(Node::file("x"))),
        edit(&root, "edited.toml", Some(Node::file("x"))),
        edit(&root, "gone.txt", Some(Node::file("x"))),
        edit(&root, "gone-folder/a", Some(Node::file("x"))),
    ];
    commit(&root, &edits).unwrap();
    let modes = ["read-only.toml", "edited.toml", "gone.txt", "gone-folder/a"].map(mode);
    assert_eq!(modes, [0o444, 0o755, 0o640, 0o600]);
}

/// Root in a container works on the files of somebody outside. Nobody else can give files away, so for others it is the
/// group that could change: to each that this user has.
#[test]
fn an_owner_is_kept() {
    let (_dir, root) = root("owners");
    let path = root.join("edited.toml");
    let owner = || fs::metadata(&path).map(|found| (found.uid(), found.gid())).unwrap();
    let ours = owner();
    let others = if ours.0 == 0 { vec![(4242, 4343)] } else { Vec::new() };
    let groups = std::process::Command::new("id").arg("-G").output().unwrap().stdout;
    let groups = String::from_utf8(groups).unwrap();
    let groups = groups.split_whitespace().map(|group| (ours.0, group.parse().unwrap()));
    for (uid, gid) in groups.chain(others).collect::<Vec<_>>() {
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        commit(&root, &[edit(&root, "edited.toml", Some(Node::file(gid.to_string())))]).unwrap();
        assert_eq!(owner(), (uid, gid));
    }
}

#[test]
fn a_check_that_fails_brings_back_the_very_same_files() {
    let (_dir, root) = root("check");
    let before = Snapshot::of(&root);
    let inode = || fs::metadata(root.join("edited.toml")).unwrap().ino();
    let first = inode();
    let (transaction, recovered) = Transaction::begin(&root).unwrap();
    assert_eq!(recovered, None);
    let edits = [
        edit(&root, "edited.toml", Some(Node::file("new"))),
        edit(&root, "gone-folder", None),
        edit(&root, "a/b/c", Some(Node::file("new"))),
    ];
    let error = transaction
        .commit(&edits, || {
            assert_ne!(inode(), first);
            assert!(root.join("a/b/c").exists() && !root.join("gone-folder").exists());
            bail!("cargo does not like it")
        })
        .unwrap_err();
    assert_eq!(format!("{error:#}"), "cargo does not like it");
    assert_eq!(Snapshot::of(&root), before);
    assert_eq!(inode(), first);
    // The same right serves for another try.
    transaction.commit(&edits, || Ok(())).unwrap();
    assert_eq!(fs::read_to_string(root.join("a/b/c")).unwrap(), "new");
}

#[test]
fn what_has_changed_since_the_plan_is_left_alone() {
    let (_dir, root) = root("changed");
    let good = edit(&root, "gone.txt", None);
    for path in ["edited.toml", "swapped-folder", "nothing-there"] {
        let planned = edit(&root, path, Some(Node::file("new")));
        match path {
            "swapped-folder" => write(&root.join("swapped-folder/more"), "more"),
            path => write(&root.join(path), "somebody else's"),
        }
        refused(&root, &[good.clone(), planned], "has changed since the plan was made: run it again");
    }
    let gone = edit(&root, "bystander/file", None);
    fs::remove_file(root.join("bystander/file")).unwrap();
    refused(&root, &[good, gone], "has changed since the plan was made");
}

#[test]
fn no_edit_goes_through_a_link_or_out_of_the_root() {
    let (dir, root) = root("links");
    dir.write("outside/file", "outside\n");
    symlink(dir.path().join("outside"), root.join("link")).unwrap();
    symlink(dir.path().join("outside/file"), root.join("file-link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("nowhere", root.join("bystander/inner")).unwrap();
    let new = |path: &str| Edit { path: path.into(), before: None, after: Some(Node::file("new")) };
    let table = [
        ("link/file", "is a symbolic link"),
        ("link/new/file", "is a symbolic link"),
        ("link", "is a symbolic link"),
        ("file-link", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("bystander", "is a symbolic link"),
        ("gone.txt/below", "is a file"),
        ("../outside/file", "not a path below the root"),
        ("a/../../outside/file", "not a path below the root"),
        ("/etc/passwd", "not a path below the root"),
        ("", "not a path below the root"),
        (".xtask-journal/journal.json", "is the place of the journal"),
    ];
    for (path, message) in table {
        refused(&root, &[new(path)], message);
    }
    refused(&root, &[new("a"), new("a")], "cannot both be changed");
    refused(&root, &[new("a/b"), new("c"), new("a")], "cannot both be changed");
    let folder = |name: &str| Node::Folder(BTreeMap::from([(name.into(), b"x".to_vec())]));
    refused(&root, &[edit(&root, "a", Some(folder("../b")))], "not a path below the root");
    assert_eq!(dir.read("outside/file"), "outside\n");

    // A folder on the way that becomes a link after the kill.
    fs::remove_file(root.join("bystander/inner")).unwrap();
    killed(&root, &[edit(&root, "bystander/file", Some(Node::file("new")))]);
    fs::rename(root.join("bystander"), root.join("moved")).unwrap();
    symlink(dir.path().join("outside"), root.join("bystander")).unwrap();
    assert!(format!("{:#}", Transaction::begin(&root).unwrap_err()).contains("is a symbolic link"));
    assert_eq!(dir.read("outside/file"), "outside\n");
    fs::remove_file(root.join("bystander")).unwrap();
    fs::rename(root.join("moved"), root.join("bystander")).unwrap();
    assert_eq!(recover(&root).restored, ["bystander/file"]);
    assert_eq!(fs::read_to_string(root.join("bystander/file")).unwrap(), "not ours\n");
}

#[test]
fn a_journal_that_somebody_else_made_is_not_believed() {
    let (dir, root) = root("foreign");
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    symlink(dir.path().join("elsewhere"), root.join(".xtask-journal")).unwrap();
    let error = format!("{:#}", Transaction::begin(&root).unwrap_err());
    assert!(error.contains("is not a folder"), "{error}");

    // A link that comes later is not followed either: neither to write nor to clean up.
    fs::remove_file(root.join(".xtask-journal")).unwrap();
    let (transaction, _) = Transaction::begin(&root).unwrap();
    dir.write("elsewhere/journal.json", "precious");
    symlink(dir.path().join("elsewhere"), root.join(".xtask-journal")).unwrap();
    let edits = [edit(&root, "gone.txt", None)];
    assert!(transaction.commit(&edits, || Ok(())).is_err());
    assert_eq!(dir.read("elsewhere/journal.json"), "precious");
    assert!(root.join("gone.txt").exists());
    fs::remove_file(root.join(".xtask-journal")).unwrap();

    // One that could not be put back is not written over.
    xtask_files::private_dir(&root.join(".xtask-journal")).unwrap();
    dir.write("root/.xtask-journal/journal.json", "[]");
    let error = format!("{:#}", transaction.commit(&edits, || Ok(())).unwrap_err());
    assert!(error.contains("was not rolled back yet"), "{error}");
    assert!(root.join("gone.txt").exists());
    drop(transaction);
    assert_eq!(recover(&root), Recovered::default());

    // As it would come with a clone: open to others, or naming a path outside.
    dir.write("root/.xtask-journal/journal.json", "[]");
    assert!(format!("{:#}", Transaction::begin(&root).unwrap_err()).contains("cannot be trusted"));
    fs::set_permissions(root.join(".xtask-journal"), fs::Permissions::from_mode(0o700)).unwrap();
    let outside =
        r#"[{"path":"../elsewhere","before":null,"after":null,"replaces_file":false,"parents":[]}]"#;
    dir.write("root/.xtask-journal/journal.json", outside);
    assert!(format!("{:#}", Transaction::begin(&root).unwrap_err()).contains("cannot be trusted"));
}

#[test]
fn what_somebody_has_written_after_a_kill_is_kept() {
    let (_dir, root) = root("conflict");
    let before = Snapshot::of(&root);
    let edits = [
        edit(&root, "edited.toml", Some(Node::file("new"))),
        edit(&root, "read-only.toml", Some(Node::file("new"))),
        edit(&root, "gone.txt", None),
        edit(&root, "gone-folder", None),
        edit(&root, "a/created", Some(Node::file("new"))),
        edit(&root, "b/created", Some(Node::file("new"))),
        edit(&root, "swapped-folder", Some(Node::file("a file now"))),
    ];
    killed(&root, &edits);
    for path in ["edited.toml", "gone.txt", "a/created"] {
        write(&root.join(path), "theirs");
    }
    fs::remove_file(root.join("swapped-folder")).unwrap();
    symlink("anywhere", root.join("swapped-folder")).unwrap();
    write(&root.join("edited.toml.before-xtask"), "taken");

    let recovered = recover(&root);
    assert_eq!(recovered.restored, ["read-only.toml", "gone-folder", "b/created"]);
    let conflicts = recovered.conflicts.iter();
    let conflicts =
        conflicts.map(|conflict| (conflict.path.as_str(), conflict.old.as_deref().map(Utf8Path::as_str)));
    let expected = [
        ("edited.toml", Some("edited.toml.before-xtask-1")),
        ("gone.txt", Some("gone.txt.before-xtask")),
        ("a/created", None),
        ("swapped-folder", Some("swapped-folder.before-xtask")),
    ];
    assert_eq!(conflicts.collect::<Vec<_>>(), expected);
    let now = Snapshot::of(&root);
    for path in ["edited.toml", "gone.txt", "a/created"] {
        assert_eq!(now.text(path), Some("theirs"), "{path}");
    }
    let moved = [
        ("edited.toml.before-xtask-1", "edited.toml"),
        ("gone.txt.before-xtask", "gone.txt"),
        ("swapped-folder.before-xtask/lost", "swapped-folder/lost"),
        ("gone-folder/deep/b", "gone-folder/deep/b"),
    ];
    for (path, old) in moved {
        assert!(before.entry(old).is_some() && now.entry(path) == before.entry(old), "{path}");
    }
    assert_eq!(now.entry("swapped-folder"), Some(&Entry::Link { target: "anywhere".into() }));
    assert_eq!(now.entry("b"), None);
}

#[test]
fn a_check_that_writes_into_an_edited_file_is_told_of() {
    let (_dir, root) = root("check-writes");
    let (transaction, _) = Transaction::begin(&root).unwrap();
    let edits = [edit(&root, "edited.toml", Some(Node::file("new")))];
    let result = transaction.commit(&edits, || {
        write(&root.join("edited.toml"), "by the check");
        bail!("and it fails")
    });
    let error = format!("{:#}", result.unwrap_err());
    assert!(error.contains("edited.toml (its old content is in edited.toml.before-xtask)"), "{error}");
    assert!(error.contains("and it fails"), "{error}");
    assert_eq!(fs::read_to_string(root.join("edited.toml")).unwrap(), "by the check");
}

#[test]
fn a_second_transaction_waits_for_the_first() {
    let (_dir, root) = root("wait");
    let (first, _) = Transaction::begin(&root).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (second, recovered) = Transaction::begin(&root).unwrap();
            assert_eq!(recovered, None);
            sender.send(()).unwrap();
            second.commit(&[edit(&root, "edited.toml", Some(Node::file("second")))], || Ok(())).unwrap();
        });
        assert!(receiver.recv_timeout(Duration::from_millis(300)).is_err(), "it did not wait");
        first.commit(&[edit(&root, "edited.toml", Some(Node::file("first")))], || Ok(())).unwrap();
        drop(first);
        receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    });
    assert_eq!(fs::read_to_string(root.join("edited.toml")).unwrap(), "second");
}

#[test]
fn nothing_is_pending_where_nothing_was_begun_and_no_edit_is_no_change() {
    let (_dir, root) = root("nothing");
    let before = Snapshot::of(&root);
    assert!(!pending(&root));
    let same = edit(&root, "edited.toml", Node::read(&root.join("edited.toml")).unwrap());
    let inode = fs::metadata(root.join("edited.toml")).unwrap().ino();
    commit(&root, &[same, edit(&root, "nothing-there", None)]).unwrap();
    assert_eq!((Snapshot::of(&root), fs::metadata(root.join("edited.toml")).unwrap().ino()), (before, inode));
    assert!(Transaction::begin(&root.join("missing")).is_err());
}
