//! Debug info beside the objects, of which compiling a unit again leaves more: those that its artifact does not name
//! (`DW_AT_GNU_dwo_name`) are needed by nobody.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::memmem;

/// So much of an artifact is looked at in one piece.
const PIECE: usize = 1 << 20;
/// Longer names than this are no file names.
const LONGEST: usize = 512;

/// The names of `.dwo` files that any of `artifacts` holds, without their folders. None where an artifact names none:
/// then it is not known which are needed. Fails where one cannot be read.
pub(crate) fn named_in<'a>(artifacts: impl IntoIterator<Item = &'a Path>) -> io::Result<HashSet<Vec<u8>>> {
    let mut names = HashSet::new();
    for artifact in artifacts {
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
    for end in memmem::find_iter(bytes, b".rcgu.dwo") {
        let end = end + b".rcgu.dwo".len();
        let start =
            bytes[..end].iter().rposition(|byte| matches!(byte, 0 | b'/' | b'\\')).map_or(0, |at| at + 1);
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
        std::io::Write::write_all(&mut File::create(&path).unwrap(), &bytes).unwrap();
        let names = named_in([path.as_std_path()]).unwrap();
        assert!(is_named(&names, OsStr::new("app-1.across.rcgu.dwo")));
        assert!(is_named(&names, OsStr::new("app-1.bare.rcgu.dwo")));
        assert!(!is_named(&names, OsStr::new(".debug_info.dwo")));
    }
}
