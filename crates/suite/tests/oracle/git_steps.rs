//! Random git operations between runs.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Outcome, Random, scrub};

/// Runs git; a failure (a conflict, nothing to stash) is an answer.
pub(crate) fn git(root: &Utf8Path, args: &[&str]) -> Outcome {
    let mut command = Command::new("git");
    scrub(&mut command).current_dir(root).args(args);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_EDITOR", "true");
    Outcome::of(&mut command)
}

/// Everything but what tests wrote.
const ADD: [&str; 5] = ["add", "-A", "--", ":/", ":(exclude,top,glob)**/*.out"];

/// Makes `top` a repository on branch `main`.
pub(crate) fn start(top: &Utf8Path) {
    for args in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &ADD,
        &["commit", "--quiet", "-m", "first"],
        &["commit", "--quiet", "--allow-empty", "-m", "second"],
    ] {
        git(top, args).expect_code(0);
    }
}

/// Sometimes puts a clone in the place of `top`, and says so.
pub(crate) fn maybe_clone(top: &Utf8Path, random: &mut Random) -> String {
    let depth: &[&str] = match random.below(20) {
        0..=12 => return "git".to_owned(),
        13 => &["--depth", "1"],
        _ => &[],
    };
    let origin = top.with_file_name("origin");
    std::fs::rename(top, &origin).expect("a folder to move");
    let url = format!("file://{origin}");
    let args = [&["clone", "--quiet"], depth, &[url.as_str(), top.as_str()]].concat();
    git(&origin, &args).expect_code(0);
    format!("git clone {}", depth.join(" "))
}

/// Commits everything.
pub(crate) fn commit(top: &Utf8Path) -> Outcome {
    git(top, &ADD);
    git(top, &["commit", "--quiet", "-m", "work"])
}

/// A linked worktree beside the first checkout.
pub(crate) fn add_worktree(top: &Utf8Path, path: &Utf8PathBuf, random: &mut Random) -> String {
    let how: &[&str] = if random.chance(50) { &["-b", "linked"] } else { &["--detach"] };
    git(top, &[&["worktree", "add", "--quiet"], how, &[path.as_str()]].concat()).expect_code(0);
    format!("git worktree add {}", how.join(" "))
}

/// One operation, and how it went.
pub(crate) fn step(top: &Utf8Path, random: &mut Random) -> String {
    let commit = || commit(top);
    // What is begun is ended in any case.
    let or_abort = |what: &str, args: &[&str]| {
        let outcome = git(top, args);
        if outcome.code != Some(0) {
            git(top, &[what, "--abort"]);
        }
        outcome
    };
    let branches = git(top, &["for-each-ref", "--format=%(refname:short)", "refs/heads"]).stdout;
    let branches = branches.lines().collect::<Vec<_>>();
    let here = git(top, &["rev-parse", "--abbrev-ref", "HEAD"]).stdout.trim().to_owned();
    let other = random.pick(&branches).copied().unwrap_or("main");
    let (what, outcome) = match random.below(36) {
        0..=6 => ("commit".to_owned(), commit()),
        7..=12 => {
            let name = format!("b{}", random.below(1000));
            (format!("checkout -b {name}"), git(top, &["checkout", "--quiet", "-b", &name]))
        }
        13 | 14 => {
            commit();
            (format!("commit; checkout {other}"), git(top, &["checkout", "--quiet", other]))
        }
        15 | 16 => ("stash".to_owned(), git(top, &["stash", "push", "--quiet", "--include-untracked"])),
        17..=19 => ("stash pop".to_owned(), git(top, &["stash", "pop", "--quiet"])),
        20..=22 => {
            commit();
            git(top, &["checkout", "--quiet", "main"]);
            (
                format!("commit; checkout main; merge {here}"),
                or_abort("merge", &["merge", "--quiet", "--no-edit", &here]),
            )
        }
        23 => {
            commit();
            ("commit; revert HEAD".to_owned(), or_abort("revert", &["revert", "--no-edit", "HEAD"]))
        }
        24 => {
            git(top, &ADD);
            ("commit --amend".to_owned(), git(top, &["commit", "--quiet", "--amend", "--no-edit"]))
        }
        25 => ("checkout --detach".to_owned(), git(top, &["checkout", "--quiet", "--detach"])),
        26 => {
            commit();
            ("commit; checkout HEAD~1".to_owned(), git(top, &["checkout", "--quiet", "HEAD~1"]))
        }
        27 | 28 => ("add -A".to_owned(), git(top, &ADD)),
        29 | 30 => {
            commit();
            (format!("commit; rebase {other}"), or_abort("rebase", &["rebase", "--quiet", other]))
        }
        31 => {
            commit();
            (format!("commit; cherry-pick {other}"), or_abort("cherry-pick", &["cherry-pick", other]))
        }
        32 | 33 => ("reset --hard".to_owned(), git(top, &["reset", "--quiet", "--hard"])),
        34 => ("clean -fd".to_owned(), git(top, &["clean", "--quiet", "-fd"])),
        _ => ("clean -fdx".to_owned(), git(top, &["clean", "--quiet", "-fdx", "-e", "scratch"])),
    };
    // A stash that does not fit leaves conflicts behind, which nobody can build.
    if git(top, &["diff", "--name-only", "--diff-filter=U"]).stdout.lines().next().is_some() {
        git(top, &["reset", "--quiet", "--hard"]);
    }
    format!("git {what} ({})", outcome.code.unwrap_or(-1))
}

/// The commit that rule "nothing since the base reaches it" is about; `None` where there is none but HEAD.
pub(crate) fn merge_base(top: &Utf8Path) -> Option<String> {
    let base = ["origin/HEAD", "origin/main", "main"]
        .into_iter()
        .find(|base| git(top, &["rev-parse", "--verify", "--quiet", base]).code == Some(0))?;
    let id = git(top, &["merge-base", "HEAD", base]).stdout.trim().to_owned();
    let head = git(top, &["rev-parse", "HEAD"]).stdout.trim().to_owned();
    (!id.is_empty() && id != head).then_some(id)
}
