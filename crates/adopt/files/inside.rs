//! `cargo xtask` in the folders of the suite and of the tasks: it is that of the workspace above.
//!
//! Cargo looks for the alias's package in the workspace of the current folder, and here that is the suite's own. So
//! a package of that name is in it too, and goes on to the right one.

use std::process::{Command, ExitCode};
use std::{env, path::Path};

fn main() -> ExitCode {
    // `cargo run` says it: <workspace>/<launcher>/suite/inside
    let here = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let Some(workspace) = Path::new(&here).ancestors().nth(3) else { return ExitCode::from(3) };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut xtask = Command::new(&cargo);
    xtask.arg("xtask").args(env::args_os().skip(1)).current_dir(workspace);
    match xtask.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: failed to start {} xtask in {}: {error}", cargo.display(), workspace.display());
            ExitCode::from(3)
        }
    }
}
