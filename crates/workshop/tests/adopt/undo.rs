//! Taking the suite out where the workspace has changed since: only what `adopt` added goes.

use std::fs;
use std::process::Command;

use camino::Utf8Path;
use xtask_testkit::{Outcome, Snapshot, scrub};

use crate::host::{Host, is_rust, suite};
use crate::{hosts, store};

/// The snapshot after a change that is made both to a host that never adopted anything, and after adopting.
fn same_change_after_adopting(change: impl Fn(&Host)) {
    let host = hosts::listed().make();
    let before = Snapshot::of(&host.root);
    change(&host);
    let changed = Snapshot::of(&host.root);
    assert_ne!(changed, before);
    let host = hosts::listed().make();
    host.adopt(&["--no-build"], 0);
    change(&host);
    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&changed, "after undoing with a change meanwhile");
}

#[test]
fn a_manifest_that_was_edited_elsewhere_loses_only_the_member() {
    same_change_after_adopting(|host| {
        let text = host.read("Cargo.toml");
        host.write("Cargo.toml", &format!("# Ours.\n{text}\n[profile.dev]\nopt-level = 1\n"));
    });
}

#[test]
fn other_files_that_were_edited_lose_only_what_was_added() {
    same_change_after_adopting(|host| {
        let text = host.read(".gitignore");
        host.write(".gitignore", &format!("/before\n{text}"));
        let lock = host.read("Cargo.lock");
        host.write("Cargo.lock", &lock.replace("# It is not intended", "# It is really not intended"));
    });
}

/// Real cargo writes beside the line that adopt has changed.
#[test]
fn a_member_that_came_in_later_stays() {
    same_change_after_adopting(|host| {
        host.run(&["new", "--quiet", "--lib", "--vcs", "none", "delta"], 0);
        let text = host.read("Cargo.toml");
        assert!(text.contains("delta"), "cargo adds it to the members: {text}");
    });
}

#[test]
fn a_configuration_that_was_made_here_loses_only_what_was_added() {
    let host = hosts::listed().make();
    host.adopt(&["--no-build"], 0);
    let text = host.read(".cargo/config.toml");
    let text = text.replace("[alias]\n", "[alias]\nmine = \"build\"\n");
    host.write(".cargo/config.toml", &format!("{text}\n[env]\nOURS = \"1\"\n"));
    host.adopt(&["--undo"], 0);
    assert_eq!(
        host.read(".cargo/config.toml").trim_start(),
        "[alias]\nmine = \"build\"\n\n[env]\nOURS = \"1\"\n"
    );
    host.run(&["mine", "--workspace"], 0);
}

/// Half of it taken back would leave a workspace that cargo cannot read.
#[test]
fn a_manifest_that_names_the_launcher_otherwise_is_not_broken() {
    let host = hosts::listed().make();
    host.adopt(&["--no-build"], 0);
    let text = host.read("Cargo.toml");
    host.write("Cargo.toml", &text.replace("\"xtask\"", "\"./xtask\""));
    let adopted = Snapshot::of(&host.root);
    let refused = host.adopt(&["--undo"], 2);
    assert!(refused.stderr.contains("nothing was undone"), "{}", refused.stderr);
    Snapshot::of(&host.root).assert_same(&adopted, "after a refused undo");
    host.run(&["build", "--workspace"], 0);
    host.write("Cargo.toml", &text.replace(", \"xtask\"", ""));
    host.adopt(&["--undo"], 0);
    host.run(&["build", "--workspace"], 0);
}

