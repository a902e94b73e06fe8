use super::*;
use xtask_testkit::{Fixture, TempDir};

fn fixture() -> Fixture {
    let fixture = Fixture::new(
        "git",
        &[
            ("Cargo.toml", "[workspace]\n"),
            ("Cargo.lock", "version = 4\n"),
            (".gitignore", "/target\n*.tmp\n"),
            ("a/src/lib.rs", "one\n"),
            ("b/src/lib.rs", "two\n"),
        ],
    );
    fixture.git_init();
    fixture
}

fn environment() -> Environment {
    let mut environment = Environment::current();
    environment.set("GIT_CONFIG_GLOBAL", "/dev/null");
    environment.set("GIT_CONFIG_NOSYSTEM", "1");
    environment
}

fn ask(root: &Utf8Path, base: Option<&str>) -> Changes {
    changes(root, base, &environment()).unwrap()
}

/// Paths relative to `root`.
fn files(changes: &Changes, root: &Utf8Path) -> Vec<String> {
    changes.files.iter().map(|file| crate::affected::relative(root, file)).collect()
}

fn why(changes: &Changes) -> &str {
    match &changes.base {
        Base::Unknown { why } => why,
        known => panic!("{known:?}"),
    }
}

#[test]
fn on_a_clean_base_branch_nothing_changed() {
    let fixture = fixture();
    let changes = ask(fixture.root(), None);
    assert_eq!(changes.base, Base::Head { name: "main".into() });
    assert!(changes.files.is_empty(), "{:?}", changes.files);
    assert_eq!(changes.repository.as_deref(), Some(fixture.root()));
}

#[test]
fn each_way_to_change_a_file_is_seen() {
    type Edit = fn(&Fixture);
    let table: [(&str, Edit, &[&str]); 12] = [
        ("unstaged", |f| f.write("a/src/lib.rs", "x"), &["a/src/lib.rs"]),
        (
            "staged",
            |f| {
                f.write("a/src/lib.rs", "x");
                f.git(&["add", "-A"]);
            },
            &["a/src/lib.rs"],
        ),
        (
            "staged, and back in the work tree",
            |f| {
                f.write("a/src/lib.rs", "x");
                f.git(&["add", "-A"]);
                f.write("a/src/lib.rs", "one\n");
            },
            &["a/src/lib.rs"],
        ),
        ("untracked", |f| f.write("c/deep/new.rs", ""), &["c/deep/new.rs"]),
        ("ignored", |f| f.write("a/x.tmp", ""), &[]),
        ("staged rename", |f| _ = f.git(&["mv", "a/src/lib.rs", "a/z.rs"]), &["a/src/lib.rs", "a/z.rs"]),
        ("staged deletion", |f| _ = f.git(&["rm", "-q", "b/src/lib.rs"]), &["b/src/lib.rs"]),
        ("deletion", |f| std::fs::remove_file(f.root().join("b/src/lib.rs")).unwrap(), &["b/src/lib.rs"]),
        (
            "odd names",
            |f| {
                for name in ["a b.rs", "new\nline", "ünï \"q\"", "tab\t", "- x", "R  y"] {
                    f.write(&format!("a/{name}"), "");
                }
                f.git(&["add", "a/a b.rs", "a/new\nline"]);
            },
            &["a/- x", "a/R  y", "a/a b.rs", "a/new\nline", "a/tab\t", "a/ünï \"q\""],
        ),
        ("a mode", |f| _ = f.git(&["update-index", "--chmod=+x", "a/src/lib.rs"]), &["a/src/lib.rs"]),
        (
            "unmerged",
            |f| {
                f.git(&["switch", "--quiet", "-c", "other"]);
                f.write("a/src/lib.rs", "theirs");
                f.commit("theirs");
                f.git(&["switch", "--quiet", "main"]);
                f.write("a/src/lib.rs", "ours");
                f.commit("ours");
                f.git(&["read-tree", "-m", "-i", "main~", "main", "other"]);
            },
            &["a/src/lib.rs"],
        ),
        (
            "a repository inside this one",
            |f| {
                f.write("inner/x.rs", "");
                xtask_testkit::git_init(&f.root().join("inner"));
            },
            &["inner"],
        ),
    ];
    for (name, edit, expected) in table {
        let fixture = fixture();
        edit(&fixture);
        let changes = ask(fixture.root(), None);
        assert_eq!(files(&changes, fixture.root()), expected, "{name}");
        let index = fixture.root().join(".git/index");
        let before = std::fs::metadata(&index).unwrap().modified().unwrap();
        ask(fixture.root(), None);
        assert_eq!(std::fs::metadata(&index).unwrap().modified().unwrap(), before, "{name}");

        // Committed on a branch, the same files differ from the merge base, whatever happens on main.
        if !["ignored", "unmerged", "staged, and back in the work tree"].contains(&name) {
            fixture.git(&["switch", "--quiet", "-c", "feature"]);
            // Not `add -A`: the mode is set in the index only.
            fixture.git(&["add", "-A", "--ignore-errors", ":!a/src/lib.rs"]);
            fixture.git(&["-c", "core.fileMode=false", "commit", "--quiet", "-a", "-m", "feature"]);
            fixture.git(&["-c", "core.fileMode=false", "reset", "--quiet", "--hard"]);
            let committed = ask(fixture.root(), None);
            assert_eq!(files(&committed, fixture.root()), expected, "{name}, committed");
            let Base::Commit { name: base, .. } = &committed.base else { panic!("{:?}", committed.base) };
            assert_eq!(base, "main");
        }
    }
}

