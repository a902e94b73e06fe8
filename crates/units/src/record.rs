//! Runs cargo, and records what it built. This is the only function that runs a user's cargo command.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::remove_file;
use xtask_workspace::{Call, CargoCommand, Flag, Progress, Workspace};

use crate::fake::ROLE;
use crate::forecast::{Times, UnitTime};
use crate::messages::{Message, name_and_version};
use crate::process::{self, Out, Stream};
use crate::unit::TargetKind;
use crate::whole_milliseconds;

/// The column that cargo's status words end in.
const STATUS_WIDTH: usize = 12;

/// A unit that a cargo command compiled or found fresh. Runs of build scripts are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltUnit {
    /// As in cargo's messages and metadata.
    pub package_id: String,
    pub package: String,
    pub target: String,
    pub kind: TargetKind,
    /// Whether the test harness or `cfg(test)` is on.
    pub test: bool,
    pub files: Vec<Utf8PathBuf>,
    /// The program, where it is one.
    pub executable: Option<Utf8PathBuf>,
    pub fresh: bool,
}

/// What a build script left; its run may have been an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRun {
    pub package_id: String,
    pub out_dir: Utf8PathBuf,
    /// Where the linker looks for native libraries.
    pub linked_paths: Vec<Utf8PathBuf>,
    /// `cargo::rustc-env`: also set while the package's tests run.
    pub variables: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Ask cargo how long units take. It costs 0.1 s on 500 units, so not when nothing will be compiled.
    pub timings: bool,
    /// How many units a plan says there are.
    pub expected: Option<usize>,
    /// Keep the compiler's errors in [`Record::compile_errors`] instead of showing them.
    pub collect_errors: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    pub package: String,
    pub target: String,
    pub kind: TargetKind,
    /// The compiler's first line, without code and place.
    pub message: String,
}

#[derive(Debug, Clone, Default)]
pub struct Record {
    /// `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that we received meanwhile.
    pub signal: Option<i32>,
    /// `None` when cargo did not finish the build.
    pub build_succeeded: Option<bool>,
    /// The targets that did not compile, in cargo's words: "`app` (lib test)".
    pub not_compiled: Vec<String>,
    /// The packages whose build script ran and failed.
    pub failed_scripts: Vec<String>,
    /// Cargo's first error that is about none of these: it did not take the command, or could not begin.
    pub refused: Option<String>,
    /// Only with [`RunOptions::collect_errors`].
    pub compile_errors: Vec<CompileError>,
    /// Milliseconds until cargo said that the build was finished (or until the end).
    pub compile_ms: u64,
    /// Milliseconds after that.
    pub run_ms: u64,
    pub units: Vec<BuiltUnit>,
    pub scripts: Vec<ScriptRun>,
    /// Only with [`RunOptions::timings`].
    pub times: Vec<UnitTime>,
}

impl Record {
    pub fn compiled(&self) -> usize {
        self.units.len() - self.fresh()
    }

    pub fn fresh(&self) -> usize {
        self.units.iter().filter(|unit| unit.fresh).count()
    }
}

/// A target that did not compile, as cargo names it: `` `app` (bin "x" test) ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTarget {
    pub package: String,
    pub kind: TargetKind,
    /// The target's name; `None` for the library and the build script.
    pub name: Option<String>,
    /// Whether it is the unit tests of a library or a program.
    pub unit_tests: bool,
}

impl FailedTarget {
    /// Reads an element of [`Record::not_compiled`].
    pub fn parse(text: &str) -> Option<Self> {
        let (package, target) = text.strip_prefix('`')?.split_once("` (")?;
        let target = target.strip_suffix(')')?;
        let (target, unit_tests) = target.strip_suffix(" test").map_or((target, false), |rest| (rest, true));
        let (kind, name) = target.split_once(" \"").map_or((target, None), |(kind, name)| (kind, Some(name)));
        let kind = if kind == "build script" { "custom-build" } else { kind };
        let name = name.map(|name| name.trim_end_matches('"').to_owned());
        Some(Self { package: package.to_owned(), kind: TargetKind::from_cargo(&[kind]), name, unit_tests })
    }
}

