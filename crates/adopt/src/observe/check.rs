//! One `cargo check` of all targets that goes on after errors, and what of the members it could not build.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Result, bail};
use xtask_units::{FailedTarget, Record, RunOptions, TargetKind};
use xtask_workspace::config::{Packages, Preset};
use xtask_workspace::{CargoCommand, Facts, LocalPackage, Progress, Workspace, feature_args, package_args};

/// A signal came while cargo was running; its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted(pub i32);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted by signal {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// A target of a member that was not built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) member: String,
    pub(crate) kind: TargetKind,
    /// Whether it is the unit tests of the library or the program.
    pub(crate) unit_tests: bool,
    /// The target's name; `None` for the library and the build script.
    pub(crate) name: Option<String>,
    /// What was seen, on one line.
    pub(crate) why: String,
}

impl Failure {
    /// Whether it is the same target, whatever was seen of it.
    pub(crate) fn is_of_same_target(&self, other: &Self) -> bool {
        let target = |failure: &Self| {
            let Self { member, kind, unit_tests, name, .. } = failure;
            (member.clone(), *kind, *unit_tests, name.clone())
        };
        target(self) == target(other)
    }
}

/// What is checked.
pub(crate) struct Check<'a> {
    pub(crate) workspace: &'a Workspace,
    /// Names of members.
    pub(crate) members: &'a [String],
    pub(crate) progress: &'a dyn Progress,
}

impl Check<'_> {
    /// The members.
    pub(crate) fn packages(&self) -> Vec<&LocalPackage> {
        let members = self.workspace.facts.members();
        members.filter(|member| self.members.contains(&member.name)).collect()
    }

    /// Checks the members with the features of `preset`, or the default ones.
    pub(crate) fn run(&self, preset: Option<&Preset>) -> Result<Vec<Failure>> {
        let facts = &self.workspace.facts;
        let others = facts.members().map(|member| member.name.clone());
        let exclude = others.filter(|name| !self.members.contains(name)).collect::<Vec<_>>();
        let mut args = vec!["check".to_owned()];
        args.extend(package_args(&Packages::Workspace, &exclude, facts));
        args.extend(preset.into_iter().flat_map(|preset| feature_args(preset, &self.packages())));
        args.extend(["--all-targets", "--keep-going"].map(str::to_owned));
        let command = CargoCommand::new(self.workspace.root(), args);
        let options = RunOptions { collect_errors: true, ..RunOptions::default() };
        self.progress.note(&format!("checking: {command}"));
        let record = xtask_units::run(self.workspace, &command, options, self.progress, &mut |_| {})?;
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
}

/// What a check that failed says of `members`: the targets that did not compile, and those that were never begun because
/// something they need had failed.
fn failures(facts: &Facts, members: &[&LocalPackage], record: &Record) -> Vec<Failure> {
    let is_member = |name: &str| members.iter().any(|member| member.name == name);
    let mut found = Vec::new();
    let mut causes = Vec::<(String, String)>::new();
    for text in &record.not_compiled {
        let Some(target) = FailedTarget::parse(text) else { continue };
        let errors = record.compile_errors.iter().filter(|error| {
            let named = target.name.as_ref().is_none_or(|name| *name == error.target);
            error.package == target.package && error.kind == target.kind && named
        });
        let error = errors.map(|error| one_line(&error.message)).next();
        let why = format!("{text}: {}", error.as_deref().unwrap_or("the compiler failed"));
        let FailedTarget { package, kind, name, unit_tests } = target;
        if is_member(&package) {
            found.push(Failure { member: package.clone(), kind, unit_tests, name, why: why.clone() });
        }
        causes.push((package, why));
    }
    for package in &record.failed_scripts {
        let why = format!("`{package}`: its build script failed");
        if is_member(package) {
            let member = package.clone();
            let kind = TargetKind::BuildScript;
            found.push(Failure { member, kind, unit_tests: false, name: None, why: why.clone() });
        }
        causes.push((package.clone(), why));
    }
    // Where nothing failed that cargo names, it failed itself: nothing was begun, whatever the members are like.
    for member in members.iter().filter(|_| !causes.is_empty()) {
        // Its own library or build script says it all.
        let is_told = found.iter().any(|failure| {
            failure.member == member.name
                && !failure.unit_tests
                && matches!(failure.kind, TargetKind::Lib | TargetKind::BuildScript)
        });
        if is_told {
            continue;
        }
        let why = || format!("not built, since this failed: {}", cause_for(facts, member, &causes));
        let never_begun = never_begun(member, record).into_iter().map(|(kind, name, unit_tests)| Failure {
            member: member.name.clone(),
            kind,
            unit_tests,
            name,
            why: why(),
        });
        let new = never_begun.filter(|new| found.iter().all(|old| !old.is_of_same_target(new)));
        let new = new.collect::<Vec<_>>();
        found.extend(new);
    }
    found
}

/// The targets that cargo was asked for and that no message tells of. What the manifest lets cargo leave out, by
/// `required-features` or `test = false`, is not among them.
fn never_begun(member: &LocalPackage, record: &Record) -> Vec<(TargetKind, Option<String>, bool)> {
    let manifest = std::fs::read_to_string(member.dir.join("Cargo.toml")).unwrap_or_default();
    let says = |key: &str, value: &str| {
        manifest.lines().any(|line| line.trim_start().starts_with(key) && line.contains(value))
    };
    let (may_lack_features, may_lack_tests) = (says("required-features", ""), says("test", "false"));
    let built = record.units.iter().filter(|unit| unit.package == member.name).collect::<Vec<_>>();
    let mut found = Vec::new();
    for target in &member.targets {
        let kind = TargetKind::from_cargo(&target.kinds);
        let is_lib = kind == TargetKind::Lib;
        let units = built.iter().filter(|unit| unit.kind == kind && unit.target == target.name);
        let tests = units.clone().any(|unit| unit.test);
        let plain = units.clone().any(|unit| !unit.test);
        let name = (!is_lib).then(|| target.name.clone());
        let has_units = tests || plain;
        match kind {
            TargetKind::BuildScript => {}
            _ if !is_lib && may_lack_features => {}
            TargetKind::Lib | TargetKind::Bin => {
                if !plain {
                    found.push((kind, name, false));
                } else if !tests && !may_lack_tests {
                    found.push((kind, name, true));
                }
            }
            _ if !has_units && !may_lack_tests => found.push((kind, name, false)),
            _ => {}
        }
    }
    found
}

/// What failed of all that `member` depends on; else of what is no member, which it may depend on.
fn cause_for(facts: &Facts, member: &LocalPackage, causes: &[(String, String)]) -> String {
    let mut needed = BTreeSet::new();
    let mut open = member.dependencies.iter().map(|edge| edge.package).collect::<Vec<_>>();
    while let Some(package) = open.pop() {
        if needed.insert(package) {
            let package = &facts.packages[package];
            open.extend(package.dependencies.iter().filter(|edge| !edge.dev).map(|edge| edge.package));
        }
    }
    let is_needed = |name: &str| needed.iter().any(|&package| facts.packages[package].name == name);
    let is_local = |name: &str| facts.packages.iter().any(|package| package.name == name);
    let own = causes.iter().find(|(package, _)| is_needed(package));
    let foreign = causes.iter().find(|(package, _)| !is_local(package));
    own.or(foreign).or(causes.first()).map_or_else(String::new, |(_, why)| why.clone())
}

/// Words on one line, as long as a line of a comment may be.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 160;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = words.chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>();
    if line.len() < words.len() {
        line.push('…');
    }
    line
}
