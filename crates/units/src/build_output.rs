//! Reads the output of a cargo command while it runs: JSON messages, the status lines that `--verbose` adds,
//! and everything else, which is for the user.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::remove_file;
use xtask_workspace::Progress;

use crate::compile_errors::{CompileErrors, Failed};
use crate::messages::{Artifact, BuildScriptRun, Diagnostic, Message, name_and_version};
use crate::process::Stream;
use crate::record::{BuiltUnit, CompileError, RunOptions};
use crate::timings;
use crate::unit::{Mode, TargetKind};

/// The column that cargo's status words end in.
const STATUS_WIDTH: usize = 12;

/// A build in progress.
pub(crate) struct Build {
    pub(crate) started: Instant,
    expected: Option<usize>,
    pub(crate) units: Vec<BuiltUnit>,
    /// The compiler's errors, where they come as messages.
    pub(crate) compile_errors: Vec<CompileError>,
    /// Why packages were dirty, by name and version.
    dirty: BTreeMap<(String, String), String>,
    /// After how long cargo said that the build was finished, and whether it succeeded.
    pub(crate) finished: Option<(Duration, bool)>,
    /// Whether its last status line has been read. Its two pipes are read apart, so this may come after its last
    /// message; what comes on standard error from then on is the tests'.
    said_finished: bool,
    /// Whether the line before said that the doc tests of a library are next.
    doctests_next: bool,
    errors: CompileErrors,
    timings_page: Option<Utf8PathBuf>,
}

impl Build {
    pub(crate) fn new(options: RunOptions) -> Self {
        Self {
            started: Instant::now(),
            expected: options.expected,
            units: Vec::new(),
            compile_errors: Vec::new(),
            dirty: BTreeMap::new(),
            finished: None,
            said_finished: false,
            doctests_next: false,
            errors: CompileErrors::default(),
            timings_page: None,
        }
    }

    pub(crate) fn line(
        &mut self,
        stream: Stream,
        line: &str,
        progress: &dyn Progress,
        on_line: &mut dyn FnMut(&str),
    ) {
        let shown = match stream {
            // After the build the same words are a test's output.
            Stream::Out if self.finished.is_none() => match Message::parse(line) {
                Some(message) => return self.message(message, progress),
                None => vec![line.to_owned()],
            },
            Stream::Out => vec![line.to_owned()],
            Stream::Err if self.said_finished && self.starts_tests(line) => return,
            Stream::Err if self.said_finished => vec![line.to_owned()],
            Stream::Err if self.status(line) => return,
            // A test may run a cargo.
            Stream::Err if self.succeeded() => vec![line.to_owned()],
            Stream::Err => self.errors.line(line),
        };
        for line in &shown {
            on_line(line);
            progress.output(line);
        }
    }

    /// Shows what was held back. Returns what failed.
    pub(crate) fn finish(&mut self, progress: &dyn Progress) -> Failed {
        let (failed, rest) = std::mem::take(&mut self.errors).finish();
        for line in &rest {
            progress.output(line);
        }
        if self.succeeded() { Failed::default() } else { failed }
    }

    fn succeeded(&self) -> bool {
        self.finished.is_some_and(|(_, success)| success)
    }

    fn message(&mut self, message: Message, progress: &dyn Progress) {
        match message {
            Message::CompilerArtifact(artifact) => {
                let fresh = artifact.fresh;
                let unit = built(artifact);
                self.units.push(unit);
                if let Some(unit) = self.units.last().filter(|_| !fresh) {
                    progress.units(self.units.len(), self.expected, &unit.package);
                }
            }
            Message::BuildScriptExecuted(run) => self.units.push(executed(&run)),
            Message::Diagnostic(diagnostic) => self.compile_errors.extend(compile_error(diagnostic)),
            Message::BuildFinished { success } => self.finished = Some((self.started.elapsed(), success)),
            Message::Other => {}
        }
    }

