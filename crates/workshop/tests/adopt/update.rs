//! Bringing an adopted suite up to the version of a clone.

use std::process::Command;

use camino::Utf8Path;
use xtask_testkit::{Outcome, Snapshot, TempDir, scrub};

use crate::host::Host;
use crate::ways::checkout;
use crate::{hosts, store};

/// A file that only the older version has.
const GONE: &str = "crates/files/src/gone.rs";
/// A file that the older version does not have yet.
const NEW: &str = "crates/files/src/lock.rs";
/// A file that was another one in the older version.
const OTHER: &str = "crates/files/src/lib.rs";

/// A copy of what `adopt` reads of this checkout, as an older version that differs in three files.
struct OlderClone(TempDir);

impl OlderClone {
    fn make() -> Self {
        let dir = TempDir::new("adopt-older");
        for path in ["crates", "xtask", "Cargo.toml", "Cargo.lock", "LICENSE-MIT", "LICENSE-APACHE"] {
            let mut cp = Command::new("cp");
            let args = ["-a", checkout().join(path).as_str(), dir.path().as_str()].map(str::to_owned);
            Outcome::of(scrub(&mut cp).args(args)).expect_code(0);
        }
        dir.write(GONE, "// Nothing names it.\n");
        let text = dir.read(OTHER);
        dir.write(OTHER, &format!("{text}// As it was.\n"));
        std::fs::remove_file(dir.path().join(NEW)).unwrap();
        Self(dir)
    }

    fn adopt(&self, host: &Host) {
        let mut command = host.adopt_command(&["--no-build"]);
        Outcome::of(command.env("XTASK_SUITE_ROOT", self.0.path())).expect_code(0);
    }
}

fn in_host(path: &str) -> String {
    format!("xtask/suite/{path}")
}

/// A host with the older version and what belongs to the workspace: a task and a setting.
fn outdated() -> (Host, Snapshot) {
    let host = hosts::listed().make();
    let before = Snapshot::of(&host.root);
    OlderClone::make().adopt(&host);
    assert!(host.root.join(in_host(GONE)).exists());
    (host, before)
}

#[test]
fn the_suites_files_become_the_clones_and_the_workspaces_own_stay() {
    let (host, before) = outdated();
    let outdated = Snapshot::of(&host.root);
    let tasks = host.read("xtask/tasks/src/main.rs");
    let task = format!("{tasks}// Ours.\n");
    host.write("xtask/tasks/src/main.rs", &task);
    let settings = format!("{}# Ours.\n", host.read("xtask.toml"));
    host.write("xtask.toml", &settings);

    // Without --update nothing moves, and a line says that there is something newer.
    let stays = host.adopt(&["--no-build"], 0);
    assert!(stays.stderr.contains("--update"), "{}", stays.stderr);
    assert!(host.root.join(in_host(GONE)).exists());

    let shown = host.adopt(&["--update", "--dry-run"], 0).stdout;
    for path in [GONE, NEW, OTHER] {
        assert!(shown.contains(&in_host(path)), "{path} is not in: {shown}");
    }
    host.adopt(&["--update", "--no-build"], 0);
    assert!(!host.root.join(in_host(GONE)).exists());
    for path in [NEW, OTHER] {
        let clones = std::fs::read_to_string(checkout().join(path)).unwrap();
        // Copied without the tests, which come last.
        assert!(clones.starts_with(&host.read(&in_host(path))), "{path}");
    }
    assert_eq!(host.read("xtask/tasks/src/main.rs"), task);
    assert_eq!(host.read("xtask.toml"), settings);
    let updated = Snapshot::of(&host.root);
    for path in ["Cargo.toml", "Cargo.lock", ".gitignore", ".cargo/config.toml"].map(Utf8Path::new) {
        assert_eq!(updated.text(path), outdated.text(path), "{path}");
    }

    let again = host.adopt(&["--update", "--no-build"], 0);
    assert!(again.stdout.contains("nothing to change"), "{}", again.stdout);
    Snapshot::of(&host.root).assert_same(&updated, "after updating again");

    store::fill(&host);
    let version = host.run(&["xtask", "version"], 0).stdout;
    assert!(!version.contains("changed here"), "{version}");
    host.run(&["xtask", "test-fast"], 0);

    host.write("xtask/tasks/src/main.rs", &tasks);
    host.write("xtask.toml", &settings.replace("# Ours.\n", ""));
    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing an updated suite");
}

#[test]
fn a_suite_that_was_changed_here_is_overwritten_only_when_told() {
    let (host, before) = outdated();
    let [edited, removed] = [OTHER, "LICENSE-MIT"].map(in_host);
    host.write(&edited, "// Ours.\n");
    std::fs::remove_file(host.root.join(&removed)).unwrap();
    let changed = Snapshot::of(&host.root);
    for args in [&["--update", "--no-build"][..], &["--update", "--dry-run"]] {
        let refused = host.adopt(args, 2);
        for word in [&*edited, &*removed, "--discard-changes"] {
            assert!(refused.stderr.contains(word), "{word} is not in: {}", refused.stderr);
        }
        Snapshot::of(&host.root).assert_same(&changed, "after a refusal");
    }
    host.adopt(&["--update", "--discard-changes", "--no-build"], 0);
    let clones = std::fs::read_to_string(checkout().join(OTHER)).unwrap();
    assert!(clones.starts_with(&host.read(&edited)));
    assert!(host.root.join(&removed).exists());
    assert!(!host.root.join(in_host(GONE)).exists());
    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
}

/// The lock file of the suite has the dependencies of the tasks too.
#[test]
fn a_clone_with_other_locked_versions_brings_them() {
    let (host, _) = outdated();
    let lock = in_host("Cargo.lock");
    let entry = |text: &str| {
        text.split("[[package]]").find(|entry| entry.contains("name = \"anyhow\"")).unwrap().to_owned()
    };
    let clones = std::fs::read_to_string(checkout().join("Cargo.lock")).unwrap();
    host.adopt(&["--update", "--no-build"], 0);
    assert_eq!(entry(&host.read(&lock)), entry(&clones));
    // Only what this machine needs is in its cargo home.
    let args = ["tree", "--workspace", "--locked"];
    Outcome::of(&mut host.cargo_in("xtask/suite", &args)).expect_code(0);
}

/// A task that uses a library of the workspace's own.
#[test]
fn tasks_may_depend_on_the_workspaces_packages() {
    let (host, _) = outdated();
    let manifest = host.read("xtask/tasks/Cargo.toml");
    host.write("xtask/tasks/Cargo.toml", &format!("{manifest}base = {{ path = \"../../base\" }}\n"));
    let main = host.read("xtask/tasks/src/main.rs");
    host.write("xtask/tasks/src/main.rs", &format!("{main}use base as _;\n"));
    host.adopt(&["--update", "--no-build"], 0);
    let tree = host.cargo_in("xtask/suite", &["tree", "--offline", "--package", "xtask-tasks"]);
    let tree = Outcome::of(&mut { tree }).expect_code(0).stdout;
    assert!(tree.contains("base v"), "{tree}");
}
