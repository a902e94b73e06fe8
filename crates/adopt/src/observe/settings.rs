//! The entries that observing adds to `xtask.toml`, each with a comment that says what was seen.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use toml_edit::{Array, Value};
use xtask_edit::TomlText;
use xtask_workspace::config::{FILE_NAME, Preset, Target, Targets, Tier};
use xtask_workspace::{Facts, WrongUsage};

use super::check::Failure;
use super::{Finding, FoundFeatures};
use crate::lists::{list, shortest};

/// The file, and what is to be added.
pub(super) struct Settings {
    text: TomlText,
    /// Whether `adopt` wrote it and nobody has changed it since.
    is_as_written: bool,
    /// By tier: members with the reason.
    exclude: Vec<(String, BTreeMap<String, String>)>,
    /// By tier: the kinds that are left, and why others are not.
    targets: Vec<(String, Vec<String>, Vec<String>)>,
    /// By preset: its features, and why others are not among them.
    features: Vec<(String, Vec<String>, Vec<String>)>,
    findings: Vec<Finding>,
}

impl Settings {
    pub(super) fn new(text: &str, is_as_written: bool) -> Result<Self> {
        let text = TomlText::parse(text).map_err(|problem| WrongUsage(format!("{FILE_NAME}: {problem}")))?;
        let (exclude, targets, features, findings) = Default::default();
        Ok(Self { text, is_as_written, exclude, targets, features, findings })
    }

    /// Whether a list of features may stand for the preset: a list of the user's own stays.
    pub(super) fn may_list_features(&self, preset: &Preset) -> bool {
        self.is_as_written || !self.text.contains(&["presets", &preset.name])
    }

    /// Whether the tier's list of targets may be written: one of the user's own stays.
    pub(super) fn may_list_targets(&self, tier: &Tier) -> bool {
        self.is_as_written || !self.text.contains(&["tiers", &tier.name, "targets"])
    }

    pub(super) fn list_features(&mut self, facts: &Facts, preset: &str, found: &FoundFeatures) {
        let features = shortest(facts, &found.kept);
        let reasons = found.dropped.iter().map(|(feature, why)| format!("not {feature}: {why}"));
        self.features.push((preset.to_owned(), features, reasons.collect()));
        for (feature, why) in &found.dropped {
            self.find(format!("feature {feature}"), preset, why);
        }
    }

    /// Leaves the members of `failures` out of a tier.
    pub(super) fn exclude(&mut self, tier: &str, failures: &[&Failure]) {
        let mut members = BTreeMap::new();
        for failure in failures {
            members.entry(failure.member.clone()).or_insert_with(|| failure.why.clone());
        }
        for (member, why) in &members {
            self.find(format!("member {member}"), tier, why);
        }
        if !members.is_empty() {
            self.exclude.push((tier.to_owned(), members));
        }
    }

    /// Leaves the kinds of targets of `failures` out of a tier.
    pub(super) fn list_targets(&mut self, tier: &Tier, failures: &[&Failure]) {
        if failures.is_empty() {
            return;
        }
        let mut gone = BTreeSet::new();
        let mut reasons = Vec::new();
        for failure in failures {
            let target = match failure.kind {
                xtask_units::TargetKind::Bench => Target::Benches,
                _ => Target::Examples,
            };
            gone.insert(target.name());
            reasons.push(format!("no {}: {}", target.name(), failure.why));
            self.find(target.name().to_owned(), &tier.name, &failure.why);
        }
        let kinds = match &tier.targets {
            Targets::List(kinds) => kinds.clone(),
            Targets::All => vec![Target::Lib, Target::Bins, Target::Tests, Target::Examples, Target::Benches],
            Targets::Default => vec![Target::Lib, Target::Bins, Target::Tests, Target::Examples],
        };
        let left = kinds.into_iter().map(Target::name).filter(|name| !gone.contains(name));
        self.targets.push((tier.name.clone(), left.map(str::to_owned).collect(), reasons));
    }

    /// A tier of which no member would be left is kept as it is.
    pub(super) fn nothing_left(&mut self, tier: &str, failures: &[&Failure]) {
        let why = failures.first().map_or("", |failure| failure.why.as_str());
        self.find("nothing, since no member would be left".to_owned(), tier, why);
    }

