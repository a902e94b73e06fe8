//! `xtask.toml`: what is wrong with it is said with file, line, column and "did you mean".

use serde_json::Value;

use crate::support::Suite;

#[test]
fn every_kind_of_mistake_points_at_its_place() {
    let table = [
        ("[tiers.test-fast]\nbudgett = \"1s\"\n", "2:1", "did you mean `budget`?"),
        ("[tiers.test-fast]\nretries = \"two\"\n", "2:11", "integer"),
        ("[tiers.x]\ncommand = \"tset\"\n", "2:11", "did you mean `test`?"),
        ("[tiers.x]\ncommand = \"test\"\npreset = \"ful\"\n", "3:10", "did you mean `full`?"),
        ("[tiers.x]\ncommand = \"test\"\npackages = [\"app\", \"bsae\"]\n", "3:20", "did you mean `base`?"),
        ("[tiers.x]\ncommand = \"test\"\nexclude = [\"sid\"]\n", "3:12", "did you mean `side`?"),
        ("[presets.p]\nfeatures = [\"comon\"]\n", "2:13", "did you mean `common`?"),
        ("[presets.p]\nfeatures = [\"side/extra\"]\n", "2:13", "member `side` has no feature named `extra`"),
        ("[affectd]\n", "1:2", "did you mean `affected`?"),
        ("[tiers.with]\ncommand = \"test\"\n", "1:8", "choose another name"),
        ("[tiers.x\n", "1:", "xtask.toml"),
    ];
    let suite = Suite::trio("");
    for (text, place, hint) in table {
        suite.fixture.write("xtask.toml", text);
        let outcome = suite.run(&["build-dev"], 2);
        let file = suite.root().join("xtask.toml");
        assert!(outcome.stderr.contains(&format!("{file}:{place}")), "{text}\n{}", outcome.stderr);
        assert!(outcome.stderr.contains(hint), "{text}\n{}", outcome.stderr);
    }
    // Nothing ran.
    assert!(!suite.root().join("target/debug").exists());
}

#[test]
fn all_mistakes_are_said_at_once() {
    let suite = Suite::trio("[tiers.a]\ncommand = \"x\"\n[tiers.b]\ncommand = \"y\"\n");
    let said = suite.run(&["build-dev"], 2).stderr;
    assert!(said.contains("xtask.toml:2:11") && said.contains("xtask.toml:4:11"), "{said}");
}

#[test]
fn the_schema_names_every_section() {
    let suite = Suite::trio("");
    let schema: Value = serde_json::from_str(&suite.run(&["schema"], 0).stdout).unwrap();
    for section in ["tiers", "presets", "affected"] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
}
