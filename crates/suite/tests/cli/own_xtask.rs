//! An xtask that the workspace had before the suite: commands that the suite does not know go there as they were typed.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use xtask_testkit::Outcome;

use crate::support::Suite;

const MANIFEST: &str = "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

/// Says what it got; ends as it is told.
const TOOL: &str = r#"
fn main() {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    println!("{args:?} in {}", std::env::current_dir().unwrap().display());
    match args.first().map(String::as_str) {
        Some("code") => std::process::exit(args[1].parse().unwrap()),
        Some("abort") => std::process::abort(),
        Some("echo") => {
            std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).unwrap();
        }
        _ => {}
    }
}
"#;

const STRING: &str = "xtask-own = \"run --quiet --package tool --\"";
const LIST: &str = "xtask-own = [\"run\", \"--quiet\", \"--package\", \"tool\", \"--\"]";

/// A workspace whose own xtask is behind `alias`, a line of cargo's configuration.
fn suite(alias: &str, config: &str) -> Suite {
    let aliases = format!("[alias]\n{alias}\n");
    Suite::new(
        &[
            ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"tool\"]\n"),
            ("tool/Cargo.toml", MANIFEST),
            ("tool/src/main.rs", TOOL),
            (".cargo/config.toml", &aliases),
            (".gitignore", "/target\n"),
        ],
        config,
    )
}

#[test]
fn an_unknown_subcommand_goes_there_with_everything_that_follows() {
    for alias in [STRING, LIST] {
        let suite = suite(alias, "");
        let root = suite.root();
        // what is typed, what arrives
        let table = [
            (&["deploy"][..], r#"["deploy"]"#),
            (&["deploy", "--json", "-C", "/x", "--help"], r#"["deploy", "--json", "-C", "/x", "--help"]"#),
            (&["deploy", "--", "a b", ""], r#"["deploy", "--", "a b", ""]"#),
            (&["-v", "--color", "never", "deploy", "-v"], r#"["-v", "--color", "never", "deploy", "-v"]"#),
        ];
        for (args, arrives) in table {
            assert_eq!(suite.run(args, 0).stdout, format!("{arrives} in {root}\n"), "{args:?}");
        }
    }
}

#[test]
fn it_runs_in_the_users_folder_or_in_that_of_c() {
    let suite = suite(STRING, "");
    let root = suite.root();
    let mut below = suite.command(&["deploy"]);
    let outcome = Outcome::of(below.current_dir(root.join("tool/src"))).expect_code(0);
    assert_eq!(outcome.stdout, format!("[\"deploy\"] in {root}/tool/src\n"));
    for flag in [&["-C", root.as_str()][..], &[&format!("-C{root}")]] {
        let mut elsewhere = suite.command(&[flag, &["--json", "deploy", "-C", "x"]].concat());
        let outcome = Outcome::of(elsewhere.current_dir("/")).expect_code(0);
        assert_eq!(outcome.stdout, format!("[\"--json\", \"deploy\", \"-C\", \"x\"] in {root}\n"));
    }
}

#[test]
fn exit_code_signal_and_standard_input_are_its_own() {
    let suite = suite(STRING, "");
    for code in [0, 1, 42, 255] {
        suite.run(&["code", &code.to_string()], code);
    }
    let status = suite.command(&["abort"]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.signal(), Some(6), "{status}");
    let mut command = suite.command(&["echo"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("\ntyped"));
}

#[test]
fn what_cargo_run_added_does_not_go_there() {
    let mut suite = suite(STRING, "");
    suite.fixture.write(
        "tool/src/main.rs",
        "fn main() { for (name, value) in std::env::vars() { println!(\"{name}={value}\"); } }",
    );
    suite.set("CARGO_BIN_NAME", "of the launcher");
    suite.set("THE_USERS", "own");
    let outcome = suite.run(&["deploy"], 0);
    assert!(!outcome.stdout.contains("of the launcher"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("THE_USERS=own\n"), "{}", outcome.stdout);
}

#[test]
fn what_the_suite_knows_stays_here() {
    let suite = suite(STRING, "[tiers.quick]\ncommand = \"check\"\n");
    assert_eq!(suite.run(&["quick", "--dry-run"], 0).stdout, "cargo check --workspace\n");
    assert!(suite.run(&["schema"], 0).stdout.starts_with('{'));
    // The overview, and wrong usage of what is known.
    assert!(suite.run(&[], 0).stdout.contains("next: "));
    for args in [&["preset", "sow"][..], &["quick", "--forcast"], &["--no-such-flag", "deploy"]] {
        let outcome = suite.run(args, 2);
        assert_eq!(outcome.stdout, "", "{args:?}");
    }
    let help = suite.run(&["--help"], 0).stdout;
    let last = "Other commands go to `cargo xtask-own`, this workspace's earlier xtask.\n";
    assert!(help.ends_with(last), "{help}");
    assert!(!suite.run(&["quick", "--help"], 0).stdout.contains("xtask-own"));
}

#[test]
fn without_the_alias_or_with_a_broken_file_it_is_an_error_here() {
    let suite = suite("other = \"check\"", "");
    assert!(suite.run(&["deploy"], 2).stderr.contains("unrecognized subcommand 'deploy'"));
    assert!(!suite.run(&["--help"], 0).stdout.contains("xtask-own"));
    // It may be a tier of the file that cannot be read.
    suite.fixture.write(".cargo/config.toml", &format!("[alias]\n{STRING}\n"));
    suite.fixture.write("xtask.toml", "[tiers.deploy]\ncomand = \"check\"\n");
    let outcome = suite.run(&["deploy"], 2);
    assert!(outcome.stderr.contains("xtask.toml:2:1"), "{}", outcome.stderr);
}
