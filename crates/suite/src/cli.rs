//! The command line: flags, subcommands, and a subcommand for every tier.

use camino::Utf8PathBuf;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use xtask_workspace::config::{Tier, age};

use crate::commands::OWN_XTASK;
use crate::shell::{Colour, OutputOptions};
use crate::task::Task;

/// Subcommands that no tier may be named after.
pub(crate) const RESERVED: [&str; 9] =
    ["clean-stale", "disk", "preset", "with", "completions", "schema", "help", "adopt", "version"];

/// The shells that completions are made for.
pub(crate) const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 the task failed, 2 wrong usage or configuration, 3 something required is missing.";

/// Whether the workspace has an xtask from before the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnXtask {
    /// It has: subcommands that are unknown here go there.
    There,
    /// It has none.
    None,
}

/// The whole command line, with a subcommand for each of `tiers` and `tasks`.
pub(crate) fn command(tiers: &[Tier], tasks: &[Task], own_xtask: OwnXtask) -> Command {
    let others = match own_xtask {
        OwnXtask::There => {
            format!("\n\nOther commands go to `cargo {OWN_XTASK}`, this workspace's xtask from before.")
        }
        OwnXtask::None => String::new(),
    };
    let mut command = base()
        .about("Keeps a Rust workspace fast to build and test")
        .after_help(format!("{EXIT_CODES}{others}"))
        .subcommand_help_heading("Commands");
    for tier in tiers {
        command = command.subcommand(tier_command(tier));
    }
    for task in tasks {
        command = command.subcommand(task.command().clone());
    }
    command
        .subcommand(clean_stale())
        .subcommand(disk())
        .subcommand(preset())
        .subcommand(with())
        .subcommand(adopt())
        .subcommand(version())
        .subcommand(completions())
        .subcommand(schema())
}

/// What must be known before the tiers are: where the workspace is, and how to say what is wrong with it.
/// The global flags may stand anywhere before a `--`.
pub(crate) fn first_look(args: &[String]) -> ArgMatches {
    let mut globals = vec!["xtask".to_owned()];
    let mut words = args.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        match word.as_str() {
            "-C" | "--color" => globals.extend([word.clone()].into_iter().chain(words.next().cloned())),
            "--json" | "-v" | "--verbose" => globals.push(word.clone()),
            _ if word.starts_with("-C") || word.starts_with("--color=") => globals.push(word.clone()),
            _ => {}
        }
    }
    base().ignore_errors(true).get_matches_from(globals)
}

/// The words before the subcommand, all of them global flags.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeadingFlags {
    directory: Option<String>,
    others: Vec<String>,
}

impl LeadingFlags {
    /// Parts `args` (the program's own name first) before the subcommand. `None` where there is no subcommand,
    /// or where something else comes first.
    pub(crate) fn split(args: &[String]) -> Option<(Self, &[String])> {
        let mut leading = Self { directory: None, others: Vec::new() };
        let mut at = 1;
        while let Some(word) = args.get(at) {
            match word.as_str() {
                "-C" => {
                    at += 1;
                    leading.directory = args.get(at).cloned();
                }
                "--color" => {
                    leading.others.push(word.clone());
                    at += 1;
                    leading.others.extend(args.get(at).cloned());
                }
                "--json" | "-v" | "--verbose" => leading.others.push(word.clone()),
                _ if word.starts_with("--color=") => leading.others.push(word.clone()),
                _ if word.starts_with("-C") => leading.directory = Some(word.split_at(2).1.to_owned()),
                _ if word.starts_with('-') => return None,
                _ => return Some((leading, &args[at..])),
            }
            at += 1;
        }
        None
    }

    /// The folder to work in.
    pub(crate) fn directory(&self) -> Utf8PathBuf {
        self.directory.as_deref().unwrap_or(".").into()
    }

    /// The flags as they were typed, but for the folder.
    pub(crate) fn without_directory(&self) -> impl Iterator<Item = String> {
        self.others.iter().cloned()
    }
}

/// The flags that every command has.
pub(crate) fn global_arguments() -> Vec<Arg> {
    base().get_arguments().cloned().collect()
}

