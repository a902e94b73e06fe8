//! What git says: every file that differs between the merge base with the base branch and the work tree, and what the
//! files hold now.
//!
//! Invariant: nothing is written, not even git's index, and where git cannot tell, the answer says why instead of naming
//! fewer files. Files that git ignores are listed as unseen: nothing is known of them.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::process::Output;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::config::closest;
use crate::{Call, Environment, WrongUsage, digest, on_path};

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
    tree: Option<Tree>,
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

/// Index and work tree.
#[derive(Debug)]
struct Tree {
    git: Git,
    tracked: Vec<Tracked>,
    /// What differs between index and work tree, and untracked files.
    not_as_index: Vec<Utf8PathBuf>,
}

#[derive(Debug)]
struct Tracked {
    path: Utf8PathBuf,
    /// Mode and blob id, `100644 ID`: the same for the same content.
    content: String,
    /// Git was told not to look for edits (`--assume-unchanged`, `--skip-worktree`).
    unwatched: bool,
}

/// What the files of a work tree hold. Paths are absolute.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Tracked and untracked files that exist, and a digest of each: its mode, and git's id of its bytes. An edited file
    /// has the same digest before and after `git add` and `git commit`, unless git converts it (line endings, LFS).
    pub files: BTreeMap<Utf8PathBuf, String>,
    /// Ignored files, without those in folders that are ignored as a whole.
    pub ignored: Vec<Utf8PathBuf>,
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

/// Compares the work tree around `root` with its merge base with `base`, by default the first base branch that exists.
///
/// Fails as [`WrongUsage`] when `base` names no commit. Whatever else keeps git from telling is a [`Base::Unknown`].
pub fn changes(root: &Utf8Path, base: Option<&str>, environment: &Environment) -> Result<Changes> {
    let unknown = Base::Unknown { why: String::new() };
    let mut changes =
        Changes { base: unknown, files: Vec::new(), repository: None, unseen: Vec::new(), tree: None };
    changes.base = match changes.look(root, base, environment) {
        Ok(base) => base,
        Err(error) if error.is::<WrongUsage>() => return Err(error),
        Err(error) => Base::Unknown { why: error.to_string() },
    };
    Ok(changes)
}

impl Changes {
    fn look(&mut self, root: &Utf8Path, base: Option<&str>, environment: &Environment) -> Result<Base> {
        let git = Git::new(root, environment).context("git is not on PATH")?;
        // At once: each process takes 2 to 15 ms.
        let (place, status, index, since) = thread::scope(|scope| {
            let place =
                scope.spawn(|| git.text(&["rev-parse", "--is-shallow-repository", "--show-toplevel"]));
            let status = scope.spawn(|| git.run(&STATUS_ARGS));
            let index = scope.spawn(|| git.run(&INDEX_ARGS));
            let since = since(&git, base);
            (join(place), join(status), join(index), since)
        });
        let inside = root.ancestors().any(|folder| folder.join(".git").exists());
        let place =
            place.map_err(|error| if inside { error } else { anyhow!("this is not a git repository") })?;
        let (shallow, repository) = place.split_once('\n').context("this is not a git repository")?;
        let repository = Utf8PathBuf::from(repository);
        let tracked = tracked_files(&index?, &repository);
        let mut tree = Tree { git, tracked, not_as_index: Vec::new() };
        let has_commits = self.read_status(&status?, &repository, &mut tree);
        let hidden = tree.tracked.iter().filter(|file| file.unwatched && file.path.exists());
        self.files.extend(hidden.map(|file| file.path.clone()));
        self.repository = Some(repository.clone());
        self.tree = Some(tree);
        ensure!(has_commits, "there are no commits yet");
        ensure!(shallow != "true", "this is a shallow clone");
        let ignored = self.unseen.iter().any(|ignored| root.starts_with(ignored));
        ensure!(!ignored, "git ignores the folder of this workspace");
        let (base, committed) = since?;
        self.files.extend(records(&committed).map(|path| repository.join(path)));
        self.files.sort();
        self.files.dedup();
        Ok(base)
    }

    /// Reads the output of [`STATUS_ARGS`]. Returns whether there is a commit.
    fn read_status(&mut self, output: &[u8], repository: &Utf8Path, tree: &mut Tree) -> bool {
        let mut has_commits = false;
        for record in records(output) {
            let (kind, rest) = record.split_once(' ').unwrap_or((&record, ""));
            let fields_before_path = match kind {
                "#" => {
                    has_commits |= rest.starts_with("branch.oid ") && rest != "branch.oid (initial)";
                    continue;
                }
                // `XY sub mH mI mW hH hI path`; X is HEAD against index, Y index against work tree.
                "1" => 7,
                // `XY sub m1 m2 m3 mW h1 h2 h3 path`: unmerged.
                "u" => 9,
                _ => 0,
            };
            let path = rest.splitn(fields_before_path + 1, ' ').last().unwrap_or_default();
            let path = absolute(path, repository);
            if kind == "!" {
                self.unseen.push(path);
                continue;
            }
            if kind == "?" || rest.as_bytes().get(1) != Some(&b'.') {
                tree.not_as_index.push(path.clone());
            }
            self.files.push(path);
        }
        has_commits
    }

