//! Runs git for its output, without what a hook's environment would make it look at, and without writing.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xshell::{Shell, cmd};

use crate::{Environment, on_path};

/// What git sets for its hooks. `GIT_DIR` alone would make the working directory the top of the work tree.
const OF_A_HOOK: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
];

/// Git in one folder.
#[derive(Debug)]
pub(super) struct Git {
    program: Utf8PathBuf,
    dir: Utf8PathBuf,
    environment: Environment,
}

impl Git {
    /// `None` when git is not on `PATH`.
    pub(super) fn new(dir: &Utf8Path, environment: &Environment) -> Option<Self> {
        let program = on_path("git", environment)?;
        let mut environment = environment.clone();
        for name in OF_A_HOOK {
            environment.remove(name);
        }
        // Else `git status` refreshes the index, and an editor's git waits for its lock.
        environment.set("GIT_OPTIONAL_LOCKS", "0");
        // A partial clone may fetch what it lacks, but nobody would see it ask for a password.
        environment.set("GIT_TERMINAL_PROMPT", "0");
        Some(Self { program, dir: dir.to_owned(), environment })
    }

    /// The output of `git ARGS`, and whether git ended well. Fails when it cannot be started.
    pub(super) fn output(&self, args: &[&str]) -> Result<(bool, Vec<u8>, String)> {
        self.output_for(args, "")
    }

    /// As [`Git::output`], with `input` on standard input.
    fn output_for(&self, args: &[&str], input: &str) -> Result<(bool, Vec<u8>, String)> {
        // A shell of its own for each call: xshell's is bound to one thread.
        let shell = Shell::new().context("failed to read the current folder")?;
        shell.change_dir(&self.dir);
        let program = &self.program;
        let command = cmd!(shell, "{program}").args(args).env_clear().envs(self.environment.iter_os());
        let output = command
            .stdin(input)
            .quiet()
            .ignore_status()
            .output()
            .with_context(|| format!("failed to start `git {}` in {}", args.join(" "), self.dir))?;
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok((output.status.success(), output.stdout, stderr))
    }

    /// The output of `git ARGS`. Fails when git does.
    pub(super) fn run(&self, args: &[&str]) -> Result<Vec<u8>> {
        self.run_for(args, "")
    }

    /// As [`Git::run`], with `input` on standard input.
    pub(super) fn run_for(&self, args: &[&str], input: &str) -> Result<Vec<u8>> {
        let (success, stdout, stderr) = self.output_for(args, input)?;
        if !success {
            let first_line = stderr.lines().next().unwrap_or("no message");
            bail!("`git {}` failed: {first_line}", args.join(" "));
        }
        Ok(stdout)
    }

    /// As [`Git::run`], as text without the line break at the end.
    pub(super) fn text(&self, args: &[&str]) -> Result<String> {
        let text = String::from_utf8_lossy(&self.run(args)?).into_owned();
        Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
    }
}
