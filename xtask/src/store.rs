//! Programs that were built, kept in the user's cache folder: a second checkout, or one after `cargo clean`, costs a copy.
//!
//! Invariant: an entry is used only if everything that went into the program is the same here (the key), if nobody else
//! can have written it, and if it is whole. Whatever is wrong with the store only makes it slower, and is not said.
//!
//! `XTASK_STORE` is the store's folder, or `off`. An entry is one file: a head, then the program.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::hash::Hasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::environment::Environment;
use crate::place::{PROFILE, Place, Program};
use crate::stamp;

/// First line of an entry, and part of the key; another format gets another number.
const FORMAT: &str = "xtask-suite store, format 2";
/// Last line of an entry's head.
const END: &str = "\nend\n";
/// How many programs are kept: those that were used last. One takes about 30 MB.
const MOST: usize = 16;
/// What a killed launcher has left is removed after that time.
const LEFT_OVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The entry for a program as it would be built here and now.
#[derive(Debug)]
pub(crate) struct Store {
    /// The folder of all entries.
    root: PathBuf,
    /// The entry's file: its name has the digest of what goes into the program.
    entry: PathBuf,
    /// The sources that are part of the key, by names that are the same in every checkout.
    covered: BTreeMap<String, PathBuf>,
    /// The launcher's own file, which runs already: its owner may have written an entry.
    launcher: Metadata,
}

impl Store {
    /// The store of this user; `None` if it is turned off, or the key cannot be computed.
    pub(crate) fn open(place: &Place, environment: &Environment) -> Option<Self> {
        let root = root(environment)?;
        let covered = covered(place)?;
        let key = key(place, environment, &covered)?;
        let launcher = fs::metadata(std::env::current_exe().ok()?).ok()?;
        let entry = root.join(format!("{}-{key}", place.program.name()));
        Some(Self { root, entry, covered, launcher })
    }

    /// Copies the program to `binary`, and returns what went into it here; `None` where there is no entry that can be trusted.
    pub(crate) fn take(&self, binary: &Path) -> Option<BTreeSet<PathBuf>> {
        let is_private = |path| fs::symlink_metadata(path).ok().filter(|found| self.is_private(found));
        if !is_private(&self.root)?.is_dir() || !is_private(&self.entry)?.is_file() {
            return None;
        }
        let entry = fs::read(&self.entry).ok()?;
        let end = entry.windows(END.len()).position(|bytes| bytes == END.as_bytes())?;
        let (head, program) = (std::str::from_utf8(&entry[..end]).ok()?, &entry[end + END.len()..]);
        let mut lines = head.lines();
        if lines.next() != Some(FORMAT) || lines.next() != Some(digest(program).as_str()) {
            return None;
        }
        let inputs = lines.map(|name| self.covered.get(name).cloned()).collect::<Option<_>>()?;
        put(binary, program).ok()?;
        // POSIX: this makes now the time of the file. It is that of the last use.
        let used = File::options().write(true).open(&self.entry);
        let _ = used.and_then(|file| file.set_len(file.metadata()?.len()));
        Some(inputs)
    }

    /// Keeps the program at `binary`, which was built of `inputs`, if the key covers all of them.
    pub(crate) fn keep(&self, binary: &Path, inputs: &BTreeSet<PathBuf>) {
        let names: BTreeMap<_, _> = self.covered.iter().map(|(name, path)| (path, name)).collect();
        let names: Option<String> =
            inputs.iter().map(|path| Some(format!("\n{}", names.get(path)?))).collect();
        if let (Some(names), Ok(program)) = (names, fs::read(binary)) {
            let mut entry = format!("{FORMAT}\n{}{names}{END}", digest(&program)).into_bytes();
            entry.extend(program);
            let mut folder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
            let _ = folder.recursive(true).create(&self.root).and_then(|()| put(&self.entry, &entry));
        }
        self.prune();
    }

    /// Removes the entries that were not used for the longest time, and what killed launchers have left.
    fn prune(&self) {
        let mut entries = Vec::new();
        for found in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let Ok(time) = found.metadata().and_then(|found| found.modified()) else { continue };
            match after_key(found.file_name().to_str().unwrap_or_default()) {
                Some("") => entries.push((time, found.path())),
                Some(_) if time.elapsed().is_ok_and(|age| age > LEFT_OVER) => {
                    let _ = fs::remove_file(found.path());
                }
                _ => {}
            }
        }
        entries.sort();
        for (_, path) in entries.iter().rev().skip(MOST) {
            let _ = fs::remove_file(path);
        }
    }

    #[cfg(unix)]
    fn is_private(&self, found: &Metadata) -> bool {
        use std::os::unix::fs::MetadataExt;
        found.uid() == self.launcher.uid() && found.mode() & 0o022 == 0
    }

    #[cfg(not(unix))]
    fn is_private(&self, _: &Metadata) -> bool {
        true
    }
}

/// The folder of the store; `None` if it is turned off, or the user's cache folder is unknown.
fn root(environment: &Environment) -> Option<PathBuf> {
    let variable = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if environment.get("XTASK_STORE").is_some() {
        return variable("XTASK_STORE");
    }
    let caches = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    Some(caches?.join("xtask-suite/programs"))
}

