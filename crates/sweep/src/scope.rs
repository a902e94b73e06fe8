//! Which profile a cargo command builds in, and the form of it that can be planned.

use std::collections::BTreeSet;

use xtask_workspace::{CargoCommand, Workspace};

/// The commands that build (cargo's `bin/cargo/commands`), and the profile they build in.
const BUILDING: [(&str, &str); 10] = [
    ("build", "debug"),
    ("check", "debug"),
    ("clippy", "debug"),
    ("doc", "debug"),
    ("rustdoc", "debug"),
    ("rustc", "debug"),
    ("run", "debug"),
    ("test", "debug"),
    ("nextest", "debug"),
    ("bench", "release"),
];

/// Aliases that cargo has by itself (`bin/cargo/main.rs`).
const SHORT: [(&str, &str); 5] = [("b", "build"), ("c", "check"), ("d", "doc"), ("r", "run"), ("t", "test")];

/// Those of the commands that document.
pub(crate) const DOCUMENTING: [&str; 2] = ["doc", "rustdoc"];

/// What a plan says something about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The folders of this name, of every triple.
    Profile(String),
    /// It cannot be told.
    Everything,
}

impl Scope {
    /// What `command` builds in.
    pub(crate) fn of(command: &CargoCommand) -> Self {
        let Some((_, default)) =
            BUILDING.iter().find(|(name, _)| command.args.first().is_some_and(|arg| arg == name))
        else {
            return Self::Everything;
        };
        let mut profile = (*default).to_owned();
        let mut words = command.args.iter().take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            match word.split_once('=') {
                Some(("--profile", name)) => folder(name).clone_into(&mut profile),
                None if word == "--profile" => {
                    folder(words.next().map_or("", String::as_str)).clone_into(&mut profile);
                }
                None if word == "--release" || word == "-r" => "release".clone_into(&mut profile),
                _ => {}
            }
        }
        Self::Profile(profile)
    }

    /// Whether it covers the profile of this name.
    pub(crate) fn covers(&self, profile: &str) -> bool {
        match self {
            Self::Profile(name) => name == profile,
            Self::Everything => true,
        }
    }
}

/// The folder of a profile (The Cargo Book, "Profiles"): `dev` and `test` share one, as `release` and `bench` do.
fn folder(profile: &str) -> &str {
    match profile {
        "dev" | "test" => "debug",
        "bench" => "release",
        other => other,
    }
}

/// `command` as one that only builds: what `run` would run is not run, and what nextest builds is what `cargo test`
/// builds. Fails with why it cannot be planned.
pub(crate) fn building(workspace: &Workspace, command: &CargoCommand) -> Result<CargoCommand, String> {
    let mut command = expanded(workspace, command)?;
    match command.args[0].as_str() {
        "run" => {
            "build".clone_into(&mut command.args[0]);
            let end = command.args.iter().position(|arg| arg == "--").unwrap_or(command.args.len());
            command.args.truncate(end);
        }
        "nextest" => {
            if !matches!(command.args.get(1).map(String::as_str), Some("run" | "list")) {
                return Err(
                    "of nextest's commands only `run` and `list` build what can be planned".to_owned()
                );
            }
            command.args = nextest_as_test(&command.args[2..]);
        }
        _ => {}
    }
    Ok(command)
}

/// The `cargo test` that builds what nextest does with these arguments: those that choose what is built stay. What
/// nextest calls a profile (`--profile`, `-P`) is one of running.
fn nextest_as_test(args: &[String]) -> Vec<String> {
    const FLAGS: &str = "--workspace --all --lib --bins --examples --tests --benches --all-targets --all-features \
                         --no-default-features --release -r --locked --offline --frozen --ignore-rust-version";
    const WITH_VALUE: &str = "--package -p --exclude --bin --example --test --bench --features -F --target --config -Z \
                              --manifest-path";
    let is_one_of = |all: &str, name: &str| all.split(' ').any(|known| known == name);
    let mut kept = vec!["test".to_owned()];
    let mut words = args.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((&**word, None), |(name, value)| (name, Some(value)));
        let is_profile = name == "--cargo-profile";
        if is_profile || is_one_of(WITH_VALUE, name) {
            kept.push(if is_profile { "--profile" } else { name }.to_owned());
            kept.extend(value.map(str::to_owned).or_else(|| words.next().cloned()));
        } else if is_one_of(FLAGS, name) || ["-p", "-F", "-Z"].iter().any(|short| name.starts_with(short)) {
            kept.push(word.clone());
        }
    }
    kept
}

/// Replaces aliases, which may name one another.
fn expanded(workspace: &Workspace, command: &CargoCommand) -> Result<CargoCommand, String> {
    let mut command = command.clone();
    let mut seen = BTreeSet::new();
    loop {
        let Some(name) = command.args.first().cloned() else { return Err("it has no subcommand".to_owned()) };
        if BUILDING.iter().any(|(known, _)| *known == name) {
            return Ok(command);
        }
        // A user's alias replaces one of cargo's own.
        let alias = workspace.cargo_config.program(&["alias", &name]).filter(|words| !words.is_empty());
        let short =
            || SHORT.iter().find(|(short, _)| *short == name).map(|(_, long)| vec![(*long).to_owned()]);
        match alias.filter(|_| seen.insert(name.clone())).or_else(short) {
            Some(words) => {
                command.args.splice(..1, words);
            }
            None => {
                return Err(format!(
                    "`cargo {name}` is no command of cargo's that builds, and no alias of one"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_from_the_arguments() {
        let table = [
            ("build --workspace", Scope::Profile("debug".into())),
            ("test --profile test", Scope::Profile("debug".into())),
            ("build -r", Scope::Profile("release".into())),
            ("bench", Scope::Profile("release".into())),
            ("check --profile=fast", Scope::Profile("fast".into())),
            ("clippy -- --release", Scope::Profile("debug".into())),
            ("xyz", Scope::Everything),
        ];
        for (args, expected) in table {
            assert_eq!(Scope::of(&CargoCommand::new("/w", args.split(' '))), expected, "{args}");
        }
        let nextest =
            "--profile ci -Pci --cargo-profile=bench -E all() -pa -F x y --retries 2 --features=z -- --x";
        let args = nextest.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let test = "test --profile bench -pa -F x --features z";
        assert_eq!(nextest_as_test(&args).join(" "), test);
        assert!(Scope::Profile("debug".into()).covers("debug"));
        assert!(!Scope::Profile("debug".into()).covers("release"));
    }
}
