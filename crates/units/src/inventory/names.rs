//! What the names of files in cargo's folders tell.

use super::{Owner, UnitId};

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

/// The unit id in the name of a compiler's output: `libserde-<id>.rlib`, `app-<id>`,
/// `app-<id>.<codegen unit>.rcgu.dwo`.
pub(super) fn id_in_output(name: &str) -> Option<UnitId> {
    // Names of crates have no `-` and codegen units no 16 hex digits behind one, so the first is the one.
    name.match_indices('-').find_map(|(at, _)| {
        let digits = name.get(at + 1..at + 17)?;
        let end = name[at + 17..].chars().next();
        unit_id(digits).filter(|_| end.is_none_or(|next| next == '.'))
    })
}

/// Whether a file in `deps` without an id is one that compilers write: `libx.so`, `x.d`, `x.<codegen unit>.rcgu.dwo`.
pub(super) fn is_output_without_id(name: &str) -> bool {
    const ENDINGS: [&str; 14] = [
        ".d", ".so", ".dylib", ".dll", ".dll.lib", ".dll.exp", ".pdb", ".lib", ".a", ".rlib", ".rmeta",
        ".wasm", ".dwo", ".rcgu.o",
    ];
    ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// What a compiler that was killed leaves: `rmetaAbC123/`, `rustcAbC123/`, and archives that were not finished,
/// `.tmpAbC123.temp-archive/` (`rustc_codegen_ssa/src/back/archive.rs`).
pub(super) fn is_temporary(name: &str) -> bool {
    let random = |rest: &str| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let stem = name.strip_suffix(".temp-archive").unwrap_or(name);
    ["rmeta", "rustc", ".tmp"].iter().any(|start| stem.strip_prefix(start).is_some_and(random))
        || name.rsplit_once(".temp-archive-").is_some()
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
        assert_eq!(package_and_id("my-app-0123456789abcdef"), Some(("my-app", 0x0123_4567_89ab_cdef)));
        assert_eq!(package_and_id("0123456789abcdef"), None);
    }

    #[test]
    fn only_names_that_compilers_make_are_theirs() {
        for (name, expected) in [
            ("rmetaAbC123", true),
            ("rustcabcdef", true),
            (".tmp28LynP.temp-archive", true),
            (".tmp28LynP", true),
            ("notes.temp-archive", false),
            ("rustc-docs", false),
            ("rmeta", false),
        ] {
            assert_eq!(is_temporary(name), expected, "{name}");
        }
        for (name, expected) in [("liblib.so", true), ("lib.d", true), ("notes.txt", false), (".d", false)] {
            assert_eq!(is_output_without_id(name), expected, "{name}");
        }
        assert!(incremental("app-0caea4yi76pxe").is_some());
        assert!(incremental("app-old").is_none());
    }
}
