//! The cargo commands of a tier, as values.

use camino::Utf8Path;
use xtask_workspace::config::{Preset, Targets, Tier, TierCommand};
use xtask_workspace::{CargoCommand, Selection, Workspace, feature_args, profile_args, target_args};

use crate::runner::Runner;

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

impl Shape<'_> {
    /// The command that builds, as it is planned by the shadow: the tier's own, or `cargo test` in place of
    /// nextest, which calls it.
    pub(crate) fn build(&self, workspace: &Workspace, selection: &Selection) -> CargoCommand {
        let tier = self.tier;
        let members = selection.members(&workspace.facts);
        let mut args = vec![tier.command.name().to_owned()];
        args.extend(selection.package_args(&workspace.facts));
        args.extend(self.preset.into_iter().flat_map(|preset| feature_args(preset, &members)));
        args.extend(target_args(&tier.targets));
        args.extend(profile_args(tier.profile.as_deref(), false));
        let mut command = CargoCommand::new(workspace.root(), args);
        command.env.clone_from(&tier.env);
        let (cargo_args, tool_args) = split_at_dashes(&tier.args);
        command.args.extend(cargo_args.iter().cloned());
        // For clippy what follows `--` is part of the units' identity, for tests it is not.
        if !matches!(tier.command, TierCommand::Test | TierCommand::Bench) {
            command.args.extend(tool_args.iter().cloned());
        }
        command
    }

    /// The commands to run. `only` names the members whose tests are run when the build is wider than that.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        selection: &Selection,
        only: Option<&[String]>,
    ) -> Vec<Step> {
        let build = self.build(workspace, selection);
        // Without a library `cargo test --doc` is an error.
        let libraries = selection.members(&workspace.facts).iter().any(|member| member.has_library());
        let doctests = self.tier.doctests && libraries;
        match self.tier.command {
            TierCommand::Test if matches!(self.runner, Runner::Nextest { .. }) => {
                self.nextest(&build, only, doctests)
            }
            TierCommand::Test => self.cargo_test(&build, only, doctests),
            TierCommand::Bench => vec![self.step(Kind::Bench, build, only)],
            _ => vec![Step::new(Kind::Compile, build, None)],
        }
    }

    fn nextest(&self, build: &CargoCommand, only: Option<&[String]>, doctests: bool) -> Vec<Step> {
        let mut command = build.clone();
        // `cargo test ARGS` becomes `cargo nextest run ARGS`; only the profile's flag has another name.
        command.args.splice(0..1, ["nextest".to_owned(), "run".to_owned()]);
        if self.tier.profile.is_some() {
            for arg in &mut command.args {
                if arg == "--profile" {
                    "--cargo-profile".clone_into(arg);
                }
            }
        }
        if let Some(profile) = &self.tier.nextest_profile {
            command.args.extend(["--profile".to_owned(), profile.clone()]);
        }
        if let Some(retries) = self.tier.retries {
            command.args.extend(["--retries".to_owned(), retries.to_string()]);
        }
        // Members without tests are no failure, and one failure must not hide the verdict on other members.
        command.args.extend(["--no-tests".to_owned(), "pass".to_owned(), "--no-fail-fast".to_owned()]);
        if let Some(tool_config) = self.tool_config {
            command.args.extend(["--tool-config-file".to_owned(), format!("xtask-suite:{tool_config}")]);
        }
        if let Some(only) = only {
            let names = only.iter().map(|name| format!("package(={name})")).collect::<Vec<_>>();
            command.args.extend(["-E".to_owned(), names.join(" | ")]);
        }
        self.add_runner_args(&mut command);
        let mut steps = vec![Step::new(Kind::Nextest, command, None)];
        if doctests {
            steps.push(self.doctests(build, only));
        }
        steps
    }

    fn cargo_test(&self, build: &CargoCommand, only: Option<&[String]>, doctests: bool) -> Vec<Step> {
        // `--all-targets` and the like leave doc tests out; without them cargo runs them in the same call,
        // and the libraries they need are built whether they run or not.
        let separate = self.tier.targets != Targets::Default;
        let kind = match (separate, doctests) {
            (false, true) => Kind::TestsAndDoctests,
            _ => Kind::Tests,
        };
        let mut command = build.clone();
        command.args.push("--no-fail-fast".to_owned());
        self.add_runner_args(&mut command);
        let mut steps = vec![self.step(kind, command, only)];
        if separate && doctests {
            steps.push(self.doctests(build, only));
        }
        steps
    }

    /// `cargo test --doc` with the same packages and features.
    fn doctests(&self, build: &CargoCommand, only: Option<&[String]>) -> Step {
        let mut command = build.clone();
        let targets = target_args(&self.tier.targets);
        command.args.retain(|arg| !targets.contains(arg));
        command.args.insert(1, "--doc".to_owned());
        command.args.push("--no-fail-fast".to_owned());
        self.add_runner_args(&mut command);
        self.step(Kind::Doctests, command, only)
    }

    fn step(&self, kind: Kind, mut command: CargoCommand, only: Option<&[String]>) -> Step {
        if kind == Kind::Bench {
            self.add_runner_args(&mut command);
        }
        Step::new(kind, command, only)
    }

    /// The tier's own arguments for the tests, then the user's, behind one `--`.
    fn add_runner_args(&self, command: &mut CargoCommand) {
        let (_, tool_args) = split_at_dashes(&self.tier.args);
        let of_tier = tool_args.iter().skip(1);
        let all = of_tier.chain(self.runner_args).cloned().collect::<Vec<_>>();
        if !all.is_empty() {
            command.args.push("--".to_owned());
            command.args.extend(all);
        }
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

/// Arguments up to the first `--`, and from it on.
fn split_at_dashes(args: &[String]) -> (&[String], &[String]) {
    args.split_at(args.iter().position(|arg| arg == "--").unwrap_or(args.len()))
}