#[test]
fn where_git_was_told_not_to_look_files_may_have_changed() {
    let fixture = fixture();
    let changed = || files(&ask(fixture.root(), None), fixture.root());
    fixture.git(&["update-index", "--assume-unchanged", "a/src/lib.rs"]);
    fixture.git(&["update-index", "--skip-worktree", "b/src/lib.rs"]);
    assert_eq!(changed(), ["a/src/lib.rs", "b/src/lib.rs"]);
    for file in ["a/src/lib.rs", "b/src/lib.rs"] {
        std::fs::remove_file(fixture.root().join(file)).unwrap();
    }
    assert_eq!(
        changed(),
        ["a/src/lib.rs"],
        "the other is left out of the work tree, as in a sparse checkout"
    );
}

#[test]
fn commits_of_the_base_branch_after_the_merge_base_do_not_count_and_merges_do() {
    let fixture = fixture();
    fixture.git(&["switch", "--quiet", "-c", "feature"]);
    fixture.write("a/src/lib.rs", "feature");
    fixture.commit("feature");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.write("b/src/lib.rs", "main");
    fixture.commit("main");
    fixture.git(&["switch", "--quiet", "feature"]);
    assert_eq!(files(&ask(fixture.root(), None), fixture.root()), ["a/src/lib.rs"]);

    fixture.git(&["merge", "--quiet", "--no-edit", "main"]);
    let changes = ask(fixture.root(), None);
    assert_eq!(files(&changes, fixture.root()), ["a/src/lib.rs"], "the merge base moved up to main");

    fixture.git(&["switch", "--quiet", "-c", "other", "main~"]);
    fixture.write("c.rs", "");
    fixture.commit("other");
    fixture.git(&["merge", "--quiet", "--no-edit", "feature"]);
    assert_eq!(files(&ask(fixture.root(), None), fixture.root()), ["a/src/lib.rs", "c.rs"]);
}

#[test]
fn merges_crosswise_and_unrelated_histories_are_said() {
    let fixture = fixture();
    fixture.git(&["switch", "--quiet", "-c", "feature"]);
    fixture.write("a/src/lib.rs", "feature");
    fixture.commit("feature");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.write("b/src/lib.rs", "main");
    fixture.commit("main");
    fixture.git(&["branch", "old-main"]);
    fixture.git(&["merge", "--quiet", "--no-edit", "feature"]);
    fixture.git(&["switch", "--quiet", "feature"]);
    fixture.git(&["merge", "--quiet", "--no-edit", "old-main"]);
    assert_eq!(why(&ask(fixture.root(), None)), "HEAD and main have more than one merge base");

    fixture.git(&["switch", "--quiet", "--orphan", "alone"]);
    fixture.commit("alone");
    assert_eq!(why(&ask(fixture.root(), None)), "HEAD and main have no commit in common");
}

#[test]
fn the_first_base_branch_that_exists_is_taken_and_a_configured_one_must_exist() {
    let fixture = fixture();
    let root = fixture.root();
    fixture.write("a/src/lib.rs", "x");
    fixture.commit("second");
    let name = |base| match ask(root, base).base {
        Base::Head { name } => (name, String::new()),
        Base::Commit { name, id } => (name, id),
        Base::Unknown { why } => (why, String::new()),
    };
    assert_eq!(name(None).0, "main");
    let first = fixture.git(&["rev-parse", "main~"]).trim().to_owned();
    fixture.git(&["update-ref", "refs/remotes/origin/main", &first]);
    assert_eq!(name(None), ("origin/main".into(), first.clone()));
    fixture.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
    assert_eq!(name(None), ("origin/HEAD".into(), first.clone()));
    assert_eq!(name(Some("main")).0, "main");
    assert_eq!(name(Some("main~")), ("main~".into(), first));

    for missing in ["mian", "--all", ""] {
        let error = changes(root, Some(missing), &environment()).unwrap_err();
        assert!(error.downcast_ref::<WrongUsage>().is_some(), "{error:#}");
        assert!(error.to_string().contains(&format!("`{missing}`")), "{error:#}");
        assert_eq!(error.to_string().contains("did you mean `main`?"), missing == "mian", "{error:#}");
    }
    fixture.git(&["branch", "--quiet", "-m", "main", "trunk"]);
    fixture.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
    assert!(name(None).0.starts_with("there is no base branch"), "{:?}", name(None));
}

