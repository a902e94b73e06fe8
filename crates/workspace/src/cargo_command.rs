//! Cargo commands as structures: read once from what people write, asked by everyone, rendered once.
//!
//! Invariant: what is rendered means to cargo what was read. Arguments keep their order and spelling, also those that
//! are not known here.

mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::{Call, Environment};
use read::option;

/// One call of cargo, complete: what to paste into a shell, and what to run, are the same value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CargoCommand {
    /// `+nightly` and the like; `None` leaves the choice to rustup.
    pub toolchain: Option<String>,
    /// Options before the subcommand: `--locked` in `cargo --locked build`.
    pub leading: Vec<Arg>,
    /// The subcommand, which may be an alias. Empty in `cargo -V`.
    pub verb: String,
    /// What follows it.
    pub args: Vec<Arg>,
    /// What follows `--`, or the arguments of the program that `cargo run` starts.
    pub runner_args: Vec<String>,
    /// Variables set for this call on top of the user's environment.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub dir: Utf8PathBuf,
}

/// An option with its value, or a positional argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arg {
    /// What it is about.
    pub flag: Flag,
    /// As it is spelled: `-p`, `--package`. The whole word where it is not known here.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Whether the value is in the same word: `-pfoo`, `--package=foo`.
    joined: bool,
}

/// What an argument is about. Those up to [`Flag::Resolve`] choose what is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Flag {
    /// `--package`
    Package,
    /// `--exclude`
    Exclude,
    /// `--workspace`
    Workspace,
    /// `--features`, `--all-features`, `--no-default-features`
    Features,
    /// `--lib`, `--all-targets`, `--doc` and the like.
    Targets,
    /// `--profile`; without a value, `--release`.
    Profile,
    /// `--target`
    Triple,
    /// `--manifest-path`
    Manifest,
    /// `--config`
    Config,
    /// `--locked`, `-Z` and the like.
    Resolve,
    /// Where artifacts go: `--target-dir`.
    Output,
    /// `--message-format`
    Messages,
    /// `--timings`
    Timings,
    /// `--jobs`
    Jobs,
    /// `--verbose`
    Verbose,
    /// `--quiet`
    Quiet,
    /// That tests are left out after a failure: `--fail-fast`, `--max-fail`.
    FailFast,
    /// Options about running that are given once: `--no-fail-fast`, `--no-run`.
    Running,
    /// Positional arguments, and all that is not known here.
    Other,
}

/// The subcommands that build.
const BUILDING: [&str; 10] =
    ["build", "check", "clippy", "doc", "rustdoc", "rustc", "run", "test", "nextest", "bench"];

impl Arg {
    /// The words of it; `for_nextest`, which has other names for some of cargo's options.
    fn words(&self, for_nextest: bool) -> Vec<String> {
        let name = match self.flag {
            Flag::Profile if for_nextest && self.value.is_some() => "--cargo-profile",
            Flag::Messages if for_nextest => "--cargo-message-format",
            Flag::Verbose if for_nextest => "--cargo-verbose",
            Flag::Quiet if for_nextest => "--cargo-quiet",
            _ => &self.name,
        };
        match &self.value {
            None => vec![name.to_owned()],
            Some(value) if self.joined && name.starts_with("--") => vec![format!("{name}={value}")],
            Some(value) if self.joined => vec![format!("{name}{value}")],
            Some(value) => vec![name.to_owned(), value.clone()],
        }
    }
}

impl CargoCommand {
    /// `cargo WORDS` in `dir`, read by cargo's rules: `+nightly`, options before the subcommand, `-pfoo`, `--flag=value`,
    /// `-rv` for `-r -v`.
    pub fn new<S: Into<String>>(dir: impl Into<Utf8PathBuf>, words: impl IntoIterator<Item = S>) -> Self {
        let mut command = Self {
            toolchain: None,
            leading: Vec::new(),
            verb: String::new(),
            args: Vec::new(),
            runner_args: Vec::new(),
            env: BTreeMap::new(),
            dir: dir.into(),
        };
        command.insert_args(words);
        command
    }

    /// Adds an option by the name that cargo has for it, also to a command of nextest.
    pub fn add(&mut self, name: &str, value: Option<&str>) {
        let flag = option(name).map_or(Flag::Other, |(flag, _)| flag);
        self.args.push(Arg { flag, name: name.to_owned(), value: value.map(str::to_owned), joined: false });
    }

    fn options(&self) -> impl Iterator<Item = &Arg> {
        self.leading.iter().chain(&self.args)
    }

    /// Whether there is an option about this.
    pub fn has(&self, flag: Flag) -> bool {
        self.options().any(|arg| arg.flag == flag)
    }

    /// The values of the options about this, in their order.
    pub fn values(&self, flag: Flag) -> impl Iterator<Item = &str> {
        self.options().filter(move |arg| arg.flag == flag).filter_map(|arg| arg.value.as_deref())
    }

    /// The same command without the options about these.
    #[must_use]
    pub fn without(mut self, flags: &[Flag]) -> Self {
        self.leading.retain(|arg| !flags.contains(&arg.flag));
        self.args.retain(|arg| !flags.contains(&arg.flag));
        self
    }

    /// The files that `--config` names.
    pub fn config_files(&self) -> Vec<Utf8PathBuf> {
        let values = self.values(Flag::Config).filter(|value| !value.contains('='));
        values.map(|file| self.dir.join(file)).collect()
    }