    fn find(&mut self, what: String, of: &str, why: &str) {
        match self.findings.iter_mut().find(|finding| finding.what == what && finding.why == why) {
            Some(finding) if finding.of.iter().any(|other| other == of) => {}
            Some(finding) => finding.of.push(of.to_owned()),
            None => self.findings.push(Finding { what, of: vec![of.to_owned()], why: why.to_owned() }),
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.clone()
    }

    /// The new text; `None` where nothing is to be added.
    pub(super) fn finish(mut self) -> Result<Option<String>> {
        let before = self.text.text().to_owned();
        let mut told = BTreeMap::<String, String>::new();
        // What was said in one table is not said again in the next.
        let mut comment = |table: String, why: &String| match told.get(why) {
            Some(other) if *other != table => format!("# as in [{other}]"),
            _ => {
                told.insert(why.clone(), table);
                format!("# {why}")
            }
        };
        for (preset, features, reasons) in &self.features {
            let comments = reasons.iter().map(|why| comment(format!("presets.{preset}"), why));
            let comments = comments.collect::<Vec<_>>();
            self.text.set(&["presets", preset, "features"], &list(&comments, features))?;
        }
        for (tier, members) in &self.exclude {
            let path = ["tiers", tier, "exclude"];
            let array = self.text.value(&path).and_then(|value| value.as_array().cloned());
            let new =
                members.iter().map(|(member, why)| (member.as_str(), comment(format!("tiers.{tier}"), why)));
            self.text.set(&path, &extended(array.unwrap_or_default(), new).to_string())?;
        }
        for (tier, targets, reasons) in &self.targets {
            let comments = reasons.iter().map(|why| comment(format!("tiers.{tier}"), why));
            let comments = comments.collect::<Vec<_>>();
            self.text.set(&["tiers", tier, "targets"], &list(&comments, targets))?;
        }
        let after = self.text.text();
        Ok((after != before).then(|| after.to_owned()))
    }
}

/// An array with a line for each of its old values and, below its comment, for each new one.
fn extended<'a>(mut array: Array, new: impl Iterator<Item = (&'a str, String)>) -> Array {
    for value in array.iter_mut() {
        let prefix = value.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        if !prefix.contains('\n') {
            value.decor_mut().set_prefix("\n    ");
        }
    }
    for (name, comment) in new {
        let mut value = Value::from(name);
        value.decor_mut().set_prefix(format!("\n    {comment}\n    "));
        array.push_formatted(value);
    }
    array.set_trailing_comma(true);
    array.set_trailing("\n");
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_units::TargetKind;
    use xtask_workspace::config::Config;

    fn failure(member: &str, kind: TargetKind, why: &str) -> Failure {
        Failure { member: member.to_owned(), kind, unit_tests: false, name: None, why: why.to_owned() }
    }

    #[test]
    fn each_entry_has_its_reason_and_what_is_there_stays() {
        let text = "# Ours.\n[tiers.test-fast]\nexclude = [\"x\"] # slow\nbudget = \"1min\"\n";
        let mut settings = Settings::new(text, false).unwrap();
        let (a, b) =
            (failure("a", TargetKind::Lib, "`a` (lib): no"), failure("b", TargetKind::Lib, "b is odd"));
        settings.exclude("test-fast", &[&a, &b]);
        settings.exclude("lint", &[&a]);
        let tiers = Config::defaults(&Facts::default()).tiers;
        let lint = tiers.iter().find(|tier| tier.name == "lint").unwrap();
        let bench = failure("c", TargetKind::Bench, "`c` (bench \"x\"): no");
        settings.list_targets(lint, &[&bench]);
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
        settings.list_features(&facts, "full", &found);
        let of = settings.findings().into_iter().map(|finding| format!("{}: {:?}", finding.what, finding.of));
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

[presets.full]
features = [
    # not a/fast: `a` (lib): no
]

[tiers.lint]
exclude = [
    # as in [tiers.test-fast]
    \"a\",
]
targets = [
    # no benches: `c` (bench \"x\"): no
    \"lib\", \"bins\", \"tests\", \"examples\",
]
";
        assert_eq!(settings.finish().unwrap().unwrap(), expected);
        assert_eq!(Settings::new(text, true).unwrap().finish().unwrap(), None);
    }
}
