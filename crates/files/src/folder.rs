//! Folders: read, emptied and removed without following a link.
//!
//! Invariant: a [`Folder`] stays the folder that was opened, whatever its path leads to now. So a link that somebody puts in
//! the way has no effect: the name is then not a folder, or another file than the one that was seen.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Folder,
    File,
    /// A symbolic link.
    Link,
    /// A socket, a pipe, a device.
    Other,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    pub kind: EntryKind,
}

/// Tells a file from every other on this machine, until it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// What is known of a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    pub kind: EntryKind,
    /// Bytes on the disk.
    pub bytes: u64,
    /// How many names it has.
    pub names: u64,
    pub id: FileId,
    /// When its contents last changed, in milliseconds since 1970.
    pub modified_ms: u64,
}

/// Removes the folder `path` with everything in it; a missing one is fine.
///
/// Refuses a link to a folder. Links inside are removed, not followed: on Unix the standard library opens each folder without
/// following links, so one that appears meanwhile is not followed either.
pub fn remove_dir(path: &Utf8Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir()) {
        bail!("{path} is not a folder; it was left alone");
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place the ban points to")]
    unless_missing(fs::remove_dir_all(path)).with_context(|| format!("failed to remove folder {path}"))
}

/// Removes the file or link `path`; a missing one is fine.
pub fn remove_file(path: &Utf8Path) -> Result<()> {
    unless_missing(fs::remove_file(path)).with_context(|| format!("failed to remove {path}"))
}

fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Makes `path` a folder of mode 0700 that belongs to this user, or fails.
///
/// For places that others can write to (`/dev/shm`, `/tmp`), where anybody could have made it first: an existing folder is
/// taken only when it is a real folder (no link), ours, and closed to others.
pub fn private_dir(path: &Utf8Path) -> Result<()> {
    make_ours(path, &mut fs::DirBuilder::new(), 0o077)
}

/// Makes `path` a folder that belongs to this user and that nobody else can write to, or fails; a link is refused.
///
/// What is made, missing parents included, gets mode 0700.
pub fn own_dir(path: &Utf8Path) -> Result<()> {
    make_ours(path, fs::DirBuilder::new().recursive(true), 0o022)
}

/// `closed` are the bits of the mode that an existing folder must not have.
#[cfg_attr(not(unix), expect(unused_variables, reason = "no modes here"))]
fn make_ours(path: &Utf8Path, builder: &mut fs::DirBuilder, closed: u32) -> Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("failed to create folder {path}"));
        }
        _ => {}
    }
    let metadata = fs::symlink_metadata(path).with_context(|| format!("failed to read {path}"))?;
    if !metadata.is_dir() {
        bail!("{path} is not a folder (a link or file of that name was put there); remove it");
    }
    // Elsewhere the caller only passes folders below the user's own profile.
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let ours = rustix::process::geteuid().as_raw();
        if metadata.uid() != ours {
            bail!("{path} belongs to user {}, not to {ours}", metadata.uid());
        }
        let mode = metadata.mode() & 0o777;
        if mode & closed != 0 {
            bail!("{path} is open to others (mode {mode:o}); run chmod {:o} on it", mode & !closed);
        }
    }
    Ok(())
}

#[cfg(unix)]
pub use unix::Folder;

#[cfg(not(unix))]
pub use portable::Folder;

