//! Digests of files, kept between runs.
//!
//! Invariant: a digest is taken from the cache only for a file that cannot have been written since it was read. The cache
//! costs time where it is lost, damaged or written by two processes at once, never the answer.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, write_atomic};
use xtask_units::{cores, parallel};
use xtask_workspace::{Digest, Hasher, digest, names_what_is_built};

#[cfg(test)]
mod tests;

/// What files hold: read once, and again only when size, times, inode, device or mode differ.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    cache: Utf8PathBuf,
    /// By absolute path; a name that is not UTF-8 with replacement characters.
    entries: HashMap<String, Entry>,
    /// Whether there was a cache: then a file that is not in it is new.
    loaded: bool,
    /// Whether something differs from the cache on disk.
    edited: bool,
    /// Counts the listings of all files ([`Contents::begin_listing`]).
    round: u32,
}

#[derive(Debug)]
struct Entry {
    /// What would differ if the file had been written since it was read; empty if that cannot be told.
    stamp: String,
    /// `None` for a file that is gone.
    digest: Option<Digest>,
    /// [`Seen::builds`].
    builds: bool,
    /// When the present content was first seen, in milliseconds since 1970.
    changed_ms: u64,
    /// The round it was last asked for in; 0 if never.
    asked: u32,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) digest: Digest,
    pub(crate) is_link: bool,
    /// Whether it is a Rust source that may build other sources while it runs, or start what cargo built ([`builds`]).
    pub(crate) builds: bool,
}

/// What is known of a file without reading it.
struct Status {
    stamp: String,
    is_link: bool,
    is_executable: bool,
    /// The later of the times at which its content and its inode changed.
    changed: SystemTime,
}

/// Entries of files that are gone, or that nobody asked for any more, beyond these numbers are forgotten.
const MOST_GONE: usize = 1_000;
const MOST_UNASKED: usize = 10_000;

impl Contents {
    /// Reads the digests of earlier runs from `state_dir`; without them every file is read.
    pub(crate) fn load(state_dir: &Utf8Path) -> Self {
        let cache = state_dir.join("verdicts/contents");
        let lines = read_lines(&cache);
        let loaded = lines.is_some();
        let entries = lines.as_deref().unwrap_or_default().lines().filter_map(|line| {
            let mut fields = line.split('\t');
            let [digest, builds, changed_ms, stamp, path] = [(); 5].map(|()| fields.next());
            let digest = match digest? {
                "-" => None,
                digest => Some(Digest::parse(digest)?),
            };
            let (changed_ms, stamp) = (changed_ms?.parse().ok()?, stamp?.to_owned());
            let builds = builds? == BUILDS;
            Some((unescape(path?), Entry { stamp, digest, builds, changed_ms, asked: 0 }))
        });
        Self { entries: entries.collect(), cache, loaded, edited: false, round: 1 }
    }

    /// The digest of each file's kind, mode and bytes, in the order of `paths`; `None` where there is none.
    pub(crate) fn digests(&mut self, paths: &[Utf8PathBuf]) -> Vec<Option<Digest>> {
        self.look(paths).into_iter().map(|seen| Some(seen?.digest)).collect()
    }

    /// As [`Contents::digests`]; a path may have any name.
    pub(crate) fn look<P: AsRef<Path> + Sync>(&mut self, paths: &[P]) -> Vec<Option<Seen>> {
        let now = SystemTime::now();
        // In parts: to hand out one file takes as long as to look at it.
        let looked = parallel(cores(), paths.chunks(64), |part| part.iter().map(status).collect::<Vec<_>>());
        let looked = looked.into_iter().flatten().collect::<Vec<_>>();
        let mut seen = Vec::with_capacity(paths.len());
        let mut unread = Vec::new();
        for (index, (path, status)) in paths.iter().zip(&looked).enumerate() {
            let entry = self.entries.get_mut(&*key(path.as_ref()));
            let known = match (entry, status) {
                (Some(entry), Some(status)) if entry.stamp == status.stamp => {
                    entry.asked = self.round;
                    let (digest, builds) = (entry.digest.clone(), entry.builds);
                    digest.map(|digest| Seen { digest, is_link: status.is_link, builds })
                }
                _ => None,
            };
            if known.is_none() {
                unread.push((index, path.as_ref(), status.as_ref()));
            }
            seen.push(known);
        }
        let reads = parallel(cores(), &unread, |&(_, path, status)| read_file(path, status?).transpose());
        for ((index, path, status), read) in unread.into_iter().zip(reads) {
            let is_link = status.is_some_and(|status| status.is_link);
            // What cannot be read now may be readable without a change of its own: its folder's mode.
            let (read, is_certain) = match read {
                None => (None, false),
                Some(Ok(read)) => (Some(read), true),
                Some(Err(error)) => {
                    let digest = xtask_workspace::digest(format!("unreadable: {}", error.kind()));
                    (Some((digest, true)), false)
                }
            };
            seen[index] = read.map(|(digest, builds)| Seen { digest, is_link, builds });
            let is_settled = status.is_some_and(|status| is_settled(status.changed, now));
            let stamp = status.filter(|_| is_certain && is_settled && path.to_str().is_some());
            let stamp = stamp.map_or("", |status| status.stamp.as_str());
            self.remember(
                &key(path),
                stamp,
                seen[index].as_ref(),
                status.map_or(now, |status| status.changed),
                now,
            );
        }
        seen
    }

