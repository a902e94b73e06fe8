//! One `cargo check` of all targets that goes on after errors, and what it could not build; and the search for features of
//! a preset that do not go together.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Result, bail};
use xtask_units::{FailedTarget, Record, RunOptions, TargetKind};
use xtask_workspace::config::{Packages, Preset};
use xtask_workspace::{
    CargoCommand, Facts, LocalPackage, Progress, Workspace, feature_args, package_args, preset_features,
};

/// A signal came while cargo was running; its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted(pub i32);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted by signal {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// A target that was not built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) target: FailedTarget,
    /// What was seen, on one line.
    pub(crate) why: String,
}

/// The features of a preset that go together.
pub(crate) struct FoundFeatures {
    /// Those that stay on, as `member/feature`.
    pub(crate) kept: BTreeSet<String>,
    /// Those that are left out, each with what was seen.
    pub(crate) dropped: Vec<(String, String)>,
    /// What fails whatever the features are.
    pub(crate) failures: Vec<Failure>,
}

/// What is checked.
pub(crate) struct Check<'a> {
    pub(crate) workspace: &'a Workspace,
    /// Names of members.
    pub(crate) members: BTreeSet<&'a String>,
    pub(crate) progress: &'a dyn Progress,
}

impl Check<'_> {
    fn packages(&self) -> Vec<&LocalPackage> {
        let members = self.workspace.facts.members();
        members.filter(|member| self.members.contains(&member.name)).collect()
    }

    /// Checks the members with the features of `preset`, or the default ones. Returns the members' targets that failed.
    pub(crate) fn run(&self, preset: Option<&Preset>) -> Result<Vec<Failure>> {
        let facts = &self.workspace.facts;
        let others = facts.members().filter(|member| !self.members.contains(&member.name));
        let exclude = others.map(|member| member.name.clone()).collect::<Vec<_>>();
        let mut args = vec!["check".to_owned()];
        args.extend(package_args(&Packages::Workspace, &exclude, facts));
        args.extend(preset.into_iter().flat_map(|preset| feature_args(preset, &self.packages())));
        args.extend(["--all-targets", "--keep-going"].map(str::to_owned));
        let command = CargoCommand::new(self.workspace.root(), args);
        let options = RunOptions { collect_errors: true, ..RunOptions::default() };
        self.progress.note(&format!("checking: {command}"));
        let record = xtask_units::run(self.workspace, &command, options, self.progress, &mut |_| true)?;
        if let Some(signal) = record.signal {
            return Err(Interrupted(signal).into());
        }
        if record.exit_code == Some(0) {
            return Ok(Vec::new());
        }
        let failures = failures(facts, &self.packages(), &record);
        if failures.is_empty() {
            bail!(
                "nothing was observed: cargo failed (see above), but no member was left unbuilt\n  command: {command}"
            );
        }
        Ok(failures)
    }

    /// Looks for the features of `preset` that cause `failures`, if these are not there with default features alone.
    ///
    /// Features are turned on in halves, so that a few that fail among many cost a few checks each. Of two that exclude
    /// each other the first stays.
    pub(crate) fn search(&self, preset: &Preset, failures: &[Failure]) -> Result<Option<FoundFeatures>> {
        if failures.is_empty() || !preset.default_features {
            return Ok(None);
        }
        let mut found =
            FoundFeatures { kept: BTreeSet::new(), dropped: Vec::new(), failures: self.run(None)? };
        if first_new(failures, &found.failures).is_none() {
            return Ok(None);
        }
        let members = self.packages();
        let all = if preset.all_features {
            let features = members.iter().flat_map(|member| {
                let names = member.features.keys().filter(|name| *name != "default");
                names.map(|name| format!("{}/{name}", member.name))
            });
            features.collect()
        } else {
            preset_features(preset, &members)
        };
        // Those of the members that fail come last, so that the rest of the workspace keeps its features.
        let is_failing = |feature: &String| {
            failures.iter().any(|failure| feature.split('/').next() == Some(&failure.target.package))
        };
        let (failing, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_failing);
        self.turn_on(&others, preset, &mut found)?;
        self.turn_on(&failing, preset, &mut found)?;
        Ok(Some(found))
    }

    /// Turns on all that can be of `candidates`, in their order.
    fn turn_on(&self, candidates: &[String], preset: &Preset, found: &mut FoundFeatures) -> Result<()> {
        if candidates.is_empty() {
            return Ok(());
        }
        let features = found.kept.iter().chain(candidates).cloned().collect::<BTreeSet<_>>();
        let preset = Preset {
            features: features.iter().cloned().collect(),
            all_features: false,
            default_features: true,
            ..preset.clone()
        };
        let failures = self.run(Some(&preset))?;
        match (first_new(&failures, &found.failures), candidates) {
            (None, _) => found.kept = features,
            (Some(failure), [feature]) => found.dropped.push((feature.clone(), failure.why.clone())),
            (Some(_), _) => {
                let (first, second) = candidates.split_at(candidates.len() / 2);
                self.turn_on(first, &preset, found)?;
                self.turn_on(second, &preset, found)?;
            }
        }
        Ok(())
    }
}