fn base() -> Command {
    Command::new("xtask")
        .bin_name("cargo xtask")
        .display_name("xtask-suite")
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            Arg::new("directory")
                .short('C')
                .value_name("PATH")
                .help("Work on the workspace in PATH instead of the one here")
                .value_hint(ValueHint::DirPath)
                .global(true),
        )
        .arg(
            Arg::new("color")
                .long("color")
                .value_name("WHEN")
                .value_parser(["auto", "always", "never"])
                .default_value("auto")
                .help("Colour the output: auto, always, never")
                .hide_possible_values(true)
                .hide_default_value(true)
                .global(true),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print one JSON document on standard output")
                .global(true),
        )
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::SetTrue)
                .help("Say why choices were made, and show each command")
                .global(true),
        )
}

fn tier_command(tier: &Tier) -> Command {
    let tests = matches!(tier.command.name(), "test" | "bench");
    let mut command = Command::new(tier.name.clone())
        .about(tier.about.clone())
        .arg(flag("forecast", "Say what would be compiled and about how long that takes; run nothing"))
        .arg(flag("dry-run", "Print the exact commands; run nothing"));
    if tests {
        command = command.arg(
            Arg::new("runner-args")
                .value_name("ARGS")
                .help("Arguments for the test runner, after `--`")
                .num_args(0..)
                .last(true)
                .allow_hyphen_values(true),
        );
    }
    command
}

fn clean_stale() -> Command {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").help(help).value_hint(ValueHint::FilePath)
    };
    Command::new("clean-stale")
        .about("Remove from the build dir what nothing needs any more; nothing recompiles after")
        .arg(flag("dry-run", "Say what would go and why; remove nothing"))
        .arg(flag("verify", "Build the tiers afterwards, without running tests, and count what recompiled"))
        .arg(
            Arg::new("grace")
                .long("grace")
                .value_name("AGE")
                .value_parser(|text: &str| age(text).ok_or("write `0`, `30min`, `12h` or `2d`"))
                .help("Keep what was built so recently: `12h`, `2d`, or `0` for nothing"),
        )
        .arg(path("save", "With --dry-run: keep the plan in FILE, to be applied later").requires("dry-run"))
        .arg(
            path("apply", "Remove only what the plan in FILE names, if it is stale and unchanged still")
                .conflicts_with("save"),
        )
        .arg(flag("yes", "Sweep a target dir that cargo has not marked as its own"))
}

fn disk() -> Command {
    Command::new("disk").about("Show where the space in the build dir is").arg(
        Arg::new("top")
            .long("top")
            .value_name("N")
            .value_parser(clap::value_parser!(usize))
            .default_value("10")
            .help("How many packages and crates to list"),
    )
}

fn preset() -> Command {
    let tier =
        Arg::new("tier").long("tier").value_name("TIER").help("Take command, packages and targets from TIER");
    Command::new("preset")
        .about("Show named feature selections and compare what they compile")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(Command::new("list").about("List the presets"))
        .subcommand(
            Command::new("show")
                .about("Show what a preset turns on in each member")
                .arg(Arg::new("name").value_name("NAME").required(true).help("The preset")),
        )
        .subcommand(
            Command::new("compare")
                .about("Show which units two presets share, which each adds, and what splits them")
                .arg(Arg::new("first").value_name("A").required(true).help("A preset"))
                .arg(Arg::new("second").value_name("B").required(true).help("Another preset"))
                .arg(tier),
        )
}

fn with() -> Command {
    Command::new("with")
        .about("Run any cargo command with the features of a preset")
        .arg(Arg::new("preset").value_name("PRESET").required(true).help("The preset"))
        .arg(flag("dry-run", "Print the exact command; run nothing"))
        .arg(
            Arg::new("cargo-args")
                .value_name("CARGO COMMAND")
                .help("The cargo command, after `--`: `with full -- clippy --workspace`")
                .num_args(1..)
                .required(true)
                .last(true)
                .allow_hyphen_values(true),
        )
}

fn adopt() -> Command {
    let how = |name: &'static str, help: &'static str| flag(name, help).group("how");
    Command::new("adopt")
        .about("Put the suite into another workspace")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .default_value(".")
                .hide_default_value(true)
                .help("The workspace, or a folder in it; without it the one here")
                .value_hint(ValueHint::DirPath),
        )
        .arg(flag("dry-run", "Show every change; change nothing"))
        .arg(how("vendor", "Copy the suite's sources there (the default)"))
        .arg(how("from-path", "Build it from this clone, for trying it on this machine").long("path"))
        .arg(
            Arg::new("git")
                .long("git")
                .value_name("URL")
                .requires("rev")
                .group("how")
                .help("Let cargo fetch it from URL"),
        )
        .arg(
            Arg::new("rev")
                .long("rev")
                .value_name("REV")
                .requires("git")
                .help("The commit, tag or branch to fetch"),
        )
        .arg(flag("merge", "Keep an `xtask` that the workspace has: `cargo xtask` goes on to it"))
        .arg(flag("update", "Bring the suite there to the version of this clone"))
        .arg(
            flag("discard-changes", "With --update: overwrite the suite's files that were changed there")
                .requires("update"),
        )
        .arg(flag("no-build", "Do not build it there to see that it starts, and what it costs"))
        .arg(
            flag("undo", "Take the suite out again: every file as it was before")
                .conflicts_with_all(["how", "rev", "merge", "update", "no-build"]),
        )
}

