//! Cargo commands as structures: parsed once from what people write, and rendered once.
//!
//! Invariant: what is rendered means the same to cargo as what was parsed. Arguments keep their order and spelling, also
//! unknown ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::{Call, CargoConfig, Environment};

/// A complete call of cargo: the line to paste into a shell, and what is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CargoCommand {
    /// `+nightly` and the like; `None` leaves the choice to rustup.
    pub toolchain: Option<String>,
    /// Options before the subcommand: `--locked` in `cargo --locked build`.
    pub leading: Vec<Arg>,
    /// The subcommand, which may be an alias. Empty in `cargo -V`.
    pub verb: String,
    pub args: Vec<Arg>,
    /// The arguments after `--`, or those of the program that `cargo run` starts.
    pub runner_args: Vec<String>,
    /// Variables set for this call on top of the user's environment.
    pub env: BTreeMap<String, String>,
    pub dir: Utf8PathBuf,
}

/// An option with its value, or a positional argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arg {
    pub flag: Flag,
    /// As it is spelled: `-p`, `--package`. The whole word if it is unknown.
    pub name: String,
    pub value: Option<String>,
    /// Whether the value is in the same word: `-pfoo`, `--package=foo`.
    joined: bool,
}

/// The purpose of an argument, see `OPTIONS`. Those up to [`Flag::Resolve`] choose what is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Flag {
    Package,
    Exclude,
    Workspace,
    Features,
    Targets,
    /// `--profile`; without a value, `--release`.
    Profile,
    Triple,
    Manifest,
    Config,
    Resolve,
    Output,
    Messages,
    Timings,
    Jobs,
    Verbose,
    Quiet,
    /// Tests are left out after a failure: `--fail-fast`, `--max-fail`.
    FailFast,
    /// `--no-fail-fast`, `--no-run`.
    Running,
    Other,
}

/// The subcommands that build.
const BUILDING: [&str; 10] =
    ["build", "check", "clippy", "doc", "rustdoc", "rustc", "run", "test", "nextest", "bench"];

impl Arg {
    /// Whether it is no option of cargo's that is known here, so that the next word may be its value.
    pub fn is_unknown(&self) -> bool {
        self.flag == Flag::Other && self.value.is_none()
    }

    /// Its words. nextest has other names for some options.
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

    /// Adds an option by cargo's name for it, also to a command of nextest.
    pub fn add(&mut self, name: &str, value: Option<&str>) {
        let flag = option(name).map_or(Flag::Other, |(flag, _)| flag);
        self.args.push(Arg { flag, name: name.to_owned(), value: value.map(str::to_owned), joined: false });
    }

    fn options(&self) -> impl Iterator<Item = &Arg> {
        self.leading.iter().chain(&self.args)
    }

    pub fn has(&self, flag: Flag) -> bool {
        self.options().any(|arg| arg.flag == flag)
    }

    pub fn values(&self, flag: Flag) -> impl Iterator<Item = &str> {
        self.options().filter(move |arg| arg.flag == flag).filter_map(|arg| arg.value.as_deref())
    }

    #[must_use]
    pub fn without(mut self, flags: &[Flag]) -> Self {
        self.leading.retain(|arg| !flags.contains(&arg.flag));
        self.args.retain(|arg| !flags.contains(&arg.flag));
        self
    }

    /// The folder of its profile (The Cargo Book, "Profiles"): `dev` and `test` share one, as `release` and `bench` do.
    /// `None` for a command that does not build.
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

    /// What its `--config` arguments set; nothing else that is in force.
    pub fn config(&self) -> CargoConfig {
        let arguments = self.values(Flag::Config).collect::<Vec<_>>();
        CargoConfig::of_arguments(arguments.into_iter(), &self.dir)
    }

    /// The command that builds the same and runs nothing: for `run` it is `build`, for nextest `test`. Fails with the reason
    /// why there is none.
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
            _ => return Err(format!("`{self}` is not a cargo command that builds, or an alias of one")),
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