#[test]
fn where_git_cannot_tell_it_says_why() {
    let fixture = fixture();
    let root = fixture.root();
    let fresh = TempDir::new("no-commits");
    fixture.git(&["init", "--quiet", fresh.path().as_str()]);
    assert_eq!(why(&ask(fresh.path(), None)), "there are no commits yet");

    let plain = TempDir::new("no-git");
    assert_eq!(why(&ask(plain.path(), None)), "this is not a git repository");

    fixture.write("target/inner/Cargo.toml", "");
    assert_eq!(why(&ask(&root.join("target/inner"), None)), "git ignores the folder of this workspace");

    fixture.write(".git/index", "broken");
    assert!(why(&ask(root, None)).contains("failed: "), "{}", why(&ask(root, None)));

    let mut without = environment();
    without.set("PATH", plain.path().as_str());
    let changes = changes(root, None, &without).unwrap();
    assert_eq!(why(&changes), "git is not on PATH");
}

#[test]
fn a_workspace_in_a_subfolder_sees_the_whole_repository_even_from_a_hook() {
    let fixture = fixture();
    fixture.write("ws/Cargo.lock", "old");
    fixture.commit("ws");
    fixture.write("ws/Cargo.lock", "new");
    fixture.write("shared.txt", "");
    fixture.write("ws/x.tmp", "");
    let root = fixture.root().join("ws");
    let mut hook = environment();
    hook.set("GIT_DIR", fixture.root().join(".git").as_str());
    hook.set("GIT_INDEX_FILE", "elsewhere");
    for environment in [environment(), hook] {
        let changes = changes(&root, None, &environment).unwrap();
        assert_eq!(files(&changes, &root), ["../shared.txt", "Cargo.lock"]);
        assert_eq!(changes.unseen, [root.join("x.tmp")]);
        assert_eq!(changes.repository.as_deref(), Some(fixture.root()));
    }
}

#[test]
fn settings_of_the_user_hide_nothing() {
    let fixture = fixture();
    for (key, value) in [
        ("status.showUntrackedFiles", "no"),
        ("status.relativePaths", "true"),
        ("diff.relative", "true"),
        ("diff.ignoreSubmodules", "all"),
        ("diff.renames", "copies"),
        ("core.quotePath", "true"),
        ("color.ui", "always"),
    ] {
        fixture.git(&["config", key, value]);
    }
    fixture.git(&["switch", "--quiet", "-c", "feature"]);
    fixture.git(&["mv", "a/src/lib.rs", "a/ü.rs"]);
    fixture.commit("rename");
    fixture.write("b/new.rs", "");
    let expected = ["a/src/lib.rs", "a/ü.rs", "b/new.rs"];
    assert_eq!(files(&ask(fixture.root(), None), fixture.root()), expected);
    let changes = ask(&fixture.root().join("b"), None);
    assert_eq!(files(&changes, fixture.root()), expected);
}

#[test]
fn a_submodule_counts_as_its_folder() {
    let inner = Fixture::new("inner", &[("x.rs", "")]);
    inner.git_init();
    let fixture = fixture();
    let url = inner.root().as_str();
    fixture.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
    fixture.commit("submodule");
    assert!(ask(fixture.root(), None).files.is_empty());
    fixture.git(&["config", "submodule.sub.ignore", "all"]);
    fixture.write("sub/x.rs", "edited");
    assert_eq!(files(&ask(fixture.root(), None), fixture.root()), ["sub"]);
    fixture.git(&["switch", "--quiet", "-c", "feature"]);
    fixture.git(&["-C", "sub", "commit", "--quiet", "-am", "inside"]);
    fixture.commit("submodule moved");
    assert_eq!(files(&ask(fixture.root(), None), fixture.root()), ["sub"]);
}

