//! A folder in a place that others can write to (`/dev/shm`, `/tmp`) which nobody else can read or fill.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;

/// Makes `path` a folder of mode 0700 that belongs to this user, or fails.
///
/// An existing folder is taken only when it is a real folder (no link), ours, and closed to others: in a
/// world-writable place anybody could have made it first.
pub fn private_dir(path: &Utf8Path) -> Result<()> {
    match create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("failed to create folder {path}")),
    }
    let metadata = fs::symlink_metadata(path).with_context(|| format!("failed to read {path}"))?;
    if !metadata.is_dir() {
        bail!("{path} is not a folder (a link or file of that name was put there); remove it");
    }
    check_owner(path, &metadata)
}

#[cfg(unix)]
fn create(path: &Utf8Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(unix)]
fn check_owner(path: &Utf8Path, metadata: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let ours = rustix::process::geteuid().as_raw();
    if metadata.uid() != ours {
        bail!("{path} belongs to user {}, not to {ours}", metadata.uid());
    }
    if metadata.mode() & 0o077 != 0 {
        bail!("{path} is open to others (mode {:o}); run chmod 700 on it", metadata.mode() & 0o777);
    }
    Ok(())
}

#[cfg(not(unix))]
fn create(path: &Utf8Path) -> std::io::Result<()> {
    // Elsewhere the caller only passes folders below the user's own profile.
    fs::create_dir(path)
}

#[cfg(not(unix))]
fn check_owner(_path: &Utf8Path, _metadata: &fs::Metadata) -> Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::tests_support::temp_dir;

    #[test]
    fn takes_only_a_real_folder_closed_to_others() {
        let dir = temp_dir("private");
        let fresh = dir.join("fresh");
        private_dir(&fresh).unwrap();
        private_dir(&fresh).unwrap();
        assert_eq!(fs::metadata(&fresh).unwrap().permissions().mode() & 0o777, 0o700);

        let open = dir.join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(format!("{:#}", private_dir(&open).unwrap_err()).contains("open to others"));

        let link = dir.join("link");
        symlink(&fresh, &link).unwrap();
        assert!(format!("{:#}", private_dir(&link).unwrap_err()).contains("not a folder"));
    }
}
