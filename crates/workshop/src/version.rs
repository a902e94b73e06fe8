//! `cargo xtask version`: which suite this is, where it came from, and what was changed in it.

use anyhow::Result;
use serde_json::json;
use xtask_adopt::{find_adopted, short};
use xtask_suite::Exit;
use xtask_suite::program::Context;
use xtask_workspace::Environment;

/// Prints it: the version, what the workspace has adopted, and in a clone with git the commit that is checked out.
pub(super) fn run(context: &Context, environment: &Environment) -> Result<Exit> {
    let (root, shell) = (context.workspace.root(), &context.shell);
    let version = env!("CARGO_PKG_VERSION");
    let revision = revision(environment);
    let adopted = find_adopted(root)?;
    let adopted = adopted.map(|(launcher, adopted)| (adopted.changed_here(root, launcher), adopted));
    if shell.json() {
        let adopted = adopted.map(|(changed, adopted)| {
            json!({ "version": adopted.version, "how": adopted.how, "changed": changed })
        });
        shell.document(&json!({ "version": version, "adopted": adopted, "revision": revision }))?;
    } else if let Some((changed, adopted)) = adopted {
        for path in changed {
            shell.result(&format!("changed here: {path}"));
        }
        shell.result(&format!("xtask-suite {}, {}", adopted.version, adopted.how.describe()));
    } else {
        let at = revision.map_or(String::new(), |revision| format!(", a clone at {}", short(&revision)));
        shell.result(&format!("xtask-suite {version}{at}"));
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
