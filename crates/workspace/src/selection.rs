//! Packages and presets as cargo's arguments.

use std::collections::BTreeSet;

use crate::config::{Packages, Preset, Target, Targets};
use crate::{CargoCommand, Facts, Flag, LocalPackage};

impl CargoCommand {
    /// The members that its options and its folder select, in the order of their names.
    pub fn members<'a>(&self, facts: &'a Facts) -> Vec<&'a LocalPackage> {
        let manifest = self.values(Flag::Manifest).last().map(|path| self.dir.join(path));
        let manifest = manifest.map(|path| path.canonicalize_utf8().unwrap_or(path));
        let dir = manifest.as_ref().and_then(|path| path.parent()).unwrap_or(&self.dir);
        // In a member's folder cargo selects that member; at the root, the default members.
        let own = facts.owner_of(dir).map(|index| &facts.packages[index]);
        let own = own.filter(|package| package.member && package.dir != facts.root);
        let any = |flag, member: &LocalPackage| self.values(flag).any(|spec| means(spec, member));
        let selected = |member: &&LocalPackage| {
            if self.has(Flag::Workspace) {
                !any(Flag::Exclude, member)
            } else if self.has(Flag::Package) {
                any(Flag::Package, member)
            } else {
                own.map_or_else(|| facts.default_members.contains(&member.name), |own| own.id == member.id)
            }
        };
        facts.members().filter(selected).collect()
    }
}

/// `--workspace`, `-p a -p b`, or nothing. For affected packages, the whole workspace.
pub fn package_args(packages: &Packages, exclude: &[String], facts: &Facts) -> Vec<String> {
    let list = |names: &mut dyn Iterator<Item = &String>| -> Vec<String> {
        names.flat_map(|name| ["-p".to_owned(), facts.package_spec(name)]).collect()
    };
    match packages {
        Packages::Affected | Packages::Workspace => {
            let excluded = exclude.iter().flat_map(|name| ["--exclude".to_owned(), name.clone()]);
            std::iter::once("--workspace".to_owned()).chain(excluded).collect()
        }
        Packages::Default if exclude.is_empty() => Vec::new(),
        // `--exclude` only goes with `--workspace`.
        Packages::Default => {
            let names = facts.members().map(|member| &member.name);
            list(&mut names.filter(|name| facts.default_members.contains(name) && !exclude.contains(name)))
        }
        Packages::List(names) => list(&mut names.iter()),
    }
}

/// Whether `spec`, the value of `-p` or `--exclude`, is a pattern that matches the member's name, or its package id spec: a
/// URL, a name, and the beginning of a version (The Cargo Book, "Package ID Specifications").
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

/// The feature arguments of `preset` for the selected members. Features are written as `member/feature`, the only form that
/// means the same for one package and for a workspace; a feature that a member lacks is skipped for that member.
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

/// The features that `preset` turns on in the selected members, as `member/feature`.
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
        let table = [
            (Packages::Workspace, vec![], "--workspace"),
            (Packages::Affected, vec!["b".to_owned()], "--workspace --exclude b"),
            (Packages::Default, vec![], ""),
            (Packages::Default, vec!["a".to_owned()], "-p path+file:///w/c#0.1.0"),
            (Packages::List(vec!["a".to_owned(), "b".to_owned()]), vec![], "-p a -p b"),
        ];
        for (packages, exclude, expected) in table {
            assert_eq!(package_args(&packages, &exclude, &facts()).join(" "), expected);
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
            let members = command.members(&facts);
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
