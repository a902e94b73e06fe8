//! Packages and presets as cargo's arguments.

use std::collections::BTreeSet;

use crate::config::{Packages, Preset, Target, Targets, Tier};
use crate::{CargoCommand, Facts, Flag, LocalPackage};

/// The members that a command selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All members but these.
    Workspace {
        /// Package id specs or patterns of the members left out.
        exclude: Vec<String>,
    },
    /// What cargo takes when it is told nothing.
    Default {
        /// The same.
        exclude: Vec<String>,
    },
    /// These members, as package id specs or patterns.
    Only(Vec<String>),
}

impl Selection {
    /// What `tier` takes. An affected tier takes less of it.
    pub fn of_tier(tier: &Tier) -> Self {
        let exclude = tier.exclude.clone();
        match &tier.packages {
            Packages::Affected | Packages::Workspace => Self::Workspace { exclude },
            Packages::Default => Self::Default { exclude },
            Packages::List(names) => Self::Only(names.clone()),
        }
    }

    /// What `command` selects by its options and the folder that it is for.
    pub fn of_command(command: &CargoCommand, facts: &Facts) -> Self {
        let values = |flag| command.values(flag).map(str::to_owned).collect::<Vec<_>>();
        let (packages, exclude) = (values(Flag::Package), values(Flag::Exclude));
        if command.has(Flag::Workspace) {
            return Self::Workspace { exclude };
        }
        if !packages.is_empty() {
            return Self::Only(packages);
        }
        let manifest = command.values(Flag::Manifest).last().map(|path| command.dir.join(path));
        let manifest = manifest.map(|path| path.canonicalize_utf8().unwrap_or(path));
        let dir = manifest.as_ref().and_then(|path| path.parent()).unwrap_or(&command.dir);
        // In a member's own folder cargo takes that member; at the root, the default members.
        match facts.owner_of(dir).map(|index| &facts.packages[index]) {
            Some(package) if package.member && package.dir != facts.root => {
                Self::Only(vec![package.name.clone()])
            }
            _ => Self::Default { exclude },
        }
    }

    /// The selected members, in the order of their names.
    pub fn members<'a>(&self, facts: &'a Facts) -> Vec<&'a LocalPackage> {
        let any = |specs: &[String], member: &LocalPackage| specs.iter().any(|spec| means(spec, member));
        let selected = |member: &&LocalPackage| match self {
            Self::Workspace { exclude } => !any(exclude, member),
            Self::Default { exclude } => {
                facts.default_members.contains(&member.name) && !any(exclude, member)
            }
            Self::Only(specs) => any(specs, member),
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

/// Whether `spec`, as it follows `-p` or `--exclude`, is a pattern of the member's name or its package id spec: a URL, a
/// name, and a version of which the end may be left out (The Cargo Book, "Package ID Specifications").
fn means(spec: &str, member: &LocalPackage) -> bool {
    if spec.contains(['*', '?', '[', ']']) {
        return glob::Pattern::new(spec).is_ok_and(|pattern| pattern.matches(&member.name));
    }
    let (url, rest) = match spec.split_once('#') {
        Some((url, rest)) => (Some(url), rest),
        None if spec.contains("://") => (Some(spec), ""),
        None => (None, spec),
    };
    let (name, version) = match rest.split_once(['@', ':']) {
        Some((name, version)) => (name, version),
        None if url.is_some() && rest.starts_with(|first: char| first.is_ascii_digit()) => ("", rest),
        None => (rest, ""),
    };
    let folder = |url: &str| url.split('#').next().map(|url| url.trim_start_matches("path+").to_owned());
    let is_version = |rest: &str| rest.is_empty() || rest.starts_with('.') && !rest.contains('-');
    url.is_none_or(|url| folder(url) == folder(&member.id))
        && (name.is_empty() || name == member.name)
        && (version.is_empty() || member.version.strip_prefix(version).is_some_and(is_version))
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
    fn arguments_select_members_as_cargo_has_it() {
        let table = [
            ("/w", "test --workspace", "a b c"),
            ("/w", "test --workspace --exclude [ab]", "c"),
            ("/w", "test", "a c"),
            ("/w/b/src", "test", "b"),
            ("/w/b", "test --workspace", "a b c"),
            ("/w", "test --manifest-path b/Cargo.toml", "b"),
            ("/w/b", "test --manifest-path=/w/Cargo.toml", "a c"),
            ("/w", "test -p a -pb", "a b"),
            ("/w", "test -p ?", "a b c"),
            ("/w", "test -p a@0.1.0 -p b:0.1 -p c@0.2", "a b"),
            ("/w", "test -p path+file:///w/a#0.1.0 -p file:///w/b -p file:///x#c", "a b"),
            ("/w", "test -p file:///w/c#c@0", "c"),
            ("/w", "test -p serde", ""),
            ("/w", "run -p a -- -p b", "a"),
        ];
        for (dir, text, expected) in table {
            let facts = facts();
            let command = CargoCommand::new(dir, text.split(' '));
            let members = Selection::of_command(&command, &facts).members(&facts);
            let names = members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>();
            assert_eq!(names.join(" "), expected, "{text} in {dir}");
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