fn version() -> Command {
    Command::new("version").about("Say which suite this is, where it came from, and what was changed in it")
}

fn completions() -> Command {
    Command::new("completions")
        .about("Print completions of `cargo xtask` for a shell")
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(SHELLS).help("The shell"))
}

fn schema() -> Command {
    Command::new("schema").about("Print the JSON schema of xtask.toml, for editors")
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// The folder to work in.
pub(crate) fn directory(matches: &ArgMatches) -> Utf8PathBuf {
    matches.get_one::<String>("directory").map_or_else(|| Utf8PathBuf::from("."), Utf8PathBuf::from)
}

/// The options about output.
pub(crate) fn output_options(matches: &ArgMatches) -> OutputOptions {
    let colour = match matches.get_one::<String>("color").map(String::as_str) {
        Some("always") => Colour::Always,
        Some("never") => Colour::Never,
        _ => Colour::Auto,
    };
    let set = |name| matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false);
    OutputOptions { colour, json: set("json"), verbose: set("verbose") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_workspace::config::{Config, Members};

    #[test]
    fn the_whole_command_line_is_consistent() {
        let config = Config::defaults(&Members::default());
        let command = command(&config.tiers, &[], OwnXtask::None);
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            assert!(subcommand.get_about().is_some(), "{name} says what it is for");
            let tier = config.tier(name).is_some();
            assert_ne!(tier, RESERVED.contains(&name), "{name} is either a tier or reserved");
            for arg in subcommand.get_arguments() {
                assert!(arg.get_help().is_some(), "{name} {}", arg.get_id());
            }
        }
    }

    #[test]
    fn global_flags_are_known_before_the_tiers_are_wherever_they_stand() {
        let look = |line: &str| {
            let args = line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let matches = first_look(&args);
            (directory(&matches), output_options(&matches).json)
        };
        let table = [
            ("xtask -C /w my-own-tier --forecast", ("/w", false)),
            ("xtask my-own-tier --json -C/w", ("/w", true)),
            ("xtask test-fast", (".", false)),
            ("xtask -C /w --help", ("/w", false)),
            ("xtask with full -- run --json -C /x", (".", false)),
            ("xtask --no-such-flag --json", (".", true)),
        ];
        for (line, (dir, json)) in table {
            assert_eq!(look(line), (Utf8PathBuf::from(dir), json), "{line}");
        }
    }

    #[test]
    fn words_before_the_subcommand_are_parted_from_it() {
        // line, folder, other flags, the rest; nothing where nothing can be passed on
        let table = [
            ("xtask deploy", Some((".", "", "deploy"))),
            ("xtask deploy -C /x --json", Some((".", "", "deploy -C /x --json"))),
            ("xtask -C /w deploy now", Some(("/w", "", "deploy now"))),
            ("xtask -C/w --json deploy", Some(("/w", "--json", "deploy"))),
            ("xtask --color never -v -C /w deploy -- -C", Some(("/w", "--color never -v", "deploy -- -C"))),
            ("xtask --color=never deploy", Some((".", "--color=never", "deploy"))),
            ("xtask", None),
            ("xtask --json", None),
            ("xtask -C", None),
            ("xtask --help deploy", None),
            ("xtask -- deploy", None),
        ];
        for (line, expected) in table {
            let args = line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let found = LeadingFlags::split(&args).map(|(leading, rest)| {
                let others = leading.without_directory().collect::<Vec<_>>().join(" ");
                (leading.directory().into_string(), others, rest.join(" "))
            });
            let expected =
                expected.map(|(dir, others, rest)| (dir.to_owned(), others.to_owned(), rest.to_owned()));
            assert_eq!(found, expected, "{line}");
        }
    }
}
