//! Cargo commands as values: planned, compared, printed and only then run.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::{Call, Environment};

/// One call of cargo, complete: what to paste into a shell, and what to run, are the same value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CargoCommand {
    /// `+nightly` and the like; `None` leaves the choice to rustup.
    pub toolchain: Option<String>,
    /// Everything after `cargo`.
    pub args: Vec<String>,
    /// Variables set for this call on top of the user's environment.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub dir: Utf8PathBuf,
}

impl CargoCommand {
    /// `cargo ARGS` in `dir`.
    pub fn new<S: Into<String>>(dir: impl Into<Utf8PathBuf>, args: impl IntoIterator<Item = S>) -> Self {
        Self {
            toolchain: None,
            args: args.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            dir: dir.into(),
        }
    }

    /// The command that `text` is in a shell, in `dir`: `RUSTFLAGS=-g cargo +nightly check --workspace`.
    ///
    /// Fails with what is wrong with it, to be put behind the text.
    pub fn parse(text: &str, dir: &Utf8Path) -> Result<Self, String> {
        let mut words = shlex::split(text).ok_or("has a quote that does not end")?.into_iter().peekable();
        let mut env = BTreeMap::new();
        while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
            env.insert(name.to_owned(), value.to_owned());
            words.next();
        }
        if words.next().as_deref() != Some("cargo") {
            return Err("is no cargo command".to_owned());
        }
        let toolchain = words.next_if(|word| word.starts_with('+')).map(|word| word[1..].to_owned());
        let args = words.collect::<Vec<_>>();
        if args.is_empty() {
            return Err("has no subcommand".to_owned());
        }
        Ok(Self { toolchain, args, env, dir: dir.to_owned() })
    }

    /// Adds arguments before a `--`, if there is one, else at the end: the place where cargo reads them.
    pub fn insert_args<S: Into<String>>(&mut self, args: impl IntoIterator<Item = S>) {
        let at = self.args.iter().position(|arg| arg == "--").unwrap_or(self.args.len());
        self.args.splice(at..at, args.into_iter().map(Into::into));
    }

    /// What follows `--config`: settings as `KEY=VALUE`, and files.
    pub fn config_values(&self) -> Vec<&str> {
        let mut words = self.args.iter().take_while(|word| *word != "--");
        let mut values = Vec::new();
        while let Some(word) = words.next() {
            let next = if word == "--config" { words.next() } else { None };
            values.extend(next.map(String::as_str).or_else(|| word.strip_prefix("--config=")));
        }
        values
    }

    /// The files that `--config` names.
    pub fn config_files(&self) -> Vec<Utf8PathBuf> {
        let values = self.config_values().into_iter().filter(|value| !value.contains('='));
        values.map(|file| self.dir.join(file)).collect()
    }

    /// Makes tests and benches only build.
    pub fn run_nothing(&mut self) {
        let runs = matches!(self.args.first().map(String::as_str), Some("test" | "bench"));
        if runs && !self.args.iter().any(|arg| arg == "--no-run") {
            self.args.insert(1, "--no-run".to_owned());
        }
    }

    /// The environment of this call: `environment` with this command's own variables on top.
    pub fn environment(&self, environment: &Environment) -> Environment {
        Call::from(self).environment(environment)
    }

    /// All arguments, the toolchain among them.
    pub fn all_args(&self) -> Vec<String> {
        self.toolchain.iter().map(|name| format!("+{name}")).chain(self.args.iter().cloned()).collect()
    }

    /// The process to start, with exactly `environment` and this command's variables.
    pub fn to_command(&self, environment: &Environment) -> Command {
        Call::from(self).to_command(environment)
    }
}

impl fmt::Display for CargoCommand {
    /// A line for a POSIX shell, to be pasted in [`CargoCommand::dir`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Call::from(self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_it_is_pasted() {
        let mut command = CargoCommand::new("/w", ["test", "-p", "a b", "--", "it's"]);
        command.insert_args(["--offline"]);
        command.env.insert("RUSTFLAGS".into(), "-C debuginfo=0".into());
        command.toolchain = Some("nightly".into());
        assert_eq!(
            command.to_string(),
            r"RUSTFLAGS='-C debuginfo=0' cargo +nightly test -p 'a b' --offline -- 'it'\''s'"
        );
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let texts = ["cargo check", "A=1 B='x y' cargo +nightly test -p 'a b' -- --nocapture"];
        for text in texts {
            assert_eq!(CargoCommand::parse(text, "/w".into()).unwrap().to_string(), text);
        }
        for text in ["", "make", "cargo", "cargo +nightly", "cargo 'check", "A=1"] {
            assert!(CargoCommand::parse(text, "/w".into()).is_err(), "{text}");
        }
    }
}
