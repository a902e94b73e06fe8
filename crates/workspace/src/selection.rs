//! Packages and presets as cargo's arguments.

use std::collections::BTreeSet;

use crate::config::{Preset, Target, Targets};
use crate::{Facts, LocalPackage};

/// The members that a command selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All members but these.
    Workspace {
        /// Names of members left out.
        exclude: Vec<String>,
    },
    /// What cargo takes when it is told nothing.
    Default {
        /// Names of members left out.
        exclude: Vec<String>,
    },
    /// These members.
    Only(Vec<String>),
}

impl Selection {
    /// The selected members, in the order of their names.
    pub fn members<'a>(&self, facts: &'a Facts) -> Vec<&'a LocalPackage> {
        let selected = |member: &&LocalPackage| match self {
            Self::Workspace { exclude } => !exclude.contains(&member.name),
            Self::Default { exclude } => {
                facts.default_members.contains(&member.name) && !exclude.contains(&member.name)
            }
            Self::Only(names) => names.contains(&member.name),
        };
        facts.members().filter(selected).collect()
    }

    /// `--workspace`, `-p a -p b`, or nothing.
    pub fn package_args(&self, facts: &Facts) -> Vec<String> {
        let list = |names: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            names.flat_map(|name| ["-p".to_owned(), facts.package_spec(name)]).collect()
        };
        match self {
            Self::Workspace { exclude } => {
                let excluded = exclude.iter().flat_map(|name| ["--exclude".to_owned(), name.clone()]);
                std::iter::once("--workspace".to_owned()).chain(excluded).collect()
            }
            Self::Default { exclude } if exclude.is_empty() => Vec::new(),
            // `--exclude` only goes with `--workspace`.
            Self::Default { .. } => list(&mut self.members(facts).iter().map(|member| member.name.as_str())),
            Self::Only(names) => list(&mut names.iter().map(String::as_str)),
        }
    }
}

/// The feature arguments of `preset` for the selected members: a feature that a member lacks is skipped for
/// that member.
///
/// Features are written as `member/feature`, the only form that means the same for one package and for a
/// workspace.
pub fn feature_args(preset: &Preset, members: &[&LocalPackage]) -> Vec<String> {
    let mut args = Vec::new();
    if preset.all_features {
        args.push("--all-features".to_owned());
    }
    if !preset.default_features {
        args.push("--no-default-features".to_owned());
    }
    let features = preset_features(preset, members);
    if !features.is_empty() {
        args.push("--features".to_owned());
        args.push(features.into_iter().collect::<Vec<_>>().join(","));
    }
    args
}

/// What `preset` turns on in the selected members, as `member/feature`.
pub fn preset_features(preset: &Preset, members: &[&LocalPackage]) -> BTreeSet<String> {
    let mut features = BTreeSet::new();
    for feature in &preset.features {
        let (of, name) =
            feature.split_once('/').map_or((None, feature.as_str()), |(of, name)| (Some(of), name));
        let having = members.iter().filter(|member| of.is_none_or(|of| member.name == of));
        let having = having.filter(|member| member.features.contains_key(name));
        features.extend(having.map(|member| format!("{}/{name}", member.name)));
    }
    features
}

/// Cargo's target selection for `targets`.
pub fn target_args(targets: &Targets) -> Vec<String> {
    match targets {
        Targets::Default => Vec::new(),
        Targets::All => vec!["--all-targets".to_owned()],
        Targets::List(kinds) => kinds.iter().map(|kind| format!("--{}", Target::name(*kind))).collect(),
    }
}

/// The profile argument: nextest has its own profiles, so there cargo's is `--cargo-profile`.
pub fn profile_args(profile: Option<&str>, nextest: bool) -> Vec<String> {
    let flag = if nextest { "--cargo-profile" } else { "--profile" };
    profile.into_iter().flat_map(|profile| [flag.to_owned(), profile.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn facts() -> Facts {
        let member = |name: &str, features: &[&str]| LocalPackage {
            id: format!("path+file:///w/{name}#0.1.0"),
            name: name.into(),
            version: "0.1.0".into(),
            dir: format!("/w/{name}").into(),
            member: true,
            launcher: false,
            features: features
                .iter()
                .map(|feature| ((*feature).to_owned(), vec![]))
                .collect::<BTreeMap<_, _>>(),
            targets: vec![],
            dependencies: vec![],
        };
        Facts {
            root: "/w".into(),
            target_dir: "/w/target".into(),
            build_dir: "/w/target".into(),
            host: "x".into(),
            packages: vec![member("a", &["common"]), member("b", &["common", "db"]), member("c", &[])],
            default_members: vec!["a".into(), "c".into()],
            ambiguous_names: vec!["c".into()],
        }
    }

    #[test]
    fn packages_become_arguments() {
        let only = |names: &[&str]| Selection::Only(names.iter().map(|name| (*name).to_owned()).collect());
        let table = [
            (Selection::Workspace { exclude: vec![] }, "--workspace"),
            (Selection::Workspace { exclude: vec!["b".into()] }, "--workspace --exclude b"),
            (Selection::Default { exclude: vec![] }, ""),
            (Selection::Default { exclude: vec!["a".into()] }, "-p path+file:///w/c#0.1.0"),
            (only(&["a", "b"]), "-p a -p b"),
        ];
        for (selection, expected) in table {
            assert_eq!(selection.package_args(&facts()).join(" "), expected);
        }
    }

    #[test]
    fn a_preset_turns_on_what_each_member_has() {
        let preset = |features: &[&str], default_features, all_features| Preset {
            name: "p".into(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
            default_features,
            all_features,
            builtin: false,
        };
        let table = [
            (preset(&["common"], true, false), vec!["a", "b", "c"], "--features a/common,b/common"),
            (
                preset(&["common", "b/db"], false, false),
                vec!["b"],
                "--no-default-features --features b/common,b/db",
            ),
            (preset(&["b/db"], true, false), vec!["a"], ""),
            (preset(&[], true, true), vec!["a"], "--all-features"),
        ];
        for (preset, names, expected) in table {
            let facts = facts();
            let members = names.iter().filter_map(|name| facts.member(name)).collect::<Vec<_>>();
            assert_eq!(feature_args(&preset, &members).join(" "), expected);
        }
    }
}
