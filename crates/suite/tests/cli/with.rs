//! `with PRESET -- COMMAND`: any cargo command with the features of a preset.

use xtask_testkit::Outcome;

use crate::support::Suite;

const PRESETS: &str = "[presets.rich]\nfeatures = [\"extra\"]\n[presets.bare]\ndefault-features = false\n";

#[track_caller]
fn assert_command(suite: &Suite, dir: &str, args: &[&str], expected: &str) {
    let args = [&["with", "rich", "--dry-run", "--"], args].concat();
    let mut command = suite.command(&args);
    let outcome = Outcome::of(command.current_dir(suite.root().join(dir))).expect_code(0);
    assert_eq!(outcome.stdout, format!("{expected}\n"));
}

#[test]
fn features_go_to_the_members_that_the_command_selects() {
    let suite = Suite::trio(PRESETS);
    let both = "--features app/extra,base/extra";
    assert_command(&suite, "", &["build"], &format!("cargo build {both}"));
    assert_command(
        &suite,
        "",
        &["test", "--workspace", "--", "x"],
        &format!("cargo test --workspace {both} -- x"),
    );
    assert_command(&suite, "", &["build", "-p", "base"], "cargo build -p base --features base/extra");
    assert_command(
        &suite,
        "",
        &["build", "--package=base"],
        "cargo build --package=base --features base/extra",
    );
    assert_command(&suite, "", &["build", "-pbase"], "cargo build -pbase --features base/extra");
    assert_command(
        &suite,
        "",
        &["build", "-p", "base@0.1.0"],
        "cargo build -p base@0.1.0 --features base/extra",
    );
    assert_command(&suite, "", &["build", "-p", "side"], "cargo build -p side");
    assert_command(
        &suite,
        "",
        &["check", "--workspace", "--exclude", "app"],
        "cargo check --workspace --exclude app --features base/extra",
    );
    assert_command(&suite, "app/src", &["build"], "cargo build --features app/extra");
    assert_command(&suite, "app", &["build", "--workspace"], &format!("cargo build --workspace {both}"));
    assert_command(&suite, "", &["cargo", "build", "-p", "side"], "cargo build -p side");
    assert_command(
        &suite,
        "",
        &["+nightly", "build", "-p", "base"],
        "cargo +nightly build -p base --features base/extra",
    );
}

#[test]
fn words_are_read_by_cargos_rules() {
    let suite = Suite::trio(PRESETS);
    let extra = "--features base/extra";
    let both = "--features app/extra,base/extra";
    assert_command(&suite, "", &["build", "-p", "b*"], &format!("cargo build -p 'b*' {extra}"));
    assert_command(
        &suite,
        "",
        &["build", "--workspace", "--exclude", "[a]pp"],
        &format!("cargo build --workspace --exclude '[a]pp' {extra}"),
    );
    assert_command(
        &suite,
        "",
        &["build", "--manifest-path", "base/Cargo.toml"],
        &format!("cargo build --manifest-path base/Cargo.toml {extra}"),
    );
    assert_command(
        &suite,
        "",
        &["--offline", "build", "-rpbase"],
        &format!("cargo --offline build -r -pbase {extra}"),
    );
    // What follows the first word is the program's own.
    assert_command(
        &suite,
        "",
        &["run", "-p", "app", "word", "-p", "x"],
        "cargo run -p app --features app/extra -- word -p x",
    );
    let aliases = "[alias]\nt = \"test --workspace -- --nocapture\"\nu = [\"t\", \"x\"]\n";
    suite.fixture.write(".cargo/config.toml", aliases);
    assert_command(&suite, "", &["u"], &format!("cargo test --workspace {both} -- --nocapture x"));
    assert_command(&suite, "base", &["b"], &format!("cargo build {extra}"));
}

#[test]
fn what_is_printed_is_what_cargo_accepts_and_does() {
    let suite = Suite::trio(PRESETS);
    suite.fixture.write("base/tests/on.rs", "#[test] fn on() { assert!(cfg!(feature = \"extra\")) }\n");
    let outcome = suite.run(&["with", "rich", "--", "test", "-p", "base", "--test", "on"], 0);
    assert!(outcome.stdout.contains("test on ... ok"), "{}", outcome.stdout);
    // From a member's folder, where plain cargo takes that member.
    let mut below = suite.command(&["with", "rich", "--", "test", "--test", "on"]);
    let _ = Outcome::of(below.current_dir(suite.root().join("base"))).expect_code(0);
    suite.run(&["with", "bare", "--", "test", "-p", "base", "--test", "on"], 1);
    // Twice in the same words: nothing is compiled anew.
    assert_eq!(
        suite.cargo_compiles(&["test", "-p", "base", "--features", "base/extra", "--test", "on", "--no-run"]),
        0
    );
}

#[test]
fn a_contradiction_is_wrong_usage() {
    let suite = Suite::trio(PRESETS);
    for flag in ["--features=x", "--features x", "-F x", "-Fextra", "--all-features", "--no-default-features"]
    {
        let flags = flag.split(' ').collect::<Vec<_>>();
        let outcome = suite.run(&[&["with", "rich", "--", "build"], &*flags].concat(), 2);
        assert!(outcome.stderr.contains("contradicts the preset `rich`"), "{flag}: {}", outcome.stderr);
    }
    // Behind the second `--` it is the program's own.
    suite.run(&["with", "rich", "--dry-run", "--", "run", "-p", "app", "--", "--features"], 0);
    let outcome = suite.run(&["with", "rich"], 2);
    assert!(outcome.stderr.contains("CARGO COMMAND"), "{}", outcome.stderr);
    suite.run(&["with", "rich", "--", "+nightly"], 2);
}

#[test]
fn how_cargo_ended_is_how_it_ends() {
    let mut suite = Suite::trio(PRESETS);
    suite.run(&["with", "bare", "--", "test", "-p", "side"], 0);
    suite.set("FAIL", "side-unit");
    suite.run(&["with", "bare", "--", "test", "-p", "side"], 1);
    let outcome = suite.run(&["with", "bare", "--", "no-such-command"], 1);
    assert!(outcome.stderr.contains("no such command"), "{}", outcome.stderr);
}

#[test]
fn another_folder_by_c() {
    let suite = Suite::trio(PRESETS);
    let printed = |args: &[&str]| {
        let args = [&["-C"], args, &["with", "rich", "--dry-run", "--", "build"]].concat();
        let mut command = suite.command(&args);
        Outcome::of(command.current_dir("/")).expect_code(0).stdout
    };
    assert_eq!(printed(&[suite.root().as_str()]), "cargo build --features app/extra,base/extra\n");
    assert_eq!(printed(&[suite.root().join("base").as_str()]), "cargo build --features base/extra\n");
}
