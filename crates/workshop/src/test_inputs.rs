//! `cargo xtask test-inputs`: what tests read outside of their package's folder, and whether they use the network, as strace
//! sees it, written into `xtask.toml`.
//!
//! Invariant: nothing is declared for a package unless all of its programs ran and passed, and what a user declared stays.

mod declare;
mod trace;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use clap::ArgMatches;
use serde::Serialize;
use serde_json::{Value, json};
use xtask_edit::{Edit, Node, TomlText};
use xtask_files::remove_dir;
use xtask_suite::program::{Context, Ended, RESERVED, count};
use xtask_suite::{Exit, Shell};
use xtask_tiers::{Observer, build_command};
use xtask_tools::{catalog, commit_recorded, missing, plan_recorded_undo};
use xtask_units::{Record, TargetKind};
use xtask_workspace::config::{Config, FILE_NAME, TierCommand, Tool, Way, closest};
use xtask_workspace::{
    Call, CargoCommand, EnvironmentLacks, Facts, LocalPackage, OWN_FOLDER, WrongUsage, cargo_home, home,
};

use crate::adopt::{begin, diff};
use crate::ended;
use declare::{Declaration, Places, Reads};
use trace::{STRACE, Trace};

/// How many paths are listed.
const LISTED: usize = 10;

/// How long strace may take to write how a program ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// The record of what is to be undone, in the suite's own folder; git ignores it.
const RECORD: &str = "test-inputs-undo.json";

/// What the tests of one package did.
#[derive(Debug, Serialize)]
struct Observation {
    package: String,
    /// Names of test programs.
    programs: Vec<String>,
    failed: Vec<String>,
    reads: Reads,
    /// Whom they talked to over the network.
    network: BTreeSet<String>,
    /// Servers that they started themselves.
    own_servers: BTreeSet<String>,
    declaration: Option<Declaration>,
}

#[derive(Debug, Serialize)]
struct Report {
    tier: String,
    packages: Vec<Observation>,
    /// Whether `xtask.toml` was changed.
    applied: bool,
}

/// Observes, and shows or writes what is to be declared.
pub(super) fn run(context: &Context, arguments: &ArgMatches) -> Result<Ended> {
    let (shell, workspace, config) = (context.shell, &context.workspace, &context.config);
    if arguments.get_flag("undo") {
        return undo(workspace.root(), shell).map(Into::into);
    }
    let name = arguments.get_one::<String>("tier").map_or("test-fast", String::as_str);
    let tier = config
        .tier(name)
        .ok_or_else(|| unknown("tier", name, config.tiers.iter().map(|tier| &*tier.name)))?;
    if tier.command != TierCommand::Test {
        return Err(WrongUsage(format!("the tier `{name}` does not run tests")).into());
    }
    let preset = tier.preset.as_deref().map(|preset| context.preset(preset)).transpose()?;
    let command = build_command(workspace, tier, preset);
    let packages = packages(&command, &workspace.facts, arguments)?;
    let strace = strace(context)?;

    let logs = workspace.state_dir().join("test-inputs").join(std::process::id().to_string());
    let observer = Observer { words: strace, logs };
    let only = packages.iter().map(|package| package.name.clone()).collect::<Vec<_>>();
    let record = xtask_tiers::observe(workspace, &command, &only, &observer, &context.exe, shell)?;
    let observations = packages.iter().map(|package| observe(context, package, &observer.logs, &record));
    let observations = observations.collect::<Result<Vec<_>>>();
    let _ = remove_dir(&observer.logs);
    if record.signal.is_some() || record.build_succeeded != Some(true) {
        shell.note(&format!("failed: {command}"));
        let word = ended(shell, record.signal, true);
        let missing = record.not_compiled.join(", ");
        let why = if missing.is_empty() {
            "nothing was observed".to_owned()
        } else {
            format!("{missing} did not compile")
        };
        shell.result(&format!("test-inputs {word}: {why}"));
        if shell.json() {
            let not_compiled = &record.not_compiled;
            shell.document(
                &json!({ "tier": name, "packages": [], "applied": false, "not_compiled": not_compiled }),
            )?;
        }
        return Ok(Ended::new(Exit::Failed, record.signal));
    }
    let mut report = Report { tier: name.to_owned(), packages: observations?, applied: false };
    let edit = edit(workspace.root(), &report)?;
    for observation in &report.packages {
        show(shell, observation);
    }
    if let Some(edit) = &edit {
        shell.result(diff(edit).trim_end());
        if arguments.get_flag("apply") {
            let (root, transaction) = (workspace.root(), begin(workspace.root(), shell)?);
            let check = || Config::load(root, &workspace.facts, &RESERVED).map(drop).map_err(Into::into);
            commit_recorded(&transaction, root, RECORD, std::slice::from_ref(edit), check)?;
            report.applied = true;
        }
    }
    shell.result(&last_line(shell, &report));
    if shell.json() {
        shell.document(&report)?;
    }
    Ok(Exit::from_success(report.packages.iter().all(|package| package.failed.is_empty())).into())
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> WrongUsage {
    let hint = closest(name, known).map(|near| format!(": did you mean `{near}`?"));
    WrongUsage(format!("there is no {what} `{name}`{}", hint.unwrap_or_default()))
}

/// The members to observe: those that the command tests, or those of them that the user names.
fn packages<'a>(
    command: &CargoCommand,
    facts: &'a Facts,
    arguments: &ArgMatches,
) -> Result<Vec<&'a LocalPackage>> {
    let mut members = command.members(facts);
    let wanted = arguments.get_many::<String>("package").into_iter().flatten().collect::<BTreeSet<_>>();
    let known = || members.iter().map(|member| &*member.name);
    if let Some(name) = wanted.iter().find(|name| known().all(|known| known != **name)) {
        return Err(unknown("package that this tier tests called", name, known()).into());
    }
    members.retain(|member| wanted.is_empty() || wanted.contains(&member.name));
    Ok(members)
}

