//! An open folder, in which names are looked up without following a link.
//!
//! Invariant: whoever holds a [`Folder`] acts in the folder that was opened, whatever its path leads to by now. So a
//! link that is swapped in midway leads nowhere: the name is then no folder, or another file than the one that was seen.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link, to whatever.
    Link,
    /// A socket, a pipe, a device.
    Other,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name; it may be no UTF-8.
    pub name: OsString,
    /// What it stands for.
    pub kind: EntryKind,
}

/// Tells a file from every other on this machine, until it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub inode: u64,
}

/// What is known of a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub kind: EntryKind,
    /// Bytes that it takes up on the disk.
    pub bytes: u64,
    /// How many names it has.
    pub names: u64,
    /// Which file it is.
    pub id: FileId,
    /// When its contents last changed, in milliseconds since 1970.
    pub modified_ms: u64,
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
        /// Whether it was listed: the next listing has to begin at the front again.
        #[cfg(target_os = "linux")]
        listed: std::cell::Cell<bool>,
    }

    /// What the kernel is asked for at a time when a folder is listed.
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

        /// With half the calls of the portable way, which opens the folder once more.
        #[cfg(target_os = "linux")]
        fn list(&self, mut take: impl FnMut(&OsStr, FileType) -> io::Result<()>) -> io::Result<()> {
            if self.listed.replace(true) {
                rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(0))?;
            }
            // On the stack: on the heap, what `take` keeps would lie between the holes that such buffers leave.
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

        /// What the file `name` holds, of which no more than `most` bytes are read.
        pub fn read(&self, name: &OsStr, most: usize) -> io::Result<Vec<u8>> {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = std::fs::File::from(openat(&self.fd, name, flags, Mode::empty())?);
            let mut bytes = vec![0; 1024.min(most)];
            let mut length = 0;
            loop {
                let room = bytes.len() - length;
                let read = (&file).read(&mut bytes[length..])?;
                length += read;
                // A short read of a file is its end.
                if read < room || length == most {
                    bytes.truncate(length);
                    return Ok(bytes);
                }
                bytes.resize((bytes.len() * 4).min(most), 0);
            }
        }

        /// What `name` is; of a link, the link itself.
        pub fn status(&self, name: &OsStr) -> io::Result<Status> {
            Ok(status(&statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?))
        }

        /// What this folder is.
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
    use std::fs::{self, Metadata};
    use std::path::PathBuf;
    use std::time::UNIX_EPOCH;

    use super::{Entry, EntryKind, FileId, OsStr, Path, Status, io};

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

        /// What the file `name` holds, of which no more than `most` bytes are read.
        pub fn read(&self, name: &OsStr, most: usize) -> io::Result<Vec<u8>> {
            let mut bytes = fs::read(self.0.join(name))?;
            bytes.truncate(most);
            Ok(bytes)
        }

        /// What `name` is; of a link, the link itself.
        pub fn status(&self, name: &OsStr) -> io::Result<Status> {
            Ok(status(&self.0.join(name).symlink_metadata()?))
        }

        /// What this folder is.
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
    use std::fs;
    use std::os::unix::fs::symlink;

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
}
