//! Random git operations between runs.

use std::process::Command;

use camino::Utf8Path;
use xtask_testkit::{Outcome, Random, scrub};

/// Runs git; a failure (a conflict, nothing to stash) is an answer.
pub(crate) fn git(root: &Utf8Path, args: &[&str]) -> Outcome {
    let mut command = Command::new("git");
    scrub(&mut command).current_dir(root).args(args);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    Outcome::of(&mut command)
}

/// Makes `root` a repository on branch `main`; sometimes a clone of one.
pub(crate) fn start(root: &Utf8Path, random: &mut Random) -> String {
    for args in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["add", "-A"],
        &["commit", "--quiet", "-m", "first"],
        &["commit", "--quiet", "--allow-empty", "-m", "second"],
    ] {
        git(root, args).expect_code(0);
    }
    let depth: &[&str] = match random.below(20) {
        0..=12 => return "git".to_owned(),
        13 => &["--depth", "1"],
        _ => &[],
    };
    let origin = root.with_file_name("origin");
    std::fs::rename(root, &origin).expect("a folder to move");
    let url = format!("file://{origin}");
    let args = [&["clone", "--quiet"], depth, &[url.as_str(), root.as_str()]].concat();
    git(&origin, &args).expect_code(0);
    format!("git clone {}", depth.join(" "))
}

/// One operation, and how it went.
pub(crate) fn step(root: &Utf8Path, random: &mut Random) -> String {
    let commit = || {
        git(root, &["add", "-A"]);
        git(root, &["commit", "--quiet", "-m", "work"])
    };
    let branches = git(root, &["for-each-ref", "--format=%(refname:short)", "refs/heads"]).stdout;
    let branches = branches.lines().collect::<Vec<_>>();
    let here = git(root, &["rev-parse", "--abbrev-ref", "HEAD"]).stdout.trim().to_owned();
    let (what, outcome) = match random.below(24) {
        0..=6 => ("commit".to_owned(), commit()),
        7..=12 => {
            let name = format!("b{}", random.below(1000));
            (format!("checkout -b {name}"), git(root, &["checkout", "--quiet", "-b", &name]))
        }
        13 | 14 => {
            commit();
            let name = random.pick(&branches).copied().unwrap_or("main");
            (format!("commit; checkout {name}"), git(root, &["checkout", "--quiet", name]))
        }
        15 => ("stash".to_owned(), git(root, &["stash", "push", "--quiet", "--include-untracked"])),
        16 | 17 => ("stash pop".to_owned(), git(root, &["stash", "pop", "--quiet"])),
        18..=20 => {
            commit();
            git(root, &["checkout", "--quiet", "main"]);
            let outcome = git(root, &["merge", "--quiet", "--no-edit", &here]);
            if outcome.code != Some(0) {
                git(root, &["merge", "--abort"]);
            }
            (format!("commit; checkout main; merge {here}"), outcome)
        }
        21 => {
            commit();
            let outcome = git(root, &["revert", "--no-edit", "HEAD"]);
            if outcome.code != Some(0) {
                git(root, &["revert", "--abort"]);
            }
            ("commit; revert HEAD".to_owned(), outcome)
        }
        22 => {
            git(root, &["add", "-A"]);
            ("commit --amend".to_owned(), git(root, &["commit", "--quiet", "--amend", "--no-edit"]))
        }
        _ => ("checkout --detach".to_owned(), git(root, &["checkout", "--quiet", "--detach"])),
    };
    format!("git {what} ({})", outcome.code.unwrap_or(-1))
}

/// The commit that rule "nothing since the base reaches it" is about; `None` where there is none but HEAD.
pub(crate) fn merge_base(root: &Utf8Path) -> Option<String> {
    let base = ["origin/HEAD", "origin/main", "main"]
        .into_iter()
        .find(|base| git(root, &["rev-parse", "--verify", "--quiet", base]).code == Some(0))?;
    let id = git(root, &["merge-base", "HEAD", base]).stdout.trim().to_owned();
    let head = git(root, &["rev-parse", "HEAD"]).stdout.trim().to_owned();
    (!id.is_empty() && id != head).then_some(id)
}