    fn remember(
        &mut self,
        path: &str,
        stamp: &str,
        seen: Option<&Seen>,
        changed: SystemTime,
        now: SystemTime,
    ) {
        let round = self.round;
        let digest = seen.map(|seen| &seen.digest);
        let builds = seen.is_some_and(|seen| seen.builds);
        if let Some(entry) = self.entries.get_mut(path) {
            if entry.digest.as_ref() != digest {
                (entry.digest, entry.builds, entry.changed_ms) = (digest.cloned(), builds, milliseconds(now));
                self.edited = true;
            }
            if entry.stamp != stamp {
                stamp.clone_into(&mut entry.stamp);
                self.edited = true;
            }
            entry.asked = round;
        } else if digest.is_some() {
            // Without a cache, only the file system knows since when it is so.
            let changed = if self.loaded { now } else { changed.min(now) };
            let entry = Entry {
                stamp: stamp.to_owned(),
                digest: digest.cloned(),
                builds,
                changed_ms: milliseconds(changed),
                asked: round,
            };
            self.entries.insert(path.to_owned(), entry);
            self.edited = true;
        }
    }

    /// The digest of all that is below `dir`, names included; follows no link.
    pub(crate) fn folder(&mut self, dir: &Utf8Path) -> Digest {
        let mut paths = Vec::new();
        if let Ok(metadata) = fs::symlink_metadata(dir) {
            paths.push(dir.as_std_path().to_owned());
            if metadata.is_dir() {
                walk(dir.as_std_path(), &|_| true, &mut paths);
            }
        }
        let seen = self.look(&paths);
        let mut hasher = Hasher::new();
        for (path, seen) in paths.iter().zip(seen) {
            let name = path.strip_prefix(dir).unwrap_or(path);
            hasher.field(name.as_os_str().as_encoded_bytes());
            hasher.optional(seen.map(|seen| seen.digest.to_string()));
        }
        hasher.finish()
    }

    /// What is asked for from now on, and not what was before, is what [`Contents::end_listing`] takes for present.
    pub(crate) fn begin_listing(&mut self) {
        self.round += 1;
    }

    /// Notices which of the files that `counts` were seen before, were not asked for since [`Contents::begin_listing`], and
    /// are gone.
    pub(crate) fn end_listing(&mut self, counts: impl Fn(&str) -> bool) {
        let now = milliseconds(SystemTime::now());
        for (path, entry) in &mut self.entries {
            let is_candidate = entry.asked != self.round && entry.digest.is_some() && counts(path);
            if is_candidate && fs::symlink_metadata(path).is_err() {
                (entry.digest, entry.changed_ms) = (None, now);
                entry.stamp.clear();
                self.edited = true;
            }
        }
    }

    /// When the present content of the file was first seen, in milliseconds since 1970.
    pub(crate) fn changed_ms(&self, path: &str) -> Option<u64> {
        Some(self.entries.get(path)?.changed_ms)
    }

    /// The files that were seen once and are gone, and when that was noticed, in milliseconds since 1970.
    pub(crate) fn gone(&self) -> impl Iterator<Item = (&str, u64)> {
        let gone = self.entries.iter().filter(|(_, entry)| entry.digest.is_none());
        gone.map(|(path, entry)| (path.as_str(), entry.changed_ms))
    }

    /// Keeps the digests for the next run.
    pub(crate) fn save(&self) -> Result<()> {
        if !self.edited {
            return Ok(());
        }
        let mut gone = self.gone().map(|(_, changed_ms)| changed_ms).collect::<Vec<_>>();
        gone.sort_unstable_by(|a, b| b.cmp(a));
        let oldest_gone = gone.get(MOST_GONE).copied().unwrap_or(0);
        let keeps_unasked = self.entries.values().filter(|entry| entry.asked == 0).count() <= MOST_UNASKED;
        let kept = self.entries.iter().filter(|(_, entry)| match entry.digest {
            None => entry.changed_ms > oldest_gone,
            Some(_) => keeps_unasked || entry.asked > 0,
        });
        // Sorted, so that the same entries are the same bytes.
        let lines = kept.collect::<BTreeMap<_, _>>().into_iter().map(|(path, entry)| {
            let digest = entry.digest.as_ref().map_or("-".into(), Digest::to_string);
            let builds = if entry.builds { BUILDS } else { "" };
            format!("{digest}\t{builds}\t{}\t{}\t{}\n", entry.changed_ms, entry.stamp, escape(path))
        });
        write_lines(&self.cache, &lines.collect::<String>())
    }
}