    /// Takes in a status line of `cargo --verbose`; true when only `--verbose` made cargo print it.
    fn status(&mut self, line: &str) -> bool {
        let plain = without_colour(line);
        let Some((status, rest)) = status_line(&plain) else { return false };
        match status {
            "Fresh" => true,
            "Finished" => {
                self.said_finished = rest.contains(" target(s) in ");
                false
            }
            "Running" => rest.starts_with('`'),
            "Dirty" => {
                if let Some((package, reason)) = rest.split_once(": ") {
                    let mut words = package.split(' ');
                    let name = words.next().unwrap_or_default().to_owned();
                    let version = words.next().unwrap_or_default().trim_start_matches('v').to_owned();
                    self.dirty.entry((name, version)).or_insert_with(|| reason.to_owned());
                }
                true
            }
            "Timing" => {
                // The page is removed later, so a path that a test made up must not be taken for it.
                let page = rest.strip_prefix("report saved to ").map(Utf8PathBuf::from);
                let page = page.filter(|page| is_timings_page(page));
                let found = page.is_some();
                self.timings_page = page.or(self.timings_page.take());
                found
            }
            _ => false,
        }
    }

    /// Whether the line is cargo's own about a test program or doc tests that it starts; the runner says it in fewer
    /// words. A test that starts a cargo may print such a line too, about programs that are not of this build.
    fn starts_tests(&mut self, line: &str) -> bool {
        let plain = without_colour(line);
        let after_doctests = std::mem::take(&mut self.doctests_next);
        match status_line(&plain) {
            Some(("Running", command)) if command.starts_with('`') => {
                let mut files = self.units.iter().filter(|unit| unit.test).flat_map(|unit| &unit.files);
                after_doctests || files.any(|file| command.contains(file.as_str()))
            }
            Some(("Doc-tests", library)) => {
                self.doctests_next = self.units.iter().any(|unit| unit.target.replace('-', "_") == library);
                self.doctests_next
            }
            _ => false,
        }
    }

    pub(crate) fn add_times(&mut self) {
        for unit in self.units.iter_mut().filter(|unit| !unit.fresh) {
            unit.why_dirty = self.dirty.get(&(unit.package.clone(), unit.version.clone())).cloned();
        }
        let Some(page) = &self.timings_page else { return };
        if let Ok(text) = fs::read_to_string(page) {
            timings::assign(&mut self.units, &timings::parse(&text));
        }
        // Cargo also keeps `cargo-timing.html`, always the latest; the dated copy is ours to clear away.
        if page.file_name() != Some("cargo-timing.html") {
            let _ = remove_file(page);
        }
    }
}

/// A page as cargo names it: `<target>/cargo-timings/cargo-timing-….html`.
fn is_timings_page(page: &Utf8Path) -> bool {
    let folder = page.parent().and_then(Utf8Path::file_name);
    let name = page.file_name().unwrap_or_default();
    folder == Some("cargo-timings") && name.starts_with("cargo-timing") && page.extension() == Some("html")
}

/// The word and the rest of a status line, which cargo aligns to the right: a test's own words hardly ever are.
fn status_line(plain: &str) -> Option<(&str, &str)> {
    let (status, rest) = plain.split_at_checked(STATUS_WIDTH)?;
    Some((status.trim_start(), rest.strip_prefix(' ')?))
}

fn built(artifact: Artifact) -> BuiltUnit {
    let (package, version) = name_and_version(&artifact.package_id);
    let only_metadata =
        artifact.filenames.iter().all(|file| Utf8Path::new(file).extension() == Some("rmeta"));
    let mut features = artifact.features;
    features.sort();
    BuiltUnit {
        package,
        version,
        target: artifact.target.name.into_owned(),
        kind: TargetKind::from_cargo(&artifact.target.kind),
        mode: if only_metadata { Mode::Check } else { Mode::Build },
        test: artifact.profile.test,
        opt_level: artifact.profile.opt_level.into_owned(),
        features,
        files: artifact.filenames.into_iter().map(Utf8PathBuf::from).collect(),
        fresh: artifact.fresh,
        ..BuiltUnit::default()
    }
}

/// A diagnostic, if it is an error; the one that only says how many there were is none.
fn compile_error(diagnostic: Diagnostic) -> Option<CompileError> {
    let Diagnostic { package_id, target, message } = diagnostic;
    if message.level != "error" || message.message.starts_with("aborting due to ") {
        return None;
    }
    Some(CompileError {
        package: name_and_version(&package_id).0,
        target: target.name.into_owned(),
        kind: TargetKind::from_cargo(&target.kind),
        message: message.message.into_owned(),
    })
}

