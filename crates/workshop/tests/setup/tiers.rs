//! The tools that a tier needs: seen to be there before anything is compiled, and installed first where `--yes` says so.

use crate::support::Suite;

const CONFIG: &str = "[tiers.t]\ncommand = \"test\"\nrunner = \"cargo\"\ntools = [\"stamp\", \"seal\"]\n\
                      [tools.stamp]\nneed = \"unwanted\"\npackages = { apt = \"stamp-package\" }\n\
                      [tools.seal]\nneed = \"unwanted\"\nprograms = [\"sealer\"]\npackages = { apt = \"seal-package\" }\n";

/// A machine whose `apt-get` installs whatever is asked of it.
fn suite(name: &str) -> Suite {
    let suite = Suite::new(name, &[], CONFIG);
    suite.machine.install("chmod");
    let bin = suite.machine.bin();
    // Only root calls it without sudo.
    suite.machine.install_script("sudo", "exec \"$@\"");
    let make = |package: &str, program: &str| {
        format!(
            "case \" $* \" in *' {package} '*) printf '#!/bin/sh\\necho 1.2\\n' > {bin}/{program}; chmod 755 {bin}/{program};; esac\n"
        )
    };
    let script = format!(
        "echo \"$@\" >> {bin}/apt-log\n{}{}",
        make("stamp-package", "stamp"),
        make("seal-package", "sealer")
    );
    suite.machine.install_script("apt-get", &script);
    suite
}

#[test]
fn what_is_missing_is_said_before_anything_is_compiled() {
    let suite = suite("tier-missing");
    suite.machine.install_script("sealer", "echo 1");
    let outcome = suite.run(&["t"]).expect_code(3);
    assert_eq!(outcome.stdout, "", "standard output is the tier's");
    let told = "stamp is not installed: ";
    assert!(outcome.stderr.contains(told) && outcome.stderr.contains("stamp-package"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("seal is"), "{}", outcome.stderr);
    let last = outcome.stderr.lines().last().unwrap();
    assert_eq!(last, "setup: t needs 1 more tool; `cargo xtask t --yes` installs what is missing");
    assert!(!suite.root().join("target/debug").exists(), "something was compiled");
    assert!(!suite.machine.bin().join("apt-log").exists(), "something was installed");
    // A plan needs no tools.
    assert!(suite.run(&["t", "--dry-run"]).expect_code(0).stdout.contains("cargo test "));
    // Other tiers have no such flag.
    suite.run(&["test-fast", "--yes"]).expect_code(2);
}

#[test]
fn with_yes_they_are_installed_and_the_tier_runs() {
    let suite = suite("tier-yes");
    let agreed = suite.run(&["t", "--yes"]);
    if agreed.stderr.contains("not confirmed") {
        // Not root: the package manager is another user's, which is asked about, and nobody is at the terminal.
        let _ = agreed.expect_code(3);
        return;
    }
    let outcome = agreed.expect_code(0);
    assert!(outcome.stdout.starts_with("t ok: 2 of 2 packages"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("setup: t has every tool it needs"), "{}", outcome.stderr);
    let log = std::fs::read_to_string(suite.machine.bin().join("apt-log")).unwrap();
    assert!(log.contains("stamp-package") && log.contains("seal-package"), "{log}");
    // They are there: nothing is asked, and nothing said.
    let again = suite.run(&["t"]).expect_code(0);
    assert!(!again.stderr.contains("setup:"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(suite.machine.bin().join("apt-log")).unwrap(), log);
}

#[test]
fn what_cannot_be_installed_and_what_is_no_tool_ends_the_tier() {
    let suite = suite("tier-cannot");
    suite.machine.install_script("apt-get", "exit 1");
    let outcome = suite.run(&["t", "--yes"]).expect_code(3);
    assert!(outcome.stderr.contains("setup: t lacks stamp, seal"), "{}", outcome.stderr);
    assert!(!suite.root().join("target/debug").exists());

    let wrong = CONFIG.replace("tools = [\"stamp\"", "tools = [\"stmap\"");
    suite.fixture.write("xtask.toml", &wrong);
    let outcome = suite.run(&["t"]).expect_code(2);
    assert!(outcome.stderr.contains("did you mean `stamp`?"), "{}", outcome.stderr);
    let outcome = suite.run(&["setup", "--for", "tt", "--dry-run"]).expect_code(2);
    assert!(outcome.stderr.contains("there is no tier `tt`"), "{}", outcome.stderr);
}

#[test]
fn a_tool_of_a_version_that_is_not_accepted_is_not_there() {
    let config = CONFIG.replace("[tools.seal]\n", "[tools.seal]\nversion = \">=2\"\n");
    let suite = Suite::new("tier-version", &[], &config);
    suite.machine.install_script("stamp", "echo 1.2");
    suite.machine.install_script("sealer", "echo 1.2");
    let outcome = suite.run(&["t"]).expect_code(3);
    assert!(
        outcome.stderr.contains("seal is not accepted: it is 1.2.0, and >=2 is required"),
        "{}",
        outcome.stderr
    );
    assert!(!suite.root().join("target/debug").exists(), "something was compiled");
    suite.machine.install_script("sealer", "echo 2.0");
    suite.run(&["t"]).expect_code(0);
}
