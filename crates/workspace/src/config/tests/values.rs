//! What files mean: defaults, overrides and every way to write the same thing.

use super::{EXAMPLE, accept, facts, facts_of, keys};
use crate::config::{
    Affected, Config, OnOverBudget, Packages, Place, Preset, RunnerChoice, Target, Targets, Tier, TierCommand,
};
use std::time::Duration;

use camino::Utf8Path;

fn abouts(config: &Config) -> Vec<(&str, &str)> {
    config.tiers.iter().map(|tier| (tier.name.as_str(), tier.about.as_str())).collect()
}

fn preset(name: &str, builtin: bool) -> Preset {
    Preset { name: name.into(), features: vec![], default_features: true, all_features: false, builtin }
}

#[test]
fn defaults_of_a_workspace_with_the_common_feature() {
    let config = Config::defaults(&facts_of(&[("core", &["common"])]));
    assert_eq!(
        abouts(&config),
        [
            ("test-fast", "Test the packages that a change affects, within 30s"),
            ("test-common", "Test the whole workspace, preset common, within 2min"),
            ("test-full", "Test the whole workspace, preset full, all targets, doctests, for CI"),
            ("check-fast", "Check the packages that a change affects, all targets"),
            ("build-dev", "Build the whole workspace"),
            ("build-release", "Build the whole workspace, profile release"),
            ("lint", "Lint the whole workspace, all targets"),
        ]
    );
    assert_eq!(
        config.presets,
        [
            Preset { default_features: false, ..preset("minimal", true) },
            Preset { features: vec!["common".into()], ..preset("common", true) },
            Preset { all_features: true, ..preset("full", true) },
        ]
    );
    assert_eq!(config.affected, Affected { base: None, trust_base: true, ignore: vec![], global: vec![] });
    assert_eq!(config.path, None);
    assert_eq!(config.tier("lint").unwrap().args, ["--", "-D", "warnings"]);
    let doctests = config.tiers.iter().filter(|tier| tier.doctests).map(|tier| &*tier.name);
    assert_eq!(doctests.collect::<Vec<_>>(), ["test-full"]);
}

#[test]
fn without_the_common_feature_there_is_no_common_preset() {
    let config = Config::defaults(&facts());
    assert_eq!(config.preset("common"), None);
    assert_eq!(config.tier("test-common").unwrap().preset, None);
    let config = accept("[presets.common]\nfeatures = ['cli']\n");
    assert_eq!(config.tier("test-common").unwrap().preset.as_deref(), Some("common"));
    assert_eq!(config.preset("common").unwrap().features, ["cli"]);
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "\u{feff}", "\r\n# nothing\r\n", "[tiers]\n[presets]\n[affected]\n[tiers.lint]\n"] {
        let config = accept(text);
        assert_eq!(config.path.as_deref().unwrap(), "xtask.toml");
        assert_eq!(Config { path: None, ..config }, Config::defaults(&facts()), "{text:?}");
    }
}

#[test]
fn a_default_tier_is_overridden_key_by_key() {
    let default = Config::defaults(&facts()).tier("test-full").unwrap().clone();
    let changed = accept("[tiers.test-full]\nretries = 1\nbudget = 90\n");
    let expected = Tier {
        retries: Some(1),
        budget: Some(Duration::from_secs(90)),
        about: "Test the whole workspace, preset full, all targets, doctests, within 1min 30s, for CI".into(),
        ..default
    };
    assert_eq!(changed.tier("test-full"), Some(&expected));
    assert_eq!(changed.tiers.len(), 7);
    assert_eq!(changed.tiers[2].name, "test-full");
}

#[test]
fn another_command_drops_what_only_the_old_one_understands() {
    let config = accept("tiers.lint.command = 'doc'\ntiers.test-full.command = 'check'\n");
    let lint = config.tier("lint").unwrap();
    assert_eq!((lint.command, &lint.targets, lint.args.len()), (TierCommand::Doc, &Targets::Default, 0));
    let full = config.tier("test-full").unwrap();
    assert!(!full.doctests);
    assert_eq!(full.preset.as_deref(), Some("full"));
    let same = accept("tiers.lint.command = 'clippy'\n");
    assert_eq!(same.tier("lint").unwrap().args.len(), 3);
}

