//! What each default tier must leave out in this workspace.

use std::collections::{BTreeMap, BTreeSet};

use xtask_workspace::config::{Config, Members, Packages, Targets, TierCommand};

use super::ci::{Action, CiCommand};
use super::evidence::{Evidence, Kind};
use super::features::{Active, Feature, obstacles};
use super::source::What;

/// The features that the tiers run with.
pub(super) struct Selections {
    pub(super) common: BTreeSet<Feature>,
    pub(super) full: BTreeSet<Feature>,
}

/// A default tier as it has to be known here.
struct DefaultTier {
    name: String,
    action: Action,
    all_targets: bool,
    affected: bool,
    /// Its preset, where that is one of the [`Selections`].
    preset: Option<String>,
}

/// The default tiers, as a workspace has them where there is a preset `common`.
fn default_tiers() -> impl Iterator<Item = DefaultTier> {
    let members = Members::from_iter([("", ["common"])]);
    Config::defaults(&members).tiers.into_iter().map(|tier| DefaultTier {
        name: tier.name,
        action: match tier.command {
            TierCommand::Test | TierCommand::Bench => Action::Test,
            TierCommand::Check | TierCommand::Clippy => Action::Check,
            TierCommand::Build | TierCommand::Doc => Action::Build,
        },
        all_targets: tier.targets == Targets::All,
        affected: tier.packages == Packages::Affected,
        preset: tier.preset,
    })
}

/// What a tier must say.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Only the default members, and why.
    pub(super) default_members: Option<String>,
    /// Members, each with what keeps it out.
    pub(super) exclude: BTreeMap<String, String>,
    /// Kinds of targets, each with what keeps them out.
    pub(super) without: BTreeMap<Kind, Vec<String>>,
    /// The list of kinds that is left; empty if none is kept out.
    pub(super) targets: Vec<&'static str>,
    /// nextest's profile, and why.
    pub(super) nextest_profile: Option<(String, String)>,
}

impl Change {
    fn is_empty(&self) -> bool {
        self.default_members.is_none()
            && self.exclude.is_empty()
            && self.without.is_empty()
            && self.nextest_profile.is_none()
    }
}

/// The tiers that must differ from the default, in their order.
pub(super) fn changes(
    evidence: &Evidence,
    selections: &Selections,
    notes: &mut Vec<String>,
) -> Vec<(String, Change)> {
    let none = BTreeSet::new();
    let mut changes = Vec::new();
    for tier in default_tiers() {
        let features = match tier.preset.as_deref() {
            Some("common") => &selections.common,
            Some("full") => &selections.full,
            _ => &none,
        };
        let active = Active::new(evidence, features, true);
        let mut change = Change::default();
        as_built(evidence, &tier, &active, &mut change);
        unfit(evidence, &mut change);
        as_excluded(evidence, &tier, &mut change);
        as_default_members(evidence, &tier, &mut change);
        if evidence.members().all(|(_, member)| change.exclude.contains_key(&member.name)) {
            notes.push(format!(
                "{}: no member is left that builds here, so the tier is as it was ({})",
                tier.name,
                change.exclude.values().next().map_or("", String::as_str)
            ));
            continue;
        }
        if tier.name == "test-full" {
            change.nextest_profile = nextest_profile(evidence);
        }
        change.targets = targets(evidence, &tier, &change);
        if !change.is_empty() {
            changes.push((tier.name, change));
        }
    }
    changes
}

/// Targets that would not compile, and benches that would not end as a test does.
fn as_built(evidence: &Evidence, tier: &DefaultTier, active: &Active, change: &mut Change) {
    let tests = tier.action == Action::Test || tier.all_targets;
    let mut broken = BTreeSet::new();
    for found in obstacles(evidence) {
        let kind = found.target.kind;
        let package = &evidence.packages[found.package];
        let plain = found.holds(evidence, active, false);
        if plain && matches!(kind, Kind::Lib | Kind::BuildScript) && found.obstacle.what != What::BareMetal {
            broken.insert(found.package);
        }
        let built = match kind {
            Kind::Lib | Kind::Bin | Kind::BuildScript => true,
            Kind::Test | Kind::Example => tests,
            Kind::Bench => tier.all_targets,
        };
        if !package.member || !built || !(plain || (tests && found.holds(evidence, active, true))) {
            continue;
        }
        let why = format!("{}{}", found.shown(), needs(found.obstacle.what));
        match kind {
            Kind::Example | Kind::Bench => change.without.entry(kind).or_default().push(why),
            _ => drop(change.exclude.entry(package.name.clone()).or_insert(why)),
        }
    }
    dependents(evidence, active, tests, broken, change);
    if tier.action == Action::Test && tier.all_targets {
        for target in evidence.members().flat_map(|(_, member)| &member.targets) {
            if let Some(why) = &target.no_test {
                change.without.entry(Kind::Bench).or_default().push(why.clone());
            }
        }
    }
}

fn needs(what: What) -> &'static str {
    match what {
        What::Nightly => " needs a nightly toolchain",
        What::CompileError => " is in force",
        What::BareMetal => " without `std`: not made for this machine",
    }
}

