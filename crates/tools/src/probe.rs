//! Where the programs of a tool are, and which version each says to be. That proves nothing yet.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use camino::Utf8PathBuf;
use semver::{Version, VersionReq};
use serde::Serialize;
use xtask_workspace::Call;

use crate::catalog::{Tool, program_path};
use crate::machine::Machine;
use crate::process::{Interrupted, output};

/// A program that takes longer to say its version is broken.
const VERSION_ANSWERS: Duration = Duration::from_secs(10);

/// A program that was found, and answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Its path.
    pub path: Utf8PathBuf,
    /// The version that it prints, such as `1.10.1`; `None` if it prints none.
    pub version: Option<String>,
}

/// A program that was found and is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unsuited {
    /// Its path.
    pub path: Utf8PathBuf,
    /// Why not.
    pub why: String,
}

/// What the programs of a tool said when they were asked for their version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Probed {
    /// Those that are accepted, the one that is used first.
    pub found: Vec<Found>,
    /// Those that are not.
    pub unsuited: Vec<Unsuited>,
}

/// Asks every program of a tool for its version, each once. Fails only for a signal.
pub fn probe(tool: &Tool, machine: &Machine) -> Result<Probed> {
    let mut probed = Probed::default();
    for path in places(tool, machine) {
        match ask(tool, machine, path)? {
            Ok(found) => probed.found.push(found),
            Err(unsuited) => probed.unsuited.push(unsuited),
        }
    }
    Ok(probed)
}

/// Every program of the tool's names: in the workspace's own folder, then on `PATH`, then in cargo's home. None of them is
/// started.
pub(crate) fn places(tool: &Tool, machine: &Machine) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    for program in &tool.programs {
        let path = program_path(program, &machine.rustlib);
        if path.components().count() > 1 {
            found.extend(Some(path).filter(|path| path.is_file()));
            continue;
        }
        let path = machine.environment.get("PATH").unwrap_or_default();
        // A relative folder is relative to where cargo is called; we call it in the root.
        let on_path = std::env::split_paths(path)
            .filter_map(|dir| Utf8PathBuf::from_path_buf(dir).ok())
            .filter(|dir| !dir.as_str().is_empty())
            .map(|dir| machine.root.join(dir));
        let own = [machine.private_bin()].into_iter();
        let dirs = own.chain(on_path).chain(machine.cargo_bin());
        found.extend(dirs.filter_map(|dir| xtask_workspace::program_in(&dir, program)));
    }
    // A folder may be on PATH twice, or a link to another one.
    let mut seen = BTreeSet::new();
    found.retain(|path| seen.insert(path.canonicalize_utf8().unwrap_or_else(|_| path.clone())));
    found
}

/// Asks the program at `path` for its version. Fails only for a signal.
fn ask(tool: &Tool, machine: &Machine, path: Utf8PathBuf) -> Result<Result<Found, Unsuited>> {
    let call = Call::new(&machine.root, path.as_str(), tool.version_args.clone());
    let said = match output(&call, &machine.environment, VERSION_ANSWERS) {
        Ok(said) if said.success => said,
        Ok(said) => {
            let why = format!("`{call}` failed: {}", crate::process::last_lines(&said.stderr, &said.stdout));
            return Ok(Err(Unsuited { path, why }));
        }
        Err(error) if error.is::<Interrupted>() => return Err(error),
        Err(error) => return Ok(Err(Unsuited { path, why: format!("{error:#}") })),
    };
    let version = version_in(&said.stdout).or_else(|| version_in(&said.stderr));
    Ok(match objection(tool.version.as_ref(), version.as_ref()) {
        Some(why) => Err(Unsuited { path, why }),
        None => Ok(Found { path, version: version.map(|version| version.to_string()) }),
    })
}

/// Why `version` does not meet `requirement`; `None` if it does. A pre-release counts as its release: Debian's sccache
/// calls itself `0.4.0-pre.6`.
fn objection(requirement: Option<&VersionReq>, version: Option<&Version>) -> Option<String> {
    let requirement = requirement?;
    let Some(version) = version else {
        return Some(format!("it prints no version, and {requirement} is required"));
    };
    let release = Version::new(version.major, version.minor, version.patch);
    let meets = requirement.matches(version) || requirement.matches(&release);
    (!meets).then(|| format!("it is {version}, and {requirement} is required"))
}

/// The first word of `text` that is a version, as in `mold 1.10.1 (compatible with GNU ld)`; without one, the first that
/// ends in a version, as in `jq-1.6` and `Redis server v=7.0.15`.
fn version_in(text: &str) -> Option<Version> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ','));
    let without_name = |word: &str| version(word.trim_start_matches(|c: char| !c.is_ascii_digit()));
    words.clone().find_map(version).or_else(|| words.clone().find_map(without_name))
}

/// `1.2`, `v1.2.3` or `1.2.3-pre`; a single number is not a version.
fn version(word: &str) -> Option<Version> {
    let word = word.trim_start_matches('v');
    let numbers = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (numbers, rest) = word.split_at(numbers);
    let parts = numbers.split('.').map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
    let release = match parts.as_slice() {
        [major, minor] => Version::new(*major, *minor, 0),
        [major, minor, patch] => Version::new(*major, *minor, *patch),
        _ => return None,
    };
    if rest.is_empty() {
        return Some(release);
    }
    // `+git` and Debian's `1.2.3-4` parse; anything else is at least this release.
    Version::parse(&format!("{release}{rest}")).ok().or(Some(release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_real_programs_say() {
        let table = [
            ("mold 1.10.1 (compatible with GNU ld)", Some("1.10.1")),
            ("Debian LLD 14.0.6 (compatible with GNU linkers)", Some("14.0.6")),
            (
                "LLD 22.1.2 (/checkout/src/llvm-project/llvm 1cb4e3833c19) (compatible with GNU linkers)",
                Some("22.1.2"),
            ),
            ("Wild 0.10.0 non-git-build (compatible with GNU linkers)", Some("0.10.0")),
            ("sccache 0.4.0-pre.6", Some("0.4.0-pre.6")),
            ("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143", Some("0.9.143")),
            ("Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu", Some("14.0.6")),
            ("libprotoc 3.21", Some("3.21.0")),
            ("v2.40.4", Some("2.40.4")),
            ("jq-1.6", Some("1.6.0")),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", Some("7.0.15")),
            ("zsh 5.9 (x86_64-debian-linux-gnu)", Some("5.9.0")),
            ("fish, version 3.6.0", Some("3.6.0")),
            ("strace -- version 6.1", Some("6.1.0")),
            ("Python 3.11.2", Some("3.11.2")),
            ("usage: ld [options]", None),
            ("tool of 2024", None),
            ("", None),
        ];
        for (said, version) in table {
            assert_eq!(version_in(said).map(|version| version.to_string()).as_deref(), version, "{said}");
        }
    }

    #[test]
    fn a_requirement_is_met_or_named() {
        // required, said, whether it does
        let table = [
            (Some(">=0.4"), Some("0.4.0-pre.6"), true),
            (Some(">=1.0"), Some("0.9.9"), false),
            (Some("=0.9.143"), Some("0.9.143"), true),
            (Some("=0.9.143"), Some("0.9.151"), false),
            (Some(">=1"), None, false),
            (None, None, true),
        ];
        for (required, said, does) in table {
            let said = said.map(|said| Version::parse(said).unwrap());
            let requirement = required.map(|required| VersionReq::parse(required).unwrap());
            assert_eq!(
                objection(requirement.as_ref(), said.as_ref()).is_none(),
                does,
                "{required:?} {said:?}"
            );
        }
    }
}
