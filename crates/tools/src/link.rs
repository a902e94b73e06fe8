//! Linkers: how rustc is told to use one, which one made an executable, and the proof that one works.
//!
//! Linkers leave their name and version in the section `.comment` of an ELF file, among the strings of compilers: mold
//! writes `mold 1.10.1 (…)`, LLD and wild write `Linker: LLD 14.0.6`, GNU ld and gold write nothing (seen in executables).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use xtask_workspace::config::{Effect, Proof, Tool};
use xtask_workspace::{Call, Environment, on_path, shell_quote};

use crate::catalog::filled;
use crate::machine::{Found, Machine, Scratch};
use crate::process::{last_lines, output, successful, uninterrupted};
use crate::prove::{Proven, token};

/// Compiling and linking a program of one line; 0.3 s on a quiet machine.
const LINKS: Duration = Duration::from_secs(120);
const RUNS: Duration = Duration::from_secs(20);
/// The names by which C compilers look for linkers.
pub(crate) const LINKERS: [&str; 5] = ["ld", "ld.lld", "ld.mold", "ld.wild", "ld.gold"];

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSettings {
    /// The linker driver; `None` means rustc's own choice.
    pub linker: Option<String>,
    pub rustflags: Vec<String>,
}

impl LinkSettings {
    /// The settings of one entry of `link-with` for the tool at `path`; `None` if its driver is not found.
    fn of(text: &str, path: &Utf8Path, rustlib: &Utf8Path, environment: &Environment) -> Option<Self> {
        let mut words = text.split_whitespace().map(|word| filled(word, path, rustlib));
        let linker = match words.next()?.as_str() {
            "cc" => None,
            // The full path: what was proven is what is used, whatever PATH an editor has.
            driver if driver.contains('/') => Some(driver.to_owned()),
            driver => Some(on_path(driver, environment)?.into_string()),
        };
        let flag = |word: String| if word.starts_with("-C") { word } else { format!("-Clink-arg={word}") };
        Some(Self { linker, rustflags: words.map(flag).collect() })
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn rustc_args(&self) -> Vec<String> {
        let linker = self.linker.iter().map(|linker| format!("-Clinker={linker}"));
        linker.chain(self.rustflags.iter().cloned()).collect()
    }
}

impl std::fmt::Display for LinkSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.rustc_args().iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" "))
    }
}

/// The strings that the linker and compilers have left in the executable at `path`. None if it is not an ELF file of 64 bits
/// in little-endian order: on other systems linkers are not recognized.
pub(crate) fn makers(path: &Utf8Path) -> Result<Vec<String>> {
    let comment = File::open(path).and_then(|mut file| comment(&mut file));
    let comment = comment.with_context(|| format!("failed to read the linker's name in {path}"))?;
    let strings = comment.split(|byte| *byte == 0).filter(|string| !string.is_empty());
    Ok(strings.map(|string| String::from_utf8_lossy(string).into_owned()).collect())
}

/// The section `.comment` (`elf.h`); empty without one.
fn comment(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    const SECTION: usize = 64;
    const MOST_BYTES: u64 = 16 << 20;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let mut read = |offset: u64, length: u64| {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(offset))?;
        file.take(length.min(MOST_BYTES)).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let header = read(0, 64)?;
    if header.len() < 64 || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(Vec::new());
    }
    let table = read(number(&header[0x28..0x30]), number(&header[0x3c..0x3e]) * SECTION as u64)?;
    let place = |section: &[u8]| (number(&section[0x18..0x20]), number(&section[0x20..0x28]));
    let names = usize::try_from(number(&header[0x3e..0x40])).unwrap_or(usize::MAX);
    let Some((offset, length)) = table.chunks_exact(SECTION).nth(names).map(place) else {
        return Ok(Vec::new());
    };
    let names = read(offset, length)?;
    let is_comment = |section: &&[u8]| {
        let name = usize::try_from(number(&section[..4])).ok().and_then(|name| names.get(name..));
        name.is_some_and(|name| name.starts_with(b".comment\0"))
    };
    let found = table.chunks_exact(SECTION).find(is_comment).map(place);
    found.map_or(Ok(Vec::new()), |(offset, length)| read(offset, length))
}