/// Members that need a package that is not built.
fn dependents(
    evidence: &Evidence,
    active: &Active,
    tests: bool,
    mut broken: BTreeSet<usize>,
    change: &mut Change,
) {
    loop {
        let before = broken.len();
        for (number, package) in evidence.packages.iter().enumerate() {
            let needed = package.dependencies.iter().find(|dependency| {
                broken.contains(&dependency.package)
                    && (!dependency.dev || (tests && package.member))
                    && active.uses(number, &dependency.key, dependency.optional)
            });
            let Some(needed) = needed.filter(|_| !broken.contains(&number)) else { continue };
            broken.insert(number);
            if package.member {
                let why =
                    format!("{} depends on {}", package.manifest, evidence.packages[needed.package].name);
                change.exclude.entry(package.name.clone()).or_insert(why);
            }
        }
        if broken.len() == before {
            return;
        }
    }
}

/// Members made for another machine or another way of building.
fn unfit(evidence: &Evidence, change: &mut Change) {
    for (_, member) in evidence.members() {
        let fuzzers = ["libfuzzer-sys", "afl", "honggfuzz"];
        let fuzzer = fuzzers.iter().find(|name| member.asks_for.contains_key(**name));
        let why = match (&member.own_target, fuzzer) {
            (Some(place), _) => {
                format!("{place} builds it for a target of its own, from its own folder only")
            }
            (None, Some(fuzzer)) => {
                format!(
                    "{}: fuzz targets on {fuzzer}, which its own command builds and runs",
                    member.manifest
                )
            }
            (None, None) => continue,
        };
        change.exclude.entry(member.name.clone()).or_insert(why);
    }
}

/// Members that the workspace's own commands leave out wherever they take the whole workspace.
fn as_excluded(evidence: &Evidence, tier: &DefaultTier, change: &mut Change) {
    let wide = evidence.commands.iter().filter(|command| command.workspace && !command.elsewhere);
    let same = |command: &&CiCommand| command.action.is_none_or(|action| action == tier.action);
    let mut of_tier = wide.clone().filter(same).collect::<Vec<_>>();
    if of_tier.iter().all(|command| command.action.is_none()) {
        of_tier = wide.collect();
    }
    let Some(first) = of_tier.iter().find(|command| command.action.is_some()) else { return };
    for name in &first.exclude {
        let everywhere = of_tier.iter().all(|command| command.exclude.contains(name));
        if everywhere && evidence.member(name).is_some() {
            let place = first.place.as_ref().map(ToString::to_string).unwrap_or_default();
            let all = of_tier.iter().filter(|command| command.action.is_some()).count();
            let rest =
                if all > 1 { format!(", as in all {all} commands of its kind") } else { String::new() };
            let why = format!("{place}: `--exclude {name}`{rest}");
            change.exclude.entry(name.clone()).or_insert(why);
        }
    }
}

/// Where the workspace's own commands never take more than the default members.
fn as_default_members(evidence: &Evidence, tier: &DefaultTier, change: &mut Change) {
    let Some(default) = &evidence.default_members else { return };
    let mut commands = evidence.commands.iter();
    let tested = commands.clone().find(|command| command.action == Some(Action::Test) && !command.elsewhere);
    let Some(tested) = tested.filter(|_| !commands.any(|command| command.workspace)) else { return };
    let place = tested.place.as_ref().map(ToString::to_string).unwrap_or_default();
    let why = format!(
        "Cargo.toml has `default-members`, and no command takes `--workspace`: {place} is `cargo test`"
    );
    let rest = evidence.members().filter(|(_, member)| !default.contains(&member.name)).collect::<Vec<_>>();
    if rest.is_empty() {
        return;
    }
    if !tier.affected {
        change.default_members = Some(why);
        change.exclude.retain(|name, _| default.contains(name));
        return;
    }
    for (_, member) in rest {
        let folder = member.manifest.trim_end_matches("Cargo.toml").trim_end_matches('/');
        let named = |command: &CiCommand| {
            command.packages.contains(&member.name) || command.folder.as_deref() == Some(folder)
        };
        if !evidence.commands.iter().any(named) {
            change.exclude.entry(member.name.clone()).or_insert_with(|| why.clone());
        }
    }
}

/// The profile that all of the workspace's own runs of nextest have.
fn nextest_profile(evidence: &Evidence) -> Option<(String, String)> {
    let mut runs = evidence.commands.iter().filter(|command| command.nextest && !command.elsewhere);
    let first = runs.next()?;
    let profile = first.profile.clone().filter(|name| name != "default")?;
    let same = runs.all(|command| command.profile.as_ref() == Some(&profile));
    let place = first.place.as_ref()?;
    (same && evidence.nextest_profiles.contains(&profile))
        .then(|| (profile, format!("{place} runs nextest with it")))
}

/// The kinds of targets that are left, of those that there are.
fn targets(evidence: &Evidence, tier: &DefaultTier, change: &Change) -> Vec<&'static str> {
    if change.without.is_empty() {
        return Vec::new();
    }
    let kept = |(_, member): &(usize, &super::evidence::Package)| !change.exclude.contains_key(&member.name);
    let there = evidence.members().filter(kept).flat_map(|(_, member)| &member.targets);
    let there = there.map(|target| target.kind).collect::<BTreeSet<_>>();
    let kinds = [
        (Kind::Lib, "lib"),
        (Kind::Bin, "bins"),
        (Kind::Test, "tests"),
        (Kind::Example, "examples"),
        (Kind::Bench, "benches"),
    ];
    let kinds = kinds.into_iter().filter(|(kind, _)| {
        // Unit tests are `tests` too.
        let is_there = there.contains(kind) || *kind == Kind::Test;
        let is_asked = *kind != Kind::Bench || tier.all_targets;
        is_there && is_asked && !change.without.contains_key(kind)
    });
    kinds.map(|(_, name)| name).collect()
}