/// How often estimated times are kept during a build.
const KEEPS_EVERY: Duration = Duration::from_millis(200);

/// Runs `command` and shows its output through `progress`. `on_line` gets every line but cargo's JSON messages, and says
/// whether it is shown.
pub fn run(
    workspace: &Workspace,
    command: &CargoCommand,
    options: RunOptions,
    progress: &dyn Progress,
    on_line: &mut dyn FnMut(&str) -> bool,
) -> Result<Record> {
    let full = with_reports(command, options);
    progress.detail(&format!("running `{full}`"));
    let mut build = Build::new(options, command.env.contains_key(ROLE));
    let keep_estimates = |build: &mut Build| {
        build.kept_after = build.started.elapsed();
        let estimates = std::mem::take(&mut build.estimates);
        // They are kept again in a moment, or are better known at the end.
        let _ = Times::add(workspace, command.profile_dir(), &estimates);
    };
    let ended =
        process::run(&Call::from(&full), &workspace.environment, None, Out::Lines, &mut |stream, line| {
            if build.line(stream, line, progress) && on_line(line) {
                progress.output(line);
            }
            // This process may be killed, too.
            if build.options.timings && build.started.elapsed() > build.kept_after + KEEPS_EVERY {
                keep_estimates(&mut build);
            }
        })?;
    if options.timings && build.timings_page.is_none() && !build.draws_no_page {
        keep_estimates(&mut build);
    }
    if build.draws_no_page {
        return run(workspace, command, RunOptions { timings: false, ..options }, progress, on_line);
    }
    let total = build.started.elapsed();
    let compile = build.finished_after.unwrap_or(total);
    let mut record = build.record;
    record.exit_code = ended.status.code();
    record.signal = ended.signal;
    record.compile_ms = whole_milliseconds(compile);
    record.run_ms = whole_milliseconds(total.saturating_sub(compile));
    if let Some(page) = build.timings_page {
        record.times = UnitTime::of_page(&page);
        // Cargo also keeps `cargo-timing.html`, always the latest; the dated copy is ours to remove.
        if page.file_name() != Some("cargo-timing.html") {
            let _ = remove_file(&page);
        }
        // A full disk must not make a green test run fail.
        if let Err(error) = Times::add(workspace, command.profile_dir(), &record.times) {
            progress.note(&format!("the times of this run were not kept: {error:#}"));
        }
    }
    Ok(record)
}

/// The command that also reports what we need. Cargo's own arguments are not part of a unit's hash.
fn with_reports(command: &CargoCommand, options: RunOptions) -> CargoCommand {
    let short = command.values(Flag::Messages).any(|format| format == "short");
    let format = match (options.collect_errors, short) {
        (true, _) => "json",
        (false, true) => "json-render-diagnostics,json-diagnostic-short",
        (false, false) => "json-render-diagnostics",
    };
    let mut full = command.clone().without(&[Flag::Messages]);
    full.add("--message-format", Some(format));
    if options.timings {
        full.insert_args(["--timings"]);
    }
    full
}

/// A build in progress: reads what cargo prints.
struct Build {
    started: Instant,
    options: RunOptions,
    /// Whether cargo starts tests through the suite, which announces each itself.
    runs_tests_through_us: bool,
    record: Record,
    /// After how long cargo said that the build was finished.
    finished_after: Option<Duration>,
    /// Whether its last status line has been read, possibly after its last message: its two pipes are read separately.
    /// What follows on standard error is the output of tests.
    said_finished: bool,
    timings_page: Option<Utf8PathBuf>,
    /// When each package was begun, or its last unit ended, by name and version.
    started_packages: BTreeMap<String, Instant>,
    /// What that says of the units that were compiled: cargo's own page comes at the end, which a first build of many
    /// minutes may never see.
    estimates: Vec<UnitTime>,
    kept_after: Duration,
    /// Whether cargo failed only because it cannot draw a page, as where there is nothing to build at all.
    draws_no_page: bool,
}

