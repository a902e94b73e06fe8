//! Which features a selection turns on, and which selections can be built.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Condition, Setting};
use super::evidence::{Evidence, Kind, Target};
use super::source::{Obstacle, What};

/// A feature of a package, by the package's number.
pub(super) type Feature = (usize, String);

/// What a command has turned on: by package, `None` where it is not built at all.
pub(super) struct Active {
    packages: Vec<Option<BTreeSet<String>>>,
    /// Optional dependencies that are on, by package and key.
    optional: BTreeSet<(usize, String)>,
}

/// An obstacle and the target it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct InTarget<'a> {
    pub(super) package: usize,
    pub(super) target: &'a Target,
    pub(super) obstacle: &'a Obstacle,
}

impl InTarget<'_> {
    /// The place and the code.
    pub(super) fn shown(&self) -> String {
        format!("{}: `{}`", self.obstacle.place, self.obstacle.code)
    }

    /// When the target is built and the obstacle in force.
    fn condition(&self) -> Condition {
        let required = self
            .target
            .required
            .iter()
            .map(|feature| Condition::Value("feature".to_owned(), feature.clone()));
        required.fold(self.obstacle.when.clone(), |all, one| one.and(all))
    }

    /// Whether it is certainly in force.
    pub(super) fn holds(&self, evidence: &Evidence, active: &Active, test: bool) -> bool {
        let Some(features) = &active.packages[self.package] else { return false };
        // An example is never built with the harness.
        let test = test && self.target.kind != Kind::Example && self.target.kind != Kind::BuildScript;
        let targets = &evidence.packages[self.package].targets;
        let has_script = targets.iter().any(|target| target.kind == Kind::BuildScript);
        let no_own_flags = !has_script && !evidence.sets_flags;
        let setting = Setting { features, test, host: &evidence.host, no_own_flags };
        self.condition().holds(setting) == Some(true)
    }
}

impl Active {
    /// Turned on by a workspace-wide command with these features and, if wanted, the default ones.
    pub(super) fn new(evidence: &Evidence, requested: &BTreeSet<Feature>, default: bool) -> Self {
        let packages = evidence.packages.iter().map(|package| package.member.then(BTreeSet::new)).collect();
        let mut active = Self { packages, optional: BTreeSet::new() };
        for (number, feature) in requested {
            active.add(*number, feature);
        }
        for (number, member) in evidence.members() {
            if default && member.features.contains_key("default") {
                active.add(number, "default");
            }
        }
        while active.step(evidence) {}
        active
    }

    /// Whether the feature of the package is on.
    pub(super) fn has(&self, package: usize, feature: &str) -> bool {
        self.packages[package].as_ref().is_some_and(|features| features.contains(feature))
    }

    /// Whether the dependency of the package is built.
    pub(super) fn uses(&self, package: usize, key: &str, optional: bool) -> bool {
        self.packages[package].is_some() && (!optional || self.optional.contains(&(package, key.to_owned())))
    }

    fn add(&mut self, package: usize, feature: &str) -> bool {
        self.packages[package].get_or_insert_default().insert(feature.to_owned())
    }

    /// One round of what features and dependencies turn on. False when nothing was added.
    fn step(&mut self, evidence: &Evidence) -> bool {
        let mut changed = false;
        for (number, package) in evidence.packages.iter().enumerate() {
            let Some(features) = self.packages[number].clone() else { continue };
            let values = features.iter().filter_map(|feature| package.features.get(feature)).flatten();
            for value in values {
                changed |= self.turn_on(evidence, number, value);
            }
            for dependency in &package.dependencies {
                if (dependency.dev && !package.member)
                    || !self.uses(number, &dependency.key, dependency.optional)
                {
                    continue;
                }
                let to = dependency.package;
                if self.packages[to].is_none() {
                    self.packages[to] = Some(BTreeSet::new());
                    changed = true;
                }
                let default =
                    dependency.default_features && evidence.packages[to].features.contains_key("default");
                for feature in
                    dependency.features.iter().map(String::as_str).chain(default.then_some("default"))
                {
                    changed |= self.add(to, feature);
                }
            }
        }
        changed
    }

    /// One value of a feature: `other`, `dep:key`, `key/feature` or `key?/feature`.
    fn turn_on(&mut self, evidence: &Evidence, number: usize, value: &str) -> bool {
        if let Some(key) = value.strip_prefix("dep:") {
            return self.optional.insert((number, key.to_owned()));
        }
        let Some((key, feature)) = value.split_once('/') else { return self.add(number, value) };
        let weak = key.ends_with('?');
        let key = key.trim_end_matches('?');
        let mut changed = !weak && self.optional.insert((number, key.to_owned()));
        let dependencies = evidence.packages[number].dependencies.iter();
        for dependency in dependencies.filter(|dependency| dependency.key == key) {
            if self.uses(number, key, dependency.optional) {
                changed |= self.add(dependency.package, feature);
            }
        }
        changed
    }
}

/// All obstacles that count on this toolchain.
pub(super) fn obstacles(evidence: &Evidence) -> impl Iterator<Item = InTarget<'_>> {
    let counts = |obstacle: &&Obstacle| obstacle.what != What::Nightly || evidence.stable;
    evidence.packages.iter().enumerate().flat_map(move |(package, facts)| {
        facts.targets.iter().flat_map(move |target| {
            let found = target.obstacles.iter().filter(counts);
            found.map(move |obstacle| InTarget { package, target, obstacle })
        })
    })
}

