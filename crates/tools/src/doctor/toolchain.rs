//! Which toolchain is pinned and which one is used, whether this cargo is recent enough; and what can be checked if cargo
//! cannot even read the workspace because a toolchain or a program is missing.

use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::DocumentMut;
use xtask_workspace::{Call, CargoConfig, CargoVersion, Environment, EnvironmentLacks, local_file, on_path};

use super::configuration::{SETUP_ANEW, judge_missing, judge_programs, missing_programs, wrapper};
use super::{Check, DoctorReport, Subject};
use crate::edits::includes;
use crate::process::output;
use crate::settings::LocalSettings;

const NAME: &str = "toolchain";
/// rustup reads a few files; 20 ms on a quiet machine.
const RUSTUP_ANSWERS: Duration = Duration::from_secs(5);

/// The toolchain file that counts in `dir`, and the channel that it pins: the nearest, and of two in one folder the one
/// without extension. `None` if there is none, or if it names a folder instead of a channel.
fn pin(dir: &Utf8Path) -> Option<(Utf8PathBuf, String)> {
    let names = ["rust-toolchain", "rust-toolchain.toml"];
    let mut files = dir.ancestors().flat_map(|folder| names.map(|name| folder.join(name)));
    let (text, file) = files.find_map(|file| Some((std::fs::read_to_string(&file).ok()?, file)))?;
    Some((file, channel(&text)?))
}

fn channel(text: &str) -> Option<String> {
    match text.parse::<DocumentMut>().ok().and_then(|document| document.get("toolchain").cloned()) {
        Some(table) => table.get("channel")?.as_str().map(str::to_owned),
        // The old form: the channel alone.
        None => text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned),
    }
}

pub(super) fn check(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let (root, environment) = (subject.workspace.root(), &subject.workspace.environment);
    let pin =
        pin(root).map(|(file, channel)| (file.strip_prefix(root).unwrap_or(&file).to_string(), channel));
    let mut active = String::new();
    if let Some(rustup) = on_path("rustup", environment).filter(|_| pin.is_some()) {
        let call = Call::new(root, rustup.as_str(), ["show", "active-toolchain"]);
        // What is not installed is reported, not installed.
        let said = output(&call.with_env("RUSTUP_AUTO_INSTALL", "0"), environment, RUSTUP_ANSWERS)?;
        active = said.stdout;
    }
    let variable = environment.get("RUSTUP_TOOLCHAIN");
    Ok(vec![judge(&subject.machine.rustc, pin, variable, &active), judge_cargo(subject.cargo)])
}

/// `rustc` is what `rustc --version` prints, `active` what `rustup show active-toolchain` does: a name, then the reason.
fn judge(rustc: &str, pin: Option<(String, String)>, variable: Option<&str>, active: &str) -> Check {
    let Some((file, channel)) = pin else {
        let by = variable.map(|variable| format!("RUSTUP_TOOLCHAIN={variable}"));
        return Check::ok(
            NAME,
            format!("{rustc}; {}", by.unwrap_or_else(|| "no toolchain is pinned".to_owned())),
        );
    };
    let used = without_host(variable.or(active.split_whitespace().next()).unwrap_or(&channel));
    if used == without_host(&channel) {
        return Check::ok(NAME, format!("{rustc}; {file} pins {channel}"));
    }
    let (by, fix) = match variable {
        Some(variable) => (format!("RUSTUP_TOOLCHAIN={variable}"), "unset RUSTUP_TOOLCHAIN"),
        None => (format!("`rustup override` of {used}"), "rustup override unset"),
    };
    Check::warn(NAME, format!("{rustc}: {by} overrules {file}, which pins {channel}"), fix)
}

/// `stable-x86_64-unknown-linux-gnu` as a toolchain file would name it.
fn without_host(toolchain: &str) -> &str {
    let host = format!("-{}-", std::env::consts::ARCH);
    toolchain.find(&host).map_or(toolchain, |at| &toolchain[..at])
}

fn judge_cargo(cargo: CargoVersion) -> Check {
    const NAME: &str = "cargo";
    let (major, minor) = cargo.release;
    let channel = if cargo.nightly { " (nightly)" } else { "" };
    if includes(cargo) {
        return Check::ok(NAME, format!("{major}.{minor}{channel}"));
    }
    let evidence = format!(
        "{major}.{minor}{channel} has no optional `include` (1.94 has): settings of this machine cannot be set"
    );
    Check::warn(NAME, evidence, "rustup update, or a newer channel in rust-toolchain.toml")
}