    /// The folder of the profile that it builds in (The Cargo Book, "Profiles"): `dev` and `test` share one, as `release`
    /// and `bench` do. `None` where it does not build.
    pub fn profile_dir(&self) -> Option<&str> {
        let chosen = self.options().filter(|arg| arg.flag == Flag::Profile).last();
        let default = if self.verb == "bench" { "release" } else { "debug" };
        let profile = chosen.map_or(default, |arg| arg.value.as_deref().unwrap_or("release"));
        BUILDING.contains(&&*self.verb).then_some(match profile {
            "dev" | "test" => "debug",
            "bench" => "release",
            other => other,
        })
    }

    /// The command that builds what this one does and runs nothing of it: for `run` it is `build`, for nextest `test`.
    /// Fails with why there is none.
    pub fn to_build(mut self) -> Result<Self, String> {
        let builds = |arg: &Arg| ["run", "list"].contains(&&*arg.name);
        match &*self.verb {
            "run" => {
                "build".clone_into(&mut self.verb);
                self.runner_args.clear();
            }
            "nextest" if self.args.iter().any(builds) => {
                "test".clone_into(&mut self.verb);
                self.args.retain(|arg| arg.flag <= Flag::Resolve);
            }
            name if name != "nextest" && BUILDING.contains(&name) => {}
            _ => return Err(format!("`{self}` is no command of cargo's that builds, and no alias of one")),
        }
        self.run_nothing();
        Ok(self)
    }

    /// `cargo nextest run` in place of `cargo test`.
    #[must_use]
    pub fn to_nextest(mut self) -> Self {
        "nextest".clone_into(&mut self.verb);
        self.args.insert(0, Arg { flag: Flag::Other, name: "run".to_owned(), value: None, joined: false });
        self
    }

    /// The doc tests of `cargo test` alone, which no other selection of targets has, and which are not ended early.
    #[must_use]
    pub fn to_doctests(self) -> Self {
        let mut command = self.without(&[Flag::Targets, Flag::FailFast]);
        command.add("--doc", None);
        command.args.rotate_right(1);
        command
    }

    /// Makes tests and benches only build.
    pub fn run_nothing(&mut self) {
        if matches!(&*self.verb, "test" | "bench") {
            self.runner_args.clear();
            self.args.retain(|arg| !matches!(arg.flag, Flag::FailFast | Flag::Running));
            self.add("--no-run", None);
            self.args.rotate_right(1);
        }
    }

    /// The environment of this call: `environment` with this command's own variables on top.
    pub fn environment(&self, environment: &Environment) -> Environment {
        Call::from(self).environment(environment)
    }

    fn words_after_verb(&self) -> Vec<String> {
        let args = self.args.iter().flat_map(|arg| arg.words(self.verb == "nextest"));
        let dashes = (!self.runner_args.is_empty()).then(|| "--".to_owned());
        args.chain(dashes).chain(self.runner_args.iter().cloned()).collect()
    }

    /// All that follows `cargo`, the toolchain among it.
    pub fn words(&self) -> Vec<String> {
        let toolchain = self.toolchain.iter().map(|name| format!("+{name}"));
        let leading = self.leading.iter().flat_map(|arg| arg.words(false));
        let verb = Some(self.verb.clone()).filter(|verb| !verb.is_empty());
        toolchain.chain(leading).chain(verb).chain(self.words_after_verb()).collect()
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
        let mut command = CargoCommand::new("/w", ["+nightly", "test", "-p", "a b", "--", "it's"]);
        command.insert_args(["--offline"]);
        command.env.insert("RUSTFLAGS".into(), "-C debuginfo=0".into());
        assert_eq!(
            command.to_string(),
            r"RUSTFLAGS='-C debuginfo=0' cargo +nightly test -p 'a b' --offline -- 'it'\''s'"
        );
    }

    #[test]
    fn each_form_is_rendered_for_what_runs_it() {
        let test = "test -p a --profile ci -qv --message-format short --lib name -- --exact";
        let test = CargoCommand::new("/w", test.split(' '));
        assert_eq!(
            test.clone().to_nextest().to_string(),
            "cargo nextest run -p a --cargo-profile ci --cargo-quiet --cargo-verbose --cargo-message-format short \
             --lib name -- --exact"
        );
        assert_eq!(
            test.to_doctests().to_string(),
            "cargo test --doc -p a --profile ci -q -v --message-format short name -- --exact"
        );
        let build = |text: &str| {
            CargoCommand::new("/w", text.split(' ')).to_build().map(|build| build.words().join(" "))
        };
        let table = [
            (
                "nextest run --profile ci -Pci --cargo-profile=bench -E all() -pa -F x y --retries 2 --features=z -- --x",
                "test --no-run --profile=bench -pa -F x --features=z",
            ),
            ("+nightly run -p a --release b -- c", "+nightly build -p a --release"),
            ("test -p a -- --exact", "test --no-run -p a"),
            ("clippy -- -D warnings", "clippy -- -D warnings"),
        ];
        for (text, expected) in table {
            assert_eq!(build(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(build("nextest archive").is_err() && build("fmt").is_err());
    }

    #[test]
    fn the_folder_follows_from_the_profile() {
        let table = [
            ("build --workspace", Some("debug")),
            ("test --profile test", Some("debug")),
            ("build -r", Some("release")),
            ("bench", Some("release")),
            ("check --profile=fast", Some("fast")),
            ("clippy -- --release", Some("debug")),
            ("nextest run --profile ci --cargo-profile fast", Some("fast")),
            ("xyz", None),
        ];
        for (text, expected) in table {
            assert_eq!(CargoCommand::new("/w", text.split(' ')).profile_dir(), expected, "{text}");
        }
    }
}
