//! What must hold for every host.

use std::collections::BTreeSet;

use camino::Utf8Path;
use xtask_testkit::{Outcome, Snapshot};

use crate::cargo_view::{CargoView, compiles};
use crate::host::{Host, Lock, Plan};
use crate::insertions::assert_only_insertions;
use crate::{hosts, tiers};

/// A test for each host of the table.
macro_rules! grid {
    ($($host:ident)*) => { $( #[test] fn $host() { check(hosts::$host()); } )* };
}

grid! {
    listed glob_of_a_folder glob_of_everything members_by_path_dependency_only rooted single_package
    single_package_with_others_below called_from_a_member_in_a_folder_of_a_repository inherited
    comments_everywhere trailing_comma_and_tabs dotted inline_table empty_inline_table windows_endings mixed_endings
    byte_order_mark_and_no_last_line_ending spaces_and_letters_beyond_ascii read_only_files
    old_name_of_the_configuration both_names_of_the_configuration linked_name_of_the_configuration
    aliases_of_the_same_names target_dir_and_env build_for_a_triple rustflags git_ignores_it_already own_style
    own_alias own_member own_folder
}

/// Of the launcher they compile nothing, nothing, and all of it.
const BUILDS: [&[&str]; 3] = [
    &["build", "--workspace"],
    &["build", "--workspace", "--all-features"],
    &["build", "--workspace", "--all-features", "--examples"],
];

fn check(plan: Plan) {
    let host = plan.make();
    let before = Snapshot::of(&host.root);
    let view = CargoView::of(&host, host.launcher());
    assert!(view.has_tests(), "{view:?}");
    for build in BUILDS {
        host.run(build, 0);
    }
    for dir in host.plan.nested {
        Outcome::of(&mut host.cargo_in(dir, &["test", "--locked"])).expect_code(0);
    }
    host.forget_lock_file();
    Snapshot::of(&host.root).assert_same(&before, "after building");
    style(&host);

    let listed = host.adopt(&["--dry-run"], 0).stdout;
    Snapshot::of(&host.root).assert_same(&before, "after a dry run");

    host.adopt(&["--no-build"], 0);
    let adopted = Snapshot::of(&host.root);
    only_the_expected_files_differ(&host, &before, &adopted, &listed);

    let none = BTreeSet::new();
    let locked: &[&str] = if host.plan.lock == Lock::Absent { &[] } else { &["--locked"] };
    for (build, expected) in
        BUILDS.into_iter().zip([none.clone(), none, BTreeSet::from([host.launcher().to_owned()])])
    {
        assert_eq!(
            compiles(&host, &[build, locked].concat()),
            expected,
            "what `cargo {build:?}` compiles after adopting"
        );
    }
    assert_eq!(CargoView::of(&host, host.launcher()), view, "what cargo sees after adopting");
    for dir in host.plan.nested {
        let outcome = Outcome::of(&mut host.cargo_in(dir, &["test", "--locked"])).expect_code(0);
        assert!(!outcome.stderr.contains("Compiling"), "{dir} is compiled anew: {}", outcome.stderr);
    }
    style(&host);
    host.forget_lock_file();
    Snapshot::of(&host.root).assert_same(&adopted, "after using cargo in the adopted workspace");

    if host.plan.tiers || std::env::var("XTASK_ADOPT_GRID").as_deref() == Ok("all") {
        tiers::check(&host);
        host.forget_lock_file();
        Snapshot::of(&host.root).assert_same(&adopted, "after using the suite");
    }

    let again = host.adopt(&["--no-build"], 0);
    assert!(again.stdout.contains("nothing to change"), "{}", again.stdout);
    Snapshot::of(&host.root).assert_same(&adopted, "after adopting again");

    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
    let gone = Outcome::of(&mut host.cargo(&["xtask", "--version"]));
    assert!(!gone.stdout.starts_with("xtask "), "{}", gone.stdout);
    if !host.plan.merge {
        assert!(gone.stderr.contains("no such command"), "{}", gone.stderr);
    }
    host.forget_lock_file();
    host.adopt(&["--undo"], 2);
    Snapshot::of(&host.root).assert_same(&before, "after undoing again");
}

/// Cargo marks a target dir as its own only when it makes it itself.
#[test]
fn a_workspace_that_was_never_built_gets_no_target_dir() {
    let host = hosts::listed().make();
    for args in [&["--dry-run"][..], &["--no-build"], &["--undo"]] {
        host.adopt(args, 0);
        assert!(!host.root.join("target").exists(), "after {args:?}");
    }
}

/// Formatting and lints, where the workspace keeps them clean.
fn style(host: &Host) {
    if host.plan.linted {
        host.run(&["fmt", "--all", "--check"], 0);
        host.run(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], 0);
    }
}

fn only_the_expected_files_differ(host: &Host, before: &Snapshot, adopted: &Snapshot, listed: &str) {
    let launcher = host.launcher();
    let mut expected = BTreeSet::from(["Cargo.toml", "xtask.toml", ".gitignore", host.plan.config]);
    if host.plan.lock != Lock::Absent {
        expected.insert("Cargo.lock");
    }
    if before.text(Utf8Path::new(".gitignore")).is_some_and(|text| text.contains("xtask.local.toml")) {
        expected.remove(".gitignore");
    }
    if before.mode(Utf8Path::new(".cargo")).is_none() {
        expected.insert(".cargo");
    }
    let changed = adopted.changed_since(before);
    let changed = changed.iter().filter(|path| !path.starts_with(launcher)).map(|path| path.as_str());
    assert_eq!(changed.collect::<BTreeSet<_>>(), expected);
    assert!(adopted.text(Utf8Path::new(launcher).join("tasks/src/main.rs")).is_some());

    for path in expected.iter().map(Utf8Path::new).filter(|path| *path != ".cargo") {
        assert!(listed.contains(path.as_str()), "{path} is not in the dry run:\n{listed}");
        let Some(text) = before.text(path) else { continue };
        assert_eq!(adopted.mode(path), before.mode(path), "the mode of {path}");
        assert_only_insertions(text, adopted.text(path).unwrap(), path);
    }
    assert!(listed.contains(launcher), "{launcher} is not in the dry run:\n{listed}");
}
