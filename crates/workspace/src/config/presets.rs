//! Presets: the built-in ones and the file's.

use super::members::Members;
use super::problem::{Problems, did_you_mean};
use super::settings::{Located, Settings};
use super::types::Preset;

/// The name of the preset that exists only if a member has a feature of that name.
pub(super) const COMMON: &str = "common";

/// The presets that need no file: name, features, whether default features and all features are on.
fn builtin(members: &Members<'_>) -> Vec<Preset> {
    let preset = |name: &str, features: &[&str]| Preset {
        name: name.to_owned(),
        features: features.iter().map(|&feature| feature.to_owned()).collect(),
        default_features: true,
        all_features: false,
        builtin: true,
    };
    let minimal = Preset { default_features: false, ..preset("minimal", &[]) };
    let common = members.any_has_feature(COMMON).then(|| preset(COMMON, &[COMMON]));
    let full = Preset { all_features: true, ..preset("full", &[]) };
    [Some(minimal), common, Some(full)].into_iter().flatten().collect()
}

/// All presets: built-in ones first, each replaced by the file's of that name, then the file's own.
pub(super) fn presets(file: &[Settings], members: &Members<'_>, problems: &mut Problems<'_>) -> Vec<Preset> {
    let mut presets = builtin(members);
    for settings in file {
        check(settings, members, problems);
        let preset = Preset {
            name: settings.name.clone(),
            features: settings.strings("features").unwrap_or_default(),
            default_features: settings.bool("default-features").unwrap_or(true),
            all_features: settings.bool("all-features").unwrap_or(false),
            builtin: false,
        };
        match presets.iter_mut().find(|other| other.name == preset.name) {
            Some(builtin) => *builtin = preset,
            None => presets.push(preset),
        }
    }
    presets
}

fn check(settings: &Settings, members: &Members<'_>, problems: &mut Problems<'_>) {
    let features = settings.list("features").unwrap_or_default();
    for feature in features {
        check_feature(settings, feature, members, problems);
    }
    if settings.bool("all-features") != Some(true) {
        return;
    }
    if !features.is_empty() {
        let message = format!("{} contradicts `all-features = true`", settings.label("features"));
        problems.add(settings.offset_of("features"), message, Some("remove one of the two".to_owned()));
    }
    if settings.bool("default-features") == Some(false) {
        let message = format!("{} contradicts `all-features = true`", settings.label("default-features"));
        problems.add(
            settings.offset_of("default-features"),
            message,
            Some("remove one of the two".to_owned()),
        );
    }
}

fn check_feature(settings: &Settings, feature: &Located, members: &Members<'_>, problems: &mut Problems<'_>) {
    let Located { text, offset } = feature;
    let label = settings.label("features");
    let (message, hint) = match text.split_once('/') {
        None if members.any_has_feature(text) => return,
        None => (
            format!("{label}: no member has a feature named `{text}`"),
            did_you_mean(text, members.all_features()),
        ),
        Some((member, _)) if !members.contains(member) => (
            format!("{label}: `{member}` is no member of the workspace"),
            did_you_mean(member, members.names()),
        ),
        Some((member, feature)) if members.features_of(member).any(|known| known == feature) => return,
        Some((member, feature)) => (
            format!("{label}: member `{member}` has no feature named `{feature}`"),
            did_you_mean(feature, members.features_of(member)),
        ),
    };
    problems.add(*offset, message, hint);
}