/// Reports why the workspace around `dir` cannot be read if this machine is the reason; otherwise returns `error`.
pub fn diagnose_unloaded(
    dir: &Utf8Path,
    environment: &Environment,
    error: anyhow::Error,
) -> Result<DoctorReport> {
    let dir = dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    let toolchain = judge_toolchain(&error, pin(&dir), environment.get("RUSTUP_TOOLCHAIN"));
    let checks = toolchain.into_iter().chain(gone(&dir, environment)).collect::<Vec<_>>();
    if checks.is_empty() {
        return Err(error);
    }
    Ok(DoctorReport { checks, ..DoctorReport::default() })
}

fn judge_toolchain(
    error: &anyhow::Error,
    pin: Option<(Utf8PathBuf, String)>,
    variable: Option<&str>,
) -> Option<Check> {
    let lacks = error.chain().find_map(|cause| cause.downcast_ref::<EnvironmentLacks>())?;
    let variable = variable.map(|name| ("RUSTUP_TOOLCHAIN".into(), name.to_owned()));
    let Some((by, channel)) = variable.or(pin).filter(|_| lacks.0.contains("installed")) else {
        return Some(Check::fail(NAME, lacks.0.replace('\n', " "), "install Rust from https://rustup.rs"));
    };
    let evidence = format!("{by} asks for {channel}, which is not installed: every cargo command fails");
    Some(Check::fail(NAME, evidence, format!("rustup toolchain install {channel}")))
}

/// A program without which cargo cannot ask the compiler anything.
fn gone(dir: &Utf8Path, environment: &Environment) -> Option<Check> {
    if let Some(local) = dir.ancestors().map(local_file).find(|file| file.is_file()) {
        // The linker is not needed to read a workspace, and its table's name depends on the host.
        let missing = missing_programs(&LocalSettings::read(&local, ""));
        if !missing.is_empty() {
            return Some(judge_programs(&missing, SETUP_ANEW));
        }
    }
    let (program, by) = wrapper("rustc-wrapper", &CargoConfig::load(dir, environment), environment)?;
    judge_missing("wrapper", &program, &by, environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn both_forms_of_toolchain_files_are_read() {
        let table = [
            ("stable\n", Some("stable")),
            ("[toolchain]\nchannel = \"1.90\"\ncomponents = [\"clippy\"]\n", Some("1.90")),
            ("[toolchain]\npath = \"/opt/rust\"\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(channel(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_used_is_compared_with_what_is_pinned() {
        let stable = || Some(("rust-toolchain.toml".to_owned(), "stable".to_owned()));
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let by_file = format!("stable-{host} (overridden by '/w/rust-toolchain.toml')\n");
        let by_folder = format!("beta-{host} (directory override for '/w')\n");
        let folder = "rustup override unset";
        // pinned, RUSTUP_TOOLCHAIN, what is active; a part of the evidence, the fix
        let table = [
            (stable(), None, by_file.as_str(), "pins stable", None),
            (stable(), None, "", "pins stable", None),
            (None, None, "", "no toolchain is pinned", None),
            (None, Some("beta"), "", "RUSTUP_TOOLCHAIN=beta", None),
            (stable(), Some("stable"), "", "pins stable", None),
            (
                stable(),
                Some("nightly"),
                "",
                "RUSTUP_TOOLCHAIN=nightly overrules",
                Some("unset RUSTUP_TOOLCHAIN"),
            ),
            (stable(), None, &by_folder, "override` of beta overrules", Some(folder)),
        ];
        for (pin, variable, active, evidence, fix) in table {
            let check = judge("rustc 1.95.0", pin, variable, active);
            assert!(
                check.evidence.contains(evidence) && check.evidence.starts_with("rustc 1.95.0"),
                "{check:?}"
            );
            assert_eq!(check.status, if fix.is_some() { Status::Warn } else { Status::Ok }, "{check:?}");
            assert_eq!(check.fix.as_ref().map(|fix| fix.text.as_str()), fix, "{check:?}");
        }
    }

    #[test]
    fn an_old_cargo_is_said() {
        let table =
            [((1, 95), Status::Ok), ((1, 94), Status::Ok), ((1, 93), Status::Warn), ((1, 70), Status::Warn)];
        for (release, status) in table {
            assert_eq!(judge_cargo(CargoVersion { release, nightly: false }).status, status, "{release:?}");
        }
    }

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
        assert!(report.checks[0].evidence.contains("asks for 1.11.0"), "{report:?}");

        dir.write(".cargo/xtask.local.toml", "[build]\nrustc-wrapper = \"/gone/sccache\"\n");
        let report = diagnose_unloaded(dir.path(), &environment, usage()).unwrap();
        assert!(report.checks[0].evidence.contains("/gone/sccache"), "{report:?}");
    }
}
