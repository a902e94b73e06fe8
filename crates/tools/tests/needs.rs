//! The tools that are needed by name: told in a moment, and installed by the ways of a setup.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use camino::Utf8Path;
use xtask_testkit::{BareMachine, Fixture};
use xtask_tools::{State, catalog, install, missing};
use xtask_workspace::config::{Config, Tool, Way};
use xtask_workspace::{Environment, Facts, Silent, Workspace};

const TOOLS: &str = "\
[tools.stamp]
packages = { apt = 'stamp-package' }

[tools.server]
programs = ['server-d', 'serverd']
packages = { apt = 'server' }

[tools.orphan]
packages = { brew = 'orphan' }
";

struct Place {
    machine: BareMachine,
    /// Its folder is removed when this goes.
    _fixture: Fixture,
    workspace: Workspace,
    tools: Vec<Tool>,
    config: Config,
}

/// A machine whose apt-get installs `stamp` and writes down how it was called.
fn place(name: &str) -> Place {
    let machine = BareMachine::new(&format!("{name}-machine"));
    let bin = machine.bin();
    machine.install("chmod");
    machine.install_script(
        "apt-get",
        &format!(
            "echo \"$@\" >> {bin}/apt-log\n\
             printf '#!/bin/sh\\necho started >> {bin}/started\\necho stamp-1.2\\n' > {bin}/stamp\n\
             chmod 755 {bin}/stamp"
        ),
    );
    machine.install_script("sudo", "exec \"$@\"");
    let manifest = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    let fixture = Fixture::new(name, &[("Cargo.toml", manifest), ("src/lib.rs", "")]);
    let command = machine.command("cargo", fixture.root());
    let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
    let variables = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
    let workspace = Workspace::load(fixture.root(), variables.collect::<Environment>()).unwrap();
    let config = Config::parse(TOOLS, Utf8Path::new("xtask.toml"), &Facts::default(), &[]).unwrap();
    let tools = catalog(&config.tools, &workspace.facts.host).unwrap();
    Place { machine, _fixture: fixture, workspace, tools, config }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl Place {
    fn missing(&self, tools: &[&str]) -> Vec<(String, String)> {
        let missing = missing(&self.workspace, &self.tools, &names(tools), &self.config.setup).unwrap();
        missing.into_iter().map(|missing| (missing.name, missing.install)).collect()
    }
}

#[test]
fn what_is_missing_is_told_with_its_command_and_nothing_is_started() {
    let place = place("needs-missing");
    // One that is there, by its second name, and would say so.
    place.machine.install_script("serverd", "touch \"$0.started\"");
    let missing = place.missing(&["stamp", "server", "sccache", "stamp", "orphan"]);
    let line = |name: &str, install: &str| (name.to_owned(), install.to_owned());
    let apt = "apt-get install --yes --no-install-recommends stamp-package";
    let orphan = "install `orphan` yourself; [tools.orphan] in xtask.toml has no package for this system";
    let found = missing
        .iter()
        .map(|(name, install)| (name.clone(), install.strip_prefix("sudo ").unwrap_or(install).to_owned()));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [line("stamp", apt), line("sccache", "cargo xtask setup"), line("orphan", orphan)]
    );
    let bin = place.machine.bin();
    assert!(!bin.join("apt-log").exists() && !bin.join("serverd.started").exists());
}

#[test]
fn a_name_that_is_no_tool_is_wrong_usage() {
    let place = place("needs-unknown");
    let error = |name: &str| {
        let error =
            missing(&place.workspace, &place.tools, &names(&[name]), &place.config.setup).unwrap_err();
        assert!(error.is::<xtask_workspace::WrongUsage>());
        error.to_string()
    };
    assert!(error("stmap").contains("did you mean `stamp`?"), "{}", error("stmap"));
    assert!(error("frobnicator").contains("[tools.frobnicator] in xtask.toml"), "{}", error("frobnicator"));
}

#[test]
fn what_is_missing_is_installed_and_proven_and_the_rest_is_said() {
    let place = place("needs-install");
    let run = |agreed: bool| {
        let needed = names(&["stamp", "orphan"]);
        install(&place.workspace, &place.tools, &needed, &place.config.setup, &|_| agreed, &Silent).unwrap()
    };
    let refused = run(false);
    assert!(matches!(&refused[0].state, State::Missing { why } if why[0].contains("not confirmed")));
    let done = run(true);
    assert_eq!(done[0].installed, Some(Way::Packages), "{done:?}");
    assert!(
        matches!(&done[0].state, State::Proven { evidence, .. } if evidence == "says to be 1.2.0"),
        "{done:?}"
    );
    // It is needed, whatever the catalog says of how much it is wanted.
    assert!(!done[0].is_lacking() && done[1].is_lacking(), "{done:?}");
    assert!(matches!(&done[1].state, State::Missing { .. }), "{done:?}");
    let log = std::fs::read_to_string(place.machine.bin().join("apt-log")).unwrap();
    assert_eq!(log, "install --yes --no-install-recommends stamp-package\n");
    assert_eq!(place.missing(&["stamp"]), []);
    // Asked for its version once when it was there, and not again for its proof.
    let started = std::fs::read_to_string(place.machine.bin().join("started")).unwrap();
    assert_eq!(started, "started\n");
}
