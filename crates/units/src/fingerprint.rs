//! What cargo wrote down about a unit on disk: the files in its fingerprint's folder (cargo's
//! `core/compiler/fingerprint/mod.rs`, `Fingerprint`). So units are known that are in no plan any more.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use memchr::memmem;
use serde::{Deserialize, Deserializer};

use crate::unit::{Mode, TargetKind};

/// A unit as cargo's fingerprint file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fingerprint {
    /// The name of the file that cargo compares: `lib-serde`.
    #[serde(skip)]
    pub file: String,
    #[serde(skip)]
    pub kind: TargetKind,
    #[serde(skip)]
    pub target: String,
    /// Check and build are both `Build` here: cargo does not distinguish them.
    #[serde(skip)]
    pub mode: Mode,
    /// Whether the test harness is on.
    #[serde(skip)]
    pub test: bool,
    #[serde(deserialize_with = "list")]
    pub features: Vec<String>,
    /// The flags of `RUSTFLAGS` and the configuration.
    #[serde(default)]
    pub rustflags: Vec<String>,
    /// A hash of `rustc -vV`.
    pub rustc: u64,
    /// A hash of the profile's settings.
    pub profile: u64,
    /// A hash of the path of the root source file, which contains the version of a registry package.
    #[serde(default)]
    pub path: u64,
}

/// A list in the form of Rust's `Debug`, which for names of features is JSON.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(serde_json::from_str(&String::deserialize(deserializer)?).unwrap_or_default())
}

/// Read only where it is needed: it is half of the file.
#[derive(Default, Deserialize)]
struct Dependencies {
    /// Of each the package, the name, whether it is public, and the hash.
    #[serde(default)]
    deps: Vec<(u64, String, bool, u64)>,
}

/// Cargo's files are not longer than this: that of a unit with 500 dependencies has 30 KB.
pub(crate) const LONGEST: usize = 64 * 1024;

impl Fingerprint {
    /// Reads `json`, the content of `<file>.json`; `None` where its form is unknown.
    pub(crate) fn parse(file: &str, json: &[u8]) -> Option<Self> {
        let (kind, target, mode, test) = what_it_is(file)?;
        let read = serde_json::from_slice::<Self>(&without_dependencies(json)).ok()?;
        Some(Self { file: file.to_owned(), kind, target, mode, test, ..read })
    }

    /// The hashes of its dependencies, from its folder; empty where they cannot be read.
    pub fn dependencies(&self, folder: &Path) -> Vec<u64> {
        let json = fs::read(folder.join(format!("{}.json", self.file))).unwrap_or_default();
        let read = serde_json::from_slice::<Dependencies>(&json).unwrap_or_default();
        read.deps.into_iter().map(|(_, _, _, hash)| hash).collect()
    }

    /// The hash of this fingerprint in those of the units that depend on it, from its folder; `None` when the unit was never
    /// finished.
    pub fn hash(&self, folder: &Path) -> Option<u64> {
        fs::read_to_string(folder.join(&self.file)).ok().and_then(|hex| hash(&hex))
    }
}

/// `json` without its lists of dependencies and sources, which are most of it: a build dir has thousands of these files.
/// Inside of strings quotes are escaped, so the keys are found nowhere else.
fn without_dependencies(json: &[u8]) -> Cow<'_, [u8]> {
    let found = memmem::find(json, b"\"deps\":").zip(memmem::rfind(json, b"\"rustflags\":"));
    match found {
        Some((start, end)) if start < end => [&json[..start], &json[end..]].concat().into(),
        _ => json.into(),
    }
}

/// Cargo writes the hash as the hex digits of its bytes, little-endian (`util::hex::to_hex`).
fn hash(hex: &str) -> Option<u64> {
    u64::from_str_radix(hex.trim(), 16).ok().filter(|_| hex.trim().len() == 16).map(u64::swap_bytes)
}

/// Reads the name of a fingerprint file: `test-integration-test-it`, `run-build-script-build-script-build`.
pub(crate) fn what_it_is(file: &str) -> Option<(TargetKind, String, Mode, bool)> {
    const KINDS: [(&str, TargetKind); 6] = [
        ("lib-", TargetKind::Lib),
        ("bin-", TargetKind::Bin),
        ("integration-test-", TargetKind::IntegrationTest),
        ("example-", TargetKind::Example),
        ("bench-", TargetKind::Bench),
        ("build-script-", TargetKind::BuildScript),
    ];
    let (mode, test, rest) = if let Some(rest) = file.strip_prefix("test-") {
        (Mode::Build, true, rest)
    } else if let Some(rest) = file.strip_prefix("doc-") {
        (Mode::Doc, false, rest)
    } else if let Some(rest) = file.strip_prefix("run-") {
        (Mode::RunBuildScript, false, rest)
    } else {
        (Mode::Build, false, file)
    };
    KINDS.iter().find_map(|(prefix, kind)| Some((*kind, rest.strip_prefix(prefix)?.to_owned(), mode, test)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_dependencies_are_skipped() {
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