/// The files that make the program: the manifest, the lock file, and all that is in the packages' folders but tests.
/// `None` where one cannot be listed.
fn covered(place: &Place) -> Option<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for name in ["Cargo.toml", "Cargo.lock"] {
        files.insert(name.to_owned(), place.workspace.join(name));
    }
    list("crates", &place.workspace.join("crates"), &mut files)?;
    if let Some(tasks) = &place.tasks {
        list("tasks", tasks, &mut files)?;
        list("workshop", &place.workspace.join("workshop"), &mut files)?;
    }
    Some(files)
}

fn list(name: &str, folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Option<()> {
    if !folder.exists() {
        return Some(());
    }
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

/// The digest of everything that goes into the program.
fn key(place: &Place, environment: &Environment, covered: &BTreeMap<String, PathBuf>) -> Option<String> {
    let mut all = Vec::new();
    // With its length: two texts never pass for others that are cut elsewhere.
    let mut add = |bytes: &[u8]| {
        all.extend(bytes.len().to_le_bytes());
        all.extend(bytes);
    };
    let build = (FORMAT, place.program.name(), PROFILE, &place.triple);
    add(format!("{build:?}").as_bytes());
    // The system's libraries: several machines may share a home.
    add(&fs::read("/etc/os-release").unwrap_or_default());
    let rustc = environment.get("RUSTC").unwrap_or_else(|| OsStr::new("rustc"));
    let mut rustc = Command::new(rustc);
    rustc.arg("-vV").current_dir(&place.workspace).stdin(Stdio::null()).stderr(Stdio::null());
    let asked = rustc.output().ok().filter(|asked| asked.status.success())?;
    add(&asked.stdout);
    let version = String::from_utf8_lossy(&asked.stdout);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
    let triples = [host, place.triple.as_deref().unwrap_or(host)];
    add(environment.flags().as_bytes());
    for path in stamp::configuration(place, &environment.cargo_home()?) {
        if path.extension().map_or(true, |ending| ending == "toml") && path.is_file() {
            let settings = relevant_settings(&fs::read_to_string(&path).ok()?, &triples);
            if !settings.is_empty() {
                add(settings.as_bytes());
            }
        }
    }
    for (name, path) in covered {
        add(name.as_bytes());
        add(&fs::read(path).ok()?);
    }
    Some(digest(&all))
}

/// What of a configuration file of cargo's can change a program, each key with its table: not aliases and how cargo
/// prints, not the wrapper of the compiler, nor how many run at once, nor what is set for other targets than `triples`. A file
/// with strings over several lines counts whole.
pub(crate) fn relevant_settings(text: &str, triples: &[&str]) -> String {
    if text.contains("\"\"\"") || text.contains("'''") {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut table = "";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            table = line.split('#').next().unwrap_or_default().trim_end();
            // Anything else may be a line of an array, which counts too.
            if table.ends_with(']')
                && table[1..table.len() - 1].chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
            {
                continue;
            }
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        let is_left_out = match table {
            "[alias]" | "[term]" | "[net]" | "[http]" | "[cargo-new]" => true,
            "[build]" => ["jobs", "rustc-wrapper"].contains(&key),
            "" => ["include", "build.jobs", "build.rustc-wrapper"].contains(&key),
            _ => {
                let target = table.strip_prefix("[target.").and_then(|rest| rest.split(['.', ']']).next());
                target.is_some_and(|target| !target.contains(['"', '\'', '(']) && !triples.contains(&target))
            }
        };
        if !is_left_out {
            kept = format!("{kept}{table} {line}\n");
        }
    }
    kept
}

/// Puts a program, an entry or a stamp in its place, whole or not at all. Never through an existing file: cargo links a
/// program to others. Only the user may write it, and anybody run it.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    // Two containers may share the folder, and the process id.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    let making = path.with_extension(format!("{}.{time}.tmp", process::id()));
    let write = |mut file: File| {
        file.write_all(bytes)?;
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(())
    };
    let file = File::options().write(true).create_new(true).open(&making)?;
    let put = write(file).and_then(|()| fs::rename(&making, path));
    if put.is_err() {
        let _ = fs::remove_file(&making);
    }
    put
}

/// What follows the program and the key in a file's name, for a name of ours.
pub(crate) fn after_key(name: &str) -> Option<&str> {
    [Program::Daily, Program::Workshop].iter().find_map(|program| {
        let rest = name.strip_prefix(program.name())?.strip_prefix('-')?;
        let (key, rest) = (rest.get(..32)?, rest.get(32..)?);
        Some(rest).filter(|_| key.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

/// The standard library's hasher twice, from different starts: 128 bits against accidents. Nobody else can write here, so
/// no attack is to be feared.
fn digest(bytes: &[u8]) -> String {
    let lane = |start| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(start);
        hasher.write(bytes);
        hasher.finish()
    };
    format!("{:016x}{:016x}", lane(0), lane(1))
}
