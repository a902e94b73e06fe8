//! Which linker made an executable: linkers leave their name and version in the section `.comment` of an ELF file, among
//! the strings of compilers. mold writes `mold 1.10.1 (…)`, LLD and wild write `Linker: LLD 14.0.6`; GNU ld and gold write
//! nothing (seen in executables that each of them linked).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use anyhow::{Context, Result};
use camino::Utf8Path;

/// No section that is read here is larger.
const MOST_BYTES: u64 = 16 << 20;

/// The strings that linker and compilers have left in the executable at `path`. None for a file that is not ELF: on
/// systems with other formats linkers are not recognized.
pub(crate) fn makers(path: &Utf8Path) -> Result<Vec<String>> {
    let comment = File::open(path).and_then(|mut file| comment(&mut file));
    let comment = comment.with_context(|| format!("failed to read the linker's name in {path}"))?;
    let strings = comment.split(|byte| *byte == 0).filter(|string| !string.is_empty());
    Ok(strings.map(|string| String::from_utf8_lossy(string).into_owned()).collect())
}

/// The section `.comment` of an ELF file, of 32 or 64 bits and either byte order (`elf.h`); empty without one.
fn comment(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let mut magic = [0; 6];
    if file.read(&mut magic)? < magic.len() || !magic.starts_with(b"\x7fELF") {
        return Ok(Vec::new());
    }
    let (wide, big_endian) = (magic[4] == 2, magic[5] == 2);
    let mut number = |at: u64, bytes: usize| {
        let mut read = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut read[..bytes])?;
        let digits = &mut read[..bytes];
        if big_endian {
            digits.reverse();
        }
        io::Result::Ok(u64::from_le_bytes(read))
    };
    let word = if wide { 8 } else { 4 };
    let (table, counts) = if wide { (0x28, 0x3a) } else { (0x20, 0x2e) };
    let table = number(table, word)?;
    let (size, count, names) = (number(counts, 2)?, number(counts + 2, 2)?, number(counts + 4, 2)?);
    let (offset, length) = if wide { (0x18, 0x20) } else { (0x10, 0x14) };
    let mut section = |index: u64| {
        let header = table.saturating_add(index * size);
        let place =
            (number(header.saturating_add(offset), word)?, number(header.saturating_add(length), word)?);
        io::Result::Ok((number(header, 4)?, place))
    };
    let sections = (0..count).map(&mut section).collect::<io::Result<Vec<_>>>()?;
    let mut content = |(offset, length): (u64, u64)| {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(offset))?;
        file.take(length.min(MOST_BYTES)).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let Some((_, names)) = sections.get(usize::try_from(names).unwrap_or(usize::MAX)) else {
        return Ok(Vec::new());
    };
    let names = content(*names)?;
    let is_comment = |name: u64| {
        let name = usize::try_from(name).ok().and_then(|name| names.get(name..));
        name.is_some_and(|name| name.starts_with(b".comment\0"))
    };
    let found = sections.iter().find(|(name, _)| is_comment(*name));
    found.map_or(Ok(Vec::new()), |(_, place)| content(*place))
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

    /// A file of three sections: none, the names, and `.comment`, at the end of which the table of sections is.
    fn elf(wide: bool, big_endian: bool, text: &str) -> Vec<u8> {
        let number = |value: u64, bytes: usize| {
            let mut digits = value.to_le_bytes()[..bytes].to_vec();
            if big_endian {
                digits.reverse();
            }
            digits
        };
        let (word, header) = if wide { (8, 64) } else { (4, 52) };
        let names = b"\0.shstrtab\0.comment\0";
        let table = header + names.len() + text.len();
        let mut file = vec![0; header];
        file[..6].copy_from_slice(&[
            0x7f,
            b'E',
            b'L',
            b'F',
            if wide { 2 } else { 1 },
            if big_endian { 2 } else { 1 },
        ]);
        let mut put = |at: usize, digits: Vec<u8>| file[at..at + digits.len()].copy_from_slice(&digits);
        let (at, counts, size) = if wide { (0x28, 0x3a, 64) } else { (0x20, 0x2e, 40) };
        put(at, number(table as u64, word));
        for (index, value) in [size, 3, 1].into_iter().enumerate() {
            put(counts + index * 2, number(value, 2));
        }
        file.extend_from_slice(names);
        file.extend_from_slice(text.as_bytes());
        let section = |name: u64, offset: usize, length: usize| {
            // Name and type, flags and address, then what is read.
            let mut section = [number(name, 4), number(1, 4), vec![0; word * 2]].concat();
            section.extend([number(offset as u64, word), number(length as u64, word)].concat());
            section.resize(usize::try_from(size).unwrap(), 0);
            section
        };
        file.extend(section(0, 0, 0));
        file.extend(section(1, header, names.len()));
        file.extend(section(11, header + names.len(), text.len()));
        file
    }

    #[test]
    fn every_class_and_byte_order_is_read() {
        for (wide, big_endian) in [(true, false), (true, true), (false, false), (false, true)] {
            let file = elf(wide, big_endian, "GCC: 12\0Linker: LLD 22\0");
            let comment = comment(&mut io::Cursor::new(&file)).unwrap();
            assert_eq!(
                String::from_utf8(comment).unwrap(),
                "GCC: 12\0Linker: LLD 22\0",
                "{wide} {big_endian}"
            );
            for length in 0..file.len() {
                // Half a file is an error or no name, and no panic.
                let _ = super::comment(&mut io::Cursor::new(&file[..length]));
            }
        }
        let this = std::env::current_exe().unwrap();
        let found = makers(Utf8Path::from_path(&this).unwrap()).unwrap();
        assert_eq!(
            found.iter().any(|maker| maker.starts_with("rustc version")),
            cfg!(target_os = "linux"),
            "{found:?}"
        );
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