/// Features that cannot be on, each with the reason.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// By feature of a member: what it would run into.
    pub(super) features: BTreeMap<Feature, String>,
    /// The reasons in the order they were found, each with the features it costs.
    pub(super) reasons: Vec<(String, Vec<Feature>)>,
}

impl Dropped {
    fn add(&mut self, features: BTreeSet<Feature>, why: String) {
        self.features.extend(features.iter().map(|feature| (feature.clone(), why.clone())));
        if !features.is_empty() {
            self.reasons.push((why, features.into_iter().collect()));
        }
    }
}

/// All features of all members but the default ones.
pub(super) fn all(evidence: &Evidence) -> BTreeSet<Feature> {
    let members = evidence.members();
    let features =
        members.flat_map(|(number, member)| member.features.keys().map(move |name| (number, name.clone())));
    features.filter(|(_, name)| name != "default").collect()
}

/// The feature of this name of every member that has it.
pub(super) fn having(evidence: &Evidence, name: &str) -> BTreeSet<Feature> {
    let having = evidence.members().filter(|(_, member)| member.features.contains_key(name));
    having.map(|(number, _)| (number, name.to_owned())).collect()
}

/// The features that `name` or `member/name` means. `None` where there is no such member.
pub(super) fn named(evidence: &Evidence, name: &str) -> Option<BTreeSet<Feature>> {
    match name.split_once('/') {
        Some((member, name)) => Some(BTreeSet::from([(evidence.member(member)?, name.to_owned())])),
        None => Some(having(evidence, name)),
    }
}

/// Whether the package declares the feature.
pub(super) fn is_declared(evidence: &Evidence, (package, name): &Feature) -> bool {
    evidence.packages[*package].features.contains_key(name)
}

/// What has to be left out of all features so that everything is built.
pub(super) fn dropped(evidence: &Evidence) -> Dropped {
    let by_default = Active::new(evidence, &BTreeSet::new(), true);
    let mut requested = all(evidence);
    let mut dropped = Dropped::default();
    for (number, member) in evidence.members() {
        let levels =
            member.features.keys().filter(|name| is_static_level(name) && !by_default.has(number, name));
        let carriers = levels.flat_map(|level| carriers(evidence, &requested, number, level));
        let carriers = carriers.collect::<BTreeSet<_>>();
        let why = format!("{}: they compile logging out", member.manifest);
        requested.retain(|feature| !carriers.contains(feature));
        dropped.add(carriers, why);
    }
    for found in obstacles(evidence) {
        let condition = found.condition();
        let mut candidates = condition.features(true);
        candidates.retain(|feature| !by_default.has(found.package, feature));
        while found.holds(evidence, &Active::new(evidence, &requested, true), true) {
            // Of two that exclude each other the first stays.
            let Some(last) = candidates.pop() else { break };
            let carriers = carriers(evidence, &requested, found.package, last);
            requested.retain(|feature| !carriers.contains(feature));
            dropped.add(carriers, found.shown());
        }
    }
    dropped
}

/// Whether the feature is one by which `log` and `tracing`, and those that pass it on to them, leave events out of the
/// program: with all of them on, none is left, and tests of what is logged fail.
fn is_static_level(feature: &str) -> bool {
    let level = feature.strip_prefix("release_").unwrap_or(feature).strip_prefix("max_level_");
    level.is_some_and(|level| ["off", "error", "warn", "info", "debug", "trace"].contains(&level))
}

/// The features that turn `wanted` on: itself and those that lead to it.
fn carriers(evidence: &Evidence, of: &BTreeSet<Feature>, package: usize, wanted: &str) -> BTreeSet<Feature> {
    let leads = |feature: &&Feature| {
        Active::new(evidence, &BTreeSet::from([(*feature).clone()]), false).has(package, wanted)
    };
    of.iter().filter(leads).cloned().collect()
}

/// What has to be on although default features are off.
pub(super) fn required(evidence: &Evidence) -> Vec<(String, String)> {
    let by_default = Active::new(evidence, &BTreeSet::new(), true);
    let mut requested = BTreeSet::new();
    let mut needed = Vec::new();
    for found in obstacles(evidence).filter(|found| evidence.packages[found.package].member) {
        let condition = found.condition();
        let mut candidates = condition.features(false);
        candidates.sort_by_key(|feature| !by_default.has(found.package, feature));
        let mut candidates = candidates.into_iter();
        let package = &evidence.packages[found.package];
        while found.holds(evidence, &Active::new(evidence, &requested, false), true) {
            let Some(first) = candidates.find(|feature| package.features.contains_key(*feature)) else {
                break;
            };
            let feature = (found.package, first.to_owned());
            needed.push((shown(evidence, &feature), found.shown()));
            requested.insert(feature);
        }
    }
    needed
}

/// `member/feature`
pub(super) fn shown(evidence: &Evidence, (package, feature): &Feature) -> String {
    format!("{}/{feature}", evidence.packages[*package].name)
}

/// The shortest list of a preset for these features: the plain name where every member that has it is meant.
pub(super) fn list(evidence: &Evidence, features: &BTreeSet<Feature>) -> Vec<String> {
    let mut list = Vec::new();
    for name in features.iter().map(|(_, name)| name).collect::<BTreeSet<_>>() {
        let having = evidence.members().filter(|(_, member)| member.features.contains_key(name));
        let (on, off) = having
            .map(|(number, _)| (number, name.clone()))
            .partition::<Vec<_>, _>(|feature| features.contains(feature));
        if off.is_empty() {
            list.push(name.clone());
        } else {
            list.extend(on.iter().map(|feature| shown(evidence, feature)));
        }
    }
    list
}
