//! Files of a workspace in, `xtask.toml` out. Every text is read as the suite reads it.

mod files;
mod presets;

use files::{body, inferred};
use toml_edit::{DocumentMut, Item};

type Files<'a> = &'a [(&'a str, &'a str)];

const A: (&str, &str) = ("a/Cargo.toml", "[package]\nname = \"aa\"\n");
const B: (&str, &str) = ("b/Cargo.toml", "[package]\nname = \"bb\"\n");
const B_ON_A: (&str, &str) =
    ("b/Cargo.toml", "[package]\nname = \"bb\"\n[dependencies]\naa = { path = \"../a\" }\n");
const NIGHTLY: &str = "#![feature(test)]\n";

#[test]
fn a_workspace_that_works_by_default_gets_a_header_only() {
    let files =
        [A, ("a/src/lib.rs", "#![cfg_attr(docsrs, feature(doc_cfg))]"), ("a/benches/x.rs", "fn f() {}")];
    let inferred = inferred(&files, true);
    assert!(inferred.text.lines().all(|line| line.starts_with('#')), "{}", inferred.text);
    assert!(
        inferred.text.contains(concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/configuration.md"))
    );
    assert_eq!((inferred.text.contains('\r'), inferred.notes), (false, vec![]));
}

#[test]
fn benches_and_examples_that_need_nightly_are_no_targets() {
    let files = [A, ("a/src/lib.rs", ""), ("a/benches/x.rs", NIGHTLY), B, ("b/src/main.rs", "")];
    assert_eq!(
        body(&files),
        "[tiers.test-full]
# no benches: a/benches/x.rs:1: `#![feature(test)]` needs a nightly toolchain
targets = [\"lib\", \"bins\", \"tests\"]

[tiers.check-fast]
# no benches: as above
targets = [\"lib\", \"bins\", \"tests\"]

[tiers.lint]
# no benches: as above
targets = [\"lib\", \"bins\", \"tests\"]
"
    );
    // `cargo test` builds examples without being asked to.
    let files = [A, ("a/src/lib.rs", ""), ("a/examples/x.rs", NIGHTLY), ("a/benches/y.rs", "")];
    let body = body(&files);
    assert!(body.starts_with("[tiers.test-fast]\n# no examples: a/examples/x.rs:1"), "{body}");
    assert_eq!(body.matches("targets = [\"lib\", \"tests\"]").count(), 2, "{body}");
    assert_eq!(body.matches("targets = [\"lib\", \"tests\", \"benches\"]").count(), 3, "{body}");
}

#[test]
fn targets_behind_features_that_are_off_are_no_reason() {
    let bench = "[[bench]]\nname = \"x\"\nrequired-features = [\"nightly\"]\n";
    let manifest = format!("[package]\nname = \"aa\"\n{bench}[features]\nnightly = []\n");
    let files = [("a/Cargo.toml", manifest.as_str()), ("a/src/lib.rs", ""), ("a/benches/x.rs", NIGHTLY)];
    assert_eq!(
        body(&files),
        "[presets.full]\n# All features but these:\n# - aa/nightly: a/benches/x.rs:1: `#![feature(test)]`\nfeatures = []\n"
    );
}

#[test]
fn a_bench_that_is_a_program_is_not_run_as_a_test() {
    let bench = "[package]\nname = \"aa\"\n[[bench]]\nname = \"x\"\nharness = false\n";
    let criterion = format!("{bench}[dev-dependencies]\ncriterion = \"1\"\n");
    let table = [
        (bench, "fn main() {}", true),
        (bench, "use divan::Bencher; fn main() {}", false),
        (criterion.as_str(), "fn main() {}", false),
    ];
    for (manifest, source, expected) in table {
        let files = [("a/Cargo.toml", manifest), ("a/src/lib.rs", ""), ("a/benches/x.rs", source)];
        let text = body(&files);
        let said = "[tiers.test-full]\n# no benches: a/Cargo.toml:5: `harness = false`, and a/benches/x.rs has no known";
        assert_eq!(text.starts_with(said), expected, "{text}");
        assert!(!text.contains("[tiers.lint]"), "compiling it is no harm: {text}");
    }
    // nextest cannot ask an old criterion for its benchmarks.
    let source = "criterion::criterion_main!(x);";
    let table =
        [("\"0.3.6\"", true), ("{ version = \"=0.4\" }", true), ("\"0.5\"", false), ("\"0.30\"", false)];
    for (version, expected) in table {
        let manifest = format!("{bench}[dev-dependencies]\ncriterion = {version}\n");
        let text = body(&[("a/Cargo.toml", &manifest), ("a/src/lib.rs", ""), ("a/benches/x.rs", source)]);
        let said = "[tiers.test-full]\n# no benches: a/Cargo.toml:7: criterion 0.";
        assert_eq!(text.starts_with(said), expected, "{text}");
    }
    let manifest =
        format!("{bench}[[bench]]\nname = \"y\"\nharness = false\n[dev-dependencies]\ncriterion = \"0.3\"\n");
    let benches = [("a/benches/x.rs", source), ("a/benches/y.rs", source)];
    let files = [&[("a/Cargo.toml", manifest.as_str()), ("a/src/lib.rs", "")][..], &benches].concat();
    assert_eq!(body(&files).matches("criterion").count(), 1, "said once: {}", body(&files));
    // A test with a `main` of its own is meant to be run as one.
    let test = bench.replace("[[bench]]", "[[test]]");
    assert_eq!(body(&[("a/Cargo.toml", &test), ("a/src/lib.rs", ""), ("a/tests/x.rs", "fn main() {}")]), "");
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
const TESTS: [&str; 3] = ["test-fast", "test-common", "test-full"];
const HARNESS: [&str; 5] = ["test-fast", "test-common", "test-full", "check-fast", "lint"];

#[test]
fn members_that_cannot_be_built_here_are_left_out_where_they_would_be() {
    let fuzz = "[package]\nname = \"bb\"\n[dependencies]\nlibfuzzer-sys = \"0.4\"\n";
    let table: [(Files<'_>, &[&str]); 9] = [
        (&[B, ("b/src/lib.rs", "#![feature(never_type)]")], &ALL),
        (&[B, ("b/src/lib.rs", ""), ("b/build.rs", "#![feature(x)]")], &ALL),
        (&[B, ("b/src/main.rs", "#![cfg_attr(test, feature(test))]")], &HARNESS),
        (&[B, ("b/src/lib.rs", ""), ("b/tests/x.rs", NIGHTLY)], &HARNESS),
        (&[B, ("b/src/main.rs", "#![no_std]\n#![no_main]\n")], &ALL),
        (&[B, ("b/src/main.rs", "#![no_std]\nfn main() {}\n")], &[]),
        (&[("b/Cargo.toml", fuzz), ("b/src/main.rs", "#![no_main]")], &ALL),
        (
            &[
                B,
                ("b/src/main.rs", ""),
                ("b/.cargo/config.toml", "[build]\ntarget = \"thumbv7em-none-eabihf\"\n"),
            ],
            &ALL,
        ),
        (&[B, ("b/src/main.rs", ""), ("b/.cargo/config.toml", "[build]\njobs = 1\n")], &[]),
    ];
    for (b, expected) in table {
        let files = [&[A, ("a/src/lib.rs", "")], b].concat();
        let body = body(&files);
        assert_eq!(excluding(&body, "bb"), expected, "{body}");
    }
}

#[test]
fn what_depends_on_such_a_member_is_left_out_too() {
    let files = [
        A,
        ("a/src/lib.rs", NIGHTLY),
        B_ON_A,
        ("b/src/lib.rs", ""),
        ("c/Cargo.toml", "[package]\nname = \"cc\"\n"),
        ("c/src/lib.rs", ""),
    ];
    let text = body(&files);
    assert_eq!(
        (excluding(&text, "bb"), excluding(&text, "cc")),
        (ALL.map(str::to_owned).to_vec(), vec![]),
        "{text}"
    );
    assert!(text.contains("# bb: b/Cargo.toml depends on aa\n"), "{text}");
    // For tests alone it is built only with them.
    let manifest = B_ON_A.1.replace("[dependencies]", "[dev-dependencies]");
    let dev = [A, files[1], (B_ON_A.0, manifest.as_str()), files[3], files[4], files[5]];
    let text = body(&dev);
    assert_eq!(excluding(&text, "bb"), HARNESS, "{text}");
    // Nothing would be left, so the tiers stay and it is said.
    let nothing_left = inferred(&files[..4], true);
    assert!(!nothing_left.text.contains("exclude"), "{}", nothing_left.text);
    assert!(nothing_left.notes.iter().any(|note| note.starts_with("lint: no member is left")));
}

#[test]
fn an_exclude_counts_where_every_such_command_has_it() {
    let table: [(&str, &[&str]); 7] = [
        ("- run: cargo test --workspace --exclude bb", &ALL),
        ("- run: cargo test --all --exclude bb\n- run: cargo clippy --all", &TESTS),
        ("- run: cargo test --workspace --exclude bb\n- run: cargo test --workspace", &[]),
        ("- run: cargo test --workspace --exclude bb\n- run: make ARGS='--workspace'", &[]),
        ("- run: cargo +nightly test --workspace --exclude bb", &[]),
        ("- run: cargo test --target x --workspace --exclude bb", &[]),
        ("- run: cargo test --workspace --exclude gone", &[]),
    ];
    for (workflow, expected) in table {
        let files =
            [A, ("a/src/lib.rs", ""), B, ("b/src/lib.rs", ""), (".github/workflows/ci.yml", workflow)];
        let text = body(&files);
        assert_eq!(excluding(&text, "bb"), expected, "{workflow}\n{text}");
        assert_eq!(text.contains("ci.yml:1: `--exclude bb`"), !expected.is_empty(), "{text}");
    }
}

#[test]
fn default_members_are_taken_where_no_command_takes_more() {
    let root = ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\ndefault-members = [\"a\"]\n");
    let table = [
        ("- run: cargo test", true),
        ("- run: cargo test\n- run: cargo check --workspace", false),
        ("- run: cargo +nightly test", false),
        ("", false),
    ];
    for (workflow, expected) in table {
        let files =
            [root, A, ("a/src/lib.rs", ""), B, ("b/src/lib.rs", ""), (".github/workflows/ci.yml", workflow)];
        let text = body(&files);
        assert_eq!(text.matches("packages = \"default\"").count(), if expected { 5 } else { 0 }, "{text}");
        let affected: &[&str] = if expected { &["test-fast", "check-fast"] } else { &[] };
        assert_eq!(excluding(&text, "bb"), affected, "{text}");
    }
}

#[test]
fn the_profile_of_nextest_is_theirs() {
    let table = [
        ("cargo nextest run --profile ci", "[profile.ci]\n", true),
        ("cargo nextest run --profile ci", "[profile.other]\n", false),
        ("cargo nextest run --profile ci\ncargo nextest run", "[profile.ci]\n", false),
        ("cargo build --profile ci", "[profile.ci]\n", false),
    ];
    for (command, config, expected) in table {
        let files =
            [A, ("a/src/lib.rs", ""), (".config/nextest.toml", config), (".github/workflows/x.yml", command)];
        assert_eq!(body(&files).contains("nextest-profile = \"ci\""), expected, "{command}");
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
        ("clippy.toml", ""),
    ];
    let table = [
        ("", "ignore = [\".github/**\", \".gitignore\", \"LICENSE-MIT\"]"),
        ("const A: &str = include_str!(\"../../LICENSE-MIT\");", "ignore = [\".github/**\", \".gitignore\"]"),
        (
            "fn f() { g(env!(\"CARGO_MANIFEST_DIR\"), \".github\") }",
            "ignore = [\".gitignore\", \"LICENSE-MIT\"]",
        ),
        ("fn f() { write(\".gitignore\") }", "ignore = [\".github/**\", \".gitignore\", \"LICENSE-MIT\"]"),
    ];
    for (source, expected) in table {
        let files = [&there[..], &[A, ("a/src/lib.rs", source), B, ("b/src/lib.rs", "")]].concat();
        let body = body(&files);
        assert!(body.contains(expected), "{body}");
    }
    // The only package of a workspace owns all that lies in its folder.
    assert_eq!(
        body(&[("Cargo.toml", "[package]\nname = \"aa\"\n"), ("src/lib.rs", ""), (".gitignore", "")]),
        ""
    );
}
