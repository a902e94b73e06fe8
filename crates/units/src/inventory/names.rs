//! What the names of files and folders in a build dir mean.

use super::{ItemKind, Owner, UnitId};
use crate::fingerprint::what_it_is;

/// The unit id in 16 hex digits.
pub fn unit_id(digits: &str) -> Option<UnitId> {
    let is_id = digits.len() == 16 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| UnitId::from_str_radix(digits, 16).ok())?
}

pub(super) fn package_and_id(name: &str) -> Option<(&str, UnitId)> {
    let (package, digits) = name.rsplit_once('-')?;
    Some((package, unit_id(digits)?)).filter(|_| !package.is_empty())
}

/// Whether a folder may be one that a killed compiler leaves: `rmetaAbC123/`, `rustcAbC123/`, and of unfinished archives
/// `.tmpAbC123.temp-archive/` (`rustc_codegen_ssa/src/back/archive.rs`).
pub(super) fn is_temporary(name: &str) -> bool {
    let random = |rest: &str| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let archive = name.strip_suffix(".temp-archive").and_then(|stem| stem.strip_prefix(".tmp"));
    let others = ["rmeta", "rustc"].iter().find_map(|start| name.strip_prefix(start));
    archive.or(others).is_some_and(random)
}

/// Whether cargo's other commands, or what they run, make a file of this name in their folder. Folders are recognised by
/// their content.
pub(super) fn is_of_command(kind: ItemKind, name: &str) -> bool {
    match kind {
        ItemKind::Doc => [
            ".lock",
            "crates.js",
            "help.html",
            "search-index.js",
            "settings.html",
            "source-files.js",
            "src-files.js",
        ]
        .contains(&name),
        // Cargo first writes it under a name with a leading dot.
        ItemKind::Package => name
            .strip_suffix(".crate")
            .is_some_and(|stem| is_versioned(stem.strip_prefix('.').unwrap_or(stem))),
        ItemKind::Timings => name
            .strip_prefix("cargo-timing")
            .and_then(|rest| rest.strip_suffix(".html"))
            .is_some_and(|run| run.is_empty() || is_run(run)),
        _ => true,
    }
}

fn is_versioned(name: &str) -> bool {
    name.match_indices('-').any(|(at, _)| {
        let numbers = name[at + 1..].split(['-', '+']).next().unwrap_or_default().split('.');
        at > 0 && numbers.clone().count() == 3 && numbers.into_iter().all(|part| part.parse::<u64>().is_ok())
    })
}

/// `-20261122T021614Z`, or `-20261122T021614123Z-0123456789abcdef` of newer cargos.
fn is_run(name: &str) -> bool {
    let Some((date, time)) = name.strip_prefix('-').and_then(|name| name.split_once('T')) else {
        return false;
    };
    let (time, id) = time.split_once('-').map_or((time, None), |(time, id)| (time, Some(id)));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    date.len() == 8
        && is_number(date)
        && is_number(&time.strip_suffix('Z').unwrap_or(time).replace('.', ""))
        && id.is_none_or(|id| unit_id(id).is_some())
}

/// Whether a folder with a name of cargo's contains what cargo or the compiler puts there.
pub(super) fn is_filled_by_cargo<'a>(
    kind: ItemKind,
    name: &str,
    mut entries: impl ExactSizeIterator<Item = &'a str>,
) -> bool {
    match kind {
        // A sweep empties it before it removes the unit's other files, and removes it after them.
        ItemKind::Fingerprint => entries.len() == 0 || entries.any(is_of_fingerprint),
        ItemKind::Temporary if entries.len() == 0 => false,
        ItemKind::Temporary => {
            // A person's folder may be called so, and have objects in it.
            let mut is_rustcs = !name.starts_with("rustc");
            let known = entries.all(|entry| {
                is_rustcs |=
                    matches!(entry, "symbols.o" | "list" | "linker-arguments" | "raw-dylibs" | "lib.def")
                        || entry.ends_with(".rcgu.o");
                is_in_temporary(name, entry)
            });
            known && is_rustcs
        }
        ItemKind::Package if matches!(name, "tmp-crate" | "tmp-registry") => {
            entries.all(|entry| entry == "index" || is_of_command(ItemKind::Package, entry))
        }
        ItemKind::Package => is_versioned(name) && entries.any(|entry| entry == "Cargo.toml.orig"),
        ItemKind::Doc => {
            ["implementors", "search.desc", "search.index", "src", "static.files", "trait.impl", "type.impl"]
                .contains(&name)
                || entries.any(|entry| entry == "sidebar-items.js")
        }
        ItemKind::Timings => false,
        _ => true,
    }
}

