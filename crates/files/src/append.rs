//! JSON lines: one record a line, written with one call, so that a kill costs at most the last line.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result};
use camino::Utf8Path;

/// Appends `line` (without its newline) to `path`, creating the file and its parents.
///
/// When an earlier writer was killed in mid-line, its torn line is ended first, so only that one is lost.
pub fn append_line(path: &Utf8Path, line: &str) -> Result<()> {
    debug_assert!(!line.contains('\n'), "a record is one line");
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("failed to create folder {parent}"))?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)
        .with_context(|| format!("failed to open {path}"))?;
    let mut bytes = Vec::with_capacity(line.len() + 2);
    let length = file.metadata().with_context(|| format!("failed to read {path}"))?.len();
    if length > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1)).with_context(|| format!("failed to read {path}"))?;
        file.read_exact(&mut last).with_context(|| format!("failed to read {path}"))?;
        if last != *b"\n" {
            bytes.push(b'\n');
        }
    }
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    file.write_all(&bytes).with_context(|| format!("failed to append to {path}"))
}

/// The lines of `path`, oldest first; none when there is no such file. Torn or foreign lines are the
/// caller's to skip: it knows the format.
pub fn read_lines(path: &Utf8Path) -> Result<Vec<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::temp_dir;

    #[test]
    fn a_torn_last_line_costs_only_itself() {
        let path = temp_dir("append").join("state/ledger.jsonl");
        append_line(&path, r#"{"a":1}"#).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"a":"#).unwrap();
        append_line(&path, r#"{"a":2}"#).unwrap();
        assert_eq!(read_lines(&path).unwrap(), [r#"{"a":1}"#, r#"{"a":"#, r#"{"a":2}"#]);
    }

    #[test]
    fn a_missing_file_has_no_lines() {
        assert!(read_lines(&temp_dir("append-none").join("none")).unwrap().is_empty());
    }

    #[test]
    fn writers_at_once_never_mix_their_lines() {
        let path = temp_dir("append-race").join("ledger");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..50 {
                        append_line(path, &format!("{writer}").repeat(300)).unwrap();
                    }
                });
            }
        });
        let lines = read_lines(&path).unwrap();
        let whole = lines.iter().filter(|line| !line.is_empty()).collect::<Vec<_>>();
        assert_eq!(whole.len(), 200);
        assert!(whole.iter().all(|line| line.len() == 300 && line.bytes().all(|b| b == line.as_bytes()[0])));
    }
}
