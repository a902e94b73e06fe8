//! A linker is proven by what it links: the executable names it, and runs.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use xtask_workspace::Call;
use xtask_workspace::config::{Effect, Proof};

use super::{Proven, token};
use crate::catalog::{LinkSettings, Tool};
use crate::linker_name::{makers, makers_in_words, named, short};
use crate::machine::{Machine, Scratch};
use crate::probe::Found;
use crate::process::{Interrupted, successful};

/// Compiling and linking a program of one line; 0.3 s on a quiet machine.
const LINKS: Duration = Duration::from_secs(120);
/// A program that prints one line.
const RUNS: Duration = Duration::from_secs(20);

/// Tries the tool's ways of being used in their order. Fails with what each of them did.
pub(super) fn prove(tool: &Tool, found: &Found, machine: &Machine) -> Result<Proven> {
    let mut failures = Vec::new();
    for way in &tool.link_with {
        let Some(settings) = LinkSettings::of(way, &found.path, &machine.rustlib, &machine.environment)
        else {
            failures.push(format!("`{way}`: {} is not on PATH", way.split(' ').next().unwrap_or(way)));
            continue;
        };
        match link(tool, found, &settings, machine) {
            Ok(evidence) => return Ok(Proven { evidence, link: Some(settings) }),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => failures.push(format!("`{way}`: {error:#}")),
        }
    }
    bail!("{}", failures.join("; "))
}

fn link(tool: &Tool, found: &Found, settings: &LinkSettings, machine: &Machine) -> Result<String> {
    let scratch = machine.scratch(&tool.name)?;
    let token = token();
    let source = scratch.write("probe.rs", &source(&token))?;
    let executable = scratch.path().join(format!("probe{}", std::env::consts::EXE_SUFFIX));
    let mut call =
        Call::new(&machine.root, "rustc", ["--edition=2021", source.as_str(), "-o", executable.as_str()]);
    call.args.extend(settings.rustc_args());
    successful(&call, &machine.environment, LINKS)?;
    let makers = runs(&executable, &token, machine)?;
    if tool.proof == Proof::Effect(Effect::Driver) {
        return Ok("what it links runs".to_owned());
    }
    used(tool, found, &makers)
}

/// Runs what was linked; returns the strings that linker and compilers have left in it.
fn runs(executable: &Utf8Path, token: &str, machine: &Machine) -> Result<Vec<String>> {
    if !executable.is_file() {
        bail!("it succeeded without linking anything");
    }
    let run = Call::new(&machine.root, executable.as_str(), [""; 0]);
    let said = successful(&run, &machine.environment, RUNS).context("what it linked does not run")?;
    if said.stdout.trim() != token {
        bail!("what it linked prints `{}` instead of `{token}`", said.stdout.trim());
    }
    makers(executable)
}

/// The linker's name in what it linked. Fails if another one is named.
fn used(tool: &Tool, found: &Found, makers: &[String]) -> Result<String> {
    if let Some(name) = named(makers, &tool.says, found.version.as_deref()) {
        return Ok(format!("linked by {}", short(name)));
    }
    bail!("it was not used: what was linked names {}", makers_in_words(makers))
}

fn source(token: &str) -> String {
    format!("fn main() {{\n    println!(\"{token}\");\n}}\n")
}

/// A package of one program that says `token`, as a workspace of its own.
pub(crate) fn package(scratch: &Scratch, token: &str) -> Result<()> {
    let manifest = "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";
    scratch.write("Cargo.toml", manifest)?;
    scratch.write("src/main.rs", &source(token))?;
    Ok(())
}

/// What cargo does in the workspace with all settings in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// The words of the one call of the compiler, the wrapper first if there is one.
    pub(crate) words: Vec<String>,
    /// The strings that linker and compilers have left in the executable.
    pub(crate) makers: Vec<String>,
}

impl InForce {
    /// The flags that the user's settings add: they come after all of cargo's own words.
    pub(crate) fn flags(&self) -> &[String] {
        let last = self.words.iter().rposition(|word| word.starts_with("dependency="));
        last.and_then(|last| self.words.get(last + 1..)).unwrap_or_default()
    }
}

/// Builds a package of one program by plain `cargo build -v` in the workspace's root, so with the settings that a build
/// of the workspace has, and runs it.
pub(crate) fn link_in_force(machine: &Machine) -> Result<InForce> {
    let scratch = machine.scratch("in-force")?;
    let token = token();
    package(&scratch, &token)?;
    let manifest = scratch.path().join("Cargo.toml");
    let target = scratch.path().join("target");
    let args = ["build", "--verbose", "--offline", "--manifest-path", manifest.as_str()];
    let mut call = Call::new(&machine.root, "cargo", args);
    for variable in ["CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR"] {
        call = call.with_env(variable, target.as_str());
    }
    // A target that is set in the configuration is built for, but its program may not run here.
    call.args.extend(["--target".to_owned(), machine.host.clone()]);
    // Stripping removes the linker's name.
    let call = call.with_env("CARGO_TERM_COLOR", "never").with_env("CARGO_PROFILE_DEV_STRIP", "none");
    let said = successful(&call, &machine.environment, LINKS)?;
    let running =
        said.stderr.lines().find_map(|line| line.trim().strip_prefix("Running `")?.strip_suffix('`'));
    let running = running.with_context(|| format!("`{call}` does not say what it runs:\n{}", said.stderr))?;
    let words = shlex::split(running).with_context(|| format!("failed to read the words of `{running}`"))?;
    let name = format!("probe{}", std::env::consts::EXE_SUFFIX);
    let executable = target.join(&machine.host).join("debug").join(name);
    Ok(InForce { words, makers: runs(&executable, &token, machine)? })
}