#[test]
fn a_new_tier_starts_from_plain_defaults_and_stands_last() {
    let config = accept("[tiers.z]\ncommand = 'doc'\n[tiers.a]\ncommand = 'bench'\nwhere = 'ci'\n");
    let names: Vec<_> = config.tiers[7..].iter().map(|tier| &*tier.name).collect();
    assert_eq!(names, ["z", "a"]);
    let z = Tier { about: "Document the whole workspace".into(), ..Tier::new("z", TierCommand::Doc) };
    assert_eq!(config.tiers[7], z);
    assert_eq!(config.tiers[8].about, "Benchmark the whole workspace, for CI");
}

#[test]
fn a_preset_of_a_builtin_name_replaces_it() {
    let config = accept("[presets.mine]\n[presets.full]\nfeatures = ['core/serde', 'cli']\n");
    assert_eq!(
        config.presets,
        [
            Preset { default_features: false, ..preset("minimal", true) },
            Preset { features: vec!["core/serde".into(), "cli".into()], ..preset("full", false) },
            preset("mine", false),
        ]
    );
}

#[test]
fn tables_inline_tables_and_dotted_keys_mean_the_same() {
    let header =
        accept("[tiers.quick]\ncommand = 'check'\n[tiers.quick.env]\nA = '1'\n[affected]\nbase = 'x'\n");
    for text in [
        "tiers.quick.command = 'check'\ntiers.quick.env.A = '1'\naffected.base = 'x'\n",
        "tiers = { quick = { command = 'check', env = { A = '1' } } }\naffected = { base = 'x' }\n",
        "[tiers]\nquick = { command = 'check', env.A = '1' }\n[affected]\n\"base\" = \"x\"\n",
    ] {
        assert_eq!(accept(text), header, "{text}");
    }
}

#[test]
fn the_example_reads_as_it_says() {
    let config = accept(EXAMPLE);
    assert_eq!(accept(&EXAMPLE.replace('\n', "\r\n")), config);
    let nightly = Tier {
        about: "Test the whole workspace except cli, preset full, profile release, all targets, doctests, \
                within 1h 30min, for CI"
            .into(),
        exclude: vec!["cli".into()],
        preset: Some("full".into()),
        profile: Some("release".into()),
        targets: Targets::All,
        doctests: true,
        runner: RunnerChoice::Nextest,
        nextest_profile: Some("ci".into()),
        retries: Some(2),
        budget: Some(Duration::from_secs(5400)),
        env: [("RUST_BACKTRACE".into(), "1".into())].into(),
        args: vec!["--locked".into()],
        tools: vec!["mold".into(), "protoc".into()],
        place: Place::Ci,
        ..Tier::new("nightly", TierCommand::Test)
    };
    assert_eq!(config.tier("nightly"), Some(&nightly));
    let core = config.tier("check-core").unwrap();
    assert_eq!(core.about, "Check core alone, with serde");
    assert_eq!(core.packages, Packages::List(vec!["core".into()]));
    assert_eq!(core.targets, Targets::List(vec![Target::Lib, Target::Tests]));
    assert_eq!(config.tier("test-fast").unwrap().on_over_budget, OnOverBudget::Fail);
    assert!(config.preset("everything").unwrap().all_features);
    assert_eq!(config.affected.base.as_deref(), Some("origin/main"));
}

#[test]
fn inputs_are_declared_for_a_package_of_any_name() {
    let text = "[test-inputs.my_Core]\nfiles = ['data/**']\n";
    let facts = facts_of(&[("my_Core", &[])]);
    let config = Config::parse(text, Utf8Path::new("xtask.toml"), &facts, &[]).expect("it is accepted");
    assert_eq!(config.test_inputs[0].name, "my_Core");
}

#[test]
fn every_key_changes_the_configuration_unless_it_says_the_default() {
    for (section, key) in keys() {
        let others = match (section.name(), key.name) {
            ("tiers", "command") => "budget = 1\n",
            ("tiers", "budget") => "command = 'test'\n",
            ("tiers", _) => "command = 'test'\nbudget = 1\n",
            _ => "",
        };
        // Only a member has inputs of its tests.
        let name = if section.name() == "test-inputs" { "core" } else { "quick" };
        let header = format!("{}\n{others}", section.header.replace("NAME", name));
        let set = |value: &str| accept(&format!("{header}{} = {value}\n", key.name));
        if key.name == "command" {
            // A tier of one's own has to have it.
            assert_ne!(set("'check'"), set("'test'"));
            continue;
        }
        assert_ne!(set(key.example), accept(&header), "`{}` has no effect", key.name);
        // What a tool is without a key is for the catalog to say.
        if let Some(default) = key.default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'))
            && section.name() != "tools"
        {
            assert_eq!(set(default), accept(&header), "`{}` is not {default} by itself", key.name);
        }
    }
}