    /// `cargo nextest list` in place of `cargo test`: builds the same, and prints the programs as one line of JSON.
    #[must_use]
    pub fn to_nextest_list(mut self) -> Self {
        self.args.retain(|arg| arg.flag <= Flag::Timings || matches!(arg.flag, Flag::Verbose | Flag::Quiet));
        self.runner_args.clear();
        self = self.to_nextest();
        "list".clone_into(&mut self.args[0].name);
        self.insert_args(["--list-type", "binaries-only", "--message-format", "json"]);
        self
    }

    /// Of `cargo nextest run`, what is still said when the programs are built already.
    #[must_use]
    pub fn without_build(mut self) -> Self {
        self.args.retain(|arg| {
            let of_cargo = matches!(arg.flag, Flag::Verbose | Flag::Quiet);
            arg.flag == Flag::Config || arg.flag > Flag::Timings && !of_cargo
        });
        self
    }

    /// The option's values, which are taken out: nextest's `-E`.
    pub fn take_values(&mut self, names: &[&str]) -> Vec<String> {
        let mut taken = Vec::new();
        let mut args = std::mem::take(&mut self.args).into_iter();
        while let Some(arg) = args.next() {
            let joined = names.iter().find_map(|name| {
                let rest = arg.name.strip_prefix(name)?;
                // `-Eall()`, `-E=all()`, `--filterset=all()`.
                (!rest.is_empty()).then(|| rest.trim_start_matches('=').to_owned())
            });
            if names.contains(&&*arg.name) {
                taken.extend(args.next().map(|value| value.name));
            } else if let Some(value) = joined {
                taken.push(value);
            } else {
                self.args.push(arg);
            }
        }
        taken
    }

    /// Only the doc tests of `cargo test`, without another selection of targets, and all of them after a failure.
    #[must_use]
    pub fn to_doctests(self) -> Self {
        let mut command = self.without(&[Flag::Targets, Flag::FailFast]);
        command.add("--doc", None);
        command.args.rotate_right(1);
        command
    }

    /// Without what cargo does not know, which is for another runner: its options, their values, names of tests.
    #[must_use]
    pub fn without_unknown(mut self) -> Self {
        self.args.retain(|arg| arg.flag != Flag::Other || option(&arg.name).is_some());
        self
    }

    /// Tests and benches are only built.
    pub fn run_nothing(&mut self) {
        let edits = ["fix", "allow-dirty", "allow-staged", "allow-no-vcs", "broken-code"];
        self.args.retain(|arg| !edits.contains(&arg.name.trim_start_matches('-')));
        if matches!(&*self.verb, "test" | "bench") {
            self.runner_args.clear();
            self.args.retain(|arg| !matches!(arg.flag, Flag::FailFast | Flag::Running));
            // Doc tests cannot only be built; their library is.
            self.args.retain(|arg| arg.name != "--doc");
            // An option for nextest, or a name: which tests run is of no account.
            self.args.retain(|arg| arg.flag != Flag::Other || option(&arg.name).is_some());
            self.add("--no-run", None);
            self.args.rotate_right(1);
        }
    }

    /// `environment` with this command's own variables on top.
    pub fn environment(&self, environment: &Environment) -> Environment {
        Call::from(self).environment(environment)
    }

    fn words_after_verb(&self) -> Vec<String> {
        let args = self.args.iter().flat_map(|arg| arg.words(self.verb == "nextest"));
        let dashes = (!self.runner_args.is_empty()).then(|| "--".to_owned());
        args.chain(dashes).chain(self.runner_args.iter().cloned()).collect()
    }

