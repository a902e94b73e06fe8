//! What cargo did not make survives every sweep, wherever it lies, whatever it is called and however old it is.
//!
//! `XTASK_SWEEP_FOREIGN=100 cargo test --package xtask-workshop --features heavy --test sweep foreign` tries more build dirs than the tier
//! does; `XTASK_SWEEP_SEED=17` starts at another seed, and the seed decides everything.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::{Durability, write_atomic};
use xtask_testkit::{Random, each_seed, setting};

use crate::support::{FEW_TIERS, Small, exists, number};

/// What tools append to the name of an artifact that they make something of.
const APPENDED: [&str; 20] = [
    ".bin",
    ".hex",
    ".tar.gz",
    ".debug",
    ".sha256",
    ".opt.wasm",
    ".AppDir",
    ".exe.sig",
    ".so.1",
    ".so.debug",
    ".d.bak",
    ".rlib.old",
    ".stripped",
    ".rcgu",
    ".dwo.txt",
    "~",
    ".1.0.crate",
    "_backup",
    ".pdb.txt",
    ".lock",
];
/// Names of people's own; some begin as those that compilers give.
const PLAIN: [&str; 18] = [
    "notes.md",
    "README",
    "backup",
    "Makefile",
    "results.2026.json",
    ".hidden",
    ".app.swp",
    "ü-größe.txt",
    "日本語",
    "a b.tar.gz",
    "rustcbackup",
    "rmetabackup",
    ".tmpbackup",
    ".tmpBackUp.temp",
    "s-notes",
    "libforeign.so",
    "index.html",
    "notes.d",
];
/// Endings that artifacts have too.
const ENDINGS: [&str; 8] = ["", ".rlib", ".d", ".so", ".o", ".txt", ".rcgu.o", ".tar.gz"];

/// Folders whose entries are kept or removed one by one.
fn is_open(path: &Utf8Path, root: &Utf8Path) -> bool {
    let parts = path.strip_prefix(root).unwrap().components().map(|part| part.as_str()).collect::<Vec<_>>();
    let is_id = |name: &str| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    match parts[..] {
        []
        | ["debug" | "doc" | "package" | "tmp" | "cargo-timings"]
        | ["debug", "deps" | "examples" | ".fingerprint" | "build" | "incremental"]
        | ["debug", "incremental", _] => true,
        // Of layout v2.
        ["debug", "build", package] => !package.contains('-'),
        ["debug", "build", _, id] => is_id(id),
        ["debug", "build", _, id, "out"] => is_id(id) && !path.with_file_name("run").exists(),
        _ => false,
    }
}

fn open_folders(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut open = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let below = folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().path().to_owned());
        open.extend(below.filter(|path| path.is_dir() && is_open(path, root)));
        found.push(folder);
    }
    found.sort();
    found
}

struct Foreign {
    random: Random,
    root: Utf8PathBuf,
    files: BTreeMap<Utf8PathBuf, Vec<u8>>,
}

impl Foreign {
    fn id(&mut self) -> String {
        format!("{:016x}", self.random.number())
    }

    /// A name that nothing that makes an artifact gives to a file in `folder`.
    fn name(&mut self, folder: &Utf8Path) -> String {
        let mut known = ["app", "my-ex", "lib", "liblib"].map(str::to_owned).to_vec();
        let entries = folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned());
        known.extend(entries.filter(|name| !name.starts_with('.')));
        known.sort();
        let known = self.random.pick(&known).unwrap().clone();
        match self.random.below(5) {
            0 | 1 => format!("{known}{}", self.random.pick(&APPENDED).unwrap()),
            2 => format!("old-{known}"),
            3 => {
                let stem = *self.random.pick(&["notes", "app", "libapp", "archive.of"]).unwrap();
                format!("{stem}-{}{}", self.id(), self.random.pick(&ENDINGS).unwrap())
            }
            _ => (*self.random.pick(&PLAIN).unwrap()).to_owned(),
        }
    }

    fn add(&mut self, path: Utf8PathBuf) {
        let name = path.file_name().unwrap();
        let text = match self.random.below(3) {
            // As the compiler of another language notes what it read.
            0 => format!("{}: main.c main.h\n", path.with_extension("o")),
            1 => format!("{name}: something of mine\n"),
            _ => format!("{}\n", self.random.number()),
        };
        write_atomic(&path, &text, Durability::Cache).unwrap();
        self.files.insert(path, text.into_bytes());
    }

    /// Puts files and folders everywhere.
    fn scatter(&mut self, each: usize) {
        for folder in open_folders(&self.root.clone()) {
            for _ in 0..each {
                let mut name = self.name(&folder);
                let is_folder = self.random.chance(35);
                if is_folder && folder.ends_with("debug/build") {
                    // Any other folder there would look like a layout of cargo's that is not known.
                    name = format!("notes-{}", self.id());
                }
                let path = folder.join(name);
                if path.symlink_metadata().is_ok() {
                    continue;
                }
                if is_folder {
                    fs::create_dir(&path).unwrap();
                    self.add(path.join("usr"));
                } else {
                    self.add(path);
                }
            }
        }
    }

    fn is_whole(&self, seen: &serde_json::Value) {
        for (path, bytes) in &self.files {
            let found = fs::read(path).ok();
            assert_eq!(found.as_ref(), Some(bytes), "{path} is gone or was changed: {seen:#}");
        }
    }
}

