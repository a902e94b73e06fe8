//! cargo-nextest: whether it can run the tests, and its JUnit report of how each ended.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use toml_edit::DocumentMut;
use xtask_files::{Durability, remove_file, write_atomic};
use xtask_units::{milliseconds, without_colour};
use xtask_workspace::config::RunnerChoice;
use xtask_workspace::{CargoCommand, EnvironmentLacks, Progress, Workspace, cargo_home, on_path, stamp};

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
    let why_not = match path.map(|path| probe(workspace, &path)) {
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

/// The JUnit report of one run. Another run may use the same target dir at the same time, so it has a name of its own.
///
/// A tool config asks for it. The user's own configuration takes precedence over that, so their profile keeps its report
/// path.
pub(crate) struct Report {
    path: Utf8PathBuf,
    config: Utf8PathBuf,
}

impl Report {
    /// Makes `command` write a report. Fails if its configuration cannot be written.
    pub(crate) fn request(workspace: &Workspace, profile: &str, command: &mut CargoCommand) -> Result<Self> {
        let name = format!("xtask-suite-junit-{}.xml", std::process::id());
        let config = workspace.state_dir().join("nextest").join(format!("{}.toml", std::process::id()));
        let text = format!("[profile.default.junit]\npath = \"{name}\"\n");
        write_atomic(&config, text, Durability::Cache)?;
        let path = report_path(workspace, profile, &name);
        remove_file(&path)?;
        command.insert_args(["--tool-config-file".to_owned(), format!("xtask-suite:{config}")]);
        Ok(Self { path, config })
    }

    /// The tests in it; `None` if there is no report, because nothing ran.
    pub(crate) fn read(self) -> Result<Option<Vec<TestRun>>> {
        let parsed = |text: String| {
            parse(&text).with_context(|| format!("failed to read nextest's report {}", self.path))
        };
        let tests = fs::read_to_string(&self.path).ok().map(parsed).transpose();
        // A report that the user's configuration names is theirs.
        if self.path.file_name().is_some_and(|name| name.starts_with("xtask-suite-junit-")) {
            remove_file(&self.path)?;
        }
        remove_file(&self.config)?;
        tests
    }
}

fn report_path(workspace: &Workspace, profile: &str, name: &str) -> Utf8PathBuf {
    let text = fs::read_to_string(workspace.root().join(".config/nextest.toml")).unwrap_or_default();
    let user = text.parse::<DocumentMut>().unwrap_or_default();
    let string = |keys: &[&str]| {
        let item = keys.iter().try_fold(user.as_item(), |item, key| item.get(key))?;
        item.as_str().map(str::to_owned)
    };
    let store = string(&["store", "dir"])
        .map_or_else(|| workspace.facts.target_dir.join("nextest"), |dir| workspace.root().join(dir));
    let path = string(&["profile", profile, "junit", "path"])
        .or_else(|| string(&["profile", "default", "junit", "path"]));
    store.join(profile).join(path.as_deref().unwrap_or(name))
}

fn parse(xml: &str) -> Result<Vec<TestRun>> {
    ensure!(xml.trim_end().ends_with("</testsuites>"), "it is incomplete");
    let mut runs = Vec::<TestRun>::new();
    for tag in tags(xml) {
        match tag.split(|c: char| c.is_whitespace() || c == '/').next() {
            Some("testcase") => {
                // `package`, `package::target` or `package::bin/name`.
                let binary = attribute(tag, "classname");
                let package = binary.split("::").next().unwrap_or_default().to_owned();
                let ms = milliseconds(attribute(tag, "time").parse().unwrap_or(0.0));
                let (name, tests) = (attribute(tag, "name"), Some(Counts::one(true)));
                runs.push(TestRun { package, name, ms, success: true, tests });
            }
            Some("failure" | "error") => {
                if let Some(run) = runs.last_mut() {
                    (run.success, run.tests) = (false, Some(Counts::one(false)));
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

/// The numbers in nextest's last line: `Summary [ 0.018s] 3 tests run: 2 passed (1 flaky), 1 failed, 1 skipped`.
pub(crate) fn summary_in(line: &str) -> Option<Counts> {
    let plain = without_colour(line);
    // At the start only: a test may print the word.
    let rest = plain.trim_start().strip_prefix("Summary [")?;
    let (run, counts) = rest.split_once(']')?.1.split_once(" run: ")?;
    // `3/7 tests run` if it was stopped early.
    let run = run.trim_start().split(['/', ' ']).next()?.parse::<u64>().ok()?;
    let number = |word: &str| {
        let count = counts.split(", ").find_map(|count| count.split_once(word))?.0;
        count.trim_end().parse::<u64>().ok()
    };
    let passed = number("passed").unwrap_or(0);
    // Failed, timed out, not started: everything else that ran.
    Some(Counts { passed, failed: run.saturating_sub(passed), skipped: number("skipped").unwrap_or(0) })
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
    fn reads_the_summary_with_and_without_colours() {
        let table = [
            ("     Summary [   0.018s] 3 tests run: 3 passed, 1 skipped", Some((3, 0, 1))),
            (
                "     Summary [   0.018s] 3 tests run: 2 passed (1 flaky), 1 failed, 17 skipped",
                Some((2, 1, 17)),
            ),
            ("     Summary [   0.018s] 3 tests run: 3 passed", Some((3, 0, 0))),
            ("     Summary [   0.018s] 0 tests run: 0 passed, 4 skipped", Some((0, 0, 4))),
            ("     Summary [   2.018s] 2/9 tests run: 1 passed, 1 timed out, 7 skipped", Some((1, 1, 7))),
            (
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.003s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m4\u{1b}[0m \u{1b}[33;1mskipped\u{1b}[0m",
                Some((1, 0, 4)),
            ),
            ("a test said: Summary [ 3 run: skipped", None),
        ];
        for (line, expected) in table {
            let seen = summary_in(line).map(|counts| (counts.passed, counts.failed, counts.skipped));
            assert_eq!(seen, expected, "{line}");
        }
    }
}