/// Whether `makers` name the linker that calls itself `says`, with `version` if that is given.
pub(crate) fn is_named(makers: &[String], says: &str, version: Option<&str>) -> bool {
    let is_version = |word: &str, version: &str| word.trim_matches([',', '(', ')']) == version;
    makers.iter().any(|maker| {
        let mut words = maker.split_whitespace();
        words.any(|word| word == says)
            && version.is_none_or(|version| words.any(|word| is_version(word, version)))
    })
}

/// The linker that is named in `makers`, for messages: `LLD 22.1.2` of `Linker: LLD 22.1.2 (/checkout/src/llvm…)`.
pub(crate) fn makers_in_words(makers: &[String]) -> &str {
    let compilers = ["rustc version", "GCC:", "clang version"];
    let linker = makers.iter().find(|maker| !compilers.iter().any(|compiler| maker.contains(compiler)));
    linker.map_or("a linker that leaves no name (such as GNU ld)", |linker| {
        let linker = linker.trim_start_matches("Linker: ");
        linker.split(" (").next().unwrap_or(linker).trim()
    })
}

/// A linker is proven by what it links: the executable names it, and runs.
pub(crate) fn prove(tool: &Tool, found: &Found, machine: &Machine) -> Result<Proven> {
    let mut failures = Vec::new();
    for way in &tool.link_with {
        let Some(settings) = LinkSettings::of(way, &found.path, &machine.rustlib, &machine.environment)
        else {
            failures.push(format!("`{way}`: {} is not on PATH", way.split(' ').next().unwrap_or(way)));
            continue;
        };
        match uninterrupted(link(tool, found, &settings, machine))? {
            Ok(evidence) => return Ok(Proven { evidence, link: Some(settings) }),
            Err(error) => failures.push(format!("`{way}`: {error:#}")),
        }
    }
    bail!("{}", failures.join("; "))
}

fn link(tool: &Tool, found: &Found, settings: &LinkSettings, machine: &Machine) -> Result<String> {
    let (scratch, token) = (machine.scratch(&tool.name)?, token());
    let source = scratch.write("probe.rs", &source(&token))?;
    let executable = scratch.path().join(format!("probe{}", std::env::consts::EXE_SUFFIX));
    let mut call =
        Call::new(&machine.root, "rustc", ["--edition=2021", source.as_str(), "-o", executable.as_str()]);
    call.args.extend(settings.rustc_args());
    successful(&call, &machine.environment, LINKS)?;
    let makers = runs(&executable, &token, machine)?;
    if tool.proof == Proof::Effect(Effect::Driver) {
        return Ok("what it links runs".to_owned());
    }
    let words = makers_in_words(&makers);
    if !is_named(&makers, &tool.says, found.version.as_deref()) {
        bail!("it was not used: {words} linked it");
    }
    Ok(format!("linked by {words}"))
}

/// Runs what was linked; returns its [`makers`].
fn runs(executable: &Utf8Path, token: &str, machine: &Machine) -> Result<Vec<String>> {
    if !executable.is_file() {
        bail!("it succeeded without linking anything");
    }
    let run = Call::new(&machine.root, executable.as_str(), [""; 0]);
    let said = successful(&run, &machine.environment, RUNS).context("what it linked does not run")?;
    if said.stdout.trim() != token {
        bail!("what it linked prints `{}` instead of `{token}`", said.stdout.trim());
    }
    makers(executable)
}

fn source(token: &str) -> String {
    format!("fn main() {{\n    println!(\"{token}\");\n}}\n")
}

/// A package with one source file, as a workspace of its own. Returns its manifest.
pub(crate) fn package(scratch: &Scratch, file: &str, source: &str) -> Result<camino::Utf8PathBuf> {
    scratch.write(file, source)?;
    scratch.write(
        "Cargo.toml",
        "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n",
    )
}

/// What cargo does in the workspace with all settings in force.
#[derive(Debug)]
pub(crate) struct InForce {
    /// The words of the one call of the compiler, the wrapper first if there is one.
    pub(crate) words: Vec<String>,
    pub(crate) makers: Vec<String>,
}

impl InForce {
    /// The flags that the user's settings add: they come after all of cargo's own words.
    pub(crate) fn flags(&self) -> &[String] {
        let last = self.words.iter().rposition(|word| word.starts_with("dependency="));
        last.and_then(|last| self.words.get(last + 1..)).unwrap_or_default()
    }
}