/// The first failure whose target is not in `base`.
fn first_new<'a>(failures: &'a [Failure], base: &[Failure]) -> Option<&'a Failure> {
    failures.iter().find(|failure| base.iter().all(|other| other.target != failure.target))
}

/// What a check that failed says of `members`: the targets that did not compile, and those that were never begun because
/// something they need had failed.
fn failures(facts: &Facts, members: &[&LocalPackage], record: &Record) -> Vec<Failure> {
    let mut seen = Vec::new();
    for text in &record.not_compiled {
        let Some(target) = FailedTarget::parse(text) else { continue };
        let error = record.compile_errors.iter().find(|error| {
            let named = target.name.as_ref().is_none_or(|name| *name == error.target);
            error.package == target.package && error.kind == target.kind && named
        });
        let error = error.map(|error| one_line(&error.message));
        let why = format!("{text}: {}", error.as_deref().unwrap_or("the compiler failed"));
        seen.push(Failure { target, why });
    }
    for package in &record.failed_scripts {
        let kind = TargetKind::BuildScript;
        let target = FailedTarget { package: package.clone(), kind, name: None, unit_tests: false };
        seen.push(Failure { target, why: format!("`{package}`: its build script failed") });
    }
    // What failed itself comes first: its reason is the one to tell.
    let (mut found, mut not_begun) = (Vec::new(), Vec::new());
    for member in members {
        let own = seen.iter().filter(|failure| failure.target.package == member.name).collect::<Vec<_>>();
        found.extend(own.iter().copied().cloned());
        // Its own library or build script says it all.
        let is_told = own.iter().any(|Failure { target, .. }| {
            !target.unit_tests && matches!(target.kind, TargetKind::Lib | TargetKind::BuildScript)
        });
        // If cargo names nothing that failed, it failed itself, and nothing was begun.
        let Some(cause) = cause_for(facts, member, &seen).filter(|_| !is_told) else { continue };
        let new = never_begun(member, record).into_iter();
        let new = new.filter(|target| own.iter().all(|failure| failure.target != *target));
        let why = format!("not built, since this failed: {cause}");
        not_begun.extend(new.map(|target| Failure { target, why: why.clone() }));
    }
    found.extend(not_begun);
    found
}

/// The targets that cargo was asked for and that no message is about. What the manifest lets cargo leave out, by
/// `required-features` or `test = false`, is not among them.
fn never_begun(member: &LocalPackage, record: &Record) -> Vec<FailedTarget> {
    let manifest = std::fs::read_to_string(member.dir.join("Cargo.toml")).unwrap_or_default();
    let says = |key: &str, value: &str| {
        manifest.lines().any(|line| line.trim_start().starts_with(key) && line.contains(value))
    };
    let (may_lack_features, may_lack_tests) = (says("required-features", ""), says("test", "false"));
    let mut found = Vec::new();
    for target in &member.targets {
        let kind = TargetKind::from_cargo(&target.kinds);
        let is_lib = kind == TargetKind::Lib;
        if kind == TargetKind::BuildScript || (!is_lib && may_lack_features) {
            continue;
        }
        let units = record
            .units
            .iter()
            .filter(|unit| unit.package == member.name && unit.kind == kind && unit.target == target.name);
        let (tests, plain): (Vec<_>, Vec<_>) = units.partition(|unit| unit.test);
        let unit_tests = match kind {
            TargetKind::Lib | TargetKind::Bin if plain.is_empty() => false,
            TargetKind::Lib | TargetKind::Bin if tests.is_empty() && !may_lack_tests => true,
            TargetKind::Lib | TargetKind::Bin => continue,
            _ if tests.is_empty() && plain.is_empty() && !may_lack_tests => false,
            _ => continue,
        };
        let name = (!is_lib).then(|| target.name.clone());
        found.push(FailedTarget { package: member.name.clone(), kind, name, unit_tests });
    }
    found
}

/// What failed of all that `member` depends on; else of what is not in the workspace, which it may depend on.
fn cause_for<'a>(facts: &Facts, member: &LocalPackage, seen: &'a [Failure]) -> Option<&'a str> {
    let mut needed = BTreeSet::new();
    let mut open = member.dependencies.iter().map(|edge| edge.package).collect::<Vec<_>>();
    while let Some(package) = open.pop() {
        if needed.insert(package) {
            let package = &facts.packages[package];
            open.extend(package.dependencies.iter().filter(|edge| !edge.dev).map(|edge| edge.package));
        }
    }
    let first =
        |is_cause: &dyn Fn(&str) -> bool| seen.iter().find(|failure| is_cause(&failure.target.package));
    let own = first(&|name| needed.iter().any(|&package| facts.packages[package].name == name));
    let foreign = || first(&|name| facts.packages.iter().all(|package| package.name != name));
    own.or_else(foreign).or(seen.first()).map(|failure| failure.why.as_str())
}

/// Words on one line, as long as a line of a comment may be.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "");
    let line = format!("{words:.160}");
    if line.len() < words.len() { line + "…" } else { line }
}
