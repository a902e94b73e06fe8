//! 128-bit digests for cache keys.
//!
//! Not for security: nobody gains by making their own caches collide. SipHash-128 in the variant that rustc uses for its
//! caches, stable across runs, compilers and byte orders.

use std::fmt;
use std::fs;
use std::hash::Hasher as _;
use std::time::UNIX_EPOCH;

use camino::Utf8Path;
use rustc_stable_hash::FromStableHash;
use rustc_stable_hash::hashers::{SipHasher128Hash, StableSipHasher128};
use serde::{Deserialize, Serialize};

/// A 128-bit digest, written as 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(String);

impl Digest {
    /// The digest that is written as `text`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStableHash for Digest {
    type Hash = SipHasher128Hash;

    fn from(SipHasher128Hash([high, low]): Self::Hash) -> Self {
        Self(format!("{high:016x}{low:016x}"))
    }
}

/// Takes in fields one by one; each is delimited, so `("ab", "c")` and `("a", "bc")` differ.
#[derive(Default)]
pub struct Hasher(StableSipHasher128);

impl Hasher {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn field(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.write_u64(bytes.len() as u64);
        self.0.write(bytes);
        self
    }

    /// Adds a field that may be absent; absent and empty differ.
    pub fn optional(&mut self, bytes: Option<impl AsRef<[u8]>>) -> &mut Self {
        match bytes {
            Some(bytes) => self.field("1").field(bytes),
            None => self.field("0"),
        }
    }

    pub fn finish(self) -> Digest {
        self.0.finish()
    }
}

pub fn digest(bytes: impl AsRef<[u8]>) -> Digest {
    let mut hasher = Hasher::new();
    hasher.field(bytes);
    hasher.finish()
}

/// A digest of the names, sizes and modification times of a file, or of everything in a folder: changes when they are
/// written, without reading them. `None` when there is nothing.
pub fn stamp(path: &Utf8Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let mut hasher = Hasher::new();
    if metadata.is_dir() {
        let entries = path.read_dir_utf8().ok()?.flatten();
        let mut names = entries.map(|entry| entry.file_name().to_owned()).collect::<Vec<_>>();
        names.sort();
        for name in names {
            let below = path.join(&name);
            // Through a link a folder may contain itself.
            let inner = if below.is_symlink() && below.is_dir() { None } else { stamp(&below) };
            hasher.field(name).optional(inner);
        }
    } else {
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        hasher.field(format!("{} {}", metadata.len(), modified.as_nanos()));
    }
    Some(hasher.finish().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_delimited_and_absence_is_not_emptiness() {
        let of = |fields: &[&str]| {
            let mut hasher = Hasher::new();
            for field in fields {
                hasher.field(field);
            }
            hasher.finish()
        };
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        let optional = |field: Option<&str>| {
            let mut hasher = Hasher::new();
            hasher.optional(field);
            hasher.finish()
        };
        assert_ne!(optional(None), optional(Some("")));
        let written = digest("x").to_string();
        assert_eq!(Digest::parse(&written), Some(digest("x")));
        assert_eq!([&written[1..], &written.replace(|_| true, "g")].map(Digest::parse), [None, None]);
    }

    #[test]
    fn a_stamp_changes_when_something_below_is_written() {
        let dir = xtask_testkit::TempDir::new("stamp");
        dir.write("d/x", "1");
        let at = |path: &str| stamp(&dir.path().join(path));
        let before = at("d");
        assert_eq!(before, at("d"));
        assert_eq!(at("none"), None);
        dir.write("d/sub/y", "2");
        assert_ne!(before, at("d"));
    }
}