/// Builds a package of one program by plain `cargo build -v` in the workspace's root, so with the settings that a build
/// of the workspace has, and runs it.
///
/// Without wrappers no daemon is started, and the linker is what is asked about.
pub(crate) fn link_in_force(machine: &Machine, wrapped: bool) -> Result<InForce> {
    let (scratch, token) = (machine.scratch("in-force")?, token());
    let manifest = package(&scratch, "src/main.rs", &source(&token))?;
    let target = scratch.path().join("target");
    // A target that is set in the configuration is built for, but its program may not run here.
    let args =
        ["build", "--verbose", "--offline", "--manifest-path", manifest.as_str(), "--target", &machine.host];
    let mut call = Call::new(&machine.root, "cargo", args)
        .with_env("CARGO_TARGET_DIR", target.as_str())
        .with_env("CARGO_BUILD_BUILD_DIR", target.as_str())
        .with_env("CARGO_TERM_COLOR", "never")
        // Stripping removes the linker's name.
        .with_env("CARGO_PROFILE_DEV_STRIP", "none");
    if !wrapped {
        call = call.with_env("RUSTC_WRAPPER", "").with_env("RUSTC_WORKSPACE_WRAPPER", "");
    }
    let said = output(&call, &machine.environment, LINKS)?;
    if said.code != Some(0) {
        let why = linker_said(&said.stderr).unwrap_or_else(|| last_lines(&said.stderr, &said.stdout));
        bail!("a program of one line does not link here: {why}");
    }
    let running =
        said.stderr.lines().find_map(|line| line.trim().strip_prefix("Running `")?.strip_suffix('`'));
    let words = running.and_then(shlex::split);
    let words = words.with_context(|| format!("`{call}` does not say what it runs:\n{}", said.stderr))?;
    let name = format!("probe{}", std::env::consts::EXE_SUFFIX);
    let executable = target.join(&machine.host).join("debug").join(name);
    Ok(InForce { words, makers: runs(&executable, &token, machine)? })
}

