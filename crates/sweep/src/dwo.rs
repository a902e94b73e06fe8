//! What lies beside an artifact of the compiler's parts of it: debug info, of which compiling a unit again leaves more
//! (those that its artifact does not name as `DW_AT_GNU_dwo_name` are needed by nobody), and objects that a killed
//! compiler left.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use memchr::memmem;

/// So much of an artifact is looked at in one piece.
const PIECE: usize = 1 << 20;
/// Longer names than this are no file names.
const LONGEST: usize = 512;

/// The names of `.dwo` and `.o` files that any of `artifacts` holds, without their folders. Fails where one cannot be
/// read, or is no file.
pub(crate) fn named_in<'a>(artifacts: impl IntoIterator<Item = &'a Path>) -> io::Result<HashSet<Vec<u8>>> {
    let mut names = HashSet::new();
    for artifact in artifacts {
        // Opening a pipe would wait for its other end.
        if !fs::symlink_metadata(artifact)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut file = File::open(artifact)?;
        let mut buffer = Vec::with_capacity(PIECE + LONGEST);
        loop {
            let read = file.by_ref().take(PIECE as u64).read_to_end(&mut buffer)?;
            add_names(&buffer, &mut names);
            if read == 0 {
                break;
            }
            // A name may lie across two pieces.
            let keep = buffer.len().saturating_sub(LONGEST);
            buffer.drain(..keep);
        }
    }
    Ok(names)
}

fn add_names(bytes: &[u8], names: &mut HashSet<Vec<u8>>) {
    for at in memmem::find_iter(bytes, b".rcgu.") {
        let ending = at + b".rcgu.".len();
        let Some(known) = ["dwo", "o"].iter().find(|known| bytes[ending..].starts_with(known.as_bytes()))
        else {
            continue;
        };
        let end = ending + known.len();
        // In an archive a name follows the padding of the file before it, or another name and a line's end.
        let is_before = |byte: &u8| matches!(byte, 0 | b'/' | b'\\' | b'\n');
        let start = bytes[..at].iter().rposition(is_before).map_or(0, |before| before + 1);
        names.insert(bytes[start..end].to_vec());
    }
}

/// Whether `names` has this file's.
pub(crate) fn is_named(names: &HashSet<Vec<u8>>, name: &OsStr) -> bool {
    names.contains(name.as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_lie() {
        let dir = xtask_testkit::TempDir::new("dwo");
        let path = dir.path().join("artifact");
        let mut bytes = vec![0; PIECE - 20];
        bytes.extend(b"/t/debug/deps/app-1.across.rcgu.dwo\0");
        bytes.extend(b"app-1.bare.rcgu.dwo\0.debug_info.dwo\0");
        bytes.extend(b"!<arch>\n//  60 `\nx-1.member.rcgu.o/\nx-1.other.rcgu.o/\n");
        std::io::Write::write_all(&mut File::create(&path).unwrap(), &bytes).unwrap();
        let names = named_in([path.as_std_path()]).unwrap();
        assert!(is_named(&names, OsStr::new("app-1.across.rcgu.dwo")));
        assert!(is_named(&names, OsStr::new("app-1.bare.rcgu.dwo")));
        assert!(!is_named(&names, OsStr::new(".debug_info.dwo")));
        assert!(is_named(&names, OsStr::new("x-1.member.rcgu.o")));
        assert!(is_named(&names, OsStr::new("x-1.other.rcgu.o")));
        assert!(named_in([dir.path().as_std_path()]).is_err());
    }
}