    /// Everything after `cargo`, including the toolchain.
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

/// The options of cargo 1.95: names without a value, and names with one.
const OPTIONS: [(Flag, &str, &str); 19] = [
    (Flag::Package, "", "--package -p"),
    (Flag::Exclude, "", "--exclude"),
    (Flag::Workspace, "--workspace --all", ""),
    (Flag::Features, "--all-features --no-default-features", "--features -F"),
    (
        Flag::Targets,
        "--lib --bins --examples --tests --benches --all-targets --doc",
        "--bin --example --test --bench",
    ),
    (Flag::Profile, "--release -r", "--profile"),
    (Flag::Triple, "", "--target"),
    (Flag::Manifest, "", "--manifest-path"),
    (Flag::Config, "", "--config"),
    (Flag::Resolve, "--locked --offline --frozen --ignore-rust-version", "-Z --lockfile-path"),
    (Flag::Output, "", "--target-dir --artifact-dir --out-dir"),
    (Flag::Messages, "", "--message-format"),
    (Flag::Timings, "--timings", ""),
    (Flag::Verbose, "--verbose -v", ""),
    (Flag::Quiet, "--quiet -q", ""),
    (Flag::FailFast, "--fail-fast", "--max-fail"),
    (Flag::Running, "--no-fail-fast --no-run", ""),
    (Flag::Jobs, "", "--jobs -j"),
    (Flag::Other, "", "--color -C --crate-type --print --output-format"),
];

/// Options that mean something else to nextest; its names for cargo's are `--cargo-profile` and so on.
const OF_NEXTEST: [&str; 6] = ["--profile", "--message-format", "--verbose", "-v", "--quiet", "-q"];

/// Cargo's own subcommands: it ignores an alias of that name.
const BUILT_IN: &str = "add bench build check clean config doc fetch fix generate-lockfile help info init install \
                        locate-project login logout metadata new owner package pkgid publish read-manifest remove \
                        report run rustc rustdoc search test tree uninstall update vendor verify-project version yank";

/// Cargo's built-in aliases, weaker than the user's (`bin/cargo/main.rs`).
const SHORT: [(&str, &str); 6] =
    [("b", "build"), ("c", "check"), ("d", "doc"), ("r", "run"), ("rm", "remove"), ("t", "test")];

/// The purpose of cargo's option of this name, and whether it has a value.
fn option(name: &str) -> Option<(Flag, bool)> {
    let one_of = |names: &str| names.split(' ').any(|known| known == name && !name.is_empty());
    let (flag, _, with_value) =
        OPTIONS.iter().find(|(_, alone, with_value)| one_of(alone) || one_of(with_value))?;
    Some((*flag, one_of(with_value)))
}

impl CargoCommand {
    /// Parses a shell command: `RUSTFLAGS=-g cargo +nightly check --workspace`. The error is a phrase to put after the text.
    pub fn parse(text: &str, dir: &Utf8Path) -> Result<Self, String> {
        let mut words = shlex::split(text).ok_or("has a quote that does not end")?.into_iter().peekable();
        let mut env = BTreeMap::new();
        while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
            env.insert(name.to_owned(), value.to_owned());
            words.next();
        }
        if words.next().as_deref() != Some("cargo") {
            return Err("is not a cargo command".to_owned());
        }
        let command = Self { env, ..Self::new(dir, words) };
        if command.verb.is_empty() { Err("has no subcommand".to_owned()) } else { Ok(command) }
    }

    /// Adds words as if typed after the existing arguments, before `--`. An option without a value is not repeated, because
    /// cargo refuses that.
    pub fn insert_args<S: Into<String>>(&mut self, words: impl IntoIterator<Item = S>) {
        let mut words = words.into_iter().map(Into::into).collect::<VecDeque<_>>();
        while let Some(word) = words.pop_front() {
            let positional = !word.starts_with('-');
            let of_program = positional && matches!(&*self.verb, "run" | "rustc" | "rustdoc");
            if word == "--" || of_program {
                return self.runner_args.extend(Some(word).filter(|_| of_program).into_iter().chain(words));
            }
            if positional && self.verb.is_empty() {
                match word.strip_prefix('+') {
                    Some(toolchain) if self.leading.is_empty() => self.toolchain = Some(toolchain.to_owned()),
                    _ => self.verb = word,
                }
                continue;
            }
            let arg = self.read(word, &mut words);
            let repeats = |known: &Arg| known.name == arg.name && arg.flag < Flag::Other;
            if arg.flag == Flag::Verbose || arg.value.is_some() || !self.options().any(repeats) {
                if self.verb.is_empty() { &mut self.leading } else { &mut self.args }.push(arg);
            }
        }
    }

