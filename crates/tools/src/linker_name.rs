//! Which linker made an executable: linkers leave their name and version in the section `.comment` of an ELF file, among
//! the strings of compilers. mold writes `mold 1.10.1 (…)`, LLD and wild write `Linker: LLD 14.0.6`; GNU ld and gold write
//! nothing (seen in executables that each of them linked).

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use elf::ElfStream;
use elf::endian::AnyEndian;

/// The strings that linker and compilers have left in the executable at `path`. None for a file that is not ELF: on
/// systems with other formats linkers are not recognized.
pub(crate) fn makers(path: &Utf8Path) -> Result<Vec<String>> {
    let failed = || format!("failed to read {path}");
    let mut file = File::open(path).with_context(failed)?;
    let mut magic = [0; 4];
    if file.read(&mut magic).with_context(failed)? < magic.len() || magic != *b"\x7fELF" {
        return Ok(Vec::new());
    }
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

/// The string in `makers` of the linker that calls itself `says`, with `version` if that is given.
pub(crate) fn named<'a>(makers: &'a [String], says: &str, version: Option<&str>) -> Option<&'a str> {
    let is_version = |word: &str, version: &str| word.trim_matches([',', '(', ')']) == version;
    let fits = |maker: &&String| {
        let mut words = maker.split_whitespace();
        words.any(|word| word == says)
            && version.is_none_or(|version| words.any(|word| is_version(word, version)))
    };
    makers.iter().find(fits).map(String::as_str)
}

/// The linker that is named in `makers`, for messages.
pub(crate) fn makers_in_words(makers: &[String]) -> String {
    let compilers = ["rustc version", "GCC:", "clang version"];
    let linker = makers.iter().find(|maker| !compilers.iter().any(|compiler| maker.contains(compiler)));
    linker
        .map_or_else(|| "no linker's name (GNU ld leaves none)".to_owned(), |linker| short(linker).to_owned())
}

/// `LLD 22.1.2` of `Linker: LLD 22.1.2 (/checkout/src/llvm-project/llvm 1cb4e38…)`.
pub(crate) fn short(maker: &str) -> &str {
    let maker = maker.trim_start_matches("Linker: ");
    maker.split(" (").next().unwrap_or(maker).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(named(&makers(line), says, version).is_some(), is, "{line} {says} {version:?}");
        }
        assert!(makers("x").iter().all(|maker| named(std::slice::from_ref(maker), "LLD", None).is_none()));
    }

    #[test]
    fn only_elf_files_name_their_linker() {
        let dir = xtask_testkit::TempDir::new("linker-name");
        for text in ["#!/bin/sh\n", "MZ", "\u{0}"] {
            dir.write("program", text);
            assert_eq!(makers(&dir.path().join("program")).unwrap(), [""; 0], "{text:?}");
        }
        dir.write("program", "\u{7f}ELF and nothing else");
        assert!(makers(&dir.path().join("program")).is_err());
    }
}