impl Build {
    fn new(options: RunOptions, runs_tests_through_us: bool) -> Self {
        Self {
            started: Instant::now(),
            options,
            runs_tests_through_us,
            record: Record::default(),
            finished_after: None,
            said_finished: false,
            timings_page: None,
            started_packages: BTreeMap::new(),
            estimates: Vec::new(),
            kept_after: Duration::ZERO,
            draws_no_page: false,
        }
    }

    /// Reads a line; returns whether it is to be shown.
    fn line(&mut self, stream: Stream, line: &str, progress: &dyn Progress) -> bool {
        match stream {
            // After the build the same words are a test's output.
            Stream::Out if self.finished_after.is_none() => match Message::parse(line) {
                Some(message) => {
                    self.message(message, progress);
                    false
                }
                None => true,
            },
            Stream::Out => true,
            Stream::Err if self.said_finished => !(self.runs_tests_through_us && self.announces_tests(line)),
            Stream::Err => self.status(line),
        }
    }

    fn message(&mut self, message: Message, progress: &dyn Progress) {
        match message {
            Message::CompilerArtifact(artifact) => {
                let unit = BuiltUnit {
                    package_id: artifact.package_id.clone().into_owned(),
                    package: name_and_version(&artifact.package_id).0.to_owned(),
                    target: artifact.target.name.into_owned(),
                    kind: TargetKind::from_cargo(&artifact.target.kind),
                    test: artifact.profile.test,
                    files: artifact.filenames.into_iter().map(Utf8PathBuf::from).collect(),
                    executable: artifact.executable.map(Utf8PathBuf::from),
                    fresh: artifact.fresh,
                };
                if !unit.fresh {
                    let (name, version) = name_and_version(&artifact.package_id);
                    let package = format!("{name} {version}");
                    if let Some(began) = self.started_packages.get_mut(&package) {
                        let ms = whole_milliseconds(began.elapsed());
                        *began = Instant::now();
                        self.estimates.push(UnitTime::of_built(&unit, &package, ms));
                    }
                    progress.units(self.record.units.len() + 1, self.options.expected, &unit.package);
                }
                self.record.units.push(unit);
            }
            Message::Diagnostic(diagnostic)
                if diagnostic.message.level == "error"
                    // That one only says how many there were.
                    && !diagnostic.message.message.starts_with("aborting due to ") =>
            {
                self.record.compile_errors.push(CompileError {
                    package: name_and_version(&diagnostic.package_id).0.to_owned(),
                    kind: TargetKind::from_cargo(&diagnostic.target.kind),
                    target: diagnostic.target.name.into_owned(),
                    message: diagnostic.message.message.into_owned(),
                });
            }
            Message::BuildScriptExecuted(script) => {
                self.record.scripts.push(ScriptRun {
                    package_id: script.package_id.into_owned(),
                    out_dir: script.out_dir.into(),
                    linked_paths: script.linked_paths.iter().map(|text| linked_path(text).into()).collect(),
                    variables: script.env,
                });
            }
            Message::BuildFinished { success } => {
                self.finished_after = Some(self.started.elapsed());
                self.record.build_succeeded = Some(success);
            }
            Message::Diagnostic(_) | Message::Other => {}
        }
    }

