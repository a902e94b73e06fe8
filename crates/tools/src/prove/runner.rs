//! cargo-nextest is proven by tests that it lists and runs.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use xtask_workspace::Call;

use super::{Proven, seen, token};
use crate::machine::Machine;
use crate::probe::Found;
use crate::process::successful;

/// Compiling two tests of one line, listing and running them; 1 s on a quiet machine.
const RUNS: Duration = Duration::from_secs(180);

/// A test that leaves a trace, beside one that does not.
const SOURCE: &str = r#"
#[test]
fn leaves_a_trace() {
    std::fs::write(std::env::var("PROBE_TRACE").unwrap(), "TOKEN").unwrap();
}

#[test]
fn does_nothing() {}
"#;

pub(super) fn prove(found: &Found, machine: &Machine) -> Result<Proven> {
    let scratch = machine.scratch("nextest")?;
    let token = token();
    scratch.write(
        "Cargo.toml",
        "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n",
    )?;
    scratch.write("src/lib.rs", &SOURCE.replace("TOKEN", &token))?;
    let trace = scratch.path().join("trace");
    let manifest = scratch.path().join("Cargo.toml");
    let call = |args: &[&str]| {
        let all = ["nextest"].iter().chain(args).copied();
        // In its own folder: the workspace's nextest configuration is about the workspace's tests.
        // A target that is set in the configuration is built for, but its tests may not run here.
        let rest = ["--manifest-path", manifest.as_str(), "--target", machine.host.as_str()];
        Call::new(scratch.path(), found.path.as_str(), all.chain(rest))
            .with_env("CARGO_TARGET_DIR", scratch.path().join("target").as_str())
            .with_env("CARGO_BUILD_BUILD_DIR", scratch.path().join("target").as_str())
            .with_env("PROBE_TRACE", trace.as_str())
    };
    let mut environment = machine.environment.clone();
    let theirs = environment.iter().map(|(name, _)| name.to_owned());
    for name in theirs.filter(|name| name.starts_with("NEXTEST_")).collect::<Vec<_>>() {
        environment.remove(&name);
    }
    let list = call(&["list", "--message-format", "json"]);
    let listed = successful(&list, &environment, RUNS)?.stdout;
    let listed: serde_json::Value =
        serde_json::from_str(&listed).with_context(|| format!("failed to read what `{list}` said"))?;
    let count = listed["test-count"].as_u64().unwrap_or_default();
    if count != 2 {
        bail!("`{list}` lists {count} tests of 2");
    }
    let run = call(&["run"]);
    successful(&run, &environment, RUNS)?;
    let traced = std::fs::read_to_string(&trace).unwrap_or_default();
    if traced != token {
        bail!("`{run}` succeeded without running a test");
    }
    Ok(seen("lists and runs 2 tests".to_owned()))
}
