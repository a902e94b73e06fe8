//! What git says: every file that differs between the merge base with the base branch and the work tree.
//!
//! Invariant: nothing is written, not even git's index, and where git cannot tell, the answer says why instead of naming
//! fewer files. Files that git ignores are listed as unseen: nothing is known of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::config::closest;
use crate::{Call, Environment, WrongUsage, on_path};

#[cfg(test)]
mod tests;

/// What changed since the merge base with the base branch. Paths are absolute.
#[derive(Debug)]
pub struct Changes {
    /// What the work tree was compared with.
    pub base: Base,
    /// Sorted: committed since the base, staged, unstaged, untracked; both names of a rename; deleted files; a submodule
    /// as its folder. Incomplete where the base is unknown.
    pub files: Vec<Utf8PathBuf>,
    /// The top folder of the work tree; `None` without git.
    pub repository: Option<Utf8PathBuf>,
    /// Files and folders that git ignores: their changes are not among [`Changes::files`].
    pub unseen: Vec<Utf8PathBuf>,
}

/// The commit that the work tree was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Git cannot tell. The reason is the rest of a sentence: `git is not on PATH`.
    Unknown { why: String },
    /// HEAD itself is the merge base with the branch `name`: only uncommitted changes count.
    Head { name: String },
    /// An earlier commit.
    Commit { name: String, id: String },
}

/// Whether git leaves `path` out of `dir`'s repository. Also true without git or a repository: then nobody commits it.
pub fn is_ignored(dir: &Utf8Path, path: &Utf8Path, environment: &Environment) -> bool {
    let Some(git) = Git::new(dir, environment) else { return true };
    git.run(&["rev-parse", "--is-inside-work-tree"]).is_err()
        || git.run(&["check-ignore", "--quiet", "--", path.as_str()]).is_ok()
}

/// The files below `dir` that git tracks, relative to it; `None` without git or a repository.
pub fn tracked(dir: &Utf8Path, environment: &Environment) -> Option<Vec<Utf8PathBuf>> {
    let listed = Git::new(dir, environment)?.run(&["ls-files", "-z"]).ok()?;
    Some(records(&listed).map(Into::into).collect())
}

/// The commit that is checked out at `dir`, shortened.
pub fn head_commit(dir: &Utf8Path, environment: &Environment) -> Option<String> {
    Git::new(dir, environment)?.text(&["rev-parse", "--short", "HEAD"]).ok()
}

/// A file that git lists.
#[derive(Debug)]
pub struct Listed {
    /// As seen from the folder that was asked for: `../x` is outside of it. Any bytes.
    pub path: PathBuf,
    pub tracked: bool,
}

/// Lists the whole work tree around `root`: tracked files, deleted ones too; untracked files that are not ignored; both of
/// checked-out submodules too. Another repository or worktree inside this one, which git tracks nothing of, is not listed.
/// `None` without git or a repository. Fails when git cannot read it.
pub fn listing(root: &Utf8Path, environment: &Environment) -> Result<Option<Vec<Listed>>> {
    // `-s` tells submodules from files, `-t` tracked files from untracked ones; `:/` for the whole repository. A repository
    // that comes from another system may say that case does not matter, where it does.
    const ARGS: [&str; 10] = [
        "-c",
        "core.ignoreCase=false",
        "ls-files",
        "-z",
        "-t",
        "-s",
        "--cached",
        "--others",
        "--exclude-standard",
        ":/",
    ];
    fn add(git: &Git, below: &Path, files: &mut Vec<Listed>) -> Result<()> {
        let mut last: &[u8] = b"";
        for record in git.run(&ARGS)?.split(|&byte| byte == 0) {
            // `? path`, `H 100644 ID STAGE\tpath`; a path that ends in a slash is another repository.
            let (path, tracked) = match record {
                [b'?', b' ', path @ ..] if !path.ends_with(b"/") => (path, false),
                [b'?', ..] | [] => continue,
                _ => match record.iter().position(|&byte| byte == b'\t') {
                    // In a conflict a file is listed up to three times.
                    Some(tab) if record[tab + 1..] != *last => (&record[tab + 1..], true),
                    _ => continue,
                },
            };
            last = path;
            let here = to_path(path);
            let path = if below.as_os_str().is_empty() { here.clone() } else { below.join(&here) };
            if tracked && record[1..].starts_with(b" 160000 ") {
                let dir = Utf8PathBuf::try_from(here).ok().map(|here| git.dir.join(here));
                if let Some(dir) = dir.filter(|dir| dir.join(".git").exists()) {
                    let git = Git { dir, program: git.program.clone(), environment: git.environment.clone() };
                    add(&git, &path, files)?;
                }
            } else {
                files.push(Listed { path, tracked });
            }
        }
        Ok(())
    }
    if repository_top(root).is_none() {
        return Ok(None);
    }
    let Some(git) = Git::new(root, environment) else { return Ok(None) };
    let mut files = Vec::new();
    add(&git, Path::new(""), &mut files)?;
    Ok(Some(files))
}

