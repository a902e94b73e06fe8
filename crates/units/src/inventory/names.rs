//! What the names of files and folders tell that are no artifacts, and which folders cargo and the compiler fill.

use super::{ItemKind, Owner, UnitId};
use crate::plan_log::what_it_is;

/// The unit id that these 16 hex digits are.
pub fn unit_id(digits: &str) -> Option<UnitId> {
    if digits.len() != 16 {
        return None;
    }
    let mut id = 0;
    for byte in digits.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        id = id << 4 | u64::from(digit);
    }
    Some(id)
}

/// `<package>-<id>`.
pub(super) fn package_and_id(name: &str) -> Option<(&str, UnitId)> {
    let (package, digits) = name.rsplit_once('-')?;
    Some((package, unit_id(digits)?)).filter(|_| !package.is_empty())
}

/// Whether a folder may be one that a killed compiler leaves: `rmetaAbC123/`, `rustcAbC123/`, and archives that were
/// not finished, `.tmpAbC123.temp-archive/` (`rustc_codegen_ssa/src/back/archive.rs`).
pub(super) fn is_temporary(name: &str) -> bool {
    let random = |rest: &str| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let archive = name.strip_suffix(".temp-archive").and_then(|stem| stem.strip_prefix(".tmp"));
    let others = ["rmeta", "rustc"].iter().find_map(|start| name.strip_prefix(start));
    archive.or(others).is_some_and(random)
}

/// Whether cargo's other commands, or what they run, make a file of this name in their folder. Folders are told by what
/// is in them.
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
        // It is written under a name with a dot before it.
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

/// `<package>-<version>`.
fn is_versioned(name: &str) -> bool {
    name.match_indices('-').any(|(at, _)| {
        let numbers = name[at + 1..].split(['-', '+']).next().unwrap_or_default().split('.');
        at > 0 && numbers.clone().count() == 3 && numbers.into_iter().all(|part| part.parse::<u64>().is_ok())
    })
}

/// `-20261122T021614Z`, and what newer cargos add to it.
fn is_run(name: &str) -> bool {
    let Some((date, time)) = name.strip_prefix('-').and_then(|name| name.split_once('T')) else {
        return false;
    };
    date.len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit())
        && time.starts_with(|first: char| first.is_ascii_digit())
        && time.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// Whether a folder that is called as one of cargo's holds what cargo or the compiler puts there.
pub(super) fn is_filled_by_cargo<'a>(
    kind: ItemKind,
    name: &str,
    mut entries: impl ExactSizeIterator<Item = &'a str>,
) -> bool {
    match kind {
        // A sweep empties it before it removes the unit's other files, and removes it after them.
        ItemKind::Fingerprint => entries.len() == 0 || entries.any(is_note),
        ItemKind::Temporary if entries.len() == 0 => false,
        ItemKind::Temporary => entries.all(|entry| match name.get(..5) {
            Some("rmeta") => matches!(entry, "full.rmeta" | "lib.rmeta"),
            Some("rustc") => {
                let ending = entry.rsplit_once('.').map_or("", |(_, ending)| ending);
                ["o", "rlib", "rmeta", "a", "lib", "def"].contains(&ending)
                    || matches!(entry, "list" | "linker-arguments" | "raw-dylibs")
            }
            _ => entry == "tmp.a",
        }),
        ItemKind::Package => {
            matches!(name, "tmp-crate" | "tmp-registry")
                || (is_versioned(name) && entries.any(|entry| entry == "Cargo.toml.orig"))
        }
        ItemKind::Doc => {
            ["implementors", "search.desc", "search.index", "src", "static.files", "trait.impl", "type.impl"]
                .contains(&name)
                || entries.any(|entry| entry == "sidebar-items.js")
        }
        ItemKind::Timings => false,
        _ => true,
    }
}

/// Whether cargo calls a file in a fingerprint's folder so: `lib-x`, `lib-x.json`, `dep-lib-x`, `output-lib-x`.
fn is_note(name: &str) -> bool {
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let stem = ["dep-", "output-"].iter().find_map(|start| stem.strip_prefix(start)).unwrap_or(stem);
    name == "invoked.timestamp" || what_it_is(stem).is_some()
}

/// Whether rustc calls a session of incremental compilation so, or its lock: `s-<time>-<random>-<svh>`,
/// `s-<time>-<random>.lock`.
pub(super) fn is_session(name: &str, is_folder: bool) -> bool {
    let stem = if is_folder { Some(name) } else { name.strip_suffix(".lock") };
    let Some(rest) = stem.and_then(|stem| stem.strip_prefix("s-")) else { return false };
    let base_36 = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    rest.split('-').count() == if is_folder { 3 } else { 2 }
        && rest.split('-').all(|part| !part.is_empty() && part.bytes().all(base_36))
}

/// `<crate>-<id in base 36>`, as rustc names incremental folders (13 digits since rustc 1.78; up to 13 before).
pub(super) fn incremental(name: &str) -> Option<Owner> {
    let (crate_name, digits) = name.rsplit_once('-')?;
    let base_36 = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    let right = !crate_name.is_empty() && (9..=13).contains(&digits.len()) && digits.bytes().all(base_36);
    right.then(|| Owner::Incremental { folder: name.to_owned() })
}

/// The crate's name in the name of an incremental folder.
pub fn incremental_crate(folder: &str) -> Option<&str> {
    folder.rsplit_once('-').map(|(crate_name, _)| crate_name)
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
}
