//! nextest's JUnit report: which tests ran, how they ended and how long they took.
//!
//! A tool config asks for the report; it is weaker than the user's own configuration, so a profile of
//! theirs stays as it is, their own report path included.

use std::fs;

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use toml_edit::DocumentMut;
use xtask_files::{Durability, remove_file, write_atomic};
use xtask_units::{milliseconds, without_colour};
use xtask_workspace::{CargoCommand, Workspace};

use crate::runner_shim::Counts;

/// The file name of the report where the user's configuration names none.
const REPORT: &str = "xtask-suite-junit.xml";

/// One test that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestRun {
    /// The package, which nextest's binary id begins with.
    pub package: String,
    /// The test's full name.
    pub name: String,
    /// Milliseconds it took.
    pub ms: u64,
    /// Whether it passed, at last.
    pub passed: bool,
}

/// Writes the tool config and returns where it lies.
pub(crate) fn tool_config(workspace: &Workspace) -> Result<Utf8PathBuf> {
    let path = workspace.state_dir().join("nextest").join("tool-config.toml");
    write_config(&path, REPORT)?;
    Ok(path)
}

fn write_config(path: &Utf8Path, report: &str) -> Result<()> {
    let config = format!("[profile.default.junit]\npath = \"{report}\"\n");
    if fs::read_to_string(path).ok().as_deref() == Some(&config) {
        return Ok(());
    }
    write_atomic(path, config, Durability::Cache)
}

/// The report of one run, under a name of its own: another run may go on in the same target dir.
pub(crate) struct Report {
    path: Utf8PathBuf,
    config: Utf8PathBuf,
}

impl Report {
    /// Points `command`, made with the config of [`tool_config`], at a report of its own.
    pub(crate) fn of(workspace: &Workspace, profile: &str, command: &mut CargoCommand) -> Result<Self> {
        let mut name = format!("xtask-suite-junit-{}.xml", std::process::id());
        let shared = workspace.state_dir().join("nextest").join("tool-config.toml");
        let config = shared.with_file_name(format!("tool-config-{}.toml", std::process::id()));
        let planned = format!("xtask-suite:{shared}");
        match command.args.iter_mut().find(|arg| arg.name == planned) {
            Some(arg) if write_config(&config, &name).is_ok() => arg.name = format!("xtask-suite:{config}"),
            // A full disk must not turn a green run red: the report is then shared with other runs.
            _ => REPORT.clone_into(&mut name),
        }
        let report = Self { path: report_path(workspace, profile, &name), config };
        remove_file(&report.path)?;
        Ok(report)
    }

    /// The tests in it; `None` when nextest wrote none, because nothing ran.
    pub(crate) fn read(self) -> Result<Option<Vec<TestRun>>> {
        let tests = self.path.is_file().then(|| read(&self.path)).transpose();
        // One that the user's configuration names stays: it is theirs.
        if self.path.file_name().is_some_and(|name| name.starts_with("xtask-suite-junit-")) {
            remove_file(&self.path)?;
        }
        // Where it could not be written, there is nothing to remove.
        let _ = remove_file(&self.config);
        tests
    }
}

fn report_path(workspace: &Workspace, profile: &str, name: &str) -> Utf8PathBuf {
    let text = fs::read_to_string(workspace.root().join(".config/nextest.toml")).unwrap_or_default();
    let user = text.parse::<DocumentMut>().unwrap_or_default();
    let string = |keys: &[&str]| {
        let mut item = user.as_item();
        for key in keys {
            item = item.get(key)?;
        }
        item.as_str().map(str::to_owned)
    };
    let store = string(&["store", "dir"])
        .map_or_else(|| workspace.facts.target_dir.join("nextest"), |dir| workspace.root().join(dir));
    let path = string(&["profile", profile, "junit", "path"])
        .or_else(|| string(&["profile", "default", "junit", "path"]))
        .unwrap_or_else(|| name.to_owned());
    store.join(profile).join(path)
}

/// Reads a report.
fn read(path: &Utf8Path) -> Result<Vec<TestRun>> {
    let text = fs::read_to_string(path).with_context(|| format!("failed to read nextest's report {path}"))?;
    parse(&text).with_context(|| format!("failed to read nextest's report {path}"))
}

fn parse(xml: &str) -> Result<Vec<TestRun>> {
    ensure!(xml.trim_end().ends_with("</testsuites>"), "it has no end");
    let mut runs = Vec::<TestRun>::new();
    for tag in tags(xml) {
        match tag.split(|c: char| c.is_whitespace() || c == '/').next() {
            Some("testcase") => {
                let text = |name| attribute(tag, name).unwrap_or_default();
                // `package`, `package::target` or `package::bin/name`.
                let binary = text("classname");
                runs.push(TestRun {
                    package: binary.split("::").next().unwrap_or_default().to_owned(),
                    name: text("name"),
                    ms: milliseconds(text("time").parse().unwrap_or(0.0)),
                    passed: true,
                });
            }
            Some("failure" | "error") => {
                if let Some(run) = runs.last_mut() {
                    run.passed = false;
                }
            }
            _ => {}
        }
    }
    Ok(runs)
}

/// What is between `<` and `>` in XML. Its writers escape both everywhere else, but not in comments and CDATA.
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

/// The value of the tag's attribute `name`, unescaped.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0;
    let mut value = String::new();
    while let Some((before, escaped)) = rest.split_once('&') {
        let (entity, after) = escaped.split_once(';')?;
        value.push_str(before);
        value.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code =
                    number.strip_prefix('x').map_or(number.parse(), |hex| u32::from_str_radix(hex, 16));
                char::from_u32(code.ok()?)?
            }
        });
        rest = after;
    }
    Some(value + rest)
}

/// The numbers in nextest's last line: `Summary [ 0.018s] 3 tests run: 2 passed (1 flaky), 1 failed, 1 skipped`.
pub(crate) fn summary_in(line: &str) -> Option<Counts> {
    let plain = without_colour(line);
    // Only the summary itself: a test may print the word.
    let rest = plain.trim_start().strip_prefix("Summary [")?;
    let (run, counts) = rest.split_once(']')?.1.split_once(" run: ")?;
    // `3/7 tests run` when it was ended early.
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
            runs.iter().map(|run| (&*run.package, &*run.name, run.ms, run.passed)).collect::<Vec<_>>();
        assert_eq!(
            shown,
            [("my-app", "a::b", 12, true), ("my-app", "c", 1500, false), ("my-lib", "flaky", 1, true)]
        );
    }

    #[test]
    fn what_a_test_printed_is_no_result() {
        let report = r#"<testsuites>
<!-- <testcase name="comment" classname="app"/> -->
<testcase time="0.001" classname="app::bin/x" name="a&lt;b&gt;::&quot;c&#x27;&amp;&#100;">
  <system-out>&lt;failure/&gt; &lt;testcase name="no" classname="no"/&gt;</system-out>
  <system-err><![CDATA[<failure/><testcase name="no" classname="no"/>]]></system-err>
</testcase>
<testcase name="last" classname="app" time="0.001">
    <error type="x"/>
</testcase>
</testsuites>
"#;
        let runs = parse(report).unwrap();
        let shown = runs.iter().map(|run| (&*run.package, &*run.name, run.passed)).collect::<Vec<_>>();
        assert_eq!(shown, [("app", "a<b>::\"c'&d", true), ("app", "last", false)]);
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