/// What the user wrote stays, a line says so, and the workspace builds.
#[test]
fn own_tasks_and_settings_stay() {
    let host = hosts::listed().make();
    let before = Snapshot::of(&host.root);
    host.adopt(&["--no-build"], 0);
    let files = ["xtask/tasks/src/main.rs", "xtask.toml"];
    for path in files {
        let text = host.read(path);
        let comment = if is_rust(path) { "// Ours.\n" } else { "# Ours.\n" };
        host.write(path, &format!("{text}{comment}"));
    }
    host.write("xtask/tasks/src/own.rs", "// Ours too.\n");
    let undone = host.adopt(&["--undo"], 1);
    for path in files.into_iter().chain(["xtask/tasks/src/own.rs"]) {
        assert!(undone.stderr.contains(path), "{path} is not in: {}", undone.stderr);
        assert!(host.read(path).contains("Ours"), "{path}");
    }
    let now = Snapshot::of(&host.root);
    let left = now.changed_since(&before).into_iter().filter(|path| now.text(path).is_some());
    let left = left.map(Utf8Path::as_str).collect::<Vec<_>>();
    let tasks = left.iter().filter(|path| path.starts_with("xtask/tasks/")).count();
    assert!(left.iter().all(|path| path.starts_with("xtask/tasks/") || *path == "xtask.toml"), "{left:?}");
    assert!(tasks >= 2, "{left:?}");
    host.run(&["build", "--workspace", "--locked"], 0);
    // What was kept is the user's now.
    host.adopt(&["--undo"], 2);
}

/// However it is written now, the member is found by its meaning.
#[test]
fn a_manifest_that_was_written_anew_loses_the_member() {
    let host = hosts::listed().make();
    host.adopt(&["--no-build"], 0);
    host.write("Cargo.toml", "[workspace]\nresolver = '3'\nmembers = ['base', \"xt\\u0061sk\", 'app']\n");
    host.adopt(&["--undo"], 0);
    assert_eq!(host.read("Cargo.toml"), "[workspace]\nresolver = '3'\nmembers = ['base', 'app']\n");
}

#[test]
fn what_cannot_be_found_any_more_stays_and_the_exit_code_says_so() {
    let host = hosts::listed().make();
    host.adopt(&["--no-build"], 0);
    let text = host.read(".gitignore").replace("/.cargo/xtask.local.toml", "/.cargo/*.toml");
    host.write(".gitignore", &text);
    let undone = host.adopt(&["--undo"], 1);
    assert!(undone.stderr.contains(".gitignore"), "{}", undone.stderr);
    assert_eq!(host.read(".gitignore"), text);
    host.run(&["build", "--workspace"], 0);
}

/// As Git for Windows does by default.
#[test]
fn a_clone_whose_line_ends_git_has_rewritten_is_updated_and_undone() {
    let host = hosts::listed().make();
    host.adopt(&["--no-build"], 0);
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        let as_nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"];
        Outcome::of(scrub(&mut git).current_dir(&host.root).args(as_nobody).args(args)).expect_code(0).stdout
    };
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "adopt"]);
    let clone = host.dir.path().join("clone");
    let adopt = |args: &[&str]| {
        Outcome::of(&mut suite(&clone, &[&["adopt"], args].concat())).expect_code(0);
        fs::read_to_string(clone.join("Cargo.toml")).unwrap()
    };
    git(&["clone", "--quiet", "-c", "core.autocrlf=true", ".", clone.as_str()]);
    assert!(adopt(&["--update", "--no-build"]).contains("\r\n"));
    let manifest = adopt(&["--undo"]);
    assert_eq!(manifest, git(&["show", "HEAD~1:Cargo.toml"]).replace('\n', "\r\n"));
    for path in ["xtask", "xtask.toml", ".cargo"] {
        assert!(!clone.join(path).exists(), "{path}");
    }
}

#[test]
fn a_dry_run_of_undo_changes_nothing() {
    let host = hosts::windows_endings().make();
    host.adopt(&["--no-build"], 0);
    let adopted = Snapshot::of(&host.root);
    let shown = host.adopt(&["--undo", "--dry-run"], 0);
    for path in ["Cargo.toml", ".cargo/config.toml", ".gitignore", "xtask.toml"] {
        assert!(shown.stdout.contains(path), "{path} is not in: {}", shown.stdout);
    }
    Snapshot::of(&host.root).assert_same(&adopted, "after a dry run of undo");
}

#[test]
fn the_adopted_suite_undoes_itself_after_it_was_used() {
    let host = hosts::windows_endings().make();
    let before = Snapshot::of(&host.root);
    host.adopt(&["--no-build"], 0);
    store::fill(&host);
    host.run(&["xtask", "adopt", "--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
    let gone = fs::exists(host.root.join("xtask")).unwrap();
    assert!(!gone);
}
