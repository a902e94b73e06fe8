//! The command line: global flags, subcommands, and a subcommand for every tier.

use camino::Utf8PathBuf;
use clap::{Arg, ArgAction, Command};
use xtask_workspace::config::{OnOverBudget, Tier, age};

use crate::task::Task;

/// Subcommands that no tier may be named after.
pub const RESERVED: [&str; 13] = [
    "setup",
    "doctor",
    "clean-stale",
    "disk",
    "preset",
    "with",
    "verdicts",
    "completions",
    "schema",
    "help",
    "adopt",
    "version",
    "test-inputs",
];

/// Those in the workshop. The launcher has the same list.
pub const WORKSHOP: [&str; 7] = ["setup", "doctor", "clean-stale", "disk", "test-inputs", "adopt", "version"];

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

pub(crate) const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 the task failed, 2 wrong usage or configuration, 3 something required is missing.";

/// The global flags, anywhere before a `--`. They are read before clap's turn, because the subcommands depend on the
/// workspace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Globals {
    pub(crate) dir: Utf8PathBuf,
    /// Whether to colour; `None` depends on the terminal.
    pub(crate) colour: Option<bool>,
    pub(crate) json: bool,
    pub(crate) verbose: bool,
}

impl Globals {
    pub(crate) fn read(args: &[String]) -> Self {
        let mut globals = Self { dir: ".".into(), colour: None, json: false, verbose: false };
        let mut words = args.iter().map(String::as_str).take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            let value = ["-C", "--color="].iter().find_map(|flag| word.strip_prefix(flag));
            match (word, value) {
                ("--json", _) => globals.json = true,
                ("-v" | "--verbose", _) => globals.verbose = true,
                ("--color", _) => globals.colour = colour(words.next().unwrap_or_default()),
                ("-C", _) => globals.dir = words.next().unwrap_or(".").into(),
                (_, Some(dir)) if word.starts_with("-C") => globals.dir = dir.into(),
                (_, Some(when)) => globals.colour = colour(when),
                _ => {}
            }
        }
        globals
    }
}

fn colour(when: &str) -> Option<bool> {
    match when {
        "always" => Some(true),
        "never" => Some(false),
        _ => None,
    }
}

/// The index of the subcommand in `args`, whose first is the program's name; `None` if anything but global flags comes
/// before it.
pub(crate) fn subcommand(args: &[String]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += match args.get(at)?.as_str() {
            "-C" | "--color" => 2,
            "--json" | "-v" | "--verbose" => 1,
            word if word.starts_with("-C") || word.starts_with("--color=") => 1,
            word if word.starts_with('-') => return None,
            _ => return Some(at),
        };
    }
}

pub(crate) fn command(tiers: &[Tier], tasks: &[Task]) -> Command {
    Command::new("xtask")
        .bin_name("cargo xtask")
        .display_name("xtask-suite")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps a Rust workspace fast to build and test")
        .after_help(EXIT_CODES)
        .subcommand_help_heading("Commands")
        .args(global_arguments())
        .subcommands(tiers.iter().map(tier))
        .subcommands(tasks.iter().map(|task| task.command().clone()))
        .subcommands([setup(), doctor(), clean_stale(), disk(), preset(), with()])
        .subcommands([verdicts(), test_inputs(), adopt()])
        .subcommands([
            Command::new("version")
                .about("Show the suite's version, where it came from, and what was changed in it"),
            Command::new("completions")
                .about("Print completions of `cargo xtask` for a shell")
                .arg(positional("shell", "SHELL", "The shell").value_parser(SHELLS)),
            Command::new("schema").about("Print the JSON schema of xtask.toml, for editors"),
        ])
}

