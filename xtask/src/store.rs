//! Programs that were built, kept in the user's cache folder: a second checkout, or one after `cargo clean`, costs a copy.
//!
//! Invariant: an entry is used only if everything that went into the program is the same here (the key), if nobody else
//! can have written it, and if it is whole. Whatever is wrong with the store only makes it slower, and is not said.
//!
//! `XTASK_STORE` is the store's folder, or `off`.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::hash::Hasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::environment::Environment;
use crate::inputs;
use crate::place::{PROFILE, Place};
use crate::program::Program;

/// First line of what is noted of an entry, and part of the key; another format gets another number.
const FORMAT: &str = "xtask-suite store, format 1";
/// As many programs are kept, those that were used last. One takes about 30 MB.
const MOST: usize = 16;
/// What a killed launcher has left goes after that time.
const LEFT_OVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The entry for a program as it would be built here and now.
#[derive(Debug)]
pub(crate) struct Store {
    /// The folder of all entries.
    root: PathBuf,
    /// The entry's name in it: the program, and the digest of what goes into it.
    entry: String,
    /// The sources that are part of the key, by their names there.
    covered: BTreeMap<String, PathBuf>,
    /// Who may have written an entry: whoever has built this launcher, which runs already.
    owner: u32,
}

impl Store {
    /// The store of this user; `None` where it is turned off, or where the key cannot be told.
    pub(crate) fn open(place: &Place, environment: &Environment) -> Option<Self> {
        let root = root(environment)?;
        let covered = covered(place)?;
        let key = key(place, environment, &covered)?;
        let launcher = fs::metadata(std::env::current_exe().ok()?).ok()?;
        let entry = format!("{}-{key}", place.program.name());
        Some(Self { root, entry, covered, owner: owner(&launcher) })
    }

    /// Copies the program to `binary`, and returns its sources here; `None` where there is none that can be trusted.
    pub(crate) fn take(&self, binary: &Path) -> Option<Vec<PathBuf>> {
        let entry = self.root.join(&self.entry);
        for path in [&self.root, &entry] {
            let found = fs::symlink_metadata(path).ok()?;
            if !found.is_dir() || !self.is_private(&found) {
                return None;
            }
        }
        let note = String::from_utf8(self.read(&entry.join("note"))?).ok()?;
        let program = self.read(&entry.join("program"))?;
        let mut lines = note.lines();
        let is_whole = lines.next() == Some(FORMAT) && lines.next() == Some(digest(&program).as_str());
        if !is_whole || lines.next_back() != Some("end") {
            return None;
        }
        let sources = lines.map(|name| self.covered.get(name).cloned()).collect::<Option<Vec<_>>>()?;
        put(binary, &program).ok()?;
        // Its time is that of the last use.
        let _ = File::create(entry.join("used"));
        Some(sources)
    }

    /// Keeps the program at `binary`, which was built of `sources`, if the key covers all of them.
    pub(crate) fn keep(&self, binary: &Path, sources: &[PathBuf]) {
        let _ = self.try_keep(binary, sources);
        self.prune();
    }

    fn try_keep(&self, binary: &Path, sources: &[PathBuf]) -> io::Result<()> {
        let names: BTreeMap<_, _> = self.covered.iter().map(|(name, path)| (path, name)).collect();
        let mut note = String::new();
        for source in sources {
            let text = fs::read(source)?;
            match names.get(source) {
                Some(name) if !bakes_in_a_path(&String::from_utf8_lossy(&text)) => {
                    note.push_str(name);
                    note.push('\n');
                }
                _ => return Ok(()),
            }
        }
        let program = fs::read(binary)?;
        private_folder(&self.root)?;
        let making = self.root.join(format!(".{}.tmp", process::id()));
        private_folder(&making)?;
        let note = format!("{FORMAT}\n{}\n{note}end\n", digest(&program));
        let write = |name: &str, bytes: &[u8]| File::create(making.join(name))?.write_all(bytes);
        let made = write("program", &program)
            .and_then(|()| write("note", note.as_bytes()))
            .and_then(|()| write("used", &[]))
            // A damaged entry is no reason to be without one for ever.
            .and_then(|()| remove(&self.root.join(&self.entry)))
            .and_then(|()| fs::rename(&making, self.root.join(&self.entry)));
        if made.is_err() {
            let _ = remove(&making);
        }
        made
    }

