//! The cargo commands of a tier: what it builds, what it runs, and what it needs whatever it runs for right now.

use std::collections::BTreeSet;

use camino::Utf8Path;
use xtask_workspace::config::{Packages, Preset, Tier, TierCommand};
use xtask_workspace::{CargoCommand, Flag, Workspace, feature_args, package_args, target_args};

use crate::history::ledger;
use crate::runner::Runner;

/// The cargo command of `tier`, with all packages that it may work on and the features of `preset`.
pub fn build_command(workspace: &Workspace, tier: &Tier, preset: Option<&Preset>) -> CargoCommand {
    Shape::of_build(tier, preset).build(workspace, &tier.packages)
}

/// The cargo commands that build what `tier` needs. An affected tier needs what it builds for the whole workspace,
/// and what it built for fewer members since `since_ms` (milliseconds since 1970).
pub fn build_commands(
    workspace: &Workspace,
    tier: &Tier,
    preset: Option<&Preset>,
    since_ms: u64,
) -> Vec<CargoCommand> {
    let shape = Shape::of_build(tier, preset);
    let mut choices = vec![tier.packages.clone()];
    if tier.packages == Packages::Affected {
        choices.extend(narrow(workspace, &tier.name, since_ms).into_iter().map(Packages::List));
    }
    let commands = choices.iter().flat_map(|packages| {
        let command = shape.build(workspace, packages);
        // Doc tests need the libraries, which `--all-targets` and the like leave out.
        let documented = tier.command == TierCommand::Test && tier.doctests && command.has(Flag::Targets);
        let libraries = documented.then(|| command.clone().without(&[Flag::Targets]));
        libraries.into_iter().chain([command])
    });
    commands.collect()
}

/// The members that runs of an affected tier were narrowed to, each choice once. Members that are gone need nothing.
fn narrow(workspace: &Workspace, tier: &str, since_ms: u64) -> BTreeSet<Vec<String>> {
    let lines = ledger(workspace).unwrap_or_default();
    let recent = lines.into_iter().filter(|line| line.tier == tier && line.started_at_ms >= since_ms);
    let choices = recent.map(|line| line.narrow).filter(|choice| !choice.is_empty());
    choices.filter(|choice| choice.iter().all(|name| workspace.facts.member(name).is_some())).collect()
}

/// What runs the tests of a tier, and what it is pointed at.
#[derive(Debug, Clone)]
pub(crate) struct Shape<'a> {
    pub(crate) tier: &'a Tier,
    pub(crate) preset: Option<&'a Preset>,
    pub(crate) runner: Runner,
    /// The configuration that makes nextest write its JUnit report; `None` where it could not be written.
    pub(crate) tool_config: Option<&'a Utf8Path>,
    /// Arguments of the user for the tests' own runner.
    pub(crate) runner_args: &'a [String],
}

impl<'a> Shape<'a> {
    /// Where only what is built matters.
    pub(crate) fn of_build(tier: &'a Tier, preset: Option<&'a Preset>) -> Self {
        Self { tier, preset, runner: Runner::Cargo, tool_config: None, runner_args: &[] }
    }

    /// The tier's own command for `packages`, from which those that run are made.
    pub(crate) fn build(&self, workspace: &Workspace, packages: &Packages) -> CargoCommand {
        let (tier, facts) = (self.tier, &workspace.facts);
        let mut command = CargoCommand::new(workspace.root(), [tier.command.name()]);
        command.env.clone_from(&tier.env);
        command.insert_args(package_args(packages, &tier.exclude, facts));
        let count = command.args.len();
        command.insert_args(target_args(&tier.targets));
        command.insert_args(tier.profile.iter().flat_map(|profile| ["--profile", profile]));
        command.insert_args(tier.args.clone());
        if let Some(preset) = self.preset {
            let features = feature_args(preset, &command.members(facts));
            let others = command.args.split_off(count);
            command.insert_args(features);
            command.args.extend(others);
        }
        command
    }

    /// The commands to run in place of `command`. `only` names the members whose tests are run when the build is wider
    /// than that.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        command: &CargoCommand,
        only: Option<&[String]>,
    ) -> Vec<Step> {
        let nextest = matches!(self.runner, Runner::Nextest { .. });
        // Without a library `cargo test --doc` is an error.
        let members = command.members(&workspace.facts);
        let doctests = self.tier.doctests && members.iter().any(|member| member.has_library());
        // `--all-targets` and the like leave doc tests out; without them cargo runs them in the same call, and the
        // libraries they need are built whether they run or not.
        let separate = doctests && (nextest || command.has(Flag::Targets));
        let kind = match self.tier.command {
            TierCommand::Test if nextest => Kind::Nextest,
            TierCommand::Test if doctests && !separate => Kind::TestsAndDoctests,
            TierCommand::Test => Kind::Tests,
            TierCommand::Bench => Kind::Bench,
            _ => return vec![Step::new(Kind::Compile, command.clone(), None)],
        };
        let doctests = separate.then(|| self.step(Kind::Doctests, command.clone().to_doctests(), only));
        let command = command.clone();
        let command = if nextest { command.to_nextest() } else { command };
        std::iter::once(self.step(kind, command, only)).chain(doctests).collect()
    }

    fn step(&self, kind: Kind, mut command: CargoCommand, only: Option<&[String]>) -> Step {
        let nextest = kind == Kind::Nextest;
        if nextest {
            command.insert_args(self.tier.nextest_profile.iter().flat_map(|profile| ["--profile", profile]));
            let retries = self.tier.retries.map(|retries| ["--retries".to_owned(), retries.to_string()]);
            command.insert_args(retries.into_iter().flatten());
            // Members without tests are no failure.
            command.insert_args(["--no-tests", "pass"]);
        }
        // One failure must not hide the verdict on other members.
        if kind != Kind::Bench && !command.has(Flag::FailFast) {
            command.insert_args(["--no-fail-fast"]);
        }
        if let Some(tool_config) = self.tool_config.filter(|_| nextest) {
            command.insert_args(["--tool-config-file".to_owned(), format!("xtask-suite:{tool_config}")]);
        }
        if let Some(only) = only.filter(|_| nextest) {
            let names = only.iter().map(|name| format!("package(={name})")).collect::<Vec<_>>();
            command.insert_args(["-E".to_owned(), names.join(" | ")]);
        }
        command.runner_args.extend_from_slice(self.runner_args);
        Step::new(kind, command, only.filter(|_| !nextest))
    }
}

/// One call of cargo in a tier.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) command: CargoCommand,
    /// The members whose tests are run; `None` for all that the command builds.
    pub(crate) only: Option<Vec<String>>,
    /// The same without our part in it, short enough to be read and pasted when it failed. It may run more.
    pub(crate) plain: String,
}

impl Step {
    fn new(kind: Kind, command: CargoCommand, only: Option<&[String]>) -> Self {
        Self { kind, plain: command.to_string(), command, only: only.map(<[String]>::to_vec) }
    }
}

/// What a step does, which tells how its output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Check, clippy, build, doc: no tests.
    Compile,
    /// `cargo nextest run`.
    Nextest,
    /// `cargo test` whose doc tests are left out.
    Tests,
    /// `cargo test` with its doc tests.
    TestsAndDoctests,
    /// `cargo test --doc`.
    Doctests,
    /// `cargo bench`.
    Bench,
}
