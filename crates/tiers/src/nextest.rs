//! cargo-nextest: whether it can run the tests, and its JUnit report of how each ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use toml_edit::DocumentMut;
use xtask_files::{Durability, remove_dir, remove_file, write_atomic};
use xtask_units::{milliseconds, without_colour};
use xtask_workspace::config::RunnerChoice;
use xtask_workspace::{
    CargoCommand, EnvironmentLacks, Flag, Progress, Workspace, cargo_home, digest, on_path, stamp,
};

use crate::runner_shim::{Counts, TestRun};

/// What runs the tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runner {
    Nextest { version: String },
    Cargo,
}

#[derive(Serialize, Deserialize)]
struct Probe {
    /// Of the binary: when it changes, it is asked again.
    stamp: String,
    /// Its version, or why it cannot be used.
    version: Result<String, String>,
}

/// Chooses the runner. Fails as [`EnvironmentLacks`] if the tier requires nextest and it cannot be used.
pub(crate) fn choose_runner(
    workspace: &Workspace,
    choice: RunnerChoice,
    progress: &dyn Progress,
) -> Result<Runner> {
    if choice == RunnerChoice::Cargo {
        return Ok(Runner::Cargo);
    }
    let name = "cargo-nextest";
    // Where cargo looks for it: on `PATH`, then in its own bin folder.
    let path = on_path(name, &workspace.environment).or_else(|| {
        let bin = cargo_home(&workspace.environment)?.join("bin");
        Some(bin.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))).filter(|path| path.is_file())
    });
    let mut build_target = workspace.cargo_config.set_in(&["build", "target"]);
    let why_not = match path.map(|path| probe(workspace, &path)) {
        Some(Ok(_)) if build_target.any(|(_, value)| value.is_array()) => {
            format!("{name} cannot read the list `build.target` of cargo's configuration")
        }
        Some(Ok(version)) => return Ok(Runner::Nextest { version }),
        Some(Err(why_not)) => why_not,
        None => format!("{name} is not installed"),
    };
    if choice == RunnerChoice::Nextest {
        let message = format!("{why_not}, and this tier requires it; run `cargo xtask setup`");
        return Err(EnvironmentLacks(message).into());
    }
    progress.note(&format!("{why_not}: using `cargo test`"));
    Ok(Runner::Cargo)
}

fn probe(workspace: &Workspace, path: &Utf8Path) -> Result<String, String> {
    let stamp = format!("{path} {}", stamp(path).unwrap_or_default());
    let cache = workspace.state_dir().join("nextest").join("probe.json");
    let known = fs::read(&cache).ok().and_then(|json| serde_json::from_slice::<Probe>(&json).ok());
    if let Some(known) = known.filter(|known| known.stamp == stamp) {
        return known.version;
    }
    let ask = |args: &[&str]| -> Option<String> {
        let mut command = Command::new(path);
        command.args(args).env_clear().envs(workspace.environment.iter_os());
        let output = command.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    // `cargo-nextest 0.9.143 (60fa45f63 2026-08-04)` and more lines.
    let version = ask(&["nextest", "--version"])
        .and_then(|text| text.split_whitespace().nth(1).map(str::to_owned))
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()));
    // The record is made from cargo's JSON messages.
    let passes_messages = |help: String| help.contains("--cargo-message-format");
    let version = match version {
        None => Err(format!("{path} does not run")),
        Some(version) if ask(&["nextest", "run", "--help"]).is_some_and(passes_messages) => Ok(version),
        Some(version) => Err(format!("cargo-nextest {version} is too old (it lacks --cargo-message-format)")),
    };
    let probe = Probe { stamp, version };
    if let Ok(json) = serde_json::to_vec(&probe) {
        let _ = write_atomic(&cache, json, Durability::Cache);
    }
    probe.version
}

/// What nextest's output says of a run.
#[derive(Default)]
pub(crate) struct Said {
    /// Its report names it too.
    run_id: Option<String>,
    pub(crate) summary: Option<Summary>,
    /// The programs of tests that left a process behind.
    leaky: BTreeSet<String>,
    leaks: u64,
}

