//! The names of artifacts, on every platform.

use super::UnitId;
use super::names::unit_id;

/// The unit id in the name of a compiler's output: `libserde-<id>.rlib`, `app-<id>`,
/// `app-<id>.<codegen unit>.rcgu.dwo`.
pub(super) fn id_in_output(name: &str) -> Option<UnitId> {
    id_at(name).map(|(_, id)| id)
}

/// The id, and where the `-` before it is.
fn id_at(name: &str) -> Option<(usize, UnitId)> {
    // Names of crates have no `-` and codegen units no 16 hex digits behind one, so the first is the one.
    name.match_indices('-').find_map(|(at, _)| {
        let digits = name.get(at + 1..at + 17)?;
        let end = name[at + 17..].chars().next();
        Some((at, unit_id(digits)?)).filter(|_| end.is_none_or(|next| next == '.'))
    })
}

/// The names that cargo, rustc and linkers give to what is made of a crate: `[lib]<crate>[-<id>]<ending>` (cargo's
/// `TargetInfo::file_types`, rustc's `OutputFilenames`). Whatever is called otherwise was made by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputName<'a> {
    /// The crate's or the target's name, with the `lib` of a library.
    stem: &'a str,
    /// The unit's id.
    pub id: Option<UnitId>,
    /// What follows, from the first dot on.
    ending: &'a str,
}

/// Endings of libraries, whose names begin with `lib`.
const OF_LIBRARY: [&str; 6] = [".rlib", ".rmeta", ".so", ".dylib", ".a", ".dll.a"];
/// Endings of programs, of libraries without `lib`, and of what linkers write beside them.
const OTHERS: [&str; 13] = [
    "",
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
    /// Takes `name` apart; `None` where nothing that makes an artifact names it so.
    pub fn parse(name: &'a str) -> Option<Self> {
        let found = id_at(name);
        let id = found.map(|(_, id)| id);
        let at = found.map_or_else(|| name.find('.').unwrap_or(name.len()), |(at, _)| at);
        let (stem, ending) = (&name[..at], &name[if id.is_some() { at + 17 } else { at }..]);
        let is_crate =
            |letter: char| letter.is_alphanumeric() || letter == '_' || (letter == '-' && id.is_none());
        let output = Self { stem, id, ending };
        (!stem.is_empty() && stem.chars().all(is_crate) && output.crates().next().is_some()).then_some(output)
    }

    /// The names of crates and targets that may be called so: `libx.d` lies beside a program `libx` and a library `x`.
    fn crates(self) -> impl Iterator<Item = &'a str> {
        let ending = self.ending.strip_suffix(".dwp").unwrap_or(self.ending);
        let is_library = OF_LIBRARY.contains(&ending) || ending == ".dylib.dSYM";
        let is_other = OTHERS.contains(&ending) || is_part(ending) || is_long_type(ending);
        let library = self.stem.strip_prefix("lib").filter(|_| is_library || ending == ".d");
        let other = Some(self.stem).filter(|_| is_other || ending == ".d");
        [library, other].into_iter().flatten().filter(|name| !name.is_empty())
    }

    /// Whether a file of this target is called so: by its crate's name, and without an id by its own too.
    pub fn is_of(&self, target: &str) -> bool {
        let crate_name = target.replace('-', "_");
        self.crates().any(|name| name == crate_name || (self.id.is_none() && name == target))
    }

    /// Whether it is a folder that is called so.
    pub fn is_folder(&self) -> bool {
        self.ending.ends_with(SYMBOLS)
    }

    /// Whether it is what cargo puts beside the profile's other artifacts as `made`, an output of this target.
    pub fn is_uplifted_from(&self, made: &Self, target: &str) -> bool {
        self.id.is_none() && self.ending == made.ending && self.is_of(target)
    }

    /// Whether compilers and linkers write it together with `made`, without a word in the dep-info.
    pub fn is_beside(&self, made: &Self) -> bool {
        self.is_of_crate_of(made)
            && (is_linked_with(self.ending, made.ending) || is_part(self.ending) || is_long_type(self.ending))
    }

    /// Whether it and `made` are final artifacts of one target: cargo's dep-info names only one of the files that a
    /// library is made as.
    pub fn is_uplifted_with(&self, made: &Self) -> bool {
        const FORMS: [&[&str]; 2] = [&[".rlib", ".rmeta", ".a", ".so", ".dylib"], &[".dll", ".lib"]];
        let one = [made.ending];
        let forms = FORMS.into_iter().find(|forms| forms.contains(&made.ending)).unwrap_or(&one);
        let is_form = |form: &&str| self.ending == *form || is_linked_with(self.ending, form);
        self.id.is_none() && self.is_of_crate_of(made) && forms.iter().any(is_form)
    }

    fn is_of_crate_of(&self, made: &Self) -> bool {
        self.id == made.id && made.crates().any(|target| self.is_of(target))
    }
}

/// Whether linking a file with the ending `made` leaves one with this ending too.
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

/// `.long-type-<number>.txt`: what was too long for a message of the compiler's.
fn is_long_type(ending: &str) -> bool {
    let number = ending.strip_prefix(".long-type-").and_then(|rest| rest.strip_suffix(".txt"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
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
