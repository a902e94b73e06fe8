//! How people's words become a command: by cargo's own rules, as its command line and its aliases have them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use camino::Utf8Path;

use super::{Arg, CargoCommand, Flag};
use crate::{CargoConfig, Environment};

/// The options of cargo 1.95: their names where they have no value, and where they have one.
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

/// Options of nextest that mean something else to it; for cargo's it has `--cargo-profile` and so on.
const OF_NEXTEST: [&str; 6] = ["--profile", "--message-format", "--verbose", "-v", "--quiet", "-q"];

/// Cargo's own subcommands: it ignores an alias of that name.
const BUILT_IN: &str = "add bench build check clean config doc fetch fix generate-lockfile help info init install \
                        locate-project login logout metadata new owner package pkgid publish read-manifest remove \
                        report run rustc rustdoc search test tree uninstall update vendor verify-project version yank";

/// Aliases that cargo has by itself, weaker than the user's (`bin/cargo/main.rs`).
const SHORT: [(&str, &str); 6] =
    [("b", "build"), ("c", "check"), ("d", "doc"), ("r", "run"), ("rm", "remove"), ("t", "test")];

/// What cargo's option of this name is about, and whether it has a value.
pub(super) fn option(name: &str) -> Option<(Flag, bool)> {
    let one_of = |names: &str| names.split(' ').any(|known| known == name && !name.is_empty());
    let (flag, _, with_value) =
        OPTIONS.iter().find(|(_, alone, with_value)| one_of(alone) || one_of(with_value))?;
    Some((*flag, one_of(with_value)))
}

impl CargoCommand {
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
            return Err("is not a cargo command".to_owned());
        }
        let command = Self { env, ..Self::new(dir, words) };
        if command.verb.is_empty() { Err("has no subcommand".to_owned()) } else { Ok(command) }
    }

    /// Adds words as they are typed after what is there: before the arguments of tests and programs, which `--` begins.
    /// An option without a value that is there already is not repeated, as cargo refuses that.
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

    /// The argument that begins with `word`; takes its value out of `rest`, and puts back what else `-rv` holds.
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
                let is_value = rest.front().is_some_and(|next| !next.starts_with('-'));
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

    /// The same command with aliases replaced: those of variables, then those of cargo's configuration in
    /// [`CargoCommand::dir`], then cargo's own. A circle of aliases is left to cargo to report.
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