    /// Removes the entries that were not used for the longest time, and what killed launchers have left.
    fn prune(&self) {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let time = |path: PathBuf| fs::symlink_metadata(path).and_then(|found| found.modified());
            if is_entry(name) {
                entries
                    .push((time(entry.path().join("used")).unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
            } else if is_left_over(name) {
                let age = time(entry.path()).ok().and_then(|time| time.elapsed().ok());
                if age.is_some_and(|age| age > LEFT_OVER) {
                    let _ = remove(&entry.path());
                }
            }
        }
        entries.sort();
        for (_, path) in entries.iter().rev().skip(MOST) {
            let _ = remove(path);
        }
    }

    /// A file of an entry, if nobody else can have written it.
    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let found = fs::symlink_metadata(path).ok()?;
        if !found.is_file() || !self.is_private(&found) {
            return None;
        }
        fs::read(path).ok()
    }

    #[cfg(unix)]
    fn is_private(&self, found: &Metadata) -> bool {
        use std::os::unix::fs::MetadataExt;
        self.owner == owner(found) && found.mode() & 0o022 == 0
    }

    #[cfg(not(unix))]
    fn is_private(&self, _: &Metadata) -> bool {
        true
    }
}

#[cfg(unix)]
fn owner(found: &Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt;
    found.uid()
}

#[cfg(not(unix))]
fn owner(_: &Metadata) -> u32 {
    0
}

/// The folder of the store; `None` where it is turned off, or nobody knows where the user's cache is.
fn root(environment: &Environment) -> Option<PathBuf> {
    if let Some(chosen) = environment.get("XTASK_STORE") {
        return Some(PathBuf::from(chosen)).filter(|chosen| chosen.is_absolute());
    }
    let variable = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    Some(caches?.join("xtask-suite").join("programs"))
}

/// The files that make the program, by names that are the same in every checkout: the manifest, the lock file, and all
/// that is in the folder of each package but tests. `None` where one cannot be listed.
fn covered(place: &Place) -> Option<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for name in ["Cargo.toml", "Cargo.lock"] {
        files.insert(name.to_owned(), place.workspace.join(name));
    }
    let mut packages = vec![("workshop".to_owned(), place.workspace.join("workshop"))];
    packages.extend(place.tasks.iter().map(|tasks| ("tasks".to_owned(), tasks.clone())));
    for entry in fs::read_dir(place.workspace.join("crates")).into_iter().flatten() {
        let entry = entry.ok()?;
        packages.push((format!("crates/{}", entry.file_name().to_str()?), entry.path()));
    }
    for (name, package) in packages {
        if package.join("Cargo.toml").is_file() {
            list(&name, &package, &mut files)?;
        }
    }
    Some(files)
}

fn list(name: &str, folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Option<()> {
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        if entry.file_name() == "tests" || entry.file_name() == "target" {
            continue;
        }
        let name = format!("{}/{}", name, entry.file_name().to_str().filter(|name| !name.contains('\n'))?);
        if entry.file_type().ok()?.is_dir() {
            list(&name, &entry.path(), files)?;
        } else {
            files.insert(name, entry.path());
        }
    }
    Some(())
}

