//! The passes that are remembered, in the user's cache folder.
//!
//! Invariant: a pass is what somebody of this user has put there under that key, or there is none. Whatever is wrong with a
//! file (torn, damaged, of another version or owner) makes it no pass, and what is wrong with the whole store only makes
//! the tests run. While the memory is stopped nothing is read and nothing is written.
//!
//! `BASE/verdicts/ID/` holds one repository: a file per pass (`KEY.pass`), `owner` (whose it is), `pruned` (its time is that of the last
//! pruning) and, while the memory is stopped, `stopped`. BASE is found as the launcher finds it: see `xtask/src/store.rs`. A file is
//! never changed but replaced; its time is that of the last use, to a day.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xtask_files::{Durability, EntryKind, Folder, Status, own_dir, private_dir, remove_file, write_atomic};
use xtask_units::now_ms;
use xtask_workspace::{Digest, Environment, Hasher, Workspace, digest, repository_top};

use crate::runner_shim::Counts;

#[cfg(test)]
mod tests;

/// Part of every file's digest; another format gets another number.
const FORMAT: &str = "xtask-suite verdicts, format 1";
/// How many passes of one repository are kept: those that were used last. One takes about 300 bytes, and a block on the disk.
const MOST: usize = 20_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// A pass that was not used for so long is removed.
const UNUSED_MS: u64 = 60 * DAY_MS;
/// What is kept for a repository that is not there any more. Not removed at once: a container or a disk that is not
/// mounted may share the cache folder and not the repository.
const GONE_MS: u64 = 7 * DAY_MS;

/// The ending of a pass's file, after its key.
const PASS: &str = ".pass";
const OWNER: &str = "owner";
const PRUNED: &str = "pruned";
const STOPPED: &str = "stopped";

/// A pass.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// The program's name, as in reports: `app::it`.
    pub program: String,
    pub tests: Counts,
    /// How long the program ran, in milliseconds.
    pub ms: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The commit that was checked out.
    pub commit: Option<String>,
}

/// A program that failed although its pass was remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Empty if the record of the mismatch is damaged: then only `failures` says something.
    pub program: String,
    pub key: Digest,
    /// The remembered pass.
    pub pass: Pass,
    /// What failed: names of tests, or how the program ended.
    pub failures: Vec<String>,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

impl Mismatch {
    /// Whether it is known what stopped the memory.
    pub fn is_known(&self) -> bool {
        !self.program.is_empty()
    }

    fn unknown(record: &Utf8Path) -> Self {
        let pass = Pass { program: String::new(), tests: Counts::default(), ms: 0, at_ms: 0, commit: None };
        let failures = vec![format!("{record} cannot be read")];
        Self { program: String::new(), key: digest(""), pass, failures, at_ms: 0 }
    }
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub dir: Utf8PathBuf,
    pub passes: usize,
    /// On the disk.
    pub bytes: u64,
    /// When the pass that was not used for the longest time was used, to a day, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

/// The passes of one repository, shared by its worktrees.
#[derive(Debug)]
pub struct Store {
    dir: Utf8PathBuf,
    /// The folder's metadata: a file of another owner is none of ours.
    folder: Metadata,
    now_ms: u64,
}

impl Store {
    /// The store of the workspace's repository; made if there is none yet.
    ///
    /// Fails with the reason if there can be none: no home folder, a folder of somebody else, turned off.
    pub fn open(workspace: &Workspace) -> Result<Self, String> {
        let base = base(&workspace.environment)?;
        Self::below(&base, workspace.root()).map_err(|error| format!("{error:#}"))
    }

    fn below(base: &Utf8Path, root: &Utf8Path) -> Result<Self> {
        let verdicts = base.join("verdicts");
        let owner = repository(root);
        let dir = verdicts.join(digest(owner.as_str()).to_string());
        own_dir(base)?;
        private_dir(&verdicts)?;
        own_dir(&dir)?;
        let folder = fs::symlink_metadata(&dir).with_context(|| format!("failed to read {dir}"))?;
        let named = dir.join(OWNER);
        if fs::read(&named).ok().as_deref() != Some(owner.as_str().as_bytes()) {
            write_atomic(&named, owner.as_str(), Durability::Cache)?;
        }
        Ok(Self { dir, folder, now_ms: now_ms() })
    }

