//! Programs that wrap rustc: each is there, passes calls on to rustc, and does not call itself.

use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_workspace::{Call, CargoConfig, Environment, on_path};

use super::settings::SETUP_ANEW;
use super::{Check, Subject};
use crate::process::{Interrupted, last_lines, output};

/// The longest that a wrapper may take to pass on `-vV`; a longer one loops or hangs.
const ANSWERS: Duration = Duration::from_secs(5);

pub(super) fn check(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let (config, environment) = (&subject.workspace.cargo_config, &subject.workspace.environment);
    let one = wrapper(["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"], "rustc-wrapper", config, environment);
    let variables = ["RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER"];
    let other = wrapper(variables, "rustc-workspace-wrapper", config, environment);
    let mut checks = Vec::new();
    for (name, found) in [("wrapper", &one), ("workspace wrapper", &other)] {
        let Some((program, by)) = found else { continue };
        checks.push(look(name, program, subject.shown(by.as_str().into()), subject)?);
    }
    if checks.is_empty() {
        checks.push(Check::ok("wrapper", "none"));
    }
    Ok(checks)
}

/// The program that wraps rustc, and the variable or file that sets it: a variable wins over every file.
pub(super) fn wrapper(
    variables: [&'static str; 2],
    key: &str,
    config: &CargoConfig,
    environment: &Environment,
) -> Option<(String, String)> {
    // Set but empty means none, whatever the files say.
    let set = |name: &'static str| Some((name, environment.get_or_empty(name)?));
    if let Some((name, value)) = variables.into_iter().find_map(set) {
        return (!value.is_empty()).then(|| (value.to_owned(), format!("the variable {name}")));
    }
    let keys = ["build", key];
    let (file, value) = config.set_in(&keys).next()?;
    let value = value.as_str().filter(|value| !value.is_empty())?;
    let path = if value.contains('/') { config.path(&keys)?.into_string() } else { value.to_owned() };
    Some((path, file.to_string()))
}

/// The path of the program, without links.
pub(super) fn located(program: &str, environment: &Environment) -> Option<Utf8PathBuf> {
    let path = if program.contains('/') { Some(program.into()) } else { on_path(program, environment) }?;
    path.is_file().then(|| path.canonicalize_utf8().unwrap_or(path))
}

fn look(name: &str, program: &str, by: &str, subject: &Subject<'_>) -> Result<Check> {
    let environment = &subject.workspace.environment;
    let Some(path) = located(program, environment) else {
        let evidence = format!("{program}, set by {by}, does not exist: cargo cannot start rustc");
        let fix = if by.ends_with(crate::settings::LOCAL_FILE) {
            SETUP_ANEW.to_owned()
        } else {
            format!("remove it from {by}, or install it")
        };
        return Ok(Check::fail(name, evidence, fix));
    };
    if let Some(check) = judge_compiler(name, program, by, &path, environment) {
        return Ok(check);
    }
    if is_sccache(program) {
        // Calling it would start its server.
        return Ok(Check::ok(name, format!("{program}, set by {by}")));
    }
    let call = Call::new(subject.root(), program, ["rustc", "-vV"]);
    Ok(match output(&call, environment, ANSWERS) {
        Ok(said) if said.success && said.stdout.contains("host: ") => {
            Check::ok(name, format!("{program}, set by {by}, passes on `rustc -vV`"))
        }
        Ok(said) => {
            let why = last_lines(&said.stderr, &said.stdout);
            Check::fail(
                name,
                format!("`{call}` does not answer as rustc does: {why}"),
                format!("fix {program}, or remove it from {by}"),
            )
        }
        Err(error) if error.is::<Interrupted>() => return Err(error),
        Err(error) => Check::fail(
            name,
            format!("{program} calls itself or hangs: {error:#}"),
            format!("fix {program}, or remove it from {by}"),
        ),
    })
}

/// Whether a program is the compiler cache, by its name.
pub(super) fn is_sccache(program: &str) -> bool {
    Utf8Path::new(program).file_stem() == Some("sccache")
}

/// A wrapper that is the compiler or cargo itself, found without starting it.
fn judge_compiler(
    name: &str,
    program: &str,
    by: &str,
    path: &Utf8Path,
    environment: &Environment,
) -> Option<Check> {
    let is = |compiler: &&str| {
        Utf8Path::new(program).file_stem() == Some(compiler)
            || located(compiler, environment).as_deref() == Some(path)
    };
    let compiler = ["rustc", "cargo"].into_iter().find(is)?;
    let evidence = format!(
        "{program}, set by {by}, is {compiler} itself: it would be called with rustc as its first argument"
    );
    Some(Check::fail(name, evidence, format!("remove it from {by}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_wrapper_that_is_the_compiler_is_found_without_starting_it() {
        let environment = Environment::current();
        let judged =
            |program: &str, path: &Utf8Path| judge_compiler("wrapper", program, "f", path, &environment);
        for program in ["/w/rustc", "cargo"] {
            assert_eq!(
                judged(program, "/w/x".into()).map(|check| check.status),
                Some(Status::Fail),
                "{program}"
            );
        }
        let rustc = located("rustc", &environment).unwrap();
        assert!(judged("/w/other", &rustc).is_some(), "the same program by another name");
        assert!(judged("/w/wrap", "/w/wrap".into()).is_none());
        for (program, is) in
            [("sccache", true), ("/usr/bin/sccache", true), ("sccache-dist", false), ("wrap", false)]
        {
            assert_eq!(is_sccache(program), is, "{program}");
        }
    }

    #[test]
    fn the_wrapper_is_the_one_that_cargo_takes() {
        let dir = xtask_testkit::TempDir::new("doctor-wrapper");
        dir.write(".cargo/config.toml", "[build]\nrustc-wrapper = \"bin/wrap\"\n");
        let in_file = dir.path().join("bin/wrap").into_string();
        // variables, the wrapper
        let table = [
            (&[][..], Some(in_file.as_str())),
            (&[("RUSTC_WRAPPER", "one"), ("CARGO_BUILD_RUSTC_WRAPPER", "two")], Some("one")),
            (&[("CARGO_BUILD_RUSTC_WRAPPER", "two")], Some("two")),
            (&[("RUSTC_WRAPPER", "")], None),
        ];
        for (variables, expected) in table {
            let mut environment = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<Environment>();
            environment.set("CARGO_HOME", dir.path().join("home").as_str());
            let config = CargoConfig::load(dir.path(), &environment);
            let names = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"];
            let found = wrapper(names, "rustc-wrapper", &config, &environment);
            assert_eq!(found.map(|(program, _)| program).as_deref(), expected, "{variables:?}");
        }
    }
}
