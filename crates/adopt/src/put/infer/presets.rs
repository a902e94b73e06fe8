//! The presets `common` and `full`, as far as manifests say what belongs there. Features are `member/feature`.

use std::collections::BTreeSet;

use super::render::Page;
use super::{Member, Workspace, read};
use crate::observe::settings::shortest;

/// Features that cannot be on together with all others, and why.
type Dropped = (String, BTreeSet<String>);

/// Writes the presets that differ from the built-in ones.
pub(super) fn write(workspace: &Workspace<'_>, stable: bool, page: &mut Page, notes: &mut Vec<String>) {
    let dropped = dropped(workspace, stable);
    let is_kept = |feature: &String| dropped.iter().all(|(_, features)| !features.contains(feature));
    if let Some((mut features, why)) = common(workspace) {
        features.retain(is_kept);
        if features.iter().any(|feature| !is_on_by_default(&workspace.carriers(feature))) {
            page.table("presets.common");
            page.comment(&format!("{why}."));
            page.list("features", &shortest(workspace.facts, &features));
            notes.push(format!("preset common: {why}"));
        }
    }
    if dropped.is_empty() {
        return;
    }
    page.table("presets.full");
    page.comment("All features but these:");
    for (why, features) in &dropped {
        let names = features.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        page.comment(&format!("- {names}: {why}"));
        notes.push(format!("preset full: without {names}: {why}"));
    }
    let all = workspace.members.iter().flat_map(Member::features);
    let kept = all.map(|(feature, _)| feature).filter(is_kept).filter(|name| !name.ends_with("/default"));
    page.list("features", &shortest(workspace.facts, &kept.collect()));
}

/// The features that the workspace itself takes together, where there is no built-in preset `common`.
fn common(workspace: &Workspace<'_>) -> Option<(BTreeSet<String>, String)> {
    let named = |wanted: &dyn Fn(&Member<'_>, &str) -> bool| {
        let (mut features, mut manifests) = (BTreeSet::new(), Vec::new());
        for member in &workspace.members {
            let names = member.package.features.keys().filter(|name| wanted(member, name));
            let before = features.len();
            features.extend(names.map(|name| member.feature(name)));
            manifests.extend((features.len() > before).then_some(member.manifest.shown.as_str()));
        }
        (!features.is_empty()).then(|| (features, manifests.join(", ")))
    };
    if named(&|_, name| name == "common").is_some() {
        return None;
    }
    let full = named(&|_, name| name == "full");
    let full = full.map(|(features, manifests)| (features, format!("a feature `full` in {manifests}")));
    // Features that are named for documentation turn on just that.
    let documented = named(&|member, name| {
        let listed = member.manifest.strings(&["package", "metadata", "docs", "rs", "features"]);
        listed.contains(&name) && !name.contains("doc")
    });
    full.or_else(|| {
        let (features, manifests) = documented?;
        Some((features, format!("[package.metadata.docs.rs] of {manifests} names them")))
    })
}

/// What all features are without: features that compile logging out, and on a stable toolchain those that turn on the
/// feature `nightly` of a package from elsewhere; with all that lead to one of them.
fn dropped(workspace: &Workspace<'_>, stable: bool) -> Vec<Dropped> {
    let config = [".cargo/config.toml", ".cargo/config"].map(|path| read(&workspace.facts.root.join(path)));
    let stable = stable && !config.iter().any(|text| text.contains("RUSTC_BOOTSTRAP"));
    let mut dropped = Vec::<Dropped>::new();
    for member in &workspace.members {
        let shown = &member.manifest.shown;
        for (feature, values) in member.features() {
            let nightly = values.iter().filter(|_| stable).find(|value| {
                let key = value.strip_suffix("/nightly").map(|key| key.trim_end_matches('?'));
                key.is_some_and(|key| workspace.named_by(member, key).is_none())
            });
            let why = match nightly {
                Some(value) => format!("{shown}: `{value}`"),
                None if is_static_level(&feature) => format!("{shown}: they compile logging out"),
                None => continue,
            };
            let carriers = workspace.carriers(&feature);
            // What is on by default is meant to be on.
            if is_on_by_default(&carriers) {
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
    let name = feature.split('/').next_back().unwrap_or_default();
    let level = name.strip_prefix("release_").unwrap_or(name).strip_prefix("max_level_");
    level.is_some_and(|level| ["off", "error", "warn", "info", "debug", "trace"].contains(&level))
}

fn is_on_by_default(carriers: &BTreeSet<String>) -> bool {
    carriers.iter().any(|feature| feature.ends_with("/default"))
}

impl Member<'_> {
    fn feature(&self, name: &str) -> String {
        format!("{}/{name}", self.package.name)
    }

    /// Its features, and what each turns on.
    fn features(&self) -> impl Iterator<Item = (String, &Vec<String>)> {
        self.package.features.iter().map(|(name, values)| (self.feature(name), values))
    }
}

impl Workspace<'_> {
    /// The member that a feature of `member` means by `key`.
    fn named_by(&self, member: &Member<'_>, key: &str) -> Option<&Member<'_>> {
        let dependencies = member.manifest.dependencies(&self.root);
        let package = dependencies.iter().find(|dependency| dependency.key == key)?.package;
        self.members.iter().find(|other| other.package.name == package)
    }

    /// `feature`, and all features that turn it on.
    fn carriers(&self, feature: &str) -> BTreeSet<String> {
        let mut carriers = BTreeSet::from([feature.to_owned()]);
        loop {
            let leads = |member: &Member<'_>, value: &str| match value.split_once('/') {
                None => carriers.contains(&member.feature(value)),
                Some((key, name)) => self
                    .named_by(member, key.trim_end_matches('?'))
                    .is_some_and(|other| carriers.contains(&other.feature(name))),
            };
            let features = self.members.iter().flat_map(|member| {
                member.features().filter(|(_, values)| values.iter().any(|value| leads(member, value)))
            });
            let more = features.map(|(feature, _)| feature).collect::<BTreeSet<_>>();
            if more.is_subset(&carriers) {
                return carriers;
            }
            carriers.extend(more);
        }
    }
}