    /// The argument that begins with `word`. Takes its value from `rest`, and puts the rest of `-rv` back there.
    fn read(&self, word: String, rest: &mut VecDeque<String>) -> Arg {
        let is_long = word.starts_with("--");
        let (name, value) = match word.char_indices().nth(2) {
            Some((at, _)) if !is_long && word.starts_with('-') => (&word[..at], Some(&word[at..])),
            _ => word.split_once('=').map_or((&*word, None), |(name, value)| (name, Some(value))),
        };
        let nextest = self.verb == "nextest";
        let of_cargo = name.strip_prefix("--cargo-").filter(|_| nextest).map(|name| format!("--{name}"));
        let name = match of_cargo {
            None if nextest && OF_NEXTEST.contains(&name) => "",
            None => name,
            Some(ref name) => name.as_str(),
        };
        let (flag, joined, value) = match (option(name), value) {
            (Some((flag, true)), Some(value)) => {
                (flag, true, Some(if is_long { value } else { value.trim_start_matches('=') }.to_owned()))
            }
            (Some((flag, true)), None) => {
                // `-j -1` counts from the number of cores.
                let is_number = |next: &str| flag == Flag::Jobs && next[1..].parse::<u32>().is_ok();
                let is_value = rest.front().is_some_and(|next| !next.starts_with('-') || is_number(next));
                (flag, false, if is_value { rest.pop_front() } else { None })
            }
            (Some((flag, false)), Some(others)) if !is_long => {
                rest.push_front(format!("-{others}"));
                (flag, false, None)
            }
            (Some((flag, false)), value) => (flag, true, value.map(str::to_owned)),
            (None, _) => return Arg { flag: Flag::Other, name: word, value: None, joined: false },
        };
        Arg { flag, name: name.to_owned(), value, joined }
    }

