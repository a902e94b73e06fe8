//! `[presets.NAME]`: the built-in presets and the file's.

use super::Members;
use super::kind::Kind;
use super::problem::{Problems, did_you_mean};
use super::section::{Table, section};

section! {
    /// A preset is a feature selection that tiers refer to by name. A table with the name of a built-in preset replaces
    /// it.
    "[presets.NAME]" Preset {
        /// The name: lowercase letters, digits and `-`.
        name: String;
        /// Whether it is one of the suite's own, not the file's.
        builtin: bool;
    }

    /// The features to turn on: `feature` for every member that has it, or `member/feature`.
    #[key("features", Kind::Set(&Kind::Text), default = "[]", example = r#"["core/serde", "cli"]"#)]
    features: Vec<String>,

    /// Whether default features are on.
    #[key("default-features", Kind::Bool, default = "true", example = "false")]
    default_features: bool = true,

    /// Whether all features are on. Cannot be combined with `features` or `default-features = false`.
    #[key("all-features", Kind::Bool, default = "false", example = "true")]
    all_features: bool,
}

/// The name of the preset that exists only if a member has a feature of that name.
pub(super) const COMMON: &str = "common";

/// The presets that need no file.
pub(super) fn builtin(members: &Members<'_>) -> Vec<Preset> {
    let preset = |name: &str| Preset { name: name.to_owned(), builtin: true, ..Preset::default() };
    let minimal = Preset { default_features: false, ..preset("minimal") };
    let common = Preset { features: vec![COMMON.to_owned()], ..preset(COMMON) };
    let full = Preset { all_features: true, ..preset("full") };
    let common = members.any_has_feature(COMMON).then_some(common);
    [Some(minimal), common, Some(full)].into_iter().flatten().collect()
}

/// Adds the preset of a table, or puts it in the place of the built-in one of that name.
pub(super) fn read(
    table: &mut Table<'_>,
    presets: &mut Vec<Preset>,
    members: &Members<'_>,
    problems: &mut Problems<'_>,
) {
    let mut preset = Preset { name: table.name.to_owned(), ..Preset::default() };
    table.read(&mut preset, problems);
    for (feature, offset) in table.list("features") {
        check_feature(table, feature, offset, members, problems);
    }
    let says_more =
        [("features", !preset.features.is_empty()), ("default-features", !preset.default_features)];
    for (key, _) in says_more.into_iter().filter(|(_, says_more)| preset.all_features && *says_more) {
        let message = format!("{} contradicts `all-features = true`", table.label(key));
        problems.add(table.offset_of(key), message, Some("remove one of the two".to_owned()));
    }
    match presets.iter_mut().find(|other| other.name == preset.name) {
        Some(builtin) => *builtin = preset,
        None => presets.push(preset),
    }
}

fn check_feature(
    table: &Table<'_>,
    text: &str,
    offset: usize,
    members: &Members<'_>,
    problems: &mut Problems<'_>,
) {
    let label = table.label("features");
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
    problems.add(offset, message, hint);
}
