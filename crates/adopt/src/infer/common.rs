//! The preset `common`, where the workspace itself says which features go together.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::{Action, CiCommand};
use super::evidence::Evidence;
use super::features::{Active, Dropped, Feature, having, is_declared, named};

/// The features and where they are named. Nothing if no one list is, or if it is on by default.
pub(super) fn infer(evidence: &Evidence, dropped: &Dropped) -> Option<(BTreeSet<Feature>, String)> {
    let by_default = Active::new(evidence, &BTreeSet::new(), true);
    [tested(evidence), named_full(evidence), documented(evidence)].into_iter().flatten().find_map(
        |(mut features, why)| {
            features.retain(|feature| !dropped.features.contains_key(feature));
            let says_something = features.iter().any(|(package, name)| !by_default.has(*package, name));
            says_something.then_some((features, why))
        },
    )
}

/// The features of the built-in preset, where a member has one of its name.
pub(super) fn built_in(evidence: &Evidence) -> BTreeSet<Feature> {
    having(evidence, "common")
}

/// The one list that the workspace's own tests run with. A run of a single package is a special case, not the
/// common one.
fn tested(evidence: &Evidence) -> Option<(BTreeSet<Feature>, String)> {
    let is_test = |command: &&CiCommand| {
        command.action == Some(Action::Test) && !command.elsewhere && !command.features.is_empty()
    };
    let plain = |command: &&CiCommand| {
        !command.no_default_features
            && !command.all_features
            && command.packages.is_empty()
            && command.folder.as_ref().is_none_or(String::is_empty)
    };
    let mut lists = BTreeMap::<BTreeSet<&String>, &CiCommand>::new();
    for command in evidence.commands.iter().filter(is_test).filter(plain) {
        lists.entry(command.features.iter().collect()).or_insert(command);
    }
    let (list, command) = lists.pop_first().filter(|_| lists.is_empty())?;
    let at_root = evidence.members().find(|(_, member)| member.manifest == "Cargo.toml");
    let mut features = BTreeSet::new();
    for name in list {
        match at_root.filter(|_| !command.workspace && !name.contains('/')) {
            Some((number, _)) => drop(features.insert((number, name.clone()))),
            None => features.extend(named(evidence, name)?),
        }
    }
    // A variable, or the feature of a dependency.
    let known = |feature: &Feature| is_declared(evidence, feature);
    let place = command.place.as_ref()?;
    (!features.is_empty() && features.iter().all(known))
        .then(|| (features, format!("{place} tests with these features, and no other command with others")))
}

fn named_full(evidence: &Evidence) -> Option<(BTreeSet<Feature>, String)> {
    let features = having(evidence, "full");
    let manifests = features.iter().map(|(package, _)| evidence.packages[*package].manifest.as_str());
    let manifests = manifests.collect::<Vec<_>>();
    (!manifests.is_empty()).then(|| (features, format!("a feature `full` in {}", manifests.join(", "))))
}

/// What docs.rs is told to build with. Features that are named for documentation turn on just that.
fn documented(evidence: &Evidence) -> Option<(BTreeSet<Feature>, String)> {
    let mut features = BTreeSet::new();
    let mut manifests = Vec::new();
    for (number, member) in evidence.members() {
        let names = member.docs_rs.iter();
        let names = names.filter(|name| member.features.contains_key(*name) && !name.contains("doc"));
        let before = features.len();
        features.extend(names.map(|name| (number, name.clone())));
        if features.len() > before {
            manifests.push(member.manifest.as_str());
        }
    }
    (!features.is_empty())
        .then(|| (features, format!("[package.metadata.docs.rs] of {} names them", manifests.join(", "))))
}
