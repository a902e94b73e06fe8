//! What cargo noted of a unit on disk: the files in its fingerprint's folder (cargo's
//! `core/compiler/fingerprint/mod.rs`, `Fingerprint`). It tells what a unit is that no plan names any more.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use memchr::memmem;
use serde::Deserialize;

use crate::plan_log::what_it_is;
use crate::unit::{Mode, TargetKind};

/// A unit by cargo's own notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The name of the file that cargo compares: `lib-serde`.
    pub file: String,
    /// The target's kind.
    pub kind: TargetKind,
    /// The target's name.
    pub target: String,
    /// What was done; check and build are both `Build` here, as cargo notes no difference.
    pub mode: Mode,
    /// Whether the test harness is on.
    pub test: bool,
    /// The features that were on.
    pub features: Vec<String>,
    /// The flags of `RUSTFLAGS` and the configuration.
    pub rustflags: Vec<String>,
    /// Stands for the compiler: equal numbers, equal `rustc -vV`.
    pub rustc: u64,
    /// Stands for the settings of the profile.
    pub profile: u64,
    /// Stands for the root source file, in whose path the version of a registry package stands.
    pub path: u64,
}

#[derive(Deserialize)]
struct Json {
    rustc: u64,
    features: String,
    profile: u64,
    #[serde(default)]
    path: u64,
    #[serde(default)]
    rustflags: Vec<String>,
}

/// What is only read where it is asked for: it is half of the file.
#[derive(Deserialize)]
struct Dependencies {
    /// Of each the package, the name, whether it is public, and the hash.
    #[serde(default)]
    deps: Vec<(u64, String, bool, u64)>,
}

/// Longer notes than this are none of cargo's: a unit with 500 dependencies has 30 KB.
pub(crate) const LONGEST: usize = 64 * 1024;

impl Fingerprint {
    /// What `json`, the file `<file>.json`, says; `None` where it is not understood.
    pub(crate) fn parse(file: &str, json: &[u8]) -> Option<Self> {
        let (kind, target, mode, test) = what_it_is(file)?;
        let json = serde_json::from_slice::<Json>(&without_dependencies(json)).ok()?;
        Some(Self {
            file: file.to_owned(),
            kind,
            target,
            mode,
            test,
            // A list as Rust's `Debug` prints it, which for names of features is JSON.
            features: serde_json::from_str(&json.features).unwrap_or_default(),
            rustflags: json.rustflags,
            rustc: json.rustc,
            profile: json.profile,
            path: json.path,
        })
    }

    /// The hashes of the units it was built from, from its folder; none where they cannot be read.
    pub fn dependencies(&self, folder: &Path) -> Vec<u64> {
        let json = fs::read(folder.join(format!("{}.json", self.file))).unwrap_or_default();
        let read = serde_json::from_slice::<Dependencies>(&json);
        read.map_or_else(|_| Vec::new(), |json| json.deps.into_iter().map(|(_, _, _, hash)| hash).collect())
    }

    /// What stands for this fingerprint in those of the units that depend on it, from its folder; `None` when the unit
    /// was never finished.
    pub fn hash(&self, folder: &Path) -> Option<u64> {
        fs::read_to_string(folder.join(&self.file)).ok().and_then(|hex| hash(&hex))
    }
}

/// `json` without its lists of dependencies and sources, which are most of it: a build dir has thousands of these
/// files. In texts quotes have a `\\` before them, so the keys are found in no other place.
fn without_dependencies(json: &[u8]) -> Cow<'_, [u8]> {
    let found = memmem::find(json, b"\"deps\":").zip(memmem::rfind(json, b"\"rustflags\":"));
    match found {
        Some((start, end)) if start < end => [&json[..start], &json[end..]].concat().into(),
        _ => json.into(),
    }
}

/// Cargo writes the hash as the hex digits of its bytes, the lowest first (`util::hex::to_hex`).
fn hash(hex: &str) -> Option<u64> {
    u64::from_str_radix(hex.trim(), 16).ok().filter(|_| hex.trim().len() == 16).map(u64::swap_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_dependencies_are_passed_over() {
        let of = |json: &str| String::from_utf8(without_dependencies(json.as_bytes()).into_owned()).unwrap();
        let whole =
            r#"{"rustc":1,"features":"[\"deps\"]","deps":[[1,"a",false,2]],"local":[],"rustflags":["-g"]}"#;
        assert_eq!(of(whole), r#"{"rustc":1,"features":"[\"deps\"]","rustflags":["-g"]}"#);
        for other in [r#"{"rustflags":[],"deps":[]}"#, r#"{"rustc":1}"#, ""] {
            assert_eq!(of(other), other);
        }
        let parsed = Fingerprint::parse(
            "lib-x",
            br#"{"rustc":1,"features":"[]","profile":2,"deps":[],"rustflags":["-g"]}"#,
        );
        assert_eq!(parsed.unwrap().rustflags, ["-g"]);
    }

    #[test]
    fn a_hash_reads_as_the_number_that_dependents_name() {
        // Both from one build of cargo 1.95.
        assert_eq!(hash("c6382893492ac10c"), Some(919_062_294_450_157_766));
        assert_eq!(hash(""), None);
    }
}