    pub fn get(&self, key: &Digest) -> Option<Pass> {
        if self.is_stopped() {
            return None;
        }
        let path = self.path(key);
        let modified = fs::symlink_metadata(&path).ok().filter(|found| self.is_ours(found))?.modified();
        let pass = unseal(&key.to_string(), &fs::read(&path).ok()?)?;
        let modified_ms = modified.ok()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        if !is_of_today(u64::try_from(modified_ms).unwrap_or(u64::MAX), self.now_ms) {
            // A store that cannot be written is still read.
            let now = UNIX_EPOCH + Duration::from_millis(self.now_ms);
            let _ = File::options().write(true).open(&path).and_then(|file| file.set_modified(now));
        }
        Some(pass)
    }

    /// Remembers the pass; nothing happens while the memory is stopped.
    pub fn put(&self, key: &Digest, pass: &Pass) -> Result<()> {
        if self.is_stopped() {
            return Ok(());
        }
        self.write(&self.path(key), &seal(&key.to_string(), pass)?, Durability::Cache)
    }

    pub fn remove(&self, key: &Digest) -> Result<()> {
        remove_file(&self.path(key))
    }

    /// The mismatch that stopped the memory. If its record is damaged the memory is stopped all the same, by one that is not
    /// [known](Mismatch::is_known).
    pub fn stopped(&self) -> Option<Mismatch> {
        if !self.is_stopped() {
            return None;
        }
        let path = self.dir.join(STOPPED);
        let is_ours = fs::symlink_metadata(&path).is_ok_and(|found| self.is_ours(&found));
        let read = is_ours.then(|| fs::read(&path).ok()).flatten();
        let mismatch = read.and_then(|bytes| unseal::<Mismatch>(STOPPED, &bytes));
        Some(mismatch.unwrap_or_else(|| Mismatch::unknown(&path)))
    }

    /// Stops the memory: nothing is read or written until [`Store::accept`]. The contradicted pass is forgotten.
    ///
    /// If the memory was stopped before, that mismatch stays the one that is shown.
    pub fn stop(&self, mismatch: &Mismatch) -> Result<()> {
        let mut stopped = Ok(());
        if !self.is_stopped() {
            let path = self.dir.join(STOPPED);
            stopped = self.write(&path, &seal(STOPPED, mismatch)?, Durability::Synced);
            // On a full disk there may be room for a file that is empty, which stops the memory as well.
            stopped = stopped.or_else(|error| File::create(&path).map(drop).map_err(|_| error));
        }
        stopped.and(self.remove(&mismatch.key))
    }

    /// Forgets the mismatch and the pass it contradicts, and goes on. If it is not known which pass that is, all of them.
    pub fn accept(&self) -> Result<Option<Mismatch>> {
        let Some(mismatch) = self.stopped() else { return Ok(None) };
        // Passes first: after a kill the memory is still stopped.
        if mismatch.is_known() {
            self.remove(&mismatch.key)?;
        } else {
            let folder = self.open_dir()?;
            for (name, _) in self.passes(&folder)? {
                remove(&folder, &name).with_context(|| format!("failed to remove a pass in {}", self.dir))?;
            }
        }
        remove_file(&self.dir.join(STOPPED))?;
        Ok(Some(mismatch))
    }

    pub fn summary(&self) -> Result<Summary> {
        let passes = self.passes(&self.open_dir()?)?;
        Ok(Summary {
            dir: self.dir.clone(),
            passes: passes.len(),
            bytes: passes.iter().map(|(_, status)| status.bytes).sum(),
            oldest_ms: passes.iter().map(|(_, status)| status.modified_ms).min(),
        })
    }