/// The call of strace, which is proven to work here.
fn strace(context: &Context) -> Result<Vec<String>> {
    let (workspace, config) = (&context.workspace, &context.config);
    let lacks = |text: String| Err(EnvironmentLacks(text).into());
    if !cfg!(target_os = "linux") {
        return lacks("test-inputs watches programs with strace, which only Linux has".to_owned());
    }
    let mut tools = config.tools.clone();
    if !tools.iter().any(|tool| tool.name == STRACE[0]) {
        let managers =
            ["apt", "dnf", "pacman", "zypper", "apk"].map(|name| (name.to_owned(), STRACE[0].to_owned()));
        let (name, packages) = (STRACE[0].to_owned(), managers.into());
        tools.push(Tool { name, install: vec![Way::Packages], packages, ..Tool::default() });
    }
    let tools = catalog(&tools, &workspace.facts.host)?;
    if let [missing, ..] = &missing(workspace, &tools, &[STRACE[0].to_owned()], &config.setup)?[..] {
        return lacks(format!("strace {}\n  next: {}", missing.why, missing.install));
    }
    let words = STRACE.map(str::to_owned);
    // As its parent, so that its failure is ours.
    let probe = Call::new(
        workspace.root(),
        STRACE[0],
        words[2..].iter().map(String::as_str).chain(["/dev/null", "true"]),
    );
    let output = probe
        .to_command(&workspace.environment)
        .output()
        .with_context(|| format!("failed to start `{probe}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return lacks(format!(
            "strace may not trace programs here: {}\n  next: if this is a container, start it with `--cap-add SYS_PTRACE`; \
             elsewhere see `sysctl kernel.yama.ptrace_scope`; strace 5.3 or newer is needed",
            said.lines().next().unwrap_or("it failed without a message")
        ));
    }
    Ok(words.into())
}

