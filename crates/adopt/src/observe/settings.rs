//! The entries that observing adds to `xtask.toml`, each with a comment that says what was seen; and lists as that file
//! has them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use toml_edit::Value;
use xtask_edit::TomlText;
use xtask_units::TargetKind;
use xtask_workspace::config::{FILE_NAME, Target, Targets, Tier};
use xtask_workspace::{Facts, WrongUsage};

use super::Finding;
use super::check::{Failure, FoundFeatures};

/// The file with what is added to it.
pub(super) struct Settings {
    pub(super) text: TomlText,
    pub(super) findings: Vec<Finding>,
    /// Whether `adopt` wrote it and nobody has changed it since.
    is_as_written: bool,
    /// What comments have said so far, and in which table.
    told: BTreeMap<String, String>,
}

impl Settings {
    pub(super) fn new(text: &str, is_as_written: bool) -> Result<Self> {
        let text = TomlText::parse(text).map_err(|problem| WrongUsage(format!("{FILE_NAME}: {problem}")))?;
        Ok(Self { text, findings: Vec::new(), is_as_written, told: BTreeMap::new() })
    }

    /// Whether what is at `path` may be replaced by a list: what a user wrote there stays.
    pub(super) fn may_set(&self, path: &[&str]) -> bool {
        self.is_as_written || !self.text.contains(path)
    }

    pub(super) fn list_features(&mut self, facts: &Facts, preset: &str, found: &FoundFeatures) -> Result<()> {
        let mut comments = Vec::new();
        for (feature, why) in &found.dropped {
            self.find(&format!("feature {feature}"), preset, why);
            comments.push(self.comment(&format!("presets.{preset}"), &format!("not {feature}: {why}")));
        }
        self.text.set(&["presets", preset, "features"], &list(&comments, &shortest(facts, &found.kept)))
    }

    /// Leaves the members of `failures` out of a tier.
    pub(super) fn exclude(&mut self, tier: &str, failures: &[&Failure]) -> Result<()> {
        let mut members = BTreeMap::new();
        for failure in failures {
            members.entry(&failure.target.package).or_insert(&failure.why);
        }
        if members.is_empty() {
            return Ok(());
        }
        let path = ["tiers", tier, "exclude"];
        let array = self.text.value(&path).and_then(|value| value.as_array().cloned());
        let mut array = array.unwrap_or_default();
        // A line for each of the old values and, below its comment, for each new one.
        for value in array.iter_mut() {
            let prefix = value.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
            if !prefix.contains('\n') {
                value.decor_mut().set_prefix("\n    ");
            }
        }
        for (member, why) in members {
            self.find(&format!("member {member}"), tier, why);
            let mut value = Value::from(member);
            let comment = self.comment(&format!("tiers.{tier}"), why);
            value.decor_mut().set_prefix(format!("\n    {comment}\n    "));
            array.push_formatted(value);
        }
        array.set_trailing_comma(true);
        array.set_trailing("\n");
        self.text.set(&path, &array.to_string())
    }

    /// Leaves the kinds of targets of `failures` out of a tier.
    pub(super) fn list_targets(&mut self, tier: &Tier, failures: &[&Failure]) -> Result<()> {
        let mut gone = BTreeSet::new();
        let mut comments = Vec::new();
        for Failure { target, why } in failures {
            let kind = if target.kind == TargetKind::Bench { Target::Benches } else { Target::Examples };
            gone.insert(kind.name());
            self.find(kind.name(), &tier.name, why);
            comments
                .push(self.comment(&format!("tiers.{}", tier.name), &format!("no {}: {why}", kind.name())));
        }
        if gone.is_empty() {
            return Ok(());
        }
        let mut kinds = vec![Target::Lib, Target::Bins, Target::Tests, Target::Examples];
        match &tier.targets {
            Targets::List(list) => kinds.clone_from(list),
            Targets::All => kinds.push(Target::Benches),
            Targets::Default => {}
        }
        let left = kinds.into_iter().map(Target::name).filter(|name| !gone.contains(name));
        let left = left.map(str::to_owned).collect::<Vec<_>>();
        self.text.set(&["tiers", &tier.name, "targets"], &list(&comments, &left))
    }