#[cfg(unix)]
mod unix {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, statat, unlinkat};

    use super::{Entry, EntryKind, FileId, OsStr, Path, Status, io};

    const FLAGS: OFlags =
        OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

    /// An open folder.
    #[derive(Debug)]
    pub struct Folder {
        fd: OwnedFd,
        /// Whether it was listed before: then the next listing has to rewind.
        #[cfg(target_os = "linux")]
        listed: std::cell::Cell<bool>,
    }

    /// Bytes that one call to the kernel may list.
    #[cfg(target_os = "linux")]
    const LISTING: usize = 16 * 1024;

    impl Folder {
        /// Opens `path`, whose last part must be no link.
        pub fn open(path: &Path) -> io::Result<Self> {
            Ok(Self::of(openat(rustix::fs::CWD, path, FLAGS, Mode::empty())?))
        }

        /// Opens the folder `name` in this one; a link is an error.
        pub fn folder(&self, name: &OsStr) -> io::Result<Self> {
            Ok(Self::of(openat(&self.fd, name, FLAGS, Mode::empty())?))
        }

        fn of(fd: OwnedFd) -> Self {
            Self {
                fd,
                #[cfg(target_os = "linux")]
                listed: std::cell::Cell::new(false),
            }
        }

        /// All names but `.` and `..`, in no order.
        pub fn entries(&self) -> io::Result<Vec<Entry>> {
            let mut entries = Vec::new();
            self.list(|name, file_type| {
                if name != "." && name != ".." {
                    let kind = match file_type {
                        // Some file systems do not tell here.
                        FileType::Unknown => self.status(name)?.kind,
                        known => kind(known),
                    };
                    entries.push(Entry { name: name.to_owned(), kind });
                }
                Ok(())
            })?;
            Ok(entries)
        }

        /// With half the system calls of the portable way, which opens the folder once more.
        #[cfg(target_os = "linux")]
        fn list(&self, mut take: impl FnMut(&OsStr, FileType) -> io::Result<()>) -> io::Result<()> {
            if self.listed.replace(true) {
                rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(0))?;
            }
            // On the stack: on the heap, such buffers would leave holes between what `take` keeps.
            let mut buffer = [std::mem::MaybeUninit::uninit(); LISTING];
            let mut entries = rustix::fs::RawDir::new(&self.fd, &mut buffer);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                take(OsStr::from_bytes(entry.file_name().to_bytes()), entry.file_type())?;
            }
            Ok(())
        }

        #[cfg(not(target_os = "linux"))]
        fn list(&self, mut take: impl FnMut(&OsStr, FileType) -> io::Result<()>) -> io::Result<()> {
            for entry in rustix::fs::Dir::read_from(&self.fd)? {
                let entry = entry?;
                take(OsStr::from_bytes(entry.file_name().to_bytes()), entry.file_type())?;
            }
            Ok(())
        }

        /// The first `most` bytes of the file `name`.
        pub fn read(&self, name: &OsStr, most: usize) -> io::Result<Vec<u8>> {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = std::fs::File::from(openat(&self.fd, name, flags, Mode::empty())?);
            let mut bytes = Vec::new();
            file.take(most as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        }

        /// The status of `name`; of a link, that of the link.
        pub fn status(&self, name: &OsStr) -> io::Result<Status> {
            Ok(status(&statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?))
        }

        /// The status of this folder.
        pub fn own_status(&self) -> io::Result<Status> {
            Ok(status(&rustix::fs::fstat(&self.fd)?))
        }

        /// Removes the name of a file or link.
        pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
            Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
        }

        /// Removes the empty folder `name`.
        pub fn remove_empty_folder(&self, name: &OsStr) -> io::Result<()> {
            Ok(unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
        }
    }

    fn kind(file_type: FileType) -> EntryKind {
        match file_type {
            FileType::Directory => EntryKind::Folder,
            FileType::RegularFile => EntryKind::File,
            FileType::Symlink => EntryKind::Link,
            _ => EntryKind::Other,
        }
    }

    // The types of the fields differ from platform to platform.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
    fn status(stat: &Stat) -> Status {
        let seconds = stat.st_mtime as i64;
        let modified_ms = seconds.saturating_mul(1000) + (stat.st_mtime_nsec as i64) / 1_000_000;
        Status {
            kind: kind(FileType::from_raw_mode(stat.st_mode)),
            // Whatever the file system's own block size, these are blocks of 512 bytes (POSIX, sys/stat.h).
            bytes: stat.st_blocks as u64 * 512,
            names: stat.st_nlink as u64,
            id: FileId { device: stat.st_dev as u64, inode: stat.st_ino as u64 },
            modified_ms: modified_ms.max(0) as u64,
        }
    }
}

