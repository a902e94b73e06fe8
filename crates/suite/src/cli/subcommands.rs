//! What each subcommand takes.

use clap::{Arg, ArgAction, Command, ValueHint};
use xtask_workspace::config::{Tier, age};

use super::SHELLS;

/// All but those of tiers and of the workspace's own tasks, in the order of `--help`.
pub(super) fn own() -> [Command; 10] {
    [setup(), doctor(), clean_stale(), disk(), preset(), with(), adopt(), version(), completions(), schema()]
}

/// That of a tier.
pub(super) fn tier(tier: &Tier) -> Command {
    let tests = matches!(tier.command.name(), "test" | "bench");
    let mut command = Command::new(tier.name.clone())
        .about(tier.about.clone())
        .arg(flag("forecast", "Say what would be compiled and about how long that takes; run nothing"))
        .arg(flag("dry-run", "Print the exact commands; run nothing"));
    if !tier.tools.is_empty() {
        command = command.arg(flag("yes", "Install the tools that it needs and that are missing, first"));
    }
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

fn setup() -> Command {
    let not_with_undo = |name: &'static str, help: &'static str| flag(name, help).conflicts_with("undo");
    Command::new("setup")
        .about("Install and prove the tools that make builds fast, and set them for this machine")
        .arg(flag("dry-run", "Say what would be done; change nothing"))
        .arg(not_with_undo(
            "yes",
            "Let the system's package manager install without asking; with sudo it always asks",
        ))
        .arg(not_with_undo("offline", "Download nothing; use what is there"))
        .arg(not_with_undo(
            "no-measure",
            "Do not measure linkers, which builds the tests once; keep the one in use",
        ))
        .arg(not_with_undo("again", "Repeat earlier proofs and measurements"))
        .arg(
            not_with_undo("for", "Only the tools that TIER needs: install and prove them, set nothing")
                .action(ArgAction::Set)
                .value_name("TIER")
                .conflicts_with_all(["offline", "no-measure", "again"]),
        )
        .arg(flag("undo", "Undo the settings of this machine; tools stay"))
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Check what slows down or breaks builds on this machine, and how to fix it")
        .arg(flag("fix", "Make the safe fixes to this workspace's own files, and check again"))
}

fn clean_stale() -> Command {
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
            flag(
                "observe",
                "Check the adopted workspace once; leave out in xtask.toml what does not build here",
            )
            .conflicts_with_all(["how", "rev", "merge", "update", "no-build", "undo"]),
        )
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