impl Said {
    /// Reads a line of nextest's output.
    pub(crate) fn line(&mut self, line: &str) {
        let plain = without_colour(line);
        if let Some(program) = leak_in(&plain) {
            self.leaks += 1;
            self.leaky.insert(program);
        }
        // The first one is nextest's own.
        let run_id = || plain.trim_start().strip_prefix("Nextest run ID ")?.split(' ').next();
        self.run_id = self.run_id.take().or_else(|| run_id().map(str::to_owned));
        // The last one is nextest's own: a test may run a nextest.
        self.summary = summary_in(&plain).or(self.summary.take());
    }

    /// Whether a test of the program may have left a process behind: any, if they are not all known.
    pub(crate) fn may_leak(&self, program: &str) -> bool {
        self.summary.is_none_or(|summary| summary.leaky > self.leaks) || self.leaky.contains(program)
    }
}

/// The files of one run: nextest's list of what is built, its configuration with what we ask for, and its reports. Other runs
/// may use the same target dir at the same time, so they have a folder of their own.
///
/// The user's own configuration takes precedence over a tool's, so a report of theirs keeps its name.
pub(crate) struct Files {
    dir: Utf8PathBuf,
    /// The user's own configuration.
    config: Utf8PathBuf,
}

impl Files {
    /// Lets `command` run `programs` in this order, from what was built by `build`, of which nextest's list is `list`.
    pub(crate) fn new(
        workspace: &Workspace,
        list: &str,
        programs: &[&str],
        command: &mut CargoCommand,
        build: &CargoCommand,
    ) -> Result<Self> {
        let filters = programs.iter().map(|name| format!("binary_id(={name})")).collect::<Vec<_>>();
        let theirs = command.take_values(&["-E", "--filterset", "--filter-expr"]);
        let theirs = theirs.iter().map(|filter| format!("({filter})")).collect::<Vec<_>>().join(" | ");
        let ours = filters.join(" | ");
        let filter = if theirs.is_empty() { ours } else { format!("({theirs}) & ({ours})") };
        command.insert_args(["-E".to_owned(), filter]);
        let config = command.clone().take_values(&["--config-file"]).pop();
        let config = workspace.root().join(config.as_deref().unwrap_or(NEXTEST_CONFIG));
        let dir = workspace.state_dir().join("nextest").join(std::process::id().to_string());
        remove_dir(&dir)?;
        let store = toml_edit::Value::from(dir.join("reports").as_str());
        let mut text = format!("[store]\ndir = {store}\n[profile.default.junit]\npath = \"{OUR_REPORT}\"\n");
        for (at, filter) in filters.iter().enumerate() {
            // From 100 to -100 (nextest's documentation, "Test priorities").
            let priority = 100 - i64::try_from(at * 200 / filters.len())?;
            let filter = toml_edit::Value::from(filter);
            write!(text, "[[profile.default.overrides]]\nfilter = {filter}\npriority = {priority}\n")?;
        }
        let (tool, binaries) = (dir.join("tool.toml"), dir.join("binaries.json"));
        write_atomic(&tool, text, Durability::Cache)?;
        write_atomic(&binaries, list, Durability::Cache)?;
        *command = command.clone().without_build();
        command.insert_args(["--tool-config-file".to_owned(), format!("xtask-suite:{tool}")]);
        command.insert_args(["--binaries-metadata", binaries.as_str()]);
        // Without it nextest asks cargo.
        let metadata = metadata(workspace, build);
        command.insert_args(metadata.iter().flat_map(|path| ["--cargo-metadata", path.as_str()]));
        Ok(Self { dir, config })
    }

    /// What it reported of each test that ran; `None` if there is no report. A report that the user's configuration asks for
    /// is put where nextest would have put it.
    pub(crate) fn read(
        self,
        workspace: &Workspace,
        started: SystemTime,
        said: &Said,
    ) -> Result<Option<Vec<TestRun>>> {
        let mut runs = None;
        if let Some((path, text)) = self.report(workspace, started, said)? {
            let is_ours = path.file_name() == Some(OUR_REPORT);
            runs = Some(parse(&text).with_context(|| format!("failed to read nextest's report {path}"))?);
            if !is_ours && let Ok(relative) = path.strip_prefix(self.dir.join("reports")) {
                write_atomic(
                    &workspace.root().join("target/nextest").join(relative),
                    text,
                    Durability::Cache,
                )?;
            } else if is_ours {
                remove_file(&path)?;
            }
        }
        remove_dir(&self.dir)?;
        Ok(runs)
    }

