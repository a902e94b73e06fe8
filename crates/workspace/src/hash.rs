//! 128-bit content digests for cache keys.
//!
//! Not for security: nobody gains by making their own caches collide. SipHash-128 in the variant rustc
//! itself uses for its caches, stable across runs, compilers and byte orders.

use rustc_stable_hash::FromStableHash;
use rustc_stable_hash::hashers::{SipHasher128Hash, StableSipHasher128};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::Hasher as _;

/// A 128-bit digest, written as 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(String);

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
    /// An empty hasher.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one field.
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

    /// The digest of all fields so far.
    pub fn finish(self) -> Digest {
        self.0.finish()
    }
}

/// The digest of one sequence of bytes.
pub fn digest(bytes: impl AsRef<[u8]>) -> Digest {
    let mut hasher = Hasher::new();
    hasher.field(bytes);
    hasher.finish()
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
        assert_eq!(digest("x").to_string().len(), 32);
    }
}