    /// Removes what has not been used for long, beyond the size limit, and of repositories that are gone. At most once a day:
    /// other calls take microseconds.
    pub fn prune(&self) -> Result<()> {
        let stamp = self.dir.join(PRUNED);
        let folder = self.open_dir()?;
        if folder.status(OsStr::new(PRUNED)).is_ok_and(|pruned| is_of_today(pruned.modified_ms, self.now_ms))
        {
            return Ok(());
        }
        // First: the second process has nothing to do then.
        write_atomic(&stamp, "", Durability::Cache)?;
        let verdicts = self.dir.parent().context("the store is a folder in another")?;
        let read = || format!("failed to read folder {verdicts}");
        let all = Folder::open(verdicts.as_std_path()).with_context(read)?;
        let mut failed = Ok(());
        for entry in all.entries().with_context(read)? {
            if entry.kind == EntryKind::Folder && entry.name.to_str().is_some_and(is_digest) {
                let pruned = prune_entry(&all, &entry.name, self.now_ms);
                failed = failed.and(pruned.with_context(|| format!("failed to prune {verdicts}")));
            }
        }
        failed
    }

    /// Another process may have removed the folder, as one that was not used for long.
    fn write(&self, path: &Utf8Path, bytes: &[u8], durability: Durability) -> Result<()> {
        own_dir(&self.dir)?;
        write_atomic(path, bytes, durability)
    }

    fn path(&self, key: &Digest) -> Utf8PathBuf {
        self.dir.join(format!("{key}{PASS}"))
    }

    fn open_dir(&self) -> Result<Folder> {
        Folder::open(self.dir.as_std_path()).with_context(|| format!("failed to read folder {}", self.dir))
    }

    fn passes(&self, folder: &Folder) -> Result<Vec<(OsString, Status)>> {
        let mut files = files(folder).with_context(|| format!("failed to read folder {}", self.dir))?;
        files.retain(|(name, _)| Kind::of(name) == Some(Kind::Pass));
        Ok(files)
    }

    /// Whatever there is: only a memory that certainly was not stopped goes on.
    fn is_stopped(&self) -> bool {
        !is_missing(&self.dir.join(STOPPED))
    }

    fn is_ours(&self, found: &Metadata) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            if found.uid() != self.folder.uid() {
                return false;
            }
        }
        found.is_file()
    }
}

/// The folder of the user's caches of ours, or why there is none.
pub(super) fn base(environment: &Environment) -> Result<Utf8PathBuf, String> {
    let variable = |name| environment.get(name).map(Utf8PathBuf::from).filter(|path| path.is_absolute());
    if let Some(value) = environment.get("XTASK_STORE") {
        return variable("XTASK_STORE").ok_or_else(|| match value {
            "off" => "XTASK_STORE is off".to_owned(),
            _ => format!("XTASK_STORE is `{value}`, neither an absolute path nor `off`"),
        });
    }
    let caches = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    let caches = caches.ok_or("the user's cache folder is not known; set XTASK_STORE to a folder")?;
    Ok(caches.join("xtask-suite"))
}

/// What all worktrees of the workspace's repository have in common: its git dir; without git the workspace itself. Answers as
/// `git rev-parse --git-common-dir`, without a process. A wrong answer would share less, never too much: keys tell
/// everything apart.
fn repository(root: &Utf8Path) -> Utf8PathBuf {
    let found = common_git_dir(root).unwrap_or_else(|| root.to_owned());
    found.canonicalize_utf8().unwrap_or(found)
}

fn common_git_dir(root: &Utf8Path) -> Option<Utf8PathBuf> {
    let top = repository_top(root)?;
    let found = top.join(".git");
    let text = |path: &Utf8Path| fs::read_to_string(path).ok();
    let git_dir = if found.is_file() {
        // A worktree or a submodule: gitrepository-layout(5).
        top.join(text(&found)?.strip_prefix("gitdir:")?.trim())
    } else {
        found
    };
    Some(match text(&git_dir.join("commondir")) {
        Some(common) => git_dir.join(common.trim_end()),
        None => git_dir,
    })
}

/// What a name of ours in an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Pass,
    /// What a killed writer has left.
    LeftOver,
    /// `owner`, `pruned` or `stopped`.
    Own,
}

