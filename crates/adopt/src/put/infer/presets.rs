//! The presets `common` and `full`, as far as manifests say what belongs there.

use std::collections::BTreeSet;

use super::render::Page;
use super::{Member, Workspace, read};

/// A feature of a member, by the member's number.
type Feature = (usize, String);

/// Features that cannot be on together with all others, and why.
type Dropped = (String, BTreeSet<Feature>);

/// Writes the presets that differ from the built-in ones.
pub(super) fn write(workspace: &Workspace<'_>, stable: bool, page: &mut Page, notes: &mut Vec<String>) {
    let dropped = dropped(workspace, stable);
    let is_kept = |feature: &Feature| dropped.iter().all(|(_, features)| !features.contains(feature));
    if let Some((mut features, why)) = common(workspace) {
        features.retain(is_kept);
        let says_something = features.iter().any(|(number, name)| {
            let by_default = leading_from(&workspace.members[*number], "default");
            !by_default.contains(name)
        });
        if says_something {
            page.table("presets.common");
            page.comment(&format!("{why}."));
            page.list("features", list(workspace, &features).iter().map(String::as_str));
            notes.push(format!("preset common: {why}"));
        }
    }
    if !dropped.is_empty() {
        page.table("presets.full");
        page.comment("All features but these:");
        for (why, features) in &dropped {
            let names = features.iter().map(|(number, name)| {
                let member = &workspace.members[*number].package.name;
                format!("{member}/{name}")
            });
            let names = names.collect::<Vec<_>>().join(", ");
            page.comment(&format!("- {names}: {why}"));
            notes.push(format!("preset full: without {names}: {why}"));
        }
        let mut features = all(workspace);
        features.retain(is_kept);
        page.list("features", list(workspace, &features).iter().map(String::as_str));
    }
}

/// The features that the workspace itself takes together, where there is no built-in preset `common`.
fn common(workspace: &Workspace<'_>) -> Option<(BTreeSet<Feature>, String)> {
    let having = |name: &str| {
        let having = workspace.members.iter().enumerate();
        let having = having.filter(|(_, member)| member.package.features.contains_key(name));
        having.map(|(number, _)| (number, name.to_owned())).collect::<BTreeSet<Feature>>()
    };
    let manifests = |features: &BTreeSet<Feature>| {
        let numbers = features.iter().map(|(number, _)| *number).collect::<BTreeSet<_>>();
        let manifests = numbers.into_iter().map(|number| workspace.members[number].manifest.shown.as_str());
        manifests.collect::<Vec<_>>().join(", ")
    };
    if !having("common").is_empty() {
        return None;
    }
    let full = having("full");
    if !full.is_empty() {
        let why = format!("a feature `full` in {}", manifests(&full));
        return Some((full, why));
    }
    // Features that are named for documentation turn on just that.
    let documented = workspace.members.iter().enumerate().flat_map(|(number, member)| {
        let names = member.manifest.strings(&["package", "metadata", "docs", "rs", "features"]);
        let names = names
            .into_iter()
            .filter(|name| member.package.features.contains_key(*name) && !name.contains("doc"));
        names.map(move |name| (number, name.to_owned()))
    });
    let documented = documented.collect::<BTreeSet<_>>();
    (!documented.is_empty()).then(|| {
        let why = format!("[package.metadata.docs.rs] of {} names them", manifests(&documented));
        (documented, why)
    })
}

/// What all features are without: features that compile logging out, and on a stable toolchain those that turn on the
/// feature `nightly` of a package from elsewhere; with all that lead to one of them.
fn dropped(workspace: &Workspace<'_>, stable: bool) -> Vec<Dropped> {
    let configured =
        [".cargo/config.toml", ".cargo/config"].map(|path| read(&workspace.facts.root.join(path)));
    let stable = stable && !configured.iter().any(|text| text.contains("RUSTC_BOOTSTRAP"));
    let mut dropped = Vec::<Dropped>::new();
    for (number, member) in workspace.members.iter().enumerate() {
        let shown = &member.manifest.shown;
        let features = &member.package.features;
        let levels = features.keys().filter(|name| is_static_level(name));
        let levels =
            levels.map(|name| ((number, name.clone()), format!("{shown}: they compile logging out")));
        let nightly = features.iter().filter(|_| stable).filter_map(|(name, values)| {
            let value = values.iter().find(|value| {
                let key = value.strip_suffix("/nightly").map(|key| key.trim_end_matches('?'));
                key.is_some_and(|key| workspace.named_by(member, key).is_none())
            })?;
            Some(((number, name.clone()), format!("{shown}: `{value}`")))
        });
        for (feature, why) in levels.chain(nightly).collect::<Vec<_>>() {
            let carriers = workspace.carriers(feature);
            // What is on by default is meant to be on.
            if carriers.iter().any(|(_, name)| name == "default") {
                continue;
            }
            match dropped.iter_mut().find(|(other, _)| *other == why) {
                Some((_, features)) => features.extend(carriers),
                None => dropped.push((why, carriers)),
            }
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

impl Workspace<'_> {
    /// The number of the member that a feature of `member` means by `key`.
    fn named_by(&self, member: &Member<'_>, key: &str) -> Option<usize> {
        let dependencies = member.manifest.dependencies(&self.root);
        let package = dependencies.iter().find(|dependency| dependency.key == key)?.package;
        self.members.iter().position(|other| other.package.name == package)
    }

    /// `feature`, and all features that turn it on.
    fn carriers(&self, feature: Feature) -> BTreeSet<Feature> {
        let mut carriers = BTreeSet::from([feature]);
        loop {
            let leads = |number: usize, member: &Member<'_>, value: &str| match value.split_once('/') {
                None => carriers.contains(&(number, value.to_owned())),
                Some((key, name)) => self
                    .named_by(member, key.trim_end_matches('?'))
                    .is_some_and(|other| carriers.contains(&(other, name.to_owned()))),
            };
            let more = self.members.iter().enumerate().flat_map(|(number, member)| {
                let features = member.package.features.iter();
                let leading = features
                    .filter(move |(_, values)| values.iter().any(|value| leads(number, member, value)));
                leading.map(move |(name, _)| (number, name.clone()))
            });
            let more = more.collect::<BTreeSet<_>>();
            if more.is_subset(&carriers) {
                return carriers;
            }
            carriers.extend(more);
        }
    }
}

/// The features of the member that `feature` turns on, itself among them.
fn leading_from(member: &Member<'_>, feature: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![feature.to_owned()];
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            open.extend(member.package.features.get(&name).into_iter().flatten().cloned());
        }
    }
    found
}

fn all(workspace: &Workspace<'_>) -> BTreeSet<Feature> {
    let members = workspace.members.iter().enumerate();
    let features = members
        .flat_map(|(number, member)| member.package.features.keys().map(move |name| (number, name.clone())));
    features.filter(|(_, name)| name != "default").collect()
}

/// The shortest list of a preset for these features: the plain name where every member that has it is meant.
fn list(workspace: &Workspace<'_>, features: &BTreeSet<Feature>) -> Vec<String> {
    let features = features.iter().map(|(number, name)| {
        let member = &workspace.members[*number].package.name;
        format!("{member}/{name}")
    });
    crate::features::shortest(workspace.facts, &features.collect())
}
