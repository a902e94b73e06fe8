//! Removal that follows no link.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;

/// Removes the folder `path` and all below it; fine when there is none.
///
/// Refuses a link to a folder. Links inside are removed, not followed: the standard library opens each
/// folder without following links on Unix, so one swapped in midway is not followed either.
pub fn remove_dir(path: &Utf8Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("failed to read {path}")),
        Ok(metadata) if !metadata.is_dir() => bail!("{path} is not a folder; it was left alone"),
        Ok(_) => {}
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place the ban points to")]
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove folder {path}"))
        }
        _ => Ok(()),
    }
}

/// Removes the file or link `path` itself; fine when there is none.
pub fn remove_file(path: &Utf8Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {path}"))
        }
        _ => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::tests_support::temp_dir;

    #[test]
    fn links_are_removed_and_what_they_point_at_is_kept() {
        let dir = temp_dir("remove");
        let kept = dir.join("kept");
        fs::create_dir(&kept).unwrap();
        fs::File::create(kept.join("file")).unwrap();
        let doomed = dir.join("doomed");
        fs::create_dir_all(doomed.join("deep")).unwrap();
        symlink(&kept, doomed.join("deep/link")).unwrap();

        remove_dir(&doomed).unwrap();
        remove_dir(&doomed).unwrap();
        assert!(!doomed.exists() && kept.join("file").exists());

        symlink(&kept, dir.join("direct")).unwrap();
        assert!(remove_dir(&dir.join("direct")).is_err());
        remove_file(&dir.join("direct")).unwrap();
        remove_file(&dir.join("direct")).unwrap();
        assert!(kept.join("file").exists());
    }
}
