//! Which features `minimal`, `common` and `full` turn on.

use super::excluding;
use super::files::{body, inferred};

#[test]
fn full_leaves_out_what_needs_nightly_and_what_leads_there() {
    let files = [
        (
            "a/Cargo.toml",
            "[package]\nname = \"aa\"\n[features]\ndefault = [\"std\"]\nstd = []\nunstable = []\nfast = [\"unstable\"]\n",
        ),
        ("a/src/lib.rs", "#![cfg_attr(feature = \"unstable\", feature(never_type))]"),
        (
            "b/Cargo.toml",
            "[package]\nname = \"bb\"\n[dependencies]\nre = { package = \"aa\", path = \"../a\" }\n[features]\nx = [\"re/fast\"]\nstd = []\nfast = []\n",
        ),
        ("b/src/lib.rs", ""),
    ];
    assert_eq!(
        body(&files),
        "[presets.full]
# All features but these:
# - aa/fast, aa/unstable, bb/x: a/src/lib.rs:1: `#![cfg_attr(feature = \"unstable\", feature(never_type))]`
features = [\"bb/fast\", \"std\"]
"
    );
    let nightly = inferred(&files, false);
    assert!(!nightly.text.contains('['), "{}", nightly.text);
}

#[test]
fn full_leaves_out_features_that_ask_for_nightly_elsewhere() {
    let files = [
        (
            "a/Cargo.toml",
            "[package]\nname = \"aa\"\n[dependencies]\nlocks = \"1\"\n[features]\nfast = [\"locks/nightly\"]\nx = []\n",
        ),
        ("a/src/lib.rs", ""),
    ];
    assert_eq!(
        body(&files),
        "[presets.full]\n# All features but these:\n# - aa/fast: a/Cargo.toml:6: `locks/nightly`\nfeatures = [\"x\"]\n"
    );
}

#[test]
fn full_leaves_out_features_that_take_logging_out() {
    let files = [
        (
            "a/Cargo.toml",
            "[package]\nname = \"aa\"\n[features]\nmax_level_off = []\nrelease_max_level_info = []\nmax_level_hint = []\n",
        ),
        ("a/src/lib.rs", ""),
        (
            "b/Cargo.toml",
            "[package]\nname = \"bb\"\n[dependencies]\naa = { path = \"../a\" }\n[features]\nquiet = [\"aa/max_level_off\"]\n",
        ),
        ("b/src/lib.rs", ""),
    ];
    assert_eq!(
        body(&files),
        "[presets.full]
# All features but these:
# - aa/max_level_off, aa/release_max_level_info, bb/quiet: a/Cargo.toml: they compile logging out
features = [\"max_level_hint\"]
"
    );
}

#[test]
fn full_is_all_features_of_members_that_are_tested_so_alone() {
    let workflow = |all: &str| {
        format!("    - run: cargo nextest run --workspace{all}\n    - run: cargo test --all-features -p aa\n")
    };
    let a = "[package]\nname = \"aa\"\n[features]\nx = []\n";
    let b = "[package]\nname = \"bb\"\n[features]\ny = []\n";
    let files = |workflow| {
        let path = ".github/workflows/ci.yml";
        [
            ("a/Cargo.toml", a),
            ("a/src/lib.rs", ""),
            ("b/Cargo.toml", b),
            ("b/src/lib.rs", ""),
            (path, workflow),
        ]
    };
    let (apart, together) = (workflow(""), workflow(" --all-features"));
    let said = "[presets.full]
# All features of aa (.github/workflows/ci.yml:2); no command here tests all of all members together.
features = [\"x\"]
";
    assert!(body(&files(&apart)).starts_with(said), "{}", body(&files(&apart)));
    assert!(!body(&files(&together)).contains("presets.full"));
}

#[test]
fn full_is_what_a_makefile_calls_so() {
    let a = "[package]\nname = \"aa\"\n[features]\nx = []\nz = []\n";
    let b = "[package]\nname = \"bb\"\n[features]\nx = []\ny = []\n";
    let table = [
        ("_FEATURES_full = --features \"x bb/y\"\n", "features = [\"x\", \"y\"]\n"),
        ("FEATURES_FULL := --features=x\n", "features = [\"x\"]\n"),
        // Not all of it is known.
        ("_FEATURES_full = ${_FEATURES} --features x\n", ""),
        ("_FEATURES_full = --features x --release\n", ""),
        ("_FEATURES_full = --features \"x elsewhere/y\"\n", ""),
        ("_FEATURES_debug = --features x\n", ""),
    ];
    for (makefile, expected) in table {
        let text =
            format!("# One.\n{makefile}test-%:\n\tcargo test ${{_FEATURES_${{@:test-%=%}}}} ${{ARGS}}\n");
        let files = [
            ("a/Cargo.toml", a),
            ("a/src/lib.rs", ""),
            ("b/Cargo.toml", b),
            ("b/src/lib.rs", ""),
            ("Makefile", text.as_str()),
        ];
        let body = body(&files);
        let said = format!("[presets.full]\n# Makefile:2 calls these the full features.\n{expected}");
        assert_eq!(body.contains("[presets.full]"), !expected.is_empty(), "{makefile}{body}");
        assert!(expected.is_empty() || body.starts_with(&said), "{makefile}{body}");
    }
}

#[test]
fn of_features_that_exclude_each_other_the_default_or_the_first_stays() {
    let source = "#[cfg(all(feature = \"tls\", feature = \"ssl\"))]\ncompile_error!(\"one\");";
    let table = [("", "tls"), ("default = [\"ssl\"]\n", "ssl")];
    for (default, stays) in table {
        let manifest = format!("[package]\nname = \"aa\"\n[features]\n{default}ssl = []\ntls = []\n");
        for file in ["a/src/lib.rs", "a/src/net.rs"] {
            let files = [("a/Cargo.toml", manifest.as_str()), ("a/src/lib.rs", ""), (file, source)];
            let body = body(&files);
            assert!(body.ends_with(&format!("features = [\"{stays}\"]\n")), "{file} {body}");
            assert!(
                body.contains(&format!("{file}:1: `#[cfg(all(feature = \"tls\", feature = \"ssl\"))]")),
                "{body}"
            );
        }
    }
}

#[test]
fn a_flag_that_nothing_sets_is_off() {
    let manifest = "[package]\nname = \"aa\"\n[features]\ndump = []\nnet = []\n";
    let source = "#[cfg(all(not(tokio_unstable), feature = \"dump\"))]\ncompile_error!(\"needs --cfg\");";
    let table = [
        ("x", "", true),
        (".cargo/config.toml", "[build]\nrustflags = [\"--cfg\", \"tokio_unstable\"]\n", false),
        ("a/build.rs", "fn main() {}", false),
    ];
    for (path, text, expected) in table {
        let files = [("a/Cargo.toml", manifest), ("a/src/lib.rs", source), (path, text)];
        let body = body(&files);
        assert_eq!(body.ends_with("features = [\"net\"]\n"), expected, "{path} {body}");
    }
}

#[test]
fn dependencies_of_other_machines_turn_nothing_on() {
    let source = "#[cfg(feature = \"dump\")]\ncompile_error!(\"x\");";
    let table = [("cfg(unix)", true), ("cfg(tokio_unstable)", false), ("x86_64-pc-windows-msvc", false)];
    for (target, expected) in table {
        let b = format!(
            "[package]\nname = \"bb\"\n[target.'{target}'.dependencies]\naa = {{ path = \"../a\", features = [\"dump\"] }}\n"
        );
        let files = [
            ("a/Cargo.toml", "[package]\nname = \"aa\"\n[features]\ndump = []\n"),
            ("a/src/lib.rs", source),
            ("b/Cargo.toml", b.as_str()),
            ("c/Cargo.toml", "[package]\nname = \"cc\"\n"),
            ("c/src/lib.rs", ""),
        ];
        let text = body(&files);
        assert_eq!(excluding(&text, "aa").len(), if expected { 7 } else { 0 }, "{target} {text}");
    }
}

#[test]
fn minimal_keeps_what_the_source_asks_for() {
    let files = [
        ("a/Cargo.toml", "[package]\nname = \"aa\"\n[features]\ndefault = [\"std\"]\nalloc = []\nstd = []\n"),
        (
            "a/src/lib.rs",
            "#[cfg(not(any(feature = \"alloc\", feature = \"std\")))]\ncompile_error!(\"one\");",
        ),
    ];
    assert_eq!(
        body(&files),
        "[presets.minimal]
# aa/std: a/src/lib.rs:1: `#[cfg(not(any(feature = \"alloc\", feature = \"std\")))] compile_error!`
default-features = false
features = [\"aa/std\"]
"
    );
}

#[test]
fn common_is_what_the_workspace_says_goes_together() {
    let features = "[features]\nserde = []\nrc = []\n";
    let docs = "[package.metadata.docs.rs]\nfeatures = [\"rc\", \"unstable-doc\"]\n";
    let full = "full = [\"rc\"]\nunstable-doc = []\n";
    let tests = ".github/workflows/ci.yml";
    let table = [
        (format!("{features}unstable-doc = []\n{docs}"), "", "features = [\"rc\"]"),
        (format!("{features}{full}{docs}"), "", "features = [\"full\"]"),
        (format!("{features}{full}"), "cargo test --workspace -F serde,rc", "features = [\"rc\", \"serde\"]"),
        (features.to_owned(), "cargo test --features serde\ncargo test --features rc", ""),
        (features.to_owned(), "cargo test -p aa --features serde", ""),
        (features.to_owned(), "cargo test --no-default-features --features serde", ""),
        (features.to_owned(), "cargo test --features $FEATURES", ""),
        (format!("{features}common = []\n{full}"), "", ""),
        (format!("{features}full = []\ndefault = [\"full\"]\n"), "", ""),
    ];
    for (manifest, workflow, expected) in table {
        let manifest = format!("[package]\nname = \"aa\"\n{manifest}");
        let files = [("a/Cargo.toml", manifest.as_str()), ("a/src/lib.rs", ""), (tests, workflow)];
        let text = body(&files);
        assert_eq!(text.contains("[presets.common]"), !expected.is_empty(), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}