    pub(super) fn find(&mut self, what: &str, of: &str, why: &str) {
        let (what, of, why) = (what.to_owned(), of.to_owned(), why.to_owned());
        match self.findings.iter_mut().find(|finding| finding.what == what && finding.why == why) {
            Some(finding) if finding.of.contains(&of) => {}
            Some(finding) => finding.of.push(of),
            None => self.findings.push(Finding { what, of: vec![of], why }),
        }
    }

    /// What was said in one table is not said again in the next.
    fn comment(&mut self, table: &str, why: &str) -> String {
        let first = self.told.entry(why.to_owned()).or_insert_with(|| table.to_owned());
        if first == table { format!("# {why}") } else { format!("# as in [{first}]") }
    }
}

/// The shortest list of a preset for `features`, each a `member/feature`: the plain name if every member that has it is
/// meant.
pub(crate) fn shortest(facts: &Facts, features: &BTreeSet<String>) -> Vec<String> {
    let names = features.iter().filter_map(|feature| feature.split_once('/')).map(|(_, name)| name);
    let mut list = Vec::new();
    for name in names.collect::<BTreeSet<_>>() {
        let having = facts.members().filter(|member| member.features.contains_key(name));
        let having = having.map(|member| format!("{}/{name}", member.name)).collect::<Vec<_>>();
        if having.iter().all(|feature| features.contains(feature)) {
            list.push(name.to_owned());
        } else {
            list.extend(having.into_iter().filter(|feature| features.contains(feature)));
        }
    }
    list
}

/// An array with a line for each of these comments and strings.
pub(crate) fn list(comments: &[String], values: &[String]) -> String {
    let values = values.iter().map(|value| format!("{},", Value::from(value.as_str())));
    let lines = comments.iter().cloned().chain(values).map(|line| format!("    {line}\n"));
    format!("[\n{}]", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_units::{FailedTarget, TargetKind};
    use xtask_workspace::Facts;
    use xtask_workspace::config::Config;

    fn failure(member: &str, kind: TargetKind, why: &str) -> Failure {
        let target = FailedTarget { package: member.to_owned(), kind, unit_tests: false, name: None };
        Failure { target, why: why.to_owned() }
    }

    #[test]
    fn each_entry_has_its_reason_and_what_is_there_stays() {
        let text = "# Ours.\n[tiers.test-fast]\nexclude = [\"x\"] # slow\nbudget = \"1min\"\n";
        let mut settings = Settings::new(text, false).unwrap();
        let (a, b) =
            (failure("a", TargetKind::Lib, "`a` (lib): no"), failure("b", TargetKind::Lib, "b is odd"));
        settings.exclude("test-fast", &[&a, &b]).unwrap();
        settings.exclude("lint", &[&a]).unwrap();
        let tiers = Config::defaults(&Facts::default()).tiers;
        let lint = tiers.iter().find(|tier| tier.name == "lint").unwrap();
        let bench = failure("c", TargetKind::Bench, "`c` (bench \"x\"): no");
        settings.list_targets(lint, &[&bench]).unwrap();
        let found = FoundFeatures {
            kept: BTreeSet::new(),
            dropped: vec![("a/fast".to_owned(), "`a` (lib): no".to_owned())],
            failures: Vec::new(),
        };
        let facts = Facts {
            root: "/w".into(),
            target_dir: "/w/target".into(),
            build_dir: "/w/target".into(),
            host: String::new(),
            packages: Vec::new(),
            default_members: Vec::new(),
            ambiguous_names: Vec::new(),
        };
        settings.list_features(&facts, "full", &found).unwrap();
        let of = settings.findings.iter().map(|finding| format!("{}: {:?}", finding.what, finding.of));
        let expected = [
            "member a: [\"test-fast\", \"lint\"]",
            "member b: [\"test-fast\"]",
            "benches: [\"lint\"]",
            "feature a/fast: [\"full\"]",
        ];
        assert_eq!(of.collect::<Vec<_>>(), expected);
        let expected = "\
# Ours.
[tiers.test-fast]
exclude = [
    \"x\",
    # `a` (lib): no
    \"a\",
    # b is odd
    \"b\",
] # slow
budget = \"1min\"

[tiers.lint]
exclude = [
    # as in [tiers.test-fast]
    \"a\",
]
targets = [
    # no benches: `c` (bench \"x\"): no
    \"lib\",
    \"bins\",
    \"tests\",
    \"examples\",
]

[presets.full]
features = [
    # not a/fast: `a` (lib): no
]
";
        assert_eq!(settings.text.text(), expected);
    }
}