pub(crate) fn global_arguments() -> [Arg; 4] {
    let when = option("color", "WHEN", "Colour the output: auto, always, never");
    let when = when.value_parser(["auto", "always", "never"]).hide_possible_values(true);
    let directory = Arg::new("directory").short('C').value_name("PATH");
    [
        directory.help("Work on the workspace in PATH instead of the current one"),
        when,
        flag("json", "Print one JSON document on standard output"),
        flag("verbose", "Explain choices, and show each command").short('v'),
    ]
    .map(|arg| arg.global(true))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn positional(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(value).required(true).help(help)
}

fn trailing(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(value).help(help).num_args(1..).last(true).allow_hyphen_values(true)
}

fn tier(tier: &Tier) -> Command {
    let tests = matches!(tier.command.name(), "test" | "bench");
    let yes = flag("yes", "First install the tools that it needs and that are missing");
    let fresh = flag("fresh", "Run every test program, whatever is remembered");
    let deferred = flag("deferred", "Run what an earlier run deferred");
    let runner_args = trailing("runner-args", "ARGS", "Arguments for the test runner, after `--`");
    Command::new(tier.name.clone())
        .about(tier.about.clone())
        .arg(flag("forecast", "Show what would be compiled and about how long it takes; run nothing"))
        .arg(flag("dry-run", "Print the exact commands; run nothing"))
        .args((tier.command.name() == "test").then_some(fresh))
        .args((tier.on_over_budget == OnOverBudget::Defer).then_some(deferred))
        .args((!tier.tools.is_empty()).then_some(yes))
        .args(tests.then(|| runner_args.num_args(0..)))
}

fn setup() -> Command {
    let tier = option("for", "TIER", "Only install and prove the tools that TIER needs; change no settings");
    let install = [
        flag("yes", "Let the system's package manager install without asking; sudo always asks"),
        flag("offline", "Download nothing"),
        flag("no-measure", "Do not measure linkers, which builds the tests once; keep the current one"),
        flag("again", "Repeat earlier proofs and measurements"),
        tier.conflicts_with_all(["offline", "no-measure", "again"]),
    ];
    Command::new("setup")
        .about("Install and prove the tools that make builds fast, and configure them for this machine")
        .arg(flag("dry-run", "Show what would be done; change nothing"))
        .args(install.map(|arg| arg.conflicts_with("undo")))
        .arg(flag("undo", "Undo the settings of this machine; keep the tools"))
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Check what slows down or breaks builds on this machine, and how to fix it")
        .arg(flag("fix", "Make the safe fixes in this workspace's own files, and check again"))
}

fn clean_stale() -> Command {
    let grace = option("grace", "AGE", "Keep what was built within AGE: `12h`, `2d`, or `0` for nothing");
    Command::new("clean-stale")
        .about("Remove from the build dir what nothing needs any more; nothing recompiles afterwards")
        .arg(flag("dry-run", "Show what would be removed and why; remove nothing"))
        .arg(flag("verify", "Build the tiers afterwards, without running tests, and count what recompiled"))
        .arg(grace.value_parser(|text: &str| age(text).ok_or("write `0`, `30min`, `12h` or `2d`")))
        .arg(flag("yes", "Sweep a target dir that cargo has not marked as its own"))
}

fn disk() -> Command {
    let top = option("top", "N", "How many packages and crates to list").default_value("10");
    Command::new("disk")
        .about("Show what takes up the space in the build dir")
        .arg(top.value_parser(clap::value_parser!(usize)))
}

fn test_inputs() -> Command {
    let package = option("package", "NAME", "Observe the tests of NAME; may be repeated [default: all]");
    let tier = option("tier", "TIER", "Build and run what TIER tests").default_value("test-fast");
    Command::new("test-inputs")
        .about("Observe what tests read and whether they use the network, for xtask.toml (Linux, strace)")
        .arg(package.short('p').action(ArgAction::Append))
        .arg(tier)
        .arg(flag("apply", "Write what was seen into xtask.toml"))
        .arg(flag("undo", "Undo what --apply wrote").conflicts_with_all(["apply", "package"]))
}

fn preset() -> Command {
    Command::new("preset")
        .about("Show named feature selections and compare what they compile")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands([
            Command::new("list").about("List the presets"),
            Command::new("show").about("Show what a preset turns on in each member").arg(positional(
                "name",
                "NAME",
                "The preset",
            )),
            Command::new("compare")
                .about("Show which units two presets share, which each adds, and what splits them")
                .arg(positional("first", "A", "A preset"))
                .arg(positional("second", "B", "Another preset"))
                .arg(option("tier", "TIER", "Take command, packages and targets from TIER")),
        ])
}

fn with() -> Command {
    let command = "The cargo command, after `--`: `with full -- clippy --workspace`";
    Command::new("with")
        .about("Run any cargo command with the features of a preset")
        .arg(positional("preset", "PRESET", "The preset"))
        .arg(flag("dry-run", "Print the exact command; run nothing"))
        .arg(trailing("cargo-args", "CARGO COMMAND", command).required(true))
}

fn verdicts() -> Command {
    Command::new("verdicts")
        .about("Show which passes of test programs are remembered, and what stopped that")
        .arg(flag(
            "accept",
            "After a mismatch: show it, forget the pass that it contradicts, and remember again",
        ))
}

fn adopt() -> Command {
    let path = positional("path", "PATH", "The workspace, or a folder in it [default: the current one]");
    let path = path.required(false).default_value(".").hide_default_value(true);
    let how = [
        flag("vendor", "Copy the suite's sources there (the default)"),
        flag("from-path", "Build it from this clone, to try it on this machine").long("path"),
        option("git", "URL", "Let cargo fetch it from URL").requires("rev"),
    ];
    let discard = "With --update: overwrite files of the suite that were changed there";
    let observe = "Check the adopted workspace once, and exclude in xtask.toml what does not build here";
    let others = ["how", "rev", "merge", "update", "no-build"];
    Command::new("adopt")
        .about("Put the suite into another workspace")
        .arg(path)
        .arg(flag("dry-run", "Show every change; change nothing"))
        .args(how.map(|arg| arg.group("how")))
        .arg(option("rev", "REV", "The commit, tag or branch to fetch").requires("git"))
        .arg(flag("merge", "Keep the workspace's own `xtask`: `cargo xtask` passes other commands on to it"))
        .arg(flag("update", "Update the suite there to the version of this clone"))
        .arg(flag("discard-changes", discard).requires("update"))
        .arg(flag("no-build", "Skip the build there, which checks that it starts and what it costs"))
        .arg(flag("observe", observe).conflicts_with_all(others).conflicts_with("undo"))
        .arg(flag("undo", "Remove the suite again, and restore every file").conflicts_with_all(others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_workspace::Facts;
    use xtask_workspace::config::Config;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_whole_command_line_is_consistent() {
        let config = Config::defaults(&Facts::default());
        let command = command(&config.tiers, &[]);
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
    fn global_flags_are_read_wherever_they_are() {
        // line, folder, colour, json, verbose
        let table = [
            ("xtask -C /w my-own-tier --forecast", "/w", None, false, false),
            ("xtask my-own-tier --json -C/w", "/w", None, true, false),
            ("xtask test-fast", ".", None, false, false),
            ("xtask -C /w --help", "/w", None, false, false),
            ("xtask with full -- run --json -C /x", ".", None, false, false),
            ("xtask --no-such-flag --json", ".", None, true, false),
            ("xtask --color always -v lint", ".", Some(true), false, true),
            ("xtask lint --verbose --color=never", ".", Some(false), false, true),
            ("xtask -C", ".", None, false, false),
        ];
        for (line, dir, colour, json, verbose) in table {
            let expected = Globals { dir: dir.into(), colour, json, verbose };
            assert_eq!(Globals::read(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn the_subcommand_is_found_behind_global_flags_only() {
        let table = [
            ("xtask deploy", Some(1)),
            ("xtask deploy -C /x --json", Some(1)),
            ("xtask -C /w deploy now", Some(3)),
            ("xtask -C/w --json deploy", Some(3)),
            ("xtask --color never -v -C /w deploy -- -C", Some(6)),
            ("xtask --color=never deploy", Some(2)),
            ("xtask", None),
            ("xtask --json", None),
            ("xtask -C", None),
            ("xtask --help deploy", None),
            ("xtask -- deploy", None),
        ];
        for (line, expected) in table {
            assert_eq!(subcommand(&words(line)), expected, "{line}");
        }
    }
}
