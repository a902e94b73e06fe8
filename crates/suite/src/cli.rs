//! The command line: flags, subcommands, and a subcommand for every tier.

mod subcommands;

use camino::Utf8PathBuf;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use xtask_workspace::config::Tier;

use crate::commands::OWN_XTASK;
use crate::shell::{Colour, OutputOptions};
use crate::task::Task;

/// Subcommands that no tier may be named after.
pub const RESERVED: [&str; 11] = [
    "setup",
    "doctor",
    "clean-stale",
    "disk",
    "preset",
    "with",
    "completions",
    "schema",
    "help",
    "adopt",
    "version",
];

/// The subcommands of them that the workshop has, the program that is built when one is first asked for. The launcher
/// has the same list.
pub const WORKSHOP: [&str; 6] = ["setup", "doctor", "clean-stale", "disk", "adopt", "version"];

/// The workshop's binary.
pub(crate) const WORKSHOP_PROGRAM: &str = "xtask-workshop";

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
        command = command.subcommand(subcommands::tier(tier));
    }
    for task in tasks {
        command = command.subcommand(task.command().clone());
    }
    command.subcommands(subcommands::own())
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
    use xtask_workspace::Facts;
    use xtask_workspace::config::Config;

    #[test]
    fn the_whole_command_line_is_consistent() {
        let config = Config::defaults(&Facts::default());
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
