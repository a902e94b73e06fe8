//! Finds the merge base of HEAD and the base branch, and what was committed since.

use anyhow::Result;

use super::run::Git;
use crate::WrongUsage;

/// Where a base branch is looked for when none is configured, the best first.
const CANDIDATES: [&str; 5] = [
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
];

/// What was committed since the merge base.
pub(super) enum Since {
    /// Nothing: HEAD is the merge base.
    Head { name: String },
    /// `diff` is a NUL-separated list of paths relative to the top of the work tree.
    Commit { name: String, id: String, diff: Vec<u8> },
    /// The reason why it cannot be told.
    Unknown(String),
}

/// Asks git. Fails as [`WrongUsage`] when `configured` names no commit.
pub(super) fn since(git: &Git, configured: Option<&str>) -> Result<Since> {
    let found = match configured {
        Some(name) => configured_base(git, name)?,
        None => first_candidate(git)?,
    };
    let Some((name, tip)) = found else {
        let tried = CANDIDATES.map(short).join(", ");
        return Ok(Since::Unknown(format!("there is no base branch (looked for {tried})")));
    };
    // Exit code 1 with no output: no common commit.
    let (_, stdout, stderr) = git.output(&["merge-base", "--all", "HEAD", &tip])?;
    if !stderr.is_empty() && stdout.is_empty() {
        return Ok(Since::Unknown(format!("`git merge-base HEAD {name}` failed: {stderr}")));
    }
    let bases = String::from_utf8_lossy(&stdout);
    let mut bases = bases.lines();
    let id = match (bases.next(), bases.next()) {
        (Some(id), None) => id.to_owned(),
        (None, _) => return Ok(Since::Unknown(format!("HEAD and {name} have no commit in common"))),
        // After merges crosswise each base lacks changes that the other has.
        (Some(_), Some(_)) => {
            return Ok(Since::Unknown(format!("HEAD and {name} have more than one merge base")));
        }
    };
    if git.text(&["rev-parse", "HEAD"])? == id {
        return Ok(Since::Head { name });
    }
    let diff = git.run(&[
        "diff-tree",
        "-r",
        "-z",
        "--name-only",
        "--no-renames",
        "--ignore-submodules=none",
        &id,
        "HEAD",
    ])?;
    Ok(Since::Commit { name, id, diff })
}

/// The configured base and its commit.
fn configured_base(git: &Git, name: &str) -> Result<Option<(String, String)>> {
    let (success, stdout, _) =
        git.output(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])?;
    if success {
        let id = String::from_utf8_lossy(&stdout).trim().to_owned();
        return Ok(Some((name.to_owned(), id)));
    }
    let branches = git.text(&["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes"])?;
    let near = branches.lines().map(|branch| (strsim::jaro_winkler(name, branch), branch));
    let best = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|&(likeness, _)| likeness > 0.7);
    let hint = best.map(|(_, branch)| format!("; did you mean `{branch}`?")).unwrap_or_default();
    Err(WrongUsage(format!("the base branch `{name}` names no commit in this repository{hint}")).into())
}

fn first_candidate(git: &Git) -> Result<Option<(String, String)>> {
    let mut args = vec!["for-each-ref", "--format=%(refname) %(objectname)"];
    args.extend(CANDIDATES);
    let existing = git.text(&args)?;
    let existing = existing.lines().filter_map(|line| line.split_once(' ')).collect::<Vec<_>>();
    Ok(CANDIDATES.into_iter().find_map(|candidate| {
        let (name, id) = existing.iter().find(|(name, _)| *name == candidate)?;
        Some((short(name).to_owned(), (*id).to_owned()))
    }))
}

fn short(reference: &str) -> &str {
    reference.trim_start_matches("refs/remotes/").trim_start_matches("refs/heads/")
}
