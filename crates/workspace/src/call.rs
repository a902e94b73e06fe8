//! Calls of programs as values: planned, printed, and then run.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::{CargoCommand, Environment};

/// A complete call of a program: the line to paste into a shell, and what is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// A name on `PATH`, or a path.
    pub program: String,
    pub args: Vec<String>,
    /// Variables set for this call on top of the user's environment.
    pub env: BTreeMap<String, String>,
    pub dir: Utf8PathBuf,
}

impl Call {
    /// `PROGRAM ARGS` in `dir`.
    pub fn new<S: Into<String>>(
        dir: impl Into<Utf8PathBuf>,
        program: impl Into<String>,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            dir: dir.into(),
        }
    }

    /// The same call with one more variable.
    pub fn with_env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// `environment` with this call's own variables on top.
    pub fn environment(&self, environment: &Environment) -> Environment {
        let mut environment = environment.clone();
        for (name, value) in &self.env {
            environment.set(name, value);
        }
        environment
    }

    /// The process to start, with exactly `environment` and this call's variables.
    pub fn to_command(&self, environment: &Environment) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.dir).env_clear();
        command.envs(self.environment(environment).iter_os());
        command
    }
}

impl From<&CargoCommand> for Call {
    /// The `cargo` on `PATH`, so that rustup applies the toolchain file of the workspace.
    fn from(command: &CargoCommand) -> Self {
        Self {
            program: "cargo".to_owned(),
            args: command.words(),
            env: command.env.clone(),
            dir: command.dir.clone(),
        }
    }
}

impl fmt::Display for Call {
    /// A line for a POSIX shell, to be pasted in [`Call::dir`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", shell_quote(value))?;
        }
        f.write_str(&shell_quote(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", shell_quote(arg))?;
        }
        Ok(())
    }
}

/// `text` as one word of a POSIX shell, quoted only where needed.
pub fn shell_quote(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    // A shell has no escape inside single quotes: end them, add a quoted quote, begin again.
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_shell_reads_back_what_was_quoted() {
        for text in [
            "plain",
            "",
            "a b",
            "it's",
            "$HOME `x` \"q\" \\",
            "new\nline",
            "ü",
            "*?[x]",
            "~",
            "a;b&c|d>e",
            "!x",
        ] {
            let output = Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", shell_quote(text)))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
