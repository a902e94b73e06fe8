//! Cargo's own locks on the profiles' folders.
//!
//! Up to 1.95 cargo holds `.cargo-lock` exclusively while it builds; since 1.96 it holds that one shared and
//! `.cargo-build-lock` and `.cargo-artifact-lock` exclusively. Whoever has all of them is alone. Invariant: a lock
//! file is never removed, or cargo would make another one and walk in.

use std::collections::BTreeMap;

use xtask_files::{FileLock, try_lock};
use xtask_units::inventory::ProfileDir;

/// The lock files. The first is made where it is missing: cargo of every version heeds it.
const FILES: [&str; 3] = [".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock"];

/// What is held, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Vec<FileLock>,
    /// Why a profile's folders could not be locked, by the profile's label.
    pub(crate) refused: BTreeMap<String, String>,
}

impl Locks {
    /// Locks every profile that nobody else has; it waits for none.
    pub(crate) fn take(profiles: &[ProfileDir]) -> Self {
        let mut locks = Self::default();
        for profile in profiles {
            for (index, name) in FILES.iter().enumerate() {
                let path = profile.path.join(name);
                if index > 0 && !path.is_file() {
                    continue;
                }
                match try_lock(&path) {
                    Ok(Some(lock)) => locks.held.push(lock),
                    Ok(None) => locks.refuse(profile, "a cargo is building in it"),
                    Err(error) => locks.refuse(profile, &format!("{error:#}")),
                }
            }
        }
        locks
    }

    fn refuse(&mut self, profile: &ProfileDir, why: &str) {
        self.refused.entry(profile.label()).or_insert_with(|| why.to_owned());
    }
}