/// Cargo reports a build script's run also when its result was kept; only its time tells, so it counts
/// neither as fresh nor as compiled.
fn executed(run: &BuildScriptRun) -> BuiltUnit {
    let (package, version) = name_and_version(&run.package_id);
    BuiltUnit {
        package,
        version,
        target: "build-script-build".to_owned(),
        kind: TargetKind::BuildScript,
        mode: Mode::RunBuildScript,
        files: vec![run.out_dir.as_ref().into()],
        ..BuiltUnit::default()
    }
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
    use super::*;

    #[test]
    fn status_lines_are_read_with_and_without_colour() {
        let mut build = Build::new(RunOptions::default());
        let table = [
            ("       Fresh serde v1.0.0", true),
            (
                "\u{1b}[1m\u{1b}[92m       Dirty\u{1b}[0m app v0.1.0 (/w/app): the file `src/lib.rs` has changed",
                true,
            ),
            ("     Running `rustc --crate-name x`", true),
            ("      Timing report saved to /t/cargo-timings/cargo-timing-1.html", true),
            ("   Compiling app v0.1.0 (/w/app)", false),
            ("warning: unused variable", false),
            ("", false),
            ("Fresh bread", false),
            ("      Timing report saved to /home/me/letters.html", false),
        ];
        for (line, hidden) in table {
            assert_eq!(build.status(line), hidden, "{line}");
        }
        assert_eq!(build.dirty[&("app".into(), "0.1.0".into())], "the file `src/lib.rs` has changed");
        assert_eq!(
            build.timings_page.as_deref(),
            Some(Utf8Path::new("/t/cargo-timings/cargo-timing-1.html"))
        );
    }

    /// Collects what is shown.
    #[derive(Default)]
    struct Shown(std::sync::Mutex<Vec<String>>);

    impl Progress for Shown {
        fn output(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }

        fn note(&self, _text: &str) {}

        fn detail(&self, _text: &str) {}

        fn units(&self, _done: usize, _of: Option<usize>, _unit: &str) {}
    }

    #[test]
    fn what_tests_print_is_shown_though_it_looks_like_cargos_own() {
        let artifact = |name: &str, file: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/my-app#0.1.0\",\
                 \"manifest_path\":\"/w/my-app/Cargo.toml\",\"target\":{{\"kind\":[\"lib\"],\"name\":\"{name}\"}},\
                 \"profile\":{{\"opt_level\":\"0\",\"test\":true}},\"features\":[],\"filenames\":[\"{file}\"],\
                 \"fresh\":false}}"
            )
        };
        let test = artifact("my-app", "/t/debug/deps/my_app-0123456789abcdef");
        // stream, line, whether it is shown
        let table = [
            (Stream::Err, "     Running `rustc --crate-name my_app`", false),
            (Stream::Out, test.as_str(), false),
            (Stream::Out, "{\"reason\":\"build-finished\",\"success\":true}", false),
            (Stream::Err, "       Fresh late v1.0.0", false),
            (Stream::Err, "    Finished `test` profile [unoptimized] target(s) in 0.10s", true),
            (Stream::Err, "     Running `/w/xtask-suite /t/debug/deps/my_app-0123456789abcdef`", false),
            (Stream::Out, "Running `x`", true),
            (Stream::Err, "Running `x`", true),
            (Stream::Err, "Doc-tests x", true),
            (Stream::Err, "       Fresh serde v1.0.0", true),
            (Stream::Err, "     Running `rustc --crate-name inner`", true),
            (Stream::Err, "     Running `/tmp/inner/deps/inner-0123456789abcdef`", true),
            (Stream::Err, "   Doc-tests inner", true),
            (Stream::Err, "     Running `rustdoc --test inner`", true),
            (Stream::Err, "   Doc-tests my_app", false),
            (Stream::Err, "     Running `/w/xtask-suite --crate-name my_app --test`", false),
            (Stream::Err, "     Running `rustdoc --test inner`", true),
        ];
        let mut build = Build::new(RunOptions::default());
        for (stream, line, expected) in table {
            let shown = Shown::default();
            let mut seen = Vec::new();
            build.line(stream, line, &shown, &mut |line| seen.push(line.to_owned()));
            let expected = if expected { vec![line.to_owned()] } else { Vec::new() };
            assert_eq!(*shown.0.lock().unwrap(), expected, "{line}");
            assert_eq!(seen, expected, "{line}");
        }
    }
}
