//! Which toolchain is pinned and which one is used, whether this cargo is recent enough; and what can be said if cargo
//! cannot even read the workspace because the toolchain is missing.

use std::time::Duration;

use anyhow::Result;
use xtask_workspace::{Call, CargoVersion, EnvironmentLacks, on_path, pinned_toolchain};

use super::{Check, DoctorReport, Subject, lacking};
use crate::edits::includes;
use crate::process::output;

const NAME: &str = "toolchain";
/// rustup reads a few files; 20 ms on a quiet machine.
const RUSTUP_ANSWERS: Duration = Duration::from_secs(5);

pub(super) fn check(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let (root, environment) = (subject.workspace.root(), &subject.workspace.environment);
    let pin = pinned_toolchain(root)
        .map(|(file, channel)| (file.strip_prefix(root).unwrap_or(&file).to_string(), channel));
    let (mut active, mut installed) = (String::new(), true);
    if let Some(rustup) = on_path("rustup", environment).filter(|_| pin.is_some()) {
        let call = Call::new(root, rustup.as_str(), ["show", "active-toolchain"]);
        // What is not installed is reported, not installed.
        let said = output(&call.with_env("RUSTUP_AUTO_INSTALL", "0"), environment, RUSTUP_ANSWERS)?;
        active = said.stdout;
        let call = Call::new(root, rustup.as_str(), ["toolchain", "list"]);
        let listed = output(&call.with_env("RUSTUP_AUTO_INSTALL", "0"), environment, RUSTUP_ANSWERS)?.stdout;
        let channel = pin.as_ref().map_or("", |(_, channel)| without_host(channel));
        let names = listed.lines().filter_map(|line| line.split_whitespace().next());
        installed = names.map(without_host).any(|name| name == channel);
    }
    let variable = environment.get("RUSTUP_TOOLCHAIN");
    Ok(vec![judge(&subject.machine.rustc, pin, variable, &active, installed), judge_cargo(subject.cargo)])
}

/// `rustc` is what `rustc --version` prints, `active` what `rustup show active-toolchain` does: a name, then the reason.
///
/// `installed` says whether the pinned one is.
fn judge(
    rustc: &str,
    pin: Option<(String, String)>,
    variable: Option<&str>,
    active: &str,
    installed: bool,
) -> Check {
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
    let install = if installed { String::new() } else { format!("rustup toolchain install {channel} && ") };
    Check::warn(
        NAME,
        format!("{rustc}: {by} overrules {file}, which pins {channel}"),
        format!("{install}{fix}"),
    )
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

/// Reports why a workspace cannot be read if this machine is the reason; otherwise returns `error`.
pub fn diagnose_unloaded(error: anyhow::Error) -> Result<DoctorReport> {
    let lack = error.chain().find_map(|cause| cause.downcast_ref::<EnvironmentLacks>());
    let Some(lack) = lack else { return Err(error) };
    Ok(DoctorReport { checks: vec![lacking(NAME, lack)], ..DoctorReport::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

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
            let check = judge("rustc 1.95.0", pin, variable, active, true);
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
        let error = diagnose_unloaded(xtask_workspace::WrongUsage("a broken manifest".into()).into());
        assert_eq!(error.unwrap_err().to_string(), "a broken manifest");
        let lacks = EnvironmentLacks::with_fix("no toolchain", "install it");
        let report = diagnose_unloaded(anyhow::Error::new(lacks).context("while loading")).unwrap();
        assert_eq!(report.checks, [Check::fail(NAME, "no toolchain", "install it")]);
    }
}
