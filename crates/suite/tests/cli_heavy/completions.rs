//! Completions, sourced in real shells, with real keys where the shell takes them.

use std::io::Write as _;
use std::process::Stdio;

use xtask_testkit::Fixture;

use crate::support::Suite;

const TIERS: &str = "[tiers.quick]\ncommand = \"check\"\n";

/// Types `lines` into an interactive shell on a terminal of its own, and returns what `cargo` was run with.
fn typed(suite: &Suite, shell: &str, lines: &str) -> Vec<String> {
    let mut command = suite.program("script", &["-qec", shell, "/dev/null"]);
    command.env("TERM", "xterm").env("HISTFILE", "/dev/null").env("ZDOTDIR", suite.root().as_str());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(format!("{lines}\nexit\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(keys);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    // The definition of `cargo` is echoed too.
    let ran = shown.lines().filter_map(|line| line.split_once("RAN:")?.1.strip_prefix('<')?.split_once('>'));
    let ran =
        ran.map(|(words, _)| words.trim_end().to_owned()).filter(|words| words != "$*").collect::<Vec<_>>();
    assert!(!ran.is_empty(), "{shown}");
    ran
}

fn script_of(suite: &Suite, shell: &str) -> camino::Utf8PathBuf {
    let script = suite.run(&["completions", shell], 0).stdout;
    let path = format!("target/complete.{shell}");
    suite.fixture.write(&path, &script);
    suite.root().join(path)
}

/// What is typed, and what the command line is after the keys.
const KEYS: [(&str, &str); 7] = [
    ("cargo xtask test-fa\t", "xtask test-fast"),
    ("cargo xtask qui\t", "xtask quick"),
    ("cargo xtask preset comp\t", "xtask preset compare"),
    ("cargo xtask test-fast --fore\t", "xtask test-fast --forecast"),
    ("cargo xtask --json completions fi\t", "xtask --json completions fish"),
    ("cargo xtask test-fast --dry-run --js\t", "xtask test-fast --dry-run --json"),
    // Cargo's own function.
    ("cargo bu\t", "buy"),
];

#[test]
fn bash_completes_by_tab() {
    let suite = Suite::trio(TIERS);
    let script = script_of(&suite, "bash");
    let keys = KEYS.map(|(keys, _)| keys).join("\n");
    let lines = format!(
        "_cargo() {{ COMPREPLY=(buy); }}; complete -F _cargo cargo; source {script}; cargo() {{ echo \"RAN:<$*>\"; }}\n{keys}"
    );
    assert_eq!(typed(&suite, "bash --norc --noprofile -i", &lines), KEYS.map(|(_, line)| line));
}

#[test]
fn bash_loads_cargos_own_when_nobody_has() {
    let suite = Suite::trio(TIERS);
    let script = script_of(&suite, "bash");
    // What bash-completion does: it registers the function that it finds, over ours.
    let loader = "_completion_loader() { _cargo() { COMPREPLY=(buy); }; complete -F _cargo \"$1\"; }";
    let lines = format!(
        "{loader}; source {script}; cargo() {{ echo \"RAN:<$*>\"; }}\ncargo bu\t\ncargo xtask test-fa\t"
    );
    assert_eq!(typed(&suite, "bash --norc --noprofile -i", &lines), ["buy", "xtask test-fast"]);
}

#[test]
fn bash_offers_all_that_begin_alike() {
    let suite = Suite::trio(TIERS);
    let script = script_of(&suite, "bash");
    let line = format!(
        "source {script}; COMP_WORDS=(cargo xtask bu); COMP_CWORD=2; _cargo_xtask; printf '%s ' \"${{COMPREPLY[@]}}\""
    );
    let outcome =
        xtask_testkit::Outcome::of(&mut suite.program("bash", &["--norc", "-c", &line])).expect_code(0);
    assert_eq!(outcome.stdout, "build-dev build-release ");
}

#[test]
fn zsh_completes_by_tab() {
    let suite = Suite::trio(TIERS);
    let script = script_of(&suite, "zsh");
    let keys = KEYS.map(|(keys, _)| keys).join("\n");
    let lines = format!(
        "autoload -Uz compinit; compinit -u -D; _cargo() {{ compadd buy }}; source {script}; cargo() {{ echo \"RAN:<$*>\" }}\n{keys}"
    );
    assert_eq!(typed(&suite, "zsh -f -i", &lines), KEYS.map(|(_, line)| line));
}

#[test]
fn fish_completes_from_its_conf_d() {
    let suite = Suite::trio(TIERS);
    let script = suite.run(&["completions", "fish"], 0).stdout;
    assert!(
        script.contains("~/.config/fish/conf.d/"),
        "fish reads another folder only for a program of that name"
    );
    let home = Fixture::new("fish", &[("fish/conf.d/cargo-xtask.fish", script.as_str())]);
    let offered = |line: &str| {
        let ask = format!("complete -C '{line}'");
        let mut fish = suite.program("fish", &["-c", &ask]);
        fish.env("XDG_CONFIG_HOME", home.root()).env("XDG_DATA_HOME", home.root()).stdin(Stdio::null());
        let outcome = xtask_testkit::Outcome::of(&mut fish).expect_code(0);
        assert_eq!(outcome.stderr, "", "{line}");
        let words = outcome.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        words.collect::<Vec<_>>()
    };
    assert_eq!(offered("cargo xtask bu"), ["build-dev", "build-release"]);
    assert_eq!(offered("cargo xtask qui"), ["quick"]);
    assert_eq!(offered("cargo xtask preset comp"), ["compare"]);
    assert_eq!(offered("cargo xtask --json preset sh"), ["show"]);
    assert_eq!(offered("cargo xtask test-fast --fore"), ["--forecast"]);
    // fish's own for cargo.
    assert!(offered("cargo bu").contains(&"build".to_owned()));
    assert!(!offered("cargo te").contains(&"test-fast".to_owned()));
}
