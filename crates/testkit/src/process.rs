//! Real programs in an environment that does not depend on who runs the tests.

use std::process::{Command, Output};

use camino::Utf8Path;

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, as text.
    pub stdout: String,
    /// Standard error, as text.
    pub stderr: String,
}

impl Outcome {
    /// Runs `command` to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } =
            command.output().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// The same outcome, or a panic that shows all of it when the exit code is another one.
    ///
    /// # Panics
    /// When the exit code is not `expected`.
    pub fn expect_code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }
}

/// Leaves `command` only what a fresh login would have: where programs and homes are.
pub fn scrub(command: &mut Command) -> &mut Command {
    command.env_clear();
    let kept = ["PATH", "HOME", "USER", "CARGO_HOME", "RUSTUP_HOME", "TMPDIR", "SYSTEMROOT", "USERPROFILE"];
    for name in kept {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // Nothing of a test is remembered among the user's own passes.
    command.env("XTASK_STORE", std::env::temp_dir().join("xtask-suite-test-store"));
    // A third of the CPU time of compiling fixtures would go into what only a debugger reads.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    // No dependency of a fixture comes from anywhere but its own folder.
    command.env("CARGO_NET_OFFLINE", "true")
}

/// `cargo` in `dir`, scrubbed.
pub fn cargo(dir: &Utf8Path) -> Command {
    let mut command = Command::new("cargo");
    scrub(&mut command).current_dir(dir);
    command
}