#[test]
fn a_head_that_is_no_branch_is_compared_as_one() {
    let fixture = fixture();
    fixture.git(&["checkout", "--quiet", "--detach"]);
    fixture.write("a/src/lib.rs", "uncommitted");
    let at_base = ask(fixture.root(), None);
    assert_eq!(at_base.base, Base::Head { name: "main".to_owned() });
    assert_eq!(files(&at_base, fixture.root()), ["a/src/lib.rs"]);
    fixture.commit("second");
    let ahead = ask(fixture.root(), None);
    assert!(matches!(&ahead.base, Base::Commit { name, .. } if name == "main"), "{:?}", ahead.base);
    assert_eq!(files(&ahead, fixture.root()), ["a/src/lib.rs"]);
    // In a bisect.
    fixture.git(&["branch", "--quiet", "--force", "main", "HEAD"]);
    fixture.git(&["checkout", "--quiet", "HEAD~"]);
    assert_eq!(ask(fixture.root(), None).base, Base::Head { name: "main".to_owned() });
}

#[test]
fn a_shallow_clone_is_compared_if_the_base_is_there() {
    let fixture = fixture();
    fixture.commit("second");
    fixture.git(&["switch", "--quiet", "-c", "feature"]);
    fixture.write("a/src/lib.rs", "feature");
    fixture.commit("feature");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.write("b/src/lib.rs", "main");
    fixture.commit("main");
    let clone = |depth| {
        let clone = TempDir::new("shallow");
        let url = format!("file://{}", fixture.root());
        let flags = ["--quiet", "--no-single-branch", "--branch", "feature", "--depth", depth];
        fixture.git(&[&["clone"][..], &flags, &[&url, clone.path().as_str()]].concat());
        assert!(clone.path().join(".git/shallow").is_file());
        clone
    };
    let with_base = clone("2");
    let changes = ask(with_base.path(), None);
    let base = fixture.git(&["merge-base", "main", "feature"]).trim().to_owned();
    assert_eq!(changes.base, Base::Commit { name: "origin/HEAD".into(), id: base });
    assert_eq!(files(&changes, with_base.path()), ["a/src/lib.rs"]);
    assert_eq!(
        why(&ask(clone("1").path(), None)),
        "HEAD and origin/HEAD have no commit in common in this shallow clone"
    );
}

/// The merge base lies beyond the cut of main; what git finds instead is older.
#[test]
fn in_a_shallow_clone_an_older_base_hides_nothing() {
    let fixture = fixture();
    fixture.git(&["branch", "old"]);
    fixture.write("b/src/lib.rs", "second");
    fixture.commit("second");
    fixture.git(&["switch", "--quiet", "-c", "feature"]);
    fixture.write("a/src/lib.rs", "feature");
    fixture.commit("feature");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.commit("third");
    fixture.git(&["switch", "--quiet", "old"]);
    fixture.commit("old");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.git(&["merge", "--quiet", "--no-edit", "old"]);
    fixture.git(&["switch", "--quiet", "feature"]);
    let [first, third] = ["old~", "main^1"].map(|name| fixture.git(&["rev-parse", name]));
    assert_eq!(files(&ask(fixture.root(), None), fixture.root()), ["a/src/lib.rs"]);
    // As a clone does that fetched main with less of its history.
    fixture.write(".git/shallow", &third);
    let changes = ask(fixture.root(), None);
    assert_eq!(changes.base, Base::Commit { name: "main".into(), id: first.trim().to_owned() });
    assert_eq!(files(&changes, fixture.root()), ["a/src/lib.rs", "b/src/lib.rs"]);
}

#[test]
fn a_branch_that_is_being_rebased_is_compared_as_before() {
    let fixture = fixture();
    fixture.git(&["switch", "--quiet", "-c", "feature"]);
    fixture.write("a/src/lib.rs", "feature");
    fixture.commit("feature");
    fixture.write("c.rs", "");
    fixture.commit("later");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.write("b/src/lib.rs", "main");
    fixture.commit("main");
    fixture.git(&["switch", "--quiet", "feature"]);
    fixture.git(&[
        "-c",
        "sequence.editor=sed -i 1s/pick/edit/",
        "rebase",
        "--quiet",
        "--interactive",
        "main",
    ]);
    assert!(fixture.root().join(".git/rebase-merge").is_dir());
    fixture.write("b/new.rs", "");
    let changes = ask(fixture.root(), None);
    let main = fixture.git(&["rev-parse", "main"]).trim().to_owned();
    assert_eq!(changes.base, Base::Commit { name: "main".into(), id: main });
    assert_eq!(files(&changes, fixture.root()), ["a/src/lib.rs", "b/new.rs"]);
}

