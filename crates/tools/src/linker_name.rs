//! Who linked an executable: linkers leave their name and version in what they write.
//!
//! - ELF: the strings of the section `.comment`, among them those of compilers. mold writes `mold 1.10.1 (…)`, LLD and
//!   wild write `Linker: LLD 14.0.6`; GNU ld and gold write nothing (seen in executables that each of them linked).
//! - Mach-O: the load command `LC_BUILD_VERSION` lists tools by number (`mach-o/loader.h`): 3 is ld, 4 is LLD.
//!   LLD 14 says 3 with its own version, LLD 22 says 4 (seen).
//! - PE: the optional header has a version of the linker, and no name: LLD writes that of Microsoft's linker.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use elf::ElfStream;
use elf::endian::AnyEndian;

/// The headers of an executable lie in so many bytes at its front.
const HEADERS: u64 = 64 << 10;

/// The strings that those who made the executable at `path` have left in it, compilers among them. Fails for what is no
/// executable of a known format.
pub(crate) fn makers(path: &Utf8Path) -> Result<Vec<String>> {
    let failed = || format!("failed to read {path}");
    let mut front = Vec::new();
    File::open(path).and_then(|file| file.take(HEADERS).read_to_end(&mut front)).with_context(failed)?;
    match front.get(..4) {
        Some(b"\x7fELF") => comments(path),
        // 64 bits, little-endian: what every Mac has that rustc runs on.
        Some(b"\xcf\xfa\xed\xfe") => Ok(mach_o_tools(&front).unwrap_or_default()),
        Some([b'M', b'Z', ..]) => {
            let version = pe_linker(&front).with_context(|| format!("{path} is no whole executable"))?;
            Ok(vec![version])
        }
        _ => bail!("{path} is no executable of a known format"),
    }
}

/// The strings of an ELF file's section `.comment`.
fn comments(path: &Utf8Path) -> Result<Vec<String>> {
    let failed = || format!("failed to read {path}");
    let file = File::open(path).with_context(failed)?;
    let mut elf = ElfStream::<AnyEndian, _>::open_stream(file).with_context(failed)?;
    let Some(header) = elf.section_header_by_name(".comment").with_context(failed)?.copied() else {
        return Ok(Vec::new());
    };
    let (bytes, compression) = elf.section_data(&header).with_context(failed)?;
    if compression.is_some() {
        bail!("{path} has a compressed section `.comment`");
    }
    let strings = bytes.split(|byte| *byte == 0).filter(|string| !string.is_empty());
    Ok(strings.map(|string| String::from_utf8_lossy(string).into_owned()).collect())
}

/// The tools that a Mach-O file's `LC_BUILD_VERSION` lists, with the versions that they have.
fn mach_o_tools(bytes: &[u8]) -> Option<Vec<String>> {
    const HEADER: usize = 32;
    const LC_BUILD_VERSION: u32 = 0x32;
    let commands = number(bytes, 16)?;
    let mut at = HEADER;
    for _ in 0..commands {
        let (command, size) = (number(bytes, at)?, number(bytes, at + 4)?);
        if command == LC_BUILD_VERSION {
            let tools = (0..number(bytes, at + 20)? as usize).map(|tool| at + 24 + tool * 8);
            return tools.map(|at| Some(mach_o_tool(number(bytes, at)?, number(bytes, at + 4)?))).collect();
        }
        at += (size as usize).max(8);
    }
    None
}

/// A version is `major.minor.patch` in 16, 8 and 8 bits.
fn mach_o_tool(tool: u32, version: u32) -> String {
    let name = match tool {
        1 => "clang version".to_owned(),
        2 => "swift".to_owned(),
        3 => "ld".to_owned(),
        4 => "LLD".to_owned(),
        other => format!("tool {other}"),
    };
    format!("{name} {}.{}.{}", version >> 16, (version >> 8) & 0xff, version & 0xff)
}