#[cfg(not(unix))]
mod portable {
    use std::fs::Metadata;
    use std::path::PathBuf;
    use std::time::UNIX_EPOCH;

    use super::{Entry, EntryKind, FileId, OsStr, Path, Status, fs, io};

    /// A folder by its path: here nothing keeps a link from being swapped in between two looks.
    #[derive(Debug)]
    pub struct Folder(PathBuf);

    impl Folder {
        /// Opens `path`, whose last part must be no link.
        pub fn open(path: &Path) -> io::Result<Self> {
            if fs::symlink_metadata(path)?.is_dir() {
                return Ok(Self(path.to_owned()));
            }
            Err(io::ErrorKind::NotADirectory.into())
        }

        /// Opens the folder `name` in this one; a link is an error.
        pub fn folder(&self, name: &OsStr) -> io::Result<Self> {
            Self::open(&self.0.join(name))
        }

        /// All names, in no order.
        pub fn entries(&self) -> io::Result<Vec<Entry>> {
            let entry = |entry: fs::DirEntry| {
                Ok(Entry { name: entry.file_name(), kind: kind(&entry.path().symlink_metadata()?) })
            };
            fs::read_dir(&self.0)?.map(|result| result.and_then(entry)).collect()
        }

        /// The first `most` bytes of the file `name`.
        pub fn read(&self, name: &OsStr, most: usize) -> io::Result<Vec<u8>> {
            let mut bytes = fs::read(self.0.join(name))?;
            bytes.truncate(most);
            Ok(bytes)
        }

        /// The status of `name`; of a link, that of the link.
        pub fn status(&self, name: &OsStr) -> io::Result<Status> {
            Ok(status(&self.0.join(name).symlink_metadata()?))
        }

        /// The status of this folder.
        pub fn own_status(&self) -> io::Result<Status> {
            Ok(status(&self.0.symlink_metadata()?))
        }

        /// Removes the name of a file or link.
        pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
            fs::remove_file(self.0.join(name))
        }