/// Reads the logs of a package's test programs.
fn observe(
    context: &Context,
    package: &LocalPackage,
    logs: &Utf8Path,
    record: &Record,
) -> Result<Observation> {
    let config = &context.config;
    let mut observation = Observation {
        package: package.name.clone(),
        programs: Vec::new(),
        failed: Vec::new(),
        reads: Reads::default(),
        network: BTreeSet::new(),
        own_servers: BTreeSet::new(),
        declaration: None,
    };
    let mut places = places(context, package);
    let built = record.units.iter().filter(|unit| unit.package == package.name).collect::<Vec<_>>();
    let logs = logs.join(&package.name).read_dir_utf8().into_iter().flatten().flatten();
    let logs = logs.map(|log| log.path().to_owned()).collect::<BTreeSet<_>>();
    for log in logs {
        let trace = read(&log, &package.dir)?;
        let unit = built.iter().find(|unit| unit.test && unit.files.contains(&trace.program));
        let name = unit.map_or(trace.program.file_name().unwrap_or_default(), |unit| &unit.target);
        let given_programs =
            unit.is_some_and(|unit| matches!(unit.kind, TargetKind::IntegrationTest | TargetKind::Bench));
        let given = built.iter().filter(|unit| unit.test || given_programs && unit.kind == TargetKind::Bin);
        places.given = given.flat_map(|unit| unit.files.iter().cloned()).collect();
        for (path, met) in &trace.paths {
            observation.reads.add(path, met, &places);
        }
        observation.programs.push(name.to_owned());
        if trace.passed != Some(true) {
            observation.failed.push(name.to_owned());
        }
        observation.network.extend(trace.network);
        observation.own_servers.extend(trace.own_servers);
    }
    let lost = built.iter().filter(|unit| unit.test).count().saturating_sub(observation.programs.len());
    observation
        .failed
        .extend((lost > 0).then(|| format!("{} that could not be started", count(lost, "program"))));
    observation.reads.finish(&places);
    if observation.failed.is_empty() && !observation.programs.is_empty() {
        let declared = config.test_inputs.iter().find(|declared| declared.name == package.name);
        let uses_network = !observation.network.is_empty();
        observation.declaration =
            Declaration::of(&package.name, &observation.reads, uses_network, declared, &config.verdicts);
    }
    Ok(observation)
}

/// Reads a log to the program's end, which strace may write a moment after it.
fn read(log: &Utf8Path, cwd: &Utf8Path) -> Result<Trace> {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(log).with_context(|| format!("failed to read {log}"))?;
        let trace = Trace::read(&text, cwd);
        if trace.passed.is_some() || Instant::now() > until {
            return Ok(trace);
        }
        std::thread::sleep(PATIENCE / 20);
    }
}

fn places(context: &Context, package: &LocalPackage) -> Places {
    let (facts, environment) = (&context.workspace.facts, &context.workspace.environment);
    let real = |path: &Utf8Path| path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let rustup = environment.get("RUSTUP_HOME").map(Utf8PathBuf::from);
    let rustup = rustup.or_else(|| home(environment).map(|home| home.join(".rustup")));
    let tools = std::env::split_paths(environment.get("PATH").unwrap_or_default());
    let tools = tools.filter_map(|folder| Utf8PathBuf::from_path_buf(folder).ok());
    let temporary = environment.get("TMPDIR").map(Utf8PathBuf::from);
    // Where Rust's test harness looks for what the terminal can do.
    let terminals = home(environment).map(|home| home.join(".terminfo"));
    let system = tools.chain(rustup).chain(cargo_home(environment)).chain(temporary).chain(terminals);
    Places {
        root: real(&facts.root),
        package: real(&package.dir),
        target_dirs: vec![real(&facts.target_dir), real(&facts.build_dir)],
        system: system.map(|folder| real(&folder)).filter(|folder| folder.parent().is_some()).collect(),
        given: BTreeSet::new(),
    }
}