/// Jujutsu in the same folder as git: HEAD is the parent of its working copy commit, and never a branch.
#[test]
fn a_repository_that_jj_works_in_is_compared_too() {
    let fixture = fixture();
    fixture.write(".jj/.gitignore", "/*\n");
    fixture.write(".jj/repo/store/type", "git");
    fixture.write("a/src/lib.rs", "described");
    fixture.commit("described");
    fixture.git(&["checkout", "--quiet", "--detach"]);
    fixture.git(&["branch", "--quiet", "--force", "main", "HEAD~"]);
    // The commit of the working copy, of which HEAD is the parent. Its new files are in the index as files to be added.
    fixture.write("b/new.rs", "");
    fixture.git(&["add", "--intent-to-add", "b/new.rs"]);
    let tree = fixture.git(&["rev-parse", "HEAD^{tree}"]);
    let working_copy = fixture.git(&["commit-tree", "-p", "HEAD", "-m", "", tree.trim()]);
    fixture.git(&["update-ref", "refs/jj/keep/1", working_copy.trim()]);
    let changes = ask(fixture.root(), None);
    assert!(matches!(&changes.base, Base::Commit { name, .. } if name == "main"), "{:?}", changes.base);
    assert_eq!(files(&changes, fixture.root()), ["a/src/lib.rs", "b/new.rs"]);
}

#[test]
fn tracked_files_are_relative_to_the_folder() {
    let fixture = fixture();
    fixture.write("a/new.rs", "");
    let below = |dir: &Utf8Path| tracked(dir, &environment());
    assert_eq!(below(&fixture.root().join("a")), Some(vec!["src/lib.rs".into()]));
    assert_eq!(below(TempDir::new("no-git").path()), None);
}

#[test]
fn a_listing_has_every_file_once() {
    let fixture = fixture();
    fixture.write("sub/x", "");
    fixture.write("sub/.gitignore", "*.log\n");
    xtask_testkit::git_init(&fixture.root().join("sub"));
    fixture.git(&["add", "sub"]);
    for path in ["sub/new", "sub/x.log", "new\nline", "x.tmp", "nested/x"] {
        fixture.write(path, "");
    }
    xtask_testkit::git_init(&fixture.root().join("nested"));
    std::fs::remove_file(fixture.root().join("b/src/lib.rs")).unwrap();
    fixture.git(&["update-index", "--assume-unchanged", "a/src/lib.rs"]);
    // A conflict.
    let ids = ["1", "2", "3"].map(|stage| {
        format!("100644 {} {stage}\tc\n", fixture.git(&["rev-parse", "HEAD:Cargo.lock"]).trim())
    });
    let mut command = std::process::Command::new("sh");
    xtask_testkit::scrub(&mut command).current_dir(fixture.root());
    command.args(["-c", &format!("printf '%s' '{}' | git update-index --index-info", ids.concat())]);
    xtask_testkit::Outcome::of(&mut command).expect_code(0);
    let tracked = [
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "a/src/lib.rs",
        "b/src/lib.rs",
        "c",
        "sub/.gitignore",
        "sub/x",
    ];
    let list = |dir: &str| {
        let listing = listing(&fixture.root().join(dir), &environment()).unwrap().unwrap();
        let name = |file: &Listed| file.path.to_str().unwrap().to_owned();
        let (tracked, untracked) = listing.iter().partition::<Vec<_>, _>(|file| file.tracked);
        [tracked, untracked].map(|files| {
            let mut names = files.into_iter().map(name).collect::<Vec<_>>();
            names.sort();
            names
        })
    };
    let untracked = ["new\nline", "sub/new"];
    assert_eq!(list(""), [tracked.map(str::to_owned).to_vec(), untracked.map(str::to_owned).to_vec()]);
    // From below, as seen from there.
    let [below, _] = list("a");
    let expected = [
        "../.gitignore",
        "../Cargo.lock",
        "../Cargo.toml",
        "../b/src/lib.rs",
        "../c",
        "../sub/.gitignore",
        "../sub/x",
        "src/lib.rs",
    ];
    assert_eq!(below, expected);
}

#[test]
fn there_is_no_listing_without_git_and_an_error_where_git_fails() {
    let fixture = fixture();
    assert!(listing(fixture.root(), &Environment::default()).unwrap().is_none(), "no git on PATH");
    fixture.write(".git/index", "damaged");
    let error = listing(fixture.root(), &environment()).unwrap_err();
    assert!(format!("{error:#}").contains("ls-files"), "{error:#}");
    let outside = TempDir::new("no-repository");
    assert!(listing(outside.path(), &environment()).unwrap().is_none());
}