impl Kind {
    /// `None` for a name that is none of ours.
    fn of(name: &OsStr) -> Option<Self> {
        let of = |name: &str| match name {
            OWNER | PRUNED | STOPPED => Some(Self::Own),
            _ => name.strip_suffix(PASS).filter(|key| is_digest(key)).map(|_| Self::Pass),
        };
        let name = name.to_str()?;
        of(name).or_else(|| {
            // As `xtask_files` names them: `.NAME.PROCESS-NUMBER.tmp`.
            let (name, numbers) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
            of(name).filter(|_| numbers.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()))?;
            Some(Self::LeftOver)
        })
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether the two are less than a day apart. A time in the far future is not of today: otherwise a clock that was wrong once
/// would keep a file for ever.
fn is_of_today(time_ms: u64, now_ms: u64) -> bool {
    time_ms.abs_diff(now_ms) < DAY_MS
}

/// Whether there certainly is nothing at `path`, not even a link.
fn is_missing(path: &Utf8Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// The files of ours in an entry.
fn files(folder: &Folder) -> io::Result<Vec<(OsString, Status)>> {
    let mut files = Vec::new();
    for entry in folder.entries()? {
        if entry.kind == EntryKind::File && Kind::of(&entry.name).is_some() {
            // Another process may have removed it.
            files.extend(folder.status(&entry.name).ok().map(|status| (entry.name, status)));
        }
    }
    Ok(files)
}

fn remove(folder: &Folder, name: &OsStr) -> io::Result<()> {
    folder
        .remove_file(name)
        .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Removes what is too old in the entry `name`, or all of it.
fn prune_entry(all: &Folder, name: &OsStr, now_ms: u64) -> io::Result<()> {
    let entry = all.folder(name)?;
    let mut files = files(&entry)?;
    let owner = entry.read(OsStr::new(OWNER), 64 * 1024).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // One that is not of this folder's name was damaged, and the entry will not be found again.
    let owner = owner.filter(|owner| digest(owner).to_string().as_str() == name);
    let is_gone = owner.is_none_or(|owner| is_missing(owner.as_ref()));
    let pruned = files.iter().find(|(name, _)| name == PRUNED).map(|(_, status)| *status);
    let used_ms = pruned.map_or_else(|| entry.own_status(), Ok)?.modified_ms;
    let is_stopped = files.iter().any(|(name, _)| name == STOPPED);
    let unused_ms = now_ms.saturating_sub(used_ms);
    // The memory of a repository that is there stays stopped, however long that takes.
    if unused_ms > GONE_MS && is_gone || unused_ms > UNUSED_MS && !is_stopped {
        // Passes first: after a kill the rest still tells that the entry may go.
        files.sort_by_key(|(name, _)| Kind::of(name));
        for (name, _) in &files {
            remove(&entry, name)?;
        }
        // With something else in it, it stays.
        let _ = all.remove_empty_folder(name);
        return Ok(());
    }
    for name in doomed(files, now_ms) {
        remove(&entry, &name)?;
    }
    Ok(())
}

/// Which of the `files` of an entry are to be removed.
fn doomed(files: Vec<(OsString, Status)>, now_ms: u64) -> Vec<OsString> {
    let mut doomed = Vec::new();
    let mut kept = Vec::new();
    for (name, status) in files {
        let age_ms = now_ms.saturating_sub(status.modified_ms);
        match Kind::of(&name) {
            Some(Kind::Pass) if age_ms <= UNUSED_MS => kept.push((status.modified_ms, name)),
            Some(Kind::Pass) => doomed.push(name),
            Some(Kind::LeftOver) if age_ms > DAY_MS => doomed.push(name),
            _ => {}
        }
    }
    kept.sort();
    let too_many = kept.len().saturating_sub(MOST);
    doomed.extend(kept.into_iter().take(too_many).map(|(_, name)| name));
    doomed
}

/// A file's bytes: the digest of its name and content on the first line, then the content, JSON.
fn seal(name: &str, content: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_string(content).context("failed to write JSON")? + "\n";
    Ok(format!("{}\n{json}", check(name, json.as_bytes())).into_bytes())
}

/// `None` unless the bytes are what [`seal`] has made for that name.
fn unseal<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Option<T> {
    let (head, json) = bytes.split_at_checked(33)?;
    let is_whole = head == format!("{}\n", check(name, json)).as_bytes();
    is_whole.then(|| serde_json::from_slice(json).ok()).flatten()
}

fn check(name: &str, json: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.field(FORMAT).field(name).field(json);
    hasher.finish()
}