/// The top folder of the work tree around `dir`, without asking git: in a submodule or linked worktree `.git` is a file, and
/// git goes on beyond an empty folder of that name.
pub fn repository_top(dir: &Utf8Path) -> Option<&Utf8Path> {
    dir.ancestors().find(|folder| {
        let git = folder.join(".git");
        git.is_file() || git.join("HEAD").symlink_metadata().is_ok()
    })
}

#[cfg(unix)]
fn to_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn to_path(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// Compares the work tree around `root` with its merge base with `base`, by default the first base branch that exists.
///
/// Fails as [`WrongUsage`] when `base` names no commit. Whatever else keeps git from telling is a [`Base::Unknown`].
pub fn changes(root: &Utf8Path, base: Option<&str>, environment: &Environment) -> Result<Changes> {
    let unknown = Base::Unknown { why: String::new() };
    let mut changes = Changes { base: unknown, files: Vec::new(), repository: None, unseen: Vec::new() };
    changes.base = match changes.look(root, base, environment) {
        Ok(base) => base,
        Err(error) if error.is::<WrongUsage>() => return Err(error),
        Err(error) => Base::Unknown { why: error.to_string() },
    };
    Ok(changes)
}

impl Changes {
    fn look(&mut self, root: &Utf8Path, base: Option<&str>, environment: &Environment) -> Result<Base> {
        let git = &Git::new(root, environment).context("git is not on PATH")?;
        // At once: each process takes 2 to 15 ms.
        let (place, status, index, since) = thread::scope(|scope| {
            let place = scope.spawn(|| git.text(&["rev-parse", "--show-toplevel"]));
            let status = scope.spawn(|| git.run(&STATUS_ARGS));
            let index = scope.spawn(|| git.run(&INDEX_ARGS));
            let since = since(git, base);
            (join(place), join(status), join(index), since)
        });
        let inside = root.ancestors().any(|folder| folder.join(".git").exists());
        let place =
            place.map_err(|error| if inside { error } else { anyhow!("this is not a git repository") })?;
        ensure!(!place.is_empty(), "this is not a git repository");
        let repository = Utf8PathBuf::from(place);
        self.read_index(&index?, &repository);
        let head = self.read_status(&status?, &repository);
        self.repository = Some(repository.clone());
        let head = head.context("there are no commits yet")?;
        let ignored = self.unseen.iter().any(|ignored| root.starts_with(ignored));
        ensure!(!ignored, "git ignores the folder of this workspace");
        let (name, id, committed) = since?;
        self.files.extend(records(&committed).map(|path| repository.join(path)));
        self.files.sort();
        self.files.dedup();
        Ok(if id == head { Base::Head { name } } else { Base::Commit { name, id } })
    }

    /// Reads the output of [`STATUS_ARGS`]. Returns the commit that is HEAD.
    fn read_status(&mut self, output: &[u8], repository: &Utf8Path) -> Option<String> {
        let mut head = None;
        for record in records(output) {
            let (kind, rest) = record.split_once(' ').unwrap_or((&record, ""));
            let fields_before_path = match kind {
                "#" => {
                    let id = rest.strip_prefix("branch.oid ").filter(|id| *id != "(initial)");
                    head = head.or(id.map(str::to_owned));
                    continue;
                }
                // `XY sub mH mI mW hH hI path`
                "1" => 7,
                // `XY sub m1 m2 m3 mW h1 h2 h3 path`: unmerged.
                "u" => 9,
                _ => 0,
            };
            let path = rest.splitn(fields_before_path + 1, ' ').last().unwrap_or_default();
            let list = if kind == "!" { &mut self.unseen } else { &mut self.files };
            list.push(absolute(path, repository));
        }
        head
    }

    /// Reads the output of [`INDEX_ARGS`]: `H path`. Files for whose edits git was told not to look may have changed: all that
    /// are assumed to be unchanged (lower case), and of those left out of the work tree (`S`) what is there all the same.
    fn read_index(&mut self, output: &[u8], repository: &Utf8Path) {
        for record in records(output) {
            let Some((tag, path)) = record.split_once(' ') else { continue };
            let path = absolute(path, repository);
            if tag.chars().all(char::is_lowercase) || tag == "S" && path.exists() {
                self.files.push(path);
            }
        }
    }
}

/// A panic of the other thread goes on in this one.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Renames as two entries; submodules and ignored files too, whatever the user's settings are.
const STATUS_ARGS: [&str; 9] = [
    "status",
    "--porcelain=v2",
    "--branch",
    "--no-ahead-behind",
    "-z",
    "--untracked-files=all",
    "--ignored=matching",
    "--no-renames",
    "--ignore-submodules=none",
];

/// `-v` for the flags that hide edits; `:/` for the whole repository.
const INDEX_ARGS: [&str; 5] = ["ls-files", "-v", "-z", "--full-name", ":/"];

/// NUL-separated output. A name that is not Unicode is read with replacement characters: its folder, which decides what it
/// selects, is right.
fn records(output: &[u8]) -> impl Iterator<Item = String> {
    let records = output.split(|&byte| byte == 0).filter(|record| !record.is_empty());
    records.map(|record| String::from_utf8_lossy(record).into_owned())
}

/// Folders (submodules, repositories inside this one) end in a slash.
fn absolute(path: &str, repository: &Utf8Path) -> Utf8PathBuf {
    repository.join(path.trim_end_matches('/'))
}

/// The base branches that are tried when none is configured, in this order.
const CANDIDATES: [&str; 5] = [
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
];

/// The merge base of HEAD and the base branch (name and commit), and the NUL-separated paths that commits since then changed,
/// relative to the top of the work tree.
///
/// In a shallow clone git may answer with an older commit that both have in common, as the history of the merge base is cut.
/// That is as good a base: it too is in the history of the base branch, and the files that differ from it are compared
/// all the same.
fn since(git: &Git, configured: Option<&str>) -> Result<(String, String, Vec<u8>)> {
    let (name, tip) = match configured {
        Some(name) => (name.to_owned(), configured_base(git, name)?),
        None => first_candidate(git)?,
    };
    // Exit code 1 without a message: no common commit.
    let output = git.output(&["merge-base", "--all", "HEAD", &tip])?;
    let bases = String::from_utf8_lossy(&output.stdout);
    let id = match bases.lines().collect::<Vec<_>>()[..] {
        [id] => id.to_owned(),
        [] if !output.stderr.is_empty() => {
            let message = String::from_utf8_lossy(&output.stderr);
            bail!("`git merge-base HEAD {name}` failed: {}", message.trim());
        }
        [] => {
            let is_shallow = git.text(&["rev-parse", "--is-shallow-repository"])? == "true";
            let shallow = if is_shallow { " in this shallow clone" } else { "" };
            bail!("HEAD and {name} have no commit in common{shallow}")
        }
        // After criss-cross merges, each base lacks changes that the other has.
        _ => bail!("HEAD and {name} have more than one merge base"),
    };
    let flags = ["-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none"];
    let diff = git.run(&[&["diff-tree"][..], &flags, &[&id, "HEAD"]].concat())?;
    Ok((name, id, diff))
}

/// The commit that `name` is. Fails as [`WrongUsage`] when it is none.
fn configured_base(git: &Git, name: &str) -> Result<String> {
    if let Ok(id) = git.text(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]) {
        return Ok(id);
    }
    let branches = git.text(&["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes"])?;
    let hint = closest(name, branches.lines()).map(|branch| format!("; did you mean `{branch}`?"));
    let hint = hint.unwrap_or_default();
    Err(WrongUsage(format!("the base branch `{name}` names no commit in this repository{hint}")).into())
}