    /// The same command with aliases replaced: from variables, then from cargo's configuration, then cargo's own. Cargo
    /// reports a circle of aliases.
    #[must_use]
    pub fn without_alias(mut self, environment: &Environment) -> Self {
        let config = CargoConfig::load(&self.dir, environment);
        let mut seen = BTreeSet::new();
        while !BUILT_IN.split(' ').any(|name| name == self.verb) && seen.insert(self.verb.clone()) {
            let variable = format!("CARGO_ALIAS_{}", self.verb.to_uppercase().replace('-', "_"));
            let variable = environment.get(&variable);
            let variable = variable.map(|text| text.split_whitespace().map(str::to_owned).collect());
            let short = SHORT.iter().find(|(short, _)| *short == self.verb);
            let short = short.map(|(_, long)| vec![(*long).to_owned()]);
            let alias = variable.or_else(|| config.program(&["alias", &self.verb])).or(short);
            let Some(alias) = alias.filter(|words| !words.is_empty()) else { break };
            let leading = self.leading.iter().flat_map(|arg| arg.words(false));
            let words = leading.chain(alias).chain(self.words_after_verb()).collect::<Vec<_>>();
            self = Self { toolchain: self.toolchain, env: self.env, ..Self::new(self.dir, words) };
        }
        self
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
            ("test -p a --test-threads=1 -E all() name", "test --no-run -p a"),
            ("clippy -- -D warnings", "clippy -- -D warnings"),
            ("clippy --fix --allow-dirty -p a", "clippy -p a"),
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

    #[test]
    fn what_is_printed_is_read_back() {
        let texts = [
            "cargo check",
            "A=1 B='x y' cargo +nightly test -p 'a b' -- --nocapture",
            "cargo --config a.toml --locked build -pfoo --features=x -Z unstable --own value=1 -x",
            "cargo nextest run --profile ci --cargo-profile=bench -E 'all()' -j 2 --cargo-quiet filter -- --exact",
            "cargo xtask -- --flag -- x",
        ];
        for text in texts {
            assert_eq!(CargoCommand::parse(text, "/w".into()).unwrap().to_string(), text);
        }
        for text in ["", "make", "cargo", "cargo +nightly", "cargo --locked", "cargo 'check", "A=1"] {
            assert!(CargoCommand::parse(text, "/w".into()).is_err(), "{text}");
        }
    }

    #[test]
    fn words_are_read_by_cargos_rules() {
        let table = [
            // Short options in one word, with and without a value.
            ("build -rqpfoo", Flag::Package, vec!["foo"]),
            ("build -p=foo -p bar --package=baz", Flag::Package, vec!["foo", "bar", "baz"]),
            // A value that is missing takes no option's place.
            ("test -p --test --lib", Flag::Package, vec![]),
            // What follows belongs to the tests, the program or the compiler.
            ("test -- -p foo", Flag::Package, vec![]),
            ("run program -p foo", Flag::Package, vec![]),
            ("test filter -p foo", Flag::Package, vec!["foo"]),
            // nextest has a profile of its own.
            ("nextest run --profile ci -P ci --cargo-profile fast", Flag::Profile, vec!["fast"]),
            ("--config a.toml check --config b=1", Flag::Config, vec!["a.toml", "b=1"]),
        ];
        for (text, flag, expected) in table {
            let command = CargoCommand::new("/w", text.split(' '));
            assert_eq!(command.values(flag).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn what_cargo_takes_once_is_not_repeated() {
        let jobs = CargoCommand::new("/w", ["build", "-j", "-1", "-v"]);
        assert_eq!(jobs.values(Flag::Jobs).collect::<Vec<_>>(), ["-1"]);
        let mut documented = CargoCommand::new("/w", ["test", "--doc", "-p", "x"]);
        documented.run_nothing();
        assert_eq!(documented.to_string(), "cargo test --no-run -p x");
        let mut command = CargoCommand::new("/w", ["test", "--no-fail-fast", "--timings=html", "-v"]);
        command.insert_args(["--no-fail-fast", "--timings", "--own", "--own", "-v", "--", "x"]);
        assert_eq!(command.to_string(), "cargo test --no-fail-fast --timings=html -v --own --own -v -- x");
    }

    #[test]
    fn aliases_are_replaced_as_cargo_does_it() {
        let dir = xtask_testkit::TempDir::new("alias");
        dir.write(
            ".cargo/config.toml",
            "[alias]\nt = \"test --workspace -- --nocapture\"\nu = [\"--locked\", \"t\", \"x\"]\nbuild = \"check\"\n\
             round = \"about\"\nabout = \"round\"\n",
        );
        let mut environment = Environment::default();
        environment.set("CARGO_ALIAS_BY_VARIABLE", "run --release");
        let table = [
            ("t --lib", "test --workspace -- --nocapture --lib"),
            ("--offline u", "--offline --locked test --workspace -- --nocapture x"),
            ("b -p a", "build -p a"),
            ("build", "build"),
            ("+nightly by-variable a b", "+nightly run --release -- a b"),
            ("round", "round"),
            ("no-alias x", "no-alias x"),
        ];
        for (text, expected) in table {
            let command = CargoCommand::new(dir.path(), text.split(' ')).without_alias(&environment);
            assert_eq!(command.words().join(" "), expected, "{text}");
        }
    }
}