/// Whether the compiler gives what it puts into a temporary folder of this name such a name.
fn is_in_temporary(folder: &str, entry: &str) -> bool {
    match folder.get(..5) {
        Some("rmeta") => matches!(entry, "full.rmeta" | "lib.rmeta"),
        Some("rustc") => {
            let ending = entry.rsplit_once('.').map_or("", |(_, ending)| ending);
            ["o", "rlib", "rmeta", "a", "lib", "def"].contains(&ending)
                || matches!(entry, "list" | "linker-arguments" | "raw-dylibs")
        }
        _ => entry == "tmp.a",
    }
}

/// Whether cargo gives a file in a fingerprint's folder this name: `lib-x`, `lib-x.json`, `dep-lib-x`, `output-lib-x`.
fn is_of_fingerprint(name: &str) -> bool {
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let stem = ["dep-", "output-"].iter().find_map(|start| stem.strip_prefix(start)).unwrap_or(stem);
    name == "invoked.timestamp" || what_it_is(stem).is_some()
}

/// Whether rustc gives a session of incremental compilation, or its lock, this name: `s-<time>-<random>-<svh>`,
/// `s-<time>-<random>.lock`.
pub(super) fn is_session(name: &str, is_folder: bool) -> bool {
    let stem = if is_folder { Some(name) } else { name.strip_suffix(".lock") };
    let Some(rest) = stem.and_then(|stem| stem.strip_prefix("s-")) else { return false };
    rest.split('-').count() == if is_folder { 3 } else { 2 } && rest.split('-').all(is_base_36)
}

/// `<crate>-<id in base 36>`, as rustc names incremental folders (13 digits since rustc 1.78; up to 13 before).
pub(super) fn incremental(name: &str) -> Option<Owner> {
    let (crate_name, digits) = name.rsplit_once('-')?;
    let matches = !crate_name.is_empty() && (9..=13).contains(&digits.len()) && is_base_36(digits);
    matches.then(|| Owner::Incremental { folder: name.to_owned() })
}