/// The version of the linker in a PE file's optional header.
fn pe_linker(bytes: &[u8]) -> Option<String> {
    let signature = number(bytes, 0x3c)? as usize;
    if bytes.get(signature..signature + 4)? != b"PE\0\0" {
        return None;
    }
    // 4 bytes of signature, 20 of the file's header, 2 of the optional header's magic number.
    let [major, minor] = bytes.get(signature + 26..signature + 28)? else { return None };
    Some(format!("linker {major}.{minor}"))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// The one of `makers` that is the linker calling itself `says`. With a `version`, it must be that one too.
pub(crate) fn named<'a>(makers: &'a [String], says: &str, version: Option<&str>) -> Option<&'a str> {
    let is_version = |word: &str, version: &str| word.trim_matches([',', '(', ')']) == version;
    let fits = |maker: &&String| {
        let mut words = maker.split_whitespace();
        words.any(|word| word == says)
            && version.is_none_or(|version| words.any(|word| is_version(word, version)))
    };
    makers.iter().find(fits).map(String::as_str)
}

/// The linker that `makers` name, in words.
pub(crate) fn makers_in_words(makers: &[String]) -> String {
    let compilers = ["rustc version", "GCC:", "clang version"];
    let linker = makers.iter().find(|maker| !compilers.iter().any(|compiler| maker.contains(compiler)));
    linker
        .map_or_else(|| "no linker's name (GNU ld leaves none)".to_owned(), |linker| short(linker).to_owned())
}

/// `Linker: LLD 22.1.2 (/checkout/src/llvm-project/llvm 1cb4e38…)` without what only its makers care for.
pub(crate) fn short(maker: &str) -> &str {
    let maker = maker.trim_start_matches("Linker: ");
    maker.split(" (").next().unwrap_or(maker).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_is_told_by_name_and_version() {
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
            assert_eq!(named(&makers(line), says, version).is_some(), is, "{line} {says} {version:?}");
        }
        assert!(makers("x").iter().all(|maker| named(std::slice::from_ref(maker), "LLD", None).is_none()));
    }

    /// What a linker made, without an SDK: the formats are told from the front of the file.
    #[cfg(target_os = "linux")]
    #[test]
    fn executables_of_other_systems_name_their_linker_too() {
        let dir = xtask_testkit::TempDir::new("other-systems");
        let version = |program: &str| {
            let output = std::process::Command::new(program).arg("--version").output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.split_whitespace().find(|word| word.contains('.')).unwrap().to_owned()
        };
        let run = |words: &str| {
            let mut words = words.split(' ');
            let mut command = std::process::Command::new(words.next().unwrap());
            let output = command.args(words).current_dir(dir.path()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        dir.write("probe.c", "int main(void) { return 0; }\n");
        run("clang -target x86_64-apple-macos11 -c probe.c -o mac.o");
        // The one program behaves as the linker whose name it is called by.
        run("lld -flavor darwin -arch x86_64 -platform_version macos 11.0 11.0 -e _main mac.o -o mac");
        let made = makers(&dir.path().join("mac")).unwrap();
        let known = ["ld", "LLD"].map(|name| vec![format!("{name} {}", version("ld.lld"))]);
        assert!(known.contains(&made), "{made:?}");
        run("clang -target x86_64-pc-windows-msvc -c probe.c -o windows.obj");
        run("lld-link /entry:main /subsystem:console /nodefaultlib windows.obj /out:windows.exe");
        assert_eq!(makers(&dir.path().join("windows.exe")).unwrap(), ["linker 14.0"]);
    }

    #[test]
    fn half_a_header_is_no_panic() {
        let mach_o = [&b"\xcf\xfa\xed\xfe"[..], &[0xff; 60]].concat();
        assert_eq!(mach_o_tools(&mach_o), None);
        let pe = [&b"MZ"[..], &[0xff; 64]].concat();
        assert_eq!(pe_linker(&pe), None);
        for length in 0..64 {
            let _ = (mach_o_tools(&mach_o[..length]), pe_linker(&pe[..length]));
        }
    }

    #[test]
    fn what_is_no_executable_is_an_error() {
        let dir = xtask_testkit::TempDir::new("linker-name");
        let path = dir.path().join("text");
        xtask_files::write_atomic(&path, "#!/bin/sh\n", xtask_files::Durability::Cache).unwrap();
        assert!(makers(&path).unwrap_err().to_string().contains("no executable"));
    }
}
