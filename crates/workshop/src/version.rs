//! `cargo xtask version`: which suite this is, where it came from, and what was changed in it.

use anyhow::Result;
use camino::Utf8PathBuf;
use serde::Serialize;
use xtask_workspace::Environment;

use xtask_adopt::{How, find_adopted, short};
use xtask_suite::Exit;
use xtask_suite::program::Context;

/// The answer.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the key that readers of the JSON look for")]
struct Version {
    /// The running program's.
    version: &'static str,
    /// What the workspace has adopted.
    adopted: Option<AdoptedVersion>,
    /// The commit that is checked out, in a clone with git.
    revision: Option<String>,
}

#[derive(Serialize)]
struct AdoptedVersion {
    version: String,
    how: How,
    /// The suite's own files that differ from what was adopted, relative to the root.
    changed: Vec<Utf8PathBuf>,
}

/// Prints it.
pub(super) fn run(context: &Context, environment: &Environment) -> Result<Exit> {
    let root = context.workspace.root();
    let adopted = find_adopted(root)?.map(|(launcher, adopted)| AdoptedVersion {
        changed: adopted.changed_here(root, launcher),
        version: adopted.version,
        how: adopted.how,
    });
    let version = Version { version: env!("CARGO_PKG_VERSION"), adopted, revision: revision(environment) };
    if context.shell.json() {
        context.shell.document(&version)?;
        return Ok(Exit::Done);
    }
    if let Some(AdoptedVersion { version, how, changed }) = &version.adopted {
        for path in changed {
            context.shell.result(&format!("changed here: {path}"));
        }
        context.shell.result(&format!("xtask-suite {version}, {}", how.describe()));
    } else {
        let at =
            version.revision.as_deref().map_or(String::new(), |rev| format!(", a clone at {}", short(rev)));
        context.shell.result(&format!("xtask-suite {}{at}", version.version));
    }
    Ok(Exit::Done)
}

/// The commit that is checked out in the clone this program was built in.
#[cfg(feature = "put")]
fn revision(environment: &Environment) -> Option<String> {
    xtask_adopt::Source::find(environment).ok()?.revision
}

/// None: a copy is no clone.
#[cfg(not(feature = "put"))]
fn revision(_: &Environment) -> Option<String> {
    None
}