    /// Reads a line that cargo prints while it builds; returns whether it is to be shown.
    fn status(&mut self, line: &str) -> bool {
        let plain = without_colour(line);
        self.draws_no_page |= self.options.timings && plain == "error: failed to render timing report";
        if self.draws_no_page {
            return false;
        }
        match status_line(&plain) {
            Some(("Compiling" | "Checking" | "Documenting", rest)) => {
                // `app v0.1.0 (/path)`
                let package = rest.split(" (").next().unwrap_or(rest).replacen(" v", " ", 1);
                self.started_packages.insert(package, Instant::now());
            }
            Some(("Finished", rest)) => self.said_finished = rest.contains(" target(s) in "),
            Some(("Timing", rest)) if self.options.timings => {
                // The page is removed later, so a path that a test made up must not be taken for it.
                let page =
                    rest.strip_prefix("report saved to ").filter(|page| is_timings_page(page.as_ref()));
                self.timings_page = page.map(Utf8PathBuf::from).or(self.timings_page.take());
                return page.is_none();
            }
            _ => {}
        }
        // A test that runs a cargo may print the same.
        if self.record.build_succeeded != Some(true) {
            if let Some(error) = plain.strip_prefix("error: could not compile ") {
                let target = error.split_once(" due to ").map_or(error, |(target, _)| target);
                self.record.not_compiled.push(target.to_owned());
            }
            if let Some(error) = plain.strip_prefix("error: failed to run custom build command for `") {
                self.record.failed_scripts.extend(error.split([' ', '`']).next().map(str::to_owned));
            }
            let has_begun = !self.record.units.is_empty() || !self.started_packages.is_empty();
            if let Some(error) = plain.strip_prefix("error: ").filter(|_| !has_begun) {
                self.record.refused.get_or_insert_with(|| error.to_owned());
            }
        }
        true
    }

    /// Whether cargo says that it starts a test program or the doc tests of this build.
    fn announces_tests(&self, line: &str) -> bool {
        let mut units = self.record.units.iter();
        match status_line(&without_colour(line)) {
            Some(("Running", program)) => {
                let mut files = units.filter(|unit| unit.test).flat_map(|unit| &unit.files);
                files.any(|file| file.file_name().is_some_and(|name| program.contains(name)))
            }
            Some(("Doc-tests", library)) => units.any(|unit| unit.target.replace('-', "_") == library),
            _ => false,
        }
    }
}

/// The folder of `native=/path` or `/path`, which may have a `=` in it.
fn linked_path(text: &str) -> &str {
    match text.split_once('=') {
        Some(("native" | "dependency" | "crate" | "framework" | "all", path)) => path,
        _ => text,
    }
}

/// A page as cargo names it: `<target>/cargo-timings/cargo-timing-….html`.
fn is_timings_page(page: &Utf8Path) -> bool {
    let folder = page.parent().and_then(Utf8Path::file_name);
    let name = page.file_name().unwrap_or_default();
    folder == Some("cargo-timings") && name.starts_with("cargo-timing") && page.extension() == Some("html")
}

/// The word and the rest of a status line, which cargo aligns to the right: a test's own words rarely are.
fn status_line(plain: &str) -> Option<(&str, &str)> {
    let (status, rest) = plain.split_at_checked(STATUS_WIDTH)?;
    Some((status.trim_start(), rest.strip_prefix(' ')?))
}