/// The change of `xtask.toml` that declares what is not declared yet.
fn edit(root: &Utf8Path, report: &Report) -> Result<Option<Edit>> {
    let before = Node::read(&root.join(FILE_NAME))?;
    let text = match &before {
        Some(Node::File(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    let mut toml = TomlText::parse(&text).map_err(|problem| WrongUsage(format!("{FILE_NAME}: {problem}")))?;
    for declaration in report.packages.iter().filter_map(|package| package.declaration.as_ref()) {
        let key = |name| ["test-inputs", &*declaration.package, name];
        let files = declaration.files.iter().map(|file| Value::from(file.as_str()).to_string());
        if declaration.new && declaration.files.is_empty() {
            toml.set(&key("files"), "[]")?;
        } else if declaration.new {
            let lines = files.collect::<Vec<_>>().join(",\n    ");
            toml.set(&key("files"), &format!("[\n    {lines},\n]"))?;
        } else {
            files.into_iter().try_for_each(|file| toml.push(&key("files"), &file))?;
        }
        if declaration.network {
            toml.set(&key("network"), "true")?;
        }
    }
    let edit = Edit { path: FILE_NAME.into(), before, after: Some(Node::file(toml.text())) };
    Ok((toml.text() != text).then_some(edit))
}

/// Undoes all that was applied here.
fn undo(root: &Utf8Path, shell: &Shell) -> Result<Exit> {
    let transaction = begin(root, shell)?;
    let plan = plan_recorded_undo(root, RECORD)?;
    transaction.commit(&plan.edits, || Ok(()))?;
    // A folder that is not empty stays.
    let _ = fs::remove_dir(root.join(OWN_FOLDER));
    let changed = plan.edits.iter().filter(|edit| !edit.path.starts_with(OWN_FOLDER)).collect::<Vec<_>>();
    for edit in &changed {
        shell.output(diff(edit).trim_end());
    }
    for kept in &plan.kept {
        shell.warning(&format!("{} stays: it {}", kept.path, kept.why));
    }
    let done = if changed.is_empty() { ": nothing to undo" } else { " undone: what it wrote is gone" };
    shell.result(&format!("test-inputs{done}"));
    if shell.json() {
        let changed = changed.iter().map(|edit| &edit.path).collect::<Vec<_>>();
        let kept = plan.kept.iter().map(|kept| &kept.path).collect::<Vec<_>>();
        shell.document(&json!({ "changed": changed, "kept": kept }))?;
    }
    Ok(Exit::from_success(plan.kept.is_empty()))
}

fn show(shell: &Shell, observation: &Observation) {
    let Observation { package, programs, failed, reads, network, own_servers, .. } = observation;
    let line = |what: &str, things: &BTreeSet<String>, if_none: Option<&str>| {
        let things = if things.is_empty() { if_none.map(str::to_owned) } else { Some(list(things)) };
        if let Some(things) = things {
            shell.result(&format!("  {what}: {things}"));
        }
    };
    shell.result(&format!("{package}: {}", count(programs.len(), "test program")));
    line("reads outside of its folder", &reads.files, Some("nothing"));
    line("network", network, Some("no"));
    line("servers of its own, which do not count", own_servers, None);
    line("failed, so nothing is declared", &failed.iter().cloned().collect(), None);
    line("outside of the repository", &reads.elsewhere.iter().map(ToString::to_string).collect(), None);
    if !reads.elsewhere.is_empty() {
        shell.result(&format!(
            "    this cannot be declared: if results depend on it, set `remember = false` in [test-inputs.{package}]"
        ));
    }
    shell.detail(&format!("{package}: {} of the system, or not there", count(reads.others, "other path")));
}

/// The first of `things`, and how many more there are.
fn list(things: &BTreeSet<String>) -> String {
    let first = things.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match things.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more (--json lists all)"),
    }
}

fn last_line(shell: &Shell, report: &Report) -> String {
    let number = |is: fn(&Observation) -> bool| report.packages.iter().filter(|package| is(package)).count();
    let failed = number(|package| !package.failed.is_empty());
    let declared = number(|package| package.declaration.is_some());
    let mut parts = vec![format!("{} observed", count(report.packages.len(), "package"))];
    parts.extend((failed > 0).then(|| format!("{failed} with failures")));
    parts.push(match (declared, report.applied) {
        (0, _) => "nothing to declare".to_owned(),
        (_, true) => format!("{declared} declared in {FILE_NAME} (--undo takes it back)"),
        (_, false) => format!("{declared} to declare in {FILE_NAME} (--apply writes it)"),
    });
    format!("test-inputs {}: {}", ended(shell, None, failed > 0), parts.join("; "))
}
