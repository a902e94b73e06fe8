//! Files that are written whole or not at all: replaced in one step, or appended to line by line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

/// What has to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A file that can be made again (a cache): the rename is atomic, the bytes may be lost with the power.
    Cache,
    /// A file that cannot be made again: synced to disk before it takes the old one's place.
    Synced,
}

/// Writes `bytes` to `path` through a temporary file beside it, creating missing parent folders.
///
/// Readers see the old bytes or the new ones. The temporary file is removed when anything fails.
pub fn write_atomic(path: &Utf8Path, bytes: impl AsRef<[u8]>, durability: Durability) -> Result<()> {
    let mut replacement = Replacement::of(path)?;
    replacement.append(bytes.as_ref())?;
    replacement.commit(durability)
}

/// A new version of a file, written beside it: for what is too large for memory.
///
/// It gets its name in [`Replacement::commit`]; dropped before that, it is removed.
#[derive(Debug)]
pub struct Replacement {
    file: File,
    temporary: Temporary,
    path: Utf8PathBuf,
}

impl Replacement {
    /// An empty one for `path`, creating missing parent folders. A link at `path` is replaced, not followed.
    pub fn of(path: &Utf8Path) -> Result<Self> {
        create_parent(path)?;
        let temporary = Temporary::beside(path);
        let file = temporary.create().with_context(|| format!("failed to create {}", temporary.0))?;
        Ok(Self { file, temporary, path: path.to_owned() })
    }

    /// Appends `bytes`.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).with_context(|| format!("failed to write {}", self.temporary.0))
    }

    /// Makes it a program that everyone can run and only its owner can change (mode 0755, whatever the umask).
    pub fn make_executable(&mut self) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let executable = fs::Permissions::from_mode(0o755);
            let made = self.file.set_permissions(executable);
            made.with_context(|| format!("failed to make {} executable", self.temporary.0))?;
        }
        Ok(())
    }

    /// Replaces the old file in one step.
    pub fn commit(self, durability: Durability) -> Result<()> {
        let Self { file, temporary, path } = self;
        if durability == Durability::Synced {
            file.sync_all().with_context(|| format!("failed to sync {}", temporary.0))?;
        }
        // Closed first: nobody can start a program that somebody can still write to.
        drop(file);
        fs::rename(&temporary.0, &path).with_context(|| format!("failed to replace {path}"))
    }
}

pub(crate) fn create_parent(path: &Utf8Path) -> Result<()> {
    let parent = path.parent().with_context(|| format!("{path} has no parent folder"))?;
    fs::create_dir_all(parent).with_context(|| format!("failed to create folder {parent}"))
}

/// Removes the temporary files that killed writers of `path` have left, if last written before `before`. Returns how many.
pub fn remove_abandoned(path: &Utf8Path, before: SystemTime) -> Result<usize> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(0) };
    let entries = match parent.read_dir_utf8() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries.with_context(|| format!("failed to read folder {parent}"))?,
    };
    let mut removed = 0;
    for entry in entries.flatten().filter(|entry| is_temporary(entry.file_name(), name)) {
        let modified = fs::symlink_metadata(entry.path()).and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|modified| modified < before) {
            crate::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether [`Temporary::beside`] gives the name `temporary` for a file `name`.
fn is_temporary(temporary: &str, name: &str) -> bool {
    let rest = temporary.strip_prefix(&format!(".{name}."));
    let numbers = rest.and_then(|rest| rest.strip_suffix(".tmp")?.split_once('-'));
    numbers.is_some_and(|(process, number)| [process, number].iter().all(|text| text.parse::<u32>().is_ok()))
}

/// A temporary file that is removed when it is dropped before it was renamed.
#[derive(Debug)]
struct Temporary(Utf8PathBuf);

impl Temporary {
    /// The name holds the process and a counter, so two of us at once never share one.
    fn beside(path: &Utf8Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().unwrap_or("file");
        Self(path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id())))
    }

    fn create(&self) -> io::Result<File> {
        match OpenOptions::new().write(true).create_new(true).open(&self.0) {
            // Left by a killed process that had our number: nobody else can be using it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(&self.0)?;
                OpenOptions::new().write(true).create_new(true).open(&self.0)
            }
            other => other,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove, and a failure here has no better handling.
        let _ = fs::remove_file(&self.0);
    }
}