/// The key of a path: two names that are not UTF-8 may share one, which is why those are always read.
fn key(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a file that changed at `changed` would get another time if it were written at `now` or later.
fn is_settled(changed: SystemTime, now: SystemTime) -> bool {
    let nanos = changed.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    // The kernel's clock ticks every 1 to 10 ms. Without fractions the file system may count seconds, or pairs of them (FAT).
    let tick = Duration::from_millis(if nanos == 0 { 2_100 } else { 50 });
    changed.checked_add(tick).is_some_and(|settled| settled < now)
}

/// `None` for a folder, and where there is nothing. Follows no link.
fn status<P: AsRef<Path>>(path: &P) -> Option<Status> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_symlink() {
        return None;
    }
    Some(Status { is_link: kind.is_symlink(), ..of_system(&metadata) })
}

#[cfg(unix)]
fn of_system(metadata: &Metadata) -> Status {
    use std::os::unix::fs::MetadataExt;
    let mtime = (metadata.mtime(), metadata.mtime_nsec());
    let ctime = (metadata.ctime(), metadata.ctime_nsec());
    let stamp = format!(
        "{} {}.{} {}.{} {} {} {:o}",
        metadata.len(),
        mtime.0,
        mtime.1,
        ctime.0,
        ctime.1,
        metadata.ino(),
        metadata.dev(),
        metadata.mode(),
    );
    let (seconds, nanos) = mtime.max(ctime);
    let since = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
    let changed = SystemTime::UNIX_EPOCH + since;
    Status { stamp, is_link: false, is_executable: metadata.mode() & 0o100 != 0, changed }
}

#[cfg(not(unix))]
fn of_system(metadata: &Metadata) -> Status {
    let times = [metadata.modified(), metadata.created()].map(|time| time.unwrap_or(SystemTime::UNIX_EPOCH));
    let stamp = format!("{} {times:?}", metadata.len());
    Status { stamp, is_link: false, is_executable: false, changed: times[0].max(times[1]) }
}

/// The digest of a file, and whether it [`builds`]; `None` for a file that went meanwhile.
fn read_file(path: &Path, status: &Status) -> io::Result<Option<(Digest, bool)>> {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    let read = || {
        let mut hasher = Hasher::new();
        let mut found = false;
        if status.is_link {
            hasher.field("link").field(fs::read_link(path)?.as_os_str().as_encoded_bytes());
        } else {
            hasher.field(if status.is_executable { "program" } else { "file" });
            let mut file = File::open(path)?;
            // A program may have hundreds of megabytes.
            let mut part = Vec::new();
            while (&mut file).take(1 << 20).read_to_end(&mut part)? > 0 {
                hasher.field(&part);
                found |= is_rust && builds(&part);
                part.clear();
            }
        }
        if path.to_str().is_none() {
            hasher.field(path.as_os_str().as_encoded_bytes());
        }
        Ok((hasher.finish(), found))
    };
    match read() {
        Err::<_, io::Error>(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// Whether what a source does may depend on the sources of other packages: it starts what is built, looks at sources, as a test
/// that checks all of them for something, or has one of another folder in it, which is not searched.
fn builds(source: &[u8]) -> bool {
    // As text, because its search is the standard library's fast one.
    let source = String::from_utf8_lossy(source);
    names_what_is_built(&source)
        || ["\"rs\"", "\".rs\"", "*.rs", "#[path = \"../../"].iter().any(|word| source.contains(word))
}

/// Adds all that is below `dir` in the order of names, folders included, but for folders that are not `entered`. Follows no
/// link. A folder that cannot be read is as an empty one: no test can read it either.
pub(crate) fn walk(dir: &Path, entered: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten().collect::<Vec<_>>();
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !entered(&path) {
            continue;
        }
        found.push(path);
        if is_folder {
            walk(&entry.path(), entered, found);
        }
    }
}

/// The first line of a file with lines, before a digest of the others.
const VERSION: &str = "xtask-suite 3 ";

/// The field of a file that [`builds`].
const BUILDS: &str = "builds";

/// The lines of a file of [`write_lines`]; `None` if there is none, or one of another version, or a damaged one.
pub(crate) fn read_lines(path: &Utf8Path) -> Option<String> {
    let mut text = String::from_utf8(fs::read(path).ok()?).ok()?;
    let (first, lines) = text.split_once('\n')?;
    let is_whole = first.strip_prefix(VERSION)? == digest(lines).to_string();
    let start = first.len() + 1;
    is_whole.then(|| text.split_off(start))
}

/// Writes lines with tabs between their fields.
pub(crate) fn write_lines(path: &Utf8Path, lines: &str) -> Result<()> {
    write_atomic(path, format!("{VERSION}{}\n{lines}", digest(lines)), Durability::Cache)
}

/// A path as a field: a file's name may have tabs and line breaks in it.
pub(crate) fn escape(path: &str) -> Cow<'_, str> {
    if path.contains(['\\', '\t', '\n', '\r']) {
        let path = path.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n");
        path.replace('\r', "\\r").into()
    } else {
        path.into()
    }
}

pub(crate) fn unescape(field: &str) -> String {
    if !field.contains('\\') {
        return field.to_owned();
    }
    let mut path = String::new();
    let mut chars = field.chars();
    while let Some(char) = chars.next() {
        path.push(match char {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                _ => '\\',
            },
            char => char,
        });
    }
    path
}
