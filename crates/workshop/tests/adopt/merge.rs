//! A workspace that has an `xtask` of its own is refused, unless it is told to merge.

use xtask_testkit::Snapshot;

use crate::host::{Plan, package};
use crate::hosts;

/// Refused, and nothing changed; the message says what is there and what to do.
fn refused(plan: Plan, found: &str) {
    let host = Plan { merge: false, ..plan }.make();
    let before = Snapshot::of(&host.root);
    for args in [&["--no-build"][..], &["--dry-run"]] {
        let refused = host.adopt(args, 2);
        assert!(refused.stderr.contains(found), "{}", refused.stderr);
        assert!(refused.stderr.contains("--merge"), "{}", refused.stderr);
        Snapshot::of(&host.root).assert_same(&before, "after a refusal");
    }
}

#[test]
fn an_alias_is_not_replaced() {
    refused(hosts::own_alias(), "alias");
}

#[test]
fn a_member_is_not_replaced() {
    refused(hosts::own_member(), "member");
}

#[test]
fn a_folder_is_not_filled() {
    refused(hosts::own_folder(), "folder");
}

#[test]
fn a_file_is_no_folder_to_fill() {
    refused(hosts::listed().file("xtask", "#!/bin/sh\n"), "a folder or file");
}

/// Two packages of one name and version cannot be in one lock file.
#[test]
fn a_dependency_of_the_same_name_is_named_and_another_launcher_name_is_the_way() {
    let own = "\n[dependencies]\nxtask = { path = \"../../theirs\" }\n";
    let plan = hosts::listed().lib("base", "2024", own);
    let plan = plan.file("../theirs/Cargo.toml", &package("xtask", "2024", "\n[workspace]\n"));
    let plan = plan.file("../theirs/src/lib.rs", "pub fn theirs() {}\n");
    refused(plan.clone(), "a dependency named `xtask`");
    let host = Plan { merge: true, ..plan }.make();
    let before = Snapshot::of(&host.root);
    host.adopt(&["--no-build"], 0);
    assert!(host.root.join("xtask-launcher").exists());
    host.run(&["build", "--workspace", "--locked"], 0);
    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
}

/// Nothing that the suite says depends on the folder's name.
#[test]
fn with_both_names_taken_even_merging_is_refused() {
    let host = hosts::own_folder().file("xtask-launcher/notes.md", "Notes\n").make();
    let before = Snapshot::of(&host.root);
    let refused = host.adopt(&["--no-build"], 2);
    assert!(refused.stderr.contains("xtask-launcher"), "{}", refused.stderr);
    Snapshot::of(&host.root).assert_same(&before, "after a refusal");
}

/// The first `xtask` is a member that no alias starts.
#[test]
fn a_member_without_an_alias_stays_and_is_what_it_was() {
    let host = hosts::own_member().without(".cargo/config.toml").make();
    let before = Snapshot::of(&host.root);
    host.adopt(&["--no-build"], 0);
    let theirs = host.run(&["run", "--quiet", "--package", "xtask", "--", "deploy"], 0);
    assert!(theirs.stdout.contains("theirs: [\"deploy\"]"), "{}", theirs.stdout);
    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
}