fn live(seed: u64) -> u64 {
    let mut small = Small::new(&format!("foreign-{seed}"), &FEW_TIERS.replace("grace = 0\n", ""));
    if seed.is_multiple_of(2) {
        small.place.with_new_layout();
    }
    let mut random = Random::new(seed);
    if random.chance(50) {
        let manifest = fs::read_to_string(small.root().join("lib/Cargo.toml")).unwrap();
        let dynamic = "[lib]\ncrate-type = [\"lib\", \"cdylib\", \"staticlib\"]\n[dependencies]\n";
        small.write("lib/Cargo.toml", &manifest.replace("[dependencies]\n", dynamic));
    }
    small.write("app/examples/my-ex.rs", "fn main() {}\n");
    small.write("app/build.rs", "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); }\n");
    small.build_all();
    small.run("RUSTFLAGS='--cfg old' cargo build --workspace --examples --timings");
    if random.chance(50) {
        small.build_all();
    }
    small.run("cargo doc --workspace --no-deps");
    small.write("target/package/app-0.0.1/Cargo.toml.orig", "");
    let mine = [
        "package/tmp-crate/mine",
        "cargo-timings/cargo-timing-20251231T204416Z-before.html",
        "doc/src/mine.txt",
        "doc/implementors/notes.txt",
        "debug/deps/rustcbackup/mine.a",
        "debug/libapp.a",
        "debug/app.dwp",
    ];
    for path in mine {
        small.write(&format!("target/{path}"), "mine");
    }
    small.write("target/tmp/scratch", "");
    let root = small.root().join("target");
    let mut foreign = Foreign { random, root, files: BTreeMap::new() };
    let mut removed = 0;
    let mut sweep = |foreign: &mut Foreign, arguments: &[&str], each: usize| {
        foreign.scatter(each);
        small.run("find target -exec touch --no-dereference --date '40 days ago' {} +");
        small.run("find Cargo.toml Cargo.lock app lib -exec touch --date '41 days ago' {} +");
        let swept = small.place.sweep(arguments, 0);
        assert!(number(&swept, "removed_units") > 0, "nothing was stale: {swept:#}");
        foreign.is_whole(&swept);
        removed += number(&swept, "removed_units");
    };
    sweep(&mut foreign, &[], 4);
    for path in mine {
        assert_eq!(fs::read_to_string(small.root().join("target").join(path)).unwrap(), "mine", "{path}");
    }
    assert!(!exists(small.root(), "target/package/app-0.0.1"), "cargo's own went");
    // The program leaves the workspace, and everything of it goes.
    small.write("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"lib\"]\n");
    small.build_all();
    sweep(&mut foreign, &[], 2);
    assert!(!exists(small.root(), "target/debug/examples/my-ex.d"), "the example's dep-info went");
    // Everything that is needed goes too.
    small.write("xtask.toml", &format!("{FEW_TIERS}max-size = \"1 KiB\"\ndoc = 0\ntimings = 0\n"));
    sweep(&mut foreign, &["--grace", "0"], 0);
    removed
}

#[test]
fn what_cargo_did_not_make_survives() {
    let (first, count) = (setting("XTASK_SWEEP_SEED", 1), setting("XTASK_SWEEP_FOREIGN", 2));
    assert!(each_seed(first, count, live).into_iter().all(|removed| removed > 5));
}