/// Appends `line` (without its newline) to `path` with one call, creating the file and its parents. So a kill costs at most the
/// last line.
///
/// The torn line of a writer that was killed is ended first, so only that one is lost.
pub fn append_line(path: &Utf8Path, line: &str) -> Result<()> {
    debug_assert!(!line.contains('\n'), "a record is one line");
    create_parent(path)?;
    let append = || {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut bytes = Vec::with_capacity(line.len() + 2);
        let mut last = *b"\n";
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != *b"\n" {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        file.write_all(&bytes)
    };
    append().with_context(|| format!("failed to append to {path}"))
}

/// The lines of `path`, oldest first; none when there is no such file. The caller skips lines that are
/// torn or not its own.
pub fn read_lines(path: &Utf8Path) -> Result<Vec<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::temp_dir;

    #[test]
    fn replaces_and_leaves_no_temporary_file() {
        let dir = temp_dir("atomic");
        let path = dir.join("deep/er/file.json");
        for bytes in ["one", "two, longer", "3"] {
            write_atomic(&path, bytes, Durability::Synced).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_file_and_names_the_path() {
        let dir = temp_dir("atomic-fail");
        // A folder cannot be replaced by a file.
        let path = dir.join("taken");
        fs::create_dir(&path).unwrap();
        let error = write_atomic(&path, "x", Durability::Cache).unwrap_err();
        assert!(format!("{error:#}").contains("failed to replace"), "{error:#}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "the temporary file is gone");
    }

    #[cfg(unix)]
    #[test]
    fn a_replacement_is_seen_only_when_it_is_committed_and_replaces_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = temp_dir("atomic-replacement");
        let (path, other) = (dir.join("program"), dir.join("other"));
        write_atomic(&other, "other", Durability::Cache).unwrap();
        symlink(&other, &path).unwrap();

        let mut dropped = Replacement::of(&path).unwrap();
        dropped.append(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "the temporary file is gone");

        let mut replacement = Replacement::of(&path).unwrap();
        replacement.append(b"whole ").unwrap();
        replacement.append(b"file").unwrap();
        replacement.make_executable().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "other", "not yet");
        replacement.commit(Durability::Synced).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole file");
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode(), 0o100_755);
        assert_eq!(fs::read_to_string(&other).unwrap(), "other", "the link was not followed");
    }

    #[test]
    fn only_old_temporary_files_of_that_name_are_removed() {
        let dir = temp_dir("atomic-abandoned");
        let names = [
            (".program.12-0.tmp", true),
            (".program.4194304-17.tmp", true),
            (".program2.12-0.tmp", false),
            (".program.old.12-0.tmp", false),
            (".program.-0.tmp", false),
            (".program.12.tmp", false),
            (".program.1x-0.tmp", false),
            ("program.12-0.tmp", false),
            ("program", false),
        ];
        for (name, _) in names {
            File::create(dir.join(name)).unwrap();
        }
        let path = dir.join("program");
        let long_ago = SystemTime::now() - std::time::Duration::from_secs(3600);
        assert_eq!(remove_abandoned(&path, long_ago).unwrap(), 0, "those of the living are kept");
        let soon = SystemTime::now() + std::time::Duration::from_secs(3600);
        assert_eq!(remove_abandoned(&path, soon).unwrap(), 2);
        for (name, removed) in names {
            assert_eq!(!dir.join(name).exists(), removed, "{name}");
        }
        assert_eq!(remove_abandoned(&dir.join("none/program"), soon).unwrap(), 0);
    }

    #[test]
    fn a_torn_last_line_costs_only_itself() {
        let path = temp_dir("append").join("state/ledger.jsonl");
        append_line(&path, r#"{"a":1}"#).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"a":"#).unwrap();
        append_line(&path, r#"{"a":2}"#).unwrap();
        assert_eq!(read_lines(&path).unwrap(), [r#"{"a":1}"#, r#"{"a":"#, r#"{"a":2}"#]);
    }

    #[test]
    fn a_missing_file_has_no_lines() {
        assert!(read_lines(&temp_dir("append-none").join("none")).unwrap().is_empty());
    }

    #[test]
    fn writers_at_once_never_mix_their_lines() {
        let path = temp_dir("append-race").join("ledger");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..50 {
                        append_line(path, &format!("{writer}").repeat(300)).unwrap();
                    }
                });
            }
        });
        let lines = read_lines(&path).unwrap();
        let whole = lines.iter().filter(|line| !line.is_empty()).collect::<Vec<_>>();
        assert_eq!(whole.len(), 200);
        assert!(whole.iter().all(|line| line.len() == 300 && line.bytes().all(|b| b == line.as_bytes()[0])));
    }
}