/// `line` without terminal colours (`ESC [ … m`).
pub fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use xtask_workspace::Silent;

    use super::*;

    #[test]
    fn reports_are_asked_for_before_the_arguments_of_the_tests() {
        let options = RunOptions { timings: true, ..RunOptions::default() };
        let full =
            |args: &[&str]| with_reports(&CargoCommand::new("/", args.iter().copied()), options).to_string();
        assert_eq!(
            full(&["test", "--", "--nocapture"]),
            "cargo test --message-format json-render-diagnostics --timings -- --nocapture"
        );
        assert_eq!(
            full(&["nextest", "run"]),
            "cargo nextest run --cargo-message-format json-render-diagnostics --timings"
        );
        // Cargo refuses two formats.
        assert_eq!(
            full(&["test", "-q", "--timings=html", "--message-format=short"]),
            "cargo test -q --timings=html --message-format json-render-diagnostics,json-diagnostic-short"
        );
    }

    #[test]
    fn what_failed_and_the_timings_page_are_read_with_and_without_colour() {
        let mut build = Build::new(RunOptions { timings: true, ..RunOptions::default() }, false);
        let table = [
            ("      Timing report saved to /t/cargo-timings/cargo-timing-1.html", false),
            ("      Timing report saved to /home/me/letters.html", true),
            ("   Compiling app v0.1.0 (/w/app)", true),
            ("warning: unused variable", true),
            ("", true),
            (
                "\u{1b}[1m\u{1b}[91merror\u{1b}[0m: could not compile `app` (lib test) due to 2 previous errors; 1 warning emitted",
                true,
            ),
            ("error: could not compile `app` (lib)", true),
            ("error: failed to run custom build command for `app v0.1.0`", true),
        ];
        for (line, shown) in table {
            assert_eq!(build.line(Stream::Err, line, &Silent), shown, "{line}");
        }
        let page = Utf8Path::new("/t/cargo-timings/cargo-timing-1.html");
        assert_eq!(build.timings_page.as_deref(), Some(page));
        assert_eq!(build.record.not_compiled, ["`app` (lib test)", "`app` (lib)"]);
        assert_eq!(build.record.failed_scripts, ["app"]);
    }

    #[test]
    fn a_linked_folder_may_have_an_equals_sign_in_its_name() {
        let table = [("native=/a", "/a"), ("/a", "/a"), ("native=/a=b/c", "/a=b/c"), ("/a=b/c", "/a=b/c")];
        for (text, path) in table {
            assert_eq!(linked_path(text), path);
        }
    }

    #[test]
    fn what_cargo_calls_a_target_is_read() {
        let table = [
            ("`app` (lib)", "app", TargetKind::Lib, None, false),
            ("`app` (lib test)", "app", TargetKind::Lib, None, true),
            ("`app` (bin \"x y\" test)", "app", TargetKind::Bin, Some("x y"), true),
            ("`app` (test \"it\")", "app", TargetKind::IntegrationTest, Some("it"), false),
            ("`app` (example \"e\")", "app", TargetKind::Example, Some("e"), false),
            ("`app` (build script)", "app", TargetKind::BuildScript, None, false),
        ];
        for (text, package, kind, name, unit_tests) in table {
            let expected =
                FailedTarget { package: package.into(), kind, name: name.map(str::to_owned), unit_tests };
            assert_eq!(FailedTarget::parse(text), Some(expected), "{text}");
        }
        assert_eq!(FailedTarget::parse("something else"), None);
    }

    #[test]
    fn what_tests_print_is_shown_though_it_looks_like_cargos_own() {
        let test = "{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/my-app#0.1.0\",\
             \"manifest_path\":\"/w/my-app/Cargo.toml\",\"target\":{\"kind\":[\"lib\"],\"name\":\"my-app\"},\
             \"profile\":{\"opt_level\":\"0\",\"test\":true},\"features\":[],\
             \"filenames\":[\"/t/debug/deps/my_app-0123456789abcdef\"],\"fresh\":false}";
        // stream, line, whether it is shown
        let table = [
            (Stream::Err, "   Compiling my-app v0.1.0 (/w/my-app)", true),
            (Stream::Out, test, false),
            (Stream::Out, "{\"reason\":\"build-finished\",\"success\":true}", false),
            (Stream::Err, "error: could not compile `of a test` (lib)", true),
            (Stream::Err, "    Finished `test` profile [unoptimized] target(s) in 0.10s", true),
            (Stream::Err, "     Running unittests src/lib.rs (t/debug/deps/my_app-0123456789abcdef)", false),
            (Stream::Out, "{\"reason\":\"build-finished\",\"success\":true}", true),
            (Stream::Out, "Running `x`", true),
            (Stream::Err, "Doc-tests x", true),
            (Stream::Err, "      Timing report saved to /t/cargo-timings/cargo-timing-1.html", true),
            (Stream::Err, "     Running tests/it.rs (/tmp/inner/deps/inner-0123456789abcdef)", true),
            (Stream::Err, "   Doc-tests inner", true),
            (Stream::Err, "   Doc-tests my_app", false),
        ];
        for through_us in [true, false] {
            let mut build = Build::new(RunOptions { timings: true, ..RunOptions::default() }, through_us);
            for (stream, line, shown) in table {
                let announced = line.contains("/my_app-") || line.ends_with("my_app");
                let expected = shown || (!through_us && announced && stream == Stream::Err);
                assert_eq!(build.line(stream, line, &Silent), expected, "{line}");
            }
            assert!(build.record.not_compiled.is_empty() && build.timings_page.is_none());
        }
    }
}
