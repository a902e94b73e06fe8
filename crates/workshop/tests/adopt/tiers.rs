//! The adopted suite at work: tiers by the real alias, from the root and from below it.

use xtask_testkit::Outcome;

use crate::host::Host;
use crate::store;

/// Runs tiers in an adopted host. All files are as before at the end.
pub(crate) fn check(host: &Host) {
    store::fill(host);
    let version = host.run(&["xtask", "--version"], 0);
    assert!(version.stdout.starts_with("xtask-suite "), "{}", version.stdout);
    for tier in ["test-fast", "check-fast", "test-full"] {
        host.run(&["xtask", tier], 0);
    }
    the_launcher_is_none_of_their_members(host);
    let folders = ["base/src", "crates/base/src", "src"];
    let below = folders.into_iter().find(|folder| host.root.join(folder).exists()).unwrap();
    Outcome::of(&mut host.cargo_in(below, &["xtask", "test-fast"])).expect_code(0);
    // Where the tasks are is a workspace of its own.
    let inside = if host.plan.merge { "xtask-launcher/tasks/src" } else { "xtask/tasks/src" };
    let outcome = Outcome::of(&mut host.cargo_in(inside, &["xtask", "version", "--json"])).expect_code(0);
    assert!(outcome.stdout.contains("vendored"), "{}", outcome.stdout);
    Outcome::of(&mut host.cargo_in(inside, &["xtask", "--no-such-flag"])).expect_code(2);
    // Their own alias of this name runs their own tests; it works too.
    host.run(&["test-fast"], 0);
    a_failing_test_is_a_failure(host, below);
    if host.plan.merge {
        theirs_is_in_reach(host);
    }
}

fn the_launcher_is_none_of_their_members(host: &Host) {
    let text = host.run(&["xtask", "test-full", "--json"], 0).stdout;
    let report = serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let launcher = if host.plan.merge { "xtask-launcher" } else { "xtask" };
    let ran = report["packages"].as_array().unwrap();
    assert!(!ran.is_empty() && ran.iter().all(|name| name != launcher), "{report:#}");
    assert!(report["members"].as_u64() >= Some(ran.len() as u64), "{report:#}");
}

fn a_failing_test_is_a_failure(host: &Host, folder: &str) {
    let path = &format!("{folder}/lib.rs");
    let text = host.read(path);
    host.write(path, &format!("{text}\n#[test]\nfn fails() {{ panic!(\"on purpose\") }}\n"));
    for tier in ["test-fast", "test-full"] {
        let failed = host.run(&["xtask", tier], 1);
        let said = failed.stdout + &failed.stderr;
        assert!(said.contains("on purpose"), "{tier}: {said}");
    }
    host.write(path, &text);
    host.run(&["xtask", "test-fast"], 0);
}

/// A workspace's own xtask, of which the suite knows nothing.
fn theirs_is_in_reach(host: &Host) {
    if !host.root.join("xtask/Cargo.toml").exists() && !host.root.join("tools").exists() {
        return;
    }
    for args in [&["xtask", "deploy", "--json"][..], &["xtask-own", "deploy", "--json"]] {
        let outcome = host.run(args, 0);
        assert!(outcome.stdout.contains("theirs: [\"deploy\", \"--json\"]"), "{args:?}: {}", outcome.stdout);
    }
}
