//! The checks that are possible if cargo cannot even read the workspace: a missing toolchain or program.

use anyhow::Result;
use camino::Utf8Path;
use xtask_workspace::{CargoConfig, Environment, EnvironmentLacks};

use super::settings::{SETUP_ANEW, judge_programs, missing_programs};
use super::toolchain::Pin;
use super::wrapper::{located, wrapper};
use super::{Check, DoctorReport};
use crate::settings::{LocalSettings, local_file};

/// Reports why the workspace around `dir` cannot be read if this machine is the reason; otherwise returns `error`.
pub fn diagnose_unloaded(
    dir: &Utf8Path,
    environment: &Environment,
    error: anyhow::Error,
) -> Result<DoctorReport> {
    let dir = dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    let mut checks = Vec::new();
    checks.extend(judge_toolchain(&error, Pin::of(&dir).as_ref(), environment.get("RUSTUP_TOOLCHAIN")));
    checks.extend(gone(&dir, environment));
    if checks.is_empty() {
        return Err(error);
    }
    Ok(DoctorReport { checks, changed: Vec::new(), signal: None, took_ms: 0 })
}

fn judge_toolchain(error: &anyhow::Error, pin: Option<&Pin>, variable: Option<&str>) -> Option<Check> {
    const NAME: &str = "toolchain";
    let lacks = error.chain().find_map(|cause| cause.downcast_ref::<EnvironmentLacks>())?;
    let pinned = pin.and_then(|pin| Some((pin.file.to_string(), pin.channel.as_deref()?)));
    let by = variable.map(|name| ("RUSTUP_TOOLCHAIN".to_owned(), name)).or(pinned);
    let Some((by, channel)) = by.filter(|_| lacks.0.contains("installed")) else {
        return Some(Check::fail(NAME, lacks.0.replace('\n', " "), "install Rust from https://rustup.rs"));
    };
    let evidence = format!("{by} asks for {channel}, which is not installed: every cargo command fails");
    Some(Check::fail(NAME, evidence, format!("rustup toolchain install {channel}")))
}

/// A program without which cargo cannot ask the compiler anything.
fn gone(dir: &Utf8Path, environment: &Environment) -> Option<Check> {
    let local = dir.ancestors().map(local_file).find(|file| file.is_file());
    if let Some(local) = local {
        // The linker is not needed to read a workspace, and its table's name depends on the host.
        let missing = missing_programs(&LocalSettings::read(&local, ""));
        if !missing.is_empty() {
            return Some(judge_programs(&missing, SETUP_ANEW));
        }
    }
    let config = CargoConfig::load(dir, environment);
    let variables = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"];
    let (program, by) = wrapper(variables, "rustc-wrapper", &config, environment)?;
    located(&program, environment).is_none().then(|| {
        let evidence = format!("{program}, set by {by}, does not exist: cargo cannot start rustc");
        Check::fail("wrapper", evidence, format!("remove it from {by}, or install it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_is_not_of_the_machine_is_returned() {
        let dir = xtask_testkit::TempDir::new("doctor-unloaded");
        let mut environment = Environment::default();
        environment.set("CARGO_HOME", dir.path().join("home").as_str());
        let usage = || xtask_workspace::WrongUsage("a broken manifest".into()).into();
        let error = diagnose_unloaded(dir.path(), &environment, usage()).unwrap_err();
        assert_eq!(error.to_string(), "a broken manifest");

        dir.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.11.0\"\n");
        let lacks = EnvironmentLacks("toolchain '1.11.0' is not installed".into()).into();
        let report = diagnose_unloaded(dir.path(), &environment, lacks).unwrap();
        assert!(report.fails() && report.checks[0].evidence.contains("asks for 1.11.0"), "{report:?}");

        dir.write(".cargo/xtask.local.toml", "[build]\nrustc-wrapper = \"/gone/sccache\"\n");
        let report = diagnose_unloaded(dir.path(), &environment, usage()).unwrap();
        assert!(report.checks[0].evidence.contains("/gone/sccache"), "{report:?}");
    }
}