    /// The text of a file at the base; `None` when there was none. Git is asked only if the file may have changed since.
    pub fn at_base(&self, path: &Utf8Path) -> Option<String> {
        let commit = match &self.base {
            Base::Unknown { .. } => return None,
            Base::Head { .. } => "HEAD",
            Base::Commit { id, .. } => id,
        };
        let mut tracked = self.tree.iter().flat_map(|tree| &tree.tracked);
        let is_plain =
            |file: &Tracked| file.path == path && !file.unwatched && !file.content.starts_with(LINK_MODE);
        if self.files.iter().all(|changed| changed != path) && tracked.any(is_plain) {
            return fs::read_to_string(path).ok();
        }
        let path = path.strip_prefix(self.repository.as_ref()?).ok()?;
        let blob = self.tree.as_ref()?.git.run(&["cat-file", "blob", &format!("{commit}:{path}")]).ok()?;
        String::from_utf8(blob).ok()
    }

    /// What every file of the work tree holds now: git's blob ids where the index is right, and for other files what git
    /// would call them. `None` without git. Fails when a file that differs from the index cannot be read.
    pub fn contents(&self) -> Result<Option<Contents>> {
        let Some(Tree { git, tracked, not_as_index }) = &self.tree else { return Ok(None) };
        let mut files =
            tracked.iter().map(|file| (file.path.clone(), file.content.clone())).collect::<BTreeMap<_, _>>();
        // Links are read from disk, because git would take the content of what they lead to.
        let from_disk = tracked.iter().filter(|file| file.unwatched || file.content.starts_with(LINK_MODE));
        let mut edited = BTreeMap::new();
        for path in not_as_index.iter().chain(from_disk.map(|file| &file.path)) {
            files.remove(path);
            read_modes(path, &mut edited).with_context(|| format!("failed to read {path}"))?;
        }
        let (links, plain) =
            edited.into_iter().partition::<Vec<_>, _>(|(_, mode)| mode.starts_with(LINK_MODE));
        files.extend(links);
        // In parts, because the length of a command line is limited.
        for part in plain.chunks(100) {
            // Without filters: no program of the user's configuration is started.
            let mut args = vec!["hash-object", "--no-filters", "--"];
            args.extend(part.iter().map(|(path, _)| path.as_str()));
            let ids = git.text(&args)?;
            ensure!(ids.lines().count() == part.len(), "`git hash-object` did not answer for every file");
            let with_id =
                |((path, mode), id): (&(Utf8PathBuf, String), _)| (path.clone(), format!("{mode} {id}"));
            files.extend(part.iter().zip(ids.lines()).map(with_id));
        }
        let ignored = self.unseen.iter().filter(|path| path.is_file()).cloned().collect();
        Ok(Some(Contents { files, ignored }))
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

/// `-s` for modes and blob ids, `-v` for the flags that hide edits; `:/` for the whole repository.
const INDEX_ARGS: [&str; 6] = ["ls-files", "-s", "-v", "-z", "--full-name", ":/"];

/// Reads the output of [`INDEX_ARGS`]: `H 100644 ID 0\tpath`.
fn tracked_files(output: &[u8], repository: &Utf8Path) -> Vec<Tracked> {
    let entry = |record: String| {
        let (facts, path) = record.split_once('\t')?;
        let (tag, rest) = facts.split_once(' ')?;
        // The stage is not 0 only in a conflict, and then the file on disk counts.
        let (content, _stage) = rest.rsplit_once(' ')?;
        // Lower case: assume-unchanged; `S`: skip-worktree.
        let unwatched = tag == "S" || tag.chars().all(char::is_lowercase);
        Some(Tracked { path: absolute(path, repository), content: content.to_owned(), unwatched })
    };
    records(output).filter_map(entry).collect()
}

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

/// The mode that git gives a symbolic link.
const LINK_MODE: &str = "120000 ";

/// Adds the mode that git would give the file, or each file in the folder (a submodule, a repository inside this one); for
/// a link, also a digest of its target. Follows no link. A missing file adds nothing.
fn read_modes(path: &Utf8Path, modes: &mut BTreeMap<Utf8PathBuf, String>) -> std::io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        metadata => metadata?,
    };
    if metadata.is_dir() {
        for entry in path.read_dir_utf8()? {
            let entry = entry?;
            if entry.file_name() != ".git" {
                read_modes(entry.path(), modes)?;
            }
        }
    } else if metadata.is_symlink() {
        let target = fs::read_link(path)?;
        let content = format!("{LINK_MODE}{}", digest(target.to_string_lossy().as_bytes()));
        modes.insert(path.to_owned(), content);
    } else if metadata.is_file() {
        modes.insert(path.to_owned(), if is_executable(&metadata) { "100755" } else { "100644" }.to_owned());
    }
    Ok(())
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

/// The base branches that are tried when none is configured, in this order.
const CANDIDATES: [&str; 5] = [
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
];

/// The merge base of HEAD and the base branch, and the NUL-separated paths that commits since then changed, relative to the
/// top of the work tree.
fn since(git: &Git, configured: Option<&str>) -> Result<(Base, Vec<u8>)> {
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
        [] => bail!("HEAD and {name} have no commit in common"),
        // After criss-cross merges, each base lacks changes that the other has.
        _ => bail!("HEAD and {name} have more than one merge base"),
    };
    if git.text(&["rev-parse", "HEAD"])? == id {
        return Ok((Base::Head { name }, Vec::new()));
    }
    let flags = ["-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none"];
    let diff = git.run(&[&["diff-tree"][..], &flags, &[&id, "HEAD"]].concat())?;
    Ok((Base::Commit { name, id }, diff))
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
