//! `preset list`, `show` and `compare`.

use crate::support::{Suite, number};

const PRESETS: &str =
    "[presets.bare]\ndefault-features = false\n[presets.rich]\nfeatures = [\"extra\", \"app/common\"]\n";

#[test]
fn list_says_what_each_turns_on_and_where_it_is_from() {
    let suite = Suite::trio(PRESETS);
    let expected = "minimal  no default features\n\
                    common   default features + common\n\
                    full     all features\n\
                    bare     no default features  (xtask.toml)\n\
                    rich     default features + extra, app/common  (xtask.toml)\n";
    assert_eq!(suite.run(&["preset", "list"], 0).stdout, expected);
}

#[test]
fn common_exists_only_where_a_member_has_the_feature() {
    let suite = Suite::trio("");
    let manifest = suite.fixture.read("app/Cargo.toml").replace("common = []\n", "");
    suite.fixture.write("app/Cargo.toml", &manifest);
    assert!(!suite.run(&["preset", "list"], 0).stdout.contains("common"));
    assert!(!suite.run(&["test-common", "--dry-run"], 0).stdout.contains("--features"));
}

#[test]
fn show_names_the_features_of_each_member() {
    let suite = Suite::trio(PRESETS);
    let expected = "app   common, extra\nbase  extra\nside  -\nrich: default features + extra, app/common\n";
    assert_eq!(suite.run(&["preset", "show", "rich"], 0).stdout, expected);
}

#[test]
fn a_preset_applies_per_member() {
    let config = format!(
        "{PRESETS}[tiers.t]\ncommand = \"test\"\npreset = \"rich\"\n[tiers.s]\ncommand = \"test\"\npreset = \"rich\"\npackages = [\"side\"]\n"
    );
    let suite = Suite::trio(&config);
    let command = |tier: &str| suite.json(&[tier], 0)["commands"][0].as_str().unwrap().to_owned();
    assert!(command("t").contains("--features app/common,app/extra,base/extra"));
    assert!(!command("s").contains("--features"), "side has none of them");
}

#[test]
fn compare_counts_shared_units_and_names_the_feature_that_splits() {
    let suite = Suite::trio(PRESETS);
    let comparison = suite.json(&["preset", "compare", "minimal", "rich"], 0);
    // base: lib and test; app: bin, its test and the integration test; side: lib and test.
    assert_eq!(number(&comparison["shared"]), 2, "{comparison:#}");
    for side in ["only_first", "only_second"] {
        assert_eq!(comparison[side].as_array().unwrap().len(), 5, "{comparison:#}");
    }
    let split = comparison["splits"]
        .as_array()
        .unwrap()
        .iter()
        .find(|split| split["unit"] == "base 0.1.0 lib")
        .unwrap();
    assert_eq!(split["features_second"], serde_json::json!(["extra"]));
    assert_eq!(split["features_first"], serde_json::json!([]));
    // The library and the three units of `app` that link it.
    assert_eq!(split["units"], 4, "{comparison:#}");

    let text = suite.run(&["preset", "compare", "minimal", "rich"], 0).stdout;
    assert!(text.contains("base 0.1.0 lib: rich has extra (4 units compiled twice)"), "{text}");
    assert!(text.ends_with("minimal and rich share 2 units; minimal adds 5, rich adds 5\n"), "{text}");
    assert!(!suite.root().join("target/debug").exists(), "nothing was compiled");
}

#[test]
fn equal_presets_are_one_build_and_that_is_true() {
    let suite = Suite::trio(PRESETS);
    let comparison = suite.json(&["preset", "compare", "minimal", "bare"], 0);
    assert_eq!((number(&comparison["shared"]), comparison["splits"].as_array().unwrap().len()), (7, 0));
    assert_eq!(suite.cargo_compiles(&["test", "--workspace", "--no-default-features", "--no-run"]), 7);
}

#[test]
fn compare_takes_command_packages_profile_and_arguments_of_a_tier() {
    let config = format!(
        "{PRESETS}[tiers.r]\ncommand = \"build\"\npackages = [\"base\"]\nprofile = \"release\"\n\
         [tiers.all]\ncommand = \"build\"\npackages = [\"base\"]\nargs = [\"--features\", \"base/extra\"]\n"
    );
    let suite = Suite::trio(&config);
    let comparison = suite.json(&["preset", "compare", "minimal", "rich", "--tier", "r"], 0);
    assert_eq!(comparison["only_second"], serde_json::json!(["base 0.1.0 lib"]));
    let comparison = suite.json(&["preset", "compare", "bare", "rich", "--tier", "all"], 0);
    assert_eq!((number(&comparison["shared"]), &comparison["only_second"]), (1, &serde_json::json!([])));
    let outcome = suite.run(&["preset", "compare", "minimal", "rich", "--tier", "rr"], 2);
    assert!(outcome.stderr.contains("there is no tier `rr`"), "{}", outcome.stderr);
}