/// What rustc says of a link that failed, on one line: "error: linking with `cc` failed: …", and the last of its notes, which
/// is what the linker said.
fn linker_said(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().skip_while(|line| !line.starts_with("error: link"));
    let error = lines.next()?.trim_start_matches("error: ");
    // Of several, the first note is the call, and what follows a note up to an empty line belongs to it.
    let mut note = Vec::new();
    for line in lines.take_while(|line| !line.starts_with("error: ")) {
        match line.trim_start().strip_prefix("= note: ") {
            Some(first) if first.starts_with("some arguments are omitted") => {}
            Some(first) => note = vec![first.trim()],
            None if !note.is_empty() => note.push(line.trim()),
            None => {}
        }
    }
    let note = note.into_iter().filter(|line| !line.is_empty()).take(3).collect::<Vec<_>>().join("; ");
    Some(if note.is_empty() { error.to_owned() } else { format!("{error}: {note}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_linker_said_is_found_among_rustcs_words() {
        let missing = "   Compiling probe v0.0.0\nerror: linker `clang-99` not found\n  |\n  = note: No such file or directory (os error 2)\n\n\
                       error: could not compile `probe` (bin \"probe\") due to 1 previous error\n";
        assert_eq!(
            linker_said(missing).unwrap(),
            "linker `clang-99` not found: No such file or directory (os error 2)"
        );
        let failed = "error: linking with `cc` failed: exit status: 1\n  |\n  = note:  \"cc\" \"-m64\"\n  = note: some arguments are omitted. use \
                      `--verbose`\n  = note: cc: error: unrecognized command-line option '-fuse-ld=moldx'\n          \n\nerror: could not compile\n";
        assert_eq!(
            linker_said(failed).unwrap(),
            "linking with `cc` failed: exit status: 1: cc: error: unrecognized command-line option '-fuse-ld=moldx'"
        );
        assert_eq!(linker_said("error[E0463]: can't find crate"), None);
    }

    #[test]
    fn a_linker_is_recognized_by_name_and_version() {
        let makers = |line: &str| {
            ["rustc version 1.95.0 (59807616e 2026-04-14)", line, "GCC: (Debian 12.2.0-14) 12.2.0"]
                .map(str::to_owned)
                .to_vec()
        };
        let table = [
            ("mold 1.10.1 (compatible with GNU ld)", "mold", Some("1.10.1"), true),
            ("mold 1.10.1 (compatible with GNU ld)", "mold", Some("2.4.0"), false),
            ("Linker: Debian LLD 14.0.6", "LLD", Some("14.0.6"), true),
            ("Linker: LLD 22.1.2 (/checkout/src/llvm-project/llvm 1cb4e38)", "LLD", Some("14.0.6"), false),
            ("Linker: LLD 22.1.2 (/checkout/src/llvm-project/llvm 1cb4e38)", "LLD", Some("22.1.2"), true),
            ("Linker: Wild 0.10.0 non-git-build (compatible with GNU linkers)", "Wild", Some("0.10.0"), true),
            ("Linker: LLD 22.1.2", "mold", None, false),
            ("", "mold", None, false),
        ];
        for (line, says, version, is) in table {
            assert_eq!(is_named(&makers(line), says, version), is, "{line} {says} {version:?}");
        }
        assert!(!is_named(&makers("x"), "LLD", None));
    }

    /// A file of three sections: none, the names, and `.comment`; the table of sections is at its end.
    fn elf(text: &str) -> Vec<u8> {
        let names = b"\0.shstrtab\0.comment\0";
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[0x28..0x30].copy_from_slice(&((64 + names.len() + text.len()) as u64).to_le_bytes());
        file[0x3a..0x40].copy_from_slice(&[64, 0, 3, 0, 1, 0]);
        file.extend_from_slice(names);
        file.extend_from_slice(text.as_bytes());
        for (name, offset, length) in
            [(0_u32, 0, 0), (1, 64, names.len()), (11, 64 + names.len(), text.len())]
        {
            file.extend(name.to_le_bytes());
            file.extend([0; 20]);
            file.extend([offset as u64, length as u64].map(u64::to_le_bytes).concat());
            file.extend([0; 24]);
        }
        file
    }

    #[test]
    fn the_section_is_read_and_half_a_file_is_no_panic() {
        let text = "GCC: 12\0Linker: LLD 22\0";
        let file = elf(text);
        assert_eq!(comment(&mut io::Cursor::new(&file)).unwrap(), text.as_bytes());
        for length in 0..file.len() {
            let _ = comment(&mut io::Cursor::new(&file[..length]));
        }
        let this = std::env::current_exe().unwrap();
        let found = makers(Utf8Path::from_path(&this).unwrap()).unwrap();
        let is_there = found.iter().any(|maker| maker.starts_with("rustc version"));
        assert_eq!(is_there, cfg!(target_os = "linux"), "{found:?}");
    }

    #[test]
    fn only_elf_files_name_their_linker() {
        let dir = xtask_testkit::TempDir::new("linker-name");
        for text in ["#!/bin/sh\n", "MZ", "\u{0}", "\u{7f}ELF and nothing else"] {
            dir.write("program", text);
            assert_eq!(makers(&dir.path().join("program")).unwrap(), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn ways_to_link_become_arguments() {
        let environment = Environment::current();
        let of = |text: &str| LinkSettings::of(text, "/opt/wild".into(), "/rust/lib".into(), &environment);
        // an entry, the driver, and the further flags
        let table: [(&str, Option<&str>, &[&str]); 4] = [
            ("cc", None, &[]),
            ("cc -fuse-ld=mold", None, &["-Clink-arg=-fuse-ld=mold"]),
            ("/bin/sh --ld-path={path}", Some("/bin/sh"), &["-Clink-arg=--ld-path=/opt/wild"]),
            (
                "cc -Clinker-features=-lld -B{rustlib}/bin",
                None,
                &["-Clinker-features=-lld", "-Clink-arg=-B/rust/lib/bin"],
            ),
        ];
        for (text, linker, rustflags) in table {
            let settings = of(text).unwrap();
            assert_eq!(settings.linker.as_deref(), linker, "{text}");
            assert_eq!(settings.rustflags, rustflags, "{text}");
        }
        assert_eq!(of("no-such-driver-anywhere -fuse-ld=x"), None);
        assert!(of("cc").unwrap().is_default());
    }
}