/// The first base branch that exists, and its commit.
fn first_candidate(git: &Git) -> Result<(String, String)> {
    let args = [&["for-each-ref", "--format=%(refname) %(objectname)"][..], &CANDIDATES].concat();
    let existing = git.text(&args)?;
    let existing = existing.lines().filter_map(|line| line.split_once(' ')).collect::<BTreeMap<_, _>>();
    let short = |name: &str| name.replace("refs/remotes/", "").replace("refs/heads/", "");
    let found =
        CANDIDATES.into_iter().find_map(|name| Some((short(name), (*existing.get(name)?).to_owned())));
    found
        .with_context(|| format!("there is no base branch (looked for {})", CANDIDATES.map(short).join(", ")))
}

/// What git sets for its hooks. `GIT_DIR` alone would make the working directory the top of the work tree.
const OF_A_HOOK: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
];

/// Git in one folder.
#[derive(Debug)]
struct Git {
    program: Utf8PathBuf,
    dir: Utf8PathBuf,
    environment: Environment,
}

impl Git {
    /// `None` when git is not on `PATH`.
    fn new(dir: &Utf8Path, environment: &Environment) -> Option<Self> {
        let program = on_path("git", environment)?;
        let mut environment = environment.clone();
        for name in OF_A_HOOK {
            environment.remove(name);
        }
        // Otherwise `git status` refreshes the index, and an editor's git waits for its lock.
        environment.set("GIT_OPTIONAL_LOCKS", "0");
        // A partial clone may fetch what it lacks, but nobody would see it ask for a password.
        environment.set("GIT_TERMINAL_PROMPT", "0");
        Some(Self { program, dir: dir.to_owned(), environment })
    }

    /// Runs `git ARGS`. Fails when it cannot be started.
    fn output(&self, args: &[&str]) -> Result<Output> {
        let call = Call::new(&self.dir, self.program.as_str(), args.iter().copied());
        let output = call.to_command(&self.environment).output();
        output.with_context(|| format!("failed to start `git {}` in {}", args.join(" "), self.dir))
    }

    /// The output of `git ARGS`. Fails when git does.
    fn run(&self, args: &[&str]) -> Result<Vec<u8>> {
        let output = self.output(args)?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            let first_line = message.trim().lines().next().unwrap_or("no message");
            bail!("`git {}` failed: {first_line}", args.join(" "));
        }
        Ok(output.stdout)
    }

    /// As [`Git::run`], as text without the line break at the end.
    fn text(&self, args: &[&str]) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.run(args)?).trim_end_matches('\n').to_owned())
    }
}
