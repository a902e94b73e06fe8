//! Programs that wrap rustc: there, no loop, and answering.

use std::fs;
use std::io::Read as _;
use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{Call, Environment, on_path};

use super::settings::{SETUP_ANEW, wrapper};
use super::{Check, Patient};
use crate::process::{Interrupted, last_lines, output};

/// A wrapper that takes longer to pass on `-vV` loops or hangs.
const ANSWERS: Duration = Duration::from_secs(5);
/// So much of a script is looked at.
const SCRIPT: u64 = 64 << 10;

pub(super) fn check(patient: &Patient<'_>) -> Result<Vec<Check>> {
    let (config, environment) = (&patient.workspace.cargo_config, &patient.workspace.environment);
    let one = wrapper(["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"], "rustc-wrapper", config, environment);
    let variables = ["RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER"];
    let other = wrapper(variables, "rustc-workspace-wrapper", config, environment);
    let mut checks = Vec::new();
    for (name, found) in [("wrapper", &one), ("workspace wrapper", &other)] {
        let Some((program, by)) = found else { continue };
        checks.push(look(name, program, patient.shown(by.as_str().into()), patient)?);
    }
    if let (Some((first, _)), Some((second, _))) = (&one, &other) {
        let same = located(first, environment).is_some_and(|path| located(second, environment) == Some(path));
        if same {
            let evidence =
                format!("{first} wraps the compiler twice, as rustc-wrapper and as rustc-workspace-wrapper");
            checks.push(Check::warn("wrapper", evidence, "remove `rustc-workspace-wrapper`"));
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok("wrapper", "none: cargo calls rustc itself"));
    }
    Ok(checks)
}

/// Where the program lies, without links.
pub(super) fn located(program: &str, environment: &Environment) -> Option<Utf8PathBuf> {
    let path = if program.contains('/') { Some(program.into()) } else { on_path(program, environment) }?;
    path.is_file().then(|| path.canonicalize_utf8().unwrap_or(path))
}

fn look(name: &str, program: &str, by: &str, patient: &Patient<'_>) -> Result<Check> {
    let environment = &patient.workspace.environment;
    let Some(path) = located(program, environment) else {
        let evidence = format!("{program}, set by {by}, is not there: cargo cannot start rustc");
        let fix = if by.ends_with(crate::local::LOCAL_FILE) {
            SETUP_ANEW.to_owned()
        } else {
            format!("remove it from {by}, or install it")
        };
        return Ok(Check::fail(name, evidence, fix));
    };
    if let Some(check) = judge_loop(name, program, by, &path, script(&path).as_deref(), environment) {
        return Ok(check);
    }
    if is_sccache(program) {
        // It would start its server, which cargo does when it needs it.
        return Ok(Check::ok(name, format!("{program}, set by {by}")));
    }
    let call = Call::new(patient.root(), program, ["rustc", "-vV"]);
    Ok(match output(&call, environment, ANSWERS) {
        Ok(said) if said.success && said.stdout.contains("host: ") => {
            Check::ok(name, format!("{program}, set by {by}, passes on `rustc -vV`"))
        }
        Ok(said) => {
            let why = last_lines(&said.stderr, &said.stdout);
            Check::fail(
                name,
                format!("`{call}` does not answer as rustc does: {why}"),
                format!("mend {program}, or remove it from {by}"),
            )
        }
        Err(error) if error.is::<Interrupted>() => return Err(error),
        Err(error) => Check::fail(
            name,
            format!("it loops or hangs: {error:#}"),
            format!("mend {program}, or remove it from {by}"),
        ),
    })
}

/// Whether a program is the compiler cache, by its name.
pub(super) fn is_sccache(program: &str) -> bool {
    Utf8Path::new(program).file_stem() == Some("sccache")
}

/// The beginning of a script; `None` for other programs.
fn script(path: &Utf8Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(SCRIPT).read_to_end(&mut bytes).ok()?;
    bytes.starts_with(b"#!").then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// What can be told without starting it: a wrapper that is the compiler, or one that calls cargo or itself.
fn judge_loop(
    name: &str,
    program: &str,
    by: &str,
    path: &Utf8Path,
    script: Option<&str>,
    environment: &Environment,
) -> Option<Check> {
    let fix = || format!("remove it from {by}");
    for compiler in ["rustc", "cargo"] {
        if Utf8Path::new(program).file_stem() == Some(compiler)
            || located(compiler, environment).as_deref() == Some(path)
        {
            let evidence = format!(
                "{program}, set by {by}, is {compiler} itself: it would be called with rustc as its first argument"
            );
            return Some(Check::fail(name, evidence, fix()));
        }
    }
    let code = script?.lines().map(str::trim).enumerate().filter(|(_, line)| !line.starts_with('#'));
    let suspicious = code
        .clone()
        .find(|(_, line)| line.contains("RUSTC_WRAPPER") || line.contains("RUSTC_WORKSPACE_WRAPPER"));
    let calls = |line: &str| {
        line.split([';', '&', '|', '(']).any(|part| {
            let mut words = part.split_whitespace().skip_while(|word| *word == "exec");
            words.next() == Some("cargo")
        })
    };
    let (number, line) = suspicious.or_else(|| code.clone().find(|(_, line)| calls(line)))?;
    let evidence = format!("{program}, set by {by}, may call itself: line {} is `{line}`", number + 1);
    Some(Check::warn(name, evidence, "have it start \"$@\" and nothing else that starts rustc"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_wrapper_that_would_call_itself_is_told_from_its_text() {
        let environment = Environment::current();
        // the program, its script; how it is
        let table = [
            ("/w/wrap", Some("#!/bin/sh\nexec \"$@\"\n"), None),
            ("/w/wrap", Some("#!/bin/sh\n# RUSTC_WRAPPER is me\nexec \"$@\"\n"), None),
            ("/w/wrap", None, None),
            ("/w/wrap", Some("#!/bin/sh\nexec $RUSTC_WRAPPER \"$@\"\n"), Some(Status::Warn)),
            ("/w/wrap", Some("#!/bin/sh\ntrue && exec cargo rustc\n"), Some(Status::Warn)),
            ("/w/wrap", Some("#!/bin/sh\necho no cargo here\n\"$@\"\n"), None),
            ("/w/rustc", None, Some(Status::Fail)),
            ("cargo", None, Some(Status::Fail)),
        ];
        for (program, script, status) in table {
            let found = judge_loop("wrapper", program, "f", "/w/wrap".into(), script, &environment);
            assert_eq!(found.map(|check| check.status), status, "{program} {script:?}");
        }
        let rustc = located("rustc", &environment).unwrap();
        let found = judge_loop("wrapper", "/w/other", "f", &rustc, None, &environment);
        assert_eq!(found.map(|check| check.status), Some(Status::Fail), "the same program by another name");
        for (program, is) in
            [("sccache", true), ("/usr/bin/sccache", true), ("sccache-dist", false), ("wrap", false)]
        {
            assert_eq!(is_sccache(program), is, "{program}");
        }
    }
}
