//! Files of a workspace in, `xtask.toml` out. Every text is read as the suite reads it.

mod files;

use files::{body, inferred};
use toml_edit::{DocumentMut, Item};

type Files<'a> = &'a [(&'a str, &'a str)];

const A: (&str, &str) = ("a/Cargo.toml", "[package]\nname = \"aa\"\n");
const B: (&str, &str) = ("b/Cargo.toml", "[package]\nname = \"bb\"\n");
const LIBS: [(&str, &str); 2] = [("a/src/lib.rs", ""), ("b/src/lib.rs", "")];

#[test]
fn a_workspace_that_works_by_default_gets_a_header_only() {
    let (text, notes) = inferred(&[A, ("a/src/lib.rs", ""), ("a/benches/x.rs", "fn f() {}")], true);
    assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
    assert!(text.contains(concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/configuration.md")));
    assert_eq!((text.contains('\r'), notes), (false, vec![]));
}

#[test]
fn a_bench_that_is_a_program_is_not_run_as_a_test() {
    let bench = "[package]\nname = \"aa\"\n[[bench]]\nname = \"x\"\nharness = false\n";
    let with = |dependency: &str| format!("{bench}[dev-dependencies]\n{dependency}\n");
    // nextest cannot ask an old criterion for its benchmarks.
    let table = [
        (bench.to_owned(), "a/Cargo.toml:5: `harness = false`, and no dependency is a known harness"),
        (with("divan = \"0.1\""), ""),
        (with("codspeed-criterion-compat = \"2\""), ""),
        (with("bench = { package = \"criterion\", version = \"0.5\" }"), ""),
        (with("criterion = \"0.3.6\""), "a/Cargo.toml:7: criterion 0.3.6"),
        (with("criterion = { version = \"=0.4\" }"), "a/Cargo.toml:7: criterion =0.4"),
        (with("criterion = \"0.30\""), ""),
        (with("criterion = { workspace = true }"), "a/Cargo.toml:7: criterion 0.4 cannot"),
        // A test with a `main` of its own is meant to be run as one.
        (bench.replace("[[bench]]", "[[test]]"), ""),
    ];
    let root = ("Cargo.toml", "[workspace.dependencies]\ncriterion = \"0.4\"\n");
    for (manifest, expected) in table {
        let text = body(&[root, ("a/Cargo.toml", &manifest), ("a/src/lib.rs", "")]);
        let said = format!("[tiers.test-full]\n# no benches: {expected}");
        assert_eq!(text.starts_with(&said), !expected.is_empty(), "{manifest}\n{text}");
        assert!(!text.contains("[tiers.lint]"), "compiling it is no harm: {text}");
        let targets = "targets = [\"lib\", \"bins\", \"tests\", \"examples\"]\n";
        assert_eq!(text.contains(targets), !expected.is_empty(), "{text}");
    }
}

/// The tiers whose `exclude` names the member.
fn excluding(body: &str, member: &str) -> Vec<String> {
    let document = body.parse::<DocumentMut>().unwrap();
    let tiers = document.get("tiers").and_then(Item::as_table).into_iter().flat_map(|tiers| tiers.iter());
    let names = tiers.filter(|(_, tier)| {
        let names = tier.get("exclude").and_then(Item::as_array).into_iter().flatten();
        names.into_iter().any(|name| name.as_str() == Some(member))
    });
    names.map(|(name, _)| name.to_owned()).collect()
}

const ALL: [&str; 7] =
    ["test-fast", "test-common", "test-full", "check-fast", "build-dev", "build-release", "lint"];

#[test]
fn members_made_for_another_machine_or_command_are_left_out() {
    let fuzz = ("b/Cargo.toml", "[package]\nname = \"bb\"\n[dependencies]\nlibfuzzer-sys = \"0.4\"\n");
    let device = ("b/.cargo/config.toml", "[build]\ntarget = \"thumbv7em-none-eabihf\"\n");
    let jobs = ("b/.cargo/config.toml", "[build]\njobs = 1\n");
    let table: [(Files<'_>, &[&str], &str); 4] = [
        (&[fuzz], &ALL, "# bb: b/Cargo.toml:4: fuzz targets on libfuzzer-sys"),
        (&[B, device], &ALL, "# bb: b/.cargo/config.toml:2 builds it for a target of its own"),
        (&[B, jobs], &[], ""),
        (&[B], &[], ""),
    ];
    for (b, expected, why) in table {
        let text = body(&[&[A], &LIBS[..], b].concat());
        assert_eq!(excluding(&text, "bb"), expected, "{text}");
        assert!(text.contains(why), "{text}");
    }
    // Nothing would be left, so the tiers stay as they are.
    assert_eq!(body(&[fuzz, LIBS[1]]), "");
}

#[test]
fn default_members_are_taken_where_no_file_for_ci_takes_more() {
    let root = ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\ndefault-members = [\"a\"]\n");
    let table = [
        ("- run: cargo test", true),
        ("- run: cargo test\n- run: cargo check --workspace", false),
        ("- run: cargo test --all -- --nocapture", false),
        ("- run: cargo test --all-targets", true),
        ("", false),
    ];
    for (workflow, expected) in table {
        let files = [&[root, A, B, (".github/workflows/ci.yml", workflow)], &LIBS[..]].concat();
        let text = body(&files);
        assert_eq!(text.matches("packages = \"default\"").count(), if expected { 5 } else { 0 }, "{text}");
        let affected: &[&str] = if expected { &["test-fast", "check-fast"] } else { &[] };
        assert_eq!(excluding(&text, "bb"), affected, "{text}");
    }
}

#[test]
fn ignored_is_what_is_there_and_nobody_reads() {
    let root = ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\n");
    let there = [
        root,
        (".gitignore", ""),
        ("LICENSE-MIT", ""),
        (".github/x", ""),
        ("README.md", ""),
        ("docs/guide.md", ""),
        ("logo.png", ""),
        ("clippy.toml", ""),
    ];
    let expect = |names: &[&str]| {
        let names = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
        format!("ignore = [{}]", names.join(", "))
    };
    let all = [".github/**", ".gitignore", "LICENSE-MIT", "README.md", "docs/**", "logo.png"];
    let without =
        |name: &str| expect(&all.iter().copied().filter(|other| *other != name).collect::<Vec<_>>());
    let table = [
        ("", expect(&all)),
        ("const A: &str = include_str!(\"../../LICENSE-MIT\");", without("LICENSE-MIT")),
        ("#![doc = include_str!(\"../../README.md\")]", without("README.md")),
        ("fn f() { read(\"../docs/guide.md\") }", without("docs/**")),
        ("fn f() { g(env!(\"CARGO_MANIFEST_DIR\"), \".github\") }", without(".github/**")),
        ("fn f() { write(\".gitignore\") }", expect(&all)),
    ];
    for (source, expected) in table {
        let files = [&there[..], &[A, ("a/src/lib.rs", source), B, ("b/src/lib.rs", "")]].concat();
        let body = body(&files);
        assert!(body.contains(&expected), "{body}");
    }
    // The only package of a workspace owns all that lies in its folder.
    assert_eq!(
        body(&[("Cargo.toml", "[package]\nname = \"aa\"\n"), ("src/lib.rs", ""), (".gitignore", "")]),
        ""
    );
}

#[test]
fn full_leaves_out_features_that_ask_for_nightly_elsewhere_and_what_leads_there() {
    let a = "[package]\nname = \"aa\"\n[dependencies]\nlocks = \"1\"\n[features]\nfast = [\"locks?/nightly\"]\nx = []\n";
    let b = "[package]\nname = \"bb\"\n[dependencies]\nre = { package = \"aa\", path = \"../a\" }\n[features]\ny = [\"re/fast\"]\nz = [\"y\"]\nx = []\n";
    let files = [("a/Cargo.toml", a), ("b/Cargo.toml", b), LIBS[0], LIBS[1]];
    let expected = "[presets.full]
# All features but these:
# - aa/fast, bb/y, bb/z: a/Cargo.toml: `locks?/nightly`
features = [\"x\"]
";
    assert_eq!(body(&files), expected);
    assert!(!inferred(&files, false).0.contains('['), "a nightly toolchain takes them");
    let own = a.replace("[features]", "[features]\nnightly = []").replace("locks?/nightly", "nightly");
    assert_eq!(body(&[("a/Cargo.toml", &own), LIBS[0]]), "", "its own feature may need none");
    let default = a.replace("x = []", "default = [\"fast\"]");
    assert_eq!(body(&[("a/Cargo.toml", &default), LIBS[0]]), "", "on by default");
}

#[test]
fn full_leaves_out_features_that_take_logging_out() {
    let a = "[package]\nname = \"aa\"\n[features]\nmax_level_off = []\nrelease_max_level_info = []\nmax_level_hint = []\n";
    let b = "[package]\nname = \"bb\"\n[dependencies]\naa = { path = \"../a\" }\n[features]\nquiet = [\"aa/max_level_off\"]\n";
    assert_eq!(
        body(&[("a/Cargo.toml", a), ("b/Cargo.toml", b), LIBS[0], LIBS[1]]),
        "[presets.full]
# All features but these:
# - aa/max_level_off, aa/release_max_level_info, bb/quiet: a/Cargo.toml: they compile logging out
features = [\"max_level_hint\"]
"
    );
}

#[test]
fn common_is_the_feature_full_where_no_feature_has_its_name() {
    let features = "[features]\nserde = []\nrc = []\n";
    let full = "full = [\"rc\"]\n";
    let table = [
        (format!("{features}{full}"), true),
        (features.to_owned(), false),
        (format!("{features}common = []\n{full}"), false),
        (format!("{features}full = []\nmore = [\"full\"]\ndefault = [\"more\"]\n"), false),
    ];
    for (manifest, expected) in table {
        let manifest = format!("[package]\nname = \"aa\"\n{manifest}");
        let text = body(&[("a/Cargo.toml", manifest.as_str()), LIBS[0]]);
        let preset = "[presets.common]\n# a feature `full` in a/Cargo.toml.\nfeatures = [\"full\"]\n";
        assert_eq!(text, if expected { preset } else { "" });
    }
}