    /// The report and its text. It is in the folder that we name, unless the user's configuration names another, where other
    /// runs may put theirs at the same time.
    fn report(
        &self,
        workspace: &Workspace,
        started: SystemTime,
        said: &Said,
    ) -> Result<Option<(Utf8PathBuf, String)>> {
        let Some(run_id) = said.run_id.as_deref() else { return Ok(None) };
        let text = fs::read_to_string(&self.config).unwrap_or_default();
        let user = text.parse::<DocumentMut>().unwrap_or_default();
        let store = user.get("store").and_then(|store| store.get("dir")).and_then(|dir| dir.as_str());
        let profiles = user.get("profile").and_then(|profiles| profiles.as_table_like());
        let named = profiles.into_iter().flat_map(|profiles| profiles.iter());
        let named = named.filter_map(|(_, profile)| profile.get("junit")?.get("path")?.as_str());
        // One that is absolute is in no store.
        let mut reports = named.map(Utf8PathBuf::from).filter(|path| path.is_absolute()).collect::<Vec<_>>();
        let stores = [Some(self.dir.join("reports")), store.map(|dir| workspace.root().join(dir))];
        for store in stores.into_iter().flatten() {
            files_in(&store, &mut reports)?;
        }
        let written = |path: &Utf8PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        reports.retain(|path| written(path).is_some_and(|written| written >= started));
        let texts = reports.into_iter().filter_map(|path| Some((fs::read_to_string(&path).ok()?, path)));
        let of_this_run = format!("uuid=\"{run_id}\"");
        let mut reports = texts.filter(|(text, _)| text.contains(&of_this_run));
        Ok(reports.next().map(|(text, path)| (path, text)))
    }
}

/// The configuration of nextest, relative to the workspace root.
pub(crate) const NEXTEST_CONFIG: &str = ".config/nextest.toml";

/// Whether a configuration file has setup or wrapper scripts (nextest's documentation, "Scripts").
pub(crate) fn has_scripts(config: &Utf8PathBuf) -> bool {
    let text = fs::read_to_string(config).unwrap_or_default();
    text.contains("script")
        && text
            .parse::<DocumentMut>()
            .is_ok_and(|config| ["script", "scripts"].iter().any(|key| config.contains_key(key)))
}

const OUR_REPORT: &str = "xtask-suite-junit.xml";

/// Adds the files below a store of nextest: `PROFILE/NAME`, where the name may have folders.
fn files_in(dir: &Utf8Path, files: &mut Vec<Utf8PathBuf>) -> Result<()> {
    let Ok(entries) = dir.read_dir_utf8() else { return Ok(()) };
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read folder {dir}"))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_in(entry.path(), files)?;
        } else {
            files.push(entry.into_path());
        }
    }
    Ok(())
}

/// The file with what `cargo metadata` says of the workspace, which nextest would ask for each time (0.1 s on 250 packages).
fn metadata(workspace: &Workspace, build: &CargoCommand) -> Option<Utf8PathBuf> {
    let mut command = build.clone();
    command.args.retain(|arg| matches!(arg.flag, Flag::Manifest | Flag::Config | Flag::Resolve));
    command.runner_args.clear();
    "metadata".clone_into(&mut command.verb);
    command.insert_args(["--format-version", "1", "--all-features"]);
    let key = digest(format!("{} {command}", workspace.plan_key));
    let path = workspace.state_dir().join("nextest").join("metadata").join(format!("{key}.json"));
    // After a crash of the machine it may be incomplete, and nextest would fail.
    if fs::read(&path).is_ok_and(|json| json.trim_ascii_end().ends_with(b"}")) {
        return Some(path);
    }
    let output = command.to_command(&workspace.environment).output().ok()?;
    let json = output.status.success().then_some(output.stdout)?;
    // Of another lock file or other manifests.
    remove_dir(path.parent()?).ok()?;
    write_atomic(&path, json, Durability::Cache).ok()?;
    Some(path)
}

/// The line of JSON with which nextest answers what it built.
pub(crate) fn is_list(line: &str) -> bool {
    line.starts_with("{\"rust-build-meta\":")
}