        /// Removes the empty folder `name`.
        pub fn remove_empty_folder(&self, name: &OsStr) -> io::Result<()> {
            fs::remove_dir(self.0.join(name))
        }
    }

    fn kind(metadata: &Metadata) -> EntryKind {
        if metadata.is_dir() {
            EntryKind::Folder
        } else if metadata.is_file() {
            EntryKind::File
        } else {
            EntryKind::Link
        }
    }

    /// Without an open file neither its number of names nor its identity is known here.
    fn status(metadata: &Metadata) -> Status {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Status {
            kind: kind(metadata),
            bytes: metadata.len(),
            names: 1,
            id: FileId { device: 0, inode: 0 },
            modified_ms: modified.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::tests_support::temp_dir;

    #[test]
    fn a_link_is_seen_as_one_and_never_opened() {
        let dir = temp_dir("folder");
        fs::create_dir(dir.join("real")).unwrap();
        symlink("real", dir.join("link")).unwrap();
        let folder = Folder::open(dir.as_std_path()).unwrap();
        assert!(folder.folder("real".as_ref()).is_ok());
        assert!(folder.folder("link".as_ref()).is_err());
        assert!(Folder::open(dir.join("link").as_std_path()).is_err());
        assert_eq!(folder.status("link".as_ref()).unwrap().kind, EntryKind::Link);
        let mut names = folder.entries().unwrap();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(
            names,
            [
                Entry { name: "link".into(), kind: EntryKind::Link },
                Entry { name: "real".into(), kind: EntryKind::Folder },
            ]
        );
    }

    #[test]
    fn an_open_folder_stays_what_it_was_when_its_name_leads_elsewhere() {
        let dir = temp_dir("folder-swap");
        for name in ["doomed", "precious"] {
            fs::create_dir(dir.join(name)).unwrap();
            fs::File::create(dir.join(name).join("file")).unwrap();
        }
        let open = Folder::open(dir.join("doomed").as_std_path()).unwrap();
        fs::rename(dir.join("doomed"), dir.join("moved")).unwrap();
        symlink("precious", dir.join("doomed")).unwrap();
        open.remove_file("file".as_ref()).unwrap();
        assert!(dir.join("precious/file").exists() && !dir.join("moved/file").exists());
    }

    #[test]
    fn a_folder_is_listed_whole_and_again() {
        let dir = temp_dir("folder-many");
        for number in 0..2000 {
            fs::File::create(dir.join(format!("a-rather-long-name-{number}"))).unwrap();
        }
        let folder = Folder::open(dir.as_std_path()).unwrap();
        assert_eq!((folder.entries().unwrap().len(), folder.entries().unwrap().len()), (2000, 2000));
        fs::copy("Cargo.toml", dir.join("file")).unwrap();
        let text = fs::read("Cargo.toml").unwrap();
        for most in [10, text.len(), text.len() + 1] {
            let read = folder.read("file".as_ref(), most).unwrap();
            assert_eq!(read, text[..most.min(text.len())]);
        }
    }

    #[test]
    fn bytes_are_those_on_the_disk_and_names_are_counted() {
        let dir = temp_dir("folder-status");
        fs::File::create(dir.join("sparse")).unwrap().set_len(1 << 30).unwrap();
        fs::hard_link(dir.join("sparse"), dir.join("again")).unwrap();
        let folder = Folder::open(dir.as_std_path()).unwrap();
        let [one, two] = ["sparse", "again"].map(|name| folder.status(name.as_ref()).unwrap());
        assert_eq!((one.bytes, one.names, one.id), (0, 2, two.id));
    }

    #[test]
    fn links_are_removed_and_what_they_point_at_is_kept() {
        let dir = temp_dir("remove");
        let kept = dir.join("kept");
        fs::create_dir(&kept).unwrap();
        fs::File::create(kept.join("file")).unwrap();
        let doomed = dir.join("doomed");
        fs::create_dir_all(doomed.join("deep")).unwrap();
        symlink(&kept, doomed.join("deep/link")).unwrap();

        remove_dir(&doomed).unwrap();
        remove_dir(&doomed).unwrap();
        assert!(!doomed.exists() && kept.join("file").exists());

        symlink(&kept, dir.join("direct")).unwrap();
        assert!(remove_dir(&dir.join("direct")).is_err());
        remove_file(&dir.join("direct")).unwrap();
        remove_file(&dir.join("direct")).unwrap();
        assert!(kept.join("file").exists());
    }

    #[test]
    fn takes_only_a_real_folder_closed_to_others() {
        let dir = temp_dir("private");
        let fresh = dir.join("fresh");
        private_dir(&fresh).unwrap();
        private_dir(&fresh).unwrap();
        assert_eq!(fs::metadata(&fresh).unwrap().permissions().mode() & 0o777, 0o700);

        let open = dir.join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(format!("{:#}", private_dir(&open).unwrap_err()).contains("open to others"));

        let link = dir.join("link");
        symlink(&fresh, &link).unwrap();
        assert!(format!("{:#}", private_dir(&link).unwrap_err()).contains("not a folder"));
        assert!(format!("{:#}", own_dir(&link).unwrap_err()).contains("not a folder"));

        own_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o775)).unwrap();
        assert!(format!("{:#}", own_dir(&open).unwrap_err()).contains("run chmod 755"));
        let deep = dir.join("some/deep");
        assert!(private_dir(&deep).is_err());
        own_dir(&deep).unwrap();
        private_dir(&deep).unwrap();
        private_dir(&dir.join("some")).unwrap();
    }
}