fn is_base_36(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

/// The crate's name in the name of an incremental folder.
pub fn incremental_crate(folder: &str) -> Option<&str> {
    folder.rsplit_once('-').map(|(crate_name, _)| crate_name)
}

/// The unit id in the name of a compiler's output: `libserde-<id>.rlib`, `app-<id>`,
/// `app-<id>.<codegen unit>.rcgu.dwo`.
pub(super) fn id_in_output(name: &str) -> Option<UnitId> {
    id_at(name).map(|(_, id)| id)
}

/// The id, and where the `-` before it is.
fn id_at(name: &str) -> Option<(usize, UnitId)> {
    // Names of crates have no `-`, and codegen units no 16 hex digits after one, so the first match is the id.
    name.match_indices('-').find_map(|(at, _)| {
        let digits = name.get(at + 1..at + 17)?;
        let end = name[at + 17..].chars().next();
        Some((at, unit_id(digits)?)).filter(|_| end.is_none_or(|next| next == '.'))
    })
}

/// The names that cargo, rustc and linkers give to what is made of a crate: `[lib]<crate>[-<id>]<ending>` (cargo's
/// `TargetInfo::file_types`, rustc's `OutputFilenames`). Files with other names were not made by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputName<'a> {
    /// The names of crates and targets that it may belong to: `libx.d` may be of a program `libx` or a library `x`.
    crates: [Option<&'a str>; 2],
    pub id: Option<UnitId>,
    /// What follows, from the first dot on.
    ending: &'a str,
}

/// Endings of libraries, whose names begin with `lib`.
const OF_LIBRARY: [&str; 6] = [".rlib", ".rmeta", ".so", ".dylib", ".a", ".dll.a"];
/// Endings of programs, of libraries without `lib`, and of what linkers write beside them.
const OTHERS: [&str; 14] = [
    "",
    ".d",
    ".exe",
    ".efi",
    ".elf",
    ".js",
    ".wasm",
    ".wasm.map",
    ".dll",
    ".lib",
    ".dll.lib",
    ".dll.exp",
    ".pdb",
    SYMBOLS,
];
/// Debug info on Apple's platforms, a folder.
const SYMBOLS: &str = ".dSYM";

impl<'a> OutputName<'a> {
    /// Parses `name`; `None` if no artifact has such a name.
    pub fn parse(name: &'a str) -> Option<Self> {
        let found = id_at(name);
        let id = found.map(|(_, id)| id);
        let at = found.map_or_else(|| name.find('.').unwrap_or(name.len()), |(at, _)| at);
        let (stem, ending) = (&name[..at], &name[if id.is_some() { at + 17 } else { at }..]);
        let is_crate =
            |letter: char| letter.is_alphanumeric() || letter == '_' || (letter == '-' && id.is_none());
        if !stem.chars().all(is_crate) {
            return None;
        }
        let linked = ending.strip_suffix(".dwp").unwrap_or(ending);
        let is_library = OF_LIBRARY.contains(&linked) || [".d", ".dylib.dSYM"].contains(&linked);
        let is_other = OTHERS.contains(&linked) || is_part(linked) || is_long_type(linked);
        let library = stem.strip_prefix("lib").filter(|name| is_library && !name.is_empty());
        let other = Some(stem).filter(|name| is_other && !name.is_empty());
        (library.is_some() || other.is_some()).then_some(Self { crates: [library, other], id, ending })
    }

    /// Whether it may belong to this target: it has the crate's name, or without an id the target's own.
    pub fn is_of(&self, target: &str) -> bool {
        let crate_name = target.replace('-', "_");
        self.crates.iter().flatten().any(|&name| name == crate_name || (self.id.is_none() && name == target))
    }

    /// Whether it is the name of a folder.
    pub fn is_folder(&self) -> bool {
        self.ending.ends_with(SYMBOLS)
    }

    /// Whether it is the name without an id that cargo gives to `made`, an output of this target.
    pub fn is_uplifted_from(&self, made: &Self, target: &str) -> bool {
        self.id.is_none() && self.ending == made.ending && self.is_of(target)
    }

    /// Whether compilers and linkers write it together with `made`, without naming it in the dep-info.
    pub fn is_beside(&self, made: &Self) -> bool {
        self.is_of_crate_of(made)
            && (is_linked_with(self.ending, made.ending) || is_part(self.ending) || is_long_type(self.ending))
    }

    /// Whether it and `made` are final artifacts of one target: cargo's dep-info names only one of a library's files.
    pub fn is_uplifted_with(&self, made: &Self) -> bool {
        const FORMS: [&[&str]; 2] = [&[".rlib", ".rmeta", ".a", ".so", ".dylib"], &[".dll", ".lib"]];
        let one = [made.ending];
        let forms = FORMS.into_iter().find(|forms| forms.contains(&made.ending)).unwrap_or(&one);
        let is_form = |form: &&str| self.ending == *form || is_linked_with(self.ending, form);
        self.id.is_none() && self.is_of_crate_of(made) && forms.iter().any(is_form)
    }

    fn is_of_crate_of(&self, made: &Self) -> bool {
        self.id == made.id && made.crates.iter().flatten().any(|target| self.is_of(target))
    }
}

/// Whether linking a file with the ending `made` also creates one with this ending.
fn is_linked_with(ending: &str, made: &str) -> bool {
    let beside: &[&str] = match made {
        "" => &[SYMBOLS],
        ".exe" | ".efi" => &[".pdb"],
        ".js" => &[".wasm", ".wasm.map"],
        ".dylib" => &[".dylib.dSYM"],
        ".dll" => &[".dll.lib", ".dll.exp", ".dll.a", ".pdb"],
        _ => &[],
    };
    beside.contains(&ending) || ending.strip_suffix(".dwp") == Some(made)
}

/// `.<codegen unit>.rcgu.o`, and `.dwo` for its debug info; the codegen unit's name has several parts.
fn is_part(ending: &str) -> bool {
    let unit = [".rcgu.o", ".rcgu.dwo"].iter().find_map(|end| ending.strip_suffix(end));
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    unit.and_then(|unit| unit.strip_prefix('.')).is_some_and(|unit| unit.split('.').all(is_name))
}

/// `.long-type-<number>.txt`: a type that was too long for one of the compiler's messages.
fn is_long_type(ending: &str) -> bool {
    let number = ending.strip_prefix(".long-type-").and_then(|rest| rest.strip_suffix(".txt"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_than_cargo_put_into_its_folders_is_told_apart() {
        for (name, expected) in [
            ("rmetaAbC123", true),
            ("rustcabcdef", true),
            (".tmp28LynP.temp-archive", true),
            (".tmp28LynP", false),
            ("notes.temp-archive", false),
            ("rustc-docs", false),
            ("rmeta", false),
        ] {
            assert_eq!(is_temporary(name), expected, "{name}");
        }
        let filled = |kind, name: &str, entries: &str| {
            is_filled_by_cargo(kind, name, entries.split(' ').collect::<Vec<_>>().into_iter())
        };
        assert!(filled(ItemKind::Temporary, "rustcAbC123", "symbols.o list"));
        assert!(!filled(ItemKind::Temporary, "rustcbackup", "symbols.o notes.md"));
        assert!(!filled(ItemKind::Temporary, "rustcbackup", "my.a mine.o"));
        assert!(filled(ItemKind::Package, "tmp-registry", "index x-0.1.0.crate"));
        assert!(!filled(ItemKind::Package, "tmp-crate", "notes"));
        assert!(filled(ItemKind::Fingerprint, "x-0123456789abcdef", "dep-lib-x notes"));
        assert!(!filled(ItemKind::Fingerprint, "x-0123456789abcdef", "notes"));
        assert!(filled(ItemKind::Package, "x-0.1.0-rc.1", "Cargo.toml.orig src"));
        assert!(!filled(ItemKind::Package, "x-0.1.0", "notes"));
        assert!(
            filled(ItemKind::Doc, "x", "index.html sidebar-items.js")
                && !filled(ItemKind::Doc, "book", "index.html")
        );
        for (kind, name, expected) in [
            (ItemKind::Package, "my-app-0.1.0.crate", true),
            (ItemKind::Package, ".my-app-0.1.0+x.crate", true),
            (ItemKind::Package, "app.deb", false),
            (ItemKind::Timings, "cargo-timing.html", true),
            (ItemKind::Timings, "cargo-timing-20251231T204416809Z-a5db680cbe3be7e2.html", true),
            (ItemKind::Timings, "cargo-timing-before.html", false),
            (ItemKind::Doc, "index.html", false),
        ] {
            assert_eq!(is_of_command(kind, name), expected, "{name}");
        }
        assert!(
            is_session("s-hodeefba2e-1nmsxm2-working", true)
                && is_session("s-hodeefba2e-1nmsxm2.lock", false)
        );
        assert!(!is_session("s-hodeefba2e-1nmsxm2.bak", false) && !is_session("notes", true));
        assert_eq!(package_and_id("my-app-0123456789abcdef"), Some(("my-app", 0x0123_4567_89ab_cdef)));
        assert_eq!(package_and_id("0123456789abcdef"), None);
        assert!(incremental("app-0caea4yi76pxe").is_some());
        assert!(incremental("app-old").is_none());
    }

    #[test]
    fn the_id_is_found_in_every_kind_of_output() {
        let id = Some(0x0123_4567_89ab_cdef);
        let table = [
            ("libserde-0123456789abcdef.rlib", id),
            ("app-0123456789abcdef", id),
            ("app-0123456789abcdef.d", id),
            ("app-0123456789abcdef.0kf69r532g687r349vvekwta7.0323m3o.rcgu.dwo", id),
            ("my-app-0123456789abcdef.exe", id),
            ("app-0123456789abcdef0", None),
            ("app-0123456789ABCDEF", None),
            ("app-0123456789abcdeg", None),
            ("liblib.so", None),
            ("app", None),
            ("ü-0123456789abcdéf", None),
        ];
        for (name, expected) in table {
            assert_eq!(id_in_output(name), expected, "{name}");
        }
    }

    #[test]
    fn only_names_that_artifacts_get_are_taken_apart() {
        let of_target = |names: &str, target: &str, expected: bool| {
            for name in names.split(' ') {
                let is_of = OutputName::parse(name).is_some_and(|output| output.is_of(target));
                assert_eq!(is_of, expected, "{name} of {target}");
            }
        };
        of_target(
            "my-app my-app.exe my_app.pdb my-app.d my-app.dwp my-app.exe.dwp my-app.dSYM",
            "my-app",
            true,
        );
        of_target(
            "my_app-0123456789abcdef my_app-0123456789abcdef.d libmy_app-0123456789abcdef.rmeta",
            "my-app",
            true,
        );
        of_target(
            "libx.so libx.rlib x.dll x.dll.lib libx.dll.a x.lib libx.a x.wasm libx.d x.d libx.so.dwp",
            "x",
            true,
        );
        of_target("x.0kf6.0mhf-cgu.0.rcgu.dwo x-0123456789abcdef.x.4f-cgu.0.rcgu.o", "x", true);
        of_target("x-0123456789abcdef.long-type-123.txt x.wasm.map x.js x.efi", "x", true);
        of_target(
            "my-app.bin my-app.tar.gz my-app.d.bak my-app.opt.wasm my-app.exe.sig .my-app my-app~",
            "my-app",
            false,
        );
        of_target(
            "my-app-0123456789abcdef old_my_app-0123456789abcdef my_app-0123456789abcdef.bin",
            "my-app",
            false,
        );
        of_target(
            "x.rlib x.so libx.exe liby.so x.rcgu.o x.notes.txt.rcgu x.long-type-a.txt lib.so",
            "x",
            false,
        );
    }

    #[test]
    fn what_is_made_together_has_one_platform() {
        let beside = |name: &str, made: &str| {
            OutputName::parse(name).unwrap().is_uplifted_with(&OutputName::parse(made).unwrap())
        };
        assert!(beside("app.dSYM", "app") && beside("app.dwp", "app") && beside("my_app.pdb", "my-app.exe"));
        assert!(
            beside("libx.so", "libx.rlib")
                && beside("libx.so.dwp", "libx.so")
                && beside("libx.dll.a", "x.dll")
        );
        assert!(!beside("app.exe", "app") && !beside("app.pdb", "app") && !beside("app.wasm", "app"));
        assert!(!beside("liby.so", "libx.rlib") && !beside("libx.so", "x.dll"));
    }
}