/// The digest of everything that goes into the program. The compiler's wrapper is not part of it: cargo, too, leaves it
/// out of what it tells units apart by.
fn key(place: &Place, environment: &Environment, covered: &BTreeMap<String, PathBuf>) -> Option<String> {
    let mut hasher = Lanes::new();
    hasher.text(FORMAT);
    hasher.text(&format!("{} {} {:?}", place.program.name(), PROFILE, place.triple));
    // The system's libraries, which a home that several machines share is used with.
    hasher.text(&fs::read_to_string("/etc/os-release").unwrap_or_default());
    let rustc = environment.get("RUSTC").unwrap_or_else(|| OsStr::new("rustc"));
    let asked = Command::new(rustc)
        .arg("-vV")
        .current_dir(&place.workspace)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !asked.status.success() {
        return None;
    }
    hasher.bytes(&asked.stdout);
    hasher.text(&environment.flags());
    for path in inputs::configuration(place, &environment.cargo_home()?) {
        if path.extension().map_or(true, |ending| ending == "toml") && path.is_file() {
            let settings = relevant_settings(&fs::read_to_string(&path).ok()?);
            if !settings.is_empty() {
                hasher.text(&settings);
            }
        }
    }
    for (name, path) in covered {
        hasher.text(name);
        match fs::read(path) {
            Ok(content) => hasher.bytes(&content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => hasher.text("absent"),
            Err(_) => return None,
        }
    }
    Some(hasher.finish())
}

/// What of a configuration file of cargo's can change a program: not aliases and how cargo prints, not the wrapper of
/// the compiler, nor how many run at once. A file with strings over several lines counts as a whole.
pub(crate) fn relevant_settings(text: &str) -> String {
    if text.contains("\"\"\"") || text.contains("'''") {
        return text.to_owned();
    }
    let mut kept = String::new();
    let (mut table, mut header) = ("", None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            let code = line.split('#').next().unwrap_or_default().trim_end();
            table = code.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default().trim();
            // What is no plain name may be more than the header of a table, so it counts by itself.
            let is_plain =
                !table.is_empty() && table.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
            header = Some(line).filter(|_| is_plain);
            if is_plain {
                continue;
            }
        } else if ["alias", "term", "net", "http", "cargo-new"].contains(&table) {
            continue;
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        let is_left_out = match table {
            "" => ["include", "build.jobs", "build.rustc-wrapper"].contains(&key),
            "build" => ["jobs", "rustc-wrapper"].contains(&key),
            _ => false,
        };
        if !is_left_out {
            // A table in which nothing is set sets nothing.
            for line in header.take().into_iter().chain(Some(line)) {
                kept.push_str(line);
                kept.push('\n');
            }
        }
    }
    kept
}

/// Whether a program with this source knows where it was built: in another checkout that would be the wrong place.
pub(crate) fn bakes_in_a_path(source: &str) -> bool {
    let paths =
        ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "OUT_DIR", "CARGO_TARGET_TMPDIR", "CARGO_BIN_EXE_"];
    source.split("env!").skip(1).any(|rest| {
        let argument = rest.trim_start().trim_start_matches(|c| "([{".contains(c)).trim_start();
        // Raw strings too. A quote that is escaped is text that only looks like the macro.
        let name = argument.trim_start_matches(['r', '#']).strip_prefix('"').unwrap_or_default();
        paths.iter().any(|path| name.starts_with(path))
    })
}

/// Puts the program in its place, whole or not at all. Never through the file that is there: cargo links it to others.
fn put(binary: &Path, program: &[u8]) -> io::Result<()> {
    let folder = binary.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let making = binary.with_extension(format!("{}.tmp", process::id()));
    let put = File::create(&making)
        .and_then(|mut file| file.write_all(program))
        .and_then(|()| executable(&making))
        .and_then(|()| fs::rename(&making, binary));
    if put.is_err() {
        let _ = fs::remove_file(&making);
    }
    put
}

#[cfg(unix)]
fn executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a folder that is nobody else's.
#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Removes an entry, and nothing but what an entry has. A link in its place is not followed; it stays.
fn remove(entry: &Path) -> io::Result<()> {
    match fs::symlink_metadata(entry) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    for file in ["program", "note", "used"] {
        match fs::remove_file(entry.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match fs::remove_dir(entry) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a name is that of an entry in the making.
fn is_left_over(name: &str) -> bool {
    let id = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp"));
    id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a name in the store is one of ours.
pub(crate) fn is_entry(name: &str) -> bool {
    [Program::Daily, Program::Workshop].iter().any(|program| {
        let key = name.strip_prefix(program.name()).and_then(|rest| rest.strip_prefix('-'));
        key.is_some_and(|key| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

fn digest(bytes: &[u8]) -> String {
    let mut hasher = Lanes::new();
    hasher.bytes(bytes);
    hasher.finish()
}

/// The standard library's hasher twice, from different starts: 128 bits against accidents. Nobody else can write here, so
/// it is no matter of secrets.
struct Lanes([DefaultHasher; 2]);

impl Lanes {
    fn new() -> Self {
        let mut second = DefaultHasher::new();
        second.write_u8(1);
        Self([DefaultHasher::new(), second])
    }

    /// With its length: two texts never pass for others that are cut elsewhere.
    fn bytes(&mut self, bytes: &[u8]) {
        for lane in &mut self.0 {
            lane.write_usize(bytes.len());
            lane.write(bytes);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn finish(&self) -> String {
        let [first, second] = &self.0;
        format!("{:016x}{:016x}", first.finish(), second.finish())
    }
}