/// The name that nextest has for each program in its list.
pub(crate) fn names(list: &str) -> Result<BTreeMap<Utf8PathBuf, String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct List {
        rust_binaries: BTreeMap<String, Binary>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Binary {
        binary_path: Utf8PathBuf,
    }
    let list: List = serde_json::from_str(list).context("failed to read nextest's list of programs")?;
    Ok(list.rust_binaries.into_iter().map(|(name, binary)| (binary.binary_path, name)).collect())
}

fn parse(xml: &str) -> Result<Vec<TestRun>> {
    ensure!(xml.trim_end().ends_with("</testsuites>"), "it is incomplete");
    let mut runs = Vec::<TestRun>::new();
    for tag in tags(xml) {
        match tag.split(|c: char| c.is_whitespace() || c == '/').next() {
            Some("testcase") => {
                let program = attribute(tag, "classname");
                // `package`, `package::target` or `package::bin/name`.
                let package = program.split("::").next().unwrap_or_default().to_owned();
                let ms = milliseconds(attribute(tag, "time").parse().unwrap_or(0.0));
                let (name, tests) = (attribute(tag, "name"), Some(Counts::one(true)));
                runs.push(TestRun { program, package, name, ms, success: true, first_try: true, tests });
            }
            Some("failure" | "error") => {
                if let Some(run) = runs.last_mut() {
                    (run.success, run.first_try, run.tests) = (false, false, Some(Counts::one(false)));
                }
            }
            Some("flakyFailure" | "flakyError") => {
                if let Some(run) = runs.last_mut() {
                    run.first_try = false;
                }
            }
            _ => {}
        }
    }
    Ok(runs)
}

/// The text between each `<` and `>` in XML. Both are escaped everywhere else, except in comments and CDATA.
fn tags(xml: &str) -> impl Iterator<Item = &str> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        let tag = rest.split_once('<')?.1;
        let end = match tag {
            _ if tag.starts_with("![CDATA[") => "]]>",
            _ if tag.starts_with("!--") => "-->",
            _ => ">",
        };
        let (tag, after) = tag.split_once(end)?;
        rest = after;
        Some(tag)
    })
}

/// The value of the tag's attribute `name`, with the characters back that XML escapes.
fn attribute(tag: &str, name: &str) -> String {
    let value = tag.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
    let value = value.map_or("", |(value, _)| value).replace("&lt;", "<").replace("&gt;", ">");
    value.replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

/// nextest's last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) tests: Counts,
    /// Whether every test that was chosen ran.
    pub(crate) whole: bool,
    pub(crate) leaky: u64,
}

/// The status in a line of nextest's own, which ends in its twelfth column, and what follows the bracket after it: what a test
/// printed is further to the right.
fn status_in(plain: &str) -> Option<(&str, &str)> {
    let (status, rest) = plain.split_once(" [")?;
    (status.len() == 12).then(|| (status.trim_start(), rest))
}

/// Reads `Summary [ 0.018s] 3 tests run: 2 passed (1 flaky), 1 failed, 1 skipped`.
fn summary_in(plain: &str) -> Option<Summary> {
    let ("Summary", rest) = status_in(plain)? else { return None };
    let (run, counts) = rest.split_once(']')?.1.split_once(" run: ")?;
    // `3/7 tests run` if it was stopped early.
    let run = run.trim_start().split(' ').next()?;
    let (run, whole) = run.split_once('/').map_or((run, true), |(run, _)| (run, false));
    let run = run.parse::<u64>().ok()?;
    let number = |word: &str| {
        let count = counts.split([',', '(']).find_map(|count| count.split_once(word))?.0;
        count.trim().parse::<u64>().ok()
    };
    let passed = number("passed").unwrap_or(0);
    // Failed, timed out, not started: everything else that ran.
    let failed = run.saturating_sub(passed);
    let tests = Counts { passed, failed, skipped: number("skipped").unwrap_or(0) };
    Some(Summary { tests, whole, leaky: number("leaky").unwrap_or(0) })
}

/// The program in `        LEAK [   0.210s] (5/5) app::it name`.
fn leak_in(plain: &str) -> Option<String> {
    let (status, rest) = status_in(plain)?;
    // `TRY 2 LEAK`
    (status == "LEAK" || status.starts_with("TRY ") && status.ends_with(" LEAK")).then_some(())?;
    let rest = rest.split_once("] ")?.1.trim_start();
    let rest = rest.strip_prefix('(').and_then(|rest| rest.split_once(") ")).map_or(rest, |(_, rest)| rest);
    rest.split(' ').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_verdicts_times_and_packages() {
        let report = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" errors="0" time="0.1">
  <testsuite name="my-app::it" tests="2">
    <testcase name="a::b" classname="my-app::it" time="0.012"/>
    <testcase name="c" classname="my-app::it" time="1.5"><failure type="test failure">no</failure></testcase>
  </testsuite>
  <testsuite name="my-lib" tests="1">
    <testcase name="flaky" classname="my-lib" time="0.001"><flakyFailure type="x"/></testcase>
  </testsuite>
</testsuites>"#;
        let runs = parse(report).unwrap();
        let shown =
            runs.iter().map(|run| (&*run.package, &*run.name, run.ms, run.success)).collect::<Vec<_>>();
        assert_eq!(
            shown,
            [("my-app", "a::b", 12, true), ("my-app", "c", 1500, false), ("my-lib", "flaky", 1, true)]
        );
    }

    #[test]
    fn what_a_test_printed_is_no_result() {
        let report = r#"<testsuites>
<!-- <testcase name="comment" classname="app"/> -->
<testcase time="0.001" classname="app::bin/x" name="a&lt;b&gt;::&quot;c&apos;&amp;amp;">
  <system-out>&lt;failure/&gt; &lt;testcase name="no" classname="no"/&gt;</system-out>
  <system-err><![CDATA[<failure/><testcase name="no" classname="no"/>]]></system-err>
</testcase>
<testcase name="last" classname="app" time="0.001">
    <error type="x"/>
</testcase>
</testsuites>
"#;
        let runs = parse(report).unwrap();
        let shown = runs.iter().map(|run| (&*run.package, &*run.name, run.success)).collect::<Vec<_>>();
        assert_eq!(shown, [("app", "a<b>::\"c'&amp;", true), ("app", "last", false)]);
        assert!(parse(report.trim_end().strip_suffix("</testsuites>").unwrap()).is_err(), "it was cut off");
    }

    #[test]
    fn reads_the_summary() {
        // line, (passed, failed, skipped), whether all ran, leaky
        let table = [
            ("     Summary [   0.018s] 3 tests run: 3 passed, 1 skipped", Some(((3, 0, 1), true, 0))),
            (
                "     Summary [   0.018s] 3 tests run: 2 passed (1 flaky, 1 leaky), 1 failed, 17 skipped",
                Some(((2, 1, 17), true, 1)),
            ),
            ("     Summary [   0.018s] 3 tests run: 3 passed (2 leaky)", Some(((3, 0, 0), true, 2))),
            ("     Summary [   0.018s] 0 tests run: 0 passed, 4 skipped", Some(((0, 0, 4), true, 0))),
            (
                "     Summary [   2.018s] 2/9 tests run: 1 passed, 1 timed out, 7 skipped",
                Some(((1, 1, 7), false, 0)),
            ),
            ("a test said: Summary [ 3 run: skipped", None),
            ("         Summary [   2.018s] 2/9 tests run: 1 passed, 1 timed out, 7 skipped", None),
        ];
        for (line, expected) in table {
            let seen = summary_in(line).map(|Summary { tests, whole, leaky }| {
                ((tests.passed, tests.failed, tests.skipped), whole, leaky)
            });
            assert_eq!(seen, expected, "{line}");
        }
    }

    #[test]
    fn programs_that_left_a_process_behind_are_named() {
        let table = [
            ("        LEAK [   0.210s] (5/5) a::it leaky", Some("a::it")),
            ("        LEAK [   0.210s] (───) a::bin/a leaky", Some("a::bin/a")),
            ("        LEAK [   0.210s] b t", Some("b")),
            ("  TRY 2 LEAK [   0.210s] (2/5) a::it leaky", Some("a::it")),
            ("        PASS [   0.210s] (2/5) a::it LEAK [", None),
            ("            LEAK [   0.210s] (5/5) a::it leaky", None),
        ];
        for (line, expected) in table {
            assert_eq!(leak_in(line).as_deref(), expected, "{line}");
        }
    }
}
